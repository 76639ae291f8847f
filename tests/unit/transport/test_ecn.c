/* SPDX-License-Identifier: Apache-2.0
 *
 * ECN validation of RFC 9000 section 13.4.2, and the ring of the trace.
 */
#include "transport/ecn.h"
#include "transport/trace.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

static void T8_ecn_marks_are_validated(void **state)
{
    (void)state;
    struct step {
        struct ecn_counts counts;
        uint64_t newly_acked;
        int expected; /* new CE marks; -1: the path fails */
    };
    static const struct {
        const char *what;
        enum ecn_codepoint mark;
        struct step steps[3];
    } rows[] = {
        {"clean", ECN_ECT_0, {{{4, 0, 0}, 4, 0}, {{9, 0, 0}, 5, 0}, {{10, 0, 0}, 1, 0}}},
        {"marked", ECN_ECT_0, {{{4, 0, 0}, 4, 0}, {{6, 0, 3}, 5, 3}, {{6, 0, 4}, 1, 1}}},
        {"an ack was lost: more marks than newly acked",
         ECN_ECT_0,
         {{{2, 0, 0}, 2, 0}, {{7, 0, 2}, 3, 2}, {{8, 0, 2}, 1, 0}}},
        {"L4S", ECN_ECT_1, {{{0, 4, 0}, 4, 0}, {{0, 6, 2}, 4, 2}, {{0, 7, 2}, 1, 0}}},
        {"bleached", ECN_ECT_0, {{{0, 0, 0}, 4, -1}}},
        {"bleached later", ECN_ECT_0, {{{4, 0, 0}, 4, 0}, {{4, 0, 0}, 3, -1}}},
        {"ECT(0) becomes ECT(1)", ECN_ECT_0, {{{0, 4, 0}, 4, -1}}},
        {"ECT(1) becomes ECT(0)", ECN_ECT_1, {{{4, 0, 0}, 4, -1}}},
        {"backwards", ECN_ECT_0, {{{4, 0, 1}, 4, 1}, {{5, 0, 0}, 1, -1}}},
        {"more than were sent", ECN_ECT_0, {{{4, 0, 0}, 4, 0}, {{10, 0, 5}, 4, -1}}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ecn ecn;
        ecn_init(&ecn, rows[i].mark);
        assert_int_equal(ecn_mark(&ecn), rows[i].mark);
        ecn.marked = 10;
        assert_int_equal(ecn_mark(&ecn), ECN_NOT_ECT); /* until one is acknowledged */
        for (int at = 0; at < 3 && rows[i].steps[at].newly_acked; at++) {
            const struct step *step = &rows[i].steps[at];
            ecn.fresh = step->newly_acked;
            int result = ecn_on_ack(&ecn, (uint64_t)at, &step->counts);
            if (step->expected >= 0 ? result != step->expected : result >= 0)
                fail_msg("%s, step %d: %d", rows[i].what, at, result);
            assert_int_equal(ecn.state, result < 0 ? ECN_FAILED : ECN_CAPABLE);
            assert_int_equal(ecn_mark(&ecn), result < 0 ? ECN_NOT_ECT : rows[i].mark);
        }
    }
}

static void T8_vanishing_marked_packets_end_the_test(void **state)
{
    (void)state;
    struct ecn ecn;
    ecn_init(&ecn, ECN_NOT_ECT);
    assert_int_equal(ecn_mark(&ecn), ECN_NOT_ECT);
    assert_false(ecn_on_probe_timeout(&ecn));
    ecn_init(&ecn, ECN_ECT_0);
    assert_false(ecn_on_probe_timeout(&ecn)); /* nothing was marked yet */
    ecn.marked = 3;
    assert_true(ecn_on_probe_timeout(&ecn));
    assert_int_equal(ecn_mark(&ecn), ECN_NOT_ECT);
    /* On a path that is known to keep marks it is an outage. */
    ecn_init(&ecn, ECN_ECT_0);
    ecn.marked = 3;
    ecn.fresh = 3;
    assert_int_equal(ecn_on_ack(&ecn, 7, &(struct ecn_counts){.ect_0 = 3}), 0);
    /* An acknowledgement that was overtaken knows less, which says nothing. */
    assert_int_equal(ecn_on_ack(&ecn, 5, &(struct ecn_counts){.ect_0 = 1}), 0);
    assert_false(ecn_on_probe_timeout(&ecn));
    assert_string_equal(ecn_state_text(ecn.state), "capable");
    /* Another network is tried afresh, also after a failure. */
    ecn.state = ECN_FAILED;
    ecn_restart(&ecn);
    assert_int_equal(ecn_mark(&ecn), ECN_ECT_0);
    ecn.marked += ECN_TEST_PACKETS;
    assert_int_equal(ecn_mark(&ecn), ECN_NOT_ECT);
}

static void T8_counts_of_what_arrives(void **state)
{
    (void)state;
    struct ecn_counts counts = {0};
    for (uint8_t codepoint = 0; codepoint < 4; codepoint++)
        ecn_count(&counts, codepoint, codepoint + 1u);
    assert_int_equal(counts.ect_1, 2);
    assert_int_equal(counts.ect_0, 3);
    assert_int_equal(counts.ce, 4);
}

static void trace_ring_keeps_order_and_counts_what_it_drops(void **state)
{
    (void)state;
    struct trace_record records[4], record;
    struct transport_trace trace = {.records = records, .capacity = 4};
    trace_event(NULL, 1, TRACE_PACKET_SENT, 0, 1, 2, 3, 4); /* off: nothing happens */
    for (uint64_t round = 0, next = 0; round < 100; round++) {
        for (uint64_t i = 0; i < 6; i++)
            trace_event(&trace, round, TRACE_PACKET_LOST, 1, round * 6 + i, 7, 8, 9);
        for (next = round * 6; trace_read(&trace, &record); next++) {
            assert_int_equal(record.number, next);
            assert_int_equal(record.at_ns, round);
            assert_int_equal(record.kind, TRACE_PACKET_LOST);
        }
        assert_int_equal(next, round * 6 + 4);
    }
    assert_int_equal(atomic_load(&trace.dropped), 200);
    assert_string_equal(trace_kind_names(TRACE_PACKET_LOST)->event, "recovery:packet_lost");
    assert_null(trace_kind_names(TRACE_KINDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T8_ecn_marks_are_validated),
        cmocka_unit_test(T8_vanishing_marked_packets_end_the_test),
        cmocka_unit_test(T8_counts_of_what_arrives),
        cmocka_unit_test(trace_ring_keeps_order_and_counts_what_it_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
