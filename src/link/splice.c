/* SPDX-License-Identifier: Apache-2.0
 *
 * A TCP socket joined with a stream (T10, T12). Back-pressure passes through: the socket is not read while the stream has no
 * room, the stream gets no credit for bytes that the socket has not taken.
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "link/link.h"

#include <sys/socket.h>

enum {
    HELD_MOST = 65536, /* for the socket */
    READ_MOST = 65536, /* of the socket in one turn */
    SERVICE_VERSION = 1,
};

struct link_splice {
    struct link_splice_options options;
    struct loop *loop;
    struct loop_watch watch;
    struct loop_timer timer;
    uint64_t
        deadline_ns; /* the timer fires no later; progress moves it without touching the timer */
    struct slice_queue to_socket;
    uint64_t owed; /* read from the stream, credit not yet given */
    uint64_t bytes_to_socket, bytes_from_socket;
    bool is_connecting;
    bool socket_ended, stream_ended; /* no more comes from there */
    bool socket_shut;                /* the stream's end was passed on to the socket */
};

void link_service_write(struct slice_queue *out, struct span site)
{
    uint8_t record[2] = {SERVICE_VERSION, (uint8_t)site.length};
    INVARIANT(site.length <= 255);
    slice_queue_append(out, span_of(record, sizeof record));
    slice_queue_append(out, site);
}

int link_service_read(struct slice_queue *in, uint8_t buffer[LINK_SERVICE_BYTES], struct span *site)
{
    size_t got = slice_queue_peek(in, 0, buffer, LINK_SERVICE_BYTES);
    if (got && buffer[0] != SERVICE_VERSION)
        return ERROR_INVALID;
    if (got < 2 || got < (size_t)2 + buffer[1])
        return ERROR_INCOMPLETE;
    *site = span_of(buffer + 2, buffer[1]);
    slice_queue_consume(in, 2 + site->length);
    return site->length ? 0 : ERROR_INVALID;
}

static void end(struct link_splice *splice, uint32_t code)
{
    struct link_splice_options options = splice->options;
    loop_timer_stop(splice->loop, &splice->timer);
    if (code != TRANSPORT_CODE_NONE) {
        if (splice->options.stream)
            link_stream_reset(splice->options.stream, code);
        socket_set_reset_on_close(options.fd);
    }
    loop_watch_close(splice->loop, &splice->watch);
    link_stream_release(&splice->options.stream);
    slice_queue_clear(&splice->to_socket);
    options.done(options.owner, splice, code, splice->bytes_to_socket, splice->bytes_from_socket);
    memory_free(splice);
}

static void progress(struct link_splice *splice)
{
    if (splice->options.idle_timeout_ns)
        splice->deadline_ns = loop_now_ns(splice->loop) + splice->options.idle_timeout_ns;
}

static void start_timer(struct link_splice *splice, uint64_t timeout_ns)
{
    if (!timeout_ns) {
        loop_timer_stop(splice->loop, &splice->timer);
        return;
    }
    splice->deadline_ns = loop_now_ns(splice->loop) + timeout_ns;
    loop_timer_start(splice->loop, &splice->timer, splice->deadline_ns);
}

/* Stream to socket. */
static int push(struct link_splice *splice)
{
    for (;;) {
        if (splice->to_socket.bytes < HELD_MOST && !splice->stream_ended) {
            uint64_t before = splice->to_socket.bytes;
            link_stream_read(splice->options.stream, &splice->to_socket, HELD_MOST - before,
                             &splice->stream_ended);
            splice->owed += splice->to_socket.bytes - before;
        }
        if (!splice->to_socket.bytes)
            break;
        int sent = socket_write(splice->options.fd, &splice->to_socket);
        if (sent < 0)
            return sent;
        if (sent > 0) {
            splice->bytes_to_socket += (uint64_t)sent;
            progress(splice);
        }
        if (splice->owed > splice->to_socket.bytes) {
            link_stream_consume(splice->options.stream, splice->owed - splice->to_socket.bytes);
            splice->owed = splice->to_socket.bytes;
        }
        if (splice->to_socket.bytes)
            break;
    }
    if (splice->stream_ended && !splice->to_socket.bytes && !splice->socket_shut) {
        splice->socket_shut = true;
        shutdown(splice->options.fd, SHUT_WR);
    }
    return 0;
}

/* Socket to stream. */
static int pull(struct link_splice *splice)
{
    while (!splice->socket_ended) {
        uint64_t room = link_stream_room(splice->options.stream);
        struct slice_queue bytes = {0};
        if (!room)
            break;
        int got = socket_read(splice->options.fd, &bytes,
                              room < READ_MOST ? (uint32_t)room : READ_MOST, &splice->socket_ended);
        if (got < 0)
            return got;
        if (got > 0) {
            splice->bytes_from_socket += (uint64_t)got;
            link_stream_write(splice->options.stream, &bytes);
            progress(splice);
        }
        slice_queue_clear(&bytes);
        if (splice->socket_ended)
            link_stream_finish(splice->options.stream);
        if (got < READ_MOST)
            break;
    }
    return 0;
}

static void settle(struct link_splice *splice)
{
    if (splice->socket_ended && splice->socket_shut) {
        end(splice, TRANSPORT_CODE_NONE);
        return;
    }
    uint32_t events = 0;
    if (!splice->socket_ended && link_stream_room(splice->options.stream))
        events |= EPOLLIN;
    if (splice->to_socket.bytes)
        events |= EPOLLOUT;
    if (!splice->is_connecting && loop_watch_set(splice->loop, &splice->watch, events) < 0)
        end(splice, TRANSPORT_CODE_INTERNAL);
}

static void on_socket(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct link_splice *splice = CONTAINER_OF(watch, struct link_splice, watch);
    (void)loop;
    if (splice->is_connecting) {
        if (socket_error(splice->options.fd)) {
            end(splice, TRANSPORT_CODE_UNREACHABLE);
            return;
        }
        splice->is_connecting = false;
        start_timer(splice, splice->options.idle_timeout_ns);
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR) && pull(splice) < 0) || push(splice) < 0) {
        end(splice, TRANSPORT_CODE_CANCELLED);
        return;
    }
    settle(splice);
}

static void on_readable(void *owner, struct link_stream *stream)
{
    struct link_splice *splice = owner;
    (void)stream;
    if (splice->is_connecting)
        return;
    if (push(splice) < 0)
        end(splice, TRANSPORT_CODE_CANCELLED);
    else
        settle(splice);
}

static void on_writable(void *owner, struct link_stream *stream)
{
    struct link_splice *splice = owner;
    (void)stream;
    settle(splice);
}

static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    end(owner, code ? code : TRANSPORT_CODE_CANCELLED);
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct link_splice *splice = CONTAINER_OF(timer, struct link_splice, timer);
    if (splice->deadline_ns > loop_now_ns(loop))
        loop_timer_start(loop, timer, splice->deadline_ns);
    else
        end(splice, splice->is_connecting ? TRANSPORT_CODE_UNREACHABLE : TRANSPORT_CODE_TIMEOUT);
}

static const struct link_stream_events stream_events = {.readable = on_readable,
                                                        .writable = on_writable,
                                                        .reset = on_reset};

struct link_splice *link_splice_start(struct loop *loop, const struct link_splice_options *options)
{
    struct link_splice *splice = NEW(struct link_splice);
    splice->options = *options;
    splice->loop = loop;
    splice->is_connecting = options->is_connecting;
    splice->watch.fd = options->fd;
    splice->watch.ready = on_socket;
    splice->timer.fire = on_timer;
    if (options->first) {
        splice->owed = options->first->bytes - options->own_bytes;
        slice_queue_move(&splice->to_socket, options->first);
    }
    start_timer(splice,
                options->is_connecting ? options->connect_timeout_ns : options->idle_timeout_ns);
    link_stream_attach(options->stream, &stream_events, splice);
    /* The first event moves whatever waits already: a socket that is ready says so at once. */
    if (loop_watch_set(loop, &splice->watch, EPOLLIN | EPOLLOUT) < 0)
        splice->deadline_ns = 0, loop_timer_start(loop, &splice->timer, 0);
    return splice;
}

void link_splice_abort(struct link_splice *splice, uint32_t code)
{
    end(splice, code ? code : TRANSPORT_CODE_CANCELLED);
}
