/* SPDX-License-Identifier: Apache-2.0
 *
 * The supervisor's state, shared by its own files: supervisor.c (life, signals, reload),
 * processes.c (children), elders.c (those of the program before), upgrade.c, questions.c (what the admin child wants to know of
 * the others).
 */
#ifndef SUPERVISOR_PRIVATE_H
#define SUPERVISOR_PRIVATE_H

#include "supervisor/bundle.h"
#include "supervisor/channel.h"
#include "supervisor/listeners.h"
#include "supervisor/process.h"
#include "supervisor/supervisor.h"
#include "supervisor/upgrade.h"

#include <signal.h>

enum {
    CHILDREN = 5,
    QUESTIONS_LIMIT = 32,
    ELDER_STOP_S = 5, /* longest wait of an elder that serves no visitors, or when the node ends */
};

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
    uint8_t generation;    /* 0 .. 3: not that of the process before it, nor of an elder */
    uint32_t roles;        /* bit for each row of the table that it runs */
    bool restarts_at_once; /* it was stopped to be started with other roles */
    bool is_asked;         /* to take the newest configuration: it has not said that it did */
    bool is_behind;        /* there is a newer one than it was asked to take */
    bool has_refused;      /* the newest configuration: it is started with the one before */
    json_t *heartbeat;     /* the last, or NULL */
    char last_end[128];    /* how it ended; "" for not yet */
    char why[512];         /* what it said when it could not start */
};

/* A child of the program before an upgrade. */
struct elder {
    struct list link;
    struct supervisor *supervisor;
    const char *name;
    pid_t pid;
    uint8_t generation;
    struct channel channel;
    struct loop_timer kill;
    bool is_told; /* to end */
};

/* Replacing this program by another file of it. */
struct upgrade {
    char *program;              /* path of the file to execute */
    pid_t check;                /* the process that tries it; 0: none */
    struct loop_timer patience; /* with children that leave; runs meanwhile */
    json_t *handed;             /* by the program before; NULL: there was none */
    int state, former, bundle,
        memory;        /* what it left: the same as bytes, its file, its configuration; -1: none */
    bool is_back;      /* the one after failed */
    uint32_t count;    /* of those that went well since the node's start */
    uint32_t failures; /* likewise of those that did not */
    char error[512];   /* of the last one; "": it went well */
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
    struct loop_timer refresh; /* files of the `acme` child have changed */
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
    struct list elders;                 /* struct elder */
    struct upgrade upgrade;
    bool is_successor; /* took over from a program before */
    struct question questions[QUESTIONS_LIMIT];
    uint32_t next_question;
};

/* ---- supervisor.c */
void supervisor_refresh_soon(struct supervisor *supervisor); /* certificates of ACME */

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
/* A gateway's process tells its edges that another one takes over; upgrade_go_on() follows. False: nobody has to know. */
bool processes_leave(struct supervisor *supervisor);
void processes_stop(struct supervisor *supervisor, bool at_once);
bool processes_are_gone(const struct supervisor *supervisor);
bool processes_are_ready(const struct supervisor *supervisor,
                         json_t *reasons);                      /* sentences; NULL: not wanted */
bool processes_give_signs(const struct supervisor *supervisor); /* none is silent */
json_t *processes_status(const struct supervisor *supervisor);

const char *
process_name(const char *name); /* the same text as a constant; NULL: there is no such child */
/* Of the program before: the next one goes on from there. */
void processes_go_on(struct supervisor *supervisor, const char *name, uint32_t starts,
                     uint8_t generation);

/* ---- elders.c */
/* `name` is a constant; owns the descriptor, -1: it has closed its side already. */
void elders_add(struct supervisor *supervisor, const char *name, pid_t pid, uint8_t generation,
                int fd);
/* Another one than `before`, which no elder of that name has. */
uint8_t elders_generation(const struct supervisor *supervisor, const char *name, uint8_t before);
void elders_let_go(struct supervisor *supervisor, const char *name);    /* the successor is ready */
void elders_stop(struct supervisor *supervisor, bool at_once);          /* the node ends */
bool elders_reap(struct supervisor *supervisor, pid_t pid, int status); /* it was one */
bool elders_have(const struct supervisor *supervisor,
                 const char *name); /* one that serves, and was not told to end */
bool elders_are_many(const struct supervisor *supervisor);
json_t *elders_status(const struct supervisor *supervisor);
void elders_clear(struct supervisor *supervisor);

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
