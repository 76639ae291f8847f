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

static const uint64_t second = 1000000000;

static const char map[] = "10.0.0.0/8 europe\n2001:db8:e::/48 europe\n20.0.0.0/8 asia\n30.0.0.0/8 "
                          "america\n40.0.0.0/8 antarctica\n"
                          "distance europe america 20\ndistance europe asia 30\n"
                          "distance asia america 50\n";

struct world {
    struct maps *maps;
    struct director *director;
    struct director_node_facts edges[EDGES];
    struct latency_table *latencies;
    uint64_t now_ns;
};

static struct address address_of(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(span_text(text), &address), 0);
    return address;
}

static struct maps *maps_of(const char *text)
{
    struct text complaints = {0};
    struct maps_builder *builder = maps_builder_new();
    maps_builder_add(builder, span_text(text), "map");
    struct maps *maps = maps_builder_finish(&builder, &complaints);
    assert_non_null(maps);
    return maps;
}

static struct director_facts facts_of(const struct world *world)
{
    return (struct director_facts){.edges = world->edges,
                                   .latencies = world->latencies,
                                   .now_ns = world->now_ns};
}

static void tick(struct world *world, uint64_t passed_ns, uint32_t budget)
{
    world->now_ns += passed_ns;
    struct director_facts facts = facts_of(world);
    director_tick(world->director, &facts, budget);
}

static void rank(struct world *world)
{
    tick(world, second, DIRECTOR_WHOLE_ROUND);
}

static struct director *director_of(struct world *world, const struct director_site *sites,
                                    size_t site_count)
{
    static const char *const homes[EDGES] = {"europe", "europe", "europe",
                                             "asia",   "asia",   "america"};
    struct address addresses[EDGES][2];
    struct director_edge edges[EDGES];
    for (int i = 0; i < EDGES; i++) {
        char text[32];
        snprintf(text, sizeof text, "198.51.100.%d", i);
        addresses[i][0] = address_of(text);
        snprintf(text, sizeof text, "2001:db8::%d", i);
        addresses[i][1] = address_of(text);
        edges[i] = (struct director_edge){.region = homes[i],
                                          .addresses = addresses[i],
                                          .address_count = i == SEOUL ? 1 : 2};
    }
    struct director_options options = {.maps = world->maps,
                                       .edges = edges,
                                       .edge_count = EDGES,
                                       .sites = sites,
                                       .site_count = site_count};
    return director_new(&options);
}

static const uint32_t all[] = {0, 1, 2, 3, 4, 5}, in_asia[] = {TOKYO, SEOUL};

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){.maps = maps_of(map), .now_ns = 1000 * second};
    const struct director_site sites[SITES] = {
        [SITE_ALL] = {.edges = all, .edge_count = EDGES, .ttl_s = 20, .answers = 3},
        [SITE_TWO_ANSWERS] = {.edges = all, .edge_count = EDGES, .ttl_s = 20, .answers = 2},
        [SITE_ASIA] = {.edges = in_asia, .edge_count = 2, .ttl_s = 5, .answers = 3},
        [SITE_NOWHERE] = {.ttl_s = 20, .answers = 3},
        [SITE_SAME_AS_ALL] = {.edges = all, .edge_count = EDGES, .ttl_s = 20, .answers = 3},
    };
    world.director = director_of(&world, sites, SITES);
    for (int i = 0; i < EDGES; i++)
        world.edges[i].load.load = LOAD_UNKNOWN;
    rank(&world);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    latency_table_free(world->latencies);
    director_free(world->director);
    maps_free(world->maps);
    return 0;
}

static struct dns_addresses find(const struct world *world, uint32_t site, const char *client)
{
    struct address address = address_of(client);
    struct dns_addresses found = {0};
    uint8_t scope_bits;
    assert_true(director_find(world->director, site, &address, address_bits(&address), &found,
                              &scope_bits));
    return found;
}

static uint32_t forsaken(const struct world *world)
{
    struct director_figures figures;
    director_figures(world->director, &figures);
    return figures.forsaken;
}

/* "4: 0 1 2 6: 0 1 2" */
static const char *answer(const struct world *world, uint32_t site, const char *client)
{
    static char text[128];
    struct dns_addresses found = find(world, site, client);
    int length = snprintf(text, sizeof text, "4:");
    for (int i = 0; i < found.ipv4_count; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, " %u", found.ipv4[i][3]);
    length += snprintf(text + length, sizeof text - (size_t)length, " 6:");
    for (int i = 0; i < found.ipv6_count; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, " %u", found.ipv6[i][15]);
    return text;
}

static unsigned first_of(const struct world *world, const char *format, int network)
{
    char client[32];
    snprintf(client, sizeof client, format, network);
    return find(world, SITE_ALL, client).ipv4[0][3];
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
    world->edges[SEOUL].state = DIRECTOR_DEAD;
    rank(world);
    const char *asia = answer(world, SITE_ALL, "20.0.0.1");
    assert_int_equal(asia[3] - '0', TOKYO);
    assert_in_range(asia[5] - '0', PARIS, ROME);
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
    assert_int_equal(find(world, SITE_ASIA, "10.0.0.1").ttl_s, 5);
    struct address client = address_of("10.0.0.1");
    struct dns_addresses found;
    uint8_t scope_bits;
    assert_false(director_find(world->director, SITES, &client, 32, &found, &scope_bits));
}

/* Resolvers take turns among what they get: two near ones are enough, and a far one is there only to make two. */
static void R5_a_third_answer_is_near_or_none(void **state)
{
    struct world *world = *state;
    const char *asia = answer(world, SITE_ALL, "20.0.0.1"); /* one of the two has no IPv6 */
    assert_true(strncmp(asia, "4: 3 4 6: 3 ", 12) == 0 || strncmp(asia, "4: 4 3 6: 3 ", 12) == 0);
    assert_in_range(asia[12] - '0', PARIS, ROME);
    assert_int_equal(asia[13], 0);
    world->edges[LIMA].state = DIRECTOR_DEAD;  /* 20 from europe is near, 30 is far */
    world->edges[PARIS].state = DIRECTOR_DEAD; /* in the very next answer, before any ranking */
    tick(world, second / 40, 0);
    assert_int_equal(strlen(answer(world, SITE_ALL, "10.0.0.1")), strlen("4: 1 2 6: 1 2"));
    world->edges[LYON].state = DIRECTOR_DEAD;
    tick(world, second / 40, 0);
    const char *europe = answer(world, SITE_ALL, "10.0.0.1");
    assert_int_equal(strlen(europe), strlen("4: 2 3 6: 2 3"));
    assert_int_equal(europe[3] - '0', ROME);
    world->edges[PARIS].state = DIRECTOR_FULL; /* in no answer that has two without it */
    world->edges[LYON].state = DIRECTOR_UP;
    rank(world);
    assert_int_equal(strlen(answer(world, SITE_ALL, "10.0.0.1")), strlen("4: 1 2 6: 1 2"));
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
    world->edges[LYON].state = DIRECTOR_DEAD;
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
    world->edges[LYON].state = DIRECTOR_UP;
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
        world->edges[TOKYO].state = state_cases[i].states[0];
        world->edges[SEOUL].state = state_cases[i].states[1];
        rank(world);
        assert_string_equal(answer(world, SITE_ASIA, "20.0.0.1"), state_cases[i].expected);
        assert_int_equal(forsaken(world), state_cases[i].forsaken);
    }
}

/* Three deaths in a row damp an edge; that it was not there at first is none of them. */
static void R8_an_edge_that_was_only_presumed_to_live_has_not_died(void **state)
{
    struct world *world = *state;
    for (int heard = 1; heard >= 0; heard--) {
        int edge = heard ? TOKYO : SEOUL;
        world->edges[edge].is_presumed = !heard;
        rank(world);
        for (int deaths = 0; deaths < 3; deaths++) {
            world->edges[edge].state = DIRECTOR_DEAD;
            rank(world);
            world->edges[edge] =
                (struct director_node_facts){.state = DIRECTOR_UP, .load = {.load = LOAD_UNKNOWN}};
            rank(world);
        }
        struct director_figures figures;
        director_figures(world->director, &figures);
        assert_int_equal(figures.suppressed, 1); /* the one that was heard of */
    }
    assert_string_equal(answer(world, SITE_ASIA, "20.0.0.1"), "4: 4 6:");
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
    enum { MANY = DIRECTOR_ROWS_LIMIT / 4 };
    struct director_site *sites = calloc(MANY, sizeof *sites);
    for (uint32_t i = 0; i < MANY; i++)
        sites[i] = (struct director_site){
            .edges = all, .edge_count = 1, .ttl_s = i, .answers = 2, .has_inventory = true};
    assert_null(director_of(world, sites, MANY)); /* five regions and the one outside */
    struct director *director = director_of(world, sites, 100000); /* fits with fewer classes */
    assert_non_null(director);
    director_free(world->director);
    world->director = director;
    rank(world);
    assert_int_equal(find(world, 99999, "10.0.0.1").ttl_s, 99999);
    free(sites);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(R1_near_edges_come_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R5_two_or_three_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R5_a_third_answer_is_near_or_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R5_networks_are_spread_and_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R8_only_the_clients_of_a_dead_edge_move, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R8_states_decide_who_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R8_an_edge_that_was_only_presumed_to_live_has_not_died,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(clients_of_no_region_get_any, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_table_that_is_too_large_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("director/director", tests, NULL, NULL);
}
