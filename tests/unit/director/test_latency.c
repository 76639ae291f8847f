/* SPDX-License-Identifier: Apache-2.0 */
#include "director/facts.h"

#include "base/random.h"

#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static const uint64_t second = 1000000000;

static struct address address_of(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(span_text(text), &address), 0);
    return address;
}

static void H3_networks_are_24_and_48(void **state)
{
    (void)state;
    struct latency_table *table = latency_table_new(100, 1);
    struct address a = address_of("192.0.2.1"), b = address_of("192.0.2.255"),
                   c = address_of("192.0.3.1"), d = address_of("2001:db8:1:2::3"),
                   e = address_of("2001:db8:1:ffff::"), f = address_of("2001:db8:2::");
    latency_table_put(table, &a, 7, LATENCY_PROBE, 20000, 3, false, second);
    latency_table_put(table, &d, 7, LATENCY_PROBE, 30000, 3, false, second);
    assert_int_equal(latency_table_find(table, &b, 7, LATENCY_PROBE).rtt_us, 20000);
    assert_int_equal(latency_table_find(table, &e, 7, LATENCY_PROBE).rtt_us, 30000);
    assert_int_equal(latency_table_find(table, &c, 7, LATENCY_PROBE).taken_ns, 0);
    assert_int_equal(latency_table_find(table, &f, 7, LATENCY_PROBE).taken_ns, 0);
    assert_int_equal(latency_table_find(table, &a, 8, LATENCY_PROBE).taken_ns, 0);
    assert_int_equal(latency_table_find(table, &a, 7, LATENCY_PASSIVE).taken_ns, 0);
    struct network network = latency_network(&e);
    char text[ADDRESS_TEXT_BYTES];
    assert_string_equal(network_text(&network, text), "2001:db8:1::/48");
    latency_table_free(table);
}

static void H3_newer_round_trips_outweigh_old_ones(void **state)
{
    (void)state;
    struct latency_table *table = latency_table_new(100, 1);
    struct address a = address_of("192.0.2.1");
    latency_table_put(table, &a, 0, LATENCY_PASSIVE, 10000, 1, false, 1 * second);
    latency_table_put(table, &a, 0, LATENCY_PASSIVE, 40000, 2, false, 2 * second);
    struct latency_value value = latency_table_find(table, &a, 0, LATENCY_PASSIVE);
    assert_int_equal(value.rtt_us, 30000);
    assert_int_equal(value.samples, 3);
    assert_int_equal(value.taken_ns, 2 * second);
    for (int i = 0; i < 1000; i++)
        latency_table_put(table, &a, 0, LATENCY_PASSIVE, 30000, 10, false, 3 * second);
    assert_int_equal(latency_table_find(table, &a, 0, LATENCY_PASSIVE).samples,
                     LATENCY_SAMPLES_LIMIT);
    /* a thousand old ones weigh no more than one batch of new ones */
    latency_table_put(table, &a, 0, LATENCY_PASSIVE, 50000, UINT32_MAX, false, 4 * second);
    assert_int_equal(latency_table_find(table, &a, 0, LATENCY_PASSIVE).rtt_us, 40000);
    /* an old report does not make the value older */
    latency_table_put(table, &a, 0, LATENCY_PASSIVE, 40000, 1, false, 1 * second);
    assert_int_equal(latency_table_find(table, &a, 0, LATENCY_PASSIVE).taken_ns, 4 * second);
    latency_table_free(table);
}

static void H3_silence_and_round_trips_replace_each_other(void **state)
{
    (void)state;
    struct latency_table *table = latency_table_new(100, 1);
    struct address a = address_of("192.0.2.1");
    latency_table_put(table, &a, 0, LATENCY_PROBE, 10000, 60, false, second);
    latency_table_put(table, &a, 0, LATENCY_PROBE, 1000000, 3, true, second);
    struct latency_value value = latency_table_find(table, &a, 0, LATENCY_PROBE);
    assert_true(value.is_silent && value.rtt_us == 1000000 && value.samples == 3);
    latency_table_put(table, &a, 0, LATENCY_PROBE, 12000, 3, false, second);
    value = latency_table_find(table, &a, 0, LATENCY_PROBE);
    assert_true(!value.is_silent && value.rtt_us == 12000 && value.samples == 3);
    latency_table_free(table);
}

static void H3_the_least_recently_written_makes_room(void **state)
{
    (void)state;
    struct latency_table *table = latency_table_new(3, 1);
    struct address a = address_of("192.0.2.1");
    for (uint32_t node = 0; node < 3; node++)
        latency_table_put(table, &a, node, LATENCY_PROBE, 1, 1, false, second + node);
    latency_table_put(table, &a, 0, LATENCY_PROBE, 1, 1, false, 2 * second);
    latency_table_put(table, &a, 3, LATENCY_PROBE, 1, 1, false, 2 * second);
    assert_int_equal(latency_table_count(table), 3);
    assert_int_equal(latency_table_evicted(table), 1);
    assert_int_equal(latency_table_find(table, &a, 1, LATENCY_PROBE).taken_ns, 0);
    assert_int_not_equal(latency_table_find(table, &a, 0, LATENCY_PROBE).taken_ns, 0);
    latency_table_free(table);
}

static void H3_expiry_is_bounded_per_call(void **state)
{
    (void)state;
    enum { ROWS = 3000 };
    struct latency_table *table = latency_table_new(ROWS, 1);
    struct address a = address_of("192.0.2.1");
    for (uint32_t node = 0; node < ROWS; node++)
        latency_table_put(table, &a, node, LATENCY_PROBE, 1, 1, false, second + node);
    uint64_t before_ns = second + ROWS - 10;
    int calls = 1;
    for (; latency_table_expire(table, before_ns); calls++)
        assert_int_equal(latency_table_count(table), ROWS - calls * LATENCY_EXPIRE_STEP);
    assert_int_equal(calls, 3);
    assert_int_equal(latency_table_count(table), 10);
    assert_false(latency_table_expire(table, UINT64_MAX));
    assert_int_equal(latency_table_count(table), 0);
    assert_int_equal(latency_table_first(table, &a), LATENCY_END);
    latency_table_free(table);
}

/* A reload gives nodes other numbers: two change places, one goes, one comes between. */
static void H3_rows_follow_the_numbers_of_their_nodes(void **state)
{
    (void)state;
    enum { NETWORKS = 300 };
    struct latency_table *table = latency_table_new(10000, 1);
    const uint32_t numbers[] = {1, 0, UINT32_MAX, 5};
    for (uint32_t n = 0; n < NETWORKS; n++)
        for (uint32_t node = 0; node < 5; node++) {
            struct address a = {.family = 4, .bytes = {10, (uint8_t)(n >> 8), (uint8_t)n, 1}};
            latency_table_put(table, &a, node, LATENCY_PASSIVE, 100 * n + node + 1, 1, false,
                              second + n);
            latency_table_put(table, &a, node, LATENCY_PROBE, 7, 1, false, second + n);
        }
    latency_table_renumber(table, numbers, 4); /* node 4 is beyond what was known */
    assert_int_equal(latency_table_count(table), 3 * 2 * NETWORKS);
    for (uint32_t n = 0; n < NETWORKS; n++) {
        struct address a = {.family = 4, .bytes = {10, (uint8_t)(n >> 8), (uint8_t)n, 1}};
        const uint32_t expected[6] = {100 * n + 2, 100 * n + 1, 0, 0, 0, 100 * n + 4};
        for (uint32_t node = 0; node < 6; node++) {
            assert_int_equal(latency_table_find(table, &a, node, LATENCY_PASSIVE).rtt_us,
                             expected[node]);
            assert_int_equal(latency_table_find(table, &a, node, LATENCY_PROBE).rtt_us,
                             expected[node] ? 7 : 0);
        }
    }
    while (latency_table_expire(table, UINT64_MAX))
        continue;
    assert_int_equal(latency_table_count(table), 0);
    latency_table_free(table);
}

static void H3_activity_halves(void **state)
{
    (void)state;
    struct latency_table *table = latency_table_new(10, 1);
    struct address a = address_of("192.0.2.1");
    struct latency_activity activity;
    latency_table_put(table, &a, 0, LATENCY_PASSIVE, 1, 1000, false, second);
    latency_table_put(table, &a, 0, LATENCY_PROBE, 1, 1000, false, second); /* no visitors */
    static const uint32_t expected[] = {1000, 750, 500, 375, 250};
    assert_int_equal(latency_table_slots(table), 1);
    for (uint64_t i = 0; i < 5; i++) {
        assert_true(latency_table_slot(table, 0, second + i * LATENCY_HALF_LIFE_NS / 2, &activity));
        assert_int_equal(activity.samples, expected[i]);
    }
    assert_int_equal(activity.rows, 2);
    assert_true(latency_table_slot(table, 0, UINT64_MAX, &activity));
    assert_int_equal(activity.samples, 0);
    latency_table_free(table);
}

/* ---- against a naive model ---- */

struct model_row {
    bool is_used;
    uint64_t written; /* order */
    struct latency_value value;
};

enum { CLIENTS = 12, NODES = 5, LIMIT = 40 };

struct model {
    struct model_row rows[CLIENTS][NODES][LATENCY_SOURCES];
    uint64_t writes;
    size_t count;
};

static struct address client_of(uint64_t i)
{
    struct address address = {.family = i % 2 ? 6 : 4};
    address.bytes[2] = (uint8_t)i;
    address.bytes[3] = (uint8_t)(i * 7);
    return address;
}

static struct model_row *model_oldest(struct model *model)
{
    struct model_row *all = &model->rows[0][0][0], *oldest = NULL;
    for (size_t i = 0; i < sizeof model->rows / sizeof *all; i++)
        if (all[i].is_used && (!oldest || all[i].written < oldest->written))
            oldest = &all[i];
    return oldest;
}

static void model_put(struct model *model, struct model_row *row, uint32_t rtt_us, uint32_t samples,
                      bool is_silent, uint64_t now_ns)
{
    if (!row->is_used) {
        if (model->count == LIMIT)
            *model_oldest(model) = (struct model_row){0};
        else
            model->count++;
        *row = (struct model_row){.is_used = true};
    }
    uint64_t old = row->value.is_silent == is_silent ? row->value.samples : 0, all = old + samples;
    row->value = (struct latency_value){
        now_ns, (uint32_t)((row->value.rtt_us * old + (uint64_t)rtt_us * samples + all / 2) / all),
        all < LATENCY_SAMPLES_LIMIT ? (uint32_t)all : LATENCY_SAMPLES_LIMIT, is_silent};
    row->written = ++model->writes;
}

static void model_expire(struct model *model, uint64_t before_ns)
{
    struct model_row *oldest;
    while ((oldest = model_oldest(model)) && oldest->value.taken_ns < before_ns) {
        *oldest = (struct model_row){0};
        model->count--;
    }
}

static void compare_all(const struct latency_table *table, const struct model *model)
{
    assert_int_equal(latency_table_count(table), model->count);
    for (uint32_t client = 0; client < CLIENTS; client++) {
        struct address address = client_of(client);
        size_t rows = 0;
        for (uint32_t node = 0; node < NODES; node++)
            for (int source = 0; source < LATENCY_SOURCES; source++) {
                struct latency_value found =
                    latency_table_find(table, &address, node, (enum latency_source)source);
                const struct model_row *row = &model->rows[client][node][source];
                assert_int_equal(found.taken_ns, row->value.taken_ns);
                assert_int_equal(found.rtt_us, row->value.rtt_us);
                assert_int_equal(found.samples, row->value.samples);
                assert_int_equal(found.is_silent, row->value.is_silent);
                rows += row->is_used;
            }
        struct latency_row row;
        for (uint32_t at = latency_table_first(table, &address); at != LATENCY_END; rows--) {
            at = latency_table_next(table, at, &row);
            assert_int_equal(row.value.rtt_us,
                             model->rows[client][row.node][row.source].value.rtt_us);
        }
        assert_int_equal(rows, 0);
    }
    size_t rows = 0;
    struct latency_activity activity;
    for (uint32_t slot = 0; slot < latency_table_slots(table); slot++)
        if (latency_table_slot(table, slot, 0, &activity))
            rows += activity.rows;
    assert_int_equal(rows, model->count);
}

static void H3_agrees_with_a_naive_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct random random;
        random_seed(&random, seed);
        struct latency_table *table = latency_table_new(LIMIT, seed);
        struct model *model = calloc(1, sizeof *model);
        uint64_t now_ns = second;
        for (int step = 0; step < 2000; step++) {
            now_ns += random_below(&random, 1000);
            uint64_t client = random_below(&random, CLIENTS);
            uint32_t node = (uint32_t)random_below(&random, NODES);
            enum latency_source source =
                (enum latency_source)random_below(&random, LATENCY_SOURCES);
            uint32_t rtt_us = (uint32_t)random_below(&random, UINT32_MAX);
            uint32_t samples = 1 + (uint32_t)random_below(&random, LATENCY_SAMPLES_LIMIT);
            bool is_silent = random_below(&random, 5) == 0;
            struct address address = client_of(client);
            latency_table_put(table, &address, node, source, rtt_us, samples, is_silent, now_ns);
            model_put(model, &model->rows[client][node][source], rtt_us, samples, is_silent,
                      now_ns);
            if (random_below(&random, 50) == 0) {
                uint64_t before_ns = now_ns - random_below(&random, 20000);
                assert_false(latency_table_expire(table, before_ns));
                model_expire(model, before_ns);
            }
            if (step % 10 == 0)
                compare_all(table, model);
        }
        free(model);
        latency_table_free(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(H3_networks_are_24_and_48),
        cmocka_unit_test(H3_newer_round_trips_outweigh_old_ones),
        cmocka_unit_test(H3_silence_and_round_trips_replace_each_other),
        cmocka_unit_test(H3_the_least_recently_written_makes_room),
        cmocka_unit_test(H3_expiry_is_bounded_per_call),
        cmocka_unit_test(H3_rows_follow_the_numbers_of_their_nodes),
        cmocka_unit_test(H3_activity_halves),
        cmocka_unit_test(H3_agrees_with_a_naive_model),
    };
    return cmocka_run_group_tests_name("director/latency", tests, NULL, NULL);
}
