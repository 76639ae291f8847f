/* SPDX-License-Identifier: Apache-2.0
 *
 * Token buckets (L10) in virtual time: rate, burst, the time until the next token, keys that push one another out, and many threads.
 */
#include "rules/rules.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#include <pthread.h>

static const struct rules_limit ten = {.requests = 10, .per_ns = 1000000000, .burst = 3};

static void L10_a_burst_then_the_rate(void **state)
{
    (void)state;
    struct rules_buckets *buckets = rules_buckets_new(16);
    struct rules_toll toll = {&ten, 7};
    uint64_t now_ns = 5000000000;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(rules_buckets_take(buckets, &toll, now_ns), 0);
    assert_int_equal(rules_buckets_take(buckets, &toll, now_ns), 100000000);
    assert_int_equal(rules_buckets_take(buckets, &toll, now_ns + 99999999), 1);
    unsigned taken = 0; /* of a client that tries every millisecond for ten seconds */
    for (unsigned i = 0; i < 10000; i++)
        taken += rules_buckets_take(buckets, &toll, now_ns + 1000000ull * i) == 0;
    assert_in_range(taken, 99, 100);
    now_ns += 60000000000;
    for (unsigned i = 0; i < 3; i++) /* the burst is back, and no more than that */
        assert_int_equal(rules_buckets_take(buckets, &toll, now_ns), 0);
    assert_true(rules_buckets_take(buckets, &toll, now_ns) > 0);
    rules_buckets_free(&buckets);
}

static void L10_keys_do_not_meet(void **state)
{
    (void)state;
    struct rules_buckets *buckets = rules_buckets_new(1024);
    for (uint64_t key = 1; key <= 1000; key++)
        for (unsigned i = 0; i < 3; i++) {
            struct rules_toll toll = {&ten, key << 32 | key};
            assert_int_equal(rules_buckets_take(buckets, &toll, 1000000000), 0);
        }
    assert_int_equal(rules_buckets_evicted(buckets), 0);
    rules_buckets_free(&buckets);
}

static void L10_a_full_set_gives_up_its_readiest_key(void **state)
{
    (void)state;
    struct rules_buckets *buckets = rules_buckets_new(1);
    uint64_t now_ns = 1000000000;
    for (uint64_t key = 1; key <= 4; key++)
        for (unsigned i = 0; i < (key == 2 ? 1 : 3); i++) {
            struct rules_toll toll = {&ten, key};
            assert_int_equal(rules_buckets_take(buckets, &toll, now_ns), 0);
        }
    struct rules_toll fifth = {&ten, 5}, first = {&ten, 1};
    assert_int_equal(rules_buckets_take(buckets, &fifth, now_ns), 0); /* takes the place of key 2 */
    assert_int_equal(rules_buckets_evicted(buckets), 1);
    assert_true(rules_buckets_take(buckets, &first, now_ns) > 0); /* key 1 is still known */
    rules_buckets_free(&buckets);
}

struct run {
    struct rules_buckets *buckets;
    unsigned taken;
};

static void *take_many(void *argument)
{
    struct run *run = argument;
    static const struct rules_limit limit = {.requests = 1000, .per_ns = 3600000000000, .burst = 0};
    struct rules_toll toll = {&limit, 99};
    for (unsigned i = 0; i < 20000; i++)
        run->taken += rules_buckets_take(run->buckets, &toll, 1000000000) == 0;
    return NULL;
}

static void L10_workers_share_one_bucket(void **state)
{
    (void)state;
    struct run runs[4] = {0};
    pthread_t threads[4];
    struct rules_buckets *buckets = rules_buckets_new(16);
    unsigned taken = 0;
    for (unsigned i = 0; i < 4; i++) {
        runs[i].buckets = buckets;
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &runs[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        taken += runs[i].taken;
    }
    /* As many as there are; more only where threads met at the bucket's birth. */
    assert_in_range(taken, 1000, 1004);
    rules_buckets_free(&buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L10_a_burst_then_the_rate),
        cmocka_unit_test(L10_keys_do_not_meet),
        cmocka_unit_test(L10_a_full_set_gives_up_its_readiest_key),
        cmocka_unit_test(L10_workers_share_one_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
