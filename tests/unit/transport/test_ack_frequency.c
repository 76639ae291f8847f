/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/ack_frequency.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull

static void T11_what_is_asked_follows_the_window(void **state)
{
    static const struct {
        uint64_t window_packets, srtt_ns;
        uint32_t packets, delay_us; /* 0: nothing is asked */
    } cases[] = {
        {10, MS, 0, 0}, /* the least is what the receiver does by itself */
        {80, MS, 10, 125},       {256, MS, 32, 125},        {100000, MS, 32, 125},
        {256, 40 * MS, 8, 5000}, {1024, 40 * MS, 32, 5000}, {1024, 400 * MS, 32, 5000},
        {96, 4 * MS, 3, 500},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ack_frequency frequency = {0};
        bool is_due =
            ack_frequency_is_due(&frequency, cases[i].window_packets, cases[i].srtt_ns, 1000 * MS);
        assert_int_equal(is_due, cases[i].packets != 0);
        assert_int_equal(frequency.asked.packets, cases[i].packets);
        assert_int_equal(frequency.asked.delay_us, cases[i].delay_us);
        assert_int_equal(frequency.asked.sequence, cases[i].packets != 0);
    }
}

static void T11_it_is_told_when_it_has_changed_and_once_a_round_trip(void **state)
{
    (void)state;
    struct ack_frequency frequency = {0};
    uint64_t now_ns = 1000 * MS;
    assert_true(ack_frequency_is_due(&frequency, 160, MS, now_ns));
    ack_frequency_told(&frequency);
    assert_false(ack_frequency_wants_look(&frequency, MS, now_ns + MS - 1));
    assert_false(ack_frequency_is_due(&frequency, 80, MS, now_ns + MS - 1)); /* too soon */
    assert_true(ack_frequency_wants_look(&frequency, MS, now_ns + MS));
    assert_false(ack_frequency_is_due(&frequency, 130, MS, now_ns + MS)); /* hardly less */
    assert_true(ack_frequency_is_due(&frequency, 80, MS, now_ns + 2 * MS));
    assert_int_equal(frequency.asked.sequence, 2);
    assert_int_equal(frequency.asked.packets, 10);
    ack_frequency_told(&frequency);
    assert_true(ack_frequency_is_due(&frequency, 80, 3 * MS, now_ns + 5 * MS)); /* a longer way */
    assert_int_equal(frequency.asked.delay_us, 375);
}

static void only_the_last_one_lost_is_told_again(void **state)
{
    (void)state;
    struct ack_frequency frequency = {0};
    assert_true(ack_frequency_is_due(&frequency, 160, MS, 1000 * MS));
    ack_frequency_told(&frequency);
    assert_true(ack_frequency_is_due(&frequency, 80, MS, 1001 * MS));
    ack_frequency_told(&frequency);
    ack_frequency_lost(&frequency, 1);
    assert_false(ack_frequency_is_due(&frequency, 80, MS, 1002 * MS));
    ack_frequency_lost(&frequency, 2);
    assert_true(ack_frequency_wants_look(&frequency, MS, 1002 * MS));
    assert_true(ack_frequency_is_due(&frequency, 80, MS, 1002 * MS));
    assert_int_equal(frequency.asked.sequence, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T11_what_is_asked_follows_the_window),
        cmocka_unit_test(T11_it_is_told_when_it_has_changed_and_once_a_round_trip),
        cmocka_unit_test(only_the_last_one_lost_is_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
