/* SPDX-License-Identifier: Apache-2.0
 *
 * Circuit breakers: when they open, what probes do, and that types do not concern one another.
 */
#include "failure/failure.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define S 1000000000ull

enum { PAGES, DATABASE };

static struct failure *failure_with_breaker(bool is_on)
{
    const struct failure_settings settings = {.breaker = {.is_on = is_on,
                                                          .share_percent = 50,
                                                          .least_requests = 10,
                                                          .interval_ns = 5 * S,
                                                          .open_ns = 4 * S,
                                                          .probes = 2}};
    return failure_new(&settings);
}

/* One request; false: it was refused. */
static bool ask(struct failure *failure, uint8_t type, enum failure_outcome outcome,
                uint64_t now_ns)
{
    struct failure_pass pass = failure_circuit_pass(failure, type, now_ns);
    failure_circuit_result(failure, &pass, outcome, now_ns);
    return pass.may;
}

static unsigned ask_often(struct failure *failure, uint8_t type, enum failure_outcome outcome,
                          unsigned times, uint64_t now_ns)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < times; i++)
        passed += ask(failure, type, outcome, now_ns);
    return passed;
}

static void opens_when_a_share_fails(void **state)
{
    (void)state;
    struct failure *failure = failure_with_breaker(true);
    assert_int_equal(ask_often(failure, DATABASE, FAILURE_ANSWERED, 5, S), 5);
    assert_int_equal(ask_often(failure, DATABASE, FAILURE_FAILED, 9, S), 5);
    assert_int_equal(failure_circuit_state(failure, DATABASE), FAILURE_CIRCUIT_OPEN);
    assert_int_equal(ask_often(failure, PAGES, FAILURE_ANSWERED, 9, S), 9);
    struct failure_pass pass = failure_circuit_pass(failure, DATABASE, 3 * S);
    assert_false(pass.may);
    assert_int_equal(pass.wait_ns, 2 * S);
    failure_free(&failure);
}

static void single_failures_and_old_ones_do_not_open_it(void **state)
{
    (void)state;
    struct failure *failure = failure_with_breaker(true);
    assert_int_equal(ask_often(failure, PAGES, FAILURE_FAILED, 9, S), 9);
    assert_int_equal(ask_often(failure, PAGES, FAILURE_FAILED, 9, 7 * S), 9);
    assert_int_equal(ask_often(failure, PAGES, FAILURE_LEFT, 50, 7 * S), 50);
    assert_int_equal(failure_circuit_state(failure, PAGES), FAILURE_CIRCUIT_CLOSED);
    failure_free(&failure);
}

static void probes_close_it_or_keep_it_open(void **state)
{
    (void)state;
    struct failure *failure = failure_with_breaker(true);
    ask_often(failure, PAGES, FAILURE_FAILED, 10, S);
    assert_false(ask(failure, PAGES, FAILURE_ANSWERED, 5 * S - 1));
    struct failure_pass probe = failure_circuit_pass(failure, PAGES, 5 * S);
    assert_true(probe.may);
    assert_false(ask(failure, PAGES, FAILURE_ANSWERED, 5 * S)); /* one at a time */
    failure_circuit_result(failure, &probe, FAILURE_FAILED, 5 * S);
    assert_false(ask(failure, PAGES, FAILURE_ANSWERED, 13 * S - 1)); /* twice as long */
    assert_true(ask(failure, PAGES, FAILURE_LEFT, 13 * S));          /* tells nothing */
    assert_true(ask(failure, PAGES, FAILURE_ANSWERED, 13 * S));
    assert_int_equal(failure_circuit_state(failure, PAGES), FAILURE_CIRCUIT_HALF_OPEN);
    assert_true(ask(failure, PAGES, FAILURE_ANSWERED, 13 * S));
    assert_int_equal(failure_circuit_state(failure, PAGES), FAILURE_CIRCUIT_CLOSED);
    /* And it is forgiven. */
    ask_often(failure, PAGES, FAILURE_FAILED, 10, 20 * S);
    assert_true(ask(failure, PAGES, FAILURE_ANSWERED, 24 * S));
    failure_free(&failure);
}

static void what_was_under_way_when_it_opened_decides_nothing(void **state)
{
    (void)state;
    struct failure *failure = failure_with_breaker(true);
    struct failure_pass old = failure_circuit_pass(failure, PAGES, S);
    ask_often(failure, PAGES, FAILURE_FAILED, 10, S);
    struct failure_pass probe = failure_circuit_pass(failure, PAGES, 5 * S);
    failure_circuit_result(failure, &old, FAILURE_ANSWERED, 5 * S);
    assert_false(ask(failure, PAGES, FAILURE_ANSWERED, 5 * S)); /* the probe is still out */
    failure_circuit_result(failure, &probe, FAILURE_ANSWERED, 5 * S);
    assert_true(ask(failure, PAGES, FAILURE_ANSWERED, 5 * S));
    failure_free(&failure);
}

static void off_lets_everything_pass(void **state)
{
    (void)state;
    struct failure *failure = failure_with_breaker(false);
    assert_int_equal(ask_often(failure, PAGES, FAILURE_FAILED, 100, S), 100);
    failure_free(&failure);
    failure = failure_with_breaker(true);
    ask_often(failure, PAGES, FAILURE_FAILED, 10, S);
    const struct failure_settings off = {.breaker = {.is_on = false}};
    failure_set_settings(failure, &off); /* a reload */
    assert_true(ask(failure, PAGES, FAILURE_FAILED, S));
    failure_free(&failure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_when_a_share_fails),
        cmocka_unit_test(single_failures_and_old_ones_do_not_open_it),
        cmocka_unit_test(probes_close_it_or_keep_it_open),
        cmocka_unit_test(what_was_under_way_when_it_opened_decides_nothing),
        cmocka_unit_test(off_lets_everything_pass),
    };
    return cmocka_run_group_tests_name("failure_breaker", tests, NULL, NULL);
}
