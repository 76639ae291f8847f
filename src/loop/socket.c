/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets: opened non-blocking and close-on-exec, with the options that every listener or
 * connection here wants.
 */
#include "loop/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    ACCEPT_TRIES = 16, /* connections that died in the queue, skipped in one call */
};

static int from_errno(int code)
{
    switch (code) {
    case EAGAIN:
        return ERROR_AGAIN;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return ERROR_LIMIT;
    case EACCES:
    case EPERM:
        return ERROR_DENIED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
        return ERROR_UNREACHABLE;
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        return ERROR_UNSUPPORTED;
    case ETIMEDOUT:
        return ERROR_TIMEOUT;
    case ECONNRESET:
        return ERROR_RESET;
    case ENOTCONN:
        return ERROR_CLOSED;
    default:
        return ERROR_IO;
    }
}

void address_to_sockaddr(const struct address *address, void *sockaddr_storage, unsigned *length)
{
    if (address->family == 4) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
        memcpy(&v4.sin_addr, address->bytes, 4);
        memcpy(sockaddr_storage, &v4, sizeof v4);
        *length = sizeof v4;
        return;
    }
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(address->port),
                              .sin6_scope_id = address->scope};
    memcpy(&v6.sin6_addr, address->bytes, 16);
    memcpy(sockaddr_storage, &v6, sizeof v6);
    *length = sizeof v6;
}

struct address address_from_sockaddr(const void *sockaddr_storage)
{
    struct address address = {0};
    sa_family_t family = ((const struct sockaddr *)sockaddr_storage)->sa_family;
    if (family == AF_INET) {
        const struct sockaddr_in *v4 = sockaddr_storage;
        memcpy(address.bytes, &v4->sin_addr, 4);
        address.port = ntohs(v4->sin_port);
        address.family = 4;
    } else if (family == AF_INET6) {
        const struct sockaddr_in6 *v6 = sockaddr_storage;
        memcpy(address.bytes, &v6->sin6_addr, 16);
        address.port = ntohs(v6->sin6_port);
        address.family = 6;
        address.scope = v6->sin6_scope_id;
    }
    return address;
}

static void set_flag(int fd, int level, int option)
{
    int on = 1;
    setsockopt(fd, level, option, &on, sizeof on);
}

/* Opens and binds; what the options ask for must succeed. */
static int open_bound(const struct address *address, int type, unsigned options, int *out)
{
    bool is_v6 = address->family == 6;
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return from_errno(errno);
    int on = 1, failed = 0;
    if (is_v6)
        failed |= setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (type == SOCK_STREAM)
        failed |= setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (options & SOCKET_REUSEPORT)
        failed |= setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (options & SOCKET_TRANSPARENT)
        failed |= is_v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof on)
                        : setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on);
    struct sockaddr_storage storage;
    unsigned length;
    address_to_sockaddr(address, &storage, &length);
    if (!failed)
        failed = bind(fd, (struct sockaddr *)&storage, length);
    if (!failed && type == SOCK_STREAM)
        failed = listen(fd, BACKLOG);
    if (failed) {
        int saved = errno;
        close(fd);
        errno = saved;
        return from_errno(saved);
    }
    *out = fd;
    return 0;
}

int socket_listen_tcp(const struct address *address, unsigned options, int *fd)
{
    return open_bound(address, SOCK_STREAM, options, fd);
}

int socket_bind_udp(const struct address *address, unsigned options, int *fd)
{
    return open_bound(address, SOCK_DGRAM, options, fd);
}

int socket_connect_tcp(const struct address *to, int *out)
{
    int fd =
        socket(to->family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return from_errno(errno);
    socket_set_nodelay(fd);
    struct sockaddr_storage storage;
    unsigned length;
    address_to_sockaddr(to, &storage, &length);
    if (connect(fd, (struct sockaddr *)&storage, length) && errno != EINPROGRESS) {
        int saved = errno;
        close(fd);
        errno = saved;
        /* no free local port is a limit, a refusal at once (loopback) is an unreachable peer */
        return saved == EAGAIN || saved == EADDRNOTAVAIL ? ERROR_LIMIT
               : saved == ECONNREFUSED                   ? ERROR_UNREACHABLE
                                                         : from_errno(saved);
    }
    *out = fd;
    return 0;
}

int socket_connect_unix(const char *path, int *out)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof to.sun_path)
        return ERROR_LIMIT;
    memcpy(to.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return from_errno(errno);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) {
        int saved = errno;
        close(fd);
        errno = saved;
        return ERROR_UNREACHABLE; /* EAGAIN, too: its queue is full */
    }
    *out = fd;
    return 0;
}

/* Linux passes pending network errors of the new connection on through accept(2): such a connection
 * is skipped. */
static bool is_error_of_one_connection(int code)
{
    return code == ECONNABORTED || code == EINTR || code == EPROTO || code == ENETDOWN ||
           code == ENOPROTOOPT || code == EHOSTDOWN || code == ENONET || code == EHOSTUNREACH ||
           code == EOPNOTSUPP || code == ENETUNREACH || code == EPERM;
}

int socket_accept(int listener, struct address *peer, int *out)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    for (int i = 0; i < ACCEPT_TRIES; i++) {
        socklen_t length = sizeof storage;
        int fd =
            accept4(listener, (struct sockaddr *)&storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            *peer = address_from_sockaddr(&storage);
            *out = fd;
            return 0;
        }
        if (!is_error_of_one_connection(errno))
            return from_errno(errno);
    }
    return ERROR_AGAIN;
}

int socket_error(int fd)
{
    int code = 0;
    socklen_t length = sizeof code;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length))
        return errno;
    return code;
}

void socket_set_nodelay(int fd)
{
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
}

void socket_set_low_mark(int fd, size_t bytes)
{
    int mark = (int)bytes;
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
}

void socket_set_reset_on_close(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* The kernel doubles what it is asked for, to pay for its own overhead, and says the double. */
static uint32_t buffer_given(int fd, int option)
{
    int given = 0;
    socklen_t length = sizeof given;
    getsockopt(fd, SOL_SOCKET, option, &given, &length);
    return (uint32_t)given / 2;
}

/* The forced form wants CAP_NET_ADMIN; the other is cut to net.core.{r,w}mem_max, also where somebody with the capability
 * gave more before. */
static void force_buffer(int fd, int forced, int plain, uint32_t bytes)
{
    int wanted = bytes > INT32_MAX ? INT32_MAX : (int)bytes;
    if (setsockopt(fd, SOL_SOCKET, forced, &wanted, sizeof wanted) &&
        buffer_given(fd, plain) < bytes)
        setsockopt(fd, SOL_SOCKET, plain, &wanted, sizeof wanted);
}

struct socket_buffers socket_force_buffers(int fd, uint32_t bytes)
{
    force_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, bytes);
    force_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, bytes);
    return (struct socket_buffers){buffer_given(fd, SO_RCVBUF), buffer_given(fd, SO_SNDBUF)};
}

int socket_local(int fd, struct address *address)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length))
        return from_errno(errno);
    *address = address_from_sockaddr(&storage);
    return 0;
}

int socket_peer(int fd, struct address *address)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof storage;
    if (getpeername(fd, (struct sockaddr *)&storage, &length))
        return from_errno(errno);
    *address = address_from_sockaddr(&storage);
    return 0;
}
