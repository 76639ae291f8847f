/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection and the request on it: HTTP/1.1 from the client, message form over the link, the answer the same way back.
 *
 *   IDLE --> HEAD --> EXCHANGE --> (answer complete) --> IDLE | CLOSING --> OVER
 *
 * Every event ends in run(), the only place that frees a client: steps in between only set its state. Back-pressure: the client is not
 * read while the stream has no room; the stream gets no credit for bytes that the client's socket has not taken.
 */
#include "base/memory.h"
#include "edge/private.h"

#include <sys/socket.h>
#include <unistd.h>

// clang-format off
#define CLIENT_STATE_LIST(X)                                                                        \
    X(IDLE, "between requests")                                                                     \
    X(HEAD, "reading a head")                                                                       \
    X(EXCHANGE, "body up, answer down")                                                             \
    X(CLOSING, "the last bytes go out")                                                             \
    X(OVER, "to be freed")
// clang-format on

enum client_state {
#define X(name, text) CLIENT_##name,
    CLIENT_STATE_LIST(X)
#undef X
};

enum { TRIES_MOST = 3 };

struct edge_client {
    struct list link;
    struct edge_worker *worker;
    struct loop_watch watch;
    struct loop_timer timer;
    uint64_t deadline_ns; /* the timer fires no later; moved without touching the timer */
    enum client_state state;
    struct address peer;
    uint16_t local_port;
    struct slice_queue in, out;
    bool read_ended;   /* the socket's end was read; what came before it may still be in `in` */
    bool client_ended; /* will send no more */
    bool is_lingering; /* our side is shut, the rest of the request is thrown away */
    uint64_t lingered;

    /* The request. */
    struct arena arena;
    struct http_parser parser;
    struct http_head head;
    struct http_opening opening;
    char request_id[EDGE_REQUEST_ID_BYTES];
    struct slice_queue to_link;
    bool has_head, request_ended, body_was_sent;
    struct link *tried[TRIES_MOST];
    size_t tries;

    /* The answer. */
    struct link_stream *stream;
    struct slice_queue from_link;
    uint64_t owed;                      /* bytes read from the stream, credit not yet given */
    bool stream_ended, stream_finished; /* from there, from here */
    struct arena answer_arena;
    struct http_form_reader reader;
    struct http_head answer;
    bool answer_began, answer_ended, is_tunnel;

    /* Copied from the snapshot: it may change while the request runs. */
    char *site;
    uint64_t body_timeout_ns, gateway_timeout_ns;

    /* For the log. */
    uint64_t began_ns, began_wall_ns, first_byte_ns, bytes_in, bytes_out;
    const char *cause;
};

static void set_state(struct edge_client *client, enum client_state state)
{
    INVARIANT(client->state != CLIENT_OVER);
    client->state = state;
}

static void set_deadline(struct edge_client *client, uint64_t timeout_ns)
{
    struct loop *loop = client->worker->loop;
    client->deadline_ns = loop_now_ns(loop) + timeout_ns;
    if (!loop_timer_is_running(&client->timer) || client->timer.node.key > client->deadline_ns)
        loop_timer_start(loop, &client->timer, client->deadline_ns);
}

static const struct conf_edge *settings(struct edge_client *client)
{
    return edge_conf(client->worker)->self->edge;
}

/* A byte moved: how long until the next must? */
static void made_progress(struct edge_client *client)
{
    if (client->state == CLIENT_EXCHANGE)
        set_deadline(client, client->is_tunnel ? EDGE_TUNNEL_IDLE_NS
                             : client->request_ended && !client->answer_began
                                 ? client->gateway_timeout_ns
                                 : client->body_timeout_ns);
}

/* ---- ends of requests and connections */

static void write_log(struct edge_client *client)
{
    struct edge_worker *worker = client->worker;
    unsigned status = client->answer.status;
    uint64_t total_ns = loop_now_ns(worker->loop) - client->began_ns;
    metric_add(&edge_requests, 1);
    metric_add(&edge_answers[status / 100 < 6 ? status / 100 : 0], 1);
    metric_add(&edge_bytes_in, client->bytes_in);
    metric_add(&edge_bytes_out, client->bytes_out);
    metric_observe_ns(&edge_latency, total_ns);
    if (!worker->edge->access_log)
        return;
    struct access_facts facts = {.client = &client->peer,
                                 .request = &client->head,
                                 .request_id = client->request_id,
                                 .site = client->site,
                                 .gateway = client->tries
                                                ? link_peer_name(client->tried[client->tries - 1])
                                                : NULL,
                                 .cause = client->cause,
                                 .status = status,
                                 .began_wall_ns = client->began_wall_ns,
                                 .first_byte_ns = client->first_byte_ns,
                                 .total_ns = total_ns,
                                 .bytes_in = client->bytes_in,
                                 .bytes_out = client->bytes_out};
    edge_access_log_write(worker, &facts);
}

static void drop_stream(struct edge_client *client, uint32_t code)
{
    if (!client->stream)
        return;
    if (code != TRANSPORT_CODE_NONE)
        link_stream_reset(client->stream, code);
    link_stream_release(&client->stream);
    slice_queue_clear(&client->from_link);
    client->owed = 0;
    client->stream_ended = client->stream_finished = false;
}

static void start_request(struct edge_client *client)
{
    http_parser_start_request(&client->parser, &client->worker->limits, &client->head,
                              &client->arena);
    client->has_head = client->request_ended = client->body_was_sent = false;
    client->answer_began = client->answer_ended = client->is_tunnel = false;
    client->tries = 0;
    client->bytes_in = client->bytes_out = client->first_byte_ns = 0;
    client->cause = NULL;
    client->answer.status = 0;
}

/* What a request held; the connection may carry another. */
static void clear_request(struct edge_client *client)
{
    bool is_whole = client->answer_ended && client->stream_finished;
    drop_stream(client, is_whole ? TRANSPORT_CODE_NONE : TRANSPORT_CODE_CANCELLED);
    slice_queue_clear(&client->to_link);
    arena_clear(&client->arena);
    arena_clear(&client->answer_arena);
    memory_free(client->site);
    client->site = NULL;
}

static void client_free(struct edge_client *client)
{
    struct edge_worker *worker = client->worker;
    if (client->state == CLIENT_EXCHANGE || client->state == CLIENT_HEAD)
        write_log(client);
    clear_request(client);
    loop_timer_stop(worker->loop, &client->timer);
    loop_watch_remove(worker->loop, &client->watch);
    close(client->watch.fd);
    slice_queue_clear(&client->in);
    slice_queue_clear(&client->out);
    list_remove(&client->link);
    memory_free(client);
    metric_add(&edge_connections_open, (uint64_t)-1);
    edge_listeners_client_left(worker);
}

/* Cuts the client off so that it notices: an answer that is not whole must not look whole. */
static void abort_client(struct edge_client *client, const char *cause)
{
    client->cause = cause;
    metric_add(&edge_aborted, 1);
    write_log(client);
    drop_stream(client, TRANSPORT_CODE_CANCELLED);
    socket_set_reset_on_close(client->watch.fd);
    set_state(client, CLIENT_OVER);
}

/* The answer is complete in `out`. */
static void conclude(struct edge_client *client)
{
    const struct conf_edge *conf = settings(client);
    bool keep = client->answer.keeps_alive && client->request_ended && !client->client_ended &&
                !client->is_tunnel;
    write_log(client);
    clear_request(client);
    if (keep && conf) {
        start_request(client);
        set_state(client, CLIENT_IDLE);
        set_deadline(client, conf->idle_timeout_ns);
    } else {
        set_state(client, CLIENT_CLOSING);
        set_deadline(client, client->body_timeout_ns ? client->body_timeout_ns : EDGE_LINGER_NS);
    }
}

/* An answer of our own, with a page. */
static void answer_page(struct edge_client *client, unsigned status, const char *cause)
{
    drop_stream(client, TRANSPORT_CODE_CANCELLED);
    arena_clear(&client->answer_arena);
    http_head_init(&client->answer, &client->answer_arena);
    client->cause = cause;
    struct http_head *request = client->has_head ? &client->head : NULL;
    struct span page = http_error_page(&client->answer, request, status, span_text(cause),
                                       span_text(client->request_id));
    if (http_fields_set(&client->answer.fields, HTTP_NAME_DATE, span_text(client->worker->date)) <
        0)
        cause = NULL;
    if (request) {
        http_response_frame(&client->answer, request);
    } else {
        client->answer.minor = 1;
        client->answer.keeps_alive = false;
    }
    if (request && request->body == HTTP_BODY_NONE)
        client->request_ended = true; /* there is nothing more to read of it */
    if (!client->request_ended)
        client->answer.keeps_alive = false;
    if (http_write_response(&client->out, &client->answer) == 0 &&
        client->answer.body != HTTP_BODY_NONE) {
        slice_queue_append(&client->out, page);
        client->bytes_out = page.length;
    }
    conclude(client);
}

static void refuse(struct edge_client *client, enum http_cause cause)
{
    metric_add(&edge_refused, 1);
    answer_page(client, http_cause_status(cause), http_cause_text(cause));
}

/* ---- the stream */

static const struct link_stream_events stream_events;

/* The whole request was written. */
static void finish_stream(struct edge_client *client)
{
    if (!client->stream || client->stream_finished)
        return;
    link_stream_write(client->stream, &client->to_link);
    link_stream_finish(client->stream);
    client->stream_finished = true;
}

/* Sends the head to a gateway; the body follows from go_up(). */
static void open_stream(struct edge_client *client)
{
    struct edge_worker *worker = client->worker;
    const struct conf_site *site = conf_find_site(edge_conf(worker), span_text(client->site));
    struct link *link;
    while (site && client->tries < TRIES_MOST &&
           (link = edge_route_pick(worker, site, client->tried, client->tries))) {
        struct transport_open open = {.port = client->local_port,
                                      .flags = TRANSPORT_OPEN_HTTP,
                                      .ring = client->opening.priority,
                                      .weight = 16,
                                      .client = client->peer};
        client->tried[client->tries++] = link;
        if (link_stream_open(link, &open, &stream_events, client, &client->stream) < 0)
            continue;
        if (http_form_write_request(&client->to_link, &client->opening, &client->head) < 0) {
            refuse(client, HTTP_CAUSE_HEAD_LONG);
            return;
        }
        http_form_reader_start_response(&client->reader, &http_limits_default, &client->answer,
                                        &client->answer_arena, client->head.method,
                                        client->head.upgrades);
        set_state(client, CLIENT_EXCHANGE);
        made_progress(client);
        return;
    }
    metric_add(&edge_no_gateway, 1);
    answer_page(client, 503, "no gateway can be reached");
}

/* Nothing of the answer has come and nothing of the request but its head was sent. */
static bool can_repeat(const struct edge_client *client)
{
    return !client->answer_began && !client->body_was_sent &&
           http_method_is_idempotent(client->head.method) && client->head.body == HTTP_BODY_NONE &&
           client->tries < TRIES_MOST;
}

static void stream_lost(struct edge_client *client, uint32_t code)
{
    static const struct {
        uint32_t code;
        unsigned status;
        const char *cause;
    } pages[] = {
        {TRANSPORT_CODE_REFUSED, 502, "the gateway does not serve this site to this edge"},
        {TRANSPORT_CODE_UNREACHABLE, 502, "the origin cannot be reached"},
        {TRANSPORT_CODE_TIMEOUT, 504, "the origin did not answer in time"},
        {TRANSPORT_CODE_PROTOCOL, 502, "the origin sent a malformed answer"},
        {TRANSPORT_CODE_LIMIT, 503, "the origin is busy"},
        {TRANSPORT_CODE_LINK_LOST, 502, "the link to the gateway was lost"},
        {TRANSPORT_CODE_SHUTDOWN, 502, "the gateway shuts down"},
    };
    if (client->answer_began) {
        abort_client(client, "the answer was cut short");
        return;
    }
    bool may_repeat =
        (code == TRANSPORT_CODE_LINK_LOST || code == TRANSPORT_CODE_SHUTDOWN) && can_repeat(client);
    drop_stream(client, TRANSPORT_CODE_NONE);
    if (may_repeat) {
        metric_add(&edge_retries, 1);
        arena_clear(&client->answer_arena);
        open_stream(client);
        if (client->request_ended && client->state == CLIENT_EXCHANGE)
            http_form_write_end(&client->to_link);
        return;
    }
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (pages[i].code == code) {
            answer_page(client, pages[i].status, pages[i].cause);
            return;
        }
    answer_page(client, 502, "the gateway gave the request up");
}

/* ---- up: from the client to the stream */

static void make_request_id(struct edge_client *client)
{
    snprintf(client->request_id, sizeof client->request_id, "%016lx%016lx",
             random_u64(&client->worker->random), random_u64(&client->worker->random));
}

static bool is_trusted(const struct conf_edge *conf, const struct address *peer)
{
    for (size_t i = 0; i < conf->trusted_proxies.count; i++)
        if (network_has(&conf->trusted_proxies.items[i], peer))
            return true;
    return false;
}

/* The head is complete: whose is it, and where does it go? */
static void begin(struct edge_client *client)
{
    struct edge_worker *worker = client->worker;
    const struct conf *conf = edge_conf(worker);
    const struct conf_edge *edge = conf->self->edge;
    client->has_head = true;
    if (!edge) {
        answer_page(client, 503, "this node is no edge any more");
        return;
    }
    const struct conf_site *site =
        client->head.host.length ? conf_find_host(conf, client->head.host) : NULL;
    if (client->head.method == HTTP_METHOD_TRACE) {
        answer_page(client, 405, "TRACE is not offered here");
        return;
    }
    if (!site || !edge_route_serves(conf, site)) {
        answer_page(client, 404,
                    client->head.host.length ? "no site has this host name here"
                                             : "Host is missing");
        return;
    }
    client->site = memory_text(site->name, strlen(site->name));
    client->body_timeout_ns = edge->body_timeout_ns;
    client->gateway_timeout_ns = edge->gateway_timeout_ns;
    if (!is_trusted(edge, &client->peer))
        http_remove_forwarded(&client->head.fields);
    client->opening = (struct http_opening){.site = span_text(client->site),
                                            .request_id = span_text(client->request_id),
                                            .client = client->peer,
                                            .edge_port = client->local_port,
                                            .priority = site->ring};
    open_stream(client);
}

static bool take_piece(struct edge_client *client)
{
    struct slice data;
    switch (http_parser_next(&client->parser, &client->in, &data)) {
    case HTTP_EVENT_HEAD:
        begin(client);
        return true;
    case HTTP_EVENT_DATA:
        client->body_was_sent = true;
        client->bytes_in += data.length;
        http_form_write_data(&client->to_link, data);
        return true;
    case HTTP_EVENT_TRAILERS:
        if (http_form_write_trailers(&client->to_link, &client->parser.trailers) == 0)
            return true;
        refuse(client, HTTP_CAUSE_TRAILER_FORBIDDEN);
        return false;
    case HTTP_EVENT_END:
        client->request_ended = true;
        made_progress(client);
        if (client->state == CLIENT_EXCHANGE && (client->is_tunnel || !client->head.upgrades))
            http_form_write_end(
                &client->to_link); /* of a request for an upgrade only when the answer is no 101 */
        return false;
    case HTTP_EVENT_MORE:
        return false;
    case HTTP_EVENT_ERROR:
        if (client->answer_began)
            abort_client(client, http_cause_text(client->parser.cause));
        else
            refuse(client, client->parser.cause);
        return false;
    }
    return false;
}

/* The client will send no more. */
static void on_client_end(struct edge_client *client)
{
    client->client_ended = true;
    if (client->state == CLIENT_IDLE || client->state == CLIENT_HEAD) {
        set_state(client, client->out.bytes ? CLIENT_CLOSING : CLIENT_OVER);
    } else if (client->state == CLIENT_EXCHANGE && client->is_tunnel) {
        client->request_ended = true;
        http_form_write_end(&client->to_link);
    } else if (client->state == CLIENT_EXCHANGE && !client->request_ended) {
        abort_client(client, "the client left in the middle of its request");
    } /* else half-closed: the answer still goes out */
}

static uint64_t wanted_from_client(const struct edge_client *client)
{
    if (client->client_ended)
        return 0;
    switch (client->state) {
    case CLIENT_IDLE:
    case CLIENT_HEAD:
        return client->out.bytes < EDGE_HELD_MOST ? EDGE_READ_MOST : 0;
    case CLIENT_EXCHANGE:
        if (client->request_ended)
            return client->in.bytes < EDGE_PIPELINE_MOST ? EDGE_PIPELINE_MOST - client->in.bytes
                                                         : 0;
        return client->stream ? link_stream_room(client->stream) : 0;
    case CLIENT_CLOSING:
        return client->is_lingering ? EDGE_READ_MOST : 0;
    case CLIENT_OVER:
        return 0;
    }
    return 0;
}

static void read_client(struct edge_client *client)
{
    uint64_t wanted = wanted_from_client(client);
    bool ended;
    if (!wanted)
        return;
    uint32_t limit = wanted < EDGE_READ_MOST ? (uint32_t)wanted : EDGE_READ_MOST;
    int got = socket_read(client->watch.fd, &client->in, limit, &ended);
    if (got < 0) {
        if (client->state == CLIENT_EXCHANGE)
            abort_client(client, "the client is gone");
        else
            set_state(client, CLIENT_OVER);
        return;
    }
    if (got > 0 && client->state == CLIENT_CLOSING) {
        client->lingered += (uint64_t)got;
        slice_queue_clear(&client->in);
    } else if (got > 0) {
        made_progress(client);
    }
    client->read_ended = ended;
}

static void begin_head(struct edge_client *client)
{
    const struct conf_edge *conf = settings(client);
    set_state(client, CLIENT_HEAD);
    make_request_id(client);
    client->began_ns = loop_now_ns(client->worker->loop);
    client->began_wall_ns = clock_wall_ns();
    if (conf)
        set_deadline(client, conf->header_timeout_ns);
}

/* Behind a head there may be something to take without further bytes: the end of a request without a body. */
static bool wants_pieces(const struct edge_client *client)
{
    return !client->request_ended &&
           ((client->state == CLIENT_HEAD && client->in.bytes) || client->state == CLIENT_EXCHANGE);
}

static void go_up(struct edge_client *client)
{
    if (client->state == CLIENT_IDLE && client->in.bytes && client->out.bytes < EDGE_HELD_MOST)
        begin_head(client);
    while (wants_pieces(client) && take_piece(client)) {
    }
    if (client->read_ended && !client->client_ended && !client->in.bytes &&
        client->state != CLIENT_OVER)
        on_client_end(client);
    if (client->stream && client->to_link.bytes)
        link_stream_write(client->stream, &client->to_link);
    bool waits_for_upgrade = client->head.upgrades && !client->answer_began;
    if (client->state == CLIENT_EXCHANGE && client->request_ended && !waits_for_upgrade)
        finish_stream(client);
}

/* ---- down: from the stream to the client */

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
        client->request_ended = false;
        http_parser_tunnel(&client->parser);
    } else if (client->head.upgrades) {
        http_form_write_end(&client->to_link); /* it stays HTTP: the request is over */
        finish_stream(client);
    }
    if (answer->status == 101)
        answer->keeps_alive = true;
    else if (!client->request_ended ||
             atomic_load_explicit(&worker->edge->admin, memory_order_relaxed) != EDGE_UP)
        answer->keeps_alive = false;
    bool is_bad = http_add_via(&answer->fields, 1, span_text(conf->self->name)) < 0;
    is_bad |=
        http_fields_set(&answer->fields, HTTP_NAME_X_REQUEST_ID, span_text(client->request_id)) < 0;
    if (!http_fields_has(&answer->fields, HTTP_NAME_DATE))
        is_bad |= http_fields_add(&answer->fields, HTTP_NAME_DATE, span_text(worker->date)) < 0;
    if (!is_bad && http_write_response(&client->out, answer) == 0)
        return true;
    client->answer_began = false;
    answer_page(client, 502, "the answer cannot be passed on");
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
            abort_client(client, "an interim answer cannot be passed on");
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
        abort_client(client, "trailers cannot be passed on");
        return;
    }
    if (client->is_tunnel && !client->request_ended)
        return; /* half closed: the client may still speak */
    conclude(client);
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
            stream_lost(client, TRANSPORT_CODE_PROTOCOL); /* a truncation */
        return false;
    case HTTP_EVENT_ERROR:
        client->cause = http_cause_text(client->reader.cause);
        stream_lost(client, TRANSPORT_CODE_PROTOCOL);
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

static void go_down(struct edge_client *client)
{
    bool more = wants_answer(client);
    while (more) {
        more = read_stream(client);
        while (take_answer(client)) {
        }
        more = more && wants_answer(client);
    }
}

/* ---- the client's socket */

static void write_client(struct edge_client *client)
{
    if (client->state == CLIENT_OVER || !client->out.bytes)
        return;
    int sent = socket_write(client->watch.fd, &client->out);
    if (sent < 0) {
        slice_queue_clear(&client->out);
        if (client->state == CLIENT_EXCHANGE)
            abort_client(client, "the client is gone");
        else
            set_state(client, CLIENT_OVER);
    } else if (sent > 0) {
        made_progress(client);
    }
}

static void give_credit(struct edge_client *client)
{
    uint64_t held = client->from_link.bytes + client->out.bytes;
    if (client->stream && client->owed > held) {
        link_stream_consume(client->stream, client->owed - held);
        client->owed = held;
    }
}

/* Everything is out: shut our side, and hear the client out for a while so that it can read the answer before a reset
 * (RFC 9112 section 9.6). */
static void close_slowly(struct edge_client *client)
{
    if (client->state != CLIENT_CLOSING || client->out.bytes)
        return;
    if (client->client_ended || client->read_ended || client->lingered > EDGE_LINGER_BYTES) {
        set_state(client, CLIENT_OVER);
        return;
    }
    if (!client->is_lingering) {
        client->is_lingering = true;
        slice_queue_clear(&client->in);
        shutdown(client->watch.fd, SHUT_WR);
        set_deadline(client, EDGE_LINGER_NS);
    }
}

static void run(struct edge_client *client)
{
    bool again;
    do {
        enum client_state before = client->state;
        go_up(client);
        go_down(client);
        bool was_full = client->out.bytes >= EDGE_HELD_MOST;
        write_client(client);
        give_credit(client);
        /* Room again for the answer, or a request waits behind the one just answered. */
        again = client->out.bytes < EDGE_HELD_MOST &&
                (was_full ||
                 (client->state == CLIENT_IDLE && client->in.bytes && before != CLIENT_IDLE));
    } while (again && client->state != CLIENT_OVER);
    if (client->state == CLIENT_EXCHANGE && client->is_tunnel && client->answer_ended &&
        client->request_ended && !client->out.bytes)
        conclude(client);
    close_slowly(client);
    if (client->state == CLIENT_OVER) {
        client_free(client);
        return;
    }
    uint32_t events = 0;
    if (!client->read_ended && wanted_from_client(client))
        events |= EPOLLIN;
    if (client->out.bytes)
        events |= EPOLLOUT;
    if (loop_watch_set(client->worker->loop, &client->watch, events) < 0) {
        abort_client(client, "the event loop refuses the connection");
        client_free(client);
    }
}

/* ---- events */

static void on_socket(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct edge_client *client = CONTAINER_OF(watch, struct edge_client, watch);
    (void)loop;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_client(client);
    run(client);
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct edge_client *client = CONTAINER_OF(timer, struct edge_client, timer);
    if (client->deadline_ns > loop_now_ns(loop)) {
        loop_timer_start(loop, timer, client->deadline_ns);
        return;
    }
    switch (client->state) {
    case CLIENT_IDLE:
    case CLIENT_CLOSING:
    case CLIENT_OVER:
        client->state = CLIENT_OVER;
        break;
    case CLIENT_HEAD:
        answer_page(client, 408, "the request did not come in time");
        break;
    case CLIENT_EXCHANGE:
        if (client->answer_began)
            abort_client(client, "the client or the origin stood still");
        else if (client->request_ended)
            answer_page(client, 504, "no answer came in time");
        else
            answer_page(client, 408, "the request did not come in time");
        break;
    }
    run(client);
}

static void on_stream_readable(void *owner, struct link_stream *stream)
{
    (void)stream;
    run(owner);
}

static void on_stream_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    stream_lost(owner, code);
    run(owner);
}

static const struct link_stream_events stream_events = {on_stream_readable, on_stream_readable,
                                                        on_stream_reset};

void edge_client_start(struct edge_worker *worker, int fd, const struct address *peer)
{
    const struct conf_edge *conf = edge_conf(worker)->self->edge;
    struct edge_client *client = NEW(struct edge_client);
    struct address local;
    client->worker = worker;
    client->watch.fd = fd;
    client->watch.ready = on_socket;
    client->timer.fire = on_timer;
    client->peer = address_unmap(peer);
    if (socket_local(fd, &local) == 0)
        client->local_port = local.port;
    socket_set_nodelay(fd);
    list_push_back(&worker->clients, &client->link);
    metric_add(&edge_connections, 1);
    metric_add(&edge_connections_open, 1);
    start_request(client);
    set_deadline(client, conf->header_timeout_ns);
    /* The first bytes are often there already. */
    read_client(client);
    run(client);
}

void edge_clients_drain(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->clients) {
        struct edge_client *client = CONTAINER_OF(item, struct edge_client, link);
        if (client->state == CLIENT_IDLE && !client->in.bytes) {
            set_state(client, CLIENT_CLOSING);
            run(client);
        }
    }
}

void edge_clients_abort(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->clients) {
        struct edge_client *client = CONTAINER_OF(item, struct edge_client, link);
        drop_stream(client, TRANSPORT_CODE_SHUTDOWN);
        client_free(client);
    }
}
