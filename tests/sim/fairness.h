/* SPDX-License-Identifier: Apache-2.0
 *
 * One cell of the fairness matrix (T7): N connections that share one tunnel beside M real CUBIC connections on a drop-tail
 * bottleneck, and the same cell with N real CUBIC connections in the tunnel's place. The measure is what a hosted connection gets
 * relative to what a connection in its place gets: 1 is the aim. What the neighbours get, relative to the same, is measured too.
 */
#ifndef SIM_FAIRNESS_H
#define SIM_FAIRNESS_H

#include "flows.h"

#include <stdbool.h>
#include <stddef.h>

/* Changes whenever the network or the real connections of a cell do: what was measured before is then no baseline any more. */
enum { FAIRNESS_RIG = 3 };

struct fairness_cell {
    uint32_t hosted, others; /* N, M */
    double buffer_bdp;
    double rtt_ratio; /* our round-trip time to theirs, which is `rtt_ms` */
    double loss;      /* random, in front of the bottleneck */
    uint32_t mbit_per_s, rtt_ms;
    enum flow_kind competitor; /* what the M are; those in the tunnel's place are always CUBIC */
    bool is_core; /* the tunnel is the whole transport instead of its congestion control alone */
    uint64_t seed;
};

/* How long to measure. A cell runs until the standard error of our share is below `error` of it, and for `least_batches` at least
 * (of two epochs of a CUBIC window each, see fairness.c), or for a time that is set. */
struct fairness_limits {
    double error;
    double seconds; /* 0: as long as needed */
};

struct fairness_share {
    double ours, theirs; /* of the link's rate: all N, all M together */
    double error;        /* standard error of `ours`, relative */
    double lost;         /* share of our packets */
    double seconds;      /* measured, after the warm-up */
};

void fairness_measure(const struct fairness_cell *cell, const struct fairness_limits *limits,
                      bool is_baseline, struct fairness_share *share);

/* Everything that decides what a baseline is, as text without spaces. */
void fairness_cell_key(const struct fairness_cell *cell, const struct fairness_limits *limits,
                       char *out, size_t size);

/* The rate for N: 500 Mbit/s for 100 and more, else 200. */
uint32_t fairness_mbit_for(uint32_t hosted);

#endif
