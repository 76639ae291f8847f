/* SPDX-License-Identifier: Apache-2.0
 *
 * A link's long life: outages short and long, restarts of either end, fresh keys under load, what both ends know of the path. Times are
 * virtual and asserted.
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

/* 20 Mbit/s, 60 ms. */
static const struct sim_link_config path = {.bytes_per_s = 2500000,
                                            .queue_bytes = 150000,
                                            .delay_ns = 30 * SIM_MS};

static void begin(const struct sim_impairment_config *impairment, uint64_t seed)
{
    sim_pair_init(&pair, crypto_openssl(), seed, &path, impairment);
    workload_init(&workload, &pair);
}

static void come_up(void)
{
    sim_pair_start(&pair);
    for (int i = 0; i < 1000 && !(pair.edge.ups && pair.gateway.ups); i++)
        sim_run(&pair.sim, pair.sim.now_ns + STEP_MS * SIM_MS, NULL, NULL);
    assert_true(pair.edge.ups == 1 && pair.gateway.ups == 1);
    workload.start_ns = pair.sim.now_ns;
    sim_end_touch(&pair.edge);
    sim_end_touch(&pair.gateway);
}

static void run_ms(uint64_t ms)
{
    sim_run(&pair.sim, pair.sim.now_ns + ms * SIM_MS, NULL, NULL);
}

static void cut(bool is_cut)
{
    pair.up_impairment.is_cut = pair.down_impairment.is_cut = is_cut;
}

/* Milliseconds until both ends have come up `ups` times. */
static uint64_t until_up(uint32_t ups, uint64_t limit_ms)
{
    uint64_t waited = 0;
    while (waited < limit_ms && (pair.edge.ups < ups || pair.gateway.ups < ups)) {
        run_ms(STEP_MS);
        waited += STEP_MS;
    }
    return waited;
}

static void T1_a_short_outage_costs_no_stream(void **state)
{
    (void)state;
    struct sim_impairment_config clean = {0};
    begin(&clean, 1);
    for (int i = 0; i < 4; i++)
        workload_add(&workload, i & 1, 4 * MEGABYTE, 2 * MEGABYTE);
    come_up();
    run_ms(1500);
    cut(true);
    run_ms(3000);
    cut(false);
    uint64_t before = workload_bytes_read(&workload), waited = 0;
    while (workload_bytes_read(&workload) == before && waited < 5000) {
        run_ms(STEP_MS);
        waited += STEP_MS;
    }
    print_message("  flows again after %llu ms\n", (unsigned long long)waited);
    assert_true(waited <= 2000);
    assert_true(workload_run(&workload, 30 * SIM_SECOND));
    workload_check(&workload);
    assert_int_equal(pair.edge.downs + pair.gateway.downs, 0);
    sim_pair_clear(&pair);
}

/* 10 and 28 seconds; in the second case both ends' addresses change meanwhile. */
static void T1_an_outage_within_the_limit_costs_no_stream(void **state)
{
    (void)state;
    static const uint64_t outage_ms[] = {10000, 28000};
    for (int i = 0; i < 2; i++) {
        struct sim_impairment_config clean = {0};
        begin(&clean, 20 + (uint64_t)i);
        for (int s = 0; s < 6; s++)
            workload_add(&workload, s & 1, 4 * MEGABYTE, 2 * MEGABYTE);
        come_up();
        run_ms(1500);
        cut(true);
        run_ms(outage_ms[i] / 2);
        assert_true(transport_out_since(pair.edge.transport) != 0);
        workload_add(&workload, EDGE_SIDE, 5000, 5000); /* waits with the others */
        sim_end_touch(&pair.edge);
        if (i == 1) {
            pair.edge.address.port = 50000;
            pair.edge.address.bytes[3] = 77;
        }
        run_ms(outage_ms[i] / 2);
        cut(false);
        uint64_t before = workload_bytes_read(&workload), waited = 0;
        while (workload_bytes_read(&workload) == before && waited < 5000) {
            run_ms(STEP_MS);
            waited += STEP_MS;
        }
        print_message("  flows again after %llu ms\n", (unsigned long long)waited);
        assert_true(waited <= 1200);
        assert_true(workload_run(&workload, 60 * SIM_SECOND));
        workload_check(&workload);
        assert_int_equal(pair.edge.downs + pair.gateway.downs, 0);
        assert_true(transport_out_since(pair.edge.transport) == 0);
        sim_pair_clear(&pair);
    }
}

static void T1_a_long_outage_ends_streams_and_the_link_comes_back(void **state)
{
    (void)state;
    struct sim_impairment_config clean = {0};
    begin(&clean, 2);
    workload.expects_loss = true;
    for (int i = 0; i < 4; i++)
        workload_add(&workload, i & 1, 20 * MEGABYTE, 0);
    workload_add(&workload, EDGE_SIDE, 10000, 10000)->open_ns = 40 * SIM_SECOND;
    come_up();
    run_ms(1000);
    cut(true);
    run_ms(31500);
    assert_true(pair.edge.downs == 1 && pair.gateway.downs == 1);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(workload.sides[EDGE_SIDE][i].code, TRANSPORT_CODE_LINK_LOST);
        assert_int_equal(workload.sides[GATEWAY_SIDE][i].code, TRANSPORT_CODE_LINK_LOST);
    }
    cut(false);
    uint64_t waited = until_up(2, 20000);
    print_message("  up again after %llu ms\n", (unsigned long long)waited);
    assert_true(waited <= 12000); /* the longest pause between two attempts */
    assert_true(workload_run(&workload, 30 * SIM_SECOND));
    workload_check(&workload);
    sim_pair_clear(&pair);
}

/* One direction only: the end that still hears must not take the link for alive. */
static void T1_an_outage_one_way_is_noticed_by_both(void **state)
{
    (void)state;
    for (int direction = 0; direction < 2; direction++) {
        struct sim_impairment_config clean = {0};
        begin(&clean, 3);
        workload.expects_loss = true;
        workload_add(&workload, EDGE_SIDE, 100 * MEGABYTE, 100 * MEGABYTE);
        come_up();
        run_ms(1000);
        (direction ? &pair.down_impairment : &pair.up_impairment)->is_cut = true;
        run_ms(65000);
        assert_true(pair.edge.downs >= 1 && pair.gateway.downs >= 1);
        cut(false);
        assert_true(until_up(2, 20000) <= 12000);
        sim_pair_clear(&pair);
    }
}

static void restart_of(struct sim_end *end, struct sim_end *other)
{
    struct sim_impairment_config clean = {0};
    begin(&clean, 4);
    workload.expects_loss = true;
    for (int i = 0; i < 3; i++)
        workload_add(&workload, i & 1, 20 * MEGABYTE, 0);
    come_up();
    run_ms(1000);
    /* The process is gone with all that it knew; its successor has another generation. */
    int side = end == &pair.edge ? EDGE_SIDE : GATEWAY_SIDE;
    for (uint32_t i = 0; i < workload.count; i++)
        workload.sides[side][i] = (struct stream_side){.is_over = true,
                                                       .is_reset = true,
                                                       .code = TRANSPORT_CODE_LINK_LOST};
    end->config.index_base ^= 1u << 20;
    end->ups = 0;
    sim_end_start(end);
    uint32_t ups = other->ups + 1;
    uint64_t waited = 0;
    while (waited < 20000 && (end->ups < 1 || other->ups < ups)) {
        run_ms(STEP_MS);
        waited += STEP_MS;
    }
    print_message("  up again after %llu ms\n", (unsigned long long)waited);
    assert_true(waited <= 400);
    for (uint32_t i = 0; i < workload.count; i++)
        assert_int_equal(workload.sides[!side][i].code, TRANSPORT_CODE_LINK_LOST);
    workload_add(&workload, EDGE_SIDE, 50000, 50000);
    workload_add(&workload, GATEWAY_SIDE, 50000, 50000);
    sim_end_touch(&pair.edge);
    sim_end_touch(&pair.gateway);
    assert_true(workload_run(&workload, 5 * SIM_SECOND));
    workload_check(&workload);
    sim_pair_clear(&pair);
}

static void T1_a_restarted_gateway_is_recognised_at_once(void **state)
{
    (void)state;
    restart_of(&pair.gateway, &pair.edge);
}

static void T1_a_restarted_edge_is_recognised_at_once(void **state)
{
    (void)state;
    restart_of(&pair.edge, &pair.gateway);
}

/* A handshake each second, and for four minutes the ratchet beside it, while both directions are busy. */
static void T9_fresh_keys_under_load_cost_no_time(void **state)
{
    (void)state;
    static const double losses[] = {0, 0.02};
    for (int i = 0; i < 2; i++) {
        struct sim_impairment_config lossy = {.loss = losses[i]};
        begin(&lossy, 5);
        pair.edge.config.handshake_every_ns = SIM_SECOND;
        for (int s = 0; s < 8; s++)
            workload_add(&workload, s & 1, 1000ull * MEGABYTE, 1000ull * MEGABYTE);
        come_up();
        run_ms(2000);
        uint64_t stall = workload_longest_stall_ms(&workload, 20000);
        print_message("  loss %.2f: longest time without a byte %llu ms\n", losses[i],
                      (unsigned long long)stall);
        assert_true(stall <= (i ? 200 : 50));
        assert_true(sim_end_facts(&pair.edge).datagrams_refused < 50);
        assert_int_equal(pair.edge.downs + pair.gateway.downs, 0);
        sim_pair_clear(&pair);
    }
}

static void T9_the_ratchet_turns_under_load(void **state)
{
    (void)state;
    struct sim_impairment_config lossy = {.loss = 0.005};
    sim_pair_init(&pair, crypto_openssl(), 6,
                  &(struct sim_link_config){
                      .bytes_per_s = 250000, .queue_bytes = 50000, .delay_ns = 20 * SIM_MS},
                  &lossy);
    workload_init(&workload, &pair);
    for (int s = 0; s < 6; s++)
        workload_add(&workload, s & 1, 1000ull * MEGABYTE, 0);
    come_up();
    uint64_t stall = workload_longest_stall_ms(&workload, 260000);
    print_message("  two turns: longest time without a byte %llu ms\n", (unsigned long long)stall);
    assert_true(stall <= 200);
    assert_true(sim_end_facts(&pair.edge).datagrams_refused == 0);
    assert_true(sim_end_facts(&pair.gateway).datagrams_refused == 0);
    sim_pair_clear(&pair);
}

/* T7: on a link far too narrow for them the window still holds a packet for each. */
static void T7_window_never_below_hosted(void **state)
{
    (void)state;
    enum { HOSTED = 120 };
    struct sim_impairment_config lossy = {.loss = 0.05};
    sim_pair_init(&pair, crypto_null(), 7,
                  &(struct sim_link_config){
                      .bytes_per_s = 250000, .queue_bytes = 30000, .delay_ns = 20 * SIM_MS},
                  &lossy);
    workload_init(&workload, &pair);
    for (int s = 0; s < HOSTED; s++)
        workload_add(&workload, EDGE_SIDE, 10 * MEGABYTE, 0);
    come_up();
    run_ms(3000);
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 1000; i++) {
        run_ms(20);
        struct transport_facts facts = sim_end_facts(&pair.edge);
        assert_int_equal(facts.hosted, HOSTED);
        least = facts.window_bytes < least ? facts.window_bytes : least;
        assert_true(facts.window_bytes >= HOSTED * facts.paths[0].packet_bytes);
    }
    /* And none of them starves. */
    for (int s = 0; s < HOSTED; s++)
        assert_true(workload.sides[GATEWAY_SIDE][s].read > 5000);
    sim_pair_clear(&pair);
}

/* 6 % are lost on the way up and 1 % on the way down; 60 ms. */
static void T8_both_ends_know_both_directions(void **state)
{
    (void)state;
    struct sim_impairment_config clean = {0};
    begin(&clean, 8);
    pair.up_impairment.config.loss = 0.06;
    pair.down_impairment.config.loss = 0.01;
    for (int s = 0; s < 20; s++)
        workload_add(&workload, s & 1, 1000ull * MEGABYTE, 0);
    come_up();
    double up = 0, up_told = 0, down = 0, down_told = 0;
    enum { LOOKS = 40 };
    run_ms(5000);
    for (int i = 0; i < LOOKS; i++) {
        run_ms(1000);
        struct transport_facts edge = sim_end_facts(&pair.edge);
        struct transport_facts gateway = sim_end_facts(&pair.gateway);
        up += edge.quality.loss_ppm_1s / 1e6 / LOOKS;
        up_told += gateway.peer_quality.loss_ppm_1s / 1e6 / LOOKS;
        down += gateway.quality.loss_ppm_1s / 1e6 / LOOKS;
        down_told += edge.peer_quality.loss_ppm_1s / 1e6 / LOOKS;
        assert_true(edge.peer_quality.srtt_us > 59000 && edge.peer_quality.srtt_us < 130000);
        assert_true(gateway.peer_quality.srtt_us > 59000 && gateway.peer_quality.srtt_us < 130000);
        assert_true(edge.min_rtt_ns >= 60 * SIM_MS && edge.min_rtt_ns < 62 * SIM_MS);
    }
    print_message("  up %.4f, told %.4f; down %.4f, told %.4f\n", up, up_told, down, down_told);
    assert_true(up > 0.05 && up < 0.075 && up_told > 0.05 && up_told < 0.075);
    assert_true(down > 0.007 && down < 0.02 && down_told > 0.007 && down_told < 0.02);
    sim_pair_clear(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T1_a_short_outage_costs_no_stream),
        cmocka_unit_test(T1_an_outage_within_the_limit_costs_no_stream),
        cmocka_unit_test(T1_a_long_outage_ends_streams_and_the_link_comes_back),
        cmocka_unit_test(T1_an_outage_one_way_is_noticed_by_both),
        cmocka_unit_test(T1_a_restarted_gateway_is_recognised_at_once),
        cmocka_unit_test(T1_a_restarted_edge_is_recognised_at_once),
        cmocka_unit_test(T9_fresh_keys_under_load_cost_no_time),
        cmocka_unit_test(T9_the_ratchet_turns_under_load),
        cmocka_unit_test(T7_window_never_below_hosted),
        cmocka_unit_test(T8_both_ends_know_both_directions),
    };
    return cmocka_run_group_tests_name("sim/life", tests, NULL, NULL);
}
