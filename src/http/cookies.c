/* SPDX-License-Identifier: Apache-2.0
 *
 * Cookies of a request (RFC 6265 section 5.4): one of ours is read and taken out, so that nobody behind us sees it.
 */
#include "http/http.h"

static bool next_cookie(struct span *rest, struct span *pair, struct span *name, struct span *value)
{
    if (!rest->length)
        return false;
    size_t end = span_find(*rest, ';');
    *pair = span_trim(span_of(rest->data, end));
    *rest = span_from(*rest, end + 1);
    size_t equals = span_find(*pair, '=');
    *name = span_of(pair->data, equals);
    *value = span_from(*pair, equals + 1);
    return true;
}

/* Room for all other cookies in one field; 0: that one is not among them. */
static size_t room_for_others(const struct http_fields *fields, struct span wanted)
{
    struct span pair, name, value;
    size_t room = 0;
    bool is_there = false;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span rest = fields->list[i].value;
        if (fields->list[i].id != HTTP_NAME_COOKIE)
            continue;
        room += 2 * rest.length + 2; /* "a;b" becomes "a; b" */
        while (!is_there && next_cookie(&rest, &pair, &name, &value))
            is_there = span_equal(name, wanted);
    }
    return is_there ? room : 0;
}

bool http_cookie_take(struct http_fields *fields, struct span wanted, struct span *taken)
{
    struct span pair, name, value;
    size_t room = http_fields_has(fields, HTTP_NAME_COOKIE) ? room_for_others(fields, wanted) : 0;
    if (!room)
        return false;
    uint8_t *others = arena_take(fields->arena, room), *at = others;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span rest = fields->list[i].value;
        while (fields->list[i].id == HTTP_NAME_COOKIE && next_cookie(&rest, &pair, &name, &value)) {
            if (span_equal(name, wanted)) {
                *taken = arena_copy(fields->arena, value);
                continue;
            }
            if (!pair.length)
                continue;
            if (at != others) {
                *at++ = ';';
                *at++ = ' ';
            }
            memcpy(at, pair.data, pair.length);
            at += pair.length;
        }
    }
    struct span rest = span_of(others, (size_t)(at - others));
    INVARIANT(rest.length <= room);
    if (!rest.length || http_fields_set(fields, HTTP_NAME_COOKIE, rest) < 0)
        http_fields_remove(fields, HTTP_NAME_COOKIE);
    return true;
}
