/* SPDX-License-Identifier: Apache-2.0
 *
 * Small requests: how long one takes beside bulk and alone, on a path that loses packets. A request is 300 bytes up, its answer 10 KB
 * down, on a stream of its own.
 *
 *     edge -> loss -> link -> gateway          100 ms there and back
 *     edge <- link <- loss <- gateway          bulk in rings 3 and 4
 */
#include "workload.h"

#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { REQUESTS = 900, BULKS = 4, REQUEST_BYTES = 300 };

#define RTT_NS (100 * SIM_MS)

struct outcome {
    double p50, p90, p99, most; /* round trips */
    double use;                 /* of the rate, by bulk */
    struct transport_facts edge, gateway;
};

static int by_time(const void *a, const void *b)
{
    const uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

struct asking {
    double loss;
    bool has_bulk, has_no_repair;
    uint64_t answer_bytes, every_ns;
    uint64_t rate, queue_ns; /* 0: 12.5 MB/s and 100 ms */
};

/* Requests from 5 s on. */
static struct outcome ask(const struct asking *asking, uint64_t seed)
{
    static struct sim_pair pair;
    static struct workload workload;
    static uint64_t took_ns[REQUESTS];
    struct sim_impairment_config impairment = {.loss = asking->loss};
    struct sim_link_config link = {.bytes_per_s = asking->rate ? asking->rate : 12500000,
                                   .queue_ns = asking->queue_ns ? asking->queue_ns : 100 * SIM_MS,
                                   .delay_ns = RTT_NS / 2};
    sim_pair_init(&pair, crypto_null(), seed, &link, &impairment);
    workload_init(&workload, &pair);
    for (uint32_t i = 0; i < BULKS && asking->has_bulk; i++)
        workload_add(&workload, EDGE_SIDE, 0, 1ull << 40)->ring = (uint8_t)(3 + i % 2);
    uint32_t first = workload.count;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        struct stream_plan *plan =
            workload_add(&workload, EDGE_SIDE, REQUEST_BYTES, asking->answer_bytes);
        plan->ring = 1;
        plan->open_ns = 5 * SIM_SECOND + i * asking->every_ns;
    }
    pair.edge.config.no_tail_repair = pair.gateway.config.no_tail_repair = asking->has_no_repair;
    sim_pair_start(&pair);
    sim_run(&pair.sim, pair.sim.now_ns + 10 * SIM_SECOND + REQUESTS * asking->every_ns, NULL, NULL);
    uint64_t bulk = 0;
    for (uint32_t i = 0; i < first; i++)
        bulk += workload.sides[EDGE_SIDE][i].read;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct stream_side *side = &workload.sides[EDGE_SIDE][first + i];
        assert_true(side->is_ended);
        took_ns[i] = side->ended_ns - side->opened_ns;
    }
    qsort(took_ns, REQUESTS, sizeof *took_ns, by_time);
    struct outcome outcome = {
        .p50 = (double)took_ns[REQUESTS / 2] / RTT_NS,
        .p90 = (double)took_ns[REQUESTS * 9 / 10] / RTT_NS,
        .p99 = (double)took_ns[REQUESTS * 99 / 100] / RTT_NS,
        .most = (double)took_ns[REQUESTS - 1] / RTT_NS,
        .use = (double)bulk / (double)link.bytes_per_s /
               (10 + REQUESTS * (double)asking->every_ns / SIM_SECOND),
        .edge = sim_end_facts(&pair.edge),
        .gateway = sim_end_facts(&pair.gateway),
    };
    sim_pair_clear(&pair);
    print_message(
        "  %.0f %% loss, %s: p50 %.2f, p90 %.2f, p99 %.2f, most %.2f round trips; bulk %.3f of the "
        "rate\n",
        asking->loss * 100,
        asking->has_bulk        ? "beside bulk"
        : asking->has_no_repair ? "alone, no repair"
                                : "alone",
        outcome.p50, outcome.p90, outcome.p99, outcome.most, outcome.use);
    return outcome;
}

static void T5_small_requests_beside_bulk_lose_one_round_trip(void **state)
{
    (void)state;
    const struct asking asking = {
        .loss = 0.01, .has_bulk = true, .answer_bytes = 10240, .every_ns = 50 * SIM_MS};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct outcome outcome = ask(&asking, seed);
        assert_true(outcome.p50 <= 1.4);
        assert_true(outcome.p99 <= 2.5);
    }
}

/* The last packet of a request or an answer is lost once in twenty: that costs a probe timeout, unless it went twice. */
static void T5_tail_repair_spares_small_requests_the_probe_timeout(void **state)
{
    enum { SEEDS = 3 };
    (void)state;
    double with = 0, without = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct asking asking = {.loss = 0.05, .answer_bytes = 1000, .every_ns = 150 * SIM_MS};
        struct outcome repaired = ask(&asking, seed);
        asking.has_no_repair = true;
        struct outcome plain = ask(&asking, seed);
        assert_int_equal(plain.edge.tail_repairs + plain.gateway.tail_repairs, 0);
        with += repaired.p99 / SEEDS;
        without += plain.p99 / SEEDS;
    }
    print_message("  p99 %.2f instead of %.2f\n", with, without);
    assert_true(with < 0.75 * without);
}

static void T5_tail_repair_adds_nothing_without_loss(void **state)
{
    (void)state;
    const struct asking asking = {.answer_bytes = 1000, .every_ns = 150 * SIM_MS};
    struct outcome outcome = ask(&asking, 1);
    assert_int_equal(outcome.edge.tail_repairs + outcome.gateway.tail_repairs, 0);
}

/* A bottleneck that bulk keeps full, with a small queue: packets are lost by congestion only. */
static void T5_tail_repair_adds_nothing_under_congestion(void **state)
{
    (void)state;
    const struct asking asking = {.has_bulk = true,
                                  .answer_bytes = 2000,
                                  .every_ns = 50 * SIM_MS,
                                  .rate = 1000000,
                                  .queue_ns = 10 * SIM_MS};
    struct outcome outcome = ask(&asking, 1);
    assert_true(outcome.p90 <= 1.4); /* and nobody waits for bulk */
    assert_true(outcome.gateway.packets_lost > 100);
    assert_true(outcome.gateway.tail_repair_bytes * 500 <= outcome.gateway.bytes_sent);
    assert_true(outcome.edge.tail_repair_bytes * 50 <=
                outcome.edge.bytes_sent + outcome.gateway.bytes_sent);
}

/* Twenty downloads of one site and one of another, in the same ring: each site has half, the whole way through. */
static void T4_sites_share_a_link_however_many_streams_they_have(void **state)
{
    enum { MANY = 20 };
    (void)state;
    static struct sim_pair pair;
    static struct workload workload;
    struct sim_impairment_config clean = {0};
    struct sim_link_config link = {.bytes_per_s = 2500000,
                                   .queue_ns = 50 * SIM_MS,
                                   .delay_ns = 10 * SIM_MS};
    sim_pair_init(&pair, crypto_null(), 1, &link, &clean);
    workload_init(&workload, &pair);
    for (uint16_t i = 0; i <= MANY; i++) {
        struct stream_plan *plan = workload_add(&workload, EDGE_SIDE, 0, 1ull << 40);
        plan->ring = 2;
        plan->site = i < MANY ? 1 : 2;
    }
    sim_pair_start(&pair);
    sim_run(&pair.sim, pair.sim.now_ns + 20 * SIM_SECOND, NULL, NULL);
    double many = 0, one = (double)workload.sides[EDGE_SIDE][MANY].read;
    for (int i = 0; i < MANY; i++)
        many += (double)workload.sides[EDGE_SIDE][i].read;
    print_message("  %.1f MB of one download beside %.1f MB of twenty\n", one / 1e6, many / 1e6);
    assert_true(one > 0.85 * many && one < 1.15 * many);
    sim_pair_clear(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T4_sites_share_a_link_however_many_streams_they_have),
        cmocka_unit_test(T5_small_requests_beside_bulk_lose_one_round_trip),
        cmocka_unit_test(T5_tail_repair_spares_small_requests_the_probe_timeout),
        cmocka_unit_test(T5_tail_repair_adds_nothing_without_loss),
        cmocka_unit_test(T5_tail_repair_adds_nothing_under_congestion),
    };
    return cmocka_run_group_tests_name("sim/requests", tests, NULL, NULL);
}
