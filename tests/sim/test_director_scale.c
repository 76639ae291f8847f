/* SPDX-License-Identifier: Apache-2.0
 *
 * The director at its size: every ranking is made anew in time, by ticks of bounded work, and a death does not wait for them. Work is
 * counted in candidates; with "full" as argument at the size of the requirement, and the processor's time is told as well.
 */
#include "director/director.h"

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static const uint64_t second = 1000000000;

static struct scale {
    uint32_t edges, networks, sites, measured; /* edges of each network */
} scale = {200, 1000, 20, 20};
static bool is_timed;

struct world {
    struct maps *maps;
    struct director *director;
    struct director_node_facts *edges;
    struct latency_table *latencies;
    uint64_t now_ns;
    uint32_t evaluated_most;
    double cpu_most_ms, cpu_ms;
};

static struct address client_of(uint32_t network)
{
    return (struct address){.bytes = {20, (uint8_t)(network >> 8), (uint8_t)network, 1},
                            .family = 4};
}

static double cpu_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void tick(struct world *world, uint64_t passed_ns, uint32_t budget)
{
    world->now_ns += passed_ns;
    const struct director_facts facts = {.edges = world->edges,
                                         .latencies = world->latencies,
                                         .now_ns = world->now_ns};
    double before_ms = is_timed ? cpu_now_ms() : 0;
    director_tick(world->director, &facts, budget);
    double took_ms = is_timed ? cpu_now_ms() - before_ms : 0;
    struct director_figures figures;
    director_figures(world->director, &figures);
    if (budget == DIRECTOR_WHOLE_ROUND)
        return;
    if (figures.evaluated_last > world->evaluated_most)
        world->evaluated_most = figures.evaluated_last;
    world->cpu_ms += took_ms;
    if (took_ms > world->cpu_most_ms)
        world->cpu_most_ms = took_ms;
}

/* Each site has its own list of edges: nine of ten. */
static void make_director(struct world *world, struct random *random)
{
    struct director_edge *edges = calloc(scale.edges, sizeof *edges);
    struct address *addresses = calloc(scale.edges, sizeof *addresses);
    struct director_site *sites = calloc(scale.sites, sizeof *sites);
    uint32_t *numbers = calloc((size_t)scale.sites * scale.edges, sizeof *numbers);
    for (uint32_t i = 0; i < scale.edges; i++) {
        addresses[i] =
            (struct address){.bytes = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .family = 4};
        edges[i] = (struct director_edge){.region = "world",
                                          .addresses = &addresses[i],
                                          .address_count = 1};
    }
    for (uint32_t site = 0; site < scale.sites; site++) {
        uint32_t *list = &numbers[site * scale.edges], count = 0;
        for (uint32_t i = 0; i < scale.edges; i++)
            if (random_below(random, 10))
                list[count++] = i;
        sites[site] =
            (struct director_site){.edges = list, .edge_count = count, .ttl_s = 20, .answers = 3};
    }
    const struct director_options options = {.maps = world->maps,
                                             .edges = edges,
                                             .edge_count = scale.edges,
                                             .sites = sites,
                                             .site_count = scale.sites};
    world->director = director_new(&options);
    assert_non_null(world->director);
    free(edges);
    free(addresses);
    free(sites);
    free(numbers);
}

static void make_world(struct world *world)
{
    struct random random;
    random_seed(&random, 1);
    *world =
        (struct world){.edges = calloc(scale.edges, sizeof *world->edges), .now_ns = 1000 * second};
    struct maps_builder *builder = maps_builder_new();
    struct text complaints = {0};
    maps_builder_add(builder, SPAN("20.0.0.0/8 world\n"), "map");
    world->maps = maps_builder_finish(&builder, &complaints);
    world->latencies = latency_table_new(scale.networks * scale.measured, 1);
    make_director(world, &random);
    for (uint32_t i = 0; i < scale.edges; i++)
        world->edges[i].load.load = LOAD_UNKNOWN;
    for (uint32_t network = 0; network < scale.networks; network++) {
        struct address client = client_of(network);
        for (uint32_t i = 0; i < scale.measured; i++)
            latency_table_put(world->latencies, &client,
                              (uint32_t)random_below(&random, scale.edges), LATENCY_PASSIVE,
                              (uint32_t)(10000 + random_below(&random, 100000)), 8, false,
                              world->now_ns);
    }
    for (int i = 0; i < 3; i++)
        tick(world, 10 * second, DIRECTOR_WHOLE_ROUND);
}

static void clear_world(struct world *world)
{
    director_free(world->director);
    latency_table_free(world->latencies);
    maps_free(world->maps);
    free(world->edges);
}

static void R7_rankings_are_made_anew_in_time_by_bounded_ticks(void **state)
{
    (void)state;
    struct world world;
    make_world(&world);
    struct director_figures figures;
    director_figures(world.director, &figures);
    assert_true(figures.networks > scale.networks * 9 / 10);
    uint64_t oldest_ns = 0;
    int ticks = 0;
    for (uint64_t at_ns = 0; at_ns < 12 * second; at_ns += DIRECTOR_TICK_NS, ticks++) {
        tick(&world, DIRECTOR_TICK_NS, DIRECTOR_BUDGET);
        director_figures(world.director, &figures);
        if (at_ns > 5 * second && world.now_ns - figures.oldest_ns > oldest_ns)
            oldest_ns = world.now_ns - figures.oldest_ns;
    }
    print_message(
        "%u edges, %u networks, %u sites: %u rows, %.0f MB; a round in %.2f s, the oldest "
        "ranking %.2f s; at most %u candidates in a tick\n",
        scale.edges, scale.networks, scale.sites, figures.rows, (double)figures.bytes / 1e6,
        (double)figures.round_ns / 1e9, (double)oldest_ns / 1e9, world.evaluated_most);
    if (is_timed)
        print_message("a tick takes %.2f ms of the processor, %.2f at most\n", world.cpu_ms / ticks,
                      world.cpu_most_ms);
    assert_true(oldest_ns <= 5 * second);
    assert_true(world.evaluated_most <= DIRECTOR_BUDGET + DIRECTOR_BUDGET / 10);
    clear_world(&world);
}

static bool is_answered(const struct world *world, uint32_t site, uint32_t network, uint32_t edge)
{
    struct address client = client_of(network);
    struct dns_addresses found;
    uint8_t scope_bits;
    assert_true(director_find(world->director, site, &client, 32, &found, &scope_bits));
    assert_in_range(found.ipv4_count, 2, 3); /* a third one only where it is near */
    for (int i = 0; i < found.ipv4_count; i++)
        if (((uint32_t)found.ipv4[i][2] << 8 | found.ipv4[i][3]) == edge)
            return true;
    return false;
}

static uint32_t count_answers(const struct world *world, uint32_t edge)
{
    uint32_t count = 0;
    for (uint32_t network = 0; network < scale.networks; network += 1 + scale.networks / 1000)
        for (uint32_t site = 0; site < scale.sites; site++)
            count += is_answered(world, site, network, edge);
    return count;
}

/* A tick without any budget for rankings is enough; a third of all edges die one after the other. */
static void R8_a_death_is_in_every_answer_at_the_next_tick(void **state)
{
    (void)state;
    struct world world;
    make_world(&world);
    uint32_t answers = 0;
    for (uint32_t edge = 0; edge < scale.edges; edge += scale.edges / 16) {
        answers += count_answers(&world, edge);
        world.edges[edge].state = DIRECTOR_DEAD;
        tick(&world, second / 100, 0);
        assert_int_equal(count_answers(&world, edge), 0);
    }
    assert_true(answers > 0);
    clear_world(&world);
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "full") == 0) {
        scale = (struct scale){1000, 10000, 100, 100};
        is_timed = true;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R7_rankings_are_made_anew_in_time_by_bounded_ticks),
        cmocka_unit_test(R8_a_death_is_in_every_answer_at_the_next_tick),
    };
    return cmocka_run_group_tests_name("sim/director_scale", tests, NULL, NULL);
}
