/* SPDX-License-Identifier: Apache-2.0
 *
 * Borrowed bytes: a pointer and a length. Whoever hands out a span says how long it stays valid.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t length;
};

/* A span over a string literal. */
#define SPAN(literal) ((struct span){(const uint8_t *)("" literal), sizeof(literal) - 1})
/* For printf("%.*s", SPAN_ARGS(span)). */
#define SPAN_ARGS(span) (int)(span).length, (const char *)(span).data

static inline struct span span_of(const void *data, size_t length)
{
    return (struct span){data, length};
}

static inline struct span span_text(const char *text)
{
    return (struct span){(const uint8_t *)text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* The part from `from` on; empty when there is none. */
static inline struct span span_from(struct span span, size_t from)
{
    if (!span.length)
        return span; /* perhaps of no memory at all */
    if (from >= span.length)
        return (struct span){span.data + span.length, 0};
    return (struct span){span.data + from, span.length - from};
}

static inline uint8_t ascii_lower(uint8_t byte)
{
    return (uint8_t)(byte - 'A') < 26 ? (uint8_t)(byte | 0x20) : byte;
}

bool span_equal_nocase(struct span a, struct span b); /* ASCII */
bool span_starts(struct span span, struct span prefix);

/* Index of `byte`, or span.length. */
size_t span_find(struct span span, uint8_t byte);

/* Without spaces and tabs at either end. */
struct span span_trim(struct span span);

/* Digits only, whole span, no overflow. 0, ERROR_INVALID or ERROR_LIMIT. */
int span_number(struct span span, uint64_t *number) __attribute__((warn_unused_result));

/* The reverse: the digits, at the end of `room`. */
enum { SPAN_DIGITS = 20 };
struct span span_decimal(uint64_t number, uint8_t room[SPAN_DIGITS]);

#endif
