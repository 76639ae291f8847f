/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of zones: their records, tags and digests (RFC 4034 sections 2 and 5, 7344), and when which of them exists.
 */
#include "dns/dns.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "dns/canonical.h"

enum { PROTOCOL = 3, DIGEST_SHA256 = 2 };

size_t dns_key_write(const struct dns_key *key, uint8_t out[DNS_DNSKEY_BYTES])
{
    store_u16(out, key->flags);
    out[2] = PROTOCOL;
    out[3] = key->algorithm;
    memcpy(out + 4, key->public_key, key->public_length);
    return (size_t)key->public_length + 4;
}

/* RFC 4034 appendix B. */
void dns_key_finish(struct dns_key *key)
{
    uint8_t data[DNS_DNSKEY_BYTES];
    size_t length = dns_key_write(key, data);
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
    key->tag = (uint16_t)(sum + (sum >> 16));
}

void dns_key_write_ds(const struct dns_key *key, const struct dns_name *zone, dns_hash *hash,
                      const void *context, uint8_t out[DNS_DS_BYTES])
{
    struct dns_name lower = *zone;
    uint8_t data[DNS_DNSKEY_BYTES];
    size_t length = dns_key_write(key, data);
    dns_name_lower(&lower);
    const struct span parts[] = {span_of(lower.wire, lower.length), span_of(data, length)};
    store_u16(out, key->tag);
    out[2] = key->algorithm;
    out[3] = DIGEST_SHA256;
    hash(context, parts, 2, out + 4);
}

/* ---- time ---- */

struct dns_rollover_state dns_rollover_at(const struct dns_rollover *rollover, uint32_t now_s)
{
    uint32_t period_s = rollover->period_s, overlap_s = rollover->overlap_s;
    uint32_t number = now_s / period_s, since_s = now_s % period_s;
    struct dns_rollover_state state = {.signing = number, .first = number, .last = number};
    uint32_t start_s = now_s - since_s;
    if (since_s < overlap_s && number) {
        state.first = number - 1;
        state.change_s = start_s + overlap_s;
    } else if (since_s < period_s - overlap_s) {
        state.change_s = start_s + period_s - overlap_s;
    } else {
        state.last = number + 1;
        state.change_s = start_s + period_s;
    }
    state.signing_gone_s = start_s + period_s + overlap_s;
    return state;
}

/* ---- keysets ---- */

/* One block: the keyset, what it points at, and the wire of its sets. */
struct whole {
    struct dns_keyset keyset;
    struct dns_key keys[DNS_KEYS_LIMIT];
    struct dns_rrset sets[3], soa;
    struct span given[DNS_KEY_SIGNED_SETS_LIMIT];
    uint8_t bytes[];
};

static size_t index_of(const struct dns_keyset *form, const struct dns_key *key)
{
    return (size_t)(key - form->keys);
}

static void begin_set(struct dns_rrset *set, uint16_t type, uint8_t *wire)
{
    *set = (struct dns_rrset){.type = type, .wire = wire};
}

/* A record behind the others of its set. */
static uint8_t *add_record(struct dns_rrset *set, uint8_t *to, uint32_t ttl_s, struct span data)
{
    uint8_t *at = store_u16(store_u16(to, DNS_OWNER_POINTER), set->type);
    at = store_u32(store_u16(at, 1), ttl_s);
    at = store_u16(at, (uint16_t)data.length);
    memcpy(at, data.data, data.length);
    at += data.length;
    set->count++;
    set->wire_bytes += (uint32_t)(at - to);
    return at;
}

static bool is_entry(const struct dns_key *key)
{
    return key->flags & DNS_KEY_ENTRY;
}

static uint8_t *add_key_set(struct whole *whole, uint16_t type, uint32_t ttl_s, uint8_t *to)
{
    struct dns_keyset *keyset = &whole->keyset;
    struct dns_rrset *set = &whole->sets[keyset->set_count];
    begin_set(set, type, to);
    for (size_t i = 0; i < keyset->key_count; i++) {
        uint8_t data[DNS_DNSKEY_BYTES];
        if (type == DNS_CDNSKEY && !is_entry(&whole->keys[i]))
            continue;
        size_t length = dns_key_write(&whole->keys[i], data);
        to = add_record(set, to, ttl_s, span_of(data, length));
    }
    if (set->count)
        keyset->sets[keyset->set_count++] = set;
    return to;
}

static uint8_t *add_ds_set(struct whole *whole, const struct dns_name *zone, uint32_t ttl_s,
                           dns_hash *hash, const void *context, uint8_t *to)
{
    struct dns_keyset *keyset = &whole->keyset;
    struct dns_rrset *set = &whole->sets[keyset->set_count];
    begin_set(set, DNS_CDS, to);
    for (size_t i = 0; i < keyset->key_count; i++) {
        uint8_t data[DNS_DS_BYTES];
        if (!is_entry(&whole->keys[i]))
            continue;
        dns_key_write_ds(&whole->keys[i], zone, hash, context, data);
        to = add_record(set, to, ttl_s, span_of(data, sizeof data));
    }
    if (set->count)
        keyset->sets[keyset->set_count++] = set;
    return to;
}

static uint8_t *add_soa(struct whole *whole, const struct dns_keyset *form, uint8_t *to)
{
    uint8_t *end =
        (uint8_t *)memcpy(to, form->soa->wire, form->soa->wire_bytes) + form->soa->wire_bytes;
    whole->soa = *form->soa;
    whole->soa.wire = to;
    whole->keyset.soa = &whole->soa;
    store_u32(end - DNS_SOA_NUMBERS_BYTES, form->serial);
    return end;
}

struct dns_keyset *dns_keyset_new(const struct dns_keyset *form, const struct dns_name *zone,
                                  uint32_t ttl_s, bool has_cds, dns_hash *hash, const void *context)
{
    INVARIANT(form->key_count <= DNS_KEYS_LIMIT && form->given_count <= DNS_KEY_SIGNED_SETS_LIMIT);
    size_t bytes = form->key_count * 3 * (DNS_RR_FIXED_BYTES + DNS_DNSKEY_BYTES);
    for (size_t i = 0; i < form->given_count; i++)
        bytes += form->given[i].length;
    bytes += form->soa ? form->soa->wire_bytes : 0;
    struct whole *whole = memory_new(sizeof *whole + bytes);
    struct dns_keyset *keyset = &whole->keyset;
    *keyset = *form;
    if (form->key_count)
        memcpy(whole->keys, form->keys, form->key_count * sizeof *form->keys);
    keyset->keys = whole->keys;
    keyset->zone_key = &whole->keys[index_of(form, form->zone_key)];
    for (size_t i = 0; i < form->entry_key_count; i++)
        keyset->entry_keys[i] = &whole->keys[index_of(form, form->entry_keys[i])];
    keyset->set_count = 0;
    uint8_t *to = add_key_set(whole, DNS_DNSKEY, ttl_s, whole->bytes);
    if (has_cds) {
        to = add_ds_set(whole, zone, ttl_s, hash, context, to);
        to = add_key_set(whole, DNS_CDNSKEY, ttl_s, to);
    }
    if (form->soa)
        to = add_soa(whole, form, to);
    keyset->given = whole->given;
    for (size_t i = 0; i < form->given_count; i++) {
        memcpy(to, form->given[i].data, form->given[i].length);
        whole->given[i] = span_of(to, form->given[i].length);
        to += form->given[i].length;
    }
    return keyset;
}

void dns_keyset_free(void *keyset)
{
    memory_free(keyset); /* the first member of its block */
}

static uint32_t ttl_of(const struct dns_rrset *rrset)
{
    return load_u32(rrset->wire + 6);
}

size_t dns_keyset_rrsig(const struct dns_keyset *keyset, size_t set, const struct dns_name *zone,
                        const struct dns_key *key, uint32_t inception_s, uint32_t expiration_s,
                        uint8_t out[DNS_RRSIG_HEADER_BYTES])
{
    const struct dns_rrset *rrset = keyset->sets[set];
    uint8_t *to = store_u16(out, rrset->type);
    *to++ = key->algorithm;
    *to++ = zone->labels;
    to = store_u32(to, ttl_of(rrset));
    to = store_u32(store_u32(to, expiration_s), inception_s);
    to = store_u16(to, key->tag);
    memcpy(to, zone->wire, zone->length);
    return (size_t)(to - out) + zone->length;
}

struct span dns_keyset_message(const struct dns_keyset *keyset, const struct dns_name *zone,
                               struct span header, void *memory)
{
    for (size_t i = 0; i < keyset->set_count; i++) {
        if (keyset->sets[i]->type != load_u16(header.data))
            continue;
        struct dns_canonical_set set = {header, zone->wire, zone->length, keyset->sets[i]};
        INVARIANT(dns_canonical_bytes(&set) <= DNS_KEYSET_MESSAGE_BYTES);
        return dns_canonical_write(&set, memory);
    }
    return span_of(NULL, 0);
}
