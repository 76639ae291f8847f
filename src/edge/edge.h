/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge: speaks HTTP/1.1 and HTTP/2 to visitors, carries each request over the link to a gateway, and passes TCP ports through (T10).
 *
 * Memory of a connection: about 2 KiB idle; with a request at most EDGE_HELD_MOST for the client and as much from it, besides what the
 * stream's window holds; where a client of TLS takes no more, as much once more, encrypted.
 */
#ifndef EDGE_EDGE_H
#define EDGE_EDGE_H

#include "conf/conf.h"
#include "link/link.h"
#include "loop/loop.h"

#include <jansson.h>

struct edge;

enum edge_admin { EDGE_UP, EDGE_DRAIN, EDGE_DOWN };

/* Listening sockets, one of each for each worker: [listener * workers + worker]. Not closed here. */
struct edge_listeners {
    const int *http;
    size_t http_count;
    const int *tls;
    size_t tls_count;
    const int *ports; /* in the order of conf->self->edge->ports */
    size_t port_count;
};

struct edge_options {
    struct conf_source conf;
    struct link_set *links;
    uint32_t workers;
    uint8_t public_key[CONF_KEY_BYTES]; /* of this node */
    struct edge_listeners listeners;    /* copied */
    bool waits;                         /* nobody is accepted before edge_serve() */
    int cache_folder;                   /* of the disk tier, a descriptor; -1: it cannot be used */
};

struct edge *edge_new(const struct edge_options *options);
void edge_free(struct edge **freed); /* after the workers have stopped */
MUST_USE int edge_start(struct edge *edge, struct worker *worker); /* on each worker */
void edge_serve(struct edge *edge, struct worker_set *workers);
/* What of a reload may take seconds: of a configuration that edge_reload() follows, on any thread that is no worker. */
MUST_USE int edge_prepare(struct edge *edge, const struct conf *conf, struct text *why);
/* After the snapshot was swapped: other listeners. Called on no worker; returns when all workers have them. */
void edge_reload(struct edge *edge, struct worker_set *workers,
                 const struct edge_listeners *listeners);
/* The same folder is harmless, another one takes its place. */
void edge_use_cache_folder(struct edge *edge, int folder);
/* Accepts nothing more, and lets go of the cache's folder. Idle connections end; with `keeps_idle` only behind their next answer, so that no request meets a
 * connection that is being closed. */
void edge_drain(struct edge *edge, struct worker_set *workers, bool keeps_idle);
/* Its store may be used: no purge is known to be missing. Main thread. */
bool edge_is_current(const struct edge *edge, struct text *why);
bool edge_is_drained(const struct edge *edge);
void edge_stop(struct edge *edge, struct worker *worker);
void edge_set_admin(
    struct edge *edge,
    enum edge_admin
        state); /* any thread; draining: answers close their connections, reports say so */

/* What the node's load follows from; any thread. Counters are since the start. */
struct edge_counts {
    enum edge_admin admin;
    uint32_t connections; /* open */
    uint64_t requests, bytes;
};
struct edge_counts edge_read_counts(const struct edge *edge);
/* The next round trip of visitors that is worth telling; false: none at present. On one thread, which may be any. */
struct measure_latency;
bool edge_next_latency(struct edge *edge, struct measure_latency *latency);
/* What it holds of a site with a cache: the one behind `*at`, which begins at 0 and is moved on; false: no more. A reader's thread. */
struct measure_held;
bool edge_next_held(const struct edge *edge, size_t *at, struct measure_held *held);
json_t *edge_status(struct edge *edge); /* any thread; a new reference */
/* The stored URLs of a site that were asked for most: {"site": NAME, "most": N}; on no worker; a new reference. */
json_t *edge_hottest(const struct edge *edge, const json_t *question);

#endif
