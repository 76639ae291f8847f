/* SPDX-License-Identifier: Apache-2.0
 *
 * Sorted tables against a plain look at all rows.
 */
#include "base/sorted.h"

#include "base/memory.h"
#include "base/random.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

enum { KEYS = 300 };

struct row {
    uint64_t key;
    uint32_t value;
};

static void rows_are_found_and_stand_in_order(void **state)
{
    struct random random;
    struct row *rows = NULL;
    size_t count = 0, capacity = 0;
    bool is_in[KEYS] = {false};
    (void)state;
    random_seed(&random, 7);
    for (uint32_t i = 0; i < 2 * KEYS; i++) {
        uint64_t key = random_below(&random, KEYS);
        struct row *row = sorted_find(rows, count, sizeof *rows, key);
        assert_int_equal(row != NULL, is_in[key]);
        if (row) {
            assert_int_equal(row->key, key);
            assert_int_equal(row->value, key + 1);
            continue;
        }
        rows = sorted_insert(rows, &count, &capacity, sizeof *rows, key);
        row = &rows[sorted_place(rows, count, sizeof *rows, key)];
        assert_int_equal(row->key, key);
        assert_int_equal(row->value, 0);
        row->value = (uint32_t)key + 1;
        is_in[key] = true;
    }
    assert_true(count > KEYS / 2 && count <= capacity);
    for (size_t i = 1; i < count; i++)
        assert_true(rows[i - 1].key < rows[i].key);
    memory_free(rows);
}

static void the_first_of_equals_is_found(void **state)
{
    static const struct row rows[] = {{1, 0}, {5, 1}, {5, 2}, {5, 3}, {UINT64_MAX, 4}};
    static const struct {
        uint64_t key;
        size_t place;
        bool is_there;
    } looks[] = {{0, 0, false}, {1, 0, true},  {2, 1, false},
                 {5, 1, true},  {6, 4, false}, {UINT64_MAX, 4, true}};
    (void)state;
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        assert_int_equal(sorted_place(rows, 5, sizeof *rows, looks[i].key), looks[i].place);
        assert_ptr_equal(sorted_find(rows, 5, sizeof *rows, looks[i].key),
                         looks[i].is_there ? &rows[looks[i].place] : NULL);
    }
    assert_null(sorted_find(NULL, 0, sizeof *rows, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_and_stand_in_order),
        cmocka_unit_test(the_first_of_equals_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
