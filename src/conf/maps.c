/* SPDX-License-Identifier: Apache-2.0
 *
 * The maps of a configuration, compiled. A reload that leaves their files alone shares those of before: large ones take seconds.
 */
#include "conf/conf.h"

#include "base/hash.h"
#include "base/memory.h"

static uint64_t hash_files(const struct conf *conf)
{
    uint64_t hash = conf->map_count;
    for (size_t i = 0; i < conf->map_count; i++)
        hash = hash_span(conf->maps[i].content, hash_span(span_text(conf->maps[i].path), hash));
    return hash_span(conf->regions, hash);
}

static struct maps *compile(const struct conf *conf, struct text *why)
{
    struct maps_builder *builder = maps_builder_new();
    for (size_t i = 0; i < conf->map_count; i++)
        maps_builder_add(builder, conf->maps[i].content, conf->maps[i].path);
    if (conf->regions_path)
        maps_builder_add(builder, conf->regions, conf->regions_path);
    return maps_builder_finish(&builder, why);
}

struct conf_maps *conf_maps_new(const struct conf *conf, struct conf_maps *old, struct text *why)
{
    uint64_t hash = hash_files(conf);
    if (old && old->hash == hash)
        return conf_maps_retain(old);
    struct maps *maps = compile(conf, why);
    if (!maps)
        return NULL;
    struct conf_maps *made = NEW(struct conf_maps);
    atomic_store(&made->references, 1);
    made->hash = hash;
    made->maps = maps;
    return made;
}

struct conf_maps *conf_maps_retain(struct conf_maps *maps)
{
    atomic_fetch_add(&maps->references, 1);
    return maps;
}

void conf_maps_release(struct conf_maps *maps)
{
    if (!maps || atomic_fetch_sub(&maps->references, 1) != 1)
        return;
    maps_free(maps->maps);
    memory_free(maps);
}
