/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounded ring of byte records for many writers and one reader, without a lock: a writer that
 * finds no room gives up, a reader that finds nothing complete comes back.
 */
#ifndef OBSERVE_RING_H
#define OBSERVE_RING_H

#include "base/span.h"

#include <stdatomic.h>

/* Records lie one behind the other, each behind a header word; unused bytes are zero, so that a
 * header that is not zero belongs to a complete record. A record never wraps: what is left at the
 * end is skipped. */
struct ring {
    uint8_t *bytes;
    uint64_t size;         /* a power of two */
    _Atomic uint64_t head; /* given out to writers */
    _Atomic uint64_t tail; /* read and zeroed again */
};

void ring_init(struct ring *ring, uint64_t size);
void ring_clear(struct ring *ring);

/* False when there is no room. The record is at most a quarter of the ring. Any thread. */
bool ring_put(struct ring *ring, struct span record);

/* The oldest record, valid until ring_pop(); false when there is no complete one. The reader's
 * thread. */
bool ring_front(struct ring *ring, struct span *record);
void ring_pop(struct ring *ring);

bool ring_is_empty(const struct ring *ring); /* as the reader sees it */

#endif
