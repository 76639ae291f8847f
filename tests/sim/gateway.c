/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's world in virtual time: who comes and leaves, what crosses the link, what origins do to requests. A request goes
 * back to the pool when its answer, or the word that there is none, has reached its visitor's edge.
 */
#include "gateway.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_BYTES = 700, REFUSAL_BYTES = 300 };

/* A proxy of today sends nothing to a server that refused, reset or lost a connection for so long. */
static const uint64_t avoid_ns = SIM_SECOND;

static struct sim_gateway *gateway_of(const struct sim_node *node)
{
    return CONTAINER_OF(node->sim, struct sim_gateway, sim);
}

static bool is_measured(const struct sim_gateway *gateway, uint64_t at_ns)
{
    const struct sim_gateway_config *config = gateway->config;
    return at_ns >= config->warm_ns && at_ns < config->warm_ns + config->measured_ns;
}

static void append(float **values, uint64_t *room, uint64_t count, double value)
{
    if (count == *room)
        *values = memory_resize(*values, *room = *room ? 2 * *room : 1024, sizeof **values);
    (*values)[count] = (float)value;
}

/* ---- requests */

static struct sim_request *request_new(struct sim_gateway *gateway)
{
    struct sim_request *request = gateway->free_requests;
    if (request) {
        gateway->free_requests = request->next_free;
        *request = (struct sim_request){.index = request->index};
        return request;
    }
    if (gateway->request_count == gateway->request_room) {
        gateway->request_room = gateway->request_room ? 2 * gateway->request_room : 1024;
        gateway->requests =
            memory_resize(gateway->requests, gateway->request_room, sizeof(*gateway->requests));
    }
    request = memory_new(sizeof *request);
    request->index = gateway->request_count;
    return gateway->requests[gateway->request_count++] = request;
}

static void request_free(struct sim_gateway *gateway, struct sim_request *request)
{
    request->next_free = gateway->free_requests;
    gateway->free_requests = request;
}

static void send(struct sim_gateway *gateway, struct sim_link *link,
                 const struct sim_request *request, uint32_t bytes)
{
    struct sim_packet *packet = sim_packet_new(&gateway->sim, 0);
    packet->number = request->index;
    packet->length = bytes;
    sim_deliver(&link->node, packet);
}

static struct sim_request *receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_gateway *gateway = gateway_of(node);
    struct sim_request *request = gateway->requests[packet->number];
    sim_packet_free(&gateway->sim, packet);
    return request;
}

/* The word that there will be no answer. */
static void refuse(struct sim_gateway *gateway, struct sim_request *request, bool by_the_queue)
{
    struct sim_outcome *outcome = &gateway->result->classes[request->class];
    if (is_measured(gateway, request->came_ns) && !request->has_left) {
        outcome->dropped += by_the_queue;
        outcome->failed += !by_the_queue;
    }
    request->at = SIM_ANSWERED;
    list_remove(&request->patience);
    request->has_left = true;
    send(gateway, &gateway->down, request, REFUSAL_BYTES);
}

/* ---- the gateway */

uint32_t sim_gateway_limit(const struct sim_gateway *gateway, size_t origin)
{
    const struct sim_gateway_config *config = gateway->config;
    double share = config->limit_share > 0 ? config->limit_share : 1;
    return config->has_limits ? (uint32_t)ceil(share * config->origins[origin].workers) : 0;
}

static void avoid(struct sim_gateway *gateway, size_t origin)
{
    gateway->avoid_until_ns[origin] = gateway->sim.now_ns + avoid_ns;
    gateway->balancer->set_usable(gateway->state, origin, false);
}

static void try_again(struct sim_gateway *gateway, struct sim_request *request, size_t origin)
{
    request->except = (uint8_t)origin;
    if (request->has_left || ++request->tries == SIM_TRIES_MOST) {
        refuse(gateway, request, false);
        return;
    }
    request->at = SIM_QUEUED;
    gateway->balancer->push(gateway->state, request);
}

static void count_launch(struct sim_gateway *gateway, struct sim_request *request)
{
    const struct sim_gateway_config *config = gateway->config;
    uint64_t now_ns = gateway->sim.now_ns;
    request->launched_ns = now_ns;
    request->at = SIM_SERVED;
    if (!is_measured(gateway, request->came_ns) || request->tries)
        return;
    struct sim_outcome *outcome = &gateway->result->classes[request->class];
    double waited_s = (double)(now_ns - request->arrived_ns) / 1e9;
    append(&outcome->waits_ms, &outcome->waits_room, outcome->launched++, waited_s * 1e3);
    uint64_t second = (request->came_ns - config->warm_ns) / SIM_SECOND;
    gateway->result->waited_s[request->class][second] += waited_s;
    gateway->result->foretold_s[request->class][second] += (double)request->estimate_ns / 1e9;
}

static void launch(struct sim_gateway *gateway)
{
    const struct sim_balancer *balancer = gateway->balancer;
    struct sim_request *request;
    size_t origin;
    for (bool goes_on = true; goes_on;) {
        goes_on = false;
        while (balancer->dropped && balancer->dropped(gateway->state, &request))
            refuse(gateway, request, true);
        while (balancer->next(gateway->state, &request, &origin)) {
            count_launch(gateway, request);
            goes_on = true;
            if (sim_origin_take(&gateway->origins[origin], &request->job))
                continue;
            balancer->finish(gateway->state, request, origin, true);
            avoid(gateway, origin);
            try_again(gateway, request, origin);
        }
    }
    sim_node_wake(&gateway->near);
}

static void on_done(void *context, struct sim_origin *origin, struct sim_job *job, bool failed)
{
    struct sim_gateway *gateway = context;
    struct sim_request *request = CONTAINER_OF(job, struct sim_request, job);
    size_t index = (size_t)(origin - gateway->origins);
    gateway->balancer->finish(gateway->state, request, index, failed);
    if (failed) {
        avoid(gateway, index);
        try_again(gateway, request, index);
    } else {
        request->at = SIM_ANSWERED;
        send(gateway, &gateway->down, request, gateway->config->kinds[request->kind].answer_bytes);
    }
    /* After all that happens at this moment: an origin that goes down resets many. */
    gateway->launch_ns = gateway->sim.now_ns;
    sim_node_wake(&gateway->near);
}

static void near_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_gateway *gateway = gateway_of(node);
    struct sim_request *request = receive(node, packet);
    if (request->has_left) {
        request_free(gateway, request);
        return;
    }
    const struct sim_balancer *balancer = gateway->balancer;
    request->arrived_ns = node->sim->now_ns;
    if (balancer->estimate_ns)
        request->estimate_ns = balancer->estimate_ns(gateway->state, request->class);
    request->at = SIM_QUEUED;
    balancer->push(gateway->state, request);
    launch(gateway);
}

static uint64_t near_next(const struct sim_node *node)
{
    const struct sim_gateway *gateway = gateway_of(node);
    uint64_t next_ns = gateway->launch_ns;
    if (gateway->balancer->wake_ns) {
        uint64_t wake_ns = gateway->balancer->wake_ns(gateway->state);
        next_ns = wake_ns < next_ns ? wake_ns : next_ns;
    }
    for (size_t i = 0; i < gateway->config->origin_count; i++)
        if (gateway->avoid_until_ns[i] < next_ns)
            next_ns = gateway->avoid_until_ns[i];
    return next_ns;
}

static void near_run(struct sim_node *node)
{
    struct sim_gateway *gateway = gateway_of(node);
    gateway->launch_ns = SIM_NEVER;
    for (size_t i = 0; i < gateway->config->origin_count; i++) {
        if (gateway->avoid_until_ns[i] > node->sim->now_ns)
            continue;
        gateway->avoid_until_ns[i] = SIM_NEVER;
        gateway->balancer->set_usable(gateway->state, i, true);
    }
    launch(gateway);
}

/* ---- visitors */

static void far_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_gateway *gateway = gateway_of(node);
    struct sim_request *request = receive(node, packet);
    if (!request->has_left) {
        list_remove(&request->patience);
        struct sim_outcome *outcome = &gateway->result->classes[request->class];
        if (is_measured(gateway, request->came_ns)) {
            append(&outcome->ms, &outcome->room, outcome->good++,
                   (double)(node->sim->now_ns - request->came_ns) / 1e6);
        }
        if (is_measured(gateway, node->sim->now_ns))
            outcome->work_s += (double)request->job.nominal_ns / 1e9;
    }
    request_free(gateway, request);
}

static uint8_t choose_kind(struct sim_gateway *gateway)
{
    double at = random_unit(&gateway->arrivals);
    size_t kind = 0;
    while (kind + 1 < gateway->config->kind_count && at >= gateway->config->kinds[kind].share)
        at -= gateway->config->kinds[kind++].share;
    return (uint8_t)kind;
}

static void come(struct sim_gateway *gateway, uint8_t class)
{
    struct sim_request *request = request_new(gateway);
    request->came_ns = gateway->sim.now_ns;
    request->class = class;
    request->kind = choose_kind(gateway);
    request->except = SIM_ORIGINS_MAX;
    const struct sim_kind *kind = &gateway->config->kinds[request->kind];
    double spread = kind->spread * (2 * random_unit(&gateway->arrivals) - 1);
    request->job.nominal_ns = (uint64_t)((double)kind->nominal_ns * (1 + spread));
    list_push_back(&gateway->waiting, &request->patience);
    gateway->result->classes[class].came += is_measured(gateway, request->came_ns);
    send(gateway, &gateway->up, request, REQUEST_BYTES);
}

static void leave(struct sim_gateway *gateway, struct sim_request *request)
{
    list_remove(&request->patience);
    request->has_left = true;
    gateway->result->classes[request->class].left += is_measured(gateway, request->came_ns);
    if (request->at == SIM_QUEUED) { /* the word of it takes no time here */
        gateway->balancer->cancel(gateway->state, request);
        request_free(gateway, request);
    }
}

static uint64_t visitors_next(const struct sim_node *node)
{
    const struct sim_gateway *gateway = gateway_of(node);
    uint64_t next_ns = SIM_NEVER;
    if (!list_is_empty(&gateway->waiting))
        next_ns = CONTAINER_OF(gateway->waiting.next, struct sim_request, patience)->came_ns +
                  gateway->config->patience_ns;
    for (int class = 0; class < SIM_CLASSES; class ++)
        if (gateway->next_arrival_ns[class] < next_ns)
            next_ns = gateway->next_arrival_ns[class];
    return next_ns;
}

static void visitors_run(struct sim_node *node)
{
    struct sim_gateway *gateway = gateway_of(node);
    uint64_t now_ns = node->sim->now_ns;
    LIST_EACH (item, after, &gateway->waiting) {
        struct sim_request *request = CONTAINER_OF(item, struct sim_request, patience);
        if (request->came_ns + gateway->config->patience_ns > now_ns)
            break;
        leave(gateway, request);
    }
    for (uint8_t class = 0; class < SIM_CLASSES; class ++) {
        if (gateway->next_arrival_ns[class] > now_ns)
            continue;
        come(gateway, class);
        double wait = -log(1 - random_unit(&gateway->arrivals)) / gateway->rate_per_ns[class];
        gateway->next_arrival_ns[class] = now_ns + (uint64_t)wait + 1;
    }
}

/* ---- the whole */

/* What all origins can do, in work of slowness 1, those that flap as long as they are up. */
static double capacity(const struct sim_gateway_config *config)
{
    double sum = 0;
    for (size_t i = 0; i < config->origin_count; i++) {
        const struct sim_origin_config *origin = &config->origins[i];
        double up =
            origin->down_ns ? (double)origin->up_ns / (double)(origin->up_ns + origin->down_ns) : 1;
        sum += up * origin->workers / origin->slowness;
    }
    return sum;
}

static void start_visitors(struct sim_gateway *gateway)
{
    const struct sim_gateway_config *config = gateway->config;
    double nominal_ns = 0;
    for (size_t i = 0; i < config->kind_count; i++)
        nominal_ns += config->kinds[i].share * (double)config->kinds[i].nominal_ns;
    list_init(&gateway->waiting);
    for (int class = 0; class < SIM_CLASSES; class ++) {
        gateway->rate_per_ns[class] = config->loads[class] * capacity(config) / nominal_ns;
        gateway->next_arrival_ns[class] = config->loads[class] > 0 ? 0 : SIM_NEVER;
    }
    sim_node_init(&gateway->visitors, &gateway->sim, "visitors");
    gateway->visitors.next = visitors_next;
    gateway->visitors.run = visitors_run;
    sim_node_wake(&gateway->visitors);
}

static void start_link(struct sim_gateway *gateway)
{
    const struct sim_gateway_config *config = gateway->config;
    const struct sim_link_config link = {.bytes_per_s = config->link_bytes_per_s,
                                         .delay_ns = config->link_delay_ns};
    sim_node_init(&gateway->near, &gateway->sim, "gateway");
    gateway->near.receive = near_receive;
    gateway->near.next = near_next;
    gateway->near.run = near_run;
    sim_node_init(&gateway->far, &gateway->sim, "edge");
    gateway->far.receive = far_receive;
    sim_link_init(&gateway->up, &gateway->sim, "up", &link, &gateway->near);
    sim_link_init(&gateway->down, &gateway->sim, "down", &link, &gateway->far);
}

static void start(struct sim_gateway *gateway)
{
    const struct sim_gateway_config *config = gateway->config;
    sim_init(&gateway->sim, config->seed);
    random_seed(&gateway->arrivals, config->seed);
    random_seed(&gateway->balancing, config->seed ^ 0x9e3779b97f4a7c15);
    gateway->launch_ns = SIM_NEVER;
    for (size_t i = 0; i < config->origin_count; i++) {
        gateway->avoid_until_ns[i] = SIM_NEVER;
        sim_origin_init(&gateway->origins[i], &gateway->sim, &config->origins[i]);
        gateway->origins[i].on_done = on_done;
        gateway->origins[i].context = gateway;
    }
    start_link(gateway);
    gateway->state = gateway->balancer->new (gateway);
    start_visitors(gateway);
}

static void clear(struct sim_gateway *gateway)
{
    gateway->balancer->free(gateway->state);
    sim_link_clear(&gateway->up);
    sim_link_clear(&gateway->down);
    sim_node_clear(&gateway->visitors);
    sim_node_clear(&gateway->near);
    sim_node_clear(&gateway->far);
    for (size_t i = 0; i < gateway->config->origin_count; i++)
        sim_origin_clear(&gateway->origins[i]);
    for (uint64_t i = 0; i < gateway->request_count; i++)
        memory_free(gateway->requests[i]);
    memory_free(gateway->requests);
    sim_clear(&gateway->sim);
}

static int compare(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

void sim_gateway_run(const struct sim_gateway_config *config, const struct sim_balancer *balancer,
                     struct sim_result *result)
{
    INVARIANT(config->measured_ns <= SIM_SECONDS_MAX * SIM_SECOND);
    struct sim_gateway gateway = {.config = config, .balancer = balancer, .result = result};
    *result = (struct sim_result){0};
    start(&gateway);
    sim_run(&gateway.sim, config->warm_ns, NULL, NULL);
    for (size_t i = 0; i < config->origin_count; i++)
        sim_origin_capacity_s(&gateway.origins[i]);
    sim_run(&gateway.sim, config->warm_ns + config->measured_ns, NULL, NULL);
    for (size_t i = 0; i < config->origin_count; i++) {
        result->capacity_s += sim_origin_capacity_s(&gateway.origins[i]);
        result->pending_most[i] = gateway.origins[i].pending_most;
    }
    /* What came while measuring is answered, or its visitor leaves. */
    sim_run(&gateway.sim, gateway.sim.now_ns + config->patience_ns + SIM_SECOND, NULL, NULL);
    clear(&gateway);
    for (int class = 0; class < SIM_CLASSES; class ++) {
        struct sim_outcome *outcome = &result->classes[class];
        if (outcome->good)
            qsort(outcome->ms, outcome->good, sizeof *outcome->ms, compare);
        if (outcome->launched)
            qsort(outcome->waits_ms, outcome->launched, sizeof *outcome->waits_ms, compare);
    }
}

void sim_result_clear(struct sim_result *result)
{
    for (int class = 0; class < SIM_CLASSES; class ++) {
        memory_free(result->classes[class].ms);
        memory_free(result->classes[class].waits_ms);
    }
}

/* ---- what came out */

static double quantile(const float *ascending, uint64_t count, double at)
{
    return count ? (double)ascending[(uint64_t)(at * (double)(count - 1))] : 0;
}

double sim_result_quantile_ms(const struct sim_result *result, int class, double at)
{
    return quantile(result->classes[class].ms, result->classes[class].good, at);
}

double sim_result_wait_ms(const struct sim_result *result, int class, double at)
{
    return quantile(result->classes[class].waits_ms, result->classes[class].launched, at);
}

double sim_result_goodput(const struct sim_result *result)
{
    double work_s = 0;
    for (int class = 0; class < SIM_CLASSES; class ++)
        work_s += result->classes[class].work_s;
    return work_s / result->capacity_s;
}

double sim_result_estimate_error(const struct sim_result *result, int class, double at)
{
    float errors[SIM_SECONDS_MAX];
    uint64_t count = 0;
    for (int i = 0; i < SIM_SECONDS_MAX; i++) {
        double waited_s = result->waited_s[class][i];
        if (waited_s > 0)
            errors[count++] = (float)(fabs(result->foretold_s[class][i] - waited_s) / waited_s);
    }
    qsort(errors, count, sizeof *errors, compare);
    return quantile(errors, count, at);
}

void sim_result_print(const struct sim_result *result, const char *name)
{
    printf("  %-16s goodput %.3f\n", name, sim_result_goodput(result));
    for (int class = 0; class < SIM_CLASSES; class ++) {
        const struct sim_outcome *outcome = &result->classes[class];
        if (outcome->came == 0)
            continue;
        printf("    class %d: %7lu came, %6.2f %% good, %5.2f %% dropped, %5.2f %% failed, %5.2f "
               "%% left; "
               "p50 %7.1f p99 %7.1f ms; wait p50 %6.1f p99 %6.1f most %6.1f ms\n",
               class, (unsigned long)outcome->came,
               100 * (double)outcome->good / (double)outcome->came,
               100 * (double)outcome->dropped / (double)outcome->came,
               100 * (double)outcome->failed / (double)outcome->came,
               100 * (double)outcome->left / (double)outcome->came,
               sim_result_quantile_ms(result, class, 0.5),
               sim_result_quantile_ms(result, class, 0.99), sim_result_wait_ms(result, class, 0.5),
               sim_result_wait_ms(result, class, 0.99), sim_result_wait_ms(result, class, 1));
    }
}
