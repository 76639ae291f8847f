/* SPDX-License-Identifier: Apache-2.0 */
#include "director/director.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
// clang-format on

/* The worked example: content servers in New York and San Jose, borders there and in Los Angeles; the client came in by New York.
 *
 *     ping of ny 200 ms: 100 one way       ny      2 x 100 + 0 + 100 + 0            = 300
 *             la 215:    215 - 100 - 35    sj-la   2 x 80 + 2 x 5 + 100 + 35        = 305
 *             sj 225:    225 - 100 - 38    sj-sj   2 x 87 + 0 + 100 + 38            = 312
 */
enum { NY, SJ, PLACES };
enum { BORDER_NY, BORDER_LA, BORDER_SJ, BORDERS };
enum { MS = 1000 };

static const uint32_t internal[PLACES][BORDERS] = {
    {0, 35 * MS, 38 * MS},
    {38 * MS, 5 * MS, 0},
};
static const uint32_t between[BORDERS][BORDERS] = {{0, 35 * MS, 38 * MS},
                                                   {35 * MS, 0, 5 * MS},
                                                   {38 * MS, 5 * MS, 0}};
static const uint32_t contact[PLACES] = {0, 38 * MS};
static const uint32_t pings[BORDERS] = {200 * MS, 215 * MS, 225 * MS};

static struct exits_map example(enum exits_last_term last_term)
{
    return (struct exits_map){PLACES,  BORDERS,   internal[0], between[0],
                              contact, BORDER_NY, last_term};
}

static void H5_metric_of_the_worked_example(void **state)
{
    (void)state;
    static const struct {
        uint32_t place, border, as_published_ms, as_commented_ms;
    } rows[] = {
        {NY, BORDER_NY, 300, 300}, {SJ, BORDER_LA, 305, 308}, {SJ, BORDER_SJ, 312, 312},
        {NY, BORDER_LA, 365, 330}, {SJ, BORDER_NY, 376, 414}, {NY, BORDER_SJ, 388, 350},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct exits_times times;
        struct exits_map published = example(EXITS_LAST_BORDER);
        exits_times_from_pings(&published, pings, &times);
        assert_int_equal(exits_metric(&published, &times, rows[i].place, rows[i].border),
                         rows[i].as_published_ms * MS);
        struct exits_map commented = example(EXITS_LAST_PLACE);
        exits_times_from_pings(&commented, pings, &times);
        assert_int_equal(exits_metric(&commented, &times, rows[i].place, rows[i].border),
                         rows[i].as_commented_ms * MS);
    }
}

static void H6_candidates_of_the_worked_example(void **state)
{
    (void)state;
    struct exits_map map = example(EXITS_LAST_BORDER);
    struct exits_times times;
    struct exits_way ways[EXITS_PLACES_LIMIT];
    exits_times_from_pings(&map, pings, &times);
    assert_int_equal(exits_rank(&map, &times, ways), PLACES);
    assert_int_equal(ways[0].place, NY);
    assert_int_equal(ways[0].border, BORDER_NY);
    assert_int_equal(ways[0].metric_us, 300 * MS);
    assert_int_equal(ways[1].place, SJ);
    assert_int_equal(ways[1].border, BORDER_LA);               /* 305 is better than 312 */
    assert_int_equal(exits_candidates(ways, PLACES, 1050), 2); /* up to 315 */
    assert_int_equal(exits_candidates(ways, PLACES, 1016), 1); /* up to 304.8 */
    assert_int_equal(exits_candidates(ways, PLACES, 1000), 1);
}

static void H5_what_no_ping_says(void **state)
{
    (void)state;
    struct exits_map map = example(EXITS_LAST_BORDER);
    static const struct {
        uint32_t pings[BORDERS];
        uint32_t contact_ms, border_ms[BORDERS];
    } rows[] = {
        /* nothing known: our own network decides */
        {{EXITS_NONE, EXITS_NONE, EXITS_NONE}, 0, {0, 0, 0}},
        {{EXITS_SILENT_US, EXITS_NONE, EXITS_SILENT_US}, 0, {0, 0, 0}},
        /* the contact is silent: half of each, the least stands in */
        {{EXITS_NONE, 80 * MS, 100 * MS}, 40, {5000, 40, 50}},
        {{EXITS_SILENT_US, 80 * MS, 100 * MS}, 40, {5000, 40, 50}},
        /* another is silent: a large value, less the way back */
        {{200 * MS, EXITS_NONE, 225 * MS}, 100, {100, 10000 - 135, 87}},
        /* a ping shorter than its way back */
        {{200 * MS, 100 * MS, 225 * MS}, 100, {100, 0, 87}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct exits_times times;
        exits_times_from_pings(&map, rows[i].pings, &times);
        assert_int_equal(times.contact_us, rows[i].contact_ms * MS);
        for (int border = 0; border < BORDERS; border++)
            assert_int_equal(times.border_us[border], rows[i].border_ms[border] * MS);
    }
}

static void H5_a_pair_without_exit_is_no_way(void **state)
{
    (void)state;
    static const uint32_t none[PLACES][BORDERS] = {{EXITS_NONE, EXITS_NONE, EXITS_NONE},
                                                   {38 * MS, EXITS_NONE, 0}};
    struct exits_map map = example(EXITS_LAST_BORDER);
    map.internal_us = none[0];
    struct exits_times times;
    struct exits_way ways[EXITS_PLACES_LIMIT];
    exits_times_from_pings(&map, pings, &times);
    assert_int_equal(exits_rank(&map, &times, ways), 1);
    assert_int_equal(ways[0].border, BORDER_SJ);
}

/* ---- H4 ---- */

static struct director_node_facts server(uint32_t connections, uint64_t ram, uint64_t swap,
                                         uint16_t idle, uint16_t load)
{
    return (struct director_node_facts){.load = {.connections = connections,
                                                 .free_ram_bytes = ram,
                                                 .free_swap_bytes = swap,
                                                 .cpu_idle = idle,
                                                 .load = load}};
}

static void H4_each_policy_and_any_mix(void **state)
{
    (void)state;
    const struct director_node_facts servers[3] = {
        server(9, 4000, 800, 900, 100),
        server(99, 8000, 200, 450, 550),
        server(UINT32_MAX, UINT64_MAX, UINT64_MAX, LOAD_UNKNOWN, LOAD_UNKNOWN),
    };
    static const struct {
        unsigned policies;
        uint32_t availability[3];
    } rows[] = {
        {0, {1000, 1000, 1000}},
        {1 << EXITS_BY_LOAD, {1000, 500, 500}},
        {1 << EXITS_BY_CONNECTIONS, {1000, 100, 500}},
        {1 << EXITS_BY_RAM, {500, 1000, 500}},
        {1 << EXITS_BY_SWAP, {1000, 250, 500}},
        {1 << EXITS_BY_CPU, {1000, 500, 500}},
        {1 << EXITS_BY_CPU | 1 << EXITS_BY_RAM, {500, 500, 250}},
        {1 << EXITS_BY_CPU | 1 << EXITS_BY_CONNECTIONS, {1000, 50, 250}},
        {1 << EXITS_BY_ICMP, {1000, 1000, 1000}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t availability[3];
        exits_availability(rows[i].policies, servers, 3, availability);
        for (int k = 0; k < 3; k++)
            assert_int_equal(availability[k], rows[i].availability[k]);
    }
}

static void H4_busy_is_who_is_full_or_not_up(void **state)
{
    (void)state;
    struct director_node_facts servers[5] = {
        server(1, 0, 0, 0, 1000), server(1, 0, 0, 0, 1200), server(1, 0, 0, 0, 10),
        server(1, 1, 0, 0, 10),   server(1, 1, 0, 0, 10),
    };
    servers[3].state = DIRECTOR_FULL;
    servers[4].state = DIRECTOR_DEAD;
    uint32_t availability[5];
    exits_availability(1 << EXITS_BY_RAM | 1 << EXITS_BY_LOAD, servers, 5, availability);
    static const uint32_t expected[5] = {0, 0, 1000, 0, 0}; /* alone, it is the best */
    assert_memory_equal(availability, expected, sizeof expected);
    exits_availability(1 << EXITS_BY_CPU, servers, 5, availability);
    static const uint32_t without[5] = {1000, 1000, 1000, 0, 0};
    assert_memory_equal(availability, without, sizeof without);
}

static void H4_none_leaves_weights_alone(void **state)
{
    (void)state;
    struct director_node_facts servers[2] = {server(1, 0, 0, 0, 1000), server(1, 0, 0, 0, 10)};
    uint32_t availability[2];
    exits_availability(0, servers, 2, availability);
    static const uint32_t expected[2] = {1000, 1000};
    assert_memory_equal(availability, expected, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(H5_metric_of_the_worked_example),
        cmocka_unit_test(H6_candidates_of_the_worked_example),
        cmocka_unit_test(H5_what_no_ping_says),
        cmocka_unit_test(H5_a_pair_without_exit_is_no_way),
        cmocka_unit_test(H4_each_policy_and_any_mix),
        cmocka_unit_test(H4_busy_is_who_is_full_or_not_up),
        cmocka_unit_test(H4_none_leaves_weights_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
