/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes between a stream socket and a slice queue.
 */
#include "loop/loop.h"

#include <errno.h>
#include <sys/socket.h>

enum {
    READ_CHUNKS = 4,       /* at most, for each recvmsg() */
    TRANSFER_VECTORS = 64, /* slices for each sendmsg() */
    GATHERED_MOST = 4096,  /* bytes that are copied into one piece */
};

/* One call into `count` fresh chunks; what recvmsg() says. */
static ssize_t read_chunks(int fd, struct slice_queue *bytes, uint32_t wanted, int count)
{
    struct chunk *chunks[READ_CHUNKS];
    struct iovec vectors[READ_CHUNKS];
    for (int i = 0; i < count; i++) {
        chunks[i] = chunk_new();
        uint32_t part = wanted < chunks[i]->capacity ? wanted : chunks[i]->capacity;
        vectors[i] = (struct iovec){chunks[i]->data, part};
        wanted -= part;
    }
    struct msghdr header = {.msg_iov = vectors, .msg_iovlen = (size_t)count};
    ssize_t got;
    do
        got = count == 1 ? recv(fd, vectors[0].iov_base, vectors[0].iov_len, 0)
                         : recvmsg(fd, &header, 0);
    while (got < 0 && errno == EINTR);
    int error = errno;
    size_t left = got > 0 ? (size_t)got : 0;
    for (int i = 0; i < count; i++) {
        uint32_t part = (uint32_t)(left < vectors[i].iov_len ? left : vectors[i].iov_len);
        left -= part;
        chunks[i]->filled = part;
        slice_queue_push_read(bytes, chunks[i]);
    }
    errno = error;
    return got;
}

/* Most reads bring little: the first call has one chunk, and only a full one is followed by a call
 * with several. */
int socket_read(int fd, struct slice_queue *bytes, uint32_t limit, bool *ended)
{
    uint32_t total = 0;
    int most = 1;
    *ended = false;
    while (total < limit) {
        uint32_t left = limit - total;
        int count = left < (uint32_t)most * CHUNK_BYTES
                        ? (int)((left + CHUNK_BYTES - 1) / CHUNK_BYTES)
                        : most;
        uint32_t room = (uint32_t)count * CHUNK_BYTES, wanted = left < room ? left : room;
        ssize_t got = read_chunks(fd, bytes, wanted, count);
        if (got <= 0) {
            *ended = got == 0;
            if (got < 0 && errno != EAGAIN && !total)
                return errno == ECONNRESET ? ERROR_RESET : ERROR_IO;
            break;
        }
        total += (uint32_t)got;
        if ((uint32_t)got < wanted)
            break; /* the socket is empty: a further call would only say so */
        most = READ_CHUNKS;
    }
    return (int)total;
}

/* A head and a small body are cheaper to copy into one piece than to hand over as a list. */
static ssize_t send_front(int fd, const struct slice_queue *bytes)
{
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    struct span front = slice_queue_front(bytes);
    if (front.length == bytes->bytes)
        return send(fd, front.data, front.length, flags);
    if (bytes->bytes <= GATHERED_MOST) {
        uint8_t gathered[GATHERED_MOST];
        return send(fd, gathered, slice_queue_peek(bytes, 0, gathered, GATHERED_MOST), flags);
    }
    struct iovec vectors[TRANSFER_VECTORS];
    struct msghdr header = {.msg_iov = vectors};
    header.msg_iovlen = (size_t)slice_queue_vectors(bytes, vectors, TRANSFER_VECTORS);
    return sendmsg(fd, &header, flags);
}

int socket_write(int fd, struct slice_queue *bytes)
{
    uint64_t total = 0;
    while (bytes->bytes) {
        ssize_t sent = send_front(fd, bytes);
        if (sent < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN)
                break;
            return errno == ECONNRESET || errno == EPIPE ? ERROR_RESET : ERROR_IO;
        }
        slice_queue_consume(bytes, (uint64_t)sent);
        total += (uint64_t)sent;
    }
    return (int)(total < INT32_MAX ? total : INT32_MAX);
}
