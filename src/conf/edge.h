/* SPDX-License-Identifier: Apache-2.0
 *
 * The role of an edge (docs/edge.md). Part of conf.h.
 */
#ifndef CONF_EDGE_H
#define CONF_EDGE_H

#include "conf/cache.h"
#include "conf/tls.h"

enum conf_protocol { CONF_TCP, CONF_UDP };

/* A pass-through port of an edge (T10, T12). */
struct conf_port {
    struct address listen;
    const struct conf_site *site;
    enum conf_protocol protocol; /* CONF_TCP */
    uint16_t port;               /* of the origin; default: the listening port */
    uint8_t ring;                /* 2 */
    bool is_secure;              /* never compressed or looked at; default true */
    uint64_t idle_timeout_ns;    /* 30 s: a UDP flow without a datagram, either way */
    uint64_t lifetime_ns;        /* 500 ms: datagrams that wait longer are dropped; 0: never */
};

/* What an HTTP/2 connection may do; frames a second, some multiple of them at once. */
struct conf_http2 {
    uint32_t streams;                                                 /* 128 */
    uint32_t window_bytes, connection_window_bytes;                   /* 256 KiB 4 MiB: of bodies */
    uint32_t unread_bytes, connection_unread_bytes;                   /* 64 KiB 1 MiB: of answers */
    uint32_t memory_bytes;                                            /* 1 MiB */
    uint32_t resets_per_s, errors_per_s, settings_per_s, pings_per_s; /* 50 10 4 10 */
    uint32_t small_data_per_s, window_updates_per_s;                  /* 50 256 */
    uint32_t priorities_per_s, unknown_per_s;                         /* 32 10 */
};

/* What a client network may have of an edge; 0: any number. */
struct conf_clients {
    uint8_t ipv4_bits, ipv6_bits;            /* 32 56 */
    uint32_t connections, connections_per_s; /* 16384 0 */
    uint32_t requests;                       /* 512: under way to origins */
    uint32_t requests_per_s;                 /* 0 */
    uint64_t burst_ns;                       /* 5 s: of both rates */
    struct conf_networks exempt;
};

/* Who speaks for others. */
struct conf_proxy_protocol {
    struct conf_networks from; /* none: nobody */
    uint64_t timeout_ns;       /* 3 s: to the end of the header */
};

struct conf_edge {
    struct conf_addresses listen; /* HTTP */
    struct conf_edge_tls *tls;    /* NULL: none */
    struct conf_port *ports;
    size_t port_count;
    const struct conf_node **gateways; /* linked to; default: every gateway of the file */
    size_t gateway_count;
    struct conf_networks trusted_proxies;
    const char *access_log;                 /* path; NULL: none */
    enum conf_log_format access_log_format; /* JSON or COMBINED */
    uint64_t cache_bytes;                   /* 256 MiB; 0: no cache */
    enum conf_eviction cache_policy;        /* S3FIFO */
    const char *prefetch_path;              /* NULL: none */
    struct conf_texts prefetch;             /* what it says */
    uint32_t prefetch_rate;                 /* 10 a second */
    uint32_t encoders_limit;                /* 64: of a worker at once */
    struct conf_cache_disk *cache_disk;     /* NULL: memory only */
    uint32_t connections_limit;             /* 65536 */
    uint32_t flows_limit;                   /* 16384: clients of UDP ports at once */
    uint32_t request_line_bytes;            /* 8192 */
    uint32_t header_bytes;                  /* 32768 */
    uint32_t fields_limit;                  /* 128 */
    uint64_t body_bytes;                    /* 0: any size */
    uint64_t unread_bytes;                  /* 512 MiB: of answers not taken; 0: any */
    uint32_t upload_rate, download_rate;    /* 512 512: bytes a second at least; 0: any */
    uint64_t first_timeout_ns;              /* 15 s: from the start to the first byte */
    uint64_t header_timeout_ns;             /* 15 s: from the first byte to the end of the head */
    uint64_t idle_timeout_ns;               /* 75 s: between requests */
    uint64_t body_timeout_ns;               /* 60 s: without a byte of the body, either way */
    uint64_t gateway_timeout_ns; /* 65 s: from the request's end to the answer's first byte: 504 */
    uint64_t tunnel_timeout_ns;  /* 1 h: an upgraded or passed-through connection without a byte */
    uint64_t linger_timeout_ns;  /* 2 s: behind the last answer */
    struct conf_http2 http2;
    struct conf_clients clients;
    struct conf_proxy_protocol proxy_protocol;
};

#endif
