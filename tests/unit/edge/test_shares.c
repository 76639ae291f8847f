/* SPDX-License-Identifier: Apache-2.0
 *
 * What client networks have: exact counts also where workers meet, rates, a table that is full; and the time that a slow client gets.
 */
#include "base/error.h"
#include "edge/front/pace.h"
#include "edge/front/shares.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#include <pthread.h>

#define SECOND_NS 1000000000ull

static struct network network_of(uint32_t number)
{
    struct address address = {.family = 4,
                              .bytes = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                                        (uint8_t)number}};
    return edge_share_network(&address, 32, 56);
}

static void networks_have_the_bits_that_are_set(void **state)
{
    static const struct {
        const char *address;
        uint8_t ipv4_bits, ipv6_bits;
        const char *network;
    } rows[] = {
        {"192.0.2.77", 32, 56, "192.0.2.77/32"},
        {"192.0.2.77", 24, 56, "192.0.2.0/24"},
        {"192.0.2.77", 29, 56, "192.0.2.72/29"},
        {"::ffff:192.0.2.77", 24, 56, "192.0.2.0/24"},
        {"2001:db8:1:2ff:3::4", 32, 56, "2001:db8:1:200::/56"},
        {"2001:db8:1:2ff:3::4", 32, 60, "2001:db8:1:2f0::/60"},
        {"2001:db8:1:2ff:3::4", 32, 128, "2001:db8:1:2ff:3::4/128"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct address address;
        char text[ADDRESS_TEXT_BYTES];
        assert_int_equal(address_parse(span_text(rows[i].address), &address), 0);
        struct network network = edge_share_network(&address, rows[i].ipv4_bits, rows[i].ipv6_bits);
        assert_string_equal(network_text(&network, text), rows[i].network);
    }
}

static void connections_and_requests_are_counted(void **state)
{
    struct edge_shares *shares = edge_shares_new(100, 1);
    struct network one = network_of(1), two = network_of(2);
    (void)state;
    struct edge_share *first = edge_shares_enter(shares, &one);
    struct edge_share *again = edge_shares_enter(shares, &one);
    struct edge_share *other = edge_shares_enter(shares, &two);
    assert_ptr_equal(first, again);
    assert_ptr_not_equal(first, other);
    assert_int_equal(edge_share_connections(first), 2);
    assert_int_equal(edge_share_connections(other), 1);
    assert_true(edge_share_begin(first, 2) && edge_share_begin(again, 2));
    assert_false(edge_share_begin(first, 2));
    assert_true(edge_share_begin(first, 0) && edge_share_begin(other, 1));
    edge_share_end(first);
    edge_share_end(first);
    assert_true(edge_share_begin(first, 2));
    edge_share_leave(first);
    edge_share_leave(again);
    edge_share_leave(other);
    assert_int_equal(edge_share_connections(first), 0);
    edge_shares_free(&shares);
}

static void rates_have_a_burst_and_are_remembered(void **state)
{
    struct edge_shares *shares = edge_shares_new(100, 1);
    struct network one = network_of(1);
    (void)state;
    for (uint64_t i = 0; i < 10; i++) { /* each comes and leaves */
        struct edge_share *share = edge_shares_enter(shares, &one);
        assert_int_equal(
            edge_share_take(share, EDGE_SHARE_CONNECTIONS, 5, 2 * SECOND_NS, SECOND_NS), 0);
        assert_int_equal(edge_share_take(share, EDGE_SHARE_REQUESTS, 5, 0, i * SECOND_NS), 0);
        edge_share_leave(share);
    }
    struct edge_share *share = edge_shares_enter(shares, &one);
    assert_int_equal(edge_share_take(share, EDGE_SHARE_CONNECTIONS, 5, 2 * SECOND_NS, SECOND_NS),
                     SECOND_NS / 5);
    assert_int_equal(
        edge_share_take(share, EDGE_SHARE_CONNECTIONS, 5, 2 * SECOND_NS, SECOND_NS * 6 / 5), 0);
    assert_int_equal(edge_share_take(share, EDGE_SHARE_CONNECTIONS, 5, 2 * SECOND_NS,
                                     SECOND_NS * 6 / 5),
                     SECOND_NS / 5);
    edge_share_leave(share);
    edge_shares_free(&shares);
}

static void a_full_table_takes_no_network_more_and_forgets_those_that_left(void **state)
{
    enum { NETWORKS = 4096 };
    struct edge_shares *shares = edge_shares_new(64, 1);
    static struct edge_share *held[NETWORKS];
    size_t count = 0;
    (void)state;
    for (uint32_t i = 0; i < NETWORKS; i++) {
        struct network network = network_of(i);
        held[i] = edge_shares_enter(shares, &network);
        count += held[i] != NULL;
    }
    assert_in_range(count, 64, 128); /* that is all its places */
    for (uint32_t i = 0; i < NETWORKS; i++)
        edge_share_leave(held[i]);
    for (uint32_t i = NETWORKS; i < NETWORKS + 64; i++) {
        struct network network = network_of(i);
        held[i - NETWORKS] = edge_shares_enter(shares, &network);
        assert_non_null(held[i - NETWORKS]);
        assert_int_equal(edge_share_connections(held[i - NETWORKS]), 1);
    }
    edge_shares_free(&shares);
}

static void as_many_networks_as_said_find_a_place(void **state)
{
    enum { NETWORKS = 65536 };
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct edge_shares *shares = edge_shares_new(NETWORKS, seed * 0x123456789abcdefull);
        size_t lost = 0;
        for (uint32_t i = 0; i < NETWORKS; i++) {
            struct network network = network_of(i);
            lost += !edge_shares_enter(shares, &network);
        }
        assert_int_equal(lost, 0);
        edge_shares_free(&shares);
    }
}

/* ---- workers that meet */

enum { THREADS = 4, ROUNDS = 20000, HELD = 8 };

static void *come_and_go(void *argument)
{
    struct edge_shares *shares = argument;
    struct edge_share *held[HELD] = {0};
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct network network = network_of(i * 7 % 40);
        edge_share_leave(held[i % HELD]);
        held[i % HELD] = edge_shares_enter(shares, &network);
        assert_non_null(held[i % HELD]);
    }
    for (uint32_t i = 1; i < HELD; i++)
        edge_share_leave(held[i]);
    edge_share_leave(held[0]);
    struct network last = network_of(1000);
    return edge_shares_enter(shares, &last);
}

static void counts_are_exact_between_threads(void **state)
{
    struct edge_shares *shares = edge_shares_new(64, 1);
    pthread_t threads[THREADS];
    void *shared[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, shares), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], &shared[i]);
    for (int i = 0; i < THREADS; i++)
        assert_ptr_equal(shared[i], shared[0]);
    assert_int_equal(edge_share_connections(shared[0]), THREADS);
    for (uint32_t i = 0; i < 40; i++) {
        struct network network = network_of(i);
        assert_int_equal(edge_share_connections(edge_shares_enter(shares, &network)), 1);
    }
    edge_shares_free(&shares);
}

/* ---- slow clients */

/* When the time of a client is up that moves `bytes` every `every_ns`; 0: not within an hour. */
static uint64_t ends_at(uint64_t bytes, uint64_t every_ns, uint32_t rate)
{
    struct edge_pace pace = {0};
    edge_pace_move(&pace, 0, 60 * SECOND_NS, rate, 0, true);
    for (uint64_t now_ns = every_ns; now_ns < 3600 * SECOND_NS; now_ns += every_ns) {
        if (pace.deadline_ns <= now_ns)
            return pace.deadline_ns;
        edge_pace_move(&pace, now_ns, 60 * SECOND_NS, rate, bytes, true);
    }
    return 0;
}

static void who_is_slower_than_the_rate_runs_out_of_time(void **state)
{
    (void)state;
    assert_int_equal(ends_at(0, SECOND_NS, 500) / SECOND_NS, 60);
    assert_in_range(ends_at(1, 10 * SECOND_NS, 500), 60 * SECOND_NS, 61 * SECOND_NS);
    assert_in_range(ends_at(250, SECOND_NS, 500), 110 * SECOND_NS, 125 * SECOND_NS);
    assert_int_equal(ends_at(500, SECOND_NS, 500), 0);
    assert_int_equal(ends_at(25000, 50 * SECOND_NS, 500), 0); /* in lumps */
    assert_int_equal(ends_at(1, 59 * SECOND_NS, 0), 0);       /* any byte will do */
    assert_int_equal(ends_at(UINT64_MAX / 4, 59 * SECOND_NS, 1), 0);
}

static void who_has_taken_all_has_all_the_time_again(void **state)
{
    struct edge_pace pace = {0};
    (void)state;
    edge_pace_move(&pace, 0, 60 * SECOND_NS, 500, 0, true);
    edge_pace_move(&pace, 50 * SECOND_NS, 60 * SECOND_NS, 500, 10, false);
    edge_pace_move(&pace, 100 * SECOND_NS, 60 * SECOND_NS, 500, 10, true);
    assert_int_equal(pace.deadline_ns, 160 * SECOND_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_have_the_bits_that_are_set),
        cmocka_unit_test(connections_and_requests_are_counted),
        cmocka_unit_test(rates_have_a_burst_and_are_remembered),
        cmocka_unit_test(a_full_table_takes_no_network_more_and_forgets_those_that_left),
        cmocka_unit_test(as_many_networks_as_said_find_a_place),
        cmocka_unit_test(counts_are_exact_between_threads),
        cmocka_unit_test(who_is_slower_than_the_rate_runs_out_of_time),
        cmocka_unit_test(who_has_taken_all_has_all_the_time_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
