/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing twice: the same function first counts its bytes and then stores them, so that a head goes
 * into one piece of memory of just its size. Private to http/.
 */
#ifndef HTTP_OUT_H
#define HTTP_OUT_H

#include "base/bytes.h"
#include "base/slice.h"

/* `at` NULL: counting. */
struct out {
    uint8_t *at;
    size_t bytes;
};

static inline void out_span(struct out *out, struct span span)
{
    out->bytes += span.length;
    if (out->at && span.length)
        out->at = (uint8_t *)memcpy(out->at, span.data, span.length) + span.length;
}

static inline void out_byte(struct out *out, uint8_t byte)
{
    out->bytes++;
    if (out->at)
        *out->at++ = byte;
}

static inline void out_u16(struct out *out, uint16_t value)
{
    out->bytes += 2;
    if (out->at)
        out->at = store_u16(out->at, value);
}

static inline void out_varint(struct out *out, uint64_t value)
{
    out->bytes += varint_size(value);
    if (out->at)
        out->at = varint_store(out->at, value);
}

static inline void out_decimal(struct out *out, uint64_t value)
{
    uint8_t digits[SPAN_DIGITS];
    out_span(out, span_decimal(value, digits));
}

#endif
