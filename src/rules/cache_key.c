/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a request chooses among stored answers, where rules say more of it than the URL does. Only for requests that met such a rule.
 */
#include "rules/private.h"

/* ---- parameters that make no difference */

static bool is_ignored(const struct pattern *patterns, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (pattern_matches(&patterns[i], name, NULL, NULL))
            return true;
    return false;
}

struct span rules_cache_target(const struct rules_decision *decision,
                               const struct rules_facts *facts, struct arena *arena)
{
    const struct rules_texts *ignored = &decision->cache.ignore_query;
    struct span target = facts->head->target;
    size_t path = span_find(target, '?');
    if (!ignored->count || path == target.length)
        return target;
    struct pattern *patterns = ARENA_ARRAY(arena, struct pattern, ignored->count);
    for (size_t i = 0; i < ignored->count; i++)
        (void)pattern_compile(arena, ignored->items[i], false, &patterns[i]); /* has no regex */
    struct subject subject;
    subject_init(&subject, facts, arena);
    uint8_t *out = arena_take(arena, target.length);
    memcpy(out, target.data, path);
    size_t length = path;
    struct span rest = subject.query, name, value;
    while (rest.length) {
        struct span whole = span_of(rest.data, span_find(rest, '&'));
        (void)subject_next_parameter(&subject, &rest, &name, &value);
        /* There are origins that end a parameter at ';': behind it may be one that is not ignored. */
        if (is_ignored(patterns, ignored->count, name) && span_find(whole, ';') == whole.length)
            continue;
        out[length] = length == path ? '?' : '&';
        memcpy(out + length + 1, whole.data, whole.length);
        length += 1 + whole.length;
    }
    return span_of(out, length);
}

/* ---- what makes a difference besides */

/* Neither name nor value can be taken for another: the length stands before the value. */
static void add(struct text *part, struct span name, struct span value)
{
    const uint8_t length[] = {0, (uint8_t)(value.length >> 16), (uint8_t)(value.length >> 8),
                              (uint8_t)value.length};
    text_add_span(part, name);
    text_add_span(part, span_of(length, sizeof length));
    text_add_span(part, value);
}

/* A length that no value has: what is not there is not the same as what is empty. */
static void add_absence(struct text *part, struct span name)
{
    static const uint8_t mark[] = {0, 0xff, 0xff, 0xff};
    text_add_span(part, name);
    text_add_span(part, span_of(mark, sizeof mark));
}

static bool is_field(const struct key_part *key, const struct http_field *field)
{
    return key->id == HTTP_NAME_OTHER
               ? field->id == HTTP_NAME_OTHER && span_equal_nocase(field->name, key->name)
               : field->id == key->id;
}

static unsigned add_fields(struct text *part, struct span text, const struct key_part *key,
                           const struct http_fields *fields)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        if (is_field(key, &fields->list[i])) {
            add(part, text, fields->list[i].value);
            count++;
        }
    return count;
}

static unsigned add_cookies(struct text *part, struct span text, const struct key_part *key,
                            const struct http_fields *fields)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span rest = fields->list[i].value, name, value;
        while (fields->list[i].id == HTTP_NAME_COOKIE && subject_next_cookie(&rest, &name, &value))
            if (span_equal(name, key->name)) {
                add(part, text, value);
                count++;
            }
    }
    return count;
}

static unsigned add_parameters(struct text *part, struct span text, const struct key_part *key,
                               const struct subject *subject)
{
    struct span rest = subject->query, name, value;
    unsigned count = 0;
    while (subject_next_parameter(subject, &rest, &name, &value))
        if (span_equal(name, key->name)) {
            add(part, text, value);
            count++;
        }
    return count;
}

/* All that the request says under a name, in its order: which of two an origin heeds is not known here. */
static void add_part(struct text *part, struct span text, const struct key_part *key,
                     const struct subject *subject, const struct address *client)
{
    const struct http_fields *fields = &subject->facts->head->fields;
    unsigned count = 1;
    switch (key->part) {
    case PART_HEADER:
        count = add_fields(part, text, key, fields);
        break;
    case PART_COOKIE:
        count = add_cookies(part, text, key, fields);
        break;
    case PART_PARAMETER:
        count = add_parameters(part, text, key, subject);
        break;
    case PART_CLIENT:
    case PART_NETWORK:
    case PART_PATH:
    case PART_COUNTRY:
    case PART_HOST:
    case PART_SITE:
        add(part, text, key_part_value(key, subject, client));
        break;
    }
    if (!count)
        add_absence(part, text);
}

void rules_cache_part(const struct rules_decision *decision, const struct rules_facts *facts,
                      struct arena *arena, struct text *part)
{
    const struct rules_texts *texts = &decision->cache.key;
    struct address client = address_unmap(&facts->client);
    struct subject subject;
    if (decision->origins)
        add(part, SPAN("origins"), span_text(decision->origins));
    if (!texts->count)
        return;
    subject_init(&subject, facts, arena);
    for (size_t i = 0; i < texts->count; i++) {
        struct key_part key;
        if (!key_part_parse(arena, texts->items[i], &key)) /* always: they were compiled */
            add_part(part, span_text(texts->items[i]), &key, &subject, &client);
    }
}
