/* SPDX-License-Identifier: Apache-2.0
 *
 * The processes of a node. A small supervisor owns every listening descriptor and what root is
 * needed for; unprivileged children do the work: `front` (link, edge, gateway), `dns` (names and
 * the edges' reports), `admin` (read-only HTTP and the control socket). A child gets descriptors
 * and the configuration's bytes over a socket pair and needs no file access.
 *
 * A module takes part by a `struct role`: one row in cli/roles.c. Its code runs on the workers of
 * its child.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "conf/conf.h"
#include "loop/loop.h"

#include <jansson.h>

struct child;

/* ---- what a module offers. Everything but name, child and is_wanted may be NULL. All calls but
 * worker_* come on the child's main thread, where child_loop() runs and which is no worker. */
struct role {
    const char *name;  /* key of its part of /status */
    const char *child; /* "front", "dns", "history", "acme", "admin" */
    bool (*is_wanted)(const struct conf_node *node);

    /* Before the workers start. 0 and the role's state; else an error and a sentence in `why`: the
     * node refuses to start. Roles of a child start in the order of the table and stop in the
     * reverse one. */
    int (*start)(struct child *child, void **state, struct text *why);
    int (*worker_start)(void *state,
                        struct worker *worker); /* on each worker, before its loop runs */
    void (*worker_stop)(void *state, struct worker *worker); /* on each worker, behind its loop */
    void (*stop)(void *state);                               /* after the workers: frees */

    /* Visitors may come. At once behind the start of all roles; where there was a process before (child_settles()) when all roles say that
     * they are ready, or after 3 s: until then that one serves; or if it died after 1 s, for which they wait to be accepted. NULL: they may always come. */
    void (*serve)(void *state);

    /* The part of a reload that may take seconds (large maps and zones), on a thread of its own while
     * the main one goes on; reload() follows there. An error keeps the old state, and reload() is
     * not called. NULL: there is none. */
    int (*prepare)(void *state, const struct conf *conf, struct text *why);

    /* A checked new configuration: child_conf() is it already. New listeners are there
     * (child_listener()), removed ones are closed when this has returned and every message that it
     * posted to workers was delivered. An error keeps the old state. */
    int (*reload)(void *state, struct text *why);

    /* The process ends soon: accept nothing new. `is_replaced`: another one of this node serves already, so that nobody needs to be
     * sent away. */
    void (*drain)(void *state, bool is_replaced);
    bool (*is_drained)(
        const void
            *state); /* nothing is left to finish; asked every 50 ms, for 5 s or `upgrade_drain` */

    /* Another program is about to take over, and what others reach this process by will be its: they are told, so that nothing of theirs is
     * under way then. It comes to nothing where nobody takes over soon. NULL: nobody needs to know. */
    void (*leave)(void *state);
    bool (*has_left)(const void *state); /* asked every 50 ms, for 5 s */

    uint64_t (*age_ns)(
        const void *state); /* how long ago the slowest thread of its own came round */
    bool (*is_ready)(const void *state, struct text *why); /* for /readyz; why not */
    json_t *(*status)(void *state);                        /* a new reference */

    /* A verb from the control socket: {"verb": "edge", "action": "down", "name": ...}.
     * ERROR_NOT_FOUND: not mine. Else what to tell the operator in `answer`. */
    int (*command)(void *state, const json_t *command, struct text *answer);

    /* The verbs whose answers are data: {"verb": "link", "action": "show", "peer": ...}. A new
     * reference; NULL: not mine. */
    json_t *(*inquire)(void *state, const json_t *question);
};

/* ---- what a role may use */
const struct conf_node *
child_node(const struct child *child); /* of the present configuration; main thread, or start */
const char *child_name_of_node(const struct child *child);   /* for as long as the process lives */
struct loop *child_loop(const struct child *child);          /* of the main thread */
struct worker_set *child_workers(const struct child *child); /* NULL until they have started */
uint32_t child_worker_count(const struct child *child);      /* also before */
uint8_t child_generation(const struct child *child); /* 0 .. 3, another one after a respawn */
bool child_settles(const struct child *child);       /* there was a process before it */
void *child_role(const struct child *child,
                 const char *name); /* the state of an earlier role of the same child; NULL: none */

/* The present configuration: valid on a worker until its turn ends, on the main thread until it
 * returns to its loop. Whoever works on for longer copies what it needs, or looks it up again. */
const struct conf *child_conf(const struct child *child);

enum listener_kind {
    LISTENER_HTTP,     /* TCP, one for each worker */
    LISTENER_TLS,      /* TCP, one for each worker */
    LISTENER_PORT,     /* TCP, one for each worker */
    LISTENER_FLOWS,    /* UDP, one for each worker */
    LISTENER_REDIRECT, /* TCP, one for each worker */
    LISTENER_LINK,     /* UDP, one for each worker */
    LISTENER_LINK_TCP, /* one for each worker */
    LISTENER_DNS_UDP,  /* one for each worker */
    LISTENER_DNS_TCP,  /* one for each worker */
    LISTENER_DNS_TLS,  /* one for each worker */
    LISTENER_REPORTS,  /* UDP, worker 0 only */
    LISTENER_ADMIN,    /* TCP, worker 0 only */
    LISTENER_CONTROL,  /* Unix stream, worker 0 only, no address */
    LISTENER_ECHO,     /* ICMP, worker 0 only, no address; -1: not allowed */
    LISTENER_ECHO_6,   /* ICMPv6, likewise */
    LISTENER_GAUGES,   /* Unix datagrams, worker 0 only, no address */
    LISTENER_PURGES,   /* the two files of the log of purges, worker 0 only, no address */
    LISTENER_PURGES_2,
    LISTENER_ORDERS, /* a file without a name for the gateway's orders, worker 0 only, no address */
};
/* A bound (and listening) non-blocking descriptor that stays the supervisor's and the child's:
 * never close it. -1: not configured. `address` as configured; NULL for Unix sockets. Main
 * thread, or start. */
int child_listener(const struct child *child, enum listener_kind kind,
                   const struct address *address, uint32_t worker);

/* The folder of that name, which the supervisor opened: by a descriptor that stays the child's, for openat(2). -1: it cannot be used. */
int child_folder(const struct child *child, const char *path);

/* Why that user (NULL: as identity of the children) could not use the folder, as a sentence; 0: he could; ERROR_NOT_FOUND: it is made at the start. */
MUST_USE int supervisor_judge_folder(const char *path, const char *user, struct text *why);

/* What /status shows of the whole node, once all children have said theirs: `done` gets it, borrowed. On the main thread.
 * ERROR_LIMIT: too many at once. child_look_forget() before the owner goes; NULL inside is fine. */
struct report;
MUST_USE int child_look(struct child *child, struct report **look,
                        void (*done)(void *owner, const json_t *status), void *owner);
void child_look_forget(struct report **look);

/* For the `acme` child alone. Files of its folder have changed: the supervisor reads them, and nothing else, and all take them as at
 * a reload. */
void child_changed(struct child *child);
/* A word to the roles of the other processes, whose command() gets it: {"verb": "acme", ...}. Stolen; nobody answers. */
void child_tell(struct child *child, json_t *command);

/* ---- the processes */
struct supervisor_options {
    const char *file;                /* the configuration */
    const char *node;                /* NULL: as conf_load() */
    const struct role *const *roles; /* NULL at the end */
    const char *version;
};
int supervisor_run(const struct supervisor_options *options); /* exit status */

/* What the supervisor executes: `causeway child NAME` with the socket pair as descriptor 3. Exit
 * status. */
int child_run(const char *name, const struct role *const *roles);

extern const struct role admin_role; /* this folder's own */

/* ---- the client's side of the control socket */
/* Sends one request (a JSON object) to run_dir/control.sock and waits for the answer. NULL and a
 * sentence in `why` on failure. */
json_t *control_ask(const char *run_dir, const json_t *request, struct text *why);

#endif
