/* SPDX-License-Identifier: Apache-2.0
 *
 * In which country a visitor is, as the maps of the configuration say: for rules. Maps are compiled only where a rule asks, and by
 * reloads on a thread of their own, for large ones take seconds.
 */
#include "edge/exchange.h"

#include "base/memory.h"

struct edge_countries {
    struct conf_maps *prepared; /* by the reload under way; NULL: none are wanted */
    struct conf_maps *latest;
    void *_Atomic published; /* struct conf_maps, with a reference of its own */
};

static bool are_wanted(const struct conf *conf)
{
    bool is_asked = false;
    for (size_t i = 0; i < conf->site_count; i++)
        is_asked |=
            rules_ask_for_country(conf->sites[i].rules) && edge_route_serves(conf, &conf->sites[i]);
    return is_asked && (conf->map_count || conf->regions_path);
}

int edge_countries_prepare(struct edge_countries *countries, const struct conf *conf,
                           struct text *why)
{
    conf_maps_release(countries->prepared);
    countries->prepared = NULL;
    if (!are_wanted(conf))
        return 0;
    uint64_t start_ns = clock_now_ns();
    countries->prepared = conf_maps_new(conf, countries->latest, why);
    if (!countries->prepared)
        return ERROR_CONFIG;
    if (countries->prepared != countries->latest)
        log_info("edge", "maps compiled networks=%u ms=%llu",
                 maps_figures(countries->prepared->maps).networks,
                 (unsigned long long)(clock_now_ns() - start_ns) / 1000000);
    return 0;
}

static void release(void *maps)
{
    conf_maps_release(maps);
}

void edge_countries_take(struct edge_countries *countries)
{
    conf_maps_release(countries->latest);
    countries->latest = countries->prepared;
    countries->prepared = NULL;
    snapshot_publish(&countries->published,
                     countries->latest ? conf_maps_retain(countries->latest) : NULL, release);
}

void edge_countries_find(const struct edge_exchange *exchange, uint8_t country[2])
{
    const struct edge_countries *countries = exchange->worker->edge->countries;
    const struct conf_maps *maps = countries ? snapshot_read(&countries->published) : NULL;
    const struct conf_site *site = maps ? edge_exchange_site(exchange) : NULL;
    if (!site || !rules_ask_for_country(site->rules))
        return;
    const struct maps_place *place =
        maps_place(maps->maps, maps_find(maps->maps, &exchange->visitor->address, NULL));
    memcpy(country, place->country, sizeof place->country);
}

struct edge_countries *edge_countries_new(void)
{
    return NEW(struct edge_countries);
}

void edge_countries_free(struct edge_countries **freed)
{
    struct edge_countries *countries = *freed;
    *freed = NULL;
    if (!countries)
        return;
    conf_maps_release(countries->prepared);
    conf_maps_release(countries->latest);
    conf_maps_release(atomic_load(&countries->published));
    memory_free(countries);
}
