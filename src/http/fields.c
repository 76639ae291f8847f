/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of fields: every way in checks what it adds, so that whatever is in a list may be
 * written.
 */
#include "http/fields.h"

#include "http/chars.h"

enum { FIELDS_FIRST = 16 }; /* room of a new list: most messages need no more */

bool http_is_token(struct span text)
{
    return text.length && token_run(text.data, 0, text.length) == text.length;
}

bool http_is_field_value(struct span text)
{
    if (!text.length)
        return true;
    return !is_white(text.data[0]) && !is_white(text.data[text.length - 1]) &&
           is_value(text.data, text.length);
}

bool http_fields_are_valid(const struct http_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->list[i];
        if (field->id == HTTP_NAME_OTHER ? !http_is_token(field->name)
                                         : !http_name_text(field->id).length)
            return false;
        if (!http_is_field_value(field->value))
            return false;
    }
    return true;
}

/* For so many more, and then some. */
static int make_room(struct http_fields *fields, uint32_t more)
{
    if (fields->count + more <= fields->capacity)
        return 0;
    if (fields->count + more > HTTP_FIELDS_MOST)
        return ERROR_LIMIT;
    uint32_t capacity = fields->capacity ? fields->capacity * 2 : FIELDS_FIRST;
    while (capacity < fields->count + more)
        capacity *= 2;
    struct http_field *list = ARENA_ARRAY_RAW(fields->arena, struct http_field, capacity);
    if (fields->count)
        memcpy(list, fields->list, fields->count * sizeof *list);
    fields->list = list;
    fields->capacity = capacity;
    return 0;
}

static inline int put(struct http_fields *fields, enum http_name id, struct span name,
                      struct span value)
{
    struct http_field *field = &fields->list[fields->count++];
    field->name = name;
    field->value = value;
    field->id = id;
    fields->present[id / 64] |= 1ull << (id % 64);
    return 0;
}

__attribute__((noinline)) static int put_into_more_room(struct http_fields *fields,
                                                        enum http_name id, struct span name,
                                                        struct span value)
{
    return make_room(fields, 1) ? ERROR_LIMIT : put(fields, id, name, value);
}

int http_fields_put(struct http_fields *fields, enum http_name id, struct span name,
                    struct span value)
{
    return fields->count < fields->capacity ? put(fields, id, name, value)
                                            : put_into_more_room(fields, id, name, value);
}

int http_fields_borrow_all(struct http_fields *fields, const struct http_fields *from)
{
    if (!from->count)
        return 0;
    if (make_room(fields, from->count))
        return ERROR_LIMIT;
    memcpy(fields->list + fields->count, from->list, from->count * sizeof *from->list);
    fields->count += from->count;
    fields->present[0] |= from->present[0];
    fields->present[1] |= from->present[1];
    return 0;
}

const struct http_field *http_fields_find(const struct http_fields *fields, enum http_name id)
{
    if (!http_fields_has(fields, id))
        return NULL;
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->list[i].id == id)
            return &fields->list[i];
    return NULL;
}

const struct http_field *http_fields_find_text(const struct http_fields *fields, struct span name)
{
    enum http_name id = http_name_of(name);
    if (id != HTTP_NAME_OTHER)
        return http_fields_find(fields, id);
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->list[i].id == HTTP_NAME_OTHER && span_equal_nocase(fields->list[i].name, name))
            return &fields->list[i];
    return NULL;
}

int http_fields_add(struct http_fields *fields, enum http_name id, struct span value)
{
    struct span name = http_name_text(id);
    if (!name.length || !http_is_field_value(value))
        return ERROR_INVALID;
    return http_fields_put(fields, id, name, arena_copy(fields->arena, value));
}

int http_fields_borrow(struct http_fields *fields, const struct http_field *field)
{
    return http_fields_put(fields, field->id, field->name, field->value);
}

int http_fields_add_text(struct http_fields *fields, struct span name, struct span value)
{
    enum http_name id = http_name_of(name);
    if (id != HTTP_NAME_OTHER)
        return http_fields_add(fields, id, value);
    if (!http_is_token(name) || !http_is_field_value(value))
        return ERROR_INVALID;
    return http_fields_put(fields, id, arena_copy(fields->arena, name),
                           arena_copy(fields->arena, value));
}

int http_fields_set_own(struct http_fields *fields, enum http_name id, struct span value)
{
    http_fields_remove(fields, id);
    return http_fields_put(fields, id, http_name_text(id), value);
}

int http_fields_set(struct http_fields *fields, enum http_name id, struct span value)
{
    if (!http_name_text(id).length || !http_is_field_value(value))
        return ERROR_INVALID;
    /* Copied before the old ones go: the value may be a part of them. */
    return http_fields_set_own(fields, id, arena_copy(fields->arena, value));
}

/* Takes out the fields that `chosen` says, keeping the order of the others. */
void http_fields_remove_if(struct http_fields *fields,
                           bool (*chosen)(const struct http_field *field, const void *context),
                           const void *context)
{
    uint32_t kept = 0;
    memset(fields->present, 0, sizeof fields->present);
    for (uint32_t i = 0; i < fields->count; i++) {
        if (chosen(&fields->list[i], context))
            continue;
        struct http_field field = fields->list[i];
        fields->present[field.id / 64] |= 1ull << (field.id % 64);
        fields->list[kept++] = field;
    }
    fields->count = kept;
}

static bool has_id(const struct http_field *field, const void *context)
{
    return field->id == *(const enum http_name *)context;
}

static bool has_name(const struct http_field *field, const void *context)
{
    return span_equal_nocase(field->name, *(const struct span *)context);
}

void http_fields_remove(struct http_fields *fields, enum http_name id)
{
    if (id != HTTP_NAME_OTHER && http_fields_has(fields, id))
        http_fields_remove_if(fields, has_id, &id);
}

void http_fields_remove_text(struct http_fields *fields, struct span name)
{
    enum http_name id = http_name_of(name);
    if (id != HTTP_NAME_OTHER)
        http_fields_remove(fields, id);
    else
        http_fields_remove_if(fields, has_name, &name);
}

int http_fields_copy(struct http_fields *to, const struct http_fields *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const struct http_field *field = &from->list[i];
        int result = http_fields_add_text(to, field->name, field->value);
        if (result)
            return result;
    }
    return 0;
}

bool http_list_next(struct span *rest, struct span *element)
{
    while (rest->length) {
        size_t end = 0;
        bool quoted = false;
        for (; end < rest->length && (quoted || rest->data[end] != ','); end++) {
            if (rest->data[end] == '"')
                quoted = !quoted;
            else if (quoted && rest->data[end] == '\\' && end + 1 < rest->length)
                end++;
        }
        *element = span_trim(span_of(rest->data, end));
        *rest = span_from(*rest, end + 1);
        if (element->length)
            return true;
    }
    return false;
}

bool http_fields_list_has(const struct http_fields *fields, enum http_name id, struct span token)
{
    if (!http_fields_has(fields, id))
        return false;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->list[i].id != id)
            continue;
        struct span rest = fields->list[i].value, element;
        while (http_list_next(&rest, &element))
            if (span_equal_nocase(element, token))
                return true;
    }
    return false;
}
