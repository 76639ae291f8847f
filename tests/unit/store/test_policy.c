/* SPDX-License-Identifier: Apache-2.0
 *
 * Eviction policies on traces: Zipf popularity as of web objects, alone and with scans of things that are wanted once. And the table.
 */
#include "base/memory.h"
#include "base/random.h"
#include "store/policy.h"
#include "store/store.h"
#include "store/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { OBJECTS = 20000, SCANNED = 60000, ROOM = 1000, REQUESTS = 300000 };

struct item {
    struct policy_node node;
    bool is_in;
};

static double cumulated[OBJECTS];

static void make_zipf(double exponent)
{
    double sum = 0;
    for (int i = 0; i < OBJECTS; i++)
        cumulated[i] = sum += pow(i + 1, -exponent);
    for (int i = 0; i < OBJECTS; i++)
        cumulated[i] /= sum;
}

static int draw(struct random *random)
{
    double at = random_unit(random);
    int low = 0, high = OBJECTS - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (cumulated[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Share of requests for popular objects that hit. In a scan, every third request is for something new. */
static double simulate(const char *name, bool has_scans)
{
    const struct policy *policy = policy_find(name);
    assert_non_null(policy);
    struct item *items = memory_new((OBJECTS + SCANNED) * sizeof *items);
    void *state = policy->make(1);
    struct random random;
    random_seed(&random, 7);
    int count = 0, scanned = 0, hits = 0, asked = 0;
    for (int i = 0; i < REQUESTS; i++) {
        bool is_scan = has_scans && i % 3 == 0 && i / 20000 % 2;
        int index = is_scan ? OBJECTS + scanned++ % SCANNED : draw(&random);
        struct item *item = &items[index];
        asked += !is_scan;
        if (item->is_in) {
            hits += !is_scan;
            policy->touch(state, &item->node);
            continue;
        }
        item->node.hash = (uint64_t)(index + 1) * 0x9e3779b97f4a7c15u;
        item->node.bytes = 1;
        policy->add(state, &item->node);
        item->is_in = true;
        if (++count > ROOM) {
            CONTAINER_OF(policy->evict(state), struct item, node)->is_in = false;
            count--;
        }
    }
    for (struct policy_node *node; (node = policy->evict(state)) != NULL; count--)
        assert_true(CONTAINER_OF(node, struct item, node)->is_in);
    assert_int_equal(count, 0);
    policy->free(state);
    memory_free(items);
    double ratio = (double)hits / asked;
    print_message("%-7s %s %.4f\n", name, has_scans ? "zipf and scans" : "zipf", ratio);
    return ratio;
}

static void C2_policies_rank_as_expected(void **state)
{
    (void)state;
    make_zipf(0.9);
    double fifo = simulate("fifo", false), random = simulate("random", false);
    double lru = simulate("lru", false), lfu = simulate("lfu", false);
    double s3fifo = simulate("s3fifo", false);
    assert_true(lru > fifo + 0.02 && lru > random + 0.02);
    assert_true(lfu > lru + 0.02 && s3fifo > lru + 0.02);
    assert_true(fabs(fifo - random) < 0.01);

    fifo = simulate("fifo", true), random = simulate("random", true);
    lru = simulate("lru", true), lfu = simulate("lfu", true);
    double scanned = simulate("s3fifo", true);
    assert_true(lru > fifo && scanned > lru + 0.04 && lfu > lru);
    assert_true(s3fifo - scanned < 0.02); /* a scan passes by */
}

static void C2_every_policy_removes_and_uses_again(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 3);
    for (size_t p = 0; store_policy_name(p); p++) {
        const struct policy *policy = policy_find(store_policy_name(p));
        void *made = policy->make(2);
        static struct item items[256];
        memset(items, 0, sizeof items);
        uint32_t count = 0;
        for (int i = 0; i < 100000; i++) {
            struct item *item = &items[random_below(&random, 256)];
            item->node.hash = (uint64_t)(item - items);
            item->node.bytes = 100;
            uint64_t what = random_below(&random, 4);
            if (!item->is_in) {
                policy->add(made, &item->node);
                item->is_in = true;
                count++;
            } else if (what == 0) {
                policy->remove(made, &item->node);
                item->is_in = false;
                count--;
            } else if (what == 1) {
                struct item *gone = CONTAINER_OF(policy->evict(made), struct item, node);
                assert_true(gone->is_in);
                gone->is_in = false;
                count--;
            } else {
                policy->touch(made, &item->node);
            }
        }
        while (policy->evict(made))
            count--;
        assert_int_equal(count, 0);
        policy->free(made);
    }
    assert_null(policy_find("lifo"));
    assert_string_equal(policy_find(NULL)->name, "s3fifo");
}

struct numbered {
    struct table_node node;
    bool is_in;
};

static void the_table_grows_by_one_chain_and_keeps_order(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    struct numbered *all = memory_new(COUNT * sizeof *all);
    struct table table;
    table_init(&table);
    for (uint64_t i = 0; i < COUNT; i++) {
        all[i].node.hash = (i / 2) * 0x9e3779b97f4a7c15u; /* two of each */
        table_add(&table, &all[i].node);
    }
    assert_int_equal(table.count, COUNT);
    assert_true(table.chains >= COUNT - 1);
    for (uint64_t i = 0; i < COUNT; i += 2) {
        struct table_node *newest = table_next(&table, all[i].node.hash, NULL);
        assert_ptr_equal(newest, &all[i + 1].node);
        assert_ptr_equal(table_next(&table, all[i].node.hash, newest), &all[i].node);
        assert_null(table_next(&table, all[i].node.hash, &all[i].node));
    }
    uint64_t seen = 0;
    for (uint64_t i = 0; i < table.chains; i++)
        for (struct table_node *node = table_chain(&table, i); node; node = node->next)
            seen++;
    assert_int_equal(seen, COUNT);
    assert_int_equal(table_bytes(&table), 65536 * sizeof(void *));
    for (uint64_t i = 0; i < COUNT; i++)
        table_remove(&table, &all[i].node);
    assert_int_equal(table.count, 0);
    table_clear(&table);
    memory_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C2_policies_rank_as_expected),
        cmocka_unit_test(C2_every_policy_removes_and_uses_again),
        cmocka_unit_test(the_table_grows_by_one_chain_and_keeps_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
