/* SPDX-License-Identifier: Apache-2.0
 *
 * Which channel a request takes, by facts that stand still or change at once.
 */
#include "route/route.h"

#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define MS_NS 1000000ull

static const struct route_settings settings = {.loss_percent = 3, .hold_ns = 5000 * MS_NS};

static struct route_facts channel(uint64_t identity, uint32_t rtt_us)
{
    return (struct route_facts){
        .identity = identity, .is_up = true, .rtt_us = rtt_us, .has_window = true};
}

/* As time passes with these facts. */
static uint64_t settle(struct route *route, const struct route_facts *facts, size_t count,
                       uint64_t now_ns, uint64_t ms)
{
    for (uint64_t end_ns = now_ns + ms * MS_NS; now_ns < end_ns;) {
        now_ns += ROUTE_PERIOD_NS;
        route_update(route, &settings, facts, count, now_ns);
    }
    return now_ns;
}

static void count_picks(struct route *route, unsigned class, unsigned total,
                        unsigned counts[ROUTE_CHANNELS_MOST])
{
    memset(counts, 0, ROUTE_CHANNELS_MOST * sizeof *counts);
    for (unsigned i = 0; i < total; i++) {
        size_t picked = route_pick(route, class, 0);
        assert_true(picked != ROUTE_NONE);
        counts[picked]++;
    }
}

static void L2_nothing_is_picked_where_nothing_is_up(void **state)
{
    struct route route = {0};
    struct route_facts facts[2] = {channel(1, 10000), channel(2, 10000)};
    (void)state;
    assert_true(route_is_due(&route, MS_NS));
    assert_true(route_pick(&route, 0, 0) == ROUTE_NONE);
    facts[0].is_up = facts[1].is_up = false;
    settle(&route, facts, 2, MS_NS, 100);
    assert_true(route_pick(&route, 0, 0) == ROUTE_NONE);
    assert_int_equal(route.channels[0].state, ROUTE_AWAY);
    facts[1].is_up = true;
    settle(&route, facts, 2, 200 * MS_NS, 50);
    assert_int_equal(route_pick(&route, 0, 0), 1);
    assert_true(route_pick(&route, 0, 1u << 1) == ROUTE_NONE);
}

static void L2_equals_share_and_far_ones_get_nothing(void **state)
{
    struct route route = {0};
    const struct route_facts facts[] = {channel(1, 10000), channel(2, 10000), channel(3, 80000),
                                        channel(4, 14000)};
    unsigned counts[ROUTE_CHANNELS_MOST];
    (void)state;
    settle(&route, facts, 4, MS_NS, 50);
    count_picks(&route, 2, 1000, counts);
    assert_in_range(counts[0], 400, 460);
    assert_in_range(counts[1], 400, 460);
    assert_int_equal(counts[2], 0);
    assert_in_range(counts[3], 90, 170);
    /* Where the near ones were tried, the far one is asked; the order of what is left is by cost. */
    assert_int_equal(route_pick(&route, 2, 0xb), 2);
    assert_int_equal(route_best(&route, 2, 0x3), 3);
}

static void L2_what_one_cannot_take_goes_to_the_next(void **state)
{
    static const struct {
        uint32_t demand;      /* a second, at the first */
        unsigned least, most; /* of a hundred requests */
    } rows[] = {{100, 100, 100}, {750, 100, 100}, {1000, 75, 85}, {1600, 45, 55}, {5000, 45, 55}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct route route = {0};
        struct route_facts facts[] = {channel(1, 2000), channel(2, 50000)};
        unsigned counts[ROUTE_CHANNELS_MOST];
        for (int j = 0; j < 2; j++) { /* 1000 requests a second each */
            facts[j].has_load = true;
            facts[j].slots = 5;
            facts[j].service_us = 5000;
        }
        facts[0].demand_milli = rows[i].demand * 1000;
        settle(&route, facts, 2, MS_NS, 100);
        count_picks(&route, 4, 100, counts);
        assert_in_range(counts[0], rows[i].least, rows[i].most);
    }
}

static void L10_the_first_class_stays_near_while_the_last_overflows(void **state)
{
    struct route route = {0};
    struct route_facts facts[] = {channel(1, 2000), channel(2, 50000)};
    unsigned counts[ROUTE_CHANNELS_MOST];
    (void)state;
    for (int j = 0; j < 2; j++) {
        facts[j].has_load = true;
        facts[j].slots = 5;
        facts[j].service_us = 5000;
        facts[j].demand_milli = 1500000;
        facts[j].waiting[4] = 1000;
        facts[j].wait_us[4] = 1000000;
    }
    uint64_t now_ns = MS_NS;
    for (int i = 0; i < 40; i++) { /* one of ten is of the first class */
        for (int j = 0; j < 10; j++)
            route_pick(&route, j ? 4 : 0, 0);
        now_ns = settle(&route, facts, 2, now_ns, 50);
    }
    count_picks(&route, 0, 100, counts);
    assert_int_equal(counts[0], 100);
    count_picks(&route, 4, 100, counts);
    assert_in_range(counts[0], 45, 55);
}

static void L2_a_full_one_gets_nothing_while_another_has_room(void **state)
{
    struct route route = {0};
    struct route_facts facts[] = {channel(1, 2000), channel(2, 50000)};
    (void)state;
    for (int j = 0; j < 2; j++) {
        facts[j].has_load = true;
        facts[j].slots = 5;
        facts[j].service_us = 5000;
        facts[j].demand_milli = 100000;
    }
    uint64_t now_ns = settle(&route, facts, 2, MS_NS, 1000);
    assert_int_equal(route_pick(&route, 0, 0), 0);
    facts[0].is_full = true;
    now_ns = settle(&route, facts, 2, now_ns, 2000);
    for (int i = 0; i < 100; i++)
        assert_int_equal(route_pick(&route, 0, 0), 1);
    assert_int_equal(route_best(&route, 0, 0), 1);
    facts[1].is_full = true;
    settle(&route, facts, 2, now_ns, 2000);
    assert_int_equal(route_pick(&route, 0, 0), 0);
}

static void T8_a_lossy_channel_loses_its_share_at_once_and_comes_back_late(void **state)
{
    struct route route = {0};
    struct route_facts facts[] = {channel(1, 10000), channel(2, 30000)};
    (void)state;
    uint64_t now_ns = settle(&route, facts, 2, MS_NS, 1000);
    assert_int_equal(route_pick(&route, 1, 0), 0);
    facts[0].loss.fast_ppm = 40000;
    now_ns = settle(&route, facts, 2, now_ns, 50);
    assert_int_equal(route.channels[0].state, ROUTE_DEGRADED);
    for (int i = 0; i < 100; i++)
        assert_int_equal(route_pick(&route, 1, 0), 1);
    assert_int_equal(route_pick(&route, 1, 1u << 1), 0); /* better than nothing */
    /* Well at once, because nothing goes there; and then for as long as it takes. */
    facts[0].loss = (struct route_loss){.slow_ppm = 16000};
    now_ns = settle(&route, facts, 2, now_ns, 10000);
    assert_int_equal(route.channels[0].state, ROUTE_DEGRADED);
    facts[0].loss.slow_ppm = 14000;
    now_ns = settle(&route, facts, 2, now_ns, 4000);
    assert_int_equal(route.channels[0].state, ROUTE_DEGRADED);
    now_ns = settle(&route, facts, 2, now_ns, 2000);
    assert_int_equal(route.channels[0].state, ROUTE_GOOD);
    /* Where all are, all are used, by what it costs. */
    facts[0].loss.fast_ppm = facts[1].loss.fast_ppm = 60000;
    settle(&route, facts, 2, now_ns, 2000);
    assert_int_equal(route_pick(&route, 1, 0), 0);
}

static void T8_a_silent_channel_gets_nothing_until_it_answers(void **state)
{
    struct route route = {0};
    struct route_facts facts[] = {channel(1, 10000), channel(2, 30000)};
    (void)state;
    uint64_t now_ns = settle(&route, facts, 2, MS_NS, 100);
    assert_int_equal(route_pick(&route, 1, 0), 0);
    facts[0].is_doubted = true;
    now_ns = settle(&route, facts, 2, now_ns, 50);
    assert_int_equal(route_pick(&route, 1, 0), 1);
    facts[0].is_doubted = false;
    settle(&route, facts, 2, now_ns, 2000);
    assert_int_equal(route_pick(&route, 1, 0), 0);
}

static void L2_small_differences_move_nothing(void **state)
{
    struct route route = {0};
    struct route_facts facts[] = {channel(1, 20000), channel(2, 20000)};
    (void)state;
    uint64_t now_ns = settle(&route, facts, 2, MS_NS, 50);
    for (int i = 0; i < 100; i++) {
        facts[i % 2].rtt_us = 20500;
        facts[!(i % 2)].rtt_us = 20000;
        now_ns = settle(&route, facts, 2, now_ns, 50);
        assert_true(route.channels[0].share[0] == 0.5f);
    }
}

static void L2_a_channel_keeps_what_is_known_of_it_when_others_come_and_go(void **state)
{
    struct route route = {0};
    struct route_facts facts[] = {channel(1, 10000), channel(2, 30000)};
    (void)state;
    facts[0].loss.fast_ppm = 90000;
    uint64_t now_ns = settle(&route, facts, 2, MS_NS, 100);
    const struct route_facts later[] = {channel(7, 10000), channel(2, 30000), channel(1, 10000)};
    settle(&route, later, 3, now_ns, 100);
    assert_int_equal(route.channels[2].state, ROUTE_DEGRADED);
    assert_int_equal(route.channels[0].state, ROUTE_GOOD);
    settle(&route, later, 0, now_ns, 50);
    assert_true(route_pick(&route, 0, 0) == ROUTE_NONE);
}

static void L2_what_leaves_gets_what_no_other_can_take(void **state)
{
    struct route route = {0};
    struct route_facts facts[] = {channel(1, 10000), channel(2, 10000)};
    unsigned counts[ROUTE_CHANNELS_MOST];
    (void)state;
    uint64_t now_ns = settle(&route, facts, 2, MS_NS, 1000);
    facts[0].is_leaving = true;
    facts[1].loss.fast_ppm = 50000; /* degraded, but it stays */
    now_ns = settle(&route, facts, 2, now_ns, 50);
    assert_int_equal(route.channels[0].state, ROUTE_LEAVING);
    count_picks(&route, 2, 100, counts);
    assert_int_equal(counts[0], 0);
    facts[1].is_up = false;
    now_ns = settle(&route, facts, 2, now_ns, 50);
    count_picks(&route, 2, 100, counts);
    assert_int_equal(counts[0], 100);
    facts[0].is_leaving = false; /* another process, at the same place */
    settle(&route, facts, 2, now_ns, 50);
    assert_int_equal(route.channels[0].state, ROUTE_GOOD);
}

static void T8_a_moments_silence_is_better_than_loss(void **state)
{
    struct route route = {0};
    struct route_facts facts[] = {channel(1, 10000), channel(2, 10000), channel(3, 10000)};
    unsigned counts[ROUTE_CHANNELS_MOST];
    (void)state;
    /* While another is good there is no reason to wait for its answers. */
    uint64_t now_ns = settle(&route, facts, 3, MS_NS, 1000);
    facts[0].is_doubted = true;
    now_ns = settle(&route, facts, 3, now_ns, 50);
    assert_int_equal(route.channels[0].state, ROUTE_DOUBTED);
    count_picks(&route, 2, 100, counts);
    assert_int_equal(counts[0], 0);
    /* The others lose packets: it keeps all, for a moment. */
    facts[0].is_doubted = false;
    facts[1].loss.fast_ppm = facts[2].loss.fast_ppm = 50000;
    now_ns = settle(&route, facts, 3, now_ns, 1000);
    facts[0].is_doubted = true;
    now_ns = settle(&route, facts, 3, now_ns, 150);
    assert_int_equal(route.channels[0].state, ROUTE_DOUBTED);
    count_picks(&route, 2, 100, counts);
    assert_int_equal(counts[0], 100);
    now_ns = settle(&route, facts, 3, now_ns, 500);
    assert_int_equal(route.channels[0].state, ROUTE_DEGRADED);
    count_picks(&route, 2, 100, counts);
    assert_true(counts[1] + counts[2] > 20);
    facts[0].is_doubted = false;
    settle(&route, facts, 3, now_ns, 50);
    assert_int_equal(route.channels[0].state, ROUTE_GOOD);
}

static void T8_a_round_trip_beyond_its_limit_degrades(void **state)
{
    const struct route_settings limits = {.rtt_ns = 50 * MS_NS, .hold_ns = 1000 * MS_NS};
    struct route route = {0};
    struct route_facts facts[] = {channel(1, 40000), channel(2, 45000)};
    (void)state;
    route_update(&route, &limits, facts, 2, MS_NS);
    assert_int_equal(route.channels[0].state, ROUTE_GOOD);
    facts[0].rtt_us = 51000;
    route_update(&route, &limits, facts, 2, 100 * MS_NS);
    assert_int_equal(route.channels[0].state, ROUTE_DEGRADED);
    facts[0].rtt_us = 40000; /* above three quarters */
    route_update(&route, &limits, facts, 2, 2000 * MS_NS);
    assert_int_equal(route.channels[0].state, ROUTE_DEGRADED);
    facts[0].rtt_us = 30000;
    route_update(&route, &limits, facts, 2, 2500 * MS_NS);
    assert_int_equal(route.channels[0].state, ROUTE_DEGRADED);
    route_update(&route, &limits, facts, 2, 3100 * MS_NS);
    assert_int_equal(route.channels[0].state, ROUTE_GOOD);
}

static void T8_loss_is_seen_soon_and_forgotten_late(void **state)
{
    struct route_meter meter = {0};
    uint64_t known = 0, lost = 0, now_ns = MS_NS;
    (void)state;
    for (int i = 0; i < 100; i++) /* 500 packets a second without loss */
        route_meter_add(&meter, now_ns += 50 * MS_NS, known += 25, lost);
    assert_int_equal(route_meter_read(&meter).fast_ppm, 0);
    unsigned ms = 0;
    for (; route_meter_read(&meter).fast_ppm <= 30000; ms += 50) {
        lost += ms % 100 ? 1 : 2; /* 6 % */
        route_meter_add(&meter, now_ns += 50 * MS_NS, known += 25, lost);
        assert_true(ms < 1000);
    }
    for (int i = 0; i < 40; i++) /* two seconds without */
        route_meter_add(&meter, now_ns += 50 * MS_NS, known += 25, lost);
    assert_int_equal(route_meter_read(&meter).fast_ppm, 0);
    route_meter_add(&meter, now_ns += 50 * MS_NS, known += 1000, lost += 50);
    for (int i = 0; i < 40; i++)
        route_meter_add(&meter, now_ns += 50 * MS_NS, known += 1, lost);
    assert_in_range(route_meter_read(&meter).slow_ppm, 15000, 50000);
}

static void T8_few_packets_say_nothing(void **state)
{
    struct route_meter meter = {0};
    (void)state;
    route_meter_add(&meter, MS_NS, 100, 100); /* from before: not seen */
    assert_int_equal(route_meter_read(&meter).fast_ppm, 0);
    route_meter_add(&meter, 2 * MS_NS, 110, 105); /* too few */
    assert_int_equal(route_meter_read(&meter).fast_ppm, 0);
    route_meter_add(&meter, 3 * MS_NS, 3, 3); /* the link began anew */
    assert_int_equal(route_meter_read(&meter).fast_ppm, 0);
    route_meter_add(&meter, 4 * MS_NS, 103, 3);
    assert_int_equal(route_meter_read(&meter).slow_ppm / 1000, 45);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L2_nothing_is_picked_where_nothing_is_up),
        cmocka_unit_test(L2_equals_share_and_far_ones_get_nothing),
        cmocka_unit_test(L2_what_one_cannot_take_goes_to_the_next),
        cmocka_unit_test(L10_the_first_class_stays_near_while_the_last_overflows),
        cmocka_unit_test(L2_a_full_one_gets_nothing_while_another_has_room),
        cmocka_unit_test(T8_a_lossy_channel_loses_its_share_at_once_and_comes_back_late),
        cmocka_unit_test(T8_a_silent_channel_gets_nothing_until_it_answers),
        cmocka_unit_test(L2_small_differences_move_nothing),
        cmocka_unit_test(L2_a_channel_keeps_what_is_known_of_it_when_others_come_and_go),
        cmocka_unit_test(L2_what_leaves_gets_what_no_other_can_take),
        cmocka_unit_test(T8_a_moments_silence_is_better_than_loss),
        cmocka_unit_test(T8_a_round_trip_beyond_its_limit_degrades),
        cmocka_unit_test(T8_loss_is_seen_soon_and_forgotten_late),
        cmocka_unit_test(T8_few_packets_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
