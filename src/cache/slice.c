/* SPDX-License-Identifier: Apache-2.0
 *
 * Slices of large representations: what belongs together, what is asked of the origin, and under which keys it is stored. Partial content
 * of RFC 9110 section 14 and RFC 9111 section 3.4: only a strong validator says that two parts are of one representation.
 */
#include "cache/range.h"
#include "cache/validator.h"

#include <stdio.h>

bool cache_slices_index(struct cache_facts *index, const struct cache_facts *part,
                        uint32_t slice_bytes, uint64_t series)
{
    *index = *part;
    index->flags &= (uint16_t)~CACHE_PARTIAL;
    index->flags |= CACHE_SLICED;
    index->first = 0;
    index->last = part->length - 1;
    index->slice_bytes = slice_bytes;
    index->content = series;
    return part->status == 200 && part->length && part->length != UINT64_MAX &&
           (part->flags & (CACHE_ETAG_STRONG | CACHE_MODIFIED_STRONG));
}

struct cache_range cache_slice_range(const struct cache_facts *index, uint64_t number)
{
    struct cache_range range = {.first = number * index->slice_bytes};
    uint64_t rest = index->length - range.first;
    range.last = range.first + (rest < index->slice_bytes ? rest : index->slice_bytes) - 1;
    return range;
}

int cache_slice_key(struct text *key, struct span name, const struct cache_facts *index,
                    uint64_t number)
{
    if (name.length + 40 > CACHE_KEY_MOST)
        return ERROR_LIMIT;
    text_add_span(key, name);
    text_add_format(key, "\x01%llx.%llx", (unsigned long long)index->content,
                    (unsigned long long)number);
    return 0;
}

/* If-Match and If-Unmodified-Since, not If-Range: of what changed, nothing is wanted. */
static int add_condition(struct http_fields *request, const struct http_fields *stored)
{
    struct entity_tag tag;
    if (entity_tag_find(&tag, stored) && !tag.is_weak)
        return http_fields_add(request, HTTP_NAME_IF_MATCH, field_value(stored, HTTP_NAME_ETAG));
    struct span modified = field_value(stored, HTTP_NAME_LAST_MODIFIED);
    return modified.length ? http_fields_add(request, HTTP_NAME_IF_UNMODIFIED_SINCE, modified) : 0;
}

int cache_slice_ask(struct http_fields *request, const struct cache_range *range,
                    const struct http_fields *stored)
{
    static const enum http_name own[] = {HTTP_NAME_IF_MATCH,          HTTP_NAME_IF_NONE_MATCH,
                                         HTTP_NAME_IF_MODIFIED_SINCE, HTTP_NAME_IF_UNMODIFIED_SINCE,
                                         HTTP_NAME_IF_RANGE,          HTTP_NAME_RANGE};
    char text[64];
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        http_fields_remove(request, own[i]);
    snprintf(text, sizeof text, "bytes=%llu-%llu", (unsigned long long)range->first,
             (unsigned long long)range->last);
    int result = http_fields_add(request, HTTP_NAME_RANGE, span_text(text));
    return !result && stored ? add_condition(request, stored) : result;
}

bool cache_slice_matches(const struct http_head *answer, const struct cache_facts *index,
                         const struct http_fields *stored, uint64_t number)
{
    struct cache_range range = cache_slice_range(index, number);
    struct entity_tag ours, theirs;
    uint64_t first, last, length, modified_s;
    if (answer->status != 206 ||
        content_range_read(field_value(&answer->fields, HTTP_NAME_CONTENT_RANGE), &first, &last,
                           &length) ||
        first != range.first || last != range.last || length != index->length ||
        (answer->has_length && answer->content_length != last - first + 1))
        return false;
    if (index->flags & CACHE_ETAG)
        return entity_tag_find(&ours, stored) && entity_tag_find(&theirs, &answer->fields) &&
               entity_tags_equal_strong(&ours, &theirs);
    return !http_date_read(field_value(&answer->fields, HTTP_NAME_LAST_MODIFIED), index->response_s,
                           &modified_s) &&
           modified_s == index->modified_s;
}

uint64_t cache_range_begin(const struct http_head *request)
{
    struct cache_range ranges[CACHE_RANGES_MOST];
    struct span value = field_value(&request->fields, HTTP_NAME_RANGE);
    uint32_t count;
    /* Of a length that nothing has: a range from the end lies behind all that there could be. */
    const uint64_t length = UINT64_MAX / 32;
    if (ranges_read(value, length, ranges, &count) != RANGES_GOOD || !count)
        return 0;
    bool is_from_end =
        span_find(value, '=') + 1 < value.length && value.data[span_find(value, '=') + 1] == '-';
    return is_from_end ? 0 : ranges[0].first;
}
