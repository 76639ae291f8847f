/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of record types. A type's layout says what its data consists of, one letter a field; parsing, checking
 * and compression all follow it, so that a further type is one more row.
 *
 *   a  IPv4 address           n  name, compressible (RFC 3597 section 4: only types of RFC 1035)
 *   q  IPv6 address           N  name, never compressed
 *   1  2  4  integers         c  one character string      s  character strings to the end (at least one)
 *                             r  plain bytes to the end
 */
#ifndef DNS_TYPES_H
#define DNS_TYPES_H

#include "dns/dns.h"

struct dns_type {
    uint16_t number;
    const char *name;
    const char *layout;
};

/* NULL: not in the table. */
const struct dns_type *dns_type_find(uint16_t number);

/* How many bytes of `rdata` the field at its front takes, or a negative error when it does not fit. */
int dns_field_length(char field, struct span rdata);

/* Whether the data is exactly what the type's layout says; any bytes are right for a type without a layout. */
bool dns_rdata_is_valid(uint16_t type, struct span rdata);

#endif
