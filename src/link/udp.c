/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP sockets of a driver: batches in by recvmmsg() with GRO, batches out by GSO, steering of packets to the worker
 * that owns their lane. What the kernel cannot do (GSO, GRO, steering) is found out and done without.
 */
#include "base/memory.h"
#include "link/driver.h"
#include "observe/observe.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HELD_LIMIT = 64, /* batches held for a blocked socket; one flush holds at most SEND_BATCH */
    SEND_EACH = 64,  /* datagrams in one call where the kernel does not cut batches */
};

struct held_datagram {
    struct list link;
    struct transport_transmit transmit; /* its data follows */
    uint8_t data[];
};

/* A packet whose worker is another one: a copy on its way there. */
struct forwarded_packet {
    struct message message;
    struct link_set *set;
    uint32_t slot;
    struct transport_datagram datagram;
    uint8_t data[];
};

struct forwarded_hello {
    struct message message;
    struct link *link;
    struct transport_hello *hello;
    struct transport_datagram datagram; /* without its bytes */
};

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events);

/* Said once: what limits one socket limits most. Listening ones have what the supervisor could give them. */
static void check_buffers(struct link_set *set, int fd)
{
    uint32_t wanted = set->settings.socket_buffer_bytes;
    struct socket_buffers got = socket_force_buffers(fd, wanted);
    if ((got.receive_bytes >= wanted && got.send_bytes >= wanted) ||
        atomic_exchange(&set->has_warned_of_buffers, true))
        return;
    log_warning("link",
                "UDP buffers are %u bytes in and %u out, link.socket_buffer wants %u: sysctl -w "
                "net.core.rmem_max=%u net.core.wmem_max=%u",
                got.receive_bytes, got.send_bytes, wanted, wanted, wanted);
}

/* The transport finds out itself what the path takes (RFC 8899): packets are not cut up on the way, and the
 * kernel's own guess is not asked. */
static void forbid_fragments(int fd, uint8_t family)
{
    int on = 1, probe4 = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE;
    int result = family == 6
                     ? setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof probe6) |
                           setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof on)
                     : setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe4, sizeof probe4);
    if (result < 0)
        log_notice("link", "packets may be fragmented: %s", strerror(errno));
}

void driver_add_socket(struct driver *driver, int fd, uint8_t family, bool is_ours)
{
    struct link_set *set = driver->set;
    struct udp_socket *socket = &driver->sockets[driver->socket_count++];
    *socket = (struct udp_socket){.driver = driver, .family = family, .is_ours = is_ours};
    socket->watch.fd = fd;
    socket->watch.ready = on_ready;
    list_init(&socket->waiting);
    const struct offload *offload = family == 6 ? &set->offload_v6 : &set->offload_v4;
    socket->cut = offload->cut;
    ancillary_enable(fd, family, offload->joins);
    forbid_fragments(fd, family);
    check_buffers(set, fd);
}

int driver_open_sockets(struct driver *driver)
{
    struct link_set *set = driver->set;
    uint32_t workers = set->options.workers, id = worker_id(driver->worker);
    for (size_t i = 0; i < set->options.listen_count && i < SOCKETS_LISTENING_LIMIT; i++) {
        int fd = set->options.listeners[i * workers + id];
        struct address local;
        int result = socket_local(fd, &local);
        if (result < 0)
            return result;
        driver_add_socket(driver, fd, local.family, false);
        if (id == 0 && workers > 1 && steering_attach(fd, workers) < 0)
            log_notice("link", "packets are not steered to workers, they are forwarded: %s",
                       strerror(errno));
    }
    ways_open_sockets(driver);
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct address any = {.family = family};
        int fd, result = socket_bind_udp(&any, 0, &fd);
        if (result < 0) {
            log_notice("link", "no IPv%u socket to dial from: %s", family, strerror(errno));
            continue;
        }
        driver_add_socket(driver, fd, family, true);
    }
    for (size_t i = 0; i < driver->socket_count; i++) {
        int result = loop_watch_set(driver->loop, &driver->sockets[i].watch, EPOLLIN);
        if (result < 0)
            return result;
    }
    return driver->socket_count ? 0 : ERROR_IO;
}

void driver_close_sockets(struct driver *driver)
{
    for (size_t i = 0; i < driver->socket_count; i++) {
        struct udp_socket *socket = &driver->sockets[i];
        loop_watch_remove(driver->loop, &socket->watch);
        for (struct list *item; (item = list_pop_front(&socket->waiting));)
            memory_free(CONTAINER_OF(item, struct held_datagram, link));
        if (socket->is_ours)
            close(socket->watch.fd);
    }
    driver->socket_count = 0;
}

void driver_leave_sockets(struct driver *driver)
{
    for (size_t i = 0; i < driver->socket_count; i++)
        if (!driver->sockets[i].is_ours)
            loop_watch_remove(driver->loop, &driver->sockets[i].watch);
}

/* Dialling goes out by the unbound socket of the family (the last ones). */
uint8_t driver_socket_for(const struct driver *driver, const struct address *to)
{
    for (size_t i = driver->socket_count; i > 0; i--)
        if (driver->sockets[i - 1].family == to->family)
            return (uint8_t)(i - 1);
    return SOCKET_NONE;
}

/* ---- out */

/* One call for a batch that the kernel cuts. */
static int send_cut(int fd, const struct transport_transmit *transmit, const uint8_t *data,
                    uint32_t length, enum offload_cut cut)
{
    uint16_t segment = transmit->segment_bytes;
    struct sockaddr_storage to;
    static const uint8_t odd[OFFLOAD_TAIL_BYTES] = {0xff};
    struct iovec vectors[] = {{(void *)(uintptr_t)data, length},
                              {(void *)(uintptr_t)odd, sizeof odd}};
    size_t parts = offload_tail(cut, length, segment) ? 2 : 1;
    struct msghdr header = {.msg_name = &to, .msg_iov = vectors, .msg_iovlen = parts};
    union ancillary space;
    address_to_sockaddr(&transmit->to, &to, &header.msg_namelen);
    ancillary_write(&header, &space, transmit->to.family, segment < length ? segment : 0,
                    transmit->ecn);
    ssize_t sent;
    do
        sent = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

/* One call for up to SEND_EACH datagrams. What one of them meets is that one's: it is lost, the others go. */
static int send_each(int fd, const struct transport_transmit *transmit, uint32_t *done)
{
    struct sockaddr_storage to;
    socklen_t to_length;
    union ancillary space;
    struct iovec vectors[SEND_EACH];
    struct mmsghdr headers[SEND_EACH];
    address_to_sockaddr(&transmit->to, &to, &to_length);
    uint32_t segment = transmit->segment_bytes ? transmit->segment_bytes : transmit->length;
    int error = 0;
    while (*done < transmit->length) {
        unsigned count = 0;
        for (uint32_t at = *done; at < transmit->length && count < SEND_EACH; count++) {
            uint32_t left = transmit->length - at, part = segment < left ? segment : left;
            vectors[count] = (struct iovec){transmit->data + at, part};
            headers[count].msg_hdr = (struct msghdr){.msg_name = &to,
                                                     .msg_namelen = to_length,
                                                     .msg_iov = &vectors[count],
                                                     .msg_iovlen = 1};
            ancillary_write(&headers[count].msg_hdr, &space, transmit->to.family, 0, transmit->ecn);
            at += part;
        }
        int sent = sendmmsg(fd, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return EAGAIN;
        if (sent < 0)
            error = errno;
        for (int i = 0; i < (sent < 0 ? 1 : sent); i++)
            *done += (uint32_t)vectors[i].iov_len;
    }
    return error;
}

/* 0, EAGAIN (nothing, or not all, went; *done tells how much), or another errno: the datagram is lost, as datagrams may be. */
static int send_transmit(struct udp_socket *socket, const struct transport_transmit *transmit,
                         uint32_t *done)
{
    int error = 0;
    uint16_t segment = transmit->segment_bytes;
    if (socket->cut != OFFLOAD_CUT_NONE) {
        error = send_cut(socket->watch.fd, transmit, transmit->data + *done,
                         transmit->length - *done, socket->cut);
        if (error != EIO && error != EINVAL && error != EOPNOTSUPP && error != EMSGSIZE) {
            if (error != EAGAIN)
                *done = transmit->length;
            return error;
        }
        /* Segments that are too large are refused with EINVAL, too: one of them alone tells. */
        int alone = send_each(socket->watch.fd, transmit, done);
        if (segment && segment < transmit->length && error != EMSGSIZE && alone != EMSGSIZE) {
            log_notice("link", "UDP segmentation offload refused (%s): sending packet by packet",
                       strerror(error));
            socket->cut = OFFLOAD_CUT_NONE;
        }
        return alone;
    }
    return send_each(socket->watch.fd, transmit, done);
}

static void hold(struct udp_socket *socket, const struct transport_transmit *transmit,
                 uint32_t done)
{
    metric_add(&link_send_held, 1);
    if (socket->waiting_count >= HELD_LIMIT)
        return; /* lost: loss recovery knows what to do */
    uint32_t length = transmit->length - done;
    struct held_datagram *held = memory_raw(sizeof *held + length);
    held->transmit = *transmit;
    held->transmit.length = length;
    held->transmit.data = held->data;
    memcpy(held->data, transmit->data + done, length);
    list_push_back(&socket->waiting, &held->link);
    socket->waiting_count++;
    socket->is_blocked = true;
}

bool udp_send(struct udp_socket *socket, const struct transport_transmit *transmits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t done = 0;
        int error = socket->is_blocked ? EAGAIN : send_transmit(socket, &transmits[i], &done);
        if (error == EAGAIN)
            hold(socket, &transmits[i], done);
        else if (error)
            metric_add(&link_send_failed, 1);
        if (error == EMSGSIZE)
            socket->refused_bytes = transmits[i].segment_bytes;
    }
    metric_add(&link_datagrams_sent, count);
    if (socket->is_blocked &&
        loop_watch_set(socket->driver->loop, &socket->watch, EPOLLIN | EPOLLOUT) < 0)
        socket->is_blocked = false;
    return !socket->is_blocked;
}

static void send_held(struct udp_socket *socket)
{
    while (!list_is_empty(&socket->waiting)) {
        struct held_datagram *held = CONTAINER_OF(socket->waiting.next, struct held_datagram, link);
        uint32_t done = 0;
        if (send_transmit(socket, &held->transmit, &done) == EAGAIN) {
            held->transmit.data += done;
            held->transmit.length -= done;
            return;
        }
        list_remove(&held->link);
        socket->waiting_count--;
        memory_free(held);
    }
    socket->is_blocked = false;
    if (loop_watch_set(socket->driver->loop, &socket->watch, EPOLLIN) < 0)
        log_error("link", "cannot watch a UDP socket: %s", strerror(errno));
    lane_unblock(socket->driver);
}

/* ---- in */

static void deliver_forwarded(struct worker *receiver, struct message *message)
{
    struct forwarded_packet *packet = CONTAINER_OF(message, struct forwarded_packet, message);
    struct link *link = link_by_slot(packet->set, packet->slot);
    (void)receiver;
    if (link && link->lane)
        lane_receive(link->lane, &packet->datagram, 1);
    memory_free(packet);
}

/* The packet came to the wrong worker (no steering, or before it): forwarded, never dropped. */
static void forward(struct driver *driver, struct link *link,
                    const struct transport_datagram *datagram)
{
    struct driver *owner = driver->set->drivers[link->owner];
    if (!owner)
        return;
    struct forwarded_packet *packet = memory_raw(sizeof *packet + datagram->length);
    *packet = (struct forwarded_packet){.message.deliver = deliver_forwarded,
                                        .set = driver->set,
                                        .slot = link->slot};
    packet->datagram = *datagram;
    packet->datagram.data = packet->data;
    memcpy(packet->data, datagram->data, datagram->length);
    metric_add(&link_forwarded, 1);
    worker_post(owner->worker, &packet->message);
}

static void deliver_hello(struct worker *receiver, struct message *message)
{
    struct forwarded_hello *forwarded = CONTAINER_OF(message, struct forwarded_hello, message);
    struct driver *driver = forwarded->link->set->drivers[worker_id(receiver)];
    if (driver && forwarded->link->is_wanted)
        lane_accept(lane_get(driver, forwarded->link), &forwarded->hello, &forwarded->datagram);
    else
        transport_hello_free(&forwarded->hello);
    memory_free(forwarded);
}

static void receive_hello(struct udp_socket *socket, const struct transport_datagram *datagram,
                          uint64_t now_ns)
{
    struct driver *driver = socket->driver;
    struct transport_hello *hello = NULL;
    struct transport_hello_facts facts;
    uint8_t reply_bytes[1500];
    struct transport_transmit reply = {.data = reply_bytes,
                                       .capacity = sizeof reply_bytes,
                                       .to = datagram->from};
    int result =
        transport_listener_hello(driver->listener, datagram, now_ns, &reply, &hello, &facts);
    if (result == ERROR_AGAIN) {
        metric_add(&link_hello_asked, 1);
        udp_send(socket, &reply, 1);
        return;
    }
    struct link *link = result < 0 ? NULL : link_by_key(driver->set, facts.peer_key, facts.lane);
    if (!link) {
        metric_add(&link_hello_refused, 1); /* silence: a stranger learns nothing */
        transport_hello_free(&hello);
        return;
    }
    if (link->owner == worker_id(driver->worker)) {
        lane_accept(lane_get(driver, link), &hello, datagram);
        return;
    }
    struct driver *owner = driver->set->drivers[link->owner];
    if (!owner) {
        transport_hello_free(&hello);
        return;
    }
    struct forwarded_hello *forwarded = NEW(struct forwarded_hello);
    *forwarded = (struct forwarded_hello){
        .message.deliver = deliver_hello, .link = link, .hello = hello, .datagram = *datagram};
    forwarded->datagram.data = NULL;
    worker_post(owner->worker, &forwarded->message);
}

/* NULL: the index was given out by a process before this one, or never. */
static struct link *find_link(struct driver *driver, uint32_t index)
{
    return index_generation(index) == driver->set->options.generation
               ? link_by_slot(driver->set, index_slot(index))
               : NULL;
}

/* A peer that has restarted says so; it cannot name our indexes, so every lane to that host looks whether the token is its session's. */
static void receive_close(struct udp_socket *socket, const struct transport_datagram *datagram)
{
    struct driver *driver = socket->driver;
    struct link *link;
    for (uint32_t slot = 0; (link = link_by_slot(driver->set, slot)); slot++) {
        if (!link_has_host(link, &datagram->from))
            continue;
        if (link->owner != worker_id(driver->worker))
            forward(driver, link, datagram);
        else if (link->lane)
            lane_receive(link->lane, datagram, 1);
    }
}

/* Hosts that the configuration does not name get silence. */
static bool is_known_host(struct link_set *set, const struct address *from)
{
    struct link *link;
    for (uint32_t slot = 0; (link = link_by_slot(set, slot)); slot++)
        if (link_has_host(link, from))
            return true;
    return false;
}

static void receive_stray(struct udp_socket *socket, const struct transport_datagram *datagram,
                          uint64_t now_ns)
{
    uint8_t reply_bytes[64];
    struct transport_transmit reply = {.data = reply_bytes, .capacity = sizeof reply_bytes};
    metric_add(&link_packets_foreign, 1);
    if (is_known_host(socket->driver->set, &datagram->from) &&
        transport_listener_stray(socket->driver->listener, datagram, now_ns, &reply))
        udp_send(socket, &reply, 1);
}

/* Datagrams of one lane that follow each other go to it together. */
static void dispatch(struct udp_socket *socket, struct transport_datagram *datagrams, size_t count,
                     uint64_t now_ns)
{
    struct driver *driver = socket->driver;
    for (size_t i = 0, next; i < count; i = next) {
        uint32_t index;
        next = i + 1;
        if (datagrams[i].length <= OFFLOAD_TAIL_BYTES)
            continue; /* the odd end of a batch */
        enum transport_packet_kind kind =
            transport_packet_kind(span_of(datagrams[i].data, datagrams[i].length), &index);
        if (kind == TRANSPORT_PACKET_HELLO) {
            receive_hello(socket, &datagrams[i], now_ns);
            continue;
        }
        if (kind == TRANSPORT_PACKET_CLOSE) {
            receive_close(socket, &datagrams[i]);
            continue;
        }
        struct link *link = kind == TRANSPORT_PACKET_INDEXED ? find_link(driver, index) : NULL;
        if (!link) {
            receive_stray(socket, &datagrams[i], now_ns);
            continue;
        }
        if (link->owner != worker_id(driver->worker)) {
            forward(driver, link, &datagrams[i]);
            continue;
        }
        while (next < count &&
               transport_packet_kind(span_of(datagrams[next].data, datagrams[next].length),
                                     &index) == TRANSPORT_PACKET_INDEXED &&
               find_link(driver, index) == link)
            next++;
        if (link->lane)
            lane_receive(link->lane, datagrams + i, next - i);
    }
}

static size_t receive_batch(struct udp_socket *socket)
{
    struct driver *driver = socket->driver;
    struct mmsghdr headers[RECEIVE_BATCH];
    struct iovec vectors[RECEIVE_BATCH];
    struct sockaddr_storage from[RECEIVE_BATCH];
    union ancillary control[RECEIVE_BATCH];
    for (size_t i = 0; i < RECEIVE_BATCH; i++) {
        vectors[i] = (struct iovec){driver->receive_buffers + i * RECEIVE_BUFFER_BYTES,
                                    RECEIVE_BUFFER_BYTES};
        headers[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                             .msg_namelen = sizeof from[i],
                                             .msg_iov = &vectors[i],
                                             .msg_iovlen = 1,
                                             .msg_control = &control[i],
                                             .msg_controllen = sizeof control[i]};
    }
    int received = recvmmsg(socket->watch.fd, headers, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
    if (received <= 0)
        return 0;
    struct transport_datagram datagrams[RECEIVE_BATCH];
    for (int i = 0; i < received; i++) {
        datagrams[i] = (struct transport_datagram){.from = address_from_sockaddr(&from[i]),
                                                   .local = (uint8_t)(socket - driver->sockets),
                                                   .data = vectors[i].iov_base,
                                                   .length = headers[i].msg_len};
        ancillary_read(&headers[i].msg_hdr, &datagrams[i]);
    }
    metric_add(&link_datagrams_received, (uint64_t)received);
    dispatch(socket, datagrams, (size_t)received, clock_now_ns());
    return (size_t)received;
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct udp_socket *socket = CONTAINER_OF(watch, struct udp_socket, watch);
    (void)loop;
    if (events & EPOLLOUT)
        send_held(socket);
    if (!(events & (EPOLLIN | EPOLLERR)))
        return;
    for (int round = 0; round < RECEIVE_ROUNDS; round++)
        if (receive_batch(socket) < RECEIVE_BATCH)
            break;
}
