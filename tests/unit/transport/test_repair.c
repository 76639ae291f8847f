/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/repair.h"

#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull

static const struct repair_facts good = {
    .now_ns = 10 * MS,
    .srtt_ns = 100 * MS,
    .min_rtt_ns = 100 * MS,
    .window_bytes = 14000,
    .in_flight_bytes = 1400,
    .loss_ppm = 10000,
    .packet_bytes = 1400,
    .is_wanted = true,
};

static void it_is_due_when_nothing_follows(void **state)
{
    (void)state;
    struct repair repair;
    repair_init(&repair);
    repair_set_idle(&repair, true, 100 * MS, 5 * MS);
    assert_true(repair.due_ns == UINT64_MAX); /* there is no packet */
    repair_note(&repair, 7);
    repair_set_idle(&repair, false, 100 * MS, 5 * MS);
    assert_true(repair.due_ns == UINT64_MAX);
    repair_set_idle(&repair, true, 100 * MS, 5 * MS);
    assert_true(repair.due_ns == 10 * MS);
    repair_set_idle(&repair, true, 100 * MS, 8 * MS); /* still */
    assert_true(repair.due_ns == 10 * MS);
    repair_set_idle(&repair, false, 100 * MS, 9 * MS);
    assert_true(repair.due_ns == UINT64_MAX);
    repair_set_idle(&repair, true, 32 * MS, 9 * MS);
    assert_true(repair.due_ns == 11 * MS && repair.after == 8);
    assert_true(repair_take(&repair, &good));
    assert_true(repair.due_ns == UINT64_MAX && repair.after == 0);
}

static void it_needs_loss_room_and_an_empty_queue(void **state)
{
    (void)state;
    struct repair_facts cases[6];
    for (int i = 0; i < 6; i++)
        cases[i] = good;
    cases[1].loss_ppm = REPAIR_LOSS_PPM - 1;
    cases[2].in_flight_bytes = 12601;
    cases[3].srtt_ns = 131 * MS;
    cases[4].is_wanted = false;
    cases[5].packet_bytes = REPAIR_CREDIT_FIRST + 81;
    for (int i = 0; i < 6; i++) {
        struct repair repair;
        repair_init(&repair);
        repair_note(&repair, 1);
        assert_int_equal(repair_take(&repair, &cases[i]), i == 0);
        assert_true(repair.after == 0); /* once, either way */
    }
}

static void it_costs_what_was_earned(void **state)
{
    (void)state;
    struct repair repair;
    repair_init(&repair);
    struct repair_facts facts = good;
    uint64_t taken = 0, rounds = 100000;
    for (uint64_t i = 0; i < rounds; i++) {
        facts.now_ns += MS;
        facts.link_bytes += 5000;
        repair_note(&repair, i);
        taken += repair_take(&repair, &facts) ? facts.packet_bytes : 0;
    }
    uint64_t earned = facts.link_bytes / REPAIR_EARNED_SHARE + rounds * REPAIR_EARNED_PER_S / 1000;
    assert_true(taken <= earned + REPAIR_CREDIT_FIRST + 80);
    assert_true(taken + 1400 >= earned);
    /* What is saved up has an end. */
    facts.link_bytes += 1ull << 40;
    facts.packet_bytes = REPAIR_CREDIT_MOST + 1;
    repair_note(&repair, 1);
    assert_false(repair_take(&repair, &facts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_due_when_nothing_follows),
        cmocka_unit_test(it_needs_loss_room_and_an_empty_queue),
        cmocka_unit_test(it_costs_what_was_earned),
    };
    return cmocka_run_group_tests_name("transport/repair", tests, NULL, NULL);
}
