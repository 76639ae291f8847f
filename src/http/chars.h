/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bytes may stand where (RFC 9110 section 5.6, RFC 9112 sections 3 and 5): one table, and
 * runs over field values and targets that take 16 bytes at a time where the machine can. Private to
 * http/.
 */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include "base/span.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

extern const uint8_t
    http_token_lower[256]; /* the byte in lower case where it may be in a token, else 0 */

static inline bool is_value_byte(uint8_t byte)
{
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

/* A request target is kept to visible ASCII; a fragment never belongs to one. */
static inline bool is_target_byte(uint8_t byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '#';
}

/* Index of the first byte in [at, end) that is no token byte, or end. */
static inline size_t token_run(const uint8_t *bytes, size_t at, size_t end)
{
    while (at < end && http_token_lower[bytes[at]])
        at++;
    return at;
}

#ifdef __SSE2__
/* A bit for each byte that no value has. */
static inline unsigned value_misfits(__m128i block)
{
    const __m128i control = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'),
                  del = _mm_set1_epi8(0x7f);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, control), block);
    __m128i bad =
        _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(block, tab), low), _mm_cmpeq_epi8(block, del));
    return (unsigned)_mm_movemask_epi8(bad);
}

/* 4 to 16 bytes: both ends, which may overlap. */
static inline __m128i load_short(const uint8_t *bytes, size_t length)
{
    uint64_t first, last;
    if (length >= sizeof first) {
        memcpy(&first, bytes, sizeof first);
        memcpy(&last, bytes + length - sizeof last, sizeof last);
    } else {
        uint32_t halves[2];
        memcpy(&halves[0], bytes, sizeof halves[0]);
        memcpy(&halves[1], bytes + length - sizeof halves[1], sizeof halves[1]);
        first = last = (uint64_t)halves[1] << 32 | halves[0];
    }
    return _mm_set_epi64x((long long)last, (long long)first);
}
#endif

static inline size_t value_run(const uint8_t *bytes, size_t at, size_t end)
{
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        unsigned mask = value_misfits(_mm_loadu_si128((const __m128i *)(const void *)(bytes + at)));
        if (mask)
            return at + (unsigned)__builtin_ctz(mask);
    }
    if (end - at >= 4 && !value_misfits(load_short(bytes + at, end - at)))
        return end;
#endif
    while (at < end && is_value_byte(bytes[at]))
        at++;
    return at;
}

/* Whether all bytes may stand in a value: as value_run(), but nobody asks where it ends. */
static inline bool is_value(const uint8_t *bytes, size_t length)
{
#ifdef __SSE2__
    if (length >= 16) {
        unsigned misfits = 0;
        for (size_t at = 0; at + 16 < length; at += 16)
            misfits |= value_misfits(_mm_loadu_si128((const __m128i *)(const void *)(bytes + at)));
        bytes += length - 16; /* the last block overlaps the one before */
        return !(misfits | value_misfits(_mm_loadu_si128((const __m128i *)(const void *)bytes)));
    }
    if (length >= 4)
        return !value_misfits(load_short(bytes, length));
#endif
    return value_run(bytes, 0, length) == length;
}

static inline size_t target_run(const uint8_t *bytes, size_t at, size_t end)
{
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f), hash = _mm_set1_epi8('#');
    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(bytes + at));
        /* The comparison is signed, so bytes from 0x80 on fail it too. */
        __m128i good = _mm_cmpgt_epi8(block, space);
        __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(block, del), _mm_cmpeq_epi8(block, hash));
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(bad, good)) ^ 0xffffu;
        if (mask)
            return at + (unsigned)__builtin_ctz(mask);
    }
#endif
    while (at < end && is_target_byte(bytes[at]))
        at++;
    return at;
}

static inline bool is_white(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static inline bool is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10;
}

#endif
