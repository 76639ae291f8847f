/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "base/waiters.h"

#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static void T3_a_shared_fill_has_the_class_of_its_most_urgent_waiter(void **state)
{
    (void)state;
    struct waiters fill = {0};
    struct waiter slow = {0}, quick = {0}, other = {0};
    assert_int_equal(waiters_urgency(&fill, 4), 4);
    assert_true(waiters_is_empty(&fill));
    waiter_join(&slow, &fill, 3);
    assert_int_equal(waiters_urgency(&fill, 4), 3);
    waiter_join(&quick, &fill, 1);
    waiter_join(&other, &fill, 1);
    assert_int_equal(waiters_urgency(&fill, 4), 1);
    waiter_leave(&quick);
    assert_int_equal(waiters_urgency(&fill, 4), 1);
    waiter_set_urgency(&other, 2);
    assert_int_equal(waiters_urgency(&fill, 4), 2);
    waiter_leave(&other);
    waiter_leave(&other);
    assert_int_equal(waiters_urgency(&fill, 4), 3);
    waiter_leave(&slow);
    assert_true(waiters_is_empty(&fill));
}

static void T3_slow_waiters_never_slow_it(void **state)
{
    (void)state;
    struct waiters fill = {0};
    struct waiter slow = {0}, quick = {0};
    assert_false(waiters_are_full(&fill)); /* with nobody it is not held up either */
    waiter_join(&slow, &fill, 0);
    waiter_join(&quick, &fill, 2);
    waiter_set_full(&slow, true);
    assert_false(waiters_are_full(&fill));
    assert_int_equal(waiters_urgency(&fill, 4), 2); /* nobody urgent can take anything now */
    waiter_set_full(&quick, true);
    waiter_set_full(&quick, true);
    assert_true(waiters_are_full(&fill));
    assert_int_equal(waiters_urgency(&fill, 4), 0);
    waiter_set_full(&slow, false);
    assert_false(waiters_are_full(&fill));
    waiter_leave(&slow);
    assert_true(waiters_are_full(&fill));
    waiter_leave(&quick);
    assert_false(waiters_are_full(&fill));
}

/* Against a plain look at all of them. */
static void T3_whatever_happens_the_class_is_right(void **state)
{
    (void)state;
    enum { WAITERS = 12 };
    struct waiters fill = {0};
    struct waiter waiters[WAITERS] = {0};
    struct random random;
    random_seed(&random, 1);
    for (int step = 0; step < 20000; step++) {
        struct waiter *waiter = &waiters[random_below(&random, WAITERS)];
        uint8_t urgency = (uint8_t)random_below(&random, WAITERS_LEVELS);
        if (!waiter->waits_for)
            waiter_join(waiter, &fill, urgency);
        else if (urgency == 0)
            waiter_leave(waiter);
        else if (urgency < 3)
            waiter_set_urgency(waiter, (uint8_t)random_below(&random, WAITERS_LEVELS));
        else
            waiter_set_full(waiter, urgency == 3);
        uint8_t ready = WAITERS_LEVELS, any = WAITERS_LEVELS;
        for (int i = 0; i < WAITERS; i++) {
            if (!waiters[i].waits_for)
                continue;
            if (waiters[i].urgency < any)
                any = waiters[i].urgency;
            if (!waiters[i].is_full && waiters[i].urgency < ready)
                ready = waiters[i].urgency;
        }
        uint8_t expected = ready < WAITERS_LEVELS ? ready : any < WAITERS_LEVELS ? any : 9;
        assert_int_equal(waiters_urgency(&fill, 9), expected);
        assert_int_equal(waiters_are_full(&fill), ready == WAITERS_LEVELS && any < ready);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T3_a_shared_fill_has_the_class_of_its_most_urgent_waiter),
        cmocka_unit_test(T3_slow_waiters_never_slow_it),
        cmocka_unit_test(T3_whatever_happens_the_class_is_right),
    };
    return cmocka_run_group_tests_name("base/waiters", tests, NULL, NULL);
}
