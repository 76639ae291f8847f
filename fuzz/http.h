/* SPDX-License-Identifier: Apache-2.0
 *
 * What the HTTP fuzzers share: reading a message in pieces of invented sizes, comparing two
 * messages, and writing one as HTTP/1.1 that must parse back as exactly itself.
 */
#ifndef FUZZ_HTTP_H
#define FUZZ_HTTP_H

#include "fuzz.h"

#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "http/fields.h"

struct message {
    struct arena arena;
    struct http_head head; /* the last */
    struct http_parser parser;
    struct http_fields trailers;
    struct text content;
    enum http_event last; /* END, ERROR, or MORE: incomplete */
    unsigned heads;
    size_t used;
};

/* What is read: a request, or the answer to one. */
struct context {
    bool is_response, upgrade;
    enum http_method method;
};

#define must(condition) INVARIANT(condition)

/* What is written may be longer than what was read. */
static const struct http_limits wide = {
    .line_bytes = 1 << 20,
    .head_bytes = 1 << 22,
    .fields = HTTP_FIELDS_MOST,
    .name_bytes = 1 << 16,
    .trailer_bytes = 1 << 22,
    .trailers = HTTP_FIELDS_MOST,
    .chunk_line_bytes = 256,
    .chunk_extension_bytes = 16384,
    .informational = 1000,
    .body_bytes = UINT64_MAX,
};

static inline void message_clear(struct message *message)
{
    arena_clear(&message->arena);
    text_clear(&message->content);
}

static inline void must_be_written_safely(const struct http_fields *fields)
{
    must(http_fields_are_valid(fields));
}

/* Seed 0: the input in one piece; else in pieces, each in memory of its own that is gone when
 * the next one comes. */
static inline void message_read(struct message *message, const struct context *context,
                                const struct http_limits *limits, struct span input, uint64_t seed)
{
    struct random random;
    random_seed(&random, seed);
    *message = (struct message){0};
    if (context->is_response)
        http_parser_start_response(&message->parser, limits, &message->head, &message->arena,
                                   context->method, context->upgrade);
    else
        http_parser_start_request(&message->parser, limits, &message->head, &message->arena);
    do {
        size_t length = input.length - message->used, done = 0;
        if (seed && length) {
            size_t most = random_below(&random, 4) ? 8 : 300;
            size_t piece = 1 + random_below(&random, most);
            length = piece < length ? piece : length;
        }
        uint8_t *piece = memory_raw(length);
        if (length)
            memcpy(piece, input.data + message->used, length);
        do {
            size_t used;
            struct span data;
            message->last = http_parser_feed(&message->parser, span_of(piece + done, length - done),
                                             &used, &data);
            done += used;
            must(done <= length);
            if (message->last == HTTP_EVENT_HEAD) {
                message->heads++;
                must_be_written_safely(&message->head.fields);
            } else if (message->last == HTTP_EVENT_DATA) {
                must(data.length && data.data + data.length == piece + done);
                text_add_span(&message->content, data);
            }
        } while (message->last != HTTP_EVENT_MORE && message->last != HTTP_EVENT_END &&
                 message->last != HTTP_EVENT_ERROR);
        must(message->last != HTTP_EVENT_MORE || done == length);
        memory_free(piece);
        message->used += done;
    } while (message->last == HTTP_EVENT_MORE && message->used < input.length);
    if (message->last == HTTP_EVENT_MORE && http_parser_finish(&message->parser) == HTTP_EVENT_END)
        message->last = HTTP_EVENT_END;
    message->trailers = message->parser.trailers;
    must_be_written_safely(&message->trailers);
    must((message->last == HTTP_EVENT_ERROR) <= (message->parser.cause != HTTP_CAUSE_NONE));
}

/* The next field from `*at` on that is not made anew by every writer. */
static inline const struct http_field *next_field(const struct http_fields *fields, uint32_t *at,
                                                  bool is_trailer)
{
    while (*at < fields->count) {
        const struct http_field *field = &fields->list[(*at)++];
        if (is_trailer ? http_name_is_trailer(field->id) : !http_name_is_framing(field->id))
            return field;
    }
    return NULL;
}

static inline void must_have_same_fields(const struct http_fields *a, const struct http_fields *b,
                                         bool is_trailer)
{
    uint32_t at_a = 0, at_b = 0;
    for (;;) {
        const struct http_field *x = next_field(a, &at_a, is_trailer);
        const struct http_field *y = next_field(b, &at_b, is_trailer);
        must(!x == !y);
        if (!x)
            return;
        must(x->id == y->id && span_equal(x->name, y->name) && span_equal(x->value, y->value));
    }
}

/* Everything that a message means, but for the connection that it came by. */
static inline void must_mean_the_same(const struct message *a, const struct message *b)
{
    const struct http_head *x = &a->head, *y = &b->head;
    must(a->last == HTTP_EVENT_END && b->last == HTTP_EVENT_END);
    must(x->method == y->method && span_equal(x->target, y->target) &&
         span_equal(x->host, y->host) && x->port == y->port && x->status == y->status);
    must(x->method != HTTP_METHOD_OTHER || span_equal(x->method_text, y->method_text));
    must(x->upgrades == y->upgrades && x->expects_continue == y->expects_continue);
    must_have_same_fields(&x->fields, &y->fields, false);
    must_have_same_fields(&a->trailers, &b->trailers, true);
    must(span_equal(text_span(&a->content), text_span(&b->content)));
}

static inline struct text flatten(struct slice_queue *queue)
{
    struct text bytes = {0};
    while (queue->count) {
        struct slice slice = slice_queue_pop(queue, UINT32_MAX);
        text_add_span(&bytes, span_of(slice_data(&slice), slice.length));
        slice_release(&slice);
    }
    slice_queue_clear(queue);
    return bytes;
}

/* Content in two pieces, where there are two bytes. */
static inline void write_content(struct slice_queue *out, const struct message *message,
                                 enum http_body body,
                                 void (*write)(struct slice_queue *out, struct slice data))
{
    struct span content = text_span(&message->content);
    size_t half = content.length / 2;
    if (body == HTTP_BODY_NONE)
        must(!content.length);
    write(out, slice_copy(span_of(content.data, half)));
    write(out, slice_copy(span_from(content, half)));
}

/* A complete message, written as a gateway (request) or an edge (answer) would; it must parse
 * back as itself, whole, with nothing left over. */
static inline void must_write_as_itself(const struct message *message,
                                        const struct context *context)
{
    struct slice_queue out = {0};
    struct message copy = *message, again;
    struct http_head *head = &copy.head;
    if (context->is_response) {
        struct http_head request = {.method = context->method,
                                    .minor = 1,
                                    .keeps_alive = head->keeps_alive};
        http_response_frame(head, &request);
        must(http_write_response(&out, head) == 0);
    } else {
        if (!head->host.length)
            head->host = SPAN("origin.example"); /* HTTP/1.0 without Host */
        head->minor = 1;
        must(http_write_request(&out, head) == 0);
    }
    bool is_chunked = head->body == HTTP_BODY_CHUNKED;
    write_content(&out, &copy, head->body, is_chunked ? http_write_chunk : slice_queue_push);
    if (is_chunked)
        must(http_write_last_chunk(&out, &copy.trailers) == 0);
    struct text bytes = flatten(&out);
    message_read(&again, context, &wide, text_span(&bytes), 0);
    must(again.used == bytes.length && again.heads == 1);
    must_mean_the_same(&copy, &again);
    message_clear(&again);
    text_clear(&bytes);
}

/* Both readings of one input, whole and in pieces, tell the same. */
static inline void must_read_alike(const struct message *a, const struct message *b)
{
    must(a->last == b->last && a->parser.cause == b->parser.cause && a->heads == b->heads);
    must(span_equal(text_span(&a->content), text_span(&b->content)));
    if (a->last != HTTP_EVENT_END)
        return;
    must(a->used == b->used);
    must_mean_the_same(a, b);
    must(a->head.fields.count == b->head.fields.count);
}

#endif
