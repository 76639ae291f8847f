/* SPDX-License-Identifier: Apache-2.0
 *
 * How much is sent again, or twice.
 */
#include "failure/failure.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static struct failure *failure_with(uint32_t reserve, bool hedges)
{
    const struct failure_settings settings = {
        .retries = {.percent = 20, .least = 3, .reserve = reserve},
        .hedging = {.is_on = hedges,
                    .quantile_percent = 95,
                    .least_ns = 2000000,
                    .percent = 5,
                    .samples = 50}};
    return failure_new(&settings);
}

static unsigned take_all(struct failure *failure, bool (*take)(struct failure *))
{
    unsigned count = 0;
    while (count < 10000 && take(failure))
        count++;
    return count;
}

static void retries_are_a_share_of_what_is_under_way(void **state)
{
    (void)state;
    struct failure *failure = failure_with(0, false);
    assert_int_equal(take_all(failure, failure_retry_take), 3); /* few always may */
    for (int i = 0; i < 3; i++)
        failure_retry_give(failure);
    for (int i = 0; i < 200; i++)
        failure_begin(failure);
    assert_int_equal(take_all(failure, failure_retry_take), 40);
    failure_retry_give(failure);
    assert_true(failure_retry_take(failure));
    for (int i = 0; i < 200; i++)
        failure_end(failure);
    failure_retry_give(failure);
    assert_false(failure_retry_take(failure)); /* 39 are under way, of nothing */
    struct failure_report report;
    failure_read_report(failure, &report);
    assert_int_equal(report.active, 0);
    assert_int_equal(report.retries, 39);
    assert_int_equal(report.retries_refused, 3);
    failure_free(&failure);
}

static void requests_that_needed_none_fill_a_reserve(void **state)
{
    (void)state;
    struct failure *failure = failure_with(50, false);
    for (int i = 0; i < 100; i++) {
        failure_begin(failure);
        failure_end(failure);
    }
    assert_int_equal(take_all(failure, failure_retry_take), 3 + 20);
    for (int i = 0; i < 23; i++)
        failure_retry_give(failure);
    assert_int_equal(take_all(failure, failure_retry_take), 3); /* it is empty */
    for (int i = 0; i < 3; i++)
        failure_retry_give(failure);
    for (int i = 0; i < 10000; i++) {
        failure_begin(failure);
        failure_end(failure);
    }
    assert_int_equal(take_all(failure, failure_retry_take), 3 + 50); /* it has an end */
    failure_free(&failure);
}

static void hedges_have_a_budget_of_their_own(void **state)
{
    (void)state;
    struct failure *failure = failure_with(500, true);
    assert_int_equal(take_all(failure, failure_hedge_take), 1);
    for (int i = 0; i < 100; i++)
        failure_begin(failure);
    assert_int_equal(take_all(failure, failure_hedge_take), 4);
    take_all(failure, failure_retry_take);
    failure_hedge_give(failure);
    assert_true(failure_hedge_take(failure)); /* whatever retries there are */
    failure_free(&failure);
}

static void hedges_wait_for_the_quantile(void **state)
{
    (void)state;
    struct failure *failure = failure_with(0, true);
    assert_int_equal(failure_hedge_delay_ns(failure, 90000000, 49), 0); /* too little is known */
    assert_int_equal(failure_hedge_delay_ns(failure, 90000000, 50), 90000000);
    assert_int_equal(failure_hedge_delay_ns(failure, 100000, 50), 2000000);
    failure_free(&failure);
    failure = failure_with(0, false);
    assert_int_equal(failure_hedge_delay_ns(failure, 90000000, 500), 0);
    assert_false(failure_hedge_take(failure));
    failure_free(&failure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retries_are_a_share_of_what_is_under_way),
        cmocka_unit_test(requests_that_needed_none_fill_a_reserve),
        cmocka_unit_test(hedges_have_a_budget_of_their_own),
        cmocka_unit_test(hedges_wait_for_the_quantile),
    };
    return cmocka_run_group_tests_name("failure_budget", tests, NULL, NULL);
}
