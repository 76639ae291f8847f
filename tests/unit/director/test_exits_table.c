/* SPDX-License-Identifier: Apache-2.0 */
#include "director/director.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
// clang-format on

/* The network of test_exits.c with a third place far away from everything. */
enum { NY, SJ, LIMA, PLACES };
enum { BORDER_NY, BORDER_LA, BORDER_SJ, BORDERS };
enum { NY_1, NY_2, SJ_1, LIMA_1, SERVERS };
enum { SERVICE_PATHS, SERVICE_SERVERS, SERVICE_NONE, SERVICE_PING, SERVICES };
enum { MS = 1000, DRAWS = 20000 };

static const uint32_t internal[PLACES][BORDERS] = {{0, 35 * MS, 38 * MS},
                                                   {38 * MS, 5 * MS, 0},
                                                   {150 * MS, 120 * MS, 125 * MS}};
static const uint32_t between[BORDERS][BORDERS] = {{0, 35 * MS, 38 * MS},
                                                   {35 * MS, 0, 5 * MS},
                                                   {38 * MS, 5 * MS, 0}};
static const uint32_t contact[PLACES] = {0, 38 * MS, 150 * MS};
static const uint32_t nodes[BORDERS] = {70, EXITS_NONE, 30};

/* Each service has the same four servers. */
static const uint32_t places[SERVERS] = {NY, NY, SJ, LIMA};

struct world {
    struct exits *exits;
    struct exits_table *table;
    struct director_node_facts facts[SERVICES * SERVERS];
    struct latency_table *latencies;
};

static struct address address_of(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(span_text(text), &address), 0);
    return address;
}

static struct network network_of(const char *text)
{
    struct network network;
    assert_int_equal(network_parse(span_text(text), &network), 0);
    return network;
}

static struct exits *make_exits(void)
{
    struct exits_server servers[SERVICES * SERVERS];
    struct exits_service services[SERVICES] = {
        [SERVICE_PATHS] = {.order = EXITS_ORDER_PATHS, .policies = 1 << EXITS_BY_LOAD},
        [SERVICE_SERVERS] = {.order = EXITS_ORDER_SERVERS, .policies = 1 << EXITS_BY_LOAD},
        [SERVICE_PING] = {.order = EXITS_ORDER_SERVERS, .policies = 1 << EXITS_BY_ICMP},
    };
    for (uint32_t i = 0; i < SERVICES * SERVERS; i++)
        servers[i] = (struct exits_server){places[i % SERVERS], 100};
    for (uint32_t i = 0; i < SERVICES; i++) {
        services[i].first_server = i * SERVERS;
        services[i].server_count = i == SERVICE_NONE ? 0 : SERVERS;
        services[i].fuzz = 1050;
    }
    const struct exits_stated stated[] = {
        {network_of("192.0.2.0/24"), BORDER_SJ, 225 * MS},
        {network_of("192.0.2.0/24"), BORDER_LA, 215 * MS},
        {network_of("192.0.0.0/16"), BORDER_NY, 200 * MS}, /* holds for the network within too */
        {network_of("2001:db8::/32"), BORDER_LA, 10 * MS},
        {network_of("2001:db8::/32"), BORDER_NY, 400 * MS},
    };
    const struct exits_options options = {
        .map = {PLACES, BORDERS, internal[0], between[0], contact, BORDER_NY, EXITS_LAST_BORDER},
        .nodes = nodes,
        .servers = servers,
        .server_count = SERVICES * SERVERS,
        .services = services,
        .service_count = SERVICES,
        .stated = stated,
        .stated_count = sizeof stated / sizeof *stated,
    };
    return exits_new(&options);
}

static void tick(struct world *world)
{
    const struct exits_facts facts = {world->facts, world->latencies, 1000, 900};
    struct exits_table *previous = world->table;
    world->table = exits_table_new(world->exits, &facts, previous);
    exits_table_free(previous);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->exits = make_exits();
    world->latencies = latency_table_new(1000, 1);
    tick(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    exits_table_free(world->table);
    exits_free(world->exits);
    latency_table_free(world->latencies);
    free(world);
    return 0;
}

/* The share of each server in thousandths; all answers leave through `borders`. */
static void draw(const struct world *world, uint32_t service, const char *client,
                 uint32_t shares[SERVERS], uint32_t borders[SERVERS])
{
    struct random random;
    struct address address = address_of(client);
    random_seed(&random, 7);
    memset(shares, 0, SERVERS * sizeof *shares);
    for (int i = 0; i < DRAWS; i++) {
        struct exits_choice choice;
        assert_true(exits_table_choose(world->table, service, &address, &random, &choice));
        uint32_t server = choice.server - service * SERVERS;
        assert_true(server < SERVERS);
        assert_true(!shares[server] || borders[server] == choice.border);
        borders[server] = choice.border;
        shares[server]++;
    }
    for (int i = 0; i < SERVERS; i++)
        shares[i] = (shares[i] * 1000 + DRAWS / 2) / DRAWS;
}

static void assert_near(uint32_t value, uint32_t expected)
{
    assert_in_range(value, expected > 20 ? expected - 20 : 0, expected + 20);
}

static void H6_draw_is_weighted_by_availability(void **state)
{
    struct world *world = *state;
    uint32_t shares[SERVERS], borders[SERVERS];
    draw(world, SERVICE_PATHS, "192.0.2.9", shares, borders);
    assert_near(shares[NY_1], 333);
    assert_near(shares[NY_2], 333);
    assert_near(shares[SJ_1], 333);
    assert_int_equal(shares[LIMA_1], 0);
    assert_int_equal(borders[NY_1], BORDER_NY);
    assert_int_equal(borders[SJ_1], BORDER_LA);

    world->facts[NY_1].load.load = 0;
    world->facts[NY_2].load.load = 750;
    world->facts[SJ_1].load.load = 250;
    tick(world);
    draw(world, SERVICE_PATHS, "192.0.2.9", shares, borders);
    assert_near(shares[NY_1], 500);
    assert_near(shares[NY_2], 125);
    assert_near(shares[SJ_1], 375);
}

static void H6_all_busy_gives_way_to_the_next_group(void **state)
{
    struct world *world = *state;
    uint32_t shares[SERVERS], borders[SERVERS];
    for (int i = 0; i <= SJ_1; i++)
        world->facts[i].load.load = LOAD_FULL;
    tick(world);
    draw(world, SERVICE_PATHS, "192.0.2.9", shares, borders);
    assert_int_equal(shares[LIMA_1], 1000);
    assert_int_equal(borders[LIMA_1], BORDER_LA);
    assert_int_equal(exits_table_counts(world->table).busy, 0);

    world->facts[LIMA_1].load.load = LOAD_FULL;
    tick(world);
    draw(world, SERVICE_PATHS, "192.0.2.9", shares, borders); /* nobody is: the best of them */
    assert_near(shares[NY_1] + shares[NY_2], 667);
    assert_int_equal(exits_table_counts(world->table).busy, 1);
    assert_int_equal(exits_table_counts(world->table).forsaken, 0);
}

static void H6_dead_ones_are_named_only_when_nobody_lives(void **state)
{
    struct world *world = *state;
    uint32_t shares[SERVERS], borders[SERVERS];
    for (int i = 0; i < SERVERS; i++)
        world->facts[i].state = i == LIMA_1 ? DIRECTOR_DRAINING : DIRECTOR_DEAD;
    tick(world);
    draw(world, SERVICE_PATHS, "192.0.2.9", shares, borders);
    assert_int_equal(shares[LIMA_1], 1000);
    for (int i = 0; i < SERVERS; i++)
        world->facts[i].state = i == SJ_1 ? DIRECTOR_DEAD : DIRECTOR_DOWN;
    tick(world);
    draw(world, SERVICE_PATHS, "192.0.2.9", shares, borders);
    assert_int_equal(shares[SJ_1], 1000);
    assert_int_equal(exits_table_counts(world->table).forsaken, 1);
    world->facts[SJ_1].state = DIRECTOR_DOWN;
    tick(world);
    struct exits_choice choice;
    struct random random;
    struct address client = address_of("192.0.2.9");
    random_seed(&random, 1);
    assert_false(exits_table_choose(world->table, SERVICE_PATHS, &client, &random, &choice));
    assert_false(exits_table_choose(world->table, SERVICE_NONE, &client, &random, &choice));
    assert_false(exits_table_choose(world->table, SERVICES, &client, &random, &choice));
}

static void H6_other_order_the_least_loaded_server_first(void **state)
{
    struct world *world = *state;
    uint32_t shares[SERVERS], borders[SERVERS];
    struct director_node_facts *facts = &world->facts[SERVICE_SERVERS * SERVERS];
    for (uint16_t i = 0; i < SERVERS; i++)
        facts[i].load.load = (uint16_t)(600 - i * 100);
    tick(world);
    draw(world, SERVICE_SERVERS, "192.0.2.9", shares, borders);
    assert_int_equal(shares[LIMA_1], 1000); /* far away, but idle */
    assert_int_equal(borders[LIMA_1], BORDER_LA);
    facts[NY_2].load.load = facts[LIMA_1].load.load;
    tick(world);
    draw(world, SERVICE_SERVERS, "192.0.2.9", shares, borders);
    assert_near(shares[LIMA_1], 500);
    assert_near(shares[NY_2], 500);
}

static void H4_fastest_ping_is_the_best_way(void **state)
{
    struct world *world = *state;
    uint32_t shares[SERVERS], borders[SERVERS];
    draw(world, SERVICE_PING, "192.0.2.9", shares, borders);
    assert_near(shares[NY_1], 500);
    assert_near(shares[NY_2], 500);
    draw(world, SERVICE_PING, "2001:db8::9", shares, borders);
    assert_int_equal(shares[SJ_1], 1000);
    assert_int_equal(borders[SJ_1], BORDER_LA);
}

static void H1_without_a_ping_the_nearest_to_the_contact(void **state)
{
    struct world *world = *state;
    uint32_t shares[SERVERS], borders[SERVERS];
    draw(world, SERVICE_PATHS, "198.51.100.1", shares, borders);
    assert_near(shares[NY_1], 500);
    assert_near(shares[NY_2], 500);
    assert_int_equal(borders[NY_1], BORDER_NY);
}

static void H3_measured_pings_outrank_stated_ones(void **state)
{
    struct world *world = *state;
    uint32_t shares[SERVERS], borders[SERVERS];
    struct address client = address_of("192.0.2.9");
    latency_table_put(world->latencies, &client, 30, LATENCY_PROBE, 140 * MS, 4, false, 1000);
    tick(world);
    assert_int_equal(exits_table_counts(world->table).networks, 1);
    draw(world, SERVICE_PATHS, "192.0.2.200", shares, borders); /* the same /24 */
    assert_int_equal(shares[SJ_1], 1000);
    assert_int_equal(borders[SJ_1], BORDER_SJ);
    draw(world, SERVICE_PATHS, "192.0.3.9", shares, borders);
    assert_int_equal(shares[SJ_1], 0);

    /* real visitors outrank probes */
    latency_table_put(world->latencies, &client, 30, LATENCY_PASSIVE, 225 * MS, 4, false, 1000);
    tick(world);
    draw(world, SERVICE_PATHS, "192.0.2.9", shares, borders);
    assert_near(shares[SJ_1], 333);
    assert_int_equal(borders[SJ_1], BORDER_LA);

    /* a border that was silent is far */
    latency_table_put(world->latencies, &client, 30, LATENCY_PASSIVE, 0, 1, true, 1000);
    latency_table_put(world->latencies, &client, 70, LATENCY_PROBE, 200 * MS, 4, false, 1000);
    tick(world);
    draw(world, SERVICE_PATHS, "192.0.2.9", shares, borders);
    assert_int_equal(borders[SJ_1], BORDER_LA);
    assert_near(shares[SJ_1], 333);
}

static void H3_old_measurements_are_not_looked_at(void **state)
{
    struct world *world = *state;
    struct address client = address_of("192.0.2.9");
    latency_table_put(world->latencies, &client, 30, LATENCY_PROBE, 140 * MS, 4, false, 99);
    tick(world);
    assert_int_equal(exits_table_counts(world->table).networks, 0);
}

/* More networks than one slice has: all of them are known within a few ticks, and forgotten when they are not measured any more. */
static void H3_networks_come_and_go_by_slices(void **state)
{
    enum { NETWORKS = 3 * EXITS_SLICE, MORE = EXITS_NETWORKS_LIMIT };
    struct world *world = *state;
    latency_table_free(world->latencies);
    world->latencies = latency_table_new(2 * MORE, 1);
    const struct address stranger = address_of("198.51.100.1");
    latency_table_put(world->latencies, &stranger, 30, LATENCY_PROBE, 1, 4, false, 1000);
    tick(world);
    assert_int_equal(exits_table_counts(world->table).networks, 1);
    struct address client = address_of("10.0.0.1");
    for (uint32_t i = 0; i < NETWORKS; i++) {
        client.bytes[1] = (uint8_t)(i >> 8);
        client.bytes[2] = (uint8_t)i;
        latency_table_put(world->latencies, &client, 30, LATENCY_PROBE, 100 * MS, 4, false, 1000);
    }
    for (size_t i = 1; i <= 4; i++) {
        tick(world);
        size_t looked_at = i * EXITS_SLICE < NETWORKS + 1 ? i * EXITS_SLICE : NETWORKS + 1;
        assert_in_range(exits_table_counts(world->table).networks, looked_at, looked_at + 1);
    }
    assert_int_equal(exits_table_counts(world->table).networks, NETWORKS + 1);
    uint32_t shares[SERVERS], borders[SERVERS];
    draw(world, SERVICE_PATHS, "10.0.200.7", shares, borders);
    assert_int_equal(borders[SJ_1], BORDER_SJ);
    while (latency_table_expire(world->latencies, 2000))
        continue;
    for (int i = 0; i < 16 && exits_table_counts(world->table).networks; i++) {
        latency_table_put(world->latencies, &stranger, 5, LATENCY_PROBE, 1, 4, false, 1000);
        tick(world); /* of no border */
    }
    assert_int_equal(exits_table_counts(world->table).networks, 0);
    draw(world, SERVICE_PATHS, "10.0.200.7", shares, borders);
    assert_int_equal(shares[SJ_1], 0);
}

static void H9_equal_facts_and_seeds_give_equal_choices(void **state)
{
    struct world *world = *state, other = {.exits = make_exits()};
    memcpy(other.facts, world->facts, sizeof other.facts);
    tick(&other);
    struct random here, there;
    random_seed(&here, 99);
    random_seed(&there, 99);
    for (uint32_t i = 0; i < 10000; i++) {
        struct exits_choice a, b;
        struct address client = address_of(i % 2 ? "192.0.2.9" : "2001:db8::7");
        assert_true(exits_table_choose(world->table, SERVICE_PATHS, &client, &here, &a));
        assert_true(exits_table_choose(other.table, SERVICE_PATHS, &client, &there, &b));
        assert_int_equal(a.server, b.server);
        assert_int_equal(a.border, b.border);
    }
    exits_table_free(other.table);
    exits_free(other.exits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(H6_draw_is_weighted_by_availability),
        TEST(H6_all_busy_gives_way_to_the_next_group),
        TEST(H6_dead_ones_are_named_only_when_nobody_lives),
        TEST(H6_other_order_the_least_loaded_server_first),
        TEST(H4_fastest_ping_is_the_best_way),
        TEST(H1_without_a_ping_the_nearest_to_the_contact),
        TEST(H3_measured_pings_outrank_stated_ones),
        TEST(H3_old_measurements_are_not_looked_at),
        TEST(H3_networks_come_and_go_by_slices),
        TEST(H9_equal_facts_and_seeds_give_equal_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
