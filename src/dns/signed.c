/* SPDX-License-Identifier: Apache-2.0
 *
 * RRSIG records (RFC 4034 section 3). A set is signed when it is asked for first; the signature is kept until a quarter of
 * its life is left, so that what resolvers keep is always good for longer than they keep it.
 */
#include "dns/signed.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "dns/canonical.h"

enum {
    BACKDATE_S = 3600, /* for clocks that are behind ours */
    HEADER_BYTES = 18, /* of RRSIG's data, in front of the signer's name */
};

void dns_seal_zone(struct dns_seal *seal, const struct dns_zones *zones,
                   const struct dns_zone *zone)
{
    seal->zone = zone;
    seal->keyset = seal->signing && zone->is_signed
                       ? atomic_load_explicit(&seal->signing->keysets[zone - zones->zones],
                                              memory_order_acquire)
                       : NULL;
}

const struct dns_rrset *dns_zone_soa(const struct dns_zones *zones, const struct dns_zone *zone,
                                     const struct dns_signing *signing)
{
    struct dns_seal seal = {.signing = signing};
    dns_seal_zone(&seal, zones, zone);
    return dns_seal_soa(&seal, zone);
}

/* Sets that the entry keys sign, RFC 4035 section 2.2 and RFC 7344 section 4.1. */
static bool is_of_entry_keys(uint16_t type)
{
    return type == DNS_DNSKEY || type == DNS_CDS || type == DNS_CDNSKEY;
}

/* Labels of the owner but for the root's and a wildcard's. */
static uint8_t count_labels(const uint8_t *name)
{
    uint8_t count = 0;
    bool is_wildcard = name[0] == 1 && name[1] == '*';
    for (; *name; name += *name + 1)
        count++;
    return (uint8_t)(count - is_wildcard);
}

static struct dns_signature_key key_of(const struct dns_seal *seal, const struct dns_key *key,
                                       struct span name, const struct dns_rrset *rrset)
{
    uint64_t seed = dns_signatures_seed(seal->signing->signatures);
    seed ^= seal->keyset->id + (is_of_entry_keys(rrset->type) ? key->tag : 0);
    seed = hash_span(name, seed);
    struct span wire = span_of(rrset->wire, rrset->wire_bytes);
    return (struct dns_signature_key){hash_span(wire, seed), hash_span(wire, ~seed)};
}

/* Signatures of many sets that were made together are made anew one after another. */
static void set_times(struct dns_signature *signature, const struct dns_keyset *keyset,
                      uint32_t now_s, uint32_t ttl_s, uint32_t gone_s)
{
    uint32_t quarter_s = keyset->validity_s / 4;
    uint32_t early_s = (uint32_t)(signature->key.high % (quarter_s / 2 + 1));
    uint32_t end_s = now_s + keyset->validity_s + ttl_s;
    if (end_s > gone_s)
        end_s = gone_s;
    signature->inception_s = now_s - BACKDATE_S;
    signature->expiration_s = end_s;
    signature->refresh_s = end_s - quarter_s - ttl_s - early_s;
    if ((int32_t)(signature->refresh_s - now_s) <= 0) /* a short life, near the end of a key */
        signature->refresh_s = now_s + (end_s - now_s) / 4 + 1;
}

static void write_data_header(const struct dns_signature *signature, const struct dns_rrset *rrset,
                              uint8_t out[HEADER_BYTES])
{
    uint8_t *to = store_u16(out, rrset->type);
    *to++ = signature->algorithm;
    *to++ = signature->labels;
    memcpy(to, rrset->wire + 6, 4); /* the original TTL */
    to = store_u32(to + 4, signature->expiration_s);
    to = store_u32(to, signature->inception_s);
    store_u16(to, signature->tag);
}

static void *buffer_of(struct dns_signer *signer, size_t bytes)
{
    if (bytes > signer->capacity) {
        memory_free(signer->buffer);
        signer->capacity = bytes * 2;
        signer->buffer = memory_raw(signer->capacity);
    }
    return signer->buffer;
}

void dns_signer_clear(struct dns_signer *signer)
{
    memory_free(signer->buffer);
    signer->buffer = NULL;
    signer->capacity = 0;
}

static void make(const struct dns_seal *seal, const struct dns_key *key, struct span name,
                 const struct dns_rrset *rrset, struct dns_signature *signature)
{
    const struct dns_node *apex = seal->zone->apex;
    const struct dns_keyset *keyset = seal->keyset;
    struct dns_signer *signer = seal->request->signer;
    uint8_t header[HEADER_BYTES + DNS_NAME_LIMIT];
    signature->tag = key->tag;
    signature->algorithm = key->algorithm;
    signature->labels = count_labels(name.data);
    set_times(signature, keyset, seal->request->wall_s, load_u32(rrset->wire + 6),
              key == keyset->zone_key ? keyset->zone_key_gone_s : UINT32_MAX);
    write_data_header(signature, rrset, header);
    memcpy(header + HEADER_BYTES, apex->name, apex->name_length);
    struct dns_canonical_set set = {.header = span_of(header, HEADER_BYTES + apex->name_length),
                                    .owner = name.data,
                                    .owner_length = name.length,
                                    .rrset = rrset};
    void *memory = buffer_of(signer, dns_canonical_bytes(&set));
    signer->sign(signer->context, key, dns_canonical_write(&set, memory), signature->bytes);
    signer->made++;
}

static int find_or_make(const struct dns_seal *seal, const struct dns_key *key, struct span name,
                        const struct dns_rrset *rrset, struct dns_signature *signature)
{
    const struct dns_signing *signing = seal->signing;
    const struct dns_request *request = seal->request;
    struct dns_signature_key wanted = key_of(seal, key, name, rrset);
    if (dns_signatures_find(signing->signatures, &wanted, request->wall_s, signature)) {
        request->signer->kept++;
        return 0;
    }
    if (!is_of_entry_keys(rrset->type) &&
        !dns_budget_take(signing->budget, &signing->limits, request->client, request->now_ns)) {
        request->signer->refused++;
        return ERROR_DENIED;
    }
    *signature = (struct dns_signature){.key = wanted};
    make(seal, key, name, rrset, signature);
    dns_signatures_keep(signing->signatures, signature);
    return 0;
}

static uint32_t ttl_of(const struct dns_rrset *rrset, uint32_t ttl_most_s)
{
    uint32_t ttl_s = load_u32(rrset->wire + 6);
    return ttl_s < ttl_most_s ? ttl_s : ttl_most_s;
}

static int write_signature(const struct dns_seal *seal, struct dns_writer *writer,
                           struct dns_owner owner, const struct dns_rrset *rrset,
                           uint32_t ttl_most_s, const struct dns_signature *signature)
{
    const struct dns_node *apex = seal->zone->apex;
    uint8_t data[HEADER_BYTES + DNS_NAME_LIMIT + DNS_SIGNATURE_BYTES];
    write_data_header(signature, rrset, data);
    memcpy(data + HEADER_BYTES, apex->name, apex->name_length);
    memcpy(data + HEADER_BYTES + apex->name_length, signature->bytes, DNS_SIGNATURE_BYTES);
    size_t length = HEADER_BYTES + (size_t)apex->name_length + DNS_SIGNATURE_BYTES;
    return dns_write_record(writer, owner, DNS_RRSIG, ttl_of(rrset, ttl_most_s),
                            span_of(data, length))
               ? 1
               : ERROR_LIMIT;
}

/* Those over the set that were made elsewhere. */
static int write_given(const struct dns_seal *seal, struct dns_writer *writer,
                       struct dns_owner owner, const struct dns_rrset *rrset, uint32_t ttl_most_s)
{
    int count = 0;
    for (size_t i = 0; i < seal->keyset->given_count; i++) {
        struct span data = seal->keyset->given[i];
        if (load_u16(data.data) != rrset->type)
            continue;
        if (!dns_write_record(writer, owner, DNS_RRSIG, ttl_of(rrset, ttl_most_s), data))
            return ERROR_LIMIT;
        count++;
    }
    return count;
}

int dns_seal_write(const struct dns_seal *seal, struct dns_writer *writer, struct dns_owner owner,
                   struct span name, const struct dns_rrset *rrset, uint32_t ttl_most_s)
{
    const struct dns_keyset *keyset = seal->keyset;
    bool is_entry = is_of_entry_keys(rrset->type);
    if (is_entry && keyset->given_count)
        return write_given(seal, writer, owner, rrset, ttl_most_s);
    const struct dns_key *const *keys = is_entry ? keyset->entry_keys : &keyset->zone_key;
    size_t count = is_entry ? keyset->entry_key_count : 1;
    for (size_t i = 0; i < count; i++) {
        struct dns_signature signature;
        int error = find_or_make(seal, keys[i], name, rrset, &signature);
        if (error == 0)
            error = write_signature(seal, writer, owner, rrset, ttl_most_s, &signature);
        if (error < 0)
            return error;
    }
    return (int)count;
}
