/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/gateway: purges of the sites whose first gateway this is (C2).
 *
 *   purge_ask.c      causeway purge -> orders, tickets     main thread
 *   purge.c          orders -> the log                      a thread of its own: it waits for the disk
 *   purge_session.c  the log -> edges, and what they say    each edge's on its link's worker
 */
#ifndef GATEWAY_PURGE_H
#define GATEWAY_PURGE_H

#include "gateway/private.h"
#include "gateway/purges/purge_log.h"
#include "standing/standing.h"

#include <pthread.h>

enum {
    PURGE_ORDERS_MOST = 256, /* waiting for the log at once */
    PURGE_BATCH_MOST = 256,  /* purges that share one wait for the disk */
    PURGE_ITEMS_MOST = 64,   /* of one order, each of which may be two purges */
    PURGE_TICKETS = 1024,    /* results of orders that are remembered */
};

/* Purges on their way into the log. */
struct purge_order {
    struct list link;
    uint64_t ticket; /* 0: nobody asks for it */
    size_t count;
    struct purge purges[2 * PURGE_ITEMS_MOST];
    struct text what[2 * PURGE_ITEMS_MOST]; /* its own bytes */
};

struct purge_ticket {
    uint64_t number; /* of the ticket; 0: free */
    bool is_done;
    int result;
    uint64_t site, first, last; /* numbers given */
};

/* A site whose purges are numbered here. */
struct purge_own {
    uint64_t site;
    size_t index; /* in the configuration */
};

struct gateway_purges {
    struct gateway *gateway;
    const struct worker_set *workers; /* NULL: not started */
    struct purge_log *log;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* of all below; before that of the log */
    pthread_cond_t changed;
    bool is_stopping, is_replaced, has_new_sites;
    struct purge_own *own; /* ascending by site */
    size_t own_count;
    uint64_t own_hash; /* of these sites and their edges */
    struct list orders;
    size_t order_count;
    struct purge_ticket tickets[PURGE_TICKETS];
    uint64_t last_ticket;
    struct list sessions; /* struct purge_session: in_all */
};

/* What an edge has of a site. */
struct purge_session_site {
    uint64_t site;
    uint64_t claimed; /* as it said when it came */
    uint64_t sent, done;
};

/* One process of an edge. */
struct purge_session {
    struct standing standing; /* among its worker's */
    struct list in_all;
    struct gateway_worker *worker;
    struct purge_session_site *sites; /* ascending; changed on the worker under the lock */
    size_t site_count, site_capacity;
    uint64_t place; /* in the log: the next one to look at */
    uint64_t mark;
    bool has_mark; /* to be answered when all that it lacks was sent */
    bool has_hello;
    bool is_stale; /* under the lock: to come again, what it was told is no longer so */
};

/* ---- purge.c */
struct gateway_purges *gateway_purges_new(struct gateway *gateway); /* NULL: it has no log */
/* Its thread: started on the first worker. */
void gateway_purges_start(struct gateway_purges *purges, const struct worker_set *workers);
void gateway_purges_follow(struct gateway_purges *purges);       /* another configuration */
void gateway_purges_set_replaced(struct gateway_purges *purges); /* another process numbers too */
void gateway_purges_stop(struct gateway_purges *purges);
void gateway_purges_free(struct gateway_purges **freed);
/* Takes the order. ERROR_LIMIT: too many wait. */
MUST_USE int gateway_purges_order(struct gateway_purges *purges, struct purge_order **order,
                                  uint64_t *ticket);
void purge_order_free(struct purge_order **freed);
/* This node numbers the site's purges: it is the first gateway of a site with a cache. */
static inline bool gateway_numbers(const struct conf *conf, const struct conf_site *site)
{
    return site->cache.is_on && site->gateway_count && site->gateways[0] == conf->self;
}
/* Under the lock. NULL: its purges are not numbered here. */
const struct purge_own *gateway_purges_own(const struct gateway_purges *purges, uint64_t site);

/* ---- purge_session.c */
void gateway_purge_accept(struct gateway_worker *worker, struct link *link,
                          struct link_stream *stream);
/* On each worker: there is more in the log, or sessions are stale. */
void gateway_purge_sessions_run(struct gateway_worker *worker);
void gateway_purge_sessions_abort(struct gateway_worker *worker);
/* Under the lock. NULL: it does not have the site. */
const struct purge_session_site *purge_session_site(const struct purge_session *session,
                                                    uint64_t site);

/* ---- purge_ask.c */
json_t *gateway_purges_status(struct gateway_purges *purges, const struct conf *conf);

extern struct metric gateway_purges_numbered, gateway_purge_edges, gateway_purge_log_bytes,
    gateway_purge_compactions, gateway_purge_failures, gateway_purge_raised;
void gateway_purge_metrics_register(void);

#endif
