/* SPDX-License-Identifier: Apache-2.0
 *
 * How policies compare: the least cost for its weight, ties by weight; and draws by weight.
 */
#include "balance/private.h"

void balance_least_offer(struct balance_least *least, size_t position, uint64_t cost,
                         uint64_t weight, struct random *random)
{
    unsigned __int128 mine = (unsigned __int128)cost * least->weight;
    unsigned __int128 best = (unsigned __int128)least->cost * weight;
    if (least->position != BALANCE_NONE && mine > best)
        return;
    if (least->position == BALANCE_NONE || mine < best) {
        *least = (struct balance_least){position, cost, weight, weight};
        return;
    }
    least->ties += weight;
    if (random_below(random, least->ties) < weight) {
        least->position = position;
        least->cost = cost;
        least->weight = weight;
    }
}

size_t balance_draw(const struct balance_choice *choice, size_t except, struct random *random)
{
    uint64_t total = 0;
    size_t drawn = except;
    for (size_t i = 0; i < choice->count; i++) {
        if (i == except)
            continue;
        uint64_t weight = balance_weight(balance_left(choice, i));
        total += weight;
        if (random_below(random, total) < weight)
            drawn = i;
    }
    return drawn;
}

uint64_t balance_slowest(const struct balance_choice *choice)
{
    uint64_t slowest = 1;
    for (size_t i = 0; i < choice->count; i++)
        if (balance_left(choice, i)->latency_ns > slowest)
            slowest = balance_left(choice, i)->latency_ns;
    return slowest;
}
