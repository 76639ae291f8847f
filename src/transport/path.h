/* SPDX-License-Identifier: Apache-2.0
 *
 * A path of a lane: where its packets go, and all that is particular to packets that go there: their
 * numbers and fates, round trips, congestion, what is measured. Streams and what they owe belong to
 * the lane (lane.h); which paths there are and which of them carry data is paths.c's business. An
 * address is proven by a token that came back from it; until then only a little goes there (RFC 9000
 * section 8). (L2)
 */
#ifndef TRANSPORT_PATH_H
#define TRANSPORT_PATH_H

#include "base/address.h"
#include "transport/ack_frequency.h"
#include "transport/congestion.h"
#include "transport/delay_trend.h"
#include "transport/ecn.h"
#include "transport/frame.h"
#include "transport/loss.h"
#include "transport/mtu.h"
#include "transport/pacer.h"
#include "transport/quality.h"
#include "transport/receipts.h"
#include "transport/repair.h"
#include "transport/replay.h"
#include "transport/sent_log.h"

enum {
    PATHS_LIMIT = TRANSPORT_PATHS,
    PATH_IDS = 256, /* none is used twice in a connection */
    PATH_PROVE_ATTEMPTS = 5,
    PATH_PROVE_DOUBLINGS = 4, /* of the pause between tokens, for a path that is new and ours */
};
#define PATH_PROVE_NS   (500ull * 1000000)
#define PATH_STANDBY_NS (5000ull * 1000000) /* between probes of a path that carries no data */

extern const struct congestion_ops *const lane_congestion;

/* Both ends of a path: by what of ours, to what address. */
struct way {
    struct address peer;
    uint8_t local, carriage;
};

static inline bool way_equal(const struct way *a, const struct way *b)
{
    return a->local == b->local && a->carriage == b->carriage && address_equal(&a->peer, &b->peer);
}

static inline struct way way_of_route(const struct transport_route *route)
{
    return (struct way){.peer = route->to, .local = route->local, .carriage = route->carriage};
}

static inline struct way way_of_datagram(const struct transport_datagram *datagram)
{
    return (struct way){.peer = datagram->from,
                        .local = datagram->local,
                        .carriage = datagram->carriage};
}

/* A place in the lane's table. */
struct path {
    bool is_open;
    uint8_t wire_id;
    bool is_ours;   /* the initiator's: for a route that the driver gave */
    bool is_new;    /* its address has never proven itself: no data */
    bool is_heard;  /* a packet of the peer's has come on it: it knows the path */
    bool is_moving; /* `way` is not proven yet, `fallback` was */
    bool is_standby, is_peer_standby;
    bool carries; /* data: among the best that there are (paths_choose()) */
    struct transport_route route;
    struct way way;
    struct way fallback; /* the last proven one, while `way` is not */
    bool challenge_waits, response_waits;
    uint8_t challenge[FRAME_TOKEN_BYTES], response[FRAME_TOKEN_BYTES];
    uint64_t unproven_in, unproven_out; /* bytes */
    uint64_t prove_at_ns;               /* next challenge */
    uint32_t prove_attempts;
    bool status_waits;
    uint64_t peer_status_sequence;

    struct replay replay;
    struct receipts receipts;
    struct ack_frequency ack_frequency;
    struct sent_log sent;
    struct rtt rtt;
    struct loss loss;
    struct pacer pacer;
    struct repair repair;
    struct quality quality;
    struct mtu mtu;
    struct delay_trend delay;
    const char *traced_mode; /* of congestion control, as the trace last said */
    uint64_t spurious;       /* losses that were none */
    struct ecn ecn;
    const struct congestion_ops *control;
    struct congestion *congestion;
    uint64_t phase_number; /* the first number under the present key phase */
    bool is_window_full;   /* congestion control refused a packet since the last change */
    bool is_app_limited;
    bool ping_waits, quality_waits;
    uint32_t hosted;       /* connections that its congestion control was told of */
    uint32_t share_ppm;    /* of the lane's connections (paths_partition()) */
    uint64_t spill_bytes;  /* it takes bytes of streams only when so many wait */
    uint64_t shared_bytes; /* delivered_bytes when shares were last drawn */
    uint32_t probes;       /* packets that may go whatever the window says */
    uint64_t delivered_bytes, delivered_ns;
    uint64_t outstanding_since_ns; /* when the first packet now unsettled went out */
    uint64_t last_sent_ns, last_heard_ns;
    uint64_t quality_at_ns;
    struct transport_quality peer_quality; /* of the peer's packets on this path, as it says */
    uint64_t peer_quality_ns;
    uint64_t packets_sent, bytes_sent, packets_lost;
};

void path_open(struct path *path, uint8_t wire_id, const struct way *way);
/* Records, receipts and congestion control go; what the records refer to is the lane's business. */
void path_close(struct path *path);

enum transport_path_state path_state(const struct path *path);

/* The peer's address follows its newest packet; until a token has come back, only a little goes
 * there. */
void path_follow(struct path *path, const struct way *from, uint64_t number, uint32_t bytes,
                 uint64_t now_ns);

/* Says when a challenge is to be sent. True: the caller draws path->challenge, anew for each address.
 * A moving path goes back to the fallback after PATH_PROVE_ATTEMPTS. */
bool path_run_proof(struct path *path, uint64_t now_ns);

/* A token came back; true: the address is proven by it. */
bool path_prove(struct path *path, const uint8_t token[FRAME_TOKEN_BYTES]);

static inline bool path_is_proven(const struct path *path)
{
    return !path->is_new && !path->is_moving;
}

/* Bytes that may go to an address which has not proven itself. */
uint64_t path_allowance(const struct path *path);

/* The address has had all that it may have, until it proves itself or more comes from it. */
bool path_is_muted(const struct path *path);
/* It may have a token, but not yet all that has to fit into a packet. */
bool path_is_narrow(const struct path *path);

#endif
