/* SPDX-License-Identifier: Apache-2.0
 *
 * From a configuration to zones: settings, zone files with what they include, hosts of sites, and names that stand for
 * another name's addresses (ALIAS), by itself or while a site moves in (R2).
 */
#include "dnsd/private.h"

#include "base/bytes.h"
#include "base/memory.h"

enum { WARNINGS_BYTES = 4096 };

struct filler {
    const struct conf *conf;
    const struct conf_zone *zone;
    struct dns_builder *builder;
    struct dnsd_levels *levels;
    struct dnsd_aliases *aliases;
    struct dnsd_assigned *assigned;
    struct dnsd_proofs *proofs;
    struct text *why;
    struct text warnings;
};

static void complain(struct text *why, const char *what, const char *sentence)
{
    text_add_format(why, "%s: %s\n", what, sentence);
}

/* conf has checked its names; what is wrong all the same is told by the builder. */
static bool take_name(struct text *why, const char *text, struct dns_name *name)
{
    if (dns_name_parse(span_text(text), NULL, name) == 0)
        return true;
    complain(why, text, "not a domain name");
    return false;
}

static uint8_t *put_name(uint8_t *to, const struct dns_name *name)
{
    memcpy(to, name->wire, name->length);
    return to + name->length;
}

static void add_apex(struct dns_builder *builder, const struct conf_zone *zone,
                     const struct dns_name *apex, struct text *why)
{
    struct dns_name primary, contact, server;
    if (!take_name(why, zone->primary, &primary) || !take_name(why, zone->contact, &contact))
        return;
    uint8_t soa[2 * DNS_NAME_LIMIT + 20], *to = put_name(put_name(soa, &primary), &contact);
    to = store_u32(store_u32(to, zone->serial), zone->refresh_s);
    to = store_u32(store_u32(to, zone->retry_s), zone->expire_s);
    to = store_u32(to, zone->negative_ttl_s);
    dns_builder_add(builder, apex, DNS_SOA, zone->ttl_s, span_of(soa, (size_t)(to - soa)));
    for (size_t i = 0; i < zone->ns.count; i++)
        if (take_name(why, zone->ns.items[i], &server))
            dns_builder_add(builder, apex, DNS_NS, zone->ttl_s,
                            span_of(server.wire, server.length));
}

/* ---- zone files */

static int include(void *context, const char *path, struct span *content, struct text *why)
{
    const struct filler *filler = context;
    for (size_t i = 0; i < filler->zone->file_count; i++)
        if (strcmp(filler->zone->files[i].path, path) == 0) {
            *content = filler->zone->files[i].content;
            return 0;
        }
    text_add(why, "it cannot be read");
    return ERROR_NOT_FOUND;
}

static void on_record(void *context, const struct dns_name *owner, uint16_t type, uint32_t ttl_s,
                      struct span rdata)
{
    struct filler *filler = context;
    if (type == DNS_ALIAS)
        dnsd_aliases_add(filler->aliases, owner, ttl_s, rdata, filler->why);
    else
        dns_builder_add(filler->builder, owner, type, ttl_s, rdata);
}

static void on_stray(void *context, const struct dns_name *owner, const char *path, uint32_t line)
{
    struct filler *filler = context;
    char text[DNS_NAME_TEXT_BYTES];
    text_add_format(&filler->warnings, "%s:%u: '%s' is outside of the zone and left out\n", path,
                    line, dns_name_text(owner, text));
}

static void add_file(struct filler *filler, const struct dns_name *apex)
{
    const struct conf_zone *zone = filler->zone;
    struct dns_zonefile zonefile = {.path = zone->file_path,
                                    .apex = apex,
                                    .context = filler,
                                    .include = include,
                                    .on_record = on_record,
                                    .on_stray = on_stray};
    dns_builder_begin_file(filler->builder, apex, &filler->warnings);
    if (zone->file_count)
        (void)!dns_zonefile_parse(&zonefile, zone->files[0].content, filler->why);
    dns_builder_end_file(filler->builder);
}

/* ---- zones and sites */

static void add_record(struct filler *filler, const struct conf_record *record,
                       const struct dns_name *apex)
{
    struct dns_name owner;
    uint8_t target[DNS_RDATA_LIMIT];
    size_t length;
    if (!take_name(filler->why, record->owner, &owner))
        return;
    if (strcmp(record->type, "ALIAS") == 0 &&
        dns_rdata_parse(DNS_ALIAS, span_text(record->data), apex, target, &length) == 0)
        dnsd_aliases_add(filler->aliases, &owner, record->ttl_s, span_of(target, length),
                         filler->why);
    else
        dns_builder_add_text(filler->builder, &owner, record->type, record->ttl_s, record->data,
                             apex);
}

static void add_zone(struct filler *filler, const struct conf_zone *zone)
{
    struct dns_name apex;
    if (!take_name(filler->why, zone->name, &apex))
        return;
    filler->zone = zone;
    if (zone->file_path)
        add_file(filler, &apex);
    else
        add_apex(filler->builder, zone, &apex, filler->why);
    for (size_t i = 0; i < zone->record_count; i++)
        add_record(filler, &zone->records[i], &apex);
}

/* Hosts outside of our zones have their DNS elsewhere: an alias there leads to a name here (R2). */
static void add_site(struct filler *filler, size_t index)
{
    const struct conf_site *site = &filler->conf->sites[index];
    struct dns_name host;
    dnsd_proofs_add(filler->proofs, site, filler->builder);
    if (!site->origin_count)
        return; /* content servers alone: its names are the front ends', by records of the zone */
    for (size_t i = 0; i < site->hosts.count; i++) {
        if (!take_name(filler->why, site->hosts.items[i], &host))
            continue;
        dnsd_assigned_add(filler->assigned, filler->conf, site, filler->builder, &host);
        if (!(dns_builder_has(filler->builder, &host) &&
              dnsd_aliases_join(filler->aliases, &host, (uint32_t)index, site->dns_move_in)))
            dnsd_levels_add(filler->levels, filler->conf, filler->builder, &host, (uint32_t)index,
                            filler->why);
    }
}

static void log_warnings(const struct text *warnings)
{
    for (struct span rest = text_span(warnings); rest.length;) {
        size_t length = span_find(rest, '\n');
        log_warning("dns", "%.*s", (int)length, (const char *)rest.data);
        rest = span_from(rest, length + 1);
    }
    if (warnings->is_cut)
        log_warning("dns", "and more of that kind");
}

/* All apexes come first: a zone's file may hold names of another zone below it. */
static void add_apexes(struct filler *filler)
{
    struct dns_name apex;
    for (size_t i = 0; i < filler->conf->zone_count; i++)
        if (conf_serves(filler->conf, &filler->conf->zones[i]) &&
            take_name(filler->why, filler->conf->zones[i].name, &apex))
            dns_builder_add_zone(filler->builder, &apex);
}

struct dns_zones *dnsd_zones_new(const struct conf *conf, struct conf_maps *maps,
                                 const struct dnsd_keys *keys, uint64_t seed,
                                 struct dnsd_levels **levels, struct dnsd_aliases **aliases,
                                 struct dnsd_assigned *assigned, struct dnsd_proofs *proofs,
                                 struct text *why)
{
    size_t before = why->length;
    struct filler filler = {.conf = conf,
                            .builder = dns_builder_new(seed),
                            .levels = *levels = dnsd_levels_new(conf, maps, why),
                            .aliases = *aliases = dnsd_aliases_new((uint32_t)conf->site_count),
                            .assigned = assigned,
                            .proofs = proofs,
                            .why = why,
                            .warnings.limit = WARNINGS_BYTES};
    add_apexes(&filler);
    for (size_t i = 0; i < conf->zone_count; i++)
        if (conf_serves(conf, &conf->zones[i]))
            add_zone(&filler, &conf->zones[i]);
        else
            dnsd_levels_delegate(conf, &conf->zones[i], filler.builder, why);
    for (size_t i = 0; i < conf->site_count; i++)
        add_site(&filler, i);
    dnsd_aliases_finish(filler.aliases, filler.builder);
    dnsd_keys_add(keys, filler.builder);
    struct dns_zones *zones = dns_builder_finish(&filler.builder, why);
    log_warnings(&filler.warnings);
    text_clear(&filler.warnings);
    if (why->length == before)
        return zones;
    dns_zones_free(zones);
    return NULL;
}
