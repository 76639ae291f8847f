/* SPDX-License-Identifier: Apache-2.0
 *
 * The edges that this node checks, each at all of its addresses: an answer names them all, so the edge is down when one of them
 * is. What has no route from here has no say.
 */
#include "probe/private.h"

#include "base/memory.h"

struct edge_address {
    struct check_target target;
    struct edge_checks *checks;
    uint32_t edge; /* of the plan */
};

struct edge_checks {
    const struct edge_plan *plan;
    struct checker checker;
    struct edge_address *addresses;
    size_t count;
    struct edge_view *views; /* by edge of the plan */
    size_t *firsts;          /* of each edge's addresses, which stand together */
    void (*changed)(void *owner, uint32_t edge, const struct edge_view *view);
    void *owner;
};

/* What its addresses come to together: one that is down speaks for all. */
static struct edge_view look(const struct edge_checks *checks, uint32_t edge)
{
    struct edge_view view = {.is_checked = checks->views[edge].is_checked};
    const struct edge_address *addresses = &checks->addresses[checks->firsts[edge]];
    for (size_t i = 0; i < checks->plan->edges[edge].address_count; i++) {
        const struct edge_address *address = &addresses[i];
        const struct health *health = &address->target.health;
        if (health->state == HEALTH_UNKNOWN ||
            (view.state == HEALTH_DOWN && health->state == HEALTH_UP))
            continue;
        view.state = health->state;
        view.cause = address->target.last.cause;
        view.rtt_us = health->rtt_us;
        view.streak = health->streak;
        view.checked_ns = health->checked_ns;
        view.address = address->target.address;
    }
    return view;
}

static void on_result(struct check_target *target, bool has_changed)
{
    struct edge_address *address = CONTAINER_OF(target, struct edge_address, target);
    struct edge_checks *checks = address->checks;
    enum health_state before = checks->views[address->edge].state;
    checks->views[address->edge] = look(checks, address->edge);
    if (has_changed && checks->views[address->edge].state != before)
        checks->changed(checks->owner, address->edge, &checks->views[address->edge]);
}

static void add_edge(struct edge_checks *checks, uint32_t edge)
{
    const struct edge_target *target = &checks->plan->edges[edge];
    checks->views[edge].is_checked = true;
    checks->firsts[edge] = checks->count;
    for (size_t i = 0; i < target->address_count; i++) {
        struct edge_address *address = &checks->addresses[checks->count++];
        address->checks = checks;
        address->edge = edge;
        address->target.settings = &checks->plan->check.settings;
        address->target.question = &checks->plan->check.question;
        address->target.address = target->addresses[i];
        address->target.on_result = on_result;
    }
}

static bool wants(const struct edge_checks_options *options, const struct edge_target *edge)
{
    return options->is_dns || edge_target_has_vantage(edge, options->own);
}

struct edge_checks *edge_checks_new(const struct edge_checks_options *options)
{
    struct edge_checks *checks = NEW(struct edge_checks);
    const struct edge_plan *plan = checks->plan = options->plan;
    checks->changed = options->changed;
    checks->owner = options->owner;
    checker_init(&checks->checker, options->loop, options->seed);
    checks->views = memory_new(plan->count * sizeof *checks->views);
    checks->firsts = memory_new(plan->count * sizeof *checks->firsts);
    size_t addresses = 0;
    for (size_t i = 0; i < plan->count; i++)
        addresses += wants(options, &plan->edges[i]) ? plan->edges[i].address_count : 0;
    checks->addresses = memory_new(addresses * sizeof *checks->addresses);
    for (size_t i = 0; i < plan->count; i++)
        if (wants(options, &plan->edges[i]))
            add_edge(checks, (uint32_t)i);
    for (size_t i = 0; i < checks->count; i++)
        check_target_start(&checks->addresses[i].target, &checks->checker);
    return checks;
}

/* The address of the former plan, where it is the same. */
static const struct edge_address *find(const struct edge_checks *checks,
                                       const struct edge_address *wanted)
{
    const char *name = wanted->checks->plan->edges[wanted->edge].name;
    for (size_t i = 0; i < checks->count; i++)
        if (address_equal(&checks->addresses[i].target.address, &wanted->target.address) &&
            strcmp(checks->plan->edges[checks->addresses[i].edge].name, name) == 0)
            return &checks->addresses[i];
    return NULL;
}

void edge_checks_inherit(struct edge_checks *checks, const struct edge_checks *former)
{
    for (size_t i = 0; i < checks->count; i++) {
        struct edge_address *address = &checks->addresses[i];
        const struct edge_address *known = find(former, address);
        if (!known)
            continue;
        uint64_t next_ns = address->target.health.next_ns;
        address->target.health = known->target.health;
        address->target.health.next_ns = next_ns;
        address->target.last = known->target.last;
        checks->views[address->edge] = look(checks, address->edge);
    }
}

const struct edge_view *edge_checks_view(const struct edge_checks *checks, uint32_t edge)
{
    return &checks->views[edge];
}

void edge_checks_free(struct edge_checks **freed)
{
    struct edge_checks *checks = *freed;
    *freed = NULL;
    if (!checks)
        return;
    for (size_t i = 0; i < checks->count; i++)
        check_target_stop(&checks->addresses[i].target);
    memory_free(checks->addresses);
    memory_free(checks->views);
    memory_free(checks->firsts);
    memory_free(checks);
}

struct measure_health edge_view_tell(const struct edge_plan *plan, uint32_t edge,
                                     const struct edge_view *view, uint64_t now_ns)
{
    uint64_t age_s = (now_ns - view->checked_ns) / 1000000000;
    return (struct measure_health){
        .subject = plan->edges[edge].id,
        .kind = MEASURE_SUBJECT_NODE,
        .check = (uint8_t)plan->check.question.kind,
        .cause = (uint8_t)view->cause,
        .is_up = view->state == HEALTH_UP,
        .age_s = age_s < UINT16_MAX ? (uint16_t)age_s : UINT16_MAX,
        .streak = view->streak < UINT16_MAX ? (uint16_t)view->streak : UINT16_MAX,
        .rtt_us = view->rtt_us,
    };
}
