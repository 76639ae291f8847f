/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing text, JSON strings, base64, edit distance.
 */
#include "base/text.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

enum { NEAREST_LONGEST = 64 }; /* longer words are never compared */

static bool grow(struct text *text, size_t more)
{
    if (text->limit && text->length + more > text->limit) {
        text->is_cut = true;
        return false;
    }
    size_t wanted = text->length + more + 1;
    size_t capacity = text->capacity ? text->capacity : 128;
    while (capacity < wanted)
        capacity *= 2;
    if (capacity > text->capacity)
        text->data = memory_resize(text->data, capacity, 1);
    text->capacity = capacity;
    return true;
}

/* For so many bytes and a NUL. */
static inline bool make_room(struct text *text, size_t more)
{
    size_t end = text->length + more;
    return (end < text->capacity && (!text->limit || end <= text->limit)) || grow(text, more);
}

void text_add_span(struct text *text, struct span span)
{
    if (!make_room(text, span.length))
        return;
    if (span.length)
        memcpy(text->data + text->length, span.data, span.length);
    text->length += span.length;
    text->data[text->length] = 0;
}

void text_add(struct text *text, const char *string)
{
    text_add_span(text, span_text(string));
}

void text_add_format(struct text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (make_room(text, (size_t)length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

size_t utf8_length(struct span span)
{
    if (!span.length)
        return 0;
    uint8_t first = span.data[0];
    size_t length = first < 0x80                    ? 1
                    : first >= 0xc2 && first < 0xe0 ? 2
                    : first >= 0xe0 && first < 0xf0 ? 3
                    : first >= 0xf0 && first < 0xf5 ? 4
                                                    : 0;
    if (!length || length > span.length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((span.data[i] & 0xc0) != 0x80)
            return 0;
    uint8_t second = length > 1 ? span.data[1] : 0;
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return length;
}

void text_add_json(struct text *text, struct span span)
{
    text_add(text, "\"");
    while (span.length) {
        uint8_t byte = span.data[0];
        size_t length = utf8_length(span);
        if (!length) {
            text_add(text, "\\ufffd");
            length = 1;
        } else if (byte == '"' || byte == '\\') {
            text_add_format(text, "\\%c", byte);
        } else if (byte < 0x20 || byte == 0x7f) {
            text_add_format(text, "\\u%04x", byte);
        } else {
            text_add_span(text, span_of(span.data, length));
        }
        span = span_from(span, length);
    }
    text_add(text, "\"");
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_add_base64(struct text *text, struct span span)
{
    for (size_t i = 0; i < span.length; i += 3) {
        size_t left = span.length - i;
        uint32_t bits = (uint32_t)span.data[i] << 16 |
                        (left > 1 ? (uint32_t)span.data[i + 1] << 8 : 0) |
                        (left > 2 ? span.data[i + 2] : 0);
        char four[4] = {base64_digits[bits >> 18], base64_digits[bits >> 12 & 63],
                        left > 1 ? base64_digits[bits >> 6 & 63] : '=',
                        left > 2 ? base64_digits[bits & 63] : '='};
        text_add_span(text, span_of(four, sizeof four));
    }
}

int base64_decode(struct span text, uint8_t *out, size_t length)
{
    if (text.length != (length + 2) / 3 * 4)
        return ERROR_INVALID;
    size_t done = 0;
    for (size_t i = 0; i < text.length; i += 4) {
        uint32_t bits = 0;
        size_t wanted = length - done < 3 ? length - done : 3;
        for (size_t k = 0; k < 4; k++) {
            uint8_t digit = text.data[i + k];
            const char *at = k <= wanted && digit ? strchr(base64_digits, digit) : NULL;
            if (!at && !(k > wanted && digit == '='))
                return ERROR_INVALID;
            bits = bits << 6 | (at ? (uint32_t)(at - base64_digits) : 0);
        }
        if (wanted < 3 && (bits & (wanted == 1 ? 0xffffu : 0xffu)))
            return ERROR_INVALID; /* spare bits must be zero: one text for one value */
        for (size_t k = 0; k < wanted; k++)
            out[done++] = (uint8_t)(bits >> (16 - 8 * k));
    }
    return 0;
}

void text_reset(struct text *text)
{
    text->length = 0;
    text->is_cut = false;
    if (text->data)
        text->data[0] = 0;
}

void text_clear(struct text *text)
{
    memory_free(text->data);
    *text = (struct text){.limit = text->limit};
}

struct span text_span(const struct text *text)
{
    return span_of(text->data, text->length);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance. */
static unsigned distance(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length >= NEAREST_LONGEST || b_length >= NEAREST_LONGEST)
        return NEAREST_LONGEST;
    unsigned rows[3][NEAREST_LONGEST + 1];
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *twice = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = least(least(above[j] + 1, row[j - 1] + 1),
                           above[j - 1] +
                               (ascii_lower((uint8_t)a[i - 1]) != ascii_lower((uint8_t)b[j - 1])));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], twice[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

const char *nearest_word(const char *word, const char *const *candidates, size_t count)
{
    unsigned limit = (unsigned)strlen(word) / 3 + 1, best = limit + 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        unsigned here = distance(word, candidates[i]);
        if (here < best) {
            best = here;
            nearest = candidates[i];
        }
    }
    return nearest;
}
