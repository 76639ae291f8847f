/* SPDX-License-Identifier: Apache-2.0
 *
 * The one-way delay as two clocks that disagree show it.
 */
#include "base/random.h"
#include "transport/delay_trend.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
// clang-format on

#define MS     1000000ull
#define SECOND (1000 * MS)

/* A path whose forward queue follows `queue_us`, measured each 20 ms by clocks that differ. */
struct world {
    struct delay_trend trend;
    struct random random;
    uint64_t now_ns;
    uint64_t offset_us;
    int64_t skew_ppm;
    uint32_t jitter_us;
};

static void tick(struct world *world, uint64_t queue_us, uint64_t back_us)
{
    uint64_t jitter_us = world->jitter_us ? random_below(&world->random, world->jitter_us) : 0;
    uint64_t forward_us = 30000 + queue_us + jitter_us;
    uint64_t arrives_us = world->now_ns / 1000 + forward_us;
    uint64_t clock_us =
        world->offset_us + arrives_us + (uint64_t)((int64_t)arrives_us * world->skew_ppm / 1000000);
    delay_trend_sample(&world->trend, world->now_ns, (uint32_t)clock_us,
                       (forward_us + 30000 + back_us) * 1000);
    world->now_ns += 20 * MS;
}

static void run(struct world *world, uint64_t for_ns, uint64_t queue_us)
{
    for (uint64_t end_ns = world->now_ns + for_ns; world->now_ns < end_ns;)
        tick(world, queue_us, 0);
}

static void T8_offset_and_skew_do_not_fool_the_delay(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset_us;
        int64_t skew_ppm;
    } clocks[] = {{0, 0}, {4294967295u, 0}, {77777777777u, 100}, {3, -100}, {4294900000u, 40}};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        struct world world = {.now_ns = SECOND,
                              .offset_us = clocks[i].offset_us,
                              .skew_ppm = clocks[i].skew_ppm,
                              .jitter_us = 400};
        random_seed(&world.random, i);
        run(&world, 120 * SECOND, 0);
        assert_in_range(delay_trend_queue_us(&world.trend), 0, 600);
        assert_true(llabs(delay_trend_us_per_s(&world.trend, world.now_ns)) < 400);
        assert_true(llabs(world.trend.skew_ppb - clocks[i].skew_ppm * 1000) < 15000);
        /* A queue of 20 ms comes and is seen for what it is, and goes. */
        run(&world, 10 * SECOND, 20000);
        assert_in_range(delay_trend_queue_us(&world.trend), 19500, 21200);
        run(&world, 5 * SECOND, 0);
        assert_in_range(delay_trend_queue_us(&world.trend), 0, 1000);
    }
}

static void T8_trend_is_the_growth_of_the_queue(void **state)
{
    (void)state;
    static const int64_t slopes[] = {50000, 5000, 0, -20000};
    for (size_t i = 0; i < sizeof slopes / sizeof *slopes; i++) {
        struct world world = {.now_ns = 5 * SECOND, .skew_ppm = -60};
        int64_t queue_us = 60000;
        run(&world, 3 * SECOND, (uint64_t)queue_us);
        for (int tenth = 0; tenth < 75; tenth++) { /* 1.5 s */
            queue_us += slopes[i] / 50;
            tick(&world, (uint64_t)queue_us, 0);
        }
        int64_t seen = delay_trend_us_per_s(&world.trend, world.now_ns);
        assert_true(llabs(seen - slopes[i]) < 300 + llabs(slopes[i]) / 10);
        /* Long after the last packet nothing is known. */
        assert_int_equal(delay_trend_us_per_s(&world.trend, world.now_ns + 10 * SECOND), 0);
    }
}

static void T8_a_queue_on_the_way_back_is_not_ours(void **state)
{
    (void)state;
    struct world world = {.now_ns = SECOND, .offset_us = 123456};
    run(&world, 20 * SECOND, 0);
    for (int i = 0; i < 200; i++)
        tick(&world, 0, 80000);
    assert_in_range(delay_trend_queue_us(&world.trend), 0, 100);
    assert_true(llabs(delay_trend_us_per_s(&world.trend, world.now_ns)) < 100);
}

static void T8_a_minute_of_queue_is_not_taken_for_skew(void **state)
{
    (void)state;
    struct world world = {.now_ns = SECOND, .skew_ppm = 30};
    run(&world, 60 * SECOND, 0);
    run(&world, 59 * SECOND, 15000);
    assert_in_range(delay_trend_queue_us(&world.trend), 13000, 17000);
    assert_true(llabs(world.trend.skew_ppb - 30000) < 15000);
}

static void T8_overtaken_samples_and_long_pauses(void **state)
{
    (void)state;
    struct world world = {.now_ns = 1000 * SECOND};
    run(&world, 2 * SECOND, 0);
    uint64_t samples = world.trend.samples;
    delay_trend_sample(&world.trend, 1000 * SECOND, 0, MS);
    assert_int_equal(world.trend.samples, samples);
    world.now_ns += 3000 * SECOND; /* longer than all windows */
    run(&world, 2 * SECOND, 0);
    assert_in_range(delay_trend_queue_us(&world.trend), 0, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T8_offset_and_skew_do_not_fool_the_delay),
        cmocka_unit_test(T8_trend_is_the_growth_of_the_queue),
        cmocka_unit_test(T8_a_queue_on_the_way_back_is_not_ours),
        cmocka_unit_test(T8_a_minute_of_queue_is_not_taken_for_skew),
        cmocka_unit_test(T8_overtaken_samples_and_long_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
