/* SPDX-License-Identifier: Apache-2.0
 *
 * Explanations: a ranking made once more, by the same functions, from the same facts or from suppositions, with everything kept.
 */
#include "director/private.h"

#include "base/memory.h"

#include <stdlib.h>

static const char *const sources[] = {
#define X(name, text) text,
    DIRECTOR_SOURCE_LIST(X)
#undef X
};
static const char *const fates[] = {
#define X(name, text) text,
    DIRECTOR_FATE_LIST(X)
#undef X
};

const char *director_state_text(enum director_state state)
{
    static const char *const words[DIRECTOR_STATES] = {"up", "full", "draining", "dead", "down"};
    return words[state];
}

const char *director_source_text(enum director_source source)
{
    return sources[source];
}

const char *director_fate_text(enum director_fate fate)
{
    return fates[fate];
}

/* All that is supposed, beside what is. */
struct supposition {
    struct life *lives;
    struct member *members;
    _Atomic uint8_t *standings;
    struct director_node_facts *edges;
    struct director_facts facts;
    struct sight sight;
    struct estimate estimate;
    struct field field;
    bool is_forsaken;
};

static void suppose_begin(struct supposition *suppose, const struct director *director,
                          const struct director_facts *facts, const struct group *group,
                          const struct director_supposition *supposed)
{
    uint32_t edges = director->edge_count;
    *suppose = (struct supposition){.lives = memory_raw(edges * sizeof *suppose->lives),
                                    .members = memory_new(group->count * sizeof *suppose->members),
                                    .standings = memory_new(group->count),
                                    .edges = memory_raw(edges * sizeof *suppose->edges),
                                    .facts = *facts};
    if (edges) {
        memcpy(suppose->lives, director->lives, edges * sizeof *suppose->lives);
        memcpy(suppose->edges, facts->edges, edges * sizeof *suppose->edges);
    }
    for (size_t i = 0; i < supposed->count; i++) {
        const struct director_what_if *what_if = &supposed->what_ifs[i];
        if (what_if->edge >= edges)
            continue;
        states_suppose(&suppose->lives[what_if->edge], what_if);
        suppose->edges[what_if->edge].state = suppose->lives[what_if->edge].reported;
        if (what_if->has_load)
            suppose->edges[what_if->edge].load.load = what_if->load;
    }
    suppose->facts.edges = suppose->edges;
    suppose->is_forsaken = !standings_make(group, suppose->lives, suppose->standings);
    suppose->sight = (struct sight){director, &suppose->facts,  suppose->lives,
                                    group,    suppose->members, suppose->standings};
    for (uint32_t i = 0; i < group->count; i++)
        member_refresh(&suppose->sight, group->edges[i], &suppose->members[i]);
    estimate_init(&suppose->estimate, director);
    suppose->field.items = memory_new(edges * sizeof(struct candidate));
    suppose->field.order = memory_new(edges * sizeof(struct candidate));
}

static void suppose_end(struct supposition *suppose)
{
    memory_free(suppose->lives);
    memory_free(suppose->members);
    memory_free(suppose->standings);
    memory_free(suppose->edges);
    memory_free(suppose->field.items);
    memory_free(suppose->field.order);
    estimate_clear(&suppose->estimate);
}

/* ---- candidates ---- */

static void explain_values(const struct supposition *suppose, struct director_candidate *out)
{
    const struct director_policy *policy = suppose->sight.group->policy;
    const struct channel channel = {&suppose->sight, out->edge, out->gateway, &suppose->estimate};
    for (int i = 0; i < DIRECTOR_COMPONENTS; i++) {
        out->values[i] = component_explain(&channel, (enum director_component)i);
        for (int k = 0; k < policy->step_count; k++) {
            const struct director_step *step = &policy->steps[k];
            float penalty = out->values[i].penalty_ms, weight = step->weights[i];
            if (step->kind == DIRECTOR_STEP_SUM)
                out->values[i].weighted = penalty * weight;
            else if (step->kind == DIRECTOR_STEP_PRODUCT)
                out->values[i].weighted = powf(1 + penalty, weight);
        }
    }
}

static enum director_fate fate_of_state(const struct life *life)
{
    if (life->is_damped && life->reported < DIRECTOR_DRAINING)
        return DIRECTOR_FATE_DAMPED;
    switch (life->state) {
    case DIRECTOR_UP:
    case DIRECTOR_STATES:
        break;
    case DIRECTOR_FULL:
        return DIRECTOR_FATE_FULL;
    case DIRECTOR_DRAINING:
        return DIRECTOR_FATE_DRAINING;
    case DIRECTOR_DEAD:
        return DIRECTOR_FATE_DEAD;
    case DIRECTOR_DOWN:
        return DIRECTOR_FATE_DOWN;
    }
    return DIRECTOR_FATE_BEHIND;
}

static enum director_fate fate_of(const struct supposition *suppose, const struct candidate *found,
                                  const struct life *life, struct director_candidate *out)
{
    const struct director_policy *policy = suppose->sight.group->policy;
    if (!found)
        return life->state == DIRECTOR_DOWN ? DIRECTOR_FATE_DOWN : DIRECTOR_FATE_UNSEEN;
    if (found->dropped == CANDIDATE_UNSEEN)
        return DIRECTOR_FATE_UNSEEN;
    if (found->dropped) {
        out->filter = (uint8_t)(found->dropped - 1);
        return policy->steps[out->filter].kind == DIRECTOR_STEP_TAKE ? DIRECTOR_FATE_CUT
                                                                     : DIRECTOR_FATE_FILTERED;
    }
    enum director_fate fate = fate_of_state(life);
    return fate == DIRECTOR_FATE_BEHIND && found->is_closed ? DIRECTOR_FATE_SHED : fate;
}

static void explain_candidate(const struct supposition *suppose, const struct lot *lot,
                              uint16_t number, const struct candidate *found,
                              struct director_candidate *out)
{
    const struct sight *sight = &suppose->sight;
    const struct member *member = &sight->members[number];
    const struct life *life = &sight->lives[member->edge];
    bool is_scored = found && !found->dropped;
    *out = (struct director_candidate){
        .edge = member->edge,
        .gateway = member->gateway == MEMBER_NONE ? (uint32_t)DIRECTOR_NONE : member->gateway,
        .state = life->reported,
        .is_pardoned = life->state > DIRECTOR_FULL && sight->standings[number] != STANDING_OUT,
        .score = is_scored ? found->score : NAN,
        .share = life->share,
        .place = spread_place(&sight->director->edges[member->edge], lot),
        .flaps = life->flaps,
    };
    out->fate = fate_of(suppose, found, life, out);
    explain_values(suppose, out);
}

static void explain_candidates(struct supposition *suppose, const struct lot *lot,
                               struct director_explanation *out)
{
    const struct group *group = suppose->sight.group;
    const struct field *field = &suppose->field;
    bool *is_told = memory_new(group->count);
    out->candidates = memory_new(group->count * sizeof *out->candidates);
    for (uint32_t i = 0; i < field->order_count + field->all - field->count; i++) {
        const struct candidate *found = i < field->order_count
                                            ? &field->order[i]
                                            : &field->items[field->count + i - field->order_count];
        is_told[found->member] = true;
        explain_candidate(suppose, lot, found->member, found,
                          &out->candidates[out->candidate_count++]);
    }
    for (uint16_t i = 0; i < group->count; i++)
        if (!is_told[i])
            explain_candidate(suppose, lot, i, NULL, &out->candidates[out->candidate_count++]);
    memory_free(is_told);
}

/* ---- the answer ---- */

static uint32_t edge_of(const struct group *group, uint16_t member)
{
    return member == MEMBER_NONE ? (uint32_t)DIRECTOR_NONE : group->edges[member];
}

/* What is answered comes first, in the order of the answer. */
static void mark_answered(struct director_explanation *out)
{
    for (size_t i = 0; i < out->answered_count; i++) {
        size_t at = i;
        while (at < out->candidate_count && out->candidates[at].edge != out->answered[i])
            at++;
        if (at == out->candidate_count)
            continue;
        struct director_candidate moved = out->candidates[at];
        moved.fate = DIRECTOR_FATE_ANSWERED;
        memmove(&out->candidates[i + 1], &out->candidates[i], (at - i) * sizeof moved);
        out->candidates[i] = moved;
    }
}

/* Suppositions are answered by the row that would come of them. */
static void explain_answer(struct supposition *suppose, uint32_t number, bool is_supposed,
                           struct director_explanation *out)
{
    const struct director *director = suppose->sight.director;
    const struct group *group = suppose->sight.group;
    size_t at = row_at(director, number, director->sites[out->site].group);
    struct row_state state = director->row_states[at];
    struct lot lot = networks_lot(director, number);
    struct ranked ranked;
    uint16_t now[ROW_MEMBERS], none[ROW_MEMBERS];
    memset(none, 0xff, sizeof none);
    row_load(&director->rows[at], now);
    uint64_t ranked_ns =
        director->ranked_ns[number < director->wide_count ? number - number % director->classes
                                                          : number];
    rank_row(&suppose->sight, &suppose->field, &lot, is_supposed ? none : now, &state, &ranked);
    out->incumbent = edge_of(group, ranked.incumbent);
    out->challenger = edge_of(group, state.challenger);
    uint16_t now_ds = (uint16_t)(suppose->facts.now_ns / 100000000);
    if (state.challenger != MEMBER_NONE)
        out->waiting_ns = (uint64_t)(uint16_t)(now_ds - state.since_ds) * 100000000;
    out->margin_ms =
        suppose->field.order_count ? rank_margin_ms(director, suppose->field.order[0].score) : 0;
    out->ranked_age_ns = suppose->facts.now_ns > ranked_ns ? suppose->facts.now_ns - ranked_ns : 0;
    out->answered_count = find_edges(&suppose->sight, out->answers, number,
                                     is_supposed ? ranked.members : now, out->answered);
}

static void explain_client(const struct director *director, const struct address *client,
                           uint32_t number, struct director_explanation *out)
{
    out->network = latency_network(client);
    out->is_measured = number >= director->wide_count;
    out->place = maps_find(director->maps, client, NULL);
    out->area = director->area_of_place[out->place];
    out->region = director->areas[out->area].region;
    out->class = networks_class(director, client);
}

struct director_explanation *director_explain(const struct director *director,
                                              const struct director_facts *facts, uint32_t site,
                                              const struct address *client,
                                              const struct director_supposition *supposed)
{
    if (site >= director->site_count)
        return NULL;
    static const struct director_supposition nothing = {0};
    if (!supposed)
        supposed = &nothing;
    struct group group = director->groups[director->sites[site].group];
    if (supposed->policy)
        group.policy = supposed->policy;
    uint32_t number = networks_number(director, client, address_bits(client), NULL);
    struct lot lot = networks_lot(director, number);
    struct director_explanation *out = NEW(struct director_explanation);
    struct supposition suppose;
    suppose_begin(&suppose, director, facts, &group, supposed);
    estimate_number(&suppose.estimate, director, &suppose.facts, number, NULL);
    out->site = site;
    out->policy = *group.policy;
    out->ttl_s = director->sites[site].ttl_s;
    out->answers = director->sites[site].answers;
    out->scope_bits = group.count < 2 ? 0 : out->network.bits;
    out->is_forsaken = suppose.is_forsaken;
    explain_client(director, client, number, out);
    rank_field(&suppose.sight, &suppose.estimate, &suppose.field);
    out->evaluated = suppose.field.evaluated;
    out->was_cut_short = suppose.field.was_cut_short;
    out->was_unfiltered = suppose.field.was_unfiltered;
    explain_answer(&suppose, number, supposed->count || supposed->policy, out);
    rank_order(&suppose.sight, &suppose.field, &lot, UINT32_MAX);
    explain_candidates(&suppose, &lot, out);
    mark_answered(out);
    suppose_end(&suppose);
    return out;
}

void director_explanation_free(struct director_explanation *explanation)
{
    if (!explanation)
        return;
    memory_free(explanation->candidates);
    memory_free(explanation);
}
