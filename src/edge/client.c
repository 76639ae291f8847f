/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection: its states, events and timers, and its socket. The request on it goes up in request.c, the answer comes down
 * in answer.c.
 *
 *   IDLE --> HEAD --> EXCHANGE --> (answer complete) --> IDLE | CLOSING --> OVER
 *
 * Every event ends in run(), the only place that frees a client: steps in between only set its state. Back-pressure: the client is not
 * read while the stream has no room; the stream gets no credit for bytes that the client's socket has not taken.
 */
#include "edge/client.h"

#include "base/memory.h"

#include <sys/socket.h>

void edge_client_set_state(struct edge_client *client, enum client_state state)
{
    INVARIANT(client->state != CLIENT_OVER);
    client->state = state;
}

void edge_client_set_deadline(struct edge_client *client, uint64_t timeout_ns)
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

/* Between two requests, but the answer to the first may still be on its way out. */
static void set_idle_deadline(struct edge_client *client)
{
    const struct conf_edge *conf = settings(client);
    edge_client_set_deadline(client, client->out.bytes || !conf ? client->body_timeout_ns
                                                                : conf->idle_timeout_ns);
}

void edge_client_made_progress(struct edge_client *client)
{
    switch (client->state) {
    case CLIENT_EXCHANGE:
        edge_client_set_deadline(client, client->is_tunnel && !client->answer_ended
                                             ? EDGE_TUNNEL_IDLE_NS
                                         : client->request_ended && !client->answer_began
                                             ? client->gateway_timeout_ns
                                             : client->body_timeout_ns);
        break;
    case CLIENT_IDLE:
        set_idle_deadline(client);
        break;
    case CLIENT_CLOSING:
        if (client->out.bytes)
            edge_client_set_deadline(client, client->body_timeout_ns);
        break;
    case CLIENT_HEAD: /* has its time as a whole */
    case CLIENT_OVER:
        break;
    }
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
    if (client->site)
        edge_sites_count(worker->sites, client->site, loop_now_ns(worker->loop),
                         &(struct edge_site_request){status, client->bytes_out, total_ns});
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

void edge_client_drop_stream(struct edge_client *client, uint32_t code)
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
    client->limits = client->worker->limits; /* a reload may change those */
    http_parser_start_request(&client->parser, &client->limits, &client->head, &client->arena);
    client->has_head = client->request_ended = client->body_was_sent = false;
    client->answer_began = client->answer_ended = client->is_tunnel = false;
    client->tries = 0;
    client->repeats = 0;
    client->bytes_in = client->bytes_out = client->first_byte_ns = 0;
    client->cause = NULL;
    client->answer.status = 0;
}

/* What a request held; the connection may carry another. */
static void clear_request(struct edge_client *client)
{
    bool is_whole = client->answer_ended && client->stream_finished;
    edge_client_drop_stream(client, is_whole ? TRANSPORT_CODE_NONE : TRANSPORT_CODE_CANCELLED);
    http_form_content_clear(&client->content);
    http_form_reader_clear(&client->reader);
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
    if (client->out.bytes || client->state == CLIENT_EXCHANGE)
        socket_set_reset_on_close(client->watch.fd); /* not whole: it must not look whole */
    loop_watch_close(worker->loop, &client->watch);
    slice_queue_clear(&client->in);
    slice_queue_clear(&client->out);
    list_remove(&client->link);
    memory_free(client);
    metric_add(&edge_connections_open, (uint64_t)-1);
    edge_listeners_client_left(worker);
}

void edge_client_abort(struct edge_client *client, const char *cause)
{
    client->cause = cause;
    metric_add(&edge_aborted, 1);
    write_log(client);
    edge_client_drop_stream(client, TRANSPORT_CODE_CANCELLED);
    socket_set_reset_on_close(client->watch.fd);
    edge_client_set_state(client, CLIENT_OVER);
}

/* At most once a second for each connection. */
static void sample_rtt(struct edge_client *client)
{
    uint64_t now_ns = loop_now_ns(client->worker->loop);
    if (client->rtt_read_ns && now_ns - client->rtt_read_ns < 1000000000)
        return;
    client->rtt_read_ns = now_ns;
    edge_visitors_sample(client->worker, client->watch.fd, &client->peer);
}

void edge_client_conclude(struct edge_client *client)
{
    sample_rtt(client);
    bool keep = client->answer.keeps_alive && client->request_ended && !client->client_ended &&
                !client->is_tunnel && settings(client) && edge_is_up(client->worker);
    write_log(client);
    clear_request(client);
    if (keep) {
        start_request(client);
        edge_client_set_state(client, CLIENT_IDLE);
        set_idle_deadline(client);
    } else {
        edge_client_set_state(client, CLIENT_CLOSING);
        edge_client_set_deadline(client, client->body_timeout_ns);
    }
}

/* ---- the client's socket */

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
            edge_client_abort(client, "the client is gone");
        else
            edge_client_set_state(client, CLIENT_OVER);
        return;
    }
    if (got > 0 && client->state == CLIENT_CLOSING) {
        client->lingered += (uint64_t)got;
        slice_queue_clear(&client->in);
    } else if (got > 0) {
        edge_client_made_progress(client);
    }
    client->read_ended = ended;
}

static void write_client(struct edge_client *client)
{
    if (client->state == CLIENT_OVER || !client->out.bytes)
        return;
    int sent = socket_write(client->watch.fd, &client->out);
    if (sent < 0) {
        slice_queue_clear(&client->out);
        if (client->state == CLIENT_EXCHANGE)
            edge_client_abort(client, "the client is gone");
        else
            edge_client_set_state(client, CLIENT_OVER);
    } else if (sent > 0) {
        edge_client_made_progress(client);
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
        edge_client_set_state(client, CLIENT_OVER);
        return;
    }
    if (!client->is_lingering) {
        client->is_lingering = true;
        slice_queue_clear(&client->in);
        shutdown(client->watch.fd, SHUT_WR);
        edge_client_set_deadline(client, EDGE_LINGER_NS);
    }
}

/* The origin has ended its half of a tunnel: so do we, and the client may still speak for a while. */
static void end_tunnel(struct edge_client *client)
{
    if (client->state != CLIENT_EXCHANGE || !client->is_tunnel || !client->answer_ended ||
        client->out.bytes)
        return;
    if (client->request_ended) {
        edge_client_conclude(client);
    } else if (!client->is_shut) {
        client->is_shut = true;
        shutdown(client->watch.fd, SHUT_WR);
        edge_client_set_deadline(client, client->body_timeout_ns);
    }
}

static void run(struct edge_client *client)
{
    bool again;
    do {
        bool was_tunnel = client->is_tunnel;
        edge_client_go_up(client);
        edge_client_go_down(client);
        bool was_full = client->out.bytes >= EDGE_HELD_MOST;
        write_client(client);
        give_credit(client);
        /* Room again for the answer; or a request waits behind the one just answered; or what came behind a request for an
         * upgrade may go now. */
        again = client->out.bytes < EDGE_HELD_MOST &&
                (was_full || (client->state == CLIENT_IDLE && client->in.bytes) ||
                 (client->is_tunnel && !was_tunnel));
    } while (again && client->state != CLIENT_OVER);
    end_tunnel(client);
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
        edge_client_abort(client, "the event loop refuses the connection");
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
        edge_client_answer_page(client, 408, "the request did not come in time");
        break;
    case CLIENT_EXCHANGE:
        if (client->answer_began)
            edge_client_abort(client, "the client or the origin stood still");
        else if (client->request_ended || wanted_from_client(client) == 0)
            edge_client_answer_page(client, 504, "no answer came in time");
        else
            edge_client_answer_page(client, 408, "the request did not come in time");
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
    struct edge_client *client = owner;
    (void)stream;
    if (client->stream_ended && !client->is_tunnel)
        return; /* the answer is here as a whole, and waits for the client to take it */
    edge_client_stream_lost(client, code);
    run(client);
}

const struct link_stream_events edge_client_stream_events = {on_stream_readable, on_stream_readable,
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
    client->body_timeout_ns = conf ? conf->body_timeout_ns : EDGE_LINGER_NS;
    edge_client_set_deadline(client, conf ? conf->header_timeout_ns : EDGE_LINGER_NS);
    /* The first bytes are often there already. */
    read_client(client);
    run(client);
}

void edge_clients_drain(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->clients) {
        struct edge_client *client = CONTAINER_OF(item, struct edge_client, link);
        if (client->state == CLIENT_IDLE && !client->in.bytes) {
            edge_client_set_state(client, CLIENT_CLOSING);
            run(client);
        }
    }
}

void edge_clients_abort(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->clients) {
        struct edge_client *client = CONTAINER_OF(item, struct edge_client, link);
        edge_client_drop_stream(client, TRANSPORT_CODE_SHUTDOWN);
        client_free(client);
    }
}
