/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks other edges, and tells what it finds: at once when it changed, and again every second, so that a DNS node knows that this
 * vantage point lives and still means it.
 */
#include "vantage/private.h"

#include "base/memory.h"

#define REPEAT_NS (1000ull * 1000000)

struct witness {
    const struct vantage_options *options;
    uint64_t seed;
    struct edge_plan *plan; /* NULL: edges are not checked */
    struct edge_checks *checks;
    struct loop_timer repeat;
    struct loop_task hurry;
};

static void tell(struct witness *witness, uint32_t edge, const struct edge_view *view)
{
    if (view->state == HEALTH_UNKNOWN)
        return;
    const struct measure_item item = {.kind = MEASURE_HEALTH,
                                      .health = edge_view_tell(witness->plan, edge, view,
                                                               clock_now_ns())};
    (void)agent_tell(witness->options->agent, &item); /* counted there */
}

static void on_hurry(struct loop *loop, struct loop_task *task)
{
    (void)loop;
    agent_hurry(CONTAINER_OF(task, struct witness, hurry)->options->agent);
}

static void on_changed(void *owner, uint32_t edge, const struct edge_view *view)
{
    struct witness *witness = owner;
    log_notice("health", "an edge is %s as seen from here edge=%s cause=%s",
               health_state_text(view->state), witness->plan->edges[edge].name,
               check_cause_text(view->cause));
    tell(witness, edge, view);
    loop_task_queue(witness->options->loop, &witness->hurry);
}

static void on_repeat(struct loop *loop, struct loop_timer *timer)
{
    struct witness *witness = CONTAINER_OF(timer, struct witness, repeat);
    for (uint32_t i = 0; witness->plan && i < witness->plan->count; i++)
        tell(witness, i, edge_checks_view(witness->checks, i));
    loop_timer_start(loop, timer, loop_now_ns(loop) + REPEAT_NS);
}

static uint64_t own_id(const struct witness *witness, const struct conf *conf)
{
    struct key key;
    memcpy(key.bytes, conf->self->public_key, sizeof key.bytes);
    return status_node_id(witness->options->crypto, &key);
}

/* Only edges are vantage points: others never find themselves in the plan. */
void witness_reload(struct witness *witness)
{
    const struct conf *conf = vantage_conf(witness->options);
    struct edge_plan *former_plan = witness->plan;
    struct edge_checks *former = witness->checks;
    witness->checks = NULL;
    witness->plan = conf->self->edge ? edge_plan_new(conf, witness->options->crypto) : NULL;
    if (witness->plan) {
        struct edge_checks_options options = {.plan = witness->plan,
                                              .loop = witness->options->loop,
                                              .seed = witness->seed,
                                              .own = own_id(witness, conf),
                                              .changed = on_changed,
                                              .owner = witness};
        witness->checks = edge_checks_new(&options);
        if (former)
            edge_checks_inherit(witness->checks, former);
    }
    edge_checks_free(&former);
    edge_plan_free(&former_plan);
}

struct witness *witness_new(const struct vantage_options *options, uint64_t seed)
{
    struct witness *witness = NEW(struct witness);
    witness->options = options;
    witness->seed = seed;
    witness->repeat.fire = on_repeat;
    witness->hurry.run = on_hurry;
    witness_reload(witness);
    loop_timer_start(options->loop, &witness->repeat, clock_now_ns() + REPEAT_NS);
    return witness;
}

void witness_free(struct witness **freed)
{
    struct witness *witness = *freed;
    *freed = NULL;
    if (!witness)
        return;
    loop_timer_stop(witness->options->loop, &witness->repeat);
    loop_task_cancel(witness->options->loop, &witness->hurry);
    edge_checks_free(&witness->checks);
    edge_plan_free(&witness->plan);
    memory_free(witness);
}

json_t *witness_status(const struct witness *witness)
{
    json_t *status = json_object();
    for (uint32_t i = 0; witness->plan && i < witness->plan->count; i++) {
        const struct edge_view *view = edge_checks_view(witness->checks, i);
        if (view->is_checked)
            json_object_set_new(
                status, witness->plan->edges[i].name,
                json_pack("{s:s,s:s,s:f,s:i}", "state", health_state_text(view->state), "cause",
                          view->state == HEALTH_UNKNOWN ? "" : check_cause_text(view->cause),
                          "rtt_ms", view->rtt_us / 1e3, "streak", (int)view->streak));
    }
    return status;
}
