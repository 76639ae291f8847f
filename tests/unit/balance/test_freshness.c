/* SPDX-License-Identifier: Apache-2.0
 *
 * How far mirrors are behind, learnt from validators of answers (L8).
 */
#include "balance_case.h"

static const uint64_t second = 1000000000;
enum { MIRROR = 7, OTHER = 8, PAGE = 1234 };

static struct balance_validator tag(uint64_t number)
{
    return (struct balance_validator){.tag = number};
}

static struct balance_validator modified(uint64_t at_s)
{
    return (struct balance_validator){.tag = at_s * 3, .modified_s = at_s};
}

static void original(struct balance_freshness *freshness, struct balance_validator validator,
                     uint64_t now_s)
{
    balance_freshness_original(freshness, PAGE, &validator, now_s * second);
}

/* What is known of the mirror behind an answer of its own. */
static uint64_t mirror(struct balance_freshness *freshness, struct balance_validator validator,
                       uint64_t now_s)
{
    balance_freshness_mirror(freshness, MIRROR, PAGE, &validator, now_s * second);
    return balance_freshness_behind(freshness, MIRROR) / second;
}

static void L8_a_mirror_that_gives_what_was_before_is_behind(void **state)
{
    (void)state;
    struct balance_freshness *freshness = balance_freshness_new();
    original(freshness, tag(1), 100);
    assert_int_equal(mirror(freshness, tag(1), 150), 0); /* nothing has changed yet */
    original(freshness, tag(2), 200);
    assert_int_equal(mirror(freshness, tag(1), 230), 30);
    assert_int_equal(mirror(freshness, tag(1), 260), 60);
    assert_int_equal(mirror(freshness, tag(99), 900),
                     60); /* that of another kind of server: tells nothing */
    assert_int_equal(balance_freshness_behind(freshness, OTHER), 0);
    balance_freshness_free(&freshness);
    assert_null(freshness);
}

static void L8_a_mirror_that_has_caught_up_is_believed_by_steps(void **state)
{
    (void)state;
    struct balance_freshness *freshness = balance_freshness_new();
    original(freshness, tag(1), 100);
    original(freshness, tag(2), 200);
    assert_int_equal(mirror(freshness, tag(1), 300), 100);
    original(freshness, tag(3), 310);
    uint64_t before = 100;
    for (unsigned i = 0; i < 40; i++) {
        uint64_t now = mirror(freshness, tag(3), 312);
        assert_true(now <= before);
        before = now;
    }
    assert_int_equal(before, 2); /* no better than the age of what it has shown */
    balance_freshness_free(&freshness);
}

static void L8_dates_are_believed_before_tags(void **state)
{
    (void)state;
    struct balance_freshness *freshness = balance_freshness_new();
    struct balance_validator own = modified(5000);
    own.tag = 77; /* of another inode */
    original(freshness, modified(4000), 100);
    original(freshness, modified(5000), 200);
    assert_int_equal(mirror(freshness, own, 250), 0);
    assert_int_equal(mirror(freshness, modified(3000), 260), 60); /* older than any that was seen */
    assert_int_equal(mirror(freshness, modified(6000), 900),
                     60); /* newer: the original was not asked since */
    balance_freshness_free(&freshness);
}

static void L8_an_answer_without_validators_tells_nothing(void **state)
{
    (void)state;
    struct balance_freshness *freshness = balance_freshness_new();
    original(freshness, tag(1), 100);
    original(freshness, tag(0), 150);
    original(freshness, tag(2), 200);
    assert_int_equal(mirror(freshness, tag(0), 260), 0);
    assert_int_equal(mirror(freshness, tag(1), 260), 60);
    balance_freshness_free(&freshness);
}

static void L8_many_targets_and_mirrors_are_bounded(void **state)
{
    (void)state;
    struct balance_freshness *freshness = balance_freshness_new();
    struct random random;
    random_seed(&random, 3);
    for (unsigned i = 0; i < 100000; i++) {
        struct balance_validator validator = tag(random_below(&random, 5));
        uint64_t target = random_below(&random, 10000), now_ns = i * second;
        if (i % 2)
            balance_freshness_original(freshness, target, &validator, now_ns);
        else
            balance_freshness_mirror(freshness, 1 + random_below(&random, 300), target, &validator,
                                     now_ns);
    }
    original(freshness, tag(11), 200000); /* and it still learns */
    original(freshness, tag(12), 200000);
    assert_int_equal(mirror(freshness, tag(11), 200040), 40);
    balance_freshness_free(&freshness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L8_a_mirror_that_gives_what_was_before_is_behind),
        cmocka_unit_test(L8_a_mirror_that_has_caught_up_is_believed_by_steps),
        cmocka_unit_test(L8_dates_are_believed_before_tags),
        cmocka_unit_test(L8_an_answer_without_validators_tells_nothing),
        cmocka_unit_test(L8_many_targets_and_mirrors_are_bounded),
    };
    return cmocka_run_group_tests_name("freshness", tests, NULL, NULL);
}
