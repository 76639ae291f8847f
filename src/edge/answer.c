/* SPDX-License-Identifier: Apache-2.0
 *
 * Down: the answer from the stream to the client, as far as the client takes it.
 */
#include "edge/client.h"

static bool take_final_head(struct edge_client *client)
{
    struct http_head *answer = &client->answer;
    struct edge_worker *worker = client->worker;
    const struct conf *conf = edge_conf(worker);
    client->answer_began = true;
    client->first_byte_ns = loop_now_ns(worker->loop) - client->began_ns;
    http_response_frame(answer, &client->head);
    if (answer->status == 101) {
        client->is_tunnel = true;
        client->request_ended = client->client_ended;
        http_parser_tunnel(&client->parser);
    }
    if (client->head.upgrades && client->request_ended) {
        http_form_write_end(&client->to_link); /* it stays HTTP, or the client has gone half-way */
        edge_client_finish_stream(client);
    }
    if (answer->status == 101)
        answer->keeps_alive = true;
    else if (!client->request_ended || !edge_is_up(worker))
        answer->keeps_alive = false;
    bool is_bad = http_add_via(&answer->fields, 1, span_text(conf->self->name)) < 0;
    is_bad |=
        http_fields_set(&answer->fields, HTTP_NAME_X_REQUEST_ID, span_text(client->request_id)) < 0;
    if (!http_fields_has(&answer->fields, HTTP_NAME_DATE))
        is_bad |= http_fields_add(&answer->fields, HTTP_NAME_DATE, span_text(worker->date)) < 0;
    if (!is_bad && http_write_response(&client->out, answer) == 0)
        return true;
    client->answer_began = false;
    edge_client_answer_page(client, 502, "the answer cannot be passed on");
    return false;
}

static bool take_answer_head(struct edge_client *client)
{
    struct http_head *answer = &client->answer;
    if (answer->status >= 200 || answer->status == 101)
        return take_final_head(client);
    /* Interim answers are for clients that know them (RFC 9110 section 15.2). */
    if (client->head.minor >= 1) {
        answer->minor = 1;
        answer->keeps_alive = true;
        if (http_write_response(&client->out, answer) < 0) {
            edge_client_abort(client, "an interim answer cannot be passed on");
            return false;
        }
    }
    return true;
}

static void end_answer(struct edge_client *client)
{
    client->answer_ended = true;
    if (client->answer.body == HTTP_BODY_CHUNKED &&
        http_write_last_chunk(&client->out, &client->reader.trailers) < 0) {
        edge_client_abort(client, "trailers cannot be passed on");
        return;
    }
    if (client->is_tunnel && !client->request_ended)
        return; /* half closed: the client may still speak */
    edge_client_conclude(client);
}

static bool take_answer(struct edge_client *client)
{
    struct slice data;
    switch (http_form_reader_next(&client->reader, &client->from_link, &data)) {
    case HTTP_EVENT_HEAD:
        return take_answer_head(client);
    case HTTP_EVENT_DATA:
        client->bytes_out += data.length;
        if (client->answer.body == HTTP_BODY_CHUNKED)
            http_write_chunk(&client->out, data);
        else
            slice_queue_push(&client->out, data);
        return client->out.bytes < EDGE_HELD_MOST;
    case HTTP_EVENT_TRAILERS:
        return true; /* go out with the last chunk */
    case HTTP_EVENT_END:
        end_answer(client);
        return false;
    case HTTP_EVENT_MORE:
        if (client->stream_ended)
            edge_client_stream_lost(client, TRANSPORT_CODE_PROTOCOL); /* a truncation */
        return false;
    case HTTP_EVENT_ERROR:
        client->cause = http_cause_text(client->reader.cause);
        edge_client_stream_lost(client, TRANSPORT_CODE_PROTOCOL);
        return false;
    }
    return false;
}

/* True: something new came. */
static bool read_stream(struct edge_client *client)
{
    uint64_t before = client->from_link.bytes;
    if (client->stream_ended || before >= EDGE_HELD_MOST)
        return false;
    link_stream_read(client->stream, &client->from_link, EDGE_HELD_MOST - before,
                     &client->stream_ended);
    client->owed += client->from_link.bytes - before;
    return client->from_link.bytes > before || client->stream_ended;
}

static bool wants_answer(const struct edge_client *client)
{
    return client->state == CLIENT_EXCHANGE && client->stream && !client->answer_ended &&
           client->out.bytes < EDGE_HELD_MOST;
}

void edge_client_go_down(struct edge_client *client)
{
    bool more = wants_answer(client);
    while (more) {
        more = read_stream(client);
        while (take_answer(client)) {
        }
        more = more && wants_answer(client);
    }
}
