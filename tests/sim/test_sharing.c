/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole core beside real connections on one bottleneck: what flow control, app limits, acks in batches and the count of hosted
 * connections do to the share that test_fairness.c finds for congestion control alone (T7).
 */
#include "dumbbell.h"
#include "workload.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static struct dumbbell shared;
static struct sim_pair pair;
static struct workload workload;

static uint64_t bytes_through_the_link(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < workload.count; i++)
        sum += workload.sides[GATEWAY_SIDE][i].read;
    return sum;
}

/* Share of a stream of the link in that of a real connection, after a time to settle. */
static double ratio_of(int streams, int others, double buffer_bdp, uint64_t seed)
{
    enum { WARM_UP_S = 10, MEASURED_S = 25 };
    struct dumbbell_config config = {.bytes_per_s = 12500000,
                                     .rtt_ns = 50 * SIM_MS,
                                     .buffer_bdp = buffer_bdp,
                                     .jitter_packets = 8};
    dumbbell_init(&shared, &config, seed);
    struct sim *sim = &shared.sim;
    sim_run(sim, SIM_SECOND, NULL, NULL);
    dumbbell_add_pair(&shared, &pair, config.rtt_ns, seed);
    workload_init(&workload, &pair);
    for (int i = 0; i < streams; i++)
        workload_add(&workload, EDGE_SIDE, 1ull << 40, 0);
    sim_pair_start(&pair);
    for (int i = 0; i < others; i++)
        dumbbell_add(&shared, FLOW_CUBIC, 1, sim->now_ns + random_below(&sim->random, SIM_SECOND));
    sim_run(sim, sim->now_ns + WARM_UP_S * SIM_SECOND, NULL, NULL);
    uint64_t before = bytes_through_the_link();
    dumbbell_run(&shared, 0, MEASURED_S * SIM_SECOND);
    double mine = (double)(bytes_through_the_link() - before) / streams, theirs = 0;
    for (int i = 0; i < others; i++)
        theirs += (double)shared.flows[i].acked * FLOW_PACKET_BYTES / others;
    double use = (mine * streams + theirs * others) / 12500000 / MEASURED_S;
    struct transport_facts facts = sim_end_facts(&pair.edge);
    print_message("  %d streams beside %d, %.2f BDP: ratio %.3f, use %.3f (hosted %u, flows %u)\n",
                  streams, others, buffer_bdp, mine / theirs, use, facts.hosted,
                  facts.virtual_flows);
    assert_true(use > 0.9);
    sim_pair_clear(&pair);
    dumbbell_clear(&shared);
    return mine / theirs;
}

static void T7_streams_share_like_connections(void **state)
{
    (void)state;
    static const struct {
        int streams, others;
        double buffer_bdp, most;
    } cases[] = {
        {20, 20, 0.25, 1.3}, {20, 20, 1, 1.3}, {20, 20, 2, 1.3},
        {100, 20, 1, 1.3},   {5, 10, 1, 1.5}, /* few forget slowly who came first */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double sum = 0;
        for (uint64_t seed = 1; seed <= 2; seed++)
            sum += ratio_of(cases[i].streams, cases[i].others, cases[i].buffer_bdp, seed);
        if (sum / 2 < 0.75 || sum / 2 > cases[i].most)
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
