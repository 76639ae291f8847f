/* SPDX-License-Identifier: Apache-2.0
 *
 * One ranking: the candidates of a group as seen from a number, put in order, and what of that becomes the number's row. The tick
 * and explain both come through here.
 */
#include "director/private.h"

enum {
    DEAD_IN_ROW = 3, /* where they would stand if they were alive, so that they are back at once */
    FAR_TIMES = 2,
    FAR_MS = 30,
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
        if (member == MEMBER_NONE)
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

static bool is_shed(const struct sight *sight, uint16_t member, const struct lot *lot)
{
    uint16_t edge = sight->members[member].edge;
    float share = sight->lives[edge].share;
    return share < 1 && spread_place(&sight->director->edges[edge], lot) >= share;
}

/* Copies a candidate to the order; whether it sheds the number is seen then. */
static void put_in_order(const struct sight *sight, struct field *field, uint32_t at,
                         const struct lot *lot)
{
    struct candidate *candidate = &field->order[at];
    *candidate = field->items[at];
    field->is_alike &= sight->lives[sight->members[candidate->member].edge].share >= 1;
    candidate->is_closed = is_shed(sight, candidate->member, lot);
}

static void sort_by_member(struct candidate *items, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct candidate moved = items[i];
        uint32_t k = i;
        for (; k && items[k - 1].member > moved.member; k--)
            items[k] = items[k - 1];
        items[k] = moved;
    }
}

/* A tier are those as good as the first of them. Dead ones count: tiers do not shift when an edge dies. Within a tier the scores
 * say nothing: an order that followed them would give everybody another edge with each swing. */
static void make_tiers(struct field *field)
{
    uint16_t tier = 0;
    for (uint32_t from = 0, to; from < field->count; from = to, tier++) {
        float most = spread_tier(field->items[from].score);
        for (to = from; to < field->count && (to == from || field->items[to].score <= most); to++) {
            field->items[to].tier = tier;
            if (field->is_ordered) {
                to++;
                break;
            }
        }
        if (to - from <= SMALL_GROUP)
            sort_by_member(&field->items[from], to - from);
    }
}

static uint32_t take_tier(const struct sight *sight, struct field *field, uint32_t from,
                          const struct lot *lot, double *weight)
{
    uint32_t to = from;
    *weight = 0;
    for (; to < field->count && field->items[to].tier == field->items[from].tier; to++) {
        put_in_order(sight, field, to, lot);
        uint16_t edge = sight->members[field->items[to].member].edge;
        *weight += (double)sight->director->edges[edge].capacity;
    }
    return to - from;
}

void rank_order(const struct sight *sight, struct field *field, const struct lot *lot,
                uint32_t need)
{
    if (!field->is_sorted) {
        policy_sort(field);
        make_tiers(field);
    }
    field->is_sorted = field->is_alike = true;
    field->order_count = 0;
    uint32_t good = 0;
    while (field->order_count < field->count && good < need) {
        double weight, order = (double)lot->order;
        uint32_t tier = take_tier(sight, field, field->order_count, lot, &weight);
        field->is_alike &= tier == 1;
        for (; tier && good < need; tier--) {
            struct candidate *next = &field->order[field->order_count++];
            if (tier > 1)
                spread_pick(sight, next, tier, &order, &weight);
            good += next->is_usable && !next->is_closed;
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

static uint16_t first_usable(const struct sight *sight, const uint16_t places[ROW_MEMBERS])
{
    for (int i = 0; i < ROW_MEMBERS && places[i] != MEMBER_NONE; i++) {
        uint16_t member = row_member(places[i]);
        if (member < sight->group->count && is_usable(sight, member))
            return member;
    }
    return MEMBER_NONE;
}

static void put_first(const struct sight *sight, struct ranked *ranked,
                      const struct candidate *first)
{
    uint16_t *members = ranked->members;
    int to = 0, from = 0;
    while (to < ROW_MEMBERS - 1 && members[to] != MEMBER_NONE && !is_usable(sight, members[to]))
        to++;
    while (from < ROW_MEMBERS - 1 && members[from] != first->member)
        from++;
    if (from < to)
        return;
    memmove(&members[to + 1], &members[to], (size_t)(from - to) * sizeof *members);
    memmove(&ranked->scores[to + 1], &ranked->scores[to],
            (size_t)(from - to) * sizeof *ranked->scores);
    members[to] = first->member;
    ranked->scores[to] = first->score;
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
        state->challenger = challenger->member;
        state->since_ds = now_ds;
        return true;
    }
    return (uint16_t)(now_ds - state->since_ds) < sight->director->tuning.patience_ms / 100;
}

/* An incumbent that sheds this number, that was filtered or died goes at once. */
static void keep_incumbent(const struct sight *sight, const struct field *field,
                           const struct lot *lot, const uint16_t old[ROW_MEMBERS],
                           struct row_state *state, struct ranked *ranked)
{
    uint16_t first = first_usable(sight, ranked->members);
    uint16_t incumbent = ranked->incumbent = first_usable(sight, old);
    if (incumbent == MEMBER_NONE || incumbent == first || first == MEMBER_NONE) {
        state->challenger = MEMBER_NONE;
        return;
    }
    const struct candidate *now = find(field, incumbent), *better = find(field, first);
    bool is_closed = is_shed(sight, incumbent, lot);
    bool is_back = first == state->shed; /* nothing but its load had spoken against it */
    if (now && !is_closed && !is_back && has_to_stay(sight, now, better, state)) {
        put_first(sight, ranked, now);
        ranked->is_held_back = true;
    } else {
        ranked->is_moved = true;
        state->challenger = MEMBER_NONE;
        state->shed = is_closed ? incumbent : (uint16_t)MEMBER_NONE;
    }
}

/* ---- rows ---- */

/* Beyond an ocean nobody is better off, whoever is nearer. */
static bool is_far(float score, float nearer)
{
    return score > nearer * FAR_TIMES + FAR_MS;
}

static int put(struct ranked *ranked, int count, const struct candidate *candidate)
{
    ranked->members[count] = candidate->member;
    ranked->scores[count] = candidate->score;
    return count + 1;
}

/* Those that shed the number stand behind the open ones, but before any that is much farther, which `score` is. Of the order, up
 * to `end`. */
static int put_closed(const struct field *field, uint32_t *next, uint32_t end, float score,
                      struct ranked *ranked, int count)
{
    for (; *next < end && count < ROW_MEMBERS; ++*next) {
        const struct candidate *candidate = &field->order[*next];
        if (!candidate->is_usable || !candidate->is_closed)
            continue;
        if (!is_far(score, candidate->score))
            break;
        count = put(ranked, count, candidate);
    }
    return count;
}

/* An answer has as few of these as it can: resolvers take turns among all that they are given. */
static void mark_far(const struct sight *sight, struct ranked *ranked)
{
    int first = 0;
    while (first < ROW_MEMBERS && ranked->members[first] != MEMBER_NONE &&
           !is_usable(sight, ranked->members[first]))
        first++;
    for (int i = 0; i < ROW_MEMBERS && first < ROW_MEMBERS && ranked->members[i] != MEMBER_NONE;
         i++)
        if (is_far(ranked->scores[i], ranked->scores[first]))
            ranked->members[i] |= MEMBER_FAR;
}

void rank_row(const struct sight *sight, struct field *field, const struct lot *lot,
              const uint16_t old[ROW_MEMBERS], struct row_state *state, struct ranked *ranked)
{
    rank_order(sight, field, lot, ROW_MEMBERS);
    *ranked = (struct ranked){.incumbent = MEMBER_NONE};
    int count = 0, dead = 0;
    uint32_t closed = 0;
    for (uint32_t i = 0; i < field->order_count && count < ROW_MEMBERS; i++) {
        const struct candidate *candidate = &field->order[i];
        if (candidate->is_usable && candidate->is_closed)
            continue;
        if (candidate->is_usable)
            count = put_closed(field, &closed, i, candidate->score, ranked, count);
        if (count < ROW_MEMBERS && (candidate->is_usable || dead++ < DEAD_IN_ROW))
            count = put(ranked, count, candidate);
    }
    count = put_closed(field, &closed, field->order_count, INFINITY, ranked, count);
    while (count < ROW_MEMBERS)
        ranked->members[count++] = MEMBER_NONE;
    keep_incumbent(sight, field, lot, old, state, ranked);
    mark_far(sight, ranked);
}

void row_load(const struct row *row, uint16_t places[ROW_MEMBERS])
{
    for (int i = 0; i < ROW_MEMBERS; i++) {
        uint64_t word = atomic_load_explicit(&row->words[i / 4], memory_order_relaxed);
        places[i] = (uint16_t)(word >> i % 4 * 16);
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

/* One row, and what came of it. */
struct outcome {
    uint16_t old[ROW_MEMBERS];
    struct row_state before, after;
    struct ranked ranked;
    bool is_alike; /* other rows with the same past come to the same */
};

static bool is_same_past(const struct outcome *outcome, const uint16_t old[ROW_MEMBERS],
                         const struct row_state *state)
{
    return outcome->is_alike && memcmp(outcome->old, old, sizeof outcome->old) == 0 &&
           outcome->before.challenger == state->challenger &&
           outcome->before.since_ds == state->since_ds && outcome->before.shed == state->shed;
}

static void rank_and_store(struct director *director, const struct sight *sight, uint32_t number,
                           uint32_t group, struct outcome *outcome)
{
    size_t at = row_at(director, number, group);
    struct row_state *state = &director->row_states[at];
    uint16_t old[ROW_MEMBERS];
    row_load(&director->rows[at], old);
    if (!is_same_past(outcome, old, state)) {
        struct lot lot = networks_lot(director, number);
        memcpy(outcome->old, old, sizeof old);
        outcome->before = outcome->after = *state;
        rank_row(sight, &director->field, &lot, old, &outcome->after, &outcome->ranked);
        outcome->is_alike = director->field.is_alike;
    }
    *state = outcome->after;
    row_store(&director->rows[at], outcome->ranked.members);
    director->figures.rankings++;
    director->figures.moves += outcome->ranked.is_moved;
    director->figures.held_back += outcome->ranked.is_held_back;
}

void estimate_number(struct estimate *estimate, const struct director *director,
                     const struct director_facts *facts, uint32_t number, struct director *student)
{
    struct lot lot = networks_lot(director, number);
    if (number < director->wide_count) {
        uint32_t area = number / director->classes;
        estimate_make(estimate, director, facts, &director->areas[area], area, NULL, &lot, NULL);
    } else {
        const struct tracked_state *tracked =
            &director->tracked_states[number - director->wide_count];
        estimate_make(estimate, director, facts, &tracked->home, tracked->area, &tracked->address,
                      &lot, student);
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

/* Classes of an area differ in their lots alone, but where a large group has more equally near edges than anybody looks at. */
static uint32_t rank_group(struct director *director, const struct sight *sight, uint32_t number,
                           uint32_t group)
{
    struct field *field = &director->field;
    struct estimate *estimate = &director->estimate;
    uint32_t rows = number < director->wide_count ? director->classes : 1, evaluated = 0;
    bool is_cut =
        sight->group->member_of && estimate->near_count + estimate->tie_count > SHORTLIST_MOST;
    struct outcome outcome = {.is_alike = false};
    for (uint32_t i = 0; i < rows; i++) {
        if (i == 0 || is_cut) {
            struct lot lot = networks_lot(director, number + i);
            if (rows > 1)
                estimate_choose(estimate, &lot);
            rank_field(sight, estimate, field);
            director->figures.unfiltered += field->was_unfiltered;
            director->figures.cut_short += field->was_cut_short;
            evaluated += field->evaluated;
            outcome.is_alike = false;
        }
        evaluated += outcome.is_alike ? 0 : field->count / 4;
        rank_and_store(director, sight, number + i, group, &outcome);
    }
    return evaluated + rows / 8;
}

uint32_t rank_number(struct director *director, const struct director_facts *facts, uint32_t number,
                     uint32_t *group, uint32_t budget)
{
    estimate_number(&director->estimate, director, facts, number, *group ? NULL : director);
    uint32_t evaluated = director->estimate.work;
    for (; *group < director->group_count && evaluated < budget; ++*group) {
        struct sight sight = sight_of(director, facts, *group);
        evaluated += rank_group(director, &sight, number, *group);
    }
    if (*group == director->group_count)
        director->ranked_ns[number] = facts->now_ns;
    return evaluated;
}
