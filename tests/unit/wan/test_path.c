/* SPDX-License-Identifier: Apache-2.0
 *
 * The model of one direction in virtual time: exact delays, rates and drops, seeded chance.
 */
#include "path.h"

#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { SIZE = 1250 }; /* 10 us at 1 Gbit/s */

static const uint64_t US = 1000, MS = 1000000;

struct fixture {
    struct packet_pool pool;
    struct path path;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.pool = {.packet_bytes = 2048}};
    path_init(&fixture.path, &fixture.pool);
    path_seed(&fixture.path, 1, 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    path_clear(&fixture->path);
    packet_pool_clear(&fixture->pool);
    return 0;
}

static void put(struct fixture *fixture, uint32_t number, uint64_t now_ns)
{
    struct packet *packet = packet_new(&fixture->pool);
    packet->length = SIZE;
    packet->flow = number;
    memset(packet->data, 0, SIZE);
    path_put(&fixture->path, packet, now_ns);
}

/* Takes the next packet at its very time; returns its number, or UINT32_MAX. */
static uint32_t take(struct fixture *fixture, uint64_t *at_ns)
{
    *at_ns = path_wake(&fixture->path);
    if (*at_ns == UINT64_MAX)
        return UINT32_MAX;
    if (*at_ns > 0)
        assert_null(path_take(&fixture->path, *at_ns - 1, *at_ns - 1));
    struct packet *packet = path_take(&fixture->path, *at_ns, *at_ns);
    assert_non_null(packet);
    uint32_t number = packet->flow;
    packet_free(&fixture->pool, packet);
    return number;
}

static void wan_delay_is_exact(void **state)
{
    struct fixture *fixture = *state;
    uint64_t at_ns;
    fixture->path.set.delay_ns = 40 * MS;
    put(fixture, 1, 5 * MS);
    assert_int_equal(take(fixture, &at_ns), 1);
    assert_int_equal(at_ns, 45 * MS);
}

static void wan_rate_spaces_packets_without_drift(void **state)
{
    struct fixture *fixture = *state;
    uint64_t at_ns = 0;
    fixture->path.set.rate_bps = 3000000; /* 3.33 ms each: the remainder must carry over */
    fixture->path.set.queue_ns = 0;
    for (uint32_t i = 0; i < 3000; i++)
        put(fixture, i, 0);
    for (uint32_t i = 0; i < 3000; i++)
        assert_int_equal(take(fixture, &at_ns), i);
    assert_int_equal(at_ns, 10000 * MS);
}

static void wan_queue_limit_drops_the_tail(void **state)
{
    struct fixture *fixture = *state;
    fixture->path.set.rate_bps = 1000000000;
    fixture->path.set.queue_ns = 100 * US;
    for (uint32_t i = 0; i < 20; i++)
        put(fixture, i, 0);
    /* the eleventh waits exactly the limit, the twelfth longer */
    assert_int_equal(fixture->path.count.dropped_queue, 9);
    fixture->path.set.queue_ns = 0;
    fixture->path.set.queue_bytes = 3 * SIZE;
    for (uint32_t i = 0; i < 5; i++)
        put(fixture, i, 100 * MS);
    assert_int_equal(fixture->path.count.dropped_queue, 9 + 2);
}

static void wan_loss_has_the_share_that_was_set(void **state)
{
    struct fixture *fixture = *state;
    fixture->path.set.loss = 0.05;
    for (uint32_t i = 0; i < 20000; i++)
        put(fixture, i, 0);
    assert_in_range(fixture->path.count.lost_random, 900, 1100);
    assert_int_equal(fixture->path.held.count, 20000 - fixture->path.count.lost_random);
}

static void wan_bursts_have_the_length_that_was_set(void **state)
{
    struct fixture *fixture = *state;
    fixture->path.set.burst_leave = 1.0 / 8;
    fixture->path.set.burst_enter = fixture->path.set.burst_leave * 0.02 / 0.98;
    uint64_t bursts = 0, lost = 0;
    bool was_lost = false;
    for (uint32_t i = 0; i < 400000; i++) {
        put(fixture, i, i);
        bool is_lost = fixture->path.count.lost_burst > lost;
        uint64_t at_ns;
        if (!is_lost)
            assert_int_equal(take(fixture, &at_ns), i);
        bursts += is_lost && !was_lost;
        was_lost = is_lost;
        lost = fixture->path.count.lost_burst;
    }
    assert_in_range(lost, 7000, 9000);
    assert_in_range(lost * 10 / bursts, 72, 88);
}

static void wan_jitter_stays_within_and_keeps_order(void **state)
{
    struct fixture *fixture = *state;
    fixture->path.set.delay_ns = 20 * MS;
    fixture->path.set.jitter_ns = 5 * MS;
    uint64_t at_ns, least = UINT64_MAX, most = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        put(fixture, i, i * MS);
        assert_int_equal(take(fixture, &at_ns), i);
        uint64_t delay_ns = at_ns - i * MS;
        least = delay_ns < least ? delay_ns : least;
        most = delay_ns > most ? delay_ns : most;
    }
    assert_in_range(least, 15 * MS, 17 * MS);
    assert_in_range(most, 23 * MS, 25 * MS);
}

static void wan_reorders_and_duplicates(void **state)
{
    struct fixture *fixture = *state;
    fixture->path.set.reorder = fixture->path.set.duplicate = 0.1;
    uint64_t at_ns, received = 0, backwards = 0;
    for (uint32_t i = 0; i < 10000; i++)
        put(fixture, i, i * MS);
    for (uint32_t number, before = 0; (number = take(fixture, &at_ns)) != UINT32_MAX;
         before = number, received++)
        backwards += number < before;
    assert_int_equal(received, 10000 + fixture->path.count.duplicated);
    assert_in_range(fixture->path.count.duplicated, 900, 1100);
    assert_in_range(fixture->path.count.reordered, 900, 1100);
    assert_true(backwards > 500);
}

static void wan_corruption_flips_one_bit(void **state)
{
    struct fixture *fixture = *state;
    fixture->path.set.corrupt = 1;
    put(fixture, 1, 1);
    struct packet *packet = path_take(&fixture->path, 1, 1);
    int bits = 0;
    for (int i = 0; i < SIZE; i++)
        bits += __builtin_popcount(packet->data[i]);
    assert_int_equal(bits, 1);
    packet_free(&fixture->pool, packet);
}

static void wan_down_drops_what_is_on_its_way(void **state)
{
    struct fixture *fixture = *state;
    fixture->path.set.delay_ns = MS;
    put(fixture, 1, 0);
    fixture->path.set.is_down = true;
    put(fixture, 2, 0);
    assert_null(path_take(&fixture->path, MS, MS));
    assert_int_equal(fixture->path.count.dropped_down, 2);
    assert_true(path_wake(&fixture->path) == UINT64_MAX);
}

static void wan_same_seed_same_fate(void **state)
{
    struct fixture *fixture = *state;
    uint64_t fates[2] = {0, 0}, at_ns;
    fixture->path.set.loss = 0.3;
    for (int round = 0; round < 2; round++) {
        path_seed(&fixture->path, 9, 1);
        for (uint32_t i = 0; i < 64; i++)
            put(fixture, i, 0);
        for (uint32_t number; (number = take(fixture, &at_ns)) != UINT32_MAX;)
            fates[round] |= 1ull << number;
    }
    assert_true(fates[0] == fates[1]);
    assert_true(fates[0] != UINT64_MAX);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(wan_delay_is_exact),
        CASE(wan_rate_spaces_packets_without_drift),
        CASE(wan_queue_limit_drops_the_tail),
        CASE(wan_loss_has_the_share_that_was_set),
        CASE(wan_bursts_have_the_length_that_was_set),
        CASE(wan_jitter_stays_within_and_keeps_order),
        CASE(wan_reorders_and_duplicates),
        CASE(wan_corruption_flips_one_bit),
        CASE(wan_down_drops_what_is_on_its_way),
        CASE(wan_same_seed_same_fate),
    };
    return cmocka_run_group_tests_name("wan/path", tests, NULL, NULL);
}
