/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/observe.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static const uint64_t second = 1000000000, ms = 1000000;

static struct recent_facts read_one(struct recent *recent, uint64_t now_ns)
{
    struct recent_facts facts;
    recent_read(&recent, 1, now_ns, &facts);
    return facts;
}

static void rates_and_quantiles_of_a_minute(void **state)
{
    (void)state;
    uint64_t start = 1000 * second;
    struct recent *recent = recent_new(start);
    for (uint64_t i = 0; i < 1000; i++) /* ten a second for 100 s; each tenth one is slow */
        recent_add(recent, start + i * second / 10, i % 10 == 9 ? 80 * ms : 5 * ms);
    struct recent_facts facts = read_one(recent, start + 100 * second);
    assert_true(facts.per_s > 9.5 && facts.per_s < 10.5);
    assert_in_range(facts.p50_ns, 47 * ms / 10, 53 * ms / 10);
    assert_in_range(facts.p99_ns, 75 * ms, 85 * ms);
    recent_free(&recent);
    assert_null(recent);
}

static void what_is_old_is_forgotten(void **state)
{
    (void)state;
    uint64_t start = 1000 * second;
    struct recent *recent = recent_new(start);
    recent_add(recent, start, ms);
    assert_true(read_one(recent, start + 55 * second).per_s > 0);
    assert_true(read_one(recent, start + 75 * second).per_s == 0);
    assert_int_equal(read_one(recent, start + 75 * second).p99_ns, 0);
    recent_add(recent, start + 3600 * second, 2 * ms); /* in the place of another one */
    struct recent_facts facts = read_one(recent, start + 3601 * second);
    assert_in_range(facts.p50_ns, 19 * ms / 10, 21 * ms / 10);
    recent_free(&recent);
}

static void workers_are_added_up(void **state)
{
    (void)state;
    uint64_t start = 500 * second;
    struct recent *list[] = {recent_new(start), NULL, recent_new(start)};
    for (int i = 0; i < 30; i++) {
        recent_add(list[0], start + second, ms);
        recent_add(list[2], start + 2 * second, 9 * ms);
    }
    struct recent_facts facts;
    recent_read(list, 3, start + 6 * second, &facts);
    assert_true(facts.per_s > 9.9 && facts.per_s < 10.1);
    assert_in_range(facts.p99_ns, 85 * ms / 10, 95 * ms / 10);
    recent_free(&list[0]);
    recent_free(&list[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_and_quantiles_of_a_minute),
        cmocka_unit_test(what_is_old_is_forgotten),
        cmocka_unit_test(workers_are_added_up),
    };
    return cmocka_run_group_tests_name("observe/recent", tests, NULL, NULL);
}
