/* SPDX-License-Identifier: Apache-2.0
 *
 * A request at the gateway, the link's side: message form from the stream, the answer back the same way; in between it is tried at an origin,
 * or at several one after another (attempt.h). Bytes are held only as far as GATEWAY_HELD_MOST: a slow origin stops the stream by its
 * credit, a slow stream stops the reading of the origin.
 *
 *   HEAD --> WAIT --> CONNECT --> EXCHANGE --> (answer complete) --> DRAIN --> OVER
 *             ^  retry    |          |
 *             +-----------+----------+  a connection was refused, or a kept one died before it answered
 *
 * request_up.c and request_down.c carry the bytes. Every event ends in run(), the only place that frees a request: steps in between only set
 * its state.
 */
#include "gateway/request.h"

#include "base/memory.h"

#include <errno.h>

/* ---- ends */

void gateway_request_free(struct gateway_request *request)
{
    gateway_waiting_leave(request);
    gateway_ticket_end(&request->ticket, NULL);
    gateway_hedge_stop(&request->hedge);
    gateway_attempt_close(&request->attempt);
    loop_timer_stop(request->worker->loop, &request->timer);
    list_remove(&request->link);
    link_stream_release(&request->stream);
    http_form_reader_clear(&request->reader);
    http_form_content_clear(&request->content);
    slice_queue_clear(&request->from_link);
    slice_queue_clear(&request->to_link);
    arena_clear(&request->arena);
    memory_free(request);
    metric_add(&gateway_open_requests, (uint64_t)-1);
}

/* The edge makes a page of the code, or cuts the client off where the answer had begun. */
void gateway_request_fail(struct gateway_request *request, uint32_t code, struct metric *metric)
{
    metric_add(metric, 1);
    log_debug("gateway", "request failed: %s, site=%s id=%.*s", transport_code_text(code),
              request->site ? request->site : "", SPAN_ARGS(request->opening.request_id));
    link_stream_reset(request->stream, code);
    request_set_state(request, REQUEST_OVER);
}

void gateway_request_bad_answer(struct gateway_request *request, enum http_cause cause)
{
    gateway_request_fail(request, TRANSPORT_CODE_PROTOCOL,
                         gateway_attempt_bad(request->attempt, cause, request->site,
                                             request->opening.request_id));
}

void gateway_request_bad_request(struct gateway_request *request)
{
    log_notice("gateway", "malformed request of an edge: %s",
               http_cause_text(request->reader.cause));
    gateway_request_fail(request, TRANSPORT_CODE_PROTOCOL, &gateway_bad_requests);
}

/* ---- an origin for it */

static void write_head(struct gateway_request *request)
{
    request->head.keeps_alive = true;
    if (gateway_attempt_ask(request->attempt, &request->head) < 0) {
        gateway_request_bad_request(request);
        return;
    }
    request_set_state(request, REQUEST_EXCHANGE);
    request_set_deadline(request, request->read_timeout_ns);
    uint64_t hedge_ns = gateway_ticket_answer(request->attempt->ticket)->hedge_ns;
    if (hedge_ns && request->found.is_hedgeable)
        gateway_hedge_arm(&request->hedge, request, request->worker, &request->head, hedge_ns);
}

/* `retry_ns`: when another try may do, where that is known. */
static void no_origin(struct gateway_request *request, int error, uint64_t retry_ns)
{
    bool says_when = retry_ns && link_hears_later(request->from);
    if (request->failed_code)
        gateway_request_fail(request, request->failed_code, request->failed_metric);
    else if (error == ERROR_LIMIT)
        gateway_request_fail(request,
                             says_when ? transport_code_later(retry_ns) : TRANSPORT_CODE_LIMIT,
                             &gateway_full);
    else
        gateway_request_fail(request, TRANSPORT_CODE_UNREACHABLE, &gateway_unreachable);
}

static void on_ticket(void *argument, struct gateway_ticket *ticket);

/* `except`: the identity of an origin that it should not be, if there is another; 0: none. */
struct gateway_wish gateway_request_wish(const struct gateway_request *request, enum gateway_try as,
                                         uint64_t except)
{
    return (struct gateway_wish){.part = gateway_part_key(request->site, request->group, 0),
                                 .class = request->opening.priority,
                                 .type = request->found.type,
                                 .as = as,
                                 .session = request->session,
                                 .except = except};
}

void gateway_request_wait(struct gateway_request *request, enum gateway_try as, uint64_t except)
{
    const struct gateway_wish wish = gateway_request_wish(request, as, except);
    request_set_state(request, REQUEST_WAIT);
    request->ticket = gateway_ticket_ask(request->worker, &wish, on_ticket, request);
    gateway_waiting_join(request);
}

/* Another try does no harm while nothing of the answer has come and nothing of the body is lost, if the request was not sent or may be
 * repeated (RFC 9110 section 9.2.2, or as the site says of its type). */
static void try_again(struct gateway_request *request, uint64_t failed, bool was_sent,
                      uint32_t code, struct metric *metric)
{
    const struct conf_site *site = request_site(request);
    bool may = !request->answer_began && !request->body_was_taken &&
               (!was_sent || request->found.is_repeatable);
    uint32_t most = request->retries +
                    (site && !was_sent ? gateway_pool_origins(request->worker, site, request->group,
                                                              request->session.need)
                                       : 0);
    if (request->retries && request->wants_fresh)
        most++;
    gateway_hedge_stop(&request->hedge);
    gateway_attempt_close(&request->attempt);
    if (!site || !may || request->attempts > most) {
        gateway_request_fail(request, code, metric);
        return;
    }
    request->failed_code = code;
    request->failed_metric = metric;
    gateway_request_wait(request, was_sent ? GATEWAY_TRY_RETRY : GATEWAY_TRY_FIRST, failed);
}

/* The connection is gone, and nothing of an answer has come. */
void gateway_request_lost(struct gateway_request *request)
{
    uint64_t failed = gateway_ticket_answer(request->attempt->ticket)->identity;
    /* One that was kept may have been closed for its age: it says nothing of the origin, which may have this request once more. The others
     * there may have died, too, and not have said so yet. */
    if (gateway_attempt_died_idle(request->attempt)) {
        failed = 0;
        request->wants_fresh = true;
    } else {
        request->attempt->end = GATEWAY_END_FAILED;
    }
    try_again(request, failed, true, TRANSPORT_CODE_PROTOCOL,
              gateway_fault_metric(GATEWAY_FAULT_NO_ANSWER));
}

static void connect_failed(struct gateway_request *request, uint64_t failed)
{
    metric_add(&gateway_connect_failures, 1);
    try_again(request, failed, false, TRANSPORT_CODE_UNREACHABLE, &gateway_unreachable);
}

/* It has a slot. */
static void start_attempt(struct gateway_request *request)
{
    const struct conf_site *site = request_site(request);
    uint64_t origin = gateway_ticket_answer(request->ticket)->identity;
    metric_add(&gateway_retries, request->attempts++ > 0);
    const struct gateway_attempt_order order = {.ticket = &request->ticket,
                                                .site = site,
                                                .caller = {request->opening.client,
                                                           request->opening.edge_port},
                                                .wants_fresh = request->wants_fresh};
    if (site && site->origin_host) {
        request->head.host = arena_copy(&request->arena, span_text(site->origin_host));
        request->head.port = 0;
    }
    int result = gateway_attempt_start(request, request->worker, &order, &request->attempt);
    if (result == ERROR_LIMIT) {
        log_warning("gateway", "no connection to an origin can be made: %s", strerror(errno));
        no_origin(request, result, 0);
    } else if (result < 0) {
        connect_failed(request, origin);
    } else if (gateway_attempt_is_connecting(request->attempt)) {
        request_set_state(request, REQUEST_CONNECT);
        request_set_deadline(request, request->connect_timeout_ns);
    } else {
        write_head(request);
    }
}

/* ---- events */

static void run(struct gateway_request *request);

void gateway_request_on_ticket(struct gateway_request *request, struct gateway_ticket *ticket)
{
    const struct gateway_answer *answer = gateway_ticket_answer(ticket);
    gateway_waiting_leave(request);
    if (request->state == REQUEST_OVER) {
        run(request);
        return;
    }
    if (answer->result < 0)
        no_origin(request, answer->result, answer->retry_ns);
    else
        start_attempt(request);
    run(request);
}

static void on_ticket(void *argument, struct gateway_ticket *ticket)
{
    gateway_request_on_ticket(argument, ticket);
}

static void run(struct gateway_request *request)
{
    if (request->state != REQUEST_OVER)
        gateway_request_go_up(request);
    if (request->state != REQUEST_OVER && request->is_tunnel && request->answer_ended &&
        request->request_ended && !gateway_attempt_unsent(request->attempt))
        gateway_request_conclude(request);
    if (request->state != REQUEST_OVER && request->attempt &&
        gateway_attempt_watch(request->attempt, !request->answer_ended && !request->is_held &&
                                                    link_stream_room(request->stream)) < 0)
        gateway_request_fail(request, TRANSPORT_CODE_INTERNAL, &gateway_unreachable);
    if (request->state == REQUEST_OVER)
        gateway_request_free(request);
}

/* ---- a second try beside the first */

static void go_on(struct gateway_request *request)
{
    for (bool more = gateway_request_begin_answer(request); more;)
        more = gateway_request_take_answer(request);
}

/* It came to nothing. */
static void hedge_ended(struct gateway_request *request)
{
    gateway_hedge_stop(&request->hedge);
    if (!request->is_held)
        return;
    request_set_deadline(request, request->read_timeout_ns); /* nothing was read meanwhile */
    go_on(request);
}

static void hedge_answers(struct gateway_request *request)
{
    gateway_attempt_close(&request->attempt);
    request->attempt = gateway_hedge_take(&request->hedge);
    request_set_deadline(request, request->read_timeout_ns);
    go_on(request);
}

void gateway_request_on_hedge(struct gateway_request *request)
{
    const struct gateway_wish wish =
        gateway_request_wish(request, GATEWAY_TRY_HEDGE,
                             gateway_ticket_answer(request->attempt->ticket)->identity);
    if (request->request_ended)
        gateway_hedge_ask(&request->hedge, &wish);
}

void gateway_request_on_hedge_ticket(struct gateway_request *request)
{
    const struct origin_caller caller = {request->opening.client, request->opening.edge_port};
    if (!gateway_hedge_start(&request->hedge, request_site(request), &caller))
        hedge_ended(request);
    run(request);
}

void gateway_request_on_connected(struct gateway_request *request, struct gateway_attempt *attempt,
                                  bool has_failed)
{
    if (attempt != request->attempt) {
        if (!gateway_hedge_on_connected(&request->hedge, has_failed))
            hedge_ended(request);
    } else if (has_failed)
        connect_failed(request, gateway_ticket_answer(attempt->ticket)->identity);
    else
        write_head(request);
    run(request);
}

void gateway_request_on_origin(struct gateway_request *request, struct gateway_attempt *attempt,
                               bool is_readable)
{
    bool answers;
    if (attempt != request->attempt) {
        if (!gateway_hedge_on_origin(&request->hedge, is_readable, &answers))
            hedge_ended(request);
        else if (answers)
            hedge_answers(request);
    } else if (is_readable && !request->is_held) { /* what waits is looked at when it is wanted */
        gateway_request_go_down(request);
    }
    run(request);
}

/* Not while the client takes its time, with its request or with the answer: that is the edge's concern, which resets the stream. */
static bool waits_for_origin(const struct gateway_request *request)
{
    switch (request->state) {
    case REQUEST_EXCHANGE:
        return gateway_attempt_unsent(request->attempt) ||
               ((request->request_ended || request->head.upgrades) &&
                link_stream_room(request->stream));
    case REQUEST_WAIT: /* its owner minds how long */
    case REQUEST_DRAIN:
        return false;
    case REQUEST_HEAD:
    case REQUEST_CONNECT:
    case REQUEST_OVER:
        return true;
    }
    return true;
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct gateway_request *request = CONTAINER_OF(timer, struct gateway_request, timer);
    if (request->is_tunnel)
        return; /* as long as both ends want it; TCP and the link notice the dead */
    if (request->deadline_ns > loop_now_ns(loop)) {
        loop_timer_start(loop, timer, request->deadline_ns);
        return;
    }
    if (!waits_for_origin(request)) {
        request_set_deadline(request, request->read_timeout_ns);
        return;
    }
    if (request->is_held) {
        hedge_ended(request);
    } else if (request->state == REQUEST_CONNECT) {
        request->attempt->end = GATEWAY_END_UNCONNECTED;
        connect_failed(request, gateway_ticket_answer(request->attempt->ticket)->identity);
    } else {
        if (request->attempt)
            request->attempt->end = GATEWAY_END_FAILED;
        gateway_request_fail(request, TRANSPORT_CODE_TIMEOUT, &gateway_timeouts);
    }
    run(request);
}

static void on_stream(void *owner, struct link_stream *stream)
{
    (void)stream;
    run(owner);
}

static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    struct gateway_request *request = owner;
    (void)stream;
    (void)code;
    request_set_state(request, REQUEST_OVER);
    run(request);
}

/* It may come before the head. Tries that are to come have the class, too. */
static void on_ring_changed(void *owner, struct link_stream *stream, uint8_t ring)
{
    struct gateway_request *request = owner;
    (void)stream;
    request->ring = request->opening.priority = ring;
    gateway_ticket_reclass(request->ticket, ring);
    gateway_ticket_reclass(request->hedge.ticket, ring);
}

static const struct link_stream_events stream_events = {.readable = on_stream,
                                                        .writable = on_stream,
                                                        .reset = on_reset,
                                                        .ring_changed = on_ring_changed};

struct gateway_request *gateway_request_new(struct gateway_worker *worker, struct link *link,
                                            struct link_stream *stream)
{
    struct gateway_request *request = NEW(struct gateway_request);
    request->worker = worker;
    request->stream = stream;
    request->read_timeout_ns = worker->head_timeout_ns;
    request->timer.fire = on_timer;
    request->ring = CONF_RINGS;
    request->from = link;
    http_form_reader_start_request(&request->reader, &worker->limits, &request->opening,
                                   &request->head, &request->arena);
    http_form_reader_unpack(&request->reader, link_stream_compressor(stream));
    list_push_back(&worker->requests, &request->link);
    metric_add(&gateway_open_requests, 1);
    link_stream_attach(stream, &stream_events, request);
    return request;
}

void gateway_request_accept(struct gateway_worker *worker, struct link *link,
                            struct link_stream *stream)
{
    struct gateway_request *request = gateway_request_new(worker, link, stream);
    request_set_deadline(request, worker->head_timeout_ns);
}

static void abort_all(struct list *requests)
{
    LIST_EACH (item, after, requests) {
        struct gateway_request *request = CONTAINER_OF(item, struct gateway_request, link);
        link_stream_reset(request->stream, TRANSPORT_CODE_SHUTDOWN);
        gateway_request_free(request);
    }
}

void gateway_requests_abort(struct gateway_worker *worker)
{
    abort_all(&worker->awake);
    abort_all(&worker->requests);
    gateway_parked_abort(worker);
}
