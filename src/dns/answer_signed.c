/* SPDX-License-Identifier: Apache-2.0
 *
 * What DNSSEC adds to an answer: signatures over its sets, and proofs of what is not there (RFC 4035 section 3.1, RFC
 * 9824). Nothing of it where the zone is not signed or the client does not ask.
 */
#include "dns/answer.h"

#include "base/bytes.h"
#include "dns/nsec.h"

/* Beyond a client's budget it must show over TCP that its address is its own; there is nothing for it then either. */
void answer_sign(struct answer *answer, enum section section, struct dns_owner owner,
                 struct span name, const struct dns_rrset *rrset, uint32_t ttl_most_s)
{
    if (!answer_is_signed(answer) || answer->is_truncated)
        return;
    int count = dns_seal_write(&answer->seal, answer->writer, owner, name, rrset, ttl_most_s);
    if (count >= 0)
        answer->counts[section] = (uint16_t)(answer->counts[section] + count);
    else if (count == ERROR_DENIED && answer->request->is_tcp)
        answer->is_refused = true;
    else
        answer->is_truncated = true;
}

/* Whose records they are for a signature: a wildcard's, which are signed once for all names. Where denials are compact there
 * are no wildcards, only names (RFC 9824 section 3.1). */
static struct span signed_name(const struct answer *answer, const struct dns_match *match)
{
    if (match->encloser && answer_is_signed(answer) && answer->seal.keyset->is_compact)
        return span_of(match->name->wire, match->name->length);
    return dns_node_name(match->node);
}

/* That the very name is not there is due with a wildcard's records, behind all of the answer section. */
static void note_wildcard(struct answer *answer, const struct dns_match *match)
{
    if (!match->encloser || !answer_is_signed(answer) || answer->seal.keyset->is_compact)
        return;
    uint32_t link = dns_chain_find(match->zone->chain, match->name);
    for (unsigned i = 0; i < answer->proof_count; i++)
        if (answer->proofs[i] == link)
            return;
    answer->proofs[answer->proof_count++] = link;
}

static void add_nsec(struct answer *answer, enum section section, const struct dns_nsec *nsec,
                     uint32_t ttl_most_s)
{
    struct dns_owner owner = {.name = nsec->owner};
    answer_add_rrset(answer, section, owner, &nsec->rrset, ttl_most_s);
    answer_sign(answer, section, owner, span_of(nsec->owner, nsec->owner_length), &nsec->rrset,
                ttl_most_s);
}

void answer_add_proofs(struct answer *answer)
{
    struct dns_nsec nsec;
    for (unsigned i = 0; i < answer->proof_count; i++) {
        dns_nsec_of_link(&nsec, answer->seal.zone, answer->proofs[i], answer->seal.keyset, 0);
        add_nsec(answer, SECTION_AUTHORITY, &nsec, UINT32_MAX);
    }
    answer->proof_count = 0;
}

/* That there is no such name, or that it has no records of the type. */
void answer_deny(struct answer *answer, const struct dns_match *match, uint32_t ttl_most_s)
{
    const struct dns_keyset *keyset = answer->seal.keyset;
    uint16_t type = answer->query->type;
    if (!answer_is_signed(answer))
        return;
    bool is_computed = match->node && match->node->site != DNS_NO_SITE;
    uint16_t without = is_computed && (type == DNS_A || type == DNS_AAAA) ? type : 0;
    struct dns_nsec nsec;
    if (keyset->is_compact) {
        if (dns_nsec_compact(&nsec, match->zone, match->name, match->node, keyset, without))
            add_nsec(answer, SECTION_AUTHORITY, &nsec, ttl_most_s);
        else
            answer->is_refused = true;
        return;
    }
    struct dns_denial denial = dns_denial_of(match);
    for (unsigned i = 0; i < denial.count; i++) {
        dns_nsec_of_link(&nsec, match->zone, denial.links[i], keyset, without);
        add_nsec(answer, SECTION_AUTHORITY, &nsec, ttl_most_s);
    }
}

/* A set that is made for this answer, in the form of those that zones hold. */
struct made_set {
    struct dns_rrset rrset;
    uint8_t wire[DNS_ADDRESSES_LIMIT * (DNS_RR_FIXED_BYTES + DNS_NAME_LIMIT)];
};

static void put_made(struct made_set *made, uint16_t type, uint32_t ttl_s, struct span data)
{
    uint8_t *to = made->wire + made->rrset.wire_bytes;
    to = store_u16(store_u16(to, DNS_OWNER_POINTER), type);
    to = store_u32(store_u16(to, DNS_CLASS_IN), ttl_s);
    to = store_u16(to, (uint16_t)data.length);
    memcpy(to, data.data, data.length);
    made->rrset.type = type;
    made->rrset.wire = made->wire;
    made->rrset.count++;
    made->rrset.wire_bytes = (uint32_t)(to + data.length - made->wire);
}

void answer_add_data(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                     const struct dns_rrset *rrset)
{
    answer_add_rrset(answer, SECTION_ANSWER, owner, rrset, UINT32_MAX);
    answer_sign(answer, SECTION_ANSWER, owner, signed_name(answer, match), rrset, UINT32_MAX);
    note_wildcard(answer, match);
}

/* In one order whatever that of the answer is, so that the set has one signature. */
void answer_sign_addresses(struct answer *answer, struct dns_owner owner,
                           const struct dns_match *match, const struct dns_addresses *addresses)
{
    uint16_t type = answer->query->type;
    size_t bytes = type == DNS_A ? 4 : 16;
    unsigned count = type == DNS_A ? addresses->ipv4_count : addresses->ipv6_count;
    uint32_t taken = 0;
    struct made_set made;
    made.rrset = (struct dns_rrset){0};
    if (!answer_is_signed(answer))
        return;
    for (unsigned turn = 0; turn < count; turn++) {
        unsigned least = DNS_ADDRESSES_LIMIT;
        const uint8_t *data = NULL;
        for (unsigned i = 0; i < count; i++) {
            const uint8_t *at = type == DNS_A ? addresses->ipv4[i] : addresses->ipv6[i];
            if (!(taken >> i & 1) && (!data || memcmp(at, data, bytes) < 0)) {
                data = at;
                least = i;
            }
        }
        taken |= 1u << least;
        put_made(&made, type, addresses->ttl_s, span_of(data, bytes));
    }
    answer_sign(answer, SECTION_ANSWER, owner, signed_name(answer, match), &made.rrset, UINT32_MAX);
    note_wildcard(answer, match);
}

void answer_sign_texts(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                       const struct dns_texts *texts, uint32_t ttl_s)
{
    struct made_set made;
    uint8_t sorted[DNS_TEXTS_LIMIT][DNS_TEXT_BYTES];
    _Static_assert(sizeof made.wire >= DNS_TEXTS_LIMIT * (DNS_RR_FIXED_BYTES + DNS_TEXT_BYTES),
                   "all of them have room");
    if (!answer_is_signed(answer))
        return;
    made.rrset = (struct dns_rrset){0};
    for (unsigned i = 0; i < texts->count; i++) {
        unsigned at = i;
        for (; at && memcmp(sorted[at - 1], texts->items[i], DNS_TEXT_BYTES) > 0; at--)
            memcpy(sorted[at], sorted[at - 1], DNS_TEXT_BYTES);
        memcpy(sorted[at], texts->items[i], DNS_TEXT_BYTES);
    }
    for (unsigned i = 0; i < texts->count; i++)
        put_made(&made, DNS_TXT, ttl_s, span_of(sorted[i], DNS_TEXT_BYTES));
    answer_sign(answer, SECTION_ANSWER, owner, signed_name(answer, match), &made.rrset, UINT32_MAX);
    note_wildcard(answer, match);
}

/* Whether the zone below is signed: its DS records, or that there are none (RFC 4035 section 3.1.4). */
void answer_add_delegation(struct answer *answer, struct dns_owner owner,
                           const struct dns_match *match)
{
    if (!answer_is_signed(answer))
        return;
    const struct dns_node *cut = match->cut;
    const struct dns_rrset *ds = dns_node_rrset(cut, DNS_DS);
    if (!ds) {
        struct dns_name name = {.length = cut->name_length, .labels = cut->labels};
        memcpy(name.wire, cut->name, cut->name_length);
        struct dns_match at_cut = {match->zone, cut, cut, NULL, &name};
        answer_deny(answer, &at_cut, UINT32_MAX);
        return;
    }
    answer_add_rrset(answer, SECTION_AUTHORITY, owner, ds, UINT32_MAX);
    answer_sign(answer, SECTION_AUTHORITY, owner, dns_node_name(cut), ds, UINT32_MAX);
}

/* A stored set, or one that the zone's keys make. */
const struct dns_rrset *answer_find_set(const struct answer *answer, const struct dns_match *match,
                                        uint16_t type)
{
    const struct dns_keyset *keyset = answer->seal.keyset;
    for (size_t i = 0; keyset && match->node == match->zone->apex && i < keyset->set_count; i++)
        if (keyset->sets[i]->type == type)
            return keyset->sets[i];
    if (type == DNS_SOA && match->node == match->zone->apex)
        return dns_seal_soa(&answer->seal, match->zone);
    if (type == DNS_DS && match->node == match->zone->apex)
        return NULL; /* the upper zone's, and that is not ours */
    return dns_node_rrset(match->node, type);
}

/* Asked for by their own types: NSEC of the name, or the signature over that, which stands for all others. */
void answer_add_proof_set(struct answer *answer, const struct dns_match *match)
{
    struct dns_nsec nsec;
    const struct dns_node *node = match->node;
    const struct dns_keyset *keyset = answer->seal.keyset;
    bool is_link = !match->encloser && (node->rrset_count || node->site != DNS_NO_SITE);
    if (keyset->is_compact ? !dns_nsec_compact(&nsec, match->zone, match->name, node, keyset, 0)
                           : !is_link) {
        answer_add_negative(answer, match, UINT32_MAX);
        return;
    }
    if (!keyset->is_compact)
        dns_nsec_of_link(&nsec, match->zone, dns_chain_find(match->zone->chain, match->name),
                         keyset, 0);
    struct dns_owner owner = {.name = nsec.owner};
    if (answer->query->type == DNS_NSEC) {
        add_nsec(answer, SECTION_ANSWER, &nsec, UINT32_MAX);
        return;
    }
    answer_sign(answer, SECTION_ANSWER, owner, span_of(nsec.owner, nsec.owner_length), &nsec.rrset,
                UINT32_MAX);
}

bool answer_is_parents(struct dns_match *match, uint16_t type)
{
    if (type != DNS_DS || !match->node || match->node != match->zone->apex || !match->zone->parent)
        return false;
    match->zone = match->zone->parent;
    return true;
}

void answer_sign_alias(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                       const struct dns_choice *choice)
{
    if (!answer_is_signed(answer))
        return;
    struct made_set made;
    made.rrset = (struct dns_rrset){0};
    put_made(&made, DNS_CNAME, choice->alias_ttl_s,
             span_of(choice->alias->wire, choice->alias->length));
    answer_sign(answer, SECTION_ANSWER, owner, signed_name(answer, match), &made.rrset, UINT32_MAX);
    note_wildcard(answer, match);
}

void answer_add_single(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                       uint16_t type, uint32_t ttl_s, struct span data)
{
    struct made_set made;
    made.rrset = (struct dns_rrset){0};
    put_made(&made, type, ttl_s, data);
    answer_add_data(answer, owner, match, &made.rrset);
}
