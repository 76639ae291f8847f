/* SPDX-License-Identifier: Apache-2.0
 *
 * From a configuration to zones (zones.c), regions and the director; and views of them for the answering threads.
 */
#include "dnsd/private.h"

#include "base/bytes.h"
#include "base/memory.h"

#include <stdlib.h>

static void complain(struct text *why, const char *what, const char *sentence)
{
    text_add_format(why, "%s: %s\n", what, sentence);
}

/* ---- the director */

enum { NOT_AN_EDGE = UINT32_MAX };

struct edges {
    struct director_edge *items;
    uint32_t *numbers; /* by node index; NOT_AN_EDGE */
    size_t count;
};

/* Not an error: the region may have no clients of its own. More likely it is misspelt. */
static void check_region(const struct dnsd_data *data, const struct conf_node *node)
{
    const struct maps *maps = data->maps->maps;
    if (!node->region || maps_region_count(maps) == 1 ||
        maps_region_number(maps, span_text(node->region)) != MAPS_NO_REGION)
        return;
    const char *nearest = maps_region_nearest_name(maps, node->region);
    log_warning("dns", "no map names the edge's region: edge=%s region=%s%s%s", node->name,
                node->region, nearest ? "; did you mean " : "", nearest ? nearest : "");
}

static void take_edges(struct dnsd_data *data, const struct conf *conf, struct edges *edges)
{
    edges->items = memory_new(conf->node_count * sizeof *edges->items);
    edges->numbers = memory_new(conf->node_count * sizeof *edges->numbers);
    data->edges = memory_new(conf->node_count * sizeof *data->edges);
    for (size_t i = 0; i < conf->node_count; i++) {
        const struct conf_node *node = &conf->nodes[i];
        edges->numbers[i] = (uint32_t)NOT_AN_EDGE;
        if (!node->edge)
            continue;
        check_region(data, node);
        edges->numbers[i] = (uint32_t)edges->count;
        edges->items[edges->count++] =
            (struct director_edge){.region = node->region,
                                   .addresses = node->addresses.items,
                                   .address_count = node->addresses.count,
                                   .cost = node->cost,
                                   .point = maps_point_is_known(node->location) ? &node->location
                                                                                : NULL};
        struct dnsd_edge *edge = &data->edges[data->edge_count++];
        edge->name = memory_text(node->name, strlen(node->name));
        edge->reporter = UINT32_MAX;
    }
}

/* Nodes with a key that have anything to report; numbers go to those without one too, since the configuration has them. */
static void take_reporters(struct dnsd_data *data, const struct conf *conf)
{
    const struct crypto *crypto = crypto_openssl();
    data->reporters = memory_new(conf->node_count * sizeof *data->reporters);
    for (size_t i = 0; i < conf->node_count; i++) {
        const struct conf_node *node = &conf->nodes[i];
        const bool has[MEASURE_ROLES] = {[MEASURE_EDGE] = node->edge != NULL,
                                         [MEASURE_GATEWAY] = node->gateway != NULL,
                                         [MEASURE_SERVER] = node->agent != NULL};
        struct dnsd_reporter reporter = {0};
        bool reports = false;
        for (size_t role = 0; role < MEASURE_ROLES; role++) {
            reporter.numbers[role] = has[role] ? (uint32_t)data->role_counts[role]++ : UINT32_MAX;
            reports |= has[role];
        }
        if (!reports || !node->has_public_key)
            continue;
        memcpy(reporter.public_key.bytes, node->public_key, KEY_BYTES);
        reporter.id = status_node_id(crypto, &reporter.public_key);
        reporter.name = memory_text(node->name, strlen(node->name));
        if (node->edge)
            data->edges[reporter.numbers[MEASURE_EDGE]].reporter = (uint32_t)data->reporter_count;
        data->reporters[data->reporter_count++] = reporter;
    }
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t first = ((const struct dnsd_id *)a)->id;
    uint64_t second = ((const struct dnsd_id *)b)->id;
    return (first > second) - (first < second);
}

static void take_gateways(struct dnsd_data *data)
{
    data->gateways = memory_new(data->reporter_count * sizeof *data->gateways);
    for (size_t i = 0; i < data->reporter_count; i++) {
        const struct dnsd_reporter *reporter = &data->reporters[i];
        if (reporter->numbers[MEASURE_GATEWAY] != UINT32_MAX)
            data->gateways[data->gateway_count++] =
                (struct dnsd_id){reporter->id, reporter->numbers[MEASURE_GATEWAY]};
    }
    qsort(data->gateways, data->gateway_count, sizeof *data->gateways, compare_ids);
}

static uint32_t find_id(const struct dnsd_id *list, size_t count, uint64_t id)
{
    const struct dnsd_id wanted = {.id = id};
    const struct dnsd_id *found = bsearch(&wanted, list, count, sizeof *list, compare_ids);
    return found ? found->number : UINT32_MAX;
}

uint32_t dnsd_data_gateway(const struct dnsd_data *data, uint64_t id)
{
    return find_id(data->gateways, data->gateway_count, id);
}

uint32_t dnsd_data_inventory(const struct dnsd_data *data, uint64_t id)
{
    return find_id(data->inventories, data->inventory_count, id);
}

/* The numbers of those nodes that have one, to `to`. */
static size_t take_numbers(const uint32_t *numbers, const struct conf_node *const *nodes,
                           size_t node_count, uint32_t *to)
{
    size_t count = 0;
    for (size_t i = 0; i < node_count; i++)
        if (numbers[nodes[i]->index] != (uint32_t)NOT_AN_EDGE)
            to[count++] = numbers[nodes[i]->index];
    return count;
}

/* As in take_reporters(): all of the file, with and without keys. */
static uint32_t *number_gateways(const struct conf *conf)
{
    uint32_t *numbers = memory_new((conf->node_count + 1) * sizeof *numbers), count = 0;
    for (size_t i = 0; i < conf->node_count; i++)
        numbers[i] = conf->nodes[i].gateway ? count++ : (uint32_t)NOT_AN_EDGE;
    return numbers;
}

/* The steps of a policy of the file; else a word is one that is built in, or steps itself. */
static const char *steps_of(const struct conf *conf, const char *policy)
{
    for (size_t i = 0; i < conf->policy_count; i++)
        if (strcmp(conf->policies[i].name, policy) == 0)
            return conf->policies[i].steps;
    return policy;
}

static bool parse_policy(const char *what, const char *name, const char *steps,
                         struct director_policy *policy, struct text *why)
{
    struct text complaint = {0};
    bool is_good = director_policy_parse(span_text(steps), policy, &complaint);
    if (!is_good)
        text_add_format(why, "%s.%s: %s\n", what, name, complaint.data);
    text_clear(&complaint);
    return is_good;
}

/* All of the file, used or not, so that every mistake is told; and those of the sites. */
static struct director_policy *take_policies(const struct conf *conf, struct director_site *sites,
                                             struct text *why)
{
    struct director_policy unused;
    for (size_t i = 0; i < conf->policy_count; i++)
        parse_policy("director.policies", conf->policies[i].name, conf->policies[i].steps, &unused,
                     why);
    struct director_policy *policies = memory_new(conf->site_count * sizeof *policies);
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_site *site = &conf->sites[i];
        if (site->policy &&
            parse_policy("sites", site->name, steps_of(conf, site->policy), &policies[i], why))
            sites[i].policy = &policies[i];
    }
    return policies;
}

/* Only where a policy asks for it: sites with an inventory are ranked one by one. */
static void take_inventories(struct dnsd_data *data, const struct conf *conf,
                             struct director_site *sites)
{
    const struct crypto *crypto = crypto_openssl();
    data->inventories = memory_new((conf->site_count + 1) * sizeof *data->inventories);
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_site *site = &conf->sites[i];
        sites[i].has_inventory = site->cache.is_on && sites[i].policy &&
                                 director_policy_reads(sites[i].policy, DIRECTOR_HELD);
        if (sites[i].has_inventory)
            data->inventories[data->inventory_count++] =
                (struct dnsd_id){measure_name_id(crypto, span_text(site->name)), (uint32_t)i};
    }
    qsort(data->inventories, data->inventory_count, sizeof *data->inventories, compare_ids);
}

/* Edges weigh what they carry, by the first measure that all of them give. */
static void take_capacities(const struct conf *conf, struct edges *edges)
{
    for (int kind = 0; kind < 3; kind++) {
        bool is_given = true;
        for (size_t i = 0; i < conf->node_count; i++) {
            const struct conf_node *node = &conf->nodes[i];
            const uint32_t capacities[3] = {node->capacity.requests_per_s,
                                            node->capacity.connections, node->capacity.mbit_per_s};
            if (!node->edge)
                continue;
            edges->items[edges->numbers[i]].capacity = capacities[kind];
            is_given &= capacities[kind] > 0;
        }
        if (is_given)
            return;
    }
    for (size_t i = 0; i < edges->count; i++)
        edges->items[i].capacity = 0;
}

static void take_sites(const struct conf *conf, const struct edges *edges,
                       struct director_site *sites, uint32_t *numbers)
{
    uint32_t *gateways = number_gateways(conf);
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_site *from = &conf->sites[i];
        struct director_site *site = &sites[i];
        site->edges = numbers;
        site->edge_count = take_numbers(edges->numbers, from->edges, from->edge_count, numbers);
        numbers += site->edge_count;
        site->gateways = numbers;
        site->gateway_count = take_numbers(gateways, from->gateways, from->gateway_count, numbers);
        numbers += site->gateway_count;
        site->ttl_s = from->dns_ttl_s;
        site->floor_percent = (uint8_t)from->floor_percent;
        site->fails_closed = from->fails_closed;
        site->answers =
            from->dns_answers < DNS_ADDRESSES_LIMIT ? from->dns_answers : DNS_ADDRESSES_LIMIT;
    }
    memory_free(gateways);
}

static struct director_tuning tuning_of(const struct conf *conf)
{
    return (struct director_tuning){.networks_limit = conf->director_networks,
                                    .spread_from = (uint16_t)(conf->director_spread_percent * 10),
                                    .margin_percent = (uint16_t)conf->director_margin_percent,
                                    .margin_us = (uint16_t)(conf->director_margin_ns / 1000),
                                    .patience_ms =
                                        (uint16_t)(conf->director_patience_ns / 1000000)};
}

static struct director *make_director(struct dnsd_data *data, const struct conf *conf,
                                      struct text *why)
{
    struct edges edges = {0};
    take_edges(data, conf, &edges);
    take_reporters(data, conf);
    take_gateways(data);
    size_t references = 0;
    for (size_t i = 0; i < conf->site_count; i++)
        references += conf->sites[i].edge_count + conf->sites[i].gateway_count;
    struct director_site *sites = memory_new(conf->site_count * sizeof *sites);
    uint32_t *numbers = memory_new(references * sizeof *numbers);
    take_sites(conf, &edges, sites, numbers);
    take_capacities(conf, &edges);
    size_t before = why->length;
    struct director_policy *policies = take_policies(conf, sites, why);
    take_inventories(data, conf, sites);
    struct director_options options = {.maps = data->maps->maps,
                                       .edges = edges.items,
                                       .edge_count = edges.count,
                                       .gateway_count = data->role_counts[MEASURE_GATEWAY],
                                       .sites = sites,
                                       .site_count = conf->site_count,
                                       .tuning = tuning_of(conf)};
    struct director *director = why->length == before ? director_new(&options) : NULL;
    if (!director && why->length == before)
        complain(why, conf->file,
                 "too many different lists of edges for this many regions: let sites share them");
    memory_free(edges.items);
    memory_free(edges.numbers);
    memory_free(policies);
    memory_free(sites);
    memory_free(numbers);
    return director;
}

/* ---- data */

/* Until the first report every gateway is presumed to be up. */
static void rank_assigned(struct dnsd_data *data)
{
    struct director_node_facts *up =
        memory_new((data->role_counts[MEASURE_GATEWAY] + 1) * sizeof *up);
    dnsd_assigned_rank(data->assigned, up);
    memory_free(up);
}

static void take_hosts(struct dnsd_data *data, const struct conf *conf)
{
    data->hosts = memory_new(conf->site_count * sizeof *data->hosts);
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_texts *hosts = &conf->sites[i].hosts;
        const char *host = hosts->count ? hosts->items[0] : conf->sites[i].name;
        data->hosts[data->site_count++] = memory_text(host, strlen(host));
    }
}

static struct conf_maps *take_maps(const struct conf *conf, struct conf_maps *old, struct text *why)
{
    uint64_t start_ns = clock_now_ns();
    struct conf_maps *made = conf_maps_new(conf, old, why);
    if (!made || made == old || !(conf->map_count || conf->regions_path))
        return made;
    struct maps_figures figures = maps_figures(made->maps);
    log_info("dns", "maps compiled networks=%u places=%u bytes=%llu ms=%llu", figures.networks,
             figures.places, (unsigned long long)figures.bytes,
             (unsigned long long)(clock_now_ns() - start_ns) / 1000000);
    return made;
}

struct dnsd_data *dnsd_data_new(const struct conf *conf, struct conf_maps *old, uint64_t seed,
                                struct text *why)
{
    struct dnsd_data *data = NEW(struct dnsd_data);
    atomic_store(&data->references, 1);
    memcpy(data->conf_hash, conf->hash, sizeof data->conf_hash);
    take_hosts(data, conf);
    data->keys = dnsd_keys_new(conf, why);
    data->assigned = dnsd_assigned_new(conf);
    data->proofs = dnsd_proofs_new();
    data->maps = take_maps(conf, old, why);
    if (data->maps && data->keys)
        data->zones = dnsd_zones_new(conf, data->maps, data->keys, seed, &data->levels,
                                     &data->aliases, data->assigned, data->proofs, why);
    if (data->zones) {
        dnsd_keys_bind(data->keys, data->zones, (uint32_t)(clock_wall_ns() / 1000000000));
        data->transfers = dnsd_transfers_new(conf, data->zones, why);
    }
    if (data->maps)
        data->director = make_director(data, conf, why);
    data->health = edge_plan_new(conf, crypto_openssl());
    dnsd_probe_plan_init(&data->probe, conf, data->maps ? data->maps->maps : NULL);
    rank_assigned(data);
    bool is_set = dnsd_settings_init(&data->settings, conf->self, seed, why);
    if (data->zones && data->transfers && data->director && is_set)
        return data;
    dnsd_data_release(data);
    return NULL;
}

void dnsd_data_release(struct dnsd_data *data)
{
    if (!data || atomic_fetch_sub(&data->references, 1) != 1)
        return;
    dnsd_keys_free(data->keys);
    dns_zones_free(data->zones);
    dnsd_aliases_free(&data->aliases);
    dnsd_assigned_free(data->assigned);
    dnsd_proofs_free(data->proofs);
    dnsd_transfers_free(&data->transfers);
    edge_plan_free(&data->health);
    dnsd_probe_plan_clear(&data->probe);
    director_free(data->director);
    dnsd_levels_free(data->levels);
    conf_maps_release(data->maps);
    for (size_t i = 0; i < data->edge_count; i++)
        memory_free(data->edges[i].name);
    memory_free(data->edges);
    for (size_t i = 0; i < data->reporter_count; i++)
        memory_free(data->reporters[i].name);
    memory_free(data->reporters);
    for (size_t i = 0; i < data->site_count; i++)
        memory_free(data->hosts[i]);
    memory_free(data->hosts);
    memory_free(data->gateways);
    memory_free(data->inventories);
    dnsd_settings_clear(&data->settings);
    memory_free(data);
}

int dnsd_check(const struct conf *conf, struct text *why)
{
    struct dnsd_data *data = dnsd_data_new(conf, NULL, 0, why);
    bool is_good = data != NULL;
    dnsd_data_release(data);
    return is_good ? 0 : ERROR_CONFIG;
}

/* ---- views */

static void expect(const void *context, const struct dns_client *client)
{
    const struct dnsd_view *view = context;
    director_expect(view->data->director, &client->address);
}

static void find(const void *context, uint32_t number, const struct dns_client *client,
                 struct dns_choice *choice)
{
    const struct dnsd_view *view = context;
    if (dnsd_proofs_find(view->data->proofs, number, choice))
        return;
    if (dnsd_assigned_find(view->data->assigned, number, choice))
        return;
    uint32_t site = dnsd_levels_find(view->data->levels, number, client, choice);
    if (choice->alias)
        return;
    if (dnsd_aliases_find(view->data->aliases, &site, client, choice))
        return;
    uint8_t scope_bits = 0;
    if (director_find(view->data->director, site, &client->address, client->bits, &choice->room,
                      &scope_bits)) {
        choice->addresses = &choice->room;
        dnsd_decisions_note(view->decisions, view->data->hosts[site], client, &choice->room);
    }
    if (scope_bits > choice->scope_bits)
        choice->scope_bits = scope_bits;
}

struct dnsd_view *dnsd_view_new(struct dnsd_data *data, const struct dnsd_decisions *decisions)
{
    struct dnsd_view *view = NEW(struct dnsd_view);
    atomic_fetch_add(&data->references, 1);
    view->data = data;
    view->decisions = decisions;
    dnsd_settings_now(&data->settings, clock_wall_ns(), &view->settings);
    view->source = (struct dns_source){.zones = data->zones,
                                       .settings = &view->settings,
                                       .expect = expect,
                                       .find = find,
                                       .context = view,
                                       .signing = dnsd_keys_signing(data->keys)};
    return view;
}

void dnsd_view_release(void *view_)
{
    struct dnsd_view *view = view_;
    dnsd_data_release(view->data);
    memory_free(view);
}
