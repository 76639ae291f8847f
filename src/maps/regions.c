/* SPDX-License-Identifier: Apache-2.0
 *
 * Regions: their names, the rules that give a place its region, and how far apart they are.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "maps/private.h"

enum {
    NAME_LIMIT = 63,
    DEPTH_LIMIT = 8, /* of regions within regions */
};

static void add(struct regions *regions, struct span name)
{
    regions->names = memory_resize(regions->names, regions->count + 1, sizeof *regions->names);
    regions->points = memory_resize(regions->points, regions->count + 1, sizeof *regions->points);
    regions->parents =
        memory_resize(regions->parents, regions->count + 1, sizeof *regions->parents);
    regions->points[regions->count] = MAPS_NOWHERE;
    regions->parents[regions->count] = MAPS_NO_REGION;
    regions->names[regions->count++] = memory_text((const char *)name.data, name.length);
}

void maps_regions_init(struct regions *regions)
{
    add(regions, SPAN("(none)"));
}

void maps_regions_clear(struct regions *regions)
{
    for (uint32_t i = 0; i < regions->count; i++)
        memory_free(regions->names[i]);
    memory_free(regions->names);
    memory_free(regions->points);
    memory_free(regions->parents);
    maps_index_clear(&regions->numbers);
    maps_index_clear(&regions->rules);
    maps_index_clear(&regions->distances);
    *regions = (struct regions){0};
}

/* Names without regard to case. Where two have one hash the second finds the next free key. */
static uint64_t key_of(struct span name)
{
    uint8_t lower[NAME_LIMIT];
    size_t length = name.length < NAME_LIMIT ? name.length : NAME_LIMIT;
    for (size_t i = 0; i < length; i++)
        lower[i] = ascii_lower(name.data[i]);
    return hash_span(span_of(lower, length), 0) | 1;
}

uint32_t maps_regions_number(const struct regions *regions, struct span name)
{
    for (uint64_t key = key_of(name);; key += 2) {
        uint32_t region = maps_index_find(&regions->numbers, key);
        if (region == MAPS_NO_REGION || span_equal_nocase(span_text(regions->names[region]), name))
            return region;
    }
}

uint32_t maps_regions_take(struct regions *regions, struct span name)
{
    uint32_t region = maps_regions_number(regions, name);
    if (region != MAPS_NO_REGION || regions->count == MAPS_REGIONS_LIMIT)
        return region;
    uint64_t key = key_of(name);
    while (maps_index_find(&regions->numbers, key))
        key += 2;
    *maps_index_at(&regions->numbers, key) = regions->count;
    add(regions, name);
    return regions->count - 1;
}

/* ---- rules */

uint64_t maps_regions_rule(enum rule_kind kind, const struct maps_place *place)
{
    uint64_t key = 0;
    switch (kind) {
    case RULE_ASN:
        key = place->asn;
        break;
    case RULE_COUNTRY:
        memcpy(&key, place->country, sizeof place->country);
        memcpy((uint8_t *)&key + sizeof place->country, place->subdivision,
               sizeof place->subdivision);
        break;
    case RULE_CONTINENT:
        memcpy(&key, place->continent, sizeof place->continent);
        break;
    }
    return (uint64_t)kind << 56 | key;
}

static uint32_t nearest(const struct regions *regions, struct maps_point point)
{
    uint32_t best = MAPS_NO_REGION, best_km = UINT32_MAX;
    for (uint32_t i = 1; i < regions->count; i++) {
        if (!maps_point_is_known(regions->points[i]))
            continue;
        uint32_t km = maps_point_km(regions->points[i], point);
        if (km < best_km) {
            best = i;
            best_km = km;
        }
    }
    return best;
}

uint32_t maps_regions_of_place(const struct regions *regions, const struct maps_place *place)
{
    struct maps_place country = *place;
    memset(country.subdivision, 0, sizeof country.subdivision);
    uint32_t region = MAPS_NO_REGION;
    if (place->asn)
        region = maps_index_find(&regions->rules, maps_regions_rule(RULE_ASN, place));
    if (!region && place->country[0])
        region = maps_index_find(&regions->rules, maps_regions_rule(RULE_COUNTRY, place));
    if (!region && place->country[0])
        region = maps_index_find(&regions->rules, maps_regions_rule(RULE_COUNTRY, &country));
    if (!region && place->continent[0])
        region = maps_index_find(&regions->rules, maps_regions_rule(RULE_CONTINENT, place));
    if (!region && maps_point_is_known(place->point))
        region = nearest(regions, place->point);
    return region ? region : regions->outside;
}

/* ---- distances */

static uint64_t pair_of(uint32_t a, uint32_t b)
{
    return a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
}

void maps_regions_set_distance(struct regions *regions, uint32_t a, uint32_t b, uint32_t distance)
{
    *maps_index_at(&regions->distances, pair_of(a, b)) = distance + 1;
}

bool maps_regions_set_parent(struct regions *regions, uint32_t region, uint32_t parent)
{
    unsigned depth = 1;
    for (uint32_t at = parent; at != MAPS_NO_REGION; at = regions->parents[at])
        if (at == region || depth++ == DEPTH_LIMIT)
            return false;
    regions->parents[region] = (uint16_t)parent;
    return true;
}

/* Said, or of the globe; false: neither. */
static bool know_distance(const struct regions *regions, uint32_t a, uint32_t b, uint32_t *distance)
{
    uint32_t said = a == b ? 1 : maps_index_find(&regions->distances, pair_of(a, b));
    if (said) {
        *distance = said - 1;
        return true;
    }
    if (!maps_point_is_known(regions->points[a]) || !maps_point_is_known(regions->points[b]))
        return false;
    *distance = maps_point_km(regions->points[a], regions->points[b]) / MAPS_KM_PER_UNIT;
    return true;
}

/* Each step up costs 1, so that who lies in the same region is near, but behind those of one's own. */
uint32_t maps_regions_distance(const struct regions *regions, uint32_t a, uint32_t b)
{
    uint32_t least = UINT32_MAX, distance;
    uint32_t steps_a = 0;
    for (uint32_t i = a; i != MAPS_NO_REGION; i = regions->parents[i], steps_a++) {
        uint32_t steps = steps_a;
        for (uint32_t k = b; k != MAPS_NO_REGION; k = regions->parents[k], steps++) {
            if (!know_distance(regions, i, k, &distance))
                continue;
            if (steps == 0)
                return distance;
            if (distance + steps < least)
                least = distance + steps;
        }
    }
    return least == UINT32_MAX ? MAPS_FAR : least;
}
