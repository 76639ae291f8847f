/* SPDX-License-Identifier: Apache-2.0
 *
 * Compression. The first byte chooses: pieces as a peer may send them into an unpacker, whatever they say; a head; or any bytes
 * through packer and unpacker, which must give them back.
 */
#include "fuzz.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "compress/compress.h"

static struct compressor *compressor;

/* flags, plain length (2), packed length (2), bytes; as often as there are. */
static void unpack_pieces(struct span input)
{
    struct reader reader = reader_of(input);
    struct unpacker unpacker = {0};
    uint64_t bytes = 0;
    while (reader_left(&reader)) {
        bool continues = read_u8(&reader) & 1;
        uint32_t length = read_u16(&reader);
        size_t packed_length = read_u16(&reader);
        if (packed_length > reader_left(&reader))
            packed_length = reader_left(&reader);
        struct span packed = read_span(&reader, packed_length);
        struct slice piece = {0};
        if (unpacker_take(&unpacker, compressor, packed, continues, length, &piece) < 0)
            break;
        INVARIANT(piece.length == length && length <= COMPRESS_PIECE_BYTES);
        INVARIANT(unpacker.end - unpacker.begin <= COMPRESS_HISTORY_BYTES);
        for (uint32_t i = 0; i < piece.length; i++)
            bytes += slice_data(&piece)[i]; /* all of it is there to be read */
        slice_release(&piece);
    }
    INVARIANT(bytes != UINT64_MAX);
    unpacker_clear(&unpacker);
}

static void unpack_head(struct span input)
{
    struct reader reader = reader_of(input);
    size_t length = read_u16(&reader) % COMPRESS_HEAD_BYTES;
    uint8_t *out = memory_raw(length + 1);
    int result =
        compressor_unpack_head(compressor, span_of(reader.at, reader_left(&reader)), out, length);
    INVARIANT(result == 0 || result == ERROR_INVALID);
    memory_free(out);
}

/* In pieces of `step`, some of which are flushed together. */
static void there_and_back(struct span input, size_t step)
{
    struct packer packer;
    struct unpacker unpacker = {0};
    struct slice_queue waiting = {0};
    size_t at = 0;
    packer_init(&packer, compressor);
    while (input.length || waiting.bytes) {
        size_t part = step < input.length ? step : input.length;
        slice_queue_append(&waiting, span_of(input.data, part));
        const uint8_t *expected = input.data + part - waiting.bytes;
        bool packs, continues;
        struct span packed;
        struct slice piece;
        uint32_t length = packer_plan(&packer, waiting.bytes, &packs);
        INVARIANT(length > 0 && length <= waiting.bytes);
        if (packs && packer_pack(&packer, &waiting, length, &packed, &continues)) {
            INVARIANT(unpacker_take(&unpacker, compressor, packed, continues, length, &piece) == 0);
            INVARIANT(memcmp(slice_data(&piece), expected, length) == 0);
            slice_release(&piece);
        }
        slice_queue_consume(&waiting, length);
        input = span_from(input, part);
        at += length;
    }
    INVARIANT(at > 0 || !step);
    packer_clear(&packer);
    unpacker_clear(&unpacker);
    slice_queue_clear(&waiting);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    if (!compressor)
        compressor = compressor_new(compress_zstd(), 1, NULL);
    struct span input = span_of(data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        unpack_pieces(input);
        break;
    case 1:
        unpack_head(input);
        break;
    case 2:
        there_and_back(input, 1 + (size_t)data[0] * 16);
        break;
    }
    chunk_cache_drain();
    return 0;
}
