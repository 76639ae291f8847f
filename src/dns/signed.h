/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of one answer's sets: found or made.
 */
#ifndef DNS_SIGNED_H
#define DNS_SIGNED_H

#include "dns/dns.h"
#include "dns/writer.h"

/* ---- the store ---- */

/* 128 bits of the set, its owner and its keys. */
struct dns_signature_key {
    uint64_t low, high;
};

struct dns_signature {
    struct dns_signature_key key;
    uint32_t inception_s, expiration_s;
    uint32_t refresh_s; /* from then on it is made anew */
    uint16_t tag;
    uint8_t algorithm, labels;
    uint8_t bytes[DNS_SIGNATURE_BYTES];
    uint8_t unused[8];
};

uint64_t dns_signatures_seed(const struct dns_signatures *signatures);
bool dns_signatures_find(const struct dns_signatures *signatures,
                         const struct dns_signature_key *key, uint32_t wall_s,
                         struct dns_signature *signature);
void dns_signatures_keep(struct dns_signatures *signatures, const struct dns_signature *signature);

/* ---- an answer ---- */

/* Who signs an answer. `keyset` NULL: nobody. */
struct dns_seal {
    const struct dns_signing *signing;
    const struct dns_keyset *keyset;
    const struct dns_zone *zone;
    const struct dns_request *request;
};

/* Sets `keyset` where the zone is signed. */
void dns_seal_zone(struct dns_seal *seal, const struct dns_zones *zones,
                   const struct dns_zone *zone);

static inline const struct dns_rrset *dns_seal_soa(const struct dns_seal *seal,
                                                   const struct dns_zone *zone)
{
    return seal->keyset && seal->zone == zone && seal->keyset->soa ? seal->keyset->soa : zone->soa;
}

/* Writes the signatures over a set, whose owner in the zone is `name` (a wildcard's own), and returns how many, or
 * ERROR_LIMIT: there is no room, or ERROR_DENIED: the client's budget is used up. */
MUST_USE int dns_seal_write(const struct dns_seal *seal, struct dns_writer *writer,
                            struct dns_owner owner, struct span name, const struct dns_rrset *rrset,
                            uint32_t ttl_most_s);

#endif
