/* SPDX-License-Identifier: Apache-2.0
 *
 * The role of a DNS server (docs/dns.md). Part of conf.h.
 */
#ifndef CONF_DNS_H
#define CONF_DNS_H

#include "conf/values.h"

enum conf_cookies { CONF_COOKIES_OFF, CONF_COOKIES_ON, CONF_COOKIES_REQUIRED };
enum { CONF_COOKIE_SECRETS = 4, CONF_COOKIE_SECRET_BYTES = 16 };

/* DNS over TLS. */
struct conf_dns_tls {
    struct conf_addresses listen;
    const char *certificate_path, *private_key_path;
    struct span certificate, private_key; /* PEM; of this process's own node only */
};

struct conf_dns {
    struct conf_addresses listen;    /* UDP and TCP */
    struct address reports;          /* UDP, where edges send STATUS; family 0: none */
    struct conf_texts zones;         /* that it answers for, with the final dot; none: all */
    const char *decisions;           /* file of decisions, for `causeway replay`; NULL: none */
    uint32_t decisions_every;        /* 100: one of so many is kept */
    uint32_t tcp_connections_limit;  /* 1000 */
    uint64_t tcp_idle_timeout_ns;    /* 10 s */
    const char *identity;            /* NULL: not told */
    const char *version;             /* likewise */
    struct conf_networks ecs;        /* whose client subnets count; default: everybody's */
    enum conf_cookies cookies;       /* on */
    const char *cookie_secrets_path; /* NULL: derived from the node's key */
    uint8_t cookie_secrets[CONF_COOKIE_SECRETS][CONF_COOKIE_SECRET_BYTES];
    uint32_t cookie_secret_count; /* of this process's own node only */
    uint32_t rate_limit;          /* equal answers a second to one network; 0: no limit */
    uint32_t rate_slip;           /* 2 */
    uint64_t rate_window_ns;      /* 5 s */
    uint8_t rate_ipv4_bits;       /* 24 */
    uint8_t rate_ipv6_bits;       /* 56 */
    struct conf_networks rate_exempt;
    struct conf_dns_tls *tls;                    /* NULL: none */
    uint32_t signatures_per_s, signatures_burst; /* 200 2000: new ones, of a client network */
    uint64_t signature_cache_bytes;              /* 64 MiB */
};

#endif
