/* SPDX-License-Identifier: Apache-2.0
 *
 * Compression of what crosses the link (T9), one stream and direction at a time, behind a small table of functions. Pure: bytes go
 * in and come out; a clock and a counter are passed in.
 *
 * A stream keeps no compression context. Its two ends keep the last COMPRESS_HISTORY_BYTES of what was packed, as plain bytes, and
 * each piece is compressed by a context of the worker with that history as its prefix. Nothing of one stream is ever in reach of
 * another (CRIME, BREACH), a piece that would not shrink goes out as it is, and a sender may forget its history at any time: the
 * next piece begins afresh. Measured with 16 KiB pieces of HTML and of C at level 1: ratio 3.77 and 3.57 where contexts of their own
 * with 128 KiB windows reach 3.82 and 3.70, at 0.86 of their speed, for 64 KiB a stream and direction instead of 950 KiB in the
 * packer and 600 KiB in the unpacker.
 *
 * What a peer sends is not trusted. A piece says how long it will be, at most COMPRESS_PIECE_BYTES, before anything is unpacked; it is
 * unpacked at once into exactly so much room, with fixed memory. No length on the wire allocates more.
 */
#ifndef COMPRESS_COMPRESS_H
#define COMPRESS_COMPRESS_H

#include "base/error.h"
#include "base/list.h"
#include "base/slice.h"

enum {
    COMPRESS_PIECE_BYTES = 32 * 1024,   /* most plain bytes of a piece */
    COMPRESS_HISTORY_BYTES = 32 * 1024, /* plain bytes before it that a piece may refer to */
    COMPRESS_BUFFER_BYTES = 64 * 1024,  /* both: memory of a packer, and of an unpacker */
    COMPRESS_HEAD_BYTES = 48 * 1024,    /* most plain bytes packed with the dictionary */
    COMPRESS_PACKED_BYTES = 48 * 1024,  /* most bytes of anything packed */
    COMPRESS_PIECE_LEAST = 64,          /* shorter pieces are not worth their frame */
    COMPRESS_TRIAL_BYTES = 8 * 1024,    /* the first piece is short: is there a gain? */
    COMPRESS_REST_BYTES = 1 << 20,      /* go by without a trial where there was none */
    COMPRESS_GAIN_PERCENT = 5,          /* a piece must save so much */
    COMPRESS_PACKERS_LIMIT =
        512, /* with a history, of a worker: 32 MiB; the one unused longest begins afresh */
    COMPRESS_LEVEL_MOST = 3,
};

/* ---- the table of functions */

struct compress_codec {
    const char *name;
    void *(*open)(int level); /* contexts for one thread */
    void (*close)(void *state);
    /* Bytes written to `out`, or 0: it does not fit. `history` ends where `plain` begins, in memory too. */
    size_t (*pack)(void *state, struct span history, struct span plain, uint8_t *out,
                   size_t capacity);
    /* Fills `out` with exactly `length` bytes, or ERROR_INVALID. */
    int (*unpack)(void *state, struct span history, struct span packed, uint8_t *out,
                  size_t length);
    /* The same with the dictionary and no history, for heads. */
    size_t (*pack_head)(void *state, struct span plain, uint8_t *out, size_t capacity);
    int (*unpack_head)(void *state, struct span packed, uint8_t *out, size_t length);
};
const struct compress_codec *compress_zstd(void);

/* The public dictionary of heads, made by tools/dictionary. Its id is the first 4 bytes of its SHA-256, big-endian. */
extern const uint8_t compress_dictionary[];
extern const size_t compress_dictionary_bytes;
extern const uint32_t compress_dictionary_id;

/* ---- what is counted */

#define COMPRESS_COUNT_LIST(X)                                                           \
    X(PACKED, "packed", "pieces and heads packed")                                       \
    X(PACKED_PLAIN, "packed_plain_bytes", "their bytes")                                 \
    X(PACKED_CARRIED, "packed_carried_bytes", "bytes that crossed for them")             \
    X(PACK_NS, "pack_ns", "time spent on packing")                                       \
    X(UNPACKED, "unpacked", "pieces and heads unpacked")                                 \
    X(UNPACKED_PLAIN, "unpacked_plain_bytes", "their bytes")                             \
    X(UNPACKED_CARRIED, "unpacked_carried_bytes", "bytes that had crossed for them")     \
    X(UNPACK_NS, "unpack_ns", "time spent on unpacking")                                 \
    X(REFUSED, "refused", "packed bytes of a peer that were malformed")                  \
    X(EVICTED, "evicted", "streams that lost their history to others")                   \
    X(NO_GAIN, "skipped_gain_bytes", "bytes not packed: there was no gain")              \
    X(RANDOM, "skipped_random_bytes", "bytes not packed: they look random")              \
    X(SMALL, "skipped_small", "messages not packed: short")                              \
    X(TYPE, "skipped_type", "messages not packed: of a type that is compressed already") \
    X(SECRET, "skipped_secret", "messages not packed: they may hold a secret")           \
    X(OFF, "skipped_off", "messages not packed: the configuration says so")

enum compress_count {
#define X(name, text, help) COMPRESS_##name,
    COMPRESS_COUNT_LIST(X)
#undef X
        COMPRESS_COUNTS
};

struct compress_hooks {
    void (*count)(enum compress_count what, uint64_t amount); /* NULL: nothing is counted */
    uint64_t (*now_ns)(void);                                 /* NULL: nor timed */
};

/* ---- one for each worker */

struct compressor;
struct compressor *compressor_new(const struct compress_codec *codec, int level,
                                  const struct compress_hooks *hooks);
void compressor_free(struct compressor **freed); /* behind all its packers */
void compressor_count(struct compressor *compressor, enum compress_count what, uint64_t amount);

/* Heads, with the dictionary. What is packed is valid until the next call. False: not worth it. */
MUST_USE bool compressor_pack_head(struct compressor *compressor, struct span plain,
                                   struct span *packed);
/* Fills `out`. 0 or ERROR_INVALID. */
MUST_USE int compressor_unpack_head(struct compressor *compressor, struct span packed, uint8_t *out,
                                    size_t length);

/* ---- one direction of a stream, where it is sent. Embedded; zero-initialised packs nothing. */

struct packer {
    struct compressor *compressor;
    struct list link;    /* in the compressor, the last used at the end */
    uint8_t *buffer;     /* COMPRESS_BUFFER_BYTES: history, then the piece */
    uint32_t end;        /* of the history */
    bool is_begun;       /* the peer has the same history */
    bool is_proven;      /* the last piece shrank: no trial */
    uint64_t rest_bytes; /* to go by before the next trial */
};
void packer_init(struct packer *packer, struct compressor *compressor);
void packer_clear(struct packer *packer);
/* How many of so many bytes the next piece may take; *packs says whether a try is worth while: otherwise they go as they are. */
uint32_t packer_plan(struct packer *packer, uint64_t bytes, bool *packs);
/* Packs the first `length` bytes of `plain`, which stay there. False: they are to go as they are. Otherwise *packed is valid until the
 * next call, and *continues says whether the piece refers to those before it. */
MUST_USE bool packer_pack(struct packer *packer, const struct slice_queue *plain, uint32_t length,
                          struct span *packed, bool *continues);

/* ---- and where it is received. Embedded; zero-initialised is empty. */

struct unpacker {
    struct chunk *chunk; /* history, then the piece; pieces that were handed out refer to it, too */
    uint32_t begin, end; /* of the history */
};
void unpacker_clear(struct unpacker *unpacker);
/* One piece; `piece` is a counted reference to its `length` bytes. 0 or ERROR_INVALID. */
MUST_USE int unpacker_take(struct unpacker *unpacker, struct compressor *compressor,
                           struct span packed, bool continues, uint32_t length,
                           struct slice *piece);
/* Room for packed bytes to be gathered in: COMPRESS_PACKED_BYTES. */
uint8_t *compressor_scratch(struct compressor *compressor);

#endif
