/* SPDX-License-Identifier: Apache-2.0
 *
 * Text in the making: a buffer that grows up to a limit, and the nearest known word for an error message.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/span.h"

/* Zero-initialised is empty with no limit. Past `limit` bytes nothing is added and `is_cut` is set. */
struct text {
    char *data; /* NUL-terminated once anything was added */
    size_t length, capacity;
    size_t limit; /* 0: none */
    bool is_cut;
};

void text_add(struct text *text, const char *string);
void text_add_span(struct text *text, struct span span);
void text_add_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_add_json(
    struct text *text,
    struct span span); /* a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD */
void text_add_base64(struct text *text, struct span span);
void text_reset(struct text *text); /* empty, memory kept */
void text_clear(struct text *text); /* frees */
struct span text_span(const struct text *text);

/* Length of the valid UTF-8 sequence at the front (RFC 3629), or 0. */
size_t utf8_length(struct span span);

/* Exactly `length` bytes from standard base64 with padding. 0 or ERROR_INVALID. */
int base64_decode(struct span text, uint8_t *out, size_t length)
    __attribute__((warn_unused_result));

/* The candidate nearest to `word` by edit distance (transpositions count one), or NULL when none is near. */
const char *nearest_word(const char *word, const char *const *candidates, size_t count);

#endif
