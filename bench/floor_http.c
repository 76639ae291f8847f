/* SPDX-License-Identifier: Apache-2.0
 *
 * The practical floor of HTTP on one core: a bare epoll server. It looks for the end of a head, knows "/large" from other paths, and
 * sends a ready-made answer. It checks nothing and handles no partial writes beyond trying again: it is only there to be measured against.
 * With a file of a certificate and its key: the same over TLS.
 *
 *   floor_http ADDRESS PORT SMALL_BYTES LARGE_BYTES [PEM]
 */
#include "base/memory.h"
#include "loop/loop.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <signal.h>
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

struct client {
    int fd;
    SSL *tls; /* NULL: in clear */
};

static ssize_t put(struct client *client, const char *data, size_t length)
{
    if (!client->tls)
        return send(client->fd, data, length, MSG_NOSIGNAL);
    int sent = SSL_write(client->tls, data, (int)length);
    errno = sent <= 0 && SSL_get_error(client->tls, sent) == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return sent <= 0 ? -1 : sent;
}

/* 0: the client is gone. */
static ssize_t get(struct client *client, char *data, size_t room)
{
    if (!client->tls)
        return recv(client->fd, data, room, 0);
    int got = SSL_read(client->tls, data, (int)room);
    errno = EAGAIN;
    return got > 0 ? got : SSL_get_error(client->tls, got) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static void send_all(struct client *client, const struct answer *answer)
{
    for (size_t done = 0; done < answer->length;) {
        ssize_t sent = put(client, answer->data + done, answer->length - done);
        if (sent < 0 && errno != EAGAIN)
            return;
        if (sent > 0)
            done += (size_t)sent;
    }
}

/* False: the client is gone. */
static bool serve(struct client *client, const struct answer *small, const struct answer *large)
{
    char head[HEAD_BYTES];
    ssize_t got = get(client, head, sizeof head);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    if (got >= 4 && memcmp(head + got - 4, "\r\n\r\n", 4) == 0)
        send_all(client,
                 memcmp(head, "GET /large", 10) && memcmp(head, "GET /100k", 9) ? small : large);
    return true;
}

static SSL_CTX *make_context(const char *pem)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, pem) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, pem, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "floor_http: %s has no certificate and key\n", pem);
        exit(1);
    }
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

static void welcome(int poll, int fd, SSL_CTX *context)
{
    struct client *client = NEW(struct client);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    client->fd = fd;
    socket_set_nodelay(fd);
    if (context) {
        client->tls = SSL_new(context);
        SSL_set_fd(client->tls, fd);
        SSL_set_accept_state(client->tls);
    }
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

static void leave(struct client *client)
{
    SSL_free(client->tls);
    close(client->fd);
    memory_free(client);
}

int main(int count, char **words)
{
    struct address address;
    int listener;
    if (count < 5 || count > 6 || address_parse(span_text(words[1]), &address) < 0) {
        fprintf(stderr, "usage: floor_http ADDRESS PORT SMALL_BYTES LARGE_BYTES [PEM]\n");
        return 2;
    }
    address.port = (uint16_t)atoi(words[2]);
    if (socket_listen_tcp(&address, 0, &listener) < 0) {
        perror("floor_http");
        return 1;
    }
    struct answer small = make_answer((size_t)atol(words[3])),
                  large = make_answer((size_t)atol(words[4]));
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    SSL_CTX *context = count == 6 ? make_context(words[5]) : NULL;
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (client) {
                if (!serve(client, &small, &large))
                    leave(client);
                continue;
            }
            struct address peer;
            int fd;
            while (socket_accept(listener, &peer, &fd) == 0)
                welcome(poll, fd, context);
        }
    }
}
