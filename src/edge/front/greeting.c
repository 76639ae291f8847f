/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections at a TLS listener before anybody answers (T10, R13): the name in the client's first message says whether the edge ends
 * them or the site's origin does. The message is looked at where the kernel keeps it and taken by nobody, so that whoever gets the
 * connection finds it whole. Only where a site of this edge passes through.
 */
#include "edge/private.h"

#include "base/memory.h"

#include <sys/socket.h>
#include <unistd.h>

enum {
    RECORD_HEADS_BYTES = 4096, /* of a message that comes in many records */
    PEEK_BYTES = TLS_HELLO_LIMIT + RECORD_HEADS_BYTES,
};

struct edge_greeting {
    struct list link;
    struct edge_waiting waiting;
    struct edge_worker *worker;
    struct loop_watch watch;
    struct loop_timer timer;
    struct edge_arrival arrival;
    size_t seen; /* bytes that were looked at */
};

/* The descriptor is the caller's from here on. */
static struct edge_arrival let_go(struct edge_greeting *greeting)
{
    struct loop *loop = greeting->worker->loop;
    struct edge_arrival arrival = greeting->arrival;
    loop_watch_remove(loop, &greeting->watch);
    loop_timer_stop(loop, &greeting->timer);
    list_remove(&greeting->link);
    edge_waiting_end(&greeting->waiting);
    memory_free(greeting);
    socket_set_low_mark(arrival.fd, 1);
    return arrival;
}

static void give_up(struct edge_greeting *greeting, enum tls_failure failure)
{
    struct edge_worker *worker = greeting->worker;
    edge_tls_count_failure(failure);
    struct edge_arrival arrival = let_go(greeting);
    close(arrival.fd);
    edge_listeners_client_left(worker, arrival.share);
}

/* Who ends the connection; NULL: the edge. */
static const struct conf_site *passed_site(const struct conf *conf, struct span name)
{
    char host[TLS_NAME_BYTES];
    if (!name.length || name.length >= sizeof host)
        return NULL;
    for (size_t i = 0; i < name.length; i++)
        host[i] = (char)ascii_lower(name.data[i]);
    const struct conf_site *site = conf_find_host(conf, span_of(host, name.length));
    return site && site->tls && site->tls->passes_through && edge_route_serves(conf, site) ? site
                                                                                           : NULL;
}

static void decide(struct edge_greeting *greeting, struct span name)
{
    struct edge_worker *worker = greeting->worker;
    const struct conf *conf = edge_conf(worker);
    const struct conf_site *site = passed_site(conf, name);
    struct edge_arrival arrival = let_go(greeting);
    if (site)
        edge_port_carry(worker, &arrival, conf,
                        &(struct edge_port_target){site, site->tls->origin_port, site->ring, true});
    else
        edge_tls_accept(worker, &arrival);
}

static void look(struct edge_greeting *greeting)
{
    uint8_t bytes[PEEK_BYTES], scratch[TLS_HELLO_LIMIT];
    struct tls_hello hello;
    ssize_t got = recv(greeting->watch.fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    size_t here = got > 0 ? (size_t)got : 0;
    int result = tls_hello_parse(span_of(bytes, here), scratch, &hello);
    if (here && result != ERROR_INCOMPLETE)
        decide(greeting, hello.name); /* a malformed one: whoever ends it says so */
    else if (here == sizeof bytes)
        give_up(greeting, TLS_FAILURE_MALFORMED);
    else if (here <= greeting->seen)
        give_up(greeting, TLS_FAILURE_CLOSED); /* woken for no further byte: that was the end */
    else {
        greeting->seen = here;
        socket_set_low_mark(greeting->watch.fd, here + 1);
    }
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    look(CONTAINER_OF(watch, struct edge_greeting, watch));
}

static void on_late(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    edge_timed_out(EDGE_TIMEOUT_HANDSHAKE);
    give_up(CONTAINER_OF(timer, struct edge_greeting, timer), TLS_FAILURE_TIMEOUT);
}

static void evict(struct edge_waiting *waiting)
{
    give_up(CONTAINER_OF(waiting, struct edge_greeting, waiting), TLS_FAILURE_CLOSED);
}

void edge_greeting_start(struct edge_worker *worker, const struct edge_arrival *arrival)
{
    const struct conf_edge *conf = edge_conf(worker)->self->edge;
    struct edge_greeting *greeting = NEW(struct edge_greeting);
    greeting->worker = worker;
    greeting->watch = (struct loop_watch){.fd = arrival->fd, .ready = on_ready};
    greeting->timer.fire = on_late;
    greeting->arrival = *arrival;
    list_push_back(&worker->greetings, &greeting->link);
    edge_waiting_init(&greeting->waiting, arrival->share, evict);
    edge_waiting_begin(worker, &greeting->waiting);
    uint64_t limit_ns = conf && conf->tls ? conf->tls->handshake_timeout_ns : EDGE_LINGER_NS;
    loop_timer_start(worker->loop, &greeting->timer, loop_now_ns(worker->loop) + limit_ns);
    if (loop_watch_set(worker->loop, &greeting->watch, EPOLLIN) < 0)
        give_up(greeting, TLS_FAILURE_CLOSED);
}

void edge_greetings_abort(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->greetings)
        give_up(CONTAINER_OF(item, struct edge_greeting, link), TLS_FAILURE_CLOSED);
}
