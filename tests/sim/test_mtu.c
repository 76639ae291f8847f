/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks that take packets of some size and no larger (T5): the size is found, a fall while data flows
 * is noticed, and neither costs more than a stated time.
 */
#include "workload.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { MEGABYTE = 1000000, STEP_MS = 10 };

static struct sim_pair pair;
static struct workload workload;

static void run_ms(uint64_t ms)
{
    sim_run(&pair.sim, pair.sim.now_ns + ms * SIM_MS, NULL, NULL);
}

static void set_mtu(uint32_t bytes)
{
    pair.up_impairment.config.mtu_bytes = pair.down_impairment.config.mtu_bytes = bytes;
}

static void begin(uint16_t packet_bytes, uint32_t mtu, uint64_t seed)
{
    static const struct sim_link_config link = {.bytes_per_s = 2500000,
                                                .queue_bytes = 200000,
                                                .delay_ns = 30 * SIM_MS};
    static const struct sim_impairment_config clean = {0};
    sim_pair_init(&pair, crypto_null(), seed, &link, &clean);
    pair.edge.config.packet_bytes = pair.gateway.config.packet_bytes = packet_bytes;
    set_mtu(mtu);
    workload_init(&workload, &pair);
    sim_pair_start(&pair);
    for (int i = 0; i < 500 && !(pair.edge.ups && pair.gateway.ups); i++)
        run_ms(STEP_MS);
    assert_true(pair.edge.ups == 1 && pair.gateway.ups == 1);
    workload.start_ns = pair.sim.now_ns;
    sim_end_touch(&pair.edge);
    sim_end_touch(&pair.gateway);
}

static void T5_the_size_is_found_on_any_network(void **state)
{
    (void)state;
    static const struct {
        uint16_t wanted;
        uint32_t mtu, least;
    } cases[] = {{1400, 0, 1400},    {8972, 0, 8972},    {8972, 1472, 1472},
                 {1472, 1452, 1452}, {1400, 1300, 1280}, {1400, 1200, 1200}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(cases[i].wanted, cases[i].mtu, 1 + i);
        workload_add(&workload, EDGE_SIDE, 6 * MEGABYTE, 6 * MEGABYTE);
        sim_end_touch(&pair.edge);
        uint64_t stall = workload_longest_stall_ms(&workload, 2500);
        assert_true(workload_run(&workload, 60 * SIM_SECOND));
        workload_check(&workload);
        struct transport_facts edge = sim_end_facts(&pair.edge);
        struct transport_facts gateway = sim_end_facts(&pair.gateway);
        print_message("  wanted %u, network %u: %u and %u, longest stall %llu ms\n",
                      cases[i].wanted, cases[i].mtu, edge.paths[0].packet_bytes,
                      gateway.paths[0].packet_bytes, (unsigned long long)stall);
        assert_in_range(edge.paths[0].packet_bytes, cases[i].least, cases[i].wanted);
        assert_in_range(gateway.paths[0].packet_bytes, cases[i].least, cases[i].wanted);
        if (cases[i].mtu)
            assert_true(edge.paths[0].packet_bytes <= cases[i].mtu);
        assert_true(stall <= 250);
        sim_pair_clear(&pair);
    }
}

static void T5_probes_are_no_congestion(void **state)
{
    (void)state;
    begin(8972, 1472, 20);
    workload_add(&workload, EDGE_SIDE, 2 * MEGABYTE, 0);
    sim_end_touch(&pair.edge);
    run_ms(3000);
    struct transport_facts facts = sim_end_facts(&pair.edge);
    assert_true(facts.packets_lost > 0 && facts.probe_timeouts == 0);
    uint64_t window = facts.window_bytes;
    sim_pair_clear(&pair);
    begin(1472, 1472, 20);
    workload_add(&workload, EDGE_SIDE, 2 * MEGABYTE, 0);
    sim_end_touch(&pair.edge);
    run_ms(3000);
    assert_true(window >= sim_end_facts(&pair.edge).window_bytes * 9 / 10);
    sim_pair_clear(&pair);
}

static void T5_a_fall_while_data_flows_stalls_little(void **state)
{
    (void)state;
    static const uint32_t falls[] = {1380, 1280, 1200};
    for (size_t i = 0; i < sizeof falls / sizeof *falls; i++) {
        begin(1400, 0, 30 + i);
        for (int s = 0; s < 4; s++)
            workload_add(&workload, s & 1, 20 * MEGABYTE, 0);
        sim_end_touch(&pair.edge);
        sim_end_touch(&pair.gateway);
        run_ms(3000);
        assert_int_equal(sim_end_facts(&pair.edge).paths[0].packet_bytes, 1400);
        set_mtu(falls[i]);
        uint64_t stall = workload_longest_stall_ms(&workload, 5000);
        struct transport_facts facts = sim_end_facts(&pair.edge);
        print_message("  fell to %u: stall %llu ms, now %u\n", falls[i], (unsigned long long)stall,
                      facts.paths[0].packet_bytes);
        assert_true(stall <= 800);
        assert_int_equal(facts.paths[0].mtu_fallbacks, 1);
        assert_in_range(facts.paths[0].packet_bytes, falls[i] - 40 > 1200 ? falls[i] - 40 : 1200,
                        falls[i]);
        assert_true(workload_run(&workload, 120 * SIM_SECOND));
        workload_check(&workload);
        assert_int_equal(pair.edge.downs + pair.gateway.downs, 0);
        sim_pair_clear(&pair);
    }
}

/* 5 % random loss is not taken for a black hole all the time. */
static void T5_loss_does_not_make_packets_small(void **state)
{
    (void)state;
    begin(1400, 0, 40);
    pair.up_impairment.config.loss = pair.down_impairment.config.loss = 0.05;
    for (int s = 0; s < 4; s++)
        workload_add(&workload, s & 1, 1000ull * MEGABYTE, 0);
    sim_end_touch(&pair.edge);
    sim_end_touch(&pair.gateway);
    uint32_t full = 0;
    for (int i = 0; i < 300; i++) {
        run_ms(100);
        full += sim_end_facts(&pair.edge).paths[0].packet_bytes == 1400;
    }
    struct transport_facts facts = sim_end_facts(&pair.edge);
    print_message("  %u of 300 looks at full size, %u fallbacks\n", full,
                  facts.paths[0].mtu_fallbacks);
    assert_true(full >= 285);
    sim_pair_clear(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T5_the_size_is_found_on_any_network),
        cmocka_unit_test(T5_probes_are_no_congestion),
        cmocka_unit_test(T5_a_fall_while_data_flows_stalls_little),
        cmocka_unit_test(T5_loss_does_not_make_packets_small),
    };
    return cmocka_run_group_tests_name("sim/mtu", tests, NULL, NULL);
}
