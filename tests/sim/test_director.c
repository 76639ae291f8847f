/* SPDX-License-Identifier: Apache-2.0
 *
 * The director on a made-up Internet (geography.h): how good its answers are beside those of a map alone, and how quiet. With
 * "full" as argument at the size of the requirement; without, at one that fits into every `make test`.
 */
#include "director/director.h"
#include "geography.h"

#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static const uint64_t second = 1000000000;

/* What is measured of 100,000 networks does not fit into one table: they come in batches, as networks come and go. */
static struct scale {
    uint32_t edges, networks, batch;
} scale = {1000, 1000, 500};
enum { MEASURED_PERCENT = 30, SAMPLES = 8 };

struct world {
    struct geography *geography;
    struct maps *maps;
    struct director *director;
    struct director_node_facts *edges;
    struct latency_table *latencies;
    uint64_t now_ns;
};

static struct director *make_director(const struct world *world, uint32_t edge_count,
                                      uint32_t networks_limit)
{
    struct director_edge *edges = calloc(edge_count, sizeof *edges);
    struct address *addresses = calloc(edge_count, sizeof *addresses);
    struct maps_point *points = calloc(edge_count, sizeof *points);
    uint32_t *numbers = calloc(edge_count, sizeof *numbers);
    for (uint32_t i = 0; i < edge_count; i++) {
        addresses[i] =
            (struct address){.bytes = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .family = 4};
        points[i] = geography_edge(world->geography, i);
        numbers[i] = i;
        edges[i] = (struct director_edge){.addresses = &addresses[i],
                                          .address_count = 1,
                                          .point = &points[i]};
    }
    const struct director_site site = {
        .edges = numbers, .edge_count = edge_count, .ttl_s = 20, .answers = 3};
    const struct director_options options = {.maps = world->maps,
                                             .edges = edges,
                                             .edge_count = edge_count,
                                             .sites = &site,
                                             .site_count = 1,
                                             .tuning.networks_limit = networks_limit};
    struct director *director = director_new(&options);
    assert_non_null(director);
    free(edges);
    free(addresses);
    free(points);
    free(numbers);
    return director;
}

static void make_world(struct world *world, uint64_t seed, uint32_t edges, uint32_t networks,
                       uint32_t batch)
{
    *world = (struct world){.geography = geography_new(seed, edges, networks),
                            .edges = calloc(edges, sizeof *world->edges),
                            .now_ns = 1000 * second};
    world->maps = geography_maps(world->geography);
    world->latencies =
        latency_table_new(edges * batch < LATENCY_ROWS_LIMIT ? edges * batch : LATENCY_ROWS_LIMIT,
                          seed);
    world->director = make_director(world, edges, 4 * batch);
    for (uint32_t i = 0; i < edges; i++)
        world->edges[i].load.load = LOAD_UNKNOWN;
}

static void clear_world(struct world *world)
{
    director_free(world->director);
    latency_table_free(world->latencies);
    maps_free(world->maps);
    geography_free(world->geography);
    free(world->edges);
}

static void tick(struct world *world, uint64_t passed_ns, uint32_t budget)
{
    world->now_ns += passed_ns;
    const struct director_facts facts = {.edges = world->edges,
                                         .latencies = world->latencies,
                                         .now_ns = world->now_ns};
    director_tick(world->director, &facts, budget);
}

static void measure(struct world *world, uint32_t network, uint32_t edges, uint32_t round)
{
    struct address client = geography_client(network);
    for (uint32_t i = 0; i < edges; i++) {
        if (!geography_is_measured(world->geography, network, i, MEASURED_PERCENT))
            continue;
        float ms = geography_measured_ms(world->geography, network, i, round);
        latency_table_put(world->latencies, &client, i, LATENCY_PASSIVE, (uint32_t)(ms * 1000),
                          SAMPLES, false, world->now_ns);
    }
}

static uint32_t first_edge(const struct world *world, uint32_t network)
{
    struct address client = geography_client(network);
    struct dns_addresses found;
    uint8_t scope_bits;
    assert_true(director_find(world->director, 0, &client, 32, &found, &scope_bits) &&
                found.ipv4_count);
    assert_int_equal(scope_bits, 24);
    return (uint32_t)found.ipv4[0][2] << 8 | found.ipv4[0][3];
}

/* ---- how good */

static int compare(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static float quantile(float *values, uint32_t count, double at)
{
    qsort(values, count, sizeof *values, compare);
    return values[(uint32_t)(at * (count - 1))];
}

static void R6_measurements_beat_the_map(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1, scale.edges, scale.networks, scale.batch);
    float *ours = calloc(scale.networks, sizeof *ours), *map = calloc(scale.networks, sizeof *map);
    for (uint32_t from = 0; from < scale.networks; from += scale.batch) {
        for (uint32_t i = from; i < from + scale.batch; i++)
            measure(&world, i, scale.edges, 0);
        tick(&world, second, DIRECTOR_WHOLE_ROUND); /* learns */
        tick(&world, second, DIRECTOR_WHOLE_ROUND);
        tick(&world, 10 * second, DIRECTOR_WHOLE_ROUND); /* the challengers of before have waited */
        for (uint32_t i = from; i < from + scale.batch; i++) {
            float best = geography_rtt_ms(world.geography, i, geography_best(world.geography, i));
            ours[i] = geography_rtt_ms(world.geography, i, first_edge(&world, i)) - best;
            map[i] =
                geography_rtt_ms(world.geography, i, geography_nearest(world.geography, i)) - best;
        }
        while (latency_table_expire(world.latencies, UINT64_MAX))
            continue;
    }
    float ours_median = quantile(ours, scale.networks, 0.5),
          map_median = quantile(map, scale.networks, 0.5);
    float ours_p95 = quantile(ours, scale.networks, 0.95),
          map_p95 = quantile(map, scale.networks, 0.95);
    struct director_figures figures;
    director_figures(world.director, &figures);
    print_message("excess over the best of %u edges, %u networks, ms: median %.2f (map %.2f), "
                  "p95 %.2f (map %.2f); director %.1f MB\n",
                  scale.edges, scale.networks, (double)ours_median, (double)map_median,
                  (double)ours_p95, (double)map_p95, (double)figures.bytes / 1e6);
    assert_true(ours_median <= map_median / 2);
    assert_true(ours_p95 <= map_p95 / 3);
    free(ours);
    free(map);
    clear_world(&world);
}

/* ---- how quiet */

enum { QUIET_EDGES = 60, QUIET_NETWORKS = 300 };

/* An hour in which everything is measured anew, with noise, every minute. */
static void R6_noise_moves_few(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 2, QUIET_EDGES, QUIET_NETWORKS, QUIET_NETWORKS);
    uint32_t before[QUIET_NETWORKS], moves = 0;
    for (uint32_t at_s = 0; at_s < 3600 + 600; at_s += 10) {
        for (uint32_t i = at_s % 60 / 10; i < QUIET_NETWORKS; i += 6)
            measure(&world, i, QUIET_EDGES, at_s / 60);
        tick(&world, 10 * second, DIRECTOR_WHOLE_ROUND);
        for (uint32_t i = 0; i < QUIET_NETWORKS; i++) {
            uint32_t now = first_edge(&world, i);
            moves += at_s > 600 && now != before[i];
            before[i] = now;
        }
    }
    print_message("%u moves of %u networks in an hour\n", moves, QUIET_NETWORKS);
    assert_true(moves < QUIET_NETWORKS / 4);
    clear_world(&world);
}

/* ---- flapping */

/* Everything measured, and each network where it stays. */
static void make_settled(struct world *world, uint64_t seed, uint32_t edges, uint32_t networks)
{
    make_world(world, seed, edges, networks, networks);
    for (uint32_t i = 0; i < networks; i++)
        measure(world, i, edges, 0);
    for (int i = 0; i < 4; i++)
        tick(world, 10 * second, DIRECTOR_WHOLE_ROUND);
}

static void R8_a_flapping_edge_does_not_flap_answers(void **state)
{
    (void)state;
    struct world world;
    make_settled(&world, 3, QUIET_EDGES, QUIET_NETWORKS);
    uint32_t before[QUIET_NETWORKS], counts[QUIET_EDGES] = {0}, busiest = 0, moves = 0, late = 0;
    for (uint32_t i = 0; i < QUIET_NETWORKS; i++)
        counts[before[i] = first_edge(&world, i)]++;
    for (uint32_t i = 0; i < QUIET_EDGES; i++)
        busiest = counts[i] > counts[busiest] ? i : busiest;
    for (uint32_t at_s = 0; at_s < 600; at_s++) {
        measure(&world, at_s % QUIET_NETWORKS, QUIET_EDGES, 0);
        world.edges[busiest].state = at_s / 5 % 2 ? DIRECTOR_UP : DIRECTOR_DEAD;
        tick(&world, second, DIRECTOR_BUDGET);
        for (uint32_t i = 0; i < QUIET_NETWORKS; i++) {
            uint32_t now = first_edge(&world, i);
            assert_false(now == busiest && world.edges[busiest].state == DIRECTOR_DEAD);
            moves += now != before[i];
            late += at_s >= 60 && now != before[i];
            before[i] = now;
        }
    }
    print_message("%u networks of a flapping edge moved %u times in 10 minutes, %u after the first "
                  "one; undamped %u\n",
                  counts[busiest], moves, late, counts[busiest] * 120);
    assert_true(moves <= counts[busiest] * 8 && late <= counts[busiest]);
    clear_world(&world);
}

/* ---- overload */

enum { SHED_NETWORKS = 1200, SHED_EDGES = 12, TTL_S = 20 };

/* Visitors follow answers when their resolver asks again; connections end and begin in some seconds. */
struct crowd {
    uint32_t at[SHED_NETWORKS], counts[SHED_EDGES];
    uint32_t hot, natural; /* the edge that most like best, and how many do */
    uint32_t moves;
    float capacity, load; /* of the hot edge, in networks */
};

static void make_crowd(struct world *world, struct crowd *crowd)
{
    *crowd = (struct crowd){0};
    make_settled(world, 4, SHED_EDGES, SHED_NETWORKS);
    for (uint32_t i = 0; i < SHED_NETWORKS; i++)
        crowd->counts[crowd->at[i] = first_edge(world, i)]++;
    for (uint32_t i = 0; i < SHED_EDGES; i++)
        crowd->hot = crowd->counts[i] > crowd->counts[crowd->hot] ? i : crowd->hot;
    crowd->natural = crowd->counts[crowd->hot];
    crowd->capacity = (float)crowd->natural * 0.6f;
}

static void live(struct world *world, struct crowd *crowd, uint32_t at_s, float busy)
{
    for (uint32_t i = at_s % TTL_S; i < SHED_NETWORKS; i += TTL_S) {
        uint32_t now = first_edge(world, i);
        measure(world, i, SHED_EDGES, 0);
        crowd->moves += now != crowd->at[i];
        crowd->counts[crowd->at[i]]--;
        crowd->counts[crowd->at[i] = now]++;
    }
    crowd->load += ((float)crowd->counts[crowd->hot] * busy - crowd->load) / 5;
    for (uint32_t i = 0; i < SHED_EDGES; i++)
        world->edges[i].load.load = 300;
    world->edges[crowd->hot].load.load = (uint16_t)(crowd->load / crowd->capacity * 1000);
    tick(world, second, DIRECTOR_BUDGET);
}

/* In ten minutes all visitors become three times as busy, until the edge could carry 60 % of them. */
static void R6_an_edge_that_fills_up_sheds_smoothly(void **state)
{
    (void)state;
    struct world world;
    struct crowd crowd;
    make_crowd(&world, &crowd);
    float most = 0;
    for (uint32_t at_s = 0; at_s < 1200; at_s++) {
        live(&world, &crowd, at_s, fminf(1, 0.33f + (float)at_s / 900));
        most = fmaxf(most, crowd.load / crowd.capacity);
    }
    print_message("natural load 1.67: %.2f at the most, %.2f at last; %u moves of %u networks\n",
                  (double)most, (double)(crowd.load / crowd.capacity), crowd.moves, crowd.natural);
    assert_true(most < 1.0f && crowd.load / crowd.capacity > 0.75f);
    assert_true(crowd.moves <= crowd.natural * 3 / 2); /* hardly more than have to go */
    /* they calm down, and their visitors come back slowly */
    uint32_t before = crowd.counts[crowd.hot], after_minute = 0;
    for (uint32_t at_s = 0; at_s < 900; at_s++) {
        live(&world, &crowd, at_s, 0.33f);
        if (at_s == 60)
            after_minute = crowd.counts[crowd.hot];
    }
    assert_true(after_minute - before < (crowd.natural - before));
    assert_true(director_edge_share(world.director, crowd.hot) >= 0.99f);
    clear_world(&world);
}

/* All at once: it is full, and gets nobody; then it finds its share without swinging. */
static void R6_a_sudden_crowd_settles(void **state)
{
    (void)state;
    struct world world;
    struct crowd crowd;
    make_crowd(&world, &crowd);
    crowd.load = (float)crowd.natural;
    float least = INFINITY, most = 0;
    for (uint32_t at_s = 0; at_s < 900; at_s++) {
        live(&world, &crowd, at_s, 1);
        if (at_s >= 180) {
            least = fminf(least, crowd.load / crowd.capacity);
            most = fmaxf(most, crowd.load / crowd.capacity);
        }
    }
    print_message("a load of 1.67 at once: from %.2f to %.2f after 3 minutes\n", (double)least,
                  (double)most);
    assert_true(least > 0.75f && most < 1.0f);
    clear_world(&world);
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "full") == 0)
        scale = (struct scale){1000, 100000, 10000};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R6_measurements_beat_the_map),
        cmocka_unit_test(R6_noise_moves_few),
        cmocka_unit_test(R8_a_flapping_edge_does_not_flap_answers),
        cmocka_unit_test(R6_an_edge_that_fills_up_sheds_smoothly),
        cmocka_unit_test(R6_a_sudden_crowd_settles),
    };
    return cmocka_run_group_tests_name("sim/director", tests, NULL, NULL);
}
