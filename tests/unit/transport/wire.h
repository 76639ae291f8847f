/* SPDX-License-Identifier: Apache-2.0
 *
 * Two lanes and what lies between them, in virtual time: packets are delayed, lost, repeated,
 * swapped or damaged as a seed or a callback says. Small on purpose; tests/sim has the full
 * network.
 */
#ifndef TEST_TRANSPORT_WIRE_H
#define TEST_TRANSPORT_WIRE_H

#include "base/heap.h"
#include "crypto/crypto.h"
#include "transport/transport.h"

enum { WIRE_EDGE, WIRE_GATEWAY, WIRE_ENDS };
enum { WIRE_WAYS = 3 }; /* between the same places of both ends' addresses */

#define MS     1000000ull
#define SECOND (1000 * MS)

struct wire;

/* What to do with a packet: false drops it. It may change the bytes. */
typedef bool wire_filter(struct wire *wire, int from, uint8_t *packet, uint32_t length);

struct wire_end {
    struct transport *transport;
    struct transport_config config;
    struct transport_listener *listener;
    struct address address;
    struct address more[WIRE_WAYS - 1]; /* locals 1 and up */
    uint32_t ups, downs;
};

struct wire {
    struct wire_end ends[WIRE_ENDS];
    struct crypto crypto;
    struct random secrets, random;
    uint64_t now_ns, delay_ns;
    struct heap packets;
    wire_filter *filter;
    void *argument;
    uint32_t loss_ppm, repeat_ppm, swap_ppm, damage_ppm;
    uint32_t ways; /* that the edge knows: 1 unless told otherwise */
    bool is_cut[WIRE_WAYS];
    uint64_t sent[WIRE_ENDS]; /* packets */
    uint64_t digest;          /* of all packets sent */
    void (*on_event)(struct wire *wire, int end, const struct transport_event *event);
};

/* Both lanes exist; nothing is dialled. `crypto` is the base of a seeded table. */
void wire_init(struct wire *wire, const struct crypto *crypto, uint64_t seed);
void wire_config(struct wire *wire, int end); /* fills ends[end].config */
void wire_start(struct wire *wire, int end);  /* (again) a fresh lane with its config */
void wire_clear(struct wire *wire);
void wire_dial(struct wire *wire);
void wire_route(struct wire *wire, uint32_t first, uint32_t count); /* the edge uses these ways */
void wire_step(struct wire *wire); /* lets both ends send, then moves to the next moment */
void wire_run(struct wire *wire, uint64_t for_ns);
/* Until `done` or `for_ns` has passed: whether it was done. */
bool wire_run_until(struct wire *wire, bool (*done)(struct wire *wire), uint64_t for_ns);

#endif
