/* SPDX-License-Identifier: Apache-2.0
 *
 * conf_load() from end to end, and the look-ups in a finished snapshot.
 */
#include "conf/conf.h"

#include "base/hash.h"
#include "base/memory.h"
#include "conf/load.h"
#include "crypto/crypto.h"

#include <stdio.h>

static void load(struct loader *loader, struct span text, const char *node)
{
    struct report *report = &loader->report;
    if (text.length > CONF_FILE_BYTES) {
        report_error(report, (struct place){0}, "the file is larger than %d bytes",
                     CONF_FILE_BYTES);
        return;
    }
    const struct item *root = tree_parse(text, &loader->scratch, report);
    if (!root)
        return;
    declare_names(loader, root);
    read_section(loader, &schema_root, root, root->place, loader->conf);
    if (report->errors)
        return; /* relations between settings that could not be read say nothing */
    derive(loader);
    if (report->errors)
        return;
    read_files(loader, node);
    compile_rules(loader);
    compile_types(loader);
    build_index(loader->conf);
    check_relations(loader);
}

struct conf *conf_load(const char *file, struct span text, const char *node,
                       const struct conf_reader *reader, struct text *errors)
{
    struct conf *conf = NEW(struct conf);
    struct loader loader = {.conf = conf, .reader = reader};
    loader.places.arena = loader.names[0].arena = loader.names[1].arena = loader.names[2].arena =
        &loader.scratch;
    const char *slash = strrchr(file, '/');
    loader.folder = (const char *)arena_copy(&loader.scratch,
                                             span_of(file, slash ? (size_t)(slash - file) + 1 : 0))
                        .data;
    conf->file = arena_text(&conf->arena, file);
    snprintf(conf->hash, sizeof conf->hash, "%016llx", (unsigned long long)hash_span(text, 0));
    load(&loader, text, node);
    bool has_failed = loader.report.errors > 0;
    report_write(&loader.report, file, errors);
    arena_clear(&loader.scratch);
    if (has_failed) {
        conf_free(conf);
        return NULL;
    }
    return conf;
}

static void wipe_secrets(struct conf_node *node)
{
    bytes_wipe(node->private_key, CONF_KEY_BYTES);
    if (!node->dns)
        return;
    bytes_wipe(node->dns->cookie_secrets, sizeof node->dns->cookie_secrets);
    if (node->dns->tls && node->dns->tls->private_key.length)
        bytes_wipe((void *)(uintptr_t)node->dns->tls->private_key.data,
                   node->dns->tls->private_key.length);
}

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    for (const struct conf_memory *memory = conf->mapped; memory; memory = memory->next)
        conf_unmap_memory(memory->content);
    for (size_t i = 0; i < conf->node_count; i++)
        wipe_secrets(&conf->nodes[i]);
    for (size_t i = 0; i < conf->site_count; i++) {
        rules_free(&conf->sites[i].rules);
        types_free(&conf->sites[i].types);
    }
    for (size_t i = 0; i < conf->tsig_count; i++)
        bytes_wipe(conf->tsig[i].secret, CONF_TSIG_BYTES);
    for (size_t i = 0; i < conf->site_count; i++) {
        wipe_tls_keys(&conf->sites[i]);
        wipe_session_secrets(&conf->sites[i]);
        wipe_origin_keys(&conf->sites[i]);
    }
    for (size_t i = 0; i < conf->zone_count; i++)
        wipe_zone_keys(conf->zones[i].dnssec);
    arena_clear(&conf->arena);
    memory_free(conf);
}

const struct conf_site *conf_find_host(const struct conf *conf, struct span host)
{
    const struct table *hosts = &conf->index->hosts;
    const struct conf_site *site = table_find(hosts, host);
    if (site)
        return site;
    char pattern[DOMAIN_TEXT_BYTES] = "*";
    for (size_t dot = span_find(host, '.'); dot < host.length; dot = span_find(host, '.')) {
        host = span_from(host, dot);
        if (host.length + 2 > sizeof pattern)
            return NULL;
        memcpy(pattern + 1, host.data, host.length);
        site = table_find(hosts, span_of(pattern, host.length + 1));
        if (site)
            return site;
        host = span_from(host, 1);
    }
    return NULL;
}

const struct conf_node *conf_find_node(const struct conf *conf, const char *name)
{
    return table_find(&conf->index->nodes, span_text(name));
}

const struct conf_node *conf_find_key(const struct conf *conf, const uint8_t key[CONF_KEY_BYTES])
{
    return table_find(&conf->index->keys, span_of(key, CONF_KEY_BYTES));
}

const struct conf_site *conf_find_site(const struct conf *conf, struct span name)
{
    return table_find(&conf->index->sites, name);
}

bool conf_find_group(const struct conf_site *site, const char *name, struct conf_group *group)
{
    *group = (struct conf_group){NULL, site->origins, site->origin_count};
    for (size_t i = 0; name && i < site->group_count; i++)
        if (site->groups[i].name && strcmp(site->groups[i].name, name) == 0) {
            *group = site->groups[i];
            return true;
        }
    return !name;
}

const struct conf_origin *conf_site_origin(const struct conf_site *site, size_t index)
{
    if (index < site->origin_count)
        return &site->origins[index];
    index -= site->origin_count;
    for (size_t i = 0; i < site->group_count; i++) {
        if (index < site->groups[i].origin_count)
            return &site->groups[i].origins[index];
        index -= site->groups[i].origin_count;
    }
    return NULL;
}

bool conf_serves(const struct conf *conf, const struct conf_zone *zone)
{
    const struct conf_dns *dns = conf->self ? conf->self->dns : NULL;
    if (!dns || !dns->zones.count)
        return true;
    for (size_t i = 0; i < dns->zones.count; i++)
        if (strcmp(dns->zones.items[i], zone->name) == 0)
            return true;
    return false;
}

static bool has_bit(const uint64_t *set, size_t index)
{
    return set[index / 64] >> (index % 64) & 1;
}

bool conf_allows(const struct conf_gateway *gateway, const struct conf_node *edge,
                 const struct conf_site *site, uint16_t port)
{
    for (size_t i = 0; i < gateway->allow_count; i++) {
        const struct conf_allow *allow = &gateway->allow[i];
        if (!has_bit(allow->edge_set, edge->index) || !has_bit(allow->site_set, site->index))
            continue;
        if (!port)
            return true;
        for (size_t k = 0; k < allow->port_count; k++)
            if (allow->ports[k] == port)
                return true;
    }
    return false;
}
