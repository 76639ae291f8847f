/* SPDX-License-Identifier: Apache-2.0
 *
 * What requests of each type cost at each server. Every four seconds of traffic all that is known
 * loses a fraction of its weight, half of it in half a minute, so that servers and programs may change.
 *
 * Of a pair of which little is known, the mean is taken together with what one would expect there: the type's mean everywhere, times
 * how fast this server is with whatever it does. A server of which nothing is known any more is as good as the others: so a slow
 * one that got nothing for a while is tried again.
 */
#include "types/private.h"

#include "base/memory.h"

enum {
    TIME_UNIT_NS = 16000,  /* to 67 s */
    SIZE_UNIT_BYTES = 256, /* to 1 GiB */
    BESIDE_PART = 8,       /* of what is under way beside a request, as it is delayed by it */
};
#define DECAY_EVERY_NS  (4ull * 1000000000)
#define DECAY_FACTOR    0.917f         /* the eighth root of a half, and a little more: 32 s */
#define RECENT_KEPT     (1 - 1.0 / 64) /* of what was recent, with each that comes */
#define RECENT_FACTOR   0.7 /* with each decay: without requests half is forgotten within 8 s */
#define BORROWED_WEIGHT 4.0 /* what is expected of a pair counts as so many requests */
#define SPEED_LEAST \
    0.02 /* of one request beside the mean of its type: one that hung says little of the server */
#define SPEED_MOST 50.0

/* What came last counts most: a server that has changed is known after some dozen requests. */
struct recent {
    double sum, weight;
};

struct pair {
    struct histogram time, size;
    struct recent time_ns;
};

struct server {
    uint64_t identity;
    struct pair *pairs[TYPES_MOST]; /* NULL: nothing known */
    struct recent ratio;            /* its times beside the means of their types */
};

struct types_costs {
    struct server *servers;
    size_t count, found;          /* the last one that was asked for */
    struct pair *all[TYPES_MOST]; /* at whatever server */
    uint64_t decayed_ns;
};

/* ---- life */

struct types_costs *types_costs_new(void)
{
    return NEW(struct types_costs);
}

static void clear_server(struct server *server)
{
    for (size_t i = 0; i < TYPES_MOST; i++)
        memory_free(server->pairs[i]);
}

void types_costs_free(struct types_costs **freed)
{
    struct types_costs *costs = *freed;
    if (!costs)
        return;
    *freed = NULL;
    for (size_t i = 0; i < costs->count; i++)
        clear_server(&costs->servers[i]);
    for (size_t i = 0; i < TYPES_MOST; i++)
        memory_free(costs->all[i]);
    memory_free(costs->servers);
    memory_free(costs);
}

void types_costs_set_servers(struct types_costs *costs, const uint64_t *identities, size_t count)
{
    struct server *servers = memory_new((count + 1) * sizeof *servers);
    for (size_t i = 0; i < count; i++) {
        servers[i].identity = identities[i];
        for (size_t k = 0; k < costs->count; k++)
            if (costs->servers[k].identity == identities[i]) {
                servers[i] = costs->servers[k];
                costs->servers[k] = (struct server){.identity = identities[i]};
                break;
            }
    }
    for (size_t k = 0; k < costs->count; k++)
        clear_server(&costs->servers[k]);
    memory_free(costs->servers);
    costs->servers = servers;
    costs->count = count;
    costs->found = 0;
}

size_t types_costs_find(struct types_costs *costs, uint64_t identity)
{
    for (size_t i = 0; i < costs->count; i++) {
        size_t at = (costs->found + 1 + i) % costs->count;
        if (costs->servers[at].identity == identity)
            return costs->found = at;
    }
    return TYPES_SERVER_ALL;
}

void types_costs_renumber(struct types_costs *costs, const uint8_t to[TYPES_MOST])
{
    for (size_t k = 0; k <= costs->count; k++) {
        struct pair **pairs = k < costs->count ? costs->servers[k].pairs : costs->all;
        struct pair *moved[TYPES_MOST] = {0};
        for (size_t i = 0; i < TYPES_MOST; i++) {
            if (to[i] < TYPES_MOST)
                moved[to[i]] = pairs[i];
            else
                memory_free(pairs[i]);
        }
        memcpy(pairs, moved, sizeof moved);
    }
}

/* ---- what happens */

static void recent_add(struct recent *recent, double value)
{
    recent->sum = recent->sum * RECENT_KEPT + value;
    recent->weight = recent->weight * RECENT_KEPT + 1;
}

static void recent_decay(struct recent *recent, double factor)
{
    recent->sum *= factor;
    recent->weight *= factor;
}

static void decay_pairs(struct pair *const pairs[TYPES_MOST], float factor, double recent_factor)
{
    for (size_t i = 0; i < TYPES_MOST; i++)
        if (pairs[i]) {
            histogram_decay(&pairs[i]->time, factor);
            histogram_decay(&pairs[i]->size, factor);
            recent_decay(&pairs[i]->time_ns, recent_factor);
        }
}

static void decay(struct types_costs *costs, uint64_t now_ns)
{
    if (now_ns - costs->decayed_ns < DECAY_EVERY_NS)
        return;
    float factor = 1;
    double recent_factor = 1;
    for (uint64_t steps = (now_ns - costs->decayed_ns) / DECAY_EVERY_NS; steps && factor > 1e-6f;
         steps--) {
        factor *= DECAY_FACTOR;
        recent_factor *= RECENT_FACTOR;
    }
    costs->decayed_ns = now_ns;
    decay_pairs(costs->all, factor, recent_factor);
    for (size_t i = 0; i < costs->count; i++) {
        struct server *server = &costs->servers[i];
        decay_pairs(server->pairs, factor, recent_factor);
        recent_decay(&server->ratio, recent_factor);
    }
}

static struct pair *pair_of(struct pair *pairs[TYPES_MOST], uint8_t type)
{
    if (!pairs[type])
        pairs[type] = NEW(struct pair); /* once for each */
    return pairs[type];
}

static void add(struct pair *pair, uint64_t service_ns, uint64_t bytes)
{
    histogram_add(&pair->time, TIME_UNIT_NS, service_ns);
    histogram_add(&pair->size, SIZE_UNIT_BYTES, bytes);
    recent_add(&pair->time_ns, (double)service_ns);
}

void types_costs_add(struct types_costs *costs, size_t server, uint8_t type, uint64_t service_ns,
                     uint64_t bytes, uint64_t now_ns)
{
    struct server *row = &costs->servers[server];
    struct pair *all = pair_of(costs->all, type);
    decay(costs, now_ns);
    add(pair_of(row->pairs, type), service_ns, bytes);
    add(all, service_ns, bytes);
    double mean = all->time.sum / (double)all->time.weight;
    double ratio = mean > 0 ? (double)service_ns / mean : 1;
    ratio = ratio < SPEED_LEAST ? SPEED_LEAST : ratio > SPEED_MOST ? SPEED_MOST : ratio;
    recent_add(&row->ratio, ratio);
}

/* ---- queries */

/* The histograms of one kind that a query is about, together. */
static struct histogram gather(const struct types_costs *costs, size_t server, uint8_t type,
                               size_t offset)
{
    struct pair *const *pairs =
        server == TYPES_SERVER_ALL ? costs->all : costs->servers[server].pairs;
    struct histogram sum = {0};
    for (size_t i = 0; i < TYPES_MOST; i++) {
        if (!pairs[i] || (type != TYPES_ALL && type != i))
            continue;
        const struct histogram *part = (const void *)((const char *)pairs[i] + offset);
        for (size_t k = 0; k < HISTOGRAM_BUCKETS; k++)
            sum.buckets[k] += part->buckets[k];
        sum.weight += part->weight;
        sum.sum += part->sum;
    }
    return sum;
}

static double mean_of(const struct histogram *histogram)
{
    return histogram->weight > 0 ? histogram->sum / (double)histogram->weight : 0;
}

/* How much longer this server takes than others. */
static double slowness(const struct server *server)
{
    return (server->ratio.sum + BORROWED_WEIGHT) / (server->ratio.weight + BORROWED_WEIGHT);
}

/* Of a type, or of all of them together. */
static double mean_everywhere(const struct types_costs *costs, uint8_t type)
{
    double sum = 0, weight = 0;
    if (type != TYPES_ALL && costs->all[type] && costs->all[type]->time.weight > 0)
        return mean_of(&costs->all[type]->time);
    for (size_t i = 0; i < TYPES_MOST; i++)
        if (costs->all[i]) {
            sum += costs->all[i]->time.sum;
            weight += (double)costs->all[i]->time.weight;
        }
    return weight > 0 ? sum / weight : 0;
}

static double mean_at(const struct types_costs *costs, const struct server *server, uint8_t type)
{
    double expected = mean_everywhere(costs, type) * slowness(server);
    const struct pair *pair = server->pairs[type];
    if (!pair)
        return expected;
    return (pair->time.sum + expected * BORROWED_WEIGHT) /
           ((double)pair->time.weight + BORROWED_WEIGHT);
}

/* The same by what was recent: what the next one will take. */
static double next_at(const struct types_costs *costs, const struct server *server, uint8_t type)
{
    double expected = mean_everywhere(costs, type) * slowness(server);
    const struct pair *pair = server->pairs[type];
    if (!pair)
        return expected;
    return (pair->time_ns.sum + expected * BORROWED_WEIGHT) /
           (pair->time_ns.weight + BORROWED_WEIGHT);
}

uint64_t types_costs_mean_ns(const struct types_costs *costs, size_t server, uint8_t type)
{
    if (server == TYPES_SERVER_ALL)
        return (uint64_t)mean_everywhere(costs, type);
    if (type != TYPES_ALL)
        return (uint64_t)mean_at(costs, &costs->servers[server], type);
    struct histogram all = gather(costs, server, TYPES_ALL, offsetof(struct pair, time));
    return (uint64_t)mean_of(&all);
}

uint64_t types_costs_mean_bytes(const struct types_costs *costs, size_t server, uint8_t type)
{
    struct histogram all = gather(costs, server, type, offsetof(struct pair, size));
    return (uint64_t)mean_of(&all);
}

static uint64_t quantile(const struct types_costs *costs, size_t server, uint8_t type,
                         size_t offset, uint64_t unit, unsigned permille, uint32_t *samples)
{
    struct histogram all = gather(costs, server, type, offset);
    if (samples)
        *samples = (uint32_t)all.weight;
    return histogram_quantile(&all, unit, permille);
}

uint64_t types_costs_quantile_ns(const struct types_costs *costs, size_t server, uint8_t type,
                                 unsigned permille, uint32_t *samples)
{
    return quantile(costs, server, type, offsetof(struct pair, time), TIME_UNIT_NS, permille,
                    samples);
}

uint64_t types_costs_quantile_bytes(const struct types_costs *costs, size_t server, uint8_t type,
                                    unsigned permille, uint32_t *samples)
{
    return quantile(costs, server, type, offsetof(struct pair, size), SIZE_UNIT_BYTES, permille,
                    samples);
}

/* While the server has room to begin at once, what is under way beside it delays it little, and what it does is in the means, which were
 * measured beside such: it decides between servers that are alike. Counted in full it would send quick requests to a slow idle server. */
uint64_t types_costs_expected_ns(const struct types_costs *costs, size_t server, uint8_t type,
                                 const uint32_t pending[TYPES_MOST], uint32_t parallel)
{
    const struct server *row = &costs->servers[server];
    double work = 0, own = next_at(costs, row, type);
    uint32_t count = 0;
    static const uint8_t types = TYPES_MOST;
    for (uint8_t i = 0; i < types; i++) {
        if (!pending[i])
            continue;
        count += pending[i];
        work += (double)pending[i] * (i == type ? own : next_at(costs, row, i));
    }
    work /= parallel ? parallel : 1;
    return (uint64_t)(own + (count < parallel ? work / BESIDE_PART : work));
}
