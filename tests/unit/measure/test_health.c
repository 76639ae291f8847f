/* SPDX-License-Identifier: Apache-2.0
 *
 * Health checks in virtual time (R8): rise and fall, how soon a change is noticed, how long a check waits, and what
 * several vantage points decide together.
 */
#include "measure/measure.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS_NS 1000000ull

static const struct health_settings settings = {.interval_ns = 250 * MS_NS,
                                                .fast_ns = 20 * MS_NS,
                                                .timeout_ns = 1000 * MS_NS,
                                                .rise = 2,
                                                .fall = 3};

/* A target as the checker sees it. */
struct target {
    struct health health;
    struct random random;
    uint64_t now_ns;
    uint32_t rtt_us;
    bool is_dead, is_silent; /* refuses; or swallows */
};

static void start(struct target *target, uint64_t seed, uint32_t rtt_us)
{
    *target = (struct target){.now_ns = 1000 * MS_NS, .rtt_us = rtt_us};
    random_seed(&target->random, seed);
    health_init(&target->health, &settings, target->now_ns, &target->random);
}

/* Runs the next check to its end; true: the state changed. */
static bool check(struct target *target)
{
    struct health *health = &target->health;
    if (health->next_ns > target->now_ns)
        target->now_ns = health->next_ns;
    uint64_t began_ns = target->now_ns;
    target->now_ns +=
        target->is_silent ? health_timeout(health, &settings) : (uint64_t)target->rtt_us * 1000;
    return health_put(health, &settings,
                      target->is_dead || target->is_silent ? HEALTH_BAD : HEALTH_GOOD,
                      target->rtt_us, began_ns, target->now_ns, &target->random);
}

static void check_until(struct target *target, enum health_state state)
{
    for (int i = 0; i < 20 && target->health.state != state; i++)
        check(target);
    assert_int_equal(target->health.state, state);
}

static void R8_state_follows_results_in_a_row(void **state)
{
    (void)state;
    static const struct {
        const char *results; /* + good, - bad, o void */
        enum health_state expected;
    } rows[] = {
        {"", HEALTH_UNKNOWN},       {"o", HEALTH_UNKNOWN},  {"+", HEALTH_UP},
        {"-", HEALTH_UNKNOWN},      {"--", HEALTH_UNKNOWN}, {"---", HEALTH_DOWN},
        {"+--", HEALTH_UP},         {"+---", HEALTH_DOWN},  {"+--+--", HEALTH_UP},
        {"+--o-", HEALTH_DOWN},     {"+---+", HEALTH_DOWN}, {"+---++", HEALTH_UP},
        {"+---+-+-+", HEALTH_DOWN}, {"+---+o+", HEALTH_UP}, {"--+", HEALTH_UP},
        {"+---++---++", HEALTH_UP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct random random;
        struct health health;
        random_seed(&random, i);
        health_init(&health, &settings, 0, &random);
        uint64_t now_ns = 0;
        for (const char *at = rows[i].results; *at; at++)
            (void)health_put(&health, &settings,
                             *at == '+'   ? HEALTH_GOOD
                             : *at == '-' ? HEALTH_BAD
                                          : HEALTH_VOID,
                             1000, now_ns, now_ns, &random);
        assert_int_equal(health.state, rows[i].expected);
    }
}

static void R8_change_is_told_once(void **state)
{
    (void)state;
    struct target target;
    start(&target, 1, 20000);
    assert_true(check(&target));
    assert_false(check(&target));
    target.is_dead = true;
    assert_false(check(&target));
    assert_false(check(&target));
    assert_true(check(&target));
    assert_false(check(&target));
    assert_int_equal(target.health.failures, 4);
}

static int ascending(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

/* The edge stops at a random time between two checks. */
static void measure_detection(bool is_silent, uint32_t rtt_us, uint64_t *median_ms,
                              uint64_t *worst_ms)
{
    enum { RUNS = 501 };
    uint64_t took_ms[RUNS];
    for (uint64_t run = 0; run < RUNS; run++) {
        struct target target;
        start(&target, run, rtt_us);
        for (int i = 0; i < 40; i++)
            check(&target);
        uint64_t idle_ns = target.health.next_ns - target.now_ns;
        uint64_t stops_ns = target.now_ns + random_below(&target.random, idle_ns + 1);
        target.is_silent = is_silent;
        target.is_dead = !is_silent;
        check_until(&target, HEALTH_DOWN);
        took_ms[run] = (target.now_ns - stops_ns) / MS_NS;
    }
    qsort(took_ms, RUNS, sizeof *took_ms, ascending);
    *median_ms = took_ms[RUNS / 2];
    *worst_ms = took_ms[RUNS - 1];
}

/* With what the configuration gives edges by default (docs/measure.md tells these figures). */
static void R8_dead_within_a_second_from_anywhere(void **state)
{
    (void)state;
    static const struct {
        bool is_silent;
        uint32_t rtt_us;
        uint64_t median_ms, worst_ms;
    } rows[] = {
        {false, 2000, 180, 320}, {false, 100000, 480, 620}, {true, 2000, 480, 640},
        {true, 50000, 650, 800}, {true, 100000, 800, 950},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t median_ms, worst_ms;
        measure_detection(rows[i].is_silent, rows[i].rtt_us, &median_ms, &worst_ms);
        print_message("%s, round trip %u ms: median %u ms, worst %u ms\n",
                      rows[i].is_silent ? "silent" : "refused", rows[i].rtt_us / 1000,
                      (unsigned)median_ms, (unsigned)worst_ms);
        assert_true(median_ms <= rows[i].median_ms);
        assert_true(worst_ms <= rows[i].worst_ms);
    }
}

static void R8_checks_keep_their_interval(void **state)
{
    (void)state;
    struct target target;
    start(&target, 7, 20000);
    check(&target);
    uint64_t first_ns = target.now_ns;
    for (int i = 0; i < 1000; i++)
        check(&target);
    uint64_t mean_ns = (target.now_ns - first_ns) / 1000;
    assert_in_range(mean_ns, 245 * MS_NS, 255 * MS_NS);
    target.is_dead = true; /* a dead one is not hammered either */
    check_until(&target, HEALTH_DOWN);
    first_ns = target.now_ns;
    for (int i = 0; i < 100; i++)
        check(&target);
    assert_in_range((target.now_ns - first_ns) / 100, 240 * MS_NS, 260 * MS_NS);
}

static void R8_first_checks_spread_over_the_interval(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 3);
    unsigned quarters[4] = {0};
    for (int i = 0; i < 4000; i++) {
        struct health health;
        health_init(&health, &settings, 0, &random);
        assert_true(health.next_ns <= settings.interval_ns);
        quarters[health.next_ns * 4 / (settings.interval_ns + 1)]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(quarters[i], 850, 1150);
}

static void R8_timeout_follows_the_round_trip(void **state)
{
    (void)state;
    struct target target;
    start(&target, 1, 40000);
    assert_int_equal(health_timeout(&target.health, &settings), settings.timeout_ns);
    for (int i = 0; i < 50; i++)
        check(&target);
    assert_in_range(health_timeout(&target.health, &settings), 140 * MS_NS, 142 * MS_NS);
    target.rtt_us = 950000; /* never above the configured one */
    for (int i = 0; i < 50; i++)
        check(&target);
    assert_int_equal(health_timeout(&target.health, &settings), settings.timeout_ns);
}

static void R8_quorum_of_vantage_points(void **state)
{
    (void)state;
    static const struct {
        const char *votes; /* + up, - down */
        uint32_t quorum;
        enum health_state expected;
    } rows[] = {
        {"", 0, HEALTH_UNKNOWN}, {"+", 0, HEALTH_UP},     {"-", 0, HEALTH_DOWN},
        {"+-", 0, HEALTH_UP},    {"--", 0, HEALTH_DOWN},  {"+--", 0, HEALTH_DOWN},
        {"++-", 0, HEALTH_UP},   {"++--", 0, HEALTH_UP},  {"+---", 0, HEALTH_DOWN},
        {"+-", 1, HEALTH_DOWN},  {"++-", 1, HEALTH_DOWN}, {"+--", 3, HEALTH_UP},
        {"--", 3, HEALTH_DOWN}, /* nobody else has a say */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct health_poll poll = {0};
        for (uint64_t k = 0; rows[i].votes[k]; k++)
            health_poll_put(&poll, k + 1, rows[i].votes[k] == '+', 1);
        assert_int_equal(health_poll_verdict(&poll, rows[i].quorum), rows[i].expected);
    }
}

static void R8_votes_are_replaced_dropped_and_age(void **state)
{
    (void)state;
    struct health_poll poll = {0};
    health_poll_put(&poll, 1, false, 10);
    health_poll_put(&poll, 2, false, 20);
    health_poll_put(&poll, 1, true, 30);
    assert_int_equal(poll.count, 2);
    assert_int_equal(health_poll_downs(&poll), 1);
    health_poll_expire(&poll, 25);
    assert_int_equal(poll.count, 1);
    assert_int_equal(health_poll_verdict(&poll, 0), HEALTH_UP);
    health_poll_drop(&poll, 9);
    health_poll_drop(&poll, 1);
    assert_int_equal(health_poll_verdict(&poll, 0), HEALTH_UNKNOWN);
    for (uint64_t i = 0; i < 2 * HEALTH_VOTES_LIMIT; i++)
        health_poll_put(&poll, i, i < HEALTH_VOTES_LIMIT, i);
    assert_int_equal(poll.count, HEALTH_VOTES_LIMIT);
    assert_int_equal(health_poll_downs(&poll), HEALTH_VOTES_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R8_state_follows_results_in_a_row),
        cmocka_unit_test(R8_change_is_told_once),
        cmocka_unit_test(R8_dead_within_a_second_from_anywhere),
        cmocka_unit_test(R8_checks_keep_their_interval),
        cmocka_unit_test(R8_first_checks_spread_over_the_interval),
        cmocka_unit_test(R8_timeout_follows_the_round_trip),
        cmocka_unit_test(R8_quorum_of_vantage_points),
        cmocka_unit_test(R8_votes_are_replaced_dropped_and_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
