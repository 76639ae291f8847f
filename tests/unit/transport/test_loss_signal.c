/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranks of the round trips beside losses: overflow and chance are told apart, and one's own queue that comes and goes is no overflow.
 */
#include "base/random.h"
#include "transport/loss_signal.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull

enum { RTT_MS = 50, PER_ROUND = 50 };
#define GAP_NS (RTT_MS * MS / (uint64_t)PER_ROUND)

struct feed {
    struct loss_signal signal;
    struct random random;
    uint64_t number, now_ns;
};

static void feed_init(struct feed *feed)
{
    *feed = (struct feed){.now_ns = 1000 * MS};
    random_seed(&feed->random, 3);
}

/* A round of packets with the queue of `queue_ns(position)`; `lost` of them, at `position` (-1: anywhere). True: overflow. */
static bool feed_round(struct feed *feed, uint64_t (*queue_ns)(struct feed *, int), int position,
                       int lost)
{
    for (int i = 0; i < PER_ROUND; i++) {
        feed->now_ns += GAP_NS;
        bool is_lost = lost > 0 &&
                       (position < 0 ? random_below(&feed->random, PER_ROUND) == 0 : i == position);
        uint64_t number = feed->number++;
        if (is_lost) {
            /* The next packet tells of it. */
            loss_signal_on_rtt(&feed->signal, number + 1, RTT_MS * MS + queue_ns(feed, i),
                               RTT_MS * MS, feed->now_ns);
            loss_signal_on_lost(&feed->signal, number);
        } else {
            loss_signal_on_rtt(&feed->signal, number, RTT_MS * MS + queue_ns(feed, i), RTT_MS * MS,
                               feed->now_ns);
        }
    }
    return loss_signal_next_round(&feed->signal);
}

static uint64_t sawtooth(struct feed *feed, int position)
{
    (void)feed;
    return (unsigned)position * MS / 50; /* at most a millisecond */
}

static uint64_t noise(struct feed *feed, int position)
{
    (void)position;
    return random_below(&feed->random, MS);
}

static void T7_losses_at_full_queue_are_overflow(void **state)
{
    (void)state;
    struct feed feed;
    feed_init(&feed);
    for (int i = 0; i < 4; i++)
        assert_false(feed_round(&feed, sawtooth, 0, 0));
    int rounds = 1;
    while (!feed_round(&feed, sawtooth, PER_ROUND - 3, 1)) {
        assert_false(loss_signal_is_chance(&feed.signal));
        assert_true(++rounds < 4);
    }
    assert_true(feed.signal.mean > 0.85);
}

static void T7_losses_anywhere_are_chance(void **state)
{
    (void)state;
    struct feed feed;
    feed_init(&feed);
    int chance = 0;
    for (int i = 0; i < 2000; i++) {
        bool is_overflow = feed_round(&feed, noise, -1, 1);
        /* Of few losses anything may be believed. */
        if (feed.signal.rounds == LOSS_SIGNAL_MEMORY)
            assert_false(is_overflow);
        chance += loss_signal_is_chance(&feed.signal);
    }
    assert_true(chance > 1800);
}

static uint64_t own_queue_ns;

static uint64_t own_queue(struct feed *feed, int position)
{
    (void)position;
    return own_queue_ns + random_below(&feed->random, MS / 10);
}

/* It grows by a step and drains, over and over; losses are by chance all the time. */
static void T7_ones_own_queue_is_no_overflow(void **state)
{
    (void)state;
    static const uint64_t queue_ms[] = {0, 0, 0, 0, 1, 3, 6, 8, 5, 3, 1, 0};
    struct feed feed;
    feed_init(&feed);
    for (int i = 0; i < 2000; i++) {
        own_queue_ns = queue_ms[i % 12] * MS;
        bool is_overflow = feed_round(&feed, own_queue, -1, 1);
        if (feed.signal.rounds == LOSS_SIGNAL_MEMORY)
            assert_false(is_overflow);
    }
}

static void a_loss_without_a_neighbour_says_nothing(void **state)
{
    (void)state;
    struct feed feed;
    feed_init(&feed);
    loss_signal_on_lost(&feed.signal, 5);
    for (int i = 0; i < 4; i++)
        feed_round(&feed, noise, 0, 0);
    loss_signal_on_lost(&feed.signal, feed.number + 100);
    assert_false(loss_signal_next_round(&feed.signal));
    assert_int_equal(feed.signal.rounds, 0);
}

static void many_at_once_need_no_second_round(void **state)
{
    (void)state;
    struct feed feed;
    feed_init(&feed);
    for (int i = 0; i < 4; i++)
        feed_round(&feed, sawtooth, 0, 0);
    for (int i = 0; i < PER_ROUND; i++) {
        feed.now_ns += GAP_NS;
        loss_signal_on_rtt(&feed.signal, feed.number + (uint64_t)i,
                           RTT_MS * MS + sawtooth(&feed, i), RTT_MS * MS, feed.now_ns);
    }
    for (uint64_t i = 40; i < 47; i++)
        loss_signal_on_lost(&feed.signal, feed.number + i);
    assert_false(loss_signal_is_overflow_now(&feed.signal));
    loss_signal_on_lost(&feed.signal, feed.number + 47);
    assert_true(loss_signal_is_overflow_now(&feed.signal));
    loss_signal_forget(&feed.signal);
    assert_false(loss_signal_is_overflow_now(&feed.signal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T7_losses_at_full_queue_are_overflow),
        cmocka_unit_test(T7_losses_anywhere_are_chance),
        cmocka_unit_test(T7_ones_own_queue_is_no_overflow),
        cmocka_unit_test(a_loss_without_a_neighbour_says_nothing),
        cmocka_unit_test(many_at_once_need_no_second_round),
    };
    return cmocka_run_group_tests_name("transport/loss_signal", tests, NULL, NULL);
}
