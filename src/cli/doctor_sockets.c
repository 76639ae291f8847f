/* SPDX-License-Identifier: Apache-2.0
 *
 * Tries what the program does with sockets, on loopback: segmentation offload (one call, many
 * datagrams), receive offload (many datagrams, one call), several listeners of one port.
 */
#include "cli/doctor.h"
#include "loop/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SEGMENT_BYTES = 1200, SEGMENTS = 8, WAIT_MS = 1000 };

/* Two sockets on loopback, the first connected to the second. */
static bool open_pair(int family, int fds[2])
{
    struct address any = {.family = (uint8_t)family}, local;
    any.bytes[family == 4 ? 0 : 15] = family == 4 ? 127 : 1;
    if (family == 4)
        any.bytes[3] = 1;
    struct sockaddr_storage to;
    unsigned length;
    if (socket_bind_udp(&any, 0, &fds[0]))
        return false;
    if (socket_bind_udp(&any, 0, &fds[1])) {
        close(fds[0]);
        return false;
    }
    bool is_done = socket_local(fds[1], &local) == 0;
    address_to_sockaddr(&local, &to, &length);
    if (is_done && connect(fds[0], (struct sockaddr *)&to, length) == 0)
        return true;
    close(fds[0]);
    close(fds[1]);
    return false;
}

/* One call that the kernel cuts into datagrams. */
static bool send_segmented(int fd)
{
    static uint8_t bytes[SEGMENT_BYTES * SEGMENTS];
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr align;
    } control = {0};
    struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    uint16_t segment = SEGMENT_BYTES;
    part->cmsg_level = SOL_UDP;
    part->cmsg_type = UDP_SEGMENT;
    part->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(part), &segment, sizeof segment);
    return sendmsg(fd, &message, 0) == (ssize_t)sizeof bytes;
}

/* Receives it all; how many calls that took, or 0. */
static int receive_all(int fd)
{
    static uint8_t bytes[65536];
    size_t total = 0;
    for (int calls = 1; calls <= SEGMENTS; calls++) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        ssize_t got = poll(&poll_fd, 1, WAIT_MS) == 1 ? recv(fd, bytes, sizeof bytes, 0) : -1;
        if (got <= 0)
            return 0;
        total += (size_t)got;
        if (total == SEGMENT_BYTES * SEGMENTS)
            return calls;
    }
    return 0;
}

static void check_offloads(struct doctor *doctor, int family)
{
    char send_name[16], receive_name[16];
    int fds[2], on = 1;
    snprintf(send_name, sizeof send_name, "UDP GSO IPv%d", family);
    snprintf(receive_name, sizeof receive_name, "UDP GRO IPv%d", family);
    if (!open_pair(family, fds)) {
        doctor_add(doctor, family == 4 ? FINDING_FAIL : FINDING_WARN, send_name,
                   "no UDP over loopback", "this address family is off on this machine");
        return;
    }
    bool has_receive = setsockopt(fds[1], SOL_UDP, UDP_GRO, &on, sizeof on) == 0;
    bool has_send = send_segmented(fds[0]);
    int calls = has_send ? receive_all(fds[1]) : 0;
    doctor_add(
        doctor, calls ? FINDING_OK : FINDING_WARN, send_name,
        calls ? "one call sends many datagrams" : "refused",
        "the link works without it, at several times the CPU per byte; Linux has it since 4.18");
    doctor_add(doctor, has_receive && calls && calls < SEGMENTS ? FINDING_OK : FINDING_WARN,
               receive_name,
               has_receive && calls && calls < SEGMENTS ? "one call receives many datagrams"
               : calls == SEGMENTS                      ? "datagrams come one by one"
                                                        : "not tried",
               "the link works without it, with more CPU per byte; Linux has it since 5.0");
    close(fds[0]);
    close(fds[1]);
}

static void check_reuseport(struct doctor *doctor)
{
    struct address loopback = {.family = 4, .bytes = {127, 0, 0, 1}}, local;
    int first, second;
    bool is_good = false;
    if (socket_listen_tcp(&loopback, SOCKET_REUSEPORT, &first) == 0) {
        if (socket_local(first, &local) == 0 &&
            socket_listen_tcp(&local, SOCKET_REUSEPORT, &second) == 0) {
            is_good = true;
            close(second);
        }
        close(first);
    }
    doctor_add(doctor, is_good ? FINDING_OK : FINDING_FAIL, "SO_REUSEPORT",
               is_good ? "each worker can have its own accept queue" : strerror(errno),
               "set workers: 1");
}

void doctor_check_sockets(struct doctor *doctor)
{
    check_offloads(doctor, 4);
    check_offloads(doctor, 6);
    check_reuseport(doctor);
}
