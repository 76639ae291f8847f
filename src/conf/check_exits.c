/* SPDX-License-Identifier: Apache-2.0
 *
 * Relations between borders, content servers and front ends (H1, H5, H7).
 */
#include "conf/load.h"

static const struct conf_border *find_border(const struct loader *loader, const char *name)
{
    return table_find(&loader->names[2], span_text(name));
}

/* Whether the border says how far the point is, or is there. */
static bool reaches(const struct conf_border *border, const char *point)
{
    if (strcmp(border->name, point) == 0)
        return true;
    for (size_t i = 0; i < border->internal_count; i++)
        if (strcmp(border->internal[i].point, point) == 0)
            return true;
    return false;
}

static bool is_connected(const struct loader *loader, const char *point,
                         const struct conf_border *border)
{
    const struct conf_border *there = find_border(loader, point);
    return reaches(border, point) || (there && reaches(there, border->name));
}

/* Every pair of borders: the metric goes back from each border to the contact, which may be any of them. */
static void check_borders(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->border_count; i++)
        for (size_t k = i + 1; k < conf->border_count; k++)
            if (!is_connected(loader, conf->borders[i].name, &conf->borders[k]))
                report_error(&loader->report, place_of(loader, &conf->borders[i]),
                             "internal: nothing says how far it is from '%s' to '%s'",
                             conf->borders[i].name, conf->borders[k].name);
}

static void check_border_nodes(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->border_count; i++) {
        const struct conf_border *border = &conf->borders[i];
        if (border->node && !border->node->edge)
            report_error(&loader->report, place_of(loader, &border->node),
                         "node: '%s' is no edge: it measures no round trips", border->node->name);
    }
}

static void check_pairs_once(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->border_count; i++) {
        const struct conf_border *border = &conf->borders[i];
        for (size_t k = 0; k < border->internal_count; k++) {
            const char *point = border->internal[k].point;
            const struct conf_border *there = find_border(loader, point);
            bool is_twice =
                strcmp(point, border->name) == 0 || (there && reaches(there, border->name));
            for (size_t before = 0; before < k; before++)
                is_twice |= strcmp(point, border->internal[before].point) == 0;
            if (is_twice)
                report_error(&loader->report, place_of(loader, &border->internal[k]),
                             "internal: how far it is from '%s' to '%s' is said already",
                             border->name, point);
        }
    }
}

static const struct conf_exit *find_exit(const struct conf_server *server,
                                         const struct conf_border *border)
{
    for (size_t i = 0; i < server->exit_count; i++)
        if (server->exits[i].border == border)
            return &server->exits[i];
    return NULL;
}

static void check_server(struct loader *loader, const struct conf_server *server)
{
    for (size_t i = 0; i < server->exit_count; i++) {
        const struct conf_exit *exit = &server->exits[i];
        if (find_exit(server, exit->border) != exit)
            report_error(&loader->report, place_of(loader, exit),
                         "exits: server '%s' has two for border '%s'", server->name,
                         exit->border->name);
    }
    for (size_t i = 0; i < loader->conf->border_count; i++) {
        const struct conf_border *border = &loader->conf->borders[i];
        if (!find_border(loader, server->place) && !reaches(border, server->place))
            report_error(&loader->report, place_of(loader, &server->place),
                         "place: nothing says how far it is from '%s' to border '%s' (internal)",
                         server->place, border->name);
    }
}

/* The metric is of places: servers that stand together have the same ways out. */
static void check_alike(struct loader *loader, struct table *first,
                        const struct conf_server *server)
{
    if (table_put(first, span_text(server->place), server))
        return;
    const struct conf_server *other = table_find(first, span_text(server->place));
    bool is_alike = other->exit_count == server->exit_count;
    for (size_t i = 0; i < other->exit_count; i++)
        is_alike &= find_exit(server, other->exits[i].border) != NULL;
    if (!is_alike)
        report_error(&loader->report, place_of(loader, &server->exits),
                     "exits: '%s' and '%s' stand at one place, so that they need exits at the "
                     "same borders",
                     other->name, server->name);
}

static void check_servers(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    struct table places = {.arena = &loader->scratch};
    size_t count = 0, place_count = 0;
    for (size_t i = 0; i < conf->site_count; i++)
        for (size_t k = 0; k < conf->sites[i].server_count; k++) {
            const struct conf_server *server = &conf->sites[i].servers[k];
            check_server(loader, server);
            place_count += !table_find(&places, span_text(server->place));
            check_alike(loader, &places, server);
            if (++count == CONF_SERVERS_LIMIT + 1)
                report_error(&loader->report, place_of(loader, server),
                             "servers: more than %d of all sites together", CONF_SERVERS_LIMIT);
        }
    if (place_count > CONF_PLACES_LIMIT)
        report_error(&loader->report, place_of(loader, &conf->borders),
                     "servers stand at %zu places, %d at most", place_count, CONF_PLACES_LIMIT);
}

static void check_sites(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    bool has_front_end = false;
    for (size_t i = 0; i < conf->node_count; i++)
        has_front_end |= conf->nodes[i].director != NULL;
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_site *site = &conf->sites[i];
        if (!site->origin_count && !site->server_count)
            report_error(&loader->report, place_of(loader, site),
                         "site '%s' needs origins, or servers", site->name);
        if (site->server_count && !has_front_end)
            report_warning(&loader->report, place_of(loader, &site->servers),
                           "no node has the director role: nobody sends clients to the servers");
        const char *to = site->redirect.edges_to;
        if (to && (*to == '*' || conf_find_host(conf, span_text(to)) != site))
            report_error(&loader->report, place_of(loader, &site->redirect.edges_to),
                         "redirect.edges_to: '%s' is no host of '%s'", to, site->name);
    }
}

static void check_front_ends(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->node_count; i++)
        if (conf->nodes[i].director && !conf->border_count)
            report_error(&loader->report, place_of(loader, &conf->nodes[i].director),
                         "director: there are no borders through which servers could answer");
}

void check_exits(struct loader *loader)
{
    check_borders(loader);
    check_border_nodes(loader);
    check_pairs_once(loader);
    check_servers(loader);
    check_sites(loader);
    check_front_ends(loader);
}
