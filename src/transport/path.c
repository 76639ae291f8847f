/* SPDX-License-Identifier: Apache-2.0
 *
 * A path's life, its addresses and their proof.
 */
#include "transport/path.h"

#include "transport/packet.h"

enum {
    TOKEN_PACKET_BYTES = PACKET_OVERHEAD_BYTES + 1 + FRAME_TOKEN_BYTES,
    NARROW_BYTES = PACKET_OVERHEAD_BYTES + 2 * FRAME_CONTROL_MAX,
    DEGRADED_TIMEOUTS = 2, /* probe timeouts in a row */
};

void path_open(struct path *path, uint8_t wire_id, const struct way *way)
{
    *path = (struct path){
        .is_open = true, .wire_id = wire_id, .way = *way, .is_new = true, .is_app_limited = true};
    receipts_init(&path->receipts);
    rtt_init(&path->rtt);
    loss_init(&path->loss);
    repair_init(&path->repair);
}

void path_close(struct path *path)
{
    sent_log_clear(&path->sent);
    receipts_clear(&path->receipts);
    if (path->congestion)
        path->control->destroy(path->congestion);
    *path = (struct path){0};
}

enum transport_path_state path_state(const struct path *path)
{
    if (path->is_new)
        return TRANSPORT_PATH_STATE_NEW;
    if (path->loss.probe_timeouts >= DEGRADED_TIMEOUTS)
        return TRANSPORT_PATH_STATE_DEGRADED;
    if (path->loss.probe_timeouts)
        return TRANSPORT_PATH_STATE_DOUBTED;
    return path->is_standby || path->is_peer_standby ? TRANSPORT_PATH_STATE_STANDBY
                                                     : TRANSPORT_PATH_STATE_ACTIVE;
}

void path_follow(struct path *path, const struct way *from, uint64_t number, uint32_t bytes,
                 uint64_t now_ns)
{
    if (way_equal(from, &path->way)) {
        if (!path_is_proven(path))
            path->unproven_in += bytes;
        return;
    }
    if (number + 1 != path->replay.next)
        return;
    if (path_is_proven(path))
        path->fallback = path->way;
    path->way = *from;
    path->is_moving = !path->is_new && !way_equal(from, &path->fallback);
    if (path_is_proven(path))
        return;
    path->unproven_in = bytes;
    path->unproven_out = 0;
    path->prove_attempts = 0;
    path->prove_at_ns = now_ns;
}

bool path_run_proof(struct path *path, uint64_t now_ns)
{
    if (path_is_proven(path) || now_ns < path->prove_at_ns)
        return false;
    uint32_t attempts = path->prove_attempts++;
    if (path->is_moving && attempts >= PATH_PROVE_ATTEMPTS) {
        path->way = path->fallback;
        path->is_moving = false;
        return false;
    }
    uint32_t doublings = attempts > PATH_PROVE_ATTEMPTS ? attempts - PATH_PROVE_ATTEMPTS : 0;
    if (doublings > PATH_PROVE_DOUBLINGS)
        doublings = PATH_PROVE_DOUBLINGS;
    path->challenge_waits = true;
    path->prove_at_ns = now_ns + (PATH_PROVE_NS << doublings);
    /* The same token again: the answer may take longer than the pause. */
    return attempts == 0;
}

bool path_prove(struct path *path, const uint8_t token[FRAME_TOKEN_BYTES])
{
    if (path_is_proven(path) || !path->prove_attempts ||
        memcmp(token, path->challenge, FRAME_TOKEN_BYTES) != 0)
        return false;
    path->is_new = path->is_moving = false;
    path->challenge_waits = false;
    return true;
}

uint64_t path_allowance(const struct path *path)
{
    /* The configuration vouches for it. */
    if (path_is_proven(path) || (path->is_new && path->is_ours))
        return UINT64_MAX;
    /* No more goes there than came: nobody can make us shoot at a third party with more than that. */
    return path->unproven_in > path->unproven_out ? path->unproven_in - path->unproven_out : 0;
}

bool path_is_muted(const struct path *path)
{
    return path_allowance(path) < TOKEN_PACKET_BYTES;
}

bool path_is_narrow(const struct path *path)
{
    return path_allowance(path) < NARROW_BYTES;
}
