/* SPDX-License-Identifier: Apache-2.0
 *
 * Part of measure.h: which client network is probed next, and from which edges (H3). Strangers' networks are asked
 * for a favour, so the bounds come first:
 *
 *   - only networks with a host that completed TCP with one of our edges, and lately;
 *   - never a network of the opt-out list, never an address that is nobody's;
 *   - at most one round for each /24 (/48) in an interval of a minute or more. DNS nodes share the networks by their
 *     hash over the nodes that live; whoever comes by a network waits a whole interval first, and after its own start
 *     too, because another (or its former self) may just have probed it. A network is forgotten only when its
 *     interval is over;
 *   - so many rounds in a second.
 *
 * A round is one measurement from a few edges at once. Edges that have none of the network come first, in the order in
 * which the caller likes them.
 *
 * Pure; the echoes themselves are in probe/.
 */
#ifndef MEASURE_PROBE_SCHEDULE_H
#define MEASURE_PROBE_SCHEDULE_H

#include "base/prefix_tree.h"
#include "director/director.h"

enum {
    PROBE_VANTAGES_LIMIT = 8,    /* of a round */
    PROBE_CANDIDATES_LIMIT = 16, /* edges that are considered for a network */
    PROBE_NODES_LIMIT = 64,      /* DNS nodes that share the networks */
    PROBE_NETWORKS_LIMIT = 1 << 20,
};
#define PROBE_INTERVAL_LEAST_NS (60ull * 1000000000)

struct probe_settings {
    uint64_t
        interval_ns; /* between two rounds of a network; less than PROBE_INTERVAL_LEAST_NS counts as that */
    uint64_t refresh_ns; /* how long an edge's measurement is good for */
    uint64_t seen_ns;    /* a network that was not seen for so long is left alone */
    uint32_t rounds_per_s;
    uint32_t vantages; /* edges of a round */
};

#define PROBE_COUNTER_LIST(X)                                             \
    X(seen)      /* hosts told */                                         \
    X(opted_out) /* of these, by the list */                              \
    X(unfit)     /* loopback, multicast and the like */                   \
    X(full)      /* no room: every network kept is within its interval */ \
    X(rounds)                                                             \
    X(orders) /* to edges */

struct probe_counters {
#define X(name) uint64_t name;
    PROBE_COUNTER_LIST(X)
#undef X
};

struct probe_schedule;

/* `seed` keys the hash table. */
struct probe_schedule *probe_schedule_new(const struct probe_settings *settings,
                                          uint32_t networks_limit, uint64_t seed, uint64_t now_ns);
void probe_schedule_free(struct probe_schedule **schedule);
/* Other settings, another opt-out list (NULL: none; borrowed until the next call). */
void probe_schedule_configure(struct probe_schedule *schedule,
                              const struct probe_settings *settings,
                              const struct prefix_tree *opt_out);
/* The DNS nodes that live, by numbers that all of them use alike, in any order; `own` is among them. */
void probe_schedule_share(struct probe_schedule *schedule, uint64_t own, const uint64_t *nodes,
                          size_t count, uint64_t now_ns);

/* Whether an address may be probed at all: it is somebody's, and not of the opt-out list (NULL: none). */
bool probe_may(const struct prefix_tree *opt_out, const struct address *host);

/* A host completed TCP with one of our edges. */
void probe_schedule_seen(struct probe_schedule *schedule, const struct address *host,
                         uint64_t now_ns);

struct probe_order {
    struct address host;
    uint32_t edges[PROBE_VANTAGES_LIMIT];
    uint32_t edge_count;
};

/* Which edges may probe a host, those that should come first; returns how many of `edges` it wrote. */
struct probe_source {
    size_t (*candidates)(void *argument, const struct address *host,
                         uint32_t edges[PROBE_CANDIDATES_LIMIT]);
    void *argument;
    const struct latency_table *latencies; /* what is known already */
};

/* The next round that is due; false: none now. Bounded work; call it again while it returns true. */
bool probe_schedule_next(struct probe_schedule *schedule, const struct probe_source *source,
                         uint64_t now_ns, struct probe_order *order);

size_t probe_schedule_count(const struct probe_schedule *schedule);
const struct probe_counters *probe_schedule_counters(const struct probe_schedule *schedule);

#endif
