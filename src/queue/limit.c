/* SPDX-License-Identifier: Apache-2.0
 *
 * The controller of a server's slots. The steady state where the server is saturated: it works on C at a time, with n pending a
 * request takes n/C of its base, so slots stay where n is from 1.1 to 1.6 of C. That keeps the server busy between one answer and
 * the next request.
 */
#include "queue/limit.h"

#include <math.h>
#include <string.h>

enum {
    SLOTS_FIRST = 4,
    BASE_SAMPLES = 64,  /* of a type, that make its first base whatever is pending */
    BASE_MEMORY = 256,  /* a quiet sample moves the base by 1/256 of the difference */
    START_SAMPLES = 16, /* likewise, and in a window with four for each slot, while slots double */
    WINDOW_SAMPLES = 128, /* at least, and eight for each slot */
    TYPE_SAMPLES = 16,    /* of a window, to say something of a type */
    QUIET_PART = 4,       /* quiet: at most 1/4 of the slots pending */
    LEVEL_MEMORY = 256,
    LEVEL_SAMPLES = 96, /* to say something of a level */
    FULL_PART = 3,      /* full: at least 3/4 of them */
    FULL_OF = 4,
};

#define WINDOW_LEAST_NS 100000000ull
/* log2 of service time to base, beyond chance: below the first there is room for more; above the second there is too much, and
 * the third is left. Between them nothing changes, so that a base that is somewhat wrong does no harm. */
#define EXCESS_ROOM 0.15
#define EXCESS_MOST 0.7
#define EXCESS_LEFT 0.35
#define APART_LEAST 0.6 /* log2 of what was pending: two levels that can be compared */
#define HELP_LEAST  0.5 /* of the excess that should have gone with it; less is no help */
#define CHANGE_SEEN 0.6
#define CERTAIN     3.0  /* standard deviations */
#define SHRINK_MOST 0.15 /* of the slots, in one window */

void limit_init(struct limit *limit, uint32_t least, uint32_t most)
{
    *limit = (struct limit){.slots = SLOTS_FIRST, .is_starting = true};
    limit_range(limit, least, most);
}

static void clamp(struct limit *limit)
{
    limit->slots = fmin(fmax(limit->slots, limit->least), limit->most);
}

void limit_range(struct limit *limit, uint32_t least, uint32_t most)
{
    limit->least = least ? least : 1;
    limit->most = most > limit->least ? most : limit->least;
    clamp(limit);
}

void limit_launched(struct limit *limit, uint32_t pending)
{
    if (pending > limit->window.pending_most)
        limit->window.pending_most = pending;
}

/* ---- the base */

static void forget(struct limit_base *base)
{
    base->samples = 0;
    base->sum = 0;
}

static void move_bases(struct limit *limit, double by)
{
    for (int i = 0; i < QUEUE_TYPES; i++) {
        limit->bases[i].log_ns += (float)by;
        forget(&limit->bases[i]);
    }
    for (int i = 0; i < LIMIT_LEVELS; i++)
        limit->levels[i].excess -= (float)by;
}

/* A type that is clearly faster than its base: that was learnt under load, or the server has become faster. */
static void follow_down(struct limit *limit, double deviation)
{
    for (int i = 0; i < QUEUE_TYPES; i++) {
        struct limit_base *base = &limit->bases[i];
        if (base->samples < TYPE_SAMPLES)
            continue;
        double mean = base->sum / base->samples;
        bool is_lower = mean < -CERTAIN * deviation / sqrt(base->samples);
        if (is_lower)
            base->log_ns += (float)mean;
        if (is_lower || base->samples >= BASE_MEMORY)
            forget(base);
    }
}

/* While slots double without an excess, all that is seen is the base; the first few samples alone would be a poor one. */
static void refine(struct limit *limit)
{
    for (int i = 0; i < QUEUE_TYPES; i++) {
        struct limit_base *base = &limit->bases[i];
        if (!base->samples || base->seen >= BASE_MEMORY)
            continue;
        base->seen += base->samples;
        base->log_ns += (float)(base->sum / base->seen);
        forget(base);
    }
}

static bool is_quiet(const struct limit *limit, uint32_t pending)
{
    return pending <= 1 || pending * QUIET_PART <= limit_slots(limit);
}

/* Slots that were not used say nothing of whether there are too many. */
static bool is_full(const struct limit *limit, uint32_t pending)
{
    return pending * FULL_OF >= limit_slots(limit) * FULL_PART;
}

/* ---- slots */

static int level_of(uint32_t pending)
{
    int level = pending ? 31 - __builtin_clz(pending) : 0;
    return level < LIMIT_LEVELS ? level : LIMIT_LEVELS - 1;
}

static void note_level(struct limit *limit, uint32_t pending, double excess)
{
    struct limit_level *level = &limit->levels[level_of(pending)];
    level->samples += level->samples < LEVEL_MEMORY;
    level->excess += (float)((excess - level->excess) / level->samples);
    level->pending_log += (float)((log2(pending) - level->pending_log) / level->samples);
}

/* Where a server is saturated, twice as much pending takes twice as long. If it does not, what is pending now is not too much, and an
 * excess that is seen nevertheless is the base's: it was learnt wrongly, or the server itself has become slower, and giving it
 * less to do would only waste it. */
static bool is_in_vain(const struct limit *limit, uint32_t pending)
{
    int now = level_of(pending), above = now + 1;
    if (above == LIMIT_LEVELS)
        return false;
    const struct limit_level *less = &limit->levels[now], *more = &limit->levels[above];
    double apart = more->pending_log - less->pending_log;
    return less->samples >= LEVEL_SAMPLES && more->samples >= LEVEL_SAMPLES &&
           apart > APART_LEAST && more->excess - less->excess < apart * HELP_LEAST;
}

/* The server is another than before: what was seen at other levels is of no more use. */
static void notice_change(struct limit *limit, uint32_t pending, double excess)
{
    const struct limit_window *window = &limit->window;
    if (window->before.samples < LEVEL_SAMPLES ||
        fabs(excess - window->before.excess) < CHANGE_SEEN)
        return;
    struct limit_level now = {window->samples, (float)excess, (float)log2(pending)};
    memset(limit->levels, 0, sizeof limit->levels);
    limit->levels[level_of(pending)] = now;
}

static void shrink(struct limit *limit, double pending, double excess)
{
    double target = pending * exp2(EXCESS_LEFT - excess);
    limit->slots = fmax(fmin(target, limit->slots), limit->slots * (1 - SHRINK_MOST));
}

static void grow(struct limit *limit)
{
    if (limit->is_starting)
        refine(limit);
    if (limit->window.pending_most + 1 >= limit_slots(limit))
        limit->slots += limit->is_starting ? limit->slots : sqrt(limit->slots) / 2;
}

static void end_window(struct limit *limit)
{
    const struct limit_window *window = &limit->window;
    double samples = window->samples, mean = window->sum / samples;
    double deviation = sqrt(fmax(window->squares / samples - mean * mean, 0));
    /* A spread of times is not an excess, neither of these nor of those that made the base. */
    double certain = mean - deviation * sqrt(1 / samples + window->doubt / samples);
    bool has_room = certain < EXCESS_ROOM;
    uint32_t pending = (uint32_t)(window->pending_sum / samples);
    notice_change(limit, pending, mean);
    if (has_room)
        grow(limit);
    else if (is_in_vain(limit, pending))
        move_bases(limit, limit->levels[level_of(pending)].excess);
    else if (mean > EXCESS_MOST && limit->slots > limit->least)
        shrink(limit, window->pending_sum / samples, mean);
    else if (mean > EXCESS_MOST)
        move_bases(limit, mean / 4); /* less cannot be tried */
    if (!has_room)
        limit->is_starting = false;
    follow_down(limit, deviation);
    clamp(limit);
    limit->window = (struct limit_window){0};
}

/* Enough for each slot: short requests come back first, and would look like all. */
static bool is_over(const struct limit *limit, uint64_t now_ns)
{
    double wanted = limit->is_starting ? fmax(START_SAMPLES, 4 * limit->slots)
                                       : fmax(WINDOW_SAMPLES, 8 * limit->slots);
    return limit->window.samples >= wanted && now_ns >= limit->window.began_ns + WINDOW_LEAST_NS;
}

void limit_sample(struct limit *limit, uint8_t type, uint64_t service_ns, uint32_t pending,
                  uint64_t now_ns)
{
    if (!service_ns)
        return;
    struct limit_base *base = &limit->bases[type];
    struct limit_window *window = &limit->window;
    double log_ns = log2((double)service_ns);
    if (base->seen < (limit->is_starting ? START_SAMPLES : BASE_SAMPLES)) {
        base->seen++;
        base->log_ns += (float)((log_ns - base->log_ns) / base->seen);
        return;
    }
    double excess = log_ns - base->log_ns;
    if (is_quiet(limit, pending)) {
        base->seen += base->seen < BASE_MEMORY;
        base->log_ns += (float)(excess / base->seen);
    }
    base->samples++;
    base->sum += excess;
    bool counts = is_full(limit, pending);
    if (counts && !window->samples++) {
        window->began_ns = now_ns;
        window->before = limit->levels[level_of(pending)];
    }
    note_level(limit, pending, excess);
    if (!counts)
        return;
    window->sum += excess;
    window->squares += excess * excess;
    window->doubt += 1.0 / base->seen;
    window->pending_sum += pending;
    if (is_over(limit, now_ns))
        end_window(limit);
}
