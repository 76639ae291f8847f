/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client may do how often. Frames that cost it next to nothing and us work, or that ask for answers, are counted in token
 * buckets; a bucket is one number, the time at which it will be full again (the generic cell rate algorithm), so a session that does
 * nothing pays nothing. What a client does for good reason is tied to that reason: window updates to bytes sent, priorities to
 * requests.
 */
#include "h2/private.h"

static const struct {
    size_t offset; /* of the rate in the settings */
    enum h2_cause cause;
} rates[H2_RATE_COUNT] = {
    [H2_RATE_RESETS] = {offsetof(struct h2_settings, resets), H2_CAUSE_RESETS},
    [H2_RATE_ERRORS] = {offsetof(struct h2_settings, errors), H2_CAUSE_STREAM_ERRORS},
    [H2_RATE_SETTINGS] = {offsetof(struct h2_settings, settings), H2_CAUSE_SETTINGS_FLOOD},
    [H2_RATE_PINGS] = {offsetof(struct h2_settings, pings), H2_CAUSE_PING_FLOOD},
    [H2_RATE_EMPTY_DATA] = {offsetof(struct h2_settings, empty_data), H2_CAUSE_EMPTY_DATA},
    [H2_RATE_WINDOW_UPDATES] = {offsetof(struct h2_settings, window_updates),
                                H2_CAUSE_WINDOW_FLOOD},
    [H2_RATE_PRIORITIES] = {offsetof(struct h2_settings, priorities), H2_CAUSE_PRIORITY_FLOOD},
    [H2_RATE_UNKNOWN] = {offsetof(struct h2_settings, unknown), H2_CAUSE_UNKNOWN_FLOOD},
};

static const struct h2_rate *rate_of(const struct h2_session *session, enum h2_rate_id id)
{
    return (const struct h2_rate *)((const char *)&session->settings + rates[id].offset);
}

static uint64_t token_ns(const struct h2_rate *rate)
{
    return 1000000000 / (rate->per_second ? rate->per_second : 1);
}

bool h2_flood_take(struct h2_session *session, enum h2_rate_id id)
{
    const struct h2_rate *rate = rate_of(session, id);
    uint64_t *full_at_ns = &session->rates[id];
    if (*full_at_ns < session->now_ns)
        *full_at_ns = session->now_ns;
    *full_at_ns += token_ns(rate);
    if (*full_at_ns - session->now_ns <= rate->burst * token_ns(rate))
        return true;
    h2_session_fail(session, rates[id].cause);
    return false;
}

void h2_flood_give(struct h2_session *session, enum h2_rate_id id, uint32_t count)
{
    uint64_t given_ns = count * token_ns(rate_of(session, id));
    uint64_t *full_at_ns = &session->rates[id];
    *full_at_ns = *full_at_ns > given_ns ? *full_at_ns - given_ns : 0;
}

bool h2_flood_frame(struct h2_session *session, const nghttp2_frame_hd *frame)
{
    switch (frame->type) {
    case NGHTTP2_DATA:
        return frame->length >= H2_SMALL_DATA_BYTES || (frame->flags & NGHTTP2_FLAG_END_STREAM) ||
               h2_flood_take(session, H2_RATE_EMPTY_DATA);
    case NGHTTP2_HEADERS:
        h2_flood_give(session, H2_RATE_PRIORITIES, H2_REQUEST_PRIORITIES);
        return true;
    case NGHTTP2_CONTINUATION:
        return true; /* counted by libnghttp2 */
    case NGHTTP2_RST_STREAM:
        return h2_flood_take(session, H2_RATE_RESETS);
    case NGHTTP2_SETTINGS:
        return h2_flood_take(session, H2_RATE_SETTINGS);
    case NGHTTP2_PING:
        return h2_flood_take(session, H2_RATE_PINGS);
    case NGHTTP2_WINDOW_UPDATE:
        return h2_flood_take(session, H2_RATE_WINDOW_UPDATES);
    case NGHTTP2_PRIORITY:
    case NGHTTP2_PRIORITY_UPDATE:
        return h2_flood_take(session, H2_RATE_PRIORITIES);
    }
    return h2_flood_take(session, H2_RATE_UNKNOWN);
}

void h2_flood_sent(struct h2_session *session, size_t bytes)
{
    session->content_sent += bytes;
    session->sent_bytes += bytes;
    h2_flood_give(session, H2_RATE_WINDOW_UPDATES,
                  (uint32_t)(session->sent_bytes / H2_WINDOW_BYTES));
    session->sent_bytes %= H2_WINDOW_BYTES;
}
