/* SPDX-License-Identifier: Apache-2.0
 *
 * What an answer costs without sockets, for queries with and without what EDNS adds. Thread CPU time, the best of several
 * rounds; one JSON object a line. With the name of a case it runs that one once, for counting instructions:
 *
 *     micro_dns
 *     valgrind --tool=callgrind --toggle-collect=dns_answer micro_dns stored
 */
#include "micro.h"

#include "base/bytes.h"
#include "dns/dns.h"

enum { ROUNDS = 7, REPEATS = 200000, NAMES = 1000, QUERY_BYTES = 300 };

static struct dns_name name_of(const char *text)
{
    struct dns_name name;
    must(dns_name_parse(span_text(text), NULL, &name) == 0);
    return name;
}

static const struct dns_addresses addresses = {.ttl_s = 20,
                                               .ipv4_count = 2,
                                               .ipv4 = {{198, 51, 100, 1}, {198, 51, 100, 2}}};

static void find(const void *context, uint32_t site, const struct dns_client *client,
                 struct dns_choice *choice)
{
    (void)context;
    (void)site;
    choice->addresses = &addresses;
    choice->scope_bits = client->bits < 24 ? client->bits : 24;
}

static struct dns_zones *make_zones(void)
{
    struct dns_builder *builder = dns_builder_new(1);
    struct dns_name apex = name_of("bench.example"), www = name_of("www.bench.example");
    struct text complaints = {0};
    char owner[64], data[64];
    dns_builder_add_zone(builder, &apex);
    dns_builder_add_text(builder, &apex, "SOA", 300, "ns1 hostmaster 1 3600 600 604800 60", &apex);
    dns_builder_add_text(builder, &apex, "NS", 300, "ns1.elsewhere.example.", &apex);
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(owner, sizeof owner, "host%u.bench.example", i);
        snprintf(data, sizeof data, "192.0.2.%u", i % 250 + 1);
        struct dns_name name = name_of(owner);
        dns_builder_add_text(builder, &name, "A", 300, data, &apex);
    }
    dns_builder_add_computed(builder, &www, 0);
    struct dns_zones *zones = dns_builder_finish(&builder, &complaints);
    must(zones != NULL);
    return zones;
}

/* ---- cases */

#define SUBNET "\0\10\0\7\0\1\30\0\xc0\0\2"
#define COOKIE "\0\12\0\10\1\2\3\4\5\6\7\10"

struct bench_case {
    const char *label, *name;
    bool has_edns;
    struct span options;
    bool is_limited;
    bool is_proven; /* the cookie of an answer comes back */
};

static const struct bench_case cases[] = {
    {"stored", "host%u.bench.example", false, {0}, false, false},
    {"stored, EDNS", "host%u.bench.example", true, {0}, false, false},
    {"NXDOMAIN", "none%u.bench.example", false, {0}, false, false},
    {"computed", "www.bench.example", false, {0}, false, false},
    {"computed, subnet", "www.bench.example", true, SPAN(SUBNET), false, false},
    {"computed, subnet, new cookie", "www.bench.example", true, SPAN(SUBNET COOKIE), false, false},
    {"stored, good cookie", "host%u.bench.example", true, SPAN(COOKIE), false, true},
    {"stored, limited", "host%u.bench.example", false, {0}, true, false},
};

struct query {
    uint8_t bytes[QUERY_BYTES];
    size_t length;
};

static struct query queries[NAMES];

static void make_query(const struct bench_case *run, unsigned number, struct span options,
                       struct query *query)
{
    char text[64];
    snprintf(text, sizeof text, run->name, number);
    struct dns_name name = name_of(text);
    uint8_t *to = store_u32(store_u32(query->bytes, 0x12340000), 1u << 16);
    to = store_u32(to, run->has_edns);
    memcpy(to, name.wire, name.length);
    to = store_u32(to + name.length, (uint32_t)DNS_A << 16 | 1);
    if (run->has_edns) {
        *to++ = 0;
        to = store_u16(store_u16(to, DNS_OPT), DNS_UDP_BYTES);
        to = store_u16(store_u32(to, 0), (uint16_t)options.length);
        if (options.length)
            memcpy(to, options.data, options.length);
        to += options.length;
    }
    query->length = (size_t)(to - query->bytes);
}

static size_t answer_one(const struct dns_source *source, unsigned i, uint8_t *out)
{
    static const struct address client = {.bytes = {203, 0, 113, 9}, .family = 4};
    const struct query *query = &queries[i % NAMES];
    struct dns_request request = {.message = span_of(query->bytes, query->length),
                                  .client = &client,
                                  .wall_s = 1700000000,
                                  .now_ns = 1000000000ull + i * 1000ull};
    struct dns_outcome outcome;
    return dns_answer(source, &request, out, DNS_UDP_BYTES, &outcome);
}

static void make_queries(const struct bench_case *run, const struct dns_source *source)
{
    uint8_t out[DNS_UDP_BYTES], option[28];
    for (unsigned i = 0; i < NAMES; i++)
        make_query(run, i, run->options, &queries[i]);
    if (!run->is_proven)
        return;
    size_t length = answer_one(source, 0, out); /* the option is its last one */
    memcpy(option, out + length - sizeof option, sizeof option);
    for (unsigned i = 0; i < NAMES; i++)
        make_query(run, i, span_of(option, sizeof option), &queries[i]);
}

static double measure(const struct dns_source *source, unsigned repeats, unsigned rounds)
{
    uint64_t best_ns = UINT64_MAX;
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t start_ns = cpu_ns();
        for (unsigned i = 0; i < repeats; i++) {
            uint8_t out[DNS_UDP_BYTES];
            must(answer_one(source, i, out) > 0);
        }
        uint64_t took_ns = cpu_ns() - start_ns;
        if (took_ns < best_ns)
            best_ns = took_ns;
    }
    return (double)best_ns / repeats;
}

int main(int count, char **words)
{
    struct dns_settings settings = {.has_subnets = true, .cookies = {.count = 1}};
    struct dns_source source = {.zones = make_zones(), .settings = &settings, .find = find};
    const struct dns_limiter_options limits = {
        .rate = 1000000, .slip = 2, .window_s = 5, .ipv4_bits = 24, .ipv6_bits = 56};
    struct dns_limiter *limiter = dns_limiter_new(&limits);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool is_chosen = count > 1 && strcmp(words[1], cases[i].label) == 0;
        if (count > 1 && !is_chosen)
            continue;
        settings.limiter = cases[i].is_limited ? limiter : NULL;
        make_queries(&cases[i], &source);
        double ns = measure(&source, is_chosen ? NAMES : REPEATS, is_chosen ? 1 : ROUNDS);
        printf("{\"case\":\"%s\",\"ns\":%.1f}\n", cases[i].label, ns);
    }
    dns_limiter_free(limiter);
    dns_zones_free((struct dns_zones *)(uintptr_t)source.zones);
    return 0;
}
