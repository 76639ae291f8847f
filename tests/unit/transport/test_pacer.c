/* SPDX-License-Identifier: Apache-2.0
 *
 * The pacer's stated invariant, over rates from 10 kB/s to 10 GB/s and senders that come late.
 */
#include "base/random.h"
#include "transport/pacer.h"

#include <stdbool.h>
#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { STEPS = 4000, PERIODS = 400, CATCH_UP_BURSTS = 8 };

struct sent {
    uint64_t at_ns, bytes; /* sum so far */
};

static uint64_t burst_of(uint64_t rate, uint32_t packet)
{
    uint64_t burst = rate / 1000 < 65536 ? rate / 1000 : 65536;
    return burst > 2 * packet ? burst : 2 * packet;
}

static void check_periods(const struct sent *log, uint64_t rate, uint64_t burst, bool lower,
                          struct random *random)
{
    for (int i = 0; i < PERIODS; i++) {
        uint64_t a = random_below(random, STEPS), b = random_below(random, STEPS);
        if (a > b) {
            uint64_t swap = a;
            a = b;
            b = swap;
        }
        /* What was sent at either end of the period counts as in it. */
        uint64_t sent = log[b].bytes - (a ? log[a - 1].bytes : 0);
        unsigned __int128 ideal = (unsigned __int128)rate * (log[b].at_ns - log[a].at_ns);
        unsigned __int128 slack = (unsigned __int128)burst * 1000000000;
        unsigned __int128 scaled = (unsigned __int128)sent * 1000000000;
        assert_true(scaled <= ideal + slack);
        if (lower)
            assert_true(scaled + slack >= ideal);
    }
}

static void run(uint64_t rate, uint32_t packet, bool is_late, struct random *random)
{
    static struct sent log[STEPS];
    struct pacer pacer;
    uint64_t now = random_below(random, 1000000000000ull), sum = 0;
    pacer_init(&pacer, packet, now);
    pacer_set_rate(&pacer, rate, now);
    uint64_t burst = burst_of(rate, packet);
    bool is_waiting = random_below(random, 2); /* for the pacer alone: it makes up for lateness */
    pacer_set_resting(&pacer, !is_waiting, now);
    if (is_waiting && is_late)
        burst *= CATCH_UP_BURSTS;
    for (int i = 0; i < STEPS; i++) {
        uint64_t budget = pacer_budget(&pacer, now);
        assert_true(budget == 0 || budget >= packet);
        assert_true(budget <= burst);
        uint64_t bytes = budget / packet * packet;
        pacer_spend(&pacer, bytes);
        sum += bytes;
        log[i] = (struct sent){now, sum};
        uint64_t next = pacer_next(&pacer, now);
        assert_true(next >= now);
        if (bytes > 0)
            assert_true(next > now);
        /* As late as the other half of the burst allows, or much later. */
        uint64_t late = (burst / 2 > packet ? burst / 2 - packet : 0) * 1000000000ull / rate;
        if (is_late)
            late = late * 100 + 1000;
        now = next + random_below(random, late + 1);
    }
    check_periods(log, rate, burst, !is_late, random);
}

static void bytes_sent_stay_within_a_burst_of_the_rate(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1);
    for (uint64_t rate = 10000; rate <= 10000000000ull; rate *= 10) {
        for (int i = 0; i < 6; i++) {
            uint64_t odd_rate = rate + random_below(&random, rate * 9);
            if (odd_rate > 10000000000ull)
                odd_rate = 10000000000ull;
            run(odd_rate, 1200 + (uint32_t)random_below(&random, 8000), i & 1, &random);
        }
    }
}

/* A timer that is always 5 ms late costs no rate while data waits; an application that was idle gets no more than a burst. */
static void a_late_timer_costs_no_rate(void **state)
{
    (void)state;
    enum { PACKET = 1400, RATE = 12500000, LATE_NS = 5000000, TURNS = 1000 };
    struct pacer pacer;
    pacer_init(&pacer, PACKET, 0);
    pacer_set_rate(&pacer, RATE, 0);
    pacer_set_resting(&pacer, false, 0);
    uint64_t now = 0, sum = 0;
    for (int i = 0; i < TURNS; i++) {
        uint64_t bytes = pacer_budget(&pacer, now) / PACKET * PACKET;
        pacer_spend(&pacer, bytes);
        sum += bytes;
        now = pacer_next(&pacer, now) + LATE_NS;
    }
    uint64_t ideal = now / 1000 * RATE / 1000000;
    assert_true(sum <= ideal + burst_of(RATE, PACKET));
    assert_true(sum + 8 * burst_of(RATE, PACKET) >= ideal);
    pacer_set_resting(&pacer, true, now);
    assert_true(pacer_budget(&pacer, now + 1000000000) <= burst_of(RATE, PACKET));
    pacer_set_resting(&pacer, false, now + 1000000000);
    assert_true(pacer_budget(&pacer, now + 1000000000) <= burst_of(RATE, PACKET));
}

static void rounding_never_adds_up(void **state)
{
    (void)state;
    struct pacer pacer;
    pacer_init(&pacer, 1400, 0);
    pacer_set_rate(&pacer, 123457, 0);
    uint64_t sum = 0, now = 0;
    while (now < 3600ull * 1000000000) { /* an hour, looked at at odd times */
        uint64_t bytes = pacer_budget(&pacer, now) / 1400 * 1400;
        pacer_spend(&pacer, bytes);
        sum += bytes;
        now += 9999991;
    }
    uint64_t ideal = (uint64_t)(123457.0 * (double)now / 1e9);
    assert_true(sum <= ideal + 2800 && sum + 2800 + 1400 >= ideal);
}

static void what_goes_out_unasked_is_paid_later(void **state)
{
    (void)state;
    struct pacer pacer;
    pacer_init(&pacer, 1000, 0);
    pacer_set_rate(&pacer, 1000000, 0);
    pacer_spend(&pacer, pacer_budget(&pacer, 0));
    pacer_spend(&pacer, 500);
    assert_int_equal(pacer_budget(&pacer, 1000000), 0);
    assert_int_equal(pacer_next(&pacer, 1000000), 1500000);
    assert_int_equal(pacer_budget(&pacer, 1499999), 0);
    assert_int_equal(pacer_budget(&pacer, 1500000), 1000);
}

static void a_new_rate_holds_from_its_moment(void **state)
{
    (void)state;
    struct pacer pacer;
    pacer_init(&pacer, 1000, 0);
    pacer_set_rate(&pacer, 1000000, 0);
    pacer_spend(&pacer, pacer_budget(&pacer, 0));
    pacer_set_rate(&pacer, 2000000, 400000); /* 400 bytes at the old rate */
    assert_int_equal(pacer_next(&pacer, 400000), 700000);
    assert_int_equal(pacer_budget(&pacer, 700000), 1000);
    pacer_set_rate(&pacer, 0, 700000);
    assert_true(pacer_budget(&pacer, 700000) == UINT64_MAX);
    pacer_spend(&pacer, 1000000);
    assert_int_equal(pacer_next(&pacer, 700001), 700001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_sent_stay_within_a_burst_of_the_rate),
        cmocka_unit_test(a_late_timer_costs_no_rate),
        cmocka_unit_test(rounding_never_adds_up),
        cmocka_unit_test(what_goes_out_unasked_is_paid_later),
        cmocka_unit_test(a_new_rate_holds_from_its_moment),
    };
    return cmocka_run_group_tests_name("transport/pacer", tests, NULL, NULL);
}
