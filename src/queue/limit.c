/* SPDX-License-Identifier: Apache-2.0
 *
 * The controller of a server's slots. The steady state where the server is saturated: it works on C at a time, with n pending a
 * request takes n/C of its base, so slots settle at C and the headroom; the headroom keeps the server busy between one answer
 * and the next request, and finds out when C has grown.
 */
#include "queue/limit.h"

#include <math.h>
#include <string.h>

enum {
    SLOTS_FIRST = 4,
    BASE_SAMPLES = 16,   /* of a type, that make its first base whatever is pending */
    BASE_FOLLOWS = 64,   /* a quiet sample moves the base by 1/64 of the difference */
    WINDOW_SAMPLES = 32, /* at least, and two for each slot */
    WINDOW_SAMPLES_MOST = 512,
    TYPE_SAMPLES = 8, /* of a window, to say something of a type */
    QUIET_PART = 4,   /* quiet: at most 1/4 of the slots pending */
};

#define WINDOW_LEAST_NS 100000000ull
#define EXCESS_SEEN     0.2 /* log2: 15 % over the base */
#define FALL_TRIED \
    0.6 /* so much of what was pending has been tried before it is said that less does not help */
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
    if (pending > limit->pending_most)
        limit->pending_most = pending;
}

static void move_bases(struct limit *limit, double by)
{
    for (int i = 0; i < QUEUE_TYPES; i++)
        limit->bases[i].log_ns += (float)by;
    limit->excess -= by;
    limit->fall_excess -= by;
}

/* A type that is clearly faster than its base was learnt: the base was learnt under load, or the server has become faster. */
static void follow_down(struct limit *limit, double deviation)
{
    for (int i = 0; i < QUEUE_TYPES; i++) {
        if (limit->type_samples[i] < TYPE_SAMPLES)
            continue;
        double mean = limit->type_sums[i] / limit->type_samples[i];
        if (mean < -2 * deviation / sqrt(limit->type_samples[i]))
            limit->bases[i].log_ns += (float)(mean / 2);
    }
}

/* With much less pending than when slots began to fall, requests take nearly as long: the server itself has become slower, and
 * giving it less to do would only waste it. */
static bool is_in_vain(const struct limit *limit, double pending)
{
    if (!(limit->fall_pending > 0) || pending > limit->fall_pending * FALL_TRIED)
        return false;
    return limit->excess > limit->fall_excess - log2(limit->fall_pending / pending) / 2;
}

static void note_fall(struct limit *limit, double pending)
{
    if (limit->excess < EXCESS_SEEN) {
        limit->fall_pending = 0;
    } else if (!(limit->fall_pending > 0)) {
        limit->fall_pending = pending;
        limit->fall_excess = limit->excess;
    }
}

static void adjust(struct limit *limit, double mean_pending)
{
    bool is_used = limit->pending_most + 1 >= limit_slots(limit);
    if (is_in_vain(limit, mean_pending)) {
        move_bases(limit, limit->excess);
        limit->fall_pending = 0;
    } else if (limit->slots <= limit->least && limit->excess > EXCESS_SEEN && is_used) {
        move_bases(limit, limit->excess / 4); /* less cannot be tried */
    }
    note_fall(limit, mean_pending);
    if (limit->excess > EXCESS_SEEN)
        limit->is_starting = false;
    double target = limit->slots / exp2(fmax(limit->excess, 0)) + sqrt(limit->slots) / 2;
    if (target < limit->slots)
        limit->slots -= fmin(limit->slots - target, limit->slots * SHRINK_MOST);
    else if (is_used)
        limit->slots = limit->is_starting ? limit->slots * 2 : target;
    clamp(limit);
}

static void end_window(struct limit *limit, uint64_t now_ns)
{
    double samples = limit->samples, mean = limit->sum / samples;
    double deviation = sqrt(fmax(limit->squares / samples - mean * mean, 0));
    /* The benefit of the doubt: a spread of service times is not an excess. */
    double doubt = deviation / sqrt(samples);
    mean = mean > doubt ? mean - doubt : fmin(mean + doubt, 0);
    limit->excess = (limit->excess + mean) / 2;
    follow_down(limit, deviation);
    adjust(limit, limit->pending_sum / samples);

    limit->began_ns = now_ns;
    limit->samples = limit->pending_most = 0;
    limit->sum = limit->squares = limit->pending_sum = 0;
    memset(limit->type_samples, 0, sizeof limit->type_samples);
    memset(limit->type_sums, 0, sizeof limit->type_sums);
}

static bool is_window_over(const struct limit *limit, uint64_t now_ns)
{
    double wanted = fmin(fmax(WINDOW_SAMPLES, 2 * limit->slots), WINDOW_SAMPLES_MOST);
    return limit->samples >= wanted && now_ns >= limit->began_ns + WINDOW_LEAST_NS;
}

void limit_sample(struct limit *limit, uint8_t type, uint64_t service_ns, uint32_t pending,
                  uint64_t now_ns)
{
    if (!service_ns)
        return;
    struct limit_base *base = &limit->bases[type];
    double log_ns = log2((double)service_ns);
    if (base->seen < BASE_SAMPLES) {
        base->seen++;
        base->log_ns += (float)((log_ns - base->log_ns) / base->seen);
        return;
    }
    double excess = log_ns - base->log_ns;
    if (pending <= 1 || pending * QUIET_PART <= limit_slots(limit))
        base->log_ns += (float)(excess / BASE_FOLLOWS);
    if (!limit->samples && !limit->began_ns)
        limit->began_ns = now_ns;
    limit->samples++;
    limit->type_samples[type]++;
    limit->sum += excess;
    limit->squares += excess * excess;
    limit->type_sums[type] += excess;
    limit->pending_sum += pending;
    if (is_window_over(limit, now_ns))
        end_window(limit, now_ns);
}
