/* SPDX-License-Identifier: Apache-2.0
 *
 * Every subset of the first twelve packets of what happens rarely, six each way, is lost once: the handshake, fresh keys, a change of
 * address, the end. Nothing may hang, and no byte may be wrong.
 */
#include "workload.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { BITS = 6, SUBSETS = 1 << (2 * BITS) };

static struct sim_pair pair;
static struct workload workload;

/* 20 Mbit/s, 60 ms. */
static const struct sim_link_config path = {.bytes_per_s = 2500000,
                                            .queue_bytes = 150000,
                                            .delay_ns = 30 * SIM_MS};

static void begin(uint64_t seed)
{
    static const struct sim_impairment_config clean = {0};
    sim_pair_init(&pair, crypto_null(), seed, &path, &clean);
    workload_init(&workload, &pair);
}

static void run_ms(uint64_t ms)
{
    sim_run(&pair.sim, pair.sim.now_ns + ms * SIM_MS, NULL, NULL);
}

static void come_up(void)
{
    sim_pair_start(&pair);
    run_ms(400);
    assert_true(pair.edge.ups == 1 && pair.gateway.ups == 1);
    workload.start_ns = pair.sim.now_ns;
}

/* From now on the packets of this subset are lost. */
static void lose(uint32_t subset)
{
    struct sim_impairment *ways[] = {&pair.up_impairment, &pair.down_impairment};
    for (int i = 0; i < 2; i++) {
        ways[i]->packets = 0;
        ways[i]->config.mask[0] = subset >> i * BITS & ((1 << BITS) - 1);
        ways[i]->config.mask_bits = BITS;
    }
}

struct longest {
    uint64_t ns;
    uint32_t subset;
};

static void note(struct longest *longest, uint64_t ns, uint32_t subset)
{
    if (ns > longest->ns)
        *longest = (struct longest){ns, subset};
}

/* The plan is carried out, within `limit_s`; the time that it took. */
static uint64_t finish(uint32_t subset, uint64_t limit_s)
{
    uint64_t began_ns = pair.sim.now_ns;
    sim_end_touch(&pair.edge);
    sim_end_touch(&pair.gateway);
    if (!workload_run(&workload, limit_s * SIM_SECOND))
        fail_msg("subset %03x: not over after %llu s", subset, (unsigned long long)limit_s);
    workload_check(&workload);
    return pair.sim.now_ns - began_ns;
}

static void T1_any_loss_in_the_handshake_is_survived(void **state)
{
    (void)state;
    struct longest longest = {0};
    for (uint32_t subset = 0; subset < SUBSETS; subset++) {
        begin(9 + subset);
        lose(subset);
        workload_add(&workload, EDGE_SIDE, 500, 3000);
        sim_pair_start(&pair);
        uint64_t took_ns = finish(subset, 120);
        note(&longest, took_ns, subset);
        if (subset == 0)
            assert_true(took_ns < 200 * SIM_MS); /* two round trips and a bit */
        sim_pair_clear(&pair);
    }
    print_message("  at worst %.1f s (%03x)\n", (double)longest.ns * 1e-9, longest.subset);
    /* pauses of 0.25, 0.5, 1 ... 8, 8 s with jitter: six times INIT is lost, then six times the answer */
    assert_true(longest.ns < 80 * SIM_SECOND);
}

/* Requests both ways go on while keys change. */
static void T9_any_loss_while_keys_change_is_survived(void **state)
{
    (void)state;
    struct longest longest = {0};
    for (uint32_t subset = 0; subset < SUBSETS; subset++) {
        begin(9 + subset);
        pair.edge.config.handshake_every_ns = 2 * SIM_SECOND;
        come_up();
        run_ms(1500);
        lose(subset);
        for (uint64_t i = 0; i < 4; i++)
            workload_add(&workload, i & 1, 400, 2000)->open_ns = (1900 + i * 40) * SIM_MS;
        note(&longest, finish(subset, 20), subset);
        assert_int_equal(pair.edge.downs + pair.gateway.downs, 0);
        sim_pair_clear(&pair);
    }
    print_message("  at worst %.1f s (%03x)\n", (double)longest.ns * 1e-9, longest.subset);
    assert_true(longest.ns < 8 * SIM_SECOND);
}

/* The edge's address changes under it, as behind a NAT that was restarted. */
static void T1_any_loss_while_the_address_changes_is_survived(void **state)
{
    (void)state;
    struct longest longest = {0};
    for (uint32_t subset = 0; subset < SUBSETS; subset++) {
        begin(9 + subset);
        come_up();
        workload_add(&workload, EDGE_SIDE, 4000, 4000);
        workload_add(&workload, GATEWAY_SIDE, 4000, 4000)->open_ns = 30 * SIM_MS;
        pair.edge.address.port ^= 1;
        pair.gateway.peer = pair.edge.address;
        lose(subset);
        note(&longest, finish(subset, 30), subset);
        assert_int_equal(pair.edge.downs + pair.gateway.downs, 0);
        sim_pair_clear(&pair);
    }
    print_message("  at worst %.1f s (%03x)\n", (double)longest.ns * 1e-9, longest.subset);
    assert_true(longest.ns < 10 * SIM_SECOND);
}

/* The gateway learns of the edge's end by its word, or by its silence; no stream of it lives on. */
static void T1_any_loss_while_the_link_ends_is_survived(void **state)
{
    (void)state;
    struct longest longest = {0};
    for (uint32_t subset = 0; subset < SUBSETS; subset++) {
        begin(9 + subset);
        workload.expects_loss = true;
        come_up();
        workload_add(&workload, EDGE_SIDE, 100000, 100000);
        workload_add(&workload, GATEWAY_SIDE, 100000, 0);
        sim_end_touch(&pair.edge);
        sim_end_touch(&pair.gateway);
        run_ms(200);
        lose(subset);
        uint64_t began_ns = pair.sim.now_ns;
        transport_close(pair.edge.transport, TRANSPORT_CODE_SHUTDOWN, began_ns);
        sim_end_touch(&pair.edge);
        while (!pair.gateway.downs && pair.sim.now_ns < began_ns + 60 * SIM_SECOND)
            run_ms(10);
        assert_int_equal(pair.gateway.downs, 1);
        for (uint32_t i = 0; i < workload.count; i++)
            assert_true(workload.sides[GATEWAY_SIDE][i].is_over ||
                        !workload.sides[GATEWAY_SIDE][i].stream);
        uint64_t took_ns = pair.sim.now_ns - began_ns;
        note(&longest, took_ns, subset);
        if (subset == 0)
            assert_true(took_ns < 100 * SIM_MS);
        sim_pair_clear(&pair);
    }
    print_message("  at worst %.1f s (%03x)\n", (double)longest.ns * 1e-9, longest.subset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T1_any_loss_in_the_handshake_is_survived),
        cmocka_unit_test(T9_any_loss_while_keys_change_is_survived),
        cmocka_unit_test(T1_any_loss_while_the_address_changes_is_survived),
        cmocka_unit_test(T1_any_loss_while_the_link_ends_is_survived),
    };
    return cmocka_run_group_tests_name("sim/losses", tests, NULL, NULL);
}
