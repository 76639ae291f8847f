/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoders of the libraries, for what src/encode has encoded: as far as it goes.
 */
#ifndef TESTS_UNIT_ENCODE_DECODE_H
#define TESTS_UNIT_ENCODE_DECODE_H

#include "base/memory.h"
#include "encode/encode.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

static inline size_t gunzip(struct span coded, uint8_t *out, size_t room, bool *is_whole)
{
    z_stream stream = {.next_in = (uint8_t *)(uintptr_t)coded.data,
                       .avail_in = (unsigned)coded.length,
                       .next_out = out,
                       .avail_out = (unsigned)room};
    int result = inflateInit2(&stream, 15 + 16);
    INVARIANT(result == Z_OK);
    result = inflate(&stream, Z_SYNC_FLUSH);
    *is_whole = result == Z_STREAM_END && !stream.avail_in;
    inflateEnd(&stream);
    return room - stream.avail_out;
}

static inline size_t unbrotli(struct span coded, uint8_t *out, size_t room, bool *is_whole)
{
    BrotliDecoderState *decoder = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    size_t left = room;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(decoder, &coded.length, &coded.data, &left, &out, NULL);
    *is_whole = result == BROTLI_DECODER_RESULT_SUCCESS && !coded.length;
    BrotliDecoderDestroyInstance(decoder);
    return room - left;
}

static inline size_t unzstd(struct span coded, uint8_t *out, size_t room, bool *is_whole)
{
    ZSTD_DCtx *decoder = ZSTD_createDCtx();
    ZSTD_inBuffer in = {coded.data, coded.length, 0};
    ZSTD_outBuffer to = {out, room, 0};
    size_t result = 1, before;
    do {
        before = in.pos + to.pos;
        result = ZSTD_decompressStream(decoder, &to, &in);
        INVARIANT(!ZSTD_isError(result));
    } while (in.pos + to.pos > before && result);
    *is_whole = result == 0 && in.pos == in.size;
    ZSTD_freeDCtx(decoder);
    return to.pos;
}

/* How many bytes came out; is_whole: that was the end, and nothing is behind it. */
static inline size_t decode(enum encoding encoding, const struct slice_queue *coded, uint8_t *out,
                            size_t room, bool *is_whole)
{
    uint8_t *bytes = memory_raw(coded->bytes + 1);
    struct span span = span_of(bytes, slice_queue_peek(coded, 0, bytes, (size_t)coded->bytes));
    size_t length = encoding == ENCODING_GZIP     ? gunzip(span, out, room, is_whole)
                    : encoding == ENCODING_BROTLI ? unbrotli(span, out, room, is_whole)
                                                  : unzstd(span, out, room, is_whole);
    memory_free(bytes);
    return length;
}

#endif
