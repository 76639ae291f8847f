/* SPDX-License-Identifier: Apache-2.0
 *
 * The practical floor of HTTP on one core: a bare epoll server. It looks for the end of a head, knows "/large" from other paths, and
 * sends a ready-made answer. It checks nothing and handles no partial writes beyond trying again: it is only there to be measured against.
 *
 *   floor_http ADDRESS PORT SMALL_BYTES LARGE_BYTES
 */
#include "base/memory.h"
#include "loop/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, HEAD_BYTES = 4096 };

struct answer {
    char *data;
    size_t length;
};

static struct answer make_answer(size_t body)
{
    char head[128];
    size_t length =
        (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body);
    struct answer answer = {memory_new(length + body), length + body};
    memcpy(answer.data, head, length);
    return answer;
}

static void send_all(int fd, const struct answer *answer)
{
    for (size_t done = 0; done < answer->length;) {
        ssize_t sent = send(fd, answer->data + done, answer->length - done, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return;
        if (sent > 0)
            done += (size_t)sent;
    }
}

/* False: the client is gone. */
static bool serve(int fd, const struct answer *small, const struct answer *large)
{
    char head[HEAD_BYTES];
    ssize_t got = recv(fd, head, sizeof head, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    if (got >= 4 && memcmp(head + got - 4, "\r\n\r\n", 4) == 0)
        send_all(fd, memcmp(head, "GET /large", 10) == 0 ? large : small);
    return true;
}

int main(int count, char **words)
{
    struct address address;
    int listener;
    if (count != 5 || address_parse(span_text(words[1]), &address) < 0) {
        fprintf(stderr, "usage: floor_http ADDRESS PORT SMALL_BYTES LARGE_BYTES\n");
        return 2;
    }
    address.port = (uint16_t)atoi(words[2]);
    if (socket_listen_tcp(&address, 0, &listener) < 0) {
        perror("floor_http");
        return 1;
    }
    struct answer small = make_answer((size_t)atol(words[3])),
                  large = make_answer((size_t)atol(words[4]));
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                if (!serve(fd, &small, &large))
                    close(fd);
                continue;
            }
            struct address peer;
            int client;
            while (socket_accept(listener, &peer, &client) == 0) {
                socket_set_nodelay(client);
                event = (struct epoll_event){.events = EPOLLIN, .data.fd = client};
                epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
            }
        }
    }
}
