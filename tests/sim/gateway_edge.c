/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge's own buffer in the simulation (L4): the queue of src/queue with gateways as servers, their weights the shares of src/route, their slots
 * what src/loads lets through, as src/edge/buffer.c does it.
 */
#include "gateway.h"

#include "base/error.h"
#include "base/memory.h"

enum { CLASS_OF_SHARES = 2 }; /* as the ring of a site that states none */

static struct sim_world *world_of(const struct sim_node *node)
{
    return CONTAINER_OF(node->sim, struct sim_world, sim);
}

static struct sim_request *request_of(struct queue_item *item)
{
    return CONTAINER_OF(item, struct sim_request, buffered);
}

/* ---- launches */

static void give_up(struct sim_world *world, struct sim_request *request)
{
    sim_result_add_refusal(world, request, true);
    list_remove(&request->patience);
    sim_world_forget(world, request);
}

static void launch(struct sim_world *world)
{
    struct sim_buffer *buffer = &world->buffer;
    struct queue_launch launch;
    struct queue_item *item;
    enum queue_reason reason;
    while (queue_next(buffer->queue, world->sim.now_ns, &launch)) {
        struct sim_request *request = request_of(launch.item);
        request->is_buffered = false;
        request->has_pass = true;
        buffer->waiting--;
        sim_world_send(world, request,
                       (uint8_t)(queue_server_identity(buffer->queue, launch.server) - 1));
    }
    while ((item = queue_dropped(buffer->queue, world->sim.now_ns, &reason))) {
        buffer->waiting--;
        give_up(world, request_of(item));
    }
    sim_node_wake(&buffer->node);
}

/* While some wait no request may come that would look at what gateways report. */
static uint64_t buffer_next(const struct sim_node *node)
{
    const struct sim_world *world = world_of(node);
    return world->buffer.waiting ? world->route.updated_ns + ROUTE_PERIOD_NS : SIM_NEVER;
}

static void buffer_run(struct sim_node *node)
{
    sim_world_look(world_of(node));
}

/* ---- requests */

bool sim_buffer_take(struct sim_world *world, struct sim_request *request)
{
    struct sim_buffer *buffer = &world->buffer;
    enum queue_reason reason;
    if (!buffer->queue)
        return false;
    request->buffered = (struct queue_item){.pinned = QUEUE_NO_SERVER,
                                            .except = QUEUE_NO_SERVER,
                                            .class = request->class};
    if (queue_push(buffer->queue, &request->buffered, world->sim.now_ns, &reason) < 0) {
        give_up(world, request);
        return true;
    }
    request->is_buffered = true;
    buffer->waiting++;
    launch(world);
    return true;
}

void sim_buffer_leave(struct sim_world *world, struct sim_request *request)
{
    struct sim_buffer *buffer = &world->buffer;
    if (request->is_buffered) {
        queue_cancel(buffer->queue, &request->buffered);
        request->is_buffered = false;
        buffer->waiting--;
    } else if (request->has_pass) {
        const struct queue_outcome outcome = {.service_ns = world->sim.now_ns - request->sent_ns,
                                              .is_local_drop = request->has_left};
        request->has_pass = false;
        queue_finish(buffer->queue,
                     queue_server_find(buffer->queue, (uint64_t)request->gateway + 1),
                     request->class, 0, &outcome, world->sim.now_ns);
        launch(world);
    }
}

/* ---- what is let through */

static uint32_t pending_at(const struct sim_buffer *buffer, size_t gateway)
{
    struct queue_server_report report = {0};
    uint16_t server = queue_server_find(buffer->queue, gateway + 1);
    return server != QUEUE_NO_SERVER && queue_server_report(buffer->queue, server, &report)
               ? report.pending
               : 0;
}

static struct loads_report report_of(const struct route_facts *facts)
{
    /* Whatever waits finds all slots taken. */
    struct loads_report report = {.is_full = facts->is_full,
                                  .pending = facts->slots,
                                  .slots = facts->slots};
    for (int i = 0; i < LOADS_CLASSES; i++)
        report.waiting[i] = facts->waiting[i];
    return report;
}

static void open_buffer(struct sim_world *world)
{
    struct queue_settings settings;
    queue_settings_default(&settings);
    settings.slow_start.duration_ns = 0;
    world->buffer.queue = queue_new(&settings, &balance_weighted, &world->buffer.random, NULL);
    for (size_t i = 0; i < world->config->gateway_count; i++)
        world->buffer.passes[i] = LOADS_PASS_OPEN;
}

void sim_buffer_follow(struct sim_world *world)
{
    struct sim_buffer *buffer = &world->buffer;
    struct queue_server_spec specs[SIM_GATEWAYS_MAX];
    struct loads_report reports[SIM_GATEWAYS_MAX];
    size_t count = world->config->gateway_count;
    bool stands = false, is_new = false;
    for (size_t i = 0; i < count; i++) {
        reports[i] = report_of(&world->facts[i]);
        stands |= loads_stands(&reports[i]);
    }
    if (world->config->has_buffer && stands && !buffer->queue) {
        open_buffer(world);
        is_new = true;
    }
    if (!buffer->queue)
        return;
    for (size_t i = 0; i < count; i++) {
        float weight = world->route.channels[i].share[CLASS_OF_SHARES] * 1000;
        uint32_t pending = is_new ? loads_there(&reports[i]) : pending_at(buffer, i);
        buffer->passes[i] = loads_pass(buffer->passes[i], pending, &reports[i]);
        specs[i] = (struct queue_server_spec){.identity = i + 1,
                                              .weight = (uint16_t)(weight + 0.999f),
                                              .slots = buffer->passes[i]};
    }
    INVARIANT(queue_servers_set(buffer->queue, specs, count, world->sim.now_ns) == 0);
    launch(world);
}

/* ---- life */

void sim_buffer_start(struct sim_world *world)
{
    struct sim_buffer *buffer = &world->buffer;
    random_seed(&buffer->random, world->config->seed);
    sim_node_init(&buffer->node, &world->sim, "buffer");
    buffer->node.next = buffer_next;
    buffer->node.run = buffer_run;
    sim_node_wake(&buffer->node);
}

void sim_buffer_clear(struct sim_world *world)
{
    for (uint64_t i = 0; i < world->request_count; i++)
        if (world->requests[i]->is_buffered)
            sim_buffer_leave(world, world->requests[i]);
    queue_free(&world->buffer.queue);
    sim_node_clear(&world->buffer.node);
}
