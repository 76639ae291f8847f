/* SPDX-License-Identifier: Apache-2.0
 *
 * Single datagrams with the address they came to: an answer has to leave from the address that was asked, also where the socket
 * is bound to none.
 */
#include "loop/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONTROL_BYTES = CMSG_SPACE(sizeof(struct in6_pktinfo)) };

int socket_connect_udp(const struct address *to, int *out)
{
    int fd =
        socket(to->family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? ERROR_LIMIT : ERROR_IO;
    struct sockaddr_storage storage;
    unsigned length;
    address_to_sockaddr(to, &storage, &length);
    if (connect(fd, (struct sockaddr *)&storage, length)) {
        int saved = errno;
        close(fd);
        errno = saved;
        return saved == EAGAIN || saved == EADDRNOTAVAIL ? ERROR_LIMIT : ERROR_UNREACHABLE;
    }
    *out = fd;
    return 0;
}

int socket_want_local(int fd)
{
    struct address local;
    int on = 1, result = socket_local(fd, &local);
    if (result < 0 || !address_is_any(&local))
        return result;
    if (local.family == 4 ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)
                          : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on))
        return ERROR_IO;
    return 0;
}

static void read_local(struct msghdr *header, struct address *local)
{
    *local = (struct address){0};
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    if (!control)
        return;
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(control), sizeof info);
        local->family = 4;
        memcpy(local->bytes, &info.ipi_addr, 4);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(control), sizeof info);
        local->family = 6;
        memcpy(local->bytes, &info.ipi6_addr, 16);
        /* The interface is left to the routing, unless the address means nothing without it. */
        if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
            local->scope = info.ipi6_ifindex;
    }
}

int socket_receive_from(int fd, uint8_t *data, uint32_t room, struct address *from,
                        struct address *local)
{
    struct sockaddr_storage storage;
    alignas(struct cmsghdr) uint8_t control[CONTROL_BYTES];
    struct iovec part = {data, room};
    struct msghdr header = {.msg_name = &storage,
                            .msg_namelen = sizeof storage,
                            .msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    ssize_t length = recvmsg(fd, &header, MSG_TRUNC);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR ? ERROR_AGAIN : ERROR_IO;
    *from = header.msg_namelen ? address_from_sockaddr(&storage) : (struct address){0};
    if (local)
        read_local(&header, local);
    return (int)length;
}

static size_t write_local(const struct address *local, struct cmsghdr *control)
{
    if (local->family == 4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local->bytes, 4);
        *control = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO};
        memcpy(CMSG_DATA(control), &info, sizeof info);
        return CMSG_SPACE(sizeof info);
    }
    struct in6_pktinfo info = {.ipi6_ifindex = local->scope};
    memcpy(&info.ipi6_addr, local->bytes, 16);
    *control = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO};
    memcpy(CMSG_DATA(control), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

int socket_send_from(int fd, struct span data, const struct address *to,
                     const struct address *local)
{
    struct sockaddr_storage storage;
    unsigned length;
    address_to_sockaddr(to, &storage, &length);
    alignas(struct cmsghdr) uint8_t control[CONTROL_BYTES] = {0};
    struct iovec part = {(void *)(uintptr_t)data.data, data.length};
    struct msghdr header = {
        .msg_name = &storage, .msg_namelen = length, .msg_iov = &part, .msg_iovlen = 1};
    if (local->family) {
        header.msg_control = control;
        header.msg_controllen = write_local(local, (struct cmsghdr *)(void *)control);
    }
    if (sendmsg(fd, &header, 0) < 0)
        return errno == EAGAIN || errno == ENOBUFS ? ERROR_AGAIN : ERROR_IO;
    return 0;
}
