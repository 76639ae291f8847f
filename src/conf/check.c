/* SPDX-License-Identifier: Apache-2.0
 *
 * Relations between settings: one small function for each, all in the table at the end. They run when every single
 * setting is good, so that they need not doubt what they see.
 */
#include "conf/load.h"

#include <ctype.h>
#include <stdio.h>

#define NODES(conf, node) \
    for (struct conf_node *node = (conf)->nodes; node < (conf)->nodes + (conf)->node_count; node++)
#define SITES(conf, site) \
    for (struct conf_site *site = (conf)->sites; site < (conf)->sites + (conf)->site_count; site++)

static bool has_node(const struct conf_node *const *nodes, size_t count,
                     const struct conf_node *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (nodes[i] == wanted)
            return true;
    return false;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void check_roles(struct loader *loader)
{
    NODES(loader->conf, node)
    if (!node->edge && !node->gateway && !node->dns && !node->agent && !node->director)
        report_warning(&loader->report, place_of(loader, node),
                       "'%s' has no role: none of edge, gateway, dns, agent, director", node->name);
}

static bool needs_key(const struct conf_node *node)
{
    return node->edge || node->gateway || node->agent || (node->dns && node->dns->reports.family);
}

static void check_keys_are_there(struct loader *loader)
{
    if (loader->conf->node_count < 2)
        return;
    NODES(loader->conf, node)
    {
        if (needs_key(node) && !node->has_public_key)
            report_error(&loader->report, place_of(loader, node),
                         "'%s' needs a public_key: the other nodes know it by that", node->name);
        if (needs_key(node) && !node->private_key_path)
            report_error(&loader->report, place_of(loader, node),
                         "'%s' needs a private_key: the file that `causeway keygen` wrote",
                         node->name);
    }
}

static void check_keys_differ(struct loader *loader)
{
    NODES(loader->conf, node)
    {
        const struct conf_node *first =
            node->has_public_key ? conf_find_key(loader->conf, node->public_key) : node;
        if (first != node)
            report_error(&loader->report, place_of(loader, &node->public_key),
                         "'%s' has the public_key of '%s'", node->name, first->name);
    }
}

/* The sockets that a node will bind, by address and protocol. */
struct listeners {
    struct loader *loader;
    struct table bound;
};

struct listener {
    struct address address;
    uint32_t is_udp; /* no padding: compared as bytes */
};

/* False: it is taken. */
static bool take_address(struct listeners *listeners, bool is_udp, const struct address *address)
{
    struct loader *loader = listeners->loader;
    struct listener *listener = ARENA_NEW(&loader->scratch, struct listener);
    *listener = (struct listener){*address, is_udp};
    return table_put(&listeners->bound, span_of(listener, sizeof *listener), listener);
}

static bool add_listener(struct listeners *listeners, bool is_udp, const struct address *address)
{
    struct loader *loader = listeners->loader;
    char text[ADDRESS_TEXT_BYTES];
    if (take_address(listeners, is_udp, address))
        return true;
    report_error(&loader->report, place_of(loader, address), "this node listens at %s twice",
                 address_text(address, true, text));
    return false;
}

static void add_listeners(struct listeners *listeners, bool is_udp,
                          const struct conf_addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++)
        add_listener(listeners, is_udp, &addresses->items[i]);
}

static void add_link_tcp(struct listeners *listeners, const struct conf_node *node, size_t i)
{
    char text[ADDRESS_TEXT_BYTES];
    if (!take_address(listeners, false, &node->link_tcp_listen.items[i]))
        report_error(
            &listeners->loader->report, place_of(listeners->loader, &node->link_listen.items[i]),
            "this node listens at %s with TCP twice: give link.tcp_port another number, or "
            "set link.tcp to false at the top",
            address_text(&node->link_tcp_listen.items[i], true, text));
}

static void check_listeners(struct loader *loader)
{
    NODES(loader->conf, node)
    {
        struct listeners listeners = {loader, .bound.arena = &loader->scratch};
        if (node->edge)
            add_listeners(&listeners, false, &node->edge->listen);
        if (node->edge && node->edge->tls)
            add_listeners(&listeners, false, &node->edge->tls->listen);
        if (node->director)
            add_listeners(&listeners, false, &node->director->listen);
        for (size_t i = 0; node->edge && i < node->edge->port_count; i++)
            add_listener(&listeners, node->edge->ports[i].protocol == CONF_UDP,
                         &node->edge->ports[i].listen);
        if (node->dns) {
            add_listeners(&listeners, false, &node->dns->listen);
            add_listeners(&listeners, true, &node->dns->listen);
            if (node->dns->tls)
                add_listeners(&listeners, false, &node->dns->tls->listen);
            if (node->dns->reports.family)
                add_listener(&listeners, true, &node->dns->reports);
        }
        if (node->admin)
            add_listeners(&listeners, false, &node->admin->listen);
        for (size_t i = 0; i < node->link_listen.count; i++)
            if (add_listener(&listeners, true, &node->link_listen.items[i]) &&
                i < node->link_tcp_listen.count)
                add_link_tcp(&listeners, node, i);
    }
}

static void check_public_addresses(struct loader *loader)
{
    NODES(loader->conf, node)
    for (size_t i = 0; i < node->addresses.count; i++)
        if (address_is_any(&node->addresses.items[i]))
            report_error(&loader->report, place_of(loader, &node->addresses.items[i]),
                         "addresses: nobody can reach a node at the wildcard address");
}

/* --- link ------------------------------------------------------------------------------------- */

static void check_order_of_weights(struct loader *loader, const uint8_t weights[CONF_RINGS])
{
    for (size_t i = 1; i < CONF_RINGS; i++)
        if (weights[i] > weights[i - 1])
            report_error(&loader->report, place_of(loader, &weights[i]),
                         "weights: a less urgent priority must not weigh more than the one before");
}

static void check_weights(struct loader *loader)
{
    check_order_of_weights(loader, loader->conf->link.weights);
    NODES(loader->conf, node)
    if (is_set(loader, &node->link_weights))
        check_order_of_weights(loader, node->link_weights);
}

static void check_link_times(struct loader *loader)
{
    const struct conf_link *link = &loader->conf->link;
    if (link->keep_alive_ns >= link->resume_ns)
        report_error(&loader->report, place_or(loader, &link->keep_alive_ns, &link->resume_ns),
                     "link: keep_alive must be shorter than resume");
}

static void check_link_address(struct loader *loader)
{
    NODES(loader->conf, node)
    if (node->link_address.family && address_is_any(&node->link_address))
        report_error(&loader->report, place_of(loader, &node->link_address),
                     "link.address: nobody can dial the wildcard address");
}

static void check_link_paths(struct loader *loader)
{
    NODES(loader->conf, node)
    {
        const struct conf_addresses *lists[] = {&node->link_paths, &node->link_standby};
        for (int list = 0; list < 2; list++)
            for (size_t i = 0; i < lists[list]->count; i++)
                if (address_is_any(&lists[list]->items[i]))
                    report_error(&loader->report, place_of(loader, &lists[list]->items[i]),
                                 "link: nobody can dial the wildcard address");
        if (node->link_paths.count + node->link_standby.count == 0)
            continue;
        for (size_t i = 0; i < node->link_listen.count; i++)
            if (address_is_any(&node->link_listen.items[i]))
                report_error(&loader->report, place_of(loader, &node->link_listen.items[i]),
                             "link.listen: a node with several paths listens at each address by "
                             "name, so that answers leave where questions came");
    }
}

static void check_dial_is_edges(struct loader *loader)
{
    NODES(loader->conf, node)
    for (size_t i = 0; node->gateway && i < node->gateway->dial_count; i++)
        if (!node->gateway->dial[i]->edge)
            report_error(&loader->report, place_of(loader, &node->gateway->dial[i]),
                         "dial: '%s' is no edge", node->gateway->dial[i]->name);
}

/* Of the two ends of a link, the one that is dialled. */
static const struct conf_node *dialled_end(const struct conf_node *edge,
                                           const struct conf_node *gateway)
{
    return has_node(gateway->gateway->dial, gateway->gateway->dial_count, edge) ? edge : gateway;
}

static void check_links_can_be_dialled(struct loader *loader)
{
    struct conf *conf = loader->conf;
    const struct conf_node **told =
        ARENA_ARRAY(&loader->scratch, const struct conf_node *, conf->node_count);
    NODES(conf, edge)
    for (size_t i = 0; edge->edge && i < edge->edge->gateway_count; i++) {
        const struct conf_node *gateway = edge->edge->gateways[i];
        if (gateway == edge || !gateway->gateway)
            continue;
        const struct conf_node *dialled = dialled_end(edge, gateway);
        const struct conf_node *dialling = dialled == edge ? gateway : edge;
        if ((dialled->link_address.family && dialled->link_listen.count) || told[dialled->index])
            continue;
        told[dialled->index] = dialling;
        struct place place = place_or(loader, &dialled->link_listen, dialled);
        if (!dialled->link_listen.count)
            report_error(&loader->report, place, "'%s' dials '%s', which has no link.listen%s",
                         dialling->name, dialled->name,
                         dialled == gateway ? " (or let it dial: gateway.dial)" : "");
        else
            report_error(&loader->report, place,
                         "'%s' dials '%s', which listens at a wildcard: it needs link.address",
                         dialling->name, dialled->name);
    }
}

/* --- edges and gateways ----------------------------------------------------------------------- */

static void check_edge_gateways(struct loader *loader)
{
    NODES(loader->conf, node)
    {
        const struct conf_edge *edge = node->edge;
        if (!edge)
            continue;
        if (!edge->gateway_count)
            report_error(&loader->report, place_or(loader, &edge->gateways, &node->edge),
                         "edge '%s' has no gateway: no request can reach an origin", node->name);
        for (size_t i = 0; is_set(loader, &edge->gateways) && i < edge->gateway_count; i++)
            if (!edge->gateways[i]->gateway)
                report_error(&loader->report, place_of(loader, &edge->gateways[i]),
                             "gateways: '%s' is no gateway", edge->gateways[i]->name);
    }
}

static void check_edge_listens(struct loader *loader)
{
    NODES(loader->conf, node)
    if (node->edge && !node->edge->listen.count && !node->edge->port_count && !node->edge->tls)
        report_warning(&loader->report, place_of(loader, &node->edge),
                       "edge '%s' listens nowhere: none of listen, tls, ports", node->name);
}

static void check_allow_edges(struct loader *loader)
{
    NODES(loader->conf, node)
    for (size_t i = 0; node->gateway && i < node->gateway->allow_count; i++) {
        const struct conf_allow *allow = &node->gateway->allow[i];
        for (size_t k = 0; k < allow->edge_count; k++)
            if (!allow->edges[k]->edge)
                report_error(&loader->report, place_of(loader, &allow->edges[k]),
                             "allow: '%s' is no edge", allow->edges[k]->name);
    }
}

static bool is_port_allowed(const struct conf_node *edge, const struct conf_port *port)
{
    for (size_t i = 0; i < edge->edge->gateway_count; i++) {
        const struct conf_node *gateway = edge->edge->gateways[i];
        if (gateway->gateway && conf_allows(gateway->gateway, edge, port->site, port->port))
            return true;
    }
    return false;
}

static void check_ports_are_allowed(struct loader *loader)
{
    NODES(loader->conf, node)
    for (size_t i = 0; node->edge && i < node->edge->port_count; i++) {
        const struct conf_port *port = &node->edge->ports[i];
        if (!is_port_allowed(node, port))
            report_warning(&loader->report, place_of(loader, port),
                           "no gateway allows '%s' port %u of '%s': clients will be refused",
                           node->name, port->port, port->site->name);
    }
}

/* --- sites ------------------------------------------------------------------------------------ */

static void check_site_nodes(struct loader *loader)
{
    SITES(loader->conf, site)
    {
        for (size_t i = 0; is_set(loader, &site->edges) && i < site->edge_count; i++)
            if (!site->edges[i]->edge)
                report_error(&loader->report, place_of(loader, &site->edges[i]),
                             "edges: '%s' is no edge", site->edges[i]->name);
        for (size_t i = 0; is_set(loader, &site->gateways) && i < site->gateway_count; i++)
            if (!site->gateways[i]->gateway)
                report_error(&loader->report, place_of(loader, &site->gateways[i]),
                             "gateways: '%s' is no gateway", site->gateways[i]->name);
    }
}

static void check_hosts_differ(struct loader *loader)
{
    struct table owners = {.arena = &loader->scratch};
    SITES(loader->conf, site)
    {
        const struct conf_texts *lists[] = {&site->hosts, &site->redirect.hosts};
        for (int list = 0; list < 2; list++)
            for (size_t i = 0; i < lists[list]->count; i++) {
                const char *const *host = &lists[list]->items[i];
                if (table_put(&owners, span_text(*host), site))
                    continue;
                const struct conf_site *owner = table_find(&owners, span_text(*host));
                report_error(&loader->report, place_of(loader, host),
                             "hosts: '%s' belongs to '%s' already", *host, owner->name);
            }
    }
}

static void check_origin_host(struct loader *loader)
{
    SITES(loader->conf, site)
    if (site->origin_host && site->origin_host[0] == '*')
        report_error(&loader->report, place_of(loader, &site->origin_host),
                     "origin_host: a Host field cannot be a pattern");
}

static void check_sites_are_allowed(struct loader *loader)
{
    struct conf *conf = loader->conf;
    bool *is_allowed = ARENA_ARRAY(&loader->scratch, bool, conf->site_count);
    NODES(conf, node)
    for (size_t i = 0; node->gateway && i < node->gateway->allow_count; i++) {
        const struct conf_allow *allow = &node->gateway->allow[i];
        for (size_t k = 0; k < allow->site_count; k++)
            is_allowed[allow->sites[k]->index] = true;
    }
    SITES(conf, site)
    if (!is_allowed[site->index] && site->origin_count)
        report_warning(&loader->report, place_of(loader, site),
                       "no gateway allows '%s': its visitors will be refused", site->name);
}

static bool allows_site(const struct conf_gateway *gateway, const struct conf_site *site)
{
    for (size_t i = 0; i < gateway->allow_count; i++)
        if (gateway->allow[i].site_set[site->index / 64] >> (site->index % 64) & 1)
            return true;
    return false;
}

static bool is_local(const struct address *address)
{
    return address->family == ADDRESS_UNIX || address_is_loopback(address) ||
           address_is_link_local(address);
}

static void check_origins(struct loader *loader)
{
    SITES(loader->conf, site)
    for (size_t i = 0; conf_site_origin(site, i); i++) {
        const struct conf_origin *origin = conf_site_origin(site, i);
        if (!origin->address.family)
            continue;
        if (address_is_any(&origin->address)) {
            report_error(&loader->report, place_of(loader, origin),
                         "origins: %s is a wildcard, not a server", origin->url);
            continue;
        }
        for (size_t k = 0; is_local(&origin->address) && k < site->gateway_count; k++) {
            const struct conf_node *node = site->gateways[k];
            if (node->gateway && !node->gateway->allow_local && allows_site(node->gateway, site)) {
                report_error(&loader->report, place_of(loader, origin),
                             "origins: %s is local to a gateway, and '%s' has no "
                             "allow_local: true",
                             origin->url, node->name);
                break;
            }
        }
    }
}

/* It crosses the link as a token. */
static bool is_group_name(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
            return false;
    return length && length <= CONF_GROUP_NAME_MOST;
}

static void check_group_name(struct loader *loader, const struct conf_site *site, size_t index)
{
    const char *name = site->groups[index].name;
    struct place place = place_of(loader, &site->groups[index].name);
    if (name && !is_group_name(name))
        report_error(&loader->report, place,
                     "group: a name has 1 to 64 letters, digits, '-', '_' and '.'");
    for (size_t k = 0; name && k < index; k++)
        if (site->groups[k].name && strcmp(name, site->groups[k].name) == 0)
            report_error(&loader->report, place, "site '%s' has two groups '%s'", site->name, name);
}

static void check_groups(struct loader *loader)
{
    SITES(loader->conf, site)
    {
        for (size_t i = 0; i < site->group_count; i++)
            check_group_name(loader, site, i);
        for (size_t i = 0; i < site->rule_count; i++) {
            struct conf_group group;
            const char *name = site->rule_list[i].origins;
            if (name && !conf_find_group(site, name, &group))
                report_error(&loader->report, place_of(loader, &site->rule_list[i].origins),
                             "site '%s' has no group of origins '%s'", site->name, name);
        }
    }
}

static void check_site_limits(struct loader *loader)
{
    SITES(loader->conf, site)
    if (site->kept_connections > site->connections_limit)
        report_error(&loader->report, place_of(loader, &site->kept_connections),
                     "limits: kept (%u) is more than connections (%u)", site->kept_connections,
                     site->connections_limit);
}

static bool is_linked(const struct conf_node *edge, const struct conf_node *gateway)
{
    for (size_t i = 0; i < edge->edge->gateway_count; i++)
        if (edge->edge->gateways[i] == gateway)
            return true;
    return false;
}

/* An edge hears of purges over its link to the gateway that numbers them. */
static void check_purges_arrive(struct loader *loader)
{
    SITES(loader->conf, site)
    {
        const struct conf_node *first = site->gateway_count ? site->gateways[0] : NULL;
        if (!site->cache.is_on || !first || !first->gateway || !first->gateway->purges)
            continue;
        for (size_t i = 0; i < site->edge_count; i++)
            if (site->edges[i]->edge && !is_linked(site->edges[i], first))
                report_warning(&loader->report,
                               place_or(loader, &site->edges[i]->edge->gateways, &site->hosts),
                               "edge '%s' has no link to '%s', which numbers the purges of '%s': "
                               "it hears of none",
                               site->edges[i]->name, first->name, site->name);
    }
}

/* --- DNS -------------------------------------------------------------------------------------- */

static bool has_dns(const struct conf *conf)
{
    NODES(conf, node)
    if (node->dns)
        return true;
    return false;
}

static void check_dns_and_zones(struct loader *loader)
{
    struct conf *conf = loader->conf;
    if (conf->zone_count && !has_dns(conf))
        report_warning(&loader->report, place_of(loader, &conf->zones),
                       "no node has the dns role: nobody answers for the zones");
    NODES(conf, node)
    if (node->dns && !conf->zone_count)
        report_warning(&loader->report, place_of(loader, &node->dns),
                       "there are no zones: '%s' refuses every query", node->name);
}

static void check_zones_differ(struct loader *loader)
{
    struct conf *conf = loader->conf;
    struct table names = {.arena = &loader->scratch};
    for (size_t i = 0; i < conf->zone_count; i++)
        if (!table_put(&names, span_text(conf->zones[i].name), &conf->zones[i]))
            report_error(&loader->report, place_of(loader, &conf->zones[i]),
                         "zone '%s' is there twice", conf->zones[i].name);
}

static void check_zones_have_servers(struct loader *loader)
{
    struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->zone_count; i++) {
        const struct conf_zone *zone = &conf->zones[i];
        const struct conf_transfer *transfer = zone->transfer;
        if (!zone->file_path && !zone->ns.count)
            report_error(&loader->report, place_of(loader, zone),
                         "zone '%s' needs ns, or a file that has its SOA and NS records",
                         zone->name);
        if (zone->file_path && zone->ns.count)
            report_error(&loader->report, place_of(loader, &zone->ns),
                         "zone '%s' has its NS records in its file: leave out ns", zone->name);
        if (transfer && !transfer->allow.count && !transfer->key_names.count)
            report_error(&loader->report, place_of(loader, &zone->transfer),
                         "transfer: zone '%s' needs networks (allow) or keys, or anybody could "
                         "copy it",
                         zone->name);
    }
}

/* True for a host of which a part, from a label on, is a zone. */
static bool is_in_zones(const struct table *zones, const char *host)
{
    char name[DOMAIN_TEXT_BYTES + 1];
    snprintf(name, sizeof name, "%s.", host);
    for (const char *at = name; at && *at; at = strchr(at, '.'), at = at ? at + 1 : NULL)
        if (table_find(zones, span_text(at)))
            return true;
    return false;
}

static void check_hosts_are_in_zones(struct loader *loader)
{
    struct conf *conf = loader->conf;
    struct table zones = {.arena = &loader->scratch};
    struct address address;
    for (size_t i = 0; i < conf->zone_count; i++)
        table_put(&zones, span_text(conf->zones[i].name), &conf->zones[i]);
    SITES(conf, site)
    for (size_t i = 0; conf->zone_count && i < site->hosts.count; i++) {
        const char *host = site->hosts.items[i];
        if (host[0] != '[' && address_parse(span_text(host), &address) < 0 &&
            !is_in_zones(&zones, host))
            report_warning(&loader->report, place_of(loader, &site->hosts.items[i]),
                           "'%s' is outside of every zone: its own DNS must lead here", host);
    }
}

static void check_edges_have_addresses(struct loader *loader)
{
    if (!has_dns(loader->conf))
        return;
    NODES(loader->conf, node)
    if (node->edge && !node->addresses.count)
        report_warning(&loader->report, place_of(loader, node),
                       "edge '%s' has no addresses: no DNS answer names it", node->name);
}

static void check_reports(struct loader *loader)
{
    NODES(loader->conf, node)
    if (node->dns && node->dns->reports.family && address_is_any(&node->dns->reports))
        report_error(&loader->report, place_of(loader, &node->dns->reports),
                     "reports: edges cannot send to the wildcard address");
}

static void check_dns_identity(struct loader *loader)
{
    enum { IDENTITY_LIMIT = 64 };
    NODES(loader->conf, node)
    {
        const struct conf_dns *dns = node->dns;
        if (dns && dns->identity && strlen(dns->identity) > IDENTITY_LIMIT)
            report_error(&loader->report, place_of(loader, &dns->identity),
                         "identity: %d bytes at most", IDENTITY_LIMIT);
        if (dns && dns->version && strlen(dns->version) > IDENTITY_LIMIT)
            report_error(&loader->report, place_of(loader, &dns->version),
                         "version: %d bytes at most", IDENTITY_LIMIT);
    }
}

/* "name value" is what is written to them. */
static void check_gauges(struct loader *loader)
{
    enum { GAUGE_NAME_LIMIT = 64 };
    NODES(loader->conf, node)
    for (size_t i = 0; node->agent && i < node->agent->gauges.count; i++) {
        const char *name = node->agent->gauges.items[i];
        struct place place = place_of(loader, &node->agent->gauges.items[i]);
        if (strlen(name) > GAUGE_NAME_LIMIT || !*name || strpbrk(name, " \t\r\n"))
            report_error(&loader->report, place,
                         "gauges: '%s': a word of at most %d bytes, without spaces", name,
                         GAUGE_NAME_LIMIT);
        for (size_t k = 0; k < i; k++)
            if (strcmp(node->agent->gauges.items[k], name) == 0)
                report_error(&loader->report, place, "gauges: '%s' stands here twice", name);
    }
}

static void check_admin_hosts(struct loader *loader)
{
    NODES(loader->conf, node)
    for (size_t i = 0; node->admin && i < node->admin->hosts.count; i++)
        if (node->admin->hosts.items[i][0] == '*')
            report_error(&loader->report, place_of(loader, &node->admin->hosts.items[i]),
                         "admin.hosts: a pattern would let any page of that domain ask");
}

static void (*const checks[])(struct loader *loader) = {
    check_roles,
    check_keys_are_there,
    check_keys_differ,
    check_listeners,
    check_public_addresses,
    check_weights,
    check_link_times,
    check_link_address,
    check_link_paths,
    check_dial_is_edges,
    check_links_can_be_dialled,
    check_edge_gateways,
    check_edge_listens,
    check_allow_edges,
    check_ports_are_allowed,
    check_site_nodes,
    check_hosts_differ,
    check_origin_host,
    check_sites_are_allowed,
    check_origins,
    check_origin_settings,
    check_groups,
    check_site_limits,
    check_balance,
    check_queue,
    check_purges_arrive,
    check_dns_and_zones,
    check_zones_differ,
    check_zones_have_servers,
    check_dnssec,
    check_hosts_are_in_zones,
    check_levels,
    check_served_zones,
    check_edges_have_addresses,
    check_reports,
    check_dns_identity,
    check_gauges,
    check_admin_hosts,
    check_prefetch,
    check_health,
    check_probe,
    check_tls,
    check_failure,
    check_exits,
};

void check_relations(struct loader *loader)
{
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](loader);
}
