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

const struct dns_source *fixture_source(void)
{
    if (source.zones)
        return &source;
    struct dns_builder *builder = dns_builder_new(1);
    struct dns_name name = name_of("own.shop.example");
    dns_builder_add_zone(builder, &name);
    name = name_of("Shop.Example");
    dns_builder_add_zone(builder, &name);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        add(builder, rows[i].owner, rows[i].type, rows[i].ttl_s, rows[i].data);
    add_large_sets(builder);
    static const char *const sites[] = {[SITE_WWW] = "www.shop.example",
                                        [SITE_IPV4_ONLY] = "four.shop.example",
                                        [SITE_LOST] = "lost.shop.example",
                                        [SITE_LEVELS] = "levels.shop.example"};
    for (uint32_t i = 0; i < sizeof sites / sizeof *sites; i++) {
        name = name_of(sites[i]);
        dns_builder_add_computed(builder, &name, i);
    }
    struct text complaints = {0};
    source = (struct dns_source){.zones = dns_builder_finish(&builder, &complaints), .find = find};
    if (!source.zones)
        fputs(complaints.data, stderr);
    INVARIANT(source.zones);
    return &source;
}

void fixture_free(void)
{
    struct dns_zones *zones = (struct dns_zones *)(uintptr_t)source.zones;
    dns_zones_free(zones);
    source.zones = NULL;
}
