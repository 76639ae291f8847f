/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of signed zones. Of a zone's secret follow its key signing keys, by their numbers, and a zone signing key for each
 * period of time: all servers with the secret come to the same keys at the same time without a word between them. Keys from
 * files stand in their place or beside them.
 *
 * A keyset is immutable and is swapped under RCU when time has come; the keys that it refers to stay until long after that.
 */
#include "dnsd/keys.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "crypto/crypto.h"
#include "loop/loop.h"
#include "observe/observe.h"

enum {
    ROLLING_KEYS =
        4, /* zone signing keys kept: two that are published, and those of a moment ago */
    DNSKEY_TTL_S = 3600,
};

/* A zone signing key of a period. */
struct rolling {
    uint32_t number;
    struct signature_key *secret; /* NULL: none */
};

struct zone_keys {
    struct dns_name name;
    char *text;
    int number; /* in the zones; ERROR_NOT_FOUND until they are bound */
    enum signature_algorithm algorithm;
    bool has_keys, rolls, is_single, has_cds, is_compact, is_copied;
    const struct dns_rrset *soa; /* of a zone that is copied, once it is bound */
    uint32_t own_serial, serial; /* of that; of its copies now */
    uint8_t secret[HASH_BYTES];  /* extracted */
    struct dns_rollover rollover;
    uint32_t validity_s, ttl_s;
    struct dns_key fixed[DNS_KEYS_LIMIT]; /* those that do not roll; key signing keys first */
    size_t fixed_count, entry_count;
    struct rolling rolling[ROLLING_KEYS];
    struct dns_signed_keys given; /* by an offline key */
    bool has_given;
    uint64_t id;
    struct dns_rollover_state state;
    uint32_t turned_s, next_turn_s; /* when its keyset was made, and when it is made again */
    uint32_t given_until_s;
    uint16_t signing_tag;
};

struct dnsd_keys {
    struct arena arena;
    struct zone_keys *zones;
    size_t count, zone_total;
    struct dns_signing signing;
    const struct dns_zones *bound;
};

static void hash(const void *context, const struct span *parts, size_t count, uint8_t out[32])
{
    const struct crypto *crypto = context;
    crypto->hash(crypto, parts, count, out);
}

/* ---- deriving ---- */

/* 48 bytes for a purpose, an algorithm, a number and the zone's name: nothing that two keys have in common. */
static struct signature_key *derive(const struct zone_keys *zone, const char purpose[4],
                                    uint32_t number)
{
    uint8_t info[8 + DNS_NAME_LIMIT], seed[SIGNATURE_SEED_BYTES];
    memcpy(info, purpose, 3);
    info[3] = (uint8_t)zone->algorithm;
    store_u32(info + 4, number);
    memcpy(info + 8, zone->name.wire, zone->name.length);
    crypto_hkdf_expand(crypto_openssl(), zone->secret, span_of(info, 8u + zone->name.length), seed,
                       sizeof seed);
    struct signature_key *key = signature_key_derive(zone->algorithm, seed);
    bytes_wipe(seed, sizeof seed);
    return key;
}

static struct dns_key key_record(const struct signature_key *secret,
                                 enum signature_algorithm algorithm, uint16_t flags)
{
    struct dns_key key = {.flags = flags,
                          .algorithm = (uint8_t)algorithm,
                          .public_length = (uint8_t)signature_public_bytes(algorithm),
                          .secret = secret};
    memcpy(key.public_key, signature_key_public(secret), key.public_length);
    dns_key_finish(&key);
    return key;
}

/* ---- from the configuration ---- */

static void complain(const struct zone_keys *zone, const char *what, const char *sentence,
                     struct text *why)
{
    text_add_format(why, "%s: dnssec: %s: %s\n", zone->text, what, sentence);
}

/* Key signing keys stay in front. */
static void add_fixed(struct zone_keys *zone, const struct dns_key *key, const char *what,
                      struct text *why)
{
    if (zone->fixed_count == DNS_KEYS_LIMIT - 2) {
        complain(zone, what, "too many keys", why);
        return;
    }
    size_t at = zone->fixed_count++;
    if (key->flags & DNS_KEY_ENTRY) {
        at = zone->entry_count++;
        zone->fixed[zone->fixed_count - 1] = zone->fixed[at];
    }
    zone->fixed[at] = *key;
}

static void take_file(struct zone_keys *zone, const struct conf_dnssec *from, size_t index,
                      struct text *why)
{
    const char *path = from->keys.items[index];
    struct dns_key key;
    uint8_t private_key[SIGNATURE_PRIVATE_BYTES];
    struct signature_key *secret = NULL;
    const char *sentence = dns_key_file_parse(from->key_records[index], from->key_secrets[index],
                                              &zone->name, &key, private_key);
    if (!sentence && signature_key_new(key.algorithm, private_key, &secret) < 0)
        sentence = "the .private file holds no key of its algorithm";
    if (!sentence && memcmp(signature_key_public(secret), key.public_key, key.public_length) != 0)
        sentence = "the .private file is that of another .key file";
    if (!sentence && from->secret_path && key.algorithm != (uint8_t)from->algorithm)
        sentence = "it is of another algorithm than the zone's";
    bytes_wipe(private_key, sizeof private_key);
    if (sentence) {
        signature_key_free(&secret);
        complain(zone, path, sentence, why);
        return;
    }
    key.secret = secret;
    add_fixed(zone, &key, path, why);
}

static void take_signed_keys(struct dnsd_keys *keys, struct zone_keys *zone,
                             const struct conf_dnssec *from, struct text *why)
{
    const char *sentence =
        dns_signed_keys_parse(from->signed_keys, &zone->name, &keys->arena, &zone->given);
    if (sentence) {
        complain(zone, from->signed_keys_path, sentence, why);
        return;
    }
    zone->has_given = true;
    for (size_t i = 0; i < zone->given.key_count; i++)
        add_fixed(zone, &zone->given.keys[i], from->signed_keys_path, why);
}

static void take_secret(struct zone_keys *zone, const struct conf_dnssec *from)
{
    const struct crypto *crypto = crypto_openssl();
    crypto_hkdf_extract(crypto, SPAN("causeway dnssec 1"), span_of(from->secret, CONF_KEY_BYTES),
                        zone->secret);
    zone->rolls = !from->is_single;
    for (size_t i = 0; !zone->entry_count && i < from->ksk_count && i < DNS_KEYS_LIMIT / 2; i++) {
        struct signature_key *secret = derive(zone, "ksk", from->ksks[i]);
        zone->fixed[i] = key_record(secret, zone->algorithm, DNS_KEY_ZONE | DNS_KEY_ENTRY);
        zone->fixed_count = i + 1;
    }
    zone->entry_count = zone->entry_count ? zone->entry_count : zone->fixed_count;
}

/* Signatures of other keys are none of this zone's. */
static uint64_t id_of(const struct zone_keys *zone)
{
    uint8_t derived[HASH_BYTES] = {0};
    crypto_hkdf_expand(crypto_openssl(), zone->secret, SPAN("id"), derived, sizeof derived);
    uint64_t id = hash_span(span_of(derived, sizeof derived), (uint64_t)zone->algorithm);
    id = hash_span(span_of(zone->name.wire, zone->name.length), id);
    if (!zone->rolls)
        for (size_t i = 0; i < zone->fixed_count; i++)
            id = hash_span(span_of(zone->fixed[i].public_key, zone->fixed[i].public_length), id);
    return id;
}

static void take_zone(struct dnsd_keys *keys, const struct conf_zone *from, struct text *why)
{
    const struct conf_dnssec *dnssec = from->dnssec;
    struct zone_keys *zone = &keys->zones[keys->count++];
    if (dns_name_parse(span_text(from->name), NULL, &zone->name) < 0)
        return; /* told elsewhere */
    dns_name_lower(&zone->name);
    zone->text = arena_text(&keys->arena, from->name);
    zone->algorithm = (enum signature_algorithm)dnssec->algorithm;
    zone->is_single = dnssec->is_single;
    zone->has_cds = dnssec->has_cds;
    zone->is_compact = dnssec->denial == CONF_DENIAL_COMPACT;
    zone->is_copied = from->transfer != NULL;
    zone->rollover = (struct dns_rollover){dnssec->period_s, dnssec->overlap_s};
    zone->validity_s = dnssec->validity_s;
    zone->ttl_s = dnssec->overlap_s / 2 < DNSKEY_TTL_S ? dnssec->overlap_s / 2 : DNSKEY_TTL_S;
    if (!dnssec->has_files)
        return; /* others sign it, or nobody does: a check without a node */
    for (size_t i = 0; i < dnssec->keys.count; i++)
        take_file(zone, dnssec, i, why);
    if (dnssec->signed_keys_path)
        take_signed_keys(keys, zone, dnssec, why);
    if (dnssec->secret_path)
        take_secret(zone, dnssec);
    zone->has_keys = zone->fixed_count > 0;
    zone->id = id_of(zone);
}

struct dnsd_keys *dnsd_keys_new(const struct conf *conf, struct text *why)
{
    struct dnsd_keys *keys = NEW(struct dnsd_keys);
    size_t before = why->length;
    keys->zones = memory_new((conf->zone_count + 1) * sizeof *keys->zones);
    for (size_t i = 0; i < conf->zone_count; i++)
        if (conf->zones[i].dnssec)
            take_zone(keys, &conf->zones[i], why);
    if (conf->self && conf->self->dns)
        keys->signing.limits = (struct dns_budget_limits){conf->self->dns->signatures_per_s,
                                                          conf->self->dns->signatures_burst};
    if (why->length == before)
        return keys;
    dnsd_keys_free(keys);
    return NULL;
}

static void free_zone(struct zone_keys *zone)
{
    for (size_t i = 0; i < ROLLING_KEYS; i++)
        signature_key_free(&zone->rolling[i].secret);
    for (size_t i = 0; i < zone->fixed_count; i++) {
        struct signature_key *secret = (void *)(uintptr_t)zone->fixed[i].secret;
        signature_key_free(&secret);
    }
    bytes_wipe(zone->secret, sizeof zone->secret);
}

void dnsd_keys_free(struct dnsd_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->zone_total; i++)
        dns_keyset_free(atomic_load(&keys->signing.keysets[i]));
    for (size_t i = 0; i < keys->count; i++)
        free_zone(&keys->zones[i]);
    memory_free(keys->signing.keysets);
    memory_free(keys->zones);
    arena_clear(&keys->arena);
    memory_free(keys);
}

/* ---- beside the zones ---- */

static bool is_below_another(const struct dnsd_keys *keys, const struct zone_keys *zone,
                             const struct dns_builder *builder)
{
    (void)keys;
    struct dns_name above = zone->name;
    size_t label = (size_t)above.wire[0] + 1;
    if (!above.labels)
        return false;
    above.length = (uint8_t)(above.length - label);
    above.labels--;
    memmove(above.wire, above.wire + label, above.length);
    return dns_builder_has(builder, &above);
}

void dnsd_keys_add(const struct dnsd_keys *keys, struct dns_builder *builder)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct zone_keys *zone = &keys->zones[i];
        dns_builder_sign_zone(builder, &zone->name, zone->is_compact);
        if (!zone->has_keys || !is_below_another(keys, zone, builder))
            continue;
        for (size_t k = 0; k < zone->entry_count; k++) {
            uint8_t ds[DNS_DS_BYTES];
            dns_key_write_ds(&zone->fixed[k], &zone->name, hash, crypto_openssl(), ds);
            dns_builder_add(builder, &zone->name, DNS_DS, zone->ttl_s, span_of(ds, sizeof ds));
        }
    }
}

/* ---- time ---- */

static struct signature_key *rolling_key(struct zone_keys *zone, uint32_t number)
{
    struct rolling *place = &zone->rolling[number % ROLLING_KEYS];
    if (place->secret && place->number == number)
        return place->secret;
    signature_key_free(&place->secret); /* of periods ago: nobody signs with it */
    place->number = number;
    return place->secret = derive(zone, "zsk", number);
}

/* Keys and their roles for a time; `keys` has DNS_KEYS_LIMIT. */
static struct dns_keyset form_of(struct zone_keys *zone, uint32_t wall_s, struct dns_key *keys)
{
    struct dns_keyset form = {.id = zone->id,
                              .keys = keys,
                              .key_count = zone->fixed_count,
                              .zone_key_gone_s = UINT32_MAX,
                              .validity_s = zone->validity_s,
                              .is_compact = zone->is_compact};
    memcpy(keys, zone->fixed, sizeof zone->fixed);
    /* the last of those that are no key signing keys, else the first of these */
    form.zone_key = &keys[zone->fixed_count > zone->entry_count ? zone->fixed_count - 1 : 0];
    zone->next_turn_s = UINT32_MAX;
    if (zone->rolls) {
        zone->state = dns_rollover_at(&zone->rollover, wall_s);
        zone->next_turn_s = zone->state.change_s;
        form.zone_key_gone_s = zone->state.signing_gone_s;
        for (uint32_t n = zone->state.first; n <= zone->state.last; n++) {
            keys[form.key_count] = key_record(rolling_key(zone, n), zone->algorithm, DNS_KEY_ZONE);
            if (n == zone->state.signing)
                form.zone_key = &keys[form.key_count];
            form.key_count++;
        }
    }
    if (zone->soa) {
        uint32_t copies = wall_s / DNS_COPY_S, next_s = (copies + 1) * DNS_COPY_S;
        form.soa = zone->soa;
        form.serial = zone->serial = zone->own_serial + copies;
        zone->next_turn_s = next_s < zone->next_turn_s ? next_s : zone->next_turn_s;
    }
    for (size_t i = 0; i < zone->entry_count && !zone->has_given; i++)
        form.entry_keys[form.entry_key_count++] = &keys[i];
    if (!form.entry_key_count && !zone->has_given)
        form.entry_keys[form.entry_key_count++] = form.zone_key;
    zone->signing_tag = form.zone_key->tag;
    return form;
}

/* Of the signatures that were made in advance those that hold now, for the sets as they are now. */
static size_t choose_given(const struct zone_keys *zone, const struct dns_keyset *keyset,
                           uint32_t wall_s, struct span *chosen, uint32_t *until_s)
{
    static const size_t fixed = 18;
    uint8_t memory[DNS_KEYSET_MESSAGE_BYTES];
    size_t count = 0;
    *until_s = 0;
    for (size_t i = 0; i < zone->given.given_count && count < DNS_KEY_SIGNED_SETS_LIMIT; i++) {
        struct span data = zone->given.given[i];
        size_t header = fixed + zone->name.length;
        if (data.length != header + DNS_SIGNATURE_BYTES)
            continue;
        uint32_t expiration_s = load_u32(data.data + 8), inception_s = load_u32(data.data + 12);
        if ((int32_t)(wall_s - inception_s) < 0 || (int32_t)(expiration_s - wall_s) <= 0)
            continue;
        struct span message =
            dns_keyset_message(keyset, &zone->name, span_of(data.data, header), memory);
        for (size_t k = 0; message.length && k < zone->given.key_count; k++) {
            const struct dns_key *key = &zone->given.keys[k];
            if (key->tag != load_u16(data.data + 16) || key->algorithm != data.data[2] ||
                !signature_is_valid(key->algorithm, span_of(key->public_key, key->public_length),
                                    message, data.data + header))
                continue;
            chosen[count++] = data;
            if (load_u16(data.data) == DNS_DNSKEY && expiration_s > *until_s)
                *until_s = expiration_s;
            break;
        }
    }
    return count;
}

static struct dns_keyset *make_keyset(struct zone_keys *zone, uint32_t wall_s)
{
    const struct crypto *crypto = crypto_openssl();
    struct dns_key keys[DNS_KEYS_LIMIT];
    struct dns_keyset form = form_of(zone, wall_s, keys);
    struct dns_keyset *keyset =
        dns_keyset_new(&form, &zone->name, zone->ttl_s, zone->has_cds, hash, crypto);
    if (!zone->has_given)
        return keyset;
    struct span chosen[DNS_KEY_SIGNED_SETS_LIMIT];
    form.given = chosen;
    form.given_count = choose_given(zone, keyset, wall_s, chosen, &zone->given_until_s);
    dns_keyset_free(keyset);
    if (!zone->given_until_s)
        log_error("dns",
                  "NO SIGNATURE OVER THE KEYS HOLDS NOW: the zone does not validate; sign "
                  "them anew (causeway dnssec sign-keys): zone=%s",
                  zone->text);
    else if (zone->given_until_s < zone->next_turn_s)
        zone->next_turn_s = zone->given_until_s;
    return dns_keyset_new(&form, &zone->name, zone->ttl_s, zone->has_cds, hash, crypto);
}

void dnsd_keys_bind(struct dnsd_keys *keys, const struct dns_zones *zones, uint32_t wall_s)
{
    keys->bound = zones;
    keys->zone_total = dns_zones_count(zones);
    keys->signing.keysets = memory_new((keys->zone_total + 1) * sizeof *keys->signing.keysets);
    for (size_t i = 0; i < keys->count; i++) {
        struct zone_keys *zone = &keys->zones[i];
        zone->number = dns_zones_number(zones, &zone->name);
        if (zone->number < 0 || !zone->has_keys)
            continue;
        zone->turned_s = wall_s;
        if (zone->is_copied) {
            const struct dns_zone *copied = dns_zones_zone(zones, &zone->name);
            zone->soa = dns_zone_soa(zones, copied, NULL);
            zone->own_serial = dns_zone_serial(copied);
        }
        atomic_store(&keys->signing.keysets[zone->number], make_keyset(zone, wall_s));
    }
}

bool dnsd_keys_turn(struct dnsd_keys *keys, uint32_t wall_s)
{
    bool has_serial = false;
    for (size_t i = 0; i < keys->count; i++) {
        struct zone_keys *zone = &keys->zones[i];
        bool is_due = wall_s >= zone->next_turn_s || wall_s < zone->turned_s;
        if (!zone->has_keys || zone->number < 0 || !is_due)
            continue;
        uint16_t before = zone->signing_tag;
        uint32_t serial = zone->serial;
        zone->turned_s = wall_s;
        snapshot_publish(&keys->signing.keysets[zone->number], make_keyset(zone, wall_s),
                         dns_keyset_free);
        has_serial |= zone->serial != serial;
        if (zone->signing_tag != before)
            log_notice("dns", "another key signs the zone now: zone=%s key=%u before=%u",
                       zone->text, zone->signing_tag, before);
    }
    return has_serial;
}

void dnsd_keys_share(struct dnsd_keys *keys, struct dns_signatures *signatures,
                     struct dns_budget *budget)
{
    keys->signing.signatures = signatures;
    keys->signing.budget = budget;
}

const struct dns_signing *dnsd_keys_signing(const struct dnsd_keys *keys)
{
    return keys->count && keys->signing.signatures ? &keys->signing : NULL;
}

/* ---- for people ---- */

void dnsd_keys_write(const struct dnsd_keys *keys, uint32_t wall_s, struct text *json)
{
    text_add(json, ",\"signed_zones\":[");
    for (size_t i = 0; i < keys->count; i++) {
        const struct zone_keys *zone = &keys->zones[i];
        text_add_format(json, "%s{\"name\":\"%s\",\"algorithm\":%u,\"signing\":%u", i ? "," : "",
                        zone->text, (unsigned)zone->algorithm, zone->signing_tag);
        if (zone->rolls)
            text_add_format(json, ",\"period\":%u,\"age_s\":%u,\"rolls_in_s\":%u",
                            zone->state.signing,
                            wall_s - zone->state.signing * zone->rollover.period_s,
                            (zone->state.signing + 1) * zone->rollover.period_s - wall_s);
        if (zone->has_given)
            text_add_format(json, ",\"keys_signed_for_s\":%d",
                            zone->given_until_s > wall_s ? (int)(zone->given_until_s - wall_s) : 0);
        if (zone->soa)
            text_add_format(json, ",\"serial\":%u", zone->serial);
        text_add(json, ",\"entry_keys\":[");
        for (size_t k = 0; k < zone->entry_count; k++)
            text_add_format(json, "%s%u", k ? "," : "", zone->fixed[k].tag);
        text_add(json, "]}");
    }
    text_add(json, "]");
}

static const struct zone_keys *find_zone(const struct dnsd_keys *keys, const struct dns_name *name)
{
    for (size_t i = 0; i < keys->count; i++)
        if (dns_name_equal(&keys->zones[i].name, name))
            return &keys->zones[i];
    return NULL;
}

int dnsd_keys_write_ds(const struct dnsd_keys *keys, const struct dns_name *name, struct text *text)
{
    const struct zone_keys *zone = find_zone(keys, name);
    if (!zone || !zone->has_keys)
        return ERROR_NOT_FOUND;
    for (size_t i = 0; i < zone->entry_count; i++) {
        uint8_t ds[DNS_DS_BYTES];
        dns_key_write_ds(&zone->fixed[i], &zone->name, hash, crypto_openssl(), ds);
        text_add_format(text, "%s IN DS %u %u %u ", zone->text, load_u16(ds), ds[2], ds[3]);
        for (size_t k = 4; k < sizeof ds; k++)
            text_add_format(text, "%02X", ds[k]);
        text_add(text, "\n");
    }
    return 0;
}

void dnsd_key_write(const struct dns_key *key, const char *zone, uint32_t ttl_s, struct text *text)
{
    text_add_format(text, "%s %u IN DNSKEY %u 3 %u ", zone, ttl_s, key->flags, key->algorithm);
    text_add_base64(text, span_of(key->public_key, key->public_length));
    text_add_format(text, " ; key %u\n", key->tag);
}

/* An interval for each set of keys that there is, one behind the other. */
int dnsd_keys_write_request(struct dnsd_keys *keys, const struct dns_name *name, uint32_t from_s,
                            uint32_t until_s, struct text *text)
{
    struct zone_keys *zone = (struct zone_keys *)(uintptr_t)find_zone(keys, name);
    if (!zone || !zone->has_keys)
        return ERROR_NOT_FOUND;
    if (!zone->rolls)
        return ERROR_INVALID;
    text_add_format(text, "zone %s %u %u\n", zone->text, zone->ttl_s, zone->has_cds);
    for (uint32_t at_s = from_s; at_s < until_s;) {
        struct dns_key now[DNS_KEYS_LIMIT];
        struct dns_keyset form = form_of(zone, at_s, now);
        uint32_t change_s = zone->state.change_s;
        while (true) {
            struct dns_rollover_state next = dns_rollover_at(&zone->rollover, change_s);
            if (next.first != zone->state.first || next.last != zone->state.last)
                break;
            change_s = next.change_s; /* another key signs, but the set is the same */
        }
        text_add_format(text, "interval %u %u\n", at_s, change_s + zone->rollover.overlap_s / 2);
        for (size_t i = 0; i < form.key_count; i++)
            if (!(now[i].flags & DNS_KEY_ENTRY))
                dnsd_key_write(&now[i], zone->text, zone->ttl_s, text);
        at_s = change_s;
    }
    return 0;
}
