/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is next. Between classes the higher goes first, with two corrections: a class that waits gets at least its share of the
 * servers' time, and a lower class leaves some slots free while higher requests come, so that these need not wait for a slot. Within
 * a class by deadline, until its queue stands: then the newest first, because the old would wait in vain and make all others
 * late (adaptive LIFO and controlled delay, as in Maurer, "Fail at Scale", 2015). (L4, L6, L10)
 */
#include "queue/private.h"

#include <math.h>

enum {
    SHARE_WHOLE = 100,
    RESERVE_SLOTS_LEAST = 4, /* where there are fewer slots in all, none is reserved */
    TURNS_ENOUGH = 16,       /* servers finish so many while one of a higher class is served */
    CREDIT_MOST = 4,         /* of requests, that a class may have saved */
};

#define PEAK_HALVED_NS 5e9 /* what higher classes needed is half forgotten after so long */

/* ---- within a class */

static bool is_newest_first(const struct queue *queue, uint8_t class)
{
    return queue->classes[class].is_standing && queue->settings.is_newest_first;
}

uint64_t queue_order_patience_ns(const struct queue *queue, uint8_t class)
{
    return is_newest_first(queue, class) ? queue->settings.target_ns + queue->settings.interval_ns
                                         : UINT64_MAX;
}

static struct queue_item *first_of(const struct queue_lane *lane, bool newest)
{
    return newest ? queue_lane_newest(lane) : queue_lane_soonest(lane);
}

static bool is_before(const struct queue_item *a, const struct queue_item *b, bool newest)
{
    return newest ? a->arrived_ns > b->arrived_ns : a->deadline_ns < b->deadline_ns;
}

/* The first of the class that one of the servers with room may serve. */
static struct queue_item *first_for(struct queue *queue, uint8_t class, uint64_t room)
{
    struct queue_item *first = NULL;
    struct queue_walk walk = {0};
    bool newest = is_newest_first(queue, class);
    for (struct queue_lane *lane; (lane = queue_walk_next(queue, class, &walk));) {
        if (lane->passed_over == queue->round ||
            !queue_servers_for(queue, lane->group, lane->type, room))
            continue;
        struct queue_item *item = first_of(lane, newest);
        if (!first || is_before(item, first, newest))
            first = item;
    }
    return first;
}

static struct queue_item *next_of(struct queue *queue, uint8_t class, uint32_t reserve,
                                  uint64_t now_ns, uint16_t *server)
{
    uint64_t room = queue_servers_room(queue, reserve);
    queue->round++;
    for (struct queue_item *item; room && (item = first_for(queue, class, room));) {
        const struct queue_lane *lane = item->lane;
        uint64_t servers = queue_servers_for(queue, lane->group, lane->type, room);
        *server = queue_server_pick(queue, item, lane->group, servers, now_ns);
        if (*server != QUEUE_NO_SERVER)
            return item;
        item->lane->passed_over = queue->round;
    }
    return NULL;
}

/* ---- between classes */

static double above_peak(const struct queue_class *class, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns > class->above_peak_ns ? now_ns - class->above_peak_ns : 0;
    return class->above_peak * exp2(-(double)passed_ns / PEAK_HALVED_NS);
}

static uint32_t pending_above(const struct queue *queue, uint8_t class)
{
    uint32_t pending = 0;
    for (uint8_t i = 0; i < class; i++)
        pending += queue->classes[i].pending;
    return pending;
}

/* Slots become free so often that a request of a higher class, which is the next to get one, need not have one kept: a few such turns
 * are little beside the time that it takes itself. */
static bool is_soon_free(const struct queue *queue, uint8_t class, uint64_t now_ns)
{
    double turns_per_ns = queue_rate_now(&queue->finishes, now_ns) / 1e9;
    for (uint8_t i = 0; i < class; i++)
        if (queue->classes[i].held_ns > 0 &&
            queue->classes[i].held_ns * turns_per_ns < TURNS_ENOUGH)
            return false;
    return true;
}

/* As many as higher classes lately needed beyond what they have, and one at least, within what the owner allows. */
uint32_t queue_order_reserve(const struct queue *queue, uint8_t class, uint64_t now_ns)
{
    double peak = above_peak(&queue->classes[class], now_ns);
    if (peak < 0.5 || queue->slots < RESERVE_SLOTS_LEAST || is_soon_free(queue, class, now_ns))
        return 0;
    uint32_t most =
        (queue->slots * queue->settings.reserve_percent + SHARE_WHOLE - 1) / SHARE_WHOLE;
    double wanted = fmax(ceil(peak) - pending_above(queue, class), 1);
    return wanted < most ? (uint32_t)wanted : most;
}

static bool is_due(const struct queue *queue, uint8_t class)
{
    const struct queue_class *self = &queue->classes[class];
    if (!self->waiting || !queue->settings.share_percent[class])
        return false;
    for (uint8_t type = 0; type < (uint8_t)QUEUE_TYPES; type++)
        if (self->type_waiting[type] && self->credit_ns >= queue_held_ns(queue, type))
            return true;
    return false;
}

static struct queue_item *next_due(struct queue *queue, uint64_t now_ns, uint16_t *server)
{
    bool higher_wait = queue->classes[0].waiting;
    for (uint8_t class = 1; class < (uint8_t)QUEUE_CLASSES; class ++) {
        if (higher_wait && is_due(queue, class)) {
            struct queue_item *item = next_of(queue, class, 0, now_ns, server);
            if (item)
                return item;
        }
        higher_wait |= queue->classes[class].waiting > 0;
    }
    return NULL;
}

struct queue_item *queue_order_next(struct queue *queue, uint64_t now_ns, uint16_t *server)
{
    queue_servers_sort(queue, now_ns);
    queue_servers_ramp(queue, now_ns);
    struct queue_item *item = next_due(queue, now_ns, server);
    queue->retry_ns = queue->ramping ? now_ns + QUEUE_RETRY_NS : UINT64_MAX;
    for (uint8_t class = 0; !item && class < QUEUE_CLASSES; class ++) {
        if (!queue->classes[class].waiting)
            continue;
        uint32_t reserve = queue_order_reserve(queue, class, now_ns);
        if (reserve)
            queue->retry_ns = now_ns + QUEUE_RETRY_NS;
        item = next_of(queue, class, reserve, now_ns, server);
    }
    return item;
}

static void share_out(struct queue *queue, const struct queue_item *item)
{
    double cost = queue_held_ns(queue, item->type);
    for (uint8_t class = 1; class < (uint8_t)QUEUE_CLASSES; class ++) {
        struct queue_class *self = &queue->classes[class];
        if (self->waiting)
            self->credit_ns += cost * queue->settings.share_percent[class] / SHARE_WHOLE;
        self->credit_ns = fmin(self->credit_ns, CREDIT_MOST * cost);
    }
    /* A class may be due for a quick request and launch a slow one: it owes the rest, but never more than its dearest did. */
    struct queue_class *own = &queue->classes[item->class];
    own->credit_ns = fmax(own->credit_ns - cost, fmin(own->credit_ns, -cost));
}

static void note_peaks(struct queue *queue, uint8_t launched, uint64_t now_ns)
{
    for (uint8_t class = (uint8_t)(launched + 1); class < (uint8_t)QUEUE_CLASSES; class ++) {
        struct queue_class *self = &queue->classes[class];
        double pending = pending_above(queue, class);
        if (pending < above_peak(self, now_ns))
            continue;
        self->above_peak = pending;
        self->above_peak_ns = now_ns;
    }
}

/* ---- standing */

static void stand(struct queue *queue, struct queue_class *class, bool is_standing)
{
    class->is_standing = is_standing;
    class->above_since_ns = 0;
    class->recent_wait_ns = 0;
    queue->wake_ns = 0; /* the longest wait is another now */
}

static uint64_t oldest_arrival(struct queue *queue, uint8_t class)
{
    uint64_t oldest = UINT64_MAX;
    struct queue_walk walk = {0};
    for (struct queue_lane *lane; (lane = queue_walk_next(queue, class, &walk));)
        if (queue_lane_oldest(lane)->arrived_ns < oldest)
            oldest = queue_lane_oldest(lane)->arrived_ns;
    return oldest;
}

static void judge(struct queue *queue, const struct queue_item *item, uint64_t now_ns)
{
    struct queue_class *class = &queue->classes[item->class];
    if (class->is_standing) {
        if (!class->waiting ||
            now_ns < oldest_arrival(queue, item->class) + queue->settings.target_ns)
            stand(queue, class, false);
    } else if (now_ns < item->arrived_ns + queue->settings.target_ns) {
        class->above_since_ns = 0;
    } else if (!class->above_since_ns) {
        class->above_since_ns = now_ns;
    } else if (class->waiting && now_ns >= class->above_since_ns + queue->settings.interval_ns) {
        stand(queue, class, true);
    }
}

void queue_order_launched(struct queue *queue, const struct queue_item *item, uint64_t now_ns)
{
    share_out(queue, item);
    note_peaks(queue, item->class, now_ns);
    judge(queue, item, now_ns);
}

void queue_order_emptied(struct queue *queue, uint8_t class)
{
    struct queue_class *self = &queue->classes[class];
    self->credit_ns = 0;
    if (self->is_standing || self->above_since_ns)
        stand(queue, self, false);
}

struct queue_item *queue_order_victim(struct queue *queue, uint8_t class)
{
    for (uint8_t lower = QUEUE_CLASSES - 1; lower > class; lower--) {
        struct queue_item *victim = NULL;
        struct queue_walk walk = {0};
        bool newest = is_newest_first(queue, lower);
        for (struct queue_lane *lane; (lane = queue_walk_next(queue, lower, &walk));) {
            /* Whoever would be served last. */
            struct queue_item *last = newest ? queue_lane_oldest(lane) : queue_lane_newest(lane);
            if (!victim || is_before(victim, last, newest))
                victim = last;
        }
        if (victim)
            return victim;
    }
    return NULL;
}
