/* SPDX-License-Identifier: Apache-2.0
 *
 * The virtual network itself: rates, queues, delays and every impairment do what their configuration says, for few events.
 */
#include "dumbbell.h"
#include "workload.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { ARRIVALS_MAX = 200000 };

/* Keeps what arrives. */
struct sink {
    struct sim_node node;
    size_t count;
    uint64_t numbers[ARRIVALS_MAX], times_ns[ARRIVALS_MAX];
    uint64_t bits_flipped;
};

static void sink_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sink *sink = (struct sink *)(void *)node;
    assert_true(sink->count < ARRIVALS_MAX);
    sink->numbers[sink->count] = packet->number;
    sink->times_ns[sink->count++] = node->sim->now_ns;
    for (uint32_t i = 0; packet->capacity && i < packet->length; i++)
        sink->bits_flipped += (uint64_t)__builtin_popcount(packet->data[i]);
    sim_packet_free(node->sim, packet);
}

static void sink_init(struct sink *sink, struct sim *sim)
{
    sink->count = 0;
    sink->bits_flipped = 0;
    sim_node_init(&sink->node, sim, "sink");
    sink->node.receive = sink_receive;
}

static void send_model(struct sim *sim, struct sim_node *to, uint64_t number, uint32_t length)
{
    struct sim_packet *packet = sim_packet_new(sim, 0);
    packet->length = length;
    packet->number = number;
    sim_deliver(to, packet);
}

static void a_link_has_rate_delay_and_queue(void **state)
{
    (void)state;
    static struct sink sink;
    struct sim sim;
    struct sim_link link;
    sim_init(&sim, 1);
    sink_init(&sink, &sim);
    struct sim_link_config config = {.bytes_per_s = 1250000,
                                     .queue_bytes = 10000,
                                     .delay_ns = 5 * SIM_MS};
    sim_link_init(&link, &sim, "link", &config, &sink.node);
    for (uint64_t i = 0; i < 12; i++) /* at once: ten fit */
        send_model(&sim, &link.node, i, 1000);
    assert_int_equal(link.dropped, 2);
    assert_int_equal(sim_link_queue_ns(&link), 8 * SIM_MS);
    sim_run(&sim, 20 * SIM_MS, NULL, NULL);
    assert_int_equal(sink.count, 10);
    for (size_t i = 0; i < sink.count; i++) {
        assert_int_equal(sink.numbers[i], i);
        assert_int_equal(sink.times_ns[i], (i + 1) * 800 * SIM_US + 5 * SIM_MS);
    }
    /* Suspended: what comes waits, and is delivered at the rate after that. */
    sim_link_suspend(&link, 25 * SIM_MS);
    send_model(&sim, &link.node, 10, 1000);
    sim_run(&sim, 100 * SIM_MS, NULL, NULL);
    assert_int_equal(sink.times_ns[10], 25 * SIM_MS + 800 * SIM_US + 5 * SIM_MS);
    sim_link_clear(&link);

    /* A queue limited in time. */
    config = (struct sim_link_config){.bytes_per_s = 1250000, .queue_ns = 4 * SIM_MS};
    sim_link_init(&link, &sim, "link", &config, &sink.node);
    for (uint64_t i = 0; i < 12; i++)
        send_model(&sim, &link.node, i, 1000);
    assert_int_equal(link.packets, 6);
    sim_link_clear(&link);
    sim_clear(&sim);
}

static void jitter_keeps_order_and_reordering_does_not(void **state)
{
    (void)state;
    static struct sink sink;
    struct sim sim;
    struct sim_link link;
    for (int pass = 0; pass < 2; pass++) {
        sim_init(&sim, 2);
        sink_init(&sink, &sim);
        struct sim_link_config config = {.delay_ns = SIM_MS, .jitter_ns = 5 * SIM_MS};
        if (pass == 1)
            config = (struct sim_link_config){.delay_ns = SIM_MS,
                                              .reorder = 0.05,
                                              .reorder_max_ns = 5 * SIM_MS};
        sim_link_init(&link, &sim, "link", &config, &sink.node);
        for (uint64_t i = 0; i < 10000; i++) {
            sim_run(&sim, i * 100 * SIM_US, NULL, NULL);
            send_model(&sim, &link.node, i, 1000);
        }
        sim_run(&sim, 2 * SIM_SECOND, NULL, NULL);
        assert_int_equal(sink.count, 10000);
        int swaps = 0;
        for (size_t i = 1; i < sink.count; i++)
            swaps += sink.numbers[i] < sink.numbers[i - 1];
        assert_true(pass == 0 ? swaps == 0 : swaps > 350 && swaps < 550);
        sim_link_clear(&link);
        sim_clear(&sim);
    }
}

static size_t pass_through(const struct sim_impairment_config *config, size_t packets,
                           uint64_t gap_ns, struct sink *sink)
{
    struct sim sim;
    struct sim_impairment impairment;
    sim_init(&sim, 3);
    sink_init(sink, &sim);
    sim_impairment_init(&impairment, &sim, "impairment", config, &sink->node);
    for (uint64_t i = 0; i < packets; i++) {
        sim_run(&sim, i * gap_ns, NULL, NULL);
        send_model(&sim, &impairment.node, i, 1000);
    }
    sim_impairment_clear(&impairment);
    sim_clear(&sim);
    return sink->count;
}

static void impairments_hit_as_often_as_they_say(void **state)
{
    (void)state;
    static struct sink sink;
    struct sim_impairment_config loss = {.loss = 0.05};
    size_t passed = pass_through(&loss, 100000, 0, &sink);
    assert_true(passed > 94500 && passed < 95500);

    /* Bad for 20 packets at a time, a tenth of the time; half is lost then. */
    struct sim_impairment_config burst = {.good_to_bad = 0.05 / 9,
                                          .bad_to_good = 0.05,
                                          .loss_bad = 0.5};
    passed = pass_through(&burst, 100000, 0, &sink);
    assert_true(passed > 94000 && passed < 96000);
    size_t pairs = 0;
    for (size_t i = 1; i < sink.count; i++)
        pairs += sink.numbers[i] - sink.numbers[i - 1] > 2;
    assert_true(pairs > 700); /* of 250 if losses were independent */

    struct sim_impairment_config mask = {.mask = {0x15}, .mask_bits = 8};
    assert_int_equal(pass_through(&mask, 100, 0, &sink), 97);
    assert_int_equal(sink.numbers[0], 1);
    assert_int_equal(sink.numbers[1], 3);
    assert_int_equal(sink.numbers[2], 5);
    mask.mask_repeats = true;
    assert_int_equal(pass_through(&mask, 80, 0, &sink), 50);

    struct sim_impairment_config twice = {.duplicate = 0.1};
    passed = pass_through(&twice, 10000, 0, &sink);
    assert_true(passed > 10800 && passed < 11200);

    struct sim_impairment_config mtu = {.mtu_bytes = 999};
    assert_int_equal(pass_through(&mtu, 10, 0, &sink), 0);
    mtu.mtu_bytes = 1000;
    assert_int_equal(pass_through(&mtu, 10, 0, &sink), 10);

    /* 500 kB/s and 10 kB at once, offered twice that. */
    struct sim_impairment_config policer = {.policer_bytes_per_s = 500000,
                                            .policer_burst_bytes = 10000};
    passed = pass_through(&policer, 10000, SIM_MS, &sink);
    assert_true(passed >= 5000 && passed <= 5011);
}

static void corruption_flips_a_few_bits(void **state)
{
    (void)state;
    static struct sink sink;
    struct sim sim;
    struct sim_impairment impairment;
    struct sim_impairment_config config = {.corrupt = 0.5};
    sim_init(&sim, 4);
    sink_init(&sink, &sim);
    sim_impairment_init(&impairment, &sim, "impairment", &config, &sink.node);
    for (int i = 0; i < 1000; i++) {
        struct sim_packet *packet = sim_packet_new(&sim, 1200);
        memset(packet->data, 0, packet->length);
        sim_deliver(&impairment.node, packet);
    }
    assert_true(impairment.corrupted > 450 && impairment.corrupted < 550);
    assert_true(sink.bits_flipped > impairment.corrupted * 4 &&
                sink.bits_flipped < impairment.corrupted * 5);
    impairment.is_cut = true;
    sim_deliver(&impairment.node, sim_packet_new(&sim, 1200));
    assert_int_equal(sink.count, 1000);
    sim_impairment_clear(&impairment);
    sim_clear(&sim);
}

/* One ack-clocked connection fills a link with a buffer of one BDP; the rate that it gets is the link's. */
static void a_connection_alone_fills_the_link(void **state)
{
    (void)state;
    static const enum flow_kind kinds[] = {FLOW_CUBIC, FLOW_RENO, FLOW_AGGREGATE};
    for (size_t i = 0; i < 3; i++) {
        struct dumbbell_config config = {.bytes_per_s = 1250000,
                                         .rtt_ns = 50 * SIM_MS,
                                         .buffer_bdp = 1};
        struct dumbbell dumbbell;
        dumbbell_init(&dumbbell, &config, 5);
        struct flow *flow = dumbbell_add(&dumbbell, kinds[i], 1, 0);
        dumbbell_run(&dumbbell, 5 * SIM_SECOND, 60 * SIM_SECOND);
        double use = (double)flow->acked * FLOW_PACKET_BYTES / 1250000 / 60;
        if (use < 0.97 || use > 1.001)
            fail_msg("sender %zu used %.4f of the link", i, use);
        dumbbell_clear(&dumbbell);
    }
}

/* Two like connections share evenly, and so do ten beside one. */
static void like_connections_share_evenly(void **state)
{
    (void)state;
    struct dumbbell_config config = {
        .bytes_per_s = 12500000, .rtt_ns = 40 * SIM_MS, .buffer_bdp = 1, .jitter_packets = 8};
    struct dumbbell dumbbell;
    dumbbell_init(&dumbbell, &config, 6);
    for (uint64_t i = 0; i < 11; i++)
        dumbbell_add(&dumbbell, FLOW_CUBIC, 1, i * 50 * SIM_MS);
    dumbbell_run(&dumbbell, 10 * SIM_SECOND, 120 * SIM_SECOND);
    double mean = 120.0 * 12500000 / FLOW_PACKET_BYTES / 11;
    for (int i = 0; i < 11; i++) {
        double share = (double)dumbbell.flows[i].acked / mean;
        if (share < 0.7 || share > 1.4)
            fail_msg("flow %d has %.2f of its share", i, share);
    }
    dumbbell_clear(&dumbbell);
}

/* What 300 simulated seconds cost: events and allocations, which are the same on every machine (bench_sim shows the time). */
static void a_packet_costs_few_events_and_no_allocation(void **state)
{
    (void)state;
    struct dumbbell_config config = {
        .bytes_per_s = 1250000, .rtt_ns = 50 * SIM_MS, .buffer_bdp = 1, .loss = 0.001};
    struct dumbbell dumbbell;
    dumbbell_init(&dumbbell, &config, 7);
    struct flow *flow = dumbbell_add(&dumbbell, FLOW_AGGREGATE, 4, 0);
    dumbbell_run(&dumbbell, 0, 300 * SIM_SECOND);
    double events = (double)dumbbell.sim.runs / (double)dumbbell.sim.packets_made;
    print_message("  %.2f events a packet, %llu packets allocated for %llu\n", events,
                  (unsigned long long)dumbbell.sim.packets_allocated,
                  (unsigned long long)dumbbell.sim.packets_made);
    assert_true(flow->acked > 200000);
    assert_true(events < 3);
    assert_true(dumbbell.sim.packets_allocated < 200);
    assert_true(flow->records_count < 1024);
    dumbbell_clear(&dumbbell);
}

/* The same for the real core, both ends of it and the acknowledgements. */
static void a_packet_of_the_core_costs_few_events(void **state)
{
    (void)state;
    static struct dumbbell dumbbell;
    static struct sim_pair pair;
    static struct workload workload;
    struct dumbbell_config config = {
        .bytes_per_s = 1250000, .rtt_ns = 50 * SIM_MS, .buffer_bdp = 1, .loss = 0.001};
    dumbbell_init(&dumbbell, &config, 7);
    sim_run(&dumbbell.sim, SIM_SECOND, NULL, NULL);
    dumbbell_add_pair(&dumbbell, &pair, config.rtt_ns, 7);
    workload_init(&workload, &pair);
    for (int i = 0; i < 4; i++)
        workload_add(&workload, EDGE_SIDE, 1ull << 40, 0);
    sim_pair_start(&pair);
    sim_run(&dumbbell.sim, 31 * SIM_SECOND, NULL, NULL);
    double events = (double)dumbbell.sim.runs / (double)dumbbell.sim.packets_made;
    print_message("  %.2f events a packet, %llu packets allocated for %llu\n", events,
                  (unsigned long long)dumbbell.sim.packets_allocated,
                  (unsigned long long)dumbbell.sim.packets_made);
    assert_true(pair.edge.packets_out > 20000);
    assert_true(events < 5);
    assert_true(dumbbell.sim.packets_allocated < 400);
    sim_pair_clear(&pair);
    dumbbell_clear(&dumbbell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_has_rate_delay_and_queue),
        cmocka_unit_test(jitter_keeps_order_and_reordering_does_not),
        cmocka_unit_test(impairments_hit_as_often_as_they_say),
        cmocka_unit_test(corruption_flips_a_few_bits),
        cmocka_unit_test(a_connection_alone_fills_the_link),
        cmocka_unit_test(like_connections_share_evenly),
        cmocka_unit_test(a_packet_costs_few_events_and_no_allocation),
        cmocka_unit_test(a_packet_of_the_core_costs_few_events),
    };
    return cmocka_run_group_tests_name("sim/network", tests, NULL, NULL);
}
