/* SPDX-License-Identifier: Apache-2.0
 *
 * The sender's half: when to try, and pieces with their history.
 *
 *   trial (8 KiB) -- gain --> pieces of 32 KiB -- no gain --+
 *      ^                                                    |
 *      +---- 1 MiB later, plain ----------------------------+
 */
#include "compress/private.h"

enum {
    SAMPLE_BYTES = 1024,
    SAMPLE_SQUARES = 8192, /* of the counts of its bytes: random ones have 5100, text 40000 */
};

void packer_init(struct packer *packer, struct compressor *compressor)
{
    *packer = (struct packer){.compressor = compressor};
    list_init(&packer->link);
}

/* The next piece begins afresh. */
static void forget(struct packer *packer)
{
    if (!packer->buffer)
        return;
    list_remove(&packer->link);
    packer->compressor->packer_count--;
    memory_free(packer->buffer);
    packer->buffer = NULL;
    packer->end = 0;
    packer->is_begun = false;
}

void packer_clear(struct packer *packer)
{
    if (packer->compressor)
        forget(packer);
    *packer = (struct packer){0};
}

/* In the buffer, behind the history. */
static uint8_t *room_for_piece(struct packer *packer)
{
    struct compressor *compressor = packer->compressor;
    if (!packer->buffer) {
        if (compressor->packer_count == COMPRESS_PACKERS_LIMIT) {
            compressor_count(compressor, COMPRESS_EVICTED, 1);
            forget(CONTAINER_OF(compressor->packers.next, struct packer, link));
        }
        packer->buffer = memory_raw(COMPRESS_BUFFER_BYTES);
        compressor->packer_count++;
    }
    list_remove(&packer->link);
    list_push_back(&compressor->packers, &packer->link);
    if (packer->end > COMPRESS_BUFFER_BYTES - COMPRESS_PIECE_BYTES) {
        memmove(packer->buffer, packer->buffer + packer->end - COMPRESS_HISTORY_BYTES,
                COMPRESS_HISTORY_BYTES);
        packer->end = COMPRESS_HISTORY_BYTES;
    }
    return packer->buffer + packer->end;
}

/* Encrypted or compressed bytes are told from all others by how evenly they spread. */
static bool looks_random(struct span sample)
{
    uint16_t counts[256] = {0};
    uint32_t squares = 0;
    if (sample.length < SAMPLE_BYTES)
        return false;
    for (size_t i = 0; i < SAMPLE_BYTES; i++)
        counts[sample.data[i]]++;
    for (size_t i = 0; i < 256; i++)
        squares += (uint32_t)counts[i] * counts[i];
    return squares < SAMPLE_SQUARES;
}

static void rest(struct packer *packer, uint32_t length, enum compress_count why)
{
    forget(packer);
    packer->is_proven = false;
    packer->rest_bytes = COMPRESS_REST_BYTES;
    compressor_count(packer->compressor, why, length);
}

uint32_t packer_plan(struct packer *packer, uint64_t bytes, bool *packs)
{
    uint64_t most = packer->is_proven ? COMPRESS_PIECE_BYTES : COMPRESS_TRIAL_BYTES;
    *packs = packer->compressor && !packer->rest_bytes && bytes >= COMPRESS_PIECE_LEAST;
    if (*packs)
        return (uint32_t)(bytes < most ? bytes : most);
    most = packer->rest_bytes ? packer->rest_bytes : UINT32_MAX;
    if (bytes < most)
        most = bytes;
    if (packer->rest_bytes) {
        packer->rest_bytes -= most;
        compressor_count(packer->compressor, COMPRESS_NO_GAIN, most);
    }
    return (uint32_t)most;
}

bool packer_pack(struct packer *packer, const struct slice_queue *plain, uint32_t length,
                 struct span *packed, bool *continues)
{
    struct compressor *compressor = packer->compressor;
    INVARIANT(length <= COMPRESS_PIECE_BYTES);
    uint8_t *piece = room_for_piece(packer);
    slice_queue_peek(plain, 0, piece, length);
    if (!packer->is_proven && looks_random(span_of(piece + length / 2, length - length / 2))) {
        rest(packer, length, COMPRESS_RANDOM);
        return false;
    }
    uint32_t history = packer->end < COMPRESS_HISTORY_BYTES ? packer->end : COMPRESS_HISTORY_BYTES;
    uint64_t began_ns = compressor_now(compressor);
    size_t bytes = compressor->codec->pack(compressor->state, span_of(piece - history, history),
                                           span_of(piece, length), compressor->scratch,
                                           sizeof compressor->scratch);
    compressor_count(compressor, COMPRESS_PACK_NS, compressor_now(compressor) - began_ns);
    if (!is_gain(length, bytes)) {
        if (length >= SAMPLE_BYTES)
            rest(packer, length, COMPRESS_NO_GAIN);
        return false;
    }
    compressor_packed(compressor, length, bytes);
    packer->is_proven = true;
    packer->end += length;
    *continues = packer->is_begun;
    packer->is_begun = true;
    *packed = span_of(compressor->scratch, bytes);
    return true;
}
