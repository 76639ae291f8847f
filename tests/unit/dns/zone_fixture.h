/* SPDX-License-Identifier: Apache-2.0
 *
 * A zone with one of everything, and a ranking for its computed names; shared by tests and fuzzers.
 */
#ifndef TESTS_DNS_ZONE_FIXTURE_H
#define TESTS_DNS_ZONE_FIXTURE_H

#include "dns/dns.h"

const struct dns_source *fixture_source(void); /* built on the first call */
/* The same, signed by keys whose signatures are worth nothing; its requests need the signer. */
const struct dns_source *fixture_signed(bool is_compact);
struct dns_signer *fixture_signer(void);
void fixture_free(void);

#endif
