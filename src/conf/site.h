/* SPDX-License-Identifier: Apache-2.0
 *
 * What a site owner publishes. Part of conf.h.
 */
#ifndef CONF_SITE_H
#define CONF_SITE_H

#include "balance/balance.h"
#include "conf/cache.h"
#include "conf/director.h"
#include "conf/link.h"
#include "conf/measure.h"
#include "conf/origin.h"
#include "conf/tls.h"
#include "failure/failure.h"
#include "queue/queue.h"
#include "route/route.h"
#include "rules/rules.h"
#include "types/types.h"

/* What becomes of the trace context of requests (docs/edge.md). */
enum conf_trace { CONF_TRACE_PASS, CONF_TRACE_START, CONF_TRACE_DROP };

struct conf_site {
    const char *name;
    size_t index;
    struct conf_texts hosts; /* lower case; "*.shop.example" matches one or more labels */
    struct conf_origin *origins;
    size_t origin_count;       /* 0: content servers only */
    struct conf_group *groups; /* the named ones */
    size_t group_count;
    const char *origin_host;        /* Host sent to the origin; NULL: the client's */
    struct conf_site_origin origin; /* how they are spoken to */
    const struct conf_node **edges; /* that serve it; default: all */
    size_t edge_count;
    const struct conf_node **gateways; /* through which; default: all */
    size_t gateway_count;
    uint8_t ring;    /* priority class, 2 */
    uint8_t weight;  /* share of a ring beside other sites, 16 */
    uint16_t number; /* on the wire; never 0; the same in every node with this file */
    struct conf_site_cache cache;
    struct conf_site_encode encode;
    struct route_settings channels; /* to its gateways: 3 %, none, 5 s */
    enum conf_compress compress;    /* as the link's, by default */
    enum conf_trace trace;          /* PASS */
    uint32_t trace_every;           /* 100: of the traces that edges begin, one is sampled */
    uint64_t connect_timeout_ns;    /* 3 s */
    uint64_t read_timeout_ns;       /* 60 s without a byte from the origin */
    uint64_t idle_timeout_ns;       /* 30 s: kept connection unused */
    uint32_t kept_connections;      /* 64 for each origin */
    uint32_t connections_limit;     /* 1024 for each origin; beyond, requests wait */
    struct balance_settings balance;
    struct queue_settings queue; /* but slow_start and marks, which are balance's */
    _Atomic uint64_t *shares; /* as told while running: the one thing here that changes; queue.c */
    uint32_t retries;         /* 1: safe requests, on a dead kept connection or a failed connect */
    uint32_t dns_ttl_s;       /* 20 */
    uint32_t dns_move_in;     /* 100: of networks that get edges where the name is an ALIAS too */
    uint32_t dns_answers;     /* 3 (R5: two or three) */
    const char *policy;       /* name or steps; NULL: "best" */
    uint32_t floor_percent;   /* 25: edges that stay in use whatever checks find */
    bool fails_closed;        /* false */
    bool dns_gateway;         /* false: _gateway names tell which gateways it has */
    struct conf_health *health; /* of the origins; NULL: they are not checked */
    struct conf_site_tls *tls;  /* NULL: in clear only */
    struct conf_server *servers;
    size_t server_count;
    struct conf_redirect redirect;
    struct rules_rule *rule_list;
    size_t rule_count;
    struct rules *rules; /* compiled; NULL: there are none */
    struct types_settings type_settings;
    struct types *types; /* compiled */
    struct failure_settings failure;
};

#endif
