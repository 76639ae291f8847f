/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses of a path and their proof.
 */
#include "transport/path.h"

#include "transport/packet.h"

enum {
    UNPROVEN_PACKET_MIN = PACKET_OVERHEAD_BYTES + 2 * FRAME_CONTROL_MAX,
};

void path_open(struct path *path, uint8_t wire_id)
{
    *path = (struct path){.is_open = true, .wire_id = wire_id, .is_app_limited = true};
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
        lane_congestion->destroy(path->congestion);
    *path = (struct path){0};
}

void path_follow(struct path *path, const struct address *from, uint64_t number, uint32_t bytes,
                 uint64_t now_ns)
{
    if (address_equal(from, &path->peer)) {
        if (!path->is_proven)
            path->unproven_in += bytes;
        return;
    }
    if (number + 1 != path->replay.next)
        return;
    if (path->is_proven)
        path->fallback = path->peer;
    if (address_equal(from, &path->fallback)) {
        path->peer = *from;
        path->is_proven = true;
        return;
    }
    path->peer = *from;
    path->is_proven = false;
    path->unproven_in = bytes;
    path->unproven_out = 0;
    path->prove_attempts = 0;
    path->prove_at_ns = now_ns;
}

bool path_run_proof(struct path *path, uint64_t now_ns)
{
    if (path->is_proven || now_ns < path->prove_at_ns)
        return false;
    if (path->prove_attempts++ >= PATH_PROVE_ATTEMPTS && path->fallback.family) {
        path->peer = path->fallback;
        path->is_proven = true;
        return false;
    }
    path->challenge_waits = true;
    path->prove_at_ns = now_ns + PATH_PROVE_NS;
    return true;
}

bool path_prove(struct path *path, const uint8_t token[FRAME_TOKEN_BYTES])
{
    if (path->is_proven || memcmp(token, path->challenge, FRAME_TOKEN_BYTES) != 0)
        return false;
    path->is_proven = true;
    path->challenge_waits = false;
    return true;
}

uint64_t path_allowance(const struct path *path)
{
    uint64_t most = path->unproven_in * PATH_AMPLIFICATION;
    return path->is_proven ? UINT64_MAX : most > path->unproven_out ? most - path->unproven_out : 0;
}

bool path_is_muted(const struct path *path)
{
    return path_allowance(path) < UNPROVEN_PACKET_MIN;
}
