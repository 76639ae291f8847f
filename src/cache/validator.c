/* SPDX-License-Identifier: Apache-2.0
 *
 * Entity tags, read strictly: a tag of another form validates nothing, and its field is passed on as it is.
 */
#include "cache/validator.h"

struct span field_value(const struct http_fields *fields, enum http_name id)
{
    const struct http_field *field = http_fields_find(fields, id);
    return field ? field->value : (struct span){0};
}

bool entity_tag_read(struct entity_tag *tag, struct span text)
{
    tag->is_weak = span_starts(text, SPAN("W/"));
    tag->opaque = tag->is_weak ? span_from(text, 2) : text;
    struct span opaque = tag->opaque;
    if (opaque.length < 2 || opaque.data[0] != '"' || opaque.data[opaque.length - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < opaque.length; i++)
        if (opaque.data[i] <= ' ' || opaque.data[i] == '"' || opaque.data[i] == 0x7f)
            return false;
    return true;
}

bool entity_tag_find(struct entity_tag *tag, const struct http_fields *fields)
{
    return entity_tag_read(tag, field_value(fields, HTTP_NAME_ETAG));
}

bool entity_tags_equal_strong(const struct entity_tag *a, const struct entity_tag *b)
{
    return !a->is_weak && !b->is_weak && span_equal(a->opaque, b->opaque);
}

bool entity_tags_equal_weak(const struct entity_tag *a, const struct entity_tag *b)
{
    return span_equal(a->opaque, b->opaque);
}
