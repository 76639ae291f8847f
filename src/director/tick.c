/* SPDX-License-Identifier: Apache-2.0
 *
 * The tick: states and shares of all edges at once; members and rows a piece at a time, so that all are done in a round. Work is counted in
 * candidates, so that its bounds can be shown without a clock.
 */
#include "director/private.h"

enum { MEMBERS_STEP = 4096 }; /* refreshed in one tick */

static uint32_t refresh_members(struct director *director, const struct director_facts *facts,
                                uint32_t most)
{
    uint32_t done = 0;
    for (uint32_t groups = 0; groups < director->group_count && done < most; groups++) {
        if (director->next_group_members >= director->group_count)
            director->next_group_members = 0;
        struct sight sight = sight_of(director, facts, director->next_group_members++);
        for (uint32_t i = 0; i < sight.group->count; i++)
            member_refresh(&sight, sight.group->edges[i],
                           &director->members[sight.group->first + i]);
        done += sight.group->count;
    }
    return done;
}

/* How far the round should be by now. */
static uint32_t due_numbers(const struct director *director, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - director->round_started_ns + DIRECTOR_TICK_NS;
    uint64_t count = number_count(director);
    return passed_ns >= DIRECTOR_ROUND_NS ? (uint32_t)count
                                          : (uint32_t)(count * passed_ns / DIRECTOR_ROUND_NS);
}

static void start_round(struct director *director, uint64_t now_ns)
{
    director->next = director->next_group = 0;
    director->round_started_ns = now_ns;
    director->is_in_round = true;
}

static void end_round(struct director *director, uint64_t now_ns)
{
    director->is_in_round = false;
    director->figures.rounds++;
    director->figures.round_ns = now_ns - director->round_started_ns;
}

static uint32_t rank_next(struct director *director, const struct director_facts *facts,
                          uint32_t budget)
{
    bool is_wide = director->next < director->wide_count;
    uint32_t evaluated = 0;
    if (!is_wide)
        networks_ahead(director, facts, director->next);
    if (is_wide || networks_keep(director, facts, director->next))
        evaluated = rank_number(director, facts, director->next, &director->next_group, budget);
    else
        director->next_group = director->group_count;
    if (director->next_group == director->group_count) {
        director->next += is_wide ? director->classes : 1;
        director->next_group = 0;
    }
    return evaluated;
}

static uint32_t rank_due(struct director *director, const struct director_facts *facts,
                         uint32_t due, uint32_t budget)
{
    uint32_t evaluated = 0;
    while (director->next < due && evaluated < budget)
        evaluated += rank_next(director, facts, budget - evaluated);
    if (director->next < due)
        director->figures.exhausted++;
    if (director->next >= number_count(director))
        end_round(director, facts->now_ns);
    return evaluated;
}

static void update_states(struct director *director, const struct director_facts *facts)
{
    uint64_t elapsed_ns = director->ticked_ns && facts->now_ns > director->ticked_ns
                              ? facts->now_ns - director->ticked_ns
                              : 0;
    if (states_update(director, facts))
        standings_make_all(director);
    spread_update(director, facts, elapsed_ns);
    director->ticked_ns = facts->now_ns;
}

static uint32_t whole_round(struct director *director, const struct director_facts *facts)
{
    uint32_t evaluated = refresh_members(director, facts, UINT32_MAX);
    start_round(director, facts->now_ns);
    evaluated += rank_due(director, facts, number_count(director), UINT32_MAX);
    director->round_started_ns = 0; /* the next one begins at once: it takes its time */
    return evaluated + networks_sweep(director, facts, UINT32_MAX);
}

static uint32_t piece_of_round(struct director *director, const struct director_facts *facts,
                               uint32_t budget)
{
    uint32_t evaluated = refresh_members(director, facts, MEMBERS_STEP);
    if (!director->is_in_round && facts->now_ns >= director->round_started_ns + DIRECTOR_ROUND_NS)
        start_round(director, facts->now_ns);
    if (director->is_in_round && evaluated < budget)
        evaluated +=
            rank_due(director, facts, due_numbers(director, facts->now_ns), budget - evaluated);
    if (evaluated < budget)
        evaluated += networks_sweep(director, facts, budget - evaluated);
    return evaluated;
}

void director_tick(struct director *director, const struct director_facts *facts, uint32_t budget)
{
    update_states(director, facts);
    uint32_t evaluated = 0;
    if (budget == DIRECTOR_WHOLE_ROUND)
        evaluated = whole_round(director, facts);
    else if (budget)
        evaluated = piece_of_round(director, facts, budget);
    director->figures.ticks++;
    director->figures.evaluated += evaluated;
    director->figures.evaluated_last = evaluated;
}
