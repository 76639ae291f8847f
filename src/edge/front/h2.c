/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP/2 front: a client's connection with many exchanges at a time, over the session of h2/ (RFC 9113).
 *
 *   wire -> h2_session_feed() -> on_head, on_data, on_end -> exchange -> link
 *   link -> exchange -> front_head, _data, _end -> h2_session_pull() -> wire
 *
 * Whatever happens queues the connection's task; the task is run(), once in a turn of the loop, so that the answers of many streams leave
 * with one write. It is the only place that frees the connection. A request is freed when its exchange is over; its stream may live
 * on in the session until the client has taken what is left.
 *
 * Back-pressure: the client gets credit for a body when the link has room; an exchange hands over what its stream has room for, and is
 * told of more by on_room(); nothing is fed while bytes wait for the wire.
 */
#include "edge/exchange.h"
#include "edge/front/wire.h"

#include "base/memory.h"
#include "base/pool.h"
#include "h2/h2.h"

enum {
    OUT_MOST = 65536, /* pulled at a time: what is decided late obeys the latest priorities */
    ROUNDS_MOST = 16, /* of pulling and writing in a turn: other connections wait */
};

// clang-format off
#define H2_WAIT_LIST(X)                                                                             \
    X(NOTHING, "exchanges have their own time")                                                     \
    X(REQUEST, "no stream is open")                                                                 \
    X(HEAD, "a head has begun")                                                                     \
    X(WIRE, "the client must take bytes")                                                           \
    X(END, "our side is shut, what comes is thrown away")
// clang-format on

enum h2_wait {
#define X(name, text) WAIT_##name,
    H2_WAIT_LIST(X)
#undef X
};

struct edge_h2 {
    struct list link;
    struct edge_waiting waiting; /* WAIT_REQUEST, WAIT_HEAD */
    struct edge_worker *worker;
    struct edge_wire wire;
    struct loop_task task;
    struct loop_timer timer;
    uint64_t deadline_ns; /* the timer fires no later; moved without touching the timer */
    enum h2_wait wait;
    struct edge_visitor visitor;
    struct edge_sampled sampled; /* its round trip */
    struct h2_session *session;  /* NULL: it is over, WAIT_END */
    struct slice_queue in, out;
    struct edge_pace taking;
    struct edge_unread unread;
    uint32_t head;         /* WAIT_HEAD: of which stream */
    uint64_t content_sent; /* of the session, when `taking` was moved last */
    struct list requests;  /* struct request */
    struct list ready;     /* those with something to move */
    uint32_t unsent;       /* streams whose request is freed */
    bool read_ended, is_draining;
    bool is_over; /* to be freed */
    uint64_t lingered;
};

struct request {
    struct list link, ready;
    struct edge_h2 *h2;
    struct h2_stream *stream; /* NULL: it is gone */
    uint64_t owed;            /* bytes of its body, credit not yet given */
    uint64_t taken;           /* of its answer */
    bool client_ended;        /* its side of the stream */
    struct edge_exchange exchange;
};

static void make_ready(struct request *request)
{
    struct edge_h2 *h2 = request->h2;
    if (list_is_empty(&request->ready))
        list_push_back(&h2->ready, &request->ready);
    loop_task_queue(h2->worker->loop, &h2->task);
}

/* ---- the front */

static struct request *of(const struct edge_exchange *exchange)
{
    return CONTAINER_OF(exchange, struct request, exchange);
}

static int front_head(struct edge_exchange *exchange, struct http_head *answer)
{
    struct request *request = of(exchange);
    int result = h2_stream_answer(request->stream, answer);
    if (result == 0 && answer->status == 101 && request->client_ended)
        edge_exchange_body_end(exchange, NULL);
    return result;
}

static void front_data(struct edge_exchange *exchange, struct slice data)
{
    h2_stream_write(of(exchange)->stream, data);
}

static int front_end(struct edge_exchange *exchange, const struct http_fields *trailers)
{
    h2_stream_end(of(exchange)->stream, trailers);
    return 0;
}

static void front_abort(struct edge_exchange *exchange)
{
    struct request *request = of(exchange);
    if (request->stream)
        h2_stream_reset(&request->stream, H2_CODE_INTERNAL_ERROR);
}

static uint64_t front_room(const struct edge_exchange *exchange)
{
    return h2_stream_room(of(exchange)->stream);
}

static uint64_t front_held(const struct edge_exchange *exchange)
{
    return h2_stream_held(of(exchange)->stream);
}

/* By what waits for the socket; that has a time of its own. */
static bool front_is_queued(const struct edge_exchange *exchange)
{
    return of(exchange)->h2->out.bytes > 0;
}

static void front_wake(struct edge_exchange *exchange)
{
    make_ready(of(exchange));
}

static const struct edge_front h2_front = {.protocols = {"HTTP/2.0", "HTTP/2.0"},
                                           .head = front_head,
                                           .data = front_data,
                                           .end = front_end,
                                           .abort = front_abort,
                                           .room = front_room,
                                           .held = front_held,
                                           .is_queued = front_is_queued,
                                           .wake = front_wake};

/* ---- requests */

static struct request *request_new(struct edge_h2 *h2, struct h2_stream *stream)
{
    struct request *request = pool_take_zeroed(sizeof *request);
    request->h2 = h2;
    request->stream = stream;
    list_push_back(&h2->requests, &request->link);
    list_init(&request->ready);
    h2_stream_set_context(stream, request);
    edge_exchange_init(&request->exchange, &h2_front, h2->worker, &h2->visitor);
    edge_exchange_begin(&request->exchange);
    return request;
}

static void request_free(struct request *request)
{
    struct edge_h2 *h2 = request->h2;
    edge_exchange_clear(&request->exchange);
    if (request->stream) {
        h2_stream_consume(request->stream, request->owed);
        h2_stream_set_context(request->stream, NULL);
        h2->unsent++;
    }
    list_remove(&request->link);
    list_remove(&request->ready);
    pool_give(request, sizeof *request);
    if (!h2->visitor.is_proxied)
        edge_visitors_sample_again(h2->worker, &h2->sampled, edge_wire_fd(&h2->wire),
                                   &h2->visitor.address);
}

static void give_credit(struct request *request)
{
    const struct edge_exchange *exchange = &request->exchange;
    bool waits = exchange->state == EXCHANGE_STEPS ||
                 (exchange->state == EXCHANGE_LINK && edge_exchange_body_room(exchange) == 0);
    if (waits || !request->owed || !request->stream)
        return;
    h2_stream_consume(request->stream, request->owed);
    request->owed = 0;
}

static void run_request(struct request *request)
{
    struct edge_exchange *exchange = &request->exchange;
    edge_exchange_run(exchange);
    if (!edge_exchange_is_over(exchange)) {
        edge_exchange_made_room(exchange);
        give_credit(request);
    } else {
        request_free(request);
    }
}

/* Its streams share what the client can do: bytes of one are counted as if all had moved as many. */
static void moved(struct request *request, uint64_t bytes)
{
    edge_exchange_moved(&request->exchange, bytes * h2_session_streams(request->h2->session));
}

/* ---- from the session */

static void on_head(void *context, struct h2_stream *stream, struct http_head *head)
{
    struct request *request = request_new(context, stream);
    struct edge_exchange *exchange = &request->exchange;
    exchange->head = *head;
    edge_exchange_set_urgency(exchange, h2_stream_priority(stream).urgency);
    edge_exchange_start(exchange);
    if (head->upgrades)
        edge_exchange_body_end(exchange, NULL); /* as in HTTP/1.1: the rest is the tunnel's */
    if (edge_exchange_is_over(exchange))
        request_free(request); /* at once: the next one finds its memory in the processor's cache */
    else
        make_ready(request);
}

static void on_refused(void *context, struct h2_stream *stream, struct http_head *head,
                       enum http_cause cause)
{
    if (!stream) {
        metric_add(&edge_refused, 1);
        return;
    }
    struct request *request = h2_stream_context(stream);
    if (!request) {
        request = request_new(context, stream);
        if (head)
            request->exchange.head = *head;
    }
    if (!edge_exchange_is_over(&request->exchange))
        edge_exchange_refuse(&request->exchange, cause);
    make_ready(request);
}

static void on_data(void *context, struct h2_stream *stream, struct slice data)
{
    struct request *request = h2_stream_context(stream);
    (void)context;
    if (!request) { /* was answered without it */
        h2_stream_consume(stream, data.length);
        slice_release(&data);
        return;
    }
    uint32_t length = data.length;
    request->owed += length;
    edge_exchange_body(&request->exchange, data);
    moved(request, length);
    make_ready(request);
}

static void on_end(void *context, struct h2_stream *stream, const struct http_fields *trailers)
{
    struct request *request = h2_stream_context(stream);
    (void)context;
    if (!request)
        return;
    request->client_ended = true;
    if (!request->exchange.request_ended)
        edge_exchange_body_end(&request->exchange, trailers);
    make_ready(request);
}

static void on_room(void *context, struct h2_stream *stream)
{
    struct request *request = h2_stream_context(stream);
    (void)context;
    if (!request)
        return;
    uint64_t taken = request->exchange.bytes_out - h2_stream_held(stream);
    moved(request, taken - request->taken);
    request->taken = taken;
    run_request(request);
}

static void on_closed(void *context, struct h2_stream *stream, uint32_t code)
{
    struct edge_h2 *h2 = context;
    struct request *request = h2_stream_context(stream);
    (void)code;
    if (!request) {
        h2->unsent--;
        return;
    }
    request->stream = NULL;
    edge_exchange_cancel(&request->exchange, TRANSPORT_CODE_CANCELLED,
                         "the client gave the request up");
    request_free(request);
}

static void on_priority(void *context, struct h2_stream *stream, struct http_priority priority)
{
    struct request *request = h2_stream_context(stream);
    (void)context;
    if (request)
        edge_exchange_set_urgency(&request->exchange, priority.urgency);
}

static const struct h2_events events = {.on_head = on_head,
                                        .on_refused = on_refused,
                                        .on_data = on_data,
                                        .on_end = on_end,
                                        .on_room = on_room,
                                        .on_closed = on_closed,
                                        .on_priority = on_priority};

static void gone(struct edge_h2 *h2)
{
    edge_wire_set_reset(&h2->wire);
    h2->is_over = true;
}

/* ---- time */

static void set_deadline(struct edge_h2 *h2, uint64_t deadline_ns)
{
    struct loop *loop = h2->worker->loop;
    h2->deadline_ns = deadline_ns;
    if (!loop_timer_is_running(&h2->timer) || h2->timer.node.key > h2->deadline_ns)
        loop_timer_start(loop, &h2->timer, h2->deadline_ns);
}

/* The client took so much off the wire; what it does not take while the wire is free are streams, by their windows. */
static void note_taking(struct edge_h2 *h2, uint64_t sent, bool was_blocked)
{
    const struct conf_edge *conf = edge_conf(h2->worker)->self->edge;
    uint64_t before = h2->content_sent;
    h2->content_sent = h2_session_content_sent(h2->session);
    edge_pace_move(&h2->taking, loop_now_ns(h2->worker->loop),
                   conf ? conf->body_timeout_ns : EDGE_LINGER_NS, conf ? conf->download_rate : 0,
                   was_blocked ? sent : h2->content_sent - before, h2->out.bytes || h2->unsent);
}

static enum h2_wait wait_for(const struct edge_h2 *h2)
{
    if (!h2->session)
        return WAIT_END;
    if (h2->taking.is_behind)
        return WAIT_WIRE;
    if (h2_session_head(h2->session))
        return WAIT_HEAD;
    return h2_session_streams(h2->session) ? WAIT_NOTHING : WAIT_REQUEST;
}

static void set_wait(struct edge_h2 *h2)
{
    const struct conf_edge *conf = edge_conf(h2->worker)->self->edge;
    enum h2_wait wait = wait_for(h2);
    if (wait == WAIT_WIRE && h2->deadline_ns != h2->taking.deadline_ns)
        h2->wait = WAIT_NOTHING; /* it got more time, or less */
    if (wait == WAIT_HEAD && h2->head != h2_session_head(h2->session))
        h2->wait = WAIT_NOTHING; /* another one */
    if (wait == h2->wait)
        return;
    if (wait == WAIT_REQUEST)
        edge_waiting_begin(h2->worker, &h2->waiting);
    else if (wait != WAIT_HEAD)
        edge_waiting_end(&h2->waiting);
    h2->wait = wait;
    uint64_t now_ns = loop_now_ns(h2->worker->loop);
    switch (wait) {
    case WAIT_NOTHING:
        break;
    case WAIT_REQUEST:
        set_deadline(h2, now_ns + (!conf                              ? EDGE_LINGER_NS
                                   : h2_session_requests(h2->session) ? conf->idle_timeout_ns
                                                                      : conf->first_timeout_ns));
        break;
    case WAIT_HEAD:
        h2->head = h2_session_head(h2->session);
        set_deadline(h2, now_ns + (conf ? conf->header_timeout_ns : EDGE_LINGER_NS));
        break;
    case WAIT_WIRE:
        set_deadline(h2, h2->taking.deadline_ns);
        break;
    case WAIT_END:
        set_deadline(h2, now_ns + (conf ? conf->linger_timeout_ns : EDGE_LINGER_NS));
        break;
    }
}

static void on_late(struct edge_h2 *h2)
{
    switch (h2->wait) {
    case WAIT_NOTHING:
        break;
    case WAIT_REQUEST:
        edge_timed_out(h2_session_requests(h2->session) ? EDGE_TIMEOUT_IDLE : EDGE_TIMEOUT_FIRST);
        h2_session_end(h2->session);
        break;
    case WAIT_HEAD: /* nothing else can come before its end */
        edge_timed_out(EDGE_TIMEOUT_HEADER);
        h2_session_end(h2->session);
        break;
    case WAIT_WIRE:
        edge_timed_out(EDGE_TIMEOUT_DOWNLOAD);
        if (h2->out.bytes)
            gone(h2);
        else
            h2_session_forget(h2->session);
        h2->taking = (struct edge_pace){0};
        break;
    case WAIT_END:
        edge_timed_out(EDGE_TIMEOUT_LINGER);
        h2->is_over = true;
        break;
    }
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct edge_h2 *h2 = CONTAINER_OF(timer, struct edge_h2, timer);
    if (h2->wait == WAIT_NOTHING)
        return; /* started again when there is something to wait for */
    if (h2->deadline_ns > loop_now_ns(loop)) {
        loop_timer_start(loop, timer, h2->deadline_ns);
        return;
    }
    on_late(h2);
    loop_task_queue(loop, &h2->task);
}

/* ---- the wire */

static void read_client(struct edge_h2 *h2)
{
    bool ended;
    if (h2->read_ended || h2->out.bytes || h2->in.bytes)
        return;
    int got = edge_wire_read(&h2->wire, &h2->in, EDGE_READ_MOST, &ended);
    if (got < 0) {
        gone(h2);
        return;
    }
    h2->read_ended = ended;
    if (h2->session)
        return;
    h2->lingered += h2->in.bytes;
    slice_queue_clear(&h2->in);
    h2->is_over |= ended || h2->lingered > EDGE_LINGER_BYTES;
}

/* How many bytes went out. */
static uint64_t write_client(struct edge_h2 *h2)
{
    int sent = h2->out.bytes ? edge_wire_write(&h2->wire, &h2->out) : 0;
    if (sent < 0) {
        slice_queue_clear(&h2->out);
        gone(h2);
    }
    return sent > 0 ? (uint64_t)sent : 0;
}

static bool has_work(const struct edge_h2 *h2)
{
    return h2->in.count || !list_is_empty(&h2->ready) || h2_session_has_output(h2->session);
}

/* Feeds, runs, pulls and writes until nothing is left, or the wire takes no more. */
static void move(struct edge_h2 *h2)
{
    uint64_t now_ns = loop_now_ns(h2->worker->loop), sent = 0;
    bool was_blocked = h2->out.bytes;
    int rounds = 0;
    do {
        if (h2->in.count && !h2->out.bytes && h2_session_feed(h2->session, &h2->in, now_ns) < 0)
            slice_queue_clear(&h2->in); /* it is over once its last words are out */
        while (!list_is_empty(&h2->ready)) {
            struct list *item = list_pop_front(&h2->ready);
            run_request(CONTAINER_OF(item, struct request, ready));
        }
        h2_session_pull(h2->session, &h2->out, OUT_MOST);
        sent += write_client(h2);
    } while (!h2->is_over && !h2->out.bytes && has_work(h2) && ++rounds < ROUNDS_MOST);
    note_taking(h2, sent, was_blocked || h2->out.bytes);
}

/* Every stream ends; what waited for its turn does too. */
static void close_session(struct edge_h2 *h2)
{
    h2_session_free(&h2->session);
    while (!list_is_empty(&h2->requests)) /* whose streams were gone before */
        request_free(CONTAINER_OF(h2->requests.next, struct request, link));
}

/* Everything is said: shut our side, and hear the client out so that it can read our last words before a reset. */
static void end_session(struct edge_h2 *h2)
{
    enum h2_cause cause = h2_session_cause(h2->session);
    if (cause) {
        metric_add(&edge_h2_ended[cause], 1);
        log_debug("edge", "HTTP/2 connection ended: %s", h2_cause_text(cause));
    }
    close_session(h2);
    slice_queue_clear(&h2->in);
    edge_wire_shut(&h2->wire);
    h2->is_over |= h2->read_ended;
}

static void h2_free(struct edge_h2 *h2)
{
    struct edge_worker *worker = h2->worker;
    struct edge_share *share = h2->visitor.share;
    close_session(h2);
    loop_timer_stop(worker->loop, &h2->timer);
    loop_task_cancel(worker->loop, &h2->task);
    edge_wire_close(&h2->wire, worker->loop);
    edge_unread_note(worker, share, &h2->unread, 0);
    slice_queue_clear(&h2->in);
    slice_queue_clear(&h2->out);
    list_remove(&h2->link);
    edge_waiting_end(&h2->waiting);
    memory_free(h2);
    metric_add(&edge_connections_open, (uint64_t)-1);
    edge_listeners_client_left(worker, share);
}

static void drain(struct edge_h2 *h2)
{
    if (h2->session && !h2->is_draining)
        h2_session_drain(h2->session);
    h2->is_draining = true;
}

static void run(struct loop *loop, struct loop_task *task)
{
    struct edge_h2 *h2 = CONTAINER_OF(task, struct edge_h2, task);
    if (!h2->is_over && h2->session) {
        if (!edge_is_up(h2->worker) || !edge_conf(h2->worker)->self->edge)
            drain(h2);
        move(h2);
        if (!h2->out.bytes && h2_session_is_over(h2->session))
            end_session(h2);
        else if (h2->read_ended && !h2->in.count)
            h2->is_over = true; /* HTTP/2 knows no half-closed connections: nobody is there */
    }
    if (h2->is_over) {
        h2_free(h2);
        return;
    }
    set_wait(h2);
    edge_unread_note(h2->worker, h2->visitor.share, &h2->unread,
                     h2->out.bytes + (h2->session ? h2_session_unsent(h2->session) : 0));
    uint32_t wanted = 0;
    if (!h2->read_ended && !h2->out.bytes)
        wanted |= EPOLLIN;
    if (h2->out.bytes || (h2->session && has_work(h2)))
        wanted |= EPOLLOUT;
    if (edge_wire_want(&h2->wire, loop, wanted) < 0) {
        gone(h2);
        h2_free(h2);
    }
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t ready)
{
    struct edge_h2 *h2 = CONTAINER_OF(watch, struct edge_h2, wire.watch);
    if (ready & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_client(h2);
    loop_task_queue(loop, &h2->task);
}

/* With a word, which the socket has room for: it has nothing else to carry. */
static void evict(struct edge_waiting *waiting)
{
    struct edge_h2 *h2 = CONTAINER_OF(waiting, struct edge_h2, waiting);
    h2_session_end(h2->session);
    move(h2);
    h2_free(h2);
}

/* ---- from the worker */

void edge_h2_start(struct edge_worker *worker, struct edge_wire *wire,
                   const struct edge_visitor *visitor, struct slice_queue *in)
{
    struct edge_h2 *h2 = NEW(struct edge_h2);
    struct h2_settings settings;
    h2->worker = worker;
    h2->task.run = run;
    h2->timer.fire = on_timer;
    h2->visitor = *visitor;
    edge_wire_move(&h2->wire, wire, worker->loop, on_ready);
    slice_queue_move(&h2->in, in);
    list_init(&h2->requests);
    list_init(&h2->ready);
    list_push_back(&worker->h2_clients, &h2->link);
    edge_waiting_init(&h2->waiting, visitor->share, evict);
    metric_add(&edge_h2_connections, 1);
    edge_limits_h2(worker, &settings);
    h2->session = h2_session_new(&settings, &events, h2, &worker->random);
    loop_task_queue(worker->loop, &h2->task);
}

void edge_h2_clients_drain(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->h2_clients) {
        struct edge_h2 *h2 = CONTAINER_OF(item, struct edge_h2, link);
        drain(h2);
        loop_task_queue(worker->loop, &h2->task);
    }
}

void edge_h2_clients_abort(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->h2_clients) {
        struct edge_h2 *h2 = CONTAINER_OF(item, struct edge_h2, link);
        LIST_EACH (other, next, &h2->requests)
            edge_exchange_cancel(&CONTAINER_OF(other, struct request, link)->exchange,
                                 TRANSPORT_CODE_SHUTDOWN, NULL);
        gone(h2);
        h2_free(h2);
    }
}
