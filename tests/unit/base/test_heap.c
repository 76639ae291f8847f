/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"
#include "base/random.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { NODES = 2000 };

static void heap_gives_keys_in_order(void **state)
{
    (void)state;
    static struct heap_node nodes[NODES];
    struct heap heap = {0};
    struct random random;
    random_seed(&random, 7);
    for (int i = 0; i < NODES; i++)
        heap_put(&heap, &nodes[i], random_below(&random, 500));
    for (int i = 0; i < NODES; i += 3)
        heap_put(&heap, &nodes[i], random_below(&random, 500));
    size_t removed = 0;
    for (int i = 1; i < NODES; i += 7, removed++)
        heap_remove(&heap, &nodes[i]);
    uint64_t key = 0, order = 0;
    size_t seen = 0;
    while (heap_first(&heap)) {
        struct heap_node *first = heap_first(&heap);
        assert_true(first->key > key || (first->key == key && first->order >= order));
        key = first->key;
        order = first->order;
        heap_remove(&heap, first);
        assert_false(heap_has(first));
        seen++;
    }
    assert_int_equal(seen, NODES - removed);
    heap_clear(&heap);
}

static void heap_removal_of_a_stranger_is_harmless(void **state)
{
    (void)state;
    struct heap heap = {0};
    struct heap_node node = {0};
    heap_remove(&heap, &node);
    heap_put(&heap, &node, 5);
    heap_put(&heap, &node, 9);
    assert_int_equal(heap.count, 1);
    assert_int_equal(heap_first(&heap)->key, 9);
    heap_clear(&heap);
    assert_false(heap_has(&node));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_gives_keys_in_order),
        cmocka_unit_test(heap_removal_of_a_stranger_is_harmless),
    };
    return cmocka_run_group_tests_name("base/heap", tests, NULL, NULL);
}
