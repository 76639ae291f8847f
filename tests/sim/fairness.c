/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a cell runs. Shares of CUBIC connections forget who came first over several of their sawtooth's periods ("epochs"): with
 * a mean window of W packets an epoch is about cbrt(0.3 W / 0.4) s, or 0.3 W / 0.53 round trips where CUBIC follows Reno. At 200
 * Mbit/s and 60 ms that is 8 s for one beside one, and 0.9 s for 20 beside 20. A cell is warmed up for ten epochs and 5 s, and is
 * measured in batches of two epochs (at least 3 s, so that slow cycles of the tunnel's own fit in): at least 10 of them, at most 100,
 * until the standard error of the batches' mean is small enough. That is 235 to 1700 s for one beside one, 44 to 314 s for 20 beside 20.
 */
#include "fairness.h"

#include "dumbbell.h"
#include "workload.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>

enum {
    FAIRNESS_JITTER_PACKETS = 8,
    FAIRNESS_BATCHES_MIN = 10,
    FAIRNESS_BATCHES_MAX = 100,
    FAIRNESS_WARM_UP_EPOCHS = 10,
    FAIRNESS_BATCH_EPOCHS = 2,
};

#define FAIRNESS_WARM_UP_S 5.0
#define FAIRNESS_BATCH_S   3.0

static uint64_t ns_of(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

static double epoch_s(const struct fairness_cell *cell)
{
    double rtt_s = cell->rtt_ms * 1e-3;
    double packets = cell->mbit_per_s * 125000.0 * rtt_s * (1 + cell->buffer_bdp) /
                     FLOW_PACKET_BYTES / (cell->hosted + cell->others);
    double cubic_s = cbrt(0.3 * packets / 0.4), reno_s = 0.3 * packets / 0.53 * rtt_s;
    return cubic_s < reno_s ? cubic_s : reno_s;
}

uint32_t fairness_mbit_for(uint32_t hosted)
{
    return hosted >= 100 ? 500 : 200;
}

void fairness_cell_key(const struct fairness_cell *cell, const struct fairness_limits *limits,
                       char *out, size_t size)
{
    snprintf(out, size, "rig%d,n%u,m%u,k%d,b%g,r%g,l%g,%uMbit,%ums,s%llu,e%g,t%g", FAIRNESS_RIG,
             cell->hosted, cell->others, (int)cell->competitor, cell->buffer_bdp, cell->rtt_ratio,
             cell->loss, cell->mbit_per_s, cell->rtt_ms, (unsigned long long)cell->seed,
             limits->error, limits->seconds);
}

struct rig {
    struct dumbbell dumbbell;
    uint16_t ours; /* flows of the dumbbell that are ours: they come first */
    bool has_core;
    struct sim_pair pair;
    struct workload workload;
    uint64_t core_bytes, core_packets, core_lost; /* at the last count */
};

/* Streams that end with the cell. */
static void add_core(struct rig *rig, const struct fairness_cell *cell, uint64_t rtt_ns)
{
    rig->has_core = true;
    dumbbell_add_pair(&rig->dumbbell, &rig->pair, rtt_ns, cell->seed);
    workload_init(&rig->workload, &rig->pair);
    for (uint32_t i = 0; i < cell->hosted; i++)
        workload_add(&rig->workload, EDGE_SIDE, UINT64_MAX / 2, 0);
    sim_pair_start(&rig->pair);
}

/* One tunnel, or as many real connections as it hosts. All start within a second. */
static void set_up(struct rig *rig, const struct fairness_cell *cell, bool is_baseline)
{
    struct dumbbell *dumbbell = &rig->dumbbell;
    struct dumbbell_config config = {
        .bytes_per_s = cell->mbit_per_s * 125000ull,
        .rtt_ns = cell->rtt_ms * SIM_MS,
        .buffer_bdp = cell->buffer_bdp,
        .loss = cell->loss,
        .jitter_packets = FAIRNESS_JITTER_PACKETS,
    };
    dumbbell_init(dumbbell, &config, cell->seed);
    struct random *random = &dumbbell->sim.random;
    sim_run(&dumbbell->sim, SIM_SECOND, NULL, NULL);
    uint64_t our_rtt_ns = (uint64_t)((double)config.rtt_ns * cell->rtt_ratio);
    bool is_core = cell->is_core && !is_baseline;
    rig->ours = is_baseline ? (uint16_t)cell->hosted : is_core ? 0 : 1;
    for (uint16_t i = 0; i < rig->ours; i++)
        dumbbell_add_at(dumbbell, is_baseline ? FLOW_CUBIC : FLOW_AGGREGATE,
                        is_baseline ? 1 : cell->hosted,
                        SIM_SECOND + random_below(random, SIM_SECOND), our_rtt_ns);
    for (uint32_t i = 0; i < cell->others; i++)
        dumbbell_add(dumbbell, cell->competitor, 1, SIM_SECOND + random_below(random, SIM_SECOND));
    if (is_core)
        add_core(rig, cell, our_rtt_ns);
}

static void tear_down(struct rig *rig)
{
    if (rig->has_core)
        sim_pair_clear(&rig->pair);
    dumbbell_clear(&rig->dumbbell);
    memory_free(rig);
}

struct totals {
    double ours, theirs, our_packets, our_lost; /* bytes; packets */
};

static struct totals count_anew(struct rig *rig)
{
    struct totals totals = {0};
    for (uint16_t i = 0; i < rig->dumbbell.flow_count; i++) {
        struct flow *flow = &rig->dumbbell.flows[i];
        *(i < rig->ours ? &totals.ours : &totals.theirs) += (double)flow->acked * FLOW_PACKET_BYTES;
        totals.our_packets += i < rig->ours ? (double)(flow->acked + flow->lost) : 0;
        totals.our_lost += i < rig->ours ? (double)flow->lost : 0;
        flow_count_anew(flow);
    }
    if (rig->has_core) {
        struct transport_facts facts = sim_end_facts(&rig->pair.edge);
        uint64_t bytes = rig->dumbbell.pair_bytes[0], packets = rig->pair.edge.packets_out;
        totals.ours = (double)(bytes - rig->core_bytes);
        totals.our_packets = (double)(packets - rig->core_packets);
        totals.our_lost = (double)(facts.packets_lost - rig->core_lost);
        rig->core_bytes = bytes;
        rig->core_packets = packets;
        rig->core_lost = facts.packets_lost;
    }
    return totals;
}

/* Relative standard error of the mean of batches. */
static double error_of(double sum, double sum_of_squares, uint32_t count)
{
    double mean = sum / count, variance = sum_of_squares / count - mean * mean;
    return count > 1 && mean > 0 && variance > 0 ? sqrt(variance / (count - 1)) / mean : 0;
}

void fairness_measure(const struct fairness_cell *cell, const struct fairness_limits *limits,
                      bool is_baseline, struct fairness_share *share)
{
    struct rig *rig = NEW(struct rig);
    set_up(rig, cell, is_baseline);
    struct sim *sim = &rig->dumbbell.sim;
    double epoch = epoch_s(cell);
    double batch_s = fmax(FAIRNESS_BATCH_EPOCHS * epoch, FAIRNESS_BATCH_S);
    uint32_t most = FAIRNESS_BATCHES_MAX;
    if (limits->seconds > 0) {
        most = FAIRNESS_BATCHES_MIN;
        batch_s = limits->seconds / most;
    }
    sim_run(sim, sim->now_ns + ns_of(FAIRNESS_WARM_UP_EPOCHS * epoch + FAIRNESS_WARM_UP_S), NULL,
            NULL);
    count_anew(rig);

    struct totals all = {0};
    double sum_of_squares = 0;
    uint32_t batches = 0;
    *share = (struct fairness_share){0};
    do {
        sim_run(sim, sim->now_ns + ns_of(batch_s), NULL, NULL);
        struct totals batch = count_anew(rig);
        all.ours += batch.ours;
        all.theirs += batch.theirs;
        all.our_packets += batch.our_packets;
        all.our_lost += batch.our_lost;
        sum_of_squares += batch.ours * batch.ours;
        batches++;
        share->error = error_of(all.ours, sum_of_squares, batches);
    } while (batches < most && (batches < FAIRNESS_BATCHES_MIN || share->error > limits->error));
    share->seconds = batches * batch_s;
    double link_bytes = cell->mbit_per_s * 125000.0 * share->seconds;
    share->ours = all.ours / link_bytes;
    share->theirs = all.theirs / link_bytes;
    share->lost = all.our_packets > 0 ? all.our_lost / all.our_packets : 0;
    tear_down(rig);
}
