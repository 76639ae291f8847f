/* SPDX-License-Identifier: Apache-2.0
 *
 * What the configuration sets of answers and connections: client subnets, cookies, rate limits, identity, TLS.
 *
 * Without a file of secrets those of cookies come from the node's key, another one each fortnight (RFC 9018 section 5 wants them
 * changed). The one before and the one behind are accepted too, since views and clocks may be a little off.
 */
#include "dnsd/private.h"

#include "base/bytes.h"
#include "base/memory.h"

static const uint64_t period_s = 14 * 24 * 3600;

uint64_t dnsd_cookie_period(uint64_t wall_ns)
{
    return wall_ns / 1000000000 / period_s;
}

/* ---- made with the data */

static bool is_for_all(const struct conf_networks *networks)
{
    bool has_ipv4 = false, has_ipv6 = false;
    for (size_t i = 0; i < networks->count; i++)
        if (networks->items[i].bits == 0) {
            has_ipv4 |= networks->items[i].address.family == 4;
            has_ipv6 |= networks->items[i].address.family == 6;
        }
    return has_ipv4 && has_ipv6;
}

static struct prefix_tree *tree_of(const struct conf_networks *networks)
{
    struct prefix_tree *tree = prefix_tree_new();
    for (size_t i = 0; i < networks->count; i++)
        prefix_tree_put(tree, &networks->items[i], 0);
    prefix_tree_seal(tree);
    return tree;
}

/* Settings live longer than the configuration that they are of. */
static struct span keep(const char *text, char out[DNS_IDENTITY_LIMIT])
{
    size_t length = text ? strlen(text) : 0;
    if (length > DNS_IDENTITY_LIMIT)
        length = DNS_IDENTITY_LIMIT;
    if (length)
        memcpy(out, text, length);
    return span_of(out, length);
}

static void take_cookies(struct dnsd_settings *settings, const struct conf_node *node,
                         uint64_t seed)
{
    const struct conf_dns *dns = node->dns;
    struct dns_cookie_secrets *secrets = &settings->answers.cookies;
    if (dns->cookies == CONF_COOKIES_OFF)
        return;
    settings->answers.is_cookie_required = dns->cookies == CONF_COOKIES_REQUIRED;
    _Static_assert(sizeof secrets->bytes == sizeof dns->cookie_secrets, "the same secrets");
    memcpy(secrets->bytes, dns->cookie_secrets, sizeof secrets->bytes);
    secrets->count = (uint8_t)dns->cookie_secret_count;
    settings->is_derived = !secrets->count;
    struct span input =
        node->has_private_key ? span_of(node->private_key, KEY_BYTES) : span_of(&seed, sizeof seed);
    crypto_hkdf_extract(crypto_openssl(), SPAN("causeway dns cookies"), input,
                        settings->cookie_root);
}

static struct dns_limiter *make_limiter(const struct conf_dns *dns, uint64_t seed)
{
    if (!dns->rate_limit)
        return NULL;
    const struct dns_limiter_options options = {
        .seed = seed,
        .rate = dns->rate_limit,
        .slip = dns->rate_slip,
        .window_s = (uint32_t)(dns->rate_window_ns / 1000000000),
        .ipv4_bits = dns->rate_ipv4_bits,
        .ipv6_bits = dns->rate_ipv6_bits,
        .exempt = dns->rate_exempt.items,
        .exempt_count = dns->rate_exempt.count,
    };
    return dns_limiter_new(&options);
}

static uint16_t keepalive_of(const struct conf_dns *dns)
{
    uint64_t units = dns->tcp_idle_timeout_ns / 100000000;
    return (uint16_t)(units < UINT16_MAX ? units : UINT16_MAX);
}

bool dnsd_settings_init(struct dnsd_settings *settings, const struct conf_node *node, uint64_t seed,
                        struct text *why)
{
    *settings = (struct dnsd_settings){0};
    if (!node || !node->dns)
        return true; /* a check of a file that is for no node */
    const struct conf_dns *dns = node->dns;
    struct dns_settings *answers = &settings->answers;
    answers->identity = keep(dns->identity, settings->identity);
    answers->version = keep(dns->version, settings->version);
    answers->has_subnets = dns->ecs.count != 0;
    if (answers->has_subnets && !is_for_all(&dns->ecs))
        answers->subnet_senders = settings->subnet_senders = tree_of(&dns->ecs);
    take_cookies(settings, node, seed);
    answers->limiter = make_limiter(dns, seed);
    answers->keepalive_100ms = keepalive_of(dns);
    if (!dns->tls)
        return true;
    settings->tls = dnsd_tls_new(dns->tls->certificate, dns->tls->private_key, why);
    return settings->tls != NULL;
}

void dnsd_settings_clear(struct dnsd_settings *settings)
{
    prefix_tree_free(settings->subnet_senders);
    dns_limiter_free(settings->answers.limiter);
    dnsd_tls_free(settings->tls);
    bytes_wipe(settings, sizeof *settings);
}

/* ---- of the moment */

static void derive(const struct dnsd_settings *settings, uint64_t period, uint8_t *out)
{
    uint8_t info[8];
    store_u64(info, period);
    crypto_hkdf_expand(crypto_openssl(), settings->cookie_root, span_of(info, sizeof info), out,
                       DNS_SECRET_BYTES);
}

void dnsd_settings_now(const struct dnsd_settings *settings, uint64_t wall_ns,
                       struct dns_settings *out)
{
    *out = settings->answers;
    if (!settings->is_derived)
        return;
    uint64_t period = dnsd_cookie_period(wall_ns);
    out->cookies.count = 3;
    derive(settings, period, out->cookies.bytes[0]);
    derive(settings, period - 1, out->cookies.bytes[1]);
    derive(settings, period + 1, out->cookies.bytes[2]);
}
