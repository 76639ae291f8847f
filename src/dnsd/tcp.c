/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP (RFC 7766), and TLS over it (RFC 7858): queries one behind another on a connection, answered in their order. A connection that reads
 * slowly is not read from; one that brings no whole query within the idle time is closed; when the limit of
 * connections is reached the one idle for longest gives way.
 */
#include "dnsd/private.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "base/slice.h"

#include <unistd.h>

enum {
    PREFIX_BYTES = 2,
    INPUT_BYTES = PREFIX_BYTES + DNSD_TCP_QUERY_BYTES,
    ROOM_BYTES = PREFIX_BYTES + DNS_TCP_BYTES, /* that one answer may need */
    OUTPUT_BYTES = 2 * ROOM_BYTES,
    ACCEPTS = 64,           /* in one turn of a listener */
    TRANSFER_MESSAGES = 16, /* in one turn of a connection */
};

struct listener {
    struct loop_watch watch;
    struct dnsd_tcp *tcp;
    bool is_tls;
};

struct dnsd_tcp {
    struct dnsd *dnsd;
    struct loop *loop;
    struct listener *listeners;
    size_t listener_count;
    uint32_t workers;        /* that share the limit of connections */
    struct list connections; /* the one idle for longest first */
    uint32_t connection_count;
    struct loop_timer idle;
    struct dnsd_tally tally;
    struct dnsd_signer signer;
    uint8_t output[OUTPUT_BYTES]; /* of the connection that is being served */
};

struct connection {
    struct list link;
    struct loop_watch watch;
    struct dnsd_stream stream;
    struct dnsd_tcp *tcp;
    struct address client;
    uint64_t active_ns;             /* last whole query, or answer bytes taken */
    struct slice_queue waiting;     /* answers that the socket did not take */
    struct dnsd_transfer *transfer; /* under way: nothing else is answered until its end */
    size_t filled;
    bool is_ended; /* by the client, which may still read */
    uint8_t input[INPUT_BYTES];
};

static void close_connection(struct connection *connection)
{
    struct dnsd_tcp *tcp = connection->tcp;
    loop_watch_remove(tcp->loop, &connection->watch);
    connection->stream.functions->clear(&connection->stream);
    close(connection->watch.fd);
    list_remove(&connection->link);
    slice_queue_clear(&connection->waiting);
    dnsd_transfer_close(&connection->transfer);
    memory_free(connection);
    dnsd_count_connections(--tcp->connection_count);
}

static struct connection *oldest(const struct dnsd_tcp *tcp)
{
    return list_is_empty(&tcp->connections)
               ? NULL
               : CONTAINER_OF(tcp->connections.next, struct connection, link);
}

static void touch(struct connection *connection)
{
    struct dnsd_tcp *tcp = connection->tcp;
    connection->active_ns = loop_now_ns(tcp->loop);
    list_remove(&connection->link);
    list_push_back(&tcp->connections, &connection->link);
}

/* One timer for all: the front of the list is the next to be due. */
static void start_idle_timer(struct dnsd_tcp *tcp)
{
    const struct connection *first = oldest(tcp);
    if (first)
        loop_timer_start(tcp->loop, &tcp->idle, first->active_ns + tcp->dnsd->tcp_idle_timeout_ns);
}

/* ---- answers */

static int send_bytes(struct connection *connection, struct span bytes)
{
    return connection->stream.functions->send(&connection->stream, bytes);
}

/* Sends from memory what the stream takes and keeps the rest. */
static int send_output(struct connection *connection, size_t length)
{
    struct span rest = span_of(connection->tcp->output, length);
    while (rest.length && !connection->waiting.bytes) {
        int sent = send_bytes(connection, rest);
        if (sent == ERROR_AGAIN)
            break;
        if (sent < 0)
            return sent;
        rest = span_from(rest, (size_t)sent);
    }
    if (rest.length)
        slice_queue_append(&connection->waiting, rest);
    return 0;
}

static int send_waiting(struct connection *connection)
{
    while (connection->waiting.bytes) {
        int sent = send_bytes(connection, slice_queue_front(&connection->waiting));
        if (sent < 0)
            return sent == ERROR_AGAIN ? 0 : sent;
        slice_queue_consume(&connection->waiting, (uint64_t)sent);
        touch(connection);
    }
    return 0;
}

/* Answers one message at the front of `input`; returns the bytes written, or a negative error: the client talks no DNS. */
static int answer_one(struct connection *connection, struct span message, uint8_t *out)
{
    struct dnsd_tcp *tcp = connection->tcp;
    struct dns_request request = {.message = message,
                                  .client = &connection->client,
                                  .is_tcp = true,
                                  .wall_s = (uint32_t)(clock_rough_wall_ns() / 1000000000),
                                  .now_ns = loop_now_ns(tcp->loop),
                                  .signer = &tcp->signer.signer};
    struct dns_outcome outcome = {.rcode = DNS_REFUSED};
    size_t length;
    uint8_t *to = out + PREFIX_BYTES;
    if (!dnsd_transfer_open(tcp->dnsd, message, &connection->client, to, DNS_TCP_BYTES, &length,
                            &connection->transfer)) {
        length = dns_answer(dnsd_source(tcp->dnsd), &request, to, DNS_TCP_BYTES, &outcome);
        if (outcome.has_tsig)
            length =
                dnsd_answer_signed(dnsd_view(tcp->dnsd), &request, to, DNS_TCP_BYTES, &outcome);
    }
    if (connection->transfer)
        return 0;
    dnsd_tally_outcome(&tcp->tally, &outcome, length);
    if (!length)
        return ERROR_INVALID;
    store_u16(out, (uint16_t)length);
    return (int)length + PREFIX_BYTES;
}

/* Whole messages at the front of the input, as long as there is room for an answer of any size. Returns 1 when some may be left. */
static int answer_input(struct connection *connection)
{
    size_t used = 0, length = 0;
    int result = 0;
    while (connection->filled - used >= PREFIX_BYTES && !connection->transfer) {
        const uint8_t *front = connection->input + used;
        size_t message = load_u16(front);
        if (message > DNSD_TCP_QUERY_BYTES) {
            result = ERROR_LIMIT;
            break;
        }
        if (connection->filled - used - PREFIX_BYTES < message)
            break;
        if (OUTPUT_BYTES - length < ROOM_BYTES) {
            result = 1;
            break;
        }
        int written = answer_one(connection, span_of(front + PREFIX_BYTES, message),
                                 connection->tcp->output + length);
        if (written < 0) {
            result = written;
            break;
        }
        used += PREFIX_BYTES + message;
        length += (size_t)written;
    }
    if (used) {
        touch(connection);
        memmove(connection->input, connection->input + used, connection->filled - used);
        connection->filled -= used;
    }
    int error = send_output(connection, length);
    return error < 0 ? error : result;
}

/* ---- a connection's turn */

/* How many bytes came; an error where the connection is of no use any more. */
static int read_input(struct connection *connection)
{
    struct dnsd_stream *stream = &connection->stream;
    if (connection->filled == INPUT_BYTES)
        return 0;
    int got = stream->functions->receive(stream, connection->input + connection->filled,
                                         INPUT_BYTES - connection->filled);
    if (got == ERROR_AGAIN)
        return 0;
    if (got == 0)
        connection->is_ended = true;
    if (got > 0)
        connection->filled += (size_t)got;
    return got;
}

/* Messages of a transfer as fast as the client takes them, some at a time: others have their turn too. Returns 1 when
 * there is no more to send. */
static int send_transfer(struct connection *connection)
{
    uint8_t *out = connection->tcp->output;
    for (int i = 0; i < TRANSFER_MESSAGES && connection->transfer; i++) {
        if (connection->waiting.bytes)
            return 0;
        int length = dnsd_transfer_next(connection->transfer, &connection->tcp->signer,
                                        out + PREFIX_BYTES, DNS_TCP_BYTES);
        if (length < 0)
            return length;
        if (length == 0) {
            dnsd_transfer_close(&connection->transfer);
            break;
        }
        store_u16(out, (uint16_t)length);
        int error = send_output(connection, (size_t)length + PREFIX_BYTES);
        if (error < 0)
            return error;
        touch(connection);
    }
    return !connection->transfer;
}

static int go_on(struct connection *connection)
{
    int result = send_waiting(connection);
    if (result < 0 || !connection->transfer || connection->waiting.bytes)
        return result;
    result = send_transfer(connection);
    if (result <= 0)
        return result;
    do /* what came behind the request */
        result = answer_input(connection);
    while (result > 0);
    return result;
}

/* What the stream holds back after a read is read at once: no event will tell of it. */
static int exchange(struct connection *connection)
{
    struct dnsd_stream *stream = &connection->stream;
    int result = go_on(connection);
    while (result >= 0 && !connection->waiting.bytes && !connection->transfer) {
        stream->events = EPOLLIN;
        int got = result = read_input(connection);
        do {
            if (result < 0 || connection->waiting.bytes)
                break;
            result = answer_input(connection);
        } while (result > 0);
        if (connection->transfer && result >= 0)
            result = go_on(connection);
        if (got <= 0 || !stream->functions->has_more(stream))
            break;
    }
    return result;
}

static int serve(struct connection *connection)
{
    int result = exchange(connection);
    dnsd_tally_signer(&connection->tcp->tally, &connection->tcp->signer.signer);
    dnsd_tally_flush(&connection->tcp->tally);
    if (result < 0)
        return result;
    if (connection->is_ended && !connection->waiting.bytes && !connection->transfer)
        return ERROR_CLOSED; /* what is left of the input can never become whole */
    bool is_sending = connection->transfer && !connection->waiting.bytes;
    return loop_watch_set(connection->tcp->loop, &connection->watch,
                          is_sending ? EPOLLOUT : connection->stream.events);
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    struct connection *connection = CONTAINER_OF(watch, struct connection, watch);
    if (serve(connection) < 0)
        close_connection(connection);
}

/* ---- idleness */

static bool is_due(const struct connection *connection)
{
    const struct dnsd_tcp *tcp = connection->tcp;
    return connection->active_ns + tcp->dnsd->tcp_idle_timeout_ns <= loop_now_ns(tcp->loop);
}

/* What came in while this thread was kept from running still counts. */
static void on_idle(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    struct dnsd_tcp *tcp = CONTAINER_OF(timer, struct dnsd_tcp, idle);
    struct connection *connection;
    while ((connection = oldest(tcp)) && is_due(connection))
        if (serve(connection) < 0 || is_due(connection))
            close_connection(connection);
    start_idle_timer(tcp);
}

/* ---- new ones */

static int start_stream(struct dnsd_tcp *tcp, struct dnsd_stream *stream, int fd, bool is_tls)
{
    if (!is_tls) {
        dnsd_stream_init(stream, fd);
        return 0;
    }
    struct dnsd_tls *tls = dnsd_view(tcp->dnsd)->data->settings.tls;
    int error = tls ? dnsd_tls_stream_init(stream, tls, fd) : ERROR_NOT_FOUND;
    if (error == 0)
        dnsd_count_tls_connection();
    return error;
}

static void take_connection(const struct listener *listener, int fd, const struct address *client)
{
    struct dnsd_tcp *tcp = listener->tcp;
    struct dnsd_stream stream;
    uint32_t share = (tcp->dnsd->tcp_connections_limit + tcp->workers - 1) / tcp->workers;
    if (tcp->connection_count >= share) {
        dnsd_count_refused_connection();
        struct connection *first = oldest(tcp);
        if (!first) {
            close(fd);
            return;
        }
        close_connection(first);
    }
    if (start_stream(tcp, &stream, fd, listener->is_tls) < 0) {
        close(fd);
        return;
    }
    struct connection *connection = memory_raw(sizeof *connection);
    memset(connection, 0, offsetof(struct connection, input));
    connection->tcp = tcp;
    connection->stream = stream;
    connection->client = address_unmap(client);
    connection->watch = (struct loop_watch){.fd = fd, .ready = on_ready};
    list_init(&connection->link);
    touch(connection);
    dnsd_count_connections(++tcp->connection_count);
    socket_set_nodelay(fd);
    if (loop_watch_set(tcp->loop, &connection->watch, EPOLLIN) < 0)
        close_connection(connection);
    if (!loop_timer_is_running(&tcp->idle))
        start_idle_timer(tcp);
}

static void on_accept(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    const struct listener *listener = CONTAINER_OF(watch, struct listener, watch);
    for (int i = 0; i < ACCEPTS; i++) {
        struct address client;
        int fd, error = socket_accept(watch->fd, &client, &fd);
        if (error == 0) {
            take_connection(listener, fd, &client);
            continue;
        }
        struct connection *first = oldest(listener->tcp);
        if (error == ERROR_LIMIT && first)
            close_connection(first); /* out of descriptors: make room, or the listener spins */
        return;
    }
}

/* Listeners are dealt out over the workers. */
int dnsd_tcp_start(struct dnsd_tcp **started, struct dnsd *dnsd, struct loop *loop, uint32_t worker,
                   uint32_t workers)
{
    struct dnsd_tcp *tcp = NEW(struct dnsd_tcp);
    tcp->dnsd = dnsd;
    tcp->loop = loop;
    tcp->workers = workers;
    tcp->tally.is_tcp = true;
    dnsd_signer_init(&tcp->signer);
    tcp->idle.fire = on_idle;
    list_init(&tcp->connections);
    tcp->listeners = memory_new((dnsd->listener_count + 1) * sizeof *tcp->listeners);
    int error = 0;
    for (size_t i = 0; i < dnsd->listener_count && error == 0; i++) {
        if (dnsd->listeners[i].turn % workers != worker)
            continue;
        struct listener *listener = &tcp->listeners[tcp->listener_count++];
        listener->tcp = tcp;
        listener->is_tls = dnsd->listeners[i].is_tls;
        listener->watch = (struct loop_watch){.fd = dnsd->listeners[i].fd, .ready = on_accept};
        error = loop_watch_set(loop, &listener->watch, EPOLLIN);
    }
    *started = tcp;
    if (error < 0)
        dnsd_tcp_stop(started);
    return error;
}

void dnsd_tcp_leave(struct dnsd_tcp *tcp)
{
    for (size_t i = 0; i < tcp->listener_count; i++)
        loop_watch_remove(tcp->loop, &tcp->listeners[i].watch);
    tcp->listener_count = 0;
}

void dnsd_tcp_stop(struct dnsd_tcp **owned)
{
    struct dnsd_tcp *tcp = *owned;
    *owned = NULL;
    if (!tcp)
        return;
    loop_timer_stop(tcp->loop, &tcp->idle);
    dnsd_tcp_leave(tcp);
    struct connection *connection;
    while ((connection = oldest(tcp)))
        close_connection(connection);
    dnsd_signer_clear(&tcp->signer);
    memory_free(tcp->listeners);
    memory_free(tcp);
}
