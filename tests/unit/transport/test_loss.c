/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/loss.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull

/* Ten packets, one a millisecond from 100 ms on; round trip 16 ms. */
static void prepare(struct sent_log *log, struct rtt *rtt, struct loss *loss)
{
    *log = (struct sent_log){0};
    for (uint64_t i = 0; i < 10; i++) {
        sent_log_begin(log)->sent_ns = (100 + i) * MS;
        sent_log_commit(log, SENT_IN_FLIGHT);
    }
    rtt_init(rtt);
    rtt_sample(rtt, 16 * MS, 0);
    loss_init(loss);
    loss->last_sent_ns = loss->waiting_since_ns = 109 * MS;
}

static uint32_t count_lost(struct loss *loss, struct sent_log *log, const struct rtt *rtt,
                           uint64_t now_ns)
{
    uint64_t cursor = log->first_open;
    uint32_t lost = 0;
    while (loss_next(loss, log, rtt, now_ns, &cursor)) {
        sent_log_set_state(log, cursor - 1, SENT_LOST);
        lost++;
    }
    return lost;
}

static void packets_are_lost_by_number_or_time(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint64_t acked, now_ms;
        uint32_t threshold, lost;
        uint64_t loss_at_ms; /* 0: none */
    } cases[] = {
        {"two behind is not lost", 2, 110, 3, 0, 118},
        {"three behind is", 3, 110, 3, 1, 119},
        {"six behind: four are", 6, 110, 3, 4, 122},
        {"a higher threshold waits", 6, 110, 6, 1, 119},
        {"9/8 of the round trip is enough", 2, 118, 3, 1, 119},
        {"time runs packet by packet", 3, 120, 3, 3, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sent_log log;
        struct rtt rtt;
        struct loss loss;
        prepare(&log, &rtt, &loss);
        loss.packet_threshold = cases[i].threshold;
        sent_log_set_state(&log, cases[i].acked, SENT_ACKED);
        loss_acked(&loss, cases[i].acked);
        uint32_t lost = count_lost(&loss, &log, &rtt, cases[i].now_ms * MS);
        uint64_t at_ns = cases[i].loss_at_ms ? cases[i].loss_at_ms * MS : UINT64_MAX;
        if (lost != cases[i].lost || loss.loss_at_ns != at_ns)
            fail_msg("%s: %u lost, next at %llu", cases[i].what, lost,
                     (unsigned long long)loss.loss_at_ns);
        sent_log_clear(&log);
    }
}

static void probes_back_off(void **state)
{
    (void)state;
    struct sent_log log;
    struct rtt rtt;
    struct loss loss;
    prepare(&log, &rtt, &loss);
    uint64_t timeout_ns = rtt_probe_timeout(&rtt);
    assert_int_equal(timeout_ns, 16 * MS + 4 * 8 * MS + ACK_DELAY_MAX_NS);
    for (uint32_t i = 0; i < 10; i++) {
        uint64_t wait_ns =
            i < LOSS_BACKOFF_MAX && timeout_ns << i < LOSS_SOON_NS ? timeout_ns << i : LOSS_SOON_NS;
        assert_int_equal(loss_timer(&loss, &log, &rtt), 109 * MS + wait_ns);
        loss.probe_timeouts++;
    }
    /* Packets that go out all the time do not put it off for ever. */
    loss.probe_timeouts = 0;
    loss.last_sent_ns = 109 * MS + 100 * timeout_ns;
    assert_int_equal(loss_timer(&loss, &log, &rtt), 109 * MS + 2 * timeout_ns);
    loss.last_sent_ns = 109 * MS;
    /* Nobody has answered for half a minute: less often. */
    loss.probe_timeouts = LOSS_SOON_PROBES;
    assert_int_equal(loss_timer(&loss, &log, &rtt),
                     109 * MS + (timeout_ns << LOSS_BACKOFF_MAX < LOSS_LATER_NS
                                     ? timeout_ns << LOSS_BACKOFF_MAX
                                     : LOSS_LATER_NS));
    loss_acked(&loss, 0);
    assert_int_equal(loss.probe_timeouts, 0);
    for (uint64_t number = 0; number < 10; number++)
        sent_log_set_state(&log, number, SENT_ACKED);
    assert_true(loss_timer(&loss, &log, &rtt) == UINT64_MAX);
    sent_log_clear(&log);
}

static void spurious_losses_raise_the_threshold(void **state)
{
    (void)state;
    struct loss loss;
    loss_init(&loss);
    loss_acked(&loss, 20);
    loss_spurious(&loss, 12);
    assert_int_equal(loss.packet_threshold, 9);
    loss_spurious(&loss, 18);
    assert_int_equal(loss.packet_threshold, 9);
    loss_acked(&loss, 5000);
    loss_spurious(&loss, 0);
    assert_int_equal(loss.packet_threshold, LOSS_PACKET_THRESHOLD_MAX);
}

static void round_trip_estimate_follows_rfc_9002(void **state)
{
    (void)state;
    struct rtt rtt;
    rtt_init(&rtt);
    assert_int_equal(rtt.smoothed_ns, RTT_INITIAL_NS);
    rtt_sample(&rtt, 40 * MS, 3 * MS);
    assert_int_equal(rtt.smoothed_ns, 40 * MS);
    assert_int_equal(rtt.variance_ns, 20 * MS);
    rtt_sample(&rtt, 60 * MS, 4 * MS); /* 56 */
    assert_int_equal(rtt.variance_ns, (3 * 20 * MS + 16 * MS) / 4);
    assert_int_equal(rtt.smoothed_ns, (7 * 40 * MS + 56 * MS) / 8);
    rtt_sample(&rtt, 41 * MS, 4 * MS); /* the delay would take it below the least: not believed */
    assert_int_equal(rtt.smoothed_ns, (7 * 42 * MS + 41 * MS) / 8);
    assert_int_equal(rtt.min_ns, 40 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_lost_by_number_or_time),
        cmocka_unit_test(probes_back_off),
        cmocka_unit_test(spurious_losses_raise_the_threshold),
        cmocka_unit_test(round_trip_estimate_follows_rfc_9002),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
