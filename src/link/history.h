/* SPDX-License-Identifier: Apache-2.0
 *
 * A link's last day: its quality in both directions and what its rings carried, each second for
 * five minutes, each ten for an hour, each minute for a day. It belongs to the link, not to a
 * session, so that it tells of outages too. 220 KB a link, all of it taken at the start.
 *
 * No locks here: the caller's (T8).
 */
#ifndef LINK_HISTORY_H
#define LINK_HISTORY_H

#include "transport/transport.h"

/* X-macro: tiers, seconds of a sample, samples kept. Each is a multiple of the one before. */
#define HISTORY_TIER_LIST(X) \
    X(SECONDS, 1, 300)       \
    X(TENS, 10, 360)         \
    X(MINUTES, 60, 1440)

enum history_tier {
#define X(name, seconds, count) HISTORY_##name,
    HISTORY_TIER_LIST(X)
#undef X
        HISTORY_TIERS
};

/* X-macro: members of 32 bits and how samples become one: their SUM, MOST, or MEAN over the time
 * that the link was up (up_s). Spurious losses are taken off lost_out; marked_out are CE marks;
 * loss_ppm_in is what the peer says; reconnects are connections begun. */
#define HISTORY_MEMBER_LIST(X) \
    X(up_s, SUM)               \
    X(reconnects, SUM)         \
    X(packets_out, SUM)        \
    X(lost_out, SUM)           \
    X(marked_out, SUM)         \
    X(loss_ppm_in, MEAN)       \
    X(probe_timeouts, SUM)     \
    X(srtt_us, MEAN)           \
    X(srtt_most_us, MOST)      \
    X(queue_us_out, MEAN)      \
    X(queue_us_in, MEAN)       \
    X(delivered_kib_out, SUM)  \
    X(delivered_kib_in, SUM)   \
    X(window_kib, MEAN)        \
    X(hosted, MOST)            \
    X(streams, MOST)           \
    X(ring0_kib, SUM)          \
    X(ring1_kib, SUM)          \
    X(ring2_kib, SUM)          \
    X(ring3_kib, SUM)          \
    X(ring4_kib, SUM)          \
    X(ring0_ready, MOST)       \
    X(ring1_ready, MOST)       \
    X(ring2_ready, MOST)       \
    X(ring3_ready, MOST)       \
    X(ring4_ready, MOST)

struct history_sample {
    uint64_t end_ns; /* 0: none */
#define X(name, how) uint32_t name;
    HISTORY_MEMBER_LIST(X)
#undef X
};

enum history_how { HISTORY_SUM, HISTORY_MOST, HISTORY_MEAN };
struct history_member {
    const char *name;
    size_t offset;
    enum history_how how;
};
extern const struct history_member history_members[]; /* ends with a row without name */
uint32_t history_value(const struct history_sample *sample, const struct history_member *member);

struct history;
struct history *history_new(void);
void history_free(struct history **freed);

/* Once a second, with what the transport says of itself then. */
void history_add(struct history *history, const struct transport_facts *facts, uint64_t now_ns);

uint32_t history_tier_seconds(enum history_tier tier);
uint32_t history_tier_limit(enum history_tier tier);
/* The samples of a tier, oldest first; how many. `samples` has room for history_tier_limit(). */
uint32_t history_read(const struct history *history, enum history_tier tier,
                      struct history_sample *samples);

#endif
