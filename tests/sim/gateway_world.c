/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge of the simulated gateways and its visitors: who comes and leaves, which gateway is asked, what gateways report and when
 * that is known. A request goes back to the pool when its answer, or the word that there is none, has reached the edge.
 */
#include "gateway.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

enum { REQUEST_BYTES = 700 };

static const uint64_t beat_ns = 100 * SIM_MS;

static struct sim_world *world_of(const struct sim_node *node)
{
    return CONTAINER_OF(node->sim, struct sim_world, sim);
}

/* ---- requests */

static struct sim_request *request_new(struct sim_world *world)
{
    struct sim_request *request = world->free_requests;
    if (request) {
        world->free_requests = request->next_free;
        *request = (struct sim_request){.index = request->index};
        return request;
    }
    if (world->request_count == world->request_room) {
        world->request_room = world->request_room ? 2 * world->request_room : 1024;
        world->requests =
            memory_resize(world->requests, world->request_room, sizeof *world->requests);
    }
    request = NEW(struct sim_request);
    request->index = world->request_count;
    return world->requests[world->request_count++] = request;
}

void sim_world_forget(struct sim_world *world, struct sim_request *request)
{
    request->next_free = world->free_requests;
    world->free_requests = request;
}

struct sim_request *sim_world_receive(struct sim_world *world, struct sim_packet *packet)
{
    struct sim_request *request = world->requests[packet->number];
    sim_packet_free(&world->sim, packet);
    return request;
}

/* ---- the edge: which gateway */

static void hear(struct sim_world *world)
{
    while (world->beats_heard < world->beats_sent) {
        size_t at = world->beats_heard % SIM_BEATS, index = world->beats[at].gateway;
        if (world->beats[at].due_ns > world->sim.now_ns)
            return;
        world->facts[index] = world->beats[at].facts;
        world->beats_heard++;
    }
}

static void update_route(struct sim_world *world)
{
    const struct sim_world_config *config = world->config;
    uint64_t now_ns = world->sim.now_ns;
    hear(world);
    for (size_t i = 0; i < config->gateway_count; i++) {
        struct sim_gateway *gateway = &world->gateways[i];
        struct route_facts *facts = &world->facts[i];
        route_meter_add(&world->meters[i], now_ns, gateway->up.known + gateway->down.known,
                        gateway->up.lost + gateway->down.lost);
        facts->identity = i + 1;
        facts->is_up = facts->has_window = true;
        facts->rtt_us = (uint32_t)(2 * gateway->config->delay_ns / 1000);
        facts->loss = route_meter_read(&world->meters[i]);
    }
    route_update(&world->route, &config->route, world->facts, config->gateway_count, now_ns);
    sim_buffer_follow(world);
}

static bool hears_gateways(const struct sim_world *world)
{
    return world->config->gateway_count > 1 || world->config->has_buffer;
}

void sim_world_look(struct sim_world *world)
{
    if (hears_gateways(world) && route_is_due(&world->route, world->sim.now_ns))
        update_route(world);
}

static uint8_t choose_gateway(struct sim_world *world, uint8_t class)
{
    if (world->config->gateway_count == 1)
        return 0;
    size_t found = route_pick(&world->route, class, 0);
    INVARIANT(found != ROUTE_NONE);
    return (uint8_t)found;
}

/* ---- gateways report */

static uint64_t beat_next(const struct sim_node *node)
{
    const struct sim_world *world = world_of(node);
    return hears_gateways(world) ? world->next_beat_ns : SIM_NEVER;
}

static void beat_run(struct sim_node *node)
{
    struct sim_world *world = world_of(node);
    for (size_t i = 0; i < world->config->gateway_count; i++) {
        size_t at = world->beats_sent++ % SIM_BEATS;
        struct route_facts facts = {0};
        sim_gateway_tell(&world->gateways[i], &facts);
        world->beats[at].facts = facts;
        world->beats[at].gateway = i;
        world->beats[at].due_ns = node->sim->now_ns + world->config->gateways[i].delay_ns;
    }
    world->next_beat_ns += beat_ns;
}

/* ---- visitors */

static void edge_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_world *world = world_of(node);
    struct sim_request *request = sim_world_receive(world, packet);
    sim_buffer_leave(world, request);
    if (!request->has_left) {
        list_remove(&request->patience);
        sim_result_add_good(world, request);
    }
    sim_world_forget(world, request);
}

static uint8_t choose_kind(struct sim_world *world)
{
    double at = random_unit(&world->arrivals);
    size_t kind = 0;
    while (kind + 1 < world->config->kind_count && at >= world->config->kinds[kind].share)
        at -= world->config->kinds[kind++].share;
    return (uint8_t)kind;
}

void sim_world_send(struct sim_world *world, struct sim_request *request, uint8_t gateway)
{
    request->gateway = gateway;
    request->sent_ns = world->sim.now_ns;
    if (sim_is_measured(world, request->came_ns))
        world->result
            ->sent[gateway][(request->came_ns - world->config->warm_ns) / (100 * SIM_MS)]++;
    sim_way_send(&world->gateways[gateway].up, request, REQUEST_BYTES);
}

static void come(struct sim_world *world, uint8_t class)
{
    struct sim_request *request = request_new(world);
    request->came_ns = world->sim.now_ns;
    request->class = class;
    request->kind = choose_kind(world);
    request->except = SIM_ORIGINS_MAX;
    const struct sim_kind *kind = &world->config->kinds[request->kind];
    double spread = kind->spread * (2 * random_unit(&world->arrivals) - 1);
    request->job.nominal_ns = (uint64_t)((double)kind->nominal_ns * (1 + spread));
    list_push_back(&world->waiting, &request->patience);
    world->result->classes[class].came += sim_is_measured(world, request->came_ns);
    sim_world_look(world);
    if (!sim_buffer_take(world, request))
        sim_world_send(world, request, choose_gateway(world, class));
}

/* The word that a visitor has left takes no time here. */
static void leave(struct sim_world *world, struct sim_request *request)
{
    list_remove(&request->patience);
    request->has_left = true;
    world->result->classes[request->class].left += sim_is_measured(world, request->came_ns);
    bool was_buffered = request->is_buffered;
    sim_buffer_leave(world, request);
    if (was_buffered)
        sim_world_forget(world, request);
    else if (request->is_queued)
        sim_gateway_cancel(&world->gateways[request->gateway], request);
}

static uint64_t visitors_next(const struct sim_node *node)
{
    const struct sim_world *world = world_of(node);
    uint64_t next_ns = SIM_NEVER;
    if (!list_is_empty(&world->waiting))
        next_ns = CONTAINER_OF(world->waiting.next, struct sim_request, patience)->came_ns +
                  world->config->patience_ns;
    for (int class = 0; class < SIM_CLASSES; class ++)
        if (world->next_arrival_ns[class] < next_ns)
            next_ns = world->next_arrival_ns[class];
    return next_ns;
}

static void visitors_run(struct sim_node *node)
{
    struct sim_world *world = world_of(node);
    uint64_t now_ns = node->sim->now_ns;
    LIST_EACH (item, after, &world->waiting) {
        struct sim_request *request = CONTAINER_OF(item, struct sim_request, patience);
        if (request->came_ns + world->config->patience_ns > now_ns)
            break;
        leave(world, request);
    }
    for (uint8_t class = 0; class < SIM_CLASSES; class ++) {
        if (world->next_arrival_ns[class] > now_ns)
            continue;
        come(world, class);
        double wait = -log(1 - random_unit(&world->arrivals)) / world->rate_per_ns[class];
        world->next_arrival_ns[class] = now_ns + (uint64_t)wait + 1;
    }
}

/* What all origins can do, in work of slowness 1; those that flap as long as they are up. */
static double capacity(const struct sim_world_config *config)
{
    double sum = 0;
    for (size_t i = 0; i < config->gateway_count; i++) {
        for (size_t j = 0; j < config->gateways[i].origin_count; j++) {
            const struct sim_origin_config *origin = &config->gateways[i].origins[j];
            double turn_ns = (double)(origin->up_ns + origin->down_ns);
            double up = origin->down_ns ? (double)origin->up_ns / turn_ns : 1;
            sum += up * origin->workers / origin->slowness;
        }
    }
    return sum;
}

static double mean_nominal_ns(const struct sim_world_config *config)
{
    double sum_ns = 0;
    for (size_t i = 0; i < config->kind_count; i++)
        sum_ns += config->kinds[i].share * (double)config->kinds[i].nominal_ns;
    return sum_ns;
}

static void start_visitors(struct sim_world *world)
{
    const struct sim_world_config *config = world->config;
    double nominal_ns = mean_nominal_ns(config);
    list_init(&world->waiting);
    for (int class = 0; class < SIM_CLASSES; class ++) {
        world->rate_per_ns[class] = config->loads[class] * capacity(config) / nominal_ns;
        world->next_arrival_ns[class] = config->loads[class] > 0 ? 0 : SIM_NEVER;
    }
    sim_node_init(&world->visitors, &world->sim, "visitors");
    world->visitors.next = visitors_next;
    world->visitors.run = visitors_run;
    sim_node_wake(&world->visitors);
}

/* ---- the whole */

static void start(struct sim_world *world)
{
    const struct sim_world_config *config = world->config;
    sim_init(&world->sim, config->seed);
    random_seed(&world->arrivals, config->seed);
    sim_node_init(&world->edge, &world->sim, "edge");
    world->edge.receive = edge_receive;
    for (size_t i = 0; i < config->gateway_count; i++)
        sim_gateway_start(&world->gateways[i], world, i);
    sim_node_init(&world->beat, &world->sim, "beat");
    world->beat.next = beat_next;
    world->beat.run = beat_run;
    sim_node_wake(&world->beat);
    sim_buffer_start(world);
    start_visitors(world);
}

static void clear(struct sim_world *world)
{
    for (uint64_t i = 0; i < world->request_count; i++)
        if (world->requests[i]->is_queued)
            sim_gateway_cancel(&world->gateways[world->requests[i]->gateway], world->requests[i]);
    sim_buffer_clear(world);
    for (size_t i = 0; i < world->config->gateway_count; i++)
        sim_gateway_clear(&world->gateways[i]);
    sim_node_clear(&world->visitors);
    sim_node_clear(&world->beat);
    sim_node_clear(&world->edge);
    for (uint64_t i = 0; i < world->request_count; i++)
        memory_free(world->requests[i]);
    memory_free(world->requests);
    sim_clear(&world->sim);
}

/* Of all origins, since it was asked last. */
static double capacity_s(struct sim_world *world)
{
    double sum_s = 0;
    for (size_t i = 0; i < world->config->gateway_count; i++)
        for (size_t j = 0; j < world->config->gateways[i].origin_count; j++)
            sum_s += sim_origin_capacity_s(&world->gateways[i].origins[j]);
    return sum_s;
}

static void count_taken(struct sim_world *world, bool is_end)
{
    for (size_t i = 0; i < world->config->gateway_count; i++)
        for (size_t j = 0; j < world->config->gateways[i].origin_count; j++)
            world->result->taken[i][j] =
                world->gateways[i].origins[j].taken - (is_end ? world->result->taken[i][j] : 0);
}

void sim_world_run(const struct sim_world_config *config, const struct sim_balancer *balancer,
                   struct sim_result *result)
{
    INVARIANT(config->measured_ns <= SIM_SECONDS_MAX * SIM_SECOND &&
              config->gateway_count <= SIM_GATEWAYS_MAX);
    struct sim_world *world = NEW(struct sim_world);
    *result = (struct sim_result){.service_s = mean_nominal_ns(config) / 1e9};
    world->config = config;
    world->balancer = balancer;
    world->result = result;
    start(world);
    sim_run(&world->sim, config->warm_ns, NULL, NULL);
    (void)capacity_s(world);
    count_taken(world, false);
    sim_run(&world->sim, config->warm_ns + config->measured_ns, NULL, NULL);
    result->capacity_s = capacity_s(world);
    count_taken(world, true);
    for (size_t i = 0; i < config->gateway_count; i++)
        for (size_t j = 0; j < config->gateways[i].origin_count; j++)
            result->pending_most[i][j] = world->gateways[i].origins[j].pending_most;
    /* Who came while measuring is answered, or leaves. */
    sim_run(&world->sim, world->sim.now_ns + config->patience_ns + SIM_SECOND, NULL, NULL);
    clear(world);
    memory_free(world);
    sim_result_finish(result);
}
