/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a node, out of its status: a sentence for each trouble, and the command that shows more of it or mends it. Pure: the
 * JSON in, text out. What only counted up since the start is told apart from what is so now.
 */
#include "cli/status_wrong.h"

#include "cli/link_show.h"
#include "cli/node.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    LINE_MOST = 512,
    LATELY_S = 600,              /* a process that died longer ago is history */
    LOSS_PPM_MOST = 20000,       /* of a link: beyond, visitors notice */
    CERTIFICATE_DAYS_LEAST = 14, /* as at the start and at reloads */
};

struct wrong {
    struct text *text;
    size_t count;
};

/* Strings come from processes that speak to strangers: link_show_plain() keeps them from driving the terminal. */
static void tell(struct wrong *wrong, const char *advice, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void tell(struct wrong *wrong, const char *advice, const char *format, ...)
{
    char line[LINE_MOST];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    line[strcspn(line, "\n")] = 0;
    text_add(wrong->text, "  ! ");
    link_show_plain(wrong->text, line);
    text_add_format(wrong->text, "\n%s%s%s", advice ? "      -> " : "", advice ? advice : "",
                    advice ? "\n" : "");
    wrong->count++;
}

static json_t *part(json_t *status, const char *role, const char *name)
{
    json_t *found = json_object_get(json_object_get(status, "roles"), role);
    return name ? json_object_get(found, name) : found;
}

static bool is_word(const json_t *object, const char *name, const char *word)
{
    return strcmp(node_string(object, name), word) == 0;
}

/* ---- the node itself */

static void look_at_node(struct wrong *wrong, json_t *status)
{
    json_t *configuration = json_object_get(status, "configuration"), *item;
    const char *error = json_string_value(json_object_get(configuration, "last_error"));
    const char *upgrade = json_string_value(json_object_get(status, "upgrade_error"));
    size_t index;
    json_array_foreach(json_object_get(status, "reasons"), index, item)
        tell(wrong, "the log of this node has more", "not ready: %s", json_string_value(item));
    json_array_foreach(json_object_get(status, "missing"), index, item)
        tell(wrong, "it is aborted and started again after 10 s", "%s did not answer",
             json_string_value(item));
    if (error)
        tell(wrong,
             "causeway check tells all of it; mend the file, then SIGHUP. Until then the old "
             "configuration is in force",
             "the last reload was refused: %s", error);
    if (upgrade)
        tell(wrong, "the old program goes on", "the last upgrade failed: %s", upgrade);
    json_array_foreach(json_object_get(status, "children"), index, item)
    {
        if (node_number(item, "respawns") > 0 && node_number(item, "uptime_s") < LATELY_S)
            tell(wrong, "the log has why", "process %s was started again %.0f times, last end: %s",
                 node_string(item, "name"), node_number(item, "respawns"),
                 node_string(item, "last_end"));
    }
}

/* ---- links */

static void look_at_link(struct wrong *wrong, json_t *link)
{
    char advice[160];
    const char *peer = node_string(link, "peer");
    double out = node_number(json_object_get(link, "out"), "loss_ppm_10s"),
           in = node_number(json_object_get(link, "in"), "loss_ppm_10s");
    snprintf(advice, sizeof advice, "causeway link %.100s", peer);
    if (!is_word(link, "state", "up")) {
        tell(wrong, advice, "the link to %s is not up: %s", peer, node_string(link, "state"));
        return;
    }
    if (json_is_false(json_object_get(link, "passes"))) {
        tell(wrong, advice, "nothing passes over the link to %s: what is under way waits for it",
             peer);
        return;
    }
    if (out > LOSS_PPM_MOST || in > LOSS_PPM_MOST)
        tell(wrong, advice, "the link to %s loses %.1f %% of the packets to it, %.1f %% from it",
             peer, out / 1e4, in / 1e4);
    size_t index;
    json_t *path;
    json_array_foreach(json_object_get(link, "paths"), index,
                       path) if (is_word(path, "carriage", "tcp") &&
                                 json_is_true(json_object_get(path, "primary")))
        tell(wrong, "ask the firewall between the two for the link's UDP port",
             "the link to %s goes over TCP: UDP does not get through", peer);
}

/* ---- an edge */

static void look_at_edge(struct wrong *wrong, json_t *edge)
{
    size_t index, at;
    json_t *item, *channel, *cache = json_object_get(edge, "cache");
    const char *disk = node_string(cache, "disk");
    if (!edge)
        return;
    if (!is_word(edge, "admin", "up"))
        tell(wrong, "causeway edge up NAME", "this edge is taken out of the answers: %s",
             node_string(edge, "admin"));
    json_array_foreach(json_object_get(edge, "channels"), index, item)
        json_array_foreach(json_object_get(item, "channels"), at,
                           channel) if (!is_word(channel, "state", "good"))
            tell(wrong, "causeway link", "site %s: gateway %s is %s", node_string(item, "name"),
                 node_string(channel, "gateway"), node_string(channel, "state"));
    json_array_foreach(json_object_get(edge, "certificates"), index, item)
    {
        double days = node_number(item, "days_left");
        if (days < CERTIFICATE_DAYS_LEAST)
            tell(wrong, "put the new one in its place, then SIGHUP; docs/tls.md, docs/acme.md",
                 days < 0 ? "the certificate of site %s expired %.1f days ago"
                          : "the certificate of site %s expires in %.1f days",
                 node_string(item, "site"), days < 0 ? -days : days);
    }
    if (cache && strcmp(disk, "in use") != 0 && strcmp(disk, "there is none") != 0)
        tell(wrong, "causeway doctor; the node goes on with what it has in memory",
             "the cache's folder is not used: %s %s", disk, node_string(cache, "disk_error"));
}

/* ---- a gateway */

static void look_at_gateway(struct wrong *wrong, json_t *gateway)
{
    size_t index;
    json_t *origin, *out = json_object_get(gateway, "origins_out");
    json_array_foreach(out, index, origin)
    {
        char advice[200];
        const char *site = node_string(origin, "site"), *name = node_string(origin, "name");
        const char *down = json_string_value(json_object_get(origin, "down"));
        const char *ejected = json_string_value(json_object_get(origin, "ejected"));
        snprintf(advice, sizeof advice, "causeway origin show %.100s", site);
        if (down)
            tell(wrong, advice, "origin %s of site %s is down: %s", name, site, down);
        else if (ejected)
            tell(wrong, advice, "origin %s of site %s is ejected for a while: %s", name, site,
                 ejected);
        else
            tell(wrong, "causeway origin return SITE ORIGIN", "origin %s of site %s is %s", name,
                 site, node_string(origin, "state"));
    }
    if (!json_array_size(out) && node_number(gateway, "origins_down") > 0)
        tell(wrong, "causeway origin show", "health checks find %.0f origins down",
             node_number(gateway, "origins_down"));
    if (node_number(gateway, "waiting") > 0)
        tell(wrong, "causeway queue", "%.0f requests wait for slots at origins",
             node_number(gateway, "waiting"));
}

/* ---- names */

static void look_at_dns(struct wrong *wrong, json_t *dns)
{
    size_t index;
    json_t *edge;
    if (json_is_true(json_object_get(dns, "fail_open")))
        tell(wrong, "look for what blocks UDP to dns.reports of this node",
             "this node hears of no edge at all: it names all of them");
    if (node_number(dns, "forsaken_sites") > 0)
        tell(wrong, "causeway explain HOST --client ADDRESS",
             "%.0f sites have no edge left that is up", node_number(dns, "forsaken_sites"));
    json_array_foreach(json_object_get(dns, "gateways"), index,
                       edge) if (is_word(edge, "state", "dead") || is_word(edge, "state", "unwell"))
        tell(wrong, "causeway status there; look for what blocks UDP to dns.reports of this node",
             "gateway %s does not report: %s", node_string(edge, "name"),
             node_string(edge, "state"));
    json_array_foreach(json_object_get(dns, "edges"), index, edge)
    {
        const json_t *health = json_object_get(edge, "health");
        if (is_word(edge, "answers", "up"))
            continue;
        if (is_word(health, "state", "down"))
            tell(wrong, "causeway status there", "edge %s is not named: %s, checks say down: %s",
                 node_string(edge, "name"), node_string(edge, "state"),
                 node_string(health, "cause"));
        else
            tell(wrong, "causeway status there", "edge %s is not named: %s, its reports: %s",
                 node_string(edge, "name"), node_string(edge, "answers"),
                 node_string(edge, "state"));
    }
}

static void look_at_agent(struct wrong *wrong, json_t *agent)
{
    size_t index;
    json_t *node;
    json_array_foreach(json_object_get(agent, "dns_nodes"), index,
                       node) if (json_is_false(json_object_get(node, "heard")))
        tell(wrong, "causeway status there; look for what blocks UDP to its dns.reports",
             "DNS node %s has not answered this node's reports", node_string(node, "name"));
}

size_t status_add_wrong(struct text *text, json_t *status)
{
    struct wrong wrong = {.text = text};
    size_t index;
    json_t *link;
    look_at_node(&wrong, status);
    json_array_foreach(part(status, "front", "links"), index, link) look_at_link(&wrong, link);
    look_at_edge(&wrong, part(status, "front", "edge"));
    look_at_gateway(&wrong, part(status, "front", "gateway"));
    look_at_dns(&wrong, part(status, "dns", NULL));
    look_at_agent(&wrong, part(status, "agent", NULL));
    return wrong.count;
}

/* ---- since the start */

enum source { OF_EDGE, OF_CLIENTS, OF_CACHE, OF_GATEWAY, SOURCES };

/* `where`: the setting, the command or the page to look at next. */
static const struct {
    enum source source;
    const char *name, *sentence, *where;
} counts[] = {
    {OF_EDGE, "no_gateway", "requests were answered for want of a gateway", "causeway link"},
    {OF_EDGE, "evicted", "connections gave way to newer ones", "limits.connections"},
    {OF_CLIENTS, "connections", "connections of busy networks were closed", "clients.connections"},
    {OF_CLIENTS, "connection_rate", "connections of busy networks were closed",
     "clients.connection_rate"},
    {OF_CLIENTS, "requests", "requests of busy networks were refused", "clients.requests"},
    {OF_CLIENTS, "request_rate", "requests of busy networks were refused", "clients.request_rate"},
    {OF_CLIENTS, "unread", "requests of networks that do not take their answers were refused",
     "limits.unread"},
    {OF_CACHE, "disk_errors", "answers could not be written to disk", "causeway doctor"},
    {OF_CACHE, "disk_dropped", "answers stayed in memory only, for want of a disk",
     "causeway doctor"},
    {OF_EDGE, "access_log_lost", "lines of the access log were lost", "a full disk, or a slow one"},
    {OF_GATEWAY, "timeouts", "requests got no answer from an origin in time",
     "timeouts.read of the site"},
    {OF_GATEWAY, "unreachable", "requests reached no origin", "causeway origin show"},
    {OF_GATEWAY, "full", "requests found no slot in time", "causeway queue"},
    {OF_GATEWAY, "bad_answers", "answers of origins were none", "docs/origins.md"},
};

void status_add_counts(struct text *text, json_t *status)
{
    json_t *edge = part(status, "front", "edge");
    const json_t *sources[SOURCES] = {[OF_EDGE] = edge,
                                      [OF_CLIENTS] = json_object_get(edge, "clients_refused"),
                                      [OF_CACHE] = json_object_get(edge, "cache"),
                                      [OF_GATEWAY] = part(status, "front", "gateway")};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        double count = node_number(sources[counts[i].source], counts[i].name);
        if (count > 0)
            text_add_format(text, "  %8.0f %s (%s)\n", count, counts[i].sentence, counts[i].where);
    }
}
