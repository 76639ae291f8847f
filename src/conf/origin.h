/* SPDX-License-Identifier: Apache-2.0
 *
 * How gateways speak to the origins of a site (docs/origins.md). Part of conf.h.
 */
#ifndef CONF_ORIGIN_H
#define CONF_ORIGIN_H

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

#endif
