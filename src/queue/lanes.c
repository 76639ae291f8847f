/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups and lanes: where a request waits, and whom it waits for. Lanes are made when they are first used and kept, so that a busy
 * queue allocates nothing but the growth of its heaps.
 */
#include "queue/private.h"

static struct queue_item *of_node(struct heap_node *node)
{
    return CONTAINER_OF(node, struct queue_item, node);
}

static struct queue_item *of_link(struct list *link)
{
    return CONTAINER_OF(link, struct queue_item, link);
}

/* ---- groups */

static void find_servers(const struct queue *queue, struct queue_group *group)
{
    uint64_t servers = 0;
    for (size_t i = 0; i < queue->server_count; i++) {
        const struct queue_server *server = &queue->servers[i];
        /* A mirror is no reason to wait for an original that is down. */
        if (server->is_there && server->spec.sets >> group->set & 1 &&
            (group->need != BALANCE_NEEDS_ORIGINAL || server->spec.role != BALANCE_MIRROR))
            servers |= 1ull << i;
    }
    if (group->pinned != QUEUE_NO_SERVER)
        servers = 1ull << group->pinned;
    if (group->except != QUEUE_NO_SERVER && servers & ~(1ull << group->except) & queue->usable)
        servers &= ~(1ull << group->except);
    group->servers = servers;
}

static size_t place_of(const struct queue_item *item)
{
    if (item->pinned != QUEUE_NO_SERVER)
        return GROUPS_OF_SETS + item->pinned;
    if (item->except != QUEUE_NO_SERVER)
        return (size_t)GROUPS_OF_SETS + GROUPS_PINNED +
               ((size_t)item->set * QUEUE_NEEDS + item->need) * QUEUE_SERVERS_MOST + item->except;
    return (size_t)item->set * QUEUE_NEEDS + item->need;
}

static struct queue_group *group_of(struct queue *queue, const struct queue_item *item)
{
    struct queue_group **place = &queue->group_table[place_of(item)];
    if (!*place) {
        struct queue_group *group = *place = NEW(struct queue_group);
        list_init(&group->link);
        group->set = item->set;
        group->pinned = item->pinned;
        group->except = item->except;
        group->need = item->need;
        find_servers(queue, group);
    }
    return *place;
}

void queue_groups_follow(struct queue *queue)
{
    for (size_t i = 0; i < QUEUE_GROUPS; i++)
        if (queue->group_table[i])
            find_servers(queue, queue->group_table[i]);
}

static void lane_free(struct queue_lane *lane)
{
    if (!lane)
        return;
    INVARIANT(!lane->deadlines.count);
    heap_clear(&lane->deadlines);
    memory_free(lane);
}

void queue_groups_free(struct queue *queue)
{
    for (size_t i = 0; i < QUEUE_GROUPS; i++) {
        struct queue_group *group = queue->group_table[i];
        for (size_t k = 0; group && k < (size_t)QUEUE_CLASSES * QUEUE_TYPES; k++)
            lane_free(group->lanes[k / QUEUE_TYPES][k % QUEUE_TYPES]);
        memory_free(group);
    }
}

/* ---- lanes */

struct queue_lane *queue_lane_of(struct queue *queue, const struct queue_item *item)
{
    struct queue_group *group = group_of(queue, item);
    struct queue_lane **place = &group->lanes[item->class][item->type];
    if (!*place) {
        struct queue_lane *lane = *place = NEW(struct queue_lane);
        list_init(&lane->arrivals);
        lane->group = group;
        lane->class = item->class;
        lane->type = item->type;
    }
    return *place;
}

/* `before`: whom it comes before in the order of arrivals; the list itself: at the end. */
static void add(struct queue *queue, struct queue_lane *lane, struct queue_item *item,
                struct list *before)
{
    struct queue_group *group = lane->group;
    item->lane = lane;
    heap_put(&lane->deadlines, &item->node, item->deadline_ns);
    list_insert_before(before, &item->link);
    group->types[lane->class] |= (uint16_t)(1u << lane->type);
    if (!group->waiting++)
        list_push_back(&queue->groups, &group->link);
    queue->classes[lane->class].waiting++;
    queue->classes[lane->class].type_waiting[lane->type]++;
    queue->waiting++;
}

void queue_lane_add(struct queue *queue, struct queue_lane *lane, struct queue_item *item)
{
    /* Those that moved here from elsewhere may have come earlier than the last. */
    struct list *before = &lane->arrivals;
    while (before->previous != &lane->arrivals &&
           of_link(before->previous)->arrived_ns > item->arrived_ns)
        before = before->previous;
    add(queue, lane, item, before);
}

void queue_lane_remove(struct queue *queue, struct queue_item *item)
{
    struct queue_lane *lane = item->lane;
    struct queue_group *group = lane->group;
    struct queue_class *class = &queue->classes[lane->class];
    heap_remove(&lane->deadlines, &item->node);
    list_remove(&item->link);
    item->lane = NULL;
    if (!lane->deadlines.count)
        group->types[lane->class] &= (uint16_t) ~(1u << lane->type);
    if (!--group->waiting)
        list_remove(&group->link);
    class->type_waiting[lane->type]--;
    queue->waiting--;
    if (!--class->waiting)
        queue_order_emptied(queue, lane->class);
}

struct queue_item *queue_lane_soonest(const struct queue_lane *lane)
{
    return of_node(heap_first(&lane->deadlines));
}

struct queue_item *queue_lane_oldest(const struct queue_lane *lane)
{
    return of_link(lane->arrivals.next);
}

struct queue_item *queue_lane_newest(const struct queue_lane *lane)
{
    return of_link(lane->arrivals.previous);
}

struct queue_lane *queue_walk_next(struct queue *queue, uint8_t class, struct queue_walk *walk)
{
    if (!walk->group)
        walk->group = &queue->groups;
    while (!walk->types) {
        walk->group = walk->group->next;
        if (walk->group == &queue->groups)
            return NULL;
        walk->types = CONTAINER_OF(walk->group, struct queue_group, link)->types[class];
    }
    int type = __builtin_ctz(walk->types);
    walk->types &= walk->types - 1;
    return CONTAINER_OF(walk->group, struct queue_group, link)->lanes[class][type];
}

/* Both lists are in the order of arrival: one walk over the other lane merges them, as long as all go to the same one. */
static void untie_lane(struct queue *queue, struct queue_lane *lane)
{
    struct queue_lane *other = NULL;
    struct list *before = NULL;
    while (lane->deadlines.count) {
        struct queue_item *item = queue_lane_oldest(lane);
        queue_lane_remove(queue, item);
        item->pinned = QUEUE_NO_SERVER;
        struct queue_lane *now = queue_lane_of(queue, item);
        if (now != other)
            before = now->arrivals.next;
        other = now;
        while (before != &other->arrivals && of_link(before)->arrived_ns <= item->arrived_ns)
            before = before->next;
        add(queue, other, item, before);
    }
}

void queue_groups_untie(struct queue *queue, uint16_t server)
{
    struct queue_group *group = queue->group_table[GROUPS_OF_SETS + server];
    if (!group || !group->waiting)
        return;
    for (size_t i = 0; i < (size_t)QUEUE_CLASSES * QUEUE_TYPES; i++)
        if (group->lanes[i / QUEUE_TYPES][i % QUEUE_TYPES])
            untie_lane(queue, group->lanes[i / QUEUE_TYPES][i % QUEUE_TYPES]);
}
