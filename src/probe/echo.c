/* SPDX-License-Identifier: Apache-2.0
 *
 * ICMP echo sockets. The kernel's stamp of arrival counts, so that a busy loop does not lengthen round trips.
 */
#include "probe/echo.h"

#include "base/bytes.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ICMP_HEADER_BYTES = 8,
    IPV4_HEADER_BYTES = 20,
    ANSWERS_IN_A_TURN = 256,
    DATAGRAM_BYTES = 256,
};

static uint8_t answer_type(uint8_t family)
{
    return family == 6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY;
}

/* ---- what is said */

/* RFC 1071. The kernel does it for ICMPv6 and for datagram sockets. */
static uint16_t checksum(const uint8_t *bytes, size_t length)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < length; i += 2)
        sum += load_u16(bytes + i);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

static void write_request(const struct echo_socket *echo, uint64_t token, uint16_t sequence,
                          uint8_t out[ECHO_BYTES])
{
    uint8_t *at = store_u16(out, echo->family == 6 ? ICMP6_ECHO_REQUEST << 8 : ICMP_ECHO << 8);
    at = store_u16(store_u16(store_u16(at, 0), echo->id), sequence);
    store_u64(store_u64(at, token), 0);
    store_u16(out + 2, checksum(out, ECHO_BYTES));
}

int echo_send(const struct echo_socket *echo, const struct address *to, uint64_t token,
              uint16_t sequence)
{
    uint8_t request[ECHO_BYTES];
    struct sockaddr_storage storage;
    struct address bare = *to;
    unsigned length;
    if (!echo->is_open)
        return ERROR_UNSUPPORTED;
    bare.port = 0;
    write_request(echo, token, sequence, request);
    address_to_sockaddr(&bare, &storage, &length);
    return sendto(echo->watch.fd, request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL,
                  (struct sockaddr *)&storage, length) < 0
               ? ERROR_IO
               : 0;
}

int echo_read(struct span datagram, uint8_t family, bool is_raw, uint16_t id,
              struct echo_answer *answer)
{
    if (is_raw && family == 4) {
        size_t header = datagram.length ? (size_t)(datagram.data[0] & 15) * 4 : 0;
        if (header < IPV4_HEADER_BYTES || header > datagram.length)
            return ERROR_INVALID;
        datagram = span_from(datagram, header);
    }
    if (datagram.length < ECHO_BYTES || datagram.data[0] != answer_type(family) ||
        datagram.data[1] != 0 || (is_raw && load_u16(datagram.data + 4) != id))
        return ERROR_INVALID;
    answer->sequence = load_u16(datagram.data + 6);
    answer->token = load_u64(datagram.data + ICMP_HEADER_BYTES);
    return 0;
}

/* ---- the socket */

static uint64_t stamp_of(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct timespec stamp;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS)
            continue;
        memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
        return (uint64_t)stamp.tv_sec * 1000000000 + (uint64_t)stamp.tv_nsec;
    }
    return 0;
}

static bool receive_one(struct echo_socket *echo)
{
    uint8_t bytes[DATAGRAM_BYTES];
    _Alignas(struct cmsghdr) uint8_t control[128];
    struct sockaddr_storage from;
    struct iovec vector = {bytes, sizeof bytes};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof from,
                             .msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(echo->watch.fd, &message, MSG_DONTWAIT);
    if (got < 0)
        return errno == EINTR;
    struct echo_answer answer = {.from = address_from_sockaddr(&from)};
    if (echo_read(span_of(bytes, (size_t)got), echo->family, echo->is_raw, echo->id, &answer) < 0)
        return true;
    answer.from.port = 0;
    answer.arrived_wall_ns = stamp_of(&message);
    echo->on_answer(echo->owner, &answer);
    return true;
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    struct echo_socket *echo = CONTAINER_OF(watch, struct echo_socket, watch);
    for (int i = 0; i < ANSWERS_IN_A_TURN && receive_one(echo); i++)
        continue;
}

/* A raw socket sees all ICMP of this machine: only echo replies are let through. */
static void filter(const struct echo_socket *echo)
{
    if (!echo->is_raw)
        return;
    if (echo->family == 4) {
        struct icmp_filter replies = {.data = ~(1u << ICMP_ECHOREPLY)};
        setsockopt(echo->watch.fd, SOL_RAW, ICMP_FILTER, &replies, sizeof replies);
        return;
    }
    struct icmp6_filter replies;
    ICMP6_FILTER_SETBLOCKALL(&replies);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &replies);
    setsockopt(echo->watch.fd, IPPROTO_ICMPV6, ICMP6_FILTER, &replies, sizeof replies);
}

void echo_open(struct echo_socket *echo, struct loop *loop, uint8_t family, int fd, uint16_t id)
{
    echo->loop = loop;
    echo->family = family;
    echo->id = id;
    echo->is_own = fd < 0;
    if (fd < 0)
        fd = socket(family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    family == 6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP);
    if (fd < 0)
        return;
    int type = SOCK_DGRAM, on = 1;
    socklen_t length = sizeof type;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    echo->is_raw = type == SOCK_RAW;
    echo->watch = (struct loop_watch){.fd = fd, .ready = on_ready};
    filter(echo);
    echo->is_open = loop_watch_set(loop, &echo->watch, EPOLLIN) == 0;
    if (!echo->is_open && echo->is_own)
        close(fd);
}

void echo_close(struct echo_socket *echo)
{
    if (!echo->is_open)
        return;
    loop_watch_remove(echo->loop, &echo->watch);
    if (echo->is_own)
        close(echo->watch.fd);
    echo->is_open = false;
}
