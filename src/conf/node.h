/* SPDX-License-Identifier: Apache-2.0
 *
 * A node and its roles. Part of conf.h.
 */
#ifndef CONF_NODE_H
#define CONF_NODE_H

#include "conf/bounds.h"
#include "conf/director.h"
#include "conf/dns.h"
#include "conf/edge.h"
#include "conf/gateway.h"
#include "conf/link.h"
#include "conf/measure.h"
#include "maps/maps.h"

/* What the node can carry; 0: not said, so it limits nothing. */
struct conf_capacity {
    uint32_t connections; /* open TCP connections of the machine */
    uint32_t requests_per_s;
    uint32_t mbit_per_s;  /* of answers */
    uint32_t cpu_percent; /* 100 */
};

struct conf_admin {
    struct conf_addresses listen; /* read-only HTTP; default 127.0.0.1:9180 */
    struct conf_texts hosts;      /* accepted Host values besides addresses and localhost */
};

struct conf_node {
    const char *name;
    const char *region;              /* NULL: none */
    struct maps_point location;      /* MAPS_NOWHERE: that of its region */
    size_t index;                    /* in conf->nodes: its number */
    struct conf_addresses addresses; /* public, for DNS answers */
    uint8_t public_key[CONF_KEY_BYTES];
    uint8_t private_key[CONF_KEY_BYTES]; /* of this process's own node only; zero elsewhere */
    bool has_public_key, has_private_key;
    const char *private_key_path;
    uint32_t workers; /* 0: one for each core */
    const char *
        user; /* to run as when started by root; NULL: "causeway", or "nobody" where that is absent */
    uint64_t upgrade_drain_ns; /* 10 min */
    const char *run_dir;       /* control sockets; default /run/causeway */
    const char *acme_folder;   /* certificates that ACME brings; default /var/lib/causeway */
    bool has_acme;             /* derived: it orders certificates, or serves with such */
    const char *log_path;      /* NULL: standard error */
    const char *log_level;
    enum conf_log_format log_format;
    struct conf_addresses link_listen; /* UDP, the link */
    struct address link_address; /* where others dial it; default: the first of listen, else none */
    struct conf_addresses link_paths; /* further ones, each a path of its own */
    struct conf_addresses link_standby;
    struct conf_addresses link_from;       /* where it dials from; none: the kernel chooses */
    uint16_t link_tcp_port;                /* of the same; 0: the same number */
    struct conf_addresses link_tcp_listen; /* derived: nothing where link.tcp is off */
    struct address link_tcp_address;       /* derived; family 0: none */
    uint8_t link_weights[CONF_RINGS]; /* of links with this node; default: conf->link.weights */
    struct conf_edge *edge;           /* NULL: not this role */
    struct conf_gateway *gateway;
    struct conf_dns *dns;
    struct conf_agent *agent;
    struct conf_history *history; /* NULL: none is kept */
    struct conf_capacity capacity;
    uint32_t cost; /* of a connection to it, thousandths of any unit; 0 */
    struct conf_director *director;
    struct conf_admin *admin; /* present when any role is, unless `admin: off` */
};

#endif
