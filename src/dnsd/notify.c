/* SPDX-License-Identifier: Apache-2.0
 *
 * NOTIFY (RFC 1996): secondaries are told of each new version of a zone that they copy, a few times at growing distances
 * until they answer. On the first worker; one socket for each family, bound to an address that is served, since secondaries
 * know their primary by it.
 */
#include "dnsd/transfers.h"

#include "base/memory.h"

#include <sys/socket.h>
#include <unistd.h>

enum {
    TRIES = 5,
    FIRST_WAIT_MS = 1000, /* doubled each time */
    MESSAGE_BYTES = DNS_UDP_PLAIN_BYTES + DNS_TSIG_LIMIT,
};

struct notice {
    struct list link;
    struct dns_name zone;
    struct address to;
    uint16_t id;
    unsigned tries;
    uint64_t due_ns;
};

struct socket {
    struct loop_watch watch; /* fd -1: none */
    struct dnsd_notify *notify;
};

struct dnsd_notify {
    struct dnsd *dnsd;
    struct loop *loop;
    struct dnsd_data *data; /* a reference */
    struct loop_timer timer;
    struct socket sockets[2]; /* IPv4, IPv6 */
    struct list notices;
    size_t notice_count;
    struct random random;
};

static void drop(struct dnsd_notify *notify, struct notice *notice)
{
    list_remove(&notice->link);
    notify->notice_count--;
    memory_free(notice);
}

/* ---- answers */

static void take_answer(struct dnsd_notify *notify, struct span message, const struct address *from)
{
    LIST_EACH (link, after, &notify->notices) {
        struct notice *notice = CONTAINER_OF(link, struct notice, link);
        if (!address_equal(&notice->to, from) ||
            !dns_notify_is_answered(message, &notice->zone, notice->id))
            continue;
        dnsd_count_notify(DNSD_NOTIFY_ANSWERED);
        drop(notify, notice);
        return;
    }
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    enum { EACH_TURN = 64 };
    (void)loop;
    (void)events;
    struct dnsd_notify *notify = CONTAINER_OF(watch, struct socket, watch)->notify;
    for (int i = 0; i < EACH_TURN; i++) {
        uint8_t message[MESSAGE_BYTES];
        struct sockaddr_storage peer;
        socklen_t peer_length = sizeof peer;
        ssize_t length = recvfrom(watch->fd, message, sizeof message, MSG_DONTWAIT,
                                  (struct sockaddr *)&peer, &peer_length);
        if (length < 0)
            return;
        struct address from = address_from_sockaddr(&peer);
        take_answer(notify, span_of(message, (size_t)length), &from);
    }
}

/* ---- sending */

/* The socket from which an address of this family is told, opened when it is needed first; -1: none. */
static int socket_for(struct dnsd_notify *notify, uint8_t family)
{
    struct socket *socket = &notify->sockets[family == 6];
    const struct dnsd_sockets *served = &notify->dnsd->sockets;
    struct address local = {.family = family};
    if (socket->watch.fd >= 0)
        return socket->watch.fd;
    for (size_t i = 0; i < served->udp_count; i++) {
        struct address address;
        if (socket_local(served->udp[i], &address) == 0 && address.family == family) {
            local = address;
            local.port = 0;
            break;
        }
    }
    int fd;
    if (socket_bind_udp(&local, 0, &fd) < 0)
        return -1;
    socket->notify = notify;
    socket->watch = (struct loop_watch){.fd = fd, .ready = on_ready};
    if (loop_watch_set(notify->loop, &socket->watch, EPOLLIN) < 0) {
        close(fd);
        socket->watch.fd = -1;
    }
    return socket->watch.fd;
}

/* False: the zone is not copied any more. */
static bool send_notice(struct dnsd_notify *notify, const struct notice *notice)
{
    const struct dnsd_data *data = notify->data;
    const struct dns_zone *version = dns_zones_zone(data->zones, &notice->zone);
    const struct dnsd_copied *zone = dnsd_transfers_find(data->transfers, version);
    uint8_t message[MESSAGE_BYTES];
    if (!zone)
        return false;
    const struct dns_rrset *soa = dns_zone_soa(data->zones, version, dnsd_keys_signing(data->keys));
    size_t length = dns_notify_write(&notice->zone, soa, notice->id, message, DNS_UDP_PLAIN_BYTES);
    if (zone->key_count) {
        struct dns_tsig tsig;
        dns_tsig_begin(&tsig, zone->keys[0], notice->id, clock_wall_ns() / 1000000000);
        length = dns_tsig_sign(&tsig, message, length, clock_wall_ns() / 1000000000);
    }
    struct sockaddr_storage to;
    unsigned to_length;
    address_to_sockaddr(&notice->to, &to, &to_length);
    int fd = socket_for(notify, notice->to.family);
    dnsd_count_notify(DNSD_NOTIFY_SENT);
    if (fd >= 0)
        (void)!sendto(fd, message, length, MSG_DONTWAIT, (struct sockaddr *)&to, to_length);
    return true;
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct dnsd_notify *notify = CONTAINER_OF(timer, struct dnsd_notify, timer);
    uint64_t now_ns = loop_now_ns(loop), next_ns = UINT64_MAX;
    LIST_EACH (link, after, &notify->notices) {
        struct notice *notice = CONTAINER_OF(link, struct notice, link);
        if (notice->due_ns <= now_ns) {
            if (notice->tries == TRIES || !send_notice(notify, notice)) {
                dnsd_count_notify(DNSD_NOTIFY_GIVEN_UP);
                drop(notify, notice);
                continue;
            }
            notice->due_ns = now_ns + ((uint64_t)FIRST_WAIT_MS * 1000000 << notice->tries++);
        }
        if (notice->due_ns < next_ns)
            next_ns = notice->due_ns;
    }
    if (next_ns != UINT64_MAX)
        loop_timer_start(loop, timer, next_ns);
}

static void add(struct dnsd_notify *notify, const struct dnsd_copied *zone)
{
    LIST_EACH (link, after, &notify->notices) { /* of an earlier version */
        struct notice *notice = CONTAINER_OF(link, struct notice, link);
        if (dns_name_equal(&notice->zone, &zone->name))
            drop(notify, notice);
    }
    for (size_t i = 0; i < zone->notify_count && notify->notice_count < DNSD_NOTIFIES_LIMIT; i++) {
        struct notice *notice = NEW(struct notice);
        notice->zone = zone->name;
        notice->to = zone->notify[i];
        notice->id = (uint16_t)random_u64(&notify->random);
        list_init(&notice->link);
        list_push_back(&notify->notices, &notice->link);
        notify->notice_count++;
    }
}

static bool is_new(const struct dnsd_data *old, const struct dnsd_copied *zone)
{
    const struct dns_zone *before = old ? dns_zones_zone(old->zones, &zone->name) : NULL;
    return !before || dns_zone_serial(before) != dns_zone_serial(zone->zone);
}

void dnsd_notify_take(struct dnsd_notify *notify, struct dnsd_data *data)
{
    struct dnsd_data *old = notify->data;
    atomic_fetch_add(&data->references, 1);
    notify->data = data;
    for (size_t i = 0; i < data->transfers->zone_count; i++)
        if (is_new(old, &data->transfers->zones[i]))
            add(notify, &data->transfers->zones[i]);
    dnsd_data_release(old);
    if (notify->notice_count)
        loop_timer_start(notify->loop, &notify->timer, loop_now_ns(notify->loop));
}

void dnsd_notify_renewed(struct dnsd_notify *notify)
{
    const struct dnsd_transfers *transfers = notify->data->transfers;
    for (size_t i = 0; i < transfers->zone_count; i++)
        if (transfers->zones[i].is_signed)
            add(notify, &transfers->zones[i]);
    if (notify->notice_count)
        loop_timer_start(notify->loop, &notify->timer, loop_now_ns(notify->loop));
}

struct dnsd_notify *dnsd_notify_new(struct dnsd *dnsd, struct loop *loop)
{
    struct dnsd_notify *notify = NEW(struct dnsd_notify);
    notify->dnsd = dnsd;
    notify->loop = loop;
    notify->timer.fire = on_timer;
    notify->sockets[0].watch.fd = notify->sockets[1].watch.fd = -1;
    list_init(&notify->notices);
    random_seed(&notify->random, dnsd->seed);
    return notify;
}

void dnsd_notify_free(struct dnsd_notify **owned)
{
    struct dnsd_notify *notify = *owned;
    *owned = NULL;
    if (!notify)
        return;
    loop_timer_stop(notify->loop, &notify->timer);
    for (int i = 0; i < 2; i++)
        if (notify->sockets[i].watch.fd >= 0) {
            loop_watch_remove(notify->loop, &notify->sockets[i].watch);
            close(notify->sockets[i].watch.fd);
        }
    LIST_EACH (link, after, &notify->notices)
        drop(notify, CONTAINER_OF(link, struct notice, link));
    dnsd_data_release(notify->data);
    memory_free(notify);
}
