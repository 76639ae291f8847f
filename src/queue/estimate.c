/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a request that comes now would wait: the servers' time that is wanted before it, through the slots that its class gets.
 * What is left over of the truth (servers that slow each other down, requests that go away) is learnt from how long earlier
 * requests really waited, beside what had been foretold for them. (L5, S6)
 */
#include "queue/private.h"

#include <math.h>

enum {
    HELD_PART = 64,       /* a sample moves the mean of its type by so much */
    CORRECTION_PART = 32, /* likewise for what estimates were wrong by */
    RECENT_PART = 16,     /* and for waits in a standing queue */
    LEFT_PART = 16,       /* of the target: whoever waited for longer was left over */
    SHARE_WHOLE = 100,
    SHARE_LEAST = 2, /* percent of the slots that a class is taken to get without a share */
};

#define HELD_UNKNOWN_NS 50e6 /* until something has been served */
#define RATE_NS         2e9  /* what came is forgotten with this time constant */
#define LEVEL_NS        1e9
#define RATIO_MOST      4.0

/* ---- rates and levels */

double queue_rate_now(const struct queue_rate *rate, uint64_t now_ns)
{
    return now_ns > rate->at_ns ? rate->per_s * exp(-(double)(now_ns - rate->at_ns) / RATE_NS)
                                : rate->per_s;
}

void queue_rate_add(struct queue_rate *rate, double amount, uint64_t now_ns)
{
    rate->per_s = queue_rate_now(rate, now_ns) + amount / (RATE_NS / 1e9);
    if (now_ns > rate->at_ns)
        rate->at_ns = now_ns;
}

double queue_level_mean(const struct queue_level *level, uint64_t now_ns)
{
    if (now_ns <= level->at_ns)
        return level->mean;
    double old = exp(-(double)(now_ns - level->at_ns) / LEVEL_NS);
    return level->now + (level->mean - level->now) * old;
}

void queue_load_note(struct queue *queue, uint64_t now_ns)
{
    queue->load.mean = queue_level_mean(&queue->load, now_ns);
    queue->load.now = (double)(queue->pending + queue->waiting) / (queue->slots ? queue->slots : 1);
    queue->load.at_ns = now_ns;
}

/* ---- what is wanted */

/* Of all types alike: of a request that is not known any better. */
static double held_of_any(const struct queue *queue)
{
    double sum = 0;
    uint32_t known = 0;
    for (int i = 0; i < QUEUE_TYPES; i++) {
        sum += queue->held_ns[i];
        known += queue->held_seen[i] > 0;
    }
    return known ? sum / known : HELD_UNKNOWN_NS;
}

double queue_held_ns(const struct queue *queue, uint8_t type)
{
    return queue->held_seen[type] ? queue->held_ns[type] : held_of_any(queue);
}

void queue_held_add(struct queue *queue, uint8_t class, uint8_t type, uint64_t held_ns)
{
    if (queue->held_seen[type] < HELD_PART)
        queue->held_seen[type]++;
    queue->held_ns[type] += ((double)held_ns - queue->held_ns[type]) / queue->held_seen[type];
    double *mean = &queue->classes[class].held_ns;
    *mean += ((double)held_ns - *mean) / (*mean > 0 ? HELD_PART : 1);
}

double queue_backlog_ns(const struct queue *queue, uint8_t class)
{
    const struct queue_class *self = &queue->classes[class];
    double sum = 0;
    for (uint8_t type = 0; self->waiting && type < QUEUE_TYPES; type++)
        if (self->type_waiting[type])
            sum += self->type_waiting[type] * queue_held_ns(queue, type);
    return sum;
}

/* ---- the wait */

static double through_queue(const struct queue *queue, uint8_t class, double own_ns,
                            uint64_t now_ns)
{
    double slots = queue->slots ? queue->slots : 1;
    double mine = queue_backlog_ns(queue, class) + own_ns, ahead = mine, above = 0, below = 0;
    for (uint8_t i = 0; i < class; i++) {
        ahead += queue_backlog_ns(queue, i);
        above += queue_rate_now(&queue->classes[i].work, now_ns) / 1e9;
    }
    for (uint8_t i = (uint8_t)(class + 1); i < (uint8_t)QUEUE_CLASSES; i++)
        if (queue->classes[i].waiting)
            below += queue->settings.share_percent[i];
    double share = fmax(queue->settings.share_percent[class], SHARE_LEAST) / SHARE_WHOLE;
    double free =
        slots * (1 - below / SHARE_WHOLE) - above - queue_order_reserve(queue, class, now_ns);
    double least = slots * share;
    double by_share = mine / least;
    return free > least ? fmin(ahead / free, by_share) : by_share;
}

static bool stands(const struct queue *queue, uint8_t class)
{
    return queue->classes[class].is_standing && queue->settings.is_newest_first;
}

uint64_t queue_estimate_ns(const struct queue *queue, uint8_t class, double own_ns, uint64_t now_ns)
{
    bool is_waiting = false;
    if (stands(queue, class))
        return 0;
    for (uint8_t i = 0; i <= class; i++)
        is_waiting |= queue->classes[i].waiting > 0;
    if (!is_waiting && queue->pending + queue_order_reserve(queue, class, now_ns) < queue->slots)
        return 0;
    return (uint64_t)through_queue(queue, class, own_ns, now_ns);
}

uint64_t queue_wait_ns(const struct queue *queue, uint8_t class, double own_ns, uint64_t now_ns)
{
    const struct queue_class *self = &queue->classes[class];
    if (stands(queue, class))
        return (uint64_t)self->recent_wait_ns;
    double wait_ns = (double)queue_estimate_ns(queue, class, own_ns, now_ns);
    return (uint64_t)(wait_ns * self->correction);
}

/* From a standing queue the newest go, and most of them at once. Those left over, of whom a few are launched after very long when there is
 * a lull, say nothing of what a request that comes now may expect. */
static void note_recent(const struct queue *queue, struct queue_class *class, double waited_ns)
{
    if (waited_ns * LEFT_PART < (double)queue->settings.target_ns)
        class->recent_wait_ns += (waited_ns - class->recent_wait_ns) / RECENT_PART;
}

/* What is learnt goes by what was foretold without it: whoever is launched now was judged a whole wait ago, and what corrects
 * itself by what it said so long ago swings. Short ones are not judged: whether the next slot becomes free in one or two milliseconds nobody
 * can foretell. */
void queue_estimate_launched(struct queue *queue, const struct queue_item *item, uint64_t now_ns)
{
    struct queue_class *class = &queue->classes[item->class];
    double waited = (double)(now_ns - item->arrived_ns);
    if (class->is_standing) {
        note_recent(queue, class, waited);
        return;
    }
    double foretold = item->expected_us * 1e3;
    double turn = queue_held_ns(queue, item->type) / (queue->slots ? queue->slots : 1);
    if (foretold < 2 * turn)
        return;
    double ratio = fmin(fmax(waited / foretold, 1 / RATIO_MOST), RATIO_MOST);
    class->correction += (ratio - class->correction) / CORRECTION_PART;
}

/* ---- what is told */

void queue_report(const struct queue *queue, uint64_t now_ns, struct queue_report *report)
{
    double backlog = 0;
    *report = (struct queue_report){
        .waiting = queue->waiting,
        .pending = queue->pending,
        .slots = queue->slots,
        .rate_milli = (uint32_t)(queue_rate_now(&queue->finishes, now_ns) * 1000),
        .load_permille = (uint32_t)(queue_level_mean(&queue->load, now_ns) * 1000),
        .pushed = queue->pushed,
        .finished = queue->finished,
        .cancelled = queue->cancelled,
    };
    for (int i = 0; i < QUEUE_REASONS; i++)
        report->dropped[i] = queue->dropped[i];
    for (uint8_t i = 0; i < (uint8_t)QUEUE_CLASSES; i++) {
        const struct queue_class *class = &queue->classes[i];
        backlog += queue_backlog_ns(queue, i);
        report->classes[i] = (struct queue_class_report){
            .waiting = class->waiting,
            .wait_ns = queue_wait_ns(queue, i, held_of_any(queue), now_ns),
            .launched = class->launched,
            .share_percent = queue->settings.share_percent[i],
            .is_standing = class->is_standing,
        };
    }
    report->drain_ns = (uint64_t)(backlog / (queue->slots ? queue->slots : 1));
}
