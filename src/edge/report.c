/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports of this edge to the DNS nodes (R8, R9): every 250 ms, authenticated, by own datagrams outside of any congestion control. Worker 0
 * sends them; they carry the age of each worker's last turn, so that a stuck worker shows.
 */
#include "base/memory.h"
#include "crypto/crypto.h"
#include "edge/private.h"
#include "measure/measure.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECEIVERS_MOST = 64 };

struct receiver {
    struct status_sender sender;
    struct address address;
};

struct report_socket {
    struct loop_watch watch;
    struct edge_reporter *reporter;
    bool is_open;
};

struct edge_reporter {
    struct edge_worker *worker;
    struct loop_timer timer;
    struct report_socket sockets[2]; /* IPv4, IPv6 */
    struct receiver receivers[RECEIVERS_MOST];
    size_t count;
    uint64_t counted_ns, counted_requests;
    uint32_t requests_per_s;
    bool is_leaving;
};

static struct report_socket *socket_for(struct edge_reporter *reporter,
                                        const struct address *address)
{
    return &reporter->sockets[address->family == 6];
}

static void measure_requests(struct edge_reporter *reporter, uint64_t now_ns)
{
    uint64_t elapsed_ns = now_ns - reporter->counted_ns;
    if (elapsed_ns < 1000000000)
        return;
    uint64_t requests = metric_read(&edge_requests);
    reporter->requests_per_s =
        (uint32_t)((requests - reporter->counted_requests) * 1000000000 / elapsed_ns);
    reporter->counted_requests = requests;
    reporter->counted_ns = now_ns;
}

static void fill(struct edge_reporter *reporter, struct status_report *report, uint64_t now_ns)
{
    struct edge *edge = reporter->worker->edge;
    const struct worker_set *peers = worker_peers(reporter->worker->worker);
    int admin = atomic_load(&edge->admin);
    report->flags = (uint8_t)((admin == EDGE_DRAIN ? STATUS_DRAINING : 0) |
                              (admin == EDGE_DOWN ? STATUS_ADMIN_DOWN : 0) |
                              (reporter->is_leaving ? STATUS_LEAVING : 0));
    report->connections = (uint32_t)metric_read(&edge_connections_open);
    measure_requests(reporter, now_ns);
    report->requests_per_s = reporter->requests_per_s;
    report->config_hash = strtoull(edge_conf(reporter->worker)->hash, NULL, 16);
    for (uint32_t i = 0; i < workers_count(peers) && i < STATUS_WORKERS_MAX; i++) {
        uint64_t age_ms = (clock_now_ns() - worker_last_turn_ns(workers_get(peers, i))) / 1000000;
        report->worker_age_ms[report->worker_count++] =
            age_ms < UINT16_MAX ? (uint16_t)age_ms : UINT16_MAX;
    }
    for (size_t i = 0;
         i < link_set_count(edge->options.links) && report->gateway_count < STATUS_GATEWAYS_MAX;
         i++) {
        struct link *link = link_set_get(edge->options.links, i);
        if (!link_is_to_gateway(link))
            continue;
        struct key key;
        memcpy(key.bytes, link_peer_key(link), sizeof key.bytes);
        struct link_quality quality = link_read_quality(link);
        report->gateways[report->gateway_count++] =
            (struct status_gateway){.id = status_node_id(crypto_openssl(), &key),
                                    .srtt_us = quality.srtt_us,
                                    .loss_ppm = quality.loss_ppm,
                                    .is_up = quality.is_up};
    }
}

static void send_report(struct edge_reporter *reporter, struct receiver *receiver,
                        const struct status_report *report, uint64_t now_ns)
{
    uint8_t datagram[STATUS_DATAGRAM_MAX];
    struct sockaddr_storage to;
    unsigned length;
    size_t bytes = status_sender_write(&receiver->sender, now_ns, report, datagram);
    address_to_sockaddr(&receiver->address, &to, &length);
    int fd = socket_for(reporter, &receiver->address)->watch.fd;
    if (sendto(fd, datagram, bytes, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, length) <
        0)
        log_debug("edge", "a report was not sent: %s", strerror(errno));
}

static void send_due(struct edge_reporter *reporter)
{
    uint64_t now_ns = clock_now_ns(), wake_ns = UINT64_MAX;
    struct status_report report = {0};
    fill(reporter, &report, now_ns);
    for (size_t i = 0; i < reporter->count; i++) {
        struct receiver *receiver = &reporter->receivers[i];
        if (reporter->is_leaving || status_sender_wake(&receiver->sender) <= now_ns)
            send_report(reporter, receiver, &report, now_ns);
        if (status_sender_wake(&receiver->sender) < wake_ns)
            wake_ns = status_sender_wake(&receiver->sender);
    }
    loop_timer_start(reporter->worker->loop, &reporter->timer, wake_ns);
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    send_due(CONTAINER_OF(timer, struct edge_reporter, timer));
}

/* An EPOCH of a receiver: whose it is, its address says first, the keys say finally. */
static void take_answer(struct edge_reporter *reporter, struct span datagram,
                        const struct address *from)
{
    for (size_t i = 0; i < reporter->count; i++) {
        struct receiver *receiver = &reporter->receivers[i];
        if (address_equal(&receiver->address, from) &&
            status_sender_receive(&receiver->sender, clock_now_ns(), datagram) == 0)
            send_due(reporter);
    }
}

static void on_answer(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct report_socket *socket = CONTAINER_OF(watch, struct report_socket, watch);
    (void)loop;
    (void)events;
    for (int i = 0; i < RECEIVERS_MOST; i++) {
        uint8_t datagram[STATUS_DATAGRAM_MAX];
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(watch->fd, datagram, sizeof datagram, MSG_DONTWAIT,
                               (struct sockaddr *)&from, &length);
        if (got < 0)
            return;
        struct address address = address_from_sockaddr(&from);
        take_answer(socket->reporter, span_of(datagram, (size_t)got), &address);
    }
}

static int open_socket(struct edge_reporter *reporter, const struct address *to)
{
    struct report_socket *socket = socket_for(reporter, to);
    struct address any = {.family = to->family};
    if (socket->is_open)
        return 0;
    int result = socket_bind_udp(&any, 0, &socket->watch.fd);
    if (result < 0)
        return result;
    socket->is_open = true;
    socket->reporter = reporter;
    socket->watch.ready = on_answer;
    return loop_watch_set(reporter->worker->loop, &socket->watch, EPOLLIN);
}

static int add_receiver(struct edge_reporter *reporter, const struct conf *conf,
                        const struct conf_node *node)
{
    struct receiver *receiver = &reporter->receivers[reporter->count];
    struct key own, other;
    memcpy(own.bytes, reporter->worker->edge->options.private_key, sizeof own.bytes);
    memcpy(other.bytes,
           node == conf->self ? reporter->worker->edge->options.public_key : node->public_key,
           sizeof other.bytes);
    receiver->address = node->dns->reports;
    int result = open_socket(reporter, &receiver->address);
    if (result == 0)
        result = status_sender_init(&receiver->sender, crypto_openssl(), &own, &other, NULL,
                                    clock_now_ns());
    bytes_wipe(&own, sizeof own);
    if (result == 0)
        reporter->count++;
    return result;
}

struct edge_reporter *edge_reporter_start(struct edge_worker *worker)
{
    const struct conf *conf = edge_conf(worker);
    struct edge_reporter *reporter = NEW(struct edge_reporter);
    reporter->worker = worker;
    reporter->timer.fire = on_timer;
    reporter->counted_ns = clock_now_ns();
    for (size_t i = 0; i < conf->node_count && reporter->count < RECEIVERS_MOST; i++) {
        const struct conf_node *node = &conf->nodes[i];
        if (!node->dns || !node->dns->reports.family)
            continue;
        int result = add_receiver(reporter, conf, node);
        if (result < 0)
            log_error("edge", "cannot report to %s: %s", node->name, error_text(result));
    }
    if (!reporter->count) {
        edge_reporter_stop(&reporter, false);
        return NULL;
    }
    send_due(reporter);
    return reporter;
}

void edge_reporter_stop(struct edge_reporter **stopped, bool says_goodbye)
{
    struct edge_reporter *reporter = *stopped;
    if (!reporter)
        return;
    *stopped = NULL;
    struct loop *loop = reporter->worker->loop;
    reporter->is_leaving = says_goodbye;
    if (reporter->count && says_goodbye)
        send_due(reporter);
    loop_timer_stop(loop, &reporter->timer);
    for (int i = 0; i < 2; i++)
        if (reporter->sockets[i].is_open) {
            loop_watch_remove(loop, &reporter->sockets[i].watch);
            close(reporter->sockets[i].watch.fd);
        }
    for (size_t i = 0; i < reporter->count; i++)
        status_sender_clear(&reporter->receivers[i].sender);
    memory_free(reporter);
}
