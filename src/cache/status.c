/* SPDX-License-Identifier: Apache-2.0
 *
 * Cache-Status (RFC 9211): one member for this cache, behind those of caches nearer to the origin.
 */
#include "cache/cache.h"

struct writer {
    char *out;
    size_t length;
};

/* Whole, or not at all: a cut member would not be one. */
static void write_span(struct writer *writer, struct span text)
{
    if (text.length > CACHE_STATUS_MOST - writer->length)
        return;
    memcpy(writer->out + writer->length, text.data, text.length);
    writer->length += text.length;
}

/* `name` as ";name=". */
static void write_number(struct writer *writer, struct span name, int64_t number)
{
    enum { NAME_MOST = 16 };
    uint8_t digits[SPAN_DIGITS], text[NAME_MOST + 1 + SPAN_DIGITS];
    struct span decimal =
        span_decimal(number < 0 ? (uint64_t)0 - (uint64_t)number : (uint64_t)number, digits);
    size_t length = name.length;
    memcpy(text, name.data, name.length);
    if (number < 0)
        text[length++] = '-';
    memcpy(text + length, decimal.data, decimal.length);
    write_span(writer, span_of(text, length + decimal.length));
}

static bool is_token(struct span text)
{
    return http_is_token(text) &&
           ((uint8_t)(ascii_lower(text.data[0]) - 'a') < 26 || text.data[0] == '*');
}

/* A token where it is one, else a string of what may stand in one. */
static void write_word(struct writer *writer, struct span before, struct span word)
{
    enum { WORD_MOST = 128, BEFORE_MOST = 16 };
    uint8_t text[BEFORE_MOST + WORD_MOST * 2 + 2];
    bool is_plain = is_token(word);
    size_t at = before.length;
    memcpy(text, before.data, before.length);
    if (!is_plain)
        text[at++] = '"';
    for (size_t i = 0; i < word.length && i < WORD_MOST; i++) {
        uint8_t byte = word.data[i];
        if (byte < 0x20 || byte > 0x7e)
            byte = '?';
        if (byte == '"' || byte == '\\')
            text[at++] = '\\';
        text[at++] = byte;
    }
    if (!is_plain)
        text[at++] = '"';
    write_span(writer, span_of(text, at));
}

static const char *forward_text(enum cache_forward why)
{
    static const char *const texts[] = {
#define X(name, text) [CACHE_FORWARD_##name] = ";fwd=" text,
        CACHE_FORWARD_LIST(X)
#undef X
    };
    return texts[why];
}

struct span cache_status_write(const struct cache_status *status, char out[CACHE_STATUS_MOST])
{
    struct writer writer = {.out = out};
    write_word(&writer, SPAN(""), status->cache);
    if (status->is_hit)
        write_span(&writer, SPAN(";hit"));
    else if (status->why != CACHE_FORWARD_NONE)
        write_span(&writer, span_text(forward_text(status->why)));
    if (!status->is_hit && status->forward_status)
        write_number(&writer, SPAN(";fwd-status="), status->forward_status);
    if (status->has_ttl)
        write_number(&writer, SPAN(";ttl="), status->ttl_s);
    if (!status->is_hit && status->is_stored)
        write_span(&writer, SPAN(";stored"));
    if (!status->is_hit && status->is_collapsed)
        write_span(&writer, SPAN(";collapsed"));
    if (status->detail.length)
        write_word(&writer, SPAN(";detail="), status->detail);
    return span_of(out, writer.length);
}
