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

/* Our flows come first: one aggregate, or as many real ones as it hosts. All start within a second. */
static uint16_t set_up(struct dumbbell *dumbbell, const struct fairness_cell *cell,
                       bool is_baseline)
{
    struct dumbbell_config config = {
        .bytes_per_s = cell->mbit_per_s * 125000ull,
        .rtt_ns = cell->rtt_ms * SIM_MS,
        .buffer_bdp = cell->buffer_bdp,
        .loss = cell->loss,
        .jitter_packets = FAIRNESS_JITTER_PACKETS,
    };
    dumbbell_init(dumbbell, &config, cell->seed);
    uint64_t our_rtt_ns = (uint64_t)((double)config.rtt_ns * cell->rtt_ratio);
    uint16_t ours = is_baseline ? (uint16_t)cell->hosted : 1;
    for (uint16_t i = 0; i < ours; i++)
        dumbbell_add_at(dumbbell, is_baseline ? FLOW_CUBIC : FLOW_AGGREGATE,
                        is_baseline ? 1 : cell->hosted,
                        random_below(&dumbbell->sim.random, SIM_SECOND), our_rtt_ns);
    for (uint32_t i = 0; i < cell->others; i++)
        dumbbell_add(dumbbell, cell->competitor, 1,
                     random_below(&dumbbell->sim.random, SIM_SECOND));
    return ours;
}

struct totals {
    uint64_t ours, theirs, lost; /* packets */
};

static struct totals count_anew(struct dumbbell *dumbbell, uint16_t ours)
{
    struct totals totals = {0};
    for (uint16_t i = 0; i < dumbbell->flow_count; i++) {
        struct flow *flow = &dumbbell->flows[i];
        *(i < ours ? &totals.ours : &totals.theirs) += flow->acked;
        totals.lost += i < ours ? flow->lost : 0;
        flow_count_anew(flow);
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
    struct dumbbell dumbbell;
    uint16_t ours = set_up(&dumbbell, cell, is_baseline);
    struct sim *sim = &dumbbell.sim;
    double epoch = epoch_s(cell);
    double batch_s = fmax(FAIRNESS_BATCH_EPOCHS * epoch, FAIRNESS_BATCH_S);
    uint32_t most = FAIRNESS_BATCHES_MAX;
    if (limits->seconds > 0) {
        most = FAIRNESS_BATCHES_MIN;
        batch_s = limits->seconds / most;
    }
    sim_run(sim, ns_of(FAIRNESS_WARM_UP_EPOCHS * epoch + FAIRNESS_WARM_UP_S), NULL, NULL);
    count_anew(&dumbbell, ours);

    struct totals all = {0};
    double sum = 0, sum_of_squares = 0;
    uint32_t batches = 0;
    *share = (struct fairness_share){0};
    do {
        sim_run(sim, sim->now_ns + ns_of(batch_s), NULL, NULL);
        struct totals batch = count_anew(&dumbbell, ours);
        double packets = (double)batch.ours;
        all.ours += batch.ours;
        all.theirs += batch.theirs;
        all.lost += batch.lost;
        sum += packets;
        sum_of_squares += packets * packets;
        batches++;
        share->error = error_of(sum, sum_of_squares, batches);
    } while (batches < most && (batches < FAIRNESS_BATCHES_MIN || share->error > limits->error));
    share->seconds = batches * batch_s;
    double link_packets = cell->mbit_per_s * 125000.0 * share->seconds / FLOW_PACKET_BYTES;
    share->ours = (double)all.ours / link_packets;
    share->theirs = (double)all.theirs / link_packets;
    share->lost = (double)all.lost / (double)(all.ours + all.lost + 1);
    dumbbell_clear(&dumbbell);
}
