/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a stored response a client gets: all of it, nothing but "not modified", or parts.
 */
#include "cache/range.h"
#include "cache/validator.h"

#include <stdio.h>

/* ---- conditions */

static bool lists_tag(const struct http_fields *request, const struct http_fields *stored)
{
    struct entity_tag ours, theirs;
    bool has_ours = entity_tag_find(&ours, stored);
    for (uint32_t i = 0; i < request->count; i++) {
        struct span rest = request->list[i].value, element;
        if (request->list[i].id != HTTP_NAME_IF_NONE_MATCH)
            continue;
        if (span_equal(rest, SPAN("*")))
            return true;
        while (has_ours && http_list_next(&rest, &element))
            if (entity_tag_read(&theirs, element) && entity_tags_equal_weak(&ours, &theirs))
                return true;
    }
    return false;
}

/* RFC 9111 section 4.3.2: Last-Modified, else Date, else when it came; the latter two are date_s. */
static bool is_unmodified(const struct cache_facts *facts, const struct http_fields *request)
{
    uint64_t since_s;
    if (http_date_read(field_value(request, HTTP_NAME_IF_MODIFIED_SINCE), facts->response_s,
                       &since_s))
        return false;
    return (facts->modified_s ? facts->modified_s : facts->date_s) <= since_s;
}

/* If-None-Match goes before If-Modified-Since; conditions are for what would be a success (RFC 9110 section 13.2). */
static bool is_not_modified(const struct cache_facts *facts, const struct http_fields *request,
                            const struct http_fields *stored)
{
    if (facts->status < 200 || facts->status > 299)
        return false;
    if (http_fields_has(request, HTTP_NAME_IF_NONE_MATCH))
        return lists_tag(request, stored);
    return is_unmodified(facts, request);
}

/* RFC 9110 section 13.1.5: strong, and exact. */
static bool range_is_still_meant(const struct cache_facts *facts, const struct http_fields *request,
                                 const struct http_fields *stored)
{
    struct entity_tag ours, theirs;
    uint64_t seconds;
    if (!http_fields_has(request, HTTP_NAME_IF_RANGE))
        return true;
    struct span value = field_value(request, HTTP_NAME_IF_RANGE);
    if (entity_tag_read(&theirs, value))
        return entity_tag_find(&ours, stored) && entity_tags_equal_strong(&ours, &theirs);
    return (facts->flags & CACHE_MODIFIED_STRONG) &&
           !http_date_read(value, facts->response_s, &seconds) && seconds == facts->modified_s;
}

/* ---- which part of it */

static bool holds(const struct cache_facts *facts, const struct cache_answer *answer)
{
    if (!(facts->flags & CACHE_PARTIAL))
        return true;
    for (uint32_t i = 0; i < answer->count; i++)
        if (answer->ranges[i].first < facts->first || answer->ranges[i].last > facts->last)
            return false;
    return answer->count > 0 || answer->status == 416;
}

static void make_boundary(struct cache_answer *answer, uint64_t seed)
{
    snprintf(answer->boundary, sizeof answer->boundary, "causeway%016llx",
             (unsigned long long)seed);
}

static uint64_t multipart_length(const struct cache_answer *answer, const struct cache_facts *facts,
                                 const struct http_fields *stored)
{
    char text[CACHE_PART_HEAD_MOST];
    uint64_t length = 0;
    for (uint32_t i = 0; i <= answer->count; i++) {
        length += cache_answer_part_head(answer, i, facts, stored, text).length;
        if (i < answer->count)
            length += answer->ranges[i].last - answer->ranges[i].first + 1;
    }
    return length;
}

static void choose_ranges(struct cache_answer *answer, const struct cache_facts *facts,
                          const struct http_fields *request, const struct http_fields *stored,
                          uint64_t seed)
{
    if (facts->status != 200 || facts->length == UINT64_MAX ||
        !range_is_still_meant(facts, request, stored))
        return;
    switch (ranges_read(field_value(request, HTTP_NAME_RANGE), facts->length, answer->ranges,
                        &answer->count)) {
    case RANGES_IGNORED:
        answer->count = 0;
        return;
    case RANGES_NONE:
        answer->status = 416;
        answer->has_content = false;
        answer->content_length = 0;
        return;
    case RANGES_GOOD:
        answer->status = 206;
        answer->is_multipart = answer->count > 1;
        break;
    }
    if (answer->is_multipart)
        make_boundary(answer, seed);
    answer->content_length = answer->is_multipart
                                 ? multipart_length(answer, facts, stored)
                                 : answer->ranges[0].last - answer->ranges[0].first + 1;
}

int cache_answer_choose(struct cache_answer *answer, const struct cache_ask *ask,
                        const struct http_head *request, const struct cache_facts *facts,
                        const struct http_fields *stored, uint64_t seed)
{
    answer->status = facts->status;
    answer->has_content = !ask->is_head && http_status_has_body(facts->status);
    answer->is_multipart = false;
    answer->count = 0;
    answer->content_length = facts->length;
    if (ask->has_conditions && is_not_modified(facts, &request->fields, stored)) {
        answer->status = 304;
        answer->has_content = false;
        return 0;
    }
    if (ask->has_range)
        choose_ranges(answer, facts, &request->fields, stored, seed);
    return holds(facts, answer) ? 0 : ERROR_NOT_FOUND;
}

/* ---- its head */

/* What describes content is not for an answer without that content (RFC 9110 section 15.4.5); Last-Modified only where
 * there is no ETag. */
static bool describes_content(enum http_name id, bool has_tag)
{
    return id == HTTP_NAME_CONTENT_TYPE || id == HTTP_NAME_CONTENT_ENCODING ||
           id == HTTP_NAME_CONTENT_LANGUAGE || id == HTTP_NAME_CONTENT_DISPOSITION ||
           id == HTTP_NAME_CONTENT_DIGEST || id == HTTP_NAME_ACCEPT_RANGES ||
           (id == HTTP_NAME_LAST_MODIFIED && has_tag);
}

static int copy_fields(struct http_head *head, const struct cache_answer *answer,
                       const struct http_fields *stored)
{
    bool has_tag = http_fields_has(stored, HTTP_NAME_ETAG);
    bool is_bare = answer->status == 304 || answer->status == 416;
    if (!is_bare && !answer->is_multipart)
        return http_fields_borrow_all(&head->fields, stored);
    for (uint32_t i = 0; i < stored->count; i++) {
        const struct http_field *field = &stored->list[i];
        if ((is_bare && describes_content(field->id, has_tag)) ||
            (answer->is_multipart && field->id == HTTP_NAME_CONTENT_TYPE))
            continue;
        int result = http_fields_borrow(&head->fields, field);
        if (result)
            return result;
    }
    return 0;
}

static int add_text(struct http_fields *fields, enum http_name id, const char *text)
{
    return http_fields_set(fields, id, span_text(text));
}

static int add_range(struct http_head *head, const struct cache_answer *answer,
                     const struct cache_facts *facts)
{
    char text[128];
    if (answer->status == 416)
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)facts->length);
    else if (answer->status == 206 && !answer->is_multipart)
        snprintf(text, sizeof text, "bytes %llu-%llu/%llu",
                 (unsigned long long)answer->ranges[0].first,
                 (unsigned long long)answer->ranges[0].last, (unsigned long long)facts->length);
    else
        return 0;
    return add_text(&head->fields, HTTP_NAME_CONTENT_RANGE, text);
}

static void set_body(struct http_head *head, const struct cache_answer *answer)
{
    bool is_known = answer->content_length != UINT64_MAX;
    head->has_length = is_known && answer->status != 304;
    head->content_length = head->has_length ? answer->content_length : 0;
    if (answer->has_content)
        head->body = is_known ? HTTP_BODY_LENGTH : HTTP_BODY_CHUNKED;
    else if (answer->status == 416)
        head->body = HTTP_BODY_LENGTH; /* of length 0, and says so */
    else
        head->body = HTTP_BODY_NONE;
}

int cache_answer_head(struct http_head *head, const struct cache_answer *answer,
                      const struct cache_judgement *judgement, const struct cache_facts *facts,
                      const struct http_fields *stored)
{
    char text[64];
    head->status = answer->status;
    head->reason = span_text(http_status_reason(answer->status));
    head->minor = 1;
    set_body(head, answer);
    int result = copy_fields(head, answer, stored);
    if (!result)
        result = add_range(head, answer, facts);
    if (!result && answer->is_multipart) {
        snprintf(text, sizeof text, "multipart/byteranges; boundary=%s", answer->boundary);
        result = add_text(&head->fields, HTTP_NAME_CONTENT_TYPE, text);
    }
    if (!result) {
        uint8_t *digits = arena_take_raw(head->fields.arena, SPAN_DIGITS);
        result = http_fields_set_own(&head->fields, HTTP_NAME_AGE,
                                     span_decimal(judgement->age_s, digits));
    }
    return result;
}

struct span cache_answer_part_head(const struct cache_answer *answer, uint32_t index,
                                   const struct cache_facts *facts,
                                   const struct http_fields *stored, char out[CACHE_PART_HEAD_MOST])
{
    enum { TYPE_MOST = 512 }; /* a longer Content-Type is left out of the parts */
    struct span type = field_value(stored, HTTP_NAME_CONTENT_TYPE);
    const char *before = index ? "\r\n" : "";
    int length;
    if (index == answer->count) {
        length = snprintf(out, CACHE_PART_HEAD_MOST, "\r\n--%s--\r\n", answer->boundary);
        return span_of(out, (size_t)length);
    }
    if (type.length > TYPE_MOST)
        type.length = 0;
    length =
        snprintf(out, CACHE_PART_HEAD_MOST,
                 "%s--%s\r\n%s%.*s%sContent-Range: bytes %llu-%llu/%llu\r\n\r\n", before,
                 answer->boundary, type.length ? "Content-Type: " : "", SPAN_ARGS(type),
                 type.length ? "\r\n" : "", (unsigned long long)answer->ranges[index].first,
                 (unsigned long long)answer->ranges[index].last, (unsigned long long)facts->length);
    return span_of(out, (size_t)length);
}
