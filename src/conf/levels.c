/* SPDX-License-Identifier: Apache-2.0
 *
 * Levels of zones (R3): which zone lies in which, and what makes aliases between them safe. A level lies below the zone that has
 * it, so an alias only ever leads deeper, and no chain of them can come back.
 */
#include "conf/load.h"

#include <string.h>

/* Names have their final dot. Strictly. */
static bool is_below(const char *name, const char *zone)
{
    size_t length = strlen(name), above = strlen(zone);
    if (strcmp(zone, ".") == 0)
        return length > 1;
    return length > above + 1 && name[length - above - 1] == '.' &&
           strcmp(name + length - above, zone) == 0;
}

static struct conf_zone *find_zone(const struct table *zones, const char *name)
{
    return table_find(zones, span_text(name));
}

/* The deepest zone that holds it. */
static const struct conf_zone *find_enclosing(const struct table *zones, const char *name)
{
    for (const char *at = strchr(name, '.'); at && at[1]; at = strchr(at + 1, '.')) {
        const struct conf_zone *zone = find_zone(zones, at + 1);
        if (zone)
            return zone;
    }
    return find_zone(zones, ".");
}

static void derive_level(struct loader *loader, const struct table *zones, struct conf_zone *upper,
                         struct conf_level *level)
{
    struct place place = place_of(loader, &level->zone_name);
    struct conf_zone *zone = find_zone(zones, level->zone_name);
    level->zone = zone;
    if (!zone)
        report_error(&loader->report, place, "levels: the file has no zone '%s'", level->zone_name);
    else if (!is_below(zone->name, upper->name))
        report_error(
            &loader->report, place,
            "levels: '%s' does not lie below '%s': aliases that lead deeper cannot go in circles",
            zone->name, upper->name);
    else if (zone->upper && zone->upper != upper)
        report_error(&loader->report, place,
                     "levels: '%s' is a level of '%s' already: names of both would be the same",
                     zone->name, zone->upper->name);
    else
        zone->upper = upper;
}

void derive_levels(struct loader *loader)
{
    struct conf *conf = loader->conf;
    struct table zones = {.arena = &loader->scratch};
    for (size_t i = 0; i < conf->zone_count; i++)
        table_put(&zones, span_text(conf->zones[i].name), &conf->zones[i]);
    for (size_t i = 0; i < conf->zone_count; i++) {
        struct conf_zone *zone = &conf->zones[i];
        zone->enclosing = find_enclosing(&zones, zone->name);
        for (size_t k = 0; k < zone->level_count; k++)
            derive_level(loader, &zones, zone, &zone->levels[k]);
    }
}

static void check_regions_differ(struct loader *loader, const struct conf_zone *zone)
{
    struct table regions = {.arena = &loader->scratch};
    for (size_t i = 0; i < zone->level_count; i++)
        if (!table_put(&regions, span_text(zone->levels[i].region), &zone->levels[i]))
            report_error(&loader->report, place_of(loader, &zone->levels[i].region),
                         "levels: region '%s' is there twice", zone->levels[i].region);
}

void check_levels(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->zone_count; i++)
        check_regions_differ(loader, &conf->zones[i]);
}

void check_served_zones(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    struct table zones = {.arena = &loader->scratch};
    for (size_t i = 0; i < conf->zone_count; i++)
        table_put(&zones, span_text(conf->zones[i].name), &conf->zones[i]);
    for (size_t i = 0; i < conf->node_count; i++) {
        const struct conf_dns *dns = conf->nodes[i].dns;
        for (size_t k = 0; dns && k < dns->zones.count; k++)
            if (!find_zone(&zones, dns->zones.items[k]))
                report_error(&loader->report, place_of(loader, &dns->zones.items[k]),
                             "dns.zones: the file has no zone '%s'", dns->zones.items[k]);
    }
}
