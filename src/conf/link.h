/* SPDX-License-Identifier: Apache-2.0
 *
 * The link between edges and gateways: `link:` (docs/protocol). Part of conf.h.
 */
#ifndef CONF_LINK_H
#define CONF_LINK_H

#include "conf/bounds.h"

#include <stdbool.h>
#include <stdint.h>

/* Which messages are compressed on the link (T9). */
enum conf_compress {
    CONF_COMPRESS_OFF,
    CONF_COMPRESS_PUBLIC, /* those that cannot hold a client's secret */
    CONF_COMPRESS_ALL,
    CONF_COMPRESS_AS_LINK, /* of a site; never in a snapshot */
};

enum conf_ecn { CONF_ECN_OFF, CONF_ECN_CLASSIC, CONF_ECN_L4S };

/* What of the link can be set (`link:` at the top, for every link). Times in ns. */
struct conf_link {
    uint16_t packet_bytes;        /* 1400 */
    uint8_t weights[CONF_RINGS];  /* 16 8 4 2 1 */
    uint32_t hosted_cap;          /* 256 */
    uint64_t window_budget_bytes; /* 256 MiB */
    uint64_t keep_alive_ns;       /* 5 s */
    uint64_t resume_ns;           /* 30 s */
    uint32_t socket_buffer_bytes; /* 8 MiB */
    bool offload;                 /* true */
    enum conf_ecn ecn;            /* classic */
    bool allows_test;             /* true */
    enum conf_compress compress;  /* PUBLIC: of sites that say nothing else */
    uint32_t compress_level;      /* 1 */
    bool tcp;                     /* true: carried over TCP where UDP does not get through */
};

#endif
