/* SPDX-License-Identifier: Apache-2.0
 *
 * What is measured: health checks, probes of client networks, load, history (docs/measure.md). Part of conf.h.
 */
#ifndef CONF_MEASURE_H
#define CONF_MEASURE_H

#include "conf/values.h"

enum { CONF_GAUGES_LIMIT = 4 };

/* The load daemon of a content server (H2). */
struct conf_agent {
    struct conf_texts gauges; /* names of the owner's own; at most CONF_GAUGES_LIMIT */
    const char *gauge_group;  /* that may write gauges besides the user; NULL: none */
};

/* Health checks (docs/measure.md). */
enum conf_health_kind { CONF_HEALTH_TCP, CONF_HEALTH_HTTP, CONF_HEALTH_HTTPS, CONF_HEALTH_DNS };

enum conf_certificate { CONF_CERTIFICATE_OFF, CONF_CERTIFICATE_DATE, CONF_CERTIFICATE_FULL };

struct conf_health {
    uint16_t port;                     /* 0: the target's own */
    enum conf_health_kind kind;        /* TCP of edges, HTTP of origins */
    const char *host;                  /* NULL: the target's own */
    const char *path;                  /* "/" */
    uint16_t status[2];                /* 200 399: least and greatest */
    const char *body;                  /* NULL: any */
    enum conf_certificate certificate; /* FULL */
    const char *authorities_path;
    struct span authorities;                   /* its text; empty where no certificate is checked */
    uint64_t warn_ns;                          /* 14 days before a certificate expires */
    const char *name;                          /* DNS */
    uint64_t interval_ns, fast_ns, timeout_ns; /* edges 250 ms 20 ms 1 s; origins 2 s 200 ms 2 s */
    uint32_t rise, fall;                       /* 2 3 */
    uint32_t vantages, quorum;                 /* edges: 2, 0 (more than half) */
};

/* Probes of client networks (H3). */
struct conf_probe {
    uint64_t interval_ns, refresh_ns, seen_ns; /* 60 s 10 min 1 h */
    uint32_t rounds_per_s, vantages, echoes;   /* 20 2 3 */
    uint64_t gap_ns, timeout_ns;               /* 200 ms 1 s */
    uint16_t *ports;                           /* 443 80 */
    size_t port_count;
    const char *opt_out_path;     /* NULL: none */
    struct conf_networks opt_out; /* what it says */
};

/* What the node was like over time, in a database. */
struct conf_history {
    const char *folder; /* the supervisor makes it, for the node's user alone */
    uint64_t every_ns, keep_ns, keep_coarse_ns;
};

#endif
