/* SPDX-License-Identifier: Apache-2.0
 *
 * What an unsafe request makes invalid (RFC 9111 section 4.4): its own target, and what Location and Content-Location name on the
 * same origin; never anything of another one, or one site could empty another's store.
 */
#include "cache/cache.h"
#include "cache/validator.h"

struct origin {
    struct span site;
    bool is_https;
    struct span host;
    uint16_t port;
};

static bool is_same_origin(const struct origin *origin, struct span scheme, struct span authority)
{
    struct arena arena = {0};
    struct span host;
    uint16_t port = 0, usual = origin->is_https ? 443 : 80;
    bool is_same = span_equal_nocase(scheme, origin->is_https ? SPAN("https") : SPAN("http")) &&
                   http_host_parse(authority, &arena, &host, &port) == 0 &&
                   span_equal(host, origin->host) &&
                   (port ? port : usual) == (origin->port ? origin->port : usual);
    arena_clear(&arena);
    return is_same;
}

/* Without its scheme and authority, if those are this origin's. False: they are not. */
static bool strip_origin(struct span *reference, const struct origin *origin)
{
    struct span scheme = origin->is_https ? SPAN("https") : SPAN("http");
    size_t colon = span_find(*reference, ':'), slash = span_find(*reference, '/');
    if (colon < slash) {
        scheme = span_of(reference->data, colon);
        *reference = span_from(*reference, colon + 1);
        if (!span_starts(*reference, SPAN("//")))
            return false;
    }
    if (!span_starts(*reference, SPAN("//")))
        return true;
    struct span rest = span_from(*reference, 2);
    size_t end = 0;
    while (end < rest.length && rest.data[end] != '/' && rest.data[end] != '?')
        end++;
    *reference = span_from(rest, end);
    return is_same_origin(origin, scheme, span_of(rest.data, end));
}

static bool has_dot_segment(struct span path)
{
    for (size_t i = 0; i + 1 < path.length && path.data[i] != '?'; i++)
        if (path.data[i] == '/' && path.data[i + 1] == '.')
            return true;
    return path.length && path.data[0] == '.';
}

/* The target that a reference means beside `base`, in `text`; empty where that cannot be told without removing dot segments,
 * which the key does not do either. */
static struct span resolve(struct text *text, struct span reference, struct span base)
{
    size_t query = span_find(base, '?'), directory = query;
    while (directory > 0 && base.data[directory - 1] != '/')
        directory--;
    if (has_dot_segment(reference))
        return (struct span){0};
    if (!reference.length || reference.data[0] == '?')
        text_add_span(text, span_of(base.data, query));
    else if (reference.data[0] != '/')
        text_add_span(text, span_of(base.data, directory));
    text_add_span(text, reference);
    return text_span(text);
}

static void add(struct cache_invalid *invalid, const struct origin *origin, struct span target)
{
    struct text *key = &invalid->keys[invalid->count];
    if (cache_key_make(key, origin->site, origin->is_https, origin->host, origin->port, target))
        return;
    for (size_t i = 0; i < invalid->count; i++)
        if (span_equal(text_span(&invalid->keys[i]), text_span(key))) {
            text_reset(key);
            return;
        }
    invalid->count++;
}

static void add_reference(struct cache_invalid *invalid, const struct origin *origin,
                          struct span base, struct span reference)
{
    struct text target = {0};
    reference = span_of(reference.data, span_find(reference, '#'));
    bool is_absolute =
        span_find(reference, ':') < span_find(reference, '/') || span_starts(reference, SPAN("//"));
    if (reference.length && strip_origin(&reference, origin)) {
        if (is_absolute && (!reference.length || reference.data[0] == '?'))
            base = SPAN("/");
        add(invalid, origin, resolve(&target, reference, base));
    }
    text_clear(&target);
}

void cache_invalid_find(struct cache_invalid *invalid, struct span site, bool is_https,
                        const struct http_head *request, const struct http_head *answer)
{
    struct origin origin = {site, is_https, request->host, request->port};
    *invalid = (struct cache_invalid){0};
    if (answer->status < 200 || answer->status > 399 || http_method_is_safe(request->method))
        return;
    add(invalid, &origin, request->target);
    add_reference(invalid, &origin, request->target,
                  field_value(&answer->fields, HTTP_NAME_LOCATION));
    add_reference(invalid, &origin, request->target,
                  field_value(&answer->fields, HTTP_NAME_CONTENT_LOCATION));
}

void cache_invalid_clear(struct cache_invalid *invalid)
{
    for (size_t i = 0; i < CACHE_INVALID_MOST; i++)
        text_clear(&invalid->keys[i]);
    invalid->count = 0;
}
