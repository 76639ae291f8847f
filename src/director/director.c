/* SPDX-License-Identifier: Apache-2.0
 *
 * What is configured: edges, and sites in groups that are ranked alike, so that their rows are shared.
 */
#include "director/private.h"

#include "base/hash.h"
#include "base/memory.h"

enum { LEARNED_LIMIT = 1 << 23 }; /* pairs of area and edge */

/* ---- edges ---- */

static void take_address(struct edge *edge, const struct address *address)
{
    if (address->family == 4 && !edge->has_ipv4) {
        memcpy(edge->ipv4, address->bytes, 4);
        edge->has_ipv4 = true;
    } else if (address->family == 6 && !edge->has_ipv6) {
        memcpy(edge->ipv6, address->bytes, 16);
        edge->has_ipv6 = true;
    }
}

static void take_edge(struct director *director, uint32_t number, const struct director_edge *from)
{
    struct edge *edge = &director->edges[number];
    if (from->region)
        edge->region = maps_region_number(director->maps, span_text(from->region));
    for (size_t i = 0; i < from->address_count; i++)
        take_address(edge, &from->addresses[i]);
    struct maps_point point =
        from->point ? *from->point : maps_region_point(director->maps, edge->region);
    edge->has_point = maps_point_is_known(point);
    if (edge->has_point)
        point_on_sphere(point, edge->point);
    edge->capacity = from->capacity ? (float)from->capacity : 1;
    edge->cost = from->cost;
    uint64_t turn = hash_span(span_of(&number, sizeof number), 0);
    edge->turn = (float)(turn >> 40) / (float)(1 << 24);
}

static void make_edges(struct director *director, const struct director_options *options)
{
    uint32_t regions = maps_region_count(director->maps), count = (uint32_t)options->edge_count;
    director->edge_count = count;
    director->edges = memory_new(count * sizeof *director->edges);
    director->lives = memory_new(count * sizeof *director->lives);
    director->edge_learned = memory_new(count * sizeof *director->edge_learned);
    director->distances = memory_new((size_t)regions * count * sizeof *director->distances);
    for (uint32_t i = 0; i < count; i++) {
        take_edge(director, i, &options->edges[i]);
        director->lives[i] = (struct life){.load = NAN, .share = 1, .effect = 1};
        for (uint32_t region = 0; region < regions; region++)
            director->distances[(size_t)region * count + i] =
                (uint16_t)maps_region_distance(director->maps, region, director->edges[i].region);
    }
}

/* ---- groups ---- */

static bool are_same(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count)
{
    return span_equal(span_of(a, a_count * sizeof *a), span_of(b, b_count * sizeof *b));
}

/* Thousands of sites share a few. */
static const struct director_policy *take_policy(struct director *director,
                                                 const struct director_policy *policy)
{
    for (uint32_t i = 0; i < director->policy_count; i++)
        if (strcmp(director->policies[i]->text, policy ? policy->text : "") == 0)
            return director->policies[i];
    struct director_policy *copy = NEW(struct director_policy);
    director->policies =
        memory_resize(director->policies, director->policy_count + 1, sizeof *director->policies);
    director->policies[director->policy_count++] = copy;
    if (policy) {
        *copy = *policy;
    } else {
        struct text complaint = {0};
        INVARIANT(director_policy_parse(SPAN(""), copy, &complaint));
    }
    return copy;
}

static bool is_group_of(const struct group *group, const struct director_site *site,
                        const struct director_policy *policy)
{
    return !group->has_inventory && !site->has_inventory &&
           group->floor_percent == site->floor_percent &&
           group->fails_closed == site->fails_closed && group->policy == policy &&
           are_same(group->edges, group->count, site->edges, site->edge_count) &&
           are_same(group->gateways, group->gateway_count, site->gateways, site->gateway_count);
}

static uint32_t *copy_numbers(const uint32_t *from, size_t count)
{
    uint32_t *copy = memory_raw(count * sizeof *copy);
    if (count)
        memcpy(copy, from, count * sizeof *copy);
    return copy;
}

static void make_group(struct director *director, const struct director_site *site, uint32_t number,
                       const struct director_policy *policy)
{
    struct group *group = &director->groups[director->group_count++];
    *group = (struct group){.first = director->member_count,
                            .count = (uint32_t)site->edge_count,
                            .edges = copy_numbers(site->edges, site->edge_count),
                            .gateways = copy_numbers(site->gateways, site->gateway_count),
                            .gateway_count = (uint32_t)site->gateway_count,
                            .policy = policy,
                            .site = number,
                            .floor_percent = site->floor_percent,
                            .fails_closed = site->fails_closed,
                            .has_inventory = site->has_inventory};
    director->member_count += group->count;
    for (uint32_t i = 0; i < group->count; i++) {
        group->has_ipv4 |= director->edges[group->edges[i]].has_ipv4;
        group->has_ipv6 |= director->edges[group->edges[i]].has_ipv6;
    }
    if (group->count <= SMALL_GROUP)
        return;
    director->has_large_groups = true;
    group->member_of = memory_raw(director->edge_count * sizeof *group->member_of);
    for (uint32_t i = 0; i < director->edge_count; i++)
        group->member_of[i] = MEMBER_NONE;
    for (uint32_t i = 0; i < group->count; i++)
        group->member_of[group->edges[i]] = (uint16_t)i;
}

/* Open addressing over the groups: 65536 sites are not compared with one another. */
static uint32_t find_group(struct director *director, const struct director_site *site,
                           uint32_t number, uint32_t *slots, uint32_t mask)
{
    const struct director_policy *policy = take_policy(director, site->policy);
    uint64_t hash = hash_span(span_of(site->edges, site->edge_count * sizeof *site->edges),
                              site->has_inventory ? number + 1 : 0);
    uint32_t at = (uint32_t)hash & mask;
    for (; slots[at]; at = (at + 1) & mask)
        if (is_group_of(&director->groups[slots[at] - 1], site, policy))
            return slots[at] - 1;
    make_group(director, site, number, policy);
    slots[at] = director->group_count;
    return slots[at] - 1;
}

static void make_groups(struct director *director, const struct director_options *options)
{
    uint32_t mask = 15;
    while (mask < options->site_count * 2)
        mask = mask * 2 + 1;
    uint32_t *slots = memory_new(((size_t)mask + 1) * sizeof *slots);
    director->site_count = (uint32_t)options->site_count;
    director->sites = memory_new(options->site_count * sizeof *director->sites);
    director->groups = memory_new(options->site_count * sizeof *director->groups);
    for (uint32_t i = 0; i < director->site_count; i++) {
        const struct director_site *site = &options->sites[i];
        INVARIANT(site->answers <= DNS_ADDRESSES_LIMIT);
        uint32_t group = find_group(director, site, i, slots, mask);
        director->sites[i] = (struct site){group, site->ttl_s, (uint8_t)site->answers};
        director->groups[group].sites++;
    }
    memory_free(slots);
    director->members = memory_new(director->member_count * sizeof *director->members);
    director->standings = memory_new(director->member_count * sizeof *director->standings);
}

/* ---- rows ---- */

/* Areas take a quarter of the rows at most, measured networks what is left. As many classes as there is room for. */
static bool make_numbers(struct director *director)
{
    uint32_t groups = director->group_count ? director->group_count : 1;
    uint32_t numbers = DIRECTOR_ROWS_LIMIT / groups, wide = numbers / 4;
    uint32_t areas =
        wide / CLASSES_UNIT < DIRECTOR_AREAS_LIMIT ? wide / CLASSES_UNIT : DIRECTOR_AREAS_LIMIT;
    areas_make(director, areas);
    uint32_t classes = wide / director->area_count;
    if (classes > CLASSES_UNIT)
        classes -= classes % CLASSES_UNIT;
    director->classes = classes > CLASSES_MOST ? CLASSES_MOST : classes ? classes : 1;
    director->wide_count = director->area_count * director->classes;
    if (director->wide_count > numbers)
        return false;
    uint32_t left = numbers - director->wide_count;
    networks_make(director,
                  left < director->tuning.networks_limit ? left : director->tuning.networks_limit);
    return true;
}

static void make_rows(struct director *director)
{
    size_t numbers = number_count(director), rows = numbers * director->group_count;
    director->rows = memory_new_aligned(rows * sizeof *director->rows);
    director->row_states = memory_new(rows * sizeof *director->row_states);
    director->ranked_ns = memory_new(numbers * sizeof *director->ranked_ns);
    for (size_t i = 0; i < rows; i++) {
        for (int k = 0; k < ROW_MEMBERS / 4; k++)
            atomic_init(&director->rows[i].words[k], UINT64_MAX);
        director->row_states[i] = (struct row_state){MEMBER_NONE, 0, MEMBER_NONE};
    }
    size_t pairs = (size_t)director->area_count * director->edge_count;
    if (pairs <= LEARNED_LIMIT) {
        director->learned = memory_new(pairs * sizeof *director->learned);
        director->learned_of = memory_new(pairs);
    }
    estimate_init(&director->estimate, director);
    director->field.items = memory_new(director->edge_count * sizeof(struct candidate));
    director->field.order = memory_new(director->edge_count * sizeof(struct candidate));
}

/* ---- the whole ---- */

static void tune(struct director_tuning *tuning)
{
    static const struct director_tuning defaults = {16384, 800, 20, 10, 2000, 10000};
#define DEFAULT(field)  \
    if (!tuning->field) \
    tuning->field = defaults.field
    DEFAULT(networks_limit);
    DEFAULT(spread_from);
    DEFAULT(settle_s);
    DEFAULT(margin_percent);
    DEFAULT(margin_us);
    DEFAULT(patience_ms);
#undef DEFAULT
    if (tuning->networks_limit > DIRECTOR_NETWORKS_LIMIT)
        tuning->networks_limit = DIRECTOR_NETWORKS_LIMIT;
    if (tuning->spread_from >= LOAD_FULL)
        tuning->spread_from = LOAD_FULL - 1;
}

struct director *director_new(const struct director_options *options)
{
    INVARIANT(options->edge_count <= DIRECTOR_EDGES_LIMIT);
    INVARIANT(options->gateway_count <= DIRECTOR_GATEWAYS_LIMIT);
    struct director *director = NEW(struct director);
    director->maps = options->maps;
    director->tuning = options->tuning;
    director->gateway_count = (uint32_t)options->gateway_count;
    tune(&director->tuning);
    make_edges(director, options);
    make_groups(director, options);
    if (make_numbers(director)) {
        make_rows(director);
        return director;
    }
    director_free(director);
    return NULL;
}

void director_free(struct director *director)
{
    if (!director)
        return;
    for (uint32_t i = 0; i < director->group_count; i++) {
        memory_free(director->groups[i].edges);
        memory_free(director->groups[i].gateways);
        memory_free(director->groups[i].member_of);
    }
    for (uint32_t i = 0; i < director->policy_count; i++)
        memory_free(director->policies[i]);
    void *const owned[] = {director->policies,     director->groups,     director->sites,
                           director->edges,        director->lives,      director->distances,
                           director->members,      director->learned,    director->rows,
                           director->edge_learned, director->learned_of, director->row_states,
                           director->ranked_ns,    director->standings,  director->field.items,
                           director->field.order};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        memory_free(owned[i]);
    areas_clear(director);
    networks_clear(director);
    estimate_clear(&director->estimate);
    memory_free(director);
}

/* ---- inheritance ---- */

static bool has_same_areas(const struct director *a, const struct director *b)
{
    return a->learned && b->learned && a->area_count == b->area_count &&
           span_equal(span_of(a->areas, a->area_count * sizeof *a->areas),
                      span_of(b->areas, b->area_count * sizeof *b->areas));
}

static void inherit_learned(struct director *director, const struct director *old, uint32_t edge,
                            uint32_t from)
{
    for (uint32_t area = 0; area < director->area_count; area++) {
        size_t to_at = (size_t)area * director->edge_count + edge;
        size_t from_at = (size_t)area * old->edge_count + from;
        director->learned[to_at] = old->learned[from_at];
        director->learned_of[to_at] = old->learned_of[from_at];
    }
}

void director_inherit(struct director *director, const struct director *old,
                      const uint32_t *old_edges)
{
    bool is_same_map = has_same_areas(director, old);
    for (uint32_t i = 0; i < director->edge_count; i++) {
        uint32_t from = old_edges[i];
        if (from == (uint32_t)DIRECTOR_NONE)
            continue;
        director->lives[i] = old->lives[from];
        director->edge_learned[i] = old->edge_learned[from];
        if (is_same_map)
            inherit_learned(director, old, i, from);
    }
    director->ticked_ns = old->ticked_ns;
    director->figures = old->figures; /* counters go on */
    director->figures.networks = 0;
    standings_make_all(
        director); /* states that do not change with the next tick hold all the same */
}

/* ---- figures ---- */

static uint64_t oldest_ranking_ns(const struct director *director)
{
    uint64_t oldest_ns = UINT64_MAX;
    for (uint32_t i = 0; i < number_count(director);) {
        bool is_wide = i < director->wide_count;
        if ((is_wide || director->tracked[i - director->wide_count].key) &&
            director->ranked_ns[i] < oldest_ns)
            oldest_ns = director->ranked_ns[i];
        i += is_wide ? director->classes : 1;
    }
    return oldest_ns == UINT64_MAX ? 0 : oldest_ns;
}

static uint64_t bytes_of(const struct director *director)
{
    uint64_t numbers = number_count(director), rows = numbers * director->group_count;
    uint64_t pairs = director->learned ? (uint64_t)director->area_count * director->edge_count : 0;
    return rows * (sizeof *director->rows + sizeof *director->row_states) +
           numbers * sizeof *director->ranked_ns +
           director->tracked_count *
               (sizeof *director->tracked + sizeof *director->tracked_states) +
           pairs * (sizeof *director->learned + 1) +
           director->member_count * (sizeof *director->members + 1) +
           (uint64_t)maps_place_count(director->maps) * sizeof *director->area_of_place;
}

void director_figures(const struct director *director, struct director_figures *figures)
{
    *figures = director->figures;
    figures->oldest_ns = oldest_ranking_ns(director);
    figures->areas = director->area_count;
    figures->classes = director->classes;
    figures->groups = director->group_count;
    figures->rows = number_count(director) * director->group_count;
    figures->bytes = bytes_of(director);
}

uint32_t director_forsaken(const struct director *director)
{
    return director->figures.forsaken;
}

enum director_state director_edge_state(const struct director *director, uint32_t edge)
{
    return director->lives[edge].state;
}

float director_edge_share(const struct director *director, uint32_t edge)
{
    return director->lives[edge].share;
}
