/* SPDX-License-Identifier: Apache-2.0
 *
 * Weighted round robin, evenly mixed: weights 5, 1, 1 give a a b a c a a, not a a a a a b c (the smooth method of nginx and
 * LVS). Each pick every server gains its weight, the one with the most is picked and pays what all gained. What a server has
 * gained is kept by identity, so that one that comes, goes or moves in the list does not disturb the others.
 */
#include "balance/private.h"

#include <string.h>

struct gained {
    uint64_t identity;
    int64_t credit;
};

struct mix {
    struct gained list[BALANCE_CANDIDATES_MOST]; /* by index of the candidate */
};

static struct gained *find(struct mix *mix, size_t index, uint64_t identity)
{
    struct gained *mine = &mix->list[index];
    if (mine->identity == identity)
        return mine;
    for (size_t i = 0; i < BALANCE_CANDIDATES_MOST; i++)
        if (mix->list[i].identity == identity) { /* it had another place */
            struct gained moved = mix->list[i];
            mix->list[i] = *mine;
            *mine = moved;
            return mine;
        }
    *mine = (struct gained){.identity = identity};
    return mine;
}

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    struct mix *mix = state;
    struct gained *best = NULL;
    size_t picked = 0;
    int64_t total = 0;
    (void)random;
    for (size_t i = 0; i < choice->count; i++) {
        const struct balance_candidate *candidate = balance_left(choice, i);
        struct gained *gained = find(mix, choice->left[i], candidate->identity);
        int64_t weight = (int64_t)balance_weight(candidate);
        gained->credit += weight;
        total += weight;
        if (!best || gained->credit > best->credit) {
            best = gained;
            picked = choice->left[i];
        }
    }
    INVARIANT(best);
    best->credit -= total;
    return picked;
}

const struct balance_policy balance_weighted = {
    .name = "weighted",
    .help = "in turn by weight, evenly mixed",
    .has_weights = true,
    .state_bytes = sizeof(struct mix),
    .pick = pick,
};
