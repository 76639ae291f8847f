/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole core on the wide areas that the benches emulate with real sockets: what a download gets on a link in service, how long a
 * queue it keeps, and how soon a page of many small answers is there after a pause (T1, T7). Loss lies behind the bottleneck.
 */
#include "workload.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum {
    WARM_UP_S = 5,
    MEASURED_S = 12,
    PAUSE_S = 2,
    PAGE_OBJECTS = 100,
    PAGE_OBJECT_BYTES = 10000,
    WATCH_NS = 7000000,
};

struct profile {
    const char *name;
    uint64_t mbit_per_s, rtt_ms, buffer_ms;
    double loss;
    bool has_bursts; /* two packets of a hundred, half of eight or so in a row */
    double least_mbit, queue_ms, page_s; /* limits */
};

static struct sim_pair pair;
static struct workload workload;

/* Looks at the queue now and then. */
static struct {
    struct sim_node node;
    uint64_t next_ns;
    double sum_ms;
    uint64_t looks;
} watch;

static uint64_t watch_next(const struct sim_node *node)
{
    (void)node;
    return watch.next_ns;
}

static void watch_run(struct sim_node *node)
{
    watch.next_ns = node->sim->now_ns + WATCH_NS;
    watch.sum_ms += (double)sim_link_queue_ns(&pair.down_link) * 1e-6;
    watch.looks++;
}

static void begin(const struct profile *profile)
{
    struct sim_link_config link = {.bytes_per_s = profile->mbit_per_s * 125000,
                                   .queue_ns = profile->buffer_ms * SIM_MS,
                                   .delay_ns = profile->rtt_ms * SIM_MS / 2,
                                   .overhead_bytes = 28};
    struct sim_impairment_config impairment = {.loss = profile->loss};
    if (profile->has_bursts) {
        impairment.good_to_bad = 0.0104;
        impairment.bad_to_good = 0.25;
        impairment.loss_bad = 0.5;
    }
    sim_pair_init(&pair, crypto_null(), 1, &link, &impairment);
    workload_init(&workload, &pair);
    pair.edge.to = &pair.up_link.node;
    pair.up_link.to = &pair.up_impairment.node;
    pair.up_impairment.to = &pair.gateway.node;
    pair.gateway.to = &pair.down_link.node;
    pair.down_link.to = &pair.down_impairment.node;
    pair.down_impairment.to = &pair.edge.node;
    sim_pair_start(&pair);
    for (int i = 0; i < 1000 && !(pair.edge.ups && pair.gateway.ups); i++)
        sim_run(&pair.sim, pair.sim.now_ns + 10 * SIM_MS, NULL, NULL);
    assert_true(pair.edge.ups && pair.gateway.ups);
    workload.start_ns = pair.sim.now_ns;
}

static void touch(void)
{
    sim_end_touch(&pair.edge);
    sim_end_touch(&pair.gateway);
}

/* Mbit/s of a download that has run for some seconds; the queue is watched meanwhile. */
static double download(const struct profile *profile)
{
    struct sim *sim = &pair.sim;
    uint64_t bytes = profile->mbit_per_s * 125000 * (WARM_UP_S + MEASURED_S);
    workload_add(&workload, EDGE_SIDE, 100, bytes);
    touch();
    sim_run(sim, sim->now_ns + WARM_UP_S * SIM_SECOND, NULL, NULL);
    uint64_t before = workload.sides[EDGE_SIDE][0].read;
    sim_node_init(&watch.node, sim, "watch");
    watch.node.next = watch_next;
    watch.node.run = watch_run;
    watch.next_ns = sim->now_ns;
    watch.sum_ms = 0;
    watch.looks = 0;
    sim_node_wake(&watch.node);
    sim_run(sim, sim->now_ns + MEASURED_S * SIM_SECOND, NULL, NULL);
    sim_node_clear(&watch.node);
    return (double)(workload.sides[EDGE_SIDE][0].read - before) * 8e-6 / MEASURED_S;
}

static double page_s(void)
{
    struct sim *sim = &pair.sim;
    assert_true(workload_run(&workload, 60 * SIM_SECOND));
    sim_run(sim, sim->now_ns + PAUSE_S * SIM_SECOND, NULL, NULL);
    uint64_t start_ns = sim->now_ns, end_ns = 0;
    uint32_t first = workload.count;
    for (int i = 0; i < PAGE_OBJECTS; i++)
        workload_add(&workload, EDGE_SIDE, 300, PAGE_OBJECT_BYTES);
    touch();
    assert_true(workload_run(&workload, 60 * SIM_SECOND));
    for (uint32_t i = first; i < workload.count; i++) {
        uint64_t ended_ns = workload.sides[EDGE_SIDE][i].ended_ns;
        end_ns = ended_ns > end_ns ? ended_ns : end_ns;
    }
    return (double)(end_ns - start_ns) * 1e-9;
}

static void T1_wide_areas_are_filled_with_hardly_a_queue(void **state)
{
    (void)state;
    static const struct profile profiles[] = {
        {"clean", 100, 20, 100, 0, false, 94.5, 3, 0.14},
        {"0.1 %", 100, 100, 100, 0.001, false, 93, 4, 0.35},
        {"1 %", 100, 100, 100, 0.01, false, 92, 4, 0.4},
        {"5 %", 100, 100, 100, 0.05, false, 87, 5, 0.6},
        {"bursts", 20, 200, 200, 0, true, 18, 8, 1.1},
        {"200 ms of buffer", 10, 50, 200, 0, false, 9.4, 5, 0.95},
    };
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        const struct profile *profile = &profiles[i];
        begin(profile);
        double mbit = download(profile), queue_ms = watch.sum_ms / (double)watch.looks;
        double page = page_s();
        workload_check(&workload);
        print_message("  %s: %.2f Mbit/s, queue %.2f ms, page %.3f s\n", profile->name, mbit,
                      queue_ms, page);
        assert_true(mbit >= profile->least_mbit);
        assert_true(queue_ms <= profile->queue_ms);
        assert_true(page <= profile->page_s);
        sim_pair_clear(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T1_wide_areas_are_filled_with_hardly_a_queue),
    };
    return cmocka_run_group_tests_name("sim/profiles", tests, NULL, NULL);
}
