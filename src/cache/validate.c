/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking the origin whether a stored response is still right (RFC 9111 section 4.3), which stored response its answer is about, and
 * which parts of a representation belong together (3.4).
 */
#include "cache/cache.h"
#include "cache/validator.h"

bool cache_validation_ask(struct http_fields *request, const struct http_fields *stored)
{
    static const enum http_name own[] = {HTTP_NAME_IF_MATCH,          HTTP_NAME_IF_NONE_MATCH,
                                         HTTP_NAME_IF_MODIFIED_SINCE, HTTP_NAME_IF_UNMODIFIED_SINCE,
                                         HTTP_NAME_IF_RANGE,          HTTP_NAME_RANGE};
    struct entity_tag tag;
    uint64_t seconds;
    bool has_any = false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        http_fields_remove(request, own[i]);
    if (entity_tag_find(&tag, stored))
        has_any |=
            !http_fields_add(request, HTTP_NAME_IF_NONE_MATCH, field_value(stored, HTTP_NAME_ETAG));
    struct span modified = field_value(stored, HTTP_NAME_LAST_MODIFIED);
    if (!http_date_read(modified, 0, &seconds))
        has_any |= !http_fields_add(request, HTTP_NAME_IF_MODIFIED_SINCE, modified);
    return has_any;
}

/* The same moment, however it is written. */
static bool is_same_date(struct span a, struct span b, uint64_t now_s)
{
    uint64_t x, y;
    return span_equal(a, b) ||
           (!http_date_read(a, now_s, &x) && !http_date_read(b, now_s, &y) && x == y);
}

/* 304: the strongest validator in it must be the stored one. One without any is about our only question. */
static bool not_modified_matches(const struct http_fields *answer, const struct cache_facts *facts,
                                 const struct http_fields *stored)
{
    struct entity_tag theirs, ours;
    if (entity_tag_find(&theirs, answer)) {
        bool has_ours = entity_tag_find(&ours, stored);
        return has_ours && (theirs.is_weak ? entity_tags_equal_weak(&theirs, &ours)
                                           : entity_tags_equal_strong(&theirs, &ours));
    }
    struct span modified = field_value(answer, HTTP_NAME_LAST_MODIFIED);
    return !modified.length ||
           is_same_date(modified, field_value(stored, HTTP_NAME_LAST_MODIFIED), facts->response_s);
}

/* HEAD (RFC 9111 section 4.3.5): whatever of ETag, Last-Modified and Content-Length it has must be the stored one. */
static bool head_matches(const struct http_head *answer, const struct cache_facts *facts,
                         const struct http_fields *stored)
{
    struct entity_tag theirs, ours;
    bool has_tag = entity_tag_find(&theirs, &answer->fields);
    struct span modified = field_value(&answer->fields, HTTP_NAME_LAST_MODIFIED);
    if (has_tag && (!entity_tag_find(&ours, stored) || !entity_tags_equal_weak(&theirs, &ours)))
        return false;
    if (modified.length &&
        !is_same_date(modified, field_value(stored, HTTP_NAME_LAST_MODIFIED), facts->response_s))
        return false;
    if (answer->has_length && facts->length != UINT64_MAX &&
        answer->content_length != facts->length)
        return false;
    return has_tag || modified.length > 0;
}

bool cache_validation_matches(const struct http_head *answer, const struct cache_facts *facts,
                              const struct http_fields *stored)
{
    if (answer->status == 304)
        return not_modified_matches(&answer->fields, facts, stored);
    return answer->status == facts->status && head_matches(answer, facts, stored);
}

/* ---- parts */

static bool is_same_representation(const struct cache_facts *a, const struct http_fields *a_stored,
                                   const struct cache_facts *b, const struct http_fields *b_stored)
{
    struct entity_tag x, y;
    if (a->status != 200 || b->status != 200 || a->length != b->length || a->length == UINT64_MAX)
        return false;
    if ((a->flags | b->flags) & CACHE_ETAG)
        return entity_tag_find(&x, a_stored) && entity_tag_find(&y, b_stored) &&
               entity_tags_equal_strong(&x, &y);
    return (a->flags & b->flags & CACHE_MODIFIED_STRONG) && a->modified_s == b->modified_s;
}

bool cache_parts_combine(const struct cache_facts *a, const struct http_fields *a_stored,
                         const struct cache_facts *b, const struct http_fields *b_stored)
{
    return is_same_representation(a, a_stored, b, b_stored) && a->first <= b->last + 1 &&
           b->first <= a->last + 1;
}

void cache_parts_facts(struct cache_facts *both, const struct cache_facts *older,
                       const struct cache_facts *newer)
{
    struct cache_facts result = *newer;
    result.first = older->first < newer->first ? older->first : newer->first;
    result.last = older->last > newer->last ? older->last : newer->last;
    if (result.first == 0 && result.last + 1 == result.length)
        result.flags &= (uint16_t)~CACHE_PARTIAL;
    else
        result.flags |= CACHE_PARTIAL;
    *both = result;
}
