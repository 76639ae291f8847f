/* SPDX-License-Identifier: Apache-2.0
 *
 * Brotli (RFC 7932), by Google's library: 5 MB at level 6, four times that at level 8. It gathers blocks of up to 64 KiB before it writes
 * anything, and of 256 KiB from level 9 on, which takes too long for a loop.
 */
#include "encode/encode.h"

#include "base/memory.h"

#include <brotli/encode.h>

struct brotli {
    BrotliEncoderState *encoder;
    size_t bytes, bytes_most; /* now, and when it was most */
};

/* With its length before it. */
static void *take_memory(void *opaque, size_t size)
{
    struct brotli *brotli = opaque;
    size_t *memory = memory_raw(sizeof(max_align_t) + size);
    memory[0] = size;
    brotli->bytes += size;
    if (brotli->bytes > brotli->bytes_most)
        brotli->bytes_most = brotli->bytes;
    return (uint8_t *)memory + sizeof(max_align_t);
}

static void free_memory(void *opaque, void *memory)
{
    struct brotli *brotli = opaque;
    if (!memory)
        return;
    size_t *start = (size_t *)(void *)((uint8_t *)memory - sizeof(max_align_t));
    brotli->bytes -= start[0];
    memory_free(start);
}

static uint32_t window_for(const struct encode_settings *settings)
{
    uint32_t log = BROTLI_MIN_WINDOW_BITS;
    while (log < settings->window_log && (1ull << log) - 16 < settings->length)
        log++; /* a window is 16 bytes less than the power of two */
    return log;
}

static void *brotli_open(const struct encode_settings *settings)
{
    struct brotli *brotli = NEW(struct brotli);
    BrotliEncoderState *encoder = BrotliEncoderCreateInstance(take_memory, free_memory, brotli);
    INVARIANT(encoder);
    brotli->encoder = encoder;
    BrotliEncoderSetParameter(encoder, BROTLI_PARAM_QUALITY, (uint32_t)settings->level);
    BrotliEncoderSetParameter(encoder, BROTLI_PARAM_LGWIN, window_for(settings));
    if (settings->length < UINT32_MAX)
        BrotliEncoderSetParameter(encoder, BROTLI_PARAM_SIZE_HINT, (uint32_t)settings->length);
    return brotli;
}

static void brotli_close(void *state)
{
    struct brotli *brotli = state;
    BrotliEncoderDestroyInstance(brotli->encoder);
    memory_free(brotli);
}

static void brotli_put(void *state, struct span data, enum encode_then then,
                       struct slice_queue *out)
{
    static const BrotliEncoderOperation operations[] = {[ENCODE_MORE] = BROTLI_OPERATION_PROCESS,
                                                        [ENCODE_FLUSH] = BROTLI_OPERATION_FLUSH,
                                                        [ENCODE_END] = BROTLI_OPERATION_FINISH};
    struct brotli *brotli = state;
    const uint8_t *next = data.data;
    size_t left = data.length, no_room = 0;
    do {
        BROTLI_BOOL is_good = BrotliEncoderCompressStream(brotli->encoder, operations[then], &left,
                                                          &next, &no_room, NULL, NULL);
        INVARIANT(is_good);
        size_t length = 0;
        const uint8_t *bytes = BrotliEncoderTakeOutput(brotli->encoder, &length);
        if (length)
            slice_queue_append(out, span_of(bytes, length));
    } while (left || BrotliEncoderHasMoreOutput(brotli->encoder));
    INVARIANT(then != ENCODE_END || BrotliEncoderIsFinished(brotli->encoder));
}

static size_t brotli_bytes(const void *state)
{
    const struct brotli *brotli = state;
    return sizeof *brotli + brotli->bytes_most;
}

const struct encode_coder encode_brotli = {.level_least = 0,
                                           .level_most = 6,
                                           .level_stored = 11,
                                           .level_stored_large = 9,
                                           .bytes_most = 6 << 20,
                                           .open = brotli_open,
                                           .close = brotli_close,
                                           .put = brotli_put,
                                           .bytes = brotli_bytes};
