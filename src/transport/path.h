/* SPDX-License-Identifier: Apache-2.0
 *
 * A path of a lane: where its packets go, and all that is particular to packets that go there: their
 * numbers and fates, round trips, congestion, what is measured. Streams and what they owe belong to
 * the lane (lane.h). An address is proven by a token that came back from it; until then only a
 * little goes there (RFC 9000 section 8).
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
#include "transport/pacer.h"
#include "transport/quality.h"
#include "transport/receipts.h"
#include "transport/repair.h"
#include "transport/replay.h"
#include "transport/sent_log.h"

enum {
    PATHS_LIMIT =
        TRANSPORT_PATHS,    /* open at the same time; wire ids go to 255 and none is used twice */
    PATH_AMPLIFICATION = 3, /* bytes to an unproven address for each from it */
    PATH_PROVE_ATTEMPTS = 5,
};
#define PATH_PROVE_NS (500ull * 1000000)

extern const struct congestion_ops *const lane_congestion;

/* A place in the lane's table. */
struct path {
    bool is_open;
    uint8_t wire_id;
    struct address peer;
    struct address fallback; /* the last proven one, while `peer` is not */
    bool is_proven;
    bool challenge_waits, response_waits;
    uint8_t challenge[FRAME_TOKEN_BYTES], response[FRAME_TOKEN_BYTES];
    uint64_t unproven_in, unproven_out; /* bytes */
    uint64_t prove_at_ns;               /* next challenge */
    uint32_t prove_attempts;

    struct replay replay;
    struct receipts receipts;
    struct ack_frequency ack_frequency;
    struct sent_log sent;
    struct rtt rtt;
    struct loss loss;
    struct pacer pacer;
    struct repair repair;
    struct quality quality;
    struct delay_trend delay;
    uint64_t spurious; /* losses that were none */
    struct ecn ecn;
    struct congestion *congestion;
    bool is_window_full; /* congestion control refused a packet since the last change */
    bool is_app_limited;
    bool ping_waits, quality_waits;
    uint32_t hosted; /* connections that its congestion control was told of */
    uint32_t probes; /* packets that may go whatever the window says */
    uint64_t delivered_bytes, delivered_ns;
    uint64_t outstanding_since_ns; /* when the first packet now unsettled went out */
    uint64_t last_sent_ns, last_heard_ns;
    uint64_t quality_at_ns;
    struct transport_quality peer_quality; /* of the peer's packets on this path, as it says */
    uint64_t peer_quality_ns;
};

void path_open(struct path *path, uint8_t wire_id);
/* Records, receipts and congestion control go; what the records refer to is the lane's business. */
void path_close(struct path *path);

/* The peer's address follows its newest packet; until a token has come back, only a little goes
 * there. */
void path_follow(struct path *path, const struct address *from, uint64_t number, uint32_t bytes,
                 uint64_t now_ns);

/* Whether a new token is due: the caller draws path->challenge. Goes back to the fallback after
 * PATH_PROVE_ATTEMPTS. */
bool path_run_proof(struct path *path, uint64_t now_ns);

/* A token came back; true: the address is proven by it. */
bool path_prove(struct path *path, const uint8_t token[FRAME_TOKEN_BYTES]);

/* Bytes that may go to an address which has not proven itself. */
uint64_t path_allowance(const struct path *path);

/* The address has had all that it may have, until it proves itself or more comes from it. */
bool path_is_muted(const struct path *path);

#endif
