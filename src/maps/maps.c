/* SPDX-License-Identifier: Apache-2.0
 *
 * The builder, and the look-ups in what it made.
 */
#include "maps/maps.h"

#include "base/memory.h"
#include "maps/private.h"

struct maps_builder {
    struct layer layers[MAPS_LIMIT];
    size_t count;
    struct text complaints;
    struct maps *maps;
};

struct maps_builder *maps_builder_new(void)
{
    struct maps_builder *builder = NEW(struct maps_builder);
    builder->maps = NEW(struct maps);
    maps_regions_init(&builder->maps->regions);
    return builder;
}

void maps_builder_free(struct maps_builder *builder)
{
    if (!builder)
        return;
    for (size_t i = 0; i < builder->count; i++)
        layer_close(&builder->layers[i]);
    text_clear(&builder->complaints);
    maps_free(builder->maps);
    memory_free(builder);
}

void maps_builder_add(struct maps_builder *builder, struct span bytes, const char *file)
{
    if (builder->count == MAPS_LIMIT) {
        text_add_format(&builder->complaints, "%s: more than %d maps\n", file, MAPS_LIMIT);
        return;
    }
    struct layer *layer = &builder->layers[builder->count++];
    *layer = (struct layer){.file = file, .complaints = &builder->complaints};
    struct fact nothing;
    fact_init(&nothing);
    layer_add_fact(layer, &nothing);
    if (bytes.length > MAPS_FILE_BYTES) {
        layer_complain(layer, 0, "it is larger than %d bytes", MAPS_FILE_BYTES);
        bytes.length = 0;
    }
    if (mmdb_is(bytes))
        mmdb_open(layer, bytes);
    else
        text_map_open(layer, bytes, &builder->maps->regions);
}

static void tell_of_more(const struct maps_builder *builder)
{
    for (size_t i = 0; i < builder->count; i++) {
        const struct layer *layer = &builder->layers[i];
        if (layer->complaint_count > COMPLAINTS_LIMIT)
            text_add_format(layer->complaints, "%s: and more\n", layer->file);
    }
}

struct maps *maps_builder_finish(struct maps_builder **owned, struct text *complaints)
{
    struct maps_builder *builder = *owned;
    *owned = NULL;
    struct maps *maps = NULL;
    if (!builder->complaints.length &&
        maps_compile(builder->maps, builder->layers, builder->count, &builder->complaints) &&
        !builder->complaints.length) {
        maps = builder->maps;
        builder->maps = NULL;
    } else {
        tell_of_more(builder);
        text_add_span(complaints, text_span(&builder->complaints));
    }
    maps_builder_free(builder);
    return maps;
}

void maps_free(struct maps *maps)
{
    if (!maps)
        return;
    maps_tree_clear(&maps->ipv4);
    maps_tree_clear(&maps->ipv6);
    memory_free(maps->places);
    maps_regions_clear(&maps->regions);
    memory_free(maps);
}

uint32_t maps_find(const struct maps *maps, const struct address *client, unsigned *bits)
{
    unsigned unwanted;
    return maps_tree_find(client->family == 4 ? &maps->ipv4 : &maps->ipv6, client,
                          bits ? bits : &unwanted);
}

uint32_t maps_place_count(const struct maps *maps)
{
    return maps->place_count;
}

const struct maps_place *maps_place(const struct maps *maps, uint32_t place)
{
    return &maps->places[place];
}

uint32_t maps_region_count(const struct maps *maps)
{
    return maps->regions.count;
}

uint32_t maps_region_number(const struct maps *maps, struct span name)
{
    return maps_regions_number(&maps->regions, name);
}

const char *maps_region_name(const struct maps *maps, uint32_t region)
{
    return maps->regions.names[region];
}

const char *maps_region_nearest_name(const struct maps *maps, const char *word)
{
    const struct regions *regions = &maps->regions;
    return nearest_word(word, (const char *const *)regions->names + 1, regions->count - 1);
}

struct maps_point maps_region_point(const struct maps *maps, uint32_t region)
{
    return maps->regions.points[region];
}

uint32_t maps_region_parent(const struct maps *maps, uint32_t region)
{
    return maps->regions.parents[region];
}

uint32_t maps_region_distance(const struct maps *maps, uint32_t a, uint32_t b)
{
    return maps_regions_distance(&maps->regions, a, b);
}

struct maps_figures maps_figures(const struct maps *maps)
{
    return (struct maps_figures){.bytes = maps_tree_bytes(&maps->ipv4) +
                                          maps_tree_bytes(&maps->ipv6) +
                                          (uint64_t)maps->place_capacity * sizeof *maps->places,
                                 .networks = maps->networks,
                                 .places = maps->place_count};
}
