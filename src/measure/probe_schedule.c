/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks that were seen, in a heap by when each is due, in a list by when each was last seen, and in a hash table
 * (H3). A network's time only ever moves an interval or more ahead, so the bound holds by construction.
 */
#include "measure/measure.h"

#include "base/hash.h"
#include "base/list.h"
#include "base/memory.h"

enum {
    NETWORKS_IN_A_TURN = 64, /* looked at by one call */
    EVICTION_TRIES = 8,
};

/* A silent edge, or a silent network, is asked so much more rarely. */
enum { SILENT_FACTOR = 6 };

struct seen_network {
    struct heap_node due; /* key: not before */
    struct list by_age;   /* the least recently seen first */
    struct seen_network *next;
    struct network network;
    struct address host; /* the last that was seen of it */
    uint64_t seen_ns;
    bool is_ours;
};

struct probe_schedule {
    struct probe_settings settings;
    const struct prefix_tree *opt_out;
    uint64_t seed, own;
    uint64_t nodes[PROBE_NODES_LIMIT];
    size_t node_count;
    uint64_t quiet_until_ns; /* networks that are new to us wait until then */
    uint64_t token_ns;       /* when the next round may start; it lags behind by a second at most */
    struct heap due;
    struct list by_age;
    struct seen_network **buckets;
    uint32_t mask, count, limit;
    struct probe_counters counters;
};

/* ---- whose network it is ---- */

static uint64_t mix(uint64_t node, const struct network *network)
{
    return hash_span(span_of(&network->address, sizeof network->address), node);
}

/* The node with the greatest hash: when one goes only its own networks move. */
static bool is_ours(const struct probe_schedule *schedule, const struct network *network)
{
    uint64_t own = mix(schedule->own, network);
    for (size_t i = 0; i < schedule->node_count; i++)
        if (schedule->nodes[i] != schedule->own && mix(schedule->nodes[i], network) > own)
            return false;
    return true;
}

bool probe_may(const struct prefix_tree *opt_out, const struct address *host)
{
    bool is_nobodys = address_is_loopback(host) || address_is_link_local(host) ||
                      address_is_any(host) || host->bytes[0] == (host->family == 4 ? 0 : 0xff) ||
                      (host->family == 4 && host->bytes[0] >= 224);
    return host->family && !is_nobodys && !(opt_out && prefix_tree_find(opt_out, host, NULL) >= 0);
}

/* ---- life ---- */

static void take_settings(struct probe_schedule *schedule, const struct probe_settings *settings)
{
    schedule->settings = *settings;
    if (settings->interval_ns < PROBE_INTERVAL_LEAST_NS)
        schedule->settings.interval_ns = PROBE_INTERVAL_LEAST_NS;
    if (!settings->rounds_per_s)
        schedule->settings.rounds_per_s = 1;
    if (settings->vantages > PROBE_VANTAGES_LIMIT)
        schedule->settings.vantages = PROBE_VANTAGES_LIMIT;
}

struct probe_schedule *probe_schedule_new(const struct probe_settings *settings,
                                          uint32_t networks_limit, uint64_t seed, uint64_t now_ns)
{
    struct probe_schedule *schedule = NEW(struct probe_schedule);
    take_settings(schedule, settings);
    schedule->seed = seed;
    schedule->limit = networks_limit < PROBE_NETWORKS_LIMIT ? networks_limit : PROBE_NETWORKS_LIMIT;
    schedule->mask = 1;
    while (schedule->mask < schedule->limit)
        schedule->mask *= 2;
    schedule->buckets = memory_new(schedule->mask * sizeof(struct seen_network *));
    schedule->mask--;
    schedule->quiet_until_ns = now_ns + schedule->settings.interval_ns;
    list_init(&schedule->by_age);
    return schedule;
}

void probe_schedule_free(struct probe_schedule **owned)
{
    struct probe_schedule *schedule = *owned;
    *owned = NULL;
    if (!schedule)
        return;
    heap_clear(&schedule->due); /* it writes into its members */
    LIST_EACH (item, after, &schedule->by_age)
        memory_free(CONTAINER_OF(item, struct seen_network, by_age));
    memory_free(schedule->buckets);
    memory_free(schedule);
}

void probe_schedule_configure(struct probe_schedule *schedule,
                              const struct probe_settings *settings,
                              const struct prefix_tree *opt_out)
{
    take_settings(schedule, settings);
    schedule->opt_out = opt_out;
}

static bool is_same_share(const struct probe_schedule *schedule, uint64_t own,
                          const uint64_t *nodes, size_t count)
{
    return own == schedule->own && count == schedule->node_count &&
           (!count || memcmp(nodes, schedule->nodes, count * sizeof *nodes) == 0);
}

static void put_off(struct probe_schedule *schedule, struct seen_network *entry, uint64_t until_ns)
{
    if (entry->due.key < until_ns)
        heap_put(&schedule->due, &entry->due, until_ns);
}

void probe_schedule_share(struct probe_schedule *schedule, uint64_t own, const uint64_t *nodes,
                          size_t count, uint64_t now_ns)
{
    if (count > PROBE_NODES_LIMIT)
        count = PROBE_NODES_LIMIT;
    if (is_same_share(schedule, own, nodes, count))
        return;
    schedule->own = own;
    schedule->node_count = count;
    if (count)
        memcpy(schedule->nodes, nodes, count * sizeof *nodes);
    schedule->quiet_until_ns = now_ns + schedule->settings.interval_ns;
    LIST_EACH (item, after, &schedule->by_age) {
        struct seen_network *entry = CONTAINER_OF(item, struct seen_network, by_age);
        bool was_ours = entry->is_ours;
        entry->is_ours = is_ours(schedule, &entry->network);
        if (entry->is_ours && !was_ours)
            put_off(schedule, entry, schedule->quiet_until_ns);
    }
}

/* ---- what was seen ---- */

static struct seen_network **find(struct probe_schedule *schedule, const struct network *network)
{
    uint64_t hash = hash_span(span_of(&network->address, sizeof network->address), schedule->seed);
    struct seen_network **at = &schedule->buckets[hash & schedule->mask];
    while (*at && !address_equal(&(*at)->network.address, &network->address))
        at = &(*at)->next;
    return at;
}

static void forget(struct probe_schedule *schedule, struct seen_network *entry)
{
    struct seen_network **at = find(schedule, &entry->network);
    INVARIANT(*at == entry);
    *at = entry->next;
    list_remove(&entry->by_age);
    heap_remove(&schedule->due, &entry->due);
    schedule->count--;
    memory_free(entry);
}

/* Only a network whose interval is over: it could be seen again at once. */
static bool make_room(struct probe_schedule *schedule, uint64_t now_ns)
{
    if (schedule->count < schedule->limit)
        return true;
    int tries = 0;
    LIST_EACH (item, after, &schedule->by_age) {
        struct seen_network *entry = CONTAINER_OF(item, struct seen_network, by_age);
        if (entry->due.key <= now_ns) {
            forget(schedule, entry);
            return true;
        }
        if (++tries == EVICTION_TRIES)
            break;
    }
    return false;
}

static struct seen_network *add(struct probe_schedule *schedule, const struct network *network,
                                uint64_t now_ns)
{
    struct seen_network *entry = NEW(struct seen_network);
    entry->network = *network;
    entry->is_ours = is_ours(schedule, network);
    list_init(&entry->by_age);
    *find(schedule, network) = entry;
    heap_put(&schedule->due, &entry->due,
             now_ns > schedule->quiet_until_ns ? now_ns : schedule->quiet_until_ns);
    schedule->count++;
    return entry;
}

void probe_schedule_seen(struct probe_schedule *schedule, const struct address *host,
                         uint64_t now_ns)
{
    schedule->counters.seen++;
    if (!probe_may(schedule->opt_out, host)) {
        if (probe_may(NULL, host))
            schedule->counters.opted_out++;
        else
            schedule->counters.unfit++;
        return;
    }
    struct network network = latency_network(host);
    struct seen_network *entry = *find(schedule, &network);
    if (!entry) {
        if (!make_room(schedule, now_ns)) {
            schedule->counters.full++;
            return;
        }
        entry = add(schedule, &network, now_ns);
    }
    entry->host = *host;
    entry->host.port = 0;
    entry->seen_ns = now_ns;
    list_remove(&entry->by_age);
    list_push_back(&schedule->by_age, &entry->by_age);
}

/* ---- rounds ---- */

static bool wants_measurement(const struct probe_schedule *schedule,
                              const struct probe_source *source, const struct address *host,
                              uint32_t edge, uint64_t now_ns)
{
    struct latency_value value = latency_table_find(source->latencies, host, edge, LATENCY_PROBE);
    uint64_t good_ns = schedule->settings.refresh_ns * (value.is_silent ? SILENT_FACTOR : 1);
    return !value.taken_ns || value.taken_ns + good_ns <= now_ns;
}

static void choose_edges(const struct probe_schedule *schedule, const struct probe_source *source,
                         uint64_t now_ns, struct probe_order *order)
{
    uint32_t candidates[PROBE_CANDIDATES_LIMIT];
    size_t count = source->candidates(source->argument, &order->host, candidates);
    order->edge_count = 0;
    for (size_t i = 0; i < count && order->edge_count < schedule->settings.vantages; i++)
        if (wants_measurement(schedule, source, &order->host, candidates[i], now_ns))
            order->edges[order->edge_count++] = candidates[i];
}

/* Rounds may come a little together, but not more of them than a second allows. */
static void take_token(struct probe_schedule *schedule, uint64_t now_ns)
{
    uint64_t behind_ns = now_ns < 1000000000 ? 0 : now_ns - 1000000000;
    if (schedule->token_ns < behind_ns)
        schedule->token_ns = behind_ns;
    schedule->token_ns += 1000000000 / schedule->settings.rounds_per_s;
}

static bool is_of_interest(const struct probe_schedule *schedule, const struct seen_network *entry,
                           uint64_t now_ns)
{
    return entry->seen_ns + schedule->settings.seen_ns > now_ns &&
           probe_may(schedule->opt_out, &entry->host);
}

/* True: a round of this network. It is not due again before an interval is over, whatever came of it. */
static bool try_network(struct probe_schedule *schedule, struct seen_network *entry,
                        const struct probe_source *source, uint64_t now_ns,
                        struct probe_order *order)
{
    heap_put(&schedule->due, &entry->due, now_ns + schedule->settings.interval_ns);
    if (!entry->is_ours)
        return false;
    order->host = entry->host;
    choose_edges(schedule, source, now_ns, order);
    return order->edge_count > 0;
}

bool probe_schedule_next(struct probe_schedule *schedule, const struct probe_source *source,
                         uint64_t now_ns, struct probe_order *order)
{
    for (int i = 0; i < NETWORKS_IN_A_TURN && now_ns >= schedule->token_ns; i++) {
        struct heap_node *first = heap_first(&schedule->due);
        if (!first || first->key > now_ns)
            return false;
        struct seen_network *entry = CONTAINER_OF(first, struct seen_network, due);
        if (!is_of_interest(schedule, entry, now_ns)) {
            forget(schedule, entry);
            continue;
        }
        if (!try_network(schedule, entry, source, now_ns, order))
            continue;
        take_token(schedule, now_ns);
        schedule->counters.rounds++;
        schedule->counters.orders += order->edge_count;
        return true;
    }
    return false;
}

size_t probe_schedule_count(const struct probe_schedule *schedule)
{
    return schedule->count;
}

const struct probe_counters *probe_schedule_counters(const struct probe_schedule *schedule)
{
    return &schedule->counters;
}
