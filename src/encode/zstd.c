/* SPDX-License-Identifier: Apache-2.0
 *
 * Zstandard (RFC 8878), by its library. 1.8 MB at level 3, 13 MB at level 9. The window is far below the 8 MiB that RFC 9659 wants every client to have.
 */
#include "encode/encode.h"

#include "base/memory.h"

#include <zstd.h>

enum { OUT_BYTES = 16384, WINDOW_LOG_LEAST = 10 };

static int window_for(const struct encode_settings *settings)
{
    unsigned log = WINDOW_LOG_LEAST;
    while (log < settings->window_log && 1ull << log < settings->length)
        log++;
    return (int)log;
}

static void set(ZSTD_CCtx *context, ZSTD_cParameter parameter, int value)
{
    size_t result = ZSTD_CCtx_setParameter(context, parameter, value);
    INVARIANT(!ZSTD_isError(result));
}

static void zstd_restart(void *state, const struct encode_settings *settings)
{
    size_t result = ZSTD_CCtx_reset(state, ZSTD_reset_session_and_parameters);
    INVARIANT(!ZSTD_isError(result));
    set(state, ZSTD_c_compressionLevel, settings->level);
    set(state, ZSTD_c_windowLog, window_for(settings));
}

static void *zstd_open(const struct encode_settings *settings)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    INVARIANT(context);
    zstd_restart(context, settings);
    return context;
}

static void zstd_close(void *state)
{
    ZSTD_freeCCtx(state);
}

static void zstd_put(void *state, struct span data, enum encode_then then, struct slice_queue *out)
{
    static const ZSTD_EndDirective directives[] = {
        [ENCODE_MORE] = ZSTD_e_continue, [ENCODE_FLUSH] = ZSTD_e_flush, [ENCODE_END] = ZSTD_e_end};
    uint8_t room[OUT_BYTES];
    ZSTD_inBuffer in = {data.data, data.length, 0};
    size_t left;
    do {
        ZSTD_outBuffer to = {room, sizeof room, 0};
        left = ZSTD_compressStream2(state, &to, &in, directives[then]);
        INVARIANT(!ZSTD_isError(left));
        if (to.pos)
            slice_queue_append(out, span_of(room, to.pos));
    } while (in.pos < in.size || (then != ENCODE_MORE && left));
}

static size_t zstd_bytes(const void *state)
{
    return ZSTD_sizeof_CCtx(state);
}

const struct encode_coder encode_zstd = {.level_least = 1,
                                         .level_most = 9,
                                         .level_stored = 12,
                                         .level_stored_large = 12,
                                         .bytes_most = 14 << 20,
                                         .open = zstd_open,
                                         .restart = zstd_restart,
                                         .close = zstd_close,
                                         .put = zstd_put,
                                         .bytes = zstd_bytes};
