/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparing, searching and reading borrowed bytes.
 */
#include "base/span.h"

#include "base/error.h"

bool span_equal_nocase(struct span a, struct span b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++)
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
            return false;
    return true;
}

bool span_starts(struct span span, struct span prefix)
{
    return span.length >= prefix.length && span_equal(span_of(span.data, prefix.length), prefix);
}

size_t span_find(struct span span, uint8_t byte)
{
    const uint8_t *at = span.length ? memchr(span.data, byte, span.length) : NULL;
    return at ? (size_t)(at - span.data) : span.length;
}

struct span span_trim(struct span span)
{
    while (span.length && (span.data[0] == ' ' || span.data[0] == '\t')) {
        span.data++;
        span.length--;
    }
    while (span.length && (span.data[span.length - 1] == ' ' || span.data[span.length - 1] == '\t'))
        span.length--;
    return span;
}

int span_number(struct span span, uint64_t *number)
{
    uint64_t value = 0;
    if (!span.length)
        return ERROR_INVALID;
    for (size_t i = 0; i < span.length; i++) {
        uint8_t digit = (uint8_t)(span.data[i] - '0');
        if (digit > 9)
            return ERROR_INVALID;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return ERROR_LIMIT;
    }
    *number = value;
    return 0;
}

struct span span_decimal(uint64_t number, uint8_t room[SPAN_DIGITS])
{
    uint8_t *at = room + SPAN_DIGITS;
    do
        *--at = (uint8_t)('0' + number % 10);
    while (number /= 10);
    return span_of(at, (size_t)(room + SPAN_DIGITS - at));
}
