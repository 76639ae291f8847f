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
};
#define DECAY_EVERY_NS (4ull * 1000000000)
#define DECAY_FACTOR   0.917f /* the eighth root of a half, and a little more: 32 s */
#define RECENT_FACTOR  0.7    /* with each decay: without requests half is forgotten within 8 s */
#define SPEED_LEAST \
    0.02 /* of one request beside the mean of its type: one that hung says little of the server */
#define SPEED_MOST 50.0

struct pair {
    struct histogram time, size;
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
    struct next next;
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
    next_clear(&costs->next);
    memory_free(costs);
}

void types_costs_set_servers(struct types_costs *costs, const uint64_t *identities, size_t count)
{
    struct server *servers = memory_new((count + 1) * sizeof *servers);
    struct next next;
    next_init(&next, count);
    for (size_t i = 0; i < count; i++) {
        servers[i].identity = identities[i];
        for (size_t k = 0; k < costs->count; k++)
            if (costs->servers[k].identity == identities[i]) {
                servers[i] = costs->servers[k];
                next_take_server(&next, i, &costs->next, k);
                costs->servers[k] = (struct server){.identity = identities[i]};
                break;
            }
    }
    next_clear(&costs->next);
    costs->next = next;
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
    next_renumber(&costs->next, to);
}

/* ---- means */

static double mean_of(const struct histogram *histogram)
{
    return histogram->weight > 0 ? histogram->sum / (double)histogram->weight : 0;
}

/* How much longer this server takes than others. */
static double slowness(const struct server *server)
{
    return (server->ratio.sum + BORROWED_WEIGHT) / (server->ratio.weight + BORROWED_WEIGHT);
}

static bool is_measured(const struct types_costs *costs, uint8_t type)
{
    return costs->all[type] && costs->all[type]->time.weight > 0;
}

/* Of a type, or of all of them together. */
static double mean_everywhere(const struct types_costs *costs, uint8_t type)
{
    double sum = 0, weight = 0;
    if (type != TYPES_ALL && is_measured(costs, type))
        return mean_of(&costs->all[type]->time);
    for (size_t i = 0; i < TYPES_MOST; i++)
        if (costs->all[i]) {
            sum += costs->all[i]->time.sum;
            weight += (double)costs->all[i]->time.weight;
        }
    return weight > 0 ? sum / weight : 0;
}

/* ---- what happens */

static void decay_pairs(struct pair *const pairs[TYPES_MOST], float factor)
{
    for (size_t i = 0; i < TYPES_MOST; i++)
        if (pairs[i]) {
            histogram_decay(&pairs[i]->time, factor);
            histogram_decay(&pairs[i]->size, factor);
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
    decay_pairs(costs->all, factor);
    for (size_t i = 0; i < costs->count; i++) {
        struct server *server = &costs->servers[i];
        decay_pairs(server->pairs, factor);
        next_recent_decay(&server->ratio, recent_factor);
        next_set_slowness(&costs->next, i, slowness(server));
    }
    next_decay(&costs->next, recent_factor);
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
    next_recent_add(&row->ratio, ratio);
    next_add(&costs->next, server, type, (double)service_ns, slowness(row));
    for (uint8_t i = 0; i < (uint8_t)TYPES_MOST; i++)
        if (i == type || !is_measured(costs, i))
            next_forget_row(&costs->next, i);
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

static double mean_at(const struct types_costs *costs, const struct server *server, uint8_t type)
{
    double expected = mean_everywhere(costs, type) * slowness(server);
    const struct pair *pair = server->pairs[type];
    if (!pair)
        return expected;
    return (pair->time.sum + expected * BORROWED_WEIGHT) /
           ((double)pair->time.weight + BORROWED_WEIGHT);
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

static void renew(struct types_costs *costs, uint8_t type)
{
    if (next_is_forgotten(&costs->next, type))
        next_renew_row(&costs->next, type, mean_everywhere(costs, type));
}

void types_costs_expected_ns(struct types_costs *costs, uint8_t type, const struct types_load *load,
                             size_t count, double *expected_ns)
{
    for (size_t i = costs->count; i < count; i++)
        expected_ns[i] = 0;
    renew(costs, type);
    for (uint8_t i = 0; i < (uint8_t)TYPES_MOST; i++)
        if (load->pending[i])
            renew(costs, i);
    next_expect(&costs->next, type, load, count < costs->count ? count : costs->count, expected_ns);
}
