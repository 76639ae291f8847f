/* SPDX-License-Identifier: Apache-2.0
 *
 * A request on its way up: the message form that the stream brings, its head as the origin shall have it, its body.
 */
#include "gateway/request.h"

/* What it needs of its site. */
static void adopt(struct gateway_request *request, const struct conf_site *site)
{
    request->connect_timeout_ns = site->connect_timeout_ns;
    request->read_timeout_ns = site->read_timeout_ns;
    request->idle_timeout_ns = site->idle_timeout_ns;
    request->kept_connections = site->kept_connections;
    request->retries = site->retries;
    request->tries_answers = site->failure.retries.on_answers;
    request->packs =
        link_packs(request->from) ? (enum http_pack_policy)site->compress : HTTP_PACK_OFF;
}

static void take_names(struct gateway_request *request)
{
    struct span group = request->opening.group;
    request->site = (const char *)arena_copy(&request->arena, request->opening.site).data;
    if (group.length)
        request->group = (const char *)arena_copy(&request->arena, group).data;
}

/* False: there is no such group here, and the request is refused. */
static bool has_group(struct gateway_request *request, const struct conf_site *site)
{
    struct conf_group group;
    if (conf_find_group(site, request->group, &group))
        return true;
    log_notice("gateway", "refused a request: site %s has no group of origins %s", site->name,
               request->group);
    gateway_request_fail(request, TRANSPORT_CODE_REFUSED, &gateway_refused);
    return false;
}

/* The head has come: whose is it, may they, and where does it go? */
static void begin(struct gateway_request *request)
{
    const struct conf *conf = gateway_conf(request->worker);
    const struct conf_site *site = conf_find_site(conf, request->opening.site);
    const struct conf_node *edge = gateway_edge(conf, request->from);
    metric_add(&gateway_requests, 1);
    if (request->ring < CONF_RINGS)
        request->opening.priority = request->ring;
    request->head_ns = loop_now_ns(request->worker->loop);
    if (!site || !edge || !conf->self->gateway ||
        !conf_allows(conf->self->gateway, edge, site, 0)) {
        log_notice("gateway", "refused site %.*s to edge %s: no allow row has it",
                   SPAN_ARGS(request->opening.site), edge ? edge->name : "unknown");
        gateway_request_fail(request, TRANSPORT_CODE_REFUSED, &gateway_refused);
        return;
    }
    take_names(request);
    if (!has_group(request, site))
        return;
    adopt(request, site);
    if (http_add_via(&request->head.fields, request->head.minor, span_text(conf->self->name)) < 0 ||
        http_add_forwarded(&request->head.fields, &request->opening, &request->head,
                           gateway_manner_fields(site)) < 0) {
        gateway_request_bad_request(request);
        return;
    }
    gateway_session_read(site, &request->opening, &request->head, clock_wall_ns() / 1000000000,
                         &request->session);
    gateway_recognise(request->worker, site, &request->opening, &request->head, &request->arena,
                      &request->found);
    gateway_request_wait(request, GATEWAY_TRY_FIRST, 0);
}

bool gateway_request_reread(struct gateway_request *request, struct span head)
{
    struct slice_queue bytes = {0};
    struct slice none;
    http_form_reader_start_request(&request->reader, &request->worker->parked_limits,
                                   &request->opening, &request->head, &request->arena);
    http_form_reader_unpack(&request->reader, link_stream_compressor(request->stream));
    slice_queue_append(&bytes, head);
    enum http_event event = http_form_reader_next(&request->reader, &bytes, &none);
    slice_queue_clear(&bytes);
    if (event != HTTP_EVENT_HEAD)
        return false;
    take_names(request);
    const struct conf_site *site = request_site(request);
    if (site)
        adopt(request, site);
    return true;
}

static void take_body(struct gateway_request *request, struct slice data)
{
    request->body_was_taken = true;
    if (request->attempt)
        gateway_attempt_write(request->attempt, data,
                              request->head.body == HTTP_BODY_CHUNKED && !request->is_tunnel);
    else
        slice_release(&data);
}

static void take_end(struct gateway_request *request)
{
    request->request_ended = true;
    if (!request->attempt || request->is_tunnel || request->head.body != HTTP_BODY_CHUNKED)
        return;
    request->body_was_taken = true;
    if (gateway_attempt_finish(request->attempt, &request->reader.trailers) < 0)
        gateway_request_bad_request(request);
}

/* One piece of the request. False: no more can be taken now. */
static bool take_piece(struct gateway_request *request)
{
    struct slice data;
    switch (http_form_reader_next(&request->reader, &request->from_link, &data)) {
    case HTTP_EVENT_HEAD:
        begin(request);
        return true;
    case HTTP_EVENT_DATA:
        take_body(request, data);
        return true;
    case HTTP_EVENT_TRAILERS:
        return true; /* go out with the last chunk */
    case HTTP_EVENT_END:
        take_end(request);
        return false;
    case HTTP_EVENT_MORE:
        if (request->stream_ended)
            gateway_request_bad_request(request); /* a truncation */
        return false;
    case HTTP_EVENT_ERROR:
        gateway_request_bad_request(request);
        return false;
    }
    return false;
}

/* False: there is nothing to take. */
static bool read_stream(struct gateway_request *request)
{
    uint64_t before = request->from_link.bytes;
    if (!request->stream_ended && before < GATEWAY_HELD_MOST) {
        link_stream_read(request->stream, &request->from_link, GATEWAY_HELD_MOST - before,
                         &request->stream_ended);
        request->owed += request->from_link.bytes - before;
    }
    return request->from_link.bytes || request->stream_ended;
}

static void write_origin(struct gateway_request *request)
{
    if (gateway_attempt_send(request->attempt))
        request_made_progress(request);
    if (request->is_tunnel && request->request_ended)
        gateway_attempt_shut(request->attempt);
}

static bool wants_pieces(const struct gateway_request *request)
{
    switch (request->state) {
    case REQUEST_HEAD:
    case REQUEST_DRAIN:
        return !request->request_ended;
    case REQUEST_EXCHANGE:
        return !request->request_ended &&
               gateway_attempt_unsent(request->attempt) < GATEWAY_HELD_MOST;
    case REQUEST_WAIT:
    case REQUEST_CONNECT:
    case REQUEST_OVER:
        return false;
    }
    return false;
}

void gateway_request_go_up(struct gateway_request *request)
{
    bool was_full;
    do {
        while (wants_pieces(request) && read_stream(request) && take_piece(request)) {
        }
        was_full = request->state == REQUEST_EXCHANGE &&
                   gateway_attempt_unsent(request->attempt) >= GATEWAY_HELD_MOST;
        if (request->state == REQUEST_EXCHANGE)
            write_origin(request);
    } while (was_full && wants_pieces(request));
    if (request->state == REQUEST_OVER)
        return;
    uint64_t held = request->from_link.bytes +
                    (request->attempt ? gateway_attempt_unsent(request->attempt) : 0);
    if (request->owed > held) {
        link_stream_consume(request->stream, request->owed - held);
        request->owed = held;
    }
    if (request->state == REQUEST_DRAIN && request->request_ended)
        request_set_state(request, REQUEST_OVER);
}
