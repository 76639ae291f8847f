/* SPDX-License-Identifier: Apache-2.0
 *
 * The zones of the tests.
 */
#include "zone_fixture.h"

#include <stdio.h>

enum { SITE_WWW, SITE_IPV4_ONLY, SITE_LOST, SITE_LEVELS };

static const struct {
    const char *owner, *type, *data;
    uint32_t ttl_s;
} rows[] = {
    {"shop.example", "SOA", "ns1 hostmaster 7 3600 600 86400 60", 3600},
    {"shop.example", "NS", "ns1", 3600},
    {"shop.example", "NS", "ns2.other.example.", 3600},
    {"shop.example", "MX", "10 mail.other.example.", 300},
    {"ns1.shop.example", "A", "192.0.2.53", 3600},
    {"ns1.shop.example", "AAAA", "2001:db8::53", 3600},
    {"Txt.shop.example", "TXT", "v=spf1 -all", 300},
    {"two.shop.example", "A", "192.0.2.1", 600},
    {"two.shop.example", "A", "192.0.2.2", 300}, /* the lower TTL is the set's */
    {"two.shop.example", "A", "192.0.2.1", 600}, /* once is enough */
    {"two.shop.example", "AAAA", "2001:db8::1", 300},
    {"deep.in.ent.shop.example", "A", "192.0.2.3", 300},
    {"alias.shop.example", "CNAME", "two", 300},
    {"broken.shop.example", "CNAME", "none", 300},
    {"away.shop.example", "CNAME", "www.elsewhere.example.", 300},
    {"below.shop.example", "CNAME", "host.sub", 300},
    {"loop.shop.example", "CNAME", "pool", 300},
    {"pool.shop.example", "CNAME", "loop", 300},
    {"to-site.shop.example", "CNAME", "www", 300},
    {"to-levels.shop.example", "CNAME", "levels", 300},
    {"*.wild.shop.example", "A", "192.0.2.9", 300},
    {"real.wild.shop.example", "TXT", "\"here\"", 300},
    {"*.wcname.shop.example", "CNAME", "one.wild", 300},
    {"sub.shop.example", "NS", "ns.sub", 900},
    {"sub.shop.example", "NS", "ns2.other.example.", 900},
    {"ns.sub.shop.example", "A", "192.0.2.77", 900},
    {"own.shop.example", "SOA", "ns1 h.own 1 2 3 4 900", 30},
    {"own.shop.example", "NS", "ns1", 30},
    {"www.own.shop.example", "A", "192.0.2.99", 5},
};

static struct dns_source source;

static struct dns_name name_of(const char *text)
{
    struct dns_name name;
    INVARIANT(dns_name_parse(span_text(text), NULL, &name) == 0);
    return name;
}

static void add(struct dns_builder *builder, const char *owner, const char *type, uint32_t ttl_s,
                const char *data)
{
    struct dns_name name = name_of(owner), origin = name_of("shop.example");
    dns_builder_add_text(builder, &name, type, ttl_s, data, &origin);
}

static void add_large_sets(struct dns_builder *builder)
{
    char data[128], owner[64];
    for (int i = 0; i < 40; i++) {
        snprintf(data, sizeof data, "192.0.2.%d", i);
        add(builder, "many.shop.example", "A", 300, data);
    }
    for (int i = 0; i < 60; i++) {
        snprintf(data, sizeof data, "\"%0100d\"", i);
        add(builder, "big.shop.example", "TXT", 300, data);
    }
    for (int i = 0; i < 8; i++) {
        snprintf(owner, sizeof owner, "name-server-%d.glue.shop.example", i);
        snprintf(data, sizeof data, "name-server-%d.glue", i);
        add(builder, "glue.shop.example", "NS", 300, data);
        add(builder, owner, "A", 300, "192.0.2.1");
        add(builder, owner, "AAAA", 300, "2001:db8::1");
    }
}

/* One site sends clients of 203.0.0.0/16 on to a name of their own level, the others elsewhere. */
static const struct dns_name *level_of(const struct dns_client *client)
{
    static struct dns_name near, far;
    near = name_of("two.shop.example");
    far = name_of("www.far.example");
    return client->address.bytes[0] == 203 && client->address.bytes[1] == 0 ? &near : &far;
}

static void find(const void *context, uint32_t site, const struct dns_client *client,
                 struct dns_choice *choice)
{
    static const struct dns_addresses sites[] = {
        [SITE_WWW] = {.ttl_s = 20,
                      .ipv4_count = 2,
                      .ipv6_count = 1,
                      .ipv4 = {{198, 51, 100, 1}, {198, 51, 100, 2}},
                      .ipv6 = {{0x20, 0x01, 0x0d, 0xb8, 0, 0xed, [15] = 1}}},
        [SITE_IPV4_ONLY] = {.ttl_s = 20, .ipv4_count = 1, .ipv4 = {{198, 51, 100, 4}}},
    };
    (void)context;
    choice->scope_bits = client->address.family == 4 ? 16 : 48;
    if (site == SITE_LEVELS) {
        choice->alias = level_of(client);
        choice->alias_ttl_s = 30;
        choice->alias_varies = true;
    } else if (site != SITE_LOST) {
        choice->addresses = &sites[site];
    }
}

enum signing { UNSIGNED, CHAINED, COMPACT };

static struct dns_zones *build(enum signing signing)
{
    struct dns_builder *builder = dns_builder_new(1);
    static const char *const apexes[] = {"own.shop.example", "Shop.Example"};
    for (int i = 0; i < 2; i++) {
        struct dns_name apex = name_of(apexes[i]);
        dns_builder_add_zone(builder, &apex);
        if (signing)
            dns_builder_sign_zone(builder, &apex, signing == COMPACT);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        add(builder, rows[i].owner, rows[i].type, rows[i].ttl_s, rows[i].data);
    add_large_sets(builder);
    static const char *const sites[] = {[SITE_WWW] = "www.shop.example",
                                        [SITE_IPV4_ONLY] = "four.shop.example",
                                        [SITE_LOST] = "lost.shop.example",
                                        [SITE_LEVELS] = "levels.shop.example"};
    for (uint32_t i = 0; i < sizeof sites / sizeof *sites; i++) {
        struct dns_name name = name_of(sites[i]);
        dns_builder_add_computed(builder, &name, i);
    }
    struct text complaints = {0};
    struct dns_zones *zones = dns_builder_finish(&builder, &complaints);
    if (!zones)
        fputs(complaints.data, stderr);
    INVARIANT(zones);
    return zones;
}

const struct dns_source *fixture_source(void)
{
    if (!source.zones)
        source = (struct dns_source){.zones = build(UNSIGNED), .find = find};
    return &source;
}

/* ---- signed */

static struct {
    struct dns_source source;
    struct dns_signing signing;
    void *_Atomic keysets[2];
} signed_ones[2];
static struct dns_signer signer;

static void hash(const void *context, const struct span *parts, size_t count, uint8_t digest[32])
{
    (void)context;
    memset(digest, (int)(parts[count - 1].length), 32);
}

static void sign(void *context, const struct dns_key *key, struct span message,
                 uint8_t signature[DNS_SIGNATURE_BYTES])
{
    (void)context;
    memset(signature, key->tag + (int)message.length, DNS_SIGNATURE_BYTES);
}

struct dns_signer *fixture_signer(void)
{
    signer.sign = sign;
    return &signer;
}

static struct dns_keyset *make_keyset(const char *zone, bool is_compact)
{
    struct dns_key keys[2] = {{.flags = DNS_KEY_ZONE | DNS_KEY_ENTRY, .algorithm = 13},
                              {.flags = DNS_KEY_ZONE, .algorithm = 13}};
    for (int i = 0; i < 2; i++) {
        keys[i].public_length = 64;
        dns_key_finish(&keys[i]);
    }
    struct dns_keyset form = {.id = 5,
                              .keys = keys,
                              .key_count = 2,
                              .zone_key = &keys[1],
                              .zone_key_gone_s = UINT32_MAX,
                              .entry_keys = {&keys[0]},
                              .entry_key_count = 1,
                              .validity_s = 259200,
                              .is_compact = is_compact};
    struct dns_name name = name_of(zone);
    return dns_keyset_new(&form, &name, 3600, true, hash, NULL);
}

const struct dns_source *fixture_signed(bool is_compact)
{
    static const char *const apexes[] = {"own.shop.example", "shop.example"};
    struct dns_signing *signing = &signed_ones[is_compact].signing;
    struct dns_source *made = &signed_ones[is_compact].source;
    if (made->zones)
        return made;
    *made = (struct dns_source){.zones = build(is_compact ? COMPACT : CHAINED),
                                .find = find,
                                .signing = signing};
    signing->keysets = signed_ones[is_compact].keysets;
    signing->signatures = dns_signatures_new(1 << 16, 1);
    signing->budget = dns_budget_new(1);
    for (int i = 0; i < 2; i++) {
        struct dns_name apex = name_of(apexes[i]);
        int number = dns_zones_number(made->zones, &apex);
        INVARIANT(number >= 0);
        signing->keysets[number] = make_keyset(apexes[i], is_compact);
    }
    return made;
}

static void free_zones(struct dns_source *from)
{
    dns_zones_free((struct dns_zones *)(uintptr_t)from->zones);
    from->zones = NULL;
}

void fixture_free(void)
{
    free_zones(&source);
    for (int i = 0; i < 2; i++) {
        free_zones(&signed_ones[i].source);
        dns_signatures_free(signed_ones[i].signing.signatures);
        dns_budget_free(signed_ones[i].signing.budget);
        for (int k = 0; k < 2; k++)
            dns_keyset_free(signed_ones[i].keysets[k]);
        memset(&signed_ones[i], 0, sizeof signed_ones[i]);
    }
    dns_signer_clear(&signer);
}
