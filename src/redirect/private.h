/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/redirect: what a configuration comes to, workers, clients.
 */
#ifndef REDIRECT_PRIVATE_H
#define REDIRECT_PRIVATE_H

#include "base/list.h"
#include "http/http.h"
#include "observe/observe.h"
#include "redirect/redirect.h"

#include <pthread.h>

enum {
    REDIRECT_ACCEPTS = 64, /* connections taken from a listener in one turn */
    REDIRECT_LISTENERS_LIMIT = 64,
    REDIRECT_INPUT_BYTES = 128 * 1024, /* requests of one client read, and answered, in one turn */
    REDIRECT_OUTPUT_BYTES = 192 * 1024,
    REDIRECT_ANSWER_BYTES = 48 * 1024, /* one answer is never longer: the target comes back in it */
    REDIRECT_LINGER_BYTES =
        1024 * 1024,               /* thrown away of a request that was answered before its end */
    REDIRECT_FORWARDED_LIMIT = 32, /* proxies on the way of one request that are looked at */
};
#define REDIRECT_LINGER_NS      (2ull * 1000000000)
#define REDIRECT_LATENCY_AGE_NS (3600ull * 1000000000) /* older pings are not looked at */

/* ---- hosts.c: the names of sites */

struct redirect_hosts {
    struct redirect_host {
        const char *name; /* of patterns what is behind the star */
        uint32_t length, site;
    } * slots;
    uint32_t mask;
    uint64_t seed;
};
void redirect_hosts_init(struct redirect_hosts *hosts, const struct conf *conf, struct arena *arena,
                         uint64_t seed);
void redirect_hosts_clear(struct redirect_hosts *hosts);
/* Exact names before patterns, longer patterns before shorter ones. UINT32_MAX: none. */
uint32_t redirect_hosts_find(const struct redirect_hosts *hosts, struct span host);

/* ---- data.c: what a configuration comes to */

/* Where a number of the configuration finds its facts. */
struct redirect_source {
    bool is_known, is_server; /* else an edge */
    uint32_t number;
};

struct redirect_site {
    const char *name;
    bool is_307;
};

struct redirect_server {
    const char *name, *place;
    struct redirect_source source;
    uint32_t site, place_number; /* the latter as ways have it */
};

/* Status line and the beginning of Location, up to where the target follows. */
struct redirect_heads {
    struct span found, temporary; /* 302, 307; empty: no such exit */
};

/* Immutable but for the count of references. */
struct redirect_data {
    _Atomic uint32_t references;
    struct arena arena;
    char conf_hash[17];
    struct exits *exits;
    struct redirect_hosts hosts;
    struct redirect_site *sites;
    struct redirect_server *servers; /* those of a site together */
    size_t server_count;
    const char **borders;
    size_t border_count;
    struct redirect_heads *heads; /* [server][border] */
    struct conf_networks trusted_proxies;
    struct http_limits limits;
    uint32_t connections_limit; /* of a worker */
    uint64_t header_timeout_ns, idle_timeout_ns;
    uint32_t workers;
    _Atomic uint64_t *chosen; /* [worker][server][border]; each written by one worker */
};
MUST_USE int redirect_data_new(struct redirect_data **data, const struct redirect_options *options,
                               struct text *why);
void redirect_data_release(struct redirect_data *data);

/* What a request reads. Under RCU; a view never changes. */
struct redirect_view {
    struct redirect_data *data;
    struct exits_table *table;
};
/* Takes a reference of the data. `facts` NULL: nothing is known. `previous` (or NULL) has the table of the tick before. */
struct redirect_view *redirect_view_new(struct redirect_data *data,
                                        const struct redirect_facts *facts,
                                        const struct redirect_view *previous);
void redirect_view_release(void *view);

/* ---- address.c */

/* Whom the request is for: its sender, or whom trusted proxies name. */
struct address redirect_client_address(const struct conf_networks *trusted,
                                       const struct http_fields *fields,
                                       const struct address *peer);

/* ---- the server */

struct redirect_listener {
    struct loop_watch watch;
    struct redirect_worker *worker;
};

// clang-format off
#define REDIRECT_STATE_LIST(X)                                        \
    X(IDLE)    /* between two requests */                             \
    X(HEAD)    /* a part of a head has come */                        \
    X(SENDING) /* the socket does not take the answers: nothing is read */ \
    X(LINGER)  /* all is said; what still comes is thrown away */
// clang-format on

enum redirect_state {
#define X(name) REDIRECT_##name,
    REDIRECT_STATE_LIST(X)
#undef X
        REDIRECT_STATES
};

enum redirect_tail {
    REDIRECT_TAIL_KEPT,
    REDIRECT_TAIL_KEPT_1_0,
    REDIRECT_TAIL_CLOSE,
    REDIRECT_TAILS
};

struct redirect_worker {
    struct redirect *redirect;
    struct loop *loop;
    uint32_t id;
    struct random random;
    struct redirect_listener listeners[REDIRECT_LISTENERS_LIMIT];
    size_t listener_count;
    struct list clients[REDIRECT_STATES]; /* the one longest in its state first */
    uint32_t client_count;
    struct loop_timer second; /* the date, and time limits */
    struct http_parser parser;
    struct http_head head;
    struct arena arena; /* of one request */
    char tails[REDIRECT_TAILS][192];
    size_t tail_bytes[REDIRECT_TAILS];
    char date[HTTP_DATE_BYTES];
    size_t output_bytes;
    uint8_t *input, *output;
};

struct redirect {
    void *_Atomic view;     /* struct redirect_view */
    pthread_mutex_t making; /* of views: facts and configurations come on different threads */
    struct redirect_sockets sockets;
    uint64_t seed;
    uint32_t worker_count;
    struct redirect_worker *workers;
    _Atomic bool is_draining;
    _Atomic uint32_t connections;
};

static inline const struct redirect_view *redirect_view(const struct redirect_worker *worker)
{
    return snapshot_read(&worker->redirect->view);
}

/* ---- listener.c */
MUST_USE int redirect_listeners_open(struct redirect_worker *worker);
void redirect_listeners_close(struct redirect_worker *worker);

/* ---- client.c */
struct redirect_client;
void redirect_client_start(struct redirect_worker *worker, int fd, const struct address *peer);
void redirect_clients_check(struct redirect_worker *worker); /* time limits */
void redirect_clients_drain(struct redirect_worker *worker); /* ends the idle ones */
void redirect_clients_close(struct redirect_worker *worker);
/* Makes room for one more; false: nobody is idle. */
bool redirect_clients_evict(struct redirect_worker *worker);

/* ---- answer.c: into the worker's output, which has room for an answer */
void redirect_tails_make(struct redirect_worker *worker);
/* To the request in worker->head; `closes`: the connection ends behind it. */
void redirect_answer(struct redirect_worker *worker, const struct address *peer, bool closes);
void redirect_refuse(struct redirect_worker *worker, unsigned status, const char *cause,
                     bool closes);

/* ---- redirect.c: metrics */
extern struct metric redirect_found, redirect_temporary, redirect_malformed, redirect_unknown_host,
    redirect_no_server, redirect_connections, redirect_connections_open, redirect_evicted,
    redirect_timeouts;

#endif
