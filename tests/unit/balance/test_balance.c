/* SPDX-License-Identifier: Apache-2.0 */
#include "balance/balance.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static size_t pick(const struct balance_candidate *candidates, size_t count)
{
    struct random random;
    random_seed(&random, 1);
    return balance_least_pending.pick(candidates, count, &random);
}

static void L1_fewest_pending_wins(void **state)
{
    (void)state;
    const struct balance_candidate candidates[] = {{5, 0, true}, {2, 0, true}, {9, 0, true}};
    assert_int_equal(pick(candidates, 3), 1);
}

static void L3_a_server_at_its_limit_gets_nothing(void **state)
{
    (void)state;
    const struct balance_candidate candidates[] = {{5, 10, true}, {2, 2, true}};
    assert_int_equal(pick(candidates, 2), 0);
    const struct balance_candidate full[] = {{10, 10, true}, {2, 2, true}};
    assert_int_equal(pick(full, 2), BALANCE_NONE);
    assert_int_equal(pick(full, 0), BALANCE_NONE);
}

static void L1_an_unusable_server_is_the_last_resort(void **state)
{
    (void)state;
    const struct balance_candidate candidates[] = {{0, 0, false}, {7, 0, true}};
    assert_int_equal(pick(candidates, 2), 1);
    const struct balance_candidate down[] = {{3, 0, false}, {1, 0, false}};
    assert_int_equal(pick(down, 2), 1);
}

static void L1_ties_are_spread_evenly(void **state)
{
    (void)state;
    const struct balance_candidate candidates[] = {{1, 0, true}, {1, 0, true}, {1, 0, true}};
    struct random random;
    random_seed(&random, 11);
    unsigned counts[3] = {0};
    for (int i = 0; i < 3000; i++)
        counts[balance_least_pending.pick(candidates, 3, &random)]++;
    for (int i = 0; i < 3; i++)
        assert_in_range(counts[i], 850, 1150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L1_fewest_pending_wins),
        cmocka_unit_test(L3_a_server_at_its_limit_gets_nothing),
        cmocka_unit_test(L1_an_unusable_server_is_the_last_resort),
        cmocka_unit_test(L1_ties_are_spread_evenly),
    };
    return cmocka_run_group_tests_name("balance", tests, NULL, NULL);
}
