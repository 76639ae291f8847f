/* SPDX-License-Identifier: Apache-2.0
 *
 * W3C Trace Context (the Recommendation of 23 November 2021): what a client sends of a trace, judged before it is passed on.
 */
#include "http/http.h"

#include <stdio.h>

enum {
    ID_DIGITS = 32,
    PARENT_DIGITS = 16,
    PARENT_AT = 3 + ID_DIGITS + 1,
    FLAGS_AT = PARENT_AT + PARENT_DIGITS + 1,
    V00_BYTES = FLAGS_AT + 2,
    VERSION_NEVER = 0xff,
    STATE_MEMBERS = 32,
    STATE_KEY_BYTES = 256,
    STATE_TENANT_BYTES = 241, /* before the @ of a key, */
    STATE_SYSTEM_BYTES = 14,  /* and behind it */
    STATE_VALUE_BYTES = 256,
};

/* Lower case only (section 3.2.2.1). */
static int hex_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10  ? byte - '0'
           : (uint8_t)(byte - 'a') < 6 ? byte - 'a' + 10
                                       : -1;
}

/* So many digits at `at`; false where one is none, or where all are zero and may not be. */
static bool are_digits(struct span text, size_t at, size_t count, bool may_be_zero)
{
    bool is_zero = true;
    for (size_t i = at; i < at + count; i++) {
        if (hex_digit(text.data[i]) < 0)
            return false;
        is_zero &= text.data[i] == '0';
    }
    return may_be_zero || !is_zero;
}

static uint8_t byte_at(struct span text, size_t at)
{
    return (uint8_t)(hex_digit(text.data[at]) << 4 | hex_digit(text.data[at + 1]));
}

int http_trace_read(struct span text, struct http_trace *trace)
{
    if (text.length < V00_BYTES || text.data[2] != '-' || text.data[PARENT_AT - 1] != '-' ||
        text.data[FLAGS_AT - 1] != '-' || !are_digits(text, 0, 2, true) ||
        !are_digits(text, 3, ID_DIGITS, false) ||
        !are_digits(text, PARENT_AT, PARENT_DIGITS, false) || !are_digits(text, FLAGS_AT, 2, true))
        return ERROR_INVALID;
    uint8_t version = byte_at(text, 0);
    bool has_more = text.length > V00_BYTES;
    if (version == VERSION_NEVER || (has_more && (!version || text.data[V00_BYTES] != '-')))
        return ERROR_INVALID;
    memcpy(trace->id, text.data + 3, ID_DIGITS);
    trace->id[ID_DIGITS] = 0;
    trace->is_sampled = byte_at(text, FLAGS_AT) & 1;
    return 0;
}

struct span http_trace_begin(struct http_trace *trace, bool is_sampled, struct random *random,
                             char out[HTTP_TRACE_BYTES])
{
    uint64_t low = random_u64(random), parent = random_u64(random);
    snprintf(trace->id, sizeof trace->id, "%016lx%016lx", random_u64(random), low ? low : 1);
    trace->is_sampled = is_sampled;
    snprintf(out, HTTP_TRACE_BYTES, "00-%s-%016lx-%02x", trace->id, parent ? parent : 1,
             is_sampled);
    return span_text(out);
}

/* ---- tracestate (section 3.3) */

static bool is_lower(uint8_t byte)
{
    return (uint8_t)(byte - 'a') < 26;
}

static bool is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10;
}

/* A letter, or a digit where that may begin it, and what may follow. */
static bool is_key_part(struct span part, size_t most, bool may_begin_with_digit)
{
    if (!part.length || part.length > most ||
        !(is_lower(part.data[0]) || (may_begin_with_digit && is_digit(part.data[0]))))
        return false;
    for (size_t i = 1; i < part.length; i++)
        if (!is_lower(part.data[i]) && !is_digit(part.data[i]) && !memchr("_-*/", part.data[i], 4))
            return false;
    return true;
}

static size_t find(struct span text, uint8_t byte)
{
    const uint8_t *found = text.length ? memchr(text.data, byte, text.length) : NULL;
    return found ? (size_t)(found - text.data) : text.length;
}

static bool is_key(struct span key)
{
    size_t at = find(key, '@');
    if (at == key.length)
        return is_key_part(key, STATE_KEY_BYTES, false);
    return is_key_part(span_of(key.data, at), STATE_TENANT_BYTES, true) &&
           is_key_part(span_from(key, at + 1), STATE_SYSTEM_BYTES, false);
}

/* The space at its end, which would be part of it, is trimmed with the member. */
static bool is_value(struct span value)
{
    if (!value.length || value.length > STATE_VALUE_BYTES)
        return false;
    for (size_t i = 0; i < value.length; i++)
        if (value.data[i] < 0x20 || value.data[i] > 0x7e || value.data[i] == '=')
            return false;
    return true;
}

/* Members are separated by every comma: quotes mean nothing here. Empty ones are allowed. */
static bool are_members(struct span rest, unsigned *count)
{
    while (rest.length) {
        size_t end = find(rest, ',');
        struct span member = span_trim(span_of(rest.data, end));
        rest = span_from(rest, end + 1);
        if (!member.length)
            continue;
        size_t sign = find(member, '=');
        if (++*count > STATE_MEMBERS || sign == member.length ||
            !is_key(span_of(member.data, sign)) || !is_value(span_from(member, sign + 1)))
            return false;
    }
    return true;
}

static bool is_state(const struct http_fields *fields)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->list[i].id == HTTP_NAME_TRACESTATE &&
            !are_members(fields->list[i].value, &count))
            return false;
    return count > 0;
}

/* ---- both */

static unsigned count_of(const struct http_fields *fields, enum http_name id)
{
    unsigned count = 0;
    for (uint32_t i = 0; http_fields_has(fields, id) && i < fields->count; i++)
        count += fields->list[i].id == id;
    return count;
}

enum http_trace_found http_trace_settle(struct http_fields *fields, struct http_trace *trace)
{
    const struct http_field *parent = http_fields_find(fields, HTTP_NAME_TRACEPARENT);
    bool has_state = http_fields_has(fields, HTTP_NAME_TRACESTATE);
    if (!parent && !has_state)
        return HTTP_TRACE_NONE;
    if (!parent || count_of(fields, HTTP_NAME_TRACEPARENT) > 1 ||
        http_trace_read(parent->value, trace) < 0) {
        http_trace_remove(fields);
        return HTTP_TRACE_MALFORMED;
    }
    if (has_state && !is_state(fields))
        http_fields_remove(fields, HTTP_NAME_TRACESTATE);
    return HTTP_TRACE_VALID;
}

void http_trace_remove(struct http_fields *fields)
{
    http_fields_remove(fields, HTTP_NAME_TRACEPARENT);
    http_fields_remove(fields, HTTP_NAME_TRACESTATE);
}
