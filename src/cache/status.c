/* SPDX-License-Identifier: Apache-2.0
 *
 * Cache-Status (RFC 9211): one member for this cache, behind those of caches nearer to the origin.
 */
#include "cache/cache.h"

#include <stdio.h>

struct writer {
    char *out;
    size_t length;
};

/* Whole, or not at all: a cut member would not be one. */
static void write_text(struct writer *writer, const char *text)
{
    size_t length = strlen(text);
    if (length > CACHE_STATUS_MOST - writer->length)
        return;
    memcpy(writer->out + writer->length, text, length);
    writer->length += length;
}

static void write_number(struct writer *writer, const char *parameter, int64_t number)
{
    char text[64];
    snprintf(text, sizeof text, ";%s=%lld", parameter, (long long)number);
    write_text(writer, text);
}

static bool is_token(struct span text)
{
    return http_is_token(text) &&
           ((uint8_t)(ascii_lower(text.data[0]) - 'a') < 26 || text.data[0] == '*');
}

/* A token where it is one, else a string of what may stand in one. */
static void write_word(struct writer *writer, const char *before, struct span word)
{
    enum { WORD_MOST = 128 };
    char text[WORD_MOST * 2 + 32];
    bool is_plain = is_token(word);
    size_t at = (size_t)snprintf(text, 24, "%s", before);
    if (!is_plain)
        text[at++] = '"';
    for (size_t i = 0; i < word.length && i < WORD_MOST; i++) {
        uint8_t byte = word.data[i];
        if (byte < 0x20 || byte > 0x7e)
            byte = '?';
        if (byte == '"' || byte == '\\')
            text[at++] = '\\';
        text[at++] = (char)byte;
    }
    if (!is_plain)
        text[at++] = '"';
    text[at] = 0;
    write_text(writer, text);
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
    write_word(&writer, "", status->cache);
    if (status->is_hit)
        write_text(&writer, ";hit");
    else if (status->why != CACHE_FORWARD_NONE)
        write_text(&writer, forward_text(status->why));
    if (!status->is_hit && status->forward_status)
        write_number(&writer, "fwd-status", status->forward_status);
    if (status->has_ttl)
        write_number(&writer, "ttl", status->ttl_s);
    if (!status->is_hit && status->is_stored)
        write_text(&writer, ";stored");
    if (!status->is_hit && status->is_collapsed)
        write_text(&writer, ";collapsed");
    if (status->detail.length)
        write_word(&writer, ";detail=", status->detail);
    return span_of(out, writer.length);
}
