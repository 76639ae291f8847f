/* SPDX-License-Identifier: Apache-2.0
 *
 * Several paths between the same two ends (L2): they add up, one that dies takes nothing along, a
 * slow one never makes a fast one slower, and one that comes back is used again. Virtual time.
 */
#include "transport/lane.h"
#include "workload.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { MEGABYTE = 1000000, STEP_MS = 5 };

static struct sim_pair pair;
static struct sim_second_way second;
static struct workload workload;

static struct sim_link_config link_of(double mbit_per_s, uint64_t rtt_ms)
{
    uint64_t bytes_per_s = (uint64_t)(mbit_per_s * 125000);
    return (struct sim_link_config){.bytes_per_s = bytes_per_s,
                                    .queue_bytes = bytes_per_s * rtt_ms / 1000,
                                    .delay_ns = rtt_ms * SIM_MS / 2,
                                    .overhead_bytes = 28};
}

static void begin(const struct sim_link_config *first, const struct sim_link_config *other,
                  bool is_standby, uint64_t seed)
{
    static const struct sim_impairment_config clean = {0};
    sim_pair_init(&pair, crypto_null(), seed, first, &clean);
    if (other)
        sim_pair_add_way(&pair, &second, other, &clean, is_standby);
    workload_init(&workload, &pair);
}

static void end(bool is_dual)
{
    if (is_dual)
        sim_second_way_clear(&second);
    sim_pair_clear(&pair);
}

static void run_ms(uint64_t ms)
{
    sim_run(&pair.sim, pair.sim.now_ns + ms * SIM_MS, NULL, NULL);
}

static void come_up(void)
{
    sim_pair_start(&pair);
    for (int i = 0; i < 1000 && !(pair.edge.ups && pair.gateway.ups); i++)
        run_ms(STEP_MS);
    assert_true(pair.edge.ups == 1 && pair.gateway.ups == 1);
    workload.start_ns = pair.sim.now_ns;
    sim_end_touch(&pair.edge);
    sim_end_touch(&pair.gateway);
}

static double mbit_per_s(uint64_t for_ms)
{
    uint64_t before = workload_bytes_read(&workload);
    run_ms(for_ms);
    return (double)(workload_bytes_read(&workload) - before) * 8 / 1000 / (double)for_ms;
}

static void cut_first(bool is_cut)
{
    pair.up_impairment.is_cut = pair.down_impairment.is_cut = is_cut;
}

static void cut_second(bool is_cut)
{
    second.up_impairment.is_cut = second.down_impairment.is_cut = is_cut;
}

static void L2_two_equal_paths_carry_the_sum(void **state)
{
    (void)state;
    static const uint32_t streams[] = {1, 4, 20};
    for (int i = 0; i < 3; i++) {
        double alone = 0, both = 0;
        struct sim_link_config link = link_of(50, 40);
        for (int dual = 0; dual < 2; dual++) {
            begin(&link, dual ? &link : NULL, false, 1);
            for (uint32_t s = 0; s < streams[i]; s++)
                workload_add(&workload, GATEWAY_SIDE, 1000ull * MEGABYTE, 0);
            come_up();
            run_ms(5000);
            *(dual ? &both : &alone) = mbit_per_s(20000);
            end(dual);
        }
        print_message("  %u streams: %.1f Mbit/s by one, %.1f by both\n", streams[i], alone, both);
        /* 100 Mbit/s on the wire are 95.2 in streams. */
        assert_true(both >= 0.9 * 95.2);
    }
}

static void L2_a_path_cut_under_load_stalls_little_and_loses_nothing(void **state)
{
    (void)state;
    uint64_t worst = 0;
    for (int ring = 0; ring < 5; ring++) {
        struct sim_link_config link = link_of(50, 100);
        begin(&link, &link, false, 2 + (uint64_t)ring);
        for (int s = 0; s < 8; s++)
            workload_add(&workload, s & 1, 40 * MEGABYTE, 0)->ring = (uint8_t)ring;
        come_up();
        run_ms(3000);
        cut_first(true);
        uint64_t stall = workload_longest_stall_ms(&workload, 3000);
        print_message("  ring %d: longest time without a byte %llu ms\n", ring,
                      (unsigned long long)stall);
        worst = stall > worst ? stall : worst;
        cut_first(false);
        run_ms(4000);
        assert_int_equal(sim_end_facts(&pair.edge).paths[0].state, TRANSPORT_PATH_STATE_ACTIVE);
        cut_second(true);
        stall = workload_longest_stall_ms(&workload, 3000);
        worst = stall > worst ? stall : worst;
        cut_second(false);
        assert_true(workload_run(&workload, 120 * SIM_SECOND));
        workload_check(&workload);
        assert_int_equal(pair.edge.downs + pair.gateway.downs, 0);
        end(true);
    }
    assert_true(worst <= 400);
}

static void L2_a_slower_path_never_makes_the_better_one_slower(void **state)
{
    (void)state;
    static const struct {
        double mbit, other_mbit;
        uint64_t rtt_ms, other_rtt_ms;
    } cases[] = {{50, 50, 20, 200}, {50, 5, 20, 100}, {20, 2, 50, 600}, {50, 20, 40, 80}};
    static const uint64_t sizes[] = {30000, 300000, 3000000, 30000000};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            double took_ms[2];
            for (int dual = 0; dual < 2; dual++) {
                struct sim_link_config link = link_of(cases[i].mbit, cases[i].rtt_ms);
                struct sim_link_config other = link_of(cases[i].other_mbit, cases[i].other_rtt_ms);
                begin(&link, dual ? &other : NULL, false, 3);
                come_up();
                run_ms(2000);
                uint64_t start_ns = pair.sim.now_ns;
                workload_add(&workload, GATEWAY_SIDE, sizes[j], 0);
                sim_end_touch(&pair.edge);
                sim_end_touch(&pair.gateway);
                assert_true(workload_run(&workload, 100 * SIM_SECOND));
                workload_check(&workload);
                took_ms[dual] = (double)(pair.sim.now_ns - start_ns) / SIM_MS;
                end(dual);
            }
            print_message("  %g Mbit/s %llu ms + %g Mbit/s %llu ms, %llu kB: %.0f -> %.0f ms\n",
                          cases[i].mbit, (unsigned long long)cases[i].rtt_ms, cases[i].other_mbit,
                          (unsigned long long)cases[i].other_rtt_ms,
                          (unsigned long long)sizes[j] / 1000, took_ms[0], took_ms[1]);
            assert_true(took_ms[1] <= took_ms[0] * 1.05 + 1);
        }
}

static void L2_a_standby_path_is_measured_and_takes_over(void **state)
{
    (void)state;
    struct sim_link_config link = link_of(50, 40), other = link_of(10, 120);
    begin(&link, &other, true, 4);
    for (int s = 0; s < 4; s++)
        workload_add(&workload, s & 1, 20 * MEGABYTE, 0);
    come_up();
    run_ms(2000);
    uint64_t sent = second.up_link.bytes + second.down_link.bytes;
    run_ms(2000);
    /* A probe now and then, no data. */
    assert_true(second.up_link.bytes + second.down_link.bytes - sent < 2000);
    struct transport_facts facts = sim_end_facts(&pair.gateway);
    assert_int_equal(facts.path_count, 2);
    assert_int_equal(facts.paths[1].state, TRANSPORT_PATH_STATE_STANDBY);
    assert_true(facts.paths[1].quality.srtt_us >= 120000 &&
                facts.paths[1].quality.srtt_us < 135000);
    cut_first(true);
    uint64_t stall = workload_longest_stall_ms(&workload, 4000);
    print_message("  longest time without a byte %llu ms\n", (unsigned long long)stall);
    assert_true(stall <= 800);
    cut_first(false);
    run_ms(4000);
    facts = sim_end_facts(&pair.gateway);
    assert_int_equal(facts.paths[0].state, TRANSPORT_PATH_STATE_ACTIVE);
    sent = second.up_link.bytes + second.down_link.bytes;
    run_ms(1000);
    assert_true(second.up_link.bytes + second.down_link.bytes - sent < 2000);
    assert_true(workload_run(&workload, 60 * SIM_SECOND));
    workload_check(&workload);
    end(true);
}

/* Packet records of a path that wait for something. */
static uint64_t records(const struct sim_end *end, uint8_t wire_id)
{
    const struct path *path = lane_path(end->transport, wire_id);
    return path->sent.next - path->sent.oldest;
}

static void L2_a_path_that_stays_dead_keeps_no_stream_and_few_records(void **state)
{
    enum { STREAMS = 600, SECONDS = 240, SPARE_SECONDS = 30, RECORDS = 64 };
    (void)state;
    struct sim_link_config link = link_of(20, 40), other = link_of(20, 30);
    begin(&link, &other, false, 5);
    for (uint64_t s = 0; s < STREAMS; s++)
        workload_add(&workload, s & 1, 20000, 20000)->open_ns =
            s * (SECONDS - SPARE_SECONDS) * SIM_SECOND / STREAMS;
    workload_add(&workload, EDGE_SIDE, 10 * MEGABYTE, 10 * MEGABYTE);
    come_up();
    run_ms(1000);
    cut_second(true);
    run_ms((SECONDS - 1) * 1000);
    uint8_t dead = (uint8_t)sim_end_facts(&pair.edge).paths[1].id;
    const struct sim_end *ends[] = {&pair.edge, &pair.gateway};
    for (int i = 0; i < 2; i++) {
        struct transport_facts facts = sim_end_facts(ends[i]);
        print_message("  %llu records, %llu streams\n", (unsigned long long)records(ends[i], dead),
                      (unsigned long long)facts.streams_open);
        assert_int_equal(facts.paths[1].state, TRANSPORT_PATH_STATE_DEGRADED);
        assert_true(records(ends[i], dead) <= RECORDS);
        assert_int_equal(facts.streams_open, 0);
        assert_int_equal(ends[i]->transport->credit.given, 0);
    }
    assert_true(workload_run(&workload, SIM_SECOND));
    workload_check(&workload);
    /* It is still asked now and then, and comes back. */
    cut_second(false);
    run_ms(12000);
    assert_int_equal(sim_end_facts(&pair.edge).paths[1].state, TRANSPORT_PATH_STATE_ACTIVE);
    assert_int_equal(sim_end_facts(&pair.gateway).paths[1].state, TRANSPORT_PATH_STATE_ACTIVE);
    assert_int_equal(pair.edge.downs + pair.gateway.downs, 0);
    end(true);
}

/* Acks that come later than anybody waited for them: all that they name went by the other path. */
static void L2_acks_of_a_path_held_up_for_long_are_harmless(void **state)
{
    (void)state;
    struct sim_link_config link = link_of(20, 40), other = link_of(20, 30);
    begin(&link, &other, false, 6);
    for (uint64_t s = 0; s < 60; s++)
        workload_add(&workload, s & 1, 200000, 200000)->open_ns = s * SIM_SECOND;
    come_up();
    for (int i = 0; i < 6; i++) {
        run_ms(1000);
        second.down_link.config.delay_ns = second.up_link.config.delay_ns = 4 * SIM_SECOND;
        run_ms(12000);
        second.down_link.config.delay_ns = second.up_link.config.delay_ns = 15 * SIM_MS;
        run_ms(1000);
    }
    assert_true(workload_run(&workload, 60 * SIM_SECOND));
    workload_check(&workload);
    assert_true(sim_end_facts(&pair.gateway).packets_spurious > 0);
    run_ms(20000);
    assert_int_equal(sim_end_facts(&pair.edge).paths[1].state, TRANSPORT_PATH_STATE_ACTIVE);
    assert_int_equal(pair.edge.downs + pair.gateway.downs, 0);
    end(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L2_two_equal_paths_carry_the_sum),
        cmocka_unit_test(L2_a_path_cut_under_load_stalls_little_and_loses_nothing),
        cmocka_unit_test(L2_a_slower_path_never_makes_the_better_one_slower),
        cmocka_unit_test(L2_a_standby_path_is_measured_and_takes_over),
        cmocka_unit_test(L2_a_path_that_stays_dead_keeps_no_stream_and_few_records),
        cmocka_unit_test(L2_acks_of_a_path_held_up_for_long_are_harmless),
    };
    return cmocka_run_group_tests_name("sim/paths", tests, NULL, NULL);
}
