/* SPDX-License-Identifier: Apache-2.0
 *
 * Integers on the wire: big-endian of fixed size, QUIC varints (RFC 9000 section 16), and a reader that
 * never passes its end.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/error.h"
#include "base/span.h"

static inline uint16_t load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t load_u64(const uint8_t *p)
{
    return (uint64_t)load_u32(p) << 32 | load_u32(p + 4);
}

static inline uint8_t *store_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static inline uint8_t *store_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
    return p + 4;
}

static inline uint8_t *store_u64(uint8_t *p, uint64_t v)
{
    return store_u32(store_u32(p, (uint32_t)(v >> 32)), (uint32_t)v);
}

#define VARINT_MAX ((1ull << 62) - 1)

/* 1, 2, 4 or 8; the value must not exceed VARINT_MAX. */
static inline size_t varint_size(uint64_t value)
{
    return value < 64 ? 1 : value < 16384 ? 2 : value < 1u << 30 ? 4 : 8;
}

/* Writes varint_size(value) bytes and returns the position behind them. */
static inline uint8_t *varint_store(uint8_t *p, uint64_t value)
{
    switch (varint_size(value)) {
    case 1:
        *p = (uint8_t)value;
        return p + 1;
    case 2:
        return store_u16(p, (uint16_t)(value | 0x4000));
    case 4:
        return store_u32(p, (uint32_t)(value | 0x80000000u));
    default:
        return store_u64(p, value | 3ull << 62);
    }
}

/* Reads from the front; a read past the end sets `failed`, yields 0 and leaves the reader empty, so that a
 * parser may check once at its end. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct reader reader_of(struct span span)
{
    return (struct reader){span.data, span.data + span.length, false};
}

static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static inline const uint8_t *reader_take(struct reader *reader, size_t length)
{
    if (reader_left(reader) < length) {
        reader->failed = true;
        reader->at = reader->end;
        return NULL;
    }
    const uint8_t *taken = reader->at;
    reader->at += length;
    return taken;
}

static inline uint8_t read_u8(struct reader *reader)
{
    const uint8_t *p = reader_take(reader, 1);
    return p ? *p : 0;
}

static inline uint16_t read_u16(struct reader *reader)
{
    const uint8_t *p = reader_take(reader, 2);
    return p ? load_u16(p) : 0;
}

static inline uint32_t read_u32(struct reader *reader)
{
    const uint8_t *p = reader_take(reader, 4);
    return p ? load_u32(p) : 0;
}

static inline uint64_t read_u64(struct reader *reader)
{
    const uint8_t *p = reader_take(reader, 8);
    return p ? load_u64(p) : 0;
}

static inline uint64_t read_varint(struct reader *reader)
{
    if (reader->at == reader->end) {
        reader->failed = true;
        return 0;
    }
    size_t size = (size_t)1 << (*reader->at >> 6);
    const uint8_t *p = reader_take(reader, size);
    if (!p)
        return 0;
    switch (size) {
    case 1:
        return *p & 0x3f;
    case 2:
        return load_u16(p) & 0x3fff;
    case 4:
        return load_u32(p) & 0x3fffffff;
    default:
        return load_u64(p) & VARINT_MAX;
    }
}

static inline struct span read_span(struct reader *reader, size_t length)
{
    const uint8_t *p = reader_take(reader, length);
    return span_of(p, p ? length : 0);
}

#endif
