/* SPDX-License-Identifier: Apache-2.0
 *
 * The components of an edge's quality (R6, S9): one row of a table each. A row reads its value from the facts, says where it comes from, and turns
 * it into milliseconds that a visitor would feel, the smaller the better. "Most free RAM" thus is "least penalty".
 */
#include "director/private.h"

static const uint64_t link_stale_ns = 60ull * 1000000000; /* of a report that nobody renewed */
static const float setup_trips = 3,
                   setup_ms = 50; /* what making a link costs; where its length is not known */

struct component {
    const char *word, *unit;
    bool is_of_client;
    float (*read)(const struct channel *channel);
    float (*penalty)(float value);
    float unknown_ms; /* the penalty where nothing is known */
};

/* ---- facts of the channel ---- */

static const struct director_load *load_of(const struct channel *channel)
{
    const struct director_facts *facts = channel->sight->facts;
    return facts->edges ? &facts->edges[channel->edge].load : NULL;
}

static const struct director_link_facts *link_of(const struct director_facts *facts,
                                                 uint32_t gateways, uint32_t edge, uint32_t gateway)
{
    if (!facts->links || gateway == DIRECTOR_NONE)
        return NULL;
    const struct director_link_facts *link = &facts->links[(size_t)edge * gateways + gateway];
    return link->taken_ns && facts->now_ns < link->taken_ns + link_stale_ns ? link : NULL;
}

static const struct director_link_facts *channel_link(const struct channel *channel)
{
    return link_of(channel->sight->facts, channel->sight->director->gateway_count, channel->edge,
                   channel->gateway);
}

/* ---- values ---- */

static float read_latency(const struct channel *channel)
{
    return channel->estimate ? channel->estimate->ms[channel->edge] : NAN;
}

static float read_probe(const struct channel *channel)
{
    return channel->estimate ? channel->estimate->probe_ms[channel->edge] : NAN;
}

static float read_distance(const struct channel *channel)
{
    if (!channel->estimate)
        return NAN;
    const struct director *director = channel->sight->director;
    const struct edge *edge = &director->edges[channel->edge];
    const struct area *area = channel->estimate->area;
    return area->has_point && edge->has_point
               ? sphere_ms(area->point, edge->point)
               : (float)director->distances[area->region * director->edge_count + channel->edge];
}

static float read_link(const struct channel *channel)
{
    const struct director_link_facts *link = channel_link(channel);
    return link && link->is_up ? (float)link->rtt_us / 1000 : NAN;
}

static float read_loss(const struct channel *channel)
{
    const struct director_link_facts *link = channel_link(channel);
    return link && link->is_up ? (float)link->loss_ppm : NAN;
}

static float read_setup(const struct channel *channel)
{
    const struct director_link_facts *link = channel_link(channel);
    if (!link)
        return NAN;
    if (link->is_up)
        return 0;
    return link->rtt_us ? setup_trips * (float)link->rtt_us / 1000 : setup_ms;
}

/* Smoothed: a ranking that follows every swing of a load makes it swing. */
static float read_load(const struct channel *channel)
{
    return channel->sight->lives[channel->edge].load;
}

static float read_gateway(const struct channel *channel)
{
    const struct director_facts *facts = channel->sight->facts;
    if (!facts->gateways || channel->gateway == DIRECTOR_NONE)
        return NAN;
    uint16_t load = facts->gateways[channel->gateway].load.load;
    return load == LOAD_UNKNOWN ? NAN : (float)load;
}

static float read_cost(const struct channel *channel)
{
    return (float)channel->sight->director->edges[channel->edge].cost;
}

static float read_held(const struct channel *channel)
{
    const struct sight *sight = channel->sight;
    if (!sight->facts->held || !sight->group->has_inventory)
        return NAN;
    uint16_t held =
        sight->facts
            ->held[(size_t)channel->edge * sight->director->site_count + sight->group->site];
    return held == LOAD_UNKNOWN ? NAN : (float)held;
}

static float read_count(uint32_t count)
{
    return count == UINT32_MAX ? NAN : (float)count;
}

static float read_bytes(uint64_t bytes)
{
    return bytes == UINT64_MAX ? NAN : (float)bytes / (1 << 20);
}

#define READ_LOAD(name, expression)                          \
    static float read_##name(const struct channel *channel)  \
    {                                                        \
        const struct director_load *load = load_of(channel); \
        return load && load->taken_ns ? (expression) : NAN;  \
    }
READ_LOAD(connections, read_count(load->connections))
READ_LOAD(requests, read_count(load->requests_per_s))
READ_LOAD(ram, read_bytes(load->free_ram_bytes))
READ_LOAD(swap, read_bytes(load->free_swap_bytes))
READ_LOAD(cpu, load->cpu_idle == LOAD_UNKNOWN ? NAN : (float)load->cpu_idle)
READ_LOAD(gauge0, read_count(load->gauges[0]))
READ_LOAD(gauge1, read_count(load->gauges[1]))
READ_LOAD(gauge2, read_count(load->gauges[2]))
READ_LOAD(gauge3, read_count(load->gauges[3]))

/* ---- penalties ---- */

static float same(float value)
{
    return value;
}

/* A hundredth of all packets lost: as bad as 10 ms. */
static float of_loss(float ppm)
{
    return ppm / 1000;
}

/* The wait of a queue at this load, for a service of 5 ms; it stays finite. */
static float of_load(float thousandths)
{
    float load = fminf(thousandths / LOAD_FULL, 0.97f);
    return 5 * load / (1 - load);
}

static float of_cost(float thousandths)
{
    return thousandths / 100;
}

/* All of a site to be fetched first: 50 ms. */
static float of_held(float thousandths)
{
    return 50 * (1 - fminf(thousandths, LOAD_FULL) / LOAD_FULL);
}

static float of_count(float count)
{
    return count / 100;
}

/* Falls with what is free, and tells a little from less. */
static float of_free(float mib)
{
    return 100 / (1 + mib / 1024);
}

static float of_idle(float thousandths)
{
    return (LOAD_FULL - fminf(thousandths, LOAD_FULL)) / 10;
}

static const struct component components[DIRECTOR_COMPONENTS] = {
#define X(name, word, unit)   [DIRECTOR_##name] = {word, unit, COMPONENT_##name},
#define COMPONENT_LATENCY     true, read_latency, same, 0
#define COMPONENT_PROBE       true, read_probe, same, 1000
#define COMPONENT_DISTANCE    true, read_distance, same, 0
#define COMPONENT_LINK        false, read_link, same, 0
#define COMPONENT_LOSS        false, read_loss, of_loss, 0
#define COMPONENT_SETUP       false, read_setup, same, 0
#define COMPONENT_LOAD        false, read_load, of_load, 0
#define COMPONENT_GATEWAY     false, read_gateway, of_load, 0
#define COMPONENT_COST        false, read_cost, of_cost, 0
#define COMPONENT_HELD        false, read_held, of_held, 0
#define COMPONENT_CONNECTIONS false, read_connections, of_count, 1e6f
#define COMPONENT_REQUESTS    false, read_requests, of_count, 1e6f
#define COMPONENT_RAM         false, read_ram, of_free, 100
#define COMPONENT_SWAP        false, read_swap, of_free, 100
#define COMPONENT_CPU         false, read_cpu, of_idle, 100
#define COMPONENT_GAUGE_0     false, read_gauge0, same, 1e6f
#define COMPONENT_GAUGE_1     false, read_gauge1, same, 1e6f
#define COMPONENT_GAUGE_2     false, read_gauge2, same, 1e6f
#define COMPONENT_GAUGE_3     false, read_gauge3, same, 1e6f
    DIRECTOR_COMPONENT_LIST(X)
#undef X
};

const char *director_component_word(enum director_component component)
{
    return components[component].word;
}

const char *director_component_unit(enum director_component component)
{
    return components[component].unit;
}

bool component_is_of_client(enum director_component component)
{
    return components[component].is_of_client;
}

float component_value(const struct channel *channel, enum director_component component)
{
    return components[component].read(channel);
}

float component_penalty(const struct channel *channel, enum director_component component)
{
    if (component == DIRECTOR_LATENCY)
        return channel->estimate ? channel->estimate->penalty_ms[channel->edge] : 0;
    float value = components[component].read(channel);
    return isnan(value) ? components[component].unknown_ms : components[component].penalty(value);
}

/* ---- the best gateway ---- */

/* Gateways that are not up come last; those without a link behind those with one. */
static float gateway_penalty(const struct sight *sight, uint32_t edge, uint32_t gateway)
{
    struct channel channel = {sight, edge, gateway, NULL};
    float penalty = 0;
    static const enum director_component parts[] = {DIRECTOR_LINK, DIRECTOR_LOSS, DIRECTOR_SETUP,
                                                    DIRECTOR_GATEWAY};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        penalty += component_penalty(&channel, parts[i]);
    if (isnan(read_link(&channel)))
        penalty += 1e3f;
    if (sight->facts->gateways)
        penalty += 1e4f * (float)sight->facts->gateways[gateway].state;
    return penalty;
}

uint32_t channel_gateway(const struct sight *sight, uint32_t edge)
{
    uint32_t best = DIRECTOR_NONE;
    float least = INFINITY;
    if (!sight->facts->links && !sight->facts->gateways)
        return DIRECTOR_NONE;
    for (uint32_t i = 0; i < sight->group->gateway_count; i++) {
        float penalty = gateway_penalty(sight, edge, sight->group->gateways[i]);
        if (penalty < least) {
            least = penalty;
            best = sight->group->gateways[i];
        }
    }
    return best;
}

/* ---- members ---- */

static float sum_of(const struct channel *channel, const struct director_step *step)
{
    float sum = 0;
    for (int i = 0; i < DIRECTOR_COMPONENTS; i++)
        if (step->weights[i] != 0 && !components[i].is_of_client)
            sum += step->weights[i] * component_penalty(channel, (enum director_component)i);
    return sum;
}

static float product_of(const struct channel *channel, const struct director_step *step)
{
    float product = 1;
    for (int i = 0; i < DIRECTOR_COMPONENTS; i++)
        if (step->weights[i] != 0 && !components[i].is_of_client)
            product *=
                powf(1 + component_penalty(channel, (enum director_component)i), step->weights[i]);
    return product;
}

void member_refresh(const struct sight *sight, uint32_t edge, struct member *member)
{
    const struct director_policy *policy = sight->group->policy;
    uint32_t gateway = channel_gateway(sight, edge);
    struct channel channel = {sight, edge, gateway, NULL};
    *member = (struct member){.edge = (uint16_t)edge,
                              .gateway = gateway == DIRECTOR_NONE ? (uint16_t)MEMBER_NONE
                                                                  : (uint16_t)gateway};
    for (uint8_t i = 0; i < policy->step_count; i++) {
        const struct director_step *step = &policy->steps[i];
        if (step->kind == DIRECTOR_STEP_SUM)
            member->part = sum_of(&channel, step);
        else if (step->kind == DIRECTOR_STEP_PRODUCT)
            member->part = product_of(&channel, step);
        else if (step->kind == DIRECTOR_STEP_SORT)
            member->keys[step->sort] = component_penalty(&channel, step->component);
        else if (step->kind == DIRECTOR_STEP_FILTER && !component_is_of_client(step->component) &&
                 !member->dropped &&
                 !policy_filter_keeps(step, component_value(&channel, step->component)))
            member->dropped = (uint8_t)(i + 1);
    }
}

/* ---- explaining ---- */

static enum director_source source_of(const struct channel *channel,
                                      enum director_component component)
{
    switch (component) {
    case DIRECTOR_LATENCY:
        return (enum director_source)channel->estimate->sources[channel->edge];
    case DIRECTOR_PROBE:
        return DIRECTOR_FROM_PROBE;
    case DIRECTOR_DISTANCE:
        return DIRECTOR_FROM_MAP;
    case DIRECTOR_COST:
        return DIRECTOR_FROM_CONFIGURED;
    case DIRECTOR_LINK:
    case DIRECTOR_LOSS:
    case DIRECTOR_SETUP:
    case DIRECTOR_LOAD:
    case DIRECTOR_GATEWAY:
    case DIRECTOR_HELD:
    case DIRECTOR_CONNECTIONS:
    case DIRECTOR_REQUESTS:
    case DIRECTOR_RAM:
    case DIRECTOR_SWAP:
    case DIRECTOR_CPU:
    case DIRECTOR_GAUGE_0:
    case DIRECTOR_GAUGE_1:
    case DIRECTOR_GAUGE_2:
    case DIRECTOR_GAUGE_3:
    case DIRECTOR_COMPONENTS:
        break;
    }
    return DIRECTOR_FROM_REPORT;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t taken_ns(const struct channel *channel, enum director_component component)
{
    const struct director_facts *facts = channel->sight->facts;
    const struct estimate *estimate = channel->estimate;
    const struct director_link_facts *link = channel_link(channel);
    const struct director_load *load = load_of(channel);
    switch (component) {
    case DIRECTOR_LATENCY:
    case DIRECTOR_PROBE: {
        if (!estimate->network || !facts->latencies)
            return 0;
        uint64_t probe_ns =
            latency_table_find(facts->latencies, estimate->network, channel->edge, LATENCY_PROBE)
                .taken_ns;
        if (component == DIRECTOR_PROBE)
            return probe_ns;
        return later(probe_ns, latency_table_find(facts->latencies, estimate->network,
                                                  channel->edge, LATENCY_PASSIVE)
                                   .taken_ns);
    }
    case DIRECTOR_LINK:
    case DIRECTOR_LOSS:
    case DIRECTOR_SETUP:
        return link ? link->taken_ns : 0;
    case DIRECTOR_GATEWAY:
        return facts->gateways && channel->gateway != DIRECTOR_NONE
                   ? facts->gateways[channel->gateway].load.taken_ns
                   : 0;
    case DIRECTOR_LOAD:
    case DIRECTOR_CONNECTIONS:
    case DIRECTOR_REQUESTS:
    case DIRECTOR_RAM:
    case DIRECTOR_SWAP:
    case DIRECTOR_CPU:
    case DIRECTOR_GAUGE_0:
    case DIRECTOR_GAUGE_1:
    case DIRECTOR_GAUGE_2:
    case DIRECTOR_GAUGE_3:
        return load ? load->taken_ns : 0;
    case DIRECTOR_DISTANCE:
    case DIRECTOR_COST:
    case DIRECTOR_HELD:
    case DIRECTOR_COMPONENTS:
        break;
    }
    return 0;
}

struct director_value component_explain(const struct channel *channel,
                                        enum director_component component)
{
    float value = component_value(channel, component);
    bool is_known = !isnan(value);
    uint64_t when_ns = taken_ns(channel, component), now_ns = channel->sight->facts->now_ns;
    return (struct director_value){
        .value = value,
        .penalty_ms = component_penalty(channel, component),
        .confidence = component == DIRECTOR_LATENCY ? channel->estimate->confidence[channel->edge]
                      : is_known                    ? 1
                                                    : 0,
        .source = is_known ? source_of(channel, component) : DIRECTOR_FROM_UNKNOWN,
        .age_ns = !when_ns           ? UINT64_MAX
                  : now_ns > when_ns ? now_ns - when_ns
                                     : 0,
    };
}
