/* SPDX-License-Identifier: Apache-2.0
 *
 * Defaults that follow from other settings, files that the configuration names, and the look-up tables.
 */
#include "conf/load.h"

#include "base/hash.h"
#include "base/memory.h"
#include "crypto/crypto.h"

enum { SECRET_FILE_BYTES = 4096 };

const char *resolve_path(struct loader *loader, struct span path)
{
    struct arena *arena = &loader->conf->arena;
    if (path.length && path.data[0] == '/')
        return (const char *)arena_copy(arena, path).data;
    return arena_format(arena, "%s%.*s", loader->folder, SPAN_ARGS(path));
}

static bool is_edge(const struct conf_node *node)
{
    return node->edge;
}

static bool is_gateway(const struct conf_node *node)
{
    return node->gateway;
}

/* All nodes of a role, in the order of the file. */
static const struct conf_node **
nodes_of_role(struct conf *conf, bool (*has_role)(const struct conf_node *), size_t *count)
{
    const struct conf_node **nodes =
        ARENA_ARRAY(&conf->arena, const struct conf_node *, conf->node_count);
    *count = 0;
    for (size_t i = 0; i < conf->node_count; i++)
        if (has_role(&conf->nodes[i]))
            nodes[(*count)++] = &conf->nodes[i];
    return nodes;
}

static const struct section *section_of_setting(const struct section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->settings[i].name, name) == 0)
            return section->settings[i].section;
    return NULL;
}

static void add_bit(uint64_t *set, size_t index)
{
    set[index / 64] |= 1ull << (index % 64);
}

static void derive_allow(struct conf *conf, struct conf_allow *allow)
{
    uint64_t *edges = ARENA_ARRAY(&conf->arena, uint64_t, conf->node_count / 64 + 1);
    uint64_t *sites = ARENA_ARRAY(&conf->arena, uint64_t, conf->site_count / 64 + 1);
    for (size_t i = 0; i < allow->edge_count; i++)
        add_bit(edges, (size_t)(allow->edges[i] - conf->nodes));
    for (size_t i = 0; i < allow->site_count; i++)
        add_bit(sites, (size_t)(allow->sites[i] - conf->sites));
    allow->edge_set = edges;
    allow->site_set = sites;
}

static struct address with_port(struct address address, uint16_t port)
{
    if (address.family && port)
        address.port = port;
    return address;
}

static void derive_link_tcp(struct conf *conf, struct conf_node *node)
{
    if (!conf->link.tcp)
        return;
    node->link_tcp_address = with_port(node->link_address, node->link_tcp_port);
    node->link_tcp_listen.items =
        ARENA_ARRAY(&conf->arena, struct address, node->link_listen.count);
    for (size_t i = 0; i < node->link_listen.count; i++)
        node->link_tcp_listen.items[node->link_tcp_listen.count++] =
            with_port(node->link_listen.items[i], node->link_tcp_port);
}

static void derive_node(struct loader *loader, struct conf_node *node)
{
    static const uint8_t zero[CONF_KEY_BYTES];
    struct conf *conf = loader->conf;
    node->index = (size_t)(node - conf->nodes);
    node->has_public_key = memcmp(node->public_key, zero, sizeof zero) != 0;
    if (!node->link_address.family && node->link_listen.count &&
        !address_is_any(&node->link_listen.items[0]))
        node->link_address = node->link_listen.items[0];
    derive_link_tcp(conf, node);
    if (!is_set(loader, &node->location))
        node->location = MAPS_NOWHERE;
    bool has_role = node->edge || node->gateway || node->dns || node->agent || node->director;
    if (has_role && !node->admin && !is_set(loader, &node->admin)) {
        const struct section *section =
            section_of_setting(section_of_setting(&schema_root, "nodes"), "admin");
        node->admin = ARENA_NEW(&conf->arena, struct conf_admin);
        read_section(loader, section, NULL, place_of(loader, node), node->admin);
    }
    for (size_t i = 0; node->gateway && i < node->gateway->allow_count; i++)
        derive_allow(conf, &node->gateway->allow[i]);
    for (size_t i = 0; node->edge && i < node->edge->port_count; i++)
        if (!node->edge->ports[i].port)
            node->edge->ports[i].port = node->edge->ports[i].listen.port;
    if (node->director && !node->director->contact && conf->border_count)
        node->director->contact = &conf->borders[0];
    if (!is_set(loader, &node->link_weights))
        memcpy(node->link_weights, conf->link.weights, sizeof node->link_weights);
}

/* By its name, so that sites which come and go leave the numbers of others alone; by the order of the file where two would have the
 * same one. */
static void number_sites(struct conf *conf)
{
    enum { NUMBERS = UINT16_MAX };
    uint64_t *taken = ARENA_ARRAY(&conf->arena, uint64_t, (NUMBERS + 1) / 64);
    for (size_t i = 0; i < conf->site_count; i++) {
        struct conf_site *site = &conf->sites[i];
        uint64_t number = hash_span(span_text(site->name), 0) % NUMBERS;
        for (size_t tries = 0; taken[(number + 1) / 64] >> (number + 1) % 64 & 1; tries++) {
            if (tries == NUMBERS)
                break;
            number = (number + 1) % NUMBERS;
        }
        site->number = (uint16_t)(number + 1);
        add_bit(taken, site->number);
    }
}

static void derive_transfer(struct loader *loader, struct conf_transfer *transfer)
{
    struct conf *conf = loader->conf;
    size_t count = transfer->key_names.count;
    transfer->keys = ARENA_ARRAY(&conf->arena, const struct conf_tsig *, count);
    for (size_t i = 0; i < count; i++) {
        const char *name = transfer->key_names.items[i];
        for (size_t k = 0; k < conf->tsig_count && transfer->key_count == i; k++)
            if (strcmp(conf->tsig[k].name, name) == 0)
                transfer->keys[transfer->key_count++] = &conf->tsig[k];
        if (transfer->key_count == i) {
            report_error(&loader->report, place_of(loader, &transfer->key_names.items[i]),
                         "keys: no key of tsig is named '%s'", name);
            return;
        }
    }
}

static void derive_zone(struct loader *loader, struct conf_zone *zone)
{
    struct arena *arena = &loader->conf->arena;
    if (zone->transfer)
        derive_transfer(loader, zone->transfer);
    if (!zone->primary && zone->ns.count)
        zone->primary = zone->ns.items[0];
    if (!zone->contact)
        zone->contact = arena_format(arena, "hostmaster.%s", zone->name);
    for (size_t i = 0; i < zone->record_count; i++) {
        struct conf_record *record = &zone->records[i];
        struct place place = place_of(loader, record);
        record->line = place.line;
        if (record->ttl_s == UINT32_MAX)
            record->ttl_s = zone->ttl_s;
        const char *error = record_finish(arena, zone->name, record);
        if (error)
            report_error(&loader->report, place, "records: '%s %s': %s", record->owner,
                         record->type, error);
    }
}

void derive(struct loader *loader)
{
    struct conf *conf = loader->conf;
    if (!conf->sites) /* never NULL, so that a loop may add to it */
        conf->sites = arena_take(&conf->arena, 0);
    if (!conf->zones)
        conf->zones = arena_take(&conf->arena, 0);
    size_t edge_count, gateway_count;
    const struct conf_node **edges = nodes_of_role(conf, is_edge, &edge_count);
    const struct conf_node **gateways = nodes_of_role(conf, is_gateway, &gateway_count);
    for (size_t i = 0; i < conf->node_count; i++) {
        struct conf_edge *edge = conf->nodes[i].edge;
        derive_node(loader, &conf->nodes[i]);
        if (edge && !is_set(loader, &edge->gateways)) {
            edge->gateways = gateways;
            edge->gateway_count = gateway_count;
        }
    }
    for (size_t i = 0; i < conf->border_count; i++)
        conf->borders[i].index = i;
    for (size_t i = 0; i < conf->site_count; i++) {
        struct conf_site *site = &conf->sites[i];
        site->index = i;
        if (site->compress == CONF_COMPRESS_AS_LINK)
            site->compress = conf->link.compress;
        if (!is_set(loader, &site->kept_connections) &&
            site->kept_connections > site->connections_limit)
            site->kept_connections = site->connections_limit;
        if (!is_set(loader, &site->edges)) {
            site->edges = edges;
            site->edge_count = site->origin_count ? edge_count : 0;
        }
        if (!is_set(loader, &site->gateways)) {
            site->gateways = gateways;
            site->gateway_count = gateway_count;
        }
    }
    number_sites(conf);
    derive_acme(loader);
    derive_balance(loader);
    derive_queue(loader);
    derive_probes(loader);
    for (size_t i = 0; i < conf->zone_count; i++)
        derive_zone(loader, &conf->zones[i]);
    derive_levels(loader);
}

/* --- files ------------------------------------------------------------------------------------ */

/* True when the node's private key is now in it; `why` says why not. */
static bool read_private_key(struct loader *loader, struct conf_node *node, struct text *why)
{
    struct text content = {.limit = SECRET_FILE_BYTES};
    int result =
        loader->reader->read(loader->reader->argument, node->private_key_path, true, &content, why);
    if (result == 0) {
        struct span text = span_trim(text_span(&content));
        while (text.length && strchr("\r\n \t", text.data[text.length - 1]))
            text.length--;
        if (base64_decode(text, node->private_key, CONF_KEY_BYTES) < 0) {
            text_add(why, "it does not hold a key of 32 bytes in base64");
            result = ERROR_INVALID;
        }
    }
    if (content.data)
        bytes_wipe(content.data, content.capacity);
    text_clear(&content);
    node->has_private_key = result == 0;
    return node->has_private_key;
}

/* The public key that belongs to the private one is the node's; another in the file is a mistake. */
static void pair_keys(struct loader *loader, struct conf_node *node)
{
    const struct crypto *crypto = crypto_openssl();
    struct key private_key, public_key;
    memcpy(private_key.bytes, node->private_key, KEY_BYTES);
    crypto->public_key(crypto, &private_key, &public_key);
    bytes_wipe(&private_key, sizeof private_key);
    if (!node->has_public_key)
        memcpy(node->public_key, public_key.bytes, KEY_BYTES);
    else if (memcmp(node->public_key, public_key.bytes, KEY_BYTES) != 0)
        report_error(&loader->report, place_of(loader, &node->public_key),
                     "the private key of '%s' belongs to another public_key", node->name);
    node->has_public_key = true;
}

const char *conf_nearest_node(const struct conf *conf, const char *name)
{
    const char **names = memory_new((conf->node_count + 1) * sizeof *names);
    for (size_t i = 0; i < conf->node_count; i++)
        names[i] = conf->nodes[i].name;
    const char *nearest = nearest_word(name, names, conf->node_count);
    memory_free((void *)names);
    return nearest;
}

static void select_named(struct loader *loader, const char *name)
{
    struct conf_node *node = table_find(&loader->names[0], span_text(name));
    if (!node) {
        const char *nearest = conf_nearest_node(loader->conf, name);
        report_error(&loader->report, place_of(loader, &loader->conf->nodes),
                     "no node is named %s%s%s%s", report_quote(&loader->report, span_text(name)),
                     nearest ? "; did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?" : "");
        return;
    }
    loader->conf->self = node;
    struct text why = {0};
    if (node->private_key_path && !read_private_key(loader, node, &why))
        report_error(&loader->report, place_of(loader, &node->private_key_path),
                     "private_key: %s: %s", node->private_key_path, why.data);
    text_clear(&why);
}

/* The node whose private key this machine can read. */
static void select_by_key(struct loader *loader)
{
    struct conf *conf = loader->conf;
    struct text why = {0};
    for (size_t i = 0; i < conf->node_count; i++) {
        struct conf_node *node = &conf->nodes[i];
        if (!node->private_key_path || !read_private_key(loader, node, &why))
            continue;
        if (conf->self) {
            report_error(&loader->report, place_of(loader, &node->private_key_path),
                         "the keys of '%s' and '%s' can both be read here: choose one with --node",
                         conf->self->name, node->name);
            break;
        }
        conf->self = node;
    }
    if (!conf->self)
        report_error(&loader->report, place_of(loader, &conf->nodes),
                     "no node's private key can be read here: choose a node with --node");
    text_clear(&why);
}

int read_large(struct loader *loader, const char *path, struct span *content, struct text *why)
{
    const struct conf_reader *reader = loader->reader;
    struct conf *conf = loader->conf;
    if (reader->map) {
        int result = reader->map(reader->argument, path, content, why);
        if (result == 0 && content->length) {
            struct conf_memory *memory = ARENA_NEW(&conf->arena, struct conf_memory);
            *memory = (struct conf_memory){*content, conf->mapped};
            conf->mapped = memory;
        }
        return result;
    }
    struct text text = {.limit = CONF_FILE_BYTES};
    int result = reader->read(reader->argument, path, false, &text, why);
    if (result == 0)
        *content = arena_copy(&conf->arena, text_span(&text));
    text_clear(&text);
    return result;
}

void read_large_file(struct loader *loader, const void *member, const char *setting,
                     const char *path, struct span *content)
{
    struct text why = {0};
    if (read_large(loader, path, content, &why) < 0)
        report_error(&loader->report, place_of(loader, member), "%s: %s: %s", setting, path,
                     why.data ? why.data : "it cannot be read");
    text_clear(&why);
}

void read_files(struct loader *loader, const char *node)
{
    struct conf *conf = loader->conf;
    bool wants_node = !node || *node;
    if (wants_node && node)
        select_named(loader, node);
    else if (wants_node && conf->node_count == 1)
        select_named(loader, conf->nodes[0].name);
    else if (wants_node)
        select_by_key(loader);
    if (conf->self && conf->self->has_private_key)
        pair_keys(loader, (struct conf_node *)(uintptr_t)conf->self);
    read_probe_files(loader);
    read_acme_files(loader);
    read_prefetch_file(loader);
    if (conf->self && conf->self->dns)
        read_tsig_files(loader);
    if (!conf->self || conf->self->dns)
        read_zone_files(loader);
    read_zone_keys(loader);
    for (size_t i = 0; i < conf->map_count; i++)
        read_large_file(loader, &conf->maps[i].path, "maps", conf->maps[i].path,
                        &conf->maps[i].content);
    if (conf->regions_path)
        read_large_file(loader, &conf->regions_path, "regions", conf->regions_path, &conf->regions);
    if (conf->self && conf->self->dns)
        read_dns_files(loader, conf->self->dns);
    read_tls_files(loader);
    read_session_secrets(loader);
    read_origin_files(loader);
}

/* --- look-up tables --------------------------------------------------------------------------- */

void build_index(struct conf *conf)
{
    struct conf_index *index = conf->index = ARENA_NEW(&conf->arena, struct conf_index);
    index->nodes.arena = index->keys.arena = index->sites.arena = index->hosts.arena = &conf->arena;
    for (size_t i = 0; i < conf->node_count; i++) {
        const struct conf_node *node = &conf->nodes[i];
        table_put(&index->nodes, span_text(node->name), node);
        if (node->has_public_key)
            table_put(&index->keys, span_of(node->public_key, CONF_KEY_BYTES), node);
    }
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_site *site = &conf->sites[i];
        table_put(&index->sites, span_text(site->name), site);
        for (size_t k = 0; k < site->hosts.count; k++)
            table_put(&index->hosts, span_text(site->hosts.items[k]), site);
        for (size_t k = 0; k < site->redirect.hosts.count; k++)
            table_put(&index->hosts, span_text(site->redirect.hosts.items[k]), site);
    }
}
