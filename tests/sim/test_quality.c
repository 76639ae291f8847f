/* SPDX-License-Identifier: Apache-2.0
 *
 * What both ends say of the network is what the network does (T8): loss, delays, rates, marks, and the
 * record of every packet. The figures are compared with the nodes' own counts and settings.
 */
#include "base/memory.h"
#include "workload.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { STREAMS = 1000, STREAM_BYTES = 5000, STREAM_EVERY_MS = 20 };

static struct sim_pair pair;
static struct workload workload;

/* 20 Mbit/s, 60 ms, 100 ms of queue. */
static const struct sim_link_config path = {.bytes_per_s = 2500000,
                                            .queue_bytes = 250000,
                                            .delay_ns = 30 * SIM_MS};

/* What a network does to ECN bits, on the way up in front of the bottleneck. */
enum treatment { MARK_ABOVE_5_MS, WASH_OFF, SWAP, DROP_MARKED };

struct treater {
    struct sim_node node;
    enum treatment treatment;
    uint64_t packets, marked;
} treater;

static void treat(struct sim_node *node, struct sim_packet *packet)
{
    struct treater *self = (struct treater *)(void *)node;
    bool is_ect = packet->ecn == ECN_ECT_0 || packet->ecn == ECN_ECT_1;
    self->packets++;
    switch (self->treatment) {
    case MARK_ABOVE_5_MS:
        if (is_ect && sim_link_queue_ns(&pair.up_link) > 5 * SIM_MS) {
            packet->ecn = ECN_CE;
            self->marked++;
        }
        break;
    case WASH_OFF:
        packet->ecn = ECN_NOT_ECT;
        break;
    case SWAP:
        packet->ecn = packet->ecn == ECN_ECT_0 ? ECN_ECT_1 : packet->ecn;
        break;
    case DROP_MARKED:
        if (!is_ect)
            break;
        self->marked++;
        sim_packet_free(node->sim, packet);
        return;
    }
    sim_deliver(&pair.up_link.node, packet);
}

static uint64_t never(const struct sim_node *node)
{
    (void)node;
    return SIM_NEVER;
}

static void begin(uint64_t seed)
{
    const struct sim_impairment_config clean = {0};
    sim_pair_init(&pair, crypto_openssl(), seed, &path, &clean);
    workload_init(&workload, &pair);
}

static void begin_treated(uint64_t seed, enum treatment treatment)
{
    begin(seed);
    treater = (struct treater){.treatment = treatment};
    sim_node_init(&treater.node, &pair.sim, "treater");
    treater.node.receive = treat;
    treater.node.next = never;
    pair.up_impairment.to = &treater.node;
}

static void run_ms(uint64_t ms)
{
    sim_run(&pair.sim, pair.sim.now_ns + ms * SIM_MS, NULL, NULL);
}

static void come_up(void)
{
    sim_pair_start(&pair);
    for (int i = 0; i < 1000 && !(pair.edge.ups && pair.gateway.ups); i++)
        run_ms(10);
    assert_true(pair.edge.ups == 1 && pair.gateway.ups == 1);
    workload.start_ns = pair.sim.now_ns;
    sim_end_touch(&pair.edge);
    sim_end_touch(&pair.gateway);
}

/* 2 Mbit/s of small transfers each way. */
static void add_small_transfers(void)
{
    for (int i = 0; i < STREAMS; i++)
        workload_add(&workload, EDGE_SIDE, STREAM_BYTES, STREAM_BYTES)->open_ns =
            (uint64_t)i * STREAM_EVERY_MS * SIM_MS;
}

static void T8_delays_and_rates_are_those_of_the_network(void **state)
{
    (void)state;
    begin(31);
    add_small_transfers();
    come_up();
    run_ms(4000);
    struct transport_facts edge = sim_end_facts(&pair.edge), gateway = sim_end_facts(&pair.gateway);
    assert_in_range(edge.quality.min_rtt_us, 60000, 62000);
    assert_in_range(edge.quality.srtt_us, 60000, 66000);
    assert_in_range(edge.quality.rtt_variance_us, 0, 5000);
    assert_in_range(edge.quality.queue_us, 0, 3000);
    assert_in_range(edge.quality.delivery_bytes_per_s, 250000, 300000);
    assert_in_range(edge.quality.hosted, 2, 10);
    assert_in_range(edge.quality.spare_window_bytes, 1000, 10000000);
    assert_int_equal(edge.quality.loss_ppm_10s, 0);
    assert_int_equal(edge.quality.reconnects, 0);
    assert_true(edge.quality.delay_trend_us_per_s > -2500 &&
                edge.quality.delay_trend_us_per_s < 2500);
    /* The gateway was told the same, a little earlier. */
    assert_in_range(gateway.peer_quality.min_rtt_us, 60000, 62000);
    assert_in_range(gateway.peer_quality.delivery_bytes_per_s, 240000, 310000);
    assert_in_range(gateway.peer_quality_ns, pair.sim.now_ns - 1200 * SIM_MS, pair.sim.now_ns);
    assert_in_range(edge.peer_quality.delivery_bytes_per_s, 240000, 310000);

    /* The way up gets longer by 10 ms a second, for two seconds: its queue as far as anybody can tell. */
    for (int i = 0; i < 200; i++) {
        pair.up_link.config.delay_ns += SIM_MS / 10;
        run_ms(10);
    }
    edge = sim_end_facts(&pair.edge);
    assert_in_range(edge.quality.delay_trend_us_per_s, 8500, 11500);
    run_ms(1500);
    edge = sim_end_facts(&pair.edge);
    gateway = sim_end_facts(&pair.gateway);
    assert_in_range(edge.quality.queue_us, 18500, 22500);
    assert_in_range(edge.quality.srtt_us, 79000, 86000);
    assert_in_range(edge.quality.min_rtt_us, 60000, 62000);
    assert_in_range(gateway.peer_quality.queue_us, 18500, 22500);
    /* The round trip of the other direction grew as well, but not its queue. */
    assert_in_range(gateway.quality.srtt_us, 79000, 86000);
    assert_in_range(gateway.quality.queue_us, 0, 3000);
    assert_in_range(edge.peer_quality.queue_us, 0, 3000);
    sim_pair_clear(&pair);
}

static void T8_loss_is_that_of_the_network(void **state)
{
    (void)state;
    begin(32);
    add_small_transfers();
    pair.up_impairment.config.loss = 0.04;
    come_up();
    run_ms(4000 - pair.sim.now_ns % SIM_SECOND / SIM_MS);
    uint64_t packets = pair.up_impairment.packets, dropped = pair.up_impairment.dropped;
    run_ms(10100); /* fates are known a round trip later */
    uint64_t truth_ppm =
        (pair.up_impairment.dropped - dropped) * 1000000 / (pair.up_impairment.packets - packets);
    struct transport_facts edge = sim_end_facts(&pair.edge), gateway = sim_end_facts(&pair.gateway);
    /* Acks alone are not looked after, and are lost, too. */
    print_message("  %u ppm of %llu\n", edge.quality.loss_ppm_10s, (unsigned long long)truth_ppm);
    assert_in_range(edge.quality.loss_ppm_10s, truth_ppm * 3 / 4, truth_ppm * 5 / 4);
    assert_in_range(gateway.peer_quality.loss_ppm_10s, truth_ppm / 2, truth_ppm * 3 / 2);
    assert_int_equal(gateway.quality.loss_ppm_10s, 0);
    sim_pair_clear(&pair);
}

static void T8_spurious_losses_and_reconnects_are_counted(void **state)
{
    (void)state;
    begin(33);
    workload.expects_loss = true;
    for (int i = 0; i < 5; i++)
        workload_add(&workload, EDGE_SIDE, 3000000, 0);
    pair.up_link.config.reorder = 0.02;
    pair.up_link.config.reorder_max_ns = 20 * SIM_MS;
    come_up();
    run_ms(4000);
    uint64_t dropped = pair.up_link.dropped;
    run_ms(300); /* until what was dropped is known to be lost */
    struct transport_facts edge = sim_end_facts(&pair.edge);
    assert_true(edge.quality.spurious > 0 && edge.quality.spurious == edge.packets_spurious);
    /* What the queue did not drop proves to be no loss, but for what nobody has heard of yet. */
    uint64_t real = edge.packets_lost - edge.packets_spurious;
    print_message("  %llu losses, %llu spurious, %llu dropped\n",
                  (unsigned long long)edge.packets_lost, (unsigned long long)edge.packets_spurious,
                  (unsigned long long)pair.up_link.dropped);
    assert_in_range(real, dropped, pair.up_link.dropped + 5);
    sim_end_start(&pair.gateway);
    run_ms(16000);
    edge = sim_end_facts(&pair.edge);
    assert_int_equal(edge.quality.reconnects, 1);
    sim_pair_clear(&pair);
}

static void T8_every_mark_is_reported_once(void **state)
{
    (void)state;
    begin_treated(34, MARK_ABOVE_5_MS);
    for (int i = 0; i < 8; i++)
        workload_add(&workload, EDGE_SIDE, 2000000, 0);
    come_up();
    assert_true(workload_run(&workload, 30 * SIM_SECOND));
    run_ms(1000);
    workload_check(&workload);
    struct transport_facts edge = sim_end_facts(&pair.edge), gateway = sim_end_facts(&pair.gateway);
    print_message("  %llu of %llu packets marked, queue at most %llu us\n",
                  (unsigned long long)treater.marked, (unsigned long long)treater.packets,
                  (unsigned long long)(pair.up_link.queue_peak_ns / 1000));
    assert_true(treater.marked > 20);
    assert_int_equal(edge.packets_ce, treater.marked);
    assert_int_equal(edge.packets_lost, 0);
    assert_int_equal(edge.quality.ecn_state, ECN_CAPABLE);
    assert_int_equal(gateway.peer_quality.ecn_state, ECN_CAPABLE);
    assert_true(edge.quality.ce_ppm_10s > 0 && gateway.peer_quality.ce_ppm_10s > 0);
    assert_int_equal(edge.ecn_failures + gateway.ecn_failures, 0);
    sim_pair_clear(&pair);
}

static void T8_networks_that_mangle_marks_get_none(void **state)
{
    (void)state;
    static const enum treatment treatments[] = {WASH_OFF, SWAP, DROP_MARKED};
    for (size_t i = 0; i < sizeof treatments / sizeof *treatments; i++) {
        begin_treated(35 + i, treatments[i]);
        for (int s = 0; s < 4; s++)
            workload_add(&workload, EDGE_SIDE, 500000, 500000);
        sim_pair_start(&pair);
        for (int step = 0; step < 1000 && !(pair.edge.ups && pair.gateway.ups); step++)
            run_ms(10);
        workload.start_ns = pair.sim.now_ns;
        sim_end_touch(&pair.edge);
        assert_true(workload_run(&workload, 30 * SIM_SECOND));
        workload_check(&workload);
        struct transport_facts edge = sim_end_facts(&pair.edge);
        assert_int_equal(edge.quality.ecn_state, ECN_FAILED);
        assert_int_equal(edge.ecn_failures, 1);
        if (treatments[i] == DROP_MARKED)
            assert_in_range(treater.marked, 1, 20);
        /* The way back is a network of its own. */
        assert_int_equal(sim_end_facts(&pair.gateway).quality.ecn_state, ECN_CAPABLE);
        sim_pair_clear(&pair);
    }
}

static void a_trace_has_every_packet(void **state)
{
    (void)state;
    enum { RECORDS = 1 << 18 };
    struct transport_trace trace = {.records = memory_new(RECORDS * sizeof *trace.records),
                                    .capacity = RECORDS};
    begin(36);
    for (int i = 0; i < 20; i++)
        workload_add(&workload, i & 1, 300000, 300000);
    pair.up_impairment.config.loss = 0.02;
    sim_pair_start(&pair);
    transport_set_trace(pair.edge.transport, &trace);
    workload.start_ns = pair.sim.now_ns;
    assert_true(workload_run(&workload, 60 * SIM_SECOND));
    run_ms(10000);
    struct transport_facts edge = sim_end_facts(&pair.edge);
    uint64_t kinds[TRACE_KINDS] = {0}, last_ns = 0, next = 0;
    struct trace_record record;
    while (trace_read(&trace, &record)) {
        assert_true(record.kind < TRACE_KINDS && record.at_ns >= last_ns);
        last_ns = record.at_ns;
        kinds[record.kind]++;
        if (record.kind == TRACE_PACKET_SENT)
            assert_true(record.number == next++);
    }
    assert_int_equal(atomic_load(&trace.dropped), 0);
    assert_int_equal(kinds[TRACE_PACKET_SENT], edge.packets_sent);
    assert_int_equal(kinds[TRACE_PACKET_RECEIVED], edge.packets_received);
    assert_int_equal(kinds[TRACE_PACKET_LOST], edge.packets_lost);
    assert_int_equal(kinds[TRACE_PACKET_SPURIOUS], edge.packets_spurious);
    assert_int_equal(kinds[TRACE_PROBE_TIMEOUT], edge.probe_timeouts);
    assert_int_equal(kinds[TRACE_STREAM_OPENED], 20);
    assert_int_equal(kinds[TRACE_STREAM_CLOSED], 20);
    assert_true(edge.packets_lost > 10 && kinds[TRACE_METRICS] > 50 && kinds[TRACE_HOSTED] > 1);
    sim_pair_clear(&pair);
    memory_free(trace.records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T8_delays_and_rates_are_those_of_the_network),
        cmocka_unit_test(T8_loss_is_that_of_the_network),
        cmocka_unit_test(T8_spurious_losses_and_reconnects_are_counted),
        cmocka_unit_test(T8_every_mark_is_reported_once),
        cmocka_unit_test(T8_networks_that_mangle_marks_get_none),
        cmocka_unit_test(a_trace_has_every_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
