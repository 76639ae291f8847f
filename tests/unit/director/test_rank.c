/* SPDX-License-Identifier: Apache-2.0 */
#include "director/director.h"

#include <stdio.h>
#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* Edge i answers 198.51.100.i and, where it has IPv6, 2001:db8::i. */
enum { PARIS, LYON, ROME, TOKYO, SEOUL, LIMA, EDGES };
enum { SITE_ALL, SITE_TWO_ANSWERS, SITE_ASIA, SITE_NOWHERE, SITE_SAME_AS_ALL, SITES };

static const char map[] = "10.0.0.0/8 europe\n2001:db8:e::/48 europe\n20.0.0.0/8 asia\n30.0.0.0/8 "
                          "america\n40.0.0.0/8 antarctica\n"
                          "distance europe america 20\ndistance europe asia 30\n"
                          "distance asia america 50\n";

struct world {
    struct regions *regions;
    struct director *director;
    enum director_state states[EDGES];
    struct director_snapshot *snapshot;
};

static struct address address_of(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(span_text(text), &address), 0);
    return address;
}

static void rank(struct world *world)
{
    director_snapshot_free(world->snapshot);
    world->snapshot = director_rank(world->director, world->states);
}

static int set_up(void **state)
{
    static const char *const homes[EDGES] = {"europe", "europe", "europe",
                                             "asia",   "asia",   "america"};
    static const uint32_t all[] = {0, 1, 2, 3, 4, 5}, asia[] = {TOKYO, SEOUL};
    static struct world world;
    world = (struct world){0};
    struct text complaints = {0};
    world.regions = regions_parse(span_text(map), "map", &complaints);
    struct address addresses[EDGES][2];
    struct director_edge edges[EDGES];
    for (int i = 0; i < EDGES; i++) {
        char text[32];
        snprintf(text, sizeof text, "198.51.100.%d", i);
        addresses[i][0] = address_of(text);
        snprintf(text, sizeof text, "2001:db8::%d", i);
        addresses[i][1] = address_of(text);
        edges[i] = (struct director_edge){homes[i], addresses[i], i == SEOUL ? 1 : 2};
    }
    const struct director_site sites[SITES] = {
        [SITE_ALL] = {all, EDGES, 20, 3},
        [SITE_TWO_ANSWERS] = {all, EDGES, 20, 2},
        [SITE_ASIA] = {asia, 2, 5, 3},
        [SITE_NOWHERE] = {NULL, 0, 20, 3},
        [SITE_SAME_AS_ALL] = {all, EDGES, 20, 3},
    };
    struct director_options options = {world.regions, edges, EDGES, sites, SITES};
    world.director = director_new(&options);
    rank(&world);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    director_snapshot_free(world->snapshot);
    director_free(world->director);
    regions_free(world->regions);
    return 0;
}

/* "4: 0 1 2 6: 0 1 2" */
static const char *answer(const struct world *world, uint32_t site, const char *client)
{
    static char text[128];
    struct address address = address_of(client);
    const struct dns_addresses *found = director_snapshot_find(world->snapshot, site, &address);
    int length = snprintf(text, sizeof text, "4:");
    for (int i = 0; i < found->ipv4_count; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, " %u", found->ipv4[i][3]);
    length += snprintf(text + length, sizeof text - (size_t)length, " 6:");
    for (int i = 0; i < found->ipv6_count; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, " %u", found->ipv6[i][15]);
    return text;
}

static unsigned first_of(const struct world *world, const char *format, int network)
{
    char client[32];
    snprintf(client, sizeof client, format, network);
    struct address address = address_of(client);
    return director_snapshot_find(world->snapshot, SITE_ALL, &address)->ipv4[0][3];
}

static void R1_near_edges_come_first(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 50; i++) {
        assert_in_range(first_of(world, "10.0.%d.1", i), PARIS, ROME);
        assert_in_range(first_of(world, "20.0.%d.1", i), TOKYO, SEOUL);
        assert_int_equal(first_of(world, "30.0.%d.1", i), LIMA);
    }
    /* beyond the own region by distance: asia's next is europe (30), not america (50) */
    const char *asia = answer(world, SITE_ALL, "20.0.0.1");
    assert_true(asia[3] != asia[5] && asia[3] - '0' >= TOKYO && asia[5] - '0' >= TOKYO);
    assert_in_range(asia[7] - '0', PARIS, ROME);
    const char *america = answer(world, SITE_ALL, "30.0.0.1");
    assert_in_range(america[5] - '0', PARIS, ROME);
}

static void R5_two_or_three_addresses(void **state)
{
    struct world *world = *state;
    assert_int_equal(strlen(answer(world, SITE_ALL, "10.0.0.1")), strlen("4: 0 1 2 6: 0 1 2"));
    assert_int_equal(strlen(answer(world, SITE_TWO_ANSWERS, "10.0.0.1")), strlen("4: 0 1 6: 0 1"));
    assert_string_equal(answer(world, SITE_NOWHERE, "10.0.0.1"), "4: 6:");
    const char *asia = answer(world, SITE_ASIA, "10.0.0.1"); /* only one of them has IPv6 */
    assert_true(strcmp(asia, "4: 3 4 6: 3") == 0 || strcmp(asia, "4: 4 3 6: 3") == 0);
    struct address client = address_of("10.0.0.1");
    assert_int_equal(director_snapshot_find(world->snapshot, SITE_ASIA, &client)->ttl_s, 5);
    assert_null(director_snapshot_find(world->snapshot, SITES, &client));
}

static void R5_networks_are_spread_and_stay(void **state)
{
    struct world *world = *state;
    unsigned counts[EDGES] = {0};
    for (int i = 0; i < 6000; i++) {
        char client[32];
        snprintf(client, sizeof client, "10.%d.%d.%%d", i / 200, i % 200);
        unsigned first = first_of(world, client, 1);
        assert_int_equal(first_of(world, client, 254), first); /* the whole /24 */
        counts[first]++;
    }
    for (int i = PARIS; i <= ROME; i++)
        assert_in_range(counts[i], 1800, 2200);
    /* the same order for either family */
    const char *both = answer(world, SITE_ALL, "2001:db8:e::1");
    assert_memory_equal(both + strlen("4:"), both + strlen("4: 0 1 2 6:"), strlen(" 0 1 2"));
}

static void R8_only_the_clients_of_a_dead_edge_move(void **state)
{
    struct world *world = *state;
    unsigned before[200], moved[EDGES] = {0};
    for (int i = 0; i < 200; i++)
        before[i] = first_of(world, "10.0.%d.1", i);
    world->states[LYON] = DIRECTOR_DEAD;
    rank(world);
    for (int i = 0; i < 200; i++) {
        unsigned now = first_of(world, "10.0.%d.1", i);
        if (before[i] == LYON)
            moved[now]++;
        else
            assert_int_equal(now, before[i]);
    }
    assert_int_equal(moved[LYON], 0);
    assert_true(moved[PARIS] > 15 && moved[ROME] > 15); /* to both that are left */
    world->states[LYON] = DIRECTOR_UP;
    rank(world);
    for (int i = 0; i < 200; i++)
        assert_int_equal(first_of(world, "10.0.%d.1", i), before[i]);
}

struct state_case {
    enum director_state states[2]; /* TOKYO, SEOUL */
    const char *expected;          /* of SITE_ASIA */
    size_t forsaken;               /* SITE_NOWHERE always is */
};

static const struct state_case state_cases[] = {
    {{DIRECTOR_UP, DIRECTOR_DEAD}, "4: 3 6: 3", 1},
    {{DIRECTOR_DEAD, DIRECTOR_UP}, "4: 4 6:", 1}, /* no address of a dead edge to fill up IPv6 */
    {{DIRECTOR_FULL, DIRECTOR_UP}, "4: 4 3 6: 3", 1},
    {{DIRECTOR_UP, DIRECTOR_FULL}, "4: 3 4 6: 3", 1},
    {{DIRECTOR_DRAINING, DIRECTOR_FULL}, "4: 4 6:", 1},
    {{DIRECTOR_DRAINING, DIRECTOR_DEAD}, "4: 3 6: 3", 2},
    {{DIRECTOR_DEAD, DIRECTOR_DOWN}, "4: 3 6: 3", 2},
    {{DIRECTOR_DOWN, DIRECTOR_UP}, "4: 4 6:", 1},
    {{DIRECTOR_DOWN, DIRECTOR_DOWN}, "4: 6:", 2},
};

static void R8_states_decide_who_is_answered(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < sizeof state_cases / sizeof *state_cases; i++) {
        world->states[TOKYO] = state_cases[i].states[0];
        world->states[SEOUL] = state_cases[i].states[1];
        rank(world);
        assert_string_equal(answer(world, SITE_ASIA, "20.0.0.1"), state_cases[i].expected);
        assert_int_equal(director_snapshot_forsaken(world->snapshot), state_cases[i].forsaken);
    }
}

/* No region, no preference; the whole list is spread. */
static void clients_of_no_region_get_any(void **state)
{
    struct world *world = *state;
    unsigned counts[EDGES] = {0};
    for (int i = 0; i < 6000; i++) {
        char client[32];
        snprintf(client, sizeof client, "90.%d.%d.1", i / 200, i % 200);
        counts[first_of(world, client, 0)]++;
    }
    for (int i = 0; i < EDGES; i++)
        assert_in_range(counts[i], 850, 1150);
}

static void a_table_that_is_too_large_is_refused(void **state)
{
    struct world *world = *state;
    enum { MANY = 300000 };
    struct director_site *sites = calloc(MANY, sizeof *sites);
    static const uint32_t edge = 0;
    for (uint32_t i = 0; i < MANY; i++)
        sites[i] = (struct director_site){&edge, 1, i, 2};
    struct director_edge edges[1] = {0};
    struct director_options options = {world->regions, edges, 1, sites, MANY};
    assert_null(director_new(&options)); /* 300000 x 5 regions */
    options.site_count = 100000;         /* fits with fewer classes */
    struct director *director = director_new(&options);
    assert_non_null(director);
    struct director_snapshot *snapshot = director_rank(director, world->states);
    struct address client = address_of("10.0.0.1");
    assert_int_equal(director_snapshot_find(snapshot, 99999, &client)->ttl_s, 99999);
    director_snapshot_free(snapshot);
    director_free(director);
    free(sites);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(R1_near_edges_come_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R5_two_or_three_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R5_networks_are_spread_and_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R8_only_the_clients_of_a_dead_edge_move, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R8_states_decide_who_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clients_of_no_region_get_any, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_table_that_is_too_large_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("director/rank", tests, NULL, NULL);
}
