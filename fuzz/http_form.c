/* SPDX-License-Identifier: Apache-2.0
 *
 * The message on its way over the link. The first byte chooses: frames of any kind into the reader,
 * packed ones too, where whatever it accepts must be written as exactly one HTTP/1.1 message (DESIGN: trust); or an
 * HTTP/1.1 message that goes the whole way, parsed, written as frames, read, written and parsed
 * again, and must arrive as itself.
 */
#include "http.h"

static struct compressor *compressor;

struct crossing {
    struct message message; /* as read at the far end; its parser is not used */
    struct http_opening opening;
    struct http_form_reader reader;
};

static void crossing_read(struct crossing *crossing, const struct context *context,
                          struct span input, uint64_t seed)
{
    struct random random;
    struct slice_queue queue = {0};
    struct message *message = &crossing->message;
    *crossing = (struct crossing){0};
    random_seed(&random, seed);
    if (context->is_response)
        http_form_reader_start_response(&crossing->reader, &http_limits_default, &message->head,
                                        &message->arena, context->method, context->upgrade);
    else
        http_form_reader_start_request(&crossing->reader, &http_limits_default, &crossing->opening,
                                       &message->head, &message->arena);
    http_form_reader_unpack(&crossing->reader, compressor);
    message->last = HTTP_EVENT_MORE;
    while (input.length && message->last == HTTP_EVENT_MORE) {
        size_t length = seed ? 1 + random_below(&random, 64) : input.length;
        length = length < input.length ? length : input.length;
        slice_queue_push(&queue, slice_copy(span_of(input.data, length)));
        input = span_from(input, length);
        do {
            struct slice data;
            message->last = http_form_reader_next(&crossing->reader, &queue, &data);
            if (message->last == HTTP_EVENT_HEAD)
                message->heads++;
            if (message->last == HTTP_EVENT_DATA)
                text_add_span(&message->content, span_of(slice_data(&data), data.length));
            must((message->last == HTTP_EVENT_DATA) == (data.length > 0));
            slice_release(&data);
        } while (message->last == HTTP_EVENT_HEAD || message->last == HTTP_EVENT_DATA ||
                 message->last == HTTP_EVENT_TRAILERS);
    }
    if (message->last == HTTP_EVENT_MORE)
        message->last = http_form_reader_finish(&crossing->reader);
    message->trailers = crossing->reader.trailers;
    http_form_reader_clear(&crossing->reader);
    must_be_written_safely(&message->head.fields);
    must_be_written_safely(&message->trailers);
    slice_queue_clear(&queue);
}

/* Behind a request that upgrades the content is of the tunnel, not of the request. */
static void must_be_one_message(struct message *message, const struct context *context)
{
    if (!context->is_response && message->head.upgrades)
        text_reset(&message->content);
    must_write_as_itself(message, context);
}

static void read_frames(struct span input, const struct context *context, uint64_t seed)
{
    struct crossing whole, pieces;
    crossing_read(&whole, context, input, 0);
    crossing_read(&pieces, context, input, seed);
    must(whole.message.last == pieces.message.last && whole.reader.cause == pieces.reader.cause &&
         whole.message.heads == pieces.message.heads);
    must(span_equal(text_span(&whole.message.content), text_span(&pieces.message.content)));
    if (whole.message.last == HTTP_EVENT_END) {
        must_mean_the_same(&whole.message, &pieces.message);
        must_be_one_message(&whole.message, context);
    }
    message_clear(&whole.message);
    message_clear(&pieces.message);
}

/* As an edge (request) or a gateway (answer) writes it. */
static bool write_frames(struct slice_queue *out, const struct message *message,
                         const struct context *context)
{
    struct http_opening opening = {.site = SPAN("site"),
                                   .request_id = SPAN("id"),
                                   .client = {.family = 4},
                                   .edge_port = 80,
                                   .is_https = message->used & 1,
                                   .priority = 1};
    const struct http_times times = {.us = {message->used, UINT64_MAX, 3},
                                     .known = (uint8_t)(message->used % (HTTP_TIME_COUNT + 1))};
    bool has_times = context->is_response && message->used & 2;
    if (has_times)
        http_form_write_times(out, &times);
    int result = context->is_response ? http_form_write_response(out, &message->head)
                                      : http_form_write_request(out, &opening, &message->head);
    must(result == 0 || result == ERROR_LIMIT); /* longer than 2^62, at most */
    if (result)
        return false;
    write_content(out, message, message->head.body, http_form_write_data);
    if (message->trailers.count)
        must(http_form_write_trailers(out, &message->trailers) == 0);
    if (has_times)
        http_form_write_times(out, &times);
    http_form_write_end(out);
    return true;
}

static void cross(struct span input, const struct context *context, uint64_t seed)
{
    struct message message;
    struct slice_queue out = {0};
    message_read(&message, context, &http_limits_default, input, 0);
    http_remove_hop_by_hop(&message.head.fields);
    if (message.last == HTTP_EVENT_END && write_frames(&out, &message, context)) {
        struct crossing crossing;
        struct text frames = flatten(&out);
        crossing_read(&crossing, context, text_span(&frames), seed);
        must(crossing.message.heads == 1);
        must_mean_the_same(&message, &crossing.message);
        must(message.head.has_length == crossing.message.head.has_length &&
             message.head.content_length == crossing.message.head.content_length);
        must_be_one_message(&crossing.message, context);
        message_clear(&crossing.message);
        text_clear(&frames);
    }
    slice_queue_clear(&out); /* of times, before a head that is too long */
    message_clear(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    if (!compressor)
        compressor = compressor_new(compress_zstd(), 1, NULL);
    const struct context context = {.is_response = data[0] & 1,
                                    .upgrade = data[0] & 2,
                                    .method = data[0] & 4 ? HTTP_METHOD_HEAD : HTTP_METHOD_GET};
    struct span input = span_of(data + 1, size - 1);
    (data[0] & 8 ? cross : read_frames)(input, &context, 1 + data[0] / 16);
    chunk_cache_drain();
    return 0;
}
