/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams that wait in one direction of a flow (T12): few, and only as long as they are of use. A full queue drops its oldest:
 * what datagrams carry (voice, games, DNS) is worth most when it is new.
 */
#ifndef TRANSPORT_DATAGRAMS_H
#define TRANSPORT_DATAGRAMS_H

#include "base/slice.h"

enum { DATAGRAMS_LIMIT = 64 }; /* waiting in a queue */

struct datagram {
    struct slice bytes;
    uint64_t expires_ns; /* of no use from then on */
};

/* Zero-initialised is empty. */
struct datagram_queue {
    struct datagram *ring; /* DATAGRAMS_LIMIT places, or NULL before the first */
    uint32_t head, count;
    uint64_t bytes;
    uint64_t memory_bytes; /* what they take, empty ones too */
};

uint32_t datagram_memory(const struct slice *datagram);

void datagram_queue_clear(struct datagram_queue *queue);
/* Takes the datagram; true: the oldest one had to go for it. */
bool datagram_queue_push(struct datagram_queue *queue, struct slice *datagram, uint64_t expires_ns);
uint32_t datagram_queue_expire(struct datagram_queue *queue, uint64_t now_ns); /* dropped */
const struct slice *datagram_queue_front(const struct datagram_queue *queue);  /* NULL: empty */
struct slice datagram_queue_pop(struct datagram_queue *queue);                 /* not empty */

#endif
