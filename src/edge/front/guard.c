/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets in, and who goes for it; and the two steps that keep a client network to its share of requests.
 */
#include "edge/exchange.h"

#include <unistd.h>

#define YOUNG_NS 1000000000ull /* nobody is ended sooner: a request takes a round trip to come */
enum {
    CROWD_PART = 16, /* but of a network that has more than this part of all connections */
    CROWD_SEARCH = 32,
    UNREAD_PART = 128, /* so much of what may be unread is free for any network */
};

/* word, text */
// clang-format off
#define KIND_LIST(X)                                                  \
    X(CONNECTIONS, "connections", "connections at once")              \
    X(CONNECTION_RATE, "connection_rate", "new connections a second") \
    X(REQUESTS, "requests", "requests at once")                       \
    X(REQUEST_RATE, "request_rate", "requests a second")              \
    X(UNREAD, "unread", "answers that nobody takes")
// clang-format on

enum kind {
#define X(name, word, text) KIND_##name,
    KIND_LIST(X)
#undef X
        KINDS
};

static const char *const kind_texts[] = {
#define X(name, word, text) text,
    KIND_LIST(X)
#undef X
};
static struct metric refused[KINDS] = {
#define X(name, word, text)                                                                      \
    [KIND_##name] = METRIC(COUNTER, "causeway_edge_clients_refused_total", "limit=\"" word "\"", \
                           "Connections and requests beyond a client network's share."),
    KIND_LIST(X)
#undef X
};
static struct metric uncounted =
    METRIC(COUNTER, "causeway_edge_clients_uncounted_total", "",
           "Connections let in uncounted, the table of client networks being full.");
static struct metric evicted =
    METRIC(COUNTER, "causeway_edge_evicted_total", "",
           "Connections without a request that were ended to make room for new ones.");

static struct metric unread_bytes =
    METRIC(GAUGE, "causeway_edge_unread_bytes", "",
           "Of answers that clients do not take, in pieces of 16 KiB.");

void edge_guard_register_metrics(void)
{
    metric_register(&unread_bytes);
    for (size_t i = 0; i < KINDS; i++)
        metric_register(&refused[i]);
    metric_register(&uncounted);
    metric_register(&evicted);
}

void edge_guard_status(json_t *status)
{
    static const char *const words[] = {
#define X(name, word, text) word,
        KIND_LIST(X)
#undef X
    };
    json_t *kinds = json_object();
    for (size_t i = 0; i < KINDS; i++)
        json_object_set_new(kinds, words[i], json_integer((json_int_t)metric_read(&refused[i])));
    json_object_set_new(status, "clients_refused", kinds);
    json_object_set_new(status, "evicted", json_integer((json_int_t)metric_read(&evicted)));
    json_object_set_new(status, "unread_bytes",
                        json_integer((json_int_t)metric_read(&unread_bytes)));
}

static const struct conf_clients *settings(const struct edge_worker *worker)
{
    const struct conf_edge *edge = edge_conf(worker)->self->edge;
    return edge ? &edge->clients : NULL;
}

/* Counts it; one line a while tells whose it was. */
static void note_refusal(struct edge_worker *worker, enum kind kind, const struct address *client)
{
    uint64_t now_ns = loop_now_ns(worker->loop);
    const struct conf_clients *conf = settings(worker);
    char text[ADDRESS_TEXT_BYTES];
    metric_add(&refused[kind], 1);
    worker->refusals++;
    if (!conf || (worker->refused_ns && now_ns - worker->refused_ns < EDGE_WARN_EVERY_NS))
        return;
    struct network network = edge_share_network(client, conf->ipv4_bits, conf->ipv6_bits);
    log_warning("edge",
                "%s has its share of %s (edge.clients): refused; %lu refusals of any "
                "network since the last such line",
                network_text(&network, text), kind_texts[kind], worker->refusals);
    worker->refused_ns = now_ns;
    worker->refusals = 0;
}

/* ---- connections */

static bool is_exempt(const struct conf_clients *conf, const struct address *client)
{
    for (size_t i = 0; i < conf->exempt.count; i++)
        if (network_has(&conf->exempt.items[i], client))
            return true;
    return false;
}

static bool has_room(struct edge_worker *worker, const struct conf_clients *conf,
                     struct edge_share *share, const struct address *client)
{
    if (conf->connections && edge_share_connections(share) > conf->connections) {
        note_refusal(worker, KIND_CONNECTIONS, client);
        return false;
    }
    if (conf->connections_per_s &&
        edge_share_take(share, EDGE_SHARE_CONNECTIONS, conf->connections_per_s, conf->burst_ns,
                        loop_now_ns(worker->loop))) {
        note_refusal(worker, KIND_CONNECTION_RATE, client);
        return false;
    }
    return true;
}

bool edge_guard_admit(struct edge_worker *worker, struct edge_arrival *arrival)
{
    const struct conf_clients *conf = settings(worker);
    const struct address *client = &arrival->client;
    if (!conf || is_exempt(conf, client))
        return true;
    struct network network = edge_share_network(client, conf->ipv4_bits, conf->ipv6_bits);
    struct edge_share *share = edge_shares_enter(worker->edge->shares, &network);
    if (!share) {
        metric_add(&uncounted, 1);
        return true;
    }
    if (!has_room(worker, conf, share, client)) {
        edge_share_leave(share);
        return false;
    }
    arrival->share = share;
    return true;
}

void edge_guard_refuse(struct edge_worker *worker, int fd)
{
    socket_set_reset_on_close(fd); /* nothing of it is to be kept, in the kernel either */
    close(fd);
    edge_listeners_client_left(worker, NULL);
}

/* ---- room for new ones */

void edge_waiting_init(struct edge_waiting *waiting, const struct edge_share *share,
                       void (*evict)(struct edge_waiting *waiting))
{
    list_init(&waiting->link);
    waiting->share = share;
    waiting->evict = evict;
}

void edge_waiting_begin(struct edge_worker *worker, struct edge_waiting *waiting)
{
    list_remove(&waiting->link);
    list_push_back(&worker->waiting, &waiting->link);
    waiting->since_ns = loop_now_ns(worker->loop);
}

static struct edge_waiting *waiting_of(struct list *link)
{
    return CONTAINER_OF(link, struct edge_waiting, link);
}

/* In a flood of one network others must not wait until its connections are a second old: nearly all that wait are of it, so that few are
 * looked at. */
static struct edge_waiting *of_crowd(struct edge_worker *worker)
{
    const struct conf_edge *conf = edge_conf(worker)->self->edge;
    struct list *link = worker->waiting.next;
    for (int i = 0; conf && i < CROWD_SEARCH && link != &worker->waiting; i++, link = link->next) {
        const struct edge_share *share = waiting_of(link)->share;
        if (share && edge_share_connections(share) > conf->connections_limit / CROWD_PART)
            return waiting_of(link);
    }
    return NULL;
}

uint64_t edge_guard_make_room(struct edge_worker *worker)
{
    if (list_is_empty(&worker->waiting))
        return UINT64_MAX;
    struct edge_waiting *oldest = waiting_of(worker->waiting.next), *goes = oldest;
    if (oldest->since_ns + YOUNG_NS > loop_now_ns(worker->loop) && !(goes = of_crowd(worker)))
        return oldest->since_ns + YOUNG_NS;
    metric_add(&evicted, 1);
    goes->evict(goes);
    return 0;
}

/* ---- answers that clients do not take */

void edge_unread_tell(struct edge_worker *worker, struct edge_share *share,
                      struct edge_unread *unread, uint32_t kib)
{
    int32_t more = (int32_t)(kib - unread->kib);
    if (!share)
        return; /* exempt, or a proxy's own: nobody's memory is held against them */
    edge_share_add_unread(share, more);
    atomic_fetch_add_explicit(&worker->edge->unread_kib, (uint64_t)(int64_t)more,
                              memory_order_relaxed);
    metric_add(&unread_bytes, (uint64_t)((int64_t)more * 1024));
    unread->kib = kib;
}

/* A network may hold as much as is free: one of them half of what there is, two a third each, so that there is always something left for
 * others, and nobody need count the networks (the dynamic thresholds of Choudhury and Hahne, 1998). */
static bool leaves_unread(const struct edge_worker *worker, const struct edge_share *share)
{
    const struct conf_edge *conf = edge_conf(worker)->self->edge;
    uint64_t most_kib = conf ? conf->unread_bytes / 1024 : 0, kib = edge_share_unread(share);
    if (!most_kib || kib <= most_kib / UNREAD_PART)
        return false;
    uint64_t all_kib = atomic_load_explicit(&worker->edge->unread_kib, memory_order_relaxed);
    return all_kib + kib > most_kib;
}

/* ---- requests */

static enum edge_next refuse(struct edge_exchange *exchange, enum kind kind, uint64_t wait_ns)
{
    note_refusal(exchange->worker, kind, &exchange->visitor->address);
    edge_exchange_page_later(exchange, 429,
                             kind == KIND_UNREAD ? "this network does not take its answers"
                                                 : "too many requests of this network",
                             wait_ns);
    return EDGE_TAKEN;
}

static enum edge_next take_rate(struct edge_exchange *exchange)
{
    struct edge_share *share = exchange->visitor->share;
    const struct conf_clients *conf = share ? settings(exchange->worker) : NULL;
    if (!conf || exchange->front->is_background)
        return EDGE_NEXT;
    if (leaves_unread(exchange->worker, share))
        return refuse(exchange, KIND_UNREAD, 1000000000);
    if (!conf->requests_per_s)
        return EDGE_NEXT;
    uint64_t wait_ns = edge_share_take(share, EDGE_SHARE_REQUESTS, conf->requests_per_s,
                                       conf->burst_ns, loop_now_ns(exchange->worker->loop));
    return wait_ns ? refuse(exchange, KIND_REQUEST_RATE, wait_ns) : EDGE_NEXT;
}

const struct edge_step edge_step_rate = {.name = "rate", .take = take_rate};

/* What is answered here costs little; what goes to an origin holds one of its connections. */
static enum edge_next take_share(struct edge_exchange *exchange)
{
    struct edge_share *share = exchange->visitor->share;
    const struct conf_clients *conf = share ? settings(exchange->worker) : NULL;
    if (!conf || exchange->front->is_background)
        return EDGE_NEXT;
    if (!edge_share_begin(share, conf->requests))
        return refuse(exchange, KIND_REQUESTS, 1000000000);
    exchange->has_share = true;
    return EDGE_NEXT;
}

static void on_over(struct edge_exchange *exchange)
{
    if (exchange->has_share)
        edge_share_end(exchange->visitor->share);
    exchange->has_share = false;
}

const struct edge_step edge_step_share = {.name = "share", .take = take_share, .over = on_over};
