/* SPDX-License-Identifier: Apache-2.0
 *
 * `_acme-challenge.<host>`: what an authority looks for before it gives out a certificate (RFC 8555 section 8.4), for sites that
 * prove their names by DNS. The node that orders tells it again and again while it is needed: its own DNS server at once, the others
 * with its measurements. Nobody else is believed, and what is not said any more is forgotten.
 */
#include "dnsd/private.h"

#include "base/memory.h"

enum { FIRST_NUMBER = 1 << 30 };            /* all other computed names have lower ones */
static const uint64_t life_ns = 6000000000; /* it is said each second */

struct place {
    uint64_t name;        /* measure_name_id() of what is proved */
    uint64_t from;        /* status_node_id() of the node that orders; 0: it has no key */
    void *_Atomic answer; /* struct dns_texts, under RCU; NULL: nothing is shown */
};

struct dnsd_proofs {
    struct place *places;
    struct dns_name *owners; /* of each */
    size_t count, capacity;
};

struct dnsd_proofs *dnsd_proofs_new(void)
{
    return NEW(struct dnsd_proofs);
}

void dnsd_proofs_free(struct dnsd_proofs *proofs)
{
    if (!proofs)
        return;
    for (size_t i = 0; i < proofs->count; i++)
        memory_free(atomic_load(&proofs->places[i].answer));
    memory_free(proofs->places);
    memory_free(proofs->owners);
    memory_free(proofs);
}

/* ---- names */

static uint64_t node_id(const struct conf_node *node)
{
    struct key key;
    memcpy(key.bytes, node->public_key, sizeof key.bytes);
    return node->has_public_key ? status_node_id(crypto_openssl(), &key) : 0;
}

/* Where the name is proved: below itself, or below the site's zone for proofs, which an alias leads to. */
static bool owner_of(const struct conf_acme *acme, const char *name, struct dns_name *owner)
{
    struct dns_name below;
    if (!acme->zone)
        return dns_name_parse(span_text(name), NULL, &below) == 0 &&
               dns_name_parse(SPAN("_acme-challenge"), &below, owner) == 0;
    return dns_name_parse(span_text(acme->zone), NULL, &below) == 0 &&
           dns_name_parse(span_text(name), &below, owner) == 0;
}

static void add_name(struct dnsd_proofs *proofs, const struct conf_acme *acme, const char *name,
                     struct dns_builder *builder)
{
    struct dns_name owner;
    if (strncmp(name, "*.", 2) == 0)
        name += 2; /* proved where the name without it is */
    if (!owner_of(acme, name, &owner) || !dns_builder_has(builder, &owner))
        return;
    for (size_t i = 0; i < proofs->count; i++)
        if (dns_name_equal(&proofs->owners[i], &owner))
            return;
    if (proofs->count == proofs->capacity) {
        proofs->capacity = proofs->capacity ? 2 * proofs->capacity : 16;
        proofs->places = memory_resize(proofs->places, proofs->capacity, sizeof *proofs->places);
        proofs->owners = memory_resize(proofs->owners, proofs->capacity, sizeof *proofs->owners);
    }
    proofs->owners[proofs->count] = owner;
    proofs->places[proofs->count] =
        (struct place){.name = measure_name_id(crypto_openssl(), span_text(name)),
                       .from = acme->node ? node_id(acme->node) : 0};
    dns_builder_add_computed(builder, &owner, FIRST_NUMBER + (uint32_t)proofs->count++);
}

void dnsd_proofs_add(struct dnsd_proofs *proofs, const struct conf_site *site,
                     struct dns_builder *builder)
{
    const struct conf_acme *acme = site->tls ? site->tls->acme : NULL;
    if (!acme || acme->challenge != CONF_ACME_DNS)
        return;
    for (size_t i = 0; i < acme->names.count; i++)
        add_name(proofs, acme, acme->names.items[i], builder);
}

/* ---- what is shown */

static bool is_believed(const struct dnsd_proofs *proofs, uint64_t name, uint64_t from)
{
    for (size_t i = 0; i < proofs->count; i++)
        if (proofs->places[i].name == name && (!from || proofs->places[i].from == from))
            return true;
    return false;
}

bool dnsd_shown_take(struct dnsd_shown *shown, const struct dnsd_proofs *proofs, uint64_t from,
                     const struct measure_proof *proof, uint64_t now_ns)
{
    if (!is_believed(proofs, proof->name, from))
        return false;
    for (size_t i = 0; i < shown->count; i++)
        if (memcmp(&shown->items[i].proof, proof, sizeof *proof) == 0) {
            shown->items[i].until_ns = now_ns + life_ns;
            return false;
        }
    if (shown->count == DNSD_SHOWN_MOST)
        return false; /* it is said again */
    shown->items[shown->count].proof = *proof;
    shown->items[shown->count++].until_ns = now_ns + life_ns;
    return true;
}

bool dnsd_shown_age(struct dnsd_shown *shown, uint64_t now_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < shown->count; i++)
        if (shown->items[i].until_ns > now_ns)
            shown->items[kept++] = shown->items[i];
    bool has_changed = kept != shown->count;
    shown->count = kept;
    return has_changed;
}

/* A text of 43 characters: 32 bytes in base64 for URLs. */
static void put_text(struct dns_texts *texts, const uint8_t digest[HASH_BYTES])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t *to = texts->items[texts->count++];
    uint32_t bits = 0, held = 0;
    *to++ = DNS_TEXT_BYTES - 1;
    for (size_t i = 0; i < HASH_BYTES; i++) {
        bits = bits << 8 | digest[i];
        for (held += 8; held >= 6; held -= 6)
            *to++ = (uint8_t)alphabet[bits >> (held - 6) & 63];
    }
    *to = (uint8_t)alphabet[bits << (6 - held) & 63];
}

static void show_place(struct place *place, const struct dnsd_shown *shown)
{
    struct dns_texts *texts = NULL;
    for (size_t i = 0; i < shown->count; i++) {
        if (shown->items[i].proof.name != place->name)
            continue;
        if (!texts)
            texts = NEW(struct dns_texts);
        if (texts->count < DNS_TEXTS_LIMIT)
            put_text(texts, shown->items[i].proof.digest);
    }
    if (texts || atomic_load(&place->answer))
        snapshot_publish(&place->answer, texts, memory_free);
}

void dnsd_proofs_show(struct dnsd_proofs *proofs, const struct dnsd_shown *shown)
{
    for (size_t i = 0; i < proofs->count; i++)
        show_place(&proofs->places[i], shown);
}

bool dnsd_proofs_find(const struct dnsd_proofs *proofs, uint32_t number, struct dns_choice *choice)
{
    static const struct dns_addresses none = {.ttl_s = 1};
    if (number < FIRST_NUMBER)
        return false;
    choice->addresses = &none;
    choice->texts = snapshot_read(&proofs->places[number - FIRST_NUMBER].answer);
    return true;
}
