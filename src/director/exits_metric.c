/* SPDX-License-Identifier: Apache-2.0
 *
 * The path metric (H5) and the best border of each place (H6). Traffic to the client matters more than traffic from
 * it, so that the outgoing half of a path counts twice. A client's packets come in at the *contact*, whatever border the
 * answers leave through: its ping is there and back the same way, the pings of other borders leave there and come back by
 * the contact.
 *
 *                  one-way(border)
 *     client <-------------------- border <------ place
 *        \                            ^  internal(place, border)
 *         \ one-way(contact)          | internal(border, contact)
 *          `---------------------> contact
 */
#include "director/exits.h"

static uint32_t less(uint32_t from, uint32_t what)
{
    return from > what ? from - what : 0; /* a measurement that contradicts the map */
}

static uint32_t least_ping(const struct exits_map *map, const uint32_t *ping_us)
{
    uint32_t least = EXITS_SILENT_US;
    for (uint32_t i = 0; i < map->border_count; i++)
        if (ping_us[i] < least)
            least = ping_us[i];
    return least;
}

void exits_times_from_pings(const struct exits_map *map, const uint32_t *ping_us,
                            struct exits_times *times)
{
    uint32_t least = least_ping(map, ping_us), contact = ping_us[map->contact];
    bool has_contact = contact < EXITS_SILENT_US;
    *times = (struct exits_times){0};
    if (least == EXITS_SILENT_US)
        return;
    times->contact_us = (has_contact ? contact : least) / 2;
    for (uint32_t i = 0; i < map->border_count; i++) {
        uint32_t ping = ping_us[i] < EXITS_SILENT_US ? ping_us[i] : EXITS_SILENT_US;
        uint32_t back = times->contact_us + map->between_us[map->contact * map->border_count + i];
        times->border_us[i] = has_contact ? less(ping, back) : ping / 2;
    }
}

uint32_t exits_metric(const struct exits_map *map, const struct exits_times *times, uint32_t place,
                      uint32_t border)
{
    uint32_t internal = map->internal_us[place * map->border_count + border];
    if (internal == EXITS_NONE)
        return EXITS_NONE;
    uint64_t last = map->last_term == EXITS_LAST_BORDER
                        ? map->between_us[border * map->border_count + map->contact]
                        : map->contact_us[place];
    uint64_t metric = 2ull * times->border_us[border] + 2ull * internal + times->contact_us + last;
    return metric < EXITS_NONE ? (uint32_t)metric : EXITS_NONE - 1;
}

/* By insertion: there are few, and thousands of networks are ranked in a tick. Equal ones in the order of places. */
static void insert(struct exits_way *ways, uint32_t count, struct exits_way way)
{
    uint32_t at = count;
    for (; at && ways[at - 1].metric_us > way.metric_us; at--)
        ways[at] = ways[at - 1];
    ways[at] = way;
}

uint32_t exits_rank(const struct exits_map *map, const struct exits_times *times,
                    struct exits_way ways[EXITS_PLACES_LIMIT])
{
    uint32_t count = 0;
    for (uint32_t place = 0; place < map->place_count; place++) {
        struct exits_way best = {.metric_us = EXITS_NONE, .place = (uint16_t)place};
        for (uint32_t border = 0; border < map->border_count; border++) {
            uint32_t metric = exits_metric(map, times, place, border);
            if (metric < best.metric_us) {
                best.metric_us = metric;
                best.border = (uint16_t)border;
            }
        }
        if (best.metric_us != EXITS_NONE)
            insert(ways, count++, best);
    }
    return count;
}

uint32_t exits_candidates(const struct exits_way *ways, uint32_t count, uint32_t fuzz)
{
    uint32_t candidates = 0;
    while (candidates < count && (uint64_t)ways[candidates].metric_us * EXITS_FACTOR_ONE <=
                                     (uint64_t)ways[0].metric_us * fuzz)
        candidates++;
    return candidates;
}
