/* SPDX-License-Identifier: Apache-2.0
 *
 * The map of farms (owner.h). Worker 0 makes it of the configuration and of what names stand for: each site's groups and ports are parts;
 * parts with the same servers are one set; sets that share a server are one farm, as far as a queue has room for them. A farm
 * keeps the owner of one of its former servers, so that counts and waiting requests survive a reload.
 */
#include "gateway/owner/owner.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/sorted.h"
#include "gateway/owner/orders.h"

#include <stdlib.h>

/* The servers of a part. Of those with the same servers only the first counts, which is a set of its farm. */
struct pattern {
    uint64_t digest;
    struct gateway_farm_server *servers;
    size_t count;
    const struct conf_site *site;
    uint32_t same;   /* the first with these servers */
    uint32_t parent; /* towards the first of its farm */
    uint32_t next;   /* in a ring through those of its farm */
    uint32_t farm;
    uint8_t set;
};

struct plan {
    struct gateway_worker *worker;
    struct gateway_map *map;
    struct pattern *patterns; /* by part, in the order of the configuration */
    uint32_t count, room;
    bool is_full; /* sets that belong together did not fit into one farm */
};

struct row {
    uint64_t key; /* digest of servers, identity of one */
    uint32_t of;  /* pattern, or farm */
};

/* ---- names */

uint64_t gateway_part_key(const char *site, const char *group, uint16_t port)
{
    uint64_t digest = hash_span(span_text(group ? group : ""), port);
    return hash_span(span_text(site), digest);
}

static uint64_t server_identity(const struct address *address)
{
    char text[ADDRESS_TEXT_BYTES];
    return balance_identity(span_text(address_text(address, true, text)));
}

/* ---- parts */

static int compare_parts(const void *first, const void *second)
{
    const struct gateway_part *a = first, *b = second;
    return a->key < b->key ? -1 : a->key > b->key;
}

static int compare_rows(const void *first, const void *second)
{
    const struct row *a = first, *b = second;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->of < b->of ? -1 : a->of > b->of;
}

static struct gateway_farm_server make_server(const struct conf_site *site,
                                              const struct conf_origin *origin,
                                              const struct address *address)
{
    uint32_t usual = site->queue.finds_slots ? 0 : site->connections_limit;
    uint32_t slots = origin->limit ? origin->limit : usual;
    return (struct gateway_farm_server){
        .address = *address,
        .spec = {.identity = server_identity(address),
                 .weight = origin->weight,
                 .role = origin->role,
                 .behind_ns = origin->behind_ns,
                 .slots = slots < QUEUE_SLOTS_MOST ? slots : QUEUE_SLOTS_MOST}};
}

/* What another site says of the same server counts, too. Of two numbers the lower does, a stated one before one that is to be found. */
static void take_over(struct gateway_farm_server *server, const struct gateway_farm_server *other)
{
    server->is_ordered_out |= other->is_ordered_out;
    uint32_t slots = other->spec.slots;
    if (slots && (!server->spec.slots || server->spec.slots > slots))
        server->spec.slots = slots;
}

static struct gateway_farm_server *find_server(struct gateway_farm_server *servers, size_t count,
                                               uint64_t identity)
{
    for (size_t i = 0; i < count; i++)
        if (servers[i].spec.identity == identity)
            return &servers[i];
    return NULL;
}

static void add_origin(struct plan *plan, struct pattern *pattern, const struct conf_origin *origin,
                       uint16_t port)
{
    struct address addresses[RESOLVED_ADDRESSES];
    size_t count = gateway_pool_addresses(plan->worker, origin, port, addresses);
    enum gateway_order order =
        gateway_orders_find(plan->worker->gateway->orders, pattern->site->name, origin);
    const char *url = arena_text(&plan->map->arena, origin->url);
    for (size_t i = 0; i < count && pattern->count < GATEWAY_ORIGINS_MOST; i++) {
        struct gateway_farm_server server = make_server(pattern->site, origin, &addresses[i]);
        server.url = url;
        server.is_ordered_out = order != GATEWAY_ORDER_NONE;
        if (!find_server(pattern->servers, pattern->count, server.spec.identity))
            pattern->servers[pattern->count++] = server;
    }
}

static uint64_t digest_servers(const struct pattern *pattern)
{
    uint64_t digest = 1; /* 0 is no set */
    for (size_t i = 0; i < pattern->count; i++) {
        uint64_t pair[] = {digest, pattern->servers[i].spec.identity};
        digest = hash_span(span_of(pair, sizeof pair), 0) | 1;
    }
    return digest;
}

static void add_part(struct plan *plan, const struct conf_site *site,
                     const struct conf_group *group, uint16_t port)
{
    struct gateway_map *map = plan->map;
    struct gateway_farm_server servers[GATEWAY_ORIGINS_MOST];
    uint32_t number = plan->count;
    struct pattern pattern = {
        .servers = servers, .site = site, .same = number, .parent = number, .next = number};
    if (plan->count == plan->room)
        return;
    for (size_t i = 0; i < group->origin_count; i++)
        add_origin(plan, &pattern, &group->origins[i], port);
    pattern.digest = digest_servers(&pattern);
    pattern.servers = ARENA_ARRAY(&map->arena, struct gateway_farm_server, pattern.count);
    memcpy(pattern.servers, servers, pattern.count * sizeof *servers);
    plan->patterns[number] = pattern;
    /* For now `farm` is the pattern. */
    map->parts[number] = (struct gateway_part){gateway_part_key(site->name, group->name, port),
                                               pattern.count ? number : GATEWAY_NO_FARM, 0};
    plan->count++;
}

static void add_groups(struct plan *plan, const struct conf_site *site)
{
    const struct conf_group ungrouped = {NULL, site->origins, site->origin_count};
    add_part(plan, site, &ungrouped, 0);
    for (size_t i = 0; i < site->group_count; i++)
        add_part(plan, site, &site->groups[i], 0);
}

/* What edges may ask of this gateway; twice where two rows say so. */
static void add_parts(struct plan *plan, const struct conf *conf)
{
    const struct conf_gateway *gateway = conf->self->gateway;
    size_t room = 0;
    for (size_t i = 0; gateway && i < gateway->allow_count; i++) {
        const struct conf_allow *allow = &gateway->allow[i];
        for (size_t k = 0; k < allow->site_count; k++)
            room += 1 + allow->sites[k]->group_count + allow->port_count;
    }
    plan->room = room < GATEWAY_PARTS_MOST ? (uint32_t)room : GATEWAY_PARTS_MOST;
    plan->patterns = memory_new(plan->room * sizeof *plan->patterns);
    plan->map->parts = ARENA_ARRAY(&plan->map->arena, struct gateway_part, plan->room);
    for (size_t i = 0; gateway && i < gateway->allow_count; i++) {
        const struct conf_allow *allow = &gateway->allow[i];
        for (size_t k = 0; k < allow->site_count; k++) {
            const struct conf_site *site = allow->sites[k];
            const struct conf_group ungrouped = {NULL, site->origins, site->origin_count};
            add_groups(plan, site);
            for (size_t n = 0; n < allow->port_count; n++)
                add_part(plan, site, &ungrouped, allow->ports[n]);
        }
    }
}

/* ---- sets and farms */

static uint32_t root_of(const struct plan *plan, uint32_t pattern)
{
    while (plan->patterns[pattern].parent != pattern)
        pattern = plan->patterns[pattern].parent;
    return pattern;
}

/* The servers of all patterns in that farm so far, with what their sites say of them; returns how many, at most `most`. */
static size_t gather(const struct plan *plan, uint32_t root, struct gateway_farm_server *servers,
                     size_t count, size_t most)
{
    uint32_t number = root;
    do {
        const struct pattern *pattern = &plan->patterns[number];
        for (size_t i = 0; i < pattern->count; i++) {
            const struct gateway_farm_server *server = &pattern->servers[i];
            struct gateway_farm_server *known = find_server(servers, count, server->spec.identity);
            if (known)
                take_over(known, server);
            else if (count < most)
                servers[count++] = *server;
        }
        number = pattern->next;
    } while (number != root);
    return count;
}

static size_t count_sets(const struct plan *plan, uint32_t root)
{
    size_t count = 0;
    uint32_t number = root;
    do
        count++;
    while ((number = plan->patterns[number].next) != root);
    return count;
}

/* They share a server: one farm, if its queue can have them. */
static void join(struct plan *plan, uint32_t first, uint32_t second)
{
    enum { MOST = QUEUE_SERVERS_MOST / 2 }; /* so many again may be leaving */
    struct gateway_farm_server servers[MOST + 1];
    uint32_t a = root_of(plan, first), b = root_of(plan, second);
    if (a == b)
        return;
    size_t count = gather(plan, a, servers, 0, MOST + 1);
    count = gather(plan, b, servers, count, MOST + 1);
    if (count > MOST || count_sets(plan, a) + count_sets(plan, b) > QUEUE_SETS) {
        plan->is_full = true;
        return;
    }
    uint32_t next = plan->patterns[a].next;
    plan->patterns[a].next = plan->patterns[b].next;
    plan->patterns[b].next = next;
    plan->patterns[a < b ? b : a].parent = a < b ? a : b;
}

/* Patterns with the same servers become one, which has the least slots that any of them gives a server. */
static void find_same(struct plan *plan)
{
    struct row *rows = memory_new(plan->count * sizeof *rows);
    for (uint32_t i = 0; i < plan->count; i++)
        rows[i] = (struct row){plan->patterns[i].digest, i};
    qsort(rows, plan->count, sizeof *rows, compare_rows);
    for (uint32_t i = 1; i < plan->count; i++) {
        struct pattern *pattern = &plan->patterns[rows[i].of];
        struct pattern *before = &plan->patterns[plan->patterns[rows[i - 1].of].same];
        if (before->digest != pattern->digest)
            continue;
        pattern->same = before->same;
        for (size_t k = 0; k < pattern->count; k++)
            take_over(&before->servers[k], &pattern->servers[k]);
    }
    memory_free(rows);
}

static void find_farms(struct plan *plan)
{
    size_t room = 0, count = 0;
    for (uint32_t i = 0; i < plan->count; i++)
        room += plan->patterns[i].same == i ? plan->patterns[i].count : 0;
    struct row *rows = memory_new(room * sizeof *rows);
    for (uint32_t i = 0; i < plan->count; i++)
        for (size_t k = 0; plan->patterns[i].same == i && k < plan->patterns[i].count; k++)
            rows[count++] = (struct row){plan->patterns[i].servers[k].spec.identity, i};
    qsort(rows, count, sizeof *rows, compare_rows);
    for (size_t i = 1; i < count; i++)
        if (rows[i].key == rows[i - 1].key)
            join(plan, rows[i - 1].of, rows[i].of);
    memory_free(rows);
}

/* The largest that any of its sites wants. */
static void note_sessions(struct gateway_farm *farm,
                          const struct balance_session_settings *settings)
{
    if (settings->kind == BALANCE_SESSION_OFF || settings->kind == BALANCE_SESSION_COOKIE)
        return;
    if (farm->sessions_most < settings->most)
        farm->sessions_most = settings->most;
    if (farm->sessions_idle_ns < settings->idle_ns)
        farm->sessions_idle_ns = settings->idle_ns;
}

/* One that a site has ordered out serves none: it is the machine that is meant. */
static void order_out(struct gateway_farm *farm)
{
    for (size_t i = 0; i < farm->server_count; i++)
        if (farm->servers[i].is_ordered_out) {
            struct queue_server_spec *spec = &farm->servers[i].spec;
            spec->weight = 0;
            memset(spec->type_weights, 0, sizeof spec->type_weights);
        }
}

static void make_farm(struct plan *plan, uint32_t root)
{
    struct gateway_map *map = plan->map;
    struct gateway_farm_server servers[GATEWAY_ORIGINS_MOST];
    struct gateway_farm *farm = &map->farms[map->farm_count];
    uint32_t number = root;
    uint8_t set = 0;
    const struct conf_site *site = plan->patterns[root].site;
    farm->policy = balance_policy_of(site->balance.policy);
    farm->site = arena_text(&map->arena, site->name);
    farm->settings = site->queue;
    farm->settings.slow_start = site->balance.slow_start;
    farm->settings.marks = site->balance.marks;
    gateway_judge_settings_read(&farm->judge, site);
    farm->server_count = gather(plan, root, servers, 0, GATEWAY_ORIGINS_MOST);
    farm->servers = ARENA_ARRAY(&map->arena, struct gateway_farm_server, farm->server_count);
    memcpy(farm->servers, servers, farm->server_count * sizeof *servers);
    order_out(farm);
    do {
        struct pattern *pattern = &plan->patterns[number];
        note_sessions(farm, &pattern->site->balance.session);
        pattern->farm = map->farm_count;
        pattern->set = set;
        farm->sets[set] = pattern->digest;
        for (size_t i = 0; i < pattern->count; i++)
            find_server(farm->servers, farm->server_count, pattern->servers[i].spec.identity)
                ->spec.sets |= (uint16_t)(1u << set);
        set++;
        number = pattern->next;
    } while (number != root);
    map->farm_count++;
}

static void make_farms(struct plan *plan)
{
    struct gateway_map *map = plan->map;
    uint32_t kept = 0;
    map->farms = ARENA_ARRAY(&map->arena, struct gateway_farm, plan->count);
    for (uint32_t i = 0; i < plan->count; i++)
        if (plan->patterns[i].count && plan->patterns[i].same == i && root_of(plan, i) == i)
            make_farm(plan, i);
    for (uint32_t i = 0; i < plan->count; i++) {
        struct gateway_part *part = &map->parts[i];
        if (part->farm == GATEWAY_NO_FARM)
            continue;
        const struct pattern *pattern = &plan->patterns[plan->patterns[part->farm].same];
        part->farm = pattern->farm;
        part->set = pattern->set;
    }
    qsort(map->parts, plan->count, sizeof *map->parts, compare_parts);
    for (uint32_t i = 0; i < plan->count; i++)
        if (!kept || map->parts[kept - 1].key != map->parts[i].key)
            map->parts[kept++] = map->parts[i];
    map->part_count = kept;
}

/* ---- owners */

/* Servers of the map as rows, by identity; the caller frees them. */
static struct row *list_servers(const struct gateway_map *map, size_t *count)
{
    size_t room = 0;
    *count = 0;
    for (uint32_t i = 0; map && i < map->farm_count; i++)
        room += map->farms[i].server_count;
    struct row *rows = memory_new(room * sizeof *rows);
    for (uint32_t i = 0; map && i < map->farm_count; i++)
        for (size_t k = 0; k < map->farms[i].server_count; k++)
            rows[(*count)++] = (struct row){map->farms[i].servers[k].spec.identity, i};
    qsort(rows, *count, sizeof *rows, compare_rows);
    return rows;
}

/* One that had a server of the farm before and is not taken yet; NULL: there is none. */
static struct gateway_owner *owner_before(const struct gateway_map *before, const struct row *rows,
                                          size_t count, const struct gateway_farm *farm,
                                          const bool *is_taken)
{
    for (size_t i = 0; before && i < farm->server_count; i++) {
        uint64_t identity = farm->servers[i].spec.identity;
        size_t at = sorted_place(rows, count, sizeof *rows, identity);
        for (; at < count && rows[at].key == identity; at++) {
            struct gateway_owner *owner = before->farms[rows[at].of].owner;
            if (!is_taken[gateway_owner_number(owner)])
                return owner;
        }
    }
    return NULL;
}

/* One that no farm has any more, from *next on, or another one; on each worker in turn. */
static struct gateway_owner *owner_spare(struct gateway *gateway, const bool *is_taken,
                                         uint32_t *next)
{
    while (*next < gateway->owner_count && is_taken[*next])
        (*next)++;
    if (*next == gateway->owner_count) {
        // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
        gateway->owners = memory_resize(gateway->owners, *next + 1, sizeof *gateway->owners);
        gateway->owners[gateway->owner_count++] = gateway_owner_new(gateway, *next);
    }
    return gateway->owners[(*next)++];
}

static void find_owners(struct gateway *gateway, struct gateway_map *map,
                        const struct gateway_map *before)
{
    size_t count;
    uint32_t next = 0;
    struct row *rows = list_servers(before, &count);
    bool *is_taken = memory_new(gateway->owner_count + map->farm_count);
    for (uint32_t i = 0; i < map->farm_count; i++) {
        struct gateway_farm *farm = &map->farms[i];
        farm->owner = owner_before(before, rows, count, farm, is_taken);
        if (farm->owner)
            is_taken[gateway_owner_number(farm->owner)] = true;
    }
    for (uint32_t i = 0; i < map->farm_count; i++)
        if (!map->farms[i].owner)
            map->farms[i].owner = owner_spare(gateway, is_taken, &next);
    memory_free(is_taken);
    memory_free(rows);
    map->owner_count = gateway->owner_count;
    map->farm_of = ARENA_ARRAY(&map->arena, uint32_t, map->owner_count);
    for (uint32_t i = 0; i < map->owner_count; i++)
        map->farm_of[i] = GATEWAY_NO_FARM;
    for (uint32_t i = 0; i < map->farm_count; i++)
        map->farm_of[gateway_owner_number(map->farms[i].owner)] = i;
}

/* ---- the map */

static uint64_t add_to_digest(uint64_t digest, const void *bytes, size_t count)
{
    return hash_span(span_of(bytes, count), digest);
}

/* Of all that owners and askers follow. */
static uint64_t digest_map(const struct gateway_map *map)
{
    uint64_t digest = add_to_digest(0, &map->part_count, sizeof map->part_count);
    for (uint32_t i = 0; i < map->part_count; i++) {
        const struct gateway_part *part = &map->parts[i];
        const uint64_t facts[] = {part->key, part->farm, part->set};
        digest = add_to_digest(digest, facts, sizeof facts);
    }
    for (uint32_t i = 0; i < map->farm_count; i++) {
        const struct gateway_farm *farm = &map->farms[i];
        digest = add_to_digest(digest, &farm->settings, sizeof farm->settings);
        digest = add_to_digest(digest, farm->policy->name, strlen(farm->policy->name));
        digest = add_to_digest(digest, &farm->sessions_most, sizeof farm->sessions_most);
        digest = add_to_digest(digest, &farm->sessions_idle_ns, sizeof farm->sessions_idle_ns);
        digest = add_to_digest(digest, &farm->judge, sizeof farm->judge);
        for (size_t k = 0; k < farm->server_count; k++) {
            const struct queue_server_spec *spec = &farm->servers[k].spec;
            const uint64_t facts[] = {spec->identity, spec->weight, spec->slots,    spec->types,
                                      spec->sets,     spec->role,   spec->behind_ns};
            digest = add_to_digest(digest, facts, sizeof facts);
            digest = add_to_digest(digest, spec->type_weights, sizeof spec->type_weights);
        }
    }
    return digest;
}

static void free_map(void *old)
{
    struct gateway_map *map = old;
    if (!map)
        return;
    arena_clear(&map->arena);
    memory_free(map);
}

void gateway_owners_tell(struct gateway *gateway)
{
    struct gateway_worker *first = &gateway->workers[0];
    gateway_owners_follow(first);
    for (uint32_t i = 1; i < gateway->options.workers; i++)
        worker_post(workers_get(worker_peers(first->worker), i), &gateway->workers[i].map_message);
}

void gateway_map_follow(struct gateway_worker *worker)
{
    struct gateway *gateway = worker->gateway;
    const struct gateway_map *before = gateway_map_read(gateway);
    struct plan plan = {.worker = worker, .map = NEW(struct gateway_map)};
    gateway->mapped = gateway_conf(worker);
    add_parts(&plan, gateway->mapped);
    find_same(&plan);
    find_farms(&plan);
    make_farms(&plan);
    memory_free(plan.patterns);
    struct gateway_map *map = plan.map;
    map->digest = digest_map(map);
    if (before && before->digest == map->digest) {
        free_map(map);
        return;
    }
    if (plan.is_full)
        log_warning("gateway", "sites share servers in more ways than one queue can have: some of "
                               "their requests at a server are counted apart");
    map->version = before ? before->version + 1 : 1;
    find_owners(gateway, map, before);
    snapshot_publish(&gateway->map, map, free_map);
    gateway_owners_tell(gateway);
}

void gateway_map_free(struct gateway *gateway)
{
    free_map(atomic_load(&gateway->map));
    for (uint32_t i = 0; i < gateway->owner_count; i++)
        gateway_owner_free(&gateway->owners[i]);
    memory_free(gateway->owners);
}

const struct gateway_map *gateway_map_read(const struct gateway *gateway)
{
    return snapshot_read(&gateway->map);
}

const struct gateway_part *gateway_map_find(const struct gateway_map *map, uint64_t part)
{
    const struct gateway_part key = {.key = part};
    return bsearch(&key, map->parts, map->part_count, sizeof *map->parts, compare_parts);
}

/* ---- for everybody */

const struct gateway_queue_facts *gateway_queue_read(struct gateway *gateway, const char *site)
{
    const struct gateway_map *map = gateway_map_read(gateway);
    const struct gateway_part *part =
        map ? gateway_map_find(map, gateway_part_key(site, NULL, 0)) : NULL;
    return part && part->farm != GATEWAY_NO_FARM ? gateway_owner_facts(map->farms[part->farm].owner)
                                                 : NULL;
}
