/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/credit.h"

#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { KB = 1024, MB = 1024 * KB };
#define RTT_NS 40000000ull

static void open_streams_own_their_first_window(void **state)
{
    (void)state;
    struct credit credit = {.budget = 100 * KB, .first = 16 * KB, .most = 16 * MB};
    struct credit_window windows[7];
    for (int i = 0; i < 6; i++)
        assert_true(credit_open(&credit, &windows[i], 0));
    assert_false(credit_open(&credit, &windows[6], 0));
    credit_close(&credit, &windows[3]);
    assert_true(credit_open(&credit, &windows[6], 0));
    assert_int_equal(credit.given, 96 * KB);
}

static void window_grows_for_a_reader_that_keeps_up(void **state)
{
    (void)state;
    struct credit credit = {.budget = 256 * MB, .first = 16 * KB, .most = 16 * MB};
    struct credit_window window;
    assert_true(credit_open(&credit, &window, 0));
    uint64_t now_ns = RTT_NS;
    int rounds = 0;
    /* The whole window is read each round trip: four times as much for the next. */
    for (; window.window < 16 * MB; rounds++, now_ns += RTT_NS)
        assert_true(
            credit_consumed(&credit, &window, window.limit - window.consumed, now_ns, RTT_NS));
    assert_in_range(rounds, 5, 8);
    assert_true(credit.given == window.limit - window.consumed);
    credit_close(&credit, &window);
    assert_int_equal(credit.given, 0);
}

static void a_little_used_budget_is_lent_at_once(void **state)
{
    (void)state;
    enum { STREAMS = 12000 };
    struct credit credit = {
        .budget = 256 * MB, .first = 16 * KB, .most = 16 * MB, .at_open = 256 * KB};
    static struct credit_window windows[STREAMS];
    uint64_t given = 0;
    for (int i = 0; i < STREAMS; i++) {
        assert_true(credit_open(&credit, &windows[i], 0)); /* loans leave room for first windows */
        if (credit_lend(&credit, &windows[i]))
            assert_true(windows[i].limit > windows[i].told);
        given += windows[i].limit;
    }
    assert_int_equal(windows[0].limit, 256 * KB);
    assert_int_equal(windows[STREAMS - 1].limit, 16 * KB);
    assert_true(credit.given == given && given <= credit.budget);
    for (int i = 0; i < STREAMS; i++)
        credit_close(&credit, &windows[i]);
    assert_int_equal(credit.given, 0);
}

/* Streams that were fast once hold wide windows. While half of the budget is left that harms nobody; later those that have become slow
 * give back as they read, and what was granted is never withdrawn. */
static void what_was_lent_comes_back_from_those_that_slow_down(void **state)
{
    (void)state;
    enum { STREAMS = 10 };
    struct credit credit = {.budget = 40 * MB, .first = 16 * KB, .most = 4 * MB};
    struct credit_window windows[STREAMS];
    uint64_t now_ns = RTT_NS;
    for (int i = 0; i < STREAMS; i++)
        assert_true(credit_open(&credit, &windows[i], 0));
    for (int rounds = 0; rounds < 20; rounds++, now_ns += RTT_NS)
        for (int i = 0; i < STREAMS; i++)
            credit_consumed(&credit, &windows[i], windows[i].limit - windows[i].consumed, now_ns,
                            RTT_NS);
    uint64_t given = credit.given;
    assert_true(given > 24 * MB);
    for (int rounds = 0; rounds < 3000; rounds++, now_ns += RTT_NS)
        for (int i = 1; i < STREAMS; i++) {
            uint64_t limit = windows[i].limit;
            credit_consumed(&credit, &windows[i], 10 * KB, now_ns, RTT_NS);
            assert_true(windows[i].limit >= limit);
        }
    assert_true(credit.given < credit.budget / 2 + 4 * MB);
    /* The one that nobody heard of has what it had, and a fast one finds room again. */
    assert_true(windows[0].window >= MB);
    uint32_t before = windows[1].window;
    for (int rounds = 0; rounds < 6; rounds++, now_ns += RTT_NS)
        credit_consumed(&credit, &windows[1], windows[1].limit - windows[1].consumed, now_ns,
                        RTT_NS);
    assert_true(windows[1].window > before);
    for (int i = 0; i < STREAMS; i++)
        credit_close(&credit, &windows[i]);
    assert_int_equal(credit.given, 0);
}

static void slow_reader_gets_no_more(void **state)
{
    (void)state;
    struct credit credit = {.budget = 256 * MB, .first = 16 * KB, .most = 16 * MB};
    struct credit_window window;
    assert_true(credit_open(&credit, &window, 0));
    uint64_t now_ns = RTT_NS;
    assert_false(credit_consumed(&credit, &window, KB, now_ns, RTT_NS)); /* not worth a frame */
    for (int i = 0; i < 100; i++, now_ns += RTT_NS)
        credit_consumed(&credit, &window, 2 * KB, now_ns, RTT_NS);
    assert_int_equal(window.window, 16 * KB);
    assert_int_equal(window.limit, 201 * KB + 16 * KB);
    credit_close(&credit, &window);
}

static void budget_is_never_exceeded(void **state)
{
    (void)state;
    enum { STREAMS = 40 };
    struct credit credit = {.budget = 2 * MB, .first = 16 * KB, .most = 16 * MB};
    struct credit_window windows[STREAMS];
    for (int i = 0; i < STREAMS; i++)
        assert_true(credit_open(&credit, &windows[i], 0));
    for (uint64_t round = 1; round < 300; round++)
        for (int i = 0; i < STREAMS; i++) {
            uint64_t limit = windows[i].limit;
            credit_consumed(&credit, &windows[i], limit - windows[i].consumed, round * RTT_NS,
                            RTT_NS);
            assert_true(credit.given <= credit.budget);
            assert_true(windows[i].limit >= limit);
            assert_true(windows[i].window >= 16 * KB);
        }
    for (int i = 0; i < STREAMS; i++)
        credit_close(&credit, &windows[i]);
    assert_int_equal(credit.given, 0);
}

/* Five hundred streams of one client read as fast as they can, and then no more: another's fast stream gets its window all the same. A
 * second such client leaves half of one, and whatever is lent, first windows are there. */
static void who_reads_no_more_takes_no_others_window(void **state)
{
    (void)state;
    enum { STREAMS = 512, CLIENTS = 2 };
    static const uint32_t least[CLIENTS] = {16 * MB, 8 * MB};
    struct credit credit = {
        .budget = 256 * MB, .first = 16 * KB, .most = 16 * MB, .at_open = 256 * KB};
    static struct credit_window windows[CLIENTS][STREAMS];
    uint64_t now_ns = RTT_NS;
    for (int client = 0; client < CLIENTS; client++) {
        for (int i = 0; i < STREAMS; i++, now_ns += RTT_NS) {
            struct credit_window *window = &windows[client][i];
            assert_true(credit_open(&credit, window, (uint32_t)i + 1));
            credit_lend(&credit, window);
            for (int rounds = 0; rounds < 12; rounds++, now_ns += RTT_NS)
                credit_consumed(&credit, window, window->limit - window->consumed, now_ns, RTT_NS);
        }
        struct credit_window visitor;
        assert_true(credit_open(&credit, &visitor, 1));
        for (int rounds = 0; rounds < 12; rounds++, now_ns += RTT_NS)
            credit_consumed(&credit, &visitor, visitor.limit - visitor.consumed, now_ns, RTT_NS);
        assert_true(visitor.limit - visitor.consumed >= least[client]);
        credit_close(&credit, &visitor);
    }
    static struct credit_window others[2000];
    for (int i = 0; i < 2000; i++)
        assert_true(credit_open(&credit, &others[i], 1)); /* whatever is lent */
}

static void known_end_returns_the_rest(void **state)
{
    (void)state;
    struct credit credit = {.budget = MB, .first = 16 * KB, .most = MB};
    struct credit_window window;
    assert_true(credit_open(&credit, &window, 0));
    credit_finish(&credit, &window, 100);
    assert_int_equal(credit.given, 100);
    assert_false(credit_consumed(&credit, &window, 100, RTT_NS, RTT_NS));
    assert_int_equal(credit.given, 0);
    credit_close(&credit, &window);
    assert_int_equal(credit.given, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_streams_own_their_first_window),
        cmocka_unit_test(window_grows_for_a_reader_that_keeps_up),
        cmocka_unit_test(a_little_used_budget_is_lent_at_once),
        cmocka_unit_test(what_was_lent_comes_back_from_those_that_slow_down),
        cmocka_unit_test(slow_reader_gets_no_more),
        cmocka_unit_test(budget_is_never_exceeded),
        cmocka_unit_test(who_reads_no_more_takes_no_others_window),
        cmocka_unit_test(known_end_returns_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
