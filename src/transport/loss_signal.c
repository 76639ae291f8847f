/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranks of the round trips beside losses. A round counts once however many losses it had: they are not independent of each other.
 */
#include "transport/loss_signal.h"

enum {
    NEIGHBOURS = 8, /* packets behind a loss of which one must have a sample */
    REFERENCES_PER_ROUND = 16,
    REFERENCES_LEAST = 8, /* to rank among */
    LOSSES_AT_ONCE = 8,   /* of one round that may speak for themselves */
    ROUNDS_FOR_CHANCE = 3,
    ROUNDS_FOR_OVERFLOW = 3,
};

#define OVERFLOW_RANK        0.73 /* half way, in deviations, between chance and overflow */
#define OVERFLOW_RANK_OF_FEW 0.85
#define CHANCE_RANK          0.65

void loss_signal_on_rtt(struct loss_signal *signal, uint64_t number, uint64_t rtt_ns,
                        uint64_t srtt_ns, uint64_t now_ns)
{
    uint32_t at = number % LOSS_SIGNAL_RECENT;
    signal->recent[at].number = number;
    signal->recent[at].rtt_ns = rtt_ns;
    if (now_ns - signal->referenced_ns < srtt_ns / REFERENCES_PER_ROUND)
        return;
    signal->referenced_ns = now_ns;
    signal->reference_ns[signal->next_reference] = rtt_ns;
    signal->next_reference = (signal->next_reference + 1) % LOSS_SIGNAL_REFERENCES;
    if (signal->references < LOSS_SIGNAL_REFERENCES)
        signal->references++;
}

/* The round trip of the first packet behind it that has a sample; 0: none. */
static uint64_t neighbour_rtt(const struct loss_signal *signal, uint64_t number)
{
    for (uint64_t next = number + 1; next <= number + NEIGHBOURS; next++) {
        uint32_t at = next % LOSS_SIGNAL_RECENT;
        if (signal->recent[at].number == next)
            return signal->recent[at].rtt_ns;
    }
    return 0;
}

void loss_signal_on_lost(struct loss_signal *signal, uint64_t number)
{
    uint64_t rtt_ns = neighbour_rtt(signal, number);
    if (rtt_ns == 0 || signal->references < REFERENCES_LEAST)
        return;
    uint32_t below = 0, equal = 0;
    for (uint32_t i = 0; i < signal->references; i++) {
        below += signal->reference_ns[i] < rtt_ns;
        equal += signal->reference_ns[i] == rtt_ns;
    }
    signal->round_sum += (below + 0.5 * equal) / signal->references;
    signal->round_count++;
}

bool loss_signal_next_round(struct loss_signal *signal)
{
    if (signal->round_count == 0)
        return false;
    double rank = signal->round_sum / signal->round_count;
    if (signal->rounds < LOSS_SIGNAL_MEMORY)
        signal->rounds++;
    signal->mean += (rank - signal->mean) / signal->rounds;
    signal->round_sum = 0;
    signal->round_count = 0;
    double least = signal->rounds < ROUNDS_FOR_OVERFLOW ? OVERFLOW_RANK_OF_FEW : OVERFLOW_RANK;
    return signal->rounds > 1 && rank > CHANCE_RANK && signal->mean > least;
}

void loss_signal_forget(struct loss_signal *signal)
{
    signal->round_sum = signal->mean = 0;
    signal->round_count = signal->rounds = 0;
}

bool loss_signal_is_overflow_now(const struct loss_signal *signal)
{
    double sum = signal->mean * signal->rounds + signal->round_sum;
    return signal->round_count >= LOSSES_AT_ONCE &&
           sum > OVERFLOW_RANK * (signal->rounds + signal->round_count);
}

bool loss_signal_is_chance(const struct loss_signal *signal)
{
    return signal->rounds >= ROUNDS_FOR_CHANCE && signal->mean < CHANCE_RANK;
}
