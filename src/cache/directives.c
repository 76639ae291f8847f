/* SPDX-License-Identifier: Apache-2.0
 *
 * Cache directives. The first of several of one name counts (RFC 9111 section 4.2.1), and a lifetime that cannot be read is over
 * (the same section). Targeted fields are structured: one mistake, and the whole field does not count.
 */
#include "cache/directives.h"

#include "cache/cache.h"
#include "cache/structured.h"

enum kind { FLAG, NAMES, SECONDS };

static const struct {
    struct span text;
    enum kind kind;
} table[DIRECTIVE_COUNT] = {
#define X(name, text, kind) \
    [DIRECTIVE_##name] = {{(const uint8_t *)(text), sizeof(text) - 1}, kind},
    DIRECTIVE_LIST(X)
#undef X
};

static const char *const targeted[] = {"Causeway-Cache-Control", "CDN-Cache-Control"};

static enum directive find(struct span name)
{
    unsigned i = 0;
    while (i < DIRECTIVE_COUNT && !span_equal_nocase(table[i].text, name))
        i++;
    return (enum directive)i;
}

int directives_read_seconds(struct span text, uint32_t *seconds)
{
    uint64_t number = 0;
    if (!text.length)
        return ERROR_INVALID;
    for (size_t i = 0; i < text.length; i++) {
        if ((uint8_t)(text.data[i] - '0') > 9)
            return ERROR_INVALID;
        number = number * 10 + (uint64_t)(text.data[i] - '0');
        if (number > CACHE_SECONDS_MOST)
            number = CACHE_SECONDS_MOST;
    }
    *seconds = (uint32_t)number;
    return 0;
}

static struct span unquote(struct span value)
{
    if (value.length >= 2 && value.data[0] == '"' && value.data[value.length - 1] == '"')
        return span_of(value.data + 1, value.length - 2);
    return value;
}

/* "name", "name=token", 'name="text"'. */
static void split(struct span element, struct span *name, struct span *value, bool *has_value)
{
    size_t equals = span_find(element, '=');
    *name = span_of(element.data, equals);
    *has_value = equals < element.length;
    *value = unquote(span_from(element, equals + 1));
}

static void set_seconds(struct directives *directives, enum directive id, bool has_value,
                        struct span value)
{
    uint32_t bit = 1u << id, seconds = 0;
    if (directives->present & bit)
        return;
    directives->present |= bit;
    if (id == DIRECTIVE_MAX_STALE && !has_value)
        seconds = CACHE_SECONDS_MOST; /* however stale (RFC 9111 section 5.2.1.2) */
    else if (directives_read_seconds(value, &seconds))
        directives->invalid |= bit;
    directives->seconds[id] = seconds;
}

static void set_names(struct directives *directives, enum directive id, struct span value)
{
    if (value.length)
        directives->named |= 1u << id;
    else
        directives->present |= 1u << id;
}

static void read_element(struct directives *directives, struct span element)
{
    struct span name, value;
    bool has_value;
    split(element, &name, &value, &has_value);
    enum directive id = find(name);
    if (id == DIRECTIVE_COUNT)
        return;
    switch (table[id].kind) {
    case FLAG:
        directives->present |= 1u << id; /* whatever value it has */
        return;
    case NAMES:
        set_names(directives, id, value);
        return;
    case SECONDS:
        set_seconds(directives, id, has_value, value);
        return;
    }
}

void directives_read(struct directives *directives, const struct http_fields *fields)
{
    *directives = (struct directives){0};
    if (!http_fields_has(fields, HTTP_NAME_CACHE_CONTROL))
        return;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span rest = fields->list[i].value, element;
        if (fields->list[i].id != HTTP_NAME_CACHE_CONTROL)
            continue;
        while (http_list_next(&rest, &element))
            read_element(directives, element);
    }
}

/* Of several members of one key the last counts (RFC 8941 section 4.2.2). False: a value of another type than the directive's. */
static bool read_member(struct directives *directives, const struct structured_member *member)
{
    enum directive id = find(member->key);
    uint32_t bit = id < DIRECTIVE_COUNT ? 1u << id : 0;
    bool is_text = member->type == STRUCTURED_STRING || member->type == STRUCTURED_TOKEN;
    if (!bit)
        return true;
    directives->present &= ~bit;
    directives->named &= ~bit;
    if (member->type == STRUCTURED_BOOLEAN && !member->boolean)
        return true;
    switch (table[id].kind) {
    case FLAG:
        directives->present |= bit;
        return true;
    case NAMES:
        set_names(directives, id, is_text ? member->text : (struct span){0});
        return true;
    case SECONDS:
        if (member->type != STRUCTURED_INTEGER)
            return false;
        directives->present |= bit;
        directives->seconds[id] = member->integer <= 0 ? 0
                                  : member->integer > CACHE_SECONDS_MOST
                                      ? CACHE_SECONDS_MOST
                                      : (uint32_t)member->integer;
        return true;
    }
    return false;
}

static bool is_named(const struct http_field *field, struct span name)
{
    return span_equal_nocase(field->name, name);
}

/* False: there is no such field, or it does not count. */
static bool read_targeted(struct directives *directives, const struct http_fields *fields,
                          struct span name)
{
    size_t members = 0;
    *directives = (struct directives){.is_targeted = true};
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!is_named(&fields->list[i], name))
            continue;
        struct span rest = fields->list[i].value;
        struct structured_member member;
        int result = rest.length ? 1 : ERROR_INVALID;
        while (result > 0) {
            result = structured_dictionary_next(&rest, &member);
            if (result > 0 && !read_member(directives, &member))
                return false;
            members += result > 0;
        }
        if (result < 0)
            return false;
    }
    return members > 0;
}

void directives_read_response(struct directives *directives, const struct http_fields *fields)
{
    for (size_t i = 0; i < sizeof targeted / sizeof *targeted; i++)
        if (http_fields_find_text(fields, span_text(targeted[i])) &&
            read_targeted(directives, fields, span_text(targeted[i])))
            return;
    directives_read(directives, fields);
}

int cache_make_private(struct http_fields *answer)
{
    for (size_t i = 0; i < sizeof targeted / sizeof *targeted; i++)
        http_fields_remove_text(answer, span_text(targeted[i]));
    http_fields_remove(answer, HTTP_NAME_SURROGATE_CONTROL);
    return http_fields_add(answer, HTTP_NAME_CACHE_CONTROL, SPAN("private"));
}

static bool lists(struct span names, struct span name)
{
    struct span element;
    while (http_list_next(&names, &element))
        if (span_equal_nocase(element, name))
            return true;
    return false;
}

/* Whichever field counts is read leniently here: it was found well-formed before. */
bool directives_name_field(const struct directives *directives, const struct http_fields *fields,
                           struct span name)
{
    if (!directives->named)
        return false;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->list[i];
        bool counts = directives->is_targeted ? is_named(field, span_text(targeted[0])) ||
                                                    is_named(field, span_text(targeted[1]))
                                              : field->id == HTTP_NAME_CACHE_CONTROL;
        struct span rest = field->value, element, key, value;
        bool has_value;
        while (counts && http_list_next(&rest, &element)) {
            split(element, &key, &value, &has_value);
            enum directive id = find(key);
            if ((id == DIRECTIVE_NO_CACHE || id == DIRECTIVE_PRIVATE) && lists(value, name))
                return true;
        }
    }
    return false;
}
