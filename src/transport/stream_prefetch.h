/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams that will be needed soon, brought into the cache while a packet is sealed or opened. With ten thousand streams each
 * packet finds its stream cold, and half a dozen lines one after the other from memory cost more than the encryption. Wrong
 * guesses cost nothing but the fetch.
 */
#ifndef TRANSPORT_STREAM_PREFETCH_H
#define TRANSPORT_STREAM_PREFETCH_H

#include "base/memory.h"
#include "transport/lane.h"

static inline void prefetch_lines(const void *from, const void *to)
{
    for (const char *at = from; at < (const char *)to; at += CACHE_LINE_BYTES)
        __builtin_prefetch(at, 1);
}

/* What sending or an acknowledgement touches. NULL is fine. */
static inline void stream_prefetch_out(const struct transport_stream *stream)
{
    if (stream)
        prefetch_lines(stream, &stream->in);
}

/* What arrival touches. */
static inline void stream_prefetch_in(const struct transport_stream *stream)
{
    prefetch_lines(&stream->id, &stream->hosting);
}

#endif
