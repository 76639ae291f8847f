/* SPDX-License-Identifier: Apache-2.0
 *
 * Edges for bench/dns that exist as far as a DNS node can tell: each reports that it lives, a load that moves, and round trips of
 * client networks, so that the answers measured are those of a director at work.
 *
 *     dns_edges ADDRESS PORT COUNT
 *
 * The private key of edge i is 32 bytes of i + 1; the DNS node's are 32 of COUNT + 1.
 */
#include "base/memory.h"
#include "loop/loop.h"
#include "measure/measure.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    EDGES_LIMIT = 250, /* keys differ in a byte */
    ROUND_MS = 50,
    ROUNDS_A_LOAD = 40,
    LATENCIES = 16,   /* told by an edge at once */
    NETWORKS = 10000, /* 10.x.y.0/24, as dns_load asks for them */
};

struct edge {
    int fd;
    struct status_sender sender;
};

static struct edge edges[EDGES_LIMIT];
static unsigned count;

static struct key key_of(unsigned index)
{
    struct key key;
    memset(key.bytes, (int)index + 1, sizeof key.bytes);
    return key;
}

static void start(struct edge *edge, unsigned index, const struct address *server)
{
    const struct crypto *crypto = crypto_openssl();
    const struct key node_private = key_of(count), own = key_of(index);
    const struct address any = {.family = server->family};
    struct key node_public;
    struct sockaddr_storage to;
    unsigned length;
    crypto->public_key(crypto, &node_private, &node_public);
    address_to_sockaddr(server, &to, &length);
    if (socket_bind_udp(&any, 0, &edge->fd) < 0 ||
        connect(edge->fd, (struct sockaddr *)&to, length) < 0 ||
        status_sender_init(&edge->sender, crypto, &own, &node_public, NULL, clock_now_ns()) < 0) {
        fputs("dns_edges: an edge does not start\n", stderr);
        exit(1);
    }
}

static void receive(struct edge *edge)
{
    uint8_t datagram[STATUS_DATAGRAM_MAX];
    for (ssize_t length; (length = recv(edge->fd, datagram, sizeof datagram, MSG_DONTWAIT)) > 0;)
        (void)!status_sender_receive(&edge->sender, clock_now_ns(),
                                     span_of(datagram, (size_t)length));
}

static void report(struct edge *edge)
{
    const struct status_report nothing_special = {0};
    uint8_t datagram[STATUS_DATAGRAM_MAX];
    uint64_t now_ns = clock_now_ns();
    if (status_sender_wake(&edge->sender) <= now_ns)
        send(edge->fd, datagram,
             status_sender_write(&edge->sender, now_ns, &nothing_special, datagram), MSG_DONTWAIT);
}

static void measure(struct edge *edge, unsigned index, unsigned turn)
{
    struct measure_message message = {0};
    uint8_t datagram[MEASURE_DATAGRAM_MAX];
    const struct measure_item load = {
        .kind = MEASURE_LOAD,
        .load = {MEASURE_EDGE,
                 {.cpu_idle = 500, .load = (uint16_t)(300 + (turn * 37 + index * 91) % 400)}}};
    measure_put(&message, &load);
    for (unsigned i = 0; i < LATENCIES; i++) {
        unsigned network = (turn * LATENCIES + i + index * 199) % NETWORKS;
        struct measure_item latency = {
            .kind = MEASURE_LATENCY,
            .latency = {.client = {.family = 4,
                                   .bytes = {10, (uint8_t)(network >> 8), (uint8_t)network, 1}},
                        .source = LATENCY_PASSIVE,
                        .samples = 5,
                        .rtt_us = 10000 + (network * 31 + index * 977) % 90000}};
        measure_put(&message, &latency);
    }
    size_t length = status_sender_measure(&edge->sender, &message, datagram);
    if (length)
        send(edge->fd, datagram, length, MSG_DONTWAIT);
}

int main(int argc, char **argv)
{
    struct address server;
    if (argc != 4 || address_parse(span_text(argv[1]), &server) < 0)
        return 2;
    server.port = (uint16_t)atoi(argv[2]);
    count = (unsigned)atoi(argv[3]);
    if (!count || count > EDGES_LIMIT)
        return 2;
    for (unsigned i = 0; i < count; i++)
        start(&edges[i], i, &server);
    for (unsigned round = 0;; round++) { /* until it is ended */
        for (unsigned i = 0; i < count; i++) {
            receive(&edges[i]);
            report(&edges[i]);
            if ((round + i) % ROUNDS_A_LOAD == 0)
                measure(&edges[i], i, round / ROUNDS_A_LOAD);
        }
        poll(NULL, 0, ROUND_MS);
    }
}
