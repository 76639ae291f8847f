/* SPDX-License-Identifier: Apache-2.0
 *
 * From a configuration to exits, hosts and prebuilt heads; and views of them with the table of the moment.
 */
#include "base/memory.h"
#include "redirect/private.h"

_Static_assert((int)CONF_SERVER_POLICIES == (int)EXITS_POLICIES &&
                   (int)CONF_SERVER_ICMP == (int)EXITS_BY_ICMP &&
                   (int)CONF_SERVER_LOAD == (int)EXITS_BY_LOAD,
               "policies have the director's numbers");
_Static_assert((int)CONF_BORDERS_LIMIT == (int)EXITS_BORDERS_LIMIT &&
                   (int)CONF_PLACES_LIMIT == (int)EXITS_PLACES_LIMIT &&
                   (int)CONF_SERVERS_LIMIT == (int)EXITS_SERVERS_LIMIT,
               "what the configuration allows, the director takes");

/* ---- our own network */

struct places {
    const char *names[CONF_PLACES_LIMIT];
    const struct conf_server *first[CONF_PLACES_LIMIT]; /* a server that stands there */
    uint32_t count;
};

static uint32_t find_place(const struct places *places, const char *name)
{
    uint32_t at = 0;
    while (at < places->count && strcmp(places->names[at], name) != 0)
        at++;
    return at;
}

static void find_places(const struct conf *conf, struct places *places)
{
    for (size_t i = 0; i < conf->site_count; i++)
        for (size_t k = 0; k < conf->sites[i].server_count; k++) {
            const struct conf_server *server = &conf->sites[i].servers[k];
            uint32_t at = find_place(places, server->place);
            if (at < places->count)
                continue;
            INVARIANT(places->count < CONF_PLACES_LIMIT); /* conf has checked */
            places->names[places->count] = server->place;
            places->first[places->count++] = server;
        }
}

/* Said at either end, or at none when the point is the border itself. */
static uint32_t reach(const struct conf *conf, const struct conf_border *border, const char *point)
{
    if (strcmp(border->name, point) == 0)
        return 0;
    for (size_t i = 0; i < border->internal_count; i++)
        if (strcmp(border->internal[i].point, point) == 0)
            return border->internal[i].us;
    for (size_t i = 0; i < conf->border_count; i++) {
        const struct conf_border *there = &conf->borders[i];
        for (size_t k = 0; strcmp(there->name, point) == 0 && k < there->internal_count; k++)
            if (strcmp(there->internal[k].point, border->name) == 0)
                return there->internal[k].us;
    }
    return EXITS_NONE;
}

static bool has_exit(const struct conf_server *server, const struct conf_border *border)
{
    for (size_t i = 0; i < server->exit_count; i++)
        if (server->exits[i].border == border)
            return true;
    return false;
}

static void make_map(const struct conf *conf, const struct places *places, struct arena *arena,
                     struct exits_map *map)
{
    const struct conf_director *self = conf->self->director;
    size_t borders = conf->border_count;
    uint32_t *internal_us = ARENA_ARRAY(arena, uint32_t, places->count * borders);
    uint32_t *between_us = ARENA_ARRAY(arena, uint32_t, borders * borders);
    uint32_t *contact_us = ARENA_ARRAY(arena, uint32_t, places->count);
    for (size_t border = 0; border < borders; border++) {
        const struct conf_border *from = &conf->borders[border];
        for (uint32_t place = 0; place < places->count; place++)
            internal_us[place * borders + border] = has_exit(places->first[place], from)
                                                        ? reach(conf, from, places->names[place])
                                                        : EXITS_NONE;
        for (size_t to = 0; to < borders; to++)
            between_us[border * borders + to] = reach(conf, from, conf->borders[to].name);
    }
    for (uint32_t place = 0; place < places->count; place++)
        contact_us[place] = reach(conf, self->contact, places->names[place]);
    *map = (struct exits_map){
        .place_count = places->count,
        .border_count = (uint32_t)borders,
        .internal_us = internal_us,
        .between_us = between_us,
        .contact_us = contact_us,
        .contact = (uint32_t)self->contact->index,
        .last_term = self->last_term == CONF_LAST_PLACE ? EXITS_LAST_PLACE : EXITS_LAST_BORDER,
    };
}

/* ---- servers */

/* Numbers as redirect_facts has them. */
static uint32_t edge_number(const struct conf *conf, const struct conf_node *node)
{
    uint32_t number = 0;
    for (const struct conf_node *at = conf->nodes; at < node; at++)
        number += at->edge != NULL;
    return number;
}

static uint32_t server_number(const struct conf *conf, const struct conf_node *node)
{
    uint32_t number = 0;
    for (const struct conf_node *at = conf->nodes; at < node; at++)
        number += at->agent != NULL;
    return number;
}

static struct redirect_source source_of(const struct conf *conf, const struct conf_node *node)
{
    if (!node || (!node->agent && !node->edge))
        return (struct redirect_source){0};
    uint32_t number = node->agent ? server_number(conf, node) : edge_number(conf, node);
    return (struct redirect_source){true, node->agent != NULL, number};
}

static struct span make_head(struct arena *arena, const char *status, bool is_secure,
                             const char *name)
{
    const char *text = arena_format(arena, "HTTP/1.1 %s\r\nLocation: http%s://%s", status,
                                    is_secure ? "s" : "", name);
    return span_text(text);
}

static void take_server(struct redirect_data *data, const struct conf *conf,
                        const struct conf_site *site, const struct conf_server *from,
                        const struct places *places, struct exits_server *server)
{
    struct arena *arena = &data->arena;
    struct redirect_heads *heads = &data->heads[data->server_count * data->border_count];
    *server = (struct exits_server){find_place(places, from->place), from->weight};
    data->servers[data->server_count++] =
        (struct redirect_server){arena_text(arena, from->name), arena_text(arena, from->place),
                                 source_of(conf, from->node), (uint32_t)site->index, server->place};
    for (size_t i = 0; i < from->exit_count; i++) {
        const struct conf_exit *exit = &from->exits[i];
        heads[exit->border->index] = (struct redirect_heads){
            make_head(arena, "302 Found", site->redirect.is_secure, exit->name),
            make_head(arena, "307 Temporary Redirect", site->redirect.is_secure, exit->name)};
    }
}

static void take_site(struct redirect_data *data, const struct conf *conf,
                      const struct conf_site *site, const struct places *places,
                      struct exits_server *servers, struct exits_service *service)
{
    const struct conf_redirect *redirect = &site->redirect;
    data->sites[site->index] = (struct redirect_site){arena_text(&data->arena, site->name),
                                                      redirect->status == CONF_REDIRECT_307};
    *service = (struct exits_service){
        .first_server = (uint32_t)data->server_count,
        .server_count = (uint32_t)site->server_count,
        .order = redirect->order == CONF_REDIRECT_SERVERS ? EXITS_ORDER_SERVERS : EXITS_ORDER_PATHS,
        .fuzz = EXITS_FACTOR_ONE + redirect->fuzz_percent * EXITS_FACTOR_ONE / 100,
    };
    for (size_t i = 0; i < redirect->policy_count; i++)
        service->policies |= 1u << redirect->policies[i];
    for (size_t i = 0; i < site->server_count; i++)
        take_server(data, conf, site, &site->servers[i], places, &servers[data->server_count]);
}

/* ---- pings */

static void take_pings(const struct conf *conf, struct arena *arena, struct exits_options *options)
{
    size_t count = 0;
    for (size_t i = 0; i < conf->border_count; i++)
        count += conf->borders[i].ping_count;
    struct exits_stated *stated = ARENA_ARRAY(arena, struct exits_stated, count);
    options->stated = stated;
    for (size_t i = 0; i < conf->border_count; i++)
        for (size_t k = 0; k < conf->borders[i].ping_count; k++) {
            const struct conf_ping *ping = &conf->borders[i].pings[k];
            stated[options->stated_count++] =
                (struct exits_stated){ping->network, (uint32_t)i, ping->us};
        }
}

static void take_ping_nodes(const struct conf *conf, struct arena *arena,
                            struct exits_options *options)
{
    uint32_t *nodes = ARENA_ARRAY(arena, uint32_t, conf->border_count);
    options->nodes = nodes;
    for (size_t i = 0; i < conf->border_count; i++) {
        const struct conf_node *node = conf->borders[i].node;
        nodes[i] = node ? edge_number(conf, node) : EXITS_NONE;
    }
}

/* ---- the whole */

static void make_exits(struct redirect_data *data, const struct conf *conf)
{
    struct arena scratch = {0};
    struct places places = {.count = 0};
    struct exits_options options = {.service_count = conf->site_count};
    find_places(conf, &places);
    for (size_t i = 0; i < conf->site_count; i++)
        options.server_count += conf->sites[i].server_count;
    struct exits_server *servers = ARENA_ARRAY(&scratch, struct exits_server, options.server_count);
    struct exits_service *services = ARENA_ARRAY(&scratch, struct exits_service, conf->site_count);
    data->sites = ARENA_ARRAY(&data->arena, struct redirect_site, conf->site_count);
    data->servers = ARENA_ARRAY(&data->arena, struct redirect_server, options.server_count);
    data->heads =
        ARENA_ARRAY(&data->arena, struct redirect_heads, options.server_count * conf->border_count);
    for (size_t i = 0; i < conf->site_count; i++)
        take_site(data, conf, &conf->sites[i], &places, servers, &services[i]);
    options.servers = servers;
    options.services = services;
    make_map(conf, &places, &scratch, &options.map);
    take_pings(conf, &scratch, &options);
    take_ping_nodes(conf, &scratch, &options);
    data->exits = exits_new(&options);
    arena_clear(&scratch);
}

static void take_settings(struct redirect_data *data, const struct conf_director *self)
{
    data->limits = http_limits_default;
    data->limits.line_bytes = self->header_bytes;
    data->limits.head_bytes = self->header_bytes;
    data->connections_limit = (self->connections_limit + data->workers - 1) / data->workers;
    data->header_timeout_ns = self->header_timeout_ns;
    data->idle_timeout_ns = self->idle_timeout_ns;
    data->trusted_proxies.count = self->trusted_proxies.count;
    data->trusted_proxies.items =
        ARENA_ARRAY(&data->arena, struct network, self->trusted_proxies.count);
    for (size_t i = 0; i < self->trusted_proxies.count; i++)
        data->trusted_proxies.items[i] = self->trusted_proxies.items[i];
}

int redirect_data_new(struct redirect_data **made, const struct redirect_options *options,
                      struct text *why)
{
    const struct conf *conf = options->conf;
    if (!conf->self || !conf->self->director || !conf->self->director->contact) {
        text_add(why, "this node has no director role\n");
        return ERROR_CONFIG;
    }
    struct redirect_data *data = *made = NEW(struct redirect_data);
    atomic_store(&data->references, 1);
    data->workers = options->workers;
    memcpy(data->conf_hash, conf->hash, sizeof data->conf_hash);
    data->border_count = conf->border_count;
    data->borders = ARENA_ARRAY(&data->arena, const char *, conf->border_count);
    for (size_t i = 0; i < conf->border_count; i++)
        data->borders[i] = arena_text(&data->arena, conf->borders[i].name);
    redirect_hosts_init(&data->hosts, conf, &data->arena, options->seed);
    take_settings(data, conf->self->director);
    make_exits(data, conf);
    data->chosen = memory_new((data->workers * data->server_count * data->border_count + 1) *
                              sizeof *data->chosen);
    return 0;
}

void redirect_data_release(struct redirect_data *data)
{
    if (!data || atomic_fetch_sub(&data->references, 1) != 1)
        return;
    exits_free(data->exits);
    redirect_hosts_clear(&data->hosts);
    arena_clear(&data->arena);
    memory_free(data->chosen);
    memory_free(data);
}

/* ---- views */

static const struct director_load unknown_load = {.free_ram_bytes = UINT64_MAX,
                                                  .free_swap_bytes = UINT64_MAX,
                                                  .connections = UINT32_MAX,
                                                  .requests_per_s = UINT32_MAX,
                                                  .cpu_idle = LOAD_UNKNOWN,
                                                  .load = LOAD_UNKNOWN};

static struct director_node_facts facts_of(const struct redirect_source *source,
                                           const struct redirect_facts *facts)
{
    const struct director_node_facts *nodes = source->is_server ? facts->servers : facts->edges;
    size_t count = source->is_server ? facts->server_count : facts->edge_count;
    if (!source->is_known || !nodes || source->number >= count)
        return (struct director_node_facts){.load = unknown_load};
    return nodes[source->number];
}

struct redirect_view *redirect_view_new(struct redirect_data *data,
                                        const struct redirect_facts *facts,
                                        const struct redirect_view *previous)
{
    struct redirect_view *view = NEW(struct redirect_view);
    struct director_node_facts *servers = NULL;
    struct exits_facts known = {.latency_age_ns = REDIRECT_LATENCY_AGE_NS};
    atomic_fetch_add(&data->references, 1);
    view->data = data;
    if (facts) {
        servers = memory_new((data->server_count + 1) * sizeof *servers);
        for (size_t i = 0; i < data->server_count; i++)
            servers[i] = facts_of(&data->servers[i].source, facts);
        known.servers = servers;
        known.latencies = facts->latencies;
        known.now_ns = facts->now_ns;
    }
    view->table = exits_table_new(data->exits, &known, previous ? previous->table : NULL);
    memory_free(servers);
    return view;
}

void redirect_view_release(void *view_)
{
    struct redirect_view *view = view_;
    exits_table_free(view->table);
    redirect_data_release(view->data);
    memory_free(view);
}
