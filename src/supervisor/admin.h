/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin child's parts: reports gathered from all children, the HTTP listener, the control
 * socket.
 */
#ifndef SUPERVISOR_ADMIN_H
#define SUPERVISOR_ADMIN_H

#include "observe/observe.h"
#include "supervisor/child.h"

/* ---- report.c: one question to every child, and the answers put together */
enum report_kind {
    REPORT_STATUS,
    REPORT_READY, /* the supervisor's part of the status */
    REPORT_METRICS,
    REPORT_COMMAND,
    REPORT_INQUIRY, /* like a command, with data for answers */
};

struct report {
    struct child_question question;
    enum report_kind kind;
    json_t *status;  /* of the node: the supervisor's, with "roles" and "missing" */
    json_t *roles;   /* inside of it */
    json_t *answers; /* of a command or inquiry */
    json_t *missing; /* names of children that did not answer */
    struct metrics_sum *metrics;
    void (*done)(void *owner, struct report *report); /* the report is gone behind it */
    void *owner;
    struct report **look; /* child_look(): who holds it, and what it wants */
    void (*seen)(void *owner, const json_t *status);
};

/* NULL: too many at once. Steals `argument`. */
struct report *report_new(struct child *child, enum report_kind kind, json_t *argument,
                          void (*done)(void *owner, struct report *report), void *owner);
void report_forget(struct report **pointer); /* NULL inside is fine; `done` is not called */

/* ---- admin.c */
enum { ADMIN_LISTENERS_LIMIT = 64 };

struct admin_listener {
    struct admin *admin;
    struct loop_watch watch;
    bool is_control;
};

struct admin {
    struct child *child;
    struct admin_listener listeners[ADMIN_LISTENERS_LIMIT];
    size_t listener_count;
    struct list clients, controls;
    size_t client_count, control_count;
};

/* ---- admin_http.c */
void admin_client_accept(struct admin *admin, int listener);
void admin_clients_close(struct admin *admin);

/* ---- control.c */
void control_accept(struct admin *admin, int listener);
void controls_close(struct admin *admin);

#endif
