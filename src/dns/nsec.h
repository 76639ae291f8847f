/* SPDX-License-Identifier: Apache-2.0
 *
 * Proofs of what is not there: the chain of a zone's names in canonical order (RFC 4034 section 4, RFC 9077), and the
 * single denials of RFC 9824.
 */
#ifndef DNS_NSEC_H
#define DNS_NSEC_H

#include "dns/dnssec.h"
#include "dns/zone.h"

/* The names of a zone that own records, or are delegated, in canonical order; the first is the apex. Made at load. */
struct dns_chain;

/* Chains for the zones that want one. */
void dns_zones_chain(struct dns_zones *zones);
void dns_chain_free(struct dns_chain *chain);
size_t dns_chain_count(const struct dns_chain *chain);
const struct dns_node *dns_chain_node(const struct dns_chain *chain, size_t link);

/* The link of the last name that is not behind `name`, which lies in the zone: it has the very name, or covers it. */
uint32_t dns_chain_find(const struct dns_chain *chain, const struct dns_name *name);

enum {
    DNS_BITMAP_BYTES = 256 * 34,
    DNS_NSEC_BYTES = DNS_NAME_LIMIT + DNS_BITMAP_BYTES,
};

/* One NSEC record in the making. */
struct dns_nsec {
    const uint8_t *owner;
    size_t owner_length;
    uint8_t wire[DNS_RR_FIXED_BYTES + DNS_NSEC_BYTES];
    struct dns_rrset rrset; /* of `wire` */
};

/* `without`: a type that is denied of a computed name though it may be there for other clients; 0: none. */
void dns_nsec_of_link(struct dns_nsec *nsec, const struct dns_zone *zone, uint32_t link,
                      const struct dns_keyset *keyset, uint16_t without);
/* For `name` alone, with the types of `node`, NULL: there is no such name. False: no name fits behind it. */
bool dns_nsec_compact(struct dns_nsec *nsec, const struct dns_zone *zone,
                      const struct dns_name *name, const struct dns_node *node,
                      const struct dns_keyset *keyset, uint16_t without);

/* The links that prove that a question has no answer, or one by wildcard; at most two. */
struct dns_denial {
    uint32_t links[2];
    unsigned count;
};
struct dns_denial dns_denial_of(const struct dns_match *match);

#endif
