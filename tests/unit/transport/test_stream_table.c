/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "transport/stream_table.h"

#include <stdbool.h>

#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { IDS = 5000 };

static struct transport_stream *pointer(uint64_t id)
{
    return (struct transport_stream *)(uintptr_t)(id * 16 + 16);
}

static void table_agrees_with_a_model(void **state)
{
    (void)state;
    static bool present[IDS];
    struct stream_table table = {.seed = 99};
    struct random random;
    random_seed(&random, 1);
    assert_null(stream_table_get(&table, 0));
    stream_table_remove(&table, 0);
    uint32_t count = 0;
    for (int i = 0; i < 60000; i++) {
        uint64_t id = random_below(&random, IDS);
        if (present[id]) {
            stream_table_remove(&table, id);
            count--;
        } else {
            stream_table_put(&table, id, pointer(id));
            count++;
        }
        present[id] = !present[id];
        assert_int_equal(table.count, count);
        if (i % 1000 == 0)
            for (uint64_t k = 0; k < IDS; k++)
                assert_ptr_equal(stream_table_get(&table, k), present[k] ? pointer(k) : NULL);
    }
    stream_table_clear(&table);
    assert_int_equal(table.count, 0);
    assert_int_equal(table.seed, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
