/* SPDX-License-Identifier: Apache-2.0
 *
 * Slices over any Range (or URL of a list), If-Range, Content-Range and validators: a line for each. Whatever they say, a slice lies within the
 * representation, an answer that is taken for one has exactly its bytes and its validator, and the pieces of an answer from slices are in
 * the order and of the length that its head promises.
 */
#include "cache/cache.h"
#include "fuzz.h"

#define must(condition) INVARIANT(condition)

static struct span next_line(struct span *rest)
{
    size_t end = span_find(*rest, '\n');
    struct span line = span_of(rest->data, end);
    *rest = span_from(*rest, end + 1);
    return line;
}

static void add(struct http_fields *fields, enum http_name name, struct span value)
{
    value = span_trim(value);
    if (value.length && http_fields_add(fields, name, value))
        must(false);
}

static bool is_text(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] < ' ' || text.data[i] == 0x7f)
            return false;
    return true;
}

static void must_be_whole(const struct cache_facts *index, const struct http_head *request,
                          const struct http_fields *stored)
{
    struct cache_answer answer;
    const struct cache_ask ask = {.has_range = http_fields_has(&request->fields, HTTP_NAME_RANGE)};
    char text[CACHE_PART_HEAD_MOST];
    uint64_t bytes = 0;
    if (cache_answer_choose(&answer, &ask, request, index, stored, 1) || !answer.has_content)
        return;
    uint32_t count = answer.count ? answer.count : 1;
    for (uint32_t i = 0; i < count; i++) {
        struct cache_range whole = {0, index->length - 1};
        struct cache_range range = answer.count ? answer.ranges[i] : whole;
        must(range.first <= range.last && range.last < index->length);
        uint64_t number = range.first / index->slice_bytes;
        struct cache_range slice = cache_slice_range(index, number);
        must(slice.first <= range.first && slice.last >= range.first && slice.last < index->length);
        bytes += range.last - range.first + 1;
    }
    for (uint32_t i = 0; answer.is_multipart && i <= count; i++)
        bytes += cache_answer_part_head(&answer, i, index, stored, text).length;
    must(bytes == answer.content_length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct span rest = span_of(data, size);
    struct http_head request, answer;
    struct http_fields stored = {.arena = &arena};
    struct cache_facts part, index;
    if (size > 4096 || !size)
        return 0;
    uint32_t slice_bytes = 1u << (data[0] % 27);
    rest = span_from(rest, 1);
    http_head_init(&request, &arena);
    http_head_init(&answer, &arena);
    request.method = HTTP_METHOD_GET;
    struct span lines[6];
    for (size_t i = 0; i < 6; i++) {
        lines[i] = next_line(&rest);
        if (!is_text(lines[i]))
            return 0;
    }
    add(&request.fields, HTTP_NAME_RANGE, lines[0]);
    add(&request.fields, HTTP_NAME_IF_RANGE, lines[1]);
    add(&answer.fields, HTTP_NAME_CONTENT_RANGE, lines[2]);
    add(&answer.fields, HTTP_NAME_ETAG, lines[3]);
    add(&answer.fields, HTTP_NAME_LAST_MODIFIED, lines[4]);
    add(&answer.fields, HTTP_NAME_CACHE_CONTROL, lines[5]);
    answer.status = 206;
    (void)cache_range_begin(&request);
    struct cache_url url;
    if (cache_url_read(&url, &arena, lines[0]) == 0)
        must(url.host.length && url.target.length && url.target.data[0] == '/');
    if (cache_response_judge(&part, &cache_policy_default, &request, &answer, 1000000000,
                             1000000000) == CACHE_REFUSAL_NONE &&
        cache_response_fields(&stored, &cache_policy_default, &answer.fields, 1000000000) == 0 &&
        cache_slices_index(&index, &part, slice_bytes, 1)) {
        uint64_t number = part.first / slice_bytes;
        struct cache_range range = cache_slice_range(&index, number);
        must(range.first <= part.first && part.first <= range.last);
        if (cache_slice_matches(&answer, &index, &stored, number))
            must(part.first == range.first && part.last == range.last);
        must_be_whole(&index, &request, &stored);
        must(cache_slice_ask(&request.fields, &range, &stored) == 0);
        must(cache_range_begin(&request) == range.first || range.last > UINT64_MAX / 64);
    }
    arena_clear(&arena);
    return 0;
}
