/* SPDX-License-Identifier: Apache-2.0
 *
 * The model of one direction. All time is passed in; all chance comes from the path's own seeded generators.
 */
#include "path.h"

#include "base/list.h"
#include "base/memory.h"

#include <string.h>

enum { LATENESS_BUCKET_NS = 25000 };

static const uint64_t SECOND_NS = 1000000000;

struct packet *packet_new(struct packet_pool *pool)
{
    struct packet *packet = pool->free;
    if (packet)
        pool->free = packet->next_free;
    else
        packet = memory_raw(sizeof *packet + pool->packet_bytes);
    packet->due = (struct heap_node){0};
    packet->next_free = NULL;
    packet->flow = 0;
    packet->length = 0;
    return packet;
}

void packet_free(struct packet_pool *pool, struct packet *packet)
{
    packet->next_free = pool->free;
    pool->free = packet;
}

void packet_pool_clear(struct packet_pool *pool)
{
    while (pool->free) {
        struct packet *packet = pool->free;
        pool->free = packet->next_free;
        memory_free(packet);
    }
}

void path_init(struct path *path, struct packet_pool *pool)
{
    *path = (struct path){.pool = pool};
    path->set.queue_ns = 50 * 1000000;
    path->set.jitter_period_ns = 20 * 1000000;
    path->set.reorder_ns = 5 * 1000000;
    path->set.burst_leave = 1;
    path->set.burst_bad = 1;
}

static struct packet *held_packet(struct heap_node *node)
{
    return CONTAINER_OF(node, struct packet, due);
}

void path_clear(struct path *path)
{
    struct heap_node *node;
    while ((node = heap_first(&path->held))) {
        heap_remove(&path->held, node);
        packet_free(path->pool, held_packet(node));
    }
    heap_clear(&path->held);
}

void path_seed(struct path *path, uint64_t seed, unsigned direction)
{
    struct random seeds;
    random_seed(&seeds, seed * 2 + direction);
#define X(name) random_seed(&path->random.name, random_u64(&seeds));
    PATH_EFFECTS(X)
#undef X
    path->in_burst = false;
    path->jitter_at_ns = 0;
}

static bool happens(struct random *random, double chance)
{
    return chance > 0 && random_unit(random) < chance;
}

/* A value in [-1, 1). */
static double swing(struct random *random)
{
    return 2 * random_unit(random) - 1;
}

/* When the bottleneck has sent the packet, or false when the queue has no room for it. */
static bool pass_bottleneck(struct path *path, uint64_t size, uint64_t now_ns, uint64_t *sent_ns)
{
    const struct impairment *set = &path->set;
    *sent_ns = now_ns;
    if (!set->rate_bps)
        return true;
    uint64_t wait_ns = path->link_free_ns > now_ns ? path->link_free_ns - now_ns : 0;
    if (set->queue_ns && wait_ns > set->queue_ns)
        return false;
    double waiting_bytes = (double)wait_ns * (double)set->rate_bps / 8e9;
    if (set->queue_bytes && waiting_bytes + (double)size > (double)set->queue_bytes)
        return false;
    if (wait_ns > path->count.queue_max_ns)
        path->count.queue_max_ns = wait_ns;
    if (!wait_ns)
        path->link_carry = 0;
    uint64_t work = size * 8 * SECOND_NS + path->link_carry;
    path->link_carry = work % set->rate_bps;
    path->link_free_ns = *sent_ns = now_ns + wait_ns + work / set->rate_bps;
    return true;
}

/* Gilbert-Elliott: two states with a chance to change, and a loss in each. */
static bool burst_loses(struct path *path)
{
    const struct impairment *set = &path->set;
    if (set->burst_enter <= 0)
        return false;
    if (happens(&path->random.burst, path->in_burst ? set->burst_leave : set->burst_enter))
        path->in_burst = !path->in_burst;
    return happens(&path->random.burst, path->in_burst ? set->burst_bad : set->burst_good);
}

/* Between -jitter_ns and +jitter_ns. The path between random points keeps the mean and, while it is less
 * steep than time, the order. */
static int64_t jitter_at(struct path *path, uint64_t time_ns)
{
    const struct impairment *set = &path->set;
    if (!set->jitter_ns)
        return 0;
    double reach = (double)set->jitter_ns;
    if (set->jitter_reorders || !set->jitter_period_ns)
        return (int64_t)(reach * swing(&path->random.jitter));
    uint64_t period = set->jitter_period_ns;
    if (!path->jitter_at_ns || time_ns - path->jitter_at_ns > 1000 * period) {
        path->jitter_at_ns = time_ns;
        path->jitter_from = swing(&path->random.jitter);
        path->jitter_to = swing(&path->random.jitter);
    }
    while (time_ns - path->jitter_at_ns >= period) {
        path->jitter_at_ns += period;
        path->jitter_from = path->jitter_to;
        path->jitter_to = swing(&path->random.jitter);
    }
    double along = (double)(time_ns - path->jitter_at_ns) / (double)period;
    return (int64_t)(reach * (path->jitter_from + (path->jitter_to - path->jitter_from) * along));
}

/* When a packet that the bottleneck has sent arrives at the far end. */
static uint64_t arrival(struct path *path, uint64_t sent_ns)
{
    const struct impairment *set = &path->set;
    int64_t delay_ns = (int64_t)set->delay_ns + jitter_at(path, sent_ns);
    uint64_t due_ns = sent_ns + (delay_ns > 0 ? (uint64_t)delay_ns : 0);
    if (happens(&path->random.reorder, set->reorder)) {
        path->count.reordered++;
        return due_ns + set->reorder_ns;
    }
    if (set->jitter_reorders)
        return due_ns;
    if (due_ns < path->last_due_ns)
        due_ns = path->last_due_ns;
    path->last_due_ns = due_ns;
    return due_ns;
}

static void hold(struct path *path, struct packet *packet, uint64_t due_ns)
{
    if (path->held.count >= HELD_LIMIT) {
        path->count.dropped_limit++;
        packet_free(path->pool, packet);
        return;
    }
    heap_put(&path->held, &packet->due, due_ns);
}

/* True when the packet is lost on the way, and counted. */
static bool is_lost(struct path *path, const struct packet *packet, uint64_t now_ns,
                    uint64_t *sent_ns)
{
    if (path->set.is_down) {
        path->count.dropped_down++;
        return true;
    }
    if (!pass_bottleneck(path, packet->length + path->set.overhead_bytes, now_ns, sent_ns)) {
        path->count.dropped_queue++;
        return true;
    }
    if (happens(&path->random.loss, path->set.loss)) {
        path->count.lost_random++;
        return true;
    }
    if (burst_loses(path)) {
        path->count.lost_burst++;
        return true;
    }
    return false;
}

void path_put(struct path *path, struct packet *packet, uint64_t now_ns)
{
    path->count.received++;
    path->count.received_bytes += packet->length;
    uint64_t sent_ns;
    if (is_lost(path, packet, now_ns, &sent_ns)) {
        packet_free(path->pool, packet);
        return;
    }
    if (packet->length && happens(&path->random.corrupt, path->set.corrupt)) {
        uint64_t bit = random_below(&path->random.corrupt, (uint64_t)packet->length * 8);
        packet->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        path->count.corrupted++;
    }
    uint64_t due_ns = arrival(path, sent_ns);
    if (happens(&path->random.duplicate, path->set.duplicate)) {
        struct packet *copy = packet_new(path->pool);
        copy->length = packet->length;
        copy->flow = packet->flow;
        memcpy(copy->data, packet->data, packet->length);
        path->count.duplicated++;
        hold(path, copy, due_ns);
    }
    hold(path, packet, due_ns);
}

uint64_t path_wake(const struct path *path)
{
    const struct heap_node *first = heap_first(&path->held);
    return first ? first->key : UINT64_MAX;
}

struct packet *path_take(struct path *path, uint64_t now_ns, uint64_t until_ns)
{
    struct heap_node *first;
    while ((first = heap_first(&path->held)) && first->key <= until_ns) {
        struct packet *packet = held_packet(first);
        uint64_t late_ns = now_ns > first->key ? now_ns - first->key : 0;
        heap_remove(&path->held, first);
        if (path->set.is_down) {
            path->count.dropped_down++;
            packet_free(path->pool, packet);
            continue;
        }
        path->count.delivered++;
        path->count.delivered_bytes += packet->length;
        path->count.late_sum_ns += late_ns;
        if (late_ns > path->count.late_max_ns)
            path->count.late_max_ns = late_ns;
        uint64_t bucket = late_ns / LATENESS_BUCKET_NS;
        path->count.late[bucket < LATENESS_BUCKETS ? bucket : LATENESS_BUCKETS - 1]++;
        return packet;
    }
    return NULL;
}

uint64_t path_lateness(const struct path *path, double share)
{
    uint64_t seen = 0;
    for (uint64_t i = 0; i < LATENESS_BUCKETS; i++) {
        seen += path->count.late[i];
        if ((double)seen >= share * (double)path->count.delivered)
            return (i + 1) * LATENESS_BUCKET_NS;
    }
    return LATENESS_BUCKETS * (uint64_t)LATENESS_BUCKET_NS;
}
