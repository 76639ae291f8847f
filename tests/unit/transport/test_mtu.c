/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/mtu.h"

#include "base/error.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define SECOND 1000000000ull

static uint64_t number;

/* Probes until the search rests; how many it took. */
static int search(struct mtu *mtu, uint16_t path_bytes, uint64_t now_ns)
{
    int probes = 0;
    for (uint16_t bytes; (bytes = mtu_due(mtu, now_ns)) != 0; probes++) {
        assert_true(bytes > mtu->bytes && bytes <= mtu->most);
        mtu_probe_sent(mtu, bytes, ++number);
        assert_int_equal(mtu_due(mtu, now_ns), 0); /* one at a time */
        if (bytes <= path_bytes)
            mtu_on_acked(mtu, number, bytes, now_ns);
        else
            mtu_on_lost(mtu, number, bytes, now_ns);
    }
    return probes;
}

static void T5_the_search_finds_what_the_path_takes(void **state)
{
    (void)state;
    static const struct {
        uint16_t most, path, least_found;
        int probes;
    } cases[] = {
        {1400, 1500, 1400, 1},     {1472, 1472, 1472, 1},  {8972, 8972, 8972, 1},
        {8972, 1472, 1472, 33},    {8972, 1452, 1452, 20}, {1400, 1250, 1219, 30},
        {9000, 3000, 2969, 60},    {1400, 1200, 1200, 30}, {1200, 1500, 1200, 0},
        {65000, 20000, 19969, 60}, {1333, 1500, 1333, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mtu mtu;
        mtu_init(&mtu, MTU_BASE_BYTES, cases[i].most);
        assert_int_equal(mtu.bytes, MTU_BASE_BYTES);
        int probes = search(&mtu, cases[i].path, SECOND);
        assert_in_range(mtu.bytes, cases[i].least_found, cases[i].path);
        assert_true(mtu.bytes <= cases[i].most);
        assert_true(probes <= cases[i].probes);
    }
}

static void T5_two_lost_probes_prove_nothing(void **state)
{
    (void)state;
    struct mtu mtu;
    mtu_init(&mtu, MTU_BASE_BYTES, 1400);
    for (int i = 0; i < MTU_PROBES - 1; i++) {
        mtu_probe_sent(&mtu, mtu_due(&mtu, 0), ++number);
        mtu_on_lost(&mtu, number, 1400, 0);
    }
    assert_int_equal(mtu_due(&mtu, 0), 1400);
    mtu_probe_sent(&mtu, 1400, ++number);
    mtu_on_acked(&mtu, number, 1400, 0);
    assert_int_equal(mtu.bytes, 1400);
    /* Nor does one that was late. */
    mtu_init(&mtu, MTU_BASE_BYTES, 1400);
    mtu_probe_sent(&mtu, 1400, ++number);
    mtu_on_lost(&mtu, number, 1400, 0);
    mtu_on_acked(&mtu, number, 1400, 0);
    assert_int_equal(mtu.bytes, 1400);
}

static void T5_a_black_hole_is_noticed_and_congestion_is_none(void **state)
{
    (void)state;
    struct mtu mtu;
    mtu_init(&mtu, MTU_BASE_BYTES, 1400);
    search(&mtu, 1400, 0);
    /* Losses between arrivals, and of small packets. */
    for (int i = 0; i < 100; i++) {
        mtu_on_lost(&mtu, ++number, 1200, 0);
        mtu_on_lost(&mtu, ++number, 1400, 0);
        mtu_on_acked(&mtu, ++number, 1400, 0);
    }
    for (int i = 0; i < MTU_HOLE_LOSSES; i++) /* lost before the last that arrived */
        mtu_on_lost(&mtu, number - 10 + (uint64_t)i, 1400, 0);
    assert_int_equal(mtu.bytes, 1400);
    for (int i = 0; i < MTU_HOLE_LOSSES; i++) {
        assert_int_equal(mtu.bytes, 1400);
        mtu_on_lost(&mtu, ++number, 1400, 0);
        mtu_on_acked(&mtu, ++number, 1200, 0);
    }
    assert_int_equal(mtu.bytes, MTU_BASE_BYTES);
    assert_int_equal(mtu.holes, 1);
    search(&mtu, 1300, 0);
    assert_in_range(mtu.bytes, 1280, 1300);
    /* The path widens again: tried in time. */
    assert_int_equal(mtu_due(&mtu, MTU_RAISE_NS - 1), 0);
    search(&mtu, 1500, MTU_RAISE_NS);
    assert_int_equal(mtu.bytes, 1400);
}

static void T5_what_the_kernel_refuses_is_not_tried_again(void **state)
{
    (void)state;
    struct mtu mtu;
    mtu_init(&mtu, MTU_BASE_BYTES, 8972);
    mtu_probe_sent(&mtu, 8972, ++number);
    mtu_on_refused(&mtu, 8972, 0);
    assert_true(mtu_due(&mtu, 0) < 8972);
    search(&mtu, 1472, 0);
    assert_int_equal(mtu.bytes, 1472);
    mtu_on_refused(&mtu, 1472, 0); /* the interface has changed */
    assert_int_equal(mtu.bytes, MTU_BASE_BYTES);
    mtu_set_most(&mtu, 1250);
    search(&mtu, 9000, 0);
    assert_int_equal(mtu.bytes, 1250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T5_the_search_finds_what_the_path_takes),
        cmocka_unit_test(T5_two_lost_probes_prove_nothing),
        cmocka_unit_test(T5_a_black_hole_is_noticed_and_congestion_is_none),
        cmocka_unit_test(T5_what_the_kernel_refuses_is_not_tried_again),
    };
    return cmocka_run_group_tests_name("transport/mtu", tests, NULL, NULL);
}
