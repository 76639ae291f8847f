/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges of bytes. What is odd is ignored, as a server may (RFC 9110 section 14.2): the client then gets everything, which is
 * always right. Overlapping ranges that together ask for more than there is are an attack, not a wish.
 */
#include "cache/range.h"

/* Nothing is so long: sums of some lengths do not overflow. */
#define LENGTH_LIMIT (UINT64_C(1) << 60)

/* Takes digits off the front. False: there are none, or too many. */
static bool take_number(struct span *rest, uint64_t *number)
{
    size_t length = 0;
    while (length < rest->length && (uint8_t)(rest->data[length] - '0') <= 9)
        length++;
    if (span_number(span_of(rest->data, length), number))
        return false;
    *rest = span_from(*rest, length);
    return true;
}

static bool take(struct span *rest, const char *text)
{
    if (!span_starts(*rest, span_text(text)))
        return false;
    *rest = span_from(*rest, strlen(text));
    return true;
}

/* False: malformed. A range that cannot be satisfied gets first > last. */
static bool read_one(struct span text, uint64_t length, struct cache_range *range)
{
    uint64_t number;
    *range = (struct cache_range){.first = 1, .last = 0};
    if (take(&text, "-")) {
        if (!take_number(&text, &number) || text.length)
            return false;
        if (number && length)
            *range = (struct cache_range){number < length ? length - number : 0, length - 1};
        return true;
    }
    struct cache_range asked = {.last = UINT64_MAX};
    if (!take_number(&text, &asked.first) || !take(&text, "-") ||
        (text.length && !take_number(&text, &asked.last)) || text.length ||
        asked.last < asked.first)
        return false;
    if (asked.first < length) {
        if (asked.last >= length)
            asked.last = length - 1;
        *range = asked;
    }
    return true;
}

enum ranges ranges_read(struct span value, uint64_t length, struct cache_range *ranges,
                        uint32_t *count)
{
    struct span element;
    uint64_t bytes = 0;
    uint32_t asked = 0;
    *count = 0;
    if (value.length < 6 || !span_equal_nocase(span_of(value.data, 6), SPAN("bytes=")))
        return RANGES_IGNORED;
    value = span_from(value, 6);
    while (http_list_next(&value, &element)) {
        struct cache_range range;
        if (++asked > CACHE_RANGES_MOST || !read_one(element, length, &range))
            return RANGES_IGNORED;
        if (range.first > range.last)
            continue;
        ranges[(*count)++] = range;
        bytes += range.last - range.first + 1; /* of at most 16 ranges below 2^60 */
        if (bytes > length && *count > 1)
            return RANGES_IGNORED;
    }
    if (!asked)
        return RANGES_IGNORED;
    return *count ? RANGES_GOOD : RANGES_NONE;
}

int content_range_read(struct span value, uint64_t *first, uint64_t *last, uint64_t *length)
{
    if (value.length < 6 || !span_equal_nocase(span_of(value.data, 6), SPAN("bytes ")))
        return ERROR_INVALID;
    value = span_from(value, 6);
    if (!take_number(&value, first) || !take(&value, "-") || !take_number(&value, last) ||
        !take(&value, "/") || !take_number(&value, length) || value.length)
        return ERROR_INVALID;
    return *first <= *last && *last < *length && *length < LENGTH_LIMIT ? 0 : ERROR_INVALID;
}
