/* SPDX-License-Identifier: Apache-2.0
 *
 * Down: the answer from the stream, or our own, to the front, as far as that has room.
 */
#include "edge/buffer.h"

enum { READ_LEAST = 4096 }; /* of an answer: for heads, and against many small reads */

/* The fields by which every answer tells that it came this way. */
static int add_own_fields(struct edge_exchange *exchange)
{
    const struct edge_worker *worker = exchange->worker;
    struct http_fields *fields = &exchange->answer.fields;
    int result = http_add_via(fields, 1, span_text(edge_conf(worker)->self->name));
    if (result == 0)
        result = http_fields_set(fields, HTTP_NAME_X_REQUEST_ID, edge_exchange_id(exchange));
    if (result == 0 && !http_fields_has(fields, HTTP_NAME_DATE))
        result =
            http_fields_add(fields, HTTP_NAME_DATE, span_of(worker->date, HTTP_DATE_BYTES - 1));
    return result;
}

static bool take_final_head(struct edge_exchange *exchange)
{
    struct http_head *answer = &exchange->answer;
    exchange->answer_began = true;
    exchange->first_byte_ns = loop_now_ns(exchange->worker->loop) - exchange->began_ns;
    edge_exchange_made_progress(exchange); /* no longer the gateway's time */
    if (answer->status == 101) {
        exchange->is_tunnel = true;
        exchange->request_ended = false;
        edge_buffer_leave(exchange); /* it may stand for hours, and is nobody's queue */
    } else if (exchange->head.upgrades && exchange->request_ended) {
        http_form_write_end(&exchange->to_link); /* it stays HTTP */
        edge_exchange_finish_stream(exchange);
    }
    if (edge_exchange_pass_head(exchange) == EDGE_TAKEN)
        return false;
    if (add_own_fields(exchange) == 0 && exchange->front->head(exchange, answer) == 0)
        return true;
    exchange->answer_began = exchange->is_tunnel = false;
    edge_exchange_page(exchange, 502, "the answer cannot be passed on");
    return false;
}

static bool take_head(struct edge_exchange *exchange)
{
    if (exchange->answer.status >= 200 || exchange->answer.status == 101)
        return take_final_head(exchange);
    if (exchange->front->head(exchange, &exchange->answer) == 0)
        return true;
    edge_exchange_abort(exchange, "an interim answer cannot be passed on");
    return false;
}

static void end_answer(struct edge_exchange *exchange, const struct http_fields *trailers)
{
    exchange->answer_ended = true;
    if (exchange->filter)
        exchange->filter->end(exchange);
    if (exchange->front->end(exchange, trailers) < 0) {
        edge_exchange_abort(exchange, "trailers cannot be passed on");
        return;
    }
    if (exchange->is_tunnel && !exchange->request_ended)
        return; /* half closed: the client may still speak */
    edge_exchange_conclude(exchange);
}

static bool has_room(struct edge_exchange *exchange)
{
    return exchange->front->room(exchange) > 0 &&
           (!exchange->filter || exchange->filter->wants(exchange));
}

void edge_exchange_give(struct edge_exchange *exchange, struct slice data)
{
    exchange->bytes_out += data.length;
    exchange->front->data(exchange, data);
}

static void give(struct edge_exchange *exchange, struct slice data)
{
    edge_exchange_pass_data(exchange, &data);
    if (exchange->filter)
        exchange->filter->data(exchange, data);
    else
        edge_exchange_give(exchange, data);
}

static bool take_answer(struct edge_exchange *exchange)
{
    struct slice data;
    switch (http_form_reader_next(&exchange->reader, &exchange->from_link, &data)) {
    case HTTP_EVENT_HEAD:
        return take_head(exchange);
    case HTTP_EVENT_DATA:
        give(exchange, data);
        return has_room(exchange);
    case HTTP_EVENT_TRAILERS:
        return true; /* go out with the end */
    case HTTP_EVENT_END:
        end_answer(exchange, &exchange->reader.trailers);
        return false;
    case HTTP_EVENT_MORE:
        if (exchange->stream_ended)
            edge_exchange_stream_lost(exchange, TRANSPORT_CODE_PROTOCOL); /* a truncation */
        return false;
    case HTTP_EVENT_ERROR:
        exchange->cause = http_cause_text(exchange->reader.cause);
        edge_exchange_stream_lost(exchange, TRANSPORT_CODE_PROTOCOL);
        return false;
    }
    return false;
}

/* True: something new came. */
static bool read_stream(struct edge_exchange *exchange)
{
    uint64_t before = exchange->from_link.bytes;
    if (exchange->stream_ended || before >= EDGE_HELD_MOST)
        return false;
    /* What the client has no room for stays at the link, whose window then holds the gateway back. */
    uint64_t wanted = exchange->front->room(exchange), most = EDGE_HELD_MOST - before;
    if (wanted < READ_LEAST)
        wanted = READ_LEAST;
    link_stream_read(exchange->stream, &exchange->from_link, wanted < most ? wanted : most,
                     &exchange->stream_ended);
    exchange->owed += exchange->from_link.bytes - before;
    return exchange->from_link.bytes > before || exchange->stream_ended;
}

static bool wants_answer(struct edge_exchange *exchange)
{
    return exchange->state == EXCHANGE_LINK && !exchange->answer_ended && has_room(exchange);
}

/* The next of our own content; true: some came, or its end. */
static bool pull_own(struct edge_exchange *exchange)
{
    bool ended = false;
    int result =
        exchange->pull(exchange, &exchange->from_link, exchange->front->room(exchange), &ended);
    if (result < 0)
        edge_exchange_abort(exchange, "the stored answer was cut short");
    else if (ended)
        exchange->pull = NULL;
    return result >= 0 && (ended || exchange->from_link.count);
}

static void go_down_own(struct edge_exchange *exchange)
{
    while (exchange->from_link.count || exchange->pull) {
        if (!has_room(exchange))
            return;
        if (exchange->from_link.count)
            give(exchange, slice_queue_pop(&exchange->from_link,
                                           exchange->filter ? CHUNK_BYTES : UINT32_MAX));
        else if (!pull_own(exchange))
            return;
    }
    end_answer(exchange, NULL);
}

void edge_exchange_go_down(struct edge_exchange *exchange)
{
    if (exchange->state == EXCHANGE_OWN) {
        go_down_own(exchange);
        return;
    }
    bool more = wants_answer(exchange);
    while (more) {
        more = read_stream(exchange);
        while (take_answer(exchange)) {
        }
        more = more && wants_answer(exchange);
    }
    bool is_spoken = exchange->is_tunnel && exchange->answer_ended && exchange->request_ended;
    if (exchange->state == EXCHANGE_LINK && is_spoken)
        edge_exchange_conclude(exchange);
}

void edge_exchange_made_room(struct edge_exchange *exchange)
{
    uint64_t held = exchange->from_link.bytes + exchange->front->held(exchange);
    if (exchange->stream && exchange->owed > held) {
        link_stream_consume(exchange->stream, exchange->owed - held);
        exchange->owed = held;
    }
}
