/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 7871 section 7.2.1 as a property: whoever shares with a client what the answer was scoped by gets the same answer. Random maps, with
 * networks deeper than the director's own, random clients, measured networks among them.
 */
#include "base/memory.h"
#include "base/random.h"
#include "director/director.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
// clang-format on

enum { EDGES = 8, NETWORKS = 200, CLIENTS = 3000, NEIGHBOURS = 8 };
static const char *const regions[] = {"europe", "asia", "america", "africa"};

/* Half of the networks lie in the one before, so that they nest. */
static void add_networks(struct text *map, struct random *random, unsigned family,
                         struct address *kept)
{
    unsigned most = family == 4 ? 32 : 64;
    struct network network = {.address.family = (uint8_t)family};
    for (unsigned i = 0; i < NETWORKS; i++) {
        if (!random_below(random, 2))
            for (unsigned k = 0; k < most / 8; k++)
                network.address.bytes[k] = (uint8_t)random_u64(random);
        network.bits = (uint8_t)(4 + random_below(random, most - 3));
        kept[i] = network.address;
        struct network written = network;
        for (unsigned bit = network.bits; bit < most; bit++)
            written.address.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        char text[ADDRESS_TEXT_BYTES];
        text_add_format(map, "%s %s\n", network_text(&written, text),
                        regions[random_below(random, 4)]);
    }
}

static struct maps *random_maps(struct random *random, struct address kept[2 * NETWORKS])
{
    struct text map = {0}, complaints = {0};
    text_add(&map,
             "distance europe asia 60\ndistance america europe 40\ndistance africa europe 30\n");
    add_networks(&map, random, 4, kept);
    add_networks(&map, random, 6, kept + NETWORKS);
    struct maps_builder *builder = maps_builder_new();
    maps_builder_add(builder, text_span(&map), "map");
    struct maps *maps = maps_builder_finish(&builder, &complaints);
    if (!maps)
        fail_msg("%s", complaints.data);
    text_clear(&map);
    return maps;
}

static struct director *make_director(const struct maps *maps)
{
    static const uint32_t all[EDGES] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct address addresses[EDGES][2];
    struct director_edge edges[EDGES] = {{0}};
    for (uint8_t i = 0; i < EDGES; i++) {
        addresses[i][0] = (struct address){.family = 4, .bytes = {198, 51, 100, i}};
        addresses[i][1] = (struct address){.family = 6, .bytes = {0x20, 1, [15] = i}};
        edges[i] = (struct director_edge){.region = regions[i % 4],
                                          .addresses = addresses[i],
                                          .address_count = 2};
    }
    const struct director_site site = {
        .edges = all, .edge_count = EDGES, .ttl_s = 20, .answers = 2};
    const struct director_options options = {
        .maps = maps, .edges = edges, .edge_count = EDGES, .sites = &site, .site_count = 1};
    return director_new(&options);
}

/* In or near a network of the map. */
static struct address random_client(struct random *random, const struct address kept[2 * NETWORKS])
{
    struct address client = kept[random_below(random, (uint64_t)2 * NETWORKS)];
    unsigned bits = client.family == 4 ? 32 : 64;
    for (unsigned bit = (unsigned)random_below(random, bits + 1); bit < bits; bit++)
        if (random_below(random, 2))
            client.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
    return client;
}

static struct dns_addresses find(const struct director *director, const struct address *client,
                                 uint8_t *scope_bits)
{
    struct dns_addresses found;
    memset(&found, 0, sizeof found);
    assert_true(director_find(director, 0, client, address_bits(client), &found, scope_bits));
    return found;
}

static void R3_neighbours_in_scope_get_the_same(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 11);
    for (unsigned round = 0; round < 10; round++) {
        struct address kept[2 * NETWORKS];
        struct maps *maps = random_maps(&random, kept);
        struct director *director = make_director(maps);
        struct director_node_facts edges[EDGES] = {{0}};
        for (unsigned i = 0; i < EDGES; i++)
            edges[i].load.load = LOAD_UNKNOWN;
        struct latency_table *latencies = latency_table_new(4096, 5);
        uint64_t now_ns = 1000000000000;
        struct address last;
        for (unsigned i = 0; i < 300; i++) {
            last = random_client(&random, kept);
            latency_table_put(latencies, &last, (uint32_t)random_below(&random, EDGES),
                              LATENCY_PASSIVE, (uint32_t)(1000 + random_below(&random, 200000)), 8,
                              false, now_ns);
        }
        const struct director_facts facts = {.edges = edges,
                                             .latencies = latencies,
                                             .now_ns = now_ns};
        director_tick(director, &facts, DIRECTOR_WHOLE_ROUND);
        for (unsigned i = 0; i < CLIENTS; i++) {
            last = random_client(&random, kept);
            uint8_t scope_bits, other_bits;
            struct dns_addresses mine = find(director, &last, &scope_bits);
            assert_true(scope_bits <= address_bits(&last));
            for (unsigned k = 0; k < NEIGHBOURS; k++) {
                struct address neighbour = last;
                for (unsigned bit = scope_bits; bit < address_bits(&last); bit++)
                    if (random_below(&random, 2))
                        neighbour.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
                struct dns_addresses theirs = find(director, &neighbour, &other_bits);
                assert_memory_equal(&mine, &theirs, sizeof mine);
                assert_int_equal(scope_bits, other_bits);
            }
        }
        latency_table_free(latencies);
        director_free(director);
        maps_free(maps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(R3_neighbours_in_scope_get_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
