/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway: the end of the link near the origin. It accepts streams, checks each against its own allow-list of (edge, site, port),
 * and carries requests to the site's origins over kept connections, or raw ports to the same port of an origin (T10). Destinations
 * never come from the wire. Requests wait for their turn in the queue of the site's servers (L3).
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "conf/conf.h"
#include "failure/failure.h"
#include "link/link.h"
#include "loop/loop.h"
#include "queue/queue.h"

#include <jansson.h>

struct gateway;

struct gateway_options {
    struct conf_source conf;
    uint32_t workers;
    bool
        has_purges; /* it has a log of purges: two descriptors, open for reading and writing, which stay the caller's */
    int purge_files[2];
    bool has_orders; /* a file for orders to origins: a descriptor, likewise */
    int orders_file;
};

struct gateway *gateway_new(const struct gateway_options *options);
void gateway_free(struct gateway **freed); /* after the workers have stopped */
MUST_USE int gateway_start(struct gateway *gateway, struct worker *worker); /* on each worker */
void gateway_follow_shares(struct gateway *gateway,
                           struct worker *worker); /* on each worker, after conf_set_shares() */
void gateway_reload(struct gateway *gateway,
                    struct worker *worker); /* on each worker, after the snapshot was swapped */
void gateway_stop(struct gateway *gateway, struct worker *worker);
/* For link_options.accept; `argument` is the gateway. */
void gateway_accept(void *argument, struct link *link, struct link_stream *stream,
                    const struct transport_open *open);

/* What the node's load follows from; any thread. */
struct gateway_counts {
    uint32_t requests_open;
    uint64_t requests; /* since the start */
};
/* Edges are told until then that it ends soon: they send what comes elsewhere, those that can. On the main thread. */
void gateway_leave(struct gateway *gateway, struct worker_set *workers, uint64_t until_ns);
/* They have heard of it, and what was under way has ended. Any thread. */
bool gateway_has_left(const struct gateway *gateway);
/* There is no other node's edge that would have been told. */
bool gateway_is_alone(const struct gateway *gateway);
/* Another process of this node serves: it writes the log of purges, too. */
void gateway_set_replaced(struct gateway *gateway);
/* Answers {"verb": "purge", ...} (docs/operation.md); a new reference. On the main thread. NULL: this node is no gateway. */
json_t *gateway_purge_inquire(struct gateway *gateway, const struct conf *conf,
                              const json_t *question);
/* Answers {"verb": "origin", ...}; likewise. */
json_t *gateway_origin_inquire(struct gateway *gateway, struct worker_set *workers,
                               const struct conf *conf, const json_t *question);
/* The queue before a site's origins, as of the last tenth of a second. Sites that share a server share a queue. */
struct gateway_queue_server {
    struct address address;
    struct queue_server_report report;
    struct failure_server_report failure;
};
struct gateway_queue_facts {
    uint64_t at_ns;
    struct queue_report queue;
    struct gateway_queue_server servers[QUEUE_SERVERS_MOST];
    size_t server_count;
};
/* Any thread that reads snapshots; for this turn. NULL: no request has come for it yet, or this gateway does not serve it. */
const struct gateway_queue_facts *gateway_queue_read(struct gateway *gateway, const char *site);
/* Answers {"verb": "queue", "site": optional}; a new reference. A thread that reads snapshots. NULL: this node is no gateway. */
json_t *gateway_queue_inquire(struct gateway *gateway, const struct conf *conf,
                              const json_t *question);
struct gateway_counts gateway_read_counts(const struct gateway *gateway);
json_t *gateway_status(struct gateway *gateway); /* any thread; a new reference */

#endif
