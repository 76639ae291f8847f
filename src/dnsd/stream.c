/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes over TCP as they are.
 */
#include "dnsd/stream.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static int result_of(struct dnsd_stream *stream, uint32_t events)
{
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return ERROR_CLOSED;
    stream->events = events;
    return ERROR_AGAIN;
}

static int receive(struct dnsd_stream *stream, uint8_t *out, size_t room)
{
    ssize_t got;
    do
        got = recv(stream->fd, out, room, 0);
    while (got < 0 && errno == EINTR);
    return got >= 0 ? (int)got : result_of(stream, EPOLLIN);
}

static int send_bytes(struct dnsd_stream *stream, struct span bytes)
{
    ssize_t sent;
    do
        sent = send(stream->fd, bytes.data, bytes.length, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0 ? (int)sent : result_of(stream, EPOLLOUT);
}

static bool has_more(const struct dnsd_stream *stream)
{
    (void)stream;
    return false;
}

static void clear(struct dnsd_stream *stream)
{
    (void)stream;
}

static const struct dnsd_stream_functions plain = {receive, send_bytes, has_more, clear};

void dnsd_stream_init(struct dnsd_stream *stream, int fd)
{
    *stream = (struct dnsd_stream){.functions = &plain, .fd = fd, .events = EPOLLIN};
}
