/* SPDX-License-Identifier: Apache-2.0
 *
 * Spreading (R6): which of equally good edges a client takes, and how an edge that fills up gives clients away, no more than needed
 * and always the same ones first.
 *
 * Each edge has a share of its clients. At a load of `spread_from` it would be 1, at LOAD_FULL 0, linearly between. Loads follow answers only
 * after `settle_s`, so this rule taken alone would swing. Instead the natural load, with all clients, is reckoned from
 * the present one and the share that shows in it by now; for a natural load n there is one share s at which the rule is in
 * balance (load n*s wants share s), and the share goes there.
 */
#include "director/private.h"

static const float share_least = 0.02f; /* below, nothing could be learned of the natural load */
static const float fall_per_s = 0.05f, rise_per_s = 0.005f;
static const float smooth_s = 15;

/* s = (FULL - n*s) / (FULL - from), within its bounds. */
static float balanced_share(float natural, float from)
{
    return fmaxf(share_least, fminf(1, LOAD_FULL / (natural + LOAD_FULL - from)));
}

static float move_to(float from, float to, float fall, float rise)
{
    return fmaxf(from - fall, fminf(from + rise, to));
}

static void update(struct life *life, uint16_t reported, const struct director_tuning *tuning,
                   float passed_s)
{
    if (reported == LOAD_UNKNOWN) {
        life->load = NAN;
        life->share = move_to(life->share, 1, 0, rise_per_s * passed_s);
        return;
    }
    float load = (float)reported;
    life->load = isnan(life->load)
                     ? load
                     : life->load + (load - life->load) * passed_s / (passed_s + smooth_s);
    float natural = load / fmaxf(life->effect, share_least);
    float wanted = balanced_share(natural, (float)tuning->spread_from);
    life->share = move_to(life->share, wanted, fall_per_s * passed_s, rise_per_s * passed_s);
    /* A full edge is in no answer, whatever its share. */
    life->effect += ((life->is_full ? 0 : life->share) - life->effect) * passed_s /
                    (passed_s + (float)tuning->settle_s);
}

void spread_update(struct director *director, const struct director_facts *facts,
                   uint64_t elapsed_ns)
{
    float passed_s = fminf((float)elapsed_ns / 1e9f, 10);
    for (uint32_t i = 0; i < director->edge_count; i++)
        update(&director->lives[i], facts->edges[i].load.load, &director->tuning, passed_s);
}

/* With equal weights this reads `order` as a number in factorial base: who is left keeps its place when another one
 * is gone from the answers, since it is not gone from the order. */
void spread_pick(const struct sight *sight, struct candidate *equal, uint32_t count, double *order,
                 double *weight)
{
    const struct edge *edges = sight->director->edges;
    double at = *order * *weight, own = 0;
    uint32_t pick = 0;
    for (; pick < count; pick++) {
        own = (double)edges[sight->members[equal[pick].member].edge].capacity;
        if (at < own || pick == count - 1)
            break;
        at -= own;
    }
    struct candidate picked = equal[pick];
    memmove(&equal[1], &equal[0], pick * sizeof *equal);
    equal[0] = picked;
    *weight -= own;
    *order = fmin(at / own, 0.999999999);
}
