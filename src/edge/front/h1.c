/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP/1.1 front: a client's connection, its states, events and timers; one exchange after another.
 *
 *   IDLE --> HEAD --> EXCHANGE --> (answer complete) --> IDLE | CLOSING --> OVER
 *
 * Every event ends in run(), the only place that frees a connection: steps in between only set its state. The timer is of the
 * connection between requests, in heads and behind the last answer; in between it is the exchange's.
 */
#include "edge/exchange.h"
#include "edge/front/wire.h"

#include "base/memory.h"

// clang-format off
#define H1_STATE_LIST(X)                                                                            \
    X(IDLE, "between requests")                                                                     \
    X(HEAD, "reading a head")                                                                       \
    X(EXCHANGE, "body up, answer down")                                                             \
    X(CLOSING, "the last bytes go out")                                                             \
    X(OVER, "to be freed")
// clang-format on

enum h1_state {
#define X(name, text) H1_##name,
    H1_STATE_LIST(X)
#undef X
};

struct edge_h1 {
    struct list link;
    struct edge_waiting waiting; /* IDLE, HEAD */
    struct edge_worker *worker;
    struct edge_wire wire;
    struct loop_timer timer;
    uint64_t deadline_ns; /* the timer fires no later; moved without touching the timer */
    enum h1_state state;
    struct edge_visitor visitor;
    struct edge_sampled sampled; /* its round trip */
    struct slice_queue in, out;
    struct edge_pace taking; /* what waits in `out`, behind a write */
    struct edge_unread unread;
    bool is_settled;   /* it is HTTP/1.1: the first bytes are not HTTP/2's */
    bool read_ended;   /* the wire's end was read; what came before it may still be in `in` */
    bool client_ended; /* will send no more */
    bool is_shut;      /* our side of a tunnel */
    bool is_lingering; /* our side is shut, the rest of the request is thrown away */
    uint64_t lingered;
    struct http_limits limits;
    struct http_parser parser;
    struct edge_exchange exchange;
};

static void run(struct edge_h1 *h1);
static void gone(struct edge_h1 *h1, const char *cause);

static void set_state(struct edge_h1 *h1, enum h1_state state)
{
    INVARIANT(h1->state != H1_OVER);
    if (state != H1_IDLE && state != H1_HEAD)
        edge_waiting_end(&h1->waiting);
    h1->state = state;
}

/* ---- time */

static void wake_by(struct edge_h1 *h1, uint64_t due_ns)
{
    if (!loop_timer_is_running(&h1->timer) || h1->timer.node.key > due_ns)
        loop_timer_start(h1->worker->loop, &h1->timer, due_ns);
}

static void set_deadline(struct edge_h1 *h1, uint64_t timeout_ns)
{
    h1->deadline_ns = loop_now_ns(h1->worker->loop) + timeout_ns;
    wake_by(h1, h1->deadline_ns);
}

static const struct conf_edge *settings(const struct edge_h1 *h1)
{
    return edge_conf(h1->worker)->self->edge;
}

static uint64_t body_timeout_ns(const struct edge_h1 *h1)
{
    const struct conf_edge *conf = settings(h1);
    return conf ? conf->body_timeout_ns : EDGE_LINGER_NS;
}

static void set_idle_deadline(struct edge_h1 *h1)
{
    const struct conf_edge *conf = settings(h1);
    set_deadline(h1, conf ? conf->idle_timeout_ns : EDGE_LINGER_NS);
}

/* The first request of a connection. */
static void await_request(struct edge_h1 *h1)
{
    const struct conf_edge *conf = settings(h1);
    set_deadline(h1, !conf                                         ? EDGE_LINGER_NS
                     : !edge_wire_is_ready(&h1->wire) && conf->tls ? conf->tls->handshake_timeout_ns
                                                                   : conf->first_timeout_ns);
}

/* The client took bytes: how long may it take for the rest? */
static void note_taking(struct edge_h1 *h1, uint64_t bytes)
{
    const struct conf_edge *conf = settings(h1);
    if (!h1->out.bytes && !h1->taking.is_behind)
        return;
    edge_pace_move(&h1->taking, loop_now_ns(h1->worker->loop), body_timeout_ns(h1),
                   conf ? conf->download_rate : 0, bytes, h1->out.bytes);
    if (h1->taking.is_behind)
        wake_by(h1, h1->taking.deadline_ns);
}

/* A byte moved: how long until the next must? */
static void made_progress(struct edge_h1 *h1)
{
    switch (h1->state) {
    case H1_EXCHANGE:
        edge_exchange_made_progress(&h1->exchange);
        break;
    case H1_IDLE:
        if (h1->is_settled)
            set_idle_deadline(h1);
        break;
    case H1_CLOSING:
        if (h1->out.bytes)
            set_deadline(h1, body_timeout_ns(h1));
        break;
    case H1_HEAD: /* has its time as a whole */
    case H1_OVER:
        break;
    }
}

static void on_state_late(struct edge_h1 *h1)
{
    switch (h1->state) {
    case H1_HEAD:
        edge_exchange_page(&h1->exchange, 408, edge_timed_out(EDGE_TIMEOUT_HEADER));
        return;
    case H1_IDLE:
        edge_timed_out(h1->is_settled                  ? EDGE_TIMEOUT_IDLE
                       : edge_wire_is_ready(&h1->wire) ? EDGE_TIMEOUT_FIRST
                                                       : EDGE_TIMEOUT_HANDSHAKE);
        break;
    case H1_CLOSING:
        edge_timed_out(h1->is_lingering ? EDGE_TIMEOUT_LINGER : EDGE_TIMEOUT_DOWNLOAD);
        break;
    case H1_EXCHANGE:
    case H1_OVER:
        break;
    }
    set_state(h1, H1_OVER);
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct edge_h1 *h1 = CONTAINER_OF(timer, struct edge_h1, timer);
    /* The exchange has its own; nor does a client idle that is still taking its answer. */
    bool has_none = h1->state == H1_EXCHANGE || (h1->state == H1_IDLE && h1->out.bytes);
    uint64_t due_ns = has_none ? UINT64_MAX : h1->deadline_ns;
    bool is_slow = h1->taking.is_behind && h1->taking.deadline_ns < due_ns;
    if (is_slow)
        due_ns = h1->taking.deadline_ns;
    if (due_ns == UINT64_MAX)
        return;
    if (due_ns > loop_now_ns(loop)) {
        loop_timer_start(loop, timer, due_ns);
        return;
    }
    if (is_slow)
        gone(h1, edge_timed_out(EDGE_TIMEOUT_DOWNLOAD));
    else
        on_state_late(h1);
    run(h1);
}

/* ---- the front */

static struct edge_h1 *of(const struct edge_exchange *exchange)
{
    return CONTAINER_OF(exchange, struct edge_h1, exchange);
}

static int front_head(struct edge_exchange *exchange, struct http_head *answer)
{
    struct edge_h1 *h1 = of(exchange);
    const struct http_head *request = &exchange->head;
    if (answer->status < 200 && answer->status != 101) {
        if (exchange->has_head && request->minor == 0)
            return 0; /* for clients that know them (RFC 9110 section 15.2) */
        answer->minor = 1;
        answer->keeps_alive = true;
        return http_write_response(&h1->out, answer);
    }
    if (exchange->has_head)
        http_response_frame(answer, request);
    else
        answer->keeps_alive = false;
    if (answer->status == 101)
        answer->keeps_alive = true;
    else if (!exchange->request_ended || !edge_is_up(h1->worker))
        answer->keeps_alive = false;
    int result = http_write_response(&h1->out, answer);
    if (result == 0 && answer->status == 101) {
        http_parser_tunnel(&h1->parser);
        if (h1->client_ended)
            edge_exchange_body_end(exchange, NULL);
    }
    return result;
}

static void front_data(struct edge_exchange *exchange, struct slice data)
{
    struct edge_h1 *h1 = of(exchange);
    if (exchange->answer.body == HTTP_BODY_CHUNKED)
        http_write_chunk(&h1->out, data);
    else
        slice_queue_push(&h1->out, data);
}

static int front_end(struct edge_exchange *exchange, const struct http_fields *trailers)
{
    return exchange->answer.body == HTTP_BODY_CHUNKED
               ? http_write_last_chunk(&of(exchange)->out, trailers)
               : 0;
}

static void front_abort(struct edge_exchange *exchange)
{
    struct edge_h1 *h1 = of(exchange);
    edge_wire_set_reset(&h1->wire);
    set_state(h1, H1_OVER);
}

static uint64_t front_held(const struct edge_exchange *exchange)
{
    return of(exchange)->out.bytes;
}

static uint64_t front_room(const struct edge_exchange *exchange)
{
    uint64_t held = of(exchange)->out.bytes;
    return held < EDGE_HELD_MOST ? EDGE_HELD_MOST - held : 0;
}

static void front_wake(struct edge_exchange *exchange)
{
    run(of(exchange));
}

static const struct edge_front h1_front = {.protocols = {"HTTP/1.0", "HTTP/1.1"},
                                           .head = front_head,
                                           .data = front_data,
                                           .end = front_end,
                                           .abort = front_abort,
                                           .room = front_room,
                                           .held = front_held,
                                           .times_reader = true,
                                           .wake = front_wake};

/* ---- ends of requests and of the connection */

static void start_request(struct edge_h1 *h1)
{
    h1->limits = h1->worker->limits; /* a reload may change those */
    http_parser_start_request(&h1->parser, &h1->limits, &h1->exchange.head, &h1->exchange.arena);
}

/* The answer is complete in `out`, or the client was cut off. */
static void conclude(struct edge_h1 *h1)
{
    const struct edge_exchange *exchange = &h1->exchange;
    /* Not asked again is whether the edge is up: where the answer's head said that the connection goes on, the next request may be on its
     * way, and that one's answer says that it ends. */
    bool keeps = exchange->answer.keeps_alive && exchange->request_ended && !h1->client_ended &&
                 !exchange->is_tunnel && settings(h1) && !h1->worker->edge->ends_idle;
    if (h1->state == H1_OVER)
        return;
    if (!h1->visitor.is_proxied)
        edge_visitors_sample_again(h1->worker, &h1->sampled, edge_wire_fd(&h1->wire),
                                   &h1->visitor.address);
    edge_exchange_finish(&h1->exchange);
    if (keeps) {
        start_request(h1);
        set_state(h1, H1_IDLE);
        edge_waiting_begin(h1->worker, &h1->waiting);
        set_idle_deadline(h1);
    } else {
        set_state(h1, H1_CLOSING);
        set_deadline(h1, body_timeout_ns(h1));
    }
}

static void gone(struct edge_h1 *h1, const char *cause)
{
    if (h1->state == H1_EXCHANGE) {
        edge_wire_set_reset(&h1->wire);
        edge_exchange_cancel(&h1->exchange, TRANSPORT_CODE_CANCELLED, cause);
    }
    set_state(h1, H1_OVER);
}

/* All but the wire. */
static void release(struct edge_h1 *h1)
{
    edge_exchange_clear(&h1->exchange);
    loop_timer_stop(h1->worker->loop, &h1->timer);
    slice_queue_clear(&h1->in);
    slice_queue_clear(&h1->out);
    list_remove(&h1->link);
    edge_waiting_end(&h1->waiting);
    memory_free(h1);
}

static void h1_free(struct edge_h1 *h1)
{
    struct edge_worker *worker = h1->worker;
    struct edge_share *share = h1->visitor.share;
    if (h1->out.bytes || h1->state == H1_EXCHANGE)
        edge_wire_set_reset(&h1->wire); /* not whole: it must not look whole */
    edge_wire_close(&h1->wire, worker->loop);
    edge_unread_note(worker, share, &h1->unread, 0);
    release(h1);
    metric_add(&edge_connections_open, (uint64_t)-1);
    edge_listeners_client_left(worker, share);
}

/* ---- up */

/* A small piece must not hold the chunk that it was read into while it is under way to the origin. */
static struct slice compact(struct slice data)
{
    if (data.length >= CHUNK_BYTES / 4)
        return data;
    struct slice copy = slice_copy(span_of(slice_data(&data), data.length));
    slice_release(&data);
    return copy;
}

/* RFC 9218 section 5: the field means the same in every version. */
static void read_priority(struct edge_exchange *exchange)
{
    const struct http_field *field = http_fields_find(&exchange->head.fields, HTTP_NAME_PRIORITY);
    if (field)
        edge_exchange_set_urgency(exchange, http_priority_read(field->value).urgency);
}

/* Takes a piece of the request off what was read; false: that is all for now. */
static bool take_piece(struct edge_h1 *h1)
{
    struct edge_exchange *exchange = &h1->exchange;
    struct slice data;
    switch (http_parser_next(&h1->parser, &h1->in, &data)) {
    case HTTP_EVENT_HEAD:
        set_state(h1, H1_EXCHANGE);
        read_priority(exchange);
        edge_exchange_start(exchange);
        return true;
    case HTTP_EVENT_DATA:
        edge_exchange_body(exchange, compact(data));
        return true;
    case HTTP_EVENT_TRAILERS:
        return true; /* go along with the end */
    case HTTP_EVENT_END:
        edge_exchange_body_end(exchange, &h1->parser.trailers);
        return false;
    case HTTP_EVENT_MORE:
        return false;
    case HTTP_EVENT_ERROR:
        edge_exchange_refuse(exchange, h1->parser.cause);
        return false;
    }
    return false;
}

/* The client will send no more. */
static void on_client_end(struct edge_h1 *h1)
{
    struct edge_exchange *exchange = &h1->exchange;
    h1->client_ended = true;
    if (h1->state == H1_IDLE || h1->state == H1_HEAD)
        set_state(h1, h1->out.bytes ? H1_CLOSING : H1_OVER);
    else if (h1->state == H1_EXCHANGE && exchange->is_tunnel)
        edge_exchange_body_end(exchange, NULL);
    else if (h1->state == H1_EXCHANGE && !exchange->request_ended)
        gone(h1, "the client left in the middle of its request");
    /* else half-closed: the answer still goes out */
}

static void begin_head(struct edge_h1 *h1)
{
    const struct conf_edge *conf = settings(h1);
    set_state(h1, H1_HEAD);
    edge_exchange_begin(&h1->exchange);
    if (conf)
        set_deadline(h1, conf->header_timeout_ns);
}

/* Behind a head there may be something to take without further bytes: the end of a request without a body. */
static bool wants_pieces(const struct edge_h1 *h1)
{
    return !edge_exchange_is_over(&h1->exchange) && !h1->exchange.request_ended &&
           ((h1->state == H1_HEAD && h1->in.bytes) || h1->state == H1_EXCHANGE);
}

static void run_exchange(struct edge_h1 *h1)
{
    edge_exchange_run(&h1->exchange);
    if (edge_exchange_is_over(&h1->exchange))
        conclude(h1);
}

static void go_up(struct edge_h1 *h1)
{
    if (h1->state == H1_IDLE && h1->is_settled && h1->in.bytes && h1->out.bytes < EDGE_HELD_MOST)
        begin_head(h1);
    while (wants_pieces(h1) && take_piece(h1)) {
    }
    run_exchange(h1);
    if (h1->read_ended && !h1->client_ended && !h1->in.bytes && h1->state != H1_OVER) {
        on_client_end(h1);
        run_exchange(h1); /* the end of a tunnel has to go up */
    }
}

/* ---- the wire */

static uint64_t wanted_from_client(const struct edge_h1 *h1)
{
    if (h1->client_ended)
        return 0;
    switch (h1->state) {
    case H1_IDLE:
    case H1_HEAD:
        return h1->out.bytes < EDGE_HELD_MOST ? EDGE_READ_MOST : 0;
    case H1_EXCHANGE:
        if (h1->exchange.request_ended)
            return h1->in.bytes < EDGE_PIPELINE_MOST ? EDGE_PIPELINE_MOST - h1->in.bytes : 0;
        return edge_exchange_body_room(&h1->exchange);
    case H1_CLOSING:
        return h1->is_lingering ? EDGE_READ_MOST : 0;
    case H1_OVER:
        return 0;
    }
    return 0;
}

/* Handshakes are the dearest that strangers can ask for. Many at once take turns, so that those who are through theirs wait for a few
 * milliseconds at most; what a client sent lies where it is, and the loop announces it again. */
static bool may_shake_hands(struct edge_worker *worker)
{
    uint64_t turn = loop_turn(worker->loop);
    if (worker->handshakes_turn != turn) {
        worker->handshakes_turn = turn;
        worker->handshakes = 0;
    }
    return worker->handshakes++ < EDGE_HANDSHAKES;
}

static void read_client(struct edge_h1 *h1)
{
    uint64_t wanted = wanted_from_client(h1);
    bool ended;
    if (!wanted || (!edge_wire_is_ready(&h1->wire) && !may_shake_hands(h1->worker)))
        return;
    uint32_t limit = wanted < EDGE_READ_MOST ? (uint32_t)wanted : EDGE_READ_MOST;
    bool was_ready = edge_wire_is_ready(&h1->wire);
    int got = edge_wire_read(&h1->wire, &h1->in, limit, &ended);
    if (got < 0) {
        gone(h1, "the client is gone");
        return;
    }
    if (!was_ready && edge_wire_is_ready(&h1->wire))
        await_request(h1);
    if (got > 0 && h1->state == H1_CLOSING) {
        h1->lingered += (uint64_t)got;
        slice_queue_clear(&h1->in);
    } else if (got > 0 && h1->state == H1_EXCHANGE) {
        if (!h1->exchange.request_ended) /* what waits behind it buys no time */
            edge_exchange_moved(&h1->exchange, (uint64_t)got);
    } else if (got > 0) {
        made_progress(h1);
    }
    h1->read_ended = ended;
}

static void write_client(struct edge_h1 *h1)
{
    if (h1->state == H1_OVER || !h1->out.bytes)
        return;
    int sent = edge_wire_write(&h1->wire, &h1->out);
    if (sent < 0) {
        slice_queue_clear(&h1->out);
        gone(h1, "the client is gone");
        return;
    }
    note_taking(h1, (uint64_t)sent);
    if (sent > 0)
        made_progress(h1);
}

/* Everything is out: shut our side, and hear the client out for a while so that it can read the answer before a reset
 * (RFC 9112 section 9.6). */
static void close_slowly(struct edge_h1 *h1)
{
    if (h1->state != H1_CLOSING || h1->out.bytes)
        return;
    if (h1->client_ended || h1->read_ended || h1->lingered > EDGE_LINGER_BYTES) {
        set_state(h1, H1_OVER);
        return;
    }
    if (!h1->is_lingering) {
        h1->is_lingering = true;
        slice_queue_clear(&h1->in);
        edge_wire_shut(&h1->wire);
        const struct conf_edge *conf = settings(h1);
        set_deadline(h1, conf ? conf->linger_timeout_ns : EDGE_LINGER_NS);
    }
}

/* The origin has ended its half of a tunnel: so do we, and the client may still speak for a while. */
static void shut_tunnel(struct edge_h1 *h1)
{
    if (h1->state == H1_EXCHANGE && h1->exchange.is_tunnel && h1->exchange.answer_ended &&
        !h1->out.bytes && !h1->is_shut) {
        h1->is_shut = true;
        edge_wire_shut(&h1->wire);
        edge_exchange_made_progress(&h1->exchange);
    }
}

static bool has_agreed_on_h2(const struct edge_h1 *h1)
{
    return h1->wire.tls && tls_session_facts(h1->wire.tls)->protocol == TLS_HTTP_2;
}

/* Whether the connection is HTTP/2's (RFC 9113 section 3.4): 0, ERROR_INVALID, or ERROR_INCOMPLETE where it takes some more bytes to know;
 * until then they are left as they are. */
static int check_h2(struct edge_h1 *h1)
{
    if (h1->is_settled || !h1->in.bytes)
        return ERROR_INVALID;
    if (h1->wire.tls &&
        !has_agreed_on_h2(h1)) { /* section 3.2: over TLS nobody just begins with it */
        h1->is_settled = true;
        return ERROR_INVALID;
    }
    int result = h2_preface_check(&h1->in);
    if (result == ERROR_INCOMPLETE && h1->read_ended)
        result = ERROR_INVALID;
    h1->is_settled = result == ERROR_INVALID;
    if (h1->is_settled && has_agreed_on_h2(h1))
        gone(h1, NULL); /* and speaks another protocol than it said (RFC 7301 section 3.2) */
    return result;
}

static void run(struct edge_h1 *h1)
{
    int kind = check_h2(h1);
    if (kind == 0) {
        edge_h2_start(h1->worker, &h1->wire, &h1->visitor, &h1->in);
        release(h1);
        return;
    }
    bool again = kind != ERROR_INCOMPLETE;
    while (again && h1->state != H1_OVER) {
        bool was_tunnel = h1->exchange.is_tunnel;
        go_up(h1);
        if (h1->state == H1_IDLE && h1->in.bytes && h1->out.bytes < EDGE_HELD_MOST)
            continue; /* the next request is here: its answer may leave with this one */
        bool was_full = h1->out.bytes >= EDGE_HELD_MOST;
        write_client(h1);
        edge_exchange_made_room(&h1->exchange);
        /* Room again for the answer; or a request waits behind the one just answered; or what came behind a request for an
         * upgrade may go now. */
        again =
            h1->out.bytes < EDGE_HELD_MOST && (was_full || (h1->state == H1_IDLE && h1->in.bytes) ||
                                               (h1->exchange.is_tunnel && !was_tunnel));
    }
    shut_tunnel(h1);
    close_slowly(h1);
    if (h1->state == H1_OVER) {
        h1_free(h1);
        return;
    }
    edge_unread_note(h1->worker, h1->visitor.share, &h1->unread, h1->out.bytes);
    uint32_t events = 0;
    if (!h1->read_ended && wanted_from_client(h1))
        events |= EPOLLIN;
    if (h1->out.bytes)
        events |= EPOLLOUT;
    if (edge_wire_want(&h1->wire, h1->worker->loop, events) < 0) {
        gone(h1, "the event loop refuses the connection");
        h1_free(h1);
    }
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct edge_h1 *h1 = CONTAINER_OF(watch, struct edge_h1, wire.watch);
    (void)loop;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_client(h1);
    run(h1);
}

static void evict(struct edge_waiting *waiting)
{
    struct edge_h1 *h1 = CONTAINER_OF(waiting, struct edge_h1, waiting);
    if (h1->out.bytes) { /* of the last answer: it is not the client's turn yet */
        edge_waiting_begin(h1->worker, waiting);
        return;
    }
    gone(h1, NULL);
    h1_free(h1);
}

/* ---- from the worker */

void edge_client_start(struct edge_worker *worker, const struct edge_arrival *arrival,
                       struct tls_context *tls)
{
    struct edge_h1 *h1 = NEW(struct edge_h1);
    struct address local = arrival->local;
    h1->worker = worker;
    h1->timer.fire = on_timer;
    h1->visitor.address = address_unmap(&arrival->client);
    h1->visitor.is_proxied = arrival->is_proxied;
    h1->visitor.share = arrival->share;
    if (local.family || socket_local(arrival->fd, &local) == 0)
        h1->visitor.local_port = local.port;
    edge_wire_open(&h1->wire, arrival->fd, on_ready);
    if (tls) {
        edge_wire_secure(&h1->wire, tls, TLS_HTTP_1 | TLS_HTTP_2);
        h1->visitor.tls = h1->wire.tls;
        h1->visitor.is_https = true;
    }
    edge_exchange_init(&h1->exchange, &h1_front, worker, &h1->visitor);
    list_push_back(&worker->clients, &h1->link);
    edge_waiting_init(&h1->waiting, arrival->share, evict);
    edge_waiting_begin(worker, &h1->waiting);
    metric_add(&edge_connections, 1);
    metric_add(&edge_connections_open, 1);
    start_request(h1);
    await_request(h1);
    /* The first bytes are often there already. A handshake has its turn when they are for certain: connections that say nothing take none. */
    if (!tls)
        read_client(h1);
    run(h1);
}

void edge_clients_drain(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->clients) {
        struct edge_h1 *h1 = CONTAINER_OF(item, struct edge_h1, link);
        if (h1->state == H1_IDLE && !h1->in.bytes) {
            set_state(h1, H1_CLOSING);
            run(h1);
        }
    }
}

void edge_clients_abort(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->clients) {
        struct edge_h1 *h1 = CONTAINER_OF(item, struct edge_h1, link);
        edge_exchange_cancel(&h1->exchange, TRANSPORT_CODE_SHUTDOWN, NULL);
        h1_free(h1);
    }
}
