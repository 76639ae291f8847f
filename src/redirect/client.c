/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection. All requests that came are answered from the worker's own buffers with one send; between turns a
 * connection holds nothing but the part of a head that has come, or the answers that its socket did not take. A request with a
 * body is answered at its head and ends the connection: the body is for the server that the answer names.
 */
#include "base/memory.h"
#include "redirect/private.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct redirect_client {
    struct list link; /* of its state */
    struct loop_watch watch;
    struct redirect_worker *worker;
    struct address peer;
    enum redirect_state state;
    uint64_t since_ns; /* in this state, or for SENDING the last progress */
    struct slice_queue waiting;
    uint8_t *held; /* input that waits for more of it, or for the socket */
    uint32_t held_bytes;
    uint32_t lingered_bytes;
    bool ends;     /* behind what waits */
    bool is_ended; /* by the client */
};

static void set_state(struct redirect_client *client, enum redirect_state state)
{
    struct redirect_worker *worker = client->worker;
    if (state == REDIRECT_HEAD && client->state == REDIRECT_HEAD)
        return; /* the time limit is that of the whole head */
    client->state = state;
    client->since_ns = loop_now_ns(worker->loop);
    list_remove(&client->link);
    list_push_back(&worker->clients[state], &client->link);
}

static void close_client(struct redirect_client *client)
{
    struct redirect_worker *worker = client->worker;
    loop_watch_close(worker->loop, &client->watch);
    list_remove(&client->link);
    slice_queue_clear(&client->waiting);
    memory_free(client->held);
    memory_free(client);
    worker->client_count--;
    atomic_fetch_sub_explicit(&worker->redirect->connections, 1, memory_order_relaxed);
    metric_add(&redirect_connections_open, UINT64_MAX);
}

/* ---- output */

static bool is_would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

/* What the worker has written goes to the socket; what that does not take waits. */
static int flush(struct redirect_client *client)
{
    struct redirect_worker *worker = client->worker;
    size_t at = 0, length = worker->output_bytes;
    worker->output_bytes = 0;
    while (at < length && !client->waiting.bytes) {
        ssize_t sent = send(client->watch.fd, worker->output + at, length - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && !is_would_block())
            return ERROR_IO;
        if (sent < 0)
            break;
        at += (size_t)sent;
    }
    if (at < length)
        slice_queue_append(&client->waiting, span_of(worker->output + at, length - at));
    return 0;
}

static int send_waiting(struct redirect_client *client)
{
    while (client->waiting.bytes) {
        int sent = socket_write(client->watch.fd, &client->waiting);
        if (sent < 0)
            return sent;
        if (sent == 0)
            return 0;
        set_state(client, REDIRECT_SENDING);
    }
    return 0;
}

/* ---- requests */

static void hold(struct redirect_client *client, struct span rest)
{
    memory_free(client->held);
    client->held = NULL;
    client->held_bytes = (uint32_t)rest.length;
    if (!rest.length)
        return;
    client->held = memory_raw(rest.length);
    memcpy(client->held, rest.data, rest.length);
}

static void refuse(struct redirect_client *client)
{
    struct redirect_worker *worker = client->worker;
    metric_add(&redirect_malformed, 1);
    redirect_refuse(worker, http_cause_status(worker->parser.cause),
                    http_cause_text(worker->parser.cause), true);
    client->ends = true;
}

/* One request at the front of the input: how many bytes it has; 0: it is not whole. */
static size_t answer_one(struct redirect_client *client, struct span input)
{
    struct redirect_worker *worker = client->worker;
    struct span data;
    size_t used = 0;
    arena_rewind(&worker->arena);
    http_parser_start_request(&worker->parser, &redirect_view(worker)->data->limits, &worker->head,
                              &worker->arena);
    switch (http_parser_feed(&worker->parser, input, &used, &data)) {
    case HTTP_EVENT_MORE:
        return 0;
    case HTTP_EVENT_HEAD:
        client->ends = worker->head.body != HTTP_BODY_NONE || !worker->head.keeps_alive ||
                       worker->head.upgrades || atomic_load(&worker->redirect->is_draining);
        redirect_answer(worker, &client->peer, client->ends);
        return used;
    case HTTP_EVENT_ERROR:
    case HTTP_EVENT_DATA:
    case HTTP_EVENT_TRAILERS:
    case HTTP_EVENT_END:
        break;
    }
    refuse(client);
    return input.length;
}

/* Answers what is whole of `filled` bytes of the worker's input, and holds the rest. */
static int answer_all(struct redirect_client *client, size_t filled)
{
    struct redirect_worker *worker = client->worker;
    size_t at = 0, used = 1;
    while (at < filled && used && !client->ends) {
        if (REDIRECT_OUTPUT_BYTES - worker->output_bytes < REDIRECT_ANSWER_BYTES) {
            int result = flush(client);
            if (result < 0)
                return result;
            if (client->waiting.bytes)
                break;
        }
        used = answer_one(client, span_of(worker->input + at, filled - at));
        at += used;
    }
    hold(client, span_of(worker->input + at, client->ends ? 0 : filled - at));
    return flush(client);
}

/* ---- a turn */

/* Reads behind what is held: the bytes now in the worker's input, or an error. */
static int read_input(struct redirect_client *client, size_t *filled, bool *has_line)
{
    struct redirect_worker *worker = client->worker;
    size_t held = client->held_bytes;
    *filled = held;
    *has_line = false;
    if (held)
        memcpy(worker->input, client->held, held);
    for (;;) {
        ssize_t got = recv(client->watch.fd, worker->input + held, REDIRECT_INPUT_BYTES - held, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return is_would_block() ? 0 : ERROR_RESET;
        client->is_ended = got == 0;
        *filled = held + (size_t)got;
        *has_line = memchr(worker->input + held, '\n', (size_t)got) != NULL;
        return 0;
    }
}

/* A head that comes byte by byte is not read again and again: only once a line has ended, or when it is too long. */
static bool is_worth_reading(const struct redirect_client *client, size_t filled, bool has_line)
{
    const struct http_limits *limits = &redirect_view(client->worker)->data->limits;
    return has_line || filled > limits->line_bytes + limits->head_bytes;
}

static int take_input(struct redirect_client *client)
{
    size_t filled;
    bool has_line;
    int result = read_input(client, &filled, &has_line);
    if (result < 0 || filled == client->held_bytes)
        return result;
    if (!is_worth_reading(client, filled, has_line)) {
        hold(client, span_of(client->worker->input, filled));
        return 0;
    }
    return answer_all(client, filled);
}

static int linger(struct redirect_client *client)
{
    for (;;) {
        ssize_t got =
            recv(client->watch.fd, client->worker->input, REDIRECT_INPUT_BYTES, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return is_would_block() ? 0 : ERROR_RESET;
        client->lingered_bytes += (uint32_t)got;
        if (got == 0 || client->lingered_bytes > REDIRECT_LINGER_BYTES)
            return ERROR_CLOSED;
    }
}

/* What follows from what is held and what waits; an error ends the connection. */
static int settle(struct redirect_client *client)
{
    uint32_t events = EPOLLIN;
    if (client->waiting.bytes) {
        set_state(client, REDIRECT_SENDING);
        events = EPOLLOUT;
    } else if (client->is_ended) {
        return ERROR_CLOSED; /* what is held can never become whole */
    } else if (client->ends) {
        /* Closed at once, what the client still sends would reset what it has not read yet. */
        shutdown(client->watch.fd, SHUT_WR);
        set_state(client, REDIRECT_LINGER);
    } else {
        set_state(client, client->held_bytes ? REDIRECT_HEAD : REDIRECT_IDLE);
    }
    return client->watch.events == events
               ? 0
               : loop_watch_set(client->worker->loop, &client->watch, events);
}

static int serve(struct redirect_client *client)
{
    int result = 0;
    switch (client->state) {
    case REDIRECT_LINGER:
        return linger(client);
    case REDIRECT_SENDING:
        result = send_waiting(client);
        if (result < 0 || client->waiting.bytes)
            return result;
        if (client->held_bytes && !client->ends) {
            uint32_t held = client->held_bytes;
            memcpy(client->worker->input, client->held, held);
            result = answer_all(client, held);
        }
        break;
    case REDIRECT_IDLE:
    case REDIRECT_HEAD:
        result = take_input(client);
        break;
    case REDIRECT_STATES:
        INVARIANT(false);
    }
    return result < 0 ? result : settle(client);
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct redirect_client *client = CONTAINER_OF(watch, struct redirect_client, watch);
    (void)loop;
    (void)events;
    if (serve(client) < 0)
        close_client(client);
}

/* ---- all clients of a worker */

void redirect_client_start(struct redirect_worker *worker, int fd, const struct address *peer)
{
    struct redirect_client *client = NEW(struct redirect_client);
    client->worker = worker;
    client->peer = address_unmap(peer);
    client->peer.port = 0;
    client->watch = (struct loop_watch){.fd = fd, .ready = on_ready};
    list_init(&client->link);
    worker->client_count++;
    atomic_fetch_add_explicit(&worker->redirect->connections, 1, memory_order_relaxed);
    metric_add(&redirect_connections, 1);
    metric_add(&redirect_connections_open, 1);
    socket_set_nodelay(fd);
    set_state(client, REDIRECT_IDLE);
    if (loop_watch_set(worker->loop, &client->watch, EPOLLIN) < 0)
        close_client(client);
}

static struct redirect_client *oldest(const struct redirect_worker *worker,
                                      enum redirect_state state)
{
    const struct list *clients = &worker->clients[state];
    return list_is_empty(clients) ? NULL
                                  : CONTAINER_OF(clients->next, struct redirect_client, link);
}

void redirect_clients_check(struct redirect_worker *worker)
{
    const struct redirect_data *data = redirect_view(worker)->data;
    const uint64_t limits_ns[REDIRECT_STATES] = {
        [REDIRECT_IDLE] = data->idle_timeout_ns,
        [REDIRECT_HEAD] = data->header_timeout_ns,
        [REDIRECT_SENDING] = data->idle_timeout_ns,
        [REDIRECT_LINGER] = REDIRECT_LINGER_NS,
    };
    uint64_t now_ns = loop_now_ns(worker->loop);
    for (int state = 0; state < REDIRECT_STATES; state++) {
        struct redirect_client *client;
        while ((client = oldest(worker, (enum redirect_state)state)) &&
               client->since_ns + limits_ns[state] <= now_ns) {
            if (state == REDIRECT_HEAD || state == REDIRECT_SENDING)
                metric_add(&redirect_timeouts, 1);
            close_client(client);
        }
    }
}

void redirect_clients_drain(struct redirect_worker *worker)
{
    struct redirect_client *client;
    while ((client = oldest(worker, REDIRECT_IDLE)))
        close_client(client);
}

bool redirect_clients_evict(struct redirect_worker *worker)
{
    struct redirect_client *client = oldest(worker, REDIRECT_LINGER);
    if (!client)
        client = oldest(worker, REDIRECT_IDLE);
    if (!client)
        return false;
    metric_add(&redirect_evicted, 1);
    close_client(client);
    return true;
}

void redirect_clients_close(struct redirect_worker *worker)
{
    for (int state = 0; state < REDIRECT_STATES; state++) {
        struct redirect_client *client;
        while ((client = oldest(worker, (enum redirect_state)state)))
            close_client(client);
    }
}
