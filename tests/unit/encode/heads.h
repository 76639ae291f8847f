/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads for the tests of src/encode, from lines "Name: value".
 */
#ifndef TESTS_UNIT_ENCODE_HEADS_H
#define TESTS_UNIT_ENCODE_HEADS_H

#include "encode/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static inline void fields_read(struct http_fields *fields, struct arena *arena, const char *lines)
{
    *fields = (struct http_fields){.arena = arena};
    for (struct span rest = span_text(lines); rest.length;) {
        size_t end = span_find(rest, '\n');
        struct span line = span_of(rest.data, end);
        size_t colon = span_find(line, ':');
        assert_int_equal(http_fields_add_text(fields, span_of(line.data, colon),
                                              span_trim(span_from(line, colon + 1))),
                         0);
        rest = span_from(rest, end + 1);
    }
}

/* Every value of that name, "; " between them; "-": none. Valid until the next call. */
static inline const char *value_of(const struct http_fields *fields, const char *name)
{
    static char text[512];
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < fields->count; i++)
        if (span_equal_nocase(fields->list[i].name, span_text(name)))
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s", at ? "; " : "",
                                   SPAN_ARGS(fields->list[i].value));
    return at ? text : "-";
}

#endif
