/* SPDX-License-Identifier: Apache-2.0
 *
 * The receiver's half. A piece is unpacked where it can serve as history for the next ones, and handed out from there: a chunk is
 * filled from the front; when the next piece has no room, another one takes its place, and begins with the history.
 */
#include "compress/private.h"

void unpacker_clear(struct unpacker *unpacker)
{
    if (unpacker->chunk)
        chunk_release(unpacker->chunk);
    *unpacker = (struct unpacker){0};
}

/* Room for so many bytes behind the history. */
static void make_room(struct unpacker *unpacker, uint32_t length)
{
    struct chunk *full = unpacker->chunk;
    uint32_t history = unpacker->end - unpacker->begin;
    if (full && full->capacity - unpacker->end >= length)
        return;
    uint32_t wanted = history + length;
    /* A short message takes no more than it needs. */
    struct chunk *chunk =
        full || wanted > CHUNK_BYTES ? chunk_new_sized(COMPRESS_BUFFER_BYTES) : chunk_new();
    if (full) {
        memcpy(chunk->data, full->data + unpacker->begin, history);
        chunk_release(full);
    }
    *unpacker = (struct unpacker){.chunk = chunk, .end = history};
}

int unpacker_take(struct unpacker *unpacker, struct compressor *compressor, struct span packed,
                  bool continues, uint32_t length, struct slice *piece)
{
    if (!length || length > COMPRESS_PIECE_BYTES || (continues && !unpacker->chunk)) {
        compressor_count(compressor, COMPRESS_REFUSED, 1);
        return ERROR_INVALID;
    }
    if (!continues)
        unpacker->begin = unpacker->end;
    make_room(unpacker, length);
    uint64_t began_ns = compressor_now(compressor);
    uint8_t *out = unpacker->chunk->data + unpacker->end;
    struct span history =
        span_of(out - (unpacker->end - unpacker->begin), unpacker->end - unpacker->begin);
    int result = compressor->codec->unpack(compressor->state, history, packed, out, length);
    if (compressor_unpacked(compressor, length, packed.length, began_ns, result) < 0)
        return ERROR_INVALID;
    chunk_retain(unpacker->chunk);
    *piece = (struct slice){unpacker->chunk, unpacker->end, length};
    unpacker->end += length;
    unpacker->chunk->filled = unpacker->end; /* nobody appends behind a piece that was handed out */
    if (unpacker->end - unpacker->begin > COMPRESS_HISTORY_BYTES)
        unpacker->begin = unpacker->end - COMPRESS_HISTORY_BYTES;
    return 0;
}
