/* SPDX-License-Identifier: Apache-2.0
 *
 * gzip (RFC 1952), by zlib: 32 KiB of window, 268 KB in all. Used again for the next answer.
 */
#include "encode/encode.h"

#include "base/memory.h"

#include <zlib.h>

enum {
    WINDOW_BITS = 15,
    GZIP_WRAPPER = 16,
    MEMORY_LEVEL = 8,
    OUT_BYTES = 16384,
};

struct gzip {
    z_stream stream;
    size_t bytes;
};

static void *take_memory(void *opaque, unsigned count, unsigned size)
{
    struct gzip *gzip = opaque;
    gzip->bytes += (size_t)count * size;
    return memory_resize(NULL, count, size);
}

static void free_memory(void *opaque, void *memory)
{
    (void)opaque;
    memory_free(memory);
}

static void *gzip_open(const struct encode_settings *settings)
{
    struct gzip *gzip = NEW(struct gzip);
    gzip->bytes = sizeof *gzip;
    gzip->stream.zalloc = take_memory;
    gzip->stream.zfree = free_memory;
    gzip->stream.opaque = gzip;
    int result = deflateInit2(&gzip->stream, settings->level, Z_DEFLATED,
                              WINDOW_BITS + GZIP_WRAPPER, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    INVARIANT(result == Z_OK);
    return gzip;
}

static void gzip_restart(void *state, const struct encode_settings *settings)
{
    struct gzip *gzip = state;
    int result = deflateReset(&gzip->stream);
    if (result == Z_OK)
        result = deflateParams(&gzip->stream, settings->level, Z_DEFAULT_STRATEGY);
    INVARIANT(result == Z_OK);
}

static void gzip_close(void *state)
{
    struct gzip *gzip = state;
    deflateEnd(&gzip->stream);
    memory_free(gzip);
}

static void gzip_put(void *state, struct span data, enum encode_then then, struct slice_queue *out)
{
    static const int flushes[] = {
        [ENCODE_MORE] = Z_NO_FLUSH, [ENCODE_FLUSH] = Z_SYNC_FLUSH, [ENCODE_END] = Z_FINISH};
    struct gzip *gzip = state;
    z_stream *stream = &gzip->stream;
    uint8_t room[OUT_BYTES];
    /* zlib does not write there, but has it without const. */
    stream->next_in = (uint8_t *)(uintptr_t)data.data;
    stream->avail_in = (unsigned)data.length;
    do {
        stream->next_out = room;
        stream->avail_out = sizeof room;
        int result = deflate(stream, flushes[then]);
        INVARIANT(result != Z_STREAM_ERROR);
        if (stream->avail_out < sizeof room)
            slice_queue_append(out, span_of(room, sizeof room - stream->avail_out));
    } while (stream->avail_out == 0);
    INVARIANT(stream->avail_in == 0);
}

static size_t gzip_bytes(const void *state)
{
    const struct gzip *gzip = state;
    return gzip->bytes;
}

const struct encode_coder encode_gzip = {.level_least = 1,
                                         .level_most = 9,
                                         .level_stored = 9,
                                         .level_stored_large = 9,
                                         .bytes_most = 300 << 10,
                                         .open = gzip_open,
                                         .restart = gzip_restart,
                                         .close = gzip_close,
                                         .put = gzip_put,
                                         .bytes = gzip_bytes};
