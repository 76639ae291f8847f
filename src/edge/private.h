/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: workers, client connections, passed-through ports.
 */
#ifndef EDGE_PRIVATE_H
#define EDGE_PRIVATE_H

#include "edge/edge.h"
#include "edge/front/guard.h"
#include "edge/front/tls.h"
#include "h2/h2.h"
#include "http/http.h"
#include "measure/measure.h"
#include "observe/observe.h"

enum {
    EDGE_HELD_MOST = 65536,      /* bytes held for a client's socket, and for its stream */
    EDGE_READ_MOST = 65536,      /* bytes of a client read in one turn */
    EDGE_PIPELINE_MOST = 16384,  /* bytes of further requests held while one is answered */
    EDGE_ACCEPTS = 16,           /* connections taken from a listener in one turn */
    EDGE_HANDSHAKES = 4,         /* steps of TLS handshakes in one turn, of some 300 us each */
    EDGE_LINGER_BYTES = 1 << 20, /* thrown away of a request that was answered before its end */
    EDGE_LISTENERS_MOST = 64,
    EDGE_BUCKET_SETS = 16384,   /* of rate limits: 65536 keys in 1 MiB */
    EDGE_REQUEST_ID_BYTES = 33, /* 32 hexadecimal digits and a NUL */
    EDGE_SNAPSHOT_BYTES = 9,    /* 8 hexadecimal digits and a NUL */
    EDGE_DECISION_RULES = 16,   /* numbers of rules in a decision's id */
    EDGE_DECISION_BYTES = EDGE_SNAPSHOT_BYTES + EDGE_DECISION_RULES * 6,
};
#define EDGE_LINGER_NS       (2ull * 1000000000)  /* where the edge is no edge any more */
#define EDGE_ACCEPT_PAUSE_NS (100ull * 1000000)   /* out of descriptors: others get time to end */
#define EDGE_WARN_EVERY_NS   (10ull * 1000000000) /* of the same limit */

/* Time-outs, for the counters: word, text. */
// clang-format off
#define EDGE_TIMEOUT_LIST(X)                                                                        \
    X(PROXY,     "proxy_protocol", "the PROXY header did not come in time")                         \
    X(HANDSHAKE, "handshake", "the handshake took too long")                                        \
    X(FIRST,     "first", "no request came")                                                        \
    X(HEADER,    "header", "the request did not come in time")                                      \
    X(IDLE,      "idle", "no further request came")                                                 \
    X(UPLOAD,    "upload", "the request did not come in time")                                      \
    X(DOWNLOAD,  "download", "the client took its answer too slowly")                               \
    X(GATEWAY,   "gateway", "no answer came in time")                                               \
    X(ANSWER,    "answer", "the origin stood still")                                                \
    X(TUNNEL,    "tunnel", "nobody said anything")                                                  \
    X(LINGER,    "linger", "the client did not close")
// clang-format on

enum edge_timeout {
#define X(name, word, text) EDGE_TIMEOUT_##name,
    EDGE_TIMEOUT_LIST(X)
#undef X
        EDGE_TIMEOUTS
};

struct edge_worker;

/* Where connections come in. */
struct edge_entrance {
    size_t port_index; /* of conf->self->edge->ports; SIZE_MAX: HTTP */
    bool is_tls;
};

struct edge_listener {
    struct loop_watch watch;
    struct edge_worker *worker;
    struct edge_entrance entrance;
    bool is_udp;
};

/* Where prefetch.c is in its lists: those of the sites, then the node's own. */
struct edge_prefetch {
    struct loop_timer timer;
    size_t list, next;
    uint64_t started_ns, round_ns, ticked_ns;
    uint64_t credit_ns; /* times the rate: a URL costs a second */
    uint32_t round_s;   /* that a round takes */
};

struct edge_worker {
    struct edge *edge;
    struct worker *worker;
    struct loop *loop;
    struct random random;
    struct list clients;      /* struct edge_h1 */
    struct list h2_clients;   /* struct edge_h2 */
    struct list ports;        /* struct edge_port */
    struct list greetings;    /* struct edge_greeting */
    struct list proxied;      /* struct edge_proxied */
    struct list waiting;      /* struct edge_waiting */
    struct edge_flows *flows; /* NULL: there was none yet */
    struct edge_listener listeners[EDGE_LISTENERS_MOST];
    size_t listener_count;
    struct loop_timer accept_pause;
    bool is_paused, has_no_descriptors;
    uint64_t warned_ns;  /* of the limit of connections; 0: never */
    uint64_t refused_ns; /* of a client network's share; 0: never */
    uint64_t refusals;   /* since then */
    uint32_t connections;
    uint64_t handshakes_turn;  /* of the loop, in which */
    uint32_t handshakes;       /* so many steps of handshakes were taken */
    struct http_limits limits; /* of the configuration, as of the last accepted connection */
    struct loop_timer second;  /* keeps `date` */
    char date[HTTP_DATE_BYTES];
    struct text log_line; /* room for one line of the access log */
    struct edge_visitors *visitors;
    struct edge_sites *sites;
    struct edge_channels *_Atomic channels; /* channels.h; NULL before it starts */
    struct rules_matcher *matcher;
    struct edge_encoding *encoding;
    struct list refreshes; /* of refresh.c */
    uint32_t refresh_count;
    struct list fetches; /* of fetch.c */
    uint32_t fetches_unread;
    struct loop_timer store_tick;  /* of the first worker */
    struct edge_prefetch prefetch; /* likewise */
};

struct edge_step; /* exchange.h */
struct edge_disk; /* store.c */
struct store;

struct edge {
    struct edge_options options;
    const struct edge_step *const *steps; /* what becomes of a request; NULL ends them */
    struct edge_worker *workers;          /* by worker id */
    struct store *store;                  /* NULL: nothing is kept */
    struct edge_loads *loads;             /* loads.h */
    struct edge_lines *lines;             /* line.h */
    struct edge_purges *purges;           /* purges.h; NULL: likewise */
    struct edge_disk *disk;               /* what was told of its disk tier */
    struct log_file *access_log;
    bool access_log_is_json;
    struct edge_tls *tls;
    struct edge_keeper *keeper;    /* encodes stored answers, of encode_stored.c */
    struct rules_buckets *buckets; /* of rate limits, shared by the workers */
    struct edge_countries *countries;
    struct edge_shares *shares;  /* of client networks, likewise */
    _Atomic uint64_t unread_kib; /* of all of them */
    _Atomic int admin;           /* enum edge_admin */
    _Atomic bool ends_idle;      /* it drains, and connections do not wait for another request */
};

static inline const struct conf *edge_conf(const struct edge_worker *worker)
{
    return conf_current(&worker->edge->options.conf);
}

/* Not draining: connections may be kept. */
static inline bool edge_is_up(const struct edge_worker *worker)
{
    return atomic_load_explicit(&worker->edge->admin, memory_order_relaxed) == EDGE_UP;
}

/* ---- limits.c */
void edge_limits_take(struct edge_worker *worker); /* into worker->limits */
void edge_limits_h2(const struct edge_worker *worker, struct h2_settings *settings);
/* Counts it, and says what it was. */
const char *edge_timed_out(enum edge_timeout timeout);
void edge_limits_register_metrics(void);
json_t *edge_timeouts_status(void); /* how often each; a new reference */
/* ---- guard.c */
void edge_guard_status(json_t *status); /* members for the edge's */

/* ---- listener.c */
MUST_USE int edge_listeners_open(struct edge_worker *worker);
void edge_listeners_close(struct edge_worker *worker);
/* A connection ended: accepting may go on. */
void edge_listeners_client_left(struct edge_worker *worker, struct edge_share *share);
/* Takes the descriptor of an arrival that was counted: a passed-through port's, TLS, or in clear. */
void edge_enter(struct edge_worker *worker, const struct edge_arrival *arrival,
                const struct edge_entrance *entrance);
void edge_tls_accept(struct edge_worker *worker, const struct edge_arrival *arrival);

/* ---- proxied.c */
/* Its connections begin with a header of the PROXY protocol. */
bool edge_proxied_is_from(const struct edge_worker *worker, const struct address *peer);
void edge_proxied_start(struct edge_worker *worker, const struct edge_arrival *arrival,
                        const struct edge_entrance *entrance);
void edge_proxied_abort(struct edge_worker *worker);
void edge_proxied_register_metrics(void);

/* ---- h1.c: clients' connections */
/* Takes the descriptor. */
/* `tls` NULL: in clear. */
void edge_client_start(struct edge_worker *worker, const struct edge_arrival *arrival,
                       struct tls_context *tls);
void edge_clients_drain(struct edge_worker *worker); /* ends the idle ones */
void edge_clients_abort(struct edge_worker *worker);

/* ---- h2.c */
struct edge_visitor;
struct edge_wire;
/* The client speaks HTTP/2: takes the wire, and what was read of it. */
void edge_h2_start(struct edge_worker *worker, struct edge_wire *wire,
                   const struct edge_visitor *visitor, struct slice_queue *in);
void edge_h2_clients_drain(struct edge_worker *worker); /* says GOAWAY */
void edge_h2_clients_abort(struct edge_worker *worker);

/* ---- port.c */
void edge_port_start(struct edge_worker *worker, const struct edge_arrival *arrival,
                     size_t port_index);
/* Where a connection is carried to. */
struct edge_port_target {
    const struct conf_site *site;
    uint16_t port; /* of the origin */
    uint8_t ring;
    bool is_secure;
};
void edge_port_carry(struct edge_worker *worker, const struct edge_arrival *arrival,
                     const struct conf *conf, const struct edge_port_target *target);
void edge_ports_abort(struct edge_worker *worker);

/* ---- greeting.c: connections at a TLS listener whose site is not known yet. All of these take the descriptor. */
void edge_greeting_start(struct edge_worker *worker, const struct edge_arrival *arrival);
void edge_greetings_abort(struct edge_worker *worker);

/* ---- flow.c */
/* A datagram waits at the UDP port with that index. */
void edge_flows_receive(struct edge_worker *worker, int fd, size_t port_index);
void edge_flows_follow(struct edge_worker *worker); /* other listeners, another configuration */
void edge_flows_abort(struct edge_worker *worker);

/* ---- route.c */
/* The link for a connection or a flow of the site, which is of that snapshot; NULL: none is up. Requests go by channels.h. */
struct link *edge_route_pick(struct edge_worker *worker, const struct conf *conf,
                             const struct conf_site *site, uint8_t class);
/* Some link to a gateway of the site is up. */
bool edge_route_exists(const struct edge_worker *worker, const struct conf *conf,
                       const struct conf_site *site);
json_t *edge_routes_status(const struct edge *edge); /* any thread; a new reference */
bool edge_route_serves(const struct conf *conf,
                       const struct conf_site *site); /* this edge is one of the site's */

/* ---- timing.c */
/* Member of the access log, metric of Server-Timing, its description. */
// clang-format off
#define EDGE_LEG_LIST(X)                                                                            \
    X(CLIENT_HEAD, "client_head_us", "head", "request head")                                        \
    X(CLIENT_BODY, "client_body_us", "body", "request body")                                        \
    X(EDGE, "edge_us", "edge", "edge")                                                              \
    X(UPSTREAM, "upstream_us", "upstream", "to the origin and back")                                \
    X(LINK_RTT, "link_rtt_us", "link", "round trip of the link")                                    \
    X(QUEUE, "queue_us", "queue", "gateway queue")                                                  \
    X(CONNECT, "connect_us", "connect", "origin connect")                                           \
    X(ORIGIN_FIRST_BYTE, "origin_first_byte_us", "origin", "origin first byte")                     \
    X(ORIGIN, "origin_us", "whole", "origin whole")
// clang-format on

enum edge_leg {
#define X(name, member, token, text) EDGE_LEG_##name,
    EDGE_LEG_LIST(X)
#undef X
        EDGE_LEG_COUNT
};
struct edge_legs {
    uint64_t us[EDGE_LEG_COUNT];
    uint32_t known; /* bit for each that is */
};
const char *edge_leg_name(enum edge_leg leg); /* "queue_us" */

/* ---- access_log.c */
struct access_facts {
    const struct tls_facts *tls; /* NULL: in clear */
    const struct address *client;
    const char *protocol;            /* "HTTP/1.1" */
    const struct http_head *request; /* method_text.length 0: it could not be read */
    const char *request_id, *site, *gateway, *cause;
    const char *trace_id, *decision; /* empty: none */
    struct span cache;               /* as in Cache-Status, without the name; empty: no cache */
    struct edge_legs legs;
    unsigned status;
    uint64_t began_wall_ns, first_byte_ns, total_ns; /* since the request's first byte */
    uint64_t bytes_in, bytes_out;                    /* of bodies */
};
/* The line alone, with its newline; at most 8000 bytes, whatever the client sent. */
void edge_access_line(struct text *line, bool is_json, const struct access_facts *facts);
void edge_access_log_write(struct edge_worker *worker, const struct access_facts *facts);

/* ---- visitors.c: their round trips */
struct edge_visitors *edge_visitors_new(uint64_t seed);
void edge_visitors_free(struct edge_visitors **freed);
void edge_visitors_sample(struct edge_worker *worker, int fd, const struct address *peer);
/* The same for a connection that is long: at most once a second. */
struct edge_sampled {
    uint64_t at_ns; /* 0: never */
};
void edge_visitors_sample_again(struct edge_worker *worker, struct edge_sampled *last, int fd,
                                const struct address *peer);
void edge_visitors_second(struct edge_worker *worker);

/* ---- sites.c: what each site's visitors got lately */
struct edge_site_request {
    unsigned status; /* 0: there was no answer */
    uint64_t bytes, total_ns;
    bool was_looked_up, was_held; /* in the store; which had it */
};
struct edge_sites *edge_sites_new(void);
void edge_sites_free(struct edge_sites **freed);
void edge_sites_count(struct edge_sites *sites, const char *name, uint64_t now_ns,
                      const struct edge_site_request *request);
/* Thousandths of what was lately looked up that the store had; 0 where nothing was. Any thread. */
unsigned edge_sites_held(struct edge_sites *const *list, size_t count, const char *name);
/* [{"name": ..., "requests": ..., "requests_per_s": ..., "p50_ms": ...}]; any thread; a new reference. */
json_t *edge_sites_status(struct edge_sites *const *list, size_t count, uint64_t now_ns);

/* ---- countries.c: where visitors are, by the maps of the configuration; only where a rule asks */
struct edge_exchange;
struct edge_countries *edge_countries_new(void);
void edge_countries_free(struct edge_countries **freed);
/* May take seconds; on no worker. Negative: sentences in `why`, and those of before stay. */
MUST_USE int edge_countries_prepare(struct edge_countries *countries, const struct conf *conf,
                                    struct text *why);
void edge_countries_take(struct edge_countries *countries); /* what was prepared is in force */
/* Leaves `country` as it is where it is not known, or where no rule of the request's site asks. */
void edge_countries_find(const struct edge_exchange *exchange, uint8_t country[2]);

/* ---- rules.c */
void edge_rules_register_metrics(void);
void edge_classes_register_metrics(void);
json_t *edge_classes_status(void); /* a new reference */

/* ---- trace.c */
void edge_trace_register_metrics(void);
json_t *edge_trace_status(void); /* a new reference */
/* ---- encode.c: what a worker needs for it */
struct edge_encoding *edge_encoding_new(void);
void edge_encoding_free(struct edge_encoding **freed);
void edge_encoding_stop(struct edge_worker *worker); /* when no exchange is left */

/* ---- encode_stored.c */
struct edge_keeper *edge_keeper_new(void);
void edge_keeper_stop(struct edge_keeper *keeper); /* its thread; before the workers are gone */
void edge_keeper_free(struct edge_keeper **freed);

/* ---- slices.c */
void edge_slices_register_metrics(void);

/* ---- prefetch.c */
void edge_prefetch_start(struct edge_worker *worker);
void edge_prefetch_stop(struct edge_worker *worker);

/* ---- refresh.c */
void edge_refresh_register_metrics(void);
void edge_refreshes_abort(struct edge_worker *worker);

/* ---- fetch.c */
void edge_fetches_abort(struct edge_worker *worker);

/* ---- store.c: the one store of all workers */
void edge_store_open(struct edge *edge);
void edge_store_close(struct edge *edge);
void edge_store_start(struct edge_worker *worker); /* its regular work, on the first worker */
void edge_store_stop(struct edge_worker *worker);
json_t *edge_store_status(const struct edge *edge); /* a new reference */
void edge_store_register_metrics(void);
/* Once a second: logs and counts what became of the disk tier. */
void edge_store_second(struct edge *edge, uint64_t now_ns);

/* ---- metrics */
extern struct metric edge_h2_connections, edge_h2_ended[H2_CAUSE_COUNT];
extern struct metric edge_connections, edge_connections_open, edge_requests, edge_answers[6],
    edge_refused, edge_no_gateway, edge_retries, edge_moved, edge_unsent, edge_unsafe_lost,
    edge_aborted, edge_ports, edge_flows, edge_flows_open, edge_flow_datagrams_in,
    edge_flow_datagrams_out, edge_flow_datagrams_dropped, edge_ports_open, edge_paused,
    edge_bytes_in, edge_bytes_out, edge_latency, edge_rtt_samples, edge_visitor_rtt,
    edge_cache_hits, edge_cache_stale, edge_cache_validated, edge_cache_collapsed,
    edge_cache_misses, edge_cache_refreshes, edge_cache_reclassed, edge_cache_purges_refused;

#endif
