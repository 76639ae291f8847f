/* SPDX-License-Identifier: Apache-2.0
 *
 * An origin with set delays, like an application server with so many workers: GET /anything/MILLISECONDS keeps one of them for so long
 * (times SLOWNESS), then is answered with BYTES; what finds all of them busy waits in its backlog, first come first served. A client that
 * leaves is not noticed. GET /stats: what was served, and the most that were pending at a time, since this was asked last; requests
 * of clients that have left are forgotten then, so that one measurement does not burden the next.
 *
 *   slow_origin ADDRESS PORT WORKERS SLOWNESS BYTES
 */
#include "base/error.h"
#include "base/memory.h"
#include "loop/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_BYTES = 8192, STATS_BYTES = 256 };

struct client {
    struct loop_watch watch;
    struct loop_timer timer; /* while a worker has its request */
    struct list link;        /* in the backlog */
    struct slice_queue out;
    size_t head_length;
    uint64_t takes_ns;
    bool is_pending, is_gone;
    char head[HEAD_BYTES];
};

static struct loop *loop;
static struct list backlog = {&backlog, &backlog};
static uint32_t workers, busy, pending, pending_most;
static uint64_t served, abandoned;
static double slowness;
static char *body;
static size_t body_length;

static void free_client(struct client *client)
{
    if (client->watch.fd >= 0)
        loop_watch_close(loop, &client->watch);
    slice_queue_clear(&client->out);
    memory_free(client);
}

static void flush(struct client *client)
{
    int result = socket_write(client->watch.fd, &client->out);
    uint32_t events = client->out.count ? EPOLLIN | EPOLLOUT : EPOLLIN;
    if (result < 0 || loop_watch_set(loop, &client->watch, events) < 0)
        free_client(client);
}

static void answer(struct client *client, const char *text, size_t length)
{
    char head[128];
    int head_length =
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
    slice_queue_append(&client->out, (struct span){(const uint8_t *)head, (size_t)head_length});
    slice_queue_append(&client->out, (struct span){(const uint8_t *)text, length});
    flush(client);
}

static void work_on(struct client *client)
{
    busy++;
    loop_timer_start(loop, &client->timer, clock_now_ns() + client->takes_ns);
}

static void done(struct loop *of, struct loop_timer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, timer);
    (void)of;
    busy--;
    pending--;
    struct list *next = list_pop_front(&backlog);
    if (next)
        work_on(CONTAINER_OF(next, struct client, link));
    client->is_pending = false;
    served++;
    if (client->is_gone) {
        abandoned++;
        free_client(client);
    } else {
        answer(client, body, body_length);
    }
}

static void forget_the_gone(void)
{
    LIST_EACH (item, after, &backlog) {
        struct client *client = CONTAINER_OF(item, struct client, link);
        if (!client->is_gone)
            continue;
        list_remove(&client->link);
        pending--;
        free_client(client);
    }
}

static void take(struct client *client)
{
    if (memcmp(client->head, "GET /stats ", 11) == 0) {
        char text[STATS_BYTES];
        int length = snprintf(text, sizeof text,
                              "{\"served\": %lu, \"abandoned\": %lu, \"pending_most\": %u}\n",
                              (unsigned long)served, (unsigned long)abandoned, pending_most);
        forget_the_gone();
        pending_most = pending;
        served = abandoned = 0;
        answer(client, text, (size_t)length);
        return;
    }
    const char *end = strstr(client->head, " HTTP/1.");
    const char *number = end;
    while (number && number > client->head && number[-1] != '/')
        number--;
    client->takes_ns = (uint64_t)((number ? atof(number) : 0) * slowness * 1e6);
    client->is_pending = true;
    if (++pending > pending_most)
        pending_most = pending;
    if (busy < workers)
        work_on(client);
    else
        list_push_back(&backlog, &client->link);
}

/* Its request goes on. */
static void leave(struct client *client)
{
    client->is_gone = true;
    if (!client->is_pending)
        free_client(client);
    else
        loop_watch_close(loop, &client->watch);
}

static void on_client(struct loop *of, struct loop_watch *watch, uint32_t events)
{
    struct client *client = CONTAINER_OF(watch, struct client, watch);
    (void)of;
    if (events & EPOLLOUT) {
        flush(client);
        return;
    }
    ssize_t got = recv(watch->fd, client->head + client->head_length,
                       sizeof client->head - 1 - client->head_length, 0);
    if (got <= 0) {
        leave(client);
        return;
    }
    client->head_length += (size_t)got;
    client->head[client->head_length] = 0;
    if (strstr(client->head, "\r\n\r\n") == NULL)
        return;
    client->head_length = 0;
    take(client);
}

static void on_listener(struct loop *of, struct loop_watch *watch, uint32_t events)
{
    struct address peer;
    int fd;
    (void)events;
    while (socket_accept(watch->fd, &peer, &fd) == 0) {
        struct client *client = NEW(struct client);
        client->watch = (struct loop_watch){.fd = fd, .ready = on_client};
        client->timer.fire = done;
        list_init(&client->link);
        socket_set_nodelay(fd);
        if (loop_watch_set(of, &client->watch, EPOLLIN) < 0)
            free_client(client);
    }
}

static void stop(int number)
{
    (void)number;
    loop_stop(loop);
}

int main(int count, char **words)
{
    struct address address;
    int listener;
    if (count != 6 || address_parse(span_text(words[1]), &address) < 0 || atoi(words[3]) <= 0) {
        fprintf(stderr, "usage: slow_origin ADDRESS PORT WORKERS SLOWNESS BYTES\n");
        return 2;
    }
    address.port = (uint16_t)atoi(words[2]);
    workers = (uint32_t)atoi(words[3]);
    slowness = atof(words[4]);
    body_length = (size_t)atol(words[5]);
    body = memory_new(body_length + 1);
    memset(body, 'x', body_length);
    if (socket_listen_tcp(&address, 0, &listener) < 0) {
        perror("slow_origin");
        return 1;
    }
    loop = loop_new();
    signal(SIGTERM, stop);
    struct loop_watch watch = {.fd = listener, .ready = on_listener};
    if (loop_watch_set(loop, &watch, EPOLLIN) < 0)
        return 1;
    loop_run(loop);
    return 0;
}
