/* SPDX-License-Identifier: Apache-2.0
 *
 * A parser's events as text, so that two ways of feeding the same bytes can be compared and a test
 * row can say what it expects. Each piece is fed from memory of its own that is freed at once: a
 * span that points into it is found.
 */
#ifndef TESTS_HTTP_RECORD_H
#define TESTS_HTTP_RECORD_H

#include "base/memory.h"
#include "base/text.h"
#include "http/http.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* SPAN() for static initialisers. */
#define TEXT(literal)                                      \
    {                                                      \
        (const uint8_t *)("" literal), sizeof(literal) - 1 \
    }

struct recording {
    struct text text;
    struct text body; /* of the message in progress: DATA may be cut anyhow */
    enum http_cause cause;
    enum http_event last;
    size_t used;
    unsigned messages;
};

static inline void record_fields(struct text *text, const char *label,
                                 const struct http_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++)
        text_add_format(text, "%s%.*s: %.*s|%d\n", label, SPAN_ARGS(fields->list[i].name),
                        SPAN_ARGS(fields->list[i].value), (int)fields->list[i].id);
}

static inline void record_head(struct text *text, const struct http_head *head)
{
    if (head->status)
        text_add_format(text, "%u %.*s", head->status, SPAN_ARGS(head->reason));
    else
        text_add_format(text, "%.*s %.*s = %.*s on %.*s:%u", SPAN_ARGS(head->method_text),
                        SPAN_ARGS(head->target_received), SPAN_ARGS(head->target),
                        SPAN_ARGS(head->host), head->port);
    text_add_format(text, " 1.%u body %d length %d %llu%s%s%s\n", head->minor, (int)head->body,
                    head->has_length, (unsigned long long)head->content_length,
                    head->keeps_alive ? " keeps" : "", head->upgrades ? " upgrades" : "",
                    head->expects_continue ? " expects" : "");
    record_fields(text, "  ", &head->fields);
}

static inline void record_event(struct recording *recording, enum http_event event,
                                const struct http_head *head, const struct http_fields *trailers,
                                enum http_cause cause, struct span data)
{
    recording->last = event;
    if (event == HTTP_EVENT_DATA) {
        text_add_span(&recording->body, data);
        return;
    }
    if (event != HTTP_EVENT_MORE && recording->body.length) {
        text_add_format(&recording->text, "content %.*s\n", SPAN_ARGS(text_span(&recording->body)));
        text_reset(&recording->body);
    }
    switch (event) {
    case HTTP_EVENT_MORE:
    case HTTP_EVENT_DATA:
        break;
    case HTTP_EVENT_HEAD:
        record_head(&recording->text, head);
        break;
    case HTTP_EVENT_TRAILERS:
        record_fields(&recording->text, "  trailer ", trailers);
        break;
    case HTTP_EVENT_END:
        recording->messages++;
        text_add(&recording->text, "end\n");
        break;
    case HTTP_EVENT_ERROR:
        recording->cause = cause;
        text_add_format(&recording->text, "error %s\n", http_cause_name(cause));
        break;
    }
}

struct record_mode {
    const struct http_limits *limits;
    bool is_response, asked_upgrade;
    enum http_method asked_method;
    bool is_closed; /* the connection ends behind the input */
    bool goes_on;   /* further messages follow the first (pipelining) */
};

static inline void record_start(const struct record_mode *mode, struct http_parser *parser,
                                struct http_head *head, struct arena *arena)
{
    arena_clear(arena);
    const struct http_limits *limits = mode->limits ? mode->limits : &http_limits_default;
    if (mode->is_response)
        http_parser_start_response(parser, limits, head, arena, mode->asked_method,
                                   mode->asked_upgrade);
    else
        http_parser_start_request(parser, limits, head, arena);
}

/* Feeds the input in pieces: the first of `first` bytes, the others of `step`. */
static inline struct recording record(const struct record_mode *mode, struct span input,
                                      size_t first, size_t step)
{
    struct recording recording = {0};
    struct arena arena = {0};
    struct http_head head;
    struct http_parser parser;
    record_start(mode, &parser, &head, &arena);
    size_t at = 0;
    bool ended = false;
    while (at < input.length && !ended) {
        size_t length = at ? step : first;
        if (length > input.length - at)
            length = input.length - at;
        uint8_t *piece = memory_raw(length);
        memcpy(piece, input.data + at, length);
        size_t done = 0;
        for (;;) {
            size_t used;
            struct span data;
            enum http_event event =
                http_parser_feed(&parser, span_of(piece + done, length - done), &used, &data);
            done += used;
            record_event(&recording, event, &head, &parser.trailers, parser.cause, data);
            if (event == HTTP_EVENT_MORE)
                break;
            ended = event == HTTP_EVENT_ERROR || (event == HTTP_EVENT_END && !mode->goes_on);
            if (ended)
                break;
            if (event == HTTP_EVENT_END)
                record_start(mode, &parser, &head, &arena);
        }
        memory_free(piece);
        at += done;
    }
    /* Events that need no further input. */
    while (!ended) {
        size_t used;
        struct span data;
        enum http_event event = http_parser_feed(&parser, (struct span){0}, &used, &data);
        record_event(&recording, event, &head, &parser.trailers, parser.cause, data);
        ended = event == HTTP_EVENT_MORE || event == HTTP_EVENT_END || event == HTTP_EVENT_ERROR;
    }
    if (mode->is_closed && recording.last == HTTP_EVENT_MORE) {
        enum http_event event = http_parser_finish(&parser);
        record_event(&recording, event, &head, &parser.trailers, parser.cause, (struct span){0});
    }
    recording.used = at;
    arena_clear(&arena);
    text_clear(&recording.body);
    return recording;
}

static inline void recording_clear(struct recording *recording)
{
    text_clear(&recording->text);
}

/* Every way of cutting gives what feeding it whole gave. */
static inline void check_cuts(const struct record_mode *mode, struct span input,
                              const struct recording *whole)
{
    for (size_t cut = 0; cut <= input.length; cut++) {
        /* cut 0: byte by byte; else two pieces. */
        struct recording other =
            cut ? record(mode, input, cut, input.length) : record(mode, input, 1, 1);
        if (strcmp(other.text.data ? other.text.data : "",
                   whole->text.data ? whole->text.data : "") != 0 ||
            other.used != whole->used) {
            if (other.last != HTTP_EVENT_ERROR) /* how much is looked at beyond an error is open */
                assert_int_equal(other.used, whole->used);
            assert_string_equal(other.text.data, whole->text.data);
        }
        recording_clear(&other);
    }
}

#endif
