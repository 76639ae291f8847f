/* SPDX-License-Identifier: Apache-2.0
 *
 * The director's tables (R6, R8, S9, H2, H3), as reports and measurements of the nodes say. Rows have the numbers of the
 * configuration; a reload moves them, so that nothing is measured twice.
 */
#include "dnsd/private.h"

#include "base/memory.h"

enum { SMOOTHING = 8 }; /* reports of a link, one a second */

static const struct director_load unknown_load = {.free_ram_bytes = UINT64_MAX,
                                                  .free_swap_bytes = UINT64_MAX,
                                                  .connections = UINT32_MAX,
                                                  .requests_per_s = UINT32_MAX,
                                                  .cpu_idle = LOAD_UNKNOWN,
                                                  .load = LOAD_UNKNOWN,
                                                  .gauges = {UINT32_MAX, UINT32_MAX, UINT32_MAX,
                                                             UINT32_MAX}};
_Static_assert(MEASURE_GAUGES == 4, "all gauges are unknown at first");

/* ---- life */

void dnsd_facts_init(struct dnsd_facts *facts, uint64_t seed)
{
    *facts = (struct dnsd_facts){.latencies = latency_table_new(DNSD_LATENCY_ROWS, seed)};
}

void dnsd_facts_clear(struct dnsd_facts *facts)
{
    for (size_t role = 0; role < MEASURE_ROLES; role++)
        memory_free(facts->nodes[role]);
    memory_free(facts->links);
    memory_free(facts->held);
    latency_table_free(facts->latencies);
}

/* ---- another configuration */

/* The number in `data` of each node that had one in `old`; UINT32_MAX: it has gone. */
static uint32_t *map_numbers(const struct dnsd_data *old, const struct dnsd_data *data,
                             enum measure_role role)
{
    size_t count = old->role_counts[role];
    uint32_t *map = memory_new((count + 1) * sizeof *map);
    for (size_t i = 0; i < count; i++)
        map[i] = UINT32_MAX;
    for (size_t i = 0; i < old->reporter_count; i++) {
        const struct dnsd_reporter *before = &old->reporters[i];
        for (size_t k = 0; before->numbers[role] != UINT32_MAX && k < data->reporter_count; k++)
            if (data->reporters[k].id == before->id)
                map[before->numbers[role]] = data->reporters[k].numbers[role];
    }
    return map;
}

static void move_links(struct dnsd_facts *facts, const struct dnsd_data *data,
                       const uint32_t *edges, const uint32_t *gateways,
                       struct director_link_facts *to)
{
    size_t before = facts->data->role_counts[MEASURE_GATEWAY];
    size_t after = data->role_counts[MEASURE_GATEWAY];
    for (size_t e = 0; e < facts->data->role_counts[MEASURE_EDGE]; e++)
        for (size_t g = 0; edges[e] != UINT32_MAX && g < before; g++)
            if (gateways[g] != UINT32_MAX)
                to[edges[e] * after + gateways[g]] = facts->links[e * before + g];
}

/* What nobody has told yet of an edge that reports counts as nothing: a store begins empty. */
static uint16_t *new_held(const struct dnsd_data *data)
{
    size_t count = data->role_counts[MEASURE_EDGE] * data->site_count;
    return data->inventory_count ? memory_new((count + 1) * sizeof(uint16_t)) : NULL;
}

static void move_held(const struct dnsd_facts *facts, const struct dnsd_data *data,
                      const uint32_t *edges, uint16_t *to)
{
    const struct dnsd_data *old = facts->data;
    for (size_t i = 0; to && facts->held && i < old->inventory_count; i++) {
        uint32_t site = dnsd_data_inventory(data, old->inventories[i].id);
        for (size_t e = 0; site != UINT32_MAX && e < old->role_counts[MEASURE_EDGE]; e++)
            if (edges[e] != UINT32_MAX)
                to[edges[e] * data->site_count + site] =
                    facts->held[e * old->site_count + old->inventories[i].number];
    }
}

static void move(struct dnsd_facts *facts, const struct dnsd_data *data,
                 struct director_node_facts *nodes[MEASURE_ROLES],
                 struct director_link_facts *links, uint16_t *held)
{
    uint32_t *maps[MEASURE_ROLES];
    for (size_t role = 0; role < MEASURE_ROLES; role++) {
        maps[role] = map_numbers(facts->data, data, (enum measure_role)role);
        for (size_t i = 0; i < facts->data->role_counts[role]; i++)
            if (maps[role][i] != UINT32_MAX)
                nodes[role][maps[role][i]] = facts->nodes[role][i];
    }
    move_links(facts, data, maps[MEASURE_EDGE], maps[MEASURE_GATEWAY], links);
    move_held(facts, data, maps[MEASURE_EDGE], held);
    latency_table_renumber(facts->latencies, maps[MEASURE_EDGE],
                           facts->data->role_counts[MEASURE_EDGE]);
    for (size_t role = 0; role < MEASURE_ROLES; role++)
        memory_free(maps[role]);
}

void dnsd_facts_take(struct dnsd_facts *facts, const struct dnsd_data *data)
{
    struct director_node_facts *nodes[MEASURE_ROLES];
    for (size_t role = 0; role < MEASURE_ROLES; role++) {
        nodes[role] = memory_new((data->role_counts[role] + 1) * sizeof *nodes[role]);
        for (size_t i = 0; i < data->role_counts[role]; i++)
            nodes[role][i].load = unknown_load;
    }
    struct director_link_facts *links = memory_new(
        (data->role_counts[MEASURE_EDGE] * data->role_counts[MEASURE_GATEWAY] + 1) * sizeof *links);
    uint16_t *held = new_held(data);
    if (facts->data)
        move(facts, data, nodes, links, held);
    for (size_t role = 0; role < MEASURE_ROLES; role++) {
        memory_free(facts->nodes[role]);
        facts->nodes[role] = nodes[role];
    }
    memory_free(facts->links);
    facts->links = links;
    memory_free(facts->held);
    facts->held = held;
    facts->data = data;
}

/* ---- what nodes say */

static void take_load(struct dnsd_facts *facts, const struct dnsd_reporter *from,
                      const struct measure_load *told, uint64_t now_ns)
{
    uint32_t number = from->numbers[told->role];
    if (number == UINT32_MAX)
        return; /* our configuration does not give it that role */
    struct director_load *load = &facts->nodes[told->role][number].load;
    *load = told->load;
    load->taken_ns = now_ns;
}

/* A few slow packets of a link at rest move nobody's clients. */
static uint32_t smooth(uint32_t old, uint32_t told)
{
    return (uint32_t)((old * (SMOOTHING - 1ull) + told + SMOOTHING / 2) / SMOOTHING);
}

static void take_link(struct dnsd_facts *facts, const struct dnsd_reporter *from,
                      const struct status_gateway *told, uint64_t taken_ns)
{
    uint32_t edge = from->numbers[MEASURE_EDGE];
    uint32_t gateway = edge != UINT32_MAX ? dnsd_data_gateway(facts->data, told->id) : UINT32_MAX;
    if (gateway == UINT32_MAX)
        return;
    struct director_link_facts *link =
        &facts->links[edge * facts->data->role_counts[MEASURE_GATEWAY] + gateway];
    bool goes_on = link->taken_ns && link->is_up && told->is_up;
    *link = (struct director_link_facts){
        .taken_ns = taken_ns,
        .rtt_us = goes_on ? smooth(link->rtt_us, told->srtt_us) : told->srtt_us,
        .loss_ppm = goes_on ? smooth(link->loss_ppm, told->loss_ppm) : told->loss_ppm,
        .is_up = told->is_up};
}

static void take_latency(struct dnsd_facts *facts, const struct dnsd_reporter *from,
                         const struct measure_latency *told, uint64_t now_ns)
{
    uint32_t edge = from->numbers[MEASURE_EDGE];
    uint64_t age_ns = told->age_s * 1000000000ull;
    if (edge != UINT32_MAX && age_ns < now_ns)
        latency_table_put(facts->latencies, &told->client, edge, told->source, told->rtt_us,
                          told->samples, told->is_silent, now_ns - age_ns);
    if (facts->on_latency)
        facts->on_latency(facts->owner, from, told);
}

static void take_held(struct dnsd_facts *facts, const struct dnsd_reporter *from,
                      const struct measure_held *told)
{
    uint32_t edge = from->numbers[MEASURE_EDGE];
    uint32_t site = dnsd_data_inventory(facts->data, told->site);
    if (edge != UINT32_MAX && site != UINT32_MAX && told->share <= 1000)
        facts->held[edge * facts->data->site_count + site] = told->share;
}

void dnsd_facts_measured(struct dnsd_facts *facts, const struct dnsd_reporter *from,
                         const struct measure_message *message, uint64_t now_ns)
{
    struct measure_reader reader = measure_reader_of(message);
    struct measure_item item;
    while (measure_next(&reader, &item)) {
        facts->items++;
        switch (item.kind) {
        case MEASURE_LOAD:
            take_load(facts, from, &item.load, now_ns);
            break;
        case MEASURE_LINK:
            take_link(facts, from, &item.link, now_ns);
            break;
        case MEASURE_LATENCY:
            take_latency(facts, from, &item.latency, now_ns);
            break;
        case MEASURE_HEALTH:
            if (facts->on_health)
                facts->on_health(facts->owner, from, &item.health);
            break;
        case MEASURE_HELD:
            take_held(facts, from, &item.held);
            break;
        case MEASURE_PROOF:
            if (facts->on_proof)
                facts->on_proof(facts->owner, from, &item.proof);
            break;
        case MEASURE_PROBE:
            break; /* ours to ask, not to be asked */
        }
    }
}

void dnsd_facts_reported(struct dnsd_facts *facts, const struct dnsd_reporter *from,
                         const struct status_edge *status)
{
    const struct status_report *report = &status->report;
    for (size_t i = 0; i < report->gateway_count; i++)
        take_link(facts, from, &report->gateways[i], status->heard_ns);
}

/* ---- time */

static void age_load(struct director_load *load, uint64_t now_ns)
{
    if (load->taken_ns && now_ns - load->taken_ns > DNSD_LOAD_AGE_NS)
        *load = unknown_load;
}

void dnsd_facts_age(struct dnsd_facts *facts, uint64_t now_ns)
{
    for (size_t role = 0; role < MEASURE_ROLES; role++)
        for (size_t i = 0; i < facts->data->role_counts[role]; i++)
            age_load(&facts->nodes[role][i].load, now_ns);
    if (now_ns > DNSD_LATENCY_AGE_NS)
        (void)latency_table_expire(facts->latencies, now_ns - DNSD_LATENCY_AGE_NS);
}

struct director_facts dnsd_facts_view(const struct dnsd_facts *facts, uint64_t now_ns)
{
    return (struct director_facts){.edges = facts->nodes[MEASURE_EDGE],
                                   .gateways = facts->nodes[MEASURE_GATEWAY],
                                   .links = facts->links,
                                   .latencies = facts->latencies,
                                   .held = facts->held,
                                   .now_ns = now_ns};
}

/* ---- for operators */

static void write_number(struct text *json, const char *name, uint64_t number, uint64_t unknown)
{
    if (number != unknown)
        text_add_format(json, ",\"%s\":%llu", name, (unsigned long long)number);
}

void dnsd_facts_write_load(const struct director_load *load, uint64_t now_ns, struct text *json)
{
    if (!load->taken_ns) {
        text_add(json, "null");
        return;
    }
    text_add_format(json, "{\"ms_ago\":%llu",
                    (unsigned long long)(now_ns - load->taken_ns) / 1000000);
    write_number(json, "load", load->load, LOAD_UNKNOWN);
    write_number(json, "connections", load->connections, UINT32_MAX);
    write_number(json, "requests_per_s", load->requests_per_s, UINT32_MAX);
    write_number(json, "cpu_idle", load->cpu_idle, LOAD_UNKNOWN);
    write_number(json, "free_ram", load->free_ram_bytes, UINT64_MAX);
    write_number(json, "free_swap", load->free_swap_bytes, UINT64_MAX);
    text_add(json, ",\"gauges\":[");
    for (size_t i = 0; i < MEASURE_GAUGES; i++)
        if (load->gauges[i] != UINT32_MAX)
            text_add_format(json, "%s%u", i ? "," : "", load->gauges[i]);
        else
            text_add(json, i ? ",null" : "null");
    text_add(json, "]}");
}

void dnsd_facts_write_latencies(const struct dnsd_facts *facts, const struct address *client,
                                uint64_t now_ns, struct text *json)
{
    static const char *const sources[LATENCY_SOURCES] = {
        [LATENCY_PASSIVE] = "visitors", [LATENCY_PROBE] = "probes"};
    uint32_t at = latency_table_first(facts->latencies, client);
    text_add(json, "[");
    for (bool is_first = true; at != LATENCY_END; is_first = false) {
        struct latency_row row;
        at = latency_table_next(facts->latencies, at, &row);
        text_add(json, is_first ? "{\"edge\":" : ",{\"edge\":");
        text_add_json(json, span_text(facts->data->edges[row.node].name));
        text_add_format(json,
                        ",\"source\":\"%s\",\"rtt_us\":%u,\"samples\":%u,\"silent\":%s,"
                        "\"ms_ago\":%llu}",
                        sources[row.source], row.value.rtt_us, row.value.samples,
                        row.value.is_silent ? "true" : "false",
                        (unsigned long long)(now_ns - row.value.taken_ns) / 1000000);
    }
    text_add(json, "]");
}
