/* SPDX-License-Identifier: Apache-2.0 */
#include "director/director.h"

#include <math.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* Edge i answers 198.51.100.i; 10.0.0.0/24 is measured: 20, 40, 60, 80 ms. */
enum { NEAR, SECOND, THIRD, FAR, EDGES };
static const uint64_t second = 1000000000;

struct world {
    struct maps *maps;
    struct director *director;
    struct director_node_facts edges[EDGES];
    struct latency_table *latencies;
    uint64_t now_ns;
};

static struct director_facts facts_of(const struct world *world)
{
    return (struct director_facts){.edges = world->edges,
                                   .latencies = world->latencies,
                                   .now_ns = world->now_ns};
}

static void tick(struct world *world, uint64_t passed_ns, uint32_t budget)
{
    world->now_ns += passed_ns;
    const struct director_facts facts = facts_of(world);
    director_tick(world->director, &facts, budget);
}

static const struct address client = {.bytes = {10, 0, 0, 1}, .family = 4};

/* `apart_us` is the difference between their round trips; 0: nothing tells them apart. */
static void make_apart(struct world *world, const char *policy_text, uint8_t floor_percent,
                       bool fails_closed, uint32_t apart_us)
{
    *world = (struct world){.now_ns = 1000 * second, .latencies = latency_table_new(100, 1)};
    struct text complaint = {0};
    struct maps_builder *builder = maps_builder_new();
    maps_builder_add(builder, SPAN("10.0.0.0/8 home\nregion home at 50,8\n"), "map");
    world->maps = maps_builder_finish(&builder, &complaint);
    struct director_policy policy;
    assert_true(director_policy_parse(span_text(policy_text), &policy, &complaint));
    struct address addresses[EDGES];
    struct director_edge edges[EDGES];
    uint32_t numbers[EDGES];
    for (uint32_t i = 0; i < EDGES; i++) {
        addresses[i] = (struct address){.bytes = {198, 51, 100, (uint8_t)i}, .family = 4};
        edges[i] = (struct director_edge){.region = i == SECOND && apart_us ? "home" : NULL,
                                          .addresses = &addresses[i],
                                          .address_count = 1,
                                          .cost = 1000 - 100 * i};
        numbers[i] = i;
        world->edges[i].load = (struct director_load){.taken_ns = world->now_ns,
                                                      .load = LOAD_UNKNOWN,
                                                      .connections = 100 * (EDGES - i)};
        latency_table_put(world->latencies, &client, i, LATENCY_PASSIVE, 20000 + apart_us * i, 60,
                          false, world->now_ns);
    }
    const struct director_site site = {.edges = numbers,
                                       .edge_count = EDGES,
                                       .ttl_s = 20,
                                       .answers = 2,
                                       .policy = &policy,
                                       .floor_percent = floor_percent,
                                       .fails_closed = fails_closed};
    const struct director_options options = {
        .maps = world->maps, .edges = edges, .edge_count = EDGES, .sites = &site, .site_count = 1};
    world->director = director_new(&options);
    for (int i = 0; i < 3; i++) /* longer than patience */
        tick(world, 11 * second, DIRECTOR_WHOLE_ROUND);
}

static void make(struct world *world, const char *policy_text, uint8_t floor_percent,
                 bool fails_closed)
{
    make_apart(world, policy_text, floor_percent, fails_closed, 20000);
}

static void clear(struct world *world)
{
    director_free(world->director);
    latency_table_free(world->latencies);
    maps_free(world->maps);
}

/* The last bytes of the addresses, as digits; -1: no answer. */
static int answer(const struct world *world)
{
    struct dns_addresses found = {0};
    uint8_t scope_bits;
    if (!director_find(world->director, 0, &client, 32, &found, &scope_bits))
        return -1;
    int digits = 0;
    for (int i = 0; i < found.ipv4_count; i++)
        digits = digits * 10 + found.ipv4[i][3];
    return digits;
}

/* Round trips of equal edges, which swing a little. */
static void measure_equals(struct world *world, uint32_t swing)
{
    for (uint32_t i = 0; i < EDGES; i++)
        latency_table_put(world->latencies, &client, i, LATENCY_PASSIVE,
                          20000 + (i + swing) % EDGES * 400, 60, false, world->now_ns);
}

static void live(struct world *world, uint32_t swing, int ticks)
{
    for (int i = 0; i < ticks; i++) {
        measure_equals(world, swing);
        tick(world, 10 * second, DIRECTOR_WHOLE_ROUND);
    }
}

static void R6_equals_that_swing_keep_their_clients(void **state)
{
    (void)state;
    for (uint32_t swing = 0; swing < EDGES; swing++) {
        struct world world;
        make_apart(&world, "best", 0, false, 0);
        for (int i = 0; i < EDGES; i++)
            world.edges[i].load.load = 100;
        live(&world, 0, 1);
        int before = answer(&world), first = before / 10;
        live(&world, swing, 30);
        assert_int_equal(answer(&world), before);
        world.edges[first].load.load = 1500; /* it gives clients away */
        live(&world, swing, 40);
        assert_int_not_equal(answer(&world) / 10, first);
        world.edges[first].load.load =
            100; /* and gets them back, whatever the order of scores is now */
        live(&world, swing, 60);
        assert_int_equal(answer(&world), before);
        clear(&world);
    }
}

static const struct {
    const char *policy;
    int answer;
} policies[] = {
    {"", 1},
    {"best", 1},
    {"sum latency", 1},
    {"product latency", 1},
    {"fewest-connections", 32},
    {"cheapest", 32},
    {"sort cost | sort latency", 1},
    {"sum latency cost*60", 32},
    {"filter connections < 250 | sort latency", 23},
    {"filter region | sort latency", SECOND}, /* alone */
    {"filter latency > 50 | sum latency", 23},
    {"filter connections < 1 | sort latency", 1}, /* nobody passes: passed over */
    {"sort latency | take 3 | sort connections", 21},
    {"sort latency | take 1", 0},
};

static void R6_policies_decide(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        struct world world;
        make(&world, policies[i].policy, 0, false);
        assert_int_equal(answer(&world), policies[i].answer);
        clear(&world);
    }
}

static const struct {
    const char *policy, *complaint;
} wrong[] = {
    {"sum latncy", "\"latncy\" is no component; did you mean \"latency\"?"},
    {"sume latency", "\"sume\" is no step of a policy, nor one's name; did you mean \"sum\"?"},
    {"neerest", "\"neerest\" is no step of a policy, nor one's name; did you mean \"nearest\"?"},
    {"sum latency*x", "\"x\" is not a number"},
    {"filter load", "\"load\" is no filter such as \"load < 900\" or \"region\""},
    {"filter load < 900", "\"filter load < 900\" puts edges in no order: it needs a sum, product "
                          "or sort"},
    {"take 3 | sort latency", "\"take\" needs an order: put a sort or sum before it"},
    {"sum latency | product load", "\"sum\" or product may stand once"},
    {"sort latency | take 0", "\"0\" leaves nobody"},
    {"sort latency load", "\"load\" is too much in this step"},
};

static void R6_mistakes_in_policies_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct director_policy policy;
        struct text complaint = {0};
        assert_false(director_policy_parse(span_text(wrong[i].policy), &policy, &complaint));
        assert_string_equal(complaint.data, wrong[i].complaint);
        text_clear(&complaint);
    }
    const char *name, *text;
    for (size_t i = 0; director_policy_builtin(i, &name, &text); i++) {
        struct director_policy policy;
        struct text complaint = {0};
        assert_true(director_policy_parse(span_text(name), &policy, &complaint));
    }
}

static void R8_a_floor_brings_the_least_bad_back(void **state)
{
    (void)state;
    struct world world;
    make(&world, "best", 50, false);
    static const uint32_t deaths[] = {THIRD, NEAR, SECOND};
    for (size_t i = 0; i < 3; i++) {
        world.edges[deaths[i]].state = DIRECTOR_DEAD;
        tick(&world, second, 0);
    }
    assert_int_equal(answer(&world), 31); /* one of them, behind the good one: the last to die */
    clear(&world);
    make(&world, "best", 0, false);
    for (size_t i = 0; i < 3; i++)
        world.edges[deaths[i]].state = DIRECTOR_DEAD;
    tick(&world, second, 0);
    assert_int_equal(answer(&world), FAR);
    clear(&world);
}

static void R8_sites_fail_open_or_closed(void **state)
{
    (void)state;
    for (int fails_closed = 0; fails_closed < 2; fails_closed++) {
        struct world world;
        make(&world, "best", 0, fails_closed);
        for (int i = 0; i < EDGES; i++)
            world.edges[i].state = DIRECTOR_DEAD;
        tick(&world, second, 0);
        assert_int_equal(answer(&world), fails_closed ? -1 : 1);
        world.edges[FAR].state = DIRECTOR_DRAINING;
        tick(&world, second, 0);
        assert_int_equal(answer(&world), FAR);
        clear(&world);
    }
}

static void R7_good_enough_ends_the_search(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        uint32_t evaluated;
        bool was_cut_short;
    } cases[] = {{"sum latency", 4, false},
                 {"enough 70 | sum latency", 3, true},
                 {"enough 30 | sum latency", 4, false},
                 {"most 2 | sum latency", 2, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world world;
        make(&world, cases[i].policy, 0, false);
        const struct director_facts facts = facts_of(&world);
        struct director_explanation *why =
            director_explain(world.director, &facts, 0, &client, NULL);
        assert_int_equal(why->evaluated, cases[i].evaluated);
        assert_int_equal(why->was_cut_short, cases[i].was_cut_short);
        assert_int_equal(answer(&world), 1);
        director_explanation_free(why);
        clear(&world);
    }
}

static void R6_explanations_say_what_is_answered_and_why(void **state)
{
    (void)state;
    struct world world;
    make(&world, "filter connections < 350 | sum latency cost*2", 0, false);
    const struct director_facts facts = facts_of(&world);
    struct director_explanation *why = director_explain(world.director, &facts, 0, &client, NULL);
    assert_true(why->is_measured);
    assert_int_equal(why->answered_count, 2);
    assert_int_equal(why->answered[0] * 10 + why->answered[1], answer(&world));
    assert_int_equal(why->candidate_count, EDGES);
    assert_int_equal(why->candidates[0].edge, SECOND);
    assert_int_equal(why->candidates[0].fate, DIRECTOR_FATE_ANSWERED);
    const struct director_value *latency = &why->candidates[0].values[DIRECTOR_LATENCY];
    assert_true(fabsf(latency->value - 40) < 2 && latency->source == DIRECTOR_FROM_PASSIVE);
    assert_true(latency->confidence > 0.9f && latency->age_ns == 33 * second);
    const struct director_value *cost = &why->candidates[0].values[DIRECTOR_COST];
    assert_true(cost->value == 900 && cost->weighted == 18);
    assert_true(fabsf(why->candidates[0].score - latency->weighted - cost->weighted) < 0.01f);
    for (size_t i = 0; i < why->candidate_count; i++)
        if (why->candidates[i].edge == NEAR) {
            assert_int_equal(why->candidates[i].fate, DIRECTOR_FATE_FILTERED);
            assert_int_equal(why->candidates[i].filter, 0);
        }
    director_explanation_free(why);
    const struct director_what_if dead = {.edge = SECOND,
                                          .has_state = true,
                                          .state = DIRECTOR_DEAD};
    const struct director_supposition supposed = {.what_ifs = &dead, .count = 1};
    why = director_explain(world.director, &facts, 0, &client, &supposed);
    assert_int_equal(why->answered[0], THIRD);
    director_explanation_free(why);
    assert_int_equal(answer(&world) / 10, SECOND); /* nothing happened */
    clear(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R6_policies_decide),
        cmocka_unit_test(R6_equals_that_swing_keep_their_clients),
        cmocka_unit_test(R6_mistakes_in_policies_are_told),
        cmocka_unit_test(R8_a_floor_brings_the_least_bad_back),
        cmocka_unit_test(R8_sites_fail_open_or_closed),
        cmocka_unit_test(R7_good_enough_ends_the_search),
        cmocka_unit_test(R6_explanations_say_what_is_answered_and_why),
    };
    return cmocka_run_group_tests_name("director/policy", tests, NULL, NULL);
}
