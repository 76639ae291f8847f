/* SPDX-License-Identifier: Apache-2.0
 *
 * The origins of a site and how gateways speak to them (docs/origins.md). Part of conf.h.
 */
#ifndef CONF_ORIGIN_H
#define CONF_ORIGIN_H

#include "balance/balance.h"
#include "base/address.h"
#include "base/span.h"

#include <stdbool.h>

/* By which fields origins learn of the client. */
enum conf_origin_fields {
    CONF_FIELDS_BOTH,
    CONF_FIELDS_FORWARDED,
    CONF_FIELDS_X_FORWARDED,
    CONF_FIELDS_OFF,
};
enum conf_origin_proxy { CONF_PROXY_OFF, CONF_PROXY_V1, CONF_PROXY_V2 };
enum conf_origin_profile { CONF_ORIGIN_MODERN, CONF_ORIGIN_INTERMEDIATE };

struct conf_origin_tls {
    const char *name;                          /* asked for and expected; NULL: that of the URL */
    bool is_verified;                          /* true */
    enum conf_origin_profile profile;          /* INTERMEDIATE */
    const char *authorities_path;              /* NULL: the system's */
    const char *certificate_path, *key_path;   /* that the gateway shows; NULL: none */
    struct span authorities, certificate, key; /* of gateways that may ask the site */
};

struct conf_site_origin {
    enum conf_origin_fields fields; /* BOTH */
    enum conf_origin_proxy proxy;   /* OFF */
    struct conf_origin_tls tls;
    bool are_checked_alike; /* health checks speak to each as requests do; derived */
};

struct conf_origin {
    const char *url;        /* as written: http://host:port */
    struct address address; /* numeric hosts; of a Unix socket that which stands for it */
    const char *host;       /* names to be resolved at start and again; NULL for numeric ones */
    const char *path;       /* of a Unix socket; NULL: it is none */
    uint16_t port;
    bool is_tls;
    uint16_t weight;        /* 100; 0: nothing new */
    uint32_t limit;         /* requests under way to it (L3); 0: the site's */
    enum balance_role role; /* equal */
    uint64_t behind_ns;     /* of a mirror, where that is known; 0: it is learnt */
};

/* Origins that rules send requests to by the group's name; requests that no rule sends go to those of the site that are in none. */
struct conf_group {
    const char *name; /* NULL: these */
    struct conf_origin *origins;
    size_t origin_count;
};

#endif
