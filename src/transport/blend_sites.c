/* SPDX-License-Identifier: Apache-2.0
 *
 * The blender's sites by number: a small hash over an array, so that all of them can also be looked through.
 */
#include "transport/blend_sites.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 8 };

static uint32_t home(const struct blend_sites *sites, uint16_t number)
{
    return number * 40503u & (sites->places_size - 1);
}

static void place(struct blend_sites *sites, uint32_t at)
{
    uint32_t place = home(sites, sites->all[at]->number);
    while (sites->places[place])
        place = (place + 1) & (sites->places_size - 1);
    sites->places[place] = (uint16_t)(at + 1);
}

static void place_all(struct blend_sites *sites)
{
    memset(sites->places, 0, sites->places_size * sizeof *sites->places);
    for (uint32_t i = 0; i < sites->count; i++)
        place(sites, i);
}

static void grow(struct blend_sites *sites)
{
    uint32_t capacity = sites->capacity ? sites->capacity * 2 : FIRST_CAPACITY;
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
    struct blend_site **all = memory_new(capacity * sizeof *all);
    for (uint32_t i = 0; i < sites->count; i++)
        all[i] = sites->all[i];
    memory_free((void *)sites->all);
    memory_free(sites->places);
    sites->all = all;
    sites->capacity = capacity;
    sites->places_size = capacity * 2;
    sites->places = memory_new(sites->places_size * sizeof *sites->places);
    place_all(sites);
}

static struct blend_site *find(const struct blend_sites *sites, uint16_t number)
{
    uint32_t at = home(sites, number);
    for (; sites->places[at]; at = (at + 1) & (sites->places_size - 1))
        if (sites->all[sites->places[at] - 1]->number == number)
            return sites->all[sites->places[at] - 1];
    return NULL;
}

static int by_number(const void *a, const void *b)
{
    const struct transport_site_weight *one = a, *other = b;
    return (int)one->number - (int)other->number;
}

static uint8_t weight_of(const struct blend_sites *sites, uint16_t number)
{
    const struct transport_site_weight wanted = {.number = number};
    const struct transport_site_weight *found =
        sites->weight_count
            ? bsearch(&wanted, sites->weights, sites->weight_count, sizeof wanted, by_number)
            : NULL;
    return found && found->weight ? found->weight : BLEND_SITE_WEIGHT_DEFAULT;
}

static struct blend_site *add(struct blend_sites *sites, uint16_t number)
{
    struct blend_site *site;
    if (sites->count < BLEND_SITES_LIMIT) {
        if (sites->count == sites->capacity)
            grow(sites);
        site = NEW(struct blend_site);
        site->at = sites->count;
        sites->all[sites->count++] = site;
        site->number = number;
        place(sites, site->at);
    } else {
        struct list *oldest = list_pop_front(&sites->idle);
        if (!oldest)
            return sites->all[0];
        site = CONTAINER_OF(oldest, struct blend_site, link);
        *site = (struct blend_site){.at = site->at, .number = number};
        place_all(sites);
    }
    list_init(&site->link);
    site->weight = weight_of(sites, number);
    for (int i = 0; i < TRANSPORT_RINGS; i++) {
        list_init(&site->queues[i].link);
        list_init(&site->queues[i].ready);
        site->queues[i].site = site;
    }
    return site;
}

void blend_sites_init(struct blend_sites *sites)
{
    *sites = (struct blend_sites){0};
    list_init(&sites->idle);
    add(sites, 0); /* never idle: its place is not given away */
}

void blend_sites_clear(struct blend_sites *sites)
{
    for (uint32_t i = 0; i < sites->count; i++) {
        INVARIANT(!sites->all[i]->members);
        memory_free(sites->all[i]);
    }
    memory_free((void *)sites->all);
    memory_free(sites->places);
    memory_free(sites->weights);
    *sites = (struct blend_sites){0};
}

void blend_sites_weigh(struct blend_sites *sites, const struct transport_site_weight *weights,
                       size_t count)
{
    memory_free(sites->weights);
    sites->weights = NULL;
    sites->weight_count = count;
    if (count) {
        sites->weights = memory_new(count * sizeof *weights);
        memcpy(sites->weights, weights, count * sizeof *weights);
        qsort(sites->weights, count, sizeof *weights, by_number);
    }
    for (uint32_t i = 0; i < sites->count; i++)
        sites->all[i]->weight = weight_of(sites, sites->all[i]->number);
}

struct blend_site *blend_site_join(struct blend_sites *sites, uint16_t number)
{
    struct blend_site *site = find(sites, number);
    if (!site)
        site = add(sites, number);
    if (!site->members++)
        list_remove(&site->link);
    return site;
}

void blend_site_leave(struct blend_sites *sites, struct blend_site *site)
{
    INVARIANT(site->members > 0);
    if (!--site->members && site->number)
        list_push_back(&sites->idle, &site->link);
}

size_t blend_sites_read(const struct blend_sites *sites, struct transport_site_facts *facts,
                        size_t count)
{
    size_t written = 0;
    for (uint32_t i = 0; i < sites->count; i++) {
        const struct blend_site *site = sites->all[i];
        if (!site->sent_bytes && !site->members)
            continue;
        size_t at = written < count ? written++ : count;
        for (; at > 0 && facts[at - 1].sent_bytes < site->sent_bytes; at--)
            if (at < count)
                facts[at] = facts[at - 1];
        if (at < count)
            facts[at] = (struct transport_site_facts){.number = site->number,
                                                      .weight = site->weight,
                                                      .buffers = site->members,
                                                      .sent_bytes = site->sent_bytes};
    }
    return written;
}
