/* SPDX-License-Identifier: Apache-2.0
 *
 * The role of a gateway (docs/gateway.md). Part of conf.h.
 */
#ifndef CONF_GATEWAY_H
#define CONF_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who may ask for what: (edge, site, port) tuples; nothing else leaves the gateway. */
struct conf_allow {
    const struct conf_node **edges;
    size_t edge_count;
    const struct conf_site **sites;
    size_t site_count;
    uint16_t *ports; /* pass-through ports; HTTP of the site is always meant */
    size_t port_count;
    const uint64_t *edge_set, *site_set; /* private: the same as bits by index */
};

/* The log of purges of the sites whose first gateway this is (C2). */
struct conf_purges {
    const char *folder;
    uint64_t log_bytes; /* 4 MiB */
};

struct conf_gateway {
    struct conf_allow *allow;
    size_t allow_count;
    const struct conf_node *
        *dial; /* edges that this gateway dials, itself behind NAT; others dial it */
    size_t dial_count;
    bool allow_local;           /* false: no origins on loopback, nor link-local ones */
    struct conf_purges *purges; /* NULL: none are taken */
};

#endif
