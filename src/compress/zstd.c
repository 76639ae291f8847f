/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of functions on zstd. Every piece is one zstd frame without its four magic bytes, which are the same in all, and
 * without checksum, content size and dictionary id: the AEAD, the piece and the link's features say these.
 */
#include "base/memory.h"
#include "compress/compress.h"

#include <zstd.h>

enum { MAGIC_BYTES = 4, WINDOW_LOG = 16 }; /* history and piece */

static const uint8_t magic[MAGIC_BYTES] = {0x28, 0xb5, 0x2f, 0xfd};

struct zstd {
    ZSTD_CCtx *pack, *pack_head;
    ZSTD_DCtx *unpack;
    ZSTD_CDict *pack_dictionary;
    ZSTD_DDict *unpack_dictionary;
    uint8_t framed[MAGIC_BYTES + ZSTD_COMPRESSBOUND(COMPRESS_HEAD_BYTES)];
};

static void set(ZSTD_CCtx *context, ZSTD_cParameter parameter, int value)
{
    INVARIANT(!ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter, value)));
}

static ZSTD_CCtx *new_context(int level)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    INVARIANT(context);
    set(context, ZSTD_c_compressionLevel, level);
    set(context, ZSTD_c_windowLog, WINDOW_LOG);
    set(context, ZSTD_c_contentSizeFlag, 0);
    set(context, ZSTD_c_dictIDFlag, 0);
    return context;
}

static void *zstd_open(int level)
{
    struct zstd *zstd = NEW(struct zstd);
    memcpy(zstd->framed, magic, sizeof magic);
    zstd->pack = new_context(level);
    zstd->pack_head = new_context(level);
    zstd->unpack = ZSTD_createDCtx();
    zstd->pack_dictionary = ZSTD_createCDict(compress_dictionary, compress_dictionary_bytes, level);
    zstd->unpack_dictionary = ZSTD_createDDict(compress_dictionary, compress_dictionary_bytes);
    INVARIANT(zstd->unpack && zstd->pack_dictionary && zstd->unpack_dictionary);
    INVARIANT(!ZSTD_isError(ZSTD_CCtx_refCDict(zstd->pack_head, zstd->pack_dictionary)));
    return zstd;
}

static void zstd_close(void *state)
{
    struct zstd *zstd = state;
    ZSTD_freeCCtx(zstd->pack);
    ZSTD_freeCCtx(zstd->pack_head);
    ZSTD_freeDCtx(zstd->unpack);
    ZSTD_freeCDict(zstd->pack_dictionary);
    ZSTD_freeDDict(zstd->unpack_dictionary);
    memory_free(zstd);
}

static size_t compress(struct zstd *zstd, ZSTD_CCtx *context, struct span plain, uint8_t *out,
                       size_t capacity)
{
    size_t bytes =
        ZSTD_compress2(context, zstd->framed, sizeof zstd->framed, plain.data, plain.length);
    if (ZSTD_isError(bytes) || bytes < MAGIC_BYTES || bytes - MAGIC_BYTES > capacity) {
        ZSTD_CCtx_reset(context, ZSTD_reset_session_only);
        return 0;
    }
    memcpy(out, zstd->framed + MAGIC_BYTES, bytes - MAGIC_BYTES);
    return bytes - MAGIC_BYTES;
}

static size_t zstd_pack(void *state, struct span history, struct span plain, uint8_t *out,
                        size_t capacity)
{
    struct zstd *zstd = state;
    if (history.length)
        INVARIANT(!ZSTD_isError(ZSTD_CCtx_refPrefix(zstd->pack, history.data, history.length)));
    return compress(zstd, zstd->pack, plain, out, capacity);
}

static size_t zstd_pack_head(void *state, struct span plain, uint8_t *out, size_t capacity)
{
    struct zstd *zstd = state;
    return compress(zstd, zstd->pack_head, plain, out, capacity);
}

static const uint8_t *frame(struct zstd *zstd, struct span packed)
{
    memcpy(zstd->framed, magic, sizeof magic);
    memcpy(zstd->framed + MAGIC_BYTES, packed.data, packed.length);
    return zstd->framed;
}

static int zstd_unpack(void *state, struct span history, struct span packed, uint8_t *out,
                       size_t length)
{
    struct zstd *zstd = state;
    if (!packed.length || packed.length > COMPRESS_PACKED_BYTES)
        return ERROR_INVALID;
    if (history.length)
        INVARIANT(!ZSTD_isError(ZSTD_DCtx_refPrefix(zstd->unpack, history.data, history.length)));
    size_t bytes = ZSTD_decompressDCtx(zstd->unpack, out, length, frame(zstd, packed),
                                       MAGIC_BYTES + packed.length);
    /* After an error the prefix would still wait for its one use. */
    ZSTD_DCtx_reset(zstd->unpack, ZSTD_reset_session_and_parameters);
    return bytes == length ? 0 : ERROR_INVALID;
}

static int zstd_unpack_head(void *state, struct span packed, uint8_t *out, size_t length)
{
    struct zstd *zstd = state;
    if (!packed.length || packed.length > COMPRESS_PACKED_BYTES)
        return ERROR_INVALID;
    size_t bytes = ZSTD_decompress_usingDDict(zstd->unpack, out, length, frame(zstd, packed),
                                              MAGIC_BYTES + packed.length, zstd->unpack_dictionary);
    ZSTD_DCtx_reset(zstd->unpack, ZSTD_reset_session_and_parameters);
    return bytes == length ? 0 : ERROR_INVALID;
}

const struct compress_codec *compress_zstd(void)
{
    static const struct compress_codec codec = {"zstd",          zstd_open,   zstd_close,
                                                zstd_pack,       zstd_unpack, zstd_pack_head,
                                                zstd_unpack_head};
    return &codec;
}
