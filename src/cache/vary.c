/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of several stored responses a request selects (RFC 9111 section 4.1). Requests that mean the same give the same bytes:
 *
 *   Accept-Encoding   the acceptable codings, sorted: any that a client accepts is right for it, whatever it prefers
 *   Accept-Language   by preference, sorted among equals
 *   other Accept-*    white space around commas and semicolons does not count, nor does case in Accept-Charset
 *   anything else     several lines are one list; no more is known of its syntax
 *
 * A field that is absent is not the same as an empty one. In a variant a field is its name, '=', its length and its bytes.
 */
#include "cache/cache.h"
#include "cache/validator.h"

#include <stdlib.h>

enum { ITEMS_MOST = 64 }; /* of a preference list; a longer one is compared as it is */

struct item {
    struct span name;
    uint32_t quality; /* thousandths */
};

/* ---- names */

static int compare_names(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    size_t shorter = x->length < y->length ? x->length : y->length;
    for (size_t i = 0; i < shorter; i++)
        if (ascii_lower(x->data[i]) != ascii_lower(y->data[i]))
            return ascii_lower(x->data[i]) - ascii_lower(y->data[i]);
    return (x->length > y->length) - (x->length < y->length);
}

static void add_lower(struct text *text, struct span span)
{
    for (size_t i = 0; i < span.length; i++) {
        uint8_t byte = ascii_lower(span.data[i]);
        text_add_span(text, span_of(&byte, 1));
    }
}

/* Gateways write these for each visitor: no two requests are the same to the origin, and here they look alike. */
static bool is_of_visitor(struct span name)
{
    enum http_name id = http_name_of(name);
    return id == HTTP_NAME_FORWARDED || id == HTTP_NAME_X_FORWARDED_FOR;
}

int cache_vary_names(struct text *names, const struct http_fields *response)
{
    struct span list[CACHE_VARY_NAMES_MOST];
    size_t count = 0;
    for (uint32_t i = 0; i < response->count; i++) {
        struct span rest = response->list[i].value, name;
        if (response->list[i].id != HTTP_NAME_VARY)
            continue;
        while (http_list_next(&rest, &name)) {
            if (!http_is_token(name) || span_equal(name, SPAN("*")) || is_of_visitor(name) ||
                count == CACHE_VARY_NAMES_MOST)
                return ERROR_UNSUPPORTED;
            list[count++] = name;
        }
    }
    qsort(list, count, sizeof *list, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (i && span_equal_nocase(list[i - 1], list[i]))
            continue;
        if (i)
            text_add(names, ",");
        add_lower(names, list[i]);
    }
    return 0;
}

/* ---- preference lists */

/* "0.5" as thousandths; what cannot be read is 1. */
static uint32_t quality_of(struct span text)
{
    uint32_t quality, unit = 100;
    if (!text.length || (text.data[0] != '0' && text.data[0] != '1'))
        return 1000;
    quality = (uint32_t)(text.data[0] - '0') * 1000;
    for (size_t i = 2; i < text.length && i < 5; i++, unit /= 10) {
        if ((uint8_t)(text.data[i] - '0') > 9)
            return 1000;
        quality += (uint32_t)(text.data[i] - '0') * unit;
    }
    return quality > 1000 ? 1000 : quality;
}

static struct item item_of(struct span element)
{
    size_t end = span_find(element, ';');
    struct item item = {span_trim(span_of(element.data, end)), 1000};
    struct span rest = span_trim(span_from(element, end + 1));
    if (rest.length >= 2 && ascii_lower(rest.data[0]) == 'q' && rest.data[1] == '=')
        item.quality = quality_of(span_trim(span_from(rest, 2)));
    return item;
}

static int compare_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->quality != y->quality)
        return x->quality < y->quality ? 1 : -1;
    return compare_names(&x->name, &y->name);
}

/* "x-gzip" is another word for gzip (RFC 9110 section 8.4.1). */
static struct span plain_coding(struct span name)
{
    if (name.length > 2 &&
        (span_equal_nocase(name, SPAN("x-gzip")) || span_equal_nocase(name, SPAN("x-compress"))))
        return span_from(name, 2);
    return name;
}

/* Sorted into `items`. False: more than fit. */
static bool read_items(struct item *items, size_t *count, const struct http_fields *request,
                       enum http_name id)
{
    bool is_encoding = id == HTTP_NAME_ACCEPT_ENCODING;
    *count = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        struct span rest = request->list[i].value, element;
        if (request->list[i].id != id)
            continue;
        while (http_list_next(&rest, &element)) {
            struct item item = item_of(element);
            if (is_encoding) {
                item.name = plain_coding(item.name);
                item.quality = item.quality ? 1000 : 0;
            }
            if (*count == ITEMS_MOST)
                return false;
            items[(*count)++] = item;
        }
    }
    qsort(items, *count, sizeof *items, compare_items);
    return true;
}

/* A coding that is refused need not be said, but for "identity" and "*", which are accepted otherwise; and the other way round. */
static bool says_nothing(const struct item *item, bool is_encoding)
{
    bool is_special =
        span_equal_nocase(item->name, SPAN("identity")) || span_equal(item->name, SPAN("*"));
    if (!is_encoding)
        return false;
    if (span_equal_nocase(item->name, SPAN("identity")))
        return item->quality > 0;
    return !item->quality && !is_special;
}

static void add_items(struct text *value, const struct item *items, size_t count, bool is_encoding)
{
    bool has_star = false;
    for (size_t i = 0; i < count; i++)
        has_star |= span_equal(items[i].name, SPAN("*"));
    for (size_t i = 0; i < count; i++) {
        /* Beside "*" a refusal does say something. */
        if (says_nothing(&items[i], is_encoding && !has_star) ||
            (i && !compare_items(&items[i - 1], &items[i])))
            continue;
        add_lower(value, items[i].name);
        if (items[i].quality != 1000)
            text_add_format(value, ";%u", items[i].quality);
        text_add(value, ",");
    }
}

/* ---- other fields */

static bool is_list(enum http_name id)
{
    return id == HTTP_NAME_ACCEPT || id == HTTP_NAME_ACCEPT_CHARSET;
}

/* As it came, or without blanks at commas and semicolons outside quoted strings. */
static void add_value(struct text *value, struct span text, enum http_name id)
{
    bool is_quoted = false;
    for (size_t i = 0; is_list(id) && i < text.length; i++) {
        uint8_t byte = text.data[i];
        bool is_blank = byte == ' ' || byte == '\t';
        is_quoted ^= byte == '"';
        if (is_blank && !is_quoted)
            continue;
        if (id == HTTP_NAME_ACCEPT_CHARSET)
            byte = ascii_lower(byte);
        text_add_span(value, span_of(&byte, 1));
    }
    if (!is_list(id))
        text_add_span(value, text);
}

static bool is_field(const struct http_field *field, enum http_name id, struct span name)
{
    return id != HTTP_NAME_OTHER
               ? field->id == id
               : field->id == HTTP_NAME_OTHER && span_equal_nocase(field->name, name);
}

static bool add_lines(struct text *value, const struct http_fields *request, enum http_name id,
                      struct span name)
{
    bool is_there = false;
    for (uint32_t i = 0; i < request->count; i++) {
        if (!is_field(&request->list[i], id, name))
            continue;
        if (is_there)
            text_add(value, is_list(id) ? "," : ", ");
        add_value(value, request->list[i].value, id);
        is_there = true;
    }
    return is_there;
}

/* False: the request has no such field. */
static bool add_field(struct text *value, const struct http_fields *request, struct span name)
{
    enum http_name id = http_name_of(name);
    struct item items[ITEMS_MOST];
    size_t count;
    bool is_encoding = id == HTTP_NAME_ACCEPT_ENCODING;
    bool is_preference = is_encoding || id == HTTP_NAME_ACCEPT_LANGUAGE;
    if (is_preference && !http_fields_has(request, id))
        return false;
    if (is_preference && read_items(items, &count, request, id)) {
        add_items(value, items, count, is_encoding);
        return true;
    }
    return add_lines(value, request, id, name);
}

int cache_vary_variant(struct text *variant, struct span names, const struct http_fields *request)
{
    struct text value = {.limit = CACHE_VARY_MOST};
    struct span name;
    size_t before = variant->length;
    bool is_cut = false;
    while (!is_cut && http_list_next(&names, &name)) {
        text_reset(&value);
        bool is_there = add_field(&value, request, name);
        is_cut = value.is_cut ||
                 variant->length - before + name.length + value.length + 16 > CACHE_VARY_MOST;
        if (is_cut)
            break;
        text_add_span(variant, name);
        if (is_there) {
            text_add_format(variant, "=%zu:", value.length);
            text_add_span(variant, text_span(&value));
        }
        text_add(variant, "\n");
    }
    text_clear(&value);
    return is_cut ? ERROR_LIMIT : 0;
}
