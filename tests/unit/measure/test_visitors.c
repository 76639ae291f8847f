/* SPDX-License-Identifier: Apache-2.0
 *
 * Round trips of visitors by client network: medians, what is told first, and the bounds (R6, H3).
 */
#include "measure/measure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ull

static struct address host(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(span_text(text), &address), 0);
    return address;
}

static struct address numbered(uint32_t network)
{
    return (struct address){.family = 4,
                            .bytes = {10, (uint8_t)(network >> 8), (uint8_t)network,
                                      (uint8_t)(network % 250 + 1)}};
}

static void put(struct visitors *visitors, const char *text, uint32_t rtt_us, uint64_t now_ns)
{
    struct address address = host(text);
    visitors_put(visitors, &address, rtt_us, now_ns);
}

static void H3_hosts_of_a_network_share_a_median(void **state)
{
    (void)state;
    struct visitors *visitors = visitors_new(1);
    struct measure_latency told[8];
    put(visitors, "192.0.2.1", 30000, SECOND_NS);
    put(visitors, "192.0.2.200", 10000, SECOND_NS);
    put(visitors, "192.0.2.7", 20000, SECOND_NS);
    put(visitors, "192.0.3.1", 5000, SECOND_NS);
    put(visitors, "2001:db8:1:2::1", 7000, SECOND_NS);
    put(visitors, "2001:db8:1:3::1", 9000, SECOND_NS);
    put(visitors, "2001:db8:2::1", 1000, SECOND_NS);
    assert_int_equal(visitors_waiting(visitors), 4);
    size_t count = visitors_take(visitors, told, 8, 2 * SECOND_NS);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++) {
        const struct address v4 = host("192.0.2.7"), v6 = host("2001:db8:1:3::1");
        assert_int_equal(told[i].source, LATENCY_PASSIVE);
        if (address_equal(&told[i].client, &v4)) { /* the host seen last */
            assert_int_equal(told[i].rtt_us, 20000);
            assert_int_equal(told[i].samples, 3);
        } else if (address_equal(&told[i].client, &v6)) {
            assert_int_equal(told[i].rtt_us, 7000); /* of two the lower one */
            assert_int_equal(told[i].samples, 2);
        } else {
            assert_int_equal(told[i].samples, 1);
        }
    }
    assert_int_equal(visitors_take(visitors, told, 8, 3 * SECOND_NS), 0); /* told once */
    visitors_free(&visitors);
}

/* Of many samples an even choice is kept: the median of what is told is near the true one. */
static void the_median_of_many_samples_is_near_the_true_one(void **state)
{
    (void)state;
    struct visitors *visitors = visitors_new(2);
    struct random random;
    random_seed(&random, 3);
    double sum = 0;
    enum { ROUNDS = 200 };
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        struct measure_latency told;
        for (int i = 0; i < 100; i++) /* uniform in 20 .. 40 ms, later ones no different */
            put(visitors, "192.0.2.1", 20000 + (uint32_t)random_below(&random, 20000),
                round * SECOND_NS);
        assert_int_equal(visitors_take(visitors, &told, 1, round * SECOND_NS), 1);
        assert_int_equal(told.samples, 100);
        assert_in_range(told.rtt_us, 20000, 40000);
        sum += told.rtt_us;
    }
    assert_in_range((uint64_t)(sum / ROUNDS), 27000, 31000); /* the lower of two: a little below */
    visitors_free(&visitors);
}

static bool has_network(const struct measure_latency *told, size_t count, uint32_t network)
{
    struct address wanted = numbered(network);
    for (size_t i = 0; i < count; i++)
        if (address_equal(&told[i].client, &wanted))
            return true;
    return false;
}

static void changed_networks_come_first_then_the_most_active(void **state)
{
    (void)state;
    struct visitors *visitors = visitors_new(4);
    struct measure_latency told[100];
    for (uint32_t network = 0; network < 100; network++) {
        struct address address = numbered(network);
        visitors_put(visitors, &address, 20000, SECOND_NS);
    }
    assert_int_equal(visitors_take(visitors, told, 100, SECOND_NS), 100);
    /* Network n has n / 10 more samples; 3 is slower by far, 4 by nothing to speak of, 200 is new. */
    for (uint32_t network = 0; network < 100; network++)
        for (uint32_t i = 0; i <= network / 10; i++) {
            struct address address = numbered(network);
            uint32_t rtt_us = network == 3 ? 60000 : network == 4 ? 22000 : 20000;
            visitors_put(visitors, &address, rtt_us, 2 * SECOND_NS);
        }
    struct address fresh = numbered(200);
    visitors_put(visitors, &fresh, 20000, 2 * SECOND_NS);
    size_t count = visitors_take(visitors, told, 32, 2 * SECOND_NS);
    assert_int_equal(count, 32);
    assert_true(has_network(told, count, 3) && has_network(told, count, 200));
    assert_false(has_network(told, count, 4));
    for (uint32_t network = 70; network < 100; network++) /* eight samples and more */
        assert_true(has_network(told, count, network));
    /* The rest waits, and loses nothing. */
    assert_int_equal(visitors_waiting(visitors), 101 - 32);
    count = visitors_take(visitors, told, 100, 3 * SECOND_NS);
    assert_int_equal(count, 101 - 32);
    visitors_free(&visitors);
}

static void a_network_is_told_again_after_a_minute(void **state)
{
    (void)state;
    struct visitors *visitors = visitors_new(5);
    struct measure_latency told[2];
    struct address quiet = numbered(1);
    visitors_put(visitors, &quiet, 20000, SECOND_NS);
    assert_int_equal(visitors_take(visitors, told, 2, SECOND_NS), 1);
    for (uint64_t second = 2; second < 100; second++) {
        struct address busy = numbered(2);
        for (int i = 0; i < 100; i++)
            visitors_put(visitors, &busy, 20000, second * SECOND_NS);
        visitors_put(visitors, &quiet, 20000, second * SECOND_NS);
        assert_int_equal(visitors_take(visitors, told, 1, second * SECOND_NS), 1);
        if (has_network(told, 1, 1)) {
            assert_in_range(second, 61, 63);
            visitors_free(&visitors);
            return;
        }
    }
    fail();
}

/* Far more networks than there is room for. */
static void the_table_is_bounded(void **state)
{
    (void)state;
    struct visitors *visitors = visitors_new(6);
    struct measure_latency *told = calloc(VISITORS_NETWORKS, sizeof *told);
    for (uint32_t network = 0; network < 60000; network++) {
        struct address address = numbered(network);
        visitors_put(visitors, &address, network, SECOND_NS + network);
    }
    assert_int_equal(visitors_waiting(visitors), VISITORS_NETWORKS);
    size_t count = visitors_take(visitors, told, VISITORS_NETWORKS, 2 * SECOND_NS);
    assert_int_equal(count, VISITORS_NETWORKS);
    for (size_t i = 0; i < count; i++) {
        uint32_t network = (uint32_t)told[i].client.bytes[1] << 8 | told[i].client.bytes[2];
        assert_int_equal(told[i].rtt_us, network); /* no mixing of networks */
    }
    assert_int_equal(visitors_waiting(visitors), 0);
    free(told);
    visitors_free(&visitors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(H3_hosts_of_a_network_share_a_median),
        cmocka_unit_test(the_median_of_many_samples_is_near_the_true_one),
        cmocka_unit_test(changed_networks_come_first_then_the_most_active),
        cmocka_unit_test(a_network_is_told_again_after_a_minute),
        cmocka_unit_test(the_table_is_bounded),
    };
    return cmocka_run_group_tests_name("visitors", tests, NULL, NULL);
}
