/* SPDX-License-Identifier: Apache-2.0
 *
 * Stored fields as bytes, for the keeping half. A field: its code (http/names.h), the length of its name where the code is 0, the
 * length of its value, and both. Read back they point into these bytes: nothing is copied on the way of a hit.
 */
#include "cache/cache.h"

#include "base/bytes.h"

int cache_head_pack(struct text *out, const struct http_fields *stored)
{
    for (uint32_t i = 0; i < stored->count; i++) {
        const struct http_field *field = &stored->list[i];
        bool is_named = field->id == HTTP_NAME_OTHER;
        uint8_t head[5];
        size_t length = 0;
        if (field->name.length > UINT16_MAX || field->value.length > UINT16_MAX)
            return ERROR_LIMIT;
        head[length++] = (uint8_t)field->id;
        if (is_named) {
            store_u16(head + length, (uint16_t)field->name.length);
            length += 2;
        }
        store_u16(head + length, (uint16_t)field->value.length);
        text_add_span(out, span_of(head, length + 2));
        if (is_named)
            text_add_span(out, field->name);
        text_add_span(out, field->value);
    }
    return 0;
}

/* Takes `length` bytes off the front. False: there are fewer. */
static bool take(struct span *rest, size_t length, struct span *taken)
{
    if (rest->length < length)
        return false;
    *taken = span_of(rest->data, length);
    *rest = span_of(rest->data + length, rest->length - length);
    return true;
}

static bool take_length(struct span *rest, size_t *length)
{
    struct span bytes;
    if (!take(rest, 2, &bytes))
        return false;
    *length = load_u16(bytes.data);
    return true;
}

static bool take_field(struct span *rest, struct http_field *field)
{
    struct span code;
    size_t name_length = 0, value_length;
    if (!take(rest, 1, &code) || code.data[0] >= HTTP_NAME_COUNT)
        return false;
    field->id = (enum http_name)code.data[0];
    field->name = http_name_text(field->id);
    return (field->id != HTTP_NAME_OTHER || take_length(rest, &name_length)) &&
           take_length(rest, &value_length) &&
           (field->id != HTTP_NAME_OTHER || take(rest, name_length, &field->name)) &&
           take(rest, value_length, &field->value);
}

int cache_head_unpack(struct http_fields *fields, struct arena *arena, struct span packed)
{
    struct http_field field;
    *fields = (struct http_fields){.arena = arena};
    while (packed.length)
        if (!take_field(&packed, &field) || http_fields_borrow(fields, &field))
            return ERROR_INVALID;
    return 0;
}
