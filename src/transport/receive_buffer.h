/* SPDX-License-Identifier: Apache-2.0
 *
 * The incoming half of a stream (T6): puts the bytes in order. What arrives in order is ready to be
 * read at once; what came too early waits in runs, which the credit given to the sender bounds.
 *
 *     taken   next                        limit
 *      | ready |  runs ..  gaps  ..  runs   |
 */
#ifndef TRANSPORT_RECEIVE_BUFFER_H
#define TRANSPORT_RECEIVE_BUFFER_H

#include "base/error.h"
#include "base/slice.h"

enum { RECEIVE_RUNS_MAX = 2048 }; /* gaps in one stream */

struct receive_run {
    uint64_t offset;
    struct slice_queue bytes;
};

/* Zero-initialised is empty. */
struct receive_buffer {
    uint64_t taken;      /* moved to the reader */
    uint64_t next;       /* all before it has arrived */
    uint64_t highest;    /* end of what has arrived at all */
    uint64_t limit;      /* credit: no byte at or behind it may come */
    uint64_t final_size; /* valid when has_final */
    bool has_final;
    bool end_taken; /* the reader was told the end */
    struct slice_queue ready;
    struct receive_run *runs; /* sorted, apart from each other */
    uint32_t run_count, run_capacity;
};

void receive_buffer_clear(struct receive_buffer *buffer);

/* 0; ERROR_LIMIT: beyond the credit; ERROR_INVALID: against the final size; ERROR_AGAIN: too
 * many gaps, nothing changed: act as if the packet had not come. */
MUST_USE int receive_buffer_add(struct receive_buffer *buffer, uint64_t offset, struct span data,
                                bool fin);
/* Moves up to `limit` ready bytes to `bytes`; true: the end has been reached and told. */
bool receive_buffer_take(struct receive_buffer *buffer, struct slice_queue *bytes, uint64_t limit);

static inline bool receive_buffer_is_complete(const struct receive_buffer *buffer)
{
    return buffer->has_final && buffer->next == buffer->final_size;
}

static inline bool receive_buffer_is_readable(const struct receive_buffer *buffer)
{
    return buffer->ready.bytes || (receive_buffer_is_complete(buffer) && !buffer->end_taken);
}

#endif
