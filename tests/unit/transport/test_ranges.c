/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "transport/ranges.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

enum { NUMBERS = 300 };

static void check(const struct ranges *ranges, const bool model[NUMBERS])
{
    const struct range *all = ranges_items(ranges);
    for (uint32_t i = 0; i < ranges->count; i++) {
        assert_true(all[i].start < all[i].end);
        assert_true(i == 0 || all[i - 1].end < all[i].start);
    }
    for (uint64_t number = 0; number < NUMBERS; number++)
        assert_int_equal(ranges_has(ranges, number), model[number]);
}

static void ranges_agree_with_a_model(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 11);
    for (int run = 0; run < 100; run++) {
        struct ranges ranges = {0};
        bool model[NUMBERS] = {0};
        for (int i = 0; i < 60; i++) {
            uint64_t start = random_below(&random, NUMBERS);
            uint64_t length = random_below(&random, run % 3 ? 8 : 60);
            uint64_t end = start + length < NUMBERS ? start + length : NUMBERS;
            bool adds = random_below(&random, 3) > 0;
            if (adds)
                ranges_add(&ranges, start, end);
            else
                ranges_remove(&ranges, start, end);
            for (uint64_t number = start; number < end; number++)
                model[number] = adds;
            check(&ranges, model);
        }
        ranges_clear(&ranges);
        assert_int_equal(ranges.count, 0);
    }
}

static void a_growing_range_needs_no_memory(void **state)
{
    (void)state;
    struct ranges ranges = {0};
    for (uint64_t number = 0; number < 1000; number++)
        ranges_add(&ranges, number, number + 1);
    assert_null(ranges.heap);
    assert_int_equal(ranges.count, 1);
    ranges_drop_first(&ranges, 1);
    assert_int_equal(ranges.count, 0);
    ranges_add(&ranges, 5, 5);
    assert_int_equal(ranges.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_agree_with_a_model),
        cmocka_unit_test(a_growing_range_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
