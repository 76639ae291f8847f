/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a request goes: the channel to a gateway of its site (L1, L2). A site has a route on each worker, made at its first request there; it
 * follows the facts when a request comes and they are 50 ms old.
 */
#include "base/memory.h"
#include "edge/buffer.h"
#include "purge/purge.h"

bool edge_route_serves(const struct conf *conf, const struct conf_site *site)
{
    for (size_t i = 0; i < site->edge_count; i++)
        if (site->edges[i] == conf->self)
            return true;
    return false;
}

bool edge_route_exists(const struct edge_worker *worker, const struct conf *conf,
                       const struct conf_site *site)
{
    const struct edge_options *options = &worker->edge->options;
    for (size_t i = 0; i < site->gateway_count; i++) {
        bool is_self = site->gateways[i] == conf->self;
        const struct link *link =
            link_to_gateway(options->links,
                            is_self ? options->public_key : site->gateways[i]->public_key);
        if (link && link_is_up(link))
            return true;
    }
    return false;
}

/* ---- routes */

static void name_channels(struct edge_channels *channels, struct edge_site_route *of,
                          const struct conf *conf, const struct conf_site *site)
{
    of->channel_count = 0;
    for (size_t i = 0; i < site->gateway_count && i < ROUTE_CHANNELS_MOST; i++) {
        struct edge_channel *channel = edge_channel_of(channels, conf, site->gateways[i]);
        channel->is_named = true;
        of->channels[of->channel_count++] = channel;
    }
    of->is_stale = true; /* other channels than it knows */
}

static void route_free(struct edge_site_route **freed)
{
    struct edge_site_route *of = *freed;
    *freed = NULL;
    if (!of)
        return;
    edge_buffer_retire(&of->buffer);
    memory_free(of->name);
    memory_free(of);
}

void edge_routes_follow(struct edge_channels *channels)
{
    const struct conf *conf = edge_conf(channels->worker);
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
    struct edge_site_route **routes = memory_new((conf->site_count + 1) * sizeof *routes);
    pthread_mutex_lock(&channels->lock);
    for (size_t i = 0; i < channels->route_count; i++) {
        struct edge_site_route *of = channels->routes[i];
        const struct conf_site *site = of ? conf_find_site(conf, span_text(of->name)) : NULL;
        if (site) {
            name_channels(channels, of, conf, site);
            routes[site->index] = of;
        } else {
            route_free(&channels->routes[i]);
        }
    }
    memory_free((void *)channels->routes);
    channels->routes = routes;
    channels->route_count = conf->site_count;
    channels->conf = conf;
    pthread_mutex_unlock(&channels->lock);
}

void edge_routes_stop(struct edge_channels *channels)
{
    for (size_t i = 0; i < channels->route_count; i++)
        if (channels->routes[i])
            edge_buffer_retire(&channels->routes[i]->buffer);
}

void edge_routes_free(struct edge_channels *channels)
{
    for (size_t i = 0; i < channels->route_count; i++)
        route_free(&channels->routes[i]);
    memory_free((void *)channels->routes);
}

/* ---- facts */

static void add_load(struct route_facts *facts, const struct loads_report *report)
{
    facts->has_load = true;
    facts->is_full = report->is_full;
    facts->slots = report->slots;
    facts->service_us = report->service_us;
    facts->demand_milli = report->demand_milli;
    for (int i = 0; i < ROUTE_CLASSES; i++) {
        facts->waiting[i] = report->waiting[i];
        facts->wait_us[i] = report->wait_us[i];
    }
}

static void update(struct edge_channels *channels, struct edge_site_route *of,
                   const struct conf_site *site, uint64_t now_ns)
{
    struct route_facts facts[ROUTE_CHANNELS_MOST];
    struct loads_report kept[ROUTE_CHANNELS_MOST];
    const struct loads_report *reports[ROUTE_CHANNELS_MOST] = {NULL};
    uint64_t slots = 0, taken = 0;
    of->is_stale = false;
    for (uint32_t i = 0; i < of->channel_count; i++) {
        struct edge_channel *channel = of->channels[i];
        edge_channel_look(channel, now_ns);
        facts[i] = channel->facts;
        if (!facts[i].is_up || !edge_loads_read(channel->source, of->site, now_ns, &kept[i]))
            continue;
        reports[i] = &kept[i];
        add_load(&facts[i], &kept[i]);
        slots += kept[i].slots;
        taken += (uint64_t)kept[i].slots * kept[i].load_permille;
    }
    uint64_t load_percent = slots ? taken / slots / 10 : RULES_UNKNOWN;
    pthread_mutex_lock(&channels->lock);
    of->load_percent = load_percent < RULES_UNKNOWN ? (uint32_t)load_percent : RULES_UNKNOWN;
    route_update(&of->route, &site->channels, facts, of->channel_count, now_ns);
    of->waiting = edge_buffer_waiting(of->buffer);
    pthread_mutex_unlock(&channels->lock);
    edge_buffer_follow(channels->worker, of, site, reports, now_ns);
}

void edge_route_refresh(struct edge_worker *worker, struct edge_site_route *of)
{
    const struct conf_site *site = conf_find_site(edge_conf(worker), span_text(of->name));
    uint64_t now_ns = loop_now_ns(worker->loop);
    if (site && (of->is_stale || route_is_due(&of->route, now_ns)))
        update(worker->channels, of, site, now_ns);
}

static struct edge_site_route *new_route(struct edge_channels *channels, const struct conf *conf,
                                         const struct conf_site *site)
{
    struct edge_site_route *of = NEW(struct edge_site_route);
    of->name = memory_text(site->name, strlen(site->name));
    of->site = purge_site(span_text(site->name));
    of->load_percent = RULES_UNKNOWN;
    name_channels(channels, of, conf, site);
    pthread_mutex_lock(&channels->lock);
    channels->routes[site->index] = of;
    pthread_mutex_unlock(&channels->lock);
    return of;
}

/* The site's, up to date. */
static struct edge_site_route *route_of(struct edge_worker *worker, const struct conf *conf,
                                        const struct conf_site *site)
{
    struct edge_channels *channels = worker->channels;
    if (channels->conf != conf)
        edge_channels_follow(channels);
    struct edge_site_route *of = channels->routes[site->index];
    if (!of)
        of = new_route(channels, conf, site);
    uint64_t now_ns = loop_now_ns(worker->loop);
    if (of->is_stale || route_is_due(&of->route, now_ns))
        update(channels, of, site, now_ns);
    return of;
}

/* ---- the choice */

static uint32_t those_tried(const struct edge_site_route *of, struct link *const *tried,
                            size_t tried_count)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < of->channel_count; i++)
        for (size_t j = 0; j < tried_count; j++)
            if (of->channels[i]->link == tried[j])
                set |= 1u << i;
    return set;
}

static size_t pick(struct route *route, uint8_t class, uint32_t except)
{
    return route_pick(route, class, except);
}

static size_t best(struct route *route, uint8_t class, uint32_t except)
{
    return route_best(route, class, except);
}

/* What goes down is seen at once, and not with the next update. */
static struct edge_channel *choose(struct edge_site_route *of, uint8_t class, uint32_t except,
                                   size_t (*by)(struct route *, uint8_t, uint32_t))
{
    for (;;) {
        size_t index = by(&of->route, class, except);
        if (index == ROUTE_NONE)
            return NULL;
        struct edge_channel *channel = of->channels[index];
        if (channel->link && link_is_up(channel->link))
            return channel;
        except |= 1u << index;
        of->is_stale = true;
    }
}

struct edge_channel *edge_channels_pick(struct edge_worker *worker, const struct conf *conf,
                                        const struct conf_site *site, uint8_t class,
                                        struct link *const *tried, size_t tried_count)
{
    struct edge_site_route *of = route_of(worker, conf, site);
    return choose(of, class, those_tried(of, tried, tried_count), pick);
}

struct edge_channel *edge_channels_best(struct edge_worker *worker, const struct conf *conf,
                                        const struct conf_site *site, uint8_t class,
                                        struct link *const *tried, size_t tried_count)
{
    struct edge_site_route *of = route_of(worker, conf, site);
    return choose(of, class, those_tried(of, tried, tried_count), best);
}

bool edge_channels_hold(struct edge_exchange *exchange, const struct conf *conf,
                        const struct conf_site *site)
{
    return edge_buffer_take(route_of(exchange->worker, conf, site)->buffer, exchange);
}

uint32_t edge_channels_load(struct edge_worker *worker, const struct conf *conf,
                            const struct conf_site *site)
{
    return route_of(worker, conf, site)->load_percent;
}

struct link *edge_route_pick(struct edge_worker *worker, const struct conf *conf,
                             const struct conf_site *site, uint8_t class)
{
    struct edge_channel *channel = edge_channels_pick(worker, conf, site, class, NULL, 0);
    return channel ? channel->link : NULL;
}

/* ---- status */

static json_t *channels_status(const struct edge_site_route *of, const struct conf *conf,
                               uint8_t class)
{
    json_t *channels = json_array();
    for (uint32_t i = 0; i < of->route.count && i < of->channel_count; i++) {
        const struct route_channel *channel = &of->route.channels[i];
        const struct edge_channel *by = of->channels[i];
        const struct conf_node *gateway = conf_find_key(conf, by->key);
        json_array_append_new(channels,
                              json_pack("{s:s, s:s, s:I, s:I, s:b}", "gateway",
                                        gateway ? gateway->name : conf->self->name, "state",
                                        route_state_text(channel->state), "share_permille",
                                        (json_int_t)(channel->share[class] * 1000 + 0.5f),
                                        "cost_us", (json_int_t)channel->cost_us[class],
                                        "tells_load", (int)channel->has_load));
    }
    return channels;
}

/* Of the worker that had a request of the site last. */
static json_t *site_status(const struct edge *edge, const struct conf *conf,
                           const struct conf_site *site)
{
    json_t *status = NULL;
    uint64_t updated_ns = 0;
    for (uint32_t i = 0; i < edge->options.workers; i++) {
        struct edge_channels *channels = atomic_load(&edge->workers[i].channels);
        if (!channels)
            continue;
        pthread_mutex_lock(&channels->lock);
        const struct edge_site_route *of =
            site->index < channels->route_count ? channels->routes[site->index] : NULL;
        if (of && strcmp(of->name, site->name) == 0 && of->route.updated_ns > updated_ns) {
            updated_ns = of->route.updated_ns;
            json_decref(status);
            status =
                json_pack("{s:s, s:I, s:o}", "name", site->name, "waiting", (json_int_t)of->waiting,
                          "channels", channels_status(of, conf, site->ring));
            if (of->load_percent != RULES_UNKNOWN)
                json_object_set_new(status, "load_percent", json_integer(of->load_percent));
        }
        pthread_mutex_unlock(&channels->lock);
    }
    return status;
}

json_t *edge_routes_status(const struct edge *edge)
{
    const struct conf *conf = conf_current(&edge->options.conf);
    json_t *sites = json_array();
    for (size_t i = 0; i < conf->site_count; i++) {
        json_t *site = site_status(edge, conf, &conf->sites[i]);
        if (site)
            json_array_append_new(sites, site);
    }
    return sites;
}
