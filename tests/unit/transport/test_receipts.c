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

static void T11_acks_go_out_as_seldom_as_the_peer_asked(void **state)
{
    (void)state;
    struct receipts receipts;
    receipts_init(&receipts);
    receipts_ask(&receipts, &(struct ack_asking){.sequence = 2, .packets = 32, .delay_us = 5000});
    receipts_ask(&receipts, &(struct ack_asking){.sequence = 1, .packets = 2}); /* overtaken */
    uint64_t now_ns = 1000 * MS;
    uint32_t acks = 0;
    for (uint64_t number = 0; number < 3200; number++) {
        now_ns += 40000;
        receipts_note(&receipts, number, true, 40 * MS, now_ns);
        if (receipts.due_ns <= now_ns) {
            receipts_acked(&receipts);
            acks++;
        }
    }
    assert_int_equal(acks, 3200 / 32);
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
        struct ack_asking asked;
    } cases[] = {
        {"one packet waits an eighth of the round trip", {0}, 1, true, 8 * MS, MS, {0}},
        {"and at most 5 ms", {0}, 1, true, 800 * MS, 5 * MS, {0}},
        {"two do not wait", {0, 1}, 2, true, 80 * MS, 0, {0}},
        {"as long as was asked", {0, 1}, 2, true, 80 * MS, 3 * MS, {1, 12, 3000}},
        {"but not longer than 5 ms", {0, 1}, 2, true, 80 * MS, 5 * MS, {1, 12, 30000}},
        {"nor than a round trip", {0, 1}, 2, true, MS, MS, {1, 12, 30000}},
        {"as many as were asked", {0, 1, 2}, 3, true, 80 * MS, 0, {1, 3, 5000}},
        {"a gap at once", {0, 2}, 2, true, 80 * MS, 0, {1, 12, 5000}},
        {"a late packet at once", {1, 0}, 2, true, 80 * MS, 0, {1, 12, 5000}},
        {"what elicits no ack gets none", {0, 1, 2, 3}, 4, false, 80 * MS, UINT64_MAX, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct receipts receipts;
        receipts_init(&receipts);
        receipts_ask(&receipts, &cases[i].asked);
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
        cmocka_unit_test(T11_acks_go_out_as_seldom_as_the_peer_asked),
        cmocka_unit_test(ack_policy),
        cmocka_unit_test(latecomers_are_not_pruned_before_they_are_told),
        cmocka_unit_test(oldest_ranges_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
