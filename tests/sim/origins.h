/* SPDX-License-Identifier: Apache-2.0
 *
 * Model origins in virtual time: a server works on so many requests at a time and keeps the others in a backlog, first come
 * first served, as application servers do. It may be slow, and it may flap: in turns it works, and resets what it has and
 * refuses what comes.
 */
#ifndef SIM_ORIGINS_H
#define SIM_ORIGINS_H

#include "base/list.h"
#include "network.h"

struct sim_origin_config {
    const char *name;
    uint32_t workers;        /* requests that it works on at a time */
    double slowness;         /* 1: a request takes its nominal time */
    uint64_t up_ns, down_ns; /* how long in turns; 0: always up */
    uint64_t ill_until_ns;   /* it takes ten times as long until then */
};

/* Embedded in the caller's request, borrowed until on_done. */
struct sim_job {
    struct list link;      /* in the backlog */
    struct heap_node done; /* while worked on */
    uint64_t nominal_ns;   /* what it takes a server of slowness 1 */
};

struct sim_origin {
    struct sim_node node;
    struct sim_origin_config config;
    void (*on_done)(void *context, struct sim_origin *origin, struct sim_job *job, bool failed);
    void *context;
    struct heap working;
    struct list backlog;
    uint64_t turn_ns;   /* when it goes down or up */
    uint64_t turned_ns; /* when it did last; 0: never */
    bool is_down;
    uint32_t pending, pending_most;
    uint64_t taken;
    double up_s; /* of workers, times 1 / slowness: what it could have done */
    uint64_t since_ns;
};

void sim_origin_init(struct sim_origin *origin, struct sim *sim,
                     const struct sim_origin_config *config);
void sim_origin_clear(struct sim_origin *origin); /* the jobs are the caller's */

/* False: refused. */
bool sim_origin_take(struct sim_origin *origin, struct sim_job *job);

/* Seconds of work of slowness 1 that it could have done since `origin->since_ns`, and counts anew from now. */
double sim_origin_capacity_s(struct sim_origin *origin);

#endif
