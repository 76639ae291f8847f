/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/receipts.h"
#include "transport/rtt.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull

static void T11_acks_go_out_seldom_on_a_busy_path(void **state)
{
    (void)state;
    struct receipts receipts;
    receipts_init(&receipts);
    uint64_t now_ns = 1000 * MS;
    uint32_t acks = 0;
    /* 1000 packets a round trip of 40 ms: after a few rounds one ack for 31 or 32. */
    for (uint64_t number = 0; number < 10000; number++) {
        now_ns += 40000;
        receipts_note(&receipts, number, true, 40 * MS, now_ns);
        if (receipts.due_ns <= now_ns) {
            receipts_acked(&receipts);
            acks += number >= 5000;
        }
    }
    assert_in_range(acks, 5000 / 32, 5000 / 31 + 2);
    receipts_clear(&receipts);
}

static void ack_policy(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint64_t numbers[4];
        uint32_t count;
        bool eliciting;
        uint64_t srtt_ns, due_after_ns; /* UINT64_MAX: never */
    } cases[] = {
        {"one packet waits an eighth of the round trip", {0}, 1, true, 8 * MS, MS},
        {"and at most 5 ms", {0}, 1, true, 800 * MS, 5 * MS},
        {"an eighth of a round trip's packets waits", {0, 1}, 2, true, 80 * MS, 5 * MS},
        {"a gap at once", {0, 2}, 2, true, 80 * MS, 0},
        {"a late packet at once", {1, 0}, 2, true, 80 * MS, 0},
        {"what elicits no ack gets none", {0, 1, 2, 3}, 4, false, 80 * MS, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct receipts receipts;
        receipts_init(&receipts);
        receipts.round_packets = 100; /* an ack for twelve */
        for (uint32_t k = 0; k < cases[i].count; k++)
            receipts_note(&receipts, cases[i].numbers[k], cases[i].eliciting, cases[i].srtt_ns,
                          100 * MS);
        uint64_t expected =
            cases[i].due_after_ns == UINT64_MAX ? UINT64_MAX : 100 * MS + cases[i].due_after_ns;
        if (receipts.due_ns != expected)
            fail_msg("%s", cases[i].what);
        receipts_clear(&receipts);
    }
}

static void oldest_ranges_are_forgotten(void **state)
{
    (void)state;
    struct receipts receipts;
    receipts_init(&receipts);
    for (uint64_t number = 0; number < 1000; number += 2)
        receipts_note(&receipts, number, true, MS, MS);
    assert_int_equal(receipts.numbers.count, RECEIPTS_RANGES_MAX);
    assert_true(ranges_has(&receipts.numbers, 998));
    receipts_acked(&receipts);
    receipts_prune(&receipts, 990);
    assert_int_equal(receipts.numbers.count, 5);
    receipts_clear(&receipts);
}

static void latecomers_are_not_pruned_before_they_are_told(void **state)
{
    (void)state;
    struct receipts receipts;
    receipts_init(&receipts);
    for (uint64_t number = 0; number < 10; number++)
        if (number != 5)
            receipts_note(&receipts, number, true, MS, MS);
    receipts_acked(&receipts);
    receipts_note(&receipts, 5, true, MS, MS);
    receipts_prune(&receipts, 10);
    assert_true(ranges_has(&receipts.numbers, 5));
    receipts_acked(&receipts);
    receipts_prune(&receipts, 10);
    assert_int_equal(receipts.numbers.count, 0);
    receipts_clear(&receipts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T11_acks_go_out_seldom_on_a_busy_path),
        cmocka_unit_test(ack_policy),
        cmocka_unit_test(latecomers_are_not_pruned_before_they_are_told),
        cmocka_unit_test(oldest_ranges_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
