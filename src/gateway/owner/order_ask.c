/* SPDX-License-Identifier: Apache-2.0
 *
 * What `causeway origin` asks of a node: {"verb": "origin", "action": "drain" | "maintain" | "return", "site": NAME, "origin": URL} gives an order;
 * {"action": "show"} tells how the origins of a site, or of all, are. On the main thread.
 */
#include "gateway/owner/orders.h"
#include "gateway/owner/owner.h"

enum { ORIGINS_TOLD = 64 }; /* in a node's status */

/* ---- which origin */

/* As it is written, or without scheme, or without port where that is all that tells it from others. */
static bool is_called(const struct conf_origin *origin, const char *word)
{
    const char *authority = strstr(origin->url, "://");
    authority = authority ? authority + 3 : origin->url;
    size_t length = strcspn(authority, "/"), host = length;
    if (strcmp(origin->url, word) == 0)
        return true;
    while (host && authority[host - 1] != ':' && authority[host - 1] != ']')
        host--;
    host = host && authority[host - 1] == ':' ? host - 1 : length;
    return (strlen(word) == length && strncmp(authority, word, length) == 0) ||
           (strlen(word) == host && strncmp(authority, word, host) == 0);
}

/* NULL: a refusal is in *why. */
static const struct conf_origin *find_origin(const struct conf_site *site, const char *word,
                                             json_t **why)
{
    const struct conf_origin *found = NULL, *origin;
    for (size_t i = 0; (origin = conf_site_origin(site, i)) != NULL; i++) {
        if (strcmp(origin->url, word) == 0)
            return origin;
        if (!is_called(origin, word))
            continue;
        if (found && strcmp(found->url, origin->url) != 0) {
            *why = gateway_refuse(
                "site '%s' has several origins '%.100s': give the whole of one, like %s",
                site->name, word, found->url);
            return NULL;
        }
        found = origin;
    }
    if (!found)
        *why =
            gateway_refuse("site '%s' has no origin '%.200s'; `causeway origin show %s` lists them",
                           site->name, word, site->name);
    return found;
}

static const struct conf_site *find_site(const struct conf *conf, const char *name, json_t **why)
{
    const struct conf_site *site = conf_find_site(conf, span_text(name));
    if (!site)
        *why = gateway_refuse("there is no site '%.200s'", name);
    return site;
}

/* ---- orders */

static void apply(struct worker *worker, void *argument)
{
    struct gateway *gateway = argument;
    gateway_worker_reload(&gateway->workers[worker_id(worker)]);
    if (worker_id(worker) == 0)
        gateway_health_follow(gateway->health);
}

/* Whether another origin of those that serve the same requests is in service. */
static bool has_another(const struct gateway *gateway, const struct conf_site *site,
                        const struct conf_origin *origin)
{
    const struct conf_origin *origins = site->origins;
    size_t count = site->origin_count;
    for (size_t i = 0; i < site->group_count; i++)
        if (origin >= site->groups[i].origins &&
            origin < site->groups[i].origins + site->groups[i].origin_count) {
            origins = site->groups[i].origins;
            count = site->groups[i].origin_count;
        }
    for (size_t i = 0; i < count; i++)
        if (&origins[i] != origin && origins[i].weight &&
            gateway_orders_find(gateway->orders, site->name, &origins[i]) == GATEWAY_ORDER_NONE)
            return true;
    return false;
}

static json_t *give(struct gateway *gateway, struct worker_set *workers, const struct conf *conf,
                    const json_t *question, enum gateway_order order)
{
    const char *name = json_string_value(json_object_get(question, "site"));
    const char *word = json_string_value(json_object_get(question, "origin"));
    json_t *why = NULL;
    if (!name || !word)
        return gateway_refuse("an order names a site and an origin");
    const struct conf_site *site = find_site(conf, name, &why);
    const struct conf_origin *origin = site ? find_origin(site, word, &why) : NULL;
    if (!origin)
        return why;
    if (order != GATEWAY_ORDER_NONE && !has_another(gateway, site, origin) &&
        !json_is_true(json_object_get(question, "force")))
        return gateway_refuse(
            "%s is the last origin in service of those that serve its requests: without "
            "it they are refused; --force does it",
            origin->url);
    int result = gateway_orders_give(gateway->orders, site->name, origin, order);
    if (result == ERROR_LIMIT)
        return gateway_refuse("there are %d orders already", GATEWAY_ORDERS_MOST);
    log_notice("gateway", "an origin is %s site=%s origin=%s", gateway_order_text(order),
               site->name, origin->url);
    workers_run_on_all(workers, apply, gateway);
    return json_pack("{s:s, s:s, s:s, s:b}", "site", site->name, "origin", origin->url, "state",
                     gateway_order_text(order), "is_lasting", result == 0);
}

/* ---- how they are */

static const char *condition_of(const struct gateway_queue_server *server, const char *down)
{
    if (server->failure.is_ejected)
        return failure_cause_text(server->failure.cause);
    if (down)
        return down;
    return server->report.is_usable ? "well" : "not used";
}

static void add_server(json_t *row, struct gateway *gateway,
                       const struct gateway_queue_server *server, uint64_t at_ns)
{
    char address[ADDRESS_TEXT_BYTES];
    const char *down = gateway_health_cause(gateway, &server->address);
    const struct failure_server_report *failure = &server->failure;
    double ejected_s = failure->is_ejected && failure->until_ns > at_ns
                           ? (double)(failure->until_ns - at_ns) / 1e9
                           : 0;
    double pending = json_number_value(json_object_get(row, "pending")) + server->report.pending;
    json_object_set_new(row, "pending", json_integer((json_int_t)pending));
    json_array_append_new(
        json_object_get(row, "servers"),
        json_pack("{s:s, s:I, s:I, s:b, s:s, s:b, s:b, s:f, s:I, s:I}", "address",
                  address_text(&server->address, true, address), "pending",
                  (json_int_t)server->report.pending, "slots", (json_int_t)server->report.slots,
                  "usable", server->report.is_usable, "condition", condition_of(server, down),
                  "down", down != NULL, "ejected", failure->is_ejected, "ejected_s", ejected_s,
                  "ejections", (json_int_t)failure->ejections, "failures_in_a_row",
                  (json_int_t)failure->in_a_row));
}

/* Those servers of the farm that the origin is. */
static void add_servers(json_t *row, struct gateway *gateway, const struct gateway_farm *farm,
                        const struct conf_origin *origin)
{
    const struct gateway_queue_facts *facts = gateway_owner_facts(farm->owner);
    for (size_t i = 0; facts && i < farm->server_count; i++) {
        const struct gateway_farm_server *server = &farm->servers[i];
        struct address numeric = origin->address;
        numeric.port = origin->port;
        if (strcmp(server->url, origin->url) != 0 && !address_equal(&server->address, &numeric))
            continue;
        for (size_t k = 0; k < facts->server_count; k++)
            if (facts->servers[k].report.identity == server->spec.identity)
                add_server(row, gateway, &facts->servers[k], facts->at_ns);
    }
}

static void add_group(json_t *rows, struct gateway *gateway, const struct conf_site *site,
                      const struct conf_group *group)
{
    const struct gateway_map *map = gateway_map_read(gateway);
    const struct gateway_part *part =
        map ? gateway_map_find(map, gateway_part_key(site->name, group->name, 0)) : NULL;
    for (size_t i = 0; part && i < group->origin_count; i++) {
        const struct conf_origin *origin = &group->origins[i];
        enum gateway_order order = gateway_orders_find(gateway->orders, site->name, origin);
        json_t *row =
            json_pack("{s:s, s:s, s:s, s:i, s:[]}", "site", site->name, "origin", origin->url,
                      "state", gateway_order_text(order), "pending", 0, "servers");
        if (group->name)
            json_object_set_new(row, "group", json_string(group->name));
        if (part->farm != GATEWAY_NO_FARM)
            add_servers(row, gateway, &map->farms[part->farm], origin);
        json_array_append_new(rows, row);
    }
}

static void add_site(json_t *rows, struct gateway *gateway, const struct conf_site *site)
{
    const struct conf_group ungrouped = {NULL, site->origins, site->origin_count};
    add_group(rows, gateway, site, &ungrouped);
    for (size_t k = 0; k < site->group_count; k++)
        add_group(rows, gateway, site, &site->groups[k]);
}

static json_t *show(struct gateway *gateway, const struct conf *conf, const json_t *question)
{
    const char *name = json_string_value(json_object_get(question, "site"));
    json_t *why = NULL, *rows;
    if (name && !find_site(conf, name, &why))
        return why;
    rows = json_array();
    for (size_t i = 0; i < conf->site_count; i++)
        if (!name || strcmp(name, conf->sites[i].name) == 0)
            add_site(rows, gateway, &conf->sites[i]);
    return json_pack("{s:o}", "origins", rows);
}

/* The condition of its first server that is so ("ejected", "down"); NULL: none is. */
static const char *condition_where(const json_t *row, const char *is_so)
{
    json_t *server;
    size_t index;
    json_array_foreach(json_object_get(row, "servers"), index, server)
    {
        if (json_is_true(json_object_get(server, is_so)))
            return json_string_value(json_object_get(server, "condition"));
    }
    return NULL;
}

json_t *gateway_origins_out(struct gateway *gateway, const struct conf *conf)
{
    json_t *out = json_array();
    for (size_t i = 0; i < conf->site_count && json_array_size(out) < ORIGINS_TOLD; i++) {
        json_t *rows = json_array(), *row;
        size_t index;
        add_site(rows, gateway, &conf->sites[i]);
        json_array_foreach(rows, index, row)
        {
            const char *state = json_string_value(json_object_get(row, "state"));
            const char *ejection = condition_where(row, "ejected");
            const char *down = condition_where(row, "down");
            bool is_out =
                ejection || down || strcmp(state, gateway_order_text(GATEWAY_ORDER_NONE)) != 0;
            if (is_out && json_array_size(out) < ORIGINS_TOLD)
                json_array_append_new(out, json_pack("{s:O, s:O, s:s, s:s?, s:s?}", "name",
                                                     json_object_get(row, "origin"), "site",
                                                     json_object_get(row, "site"), "state", state,
                                                     "ejected", ejection, "down", down));
        }
        json_decref(rows);
    }
    return out;
}

json_t *gateway_origin_inquire(struct gateway *gateway, struct worker_set *workers,
                               const struct conf *conf, const json_t *question)
{
    static const char *const actions[] = {"return", "drain", "maintain"};
    const char *action = json_string_value(json_object_get(question, "action"));
    if (!gateway)
        return NULL;
    for (int i = 0; action && i < 3; i++)
        if (strcmp(action, actions[i]) == 0)
            return give(gateway, workers, conf, question, (enum gateway_order)i);
    if (action && strcmp(action, "show") == 0)
        return show(gateway, conf, question);
    return gateway_refuse("an origin can be drained, maintained, returned and shown");
}
