/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server says of itself in class CH (RFC 4892), when it is set to.
 */
#ifndef DNS_IDENTITY_H
#define DNS_IDENTITY_H

#include "dns/query.h"

/* The text to answer with, or nothing: refused. */
struct span dns_identity_find(const struct dns_settings *settings, const struct dns_query *query);

#endif
