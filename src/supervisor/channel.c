/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages over SOCK_SEQPACKET, descriptors by SCM_RIGHTS.
 */
#include "supervisor/channel.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MESSAGES_EACH_TURN = 64 };

struct waiting {
    struct list link;
    char *bytes;
    size_t length, fd_count;
    int fds[CHANNEL_DESCRIPTORS];
};

int channel_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) ? ERROR_IO
                                                                                      : 0;
}

const char *channel_message_type(const json_t *message)
{
    const char *type = json_string_value(json_object_get(message, "type"));
    return type ? type : "";
}

/* ---- sending */

/* 0, ERROR_AGAIN, or ERROR_CLOSED. */
static int send_bytes(int socket, const char *bytes, size_t length, const int *fds, size_t fd_count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_DESCRIPTORS)];
        struct cmsghdr align;
    } control = {0};
    struct iovec vector = {.iov_base = (char *)bytes, .iov_len = length};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    if (fd_count) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS ? ERROR_AGAIN
                                                                        : ERROR_CLOSED;
}

static void free_waiting(struct waiting *waiting)
{
    for (size_t i = 0; i < waiting->fd_count; i++)
        close(waiting->fds[i]);
    memory_free(waiting->bytes);
    memory_free(waiting);
}

static bool enqueue(struct channel *channel, const char *bytes, size_t length, const int *fds,
                    size_t fd_count)
{
    if (channel->queued == CHANNEL_QUEUE_LIMIT)
        return false;
    struct waiting *waiting = NEW(struct waiting);
    waiting->bytes = memory_text(bytes, length);
    waiting->length = length;
    for (size_t i = 0; i < fd_count; i++) {
        int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 4);
        if (fd < 0) {
            free_waiting(waiting);
            return false;
        }
        waiting->fds[waiting->fd_count++] = fd;
    }
    list_push_back(&channel->queue, &waiting->link);
    channel->queued++;
    return loop_watch_set(channel->loop, &channel->watch, EPOLLIN | EPOLLOUT) == 0;
}

bool channel_send(struct channel *channel, json_t *message, const int *fds, size_t fd_count)
{
    INVARIANT(fd_count <= CHANNEL_DESCRIPTORS);
    bool is_sent = false;
    char *bytes = json_dumps(message, JSON_COMPACT);
    json_decref(message);
    size_t length = bytes ? strlen(bytes) : 0;
    if (channel->loop && length && length <= CHANNEL_MESSAGE_BYTES) {
        int result = ERROR_AGAIN;
        if (!channel->queued)
            result = send_bytes(channel->watch.fd, bytes, length, fds, fd_count);
        if (result == ERROR_AGAIN)
            is_sent = enqueue(channel, bytes, length, fds, fd_count);
        else
            is_sent = result == 0;
    }
    free(bytes);
    return is_sent;
}

static void send_queue(struct channel *channel)
{
    while (!list_is_empty(&channel->queue)) {
        struct waiting *waiting = CONTAINER_OF(channel->queue.next, struct waiting, link);
        int result = send_bytes(channel->watch.fd, waiting->bytes, waiting->length, waiting->fds,
                                waiting->fd_count);
        if (result == ERROR_AGAIN)
            return;
        list_remove(&waiting->link);
        channel->queued--;
        free_waiting(waiting);
    }
    int result = loop_watch_set(channel->loop, &channel->watch, EPOLLIN);
    INVARIANT(result == 0);
}

/* ---- receiving */

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static size_t take_descriptors(struct msghdr *header, int *fds)
{
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds + count, CMSG_DATA(part), here * sizeof(int));
        count += here;
    }
    return count;
}

/* False: nothing more now, or the channel has ended. */
static bool receive_one(struct channel *channel)
{
    static _Thread_local char bytes[CHANNEL_MESSAGE_BYTES];
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_DESCRIPTORS)];
        struct cmsghdr align;
    } control;
    struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr header = {.msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    ssize_t length = recvmsg(channel->watch.fd, &header, MSG_CMSG_CLOEXEC);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (length <= 0) {
        channel->on_closed(channel);
        return false;
    }
    int fds[CHANNEL_DESCRIPTORS];
    size_t count = take_descriptors(&header, fds);
    json_t *message = NULL;
    if (!(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        message = json_loadb(bytes, (size_t)length, 0, NULL);
    if (json_is_object(message))
        channel->on_message(channel, message, fds, count);
    close_all(fds, count);
    json_decref(message);
    return channel->loop != NULL;
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    struct channel *channel = CONTAINER_OF(watch, struct channel, watch);
    if (events & EPOLLOUT)
        send_queue(channel);
    for (int i = 0; i < MESSAGES_EACH_TURN && receive_one(channel); i++)
        ;
}

void channel_start(struct channel *channel, struct loop *loop, int fd)
{
    channel->loop = loop;
    channel->watch = (struct loop_watch){.fd = fd, .ready = on_ready};
    channel->queued = 0;
    list_init(&channel->queue);
    int result = loop_watch_set(loop, &channel->watch, EPOLLIN);
    INVARIANT(result == 0);
}

void channel_stop(struct channel *channel)
{
    if (!channel->loop)
        return;
    loop_watch_remove(channel->loop, &channel->watch);
    close(channel->watch.fd);
    LIST_EACH (link, after, &channel->queue)
        free_waiting(CONTAINER_OF(link, struct waiting, link));
    list_init(&channel->queue);
    channel->queued = 0;
    channel->loop = NULL;
}

/* ---- bulk */

int bulk_new(struct span content, const char *name, int *out)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return ERROR_LIMIT;
    for (size_t done = 0; done < content.length;) {
        ssize_t written = write(fd, content.data + done, content.length - done);
        if (written < 0 && errno != EINTR) {
            close(fd);
            return ERROR_LIMIT;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    *out = fd;
    return 0;
}

/* By pread: a memory map of it could be truncated under our feet. Anything but a regular file could
 * block. */
int bulk_read(int fd, struct text *content)
{
    struct stat status;
    if (fstat(fd, &status) || !S_ISREG(status.st_mode))
        return ERROR_INVALID;
    if (status.st_size > CHANNEL_BULK_BYTES)
        return ERROR_LIMIT;
    char buffer[16384];
    for (off_t at = 0; at < status.st_size;) {
        ssize_t got = pread(fd, buffer, sizeof buffer, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return ERROR_INVALID;
        text_add_span(content, span_of(buffer, (size_t)got));
        at += got;
    }
    explicit_bzero(buffer, sizeof buffer);
    return 0;
}
