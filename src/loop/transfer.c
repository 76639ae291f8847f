/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes between a stream socket and a slice queue.
 */
#include "loop/loop.h"

#include <errno.h>
#include <sys/socket.h>

enum { TRANSFER_VECTORS = 64 }; /* slices for each sendmsg() */

int socket_read(int fd, struct slice_queue *bytes, uint32_t limit, bool *ended)
{
    uint32_t total = 0;
    *ended = false;
    while (total < limit) {
        struct chunk *chunk = chunk_new();
        uint32_t wanted = limit - total < chunk->capacity ? limit - total : chunk->capacity;
        ssize_t got = recv(fd, chunk->data, wanted, 0);
        if (got <= 0) {
            int error = got < 0 ? errno : 0;
            chunk_release(chunk);
            if (error == EINTR)
                continue;
            *ended = got == 0;
            if (error && error != EAGAIN && !total)
                return error == ECONNRESET ? ERROR_RESET : ERROR_IO;
            break;
        }
        chunk->filled = (uint32_t)got;
        slice_queue_push(bytes, (struct slice){chunk, 0, (uint32_t)got});
        total += (uint32_t)got;
        if ((uint32_t)got < wanted)
            break; /* the socket is empty: a further call would only say so */
    }
    return (int)total;
}

int socket_write(int fd, struct slice_queue *bytes)
{
    uint64_t total = 0;
    while (bytes->bytes) {
        struct iovec vectors[TRANSFER_VECTORS];
        struct msghdr header = {.msg_iov = vectors};
        header.msg_iovlen = (size_t)slice_queue_vectors(bytes, vectors, TRANSFER_VECTORS);
        ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
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
