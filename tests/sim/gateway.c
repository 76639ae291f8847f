/* SPDX-License-Identifier: Apache-2.0
 *
 * One simulated gateway: requests come from the link, wait in the balancer, go to origins, are repeated elsewhere when their origin
 * refuses or resets them, and go back as answers or refusals.
 */
#include "gateway.h"

#include "base/error.h"

enum { REFUSAL_BYTES = 300, LOOSE_LIMIT = 1000 };

static struct sim_gateway *gateway_of(struct sim_node *node)
{
    return CONTAINER_OF(node, struct sim_gateway, node);
}

uint32_t sim_gateway_limit(const struct sim_gateway *gateway, size_t origin)
{
    switch (gateway->world->config->limits) {
    case SIM_LIMITS_NONE:
        return 0;
    case SIM_LIMITS_EXACT:
        return gateway->config->origins[origin].workers;
    case SIM_LIMITS_LOOSE:
        return LOOSE_LIMIT;
    }
    return 0;
}

/* The word that there will be no answer. */
static void refuse(struct sim_gateway *gateway, struct sim_request *request, bool by_the_queue)
{
    request->is_queued = false;
    sim_result_add_refusal(gateway->world, request, by_the_queue);
    list_remove(&request->patience);
    request->has_left = true;
    sim_way_send(&gateway->down, request, REFUSAL_BYTES);
}

static void avoid(struct sim_gateway *gateway, size_t origin)
{
    gateway->avoid_until_ns[origin] = gateway->node.sim->now_ns + SIM_AVOID_NS;
    gateway->world->balancer->set_usable(gateway->balancer, origin, false);
}

static void try_again(struct sim_gateway *gateway, struct sim_request *request, size_t origin)
{
    request->except = (uint8_t)origin;
    if (request->has_left || ++request->tries == SIM_TRIES_MOST) {
        refuse(gateway, request, false);
        return;
    }
    request->is_queued = true;
    gateway->world->balancer->push(gateway->balancer, request);
}

static void launch_one(struct sim_gateway *gateway, struct sim_request *request, size_t origin)
{
    request->is_queued = false;
    request->launched_ns = gateway->node.sim->now_ns;
    sim_result_add_launch(gateway->world, request);
    if (sim_origin_take(&gateway->origins[origin], &request->job))
        return;
    gateway->world->balancer->finish(gateway->balancer, request, origin, true);
    avoid(gateway, origin);
    try_again(gateway, request, origin);
}

/* Until nothing moves any more: a request that was refused by its origin waits again. */
static void launch(struct sim_gateway *gateway)
{
    const struct sim_balancer *balancer = gateway->world->balancer;
    struct sim_request *request;
    size_t origin;
    bool moved = true;
    while (moved) {
        moved = false;
        while (balancer->dropped && balancer->dropped(gateway->balancer, &request))
            refuse(gateway, request, true);
        while (balancer->next(gateway->balancer, &request, &origin)) {
            launch_one(gateway, request, origin);
            moved = true;
        }
    }
    sim_node_wake(&gateway->node);
}

static void on_done(void *context, struct sim_origin *origin, struct sim_job *job, bool failed)
{
    struct sim_gateway *gateway = context;
    struct sim_request *request = CONTAINER_OF(job, struct sim_request, job);
    size_t index = (size_t)(origin - gateway->origins);
    uint64_t now_ns = gateway->node.sim->now_ns;
    if (sim_is_measured(gateway->world, now_ns))
        gateway->world->result->held_s[gateway - gateway->world->gateways][index] +=
            (double)(now_ns - request->launched_ns) / 1e9;
    gateway->world->balancer->finish(gateway->balancer, request, index, failed);
    if (failed) {
        avoid(gateway, index);
        try_again(gateway, request, index);
    } else {
        sim_way_send(&gateway->down, request,
                     gateway->world->config->kinds[request->kind].answer_bytes);
    }
    /* After all that happens at this moment: an origin that goes down resets many. */
    gateway->launch_ns = now_ns;
    sim_node_wake(&gateway->node);
}

static void gateway_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_gateway *gateway = gateway_of(node);
    const struct sim_balancer *balancer = gateway->world->balancer;
    struct sim_request *request = sim_world_receive(gateway->world, packet);
    gateway->arrived++;
    if (request->has_left) {
        sim_world_forget(gateway->world, request);
        return;
    }
    request->arrived_ns = node->sim->now_ns;
    if (balancer->estimate_ns)
        request->estimate_ns = balancer->estimate_ns(gateway->balancer, request->class);
    request->is_queued = true;
    balancer->push(gateway->balancer, request);
    launch(gateway);
}

static uint64_t gateway_next(const struct sim_node *node)
{
    const struct sim_gateway *gateway = (const struct sim_gateway *)(const void *)node;
    const struct sim_balancer *balancer = gateway->world->balancer;
    uint64_t next_ns = gateway->launch_ns;
    uint64_t wake_ns = balancer->wake_ns ? balancer->wake_ns(gateway->balancer) : SIM_NEVER;
    next_ns = wake_ns < next_ns ? wake_ns : next_ns;
    for (size_t i = 0; i < gateway->config->origin_count; i++)
        if (gateway->avoid_until_ns[i] < next_ns)
            next_ns = gateway->avoid_until_ns[i];
    return next_ns;
}

static void gateway_run(struct sim_node *node)
{
    struct sim_gateway *gateway = gateway_of(node);
    gateway->launch_ns = SIM_NEVER;
    for (size_t i = 0; i < gateway->config->origin_count; i++) {
        if (gateway->avoid_until_ns[i] > node->sim->now_ns)
            continue;
        gateway->avoid_until_ns[i] = SIM_NEVER;
        gateway->world->balancer->set_usable(gateway->balancer, i, true);
    }
    launch(gateway);
}

void sim_gateway_start(struct sim_gateway *gateway, struct sim_world *world, size_t index)
{
    const struct sim_gateway_config *config = &world->config->gateways[index];
    INVARIANT(config->origin_count <= SIM_ORIGINS_MAX);
    *gateway = (struct sim_gateway){.world = world, .config = config, .launch_ns = SIM_NEVER};
    random_seed(&gateway->random, world->config->seed * SIM_GATEWAYS_MAX + index);
    sim_node_init(&gateway->node, &world->sim, "gateway");
    for (size_t i = 0; i < config->origin_count; i++) {
        gateway->avoid_until_ns[i] = SIM_NEVER;
        sim_origin_init(&gateway->origins[i], &world->sim, &config->origins[i]);
        gateway->origins[i].on_done = on_done;
        gateway->origins[i].context = gateway;
    }
    gateway->balancer = world->balancer->new (gateway);
    gateway->node.receive = gateway_receive;
    gateway->node.next = gateway_next;
    gateway->node.run = gateway_run;
    sim_way_init(&gateway->up, &world->sim, config, &gateway->node);
    sim_way_init(&gateway->down, &world->sim, config, &world->edge);
}

void sim_gateway_clear(struct sim_gateway *gateway)
{
    gateway->world->balancer->free(gateway->balancer);
    sim_way_clear(&gateway->up);
    sim_way_clear(&gateway->down);
    sim_node_clear(&gateway->node);
    for (size_t i = 0; i < gateway->config->origin_count; i++)
        sim_origin_clear(&gateway->origins[i]);
}

void sim_gateway_cancel(struct sim_gateway *gateway, struct sim_request *request)
{
    request->is_queued = false;
    gateway->world->balancer->cancel(gateway->balancer, request);
    sim_world_forget(gateway->world, request);
}

/* Ten times a second (LOADS_PERIOD_NS). */
void sim_gateway_tell(struct sim_gateway *gateway, struct route_facts *facts)
{
    facts->demand_milli = (uint32_t)(gateway->arrived - gateway->arrived_at_beat) * 10 * 1000;
    gateway->arrived_at_beat = gateway->arrived;
    if (gateway->world->balancer->tell)
        gateway->world->balancer->tell(gateway->balancer, facts);
}
