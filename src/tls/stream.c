/* SPDX-License-Identifier: Apache-2.0
 *
 * Between OpenSSL and the socket. OpenSSL's own way asks the socket once more behind every message, only to hear that it is empty, and
 * sends each record by itself; this one knows better in both: it remembers a short read, and lets records gather that follow each other.
 * Copying them costs less than asking the kernel for each.
 */
#include "tls/stream.h"

#include <errno.h>
#include <sys/socket.h>

enum { VECTORS = 16 }; /* pieces that leave at once: those of a batch of records, and more */

static int on_read(BIO *bio, char *data, int room)
{
    struct tls_stream *stream = BIO_get_data(bio);
    ssize_t got = -1;
    BIO_clear_retry_flags(bio);
    errno = stream->is_flooded ? EPROTO : EAGAIN;
    if (!stream->is_empty && !stream->is_flooded)
        do
            got = recv(stream->fd, data, (size_t)room, MSG_DONTWAIT);
        while (got < 0 && errno == EINTR);
    stream->is_empty = got < room && stream->is_open;
    stream->has_ended = got == 0;
    if (got < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    return (int)got;
}

static ssize_t send_all(int fd, const struct slice_queue *held, struct span behind)
{
    struct iovec parts[VECTORS + 1];
    struct msghdr message = {.msg_iov = parts};
    message.msg_iovlen = (size_t)slice_queue_vectors(held, parts, VECTORS);
    if (behind.length)
        parts[message.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)behind.data, behind.length};
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

static ssize_t send_one(int fd, struct span data)
{
    ssize_t sent;
    do
        sent = send(fd, data.data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

int tls_stream_flush(struct tls_stream *stream)
{
    while (stream->held.count) {
        ssize_t sent = send_all(stream->fd, &stream->held, (struct span){0});
        if (sent < 0)
            return errno == EAGAIN                         ? ERROR_AGAIN
                   : errno == ECONNRESET || errno == EPIPE ? ERROR_RESET
                                                           : ERROR_IO;
        slice_queue_consume(&stream->held, (uint64_t)sent);
    }
    return 0;
}

/* What is held, and `data` behind it: how much went out of that; -1 and errno as send() has it. */
static ssize_t send_behind(struct tls_stream *stream, struct span data)
{
    if (stream->held.count > VECTORS && tls_stream_flush(stream))
        return -1;
    if (!stream->held.count)
        return send_one(stream->fd, data);
    ssize_t sent = send_all(stream->fd, &stream->held, data);
    if (sent < 0)
        return sent;
    uint64_t first = stream->held.bytes < (uint64_t)sent ? stream->held.bytes : (uint64_t)sent;
    slice_queue_consume(&stream->held, first);
    if ((uint64_t)sent > first)
        return sent - (ssize_t)first;
    errno = EAGAIN;
    return -1;
}

static int on_write(BIO *bio, const char *data, int length)
{
    struct tls_stream *stream = BIO_get_data(bio);
    struct span record = span_of(data, (size_t)length);
    ssize_t sent = 0;
    BIO_clear_retry_flags(bio);
    if (!stream->holds || !stream->has_more) {
        sent = send_behind(stream, record);
        if (sent < 0 && errno != EAGAIN)
            return -1;
    }
    if (stream->holds) {
        slice_queue_append(&stream->held, span_from(record, sent > 0 ? (size_t)sent : 0));
        return length;
    }
    if (sent < 0)
        BIO_set_retry_write(bio);
    return (int)sent;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_stream *stream = BIO_get_data(bio);
    (void)number, (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1; /* nothing is held here */
    case BIO_CTRL_EOF:
        return stream->has_ended;
    default:
        return 0; /* the rest is for other kinds, and for TLS in the kernel */
    }
}

BIO_METHOD *tls_stream_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream socket");
    if (!method || !BIO_meth_set_read(method, on_read) || !BIO_meth_set_write(method, on_write) ||
        !BIO_meth_set_ctrl(method, on_control)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

BIO *tls_stream_open(const BIO_METHOD *method, struct tls_stream *stream)
{
    BIO *bio = BIO_new(method);
    if (!bio)
        return NULL;
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    return bio;
}
