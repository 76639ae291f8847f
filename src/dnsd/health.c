/* SPDX-License-Identifier: Apache-2.0
 *
 * Which edges are down by health checks (R8): this node's own, and what edges that are vantage points tell. An edge whose reports
 * still arrive may refuse or swallow its visitors' connections; only somebody who tries can know.
 */
#include "dnsd/private.h"

#include "base/memory.h"
#include "probe/probe.h"

enum { OWN_VOTE = 0 }; /* no node has this id, but for one in 2^64 */

/* Vantage points repeat what they found every second. What one said last counts for a while even when it has fallen silent: where all do,
 * it is this node that is cut off, and its own checks must not be left to decide alone before that shows. */
#define VOTE_NS (3500ull * 1000000)

struct dnsd_health {
    struct loop *loop;
    uint64_t seed;
    struct dnsd_data *data;
    struct edge_checks *checks; /* NULL: edges are not checked */
    struct health_poll *polls;  /* by edge, like the next */
    enum health_state *verdicts;
    void (*changed)(void *owner);
    void *owner;
};

static struct metric votes_heard = METRIC(COUNTER, "causeway_dns_health_votes_total", "",
                                          "Results of health checks that vantage points told.");
static struct metric votes_refused =
    METRIC(COUNTER, "causeway_dns_health_votes_refused_total", "",
           "Results that do not count: of an unknown edge, or of a node that is no vantage point.");
static struct metric edges_down =
    METRIC(GAUGE, "causeway_dns_edges_down_by_checks", "", "Edges that health checks find down.");

void dnsd_health_metrics_register(void)
{
    metric_register(&votes_heard);
    metric_register(&votes_refused);
    metric_register(&edges_down);
    probe_metrics_register();
}

static const struct edge_plan *plan_of(const struct dnsd_health *health)
{
    return health->data ? health->data->health : NULL;
}

static void tell(const struct dnsd_health *health, uint32_t edge)
{
    const struct edge_view *view = edge_checks_view(health->checks, edge);
    const struct health_poll *poll = &health->polls[edge];
    const char *name = plan_of(health)->edges[edge].name;
    char address[ADDRESS_TEXT_BYTES] = "";
    if (view->address.family)
        address_text(&view->address, true, address);
    if (health->verdicts[edge] == HEALTH_DOWN)
        log_warning("dns",
                    "health checks find the edge down edge=%s vantages=%u down=%u here=%s "
                    "address=%s cause=%s",
                    name, poll->count, health_poll_downs(poll), health_state_text(view->state),
                    address, check_cause_text(view->cause));
    else
        log_notice("dns", "health checks find the edge up edge=%s vantages=%u down=%u", name,
                   poll->count, health_poll_downs(poll));
}

static void count_down(const struct dnsd_health *health)
{
    uint64_t down = 0;
    for (size_t i = 0; plan_of(health) && i < plan_of(health)->count; i++)
        down += health->verdicts[i] == HEALTH_DOWN;
    metric_set(&edges_down, down);
}

static void judge(struct dnsd_health *health, uint32_t edge)
{
    enum health_state before = health->verdicts[edge];
    enum health_state now = health_poll_verdict(&health->polls[edge], plan_of(health)->quorum);
    if (now == before)
        return;
    health->verdicts[edge] = now;
    if (before != HEALTH_UNKNOWN || now == HEALTH_DOWN)
        tell(health, edge);
    count_down(health);
    health->changed(health->owner);
}

static void vote_here(struct dnsd_health *health, uint32_t edge)
{
    const struct edge_view *view = edge_checks_view(health->checks, edge);
    if (view->state == HEALTH_UNKNOWN)
        return;
    health_poll_put(&health->polls[edge], OWN_VOTE, view->state == HEALTH_UP, view->checked_ns);
}

static void on_changed(void *owner, uint32_t edge, const struct edge_view *view)
{
    (void)view;
    struct dnsd_health *health = owner;
    vote_here(health, edge);
    judge(health, edge);
}

struct dnsd_health *dnsd_health_new(struct loop *loop, uint64_t seed, void (*changed)(void *owner),
                                    void *owner)
{
    struct dnsd_health *health = NEW(struct dnsd_health);
    health->loop = loop;
    health->seed = seed;
    health->changed = changed;
    health->owner = owner;
    return health;
}

/* Votes on edges that are still there go on under their new numbers. */
static void move_votes(const struct edge_plan *from, const struct health_poll *polls,
                       const enum health_state *verdicts, struct dnsd_health *to)
{
    const struct edge_plan *plan = plan_of(to);
    for (size_t i = 0; i < plan->count; i++)
        for (size_t k = 0; from && k < from->count; k++)
            if (strcmp(plan->edges[i].name, from->edges[k].name) == 0) {
                to->polls[i] = polls[k];
                to->verdicts[i] = verdicts[k];
            }
}

void dnsd_health_take(struct dnsd_health *health, struct dnsd_data *data)
{
    struct dnsd_data *former = health->data;
    const struct edge_plan *former_plan = plan_of(health);
    struct edge_checks *former_checks = health->checks;
    struct health_poll *polls = health->polls;
    enum health_state *verdicts = health->verdicts;
    health->data = data;
    health->checks = NULL;
    health->polls = NULL;
    health->verdicts = NULL;
    const struct edge_plan *plan = plan_of(health);
    if (plan) {
        struct edge_checks_options options = {.plan = plan,
                                              .loop = health->loop,
                                              .seed = health->seed,
                                              .is_dns = true,
                                              .changed = on_changed,
                                              .owner = health};
        health->polls = memory_new(plan->count * sizeof *health->polls);
        health->verdicts = memory_new(plan->count * sizeof *health->verdicts);
        health->checks = edge_checks_new(&options);
        move_votes(former_plan, polls, verdicts, health);
        if (former_checks)
            edge_checks_inherit(health->checks, former_checks);
    }
    if (data)
        atomic_fetch_add(&data->references, 1);
    edge_checks_free(&former_checks);
    memory_free(polls);
    memory_free(verdicts);
    dnsd_data_release(former);
    count_down(health);
}

void dnsd_health_free(struct dnsd_health **freed)
{
    struct dnsd_health *health = *freed;
    *freed = NULL;
    if (!health)
        return;
    dnsd_health_take(health, NULL);
    memory_free(health);
}

/* ---- what others found */

static bool find_edge(const struct edge_plan *plan, uint64_t id, uint32_t *edge)
{
    for (uint32_t i = 0; plan && i < plan->count; i++)
        if (plan->edges[i].id == id) {
            *edge = i;
            return true;
        }
    return false;
}

/* Only the edges that the plan names: one that is broken into cannot vote for more than its share. */
void dnsd_health_hear(struct dnsd_health *health, uint64_t vantage,
                      const struct measure_health *found)
{
    uint32_t edge;
    const struct edge_plan *plan = plan_of(health);
    if (found->kind != MEASURE_SUBJECT_NODE || !find_edge(plan, found->subject, &edge) ||
        !edge_target_has_vantage(&plan->edges[edge], vantage)) {
        metric_add(&votes_refused, 1);
        return;
    }
    metric_add(&votes_heard, 1);
    health_poll_put(&health->polls[edge], vantage, found->is_up, loop_now_ns(health->loop));
    judge(health, edge);
}

void dnsd_health_tick(struct dnsd_health *health)
{
    const struct edge_plan *plan = plan_of(health);
    uint64_t now_ns = loop_now_ns(health->loop);
    for (uint32_t i = 0; plan && i < plan->count; i++) {
        vote_here(health, i);
        health_poll_expire(&health->polls[i], now_ns - VOTE_NS - plan->check.settings.interval_ns);
        judge(health, i);
    }
}

enum health_state dnsd_health_state(const struct dnsd_health *health, uint32_t edge)
{
    return health && health->checks ? health->verdicts[edge] : HEALTH_UNKNOWN;
}

void dnsd_health_write(const struct dnsd_health *health, uint32_t edge, struct text *json)
{
    if (!health || !health->checks)
        return;
    const struct edge_view *view = edge_checks_view(health->checks, edge);
    const struct health_poll *poll = &health->polls[edge];
    text_add_format(json,
                    ",\"health\":{\"state\":\"%s\",\"vantages\":%u,\"down\":%u,\"here\":\"%s\"",
                    health_state_text(health->verdicts[edge]), poll->count, health_poll_downs(poll),
                    health_state_text(view->state));
    if (view->state != HEALTH_UNKNOWN)
        text_add_format(json, ",\"cause\":\"%s\",\"streak\":%u,\"rtt_ms\":%.1f",
                        check_cause_text(view->cause), view->streak, view->rtt_us / 1e3);
    text_add(json, "}");
}
