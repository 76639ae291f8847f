/* SPDX-License-Identifier: Apache-2.0
 *
 * An answer in the making, for the files that make it: answer.c what it says, answer_signed.c the signatures over that.
 */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "dns/edns.h"
#include "dns/limiter.h"
#include "dns/query.h"
#include "dns/signed.h"
#include "dns/writer.h"

enum { ANSWER_CHAIN_LIMIT = 8 }; /* CNAMEs followed within a zone; the client goes on from there */

enum section {
    SECTION_ANSWER,
    SECTION_AUTHORITY,
    SECTION_ADDITIONAL,
    SECTIONS,
};

struct answer {
    const struct dns_source *source;
    const struct dns_settings *settings;
    const struct dns_request *request;
    const struct dns_query *query;
    struct dns_writer *writer;
    const struct dns_client *client;
    uint16_t counts[SECTIONS];
    enum dns_rcode rcode;
    enum dns_extended_error error;
    uint8_t scope_bits; /* of the client's address, that the answer depends on */
    bool is_authoritative, is_truncated, has_alias;
    enum dns_kind kind; /* for the limiter, and what it is about */
    struct span about;
    bool is_refused; /* signatures that nobody may have for nothing: no answer */
    struct dns_seal seal;
    uint32_t *proofs; /* links of the chain that wildcards on the way need */
    unsigned proof_count;
};

/* A set that does not fit is left out whole, and the client asks again over TCP. */
void answer_add_rrset(struct answer *answer, enum section section, struct dns_owner owner,
                      const struct dns_rrset *rrset, uint32_t ttl_most_s);
/* The SOA, and what proves that there is no such name, or no such type. */
void answer_add_negative(struct answer *answer, const struct dns_match *match, uint32_t ttl_most_s);

/* ---- answer_dname.c */

/* The DNAME record that a name which does not exist lies below; NULL: none. */
const struct dns_rrset *answer_find_dname(const struct dns_match *match);
/* The record and the alias that it makes; `name` is then where that leads. False: nowhere, the name would be too long. */
bool answer_add_dname(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                      const struct dns_rrset *dname, struct dns_name *name);

/* ---- answer_signed.c */

/* Whether the zone is signed and the client wants to see that. */
static inline bool answer_is_signed(const struct answer *answer)
{
    return answer->query->is_dnssec_ok && answer->seal.keyset;
}

/* A set of the zone with its signatures, and the proof that is due with a wildcard's. */
void answer_add_data(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                     const struct dns_rrset *rrset);
/* Signatures over what was just added, whose owner in the zone is `name`. */
void answer_sign(struct answer *answer, enum section section, struct dns_owner owner,
                 struct span name, const struct dns_rrset *rrset, uint32_t ttl_most_s);
/* The same for records that were made for this answer. */
void answer_sign_addresses(struct answer *answer, struct dns_owner owner,
                           const struct dns_match *match, const struct dns_addresses *addresses);
void answer_sign_texts(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                       const struct dns_texts *texts, uint32_t ttl_s);
void answer_sign_alias(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                       const struct dns_choice *choice);
void answer_add_single(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                       uint16_t type, uint32_t ttl_s, struct span data);
void answer_deny(struct answer *answer, const struct dns_match *match, uint32_t ttl_most_s);
/* What wildcards on the way need, behind all of the answer section. */
void answer_add_proofs(struct answer *answer);
/* In a referral: whether the zone below is signed. */
void answer_add_delegation(struct answer *answer, struct dns_owner owner,
                           const struct dns_match *match);
/* NSEC or RRSIG, asked for by name. */
void answer_add_proof_set(struct answer *answer, const struct dns_match *match);
/* A stored set, or one that the zone's keys make; NULL: none. */
const struct dns_rrset *answer_find_set(const struct answer *answer, const struct dns_match *match,
                                        uint16_t type);
/* At the apex of a zone of ours below another one of ours it is the upper one that knows of DS: then true, and `match` is in
 * that one. */
bool answer_is_parents(struct dns_match *match, uint16_t type);

#endif
