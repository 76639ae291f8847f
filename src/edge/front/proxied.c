/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of trusted proxies (W8): they begin with a header that says whose they are. It is looked at where the kernel keeps it and
 * taken alone, so that whoever gets the connection finds it as the visitor began it.
 */
#include "edge/private.h"

#include "base/memory.h"

#include <sys/socket.h>
#include <unistd.h>

struct edge_proxied {
    struct list link;
    struct edge_waiting waiting;
    struct edge_worker *worker;
    struct loop_watch watch;
    struct loop_timer timer;
    struct edge_arrival arrival;
    struct edge_entrance entrance;
    size_t seen; /* bytes that were looked at */
};

static struct metric taken = METRIC(COUNTER, "causeway_edge_proxy_headers_total", "",
                                    "Connections whose proxy said who is behind it.");
static struct metric failed = METRIC(COUNTER, "causeway_edge_proxy_failures_total", "",
                                     "Connections of proxies that began with no good header.");

void edge_proxied_register_metrics(void)
{
    metric_register(&taken);
    metric_register(&failed);
}

bool edge_proxied_is_from(const struct edge_worker *worker, const struct address *peer)
{
    const struct conf_edge *conf = edge_conf(worker)->self->edge;
    for (size_t i = 0; conf && i < conf->proxy_protocol.from.count; i++)
        if (network_has(&conf->proxy_protocol.from.items[i], peer))
            return true;
    return false;
}

static void let_go(struct edge_proxied *proxied)
{
    struct loop *loop = proxied->worker->loop;
    loop_watch_remove(loop, &proxied->watch);
    loop_timer_stop(loop, &proxied->timer);
    list_remove(&proxied->link);
    edge_waiting_end(&proxied->waiting);
    memory_free(proxied);
}

static void give_up(struct edge_proxied *proxied)
{
    struct edge_worker *worker = proxied->worker;
    int fd = proxied->arrival.fd;
    let_go(proxied);
    edge_guard_refuse(worker, fd);
}

static void fail(struct edge_proxied *proxied, const char *why)
{
    char text[ADDRESS_TEXT_BYTES];
    metric_add(&failed, 1);
    log_debug("edge", "%s: %s", address_text(&proxied->arrival.client, true, text), why);
    give_up(proxied);
}

/* The visitor's connection begins here. */
static void go_on(struct edge_proxied *proxied, const struct http_proxy_header *header)
{
    struct edge_worker *worker = proxied->worker;
    struct edge_arrival arrival = proxied->arrival;
    struct edge_entrance entrance = proxied->entrance;
    metric_add(&taken, 1);
    let_go(proxied);
    socket_set_low_mark(arrival.fd, 1);
    if (!header->is_local) {
        arrival.client = header->source;
        arrival.local = header->destination;
        arrival.is_proxied = true;
        if (!edge_guard_admit(worker, &arrival)) {
            edge_guard_refuse(worker, arrival.fd);
            return;
        }
    }
    edge_enter(worker, &arrival, &entrance);
}

static void look(struct edge_proxied *proxied)
{
    uint8_t bytes[HTTP_PROXY_HEADER_MOST];
    struct http_proxy_header header;
    int fd = proxied->arrival.fd;
    ssize_t got = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    size_t here = got > 0 ? (size_t)got : 0;
    int result = http_proxy_header_parse(span_of(bytes, here), &header);
    if (result == 0 && recv(fd, bytes, header.length, MSG_DONTWAIT) == (ssize_t)header.length)
        go_on(proxied, &header);
    else if (result != ERROR_INCOMPLETE)
        fail(proxied, "no header of the PROXY protocol");
    else if (here <= proxied->seen)
        fail(proxied, "left before its PROXY header was complete"); /* woken for no further byte */
    else {
        proxied->seen = here;
        socket_set_low_mark(fd, here + 1);
    }
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    look(CONTAINER_OF(watch, struct edge_proxied, watch));
}

static void on_late(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    fail(CONTAINER_OF(timer, struct edge_proxied, timer), edge_timed_out(EDGE_TIMEOUT_PROXY));
}

static void evict(struct edge_waiting *waiting)
{
    give_up(CONTAINER_OF(waiting, struct edge_proxied, waiting));
}

void edge_proxied_start(struct edge_worker *worker, const struct edge_arrival *arrival,
                        const struct edge_entrance *entrance)
{
    const struct conf_edge *conf = edge_conf(worker)->self->edge;
    struct edge_proxied *proxied = NEW(struct edge_proxied);
    proxied->worker = worker;
    proxied->watch = (struct loop_watch){.fd = arrival->fd, .ready = on_ready};
    proxied->timer.fire = on_late;
    proxied->arrival = *arrival;
    proxied->entrance = *entrance;
    list_push_back(&worker->proxied, &proxied->link);
    edge_waiting_init(&proxied->waiting, NULL, evict);
    edge_waiting_begin(worker, &proxied->waiting);
    uint64_t limit_ns = conf ? conf->proxy_protocol.timeout_ns : EDGE_LINGER_NS;
    loop_timer_start(worker->loop, &proxied->timer, loop_now_ns(worker->loop) + limit_ns);
    if (loop_watch_set(worker->loop, &proxied->watch, EPOLLIN) < 0)
        give_up(proxied);
}

void edge_proxied_abort(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->proxied)
        give_up(CONTAINER_OF(item, struct edge_proxied, link));
}
