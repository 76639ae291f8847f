/* SPDX-License-Identifier: Apache-2.0
 *
 * What the answers take an edge for (R8): its state as reported, full by its load, out for a while when it comes and goes
 * too often (as RFC 2439 damps routes). And how each group may use it: some of a site's edges stay in use whatever health
 * checks find, since a check that is wrong everywhere must not take a site away.
 */
#include "director/private.h"

static const float flap_penalty = 1000, damp_again_below = 1000, flaps_most = 6000;
static const float flap_half_life_s = 60;
enum { FULL_UNTIL = LOAD_FULL - 50 }; /* a full edge stays full until its load falls below */

/* ---- edges ---- */

static uint64_t elapsed_ns(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? to_ns - from_ns : 0;
}

static bool is_serving(enum director_state state)
{
    return state <= DIRECTOR_DRAINING;
}

/* One that was only presumed to live has not died: edges that start after the director would be damped early. */
static bool has_died(const struct life *life, enum director_state reported)
{
    return life->is_known && !life->was_presumed && is_serving(life->reported) &&
           reported == DIRECTOR_DEAD;
}

static void damp(struct director *director, struct life *life, enum director_state reported,
                 uint64_t now_ns)
{
    float passed_s = (float)elapsed_ns(director->ticked_ns, now_ns) / 1e9f;
    if (life->flaps > 0)
        life->flaps *= exp2f(-passed_s / flap_half_life_s);
    if (life->flaps < 1)
        life->flaps = 0;
    if (has_died(life, reported)) {
        life->flaps = fminf(life->flaps + flap_penalty, flaps_most);
        life->died_ns = now_ns;
    }
    if (!life->is_damped && life->flaps > DIRECTOR_DAMP_ABOVE) {
        life->is_damped = true;
        director->figures.suppressed++;
    } else if (life->flaps < damp_again_below) {
        life->is_damped = false;
    }
}

static void fill(struct life *life, uint16_t load)
{
    if (load == LOAD_UNKNOWN)
        life->is_full = false;
    else
        life->is_full = load >= (life->is_full ? FULL_UNTIL : LOAD_FULL);
}

static enum director_state state_of(const struct life *life, enum director_state reported)
{
    if (life->is_damped && reported < DIRECTOR_DRAINING)
        return DIRECTOR_DRAINING;
    return reported == DIRECTOR_UP && life->is_full ? DIRECTOR_FULL : reported;
}

bool states_update(struct director *director, const struct director_facts *facts)
{
    bool has_changed = false;
    for (uint32_t i = 0; i < director->edge_count; i++) {
        struct life *life = &director->lives[i];
        enum director_state reported = facts->edges[i].state;
        damp(director, life, reported, facts->now_ns);
        fill(life, facts->edges[i].load.load);
        enum director_state state = state_of(life, reported);
        has_changed |= !life->is_known || state != life->state;
        life->reported = reported;
        life->was_presumed = facts->edges[i].is_presumed;
        life->state = state;
        life->is_known = true;
    }
    return has_changed;
}

void states_suppose(struct life *life, const struct director_what_if *what_if)
{
    if (what_if->has_load) {
        life->load = what_if->load;
        life->is_full = what_if->load >= LOAD_FULL;
    }
    if (what_if->has_state) {
        life->reported = what_if->state;
        life->is_damped = false;
    }
    life->state = state_of(life, life->reported);
}

/* ---- groups ---- */

static void set(_Atomic uint8_t *standing, enum standing value)
{
    atomic_store_explicit(standing, (uint8_t)value, memory_order_relaxed);
}

static enum director_state best_state(const struct group *group, const struct life *lives)
{
    enum director_state best = DIRECTOR_DOWN;
    for (uint32_t i = 0; i < group->count; i++)
        if (lives[group->edges[i]].state < best)
            best = lives[group->edges[i]].state;
    return best;
}

/* The one that is out but was so for the least time; draining ones before dead ones. */
static uint32_t least_bad(const struct group *group, const struct life *lives,
                          const _Atomic uint8_t *standings)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct life *life = &lives[group->edges[i]];
        if (standings[i] != STANDING_OUT || life->state == DIRECTOR_DOWN)
            continue;
        const struct life *than = best == UINT32_MAX ? NULL : &lives[group->edges[best]];
        if (!than || life->state < than->state ||
            (life->state == than->state && life->died_ns > than->died_ns))
            best = i;
    }
    return best;
}

/* Up to the floor, behind all others: their addresses stand where few good ones are left. */
static void pardon(const struct group *group, const struct life *lives, uint32_t used,
                   uint32_t could, _Atomic uint8_t *standings)
{
    uint32_t floor = (could * group->floor_percent + 99) / 100;
    for (; used < floor; used++)
        set(&standings[least_bad(group, lives, standings)], STANDING_FULL);
}

bool standings_make(const struct group *group, const struct life *lives, _Atomic uint8_t *standings)
{
    enum director_state best = best_state(group, lives);
    uint32_t used = 0, could = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        enum director_state state = lives[group->edges[i]].state;
        could += state != DIRECTOR_DOWN;
        enum standing standing = STANDING_OUT;
        if (state == DIRECTOR_UP)
            standing = STANDING_GOOD;
        else if (state == DIRECTOR_FULL)
            standing = best == DIRECTOR_FULL ? STANDING_GOOD : STANDING_FULL;
        else if (state == best && state != DIRECTOR_DOWN &&
                 !(state == DIRECTOR_DEAD && group->fails_closed))
            standing = STANDING_GOOD;
        set(&standings[i], standing);
        used += standing != STANDING_OUT;
    }
    if (used)
        pardon(group, lives, used, could, standings);
    return best <= DIRECTOR_FULL;
}

void standings_make_all(struct director *director)
{
    director->figures.forsaken = 0;
    for (uint32_t i = 0; i < director->group_count; i++) {
        const struct group *group = &director->groups[i];
        if (!standings_make(group, director->lives, &director->standings[group->first]))
            director->figures.forsaken += group->sites;
    }
}
