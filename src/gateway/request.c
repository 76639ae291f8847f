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
 * Every event ends in run(), the only place that frees a request: steps in between only set its state.
 */
#include "base/memory.h"
#include "gateway/hedge.h"

#include <errno.h>

// clang-format off
#define REQUEST_STATE_LIST(X)                                                                       \
    X(HEAD, "reading the head")                                                                     \
    X(WAIT, "waiting for a slot of an origin")                                                      \
    X(CONNECT, "connecting to an origin")                                                           \
    X(EXCHANGE, "body up, answer down")                                                             \
    X(DRAIN, "answered; the rest of the request is thrown away")                                    \
    X(OVER, "to be freed")
// clang-format on

enum request_state {
#define X(name, text) REQUEST_##name,
    REQUEST_STATE_LIST(X)
#undef X
};

struct gateway_request {
    struct list link;
    struct gateway_worker *worker;
    struct link_stream *stream;
    enum request_state state;
    struct link *from; /* whose edge it is */

    /* From the link. */
    struct slice_queue from_link;
    uint64_t owed; /* bytes read from the stream, credit not yet given */
    bool stream_ended;
    struct arena arena;
    struct http_form_reader reader;
    struct http_head head;
    struct http_opening opening;
    bool request_ended;  /* END was read */
    bool body_was_taken; /* some of the body is gone: the request cannot be repeated */

    /* The origin. */
    struct gateway_ticket *ticket;   /* in WAIT */
    struct gateway_attempt *attempt; /* in CONNECT and EXCHANGE */
    struct gateway_hedge hedge;      /* a second one beside it */
    bool is_held; /* the answer says that the origin cannot now; the second one may tell better */
    uint32_t attempts; /* so far */
    bool wants_fresh;  /* a kept connection died; the next one is not on such, and is not counted */
    uint32_t failed_code;         /* what became of the last one, */
    struct metric *failed_metric; /* which is what became of the request when there is no other */
    uint64_t head_ns;             /* when the head had come */
    struct types_found found;     /* what kind of work it is */
    struct gateway_session session;

    /* To the link. */
    struct slice_queue to_link;
    struct http_form_content content; /* on its way there */
    bool answer_began, answer_ended;
    bool is_tunnel;

    /* Copied from the site: the snapshot may change while the request runs. */
    char *site;
    const char *group; /* of its origins, in the arena; NULL: those in none */
    uint64_t connect_timeout_ns, read_timeout_ns, idle_timeout_ns;
    uint32_t kept_connections, retries;
    bool tries_answers; /* 502 to 504 elsewhere, too */
    enum http_pack_policy packs;

    struct loop_timer timer;
    uint64_t deadline_ns; /* the timer fires no later; moved without touching the timer */
};

static void set_state(struct gateway_request *request, enum request_state state)
{
    INVARIANT(request->state != REQUEST_OVER);
    request->state = state;
}

static void set_deadline(struct gateway_request *request, uint64_t timeout_ns)
{
    struct loop *loop = request->worker->loop;
    request->deadline_ns = loop_now_ns(loop) + timeout_ns;
    if (!loop_timer_is_running(&request->timer) || request->timer.node.key > request->deadline_ns)
        loop_timer_start(loop, &request->timer, request->deadline_ns);
}

static void made_progress(struct gateway_request *request)
{
    request->deadline_ns = loop_now_ns(request->worker->loop) + request->read_timeout_ns;
}

/* NULL: the configuration knows it no more. */
static const struct conf_site *site_of(const struct gateway_request *request)
{
    return conf_find_site(gateway_conf(request->worker), span_text(request->site));
}

/* ---- ends */

static void request_free(struct gateway_request *request)
{
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
    memory_free(request->site);
    memory_free(request);
    metric_add(&gateway_open_requests, (uint64_t)-1);
}

/* The edge makes a page of the code, or cuts the client off where the answer had begun. */
static void fail(struct gateway_request *request, uint32_t code, struct metric *metric)
{
    metric_add(metric, 1);
    log_debug("gateway", "request failed: %s, site=%s id=%.*s", transport_code_text(code),
              request->site ? request->site : "", SPAN_ARGS(request->opening.request_id));
    link_stream_reset(request->stream, code);
    set_state(request, REQUEST_OVER);
}

static void bad_answer(struct gateway_request *request, enum http_cause cause)
{
    fail(request, TRANSPORT_CODE_PROTOCOL,
         gateway_attempt_bad(request->attempt, cause, request->site, request->opening.request_id));
}

static void bad_request(struct gateway_request *request)
{
    log_notice("gateway", "malformed request of an edge: %s",
               http_cause_text(request->reader.cause));
    fail(request, TRANSPORT_CODE_PROTOCOL, &gateway_bad_requests);
}

/* ---- an origin for it */

static void write_head(struct gateway_request *request)
{
    request->head.keeps_alive = true;
    if (gateway_attempt_ask(request->attempt, &request->head) < 0) {
        bad_request(request);
        return;
    }
    set_state(request, REQUEST_EXCHANGE);
    set_deadline(request, request->read_timeout_ns);
    uint64_t hedge_ns = gateway_ticket_answer(request->attempt->ticket)->hedge_ns;
    if (hedge_ns && request->found.is_hedgeable)
        gateway_hedge_arm(&request->hedge, request, request->worker, &request->head, hedge_ns);
}

/* `retry_ns`: when another try may do, where that is known. */
static void no_origin(struct gateway_request *request, int error, uint64_t retry_ns)
{
    bool says_when = retry_ns && link_hears_later(request->from);
    if (request->failed_code)
        fail(request, request->failed_code, request->failed_metric);
    else if (error == ERROR_LIMIT)
        fail(request, says_when ? transport_code_later(retry_ns) : TRANSPORT_CODE_LIMIT,
             &gateway_full);
    else
        fail(request, TRANSPORT_CODE_UNREACHABLE, &gateway_unreachable);
}

static void on_ticket(void *argument, struct gateway_ticket *ticket);

/* `except`: the identity of an origin that it should not be, if there is another; 0: none. */
static struct gateway_wish wish_for(const struct gateway_request *request, enum gateway_try as,
                                    uint64_t except)
{
    return (struct gateway_wish){.part = gateway_part_key(request->site, request->group, 0),
                                 .class = request->opening.priority,
                                 .type = request->found.type,
                                 .as = as,
                                 .session = request->session,
                                 .except = except};
}

static void wait_for_origin(struct gateway_request *request, enum gateway_try as, uint64_t except)
{
    const struct gateway_wish wish = wish_for(request, as, except);
    set_state(request, REQUEST_WAIT);
    request->ticket = gateway_ticket_ask(request->worker, &wish, on_ticket, request);
}

/* Another try does no harm while nothing of the answer has come and nothing of the body is lost, if the request was not sent or may be
 * repeated (RFC 9110 section 9.2.2, or as the site says of its type). */
static void try_again(struct gateway_request *request, uint64_t failed, bool was_sent,
                      uint32_t code, struct metric *metric)
{
    const struct conf_site *site = site_of(request);
    bool may = !request->answer_began && !request->body_was_taken &&
               (!was_sent || request->found.is_repeatable);
    uint32_t most =
        request->retries + (site && !was_sent ? gateway_pool_origins(site, request->group) : 0);
    if (request->retries && request->wants_fresh)
        most++;
    gateway_hedge_stop(&request->hedge);
    gateway_attempt_close(&request->attempt);
    if (!site || !may || request->attempts > most) {
        fail(request, code, metric);
        return;
    }
    request->failed_code = code;
    request->failed_metric = metric;
    wait_for_origin(request, was_sent ? GATEWAY_TRY_RETRY : GATEWAY_TRY_FIRST, failed);
}

/* The connection is gone, and nothing of an answer has come. */
static void lost(struct gateway_request *request)
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
    uint64_t origin = gateway_ticket_answer(request->ticket)->identity;
    metric_add(&gateway_retries, request->attempts++ > 0);
    const struct gateway_attempt_order order = {.ticket = &request->ticket,
                                                .site = site_of(request),
                                                .caller = {request->opening.client,
                                                           request->opening.edge_port},
                                                .wants_fresh = request->wants_fresh};
    int result = gateway_attempt_start(request, request->worker, &order, &request->attempt);
    if (result == ERROR_LIMIT) {
        log_warning("gateway", "no connection to an origin can be made: %s", strerror(errno));
        no_origin(request, result, 0);
    } else if (result < 0) {
        connect_failed(request, origin);
    } else if (gateway_attempt_is_connecting(request->attempt)) {
        set_state(request, REQUEST_CONNECT);
        set_deadline(request, request->connect_timeout_ns);
    } else {
        write_head(request);
    }
}

/* ---- up: from the stream to the origin */

/* False: there is no such group here, and the request is refused. */
static bool take_group(struct gateway_request *request, const struct conf_site *site)
{
    struct conf_group group;
    struct span name = request->opening.group;
    request->group = name.length ? arena_format(&request->arena, "%.*s", SPAN_ARGS(name)) : NULL;
    if (conf_find_group(site, request->group, &group))
        return true;
    log_notice("gateway", "refused a request: site %s has no group of origins %s", site->name,
               request->group);
    fail(request, TRANSPORT_CODE_REFUSED, &gateway_refused);
    return false;
}

/* The head has come: whose is it, may they, and where does it go? */
static void begin(struct gateway_request *request)
{
    const struct conf *conf = gateway_conf(request->worker);
    const struct conf_site *site = conf_find_site(conf, request->opening.site);
    const struct conf_node *edge = gateway_edge(conf, request->from);
    metric_add(&gateway_requests, 1);
    request->head_ns = loop_now_ns(request->worker->loop);
    if (!site || !edge || !conf->self->gateway ||
        !conf_allows(conf->self->gateway, edge, site, 0)) {
        log_notice("gateway", "refused site %.*s to edge %s: no allow row has it",
                   SPAN_ARGS(request->opening.site), edge ? edge->name : "unknown");
        fail(request, TRANSPORT_CODE_REFUSED, &gateway_refused);
        return;
    }
    request->site = memory_text(site->name, strlen(site->name));
    if (!take_group(request, site))
        return;
    request->connect_timeout_ns = site->connect_timeout_ns;
    request->read_timeout_ns = site->read_timeout_ns;
    request->idle_timeout_ns = site->idle_timeout_ns;
    request->kept_connections = site->kept_connections;
    request->retries = site->retries;
    request->tries_answers = site->failure.retries.on_answers;
    request->packs =
        link_packs(request->from) ? (enum http_pack_policy)site->compress : HTTP_PACK_OFF;
    if (http_add_via(&request->head.fields, request->head.minor, span_text(conf->self->name)) < 0 ||
        http_add_forwarded(&request->head.fields, &request->opening, &request->head,
                           gateway_manner_fields(site)) < 0) {
        bad_request(request);
        return;
    }
    gateway_session_read(site, &request->opening, &request->head, clock_wall_ns() / 1000000000,
                         &request->session);
    gateway_recognise(request->worker, site, &request->opening, &request->head, &request->arena,
                      &request->found);
    if (site->origin_host) {
        request->head.host = arena_copy(&request->arena, span_text(site->origin_host));
        request->head.port = 0;
    }
    wait_for_origin(request, GATEWAY_TRY_FIRST, 0);
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
        bad_request(request);
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
            bad_request(request); /* a truncation */
        return false;
    case HTTP_EVENT_ERROR:
        bad_request(request);
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
        made_progress(request);
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

static void go_up(struct gateway_request *request)
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
        set_state(request, REQUEST_OVER);
}

/* ---- down: from the origin to the stream */

/* As far as they are known: before the answer's head without the last one. */
static void write_times(struct gateway_request *request)
{
    struct http_times times = {.known = request->answer_ended ? HTTP_TIME_COUNT : HTTP_TIME_WHOLE};
    if (!link_hears_times(request->from))
        return;
    gateway_attempt_times(request->attempt, request->head_ns, &times);
    http_form_write_times(&request->to_link, &times);
}

static void finish_answer(struct gateway_request *request)
{
    request->answer_ended = true;
    http_form_content_flush(&request->content, &request->to_link);
    write_times(request);
    http_form_write_end(&request->to_link);
    link_stream_write(request->stream, &request->to_link);
    link_stream_finish(request->stream);
}

/* The answer is complete. Whatever of the request is still to come is thrown away. */
static void conclude(struct gateway_request *request)
{
    if (!request->answer_ended)
        finish_answer(request);
    request->attempt->end = GATEWAY_END_DONE;
    if (!request->is_tunnel)
        gateway_learn_kind(request->attempt, &request->found);
    if (request->request_ended && !request->is_tunnel)
        gateway_attempt_keep(&request->attempt, request->idle_timeout_ns,
                             request->kept_connections);
    else
        gateway_attempt_close(&request->attempt);
    if (request->request_ended) {
        set_state(request, REQUEST_OVER);
        return;
    }
    set_state(request, REQUEST_DRAIN);
    set_deadline(request, request->read_timeout_ns);
}

/* False: it cannot cross. */
static bool take_answer_head(struct gateway_request *request)
{
    struct compressor *compressor = link_stream_compressor(request->stream);
    const struct http_head *answer = &request->attempt->answer;
    struct slice_queue head = {0};
    struct http_pack pack;
    if (answer->status >= 200)
        gateway_learn_session(request->attempt, request->site, &request->session, &request->opening,
                              &request->head);
    if (http_form_write_response(&head, answer) < 0)
        return false;
    if (answer->status >= 200 || request->is_tunnel)
        write_times(request);
    http_pack_decide(request->packs, answer, &request->head.fields, &pack);
    http_form_pack_head(&request->to_link, &head, pack.head ? compressor : NULL);
    if (answer->status >= 200) {
        http_form_content_start(&request->content, pack.content ? compressor : NULL);
        http_pack_count(&pack, compressor);
    }
    return true;
}

/* False: it has ended the request. */
static bool begin_answer(struct gateway_request *request)
{
    gateway_hedge_stop(&request->hedge);
    request->is_held = false;
    request->answer_began = true;
    request->is_tunnel = request->attempt->answer.status == 101;
    if (take_answer_head(request))
        return true;
    bad_answer(request, HTTP_CAUSE_FORM_CONTENT);
    return false;
}

/* The origin says that it cannot now: perhaps another can, and its answer waits so long. */
static bool holds_answer(struct gateway_request *request)
{
    const struct conf_site *site = site_of(request);
    if (failure_outcome_of(request->attempt->answer.status) != FAILURE_GATEWAY_ERROR ||
        !request->tries_answers || !request->found.is_repeatable ||
        request->head.body != HTTP_BODY_NONE || request->attempts > request->retries || !site ||
        gateway_pool_origins(site, request->group) < 2)
        return false;
    const struct gateway_wish wish =
        wish_for(request, GATEWAY_TRY_RETRY,
                 gateway_ticket_answer(request->attempt->ticket)->identity);
    request->attempts++;
    request->attempt->end = GATEWAY_END_DONE;
    request->is_held = true;
    gateway_hedge_stop(&request->hedge);
    gateway_hedge_arm(&request->hedge, request, request->worker, &request->head, 0);
    gateway_hedge_ask(&request->hedge, &wish);
    return true;
}

/* One piece of the answer. False: nothing more now. */
static bool take_answer(struct gateway_request *request)
{
    struct slice data;
    switch (gateway_attempt_next(request->attempt, &data)) {
    case HTTP_EVENT_HEAD:
        return !holds_answer(request) && begin_answer(request);
    case HTTP_EVENT_DATA:
        http_form_content_add(&request->content, &request->to_link, data);
        return true;
    case HTTP_EVENT_TRAILERS:
        http_form_content_flush(&request->content, &request->to_link);
        if (http_form_write_trailers(&request->to_link, &request->attempt->parser.trailers) == 0)
            return true;
        bad_answer(request, HTTP_CAUSE_FORM_CONTENT);
        return false;
    case HTTP_EVENT_END:
        conclude(request);
        return false;
    case HTTP_EVENT_MORE:
        http_form_content_flush(&request->content, &request->to_link);
        link_stream_write(request->stream, &request->to_link);
        return false;
    case HTTP_EVENT_ERROR:
        bad_answer(request, request->attempt->parser.cause);
        return false;
    }
    return false;
}

/* The origin closed its side. */
static void origin_ended(struct gateway_request *request)
{
    struct gateway_attempt *attempt = request->attempt;
    if (gateway_attempt_is_silent(attempt)) {
        lost(request);
    } else if (http_parser_finish(&attempt->parser) != HTTP_EVENT_END) {
        bad_answer(request, HTTP_CAUSE_TRUNCATED);
    } else if (request->is_tunnel && !request->request_ended) {
        finish_answer(request); /* half closed: the client may still speak */
    } else {
        attempt->answer.keeps_alive = false;
        conclude(request);
    }
}

static void go_down(struct gateway_request *request)
{
    uint64_t room = link_stream_room(request->stream);
    bool ended;
    if (request->state != REQUEST_EXCHANGE || request->answer_ended || request->is_held || !room)
        return;
    uint32_t limit = room < GATEWAY_READ_MOST ? (uint32_t)room : GATEWAY_READ_MOST;
    int got = gateway_attempt_read(request->attempt, limit, &ended);
    if (got < 0) {
        if (gateway_attempt_is_silent(request->attempt))
            lost(request);
        else
            bad_answer(request, HTTP_CAUSE_TRUNCATED);
        return;
    }
    if (got > 0 && gateway_attempt_moves(request->attempt))
        made_progress(request);
    while (got > 0 && take_answer(request)) {
    }
    if (ended && request->state == REQUEST_EXCHANGE && !request->is_held)
        origin_ended(request);
}

/* ---- events */

static void run(struct gateway_request *request);

static void on_ticket(void *argument, struct gateway_ticket *ticket)
{
    struct gateway_request *request = argument;
    const struct gateway_answer *answer = gateway_ticket_answer(ticket);
    if (answer->result < 0)
        no_origin(request, answer->result, answer->retry_ns);
    else
        start_attempt(request);
    run(request);
}

static void run(struct gateway_request *request)
{
    if (request->state != REQUEST_OVER)
        go_up(request);
    if (request->state != REQUEST_OVER && request->is_tunnel && request->answer_ended &&
        request->request_ended && !gateway_attempt_unsent(request->attempt))
        conclude(request);
    if (request->state != REQUEST_OVER && request->attempt &&
        gateway_attempt_watch(request->attempt, !request->answer_ended && !request->is_held &&
                                                    link_stream_room(request->stream)) < 0)
        fail(request, TRANSPORT_CODE_INTERNAL, &gateway_unreachable);
    if (request->state == REQUEST_OVER)
        request_free(request);
}

/* ---- a second try beside the first */

static void go_on(struct gateway_request *request)
{
    for (bool more = begin_answer(request); more;)
        more = take_answer(request);
}

/* It came to nothing. */
static void hedge_ended(struct gateway_request *request)
{
    gateway_hedge_stop(&request->hedge);
    if (request->is_held)
        go_on(request);
}

static void hedge_answers(struct gateway_request *request)
{
    gateway_attempt_close(&request->attempt);
    request->attempt = gateway_hedge_take(&request->hedge);
    set_deadline(request, request->read_timeout_ns);
    go_on(request);
}

void gateway_request_on_hedge(struct gateway_request *request)
{
    const struct gateway_wish wish =
        wish_for(request, GATEWAY_TRY_HEDGE,
                 gateway_ticket_answer(request->attempt->ticket)->identity);
    if (request->request_ended)
        gateway_hedge_ask(&request->hedge, &wish);
}

void gateway_request_on_hedge_ticket(struct gateway_request *request)
{
    const struct origin_caller caller = {request->opening.client, request->opening.edge_port};
    if (!gateway_hedge_start(&request->hedge, site_of(request), &caller))
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
    } else if (request->is_held) {
        hedge_ended(request); /* its connection breaks: better its answer than none */
    } else if (is_readable) {
        go_down(request);
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
        set_deadline(request, request->read_timeout_ns);
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
        fail(request, TRANSPORT_CODE_TIMEOUT, &gateway_timeouts);
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
    set_state(request, REQUEST_OVER);
    run(request);
}

static const struct link_stream_events stream_events = {on_stream, on_stream, on_reset};

void gateway_request_accept(struct gateway_worker *worker, struct link *link,
                            struct link_stream *stream)
{
    struct gateway_request *request = NEW(struct gateway_request);
    request->worker = worker;
    request->stream = stream;
    request->read_timeout_ns = worker->head_timeout_ns;
    request->timer.fire = on_timer;
    request->from = link;
    http_form_reader_start_request(&request->reader, &worker->limits, &request->opening,
                                   &request->head, &request->arena);
    http_form_reader_unpack(&request->reader, link_stream_compressor(stream));
    list_push_back(&worker->requests, &request->link);
    metric_add(&gateway_open_requests, 1);
    set_deadline(request, worker->head_timeout_ns);
    link_stream_attach(stream, &stream_events, request);
}

void gateway_requests_abort(struct gateway_worker *worker)
{
    LIST_EACH (item, after, &worker->requests) {
        struct gateway_request *request = CONTAINER_OF(item, struct gateway_request, link);
        link_stream_reset(request->stream, TRANSPORT_CODE_SHUTDOWN);
        request_free(request);
    }
}
