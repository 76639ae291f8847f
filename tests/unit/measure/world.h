/* SPDX-License-Identifier: Apache-2.0
 *
 * Edges that report to one DNS node over a network in virtual time, with seeds: delay, loss,
 * duplication, reordering, and whoever records and replays.
 */
#ifndef TESTS_UNIT_MEASURE_WORLD_H
#define TESTS_UNIT_MEASURE_WORLD_H

#include "measure/measure.h"
#include "measure/status_wire.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MS_NS 1000000ull

enum { WORLD_EDGES = 10, WORLD_FLIGHTS = 4096 };

struct flight {
    uint64_t arrives_ns;
    bool is_report; /* else an EPOCH to `edge` */
    size_t edge, length;
    uint8_t bytes[STATUS_DATAGRAM_MAX];
};

struct world_edge {
    struct key private_key, public_key;
    struct status_sender sender;
    struct status_report report;
    bool is_running, is_cut; /* no process; no network */
};

struct world {
    struct random random;
    struct crypto crypto;
    uint64_t now_ns;
    struct key receiver_private, receiver_public, psk;
    struct status_receiver *receiver;
    size_t count;
    struct world_edge edges[WORLD_EDGES];
    unsigned loss_percent, duplicate_percent, jitter_ms, delay_ms;
    size_t flights_count;
    struct flight flights[WORLD_FLIGHTS];
    unsigned events[STATUS_EVENT_FAIL_CLOSED + 1];
    uint32_t last_label[STATUS_EVENT_FAIL_CLOSED + 1];
};

static inline void world_on_event(void *owner, enum status_event_kind kind,
                                  const struct status_edge *edge)
{
    struct world *world = owner;
    world->events[kind]++;
    if (edge)
        world->last_label[kind] = edge->label;
    assert_int_equal(edge == NULL,
                     kind == STATUS_EVENT_FAIL_OPEN || kind == STATUS_EVENT_FAIL_CLOSED);
}

static inline void world_start_receiver(struct world *world)
{
    status_receiver_free(&world->receiver);
    world->receiver = status_receiver_new(&world->crypto, &world->receiver_private, world->now_ns,
                                          world_on_event, world);
    for (size_t i = 0; i < world->count; i++)
        assert_int_equal(status_receiver_put(world->receiver, &world->edges[i].public_key,
                                             &world->psk, true, (uint32_t)i, world->now_ns),
                         0);
}

static inline void world_start_edge(struct world *world, size_t i)
{
    struct world_edge *edge = &world->edges[i];
    if (edge->is_running)
        status_sender_clear(&edge->sender);
    assert_int_equal(status_sender_init(&edge->sender, &world->crypto, &edge->private_key,
                                        &world->receiver_public, &world->psk, world->now_ns),
                     0);
    edge->is_running = true;
}

static inline void world_stop_edge(struct world *world, size_t i)
{
    status_sender_clear(&world->edges[i].sender);
    world->edges[i].is_running = false;
}

static inline struct world *world_new(uint64_t seed, size_t count)
{
    struct world *world = test_calloc(1, sizeof *world);
    random_seed(&world->random, seed);
    world->crypto = crypto_seeded(crypto_openssl(), &world->random);
    world->now_ns = 1000 * MS_NS;
    world->delay_ms = 20;
    world->count = count;
    key_generate(&world->crypto, &world->receiver_private);
    key_random(&world->crypto, &world->psk);
    world->crypto.public_key(&world->crypto, &world->receiver_private, &world->receiver_public);
    for (size_t i = 0; i < count; i++) {
        struct world_edge *edge = &world->edges[i];
        key_generate(&world->crypto, &edge->private_key);
        world->crypto.public_key(&world->crypto, &edge->private_key, &edge->public_key);
        edge->report.connections = (uint32_t)i;
    }
    world_start_receiver(world);
    for (size_t i = 0; i < count; i++) {
        world_start_edge(world, i);
        world->edges[i].sender.next_ns += random_below(&world->random, 250) * MS_NS;
    }
    return world;
}

static inline void world_free(struct world *world)
{
    for (size_t i = 0; i < world->count; i++)
        if (world->edges[i].is_running)
            world_stop_edge(world, i);
    status_receiver_free(&world->receiver);
    test_free(world);
}

static inline void world_send(struct world *world, size_t edge, bool is_report,
                              const uint8_t *bytes, size_t length)
{
    if (world->edges[edge].is_cut)
        return;
    unsigned copies = 1 + (random_below(&world->random, 100) < world->duplicate_percent);
    for (unsigned i = 0; i < copies; i++) {
        if (random_below(&world->random, 100) < world->loss_percent)
            continue;
        assert_true(world->flights_count < WORLD_FLIGHTS);
        struct flight *flight = &world->flights[world->flights_count++];
        uint64_t delay_ms = world->delay_ms + random_below(&world->random, world->jitter_ms + 1u);
        *flight = (struct flight){world->now_ns + delay_ms * MS_NS, is_report, edge, length, {0}};
        memcpy(flight->bytes, bytes, length);
    }
}

static inline int world_deliver_report(struct world *world, size_t edge, const uint8_t *bytes,
                                       size_t length)
{
    uint8_t reply[STATUS_EPOCH_BYTES];
    int result = status_receiver_receive(world->receiver, world->now_ns, span_of(bytes, length),
                                         reply, NULL);
    if (result == ERROR_AGAIN) {
        assert_true(sizeof reply <= length);
        world_send(world, edge, false, reply, sizeof reply);
    }
    return result;
}

static inline void world_step(struct world *world)
{
    for (size_t i = 0; i < world->flights_count;) {
        if (world->flights[i].arrives_ns > world->now_ns) {
            i++;
            continue;
        }
        struct flight flight = world->flights[i];
        world->flights[i] = world->flights[--world->flights_count];
        struct world_edge *edge = &world->edges[flight.edge];
        if (flight.is_report)
            (void)!world_deliver_report(world, flight.edge, flight.bytes, flight.length);
        else if (edge->is_running)
            (void)!status_sender_receive(&edge->sender, world->now_ns,
                                         span_of(flight.bytes, flight.length));
    }
    status_receiver_run(world->receiver, world->now_ns);
    for (size_t i = 0; i < world->count; i++) {
        struct world_edge *edge = &world->edges[i];
        if (edge->is_running && status_sender_wake(&edge->sender) <= world->now_ns) {
            uint8_t out[STATUS_DATAGRAM_MAX];
            size_t length = status_sender_write(&edge->sender, world->now_ns, &edge->report, out);
            world_send(world, i, true, out, length);
        }
    }
}

static inline void world_run_ms(struct world *world, uint64_t milliseconds)
{
    for (uint64_t i = 0; i < milliseconds; i++) {
        world->now_ns += MS_NS;
        world_step(world);
    }
}

static inline const struct status_edge *world_edge(const struct world *world, size_t i)
{
    return status_receiver_find(world->receiver, &world->edges[i].public_key);
}

static inline size_t world_usable(const struct world *world)
{
    size_t usable = 0;
    for (size_t i = 0; i < world->count; i++)
        usable += status_edge_is_usable(world_edge(world, i));
    return usable;
}

#endif
