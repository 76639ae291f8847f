/* SPDX-License-Identifier: Apache-2.0
 *
 * From the configuration to what a site's ordering needs, copied, because an order outlives a snapshot.
 */
#include "acme/private.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdio.h>

static bool is_edge_of(const struct conf_site *site, const struct conf_node *node)
{
    for (size_t i = 0; i < site->edge_count; i++)
        if (site->edges[i] == node)
            return true;
    return false;
}

static const char *const *copy_texts(struct arena *arena, const struct conf_texts *texts)
{
    const char **copy = ARENA_ARRAY(arena, const char *, texts->count + 1);
    for (size_t i = 0; i < texts->count; i++)
        copy[i] = arena_text(arena, texts->items[i]);
    return copy;
}

/* Base64 for URLs. Empty: malformed. */
static struct span decode(struct arena *arena, struct span text)
{
    uint8_t *out = arena_take(arena, text.length + 1);
    uint32_t bits = 0, held = 0;
    size_t length = 0;
    for (size_t i = 0; i < text.length && text.data[i] != '='; i++) {
        uint8_t byte = text.data[i];
        uint32_t value = (uint8_t)(byte - 'A') < 26   ? byte - 0u - 'A'
                         : (uint8_t)(byte - 'a') < 26 ? byte - 'a' + 26u
                         : (uint8_t)(byte - '0') < 10 ? byte - '0' + 52u
                         : byte == '-' || byte == '+' ? 62
                         : byte == '_' || byte == '/' ? 63
                                                      : 64;
        if (value == 64)
            return (struct span){0};
        bits = bits << 6 | value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[length++] = (uint8_t)(bits >> held);
        }
    }
    return span_of(out, length);
}

/* Where visitors reach that node over HTTP: its listener, or its public address with the listener's port. */
static void take_way(struct acme_site *site, const struct conf_site *conf_site,
                     const struct conf_node *node)
{
    static const uint8_t any[16];
    char text[ADDRESS_TEXT_BYTES];
    if (!node->edge || !node->edge->listen.count || !conf_site->hosts.count)
        return;
    struct address at = node->edge->listen.items[0];
    if (memcmp(at.bytes, any, sizeof at.bytes) == 0) {
        if (!node->addresses.count)
            return;
        uint16_t port = at.port;
        at = node->addresses.items[0];
        at.port = port;
    }
    const char *host = conf_site->hosts.items[0];
    site->connect_to = arena_text(&site->arena, address_text(&at, true, text));
    site->share_url = arena_format(&site->arena, "http://%s%s/.well-known/causeway/certificate",
                                   host[0] == '*' ? "any" : "", host + (host[0] == '*'));
}

static uint64_t add_texts(uint64_t hash, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hash = hash_span(span_text(texts[i]), hash + 1);
    return hash;
}

/* Of all that makes another order. */
static uint64_t hash_of(const struct acme_site *site)
{
    const struct acme_plan *plan = &site->plan;
    const uint64_t numbers[] = {site->orders, plan->challenge, site->key_kind, site->before_s};
    uint64_t hash = hash_span(span_text(plan->directory), plan->name_count);
    hash = add_texts(hash, plan->names, plan->name_count);
    hash = add_texts(hash, plan->contacts, plan->contact_count);
    hash = hash_span(span_of(numbers, sizeof numbers), hash);
    hash = hash_span(site->authorities, hash);
    hash = hash_span(site->secret, hash);
    hash = hash_span(plan->binding.secret, hash);
    hash = hash_span(span_text(plan->binding.id), hash);
    hash = hash_span(span_text(site->connect_to), hash);
    hash = hash_span(span_text(site->share_url), hash);
    return hash_span(span_text(site->proof_zone), hash);
}

bool acme_site_take(struct acme_site *site, const struct conf *conf,
                    const struct conf_site *conf_site)
{
    const struct conf_acme *acme = conf_site->tls ? conf_site->tls->acme : NULL;
    const struct conf_node *self = conf_find_node(conf, site->acme->options.node);
    struct arena *arena = &site->arena;
    if (!acme || !self || !acme->node ||
        (acme->node != self && (!is_edge_of(conf_site, self) || !acme->secret.length)))
        return false;
    site->name = arena_text(arena, conf_site->name);
    site->orders = acme->node == self;
    site->key_kind = acme->key == CONF_ACME_RSA ? ACME_KEY_RSA : ACME_KEY_ECDSA;
    site->before_s = acme->renew_before_ns / 1000000000;
    site->authorities = arena_copy(arena, acme->authorities);
    site->secret = arena_copy(arena, acme->secret);
    site->proof_zone = arena_text(arena, acme->zone);
    site->plan = (struct acme_plan){
        .directory = arena_text(arena, acme->directory),
        .names = copy_texts(arena, &acme->names),
        .name_count = acme->names.count,
        .contacts = copy_texts(arena, &acme->contacts),
        .contact_count = acme->contacts.count,
        .challenge = acme->challenge == CONF_ACME_DNS ? ACME_CHALLENGE_DNS : ACME_CHALLENGE_HTTP,
        .binding = {arena_text(arena, acme->binding_id), decode(arena, acme->binding)}};
    if (!site->orders)
        take_way(site, conf_site, acme->node);
    site->settings = hash_of(site);
    return true;
}
