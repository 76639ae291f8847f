/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranking: for each list of edges, region and class of client networks the addresses to answer with. Sites with the
 * same list, TTL and number of answers share one group of rows.
 */
#include "director/director.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>

struct edge {
    uint32_t region;
    bool has_ipv4, has_ipv6;
    uint8_t ipv4[4], ipv6[16]; /* the first of each family */
};

/* An edge as seen from a region. */
struct candidate {
    uint32_t edge;
    uint32_t distance;
    uint32_t place; /* in the site's list */
};

struct group {
    uint32_t *edges;
    uint32_t edge_count;
    uint32_t ttl_s, answers;
    uint32_t sites;               /* that share it */
    struct candidate *candidates; /* for each region edge_count of them, the nearest first */
};

struct director {
    const struct regions *regions;
    struct edge *edges;
    size_t edge_count;
    struct group *groups;
    size_t group_count;
    uint32_t *site_groups;
    size_t site_count;
    uint32_t spread;     /* DIRECTOR_SPREAD, less when the table would be too large */
    uint32_t edges_most; /* of a group */
};

struct director_snapshot {
    const struct director *director;
    size_t forsaken;
    struct dns_addresses rows[]; /* group, region, class of networks */
};

/* ---- what is configured ---- */

static void take_edge(const struct regions *regions, const struct director_edge *from,
                      struct edge *edge)
{
    if (from->region)
        edge->region = regions_number(regions, span_text(from->region));
    for (size_t i = 0; i < from->address_count; i++) {
        const struct address *address = &from->addresses[i];
        if (address->family == 4 && !edge->has_ipv4) {
            memcpy(edge->ipv4, address->bytes, 4);
            edge->has_ipv4 = true;
        } else if (address->family == 6 && !edge->has_ipv6) {
            memcpy(edge->ipv6, address->bytes, 16);
            edge->has_ipv6 = true;
        }
    }
}

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    return a->place < b->place ? -1 : 1;
}

static void order_candidates(const struct director *director, struct group *group)
{
    uint32_t regions = regions_count(director->regions);
    group->candidates = memory_new((size_t)regions * group->edge_count * sizeof *group->candidates);
    for (uint32_t region = 0; region < regions; region++) {
        struct candidate *candidates = &group->candidates[(size_t)region * group->edge_count];
        for (uint32_t i = 0; i < group->edge_count; i++) {
            uint32_t home = director->edges[group->edges[i]].region;
            candidates[i] =
                (struct candidate){group->edges[i],
                                   regions_distance(director->regions, region, home), i};
        }
        qsort(candidates, group->edge_count, sizeof *candidates, compare_candidates);
    }
}

static bool is_group_of(const struct group *group, const struct director_site *site)
{
    return group->edge_count == site->edge_count && group->ttl_s == site->ttl_s &&
           group->answers == site->answers &&
           span_equal(span_of(group->edges, group->edge_count * sizeof *group->edges),
                      span_of(site->edges, site->edge_count * sizeof *site->edges));
}

/* Open addressing over the groups: 65536 sites are not compared with one another. */
static uint32_t find_group(struct director *director, const struct director_site *site,
                           uint32_t *slots, uint32_t mask)
{
    uint64_t hash = hash_span(span_of(site->edges, site->edge_count * sizeof *site->edges),
                              (uint64_t)site->ttl_s << 8 | site->answers);
    uint32_t at = (uint32_t)hash & mask;
    for (; slots[at]; at = (at + 1) & mask)
        if (is_group_of(&director->groups[slots[at] - 1], site))
            return slots[at] - 1;
    struct group *group = &director->groups[director->group_count++];
    *group = (struct group){.edge_count = (uint32_t)site->edge_count,
                            .ttl_s = site->ttl_s,
                            .answers = site->answers};
    group->edges = memory_raw(site->edge_count * sizeof *group->edges);
    if (site->edge_count)
        memcpy(group->edges, site->edges, site->edge_count * sizeof *group->edges);
    if (group->edge_count > director->edges_most)
        director->edges_most = group->edge_count;
    slots[at] = (uint32_t)director->group_count;
    return slots[at] - 1;
}

static void make_groups(struct director *director, const struct director_options *options)
{
    uint32_t mask = 15;
    while (mask < options->site_count * 2)
        mask = mask * 2 + 1;
    uint32_t *slots = memory_new(((size_t)mask + 1) * sizeof *slots);
    director->groups = memory_new(options->site_count * sizeof *director->groups);
    director->site_groups = memory_new(options->site_count * sizeof *director->site_groups);
    director->site_count = options->site_count;
    for (size_t i = 0; i < options->site_count; i++) {
        uint32_t group = find_group(director, &options->sites[i], slots, mask);
        director->site_groups[i] = group;
        director->groups[group].sites++;
    }
    memory_free(slots);
}

struct director *director_new(const struct director_options *options)
{
    INVARIANT(options->edge_count <= DIRECTOR_EDGES_LIMIT);
    for (size_t i = 0; i < options->site_count; i++)
        INVARIANT(options->sites[i].answers <= DNS_ADDRESSES_LIMIT);
    struct director *director = NEW(struct director);
    director->regions = options->regions;
    director->edge_count = options->edge_count;
    director->edges = memory_new(options->edge_count * sizeof *director->edges);
    for (size_t i = 0; i < options->edge_count; i++)
        take_edge(options->regions, &options->edges[i], &director->edges[i]);
    make_groups(director, options);
    size_t rows = director->group_count * regions_count(director->regions);
    if (rows > DIRECTOR_ROWS_LIMIT) {
        director_free(director);
        return NULL;
    }
    director->spread = DIRECTOR_SPREAD;
    if (rows * DIRECTOR_SPREAD > DIRECTOR_ROWS_LIMIT)
        director->spread = (uint32_t)(DIRECTOR_ROWS_LIMIT / rows);
    for (size_t i = 0; i < director->group_count; i++)
        order_candidates(director, &director->groups[i]);
    return director;
}

void director_free(struct director *director)
{
    if (!director)
        return;
    for (size_t i = 0; i < director->group_count; i++) {
        memory_free(director->groups[i].edges);
        memory_free(director->groups[i].candidates);
    }
    memory_free(director->groups);
    memory_free(director->site_groups);
    memory_free(director->edges);
    memory_free(director);
}

/* ---- ranking ---- */

/* The `class`-th order of those that are equally near, dead ones included: who is left keeps its clients when
 * another one dies (each digit of a factorial number picks the next of the remaining). */
static void permute(struct candidate *equal, uint32_t count, uint32_t class)
{
    for (uint32_t i = 0; i + 1 < count; i++) {
        uint32_t left = count - i, pick = class % left;
        class /= left;
        struct candidate picked = equal[i + pick];
        memmove(&equal[i + 1], &equal[i], pick * sizeof *equal);
        equal[i] = picked;
    }
}

static void permute_all(struct candidate *order, uint32_t count, uint32_t class)
{
    for (uint32_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && order[to].distance == order[from].distance;)
            to++;
        permute(&order[from], to - from, class);
    }
}

static void take_addresses(const struct director *director, const struct group *group,
                           const struct candidate *order, const enum director_state *states,
                           enum director_state state, struct dns_addresses *row)
{
    for (uint32_t i = 0; i < group->edge_count; i++) {
        const struct edge *edge = &director->edges[order[i].edge];
        if (states[order[i].edge] != state)
            continue;
        if (edge->has_ipv4 && row->ipv4_count < group->answers)
            memcpy(row->ipv4[row->ipv4_count++], edge->ipv4, sizeof edge->ipv4);
        if (edge->has_ipv6 && row->ipv6_count < group->answers)
            memcpy(row->ipv6[row->ipv6_count++], edge->ipv6, sizeof edge->ipv6);
    }
}

/* Edges that are up come first and full ones behind them; the other states stand in only when there is neither. */
static enum director_state best_state(const struct group *group, const enum director_state *states)
{
    enum director_state best = DIRECTOR_DOWN;
    for (uint32_t i = 0; i < group->edge_count; i++)
        if (states[group->edges[i]] < best)
            best = states[group->edges[i]];
    return best;
}

static void rank_row(const struct director *director, const struct group *group,
                     const struct candidate *order, const enum director_state *states,
                     enum director_state best, struct dns_addresses *row)
{
    row->ttl_s = group->ttl_s;
    if (best == DIRECTOR_DOWN)
        return;
    take_addresses(director, group, order, states, best, row);
    if (best == DIRECTOR_UP)
        take_addresses(director, group, order, states, DIRECTOR_FULL, row);
}

static size_t first_row(const struct director *director, size_t group, uint32_t region)
{
    return (group * regions_count(director->regions) + region) * director->spread;
}

struct director_snapshot *director_rank(const struct director *director,
                                        const enum director_state *states)
{
    uint32_t regions = regions_count(director->regions);
    size_t rows = first_row(director, director->group_count, 0);
    struct director_snapshot *snapshot =
        memory_new(sizeof *snapshot + rows * sizeof *snapshot->rows);
    snapshot->director = director;
    struct candidate *order = memory_raw(director->edges_most * sizeof *order);
    for (size_t i = 0; i < director->group_count; i++) {
        const struct group *group = &director->groups[i];
        enum director_state best = best_state(group, states);
        if (best > DIRECTOR_FULL)
            snapshot->forsaken += group->sites;
        for (uint32_t region = 0; region < regions; region++)
            for (uint32_t class = 0; class < director->spread; class ++) {
                memcpy(order, &group->candidates[(size_t)region * group->edge_count],
                       group->edge_count * sizeof *order);
                permute_all(order, group->edge_count, class);
                rank_row(director, group, order, states, best,
                         &snapshot->rows[first_row(director, i, region) + class]);
            }
    }
    memory_free(order);
    return snapshot;
}

void director_snapshot_free(struct director_snapshot *snapshot)
{
    memory_free(snapshot);
}

/* Resolvers of one network (/24, /48) share a class, so that they agree and their clients keep their edges. */
static uint32_t class_of(const struct director *director, const struct address *client)
{
    uint64_t bits = 0;
    memcpy(&bits, client->bytes, client->family == 4 ? 3 : 6);
    uint64_t mixed = (bits ^ client->family) * 0x9e3779b97f4a7c15ull;
    mixed ^= mixed >> 32;
    mixed *= 0x9e3779b97f4a7c15ull;
    return (uint32_t)((mixed >> 32) * director->spread >> 32);
}

const struct dns_addresses *director_snapshot_find(const struct director_snapshot *snapshot,
                                                   uint32_t site, const struct address *client)
{
    const struct director *director = snapshot->director;
    if (site >= director->site_count)
        return NULL;
    uint32_t region = regions_find(director->regions, client);
    return &snapshot->rows[first_row(director, director->site_groups[site], region) +
                           class_of(director, client)];
}

size_t director_snapshot_forsaken(const struct director_snapshot *snapshot)
{
    return snapshot->forsaken;
}
