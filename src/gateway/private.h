/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/gateway: workers, pools of kept origin connections, requests.
 */
#ifndef GATEWAY_PRIVATE_H
#define GATEWAY_PRIVATE_H

#include "gateway/gateway.h"
#include "gateway/origin/address_table.h"
#include "gateway/origin/connection.h"
#include "http/http.h"
#include "observe/observe.h"

enum {
    GATEWAY_HELD_MOST = 65536, /* bytes held for an origin's socket, for each request */
    GATEWAY_READ_MOST = 65536, /* bytes of an origin read in one turn */
    GATEWAY_ORIGINS_MOST = 64, /* addresses of a site's origins that are used */
    GATEWAY_AWAKE_MOST = 256,  /* requests of a worker that wait and are not parked */
    GATEWAY_AVOID_NS =
        1000000000, /* an origin that refused a connection is the last choice for so long */
};

#define GATEWAY_HEAD_TIMEOUT_NS \
    (10ull * 1000000000) /* from the opening of a stream to the end of its head */

struct origin_connection;
struct gateway_attempt;

/* One origin address, spoken to in one manner, as one worker uses it. */
struct origin_pool {
    struct list link; /* in the worker's list */
    struct address_table_item by_address;
    struct gateway_worker *worker;
    struct address address;
    struct origin_manner *manner;
    struct origin_share *share;
    uint32_t limit;           /* of connections, the least of its sites' */
    char *path;               /* of a Unix socket; NULL: none */
    char *name;               /* that TLS asks for and expects; NULL: none */
    struct tls_memory memory; /* of its sessions */
    struct list idle;         /* kept connections, the last used first */
    uint32_t idle_count, connection_count;
    uint32_t holds;     /* by those who use one of them, or are about to */
    bool is_configured; /* some site of the snapshot has it */
};

struct origin_connection {
    struct loop_watch watch;
    struct loop_timer idle_timer;
    struct loop_task again; /* bytes are there of which the socket says nothing */
    struct list link;       /* in pool->idle */
    struct gateway_worker *worker;
    struct origin_pool *pool;
    struct gateway_attempt *attempt; /* attempt.h; NULL: idle */
    struct slice_queue out, in;
    struct tls_session *tls;     /* NULL: in clear, or not yet */
    struct origin_caller caller; /* whose it is, where the PROXY protocol says so */
    bool is_connecting;          /* up to the end of TLS's handshake */
    bool is_reached;             /* no longer to the end of connect() */
    bool is_reused;
    bool is_spoiled;  /* what nobody asked for has come */
    bool was_counted; /* the handshake */
};

enum { RESOLVED_ADDRESSES = 8 }; /* of a name that are used */

/* An origin's name and what it stood for last. */
struct resolved_name {
    char *host;
    struct address addresses[RESOLVED_ADDRESSES];
    size_t count; /* 0: not known yet */
};

/* A passed-through port. */
struct gateway_port;

struct gateway_worker {
    struct gateway *gateway;
    struct worker *worker;
    struct loop *loop;
    struct random random;
    struct list pools;
    struct address_table pool_table; /* the same by address */
    struct list requests;            /* struct gateway_request, of request.c, */
    struct list awake;               /* and those that wait for a slot and are not parked */
    struct list parked;              /* struct gateway_parked, of parked.c */
    uint32_t awake_count, awake_most;
    struct list ports;   /* struct gateway_port */
    struct list flows;   /* struct gateway_flow */
    struct list owners;  /* struct gateway_owner, of farms of which this worker decides */
    struct list answers; /* tickets of its own requests, for the end of the turn */
    struct loop_task answer_task;
    struct message map_message; /* the map of farms, or the health of servers, has changed */
    struct list purge_sessions;
    struct gateway_loads *loads;  /* loads.c */
    struct message purge_message; /* there is more in the log of purges */
    uint32_t flow_count;
    struct site_manners *manners; /* by site of */
    const struct conf *manners_of;
    size_t manner_count;
    struct site_pools *site_pools; /* likewise, of */
    const struct conf *pools_of;
    size_t site_pool_count;
    struct resolved_name *names; /* of origins, as last resolved */
    size_t name_count;
    struct rules_matcher *matcher; /* for the rows of types */
    struct types_learner *learner; /* what requests have cost */
    struct http_limits limits;
    struct http_limits parked_limits; /* of heads with our own fields in them */
    uint64_t head_timeout_ns; /* for a head, or the record of a port, that an edge began to send */
};

struct gateway_orders;

/* From the order to end on. */
struct gateway_leave {
    _Atomic uint64_t since_ns, until_ns; /* 0: it goes on */
    _Atomic uint32_t others;             /* sessions of other nodes' edges, at the beginning */
    _Atomic uint32_t
        unheard; /* sessions of edges that have not confirmed it, and workers that have not told theirs */
    _Atomic uint64_t heard_ns; /* when that became fewer last */
};

struct gateway {
    struct gateway_options options;
    struct gateway_orders *orders;  /* orders.h */
    struct gateway_worker *workers; /* by worker id */
    struct gateway_manners *manners;
    struct gateway_shares *shares;
    struct gateway_peers *peers;       /* peers.c */
    struct gateway_resolver *resolver; /* worker 0 starts and stops it */
    struct gateway_health *health;     /* likewise */
    struct gateway_purges *purges;     /* purge.h; NULL: there is no log of them */
    struct gateway_leave leave;
    void *_Atomic down;            /* struct gateway_down: what health checks find */
    void *_Atomic map;             /* struct gateway_map, of owner.h */
    const struct conf *mapped;     /* worker 0's: what the map was made of; only to be compared */
    struct gateway_owner **owners; /* worker 0's, of all farms there ever were at a time */
    uint32_t owner_count;
};

static inline const struct conf *gateway_conf(const struct gateway_worker *worker)
{
    return conf_current(&worker->gateway->options.conf);
}

/* The edge behind a link; NULL: the configuration knows it no more. */
static inline const struct conf_node *gateway_edge(const struct conf *conf, const struct link *link)
{
    return link_is_self(link) ? conf->self : conf_find_key(conf, link_peer_key(link));
}

/* ---- origin/pool.c */
void gateway_pools_reload(
    struct gateway_worker
        *worker); /* one for each configured origin; closes the idle connections of others */
void gateway_pools_free(struct gateway_worker *worker);
/* The connections of this worker to that address of the site's origins; NULL: it is none. */
struct origin_pool *gateway_pool_at(struct gateway_worker *worker, const struct conf_site *site,
                                    const struct address *address);
/* While it is held it stays. */
void gateway_pool_hold(struct origin_pool *pool);
void gateway_pool_release(struct origin_pool *pool);
/* A kept connection that may carry the caller's requests, or NULL. */
struct origin_connection *gateway_pool_take(struct origin_pool *pool,
                                            const struct origin_caller *caller);
/* ERROR_LIMIT: this system has no descriptors or ports left, the origin may be well; other errors are the origin's. */
MUST_USE int gateway_pool_connect(struct gateway_worker *worker, struct origin_pool *pool,
                                  const struct origin_caller *caller,
                                  struct origin_connection **connection);
/* origin/share.c: the connection to that address that has been idle for longest goes. */
void gateway_pool_yield(struct gateway_worker *worker, const struct address *address);
/* origin/connection.c: an event. */
void gateway_pool_on_ready(struct origin_connection *connection, uint32_t events);
void gateway_pool_keep(
    struct origin_connection *connection, uint64_t idle_timeout_ns,
    uint32_t keep_most); /* gives it back after use; most that all workers keep */
void gateway_pool_close(struct origin_connection **closed);

/* Where requests for the origin may go at present, at its own port or at another one; returns how many. */
size_t gateway_pool_addresses(const struct gateway_worker *worker, const struct conf_origin *origin,
                              uint16_t port, struct address addresses[RESOLVED_ADDRESSES]);

/* How many origins the site has in that group (NULL: in none) that may have a request of that need; one that is a name counts once for each
 * of its addresses. */
uint32_t gateway_pool_origins(const struct gateway_worker *worker, const struct conf_site *site,
                              const char *group, enum balance_need need);

/* ---- owner/owner.h: who decides which origin a request goes to */
/* Names a part of the servers: those of a group of a site (NULL: those in none) with `port` 0, or those in none at a port of theirs. */
uint64_t gateway_part_key(const char *site, const char *group, uint16_t port);
/* On worker 0: what owners follow (health) has changed. */
void gateway_owners_tell(struct gateway *gateway);
void gateway_owner_metrics_register(void);

/* ---- gateway.c: what a worker is without the threads, timers and logs beside it */
void gateway_worker_init(struct gateway_worker *own, struct gateway *gateway, struct loop *loop);
void gateway_worker_clear(struct gateway_worker *own);
/* Another configuration, or other addresses of its names. */
void gateway_worker_reload(struct gateway_worker *own);

/* ---- origin/health.c: on the first worker */
struct gateway_health;
struct gateway_health *gateway_health_start(struct gateway_worker *worker);
void gateway_health_follow(struct gateway_health *health); /* another configuration */
void gateway_health_stop(struct gateway_health **stopped);
/* Any worker: health checks find the address down, for any of the sites that use it. */
bool gateway_health_finds_down(struct gateway *gateway, const struct address *address);
/* For people: what the check found that took it down; NULL: it is not down. */
const char *gateway_health_cause(struct gateway *gateway, const struct address *address);
void gateway_health_metrics_register(void);

/* ---- origin/resolver.c */
struct gateway_resolver *gateway_resolver_start(struct gateway *gateway,
                                                const struct worker_set *workers,
                                                const struct conf *conf);
void gateway_resolver_follow(struct gateway_resolver *resolver,
                             const struct conf *conf); /* another configuration */
void gateway_resolver_stop(struct gateway_resolver **stopped);
const struct resolved_name *gateway_names_find(const struct resolved_name *names, size_t count,
                                               const char *host); /* NULL: unknown */
void gateway_names_free(struct resolved_name *names, size_t count);
/* Its addresses from now on: those of `before` (NULL: nothing was known) that were found again, in their order, then others that were found. */
void gateway_name_follow(struct resolved_name *name, const struct resolved_name *before,
                         const struct address *found, size_t count);

/* ---- request.c */
void gateway_request_accept(struct gateway_worker *worker, struct link *link,
                            struct link_stream *stream);
void gateway_requests_abort(struct gateway_worker *worker);

/* ---- owner/peers.c: other gateways of the same sites; any thread */
struct gateway_peers;
struct gateway_peers *gateway_peers_new(void);
void gateway_peers_free(struct gateway_peers **freed);
/* What is needed here, and what an edge has heard of others. Thousandths of slots. */
void gateway_peers_need(struct gateway_peers *peers, uint64_t site, uint32_t need_milli);
void gateway_peers_heard(struct gateway_peers *peers, uint64_t site, uint32_t others,
                         uint32_t need_milli, uint64_t now_ns);
/* This gateway's part of so many slots of an origin of that site. */
uint32_t gateway_peers_part(struct gateway_peers *peers, uint64_t site, uint32_t slots,
                            uint64_t now_ns);

/* ---- loads.c */
void gateway_loads_accept(struct gateway_worker *worker, struct link *link,
                          struct link_stream *stream);
void gateway_loads_start(struct gateway_worker *worker);
void gateway_loads_follow(struct gateway_worker *worker); /* another configuration */
void gateway_loads_stop(struct gateway_worker *worker);
void gateway_loads_metrics_register(void);

/* ---- service.c */
struct gateway_service {
    struct link_stream *stream;
    const struct link *from; /* whose edge asks */
    uint16_t port;
    bool is_udp;
};
/* Reads on from the stream's beginning; what follows the record stays in `in`. 0: *site may be had; ERROR_INCOMPLETE: more must
 * come; ERROR_INVALID, ERROR_DENIED: counted, and gateway_service_code() says how the stream ends. */
MUST_USE int gateway_service_read(struct gateway_worker *worker,
                                  const struct gateway_service *service, struct slice_queue *in,
                                  const struct conf_site **site);
uint32_t gateway_service_code(int result);

/* ---- port.c */
void gateway_port_accept(struct gateway_worker *worker, struct link *link,
                         struct link_stream *stream, const struct transport_open *open);
void gateway_ports_abort(struct gateway_worker *worker);

/* ---- flow.c */
void gateway_flow_accept(struct gateway_worker *worker, struct link *link,
                         struct link_stream *stream, const struct transport_open *open);
void gateway_flows_abort(struct gateway_worker *worker);

/* ---- answers to verbs */
/* {"error": sentence}; a new reference. */
json_t *gateway_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- owner/order_ask.c */
/* Those origins that are ejected or not in service, at most ORIGINS_TOLD of them: a new reference. A thread that reads snapshots. */
json_t *gateway_origins_out(struct gateway *gateway, const struct conf *conf);

/* ---- metrics */
extern struct metric gateway_requests, gateway_refused, gateway_ports, gateway_bad_requests,
    gateway_timeouts, gateway_unreachable, gateway_full, gateway_retries, gateway_connections,
    gateway_connections_reused, gateway_connect_failures, gateway_open_requests, gateway_waiting,
    gateway_pending, gateway_wait, gateway_cancelled, gateway_resolve_failures, gateway_flows,
    gateway_flows_open, gateway_parked_requests, gateway_flow_datagrams_in,
    gateway_flow_datagrams_out, gateway_flow_datagrams_dropped, gateway_origins_down,
    gateway_origins_ejected;

#endif
