/* SPDX-License-Identifier: Apache-2.0
 *
 * Between OpenSSL and the socket. OpenSSL's own way asks the socket once more behind every message, only to hear that it is empty, and
 * has the kernel send each record by itself; this one knows better in both: it remembers a short read, and says when more follows.
 */
#include "tls/stream.h"

#include <errno.h>
#include <sys/socket.h>

static int on_read(BIO *bio, char *data, int room)
{
    struct tls_stream *stream = BIO_get_data(bio);
    ssize_t got = -1;
    BIO_clear_retry_flags(bio);
    errno = EAGAIN;
    if (!stream->is_empty)
        do
            got = recv(stream->fd, data, (size_t)room, MSG_DONTWAIT);
        while (got < 0 && errno == EINTR);
    stream->is_empty = got < room && stream->is_open;
    stream->has_ended = got == 0;
    if (got < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    return (int)got;
}

/* Without MSG_MORE what was kept back goes out too; a socket that is full sends it without being told. */
static int on_write(BIO *bio, const char *data, int length)
{
    const struct tls_stream *stream = BIO_get_data(bio);
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (stream->has_more ? MSG_MORE : 0);
    ssize_t sent;
    BIO_clear_retry_flags(bio);
    do
        sent = send(stream->fd, data, (size_t)length, flags);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN)
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
