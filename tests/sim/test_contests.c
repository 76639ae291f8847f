/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole core in company, by the time that transfers take: a link that comes late and one that was there first, beside another
 * link and beside CUBIC connections; behind a managed queue, and behind a policer (T1, T7).
 */
#include "dumbbell.h"
#include "web.h"
#include "workload.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum {
    STREAMS = 4, /* of each party */
    RATE_BYTES_PER_S = 2500000,
    RTT_MS = 50,
    MB = 1000000,
};

static struct dumbbell shared;
static struct sim_pair pairs[2];
static struct workload workloads[2];

static struct dumbbell_config a_link(double buffer_bdp)
{
    return (struct dumbbell_config){.bytes_per_s = RATE_BYTES_PER_S,
                                    .rtt_ns = RTT_MS * SIM_MS,
                                    .buffer_bdp = buffer_bdp,
                                    .jitter_packets = 8};
}

static void begin(const struct dumbbell_config *config)
{
    dumbbell_init(&shared, config, 1);
    sim_run(&shared.sim, SIM_SECOND, NULL, NULL);
}

static void end(void)
{
    for (uint32_t i = 0; i < shared.pair_count; i++)
        sim_pair_clear(&pairs[i]);
    dumbbell_clear(&shared);
}

/* A link whose streams carry so many bytes each. */
static struct workload *start_marked_link(uint64_t bytes, enum ecn_codepoint ecn)
{
    uint32_t number = shared.pair_count;
    dumbbell_add_pair(&shared, &pairs[number], RTT_MS * SIM_MS, number + 1);
    pairs[number].edge.config.ecn = ecn;
    workload_init(&workloads[number], &pairs[number]);
    for (int i = 0; i < STREAMS; i++)
        workload_add(&workloads[number], EDGE_SIDE, bytes, 0);
    sim_pair_start(&pairs[number]);
    return &workloads[number];
}

static struct workload *start_link(uint64_t bytes)
{
    return start_marked_link(bytes, ECN_NOT_ECT);
}

static void start_connections(uint64_t bytes)
{
    for (int i = 0; i < STREAMS; i++) {
        struct flow *flow = dumbbell_add(&shared, FLOW_CUBIC, 1, shared.sim.now_ns + 1);
        flow->limit_packets = (bytes + FLOW_PACKET_BYTES - 1) / FLOW_PACKET_BYTES;
    }
}

static void run_for(double seconds)
{
    sim_run(&shared.sim, shared.sim.now_ns + (uint64_t)(seconds * 1e9), NULL, NULL);
}

static uint64_t read_of(const struct workload *workload)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < workload->count; i++)
        sum += workload->sides[GATEWAY_SIDE][i].read;
    return sum;
}

static uint64_t read_by_connections(void)
{
    uint64_t sum = 0;
    for (uint16_t i = 0; i < shared.flow_count; i++)
        sum += shared.flows[i].delivered * FLOW_PACKET_BYTES;
    return sum;
}

/* Seconds until `read` of `context` has grown by `bytes`; `limit_s`: not before that. */
static double time_for(uint64_t (*read)(const void *context), const void *context, uint64_t bytes,
                       double limit_s)
{
    uint64_t start_ns = shared.sim.now_ns, until = read(context) + bytes;
    double passed_s = 0;
    while (read(context) < until && passed_s < limit_s) {
        run_for(0.02);
        passed_s = (double)(shared.sim.now_ns - start_ns) * 1e-9;
    }
    return passed_s;
}

static uint64_t read_link(const void *context)
{
    return read_of(context);
}

static uint64_t read_connections(const void *context)
{
    (void)context;
    return read_by_connections();
}

/* A party comes when another of the same size has had the link for itself for ten seconds: 10 MB take 8 s at an even share. The
 * incumbent gets on meanwhile, and has the link again when the other is done. */
struct contest {
    bool has_late_link, has_early_link; /* otherwise CUBIC connections */
    double buffer_bdp;
};

static void run_contest(const struct contest *contest)
{
    enum { BYTES = 10 * MB };
    struct dumbbell_config config = a_link(contest->buffer_bdp);
    begin(&config);
    const struct workload *early = NULL, *late = NULL;
    if (contest->has_early_link)
        early = start_link(1ull << 40);
    else
        start_connections(1ull << 40);
    run_for(10);
    if (contest->has_late_link)
        late = start_link(BYTES / STREAMS);
    else
        start_connections(BYTES / STREAMS);
    uint64_t (*read_early)(const void *) = early ? read_link : read_connections;
    uint64_t (*read_late)(const void *) = late ? read_link : read_connections;
    uint64_t early_before = read_early(early);
    double took_s = time_for(read_late, late, BYTES, 40);
    double early_share = (double)(read_early(early) - early_before) / took_s / RATE_BYTES_PER_S;
    run_for(3);
    early_before = read_early(early);
    run_for(5);
    double alone_share = (double)(read_early(early) - early_before) / 5 / RATE_BYTES_PER_S;
    print_message("  %s after %s, %.1f BDP: 10 MB in %.2f s, the other had %.2f, then %.2f\n",
                  late ? "link" : "CUBIC", early ? "link" : "CUBIC", contest->buffer_bdp, took_s,
                  early_share, alone_share);
    assert_true(took_s < 16);
    assert_true(early_share > 0.25);
    assert_true(alone_share > 0.85);
    end();
}

static void T7_latecomer_and_incumbent_both_survive(void **state)
{
    (void)state;
    static const struct contest contests[] = {
        {true, true, 0.25}, {true, true, 1},     {true, false, 0.25},
        {true, false, 1},   {false, true, 0.25}, {false, true, 1},
    };
    for (size_t i = 0; i < sizeof(contests) / sizeof(contests[0]); i++)
        run_contest(&contests[i]);
}

/* How long packets have waited in all, and how many they were. */
static void look_at_queue(uint64_t *sum_ns, uint64_t *packets)
{
    const struct sim_codel *codel = &shared.codel;
    const struct sim_dual *dual = &shared.dual;
    *sum_ns = codel->sojourn_sum_ns + dual->low.sojourn_sum_ns + dual->classic.sojourn_sum_ns;
    *packets = codel->packets + dual->low.packets + dual->classic.packets;
}

/* A managed queue stays short under a link's bulk, and the link stays busy: 20 MB at 20 Mbit/s take 8 s. Where marks are
 * understood nothing is lost. */
static void T7_a_managed_queue_stays_short(void **state)
{
    (void)state;
    static const struct {
        enum dumbbell_queue queue;
        enum ecn_codepoint ecn;
        double most_ms, most_s;
    } rows[] = {
        {DUMBBELL_CODEL, ECN_NOT_ECT, 10, 10},
        {DUMBBELL_CODEL_ECN, ECN_ECT_0, 10, 10},
        {DUMBBELL_DUAL, ECN_NOT_ECT, 25, 10},
        {DUMBBELL_DUAL, ECN_ECT_0, 25, 10},
        /* Each mark of L4S is taken for a loss: the queue is empty, and so is much of the link. */
        {DUMBBELL_DUAL, ECN_ECT_1, 3, 50},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dumbbell_config config = a_link(4);
        config.queue = rows[i].queue;
        begin(&config);
        const struct workload *workload = start_marked_link(20 * MB / STREAMS, rows[i].ecn);
        run_for(3);
        uint64_t before_ns, before, after_ns, after;
        look_at_queue(&before_ns, &before);
        double took_s = 3 + time_for(read_link, workload, 20 * MB - read_of(workload), 60);
        look_at_queue(&after_ns, &after);
        double queue_ms = (double)(after_ns - before_ns) * 1e-6 / (double)(after - before);
        struct transport_facts facts = sim_end_facts(&pairs[0].edge);
        print_message("  20 MB in %.2f s, queue %.2f ms, lost %llu, marked %llu\n", took_s,
                      queue_ms, (unsigned long long)facts.packets_lost,
                      (unsigned long long)facts.packets_ce);
        assert_true(took_s < rows[i].most_s);
        assert_true(queue_ms < rows[i].most_ms);
        assert_true(rows[i].ecn == ECN_NOT_ECT || facts.packets_lost == 0);
        end();
    }
}

/* A policer of 20 Mbit/s in front of a link of 100: it drops without a queue that could warn. */
static void T1_a_policer_does_not_collapse_it(void **state)
{
    (void)state;
    static const uint64_t bursts[] = {30000, 125000};
    for (size_t i = 0; i < 2; i++) {
        struct dumbbell_config config = a_link(1);
        config.bytes_per_s = 5 * RATE_BYTES_PER_S;
        config.policer_bytes_per_s = RATE_BYTES_PER_S;
        config.policer_burst_bytes = bursts[i];
        begin(&config);
        const struct workload *workload = start_link(20 * MB / STREAMS);
        double took_s = time_for(read_link, workload, 20 * MB, 40);
        struct transport_facts facts = sim_end_facts(&pairs[0].edge);
        double lost = (double)facts.packets_lost / (double)pairs[0].edge.packets_out;
        print_message("  burst %llu KB: 20 MB in %.2f s, %.3f lost\n",
                      (unsigned long long)bursts[i] / 1000, took_s, lost);
        assert_true(took_s < 14);
        assert_true(lost < 0.2);
        end();
    }
}

/* Short connections of others beside a link's bulk end about as soon as beside as many CUBIC connections. */
static void T7_short_flows_get_through(void **state)
{
    (void)state;
    static struct web web;
    double late_ms[2];
    for (int pass = 0; pass < 2; pass++) {
        struct dumbbell_config config = a_link(1);
        begin(&config);
        if (pass == 0)
            start_link(1ull << 40);
        else
            start_connections(1ull << 40);
        run_for(5);
        web_init(&web, &shared, RATE_BYTES_PER_S / 5);
        run_for(60);
        late_ms[pass] = (double)web_time_ns(&web, 0.9) * 1e-6;
        print_message("  beside %s: %llu short ones, median %.0f ms, 90 %% within %.0f ms\n",
                      pass ? "CUBIC" : "a link", (unsigned long long)web.done,
                      (double)web_time_ns(&web, 0.5) * 1e-6, late_ms[pass]);
        assert_true(web.done > 400);
        web_clear(&web);
        end();
    }
    assert_true(late_ms[0] < 1.5 * late_ms[1] + 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T7_latecomer_and_incumbent_both_survive),
        cmocka_unit_test(T7_a_managed_queue_stays_short),
        cmocka_unit_test(T1_a_policer_does_not_collapse_it),
        cmocka_unit_test(T7_short_flows_get_through),
    };
    return cmocka_run_group_tests_name("sim/contests", tests, NULL, NULL);
}
