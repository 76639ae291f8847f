/* SPDX-License-Identifier: Apache-2.0
 *
 * Which channel a request takes: of the links to the gateways of its site, by what is known of each (L1, L2). Several are used at once, in
 * proportion; one that fills, loses packets or is expected to be slower gives its requests to others, and small differences move nothing.
 *
 *   route_meter   counters of packets -> loss of the last half second, and of the last seconds; one for each direction of a link
 *   route         the channels of a site: what each would cost a request, in microseconds, and the share that follows from that
 *
 * Pure. Where the facts come from, and what is done with the choice, is src/edge/channels.c. docs/channels.md is for those who run it.
 */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTE_NONE SIZE_MAX

enum {
    ROUTE_CHANNELS_MOST = 16, /* of a site; further ones are not looked at */
    ROUTE_CLASSES = 5,        /* of requests, 0 the first to be served */
};
#define ROUTE_PERIOD_NS (50ull * 1000000) /* shares follow the facts so often */

/* ---- loss of one direction. Zero-initialised: nothing was seen. */
struct route_meter {
    uint64_t at_ns, known, lost; /* when it was told last, and what */
    float fast_known, fast_lost, slow_known, slow_lost;
};
struct route_loss {
    uint32_t fast_ppm, slow_ppm; /* 0 too where too few packets went to tell */
};
/* Packets whose fate is known, and those of them that were lost, since the link came up; less than before: it began anew. */
void route_meter_add(struct route_meter *meter, uint64_t now_ns, uint64_t known, uint64_t lost);
struct route_loss route_meter_read(const struct route_meter *meter);

/* ---- channels */

/* X-macro: name, text. */
// clang-format off
#define ROUTE_STATE_LIST(X)                                                                         \
    X(AWAY, "away")         /* nothing passes: gets nothing */                                      \
    X(LEAVING, "leaving")   /* its far end ends soon: gets what no other can take */                \
    X(DEGRADED, "degraded") /* beyond a limit lately: likewise, but for those that leave */         \
    X(DOUBTED, "doubted")   /* silent for a moment: gets nothing while another is good */           \
    X(GOOD, "good")
// clang-format on
enum route_state {
#define X(name, text) ROUTE_##name,
    ROUTE_STATE_LIST(X)
#undef X
};
const char *route_state_text(enum route_state state);

/* When a channel is degraded, and for how long at least. 0: no such limit. */
struct route_settings {
    uint32_t loss_percent;
    uint64_t rtt_ns;
    uint64_t hold_ns;
    /* of requests that must not be repeated, for a broken link; the caller's business */
    uint64_t broken_wait_ns;
};

/* A channel as it is now. */
struct route_facts {
    uint64_t identity; /* of its far end, the same over reloads */
    bool is_up;
    bool is_leaving;        /* its far end said that it ends soon */
    bool is_doubted;        /* silent for longer than its answers usually take */
    uint32_t rtt_us;        /* 0: not known */
    struct route_loss loss; /* of the worse direction */
    bool has_window;        /* false: congestion control lets nothing more go for now */
    bool has_load;          /* the far end told its load lately: the members below */
    bool is_full;           /* it would refuse a request */
    uint32_t slots;         /* requests at its servers, at most */
    uint32_t service_us;    /* that a request takes there once it is its turn; 0: not known */
    uint32_t
        demand_milli; /* requests that come there, from all edges, in thousandths for each second */
    uint32_t waiting[ROUTE_CLASSES];
    uint32_t wait_us[ROUTE_CLASSES]; /* until it is its turn */
};

struct route_channel {
    uint64_t identity;
    enum route_state state;
    bool has_load, is_full;
    uint64_t since_ns;            /* in that state */
    uint64_t bad_ns;              /* when it was last near one of its limits */
    uint64_t doubted_ns;          /* since when it is silent; 0: it is not */
    float base_us;                /* of a request that need not wait there, smoothed */
    float capacity, demand;       /* requests a second, likewise */
    float waiting[ROUTE_CLASSES]; /* of that class and those before it */
    float cost_us[ROUTE_CLASSES]; /* of a request there */
    float share[ROUTE_CLASSES];   /* 0 .. 1, of the requests of that class */
    float credit[ROUTE_CLASSES];
};

/* Zero-initialised: no channels. One worker's, for one site. */
struct route {
    uint64_t updated_ns; /* 0: never */
    uint32_t count;
    float picked[ROUTE_CLASSES]; /* lately: how demand is divided among classes */
    struct route_channel channels[ROUTE_CHANNELS_MOST];
};

static inline bool route_is_due(const struct route *route, uint64_t now_ns)
{
    return !route->updated_ns || now_ns - route->updated_ns >= ROUTE_PERIOD_NS;
}
/* At most ROUTE_CHANNELS_MOST; what is known of a channel is kept by its identity. */
void route_update(struct route *route, const struct route_settings *settings,
                  const struct route_facts *facts, size_t count, uint64_t now_ns);
/* The channel of the next request of that class, none of the set `except` (a bit for each index). ROUTE_NONE: there is none. */
size_t route_pick(struct route *route, unsigned class, uint32_t except);
/* The same question without an answer that counts: the one with the least cost. */
size_t route_best(const struct route *route, unsigned class, uint32_t except);

#endif
