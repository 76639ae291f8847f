/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/gateway: how an origin is spoken to, and a connection to it as bytes both ways, whatever lies below: TCP or a Unix
 * socket, the PROXY protocol's header, TLS.
 */
#ifndef GATEWAY_CONNECTION_H
#define GATEWAY_CONNECTION_H

#include "base/list.h"
#include "conf/conf.h"
#include "http/http.h"
#include "tls/tls.h"

struct gateway_worker;
struct origin_pool;
struct origin_connection;

/* ---- manner.c: what a site says of it, the same object for all sites and workers that say the same. Immutable. */
struct origin_manner {
    struct list link; /* in the gateway's */
    uint32_t references;
    uint64_t print[2]; /* of the settings */
    enum conf_origin_proxy proxy;
    bool is_tls;
    struct tls_dialer *dialer; /* NULL with is_tls: none could be made, and nothing is asked */
    char *name;                /* that the origin is asked for; NULL: that of its URL */
};

struct gateway_manners;
struct gateway_manners *gateway_manners_new(void);
void gateway_manners_free(struct gateway_manners **freed); /* behind its users */
/* On each worker after a reload: those of all sites. */
void gateway_manners_reload(struct gateway_worker *worker);
void gateway_manners_clear(struct gateway_worker *worker);
/* Lasts until the worker's next reload unless it is retained. */
struct origin_manner *gateway_manner_of(struct gateway_worker *worker, const struct conf_site *site,
                                        const struct conf_origin *origin);
struct origin_manner *gateway_manner_retain(struct gateway_worker *worker,
                                            struct origin_manner *manner);
void gateway_manner_release(struct gateway_worker *worker, struct origin_manner **released);
/* By which fields origins learn of the client: for http_add_forwarded(). */
unsigned gateway_manner_fields(const struct conf_site *site);

/* ---- share.c: what all workers have of an origin's address together. Any worker. */
struct origin_share;
struct gateway_shares;
struct gateway_shares *gateway_shares_new(void);
void gateway_shares_free(struct gateway_shares **freed); /* behind its users */
struct origin_share *origin_share_get(struct gateway_worker *worker, const struct address *address);
void origin_share_release(struct origin_share **released);
/* So many more or fewer at this worker. */
void origin_share_count(struct origin_share *share, const struct gateway_worker *worker,
                        int connections, int idle);
/* Whether this worker may keep one more, of `keep_most` that all may keep. */
bool origin_share_may_keep(struct origin_share *share, struct gateway_worker *worker,
                           uint32_t keep_most);
/* Before another one is opened: where there are `limit` already, one that idles goes. */
void origin_share_make_room(struct origin_share *share, struct gateway_worker *worker,
                            uint32_t limit);

/* ---- fault.c: what origins do wrong, counted by cause */
// clang-format off
#define GATEWAY_FAULT_LIST(X)                                     \
    X(NO_ANSWER, "no_answer")         /* ended before its first byte */ \
    X(TRUNCATED, "truncated")         /* or in the middle */      \
    X(STATUS_LINE, "status_line")                                 \
    X(STATUS, "status")               /* one that does not fit */ \
    X(LINE_END, "line_end") \
    X(FIELD, "field")                                             \
    X(HEAD_LONG, "head_long")                                     \
    X(FRAMING, "framing")             /* lengths and codings */   \
    X(CHUNK, "chunk")                                             \
    X(TRAILER, "trailer")                                         \
    X(INFORMATIONAL, "informational") /* too many of them */      \
    X(UNASKED, "unasked")             /* bytes before a request or behind an answer */ \
    X(OTHER, "other")
// clang-format on

enum gateway_fault {
#define X(name, word) GATEWAY_FAULT_##name,
    GATEWAY_FAULT_LIST(X)
#undef X
        GATEWAY_FAULTS
};
struct metric *gateway_fault_metric(enum gateway_fault fault);
enum gateway_fault gateway_fault_of(enum http_cause cause);
uint64_t gateway_faults_read(void); /* all together */
void gateway_faults_register(void);

/* ---- connection.c */
void gateway_connections_register(void); /* metrics */

/* Whose request it is, for the PROXY protocol. */
struct origin_caller {
    struct address client; /* family 0: nobody's */
    uint16_t edge_port;
};

/* A new one that is being connected, watched. ERROR_LIMIT: this system has no descriptors or ports left; other errors are the origin's. */
MUST_USE int origin_connection_open(struct gateway_worker *worker, struct origin_pool *pool,
                                    const struct origin_caller *caller,
                                    struct origin_connection **opened);
/* An event on one that is_connecting. 0: it is ready for a request; ERROR_AGAIN; other errors: it has failed, and why is counted. */
MUST_USE int origin_connection_advance(struct origin_connection *connection, uint32_t events);
void origin_connection_free(struct origin_connection **freed);

/* As socket_read() into its `in`, and socket_write() of its `out`. */
MUST_USE int origin_connection_read(struct origin_connection *connection, uint32_t limit,
                                    bool *ended);
MUST_USE int origin_connection_write(struct origin_connection *connection);
void origin_connection_shut(struct origin_connection *connection); /* nothing follows from here */
/* EPOLLIN, EPOLLOUT: what its user wants to do. */
MUST_USE int origin_connection_want(struct origin_connection *connection, uint32_t events);
/* False: the origin has said something that nobody asked for (which is counted), or has ended. */
bool origin_connection_is_quiet(struct origin_connection *connection);
bool origin_connection_is_for(const struct origin_connection *connection,
                              const struct origin_caller *caller);

/* The header for that caller; returns its length. */
size_t origin_proxy_header(enum conf_origin_proxy proxy, const struct origin_caller *caller,
                           uint8_t out[HTTP_PROXY_WRITTEN_MOST]);

#endif
