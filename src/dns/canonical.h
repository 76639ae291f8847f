/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and record sets as DNSSEC orders and signs them (RFC 4034 section 6).
 */
#ifndef DNS_CANONICAL_H
#define DNS_CANONICAL_H

#include "dns/zone.h"

/* Names in wire form and lower case; < 0: `a` comes first. */
int dns_name_compare(const uint8_t *a, const uint8_t *b);

/* A name as bytes that memcmp() orders alike: its labels from the root on, without those of its last `skip` bytes. */
enum { DNS_SORT_KEY_BYTES = 2 * DNS_NAME_LIMIT };
size_t dns_name_sort_key(const uint8_t *name, size_t length, size_t skip,
                         uint8_t out[DNS_SORT_KEY_BYTES]);

/* The message that a signature over the set signs: `header` (RRSIG's data up to its signature), then the records.
 * `memory` has dns_canonical_bytes(); the message lies somewhere in it. */
struct dns_canonical_set {
    struct span header;
    const uint8_t *owner; /* lower case */
    size_t owner_length;
    const struct dns_rrset *rrset;
};
size_t dns_canonical_bytes(const struct dns_canonical_set *set);
struct span dns_canonical_write(const struct dns_canonical_set *set, void *memory);

#endif
