/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prefix_tree.h"
#include "base/random.h"

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

static struct address random_address(struct random *random, uint8_t family)
{
    struct address address = {.family = family};
    uint64_t halves[2] = {random_u64(random), random_u64(random)};
    memcpy(address.bytes, halves, family == 4 ? 4 : 16);
    if (family == 6)
        address.bytes[0] = 0x20; /* so that networks and addresses meet */
    return address;
}

static void R1_a_sealed_tree_answers_as_before(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 7);
    struct prefix_tree *open = prefix_tree_new(), *sealed = prefix_tree_new();
    for (uint32_t i = 0; i < 20000; i++) {
        uint8_t family = i % 2 ? 4 : 6;
        struct network network = {random_address(&random, family), 0};
        network.bits = (uint8_t)(i < 50 ? 4 + i % 12 : 12 + random_below(&random, 21));
        for (unsigned bit = network.bits; bit < (family == 4 ? 32 : 128); bit++)
            network.address.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        prefix_tree_put(open, &network, i);
        prefix_tree_put(sealed, &network, i);
    }
    prefix_tree_seal(sealed);
    for (uint32_t i = 0; i < 200000; i++) {
        struct address address = random_address(&random, i % 2 ? 4 : 6);
        unsigned bits, sealed_bits;
        assert_int_equal(prefix_tree_find(open, &address, &bits),
                         prefix_tree_find(sealed, &address, &sealed_bits));
        assert_int_equal(bits, sealed_bits);
    }
    prefix_tree_free(open);
    prefix_tree_free(sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R1_longest_prefix_wins),
        cmocka_unit_test(R1_a_sealed_tree_answers_as_before),
    };
    return cmocka_run_group_tests_name("base/prefix_tree", tests, NULL, NULL);
}
