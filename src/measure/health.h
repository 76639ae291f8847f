/* SPDX-License-Identifier: Apache-2.0
 *
 * Part of measure.h: health checks (R8). What one vantage point makes of a target's checks: results in a row turn
 * into up and down, a doubtful target is checked again soon, and a check waits no longer than the known round trip
 * gives reason to. And what several vantage points make of it together: a target is down when most of those that
 * have a say agree, so that one vantage point's broken network takes nothing out.
 *
 * Pure; the checks themselves are in probe/.
 */
#ifndef MEASURE_HEALTH_H
#define MEASURE_HEALTH_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>

/* ---- one vantage point ---- */

enum health_outcome {
    HEALTH_GOOD,
    HEALTH_BAD,
    HEALTH_VOID, /* says nothing of the target: no route from here, no descriptor left */
};

struct health_settings {
    uint64_t interval_ns;
    uint64_t fast_ns; /* between checks while a change is in the air; at most the interval counts */
    uint64_t timeout_ns; /* the most that a check may take */
    uint32_t rise, fall; /* results in a row that bring the target up, or down; 0 counts as 1 */
};

#define HEALTH_STATE_LIST(X) \
    X(UNKNOWN, "unknown")    \
    X(UP, "up")              \
    X(DOWN, "down")

enum health_state {
#define X(name, text) HEALTH_##name,
    HEALTH_STATE_LIST(X)
#undef X
};
const char *health_state_text(enum health_state state);

/* Embed it; members are for reading. */
struct health {
    enum health_state state;
    bool was_good;                 /* the last result that counted */
    uint32_t streak;               /* how many of that kind in a row */
    uint64_t since_ns;             /* in this state */
    uint64_t checked_ns;           /* the last result that counted; 0: none */
    uint64_t next_ns;              /* when to check next */
    uint32_t rtt_us, deviation_us; /* smoothed (RFC 6298); 0: not known */
    uint64_t checks, failures;
};

/* A deviation of round trips that is always allowed for: the other end has work of its own. */
#define HEALTH_SLACK_NS (100ull * 1000000)

/* The first check comes within an interval, at a random time. */
void health_init(struct health *health, const struct health_settings *settings, uint64_t now_ns,
                 struct random *random);
/* How long a check that starts now may take. */
uint64_t health_timeout(const struct health *health, const struct health_settings *settings);
/* The result of the check that began at `began_ns`; `rtt_us` 0: not measured. True: the state changed. */
bool health_put(struct health *health, const struct health_settings *settings,
                enum health_outcome outcome, uint32_t rtt_us, uint64_t began_ns, uint64_t now_ns,
                struct random *random);

/* ---- several of them ---- */

enum { HEALTH_VOTES_LIMIT = 16 }; /* vantage points of a target */

struct health_poll {
    uint32_t count;
    struct {
        uint64_t vantage;
        uint64_t taken_ns;
        bool is_up;
    } votes[HEALTH_VOTES_LIMIT];
};

/* In place of what it said before; where there are too many, in place of the oldest. */
void health_poll_put(struct health_poll *poll, uint64_t vantage, bool is_up, uint64_t taken_ns);
void health_poll_drop(struct health_poll *poll, uint64_t vantage);
/* Forgets what was said before that. */
void health_poll_expire(struct health_poll *poll, uint64_t before_ns);

/* Down when `quorum` vantage points say so, or all that have a say where these are fewer; quorum 0: more than half.
 * UNKNOWN: nobody has a say. */
enum health_state health_poll_verdict(const struct health_poll *poll, uint32_t quorum);
uint32_t health_poll_downs(const struct health_poll *poll);

#endif
