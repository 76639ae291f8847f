/* SPDX-License-Identifier: Apache-2.0
 *
 * Model origins: what they work on lies in a heap by the time when it will be done.
 */
#include "origins.h"

#include "base/error.h"

enum { ILL_SLOWNESS = 10 };

static struct sim_origin *origin_of(struct sim_node *node)
{
    return CONTAINER_OF(node, struct sim_origin, node);
}

static void work_on(struct sim_origin *origin, struct sim_job *job)
{
    uint64_t now_ns = origin->node.sim->now_ns;
    double takes_ns = (double)job->nominal_ns * origin->config.slowness;
    if (now_ns < origin->config.ill_until_ns)
        takes_ns *= ILL_SLOWNESS;
    heap_put(&origin->working, &job->done, now_ns + (uint64_t)takes_ns);
}

static void done(struct sim_origin *origin, struct sim_job *job, bool failed)
{
    origin->pending--;
    origin->on_done(origin->context, origin, job, failed);
}

bool sim_origin_take(struct sim_origin *origin, struct sim_job *job)
{
    if (origin->is_down)
        return false;
    list_init(&job->link);
    origin->taken++;
    if (++origin->pending > origin->pending_most)
        origin->pending_most = origin->pending;
    if (origin->working.count < origin->config.workers)
        work_on(origin, job);
    else
        list_push_back(&origin->backlog, &job->link);
    sim_node_wake(&origin->node);
    return true;
}

/* What it had is reset; on_done may bring nothing new to it, for it is down. */
static void go_down(struct sim_origin *origin)
{
    struct heap_node *first;
    struct list *waiting;
    origin->is_down = true;
    while ((first = heap_first(&origin->working))) {
        heap_remove(&origin->working, first);
        done(origin, CONTAINER_OF(first, struct sim_job, done), true);
    }
    while ((waiting = list_pop_front(&origin->backlog)))
        done(origin, CONTAINER_OF(waiting, struct sim_job, link), true);
}

static void count_capacity(struct sim_origin *origin)
{
    uint64_t now_ns = origin->node.sim->now_ns;
    if (!origin->is_down)
        origin->up_s += (double)(now_ns - origin->since_ns) / 1e9 * origin->config.workers /
                        origin->config.slowness;
    origin->since_ns = now_ns;
}

double sim_origin_capacity_s(struct sim_origin *origin)
{
    count_capacity(origin);
    double up_s = origin->up_s;
    origin->up_s = 0;
    return up_s;
}

static uint64_t origin_next(const struct sim_node *node)
{
    const struct sim_origin *origin = (const struct sim_origin *)(const void *)node;
    const struct heap_node *first = heap_first(&origin->working);
    uint64_t done_ns = first ? first->key : SIM_NEVER;
    return done_ns < origin->turn_ns ? done_ns : origin->turn_ns;
}

static void origin_run(struct sim_node *node)
{
    struct sim_origin *origin = origin_of(node);
    uint64_t now_ns = node->sim->now_ns;
    if (origin->turn_ns <= now_ns) {
        count_capacity(origin);
        origin->turned_ns = now_ns;
        if (origin->is_down)
            origin->is_down = false;
        else
            go_down(origin);
        origin->turn_ns =
            now_ns + (origin->is_down ? origin->config.down_ns : origin->config.up_ns);
    }
    for (struct heap_node *first; (first = heap_first(&origin->working)) && first->key <= now_ns;) {
        heap_remove(&origin->working, first);
        struct list *waiting = list_pop_front(&origin->backlog);
        if (waiting)
            work_on(origin, CONTAINER_OF(waiting, struct sim_job, link));
        done(origin, CONTAINER_OF(first, struct sim_job, done), false);
    }
}

void sim_origin_init(struct sim_origin *origin, struct sim *sim,
                     const struct sim_origin_config *config)
{
    INVARIANT(config->workers > 0 && config->slowness > 0);
    *origin = (struct sim_origin){.config = *config,
                                  .turn_ns = config->down_ns ? config->up_ns : SIM_NEVER};
    sim_node_init(&origin->node, sim, config->name);
    origin->node.next = origin_next;
    origin->node.run = origin_run;
    list_init(&origin->backlog);
    sim_node_wake(&origin->node);
}

void sim_origin_clear(struct sim_origin *origin)
{
    sim_node_clear(&origin->node);
    heap_clear(&origin->working);
}
