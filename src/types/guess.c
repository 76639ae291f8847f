/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request looks like before anything is known of its like: by its method, by the ending of its path, and by what a browser
 * says that it wants it for.
 */
#include "types/private.h"

enum { ENDING_BYTES = 8 };

/* Padded with zeroes, so that one is compared as a number. */
static const char static_endings[][ENDING_BYTES] = {"html", "htm",  "css",  "js",    "mjs",
                                                    "map",  "json", "xml",  "txt",   "svg",
                                                    "png",  "jpg",  "jpeg", "gif",   "webp",
                                                    "avif", "ico",  "woff", "woff2", "ttf",
                                                    "otf",  "eot",  "pdf",  "md",    "wasm"};
static const char large_endings[][ENDING_BYTES] = {
    "mp4",  "m4v",  "m4s", "m4a", "webm", "mkv", "mov", "avi", "mp3", "ogg", "oga", "ogv",
    "opus", "flac", "wav", "aac", "ts",   "zip", "gz",  "xz",  "zst", "bz2", "tar", "iso",
    "dmg",  "exe",  "msi", "deb", "rpm",  "apk", "bin", "img", "jar", "7z"};

static bool has(const char (*endings)[ENDING_BYTES], size_t count, uint64_t wanted)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t ending;
        memcpy(&ending, endings[i], sizeof ending);
        if (ending == wanted)
            return true;
    }
    return false;
}

struct span path_of(struct span target)
{
    return (struct span){target.data, span_find(target, '?')};
}

/* What follows the last dot of the last segment, in lower case; empty: nothing that short. */
static void ending_of(struct span path, char ending[ENDING_BYTES])
{
    size_t length = 0;
    memset(ending, 0, ENDING_BYTES);
    while (length < path.length && length <= ENDING_BYTES) {
        uint8_t byte = path.data[path.length - 1 - length];
        if (byte == '/' || byte == '.')
            break;
        length++;
    }
    if (!length || length > ENDING_BYTES || length == path.length ||
        path.data[path.length - 1 - length] != '.')
        return;
    for (size_t i = 0; i < length; i++)
        ending[i] = (char)ascii_lower(path.data[path.length - length + i]);
}

static bool is_any_of(struct span text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal_nocase(text, span_text(words[i])))
            return true;
    return false;
}

/* Fetch Metadata (W3C): what a browser will do with the answer. */
static uint8_t guess_purpose(const struct http_head *head)
{
    static const char *const large[] = {"video", "audio"};
    static const char *const ready[] = {"image", "style", "script", "font", "manifest"};
    const struct http_field *purpose = http_fields_find_text(&head->fields, SPAN("Sec-Fetch-Dest"));
    if (purpose && is_any_of(purpose->value, large, sizeof large / sizeof *large))
        return TYPES_MULTIMEDIA;
    if (purpose && is_any_of(purpose->value, ready, sizeof ready / sizeof *ready))
        return TYPES_STATIC;
    return TYPES_DYNAMIC;
}

uint8_t guess_type(const struct http_head *head)
{
    if (head->method != HTTP_METHOD_GET && head->method != HTTP_METHOD_HEAD)
        return TYPES_DYNAMIC;
    char ending[ENDING_BYTES];
    uint64_t wanted;
    ending_of(path_of(head->target), ending);
    memcpy(&wanted, ending, sizeof wanted);
    if (!wanted)
        return guess_purpose(head);
    if (has(large_endings, sizeof large_endings / ENDING_BYTES, wanted))
        return TYPES_MULTIMEDIA;
    if (has(static_endings, sizeof static_endings / ENDING_BYTES, wanted))
        return TYPES_STATIC;
    return TYPES_DYNAMIC;
}
