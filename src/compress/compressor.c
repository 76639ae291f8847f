/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's compressor: the contexts, the packers that have a history, what is counted.
 */
#include "compress/private.h"

struct compressor *compressor_new(const struct compress_codec *codec, int level,
                                  const struct compress_hooks *hooks)
{
    struct compressor *compressor = NEW(struct compressor);
    compressor->codec = codec;
    compressor->state = codec->open(level);
    if (hooks)
        compressor->hooks = *hooks;
    list_init(&compressor->packers);
    return compressor;
}

void compressor_free(struct compressor **freed)
{
    struct compressor *compressor = *freed;
    if (!compressor)
        return;
    *freed = NULL;
    INVARIANT(list_is_empty(&compressor->packers));
    compressor->codec->close(compressor->state);
    memory_free(compressor);
}

void compressor_count(struct compressor *compressor, enum compress_count what, uint64_t amount)
{
    if (compressor->hooks.count)
        compressor->hooks.count(what, amount);
}

uint8_t *compressor_scratch(struct compressor *compressor)
{
    return compressor->scratch;
}

uint64_t compressor_now(const struct compressor *compressor)
{
    return compressor->hooks.now_ns ? compressor->hooks.now_ns() : 0;
}

void compressor_packed(struct compressor *compressor, size_t plain, size_t packed)
{
    compressor_count(compressor, COMPRESS_PACKED, 1);
    compressor_count(compressor, COMPRESS_PACKED_PLAIN, plain);
    compressor_count(compressor, COMPRESS_PACKED_CARRIED, packed);
}

int compressor_unpacked(struct compressor *compressor, size_t plain, size_t packed,
                        uint64_t began_ns, int result)
{
    compressor_count(compressor, COMPRESS_UNPACK_NS, compressor_now(compressor) - began_ns);
    if (result < 0) {
        compressor_count(compressor, COMPRESS_REFUSED, 1);
        return result;
    }
    compressor_count(compressor, COMPRESS_UNPACKED, 1);
    compressor_count(compressor, COMPRESS_UNPACKED_PLAIN, plain);
    compressor_count(compressor, COMPRESS_UNPACKED_CARRIED, packed);
    return 0;
}

bool compressor_pack_head(struct compressor *compressor, struct span plain, struct span *packed)
{
    if (plain.length > COMPRESS_HEAD_BYTES)
        return false;
    uint64_t began_ns = compressor_now(compressor);
    size_t bytes = compressor->codec->pack_head(compressor->state, plain, compressor->scratch,
                                                sizeof compressor->scratch);
    compressor_count(compressor, COMPRESS_PACK_NS, compressor_now(compressor) - began_ns);
    if (!is_gain(plain.length, bytes))
        return false;
    compressor_packed(compressor, plain.length, bytes);
    *packed = span_of(compressor->scratch, bytes);
    return true;
}

int compressor_unpack_head(struct compressor *compressor, struct span packed, uint8_t *out,
                           size_t length)
{
    uint64_t began_ns = compressor_now(compressor);
    int result = compressor->codec->unpack_head(compressor->state, packed, out, length);
    return compressor_unpacked(compressor, length, packed.length, began_ns, result);
}
