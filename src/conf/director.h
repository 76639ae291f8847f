/* SPDX-License-Identifier: Apache-2.0
 *
 * How the best edge is found, and the best content server and exit: policies, borders, servers, redirects (docs/director.md,
 * docs/redirect.md). Part of conf.h.
 */
#ifndef CONF_DIRECTOR_H
#define CONF_DIRECTOR_H

#include "conf/values.h"

/* A program of the director: how edges are ranked. */
struct conf_policy {
    const char *name;
    const char *steps;
};

/* The last term of the path metric: as published, or as its comment has it (H5). */
enum conf_last_term { CONF_LAST_BORDER, CONF_LAST_PLACE };

/* The front end of content servers: redirects clients to the best server and exit (H1). */
struct conf_director {
    struct conf_addresses listen;      /* HTTP */
    const struct conf_border *contact; /* where its clients come in; default: the first border */
    enum conf_last_term last_term;     /* border */
    struct conf_networks trusted_proxies;
    uint32_t connections_limit; /* 65536 */
    uint32_t header_bytes;      /* 8192: request line and fields each */
    uint64_t header_timeout_ns; /* 15 s */
    uint64_t idle_timeout_ns;   /* 75 s */
};

/* How far our own network reaches from a border, one way. */
struct conf_reach {
    const char *point; /* a border or a place */
    uint32_t us;
};

/* What a client network's ping of the border is where none was measured. */
struct conf_ping {
    struct network network;
    uint32_t us;
};

/* A border router through which content servers may answer (H5, H7). */
struct conf_border {
    const char *name;
    size_t index;
    const struct conf_node *node; /* whose pings are the border's; NULL: none */
    struct conf_reach *internal;
    size_t internal_count;
    struct conf_ping *pings;
    size_t ping_count;
};

/* The name of a server's alias address whose answers leave through the border (H7). */
struct conf_exit {
    const struct conf_border *border;
    const char *name; /* host, or host:port */
};

/* A content server of a site. */
struct conf_server {
    const char *name;
    const char *place;            /* a border's name, or another */
    const struct conf_node *node; /* its agent; NULL: nothing is known of it */
    uint32_t weight;              /* 100 */
    struct conf_exit *exits;
    size_t exit_count;
};

/* What makes a server available (H4); the director's numbers. */
enum conf_server_policy {
    CONF_SERVER_LOAD,
    CONF_SERVER_CONNECTIONS,
    CONF_SERVER_RAM,
    CONF_SERVER_SWAP,
    CONF_SERVER_CPU,
    CONF_SERVER_ICMP,
    CONF_SERVER_POLICIES,
};

enum conf_redirect_order { CONF_REDIRECT_PATHS, CONF_REDIRECT_SERVERS };
enum conf_redirect_status { CONF_REDIRECT_302, CONF_REDIRECT_307 };

/* How the front ends redirect a site's clients (H4, H6, R2). */
struct conf_redirect {
    struct conf_texts hosts; /* names that only the front ends answer to */
    const char *edges_to; /* the edges send clients of other hosts there; NULL: they serve them */
    enum conf_redirect_order order;   /* paths */
    enum conf_redirect_status status; /* 302 */
    uint32_t fuzz_percent;            /* 5: candidates are so much worse than the best at most */
    bool is_secure;                   /* https:// */
    enum conf_server_policy *policies;
    size_t policy_count;
};

#endif
