/* SPDX-License-Identifier: Apache-2.0
 *
 * The virtual network's loop and its pool of packets.
 */
#include "network.h"

#include "base/error.h"
#include "base/list.h"
#include "base/memory.h"

#include <string.h>

void sim_init(struct sim *sim, uint64_t seed)
{
    *sim = (struct sim){0};
    random_seed(&sim->random, seed);
}

static void free_all(struct sim_packet *packet)
{
    while (packet) {
        struct sim_packet *next = packet->next;
        memory_free(packet);
        packet = next;
    }
}

void sim_clear(struct sim *sim)
{
    heap_clear(&sim->timers);
    free_all(sim->free_models);
    free_all(sim->free_packets);
    *sim = (struct sim){0};
}

static void receive_nothing(struct sim_node *node, struct sim_packet *packet)
{
    sim_packet_free(node->sim, packet);
}

static uint64_t next_never(const struct sim_node *node)
{
    (void)node;
    return SIM_NEVER;
}

static void run_nothing(struct sim_node *node)
{
    (void)node;
}

void sim_node_init(struct sim_node *node, struct sim *sim, const char *name)
{
    *node = (struct sim_node){
        .sim = sim,
        .name = name,
        .receive = receive_nothing,
        .next = next_never,
        .run = run_nothing,
    };
}

void sim_node_clear(struct sim_node *node)
{
    heap_remove(&node->sim->timers, &node->timer);
}

void sim_node_wake(struct sim_node *node)
{
    struct sim *sim = node->sim;
    uint64_t next_ns = node->next(node);
    if (next_ns == SIM_NEVER)
        return;
    if (next_ns < sim->now_ns)
        next_ns = sim->now_ns;
    if (!heap_has(&node->timer) || node->timer.key > next_ns)
        heap_put(&sim->timers, &node->timer, next_ns);
}

void sim_deliver(struct sim_node *node, struct sim_packet *packet)
{
    node->receive(node, packet);
    sim_node_wake(node);
}

/* A timer may be early, never late: it was put when next() was sooner. */
static void put_again(struct sim *sim, struct sim_node *node, uint64_t next_ns)
{
    if (next_ns == SIM_NEVER)
        heap_remove(&sim->timers, &node->timer);
    else
        heap_put(&sim->timers, &node->timer, next_ns > sim->now_ns ? next_ns : sim->now_ns);
}

bool sim_run(struct sim *sim, uint64_t until_ns, bool (*is_done)(void *context), void *context)
{
    while (!is_done || !is_done(context)) {
        struct heap_node *first = heap_first(&sim->timers);
        if (!first || first->key > until_ns) {
            sim->now_ns = until_ns;
            return false;
        }
        struct sim_node *node = CONTAINER_OF(first, struct sim_node, timer);
        INVARIANT(first->key >= sim->now_ns);
        uint64_t next_ns = node->next(node);
        if (next_ns > first->key) {
            put_again(sim, node, next_ns);
            continue;
        }
        sim->now_ns = first->key;
        sim->runs++;
        node->run(node);
        put_again(sim, node, node->next(node));
    }
    return true;
}

struct sim_packet *sim_packet_new(struct sim *sim, uint32_t data_bytes)
{
    struct sim_packet **free = data_bytes ? &sim->free_packets : &sim->free_models;
    uint32_t capacity = data_bytes ? SIM_PACKET_BYTES : 0;
    sim->packets_made++;
    struct sim_packet *packet = *free;
    if (packet && data_bytes <= capacity) {
        *free = packet->next;
    } else {
        if (data_bytes > capacity)
            capacity = data_bytes;
        packet = memory_raw(sizeof(*packet) + capacity);
        sim->packets_allocated++;
    }
    memset(packet, 0, data_bytes ? sizeof(*packet) : offsetof(struct sim_packet, from));
    packet->capacity = capacity;
    packet->length = data_bytes;
    return packet;
}

struct sim_packet *sim_packet_copy(struct sim *sim, const struct sim_packet *packet)
{
    struct sim_packet *copy = sim_packet_new(sim, packet->capacity ? packet->length : 0);
    uint32_t capacity = copy->capacity;
    memcpy(copy, packet, sizeof(*copy));
    copy->capacity = capacity;
    if (packet->capacity)
        memcpy(copy->data, packet->data, packet->length);
    return copy;
}

void sim_packet_free(struct sim *sim, struct sim_packet *packet)
{
    if (packet->capacity > SIM_PACKET_BYTES) {
        memory_free(packet);
        return;
    }
    struct sim_packet **free = packet->capacity ? &sim->free_packets : &sim->free_models;
    packet->next = *free;
    *free = packet;
}
