/* SPDX-License-Identifier: Apache-2.0
 *
 * What requests of each type cost at each server: means, quantiles, expected completion, forgetting.
 */
#include "base/random.h"
#include "types/types.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull
#define S  1000000000ull

static const uint64_t identities[] = {11, 22, 33};

static struct types_costs *costs_of(size_t servers)
{
    struct types_costs *costs = types_costs_new();
    types_costs_set_servers(costs, identities, servers);
    return costs;
}

static void add(struct types_costs *costs, size_t server, uint8_t type, unsigned times,
                uint64_t service_ns, uint64_t now_ns)
{
    for (unsigned i = 0; i < times; i++)
        types_costs_add(costs, server, type, service_ns, 5000, now_ns);
}

enum { SERVERS = 64 };

/* At one server, as if the others had nothing. */
static uint64_t expected_ns(struct types_costs *costs, size_t server, uint8_t type,
                            const uint32_t pending[TYPES_MOST], uint32_t parallel)
{
    uint32_t of_type[TYPES_MOST][SERVERS] = {0}, all[SERVERS] = {0}, slots[SERVERS] = {0};
    struct types_load load = {.all = all, .parallel = slots};
    double times_ns[SERVERS];
    for (size_t i = 0; i < TYPES_MOST; i++) {
        of_type[i][server] = pending[i];
        all[server] += pending[i];
        load.pending[i] = pending[i] ? of_type[i] : NULL;
    }
    slots[server] = parallel;
    types_costs_expected_ns(costs, type, &load, SERVERS, times_ns);
    return (uint64_t)times_ns[server];
}

static void L7_nothing_known_is_zero(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(2);
    uint32_t samples = 9;
    assert_int_equal(types_costs_mean_ns(costs, 0, TYPES_STATIC), 0);
    assert_int_equal(types_costs_mean_ns(costs, TYPES_SERVER_ALL, TYPES_ALL), 0);
    assert_int_equal(types_costs_quantile_ns(costs, 0, TYPES_ALL, 950, &samples), 0);
    assert_int_equal(samples, 0);
    const uint32_t pending[TYPES_MOST] = {[TYPES_STATIC] = 2};
    assert_int_equal(expected_ns(costs, 1, TYPES_STATIC, pending, 4), 0);
    types_costs_free(&costs);
    assert_null(costs);
}

static void L7_means_and_quantiles(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(1);
    uint32_t samples;
    for (unsigned i = 1; i <= 1000; i++)
        types_costs_add(costs, 0, TYPES_DYNAMIC, i * MS / 10, i * 100, S);
    assert_in_range(types_costs_mean_ns(costs, 0, TYPES_DYNAMIC), 50 * MS - MS, 50 * MS + MS);
    static const struct {
        unsigned permille;
        uint64_t ns;
    } rows[] = {{500, 50 * MS}, {950, 95 * MS}, {990, 99 * MS}, {10, 1 * MS}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t ns = types_costs_quantile_ns(costs, 0, TYPES_DYNAMIC, rows[i].permille, &samples);
        assert_in_range(ns, rows[i].ns * 88 / 100, rows[i].ns * 112 / 100);
    }
    assert_int_equal(samples, 1000);
    assert_in_range(types_costs_quantile_bytes(costs, 0, TYPES_ALL, 500, NULL), 44000, 56000);
    assert_in_range(types_costs_mean_bytes(costs, 0, TYPES_DYNAMIC), 50000, 50100);
    types_costs_free(&costs);
}

static void L7_extremes_stay_within_the_histogram(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(1);
    const uint64_t values[] = {0, 1, 15999, 16000, 1000 * S, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        types_costs_add(costs, 0, TYPES_STATIC, values[i], values[i], S);
    assert_in_range(types_costs_quantile_ns(costs, 0, TYPES_STATIC, 100, NULL), 0, 20000);
    assert_in_range(types_costs_quantile_ns(costs, 0, TYPES_STATIC, 1000, NULL), 30 * S, 70 * S);
    types_costs_free(&costs);
}

static void L7_a_server_without_multimedia_is_favoured_for_multimedia(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(2);
    for (size_t server = 0; server < 2; server++) {
        add(costs, server, TYPES_MULTIMEDIA, 20, 900 * MS, S);
        add(costs, server, TYPES_STATIC, 20, 2 * MS, S);
    }
    const uint32_t none[TYPES_MOST] = {0}, film[TYPES_MOST] = {[TYPES_MULTIMEDIA] = 1},
                   pages[TYPES_MOST] = {[TYPES_STATIC] = 5}; /* more requests, less work */
    assert_true(expected_ns(costs, 1, TYPES_MULTIMEDIA, pages, 4) <
                expected_ns(costs, 0, TYPES_MULTIMEDIA, film, 4));
    assert_true(expected_ns(costs, 0, TYPES_MULTIMEDIA, none, 4) <
                expected_ns(costs, 1, TYPES_MULTIMEDIA, pages, 4));
    types_costs_free(&costs);
}

static void L7_expected_is_what_waits_by_so_many_at_a_time_and_itself(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(1);
    const uint32_t pending[TYPES_MOST] = {[TYPES_STATIC] = 6};
    add(costs, 0, TYPES_STATIC, 1000, 10 * MS, S);
    assert_in_range(expected_ns(costs, 0, TYPES_STATIC, pending, 2), 39900000, 40100000);
    assert_in_range(expected_ns(costs, 0, TYPES_STATIC, pending, 0), 69900000, 70100000);
    types_costs_free(&costs);
}

static void L7_servers_are_found_by_identity(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(3);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(types_costs_find(costs, identities[i]), i);
    assert_int_equal(types_costs_find(costs, identities[1]), 1);
    assert_int_equal(types_costs_find(costs, identities[0]), 0);
    assert_int_equal(types_costs_find(costs, 99), TYPES_SERVER_ALL);
    types_costs_set_servers(costs, NULL, 0);
    assert_int_equal(types_costs_find(costs, identities[0]), TYPES_SERVER_ALL);
    types_costs_free(&costs);
}

static void L7_an_unknown_pair_borrows_from_both_sides(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(3);
    add(costs, 0, TYPES_STATIC, 200, 10 * MS, S);
    add(costs, 1, TYPES_STATIC, 200, 50 * MS, S); /* five times as slow */
    add(costs, 0, TYPES_DATABASE, 200, 100 * MS, S);
    uint64_t slow = types_costs_mean_ns(costs, 1, TYPES_DATABASE),
             usual = types_costs_mean_ns(costs, 2, TYPES_DATABASE);
    assert_in_range(usual, 99 * MS, 101 * MS);
    assert_in_range(slow, usual * 3 / 2, usual * 5); /* it is slow with this too, surely */
    types_costs_free(&costs);
}

static void L7_what_is_old_counts_for_less(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(1);
    uint32_t samples;
    add(costs, 0, TYPES_STATIC, 1000, 10 * MS, S);
    add(costs, 0, TYPES_STATIC, 250, 100 * MS, 65 * S); /* two half-lives later */
    assert_in_range(types_costs_mean_ns(costs, 0, TYPES_STATIC), 48 * MS, 62 * MS);
    types_costs_quantile_ns(costs, 0, TYPES_STATIC, 500, &samples);
    assert_in_range(samples, 470, 530);
    add(costs, 0, TYPES_STATIC, 10, 100 * MS, 3600 * S); /* all of it is forgotten */
    types_costs_quantile_ns(costs, 0, TYPES_STATIC, 500, &samples);
    assert_int_equal(samples, 10);
    types_costs_free(&costs);
}

static void L7_a_slow_server_that_got_nothing_for_long_is_tried_again(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(2);
    add(costs, 0, TYPES_STATIC, 200, 10 * MS, S);
    add(costs, 1, TYPES_STATIC, 200, 100 * MS, S);
    assert_true(types_costs_mean_ns(costs, 1, TYPES_STATIC) > 80 * MS);
    for (uint64_t second = 2; second < 600; second++)
        add(costs, 0, TYPES_STATIC, 10, 10 * MS, second * S);
    assert_true(types_costs_mean_ns(costs, 1, TYPES_STATIC) < 15 * MS);
    types_costs_free(&costs);
}

static void L7_other_servers_keep_what_is_known(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(3);
    add(costs, 1, TYPES_STATIC, 100, 70 * MS, S);
    const uint64_t changed[] = {44, 22, 22}; /* one twice, which a configuration may say */
    types_costs_set_servers(costs, changed, 3);
    assert_in_range(types_costs_mean_ns(costs, 1, TYPES_STATIC), 69 * MS, 71 * MS);
    uint32_t samples;
    types_costs_quantile_ns(costs, 2, TYPES_STATIC, 500, &samples);
    assert_int_equal(samples, 0);
    types_costs_set_servers(costs, NULL, 0);
    types_costs_set_servers(costs, identities, 3);
    types_costs_quantile_ns(costs, 1, TYPES_STATIC, 500, &samples);
    assert_int_equal(samples, 0);
    types_costs_free(&costs);
}

static void L7_costs_follow_types_to_other_numbers(void **state)
{
    (void)state;
    struct types_costs *costs = costs_of(1);
    uint8_t to[TYPES_MOST];
    for (uint8_t i = 0; i < TYPES_MOST; i++)
        to[i] = i < TYPES_BUILTIN ? i : TYPES_MOST;
    to[TYPES_BUILTIN + 1] = TYPES_BUILTIN; /* the first of the site's own is gone */
    add(costs, 0, TYPES_STATIC, 100, 1 * MS, S);
    add(costs, 0, TYPES_BUILTIN, 100, 10 * MS, S);
    add(costs, 0, TYPES_BUILTIN + 1, 100, 20 * MS, S);
    types_costs_renumber(costs, to);
    uint32_t samples;
    assert_in_range(types_costs_mean_ns(costs, 0, TYPES_BUILTIN), 19 * MS, 21 * MS);
    types_costs_quantile_ns(costs, 0, TYPES_BUILTIN + 1, 500, &samples);
    assert_int_equal(samples, 0);
    types_costs_quantile_ns(costs, TYPES_SERVER_ALL, TYPES_STATIC, 500, &samples);
    assert_int_equal(samples, 100);
    types_costs_free(&costs);
}

/* ---- beside a plain computation */

/* The same by its definition, of everything at each question. */
struct plain {
    struct {
        double sum, weight;
    } recent[TYPES_MOST][SERVERS], ratio[SERVERS];
    double sum[TYPES_MOST], weight[TYPES_MOST];
    uint64_t decayed_ns;
};

static double plain_everywhere(const struct plain *plain, uint8_t type)
{
    double sum = 0, weight = 0;
    if (plain->weight[type] > 0)
        return plain->sum[type] / plain->weight[type];
    for (size_t i = 0; i < TYPES_MOST; i++) {
        sum += plain->sum[i];
        weight += plain->weight[i];
    }
    return weight > 0 ? sum / weight : 0;
}

static double plain_next(const struct plain *plain, size_t server, uint8_t type)
{
    double slow = (plain->ratio[server].sum + 4) / (plain->ratio[server].weight + 4);
    return (plain->recent[type][server].sum + plain_everywhere(plain, type) * slow * 4) /
           (plain->recent[type][server].weight + 4);
}

static double plain_expected(const struct plain *plain, size_t server, uint8_t type,
                             const struct types_load *load)
{
    double work = 0;
    for (uint8_t i = 0; i < (uint8_t)TYPES_MOST; i++)
        if (load->pending[i])
            work += load->pending[i][server] * plain_next(plain, server, i);
    work /= load->parallel[server];
    return plain_next(plain, server, type) +
           (load->all[server] < load->parallel[server] ? work / 8 : work);
}

static void plain_decay(struct plain *plain, uint64_t now_ns)
{
    if (now_ns - plain->decayed_ns < 4 * S)
        return;
    double recent = 1;
    for (uint64_t steps = (now_ns - plain->decayed_ns) / (4 * S); steps; steps--)
        recent *= 0.7;
    plain->decayed_ns = now_ns;
    for (size_t i = 0; i < SERVERS; i++) {
        plain->ratio[i].sum *= recent;
        plain->ratio[i].weight *= recent;
        for (size_t type = 0; type < TYPES_MOST; type++) {
            plain->recent[type][i].sum *= recent;
            plain->recent[type][i].weight *= recent;
        }
    }
}

static void plain_add(struct plain *plain, struct types_costs *costs, size_t server, uint8_t type,
                      double service_ns, uint64_t now_ns)
{
    const double kept = 1 - 1.0 / 64;
    plain_decay(plain, now_ns);
    types_costs_add(costs, server, type, (uint64_t)service_ns, 1000, now_ns);
    /* Means of histograms forget in their own way: they are asked for. */
    plain->sum[type] = (double)types_costs_mean_ns(costs, TYPES_SERVER_ALL, type);
    plain->weight[type] = 1;
    double ratio = service_ns / plain->sum[type];
    ratio = ratio < 0.02 ? 0.02 : ratio > 50 ? 50 : ratio;
    plain->ratio[server].sum = plain->ratio[server].sum * kept + ratio;
    plain->ratio[server].weight = plain->ratio[server].weight * kept + 1;
    plain->recent[type][server].sum = plain->recent[type][server].sum * kept + service_ns;
    plain->recent[type][server].weight = plain->recent[type][server].weight * kept + 1;
}

/* Rows that are renewed when they are asked for say what the definition says, whatever was asked and learnt in between. */
static void L7_rows_are_what_the_definition_says(void **state)
{
    (void)state;
    static struct plain plain;
    static uint64_t names[SERVERS];
    static uint32_t of_type[TYPES_MOST][SERVERS], all[SERVERS], slots[SERVERS];
    enum { USED = 5, STEPS = 20000 }; /* types; the others are borrowed from */
    struct types_costs *costs = types_costs_new();
    struct types_load load = {.all = all, .parallel = slots};
    struct random random;
    double times_ns[SERVERS];
    uint64_t now_ns = S;
    random_seed(&random, 7);
    for (size_t i = 0; i < SERVERS; i++) {
        names[i] = 100 + i;
        slots[i] = 1 + (uint32_t)random_below(&random, 20);
    }
    types_costs_set_servers(costs, names, SERVERS);
    for (uint8_t i = 0; i < (uint8_t)USED; i++) /* from now on each of them is measured */
        plain_add(&plain, costs, 0, i, (double)(i + 1) * MS, now_ns);
    for (int step = 0; step < STEPS; step++) {
        size_t server = random_below(&random, SERVERS);
        uint8_t type = (uint8_t)random_below(&random, USED), asked = type;
        now_ns += random_below(&random, 10 * MS);
        plain_add(&plain, costs, server, type,
                  (double)((type + 1) * (server % 5 + 1) * (MS / 2 + random_below(&random, MS))),
                  now_ns);
        of_type[type][server] = (uint32_t)random_below(&random, 6);
        all[server] = 0;
        for (size_t i = 0; i < USED; i++) {
            load.pending[i] = random_below(&random, 3) ? of_type[i] : NULL;
            all[server] += of_type[i][server];
        }
        if (random_below(&random, 4) == 0)
            continue;
        types_costs_expected_ns(costs, asked, &load, SERVERS, times_ns);
        for (size_t i = 0; i < SERVERS; i++) {
            double wanted = plain_expected(&plain, i, asked, &load);
            /* The plain mean is in whole nanoseconds. */
            assert_true(times_ns[i] > wanted * 0.999998 && times_ns[i] < wanted * 1.000002);
        }
    }
    types_costs_free(&costs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L7_nothing_known_is_zero),
        cmocka_unit_test(L7_means_and_quantiles),
        cmocka_unit_test(L7_extremes_stay_within_the_histogram),
        cmocka_unit_test(L7_a_server_without_multimedia_is_favoured_for_multimedia),
        cmocka_unit_test(L7_expected_is_what_waits_by_so_many_at_a_time_and_itself),
        cmocka_unit_test(L7_servers_are_found_by_identity),
        cmocka_unit_test(L7_an_unknown_pair_borrows_from_both_sides),
        cmocka_unit_test(L7_what_is_old_counts_for_less),
        cmocka_unit_test(L7_a_slow_server_that_got_nothing_for_long_is_tried_again),
        cmocka_unit_test(L7_other_servers_keep_what_is_known),
        cmocka_unit_test(L7_costs_follow_types_to_other_numbers),
        cmocka_unit_test(L7_rows_are_what_the_definition_says),
    };
    return cmocka_run_group_tests_name("types_costs", tests, NULL, NULL);
}
