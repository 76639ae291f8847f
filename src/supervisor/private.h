/* SPDX-License-Identifier: Apache-2.0
 *
 * The supervisor's state, shared by its own files: supervisor.c (life, signals, reload),
 * processes.c (children), questions.c (what the admin child wants to know of the others).
 */
#ifndef SUPERVISOR_PRIVATE_H
#define SUPERVISOR_PRIVATE_H

#include "supervisor/bundle.h"
#include "supervisor/channel.h"
#include "supervisor/listeners.h"
#include "supervisor/process.h"
#include "supervisor/supervisor.h"

#include <signal.h>

enum { CHILDREN = 4, QUESTIONS_LIMIT = 32 };

#define PROCESS_STATE_LIST(X)                                                    \
    X(ABSENT, "absent")     /* no role of it is configured */                    \
    X(STARTING, "starting") /* has its descriptors and configuration */          \
    X(READY, "ready")                                                            \
    X(WAITING, "waiting")   /* it died; is started again when its timer fires */ \
    X(STOPPING, "stopping") /* told to end */

enum process_state {
#define X(name, text) PROCESS_##name,
    PROCESS_STATE_LIST(X)
#undef X
};

struct process {
    struct supervisor *supervisor;
    const char *name;
    uint8_t bit; /* in descriptor.sent and question.waiting */
    enum process_state state;
    pid_t pid; /* 0: none */
    struct channel channel;
    struct loop_timer restart, kill; /* `kill`: it did not end as told */
    uint64_t started_ns, heard_ns;   /* `heard_ns`: last heartbeat */
    uint64_t backoff_ns;
    uint32_t starts;
    uint32_t roles;        /* bit for each row of the table that it runs */
    bool restarts_at_once; /* it was stopped to be started with other roles */
    bool is_asked;         /* to take the newest configuration: it has not said that it did */
    bool is_behind;        /* there is a newer one than it was asked to take */
    bool has_refused;      /* the newest configuration: it is started with the one before */
    json_t *heartbeat;     /* the last, or NULL */
    char last_end[128];    /* how it ended; "" for not yet */
    char why[512];         /* what it said when it could not start */
};

/* One question of the admin child under way. */
struct question {
    struct supervisor *supervisor;
    struct process *asker;
    json_int_t id;   /* the asker's */
    uint32_t number; /* ours */
    uint8_t waiting;
    bool is_used;
    struct loop_timer limit;
};

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct supervisor {
    const struct supervisor_options *options;
    struct loop *loop;
    struct loop_watch signals;
    struct loop_timer tick, watchdog;
    enum phase phase;
    int exit_status;
    uint64_t started_ns, loaded_wall_ns;
    struct conf *conf;
    struct bundle bundle;
    struct bundle before; /* what children run that have not taken `bundle`; empty: all have */
    char *node;           /* its name, fixed at the start */
    char *run_dir;        /* likewise */
    uint32_t workers;     /* likewise */
    struct identity identity;
    struct descriptors descriptors;
    char reload_error[1024];            /* of the last attempt; "" for none */
    struct process processes[CHILDREN]; /* the last is admin */
    struct question questions[QUESTIONS_LIMIT];
    uint32_t next_question;
};

/* ---- processes.c */
void processes_init(struct supervisor *supervisor);
void processes_follow(
    struct supervisor *supervisor); /* starts, restarts and stops after a configuration */
void processes_reload(struct supervisor *supervisor);
/* Whether every child runs the newest configuration. */
bool processes_took(const struct supervisor *supervisor);
void processes_reopen_logs(struct supervisor *supervisor);
void processes_reap(struct supervisor *supervisor);
void processes_check(struct supervisor *supervisor); /* signs of life */
void processes_stop(struct supervisor *supervisor, bool at_once);
bool processes_are_gone(const struct supervisor *supervisor);
bool processes_are_ready(const struct supervisor *supervisor,
                         json_t *reasons);                      /* sentences; NULL: not wanted */
bool processes_give_signs(const struct supervisor *supervisor); /* none is silent */
json_t *processes_status(const struct supervisor *supervisor);

/* ---- questions.c */
void questions_ask(struct process *asker, const json_t *message); /* from the admin child */
void questions_answer(struct process *process, const json_t *message, const int *fds,
                      size_t fd_count);
void questions_child_ended(struct process *process);

/* ---- supervisor.c */
void supervisor_child_ready(struct supervisor *supervisor);
void supervisor_child_failed(struct supervisor *supervisor, const struct process *process);
void supervisor_child_ended(struct supervisor *supervisor);
json_t *supervisor_status(const struct supervisor *supervisor);

#endif
