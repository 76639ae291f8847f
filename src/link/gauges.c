/* SPDX-License-Identifier: Apache-2.0
 *
 * The quality of each link in /metrics (T8), both directions: rows labelled with the peer, our end
 * of the link, and the direction. Set once a second on the lane's worker.
 */
#include "base/memory.h"
#include "link/driver.h"
#include "observe/observe.h"

enum {
    GAUGES_LINKS = 128, /* links that are shown; a process has slots for some thousand metrics */
    LABEL_BYTES = 128,
};

enum direction { OUT, IN, DIRECTIONS };

/* X-macro: what both ends tell each other; name, help, value of a struct transport_quality. */
#define GAUGE_LIST(X)                                                                              \
    X("causeway_link_loss_ppm", "Packets lost of a million, over 10 s.", loss_ppm_10s)             \
    X("causeway_link_ecn_marks_ppm", "Packets marked by the network of a million, over 10 s.",     \
      ce_ppm_10s)                                                                                  \
    X("causeway_link_rtt_microseconds", "Smoothed round-trip time.", srtt_us)                      \
    X("causeway_link_rtt_least_microseconds", "Least round-trip time.", min_rtt_us)                \
    X("causeway_link_queue_microseconds", "Queueing delay of this direction alone.", queue_us)     \
    X("causeway_link_delay_trend_microseconds", "Growth of the one-way delay in a second.",        \
      delay_trend_us_per_s)                                                                        \
    X("causeway_link_delivery_bytes", "Bytes delivered in the last second.", delivery_bytes_per_s) \
    X("causeway_link_spare_window_bytes", "What congestion control would let go at once.",         \
      spare_window_bytes)                                                                          \
    X("causeway_link_connections", "Connections that congestion control counts.", hosted)

enum {
#define X(name, help, member) GAUGE_##member,
    GAUGE_LIST(X)
#undef X
        GAUGES
};

struct link_gauges {
    char labels[DIRECTIONS][LABEL_BYTES];
    struct metric metrics[DIRECTIONS][GAUGES];
};

static _Atomic uint32_t count;

struct link_gauges *gauges_new(const struct link *link)
{
    static const struct {
        const char *name, *help;
    } rows[] = {
#define X(name, help, member) {name, help},
        GAUGE_LIST(X)
#undef X
    };
    if (atomic_fetch_add(&count, 1) >= GAUGES_LINKS)
        return NULL;
    struct link_gauges *gauges = NEW(struct link_gauges);
    for (int way = 0; way < DIRECTIONS; way++) {
        snprintf(gauges->labels[way], LABEL_BYTES, "peer=\"%.64s\",end=\"%s\",direction=\"%s\"",
                 link_peer_name(link), link->is_edge_side ? "edge" : "gateway",
                 way == OUT ? "out" : "in");
        for (int i = 0; i < GAUGES; i++) {
            gauges->metrics[way][i] =
                (struct metric)METRIC(GAUGE, rows[i].name, gauges->labels[way], rows[i].help);
            metric_register(&gauges->metrics[way][i]);
        }
    }
    return gauges;
}

void gauges_set(struct link_gauges *gauges, const struct transport_facts *facts)
{
    const struct transport_quality *ways[] = {&facts->quality, &facts->peer_quality};
    for (int way = 0; way < DIRECTIONS; way++) {
#define X(name, help, member) \
    metric_set(&gauges->metrics[way][GAUGE_##member], (uint64_t)(int64_t)ways[way]->member);
        GAUGE_LIST(X)
#undef X
    }
}
