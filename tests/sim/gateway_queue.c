/* SPDX-License-Identifier: Apache-2.0
 *
 * The real queue as a balancer of the simulated gateway, driven as src/gateway drives it: with the costs of src/types where the policy
 * asks for them. Origin i has identity i + 1.
 */
#include "gateway.h"

#include "base/error.h"
#include "base/memory.h"
#include "queue/queue.h"
#include "types/types.h"

struct ours {
    struct sim_gateway *gateway;
    struct queue *queue;
    struct types_costs *costs;
    struct queue_costs asked;
    uint16_t numbers[SIM_ORIGINS_MAX];
    struct list refused; /* at once, by queue_push() */
};

struct ticket {
    struct queue_item item;
    struct sim_request *request;
    struct list link; /* in `refused` */
};

static struct ticket *ticket_of(struct queue_item *item)
{
    return CONTAINER_OF(item, struct ticket, item);
}

static size_t origin_of(const struct ours *ours, uint16_t number)
{
    return (size_t)queue_server_identity(ours->queue, number) - 1;
}

static void expect(void *context, uint8_t type, const struct queue_load *load, size_t count,
                   double times_ns[QUEUE_SERVERS_MOST])
{
    struct types_load asked = {.all = load->pending, .parallel = load->slots};
    for (size_t i = 0; i < QUEUE_TYPES; i++)
        asked.pending[i] = load->types[i] ? load->type_pending[i] : NULL;
    types_costs_expected_ns(((struct ours *)context)->costs, type, &asked, count, times_ns);
}

static void *ours_new(struct sim_gateway *gateway)
{
    size_t count = gateway->config->origin_count;
    struct ours *ours = memory_new(sizeof *ours);
    struct queue_settings settings;
    struct queue_server_spec specs[SIM_ORIGINS_MAX];
    uint64_t identities[SIM_ORIGINS_MAX];
    ours->gateway = gateway;
    list_init(&ours->refused);
    queue_settings_default(&settings);
    settings.slow_start.duration_ns = 0;
    ours->costs = types_costs_new();
    ours->asked = (struct queue_costs){.expected_ns = expect, .context = ours};
    ours->queue = queue_new(&settings, balance_find(gateway->world->config->policy),
                            &gateway->random, &ours->asked);
    for (size_t i = 0; i < count; i++)
        identities[i] = i + 1;
    types_costs_set_servers(ours->costs, identities, count);
    for (size_t i = 0; i < count; i++)
        specs[i] = (struct queue_server_spec){.identity = i + 1,
                                              .weight = 100,
                                              .slots = sim_gateway_limit(gateway, i)};
    INVARIANT(queue_servers_set(ours->queue, specs, count, 0) == 0);
    for (size_t i = 0; i < count; i++) {
        ours->numbers[i] = queue_server_find(ours->queue, i + 1);
        INVARIANT(ours->numbers[i] == i); /* costs are told by these numbers */
    }
    return ours;
}

static void ours_free(void *balancer)
{
    struct ours *ours = balancer;
    queue_free(&ours->queue);
    types_costs_free(&ours->costs);
    memory_free(ours);
}

static void push(void *balancer, struct sim_request *request)
{
    struct ours *ours = balancer;
    struct ticket *ticket = memory_new(sizeof *ticket);
    enum queue_reason reason;
    request->ticket = ticket;
    ticket->request = request;
    ticket->item = (struct queue_item){
        .deadline_ns = request->came_ns + ours->gateway->world->config->patience_ns,
        .pinned = QUEUE_NO_SERVER,
        .except = request->except < SIM_ORIGINS_MAX ? ours->numbers[request->except]
                                                    : (uint16_t)QUEUE_NO_SERVER,
        .class = request->class,
        .type = request->kind,
    };
    list_init(&ticket->link);
    if (queue_push(ours->queue, &ticket->item, ours->gateway->node.sim->now_ns, &reason) < 0)
        list_push_back(&ours->refused, &ticket->link);
}

static void forget(struct ticket *ticket)
{
    list_remove(&ticket->link);
    ticket->request->ticket = NULL;
    memory_free(ticket);
}

static void cancel(void *balancer, struct sim_request *request)
{
    struct ours *ours = balancer;
    struct ticket *ticket = request->ticket;
    queue_cancel(ours->queue, &ticket->item);
    forget(ticket);
}

static bool next(void *balancer, struct sim_request **request, size_t *origin)
{
    struct ours *ours = balancer;
    struct queue_launch launch;
    if (!queue_next(ours->queue, ours->gateway->node.sim->now_ns, &launch))
        return false;
    *request = ticket_of(launch.item)->request;
    *origin = origin_of(ours, launch.server);
    forget(ticket_of(launch.item));
    return true;
}

static bool dropped(void *balancer, struct sim_request **request)
{
    struct ours *ours = balancer;
    enum queue_reason reason;
    struct ticket *ticket;
    if (list_is_empty(&ours->refused)) {
        struct queue_item *item =
            queue_dropped(ours->queue, ours->gateway->node.sim->now_ns, &reason);
        if (!item)
            return false;
        ticket = ticket_of(item);
    } else {
        ticket = CONTAINER_OF(ours->refused.next, struct ticket, link);
    }
    *request = ticket->request;
    forget(ticket);
    return true;
}

static void finish(void *balancer, struct sim_request *request, size_t origin, bool failed)
{
    struct ours *ours = balancer;
    uint64_t now_ns = ours->gateway->node.sim->now_ns;
    struct queue_outcome outcome = {
        .service_ns = now_ns - request->launched_ns,
        .held_ns = now_ns - request->launched_ns,
        .bytes = failed ? 0 : ours->gateway->world->config->kinds[request->kind].answer_bytes,
        .is_failed = failed,
    };
    if (!failed)
        types_costs_add(ours->costs, types_costs_find(ours->costs, origin + 1), request->kind,
                        outcome.service_ns, outcome.bytes, now_ns);
    queue_finish(ours->queue, ours->numbers[origin], request->class, request->kind, &outcome,
                 now_ns);
}

static void set_usable(void *balancer, size_t origin, bool is_usable)
{
    struct ours *ours = balancer;
    queue_server_set_usable(ours->queue, ours->numbers[origin], is_usable,
                            ours->gateway->node.sim->now_ns);
}

static uint64_t wake_ns(const void *balancer)
{
    return queue_wake_ns(((const struct ours *)balancer)->queue);
}

static uint64_t estimate_ns(void *balancer, uint8_t class)
{
    struct ours *ours = balancer;
    struct queue_report report;
    queue_report(ours->queue, ours->gateway->node.sim->now_ns, &report);
    return report.classes[class].wait_ns;
}

static void tell(void *balancer, struct route_facts *facts)
{
    struct ours *ours = balancer;
    struct queue_report report;
    queue_report(ours->queue, ours->gateway->node.sim->now_ns, &report);
    facts->has_load = true;
    facts->slots = report.slots;
    facts->service_us = report.rate_milli
                            ? (uint32_t)((uint64_t)report.pending * 1000000000 / report.rate_milli)
                            : 0;
    for (int class = 0; class < QUEUE_CLASSES; class ++) {
        facts->waiting[class] = report.classes[class].waiting;
        facts->wait_us[class] = (uint32_t)(report.classes[class].wait_ns / 1000);
    }
}

const struct sim_balancer sim_queue = {
    .name = "causeway",
    .new = ours_new,
    .free = ours_free,
    .push = push,
    .cancel = cancel,
    .next = next,
    .dropped = dropped,
    .finish = finish,
    .set_usable = set_usable,
    .wake_ns = wake_ns,
    .estimate_ns = estimate_ns,
    .tell = tell,
};
