/* SPDX-License-Identifier: Apache-2.0
 *
 * Levels (R3): names in a zone that has levels answer clients of their regions with an alias to the same name in the level's zone,
 * and all others with edges. The aliases are made at load; a query finds the client's place and takes one.
 *
 * Names of such hosts have numbers of their own, from FIRST_NUMBER on; all others have their site's.
 */
#include "dnsd/private.h"

#include "base/memory.h"

enum {
    FIRST_NUMBER = 1 << 28,
    NAMES_LIMIT = 1 << 20, /* in zones with levels, of all sites together */
};

/* What a wildcard is called in the zones below: a name that no host has. */
static const char any[] = "_any";

/* A zone of the configuration. */
struct rung {
    const struct conf_zone *zone; /* while names are made */
    struct dns_name apex;
    const struct ladder *ladder; /* NULL: it has no levels */
    bool is_served;
};

/* The levels of one zone. */
struct ladder {
    uint32_t ttl_s;
    struct dns_name *zones; /* by level */
    uint32_t count;
    uint16_t *of_region; /* a level, and 1; 0: none */
};

struct name {
    uint32_t site;
    uint32_t ladder;
    struct dns_name *aliases; /* by level */
};

struct dnsd_levels {
    struct conf_maps *maps;
    struct rung *rungs;
    size_t rung_count;
    struct ladder *ladders;
    uint32_t ladder_count;
    struct name *names;
    uint32_t name_count, name_capacity;
};

/* ---- ladders */

static bool take_zone(struct text *why, const char *text, struct dns_name *name)
{
    if (dns_name_parse(span_text(text), NULL, name) == 0)
        return true;
    text_add_format(why, "%s: not a domain name\n", text);
    return false;
}

static void complain_of_region(const struct maps *maps, const struct conf_zone *zone,
                               const struct conf_level *level, struct text *why)
{
    const char *nearest = maps_region_nearest_name(maps, level->region);
    text_add_format(why, "%s: levels: no map names the region '%s'%s%s%s\n", zone->name,
                    level->region, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                    nearest ? "'?" : "");
}

/* A region that has no level of its own has that of the region in which it lies. */
static void fill_regions(struct ladder *ladder, const struct maps *maps)
{
    uint32_t count = maps_region_count(maps);
    uint16_t *own = ladder->of_region, *all = memory_new(count * sizeof *all);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t at = i; at != MAPS_NO_REGION && !all[i]; at = maps_region_parent(maps, at))
            all[i] = own[at];
    ladder->of_region = all;
    memory_free(own);
}

static void make_ladder(struct ladder *ladder, const struct conf_zone *zone,
                        const struct maps *maps, struct text *why)
{
    *ladder = (struct ladder){.ttl_s = zone->level_ttl_s, .count = (uint32_t)zone->level_count};
    ladder->zones = memory_new(zone->level_count * sizeof *ladder->zones);
    ladder->of_region = memory_new(maps_region_count(maps) * sizeof *ladder->of_region);
    for (size_t i = 0; i < zone->level_count; i++) {
        const struct conf_level *level = &zone->levels[i];
        uint32_t region = maps_region_number(maps, span_text(level->region));
        (void)!take_zone(why, level->zone_name, &ladder->zones[i]);
        if (region == MAPS_NO_REGION)
            complain_of_region(maps, zone, level, why);
        else
            ladder->of_region[region] = (uint16_t)(i + 1);
    }
    fill_regions(ladder, maps);
}

struct dnsd_levels *dnsd_levels_new(const struct conf *conf, struct conf_maps *maps,
                                    struct text *why)
{
    struct dnsd_levels *levels = NEW(struct dnsd_levels);
    levels->maps = conf_maps_retain(maps);
    levels->ladders = memory_new(conf->zone_count * sizeof *levels->ladders);
    levels->rungs = memory_new(conf->zone_count * sizeof *levels->rungs);
    for (size_t i = 0; i < conf->zone_count; i++) {
        const struct conf_zone *zone = &conf->zones[i];
        struct rung *rung = &levels->rungs[levels->rung_count];
        *rung = (struct rung){.zone = zone, .is_served = conf_serves(conf, zone)};
        if (!take_zone(why, zone->name, &rung->apex))
            continue;
        levels->rung_count++;
        if (zone->level_count) {
            struct ladder *ladder = &levels->ladders[levels->ladder_count++];
            make_ladder(ladder, zone, maps->maps, why);
            rung->ladder = ladder;
        }
    }
    return levels;
}

void dnsd_levels_free(struct dnsd_levels *levels)
{
    if (!levels)
        return;
    for (uint32_t i = 0; i < levels->ladder_count; i++) {
        memory_free(levels->ladders[i].zones);
        memory_free(levels->ladders[i].of_region);
    }
    for (uint32_t i = 0; i < levels->name_count; i++)
        memory_free(levels->names[i].aliases);
    memory_free(levels->ladders);
    memory_free(levels->rungs);
    memory_free(levels->names);
    conf_maps_release(levels->maps);
    memory_free(levels);
}

/* ---- names */

/* The deepest that holds the name; NULL: none. */
static const struct rung *find_rung(const struct dnsd_levels *levels, const struct dns_name *name)
{
    const struct rung *deepest = NULL;
    for (size_t i = 0; i < levels->rung_count; i++) {
        const struct rung *rung = &levels->rungs[i];
        if (dns_name_is_within(name, &rung->apex) &&
            (!deepest || rung->apex.labels > deepest->apex.labels))
            deepest = rung;
    }
    return deepest;
}

/* The same name in another zone; a wildcard gets a name. False: it would be too long. */
static bool move_name(const struct dns_name *name, const struct dns_name *from,
                      const struct dns_name *to, struct dns_name *moved)
{
    const uint8_t *own = name->wire;
    size_t own_bytes = (size_t)name->length - from->length;
    uint8_t labels = (uint8_t)(name->labels - from->labels);
    uint8_t wire[2 * DNS_NAME_LIMIT], *at = wire;
    if (own[0] == 1 && own[1] == '*') {
        *at++ = sizeof any - 1;
        memcpy(at, any, sizeof any - 1);
        at += sizeof any - 1;
        own += 2;
        own_bytes -= 2;
    }
    memcpy(at, own, own_bytes);
    at += own_bytes;
    memcpy(at, to->wire, to->length);
    at += to->length;
    if (at - wire > DNS_NAME_LIMIT)
        return false;
    moved->length = (uint8_t)(at - wire);
    moved->labels = (uint8_t)(labels + to->labels);
    memcpy(moved->wire, wire, moved->length);
    dns_name_lower(moved);
    return true;
}

struct task {
    struct dnsd_levels *levels;
    const struct conf *conf;
    struct dns_builder *builder;
    uint32_t site;
    struct text *why;
};

static struct name *add_number(struct dnsd_levels *levels)
{
    if (levels->name_count == levels->name_capacity) {
        levels->name_capacity = levels->name_capacity ? levels->name_capacity * 2 : 64;
        levels->names = memory_resize(levels->names, levels->name_capacity, sizeof *levels->names);
    }
    return &levels->names[levels->name_count++];
}

/* A host of that very name has it already; it must be one of the same site. */
static bool is_host(const struct task *task, const struct dns_name *name)
{
    char text[DNS_NAME_TEXT_BYTES];
    dns_name_text(name, text);
    const struct conf_site *site = conf_find_host(task->conf, span_text(text));
    if (!site)
        return false;
    bool is_exact = false;
    for (size_t i = 0; i < site->hosts.count; i++)
        is_exact |= strcmp(site->hosts.items[i], text) == 0;
    if (is_exact && site->index != task->site)
        text_add_format(task->why, "%s: a host of '%s', and of '%s' in a level\n", text, site->name,
                        task->conf->sites[task->site].name);
    return is_exact;
}

static void add_name(const struct task *task, const struct dns_name *name)
{
    struct dnsd_levels *levels = task->levels;
    const struct rung *rung = find_rung(levels, name);
    const struct ladder *ladder = rung ? rung->ladder : NULL;
    if (!ladder || name->labels == rung->apex.labels) { /* an apex cannot be an alias */
        if (rung && rung->is_served)
            dns_builder_add_computed(task->builder, name, task->site);
        return;
    }
    if (levels->name_count == NAMES_LIMIT) {
        text_add_format(task->why, "levels: more than %d names\n", NAMES_LIMIT);
        return;
    }
    uint32_t number = levels->name_count;
    struct dns_name *aliases = memory_new(ladder->count * sizeof *aliases);
    *add_number(levels) = (struct name){task->site, (uint32_t)(ladder - levels->ladders), aliases};
    if (rung->is_served)
        dns_builder_add_computed(task->builder, name, FIRST_NUMBER + number);
    for (uint32_t i = 0; i < ladder->count; i++) {
        if (!move_name(name, &rung->apex, &ladder->zones[i], &aliases[i])) {
            char text[DNS_NAME_TEXT_BYTES];
            text_add_format(task->why, "%s: too long a name in the level %s\n",
                            dns_name_text(name, text), rung->zone->levels[i].zone_name);
            continue;
        }
        bool is_repeated = false; /* two regions may have one level */
        for (uint32_t k = 0; k < i && !is_repeated; k++)
            is_repeated = dns_name_equal(&aliases[k], &aliases[i]);
        if (!is_repeated && !is_host(task, &aliases[i]))
            add_name(task, &aliases[i]);
    }
}

void dnsd_levels_add(struct dnsd_levels *levels, const struct conf *conf,
                     struct dns_builder *builder, const struct dns_name *host, uint32_t site,
                     struct text *why)
{
    struct task task = {levels, conf, builder, site, why};
    add_name(&task, host);
}

/* ---- delegations */

static void add_glue(struct dns_builder *builder, const struct conf *conf,
                     const struct dns_name *server)
{
    for (size_t i = 0; i < conf->zone_count; i++) {
        const struct conf_zone *zone = &conf->zones[i];
        for (size_t k = 0; k < zone->record_count; k++) {
            const struct conf_record *record = &zone->records[k];
            struct dns_name owner;
            if ((strcmp(record->type, "A") == 0 || strcmp(record->type, "AAAA") == 0) &&
                dns_name_parse(span_text(record->owner), NULL, &owner) == 0 &&
                dns_name_equal(&owner, server))
                dns_builder_add_text(builder, &owner, record->type, record->ttl_s, record->data,
                                     NULL);
        }
    }
}

void dnsd_levels_delegate(const struct conf *conf, const struct conf_zone *zone,
                          struct dns_builder *builder, struct text *why)
{
    struct dns_name apex, server;
    if (!zone->enclosing || !conf_serves(conf, zone->enclosing) ||
        !take_zone(why, zone->name, &apex))
        return;
    for (size_t i = 0; i < zone->ns.count; i++) {
        if (!take_zone(why, zone->ns.items[i], &server))
            continue;
        dns_builder_add(builder, &apex, DNS_NS, zone->ttl_s, span_of(server.wire, server.length));
        if (dns_name_is_within(&server, &apex))
            add_glue(builder, conf, &server);
    }
}

/* ---- answers */

uint32_t dnsd_levels_find(const struct dnsd_levels *levels, uint32_t number,
                          const struct dns_client *client, struct dns_choice *choice)
{
    if (number < FIRST_NUMBER)
        return number;
    const struct name *name = &levels->names[number - FIRST_NUMBER];
    const struct ladder *ladder = &levels->ladders[name->ladder];
    const struct maps *maps = levels->maps->maps;
    unsigned bits;
    uint32_t place = maps_find(maps, &client->address, &bits);
    uint32_t level = ladder->of_region[maps_place(maps, place)->region];
    choice->alias_varies = true;
    choice->scope_bits = (uint8_t)bits;
    if (level) {
        choice->alias = &name->aliases[level - 1];
        choice->alias_ttl_s = ladder->ttl_s;
    }
    return name->site;
}
