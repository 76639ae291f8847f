/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection to an origin:
 *
 *   connect() --> PROXY header, in clear --> TLS handshake --> requests, one at a time
 *
 * What an origin says before it was asked is never taken for an answer: a connection on which something lies is closed.
 */
#include "gateway/private.h"

#include "base/memory.h"

#include <errno.h>
#include <sys/socket.h>

enum { PEEKED_BYTES = 16384 }; /* of TLS records that are looked at for anything but tickets */

static struct metric handshakes = METRIC(COUNTER, "causeway_gateway_origin_tls_handshakes_total",
                                         "", "Handshakes of TLS with origins.");
static struct metric resumed = METRIC(COUNTER, "causeway_gateway_origin_tls_resumed_total", "",
                                      "Handshakes that took up an earlier session.");
static struct metric failures[TLS_FAILURES] = {
#define X(name, word, text)                                                              \
    [TLS_FAILURE_##name] = METRIC(COUNTER, "causeway_gateway_origin_tls_failures_total", \
                                  "cause=\"" word "\"", "Handshakes that failed, by cause."),
    TLS_FAILURE_LIST(X)
#undef X
};

void gateway_connections_register(void)
{
    metric_register(&handshakes);
    metric_register(&resumed);
    for (size_t i = TLS_FAILURE_NONE + 1; i < TLS_FAILURES; i++)
        metric_register(&failures[i]);
}

/* ---- TLS */

static void count_handshake(struct origin_connection *connection)
{
    connection->was_counted = true;
    metric_add(&handshakes, 1);
    if (tls_session_facts(connection->tls)->is_resumed)
        metric_add(&resumed, 1);
}

static void count_failure(struct origin_connection *connection)
{
    enum tls_failure failure = tls_session_failure(connection->tls);
    char address[ADDRESS_TEXT_BYTES];
    if (connection->was_counted)
        return;
    connection->was_counted = true;
    if (failure == TLS_FAILURE_NONE)
        failure = TLS_FAILURE_TIMEOUT;
    metric_add(&failures[failure], 1);
    log_notice("gateway", "no TLS with origin %s as %s: %s",
               address_text(&connection->pool->address, true, address), connection->pool->name,
               tls_failure_text(failure));
}

/* ---- opening */

size_t origin_proxy_header(enum conf_origin_proxy proxy, const struct origin_caller *caller,
                           uint8_t out[HTTP_PROXY_WRITTEN_MOST])
{
    /* To which of the edge's addresses the client came is not known here, but the port. */
    struct http_proxy_header header = {.source = address_unmap(&caller->client)};
    header.destination =
        (struct address){.family = header.source.family, .port = caller->edge_port};
    return http_proxy_header_write(proxy == CONF_PROXY_V1 ? HTTP_PROXY_V1 : HTTP_PROXY_V2, &header,
                                   out);
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct origin_connection *connection = CONTAINER_OF(watch, struct origin_connection, watch);
    (void)loop;
    if (connection->tls && events & EPOLLOUT)
        events |= EPOLLIN; /* a read may have waited for it */
    gateway_pool_on_ready(connection, events);
}

static void on_again(struct loop *loop, struct loop_task *task)
{
    struct origin_connection *connection = CONTAINER_OF(task, struct origin_connection, again);
    (void)loop;
    gateway_pool_on_ready(connection, EPOLLIN);
}

static int connect_to(const struct origin_pool *pool, int *fd)
{
    if (pool->manner->is_tls && !pool->manner->dialer)
        return ERROR_UNSUPPORTED;
    int result =
        pool->path ? socket_connect_unix(pool->path, fd) : socket_connect_tcp(&pool->address, fd);
    if (result == 0 && !pool->path)
        socket_set_nodelay(*fd);
    return result;
}

int origin_connection_open(struct gateway_worker *worker, struct origin_pool *pool,
                           const struct origin_caller *caller, struct origin_connection **opened)
{
    int fd, result = connect_to(pool, &fd);
    *opened = NULL;
    if (result < 0)
        return result;
    struct origin_connection *connection = NEW(struct origin_connection);
    connection->worker = worker;
    connection->pool = pool;
    connection->watch.fd = fd;
    connection->watch.ready = on_ready;
    connection->again.run = on_again;
    connection->is_connecting = true;
    connection->caller = *caller;
    list_init(&connection->link);
    if (loop_watch_set(worker->loop, &connection->watch, EPOLLIN | EPOLLOUT) < 0) {
        origin_connection_free(&connection);
        return ERROR_LIMIT;
    }
    *opened = connection;
    return 0;
}

/* Connected: the header that says whose connection it is goes first, whatever follows. */
static int reach(struct origin_connection *connection, uint32_t events)
{
    enum conf_origin_proxy proxy = connection->pool->manner->proxy;
    uint8_t header[HTTP_PROXY_WRITTEN_MOST];
    if (socket_error(connection->watch.fd) || !(events & EPOLLOUT))
        return ERROR_UNREACHABLE;
    connection->is_reached = true;
    if (proxy != CONF_PROXY_OFF)
        slice_queue_append(&connection->out,
                           span_of(header,
                                   origin_proxy_header(proxy, &connection->caller, header)));
    return 0;
}

static int wait_for(struct origin_connection *connection, uint32_t events)
{
    int result = loop_watch_set(connection->worker->loop, &connection->watch, events);
    return result < 0 ? result : ERROR_AGAIN;
}

static int secure(struct origin_connection *connection)
{
    struct origin_pool *pool = connection->pool;
    bool ended;
    if (!connection->tls) {
        int sent = socket_write(connection->watch.fd, &connection->out);
        if (sent < 0)
            return sent;
        if (connection->out.bytes)
            return wait_for(connection, EPOLLOUT);
        connection->tls =
            tls_session_dial(pool->manner->dialer, connection->watch.fd, pool->name, &pool->memory);
    }
    int got = tls_session_read(connection->tls, &connection->in, PEEKED_BYTES, &ended);
    if (tls_session_is_open(connection->tls) && got >= 0) {
        count_handshake(connection);
        return 0;
    }
    if (got < 0 || ended) {
        count_failure(connection);
        return ERROR_UNREACHABLE;
    }
    return wait_for(connection, tls_session_wants(connection->tls, true, false));
}

int origin_connection_advance(struct origin_connection *connection, uint32_t events)
{
    int result = connection->is_reached ? 0 : reach(connection, events);
    if (result == 0 && connection->pool->manner->is_tls)
        result = secure(connection);
    if (result == 0 && events & EPOLLIN && !origin_connection_is_quiet(connection))
        result = ERROR_UNREACHABLE;
    connection->is_connecting = result < 0;
    return result;
}

void origin_connection_free(struct origin_connection **freed)
{
    struct origin_connection *connection = *freed;
    struct loop *loop = connection->worker->loop;
    *freed = NULL;
    loop_timer_stop(loop, &connection->idle_timer);
    loop_task_cancel(loop, &connection->again);
    if (connection->tls) {
        count_failure(connection); /* one that is still under way */
        /* An origin that waits for more learns that nothing was cut short; whether the socket takes the word is all the same now. */
        int said = connection->attempt ? 0 : tls_session_shut(connection->tls);
        (void)said;
        tls_session_free(&connection->tls);
    }
    loop_watch_close(loop, &connection->watch);
    slice_queue_clear(&connection->in);
    slice_queue_clear(&connection->out);
    memory_free(connection);
}

/* ---- bytes */

int origin_connection_read(struct origin_connection *connection, uint32_t limit, bool *ended)
{
    if (!connection->tls)
        return socket_read(connection->watch.fd, &connection->in, limit, ended);
    int got = tls_session_read(connection->tls, &connection->in, limit, ended);
    if (got < 0 && tls_session_failure(connection->tls)) {
        connection->was_counted = false; /* a handshake that looked good from here */
        count_failure(connection);
    }
    return got;
}

int origin_connection_write(struct origin_connection *connection)
{
    if (connection->tls)
        return tls_session_write(connection->tls, &connection->out);
    return socket_write(connection->watch.fd, &connection->out);
}

void origin_connection_shut(struct origin_connection *connection)
{
    if (connection->tls) {
        int said = tls_session_shut(connection->tls); /* where it cannot, the tunnel is over soon */
        (void)said;
    } else {
        shutdown(connection->watch.fd, SHUT_WR);
    }
}

int origin_connection_want(struct origin_connection *connection, uint32_t events)
{
    struct loop *loop = connection->worker->loop;
    if (connection->tls) {
        if (events & EPOLLIN && tls_session_has_pending(connection->tls))
            loop_task_queue(loop, &connection->again);
        events = tls_session_wants(connection->tls, events & EPOLLIN, events & EPOLLOUT);
    }
    return loop_watch_set(loop, &connection->watch, events);
}

/* What is there without having been read: of TLS there may be tickets. */
static bool has_ended(struct origin_connection *connection)
{
    uint8_t byte;
    bool ended;
    if (connection->tls)
        return tls_session_read(connection->tls, &connection->in, PEEKED_BYTES, &ended) < 0 ||
               ended;
    ssize_t got = recv(connection->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0)
        connection->is_spoiled = true;
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

bool origin_connection_is_quiet(struct origin_connection *connection)
{
    bool is_over = has_ended(connection);
    if (connection->in.bytes || connection->is_spoiled) {
        metric_add(gateway_fault_metric(GATEWAY_FAULT_UNASKED), 1);
        return false;
    }
    return !is_over;
}

bool origin_connection_is_for(const struct origin_connection *connection,
                              const struct origin_caller *caller)
{
    return connection->pool->manner->proxy == CONF_PROXY_OFF ||
           (address_equal(&connection->caller.client, &caller->client) &&
            connection->caller.edge_port == caller->edge_port);
}
