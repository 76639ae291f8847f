/* SPDX-License-Identifier: Apache-2.0
 *
 * The carrier for root: a TUN device in each of two network namespaces. Offloads stay off, so that what is read
 * is always one packet of at most MTU bytes. The devices end with the process; namespaces that were made here
 * are removed at the end.
 */
#include "wan.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ADDRESS_WAITS = 500, ADDRESS_WAIT_MS = 10 };

struct tun {
    int descriptors[DIRECTIONS]; /* of end A and of end B; -1: not open */
    int home;                    /* the namespace where the process started */
    bool made[DIRECTIONS];
};

static int complain(const char *what)
{
    fprintf(stderr, "wan: %s: %s\n", what, strerror(errno));
    return ERROR_IO;
}

static int ip_netns(const char *verb, const char *name)
{
    pid_t child = fork();
    if (child < 0)
        return complain("fork");
    if (child == 0) {
        execlp("ip", "ip", "netns", verb, name, (char *)NULL);
        _exit(127);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "wan: ip netns %s %s failed\n", verb, name);
        return ERROR_IO;
    }
    return 0;
}

static int enter_namespace(const char *name, bool *made)
{
    char path[NAMESPACE_BYTES + 16];
    snprintf(path, sizeof path, "/run/netns/%s", name);
    if (access(path, F_OK) != 0) {
        if (ip_netns("add", name))
            return ERROR_IO;
        *made = true;
    }
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || setns(descriptor, CLONE_NEWNET) != 0) {
        int error = complain(path);
        if (descriptor >= 0)
            close(descriptor);
        return error;
    }
    close(descriptor);
    return 0;
}

static void write_device_setting(const char *device, const char *setting, const char *value)
{
    char path[128];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", device, setting);
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
        return; /* a kernel without IPv6 */
    if (write(descriptor, value, strlen(value)) < 0)
        complain(path);
    close(descriptor);
}

/* The network's address with `host` in its last byte. */
static struct address host_of(const struct network *network, uint8_t host)
{
    struct address address = network->address;
    address.bytes[address.family == 4 ? 3 : 15] |= host;
    return address;
}

static int set_ipv4(int control, struct ifreq *request, const struct network *network, uint8_t host)
{
    struct address address = host_of(network, host);
    struct sockaddr_in socket_address = {.sin_family = AF_INET};
    memcpy(&socket_address.sin_addr, address.bytes, 4);
    memcpy(&request->ifr_addr, &socket_address, sizeof socket_address);
    if (ioctl(control, SIOCSIFADDR, request) != 0)
        return complain("SIOCSIFADDR");
    uint32_t mask = network->bits ? ~0u << (32 - network->bits) : 0;
    socket_address.sin_addr.s_addr = htonl(mask);
    memcpy(&request->ifr_netmask, &socket_address, sizeof socket_address);
    if (ioctl(control, SIOCSIFNETMASK, request) != 0)
        return complain("SIOCSIFNETMASK");
    return 0;
}

/* The kernel makes a new IPv6 address usable a moment later; whoever reads `ready` may bind to it. */
static int await_ipv6(const struct address *address)
{
    struct sockaddr_in6 socket_address = {.sin6_family = AF_INET6};
    memcpy(&socket_address.sin6_addr, address->bytes, 16);
    int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return complain("IPv6 socket");
    int error = ERROR_TIMEOUT;
    for (int i = 0; i < ADDRESS_WAITS && error; i++) {
        if (bind(probe, (struct sockaddr *)&socket_address, sizeof socket_address) == 0)
            error = 0;
        else if (errno != EADDRNOTAVAIL)
            break;
        else
            (void)poll(NULL, 0, ADDRESS_WAIT_MS);
    }
    if (error)
        complain("the new IPv6 address");
    close(probe);
    return error;
}

static int set_ipv6(const char *device, const struct network *network, uint8_t host)
{
    struct address address = host_of(network, host);
    struct in6_ifreq request = {.ifr6_prefixlen = network->bits,
                                .ifr6_ifindex = (int)if_nametoindex(device)};
    memcpy(&request.ifr6_addr, address.bytes, 16);
    int control = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0)
        return complain("IPv6 socket");
    int error = ioctl(control, SIOCSIFADDR, &request) == 0 ? 0 : complain("SIOCSIFADDR for IPv6");
    close(control);
    return error ? error : await_ipv6(&address);
}

/* The other flags stay: a TUN device has IFF_NOARP, which keeps the kernel from asking for neighbours and from
 * testing addresses for duplicates. */
static int set_up(int control, const char *device)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, IFNAMSIZ, "%s", device);
    if (ioctl(control, SIOCGIFFLAGS, &request) != 0)
        return complain("SIOCGIFFLAGS");
    request.ifr_flags |= IFF_UP;
    return ioctl(control, SIOCSIFFLAGS, &request) == 0 ? 0 : complain("SIOCSIFFLAGS");
}

static int configure(const struct options *options, const char *device, uint8_t host)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, IFNAMSIZ, "%s", device);
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0)
        return complain("socket");
    int error = ERROR_IO;
    if (options->ipv4.address.family == 4 && set_ipv4(control, &request, &options->ipv4, host))
        goto done;
    request.ifr_mtu = (int)options->mtu;
    if (ioctl(control, SIOCSIFMTU, &request) != 0) {
        complain("SIOCSIFMTU");
        goto done;
    }
    request.ifr_qlen = TUN_QUEUE_PACKETS;
    if (ioctl(control, SIOCSIFTXQLEN, &request) != 0) {
        complain("SIOCSIFTXQLEN");
        goto done;
    }
    /* no link-local address: its router solicitations would be packets that no test sent */
    write_device_setting(device, "addr_gen_mode", "1");
    if (set_up(control, device) || set_up(control, "lo"))
        goto done;
    if (options->ipv6.address.family == 6 && set_ipv6(device, &options->ipv6, host))
        goto done;
    error = 0;
done:
    close(control);
    return error;
}

/* The device of one end, in the namespace that the thread is in. Its descriptor, or negative. */
static int open_device(const struct options *options, unsigned end)
{
    int descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return complain("/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(request.ifr_name, IFNAMSIZ, "%s%c", options->name, (char)('a' + end));
    if (ioctl(descriptor, TUNSETIFF, &request) != 0) {
        complain(request.ifr_name);
        close(descriptor);
        return ERROR_IO;
    }
    if (configure(options, request.ifr_name, (uint8_t)(end + 1))) {
        close(descriptor);
        return ERROR_IO;
    }
    return descriptor;
}

static void tun_close(struct wan *wan)
{
    struct tun *tun = wan->carried;
    for (unsigned end = 0; end < DIRECTIONS; end++) {
        if (tun->descriptors[end] >= 0)
            close(tun->descriptors[end]);
        if (tun->made[end])
            (void)ip_netns("delete", wan->options.namespaces[end]);
    }
    if (tun->home >= 0)
        close(tun->home);
    memory_free(tun);
    wan->carried = NULL;
}

static int tun_open(struct wan *wan)
{
    struct tun *tun = NEW(struct tun);
    *tun = (struct tun){.descriptors = {-1, -1}};
    wan->carried = tun;
    tun->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (tun->home < 0)
        return complain("/proc/self/ns/net");
    for (unsigned end = 0; end < DIRECTIONS; end++) {
        if (enter_namespace(wan->options.namespaces[end], &tun->made[end]))
            return ERROR_IO;
        tun->descriptors[end] = open_device(&wan->options, end);
        if (setns(tun->home, CLONE_NEWNET) != 0)
            return complain("return to the first namespace");
        if (tun->descriptors[end] < 0)
            return ERROR_IO;
    }
    return 0;
}

static bool tun_receive(struct wan *wan, unsigned direction, struct packet *packet)
{
    const struct tun *tun = wan->carried;
    ssize_t length = read(tun->descriptors[direction], packet->data, wan->pool.packet_bytes);
    if (length <= 0)
        return false;
    packet->length = (uint32_t)length;
    return true;
}

static bool tun_send(struct wan *wan, unsigned direction, const struct packet *packet)
{
    const struct tun *tun = wan->carried;
    ssize_t written = write(tun->descriptors[!direction], packet->data, packet->length);
    return written == (ssize_t)packet->length;
}

static unsigned tun_poll(struct wan *wan, struct pollfd *polled, unsigned limit)
{
    const struct tun *tun = wan->carried;
    INVARIANT(limit >= DIRECTIONS);
    for (unsigned end = 0; end < DIRECTIONS; end++)
        polled[end] = (struct pollfd){.fd = tun->descriptors[end], .events = POLLIN};
    return DIRECTIONS;
}

const struct carrier tun_carrier = {
    .open = tun_open,
    .close = tun_close,
    .receive = tun_receive,
    .send = tun_send,
    .poll = tun_poll,
};
