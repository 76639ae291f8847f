/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a client is redirected where it is (H6): the ways of its network in their order, the servers at their ends, and what chance each
 * has at this moment.
 */
#include "redirect/private.h"

#include <string.h>

/* The URL that a redirect by this server and border leads to; NULL: there is no such exit. */
static json_t *url_of(const struct redirect_data *data, size_t server, size_t border)
{
    static const char label[] = "Location: ";
    struct span head = data->heads[server * data->border_count + border].found;
    const char *at = head.length ? strstr((const char *)head.data, label) : NULL;
    return at ? json_string(at + sizeof label - 1) : json_null();
}

static json_t *servers_of(const struct redirect_view *view, uint32_t site,
                          const struct exits_way *way)
{
    const struct redirect_data *data = view->data;
    json_t *servers = json_array();
    for (size_t i = 0; i < data->server_count; i++)
        if (data->servers[i].site == site && data->servers[i].place_number == way->place)
            json_array_append_new(servers,
                                  json_pack("{s:s, s:s, s:i, s:o}", "name", data->servers[i].name,
                                            "place", data->servers[i].place, "availability",
                                            (int)exits_table_availability(view->table, (uint32_t)i),
                                            "url", url_of(data, i, way->border)));
    return servers;
}

static json_t *exits_of(const struct redirect_view *view, uint32_t site,
                        const struct address *client)
{
    uint32_t chances[EXITS_PLACES_LIMIT];
    const struct exits_way *ways;
    uint32_t count = exits_table_ways(view->table, client, &ways);
    (void)!exits_table_chances(view->table, site, client, chances);
    json_t *exits = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_t *servers = servers_of(view, site, &ways[i]);
        if (json_array_size(servers))
            json_array_append_new(exits, json_pack("{s:s, s:f, s:f, s:O}", "border",
                                                   view->data->borders[ways[i].border], "metric_ms",
                                                   ways[i].metric_us / 1000.0, "chance",
                                                   chances[i] / 1000.0, "servers", servers));
        json_decref(servers);
    }
    return exits;
}

json_t *redirect_explain(struct redirect *redirect, const char *name, const struct address *client)
{
    char text[ADDRESS_TEXT_BYTES];
    pthread_mutex_lock(&redirect->making); /* the view stays */
    const struct redirect_view *view = atomic_load(&redirect->view);
    char host[256];
    size_t length = 0;
    for (; name[length] && length < sizeof host; length++)
        host[length] = name[length] >= 'A' && name[length] <= 'Z' ? (char)(name[length] + 'a' - 'A')
                                                                  : name[length];
    uint32_t site = redirect_hosts_find(&view->data->hosts, span_of(host, length));
    json_t *told =
        site == UINT32_MAX
            ? json_pack("{s:s+}", "error", name, " is no host of a site that is redirected here")
            : json_pack("{s:s, s:s, s:s, s:o}", "client", address_text(client, false, text), "name",
                        name, "site", view->data->sites[site].name, "exits",
                        exits_of(view, site, client));
    pthread_mutex_unlock(&redirect->making);
    return told;
}
