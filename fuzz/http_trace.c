/* SPDX-License-Identifier: Apache-2.0
 *
 * Trace context: lines of traceparent (behind a P) and tracestate (behind anything else). Whatever is passed on is as it came and settles
 * to the same again; whatever is not is gone as a whole.
 */
#include "fuzz.h"

#include "http/http.h"

#define must(condition) INVARIANT(condition)

static size_t count(const struct http_fields *fields, enum http_name id)
{
    size_t found = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        found += fields->list[i].id == id;
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct http_fields fields = {.arena = &arena};
    struct http_trace trace, again;
    struct span rest = span_of(data, size);
    while (rest.length) {
        const uint8_t *end = memchr(rest.data, '\n', rest.length);
        size_t length = end ? (size_t)(end - rest.data) : rest.length;
        struct span line = span_of(rest.data, length);
        bool is_parent = length && line.data[0] == 'P';
        rest = span_from(rest, length + 1);
        if (http_fields_add(&fields, is_parent ? HTTP_NAME_TRACEPARENT : HTTP_NAME_TRACESTATE,
                            is_parent ? span_from(line, 1) : line) < 0)
            continue; /* the parser of messages would not have let it in */
    }
    size_t parents = count(&fields, HTTP_NAME_TRACEPARENT);
    size_t states = count(&fields, HTTP_NAME_TRACESTATE);
    enum http_trace_found found = http_trace_settle(&fields, &trace);
    size_t states_left = count(&fields, HTTP_NAME_TRACESTATE);
    must((found == HTTP_TRACE_NONE) == (!parents && !states));
    must(count(&fields, HTTP_NAME_TRACEPARENT) == (found == HTTP_TRACE_VALID));
    must(states_left == 0 || (states_left == states && found == HTTP_TRACE_VALID));
    if (found == HTTP_TRACE_VALID) {
        struct span value = http_fields_find(&fields, HTTP_NAME_TRACEPARENT)->value;
        must(parents == 1 && memcmp(value.data + 3, trace.id, sizeof trace.id - 1) == 0);
        must(http_trace_settle(&fields, &again) == HTTP_TRACE_VALID);
        must(count(&fields, HTTP_NAME_TRACESTATE) == states_left);
        must(strcmp(again.id, trace.id) == 0 && again.is_sampled == trace.is_sampled);
    }
    arena_clear(&arena);
    return 0;
}
