/* SPDX-License-Identifier: Apache-2.0
 *
 * The carrier for everybody: a UDP relay. Clients send to `listen`; each gets a socket of its own towards `to`,
 * so that the server tells them apart, and the answers go back the same way. Both address families.
 */
#include "wan.h"

#include "base/memory.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FLOW_LIMIT = 256, /* clients; further ones are not served */
    SOCKET_BUFFER_BYTES = 8 << 20
};

struct flow {
    struct sockaddr_storage client;
    socklen_t client_length;
    int upstream; /* connected to the server */
};

struct relay {
    int listener;
    struct sockaddr_storage server;
    socklen_t server_length;
    struct flow flows[FLOW_LIMIT];
    uint32_t flow_count;
    uint32_t next; /* where the look for answers goes on */
};

static int complain(const char *what)
{
    fprintf(stderr, "wan: %s: %s\n", what, strerror(errno));
    return ERROR_IO;
}

static socklen_t to_socket_address(const struct address *address, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (address->family == 4) {
        struct sockaddr_in *ipv4 = (struct sockaddr_in *)out;
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(address->port);
        memcpy(&ipv4->sin_addr, address->bytes, 4);
        return sizeof *ipv4;
    }
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)out;
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(address->port);
    memcpy(&ipv6->sin6_addr, address->bytes, 16);
    return sizeof *ipv6;
}

static int open_socket(int family)
{
    int descriptor = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return complain("socket");
    /* the force variants want privileges; without them the system's limit cuts the plain ones */
    int bytes = SOCKET_BUFFER_BYTES;
    if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return descriptor;
}

static void relay_close(struct wan *wan)
{
    struct relay *relay = wan->carried;
    if (relay->listener >= 0)
        close(relay->listener);
    for (uint32_t i = 0; i < relay->flow_count; i++)
        close(relay->flows[i].upstream);
    memory_free(relay);
    wan->carried = NULL;
}

static int relay_open(struct wan *wan)
{
    struct relay *relay = NEW(struct relay);
    wan->carried = relay;
    struct sockaddr_storage listen_address;
    socklen_t length = to_socket_address(&wan->options.listen, &listen_address);
    relay->server_length = to_socket_address(&wan->options.to, &relay->server);
    relay->listener = open_socket(listen_address.ss_family);
    if (relay->listener < 0)
        return ERROR_IO;
    if (bind(relay->listener, (struct sockaddr *)&listen_address, length) != 0)
        return complain("the listen address");
    return 0;
}

/* The flow of a client, made when new; FLOW_LIMIT when there is no room. */
static uint32_t flow_of(struct relay *relay, const struct sockaddr_storage *client,
                        socklen_t length)
{
    for (uint32_t i = 0; i < relay->flow_count; i++)
        if (relay->flows[i].client_length == length &&
            memcmp(&relay->flows[i].client, client, length) == 0)
            return i;
    if (relay->flow_count == FLOW_LIMIT)
        return FLOW_LIMIT;
    struct flow *flow = &relay->flows[relay->flow_count];
    flow->upstream = open_socket(relay->server.ss_family);
    if (flow->upstream < 0)
        return FLOW_LIMIT;
    if (connect(flow->upstream, (struct sockaddr *)&relay->server, relay->server_length) != 0) {
        complain("the server's address");
        close(flow->upstream);
        return FLOW_LIMIT;
    }
    memcpy(&flow->client, client, sizeof *client);
    flow->client_length = length;
    return relay->flow_count++;
}

static bool receive_from_client(struct wan *wan, struct relay *relay, struct packet *packet)
{
    struct sockaddr_storage client;
    memset(&client, 0, sizeof client);
    socklen_t client_length = sizeof client;
    ssize_t length = recvfrom(relay->listener, packet->data, wan->pool.packet_bytes, 0,
                              (struct sockaddr *)&client, &client_length);
    if (length < 0)
        return false;
    packet->length = (uint32_t)length;
    packet->flow = flow_of(relay, &client, client_length);
    return true;
}

static bool receive_from_server(struct wan *wan, struct relay *relay, struct packet *packet)
{
    for (uint32_t looked = 0; looked < relay->flow_count; looked++) {
        uint32_t i = (relay->next + looked) % relay->flow_count;
        ssize_t length = recv(relay->flows[i].upstream, packet->data, wan->pool.packet_bytes, 0);
        if (length < 0)
            continue; /* nothing there, or the server's port is closed (ECONNREFUSED) */
        packet->length = (uint32_t)length;
        packet->flow = i;
        relay->next = i;
        return true;
    }
    return false;
}

static bool relay_receive(struct wan *wan, unsigned direction, struct packet *packet)
{
    struct relay *relay = wan->carried;
    return direction == A_TO_B ? receive_from_client(wan, relay, packet)
                               : receive_from_server(wan, relay, packet);
}

static bool relay_send(struct wan *wan, unsigned direction, const struct packet *packet)
{
    struct relay *relay = wan->carried;
    if (packet->flow == FLOW_LIMIT)
        return false;
    const struct flow *flow = &relay->flows[packet->flow];
    ssize_t sent;
    if (direction == A_TO_B)
        sent = send(flow->upstream, packet->data, packet->length, 0);
    else
        sent = sendto(relay->listener, packet->data, packet->length, 0,
                      (const struct sockaddr *)&flow->client, flow->client_length);
    return sent == (ssize_t)packet->length;
}

static unsigned relay_poll(struct wan *wan, struct pollfd *polled, unsigned limit)
{
    const struct relay *relay = wan->carried;
    INVARIANT(limit > relay->flow_count);
    polled[0] = (struct pollfd){.fd = relay->listener, .events = POLLIN};
    for (uint32_t i = 0; i < relay->flow_count; i++)
        polled[i + 1] = (struct pollfd){.fd = relay->flows[i].upstream, .events = POLLIN};
    return relay->flow_count + 1;
}

const struct carrier relay_carrier = {
    .open = relay_open,
    .close = relay_close,
    .receive = relay_receive,
    .send = relay_send,
    .poll = relay_poll,
};
