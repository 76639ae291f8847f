/* SPDX-License-Identifier: Apache-2.0
 *
 * Things by address: found however many there are, also several at one address, and none that has left.
 */
#include "gateway/origin/address_table.h"

#include "stage.h"

enum { THINGS = 20000, SAME = 3, CHAIN_MOST = 12 };

struct thing {
    struct address_table_item item;
    struct address address;
    bool is_in;
};

static struct address address_at(uint32_t number)
{
    struct address address = {.family = 4, .port = (uint16_t)(80 + number % 2)};
    number /= 2;
    memcpy(address.bytes, &number, sizeof number);
    return address;
}

static uint32_t count_at(const struct address_table *table, const struct address *address)
{
    uint32_t count = 0;
    struct address_table_item *item = address_table_first(table, address);
    for (; item; item = address_table_next(table, item))
        count += address_equal(&CONTAINER_OF(item, struct thing, item)->address, address);
    return count;
}

/* No address takes longer to find because there are many others. */
static void expect_short_chains(const struct address_table *table)
{
    for (uint32_t i = 0; i < table->chain_count; i++) {
        uint32_t length = 0;
        LIST_EACH (item, after, &table->chains[i])
            length++;
        assert_in_range(length, 0, SAME * CHAIN_MOST);
    }
}

static void things_are_found_by_address(void **state)
{
    struct thing *things = memory_new(THINGS * sizeof *things);
    struct address_table table = {0};
    const struct address nowhere = address_at(THINGS);
    (void)state;
    assert_int_equal(count_at(&table, &nowhere), 0);
    for (uint32_t i = 0; i < THINGS; i++) {
        things[i].address = address_at(i / SAME);
        address_table_add(&table, &things[i].item, &things[i].address);
    }
    assert_int_equal(table.count, THINGS);
    expect_short_chains(&table);
    for (uint32_t i = 0; i < THINGS / SAME * SAME; i += SAME)
        assert_int_equal(count_at(&table, &things[i].address), SAME);
    assert_int_equal(count_at(&table, &nowhere), 0);
    for (uint32_t i = 0; i < THINGS; i += SAME)
        address_table_remove(&table, &things[i].item);
    for (uint32_t i = 0; i < THINGS / SAME * SAME; i += SAME)
        assert_int_equal(count_at(&table, &things[i].address), SAME - 1);
    for (uint32_t i = 0; i < THINGS; i++)
        if (i % SAME)
            address_table_remove(&table, &things[i].item);
    assert_int_equal(count_at(&table, &things[0].address), 0);
    address_table_clear(&table);
    memory_free(things);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_are_found_by_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
