/* SPDX-License-Identifier: Apache-2.0
 *
 * One ranking: the candidates of a group as seen from a number, put in order, and what of that becomes the number's row. The tick
 * and explain both come through here.
 */
#include "director/private.h"

enum {
    DEAD_IN_ROW = 3, /* where they would stand if they were alive, so that they are back at once */
};

static bool is_usable(const struct sight *sight, uint16_t member)
{
    return atomic_load_explicit(&sight->standings[member], memory_order_relaxed) != STANDING_OUT;
}

/* ---- candidates ---- */

static void gather(const struct sight *sight, const uint16_t *of, const uint16_t *list,
                   uint32_t count, struct field *field)
{
    field->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t member = of ? of[list[i]] : (uint16_t)i;
        if (member == MEMBER_NONE ||
            sight->lives[sight->members[member].edge].state == DIRECTOR_DOWN)
            continue;
        field->items[field->count++] =
            (struct candidate){.member = member, .is_usable = is_usable(sight, member)};
    }
    field->all = field->count;
}

static uint32_t count_usable(const struct field *field)
{
    uint32_t usable = 0;
    for (uint32_t i = 0; i < field->count; i++)
        usable += field->items[i].is_usable;
    return usable;
}

static void gather_again(struct field *field)
{
    field->count = field->all;
    for (uint32_t i = 0; i < field->all; i++)
        field->items[i].dropped = 0;
}

/* A large group is ranked over the nearest edges; over all of its own when too few of those are usable. */
void rank_field(const struct sight *sight, const struct estimate *estimate, struct field *field)
{
    const struct group *group = sight->group;
    *field = (struct field){.items = field->items, .order = field->order};
    if (group->member_of) {
        gather(sight, group->member_of, estimate->shortlist, estimate->shortlist_count, field);
        field->evaluated = estimate->shortlist_count / 4;
    }
    if (count_usable(field) < ROW_MEMBERS)
        gather(sight, NULL, NULL, group->count, field);
    uint32_t usable = count_usable(field);
    policy_run(sight, estimate, true, field);
    if (usable && !count_usable(field)) {
        gather_again(field);
        field->was_unfiltered = true;
        policy_run(sight, estimate, false, field);
    }
}

/* ---- order ---- */

static void close_shed(const struct sight *sight, struct field *field, const struct lot *lot)
{
    for (uint32_t i = 0; i < field->count; i++) {
        uint16_t edge = sight->members[field->items[i].member].edge;
        float share = sight->lives[edge].share;
        field->items[i].is_closed =
            share < 1 && spread_place(&sight->director->edges[edge], lot) >= share;
        field->items[i].is_taken = false;
    }
}

static float least_left(const struct field *field)
{
    float least = INFINITY;
    for (uint32_t i = 0; i < field->count; i++)
        if (!field->items[i].is_taken && field->items[i].score < least)
            least = field->items[i].score;
    return least;
}

/* All that are as good as the best of those that are left. Dead ones count: tiers do not shift when an edge dies. */
static uint32_t take_tier(const struct sight *sight, struct field *field, double *weight)
{
    float most = spread_tier(least_left(field));
    uint32_t count = 0;
    *weight = 0;
    for (uint32_t i = 0; i < field->count; i++) {
        struct candidate *candidate = &field->items[i];
        if (candidate->is_taken || candidate->score > most)
            continue;
        candidate->is_taken = true;
        field->order[field->order_count + count++] = *candidate;
        *weight += (double)sight->director->edges[sight->members[candidate->member].edge].capacity;
    }
    return count;
}

void rank_order(const struct sight *sight, struct field *field, const struct lot *lot,
                uint32_t need)
{
    close_shed(sight, field, lot);
    field->order_count = 0;
    if (field->is_ordered) {
        memcpy(field->order, field->items, field->count * sizeof *field->order);
        field->order_count = field->count;
        return;
    }
    uint32_t good = 0;
    while (field->order_count < field->count && good < need) {
        double weight, order = (double)lot->order;
        uint32_t tier = take_tier(sight, field, &weight);
        while (tier && good < need) {
            struct candidate *next = &field->order[field->order_count];
            spread_pick(sight, next, tier--, &order, &weight);
            good += next->is_usable && !next->is_closed;
            field->order_count++;
        }
    }
}

/* ---- hysteresis ---- */

float rank_margin_ms(const struct director *director, float score)
{
    return fmaxf(score * (float)director->tuning.margin_percent / 100,
                 (float)director->tuning.margin_us / 1000);
}

static const struct candidate *find(const struct field *field, uint16_t member)
{
    for (uint32_t i = 0; i < field->count; i++)
        if (field->items[i].member == member)
            return &field->items[i];
    return NULL;
}

static uint16_t first_usable(const struct sight *sight, const uint16_t members[ROW_MEMBERS])
{
    for (int i = 0; i < ROW_MEMBERS && members[i] != MEMBER_NONE; i++)
        if (members[i] < sight->group->count && is_usable(sight, members[i]))
            return members[i];
    return MEMBER_NONE;
}

static void put_first(const struct sight *sight, uint16_t members[ROW_MEMBERS], uint16_t first)
{
    int to = 0, from = 0;
    while (to < ROW_MEMBERS - 1 && members[to] != MEMBER_NONE && !is_usable(sight, members[to]))
        to++;
    while (from < ROW_MEMBERS - 1 && members[from] != first)
        from++;
    if (from < to)
        return;
    memmove(&members[to + 1], &members[to], (size_t)(from - to) * sizeof *members);
    members[to] = first;
}

/* Whether the first stays although another one is better: not by enough, or not for long enough. */
static bool has_to_stay(const struct sight *sight, const struct candidate *incumbent,
                        const struct candidate *challenger, struct row_state *state)
{
    float margin = rank_margin_ms(sight->director, challenger->score);
    uint16_t now_ds = (uint16_t)(sight->facts->now_ns / 100000000);
    if (incumbent->score <= challenger->score + margin) {
        state->challenger = MEMBER_NONE;
        return true;
    }
    if (state->challenger != challenger->member) {
        *state = (struct row_state){challenger->member, now_ds};
        return true;
    }
    return (uint16_t)(now_ds - state->since_ds) < sight->director->tuning.patience_ms / 100;
}

/* An incumbent that sheds this number, that was filtered or died goes at once. */
static void keep_incumbent(const struct sight *sight, const struct field *field,
                           const uint16_t old[ROW_MEMBERS], struct row_state *state,
                           struct ranked *ranked)
{
    uint16_t first = first_usable(sight, ranked->members);
    uint16_t incumbent = ranked->incumbent = first_usable(sight, old);
    if (incumbent == MEMBER_NONE || incumbent == first || first == MEMBER_NONE) {
        state->challenger = MEMBER_NONE;
        return;
    }
    const struct candidate *now = find(field, incumbent), *better = find(field, first);
    if (now && !now->is_closed && has_to_stay(sight, now, better, state)) {
        put_first(sight, ranked->members, incumbent);
        ranked->is_held_back = true;
    } else {
        ranked->is_moved = true;
        state->challenger = MEMBER_NONE;
    }
}

/* ---- rows ---- */

void rank_row(const struct sight *sight, struct field *field, const struct lot *lot,
              const uint16_t old[ROW_MEMBERS], struct row_state *state, struct ranked *ranked)
{
    rank_order(sight, field, lot, ROW_MEMBERS);
    *ranked = (struct ranked){.incumbent = MEMBER_NONE};
    int count = 0, dead = 0;
    for (uint32_t i = 0; i < field->order_count && count < ROW_MEMBERS; i++) {
        const struct candidate *candidate = &field->order[i];
        if ((candidate->is_usable && !candidate->is_closed) ||
            (!candidate->is_usable && dead++ < DEAD_IN_ROW))
            ranked->members[count++] = candidate->member;
    }
    for (uint32_t i = 0; i < field->order_count && count < ROW_MEMBERS; i++)
        if (field->order[i].is_usable && field->order[i].is_closed)
            ranked->members[count++] = field->order[i].member;
    while (count < ROW_MEMBERS)
        ranked->members[count++] = MEMBER_NONE;
    keep_incumbent(sight, field, old, state, ranked);
}

void row_load(const struct row *row, uint16_t members[ROW_MEMBERS])
{
    for (int i = 0; i < ROW_MEMBERS; i++) {
        uint64_t word = atomic_load_explicit(&row->words[i / 4], memory_order_relaxed);
        members[i] = (uint16_t)(word >> i % 4 * 16);
    }
}

static void row_store(struct row *row, const uint16_t members[ROW_MEMBERS])
{
    uint64_t words[ROW_MEMBERS / 4] = {0};
    for (int i = 0; i < ROW_MEMBERS; i++)
        words[i / 4] |= (uint64_t)members[i] << i % 4 * 16;
    for (int i = 0; i < ROW_MEMBERS / 4; i++)
        if (atomic_load_explicit(&row->words[i], memory_order_relaxed) != words[i])
            atomic_store_explicit(&row->words[i], words[i], memory_order_relaxed);
}

static void rank_and_store(struct director *director, const struct sight *sight, uint32_t number,
                           uint32_t group)
{
    size_t at = row_at(director, number, group);
    uint16_t old[ROW_MEMBERS];
    struct ranked ranked;
    struct lot lot = networks_lot(director, number);
    row_load(&director->rows[at], old);
    rank_row(sight, &director->field, &lot, old, &director->row_states[at], &ranked);
    row_store(&director->rows[at], ranked.members);
    director->figures.rankings++;
    director->figures.moves += ranked.is_moved;
    director->figures.held_back += ranked.is_held_back;
}

void estimate_number(struct estimate *estimate, const struct director *director,
                     const struct director_facts *facts, uint32_t number, struct director *student)
{
    if (number < director->wide_count) {
        uint32_t area = number / director->classes;
        estimate_make(estimate, director, facts, &director->areas[area], area, NULL, NULL);
    } else {
        const struct tracked_state *tracked =
            &director->tracked_states[number - director->wide_count];
        estimate_make(estimate, director, facts, &tracked->home, tracked->area, &tracked->address,
                      student);
    }
}

struct sight sight_of(const struct director *director, const struct director_facts *facts,
                      uint32_t group)
{
    const struct group *of = &director->groups[group];
    return (struct sight){director,
                          facts,
                          director->lives,
                          of,
                          &director->members[of->first],
                          &director->standings[of->first]};
}

uint32_t rank_number(struct director *director, const struct director_facts *facts, uint32_t number,
                     uint32_t *group, uint32_t budget)
{
    struct field *field = &director->field;
    uint32_t rows = number < director->wide_count ? director->classes : 1;
    estimate_number(&director->estimate, director, facts, number, *group ? NULL : director);
    uint32_t evaluated = director->estimate.work;
    for (; *group < director->group_count && evaluated < budget; ++*group) {
        struct sight sight = sight_of(director, facts, *group);
        rank_field(&sight, &director->estimate, field);
        director->figures.unfiltered += field->was_unfiltered;
        director->figures.cut_short += field->was_cut_short;
        for (uint32_t i = 0; i < rows; i++)
            rank_and_store(director, &sight, number + i, *group);
        evaluated += field->evaluated + rows * field->count / 2;
    }
    if (*group == director->group_count)
        director->ranked_ns[number] = facts->now_ns;
    return evaluated;
}
