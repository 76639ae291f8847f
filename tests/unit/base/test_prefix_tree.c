/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prefix_tree.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static void put(struct prefix_tree *tree, const char *text, uint32_t value)
{
    struct network network;
    assert_int_equal(network_parse(span_text(text), &network), 0);
    prefix_tree_put(tree, &network, value);
}

static int64_t find(struct prefix_tree *tree, const char *text, unsigned *bits)
{
    struct address address;
    assert_int_equal(address_parse(span_text(text), &address), 0);
    return prefix_tree_find(tree, &address, bits);
}

static void R1_longest_prefix_wins(void **state)
{
    (void)state;
    struct prefix_tree *tree = prefix_tree_new();
    unsigned bits;
    put(tree, "10.0.0.0/8", 1);
    put(tree, "10.1.0.0/16", 2);
    put(tree, "10.1.2.3", 3);
    put(tree, "2001:db8::/32", 4);
    assert_int_equal(find(tree, "10.9.9.9", &bits), 1);
    assert_int_equal(bits, 8);
    assert_int_equal(find(tree, "10.1.9.9", &bits), 2);
    assert_int_equal(bits, 16);
    assert_int_equal(find(tree, "10.1.2.3", &bits), 3);
    assert_int_equal(bits, 32);
    assert_int_equal(find(tree, "2001:db8:1::1", &bits), 4);
    assert_int_equal(find(tree, "11.0.0.1", &bits), -1);
    assert_int_equal(bits, 8); /* 11/8 is the widest network around it that holds nothing */
    assert_int_equal(find(tree, "2001:db9::1", NULL), -1);
    put(tree, "0.0.0.0/0", 9);
    assert_int_equal(find(tree, "11.0.0.1", &bits), 9);
    assert_int_equal(bits, 0);
    put(tree, "10.1.0.0/16", 7);
    assert_int_equal(find(tree, "10.1.9.9", NULL), 7);
    assert_int_equal(prefix_tree_count(tree), 5);
    prefix_tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R1_longest_prefix_wins),
    };
    return cmocka_run_group_tests_name("base/prefix_tree", tests, NULL, NULL);
}
