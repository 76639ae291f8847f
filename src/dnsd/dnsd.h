/* SPDX-License-Identifier: Apache-2.0
 *
 * The DNS server (R1, R5, R8): sockets and threads around dns/, director/ and measure/. A thread for each UDP
 * descriptor answers in batches; workers with loops carry TCP connections; the first of them also hears the edges'
 * reports and has the director rank again whenever a state changed.
 *
 * Functions here are called from a thread that is none of its own, one at a time.
 */
#ifndef DNSD_DNSD_H
#define DNSD_DNSD_H

#include "base/text.h"
#include "conf/conf.h"
#include "crypto/crypto.h"
#include "director/director.h"
#include "measure/measure.h"

struct dnsd;

/* Descriptors that are bound already and stay the caller's: they are never closed here, so that a successor can go
 * on with them. Several of one address (SO_REUSEPORT) share its load. */
struct dnsd_sockets {
    const int *udp;
    size_t udp_count;
    const int *tcp; /* listening */
    size_t tcp_count;
    const int *tls; /* listening, for DNS over TLS */
    size_t tls_count;
    int reports; /* UDP; -1: none, then every edge is taken to be up */
};

enum {
    DNSD_SOCKETS_LIMIT = 1024,
    DNSD_TCP_QUERY_BYTES = 4096, /* longest message over TCP */
};

struct dnsd_options {
    const struct conf *conf;     /* read during the call only; `self` has the role */
    const struct crypto *crypto; /* outlives the server */
    uint64_t seed;               /* random */
    uint32_t workers;            /* for TCP; 0: one for each core */
    struct dnsd_sockets sockets;
};

/* 0, or a negative error with sentences in `why`. */
MUST_USE int dnsd_start(struct dnsd **dnsd, const struct dnsd_options *options, struct text *why);
void dnsd_stop(struct dnsd **dnsd);

/* The part of a reload that may take seconds, with large maps and zones. A thread of the caller's, while others of its
 * threads go on with anything but a reload or stop. What it made is kept for dnsd_reload() with the same configuration. */
MUST_USE int dnsd_prepare(struct dnsd *dnsd, const struct conf *conf, struct text *why);

/* Zones, sites and edges of a new configuration, at once for every query that comes later; on an error the old ones stay.
 * Sockets are not touched. */
MUST_USE int dnsd_reload(struct dnsd *dnsd, const struct conf *conf, struct text *why);

/* Whether what the configuration says can be served: all that dnsd_start() would complain of. */
MUST_USE int dnsd_check(const struct conf *conf, struct text *why);

/* For the command line. DS records of a signed zone; what an offline key signing key is to sign, and the signatures. 0, or
 * a negative error with a sentence in `why`. */
MUST_USE int dnsd_dnssec_ds(const struct conf *conf, const char *zone, struct text *text,
                            struct text *why);
MUST_USE int dnsd_dnssec_request(const struct conf *conf, const char *zone, uint32_t from_s,
                                 uint32_t until_s, struct text *text, struct text *why);
/* `record` and `secret`: of files X.key and X.private. */
MUST_USE int dnsd_dnssec_sign(struct span request, struct span record, struct span secret,
                              struct text *text, struct text *why);

/* Another process serves: nothing more is accepted over TCP; what is open goes on until dnsd_is_drained(), or dnsd_stop(). */
void dnsd_leave(struct dnsd *dnsd);
bool dnsd_is_drained(const struct dnsd *dnsd);

/* An administrator's word on an edge; it holds over reloads and outranks the edge's reports. */
enum dnsd_admin { DNSD_ADMIN_UP, DNSD_ADMIN_DRAIN, DNSD_ADMIN_DOWN };
MUST_USE int dnsd_edge_set(struct dnsd *dnsd, const char *edge,
                           enum dnsd_admin admin); /* ERROR_NOT_FOUND */

/* A process of this node orders a certificate, and the authority is to see that; again and again while it is needed. */
void dnsd_prove(struct dnsd *dnsd, const struct measure_proof *proof);

/* {"zones":1,"names":12,"fail_open":false,"forsaken_sites":0,"edges":[{"name":"fra","state":"live",...}]} */
void dnsd_write_status(struct dnsd *dnsd, struct text *json);

/* What is known of the round trips between the client's network and the edges:
 * [{"edge":"fra","source":"visitors","rtt_us":21000,"samples":12,"silent":false,"ms_ago":1500}] */
void dnsd_write_latencies(struct dnsd *dnsd, const struct address *client, struct text *json);

/* What is known of the nodes, for a front end of content servers in the same process. Edges and servers (nodes with the agent
 * role) are numbered in the order of the configuration. */
struct dnsd_told {
    const char *conf_hash; /* of the configuration whose numbers these are */
    const struct director_node_facts *edges, *servers;
    size_t edge_count, server_count;
    const struct latency_table *latencies; /* nodes are edge numbers */
    uint64_t now_ns;
};
/* From now on `listen` is told on the first worker: at once, each second, and when an edge's state changed. NULL ends
 * that: nothing is told any more when this has returned. */
typedef void dnsd_listen(void *owner, const struct dnsd_told *told);
void dnsd_tell(struct dnsd *dnsd, dnsd_listen *listen, void *owner);

struct dnsd_question {
    const char *name; /* that is asked for */
    const struct address *client;
    const char *const *supposed; /* "edge=fra:down", "edge=fra:load=950", "policy=sum latency" */
    size_t supposed_count;
};

/* Why the client gets the answer that it gets, or would get (R6): {"name", "client", "network", "region", "policy", "answered": ["fra"],
 * "candidates": [{"edge", "fate", "score", "values": {...}}]}; with "alias" where another level answers; with "error" alone
 * where the question is wrong. */
void dnsd_write_explanation(struct dnsd *dnsd, const struct dnsd_question *question,
                            struct text *json);

/* So that a supervisor's proof of life covers the answers too: how long ago the slowest of the TCP workers came round. */
uint64_t dnsd_worker_age_ns(const struct dnsd *dnsd);

#endif
