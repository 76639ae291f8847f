/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole core beside real connections on one bottleneck: what flow control, app limits, acks in batches and the count of hosted
 * connections do to the share that test_fairness.c finds for congestion control alone (T7).
 *
 *     edge ---.                                                   .-- gateway
 *     flow 1 --+-- access (jitter) -- loss -- bottleneck -- fork -+
 *     flow n -'          ^                                        '-- acks -- reverse -- flow
 */
#include "flows.h"
#include "workload.h"

#include "base/list.h"
#include "base/memory.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

struct meeting {
    struct sim_pair pair;
    struct workload workload;
    struct sim_link access, reverse;
    struct sim_node fork, sorter;
    struct flow *flows;
    uint16_t flow_count;
};

static struct meeting shared;

/* Model packets have no bytes. */
static void fork_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct meeting *all = CONTAINER_OF(node, struct meeting, fork);
    if (packet->capacity > 0) {
        sim_deliver(&all->pair.gateway.node, packet);
        return;
    }
    packet->length = 40;
    sim_deliver(&all->reverse.node, packet);
}

static void sorter_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct meeting *all = CONTAINER_OF(node, struct meeting, sorter);
    sim_deliver(&all->flows[packet->flow - 1].node, packet);
}

static void share_init(uint64_t bytes_per_s, uint64_t rtt_ns, double buffer_bdp, uint64_t seed)
{
    double bdp_bytes = (double)bytes_per_s * (double)rtt_ns * 1e-9;
    struct sim_link_config bottleneck = {
        .bytes_per_s = bytes_per_s,
        .queue_bytes = (uint64_t)(bdp_bytes * buffer_bdp),
        .delay_ns = rtt_ns / 2,
    };
    struct sim_impairment_config clean = {0};
    struct sim_link_config access = {.jitter_ns = 8 * 1400 * SIM_SECOND / bytes_per_s};
    struct sim_link_config reverse = {.delay_ns = rtt_ns / 2};
    struct sim *sim = &shared.pair.sim;
    sim_pair_init(&shared.pair, crypto_null(), seed, &bottleneck, &clean);
    sim_node_init(&shared.fork, sim, "fork");
    shared.fork.receive = fork_receive;
    sim_node_init(&shared.sorter, sim, "sorter");
    shared.sorter.receive = sorter_receive;
    sim_link_init(&shared.access, sim, "access", &access, &shared.pair.up_impairment.node);
    sim_link_init(&shared.reverse, sim, "reverse", &reverse, &shared.sorter);
    shared.pair.edge.to = &shared.access.node;
    shared.pair.up_link.to = &shared.fork;
    workload_init(&shared.workload, &shared.pair);
    shared.flows = memory_new(SIM_FLOWS_MAX * sizeof(struct flow));
    shared.flow_count = 0;
}

static void share_clear(void)
{
    for (uint16_t i = 0; i < shared.flow_count; i++)
        flow_clear(&shared.flows[i]);
    memory_free(shared.flows);
    sim_link_clear(&shared.access);
    sim_link_clear(&shared.reverse);
    sim_pair_clear(&shared.pair);
}

static uint64_t bytes_through_the_link(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shared.workload.count; i++)
        sum += shared.workload.sides[GATEWAY_SIDE][i].read;
    return sum;
}

/* Share of a stream of the link in that of a real connection, after a time to settle. */
static double ratio_of(int streams, int others, double buffer_bdp, uint64_t seed)
{
    enum { WARM_UP_S = 10, MEASURED_S = 25 };
    share_init(12500000, 50 * SIM_MS, buffer_bdp, seed);
    for (int i = 0; i < streams; i++)
        workload_add(&shared.workload, EDGE_SIDE, 1ull << 40, 0);
    sim_pair_start(&shared.pair);
    struct sim *sim = &shared.pair.sim;
    for (int i = 0; i < others; i++) {
        struct flow *flow = &shared.flows[shared.flow_count++];
        flow_init(flow, sim, FLOW_CUBIC, shared.flow_count, 1,
                  sim->now_ns + random_below(&sim->random, SIM_SECOND), &shared.access.node);
    }
    sim_run(sim, sim->now_ns + WARM_UP_S * SIM_SECOND, NULL, NULL);
    uint64_t before = bytes_through_the_link();
    for (int i = 0; i < others; i++)
        flow_count_anew(&shared.flows[i]);
    sim_run(sim, sim->now_ns + MEASURED_S * SIM_SECOND, NULL, NULL);
    double mine = (double)(bytes_through_the_link() - before) / streams, theirs = 0;
    for (int i = 0; i < others; i++)
        theirs += (double)shared.flows[i].acked * FLOW_PACKET_BYTES / others;
    double use = (mine * streams + theirs * others) / 12500000 / MEASURED_S;
    struct transport_facts facts = sim_end_facts(&shared.pair.edge);
    print_message("  %d streams beside %d, %.2f BDP: ratio %.3f, use %.3f (hosted %u, flows %u)\n",
                  streams, others, buffer_bdp, mine / theirs, use, facts.hosted,
                  facts.virtual_flows);
    assert_true(use > 0.9);
    share_clear();
    return mine / theirs;
}

static void T7_streams_share_like_connections(void **state)
{
    (void)state;
    static const struct {
        int streams, others;
        double buffer_bdp;
    } cases[] = {{20, 20, 0.25}, {20, 20, 1}, {20, 20, 2}, {100, 20, 1}, {5, 10, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double sum = 0;
        for (uint64_t seed = 1; seed <= 2; seed++)
            sum += ratio_of(cases[i].streams, cases[i].others, cases[i].buffer_bdp, seed);
        if (sum / 2 < 0.75 || sum / 2 > 1.3)
            fail_msg("ratio %.3f", sum / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T7_streams_share_like_connections),
    };
    return cmocka_run_group_tests_name("sim/sharing", tests, NULL, NULL);
}
