/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of requests in the queue: in, out to a server, back from it; or out without one.
 */
#include "queue/private.h"

enum {
    HOPELESS_PERCENT = 125
}; /* an estimate over so much of what a request can wait is believed */

/* ---- life */

static void set_policy(struct queue *queue, const struct balance_policy *policy)
{
    if (queue->policy == policy)
        return;
    memory_free(queue->policy_state);
    queue->policy = policy;
    queue->policy_state = policy->state_bytes ? memory_new(policy->state_bytes) : NULL;
}

struct queue *queue_new(const struct queue_settings *settings, const struct balance_policy *policy,
                        struct random *random, const struct queue_costs *costs)
{
    struct queue *queue = NEW(struct queue);
    queue->settings = *settings;
    queue->random = random;
    queue->costs = costs;
    queue->wake_ns = queue->retry_ns = UINT64_MAX;
    list_init(&queue->groups);
    list_init(&queue->evicted.arrivals);
    for (int i = 0; i < QUEUE_CLASSES; i++)
        queue->classes[i].correction = 1;
    set_policy(queue, policy);
    return queue;
}

void queue_free(struct queue **freed)
{
    struct queue *queue = *freed;
    if (!queue)
        return;
    *freed = NULL;
    INVARIANT(!queue->waiting && list_is_empty(&queue->evicted.arrivals));
    queue_groups_free(queue);
    memory_free(queue->policy_state);
    memory_free(queue);
}

void queue_configure(struct queue *queue, const struct queue_settings *settings,
                     const struct balance_policy *policy, uint64_t now_ns)
{
    queue->settings = *settings;
    set_policy(queue, policy);
    for (size_t i = 0; i < queue->server_count; i++)
        limit_range(&queue->servers[i].limit, settings->slots_least, settings->slots_most);
    queue->sorted_at_ns = 0;
    queue_servers_sort(queue, now_ns);
    queue->wake_ns = now_ns;
}

/* ---- in */

static void check_item(const struct queue_item *item)
{
    INVARIANT(item->class < QUEUE_CLASSES && item->type < QUEUE_TYPES && item->set < QUEUE_SETS);
    INVARIANT(item->pinned < QUEUE_SERVERS_MOST || item->pinned == QUEUE_NO_SERVER);
    INVARIANT(item->except < QUEUE_SERVERS_MOST || item->except == QUEUE_NO_SERVER);
    INVARIANT((unsigned)item->need < QUEUE_NEEDS);
    INVARIANT(!item->lane);
}

/* A session stays with its server unless that is down, has gone, or failed this very request. */
static bool stays_pinned(const struct queue *queue, const struct queue_item *item)
{
    return item->pinned != QUEUE_NO_SERVER && item->pinned != item->except &&
           queue->there >> item->pinned & 1 && queue->servers[item->pinned].is_usable &&
           queue->servers[item->pinned].spec.sets >> item->set & 1;
}

static bool is_hopeless(const struct queue *queue, const struct queue_item *item, uint64_t now_ns)
{
    if (queue->settings.is_newest_first)
        return false; /* whoever came last has the best prospects */
    uint64_t most_ns = item->deadline_ns - now_ns;
    uint64_t wait_ns = queue_wait_ns(queue, item->class, queue_held_ns(queue, item->type), now_ns);
    return wait_ns / HOPELESS_PERCENT * 100 > most_ns;
}

static bool make_way(struct queue *queue, uint8_t class)
{
    struct queue_item *victim = queue_order_victim(queue, class);
    if (!victim)
        return false;
    queue_lane_remove(queue, victim);
    victim->lane = &queue->evicted;
    list_push_back(&queue->evicted.arrivals, &victim->link);
    queue->wake_ns = 0;
    return true;
}

static int refuse(struct queue *queue, enum queue_reason why, enum queue_reason *reason)
{
    queue->dropped[why]++;
    *reason = why;
    return ERROR_LIMIT;
}

int queue_push(struct queue *queue, struct queue_item *item, uint64_t now_ns,
               enum queue_reason *reason)
{
    check_item(item);
    queue->pushed++;
    uint64_t latest_ns = now_ns + queue->settings.patience_ns;
    if (!item->deadline_ns || item->deadline_ns > latest_ns)
        item->deadline_ns = latest_ns;
    if (item->deadline_ns <= now_ns)
        return refuse(queue, QUEUE_REASON_DEADLINE, reason);
    item->arrived_ns = now_ns;
    double own_ns = queue_held_ns(queue, item->type);
    uint64_t expected_us = queue_estimate_ns(queue, item->class, own_ns, now_ns) / 1000;
    item->expected_us = expected_us < UINT32_MAX ? (uint32_t)expected_us : UINT32_MAX;
    if (is_hopeless(queue, item, now_ns))
        return refuse(queue, QUEUE_REASON_HOPELESS, reason);
    if (queue->waiting >= queue->settings.length && !make_way(queue, item->class))
        return refuse(queue, QUEUE_REASON_FULL, reason);
    if (!stays_pinned(queue, item))
        item->pinned = QUEUE_NO_SERVER;
    queue_lane_add(queue, queue_lane_of(queue, item), item);
    queue_rate_add(&queue->classes[item->class].work, own_ns, now_ns);
    queue_load_note(queue, now_ns);
    if (item->deadline_ns < queue->wake_ns)
        queue->wake_ns = item->deadline_ns;
    return 0;
}

void queue_reclass(struct queue *queue, struct queue_item *item, uint8_t class, uint64_t now_ns)
{
    INVARIANT(class < QUEUE_CLASSES);
    if (!item->lane || item->lane == &queue->evicted || item->class == class)
        return;
    queue_lane_remove(queue, item);
    item->class = class;
    queue_lane_add(queue, queue_lane_of(queue, item), item);
    if (now_ns < queue->wake_ns)
        queue->wake_ns = now_ns;
}

/* ---- out to a server, and back */

void queue_begin(struct queue *queue, uint16_t number, uint8_t class, uint8_t type)
{
    INVARIANT(number < queue->server_count && queue->servers[number].is_there);
    struct queue_server *server = &queue->servers[number];
    struct queue_load *load = &queue->load_now;
    server->begun[type] = ++queue->begun[type];
    load->pending[number]++;
    load->type_pending[type][number]++;
    load->types[type]++;
    queue->pending++;
    queue->classes[class].pending++;
    limit_launched(&server->limit, load->pending[number]);
}

bool queue_next(struct queue *queue, uint64_t now_ns, struct queue_launch *launch)
{
    uint16_t server;
    struct queue_item *item = queue->waiting ? queue_order_next(queue, now_ns, &server) : NULL;
    if (!item)
        return false;
    queue_lane_remove(queue, item);
    queue_begin(queue, server, item->class, item->type);
    queue_estimate_launched(queue, item, now_ns);
    queue_order_launched(queue, item, now_ns);
    queue->classes[item->class].launched++;
    *launch = (struct queue_launch){item, server, now_ns - item->arrived_ns};
    return true;
}

void queue_finish(struct queue *queue, uint16_t number, uint8_t class, uint8_t type,
                  const struct queue_outcome *outcome, uint64_t now_ns)
{
    struct queue_load *load = &queue->load_now;
    INVARIANT(number < queue->server_count && load->type_pending[type][number] > 0 &&
              queue->classes[class].pending > 0);
    queue_server_answered(queue, number, type, outcome, now_ns);
    if (outcome->held_ns)
        queue_held_add(queue, class, type, outcome->held_ns);
    load->pending[number]--;
    load->type_pending[type][number]--;
    load->types[type]--;
    queue->pending--;
    queue->classes[class].pending--;
    queue->finished++;
    queue_rate_add(&queue->finishes, 1, now_ns);
    if (queue->servers[number].is_leaving && !load->pending[number])
        queue_server_left(queue, number);
    queue_servers_sort(queue, now_ns);
    queue_load_note(queue, now_ns);
}

/* ---- out without one */

void queue_cancel(struct queue *queue, struct queue_item *item)
{
    if (!item->lane)
        return;
    queue->cancelled++;
    if (item->lane == &queue->evicted) {
        list_remove(&item->link);
        item->lane = NULL;
    } else {
        queue_lane_remove(queue, item);
    }
}

static struct queue_item *drop_evicted(struct queue *queue)
{
    struct list *link = list_pop_front(&queue->evicted.arrivals);
    if (!link)
        return NULL;
    struct queue_item *item = CONTAINER_OF(link, struct queue_item, link);
    item->lane = NULL;
    return item;
}

/* One of the lane whose time is over; NULL: *wake_ns is no later than when there is one. */
static struct queue_item *overdue(const struct queue *queue, const struct queue_lane *lane,
                                  uint64_t now_ns, uint64_t *wake_ns, enum queue_reason *reason)
{
    struct queue_item *soonest = queue_lane_soonest(lane), *oldest = queue_lane_oldest(lane);
    uint64_t patience_ns = queue_order_patience_ns(queue, lane->class);
    uint64_t over_ns = patience_ns == UINT64_MAX ? UINT64_MAX : oldest->arrived_ns + patience_ns;
    if (soonest->deadline_ns <= now_ns) {
        *reason = QUEUE_REASON_DEADLINE;
        return soonest;
    }
    if (over_ns <= now_ns) {
        *reason = QUEUE_REASON_STANDING;
        return oldest;
    }
    uint64_t next_ns = soonest->deadline_ns < over_ns ? soonest->deadline_ns : over_ns;
    if (next_ns < *wake_ns)
        *wake_ns = next_ns;
    return NULL;
}

static struct queue_item *drop_overdue(struct queue *queue, uint64_t now_ns,
                                       enum queue_reason *reason)
{
    uint64_t wake_ns = UINT64_MAX;
    for (uint8_t class = QUEUE_CLASSES; class -- > 0;) {
        struct queue_walk walk = {0};
        for (struct queue_lane *lane; (lane = queue_walk_next(queue, class, &walk));) {
            struct queue_item *item = overdue(queue, lane, now_ns, &wake_ns, reason);
            if (!item)
                continue;
            queue_lane_remove(queue, item);
            return item;
        }
    }
    queue->wake_ns = wake_ns;
    return NULL;
}

struct queue_item *queue_dropped(struct queue *queue, uint64_t now_ns, enum queue_reason *reason)
{
    if (now_ns < queue->wake_ns)
        return NULL;
    struct queue_item *item = drop_evicted(queue);
    if (item)
        *reason = QUEUE_REASON_FULL;
    else
        item = drop_overdue(queue, now_ns, reason);
    if (item) {
        queue->dropped[*reason]++;
        queue_load_note(queue, now_ns);
    }
    return item;
}

uint64_t queue_wake_ns(const struct queue *queue)
{
    if (!queue->waiting && list_is_empty(&queue->evicted.arrivals))
        return UINT64_MAX;
    return queue->retry_ns < queue->wake_ns ? queue->retry_ns : queue->wake_ns;
}
