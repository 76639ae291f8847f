/* SPDX-License-Identifier: Apache-2.0
 *
 * Consistent hash with bounded load: the same key goes to the same server, and a server that comes or goes moves only the keys that
 * become or were its own. Rendezvous hashing (Thaler and Ravishankar 1998), weighted by -weight / ln(hash); bounded as Mirrokni,
 * Thorup and Zadimoghaddam (2018) do: a server with 5/4 of its share of what is pending passes its keys on to their next choice,
 * as a full one does. A request without a key goes to the less pending of two.
 */
#include "balance/private.h"

#include <math.h>

static uint64_t mix(uint64_t key, uint64_t identity)
{
    uint64_t x =
        key ^
        identity; /* the finish of splitmix64, twice: keys and identities are hashes already */
    for (int i = 0; i < 2; i++) {
        x += 0x9e3779b97f4a7c15ull;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
        x = (x ^ x >> 27) * 0x94d049bb133111ebull;
        x ^= x >> 31;
    }
    return x;
}

static double score_of(const struct balance_candidate *candidate, uint64_t key)
{
    double unit = ((double)(mix(key, candidate->identity) >> 11) + 0.5) * 0x1p-53;
    return -(double)balance_weight(candidate) / log(unit);
}

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    if (!choice->question->has_key)
        return balance_two_choices.pick(state, choice, random);
    uint64_t pending = 1, weights = 0;
    for (size_t i = 0; i < choice->count; i++) {
        pending += balance_left(choice, i)->pending;
        weights += balance_weight(balance_left(choice, i));
    }
    size_t best = BALANCE_NONE;
    double best_score = 0;
    for (size_t i = 0; i < choice->count; i++) {
        const struct balance_candidate *candidate = balance_left(choice, i);
        /* Room for one more below ceil(5/4 x share): pending < that. Somebody always has it. */
        uint64_t share = pending * balance_weight(candidate) * 5;
        if ((uint64_t)candidate->pending * 4 * weights >= share)
            continue;
        double score = score_of(candidate, choice->question->key);
        if (best == BALANCE_NONE || score > best_score) {
            best = i;
            best_score = score;
        }
    }
    INVARIANT(best != BALANCE_NONE);
    return choice->left[best];
}

const struct balance_policy balance_hash = {
    .name = "hash",
    .help = "the same key to the same server, while that has no more than 5/4 of its share",
    .has_weights = true,
    .pick = pick,
};
