/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: one YAML file describes all nodes and sites; a schema table turns it into this immutable snapshot,
 * and into the checker, the JSON schema and the reference page. Every string and array lives in the snapshot's arena.
 * Pure but for what the caller's reader does: files that the configuration names (keys, region maps) come through it.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "balance/balance.h"
#include "base/address.h"
#include "base/arena.h"
#include "base/text.h"
#include "conf/origin.h"
#include "failure/failure.h"
#include "maps/maps.h"
#include "queue/queue.h"
#include "route/route.h"
#include "rules/rules.h"
#include "types/types.h"

enum {
    CONF_FILE_BYTES = 16 * 1024 * 1024, /* largest configuration file */
    CONF_LARGE_FILE_BYTES = 1 << 30,    /* largest map or zone file */
    CONF_MAPS_LIMIT = 16,
    CONF_POLICIES_LIMIT = 256,
    CONF_GROUP_NAME_MOST = 64,
    CONF_LEVELS_LIMIT = 1024,
    CONF_NODES_LIMIT = 4096,
    CONF_SITES_LIMIT = 65536,
    CONF_ERRORS_LIMIT = 50, /* shown at once */
    CONF_RINGS = 5,
    CONF_BORDERS_LIMIT = 64,
    CONF_PLACES_LIMIT = 64,
    CONF_SERVERS_LIMIT = 4096, /* of all sites together */
    CONF_KEY_BYTES = 32,
    CONF_TSIG_BYTES = 128,        /* longest secret; the block of SHA-512 */
    CONF_ZONE_FILES_LIMIT = 1024, /* of one zone: its file and what it includes */
};

struct conf_addresses {
    struct address *items;
    size_t count;
};

struct conf_networks {
    struct network *items;
    size_t count;
};

struct conf_texts {
    const char **items;
    size_t count;
};

/* Which messages are compressed on the link (T9). */
enum conf_compress {
    CONF_COMPRESS_OFF,
    CONF_COMPRESS_PUBLIC, /* those that cannot hold a client's secret */
    CONF_COMPRESS_ALL,
    CONF_COMPRESS_AS_LINK, /* of a site; never in a snapshot */
};

/* What of the link can be set (`link:` at the top, for every link). Times in ns. */
enum conf_ecn { CONF_ECN_OFF, CONF_ECN_CLASSIC, CONF_ECN_L4S };

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

enum conf_log_format { CONF_LOG_TEXT, CONF_LOG_JSON, CONF_LOG_COMBINED };

/* How visitors come in over TLS (docs/tls.md). */
enum conf_unknown_name { CONF_UNKNOWN_SERVE, CONF_UNKNOWN_REFUSE };
enum conf_tls_profile { CONF_TLS_MODERN, CONF_TLS_INTERMEDIATE };

struct conf_edge_tls {
    struct conf_addresses listen;
    enum conf_tls_profile profile;        /* INTERMEDIATE */
    const struct conf_site *default_site; /* NULL: the first with a certificate */
    enum conf_unknown_name unknown_names; /* SERVE */
    uint64_t handshake_timeout_ns;        /* 10 s */
};

enum conf_tls_client { CONF_TLS_CLIENT_OFF, CONF_TLS_CLIENT_OPTIONAL, CONF_TLS_CLIENT_REQUIRED };

struct conf_site_certificate {
    const char *certificate_path, *key_path, *ocsp_path; /* the last NULL: none */
    struct span certificate, key, ocsp; /* of the sites that this process's own edge serves */
};

enum conf_acme_challenge { CONF_ACME_HTTP, CONF_ACME_DNS };
enum conf_acme_key { CONF_ACME_ECDSA, CONF_ACME_RSA };
enum { CONF_ACME_THUMBPRINT_BYTES = 43 };

/* Certificates that an authority is asked for (docs/acme.md). */
struct conf_acme {
    const char *directory;              /* URL */
    const struct conf_node *node;       /* that orders; default: the first edge of the site */
    struct conf_texts contacts;         /* mail addresses */
    struct conf_texts names;            /* default: the site's hosts */
    enum conf_acme_challenge challenge; /* HTTP */
    enum conf_acme_key key;             /* ECDSA */
    bool agrees;                        /* to the authority's terms */
    uint64_t renew_before_ns;           /* 0: a third of the certificate's life */
    const char *authorities_path;       /* that vouch for the directory; NULL: the system's */
    struct span authorities;
    const char *secret_path;               /* that the site's edges share; NULL: none */
    struct span secret;                    /* of the ordering process only */
    const char *binding_id, *binding_path; /* external account binding; NULL: none */
    struct span binding;                   /* its key; of the ordering process only */
    const char *zone; /* where proofs of DNS lie of names outside of our zones; NULL: none */
    uint64_t begins_s, ends_s; /* of the certificate in use; 0: not known here */
    struct span share;      /* what edges elsewhere fetch of the certificate; empty: nothing yet */
    struct span thumbprint; /* of the account, which proves over HTTP; empty: not known yet */
};

struct conf_site_tls {
    struct conf_site_certificate *certificates; /* with `acme`: that which there is */
    size_t certificate_count;
    struct conf_acme *acme;       /* NULL: none */
    bool is_self_signed;          /* with `acme`: there is no certificate yet */
    enum conf_tls_client client;  /* off */
    const char *authorities_path; /* NULL: none */
    struct span authorities;
    bool passes_through;  /* keys stay at the origin (T10) */
    uint16_t origin_port; /* 443: of connections that are passed through */
};

enum conf_eviction {
    CONF_EVICT_S3FIFO,
    CONF_EVICT_LRU,
    CONF_EVICT_LFU,
    CONF_EVICT_FIFO,
    CONF_EVICT_RANDOM,
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

struct conf_cache_disk {
    const char *path; /* a folder; the supervisor makes it, for the node's user alone */
    uint64_t bytes;   /* 10 GiB */
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

enum { CONF_GAUGES_LIMIT = 4 };

/* The load daemon of a content server (H2). */
struct conf_agent {
    struct conf_texts gauges; /* names of the owner's own; at most CONF_GAUGES_LIMIT */
    const char *gauge_group;  /* that may write gauges besides the user; NULL: none */
};

/* What the node can carry; 0: not said, so it limits nothing. */
/* A program of the director: how edges are ranked. */
struct conf_policy {
    const char *name;
    const char *steps;
};

struct conf_capacity {
    uint32_t connections; /* open TCP connections of the machine */
    uint32_t requests_per_s;
    uint32_t mbit_per_s;  /* of answers */
    uint32_t cpu_percent; /* 100 */
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

/* What the node was like over time, in a database. */
struct conf_history {
    const char *folder; /* the supervisor makes it, for the node's user alone */
    uint64_t every_ns, keep_ns, keep_coarse_ns;
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

enum conf_set_cookie { CONF_SET_COOKIE_REFUSE, CONF_SET_COOKIE_STRIP, CONF_SET_COOKIE_KEEP };

/* What edges store of a site's answers (C1). */
struct conf_site_cache {
    bool is_on;                      /* false */
    enum conf_set_cookie set_cookie; /* REFUSE */
    bool hears_requests;             /* true */
    uint32_t heuristic_most_s;       /* a day */
    uint32_t lifetime_most_s;        /* a year */
    uint32_t while_revalidate_s;     /* 0 */
    uint32_t if_error_s;             /* 0 */
    uint64_t slice_bytes;            /* 0: whole answers */
    uint32_t refresh_hits;           /* 0: nothing is fetched anew before it expires */
    struct conf_texts prefetch;      /* URLs, or paths */
};

/* What becomes of the trace context of requests (docs/edge.md). */
enum conf_trace { CONF_TRACE_PASS, CONF_TRACE_START, CONF_TRACE_DROP };
enum conf_encoding {
    CONF_ENCODING_GZIP,
    CONF_ENCODING_BROTLI,
    CONF_ENCODING_ZSTD,
    CONF_ENCODINGS,
};
enum conf_encode_answers { CONF_ENCODE_ALL, CONF_ENCODE_PUBLIC };
enum conf_encode_origin { CONF_ENCODE_ASK_IDENTITY, CONF_ENCODE_ASK_AS_CLIENT };

/* What edges compress for clients (C3). */
struct conf_site_encode {
    bool is_on;                    /* false */
    enum conf_encoding *encodings; /* zstd br gzip */
    size_t encoding_count;
    struct conf_texts types;          /* none: those that gain */
    uint64_t least_bytes;             /* 512 */
    enum conf_encode_answers answers; /* ALL */
    enum conf_encode_origin origin;   /* ASK_IDENTITY */
    bool is_kept;                     /* true: stored answers are encoded once */
    uint8_t levels[CONF_ENCODINGS];   /* 5 5 3 */
};

/* Origins that rules send requests to by the group's name; requests that no rule sends go to those of the site that are in none. */
struct conf_group {
    const char *name; /* NULL: these */
    struct conf_origin *origins;
    size_t origin_count;
};

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
    uint32_t retries;       /* 1: safe requests, on a dead kept connection or a failed connect */
    uint32_t dns_ttl_s;     /* 20 */
    uint32_t dns_move_in;   /* 100: of networks that get edges where the name is an ALIAS too */
    uint32_t dns_answers;   /* 3 (R5: two or three) */
    const char *policy;     /* name or steps; NULL: "best" */
    uint32_t floor_percent; /* 25: edges that stay in use whatever checks find */
    bool fails_closed;      /* false */
    bool dns_gateway;       /* false: _gateway names tell which gateways it has */
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

struct conf_record {
    const char *owner; /* fully qualified, lower case, with the final dot */
    const char *type;  /* one that dns_type_number() knows, but SOA */
    uint32_t ttl_s;
    const char *data; /* presentation form; relative names are relative to the zone */
    uint32_t line;    /* in the file, for errors of later stages */
};

enum conf_algorithm { CONF_ECDSAP256SHA256 = 13, CONF_ED25519 = 15 };
enum conf_denial { CONF_DENIAL_NSEC, CONF_DENIAL_COMPACT };

/* A zone whose answers are signed. What was read of the files is there where `has_files`: in a process that signs. */
struct conf_dnssec {
    enum conf_algorithm algorithm; /* CONF_ECDSAP256SHA256 */
    const char *secret_path;       /* 32 bytes that keys are derived from; NULL: none */
    struct conf_texts keys;        /* key files in BIND's form, without their suffix */
    uint32_t *ksks;                /* numbers of derived key signing keys: 1 */
    size_t ksk_count;
    const char *signed_keys_path; /* signatures over the keys, made elsewhere; NULL: none */
    bool is_single;               /* false: one key for keys and records, which does not roll */
    bool has_cds;                 /* true */
    enum conf_denial denial;      /* CONF_DENIAL_NSEC */
    uint32_t period_s, overlap_s, validity_s; /* 90 days, 14 days, 3 days */
    bool has_files;
    uint8_t secret[CONF_KEY_BYTES];
    struct span *key_secrets, *key_records; /* of each of `keys`: X.private, X.key */
    struct span signed_keys;
};

/* A key that zone transfers are signed with (RFC 8945). */
enum conf_tsig_algorithm { CONF_TSIG_SHA1, CONF_TSIG_SHA256, CONF_TSIG_SHA384, CONF_TSIG_SHA512 };

struct conf_tsig {
    const char *name;                   /* with the final dot */
    enum conf_tsig_algorithm algorithm; /* SHA256 */
    const char *secret_path;
    uint8_t secret[CONF_TSIG_BYTES];
    size_t secret_length; /* 0: not of this process */
};

/* Who may copy a zone. */
struct conf_transfer {
    struct conf_networks allow;    /* none: any that has a key */
    struct conf_texts key_names;   /* with the final dot */
    const struct conf_tsig **keys; /* derived; one of them is needed where there is any */
    size_t key_count;
    struct conf_addresses notify; /* told of each new version */
    uint32_t journal_bytes;       /* 16 MiB: of differences kept for IXFR */
    bool leaves_out_computed;     /* false: computed names go with their present answer */
};

/* A zone file, or one that it includes. */
struct conf_file {
    const char *path;
    struct span content;
};

/* Clients of a region get an alias into this zone (R3). */
struct conf_level {
    const char *region;
    const char *zone_name;        /* with the final dot */
    const struct conf_zone *zone; /* derived: below the one that has the level */
};

struct conf_zone {
    const char *name;           /* with the final dot */
    struct conf_dnssec *dnssec; /* NULL: not signed */
    const char *primary;        /* MNAME */
    const char *contact;        /* RNAME, as a name */
    struct conf_texts ns;
    uint32_t serial, refresh_s, retry_s, expire_s, negative_ttl_s; /* 1 3600 600 604800 60 */
    uint32_t ttl_s;                                                /* default for records, 3600 */
    struct conf_record *records;
    size_t record_count;
    const char *file_path;   /* NULL: no zone file */
    struct conf_file *files; /* it and what it includes, with the dns role only */
    size_t file_count;
    struct conf_transfer *transfer; /* NULL: nobody may copy it */
    struct conf_level *levels;
    size_t level_count;
    uint32_t level_ttl_s;              /* of the aliases, 60 */
    const struct conf_zone *upper;     /* derived: the one that has it as a level; NULL: none */
    const struct conf_zone *enclosing; /* derived: the deepest that it lies in; NULL: none */
};

struct conf_map {
    const char *path;
    struct span content; /* an MMDB or a text (docs/maps.md) */
};

struct conf {
    struct arena arena;
    const char *file;
    char hash[17]; /* of the text: 16 hexadecimal digits; in every node's status */
    struct conf_link link;
    struct conf_health *health; /* of the edges; NULL: they are not checked */
    struct conf_probe *probe;   /* NULL: nobody is probed */
    struct conf_node *nodes;
    size_t node_count;
    struct conf_site *sites;
    size_t site_count;
    struct conf_zone *zones;
    size_t zone_count;
    struct conf_tsig *tsig;
    size_t tsig_count;
    struct conf_map *maps; /* laid over one another in this order, `regions` over all of them */
    size_t map_count;
    struct conf_policy *policies;
    size_t policy_count;
    uint32_t director_networks;       /* 16384 */
    uint32_t director_spread_percent; /* 80 */
    uint32_t director_margin_percent; /* 10 */
    uint64_t director_margin_ns;      /* 2 ms */
    uint64_t director_patience_ns;    /* 10 s */
    struct conf_border *borders;
    size_t border_count;
    struct span regions; /* text of the region file (docs/dns.md); empty: none */
    const char *regions_path;
    const struct conf_node *self; /* the node that this process is */
    struct conf_index *index;     /* private: look-up tables */
    struct conf_memory *mapped;   /* private: contents of large files */
};

/* Where the present snapshot is found. What `current` returns holds until the caller's turn of its loop ends. */
struct conf_source {
    const struct conf *(*current)(const void *owner);
    const void *owner;
};
static inline const struct conf *conf_current(const struct conf_source *source)
{
    return source->current(source->owner);
}

/* Reads a file that the configuration names; appends to `content`. `is_secret`: the mode must be 0600 or stricter. 0, or a negative error with a
 * sentence in `why`. */
struct conf_reader {
    int (*read)(void *argument, const char *path, bool is_secret, struct text *content,
                struct text *why);
    void *argument;
    /* The same of a file that may be large and is no secret, as memory that nobody changes: conf_free() unmaps it. NULL: `read` serves. */
    int (*map)(void *argument, const char *path, struct span *content, struct text *why);
    /* As `read`, for keys of zones and other secrets of the DNS server; NULL: this process is not it, and passes them over. */
    int (*read_zone_key)(void *argument, const char *path, bool is_secret, struct text *content,
                         struct text *why);
    /* The same for keys of sites and the edge. */
    int (*read_site_key)(void *argument, const char *path, bool is_secret, struct text *content,
                         struct text *why);
    /* The same for secrets of ordering certificates. */
    int (*read_order_key)(void *argument, const char *path, bool is_secret, struct text *content,
                          struct text *why);
    uint64_t now_s; /* since 1970, for dates of certificates; 0: they are not looked at */
};

/* For readers: appends the file's content to a memfd; and maps a part of a memfd. 0, or a negative error with a sentence in `why`. */
MUST_USE int conf_copy_file(const char *path, int memfd, uint64_t *bytes, struct text *why);
MUST_USE int conf_map_memory(int memfd, uint64_t offset, uint64_t bytes, struct span *content,
                             struct text *why);
void conf_unmap_memory(struct span content);
/* Nobody can change or cut what is in it any more. */
void conf_seal_memory(int memfd);

/* As `node` of conf_load(): none, `self` stays NULL and no private key is read; for checking. */
#define CONF_NO_NODE ""

/* The snapshot, or NULL with one line for each error in `errors` ("file:line:column: sentence; did you mean X?"). Warnings come there too, beginning with
 * "warning: " behind the position; a snapshot may come with warnings. `node` selects the node; NULL: the only one, or the one whose private key file can be read. */
struct conf *conf_load(const char *file, struct span text, const char *node,
                       const struct conf_reader *reader, struct text *errors);
void conf_free(struct conf *conf);
struct conf_reader conf_file_reader(void); /* reads real files, checks modes of secrets */
int conf_read_file(const char *file, struct text *content, struct text *why)
    __attribute__((warn_unused_result));

/* Settings of this node and of the link that differ and that a reload does not change, as names for a sentence
 * ("link.packet, me.workers"); nothing where there are none. */
void conf_write_unchangeable(const struct conf *running, const struct conf *loaded,
                             struct text *names);

const struct conf_site *conf_find_host(
    const struct conf *conf,
    struct span host); /* normalised host; exact before wildcard; NULL: none. O(1) for exact. */
const struct conf_node *conf_find_node(const struct conf *conf, const char *name);
const struct conf_node *conf_find_key(const struct conf *conf, const uint8_t key[CONF_KEY_BYTES]);
const struct conf_site *conf_find_site(const struct conf *conf, struct span name);
/* False: the site has no such group of origins. `name` NULL: those that are in none. */
bool conf_find_group(const struct conf_site *site, const char *name, struct conf_group *group);
/* All origins of a site by number, whatever group they are in; NULL behind the last. */
const struct conf_origin *conf_site_origin(const struct conf_site *site, size_t index);
/* Whether the DNS role of this process's node answers for the zone; true where there is no node. */
bool conf_serves(const struct conf *conf, const struct conf_zone *zone);
bool conf_allows(const struct conf_gateway *gateway, const struct conf_node *edge,
                 const struct conf_site *site, uint16_t port); /* port 0: HTTP */

/* Immutable but for the count of references. */
struct conf_maps {
    _Atomic uint32_t references;
    uint64_t hash; /* of the files */
    struct maps *maps;
};

/* With a reference for the caller; `old` (or NULL) once more where the files are the same. NULL: sentences in `why`. */
struct conf_maps *conf_maps_new(const struct conf *conf, struct conf_maps *old, struct text *why);
struct conf_maps *conf_maps_retain(struct conf_maps *maps);
void conf_maps_release(struct conf_maps *maps);

void conf_write_schema(struct text *text);    /* JSON Schema (draft 2020-12) */
void conf_write_reference(struct text *text); /* Markdown: docs/configuration.md */
void conf_write_manual(struct text *text);    /* roff: causeway.yaml(5) */

#endif
