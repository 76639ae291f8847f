/* SPDX-License-Identifier: Apache-2.0
 *
 * Hot and cold, the rule of Prequal (Wydrowski et al., NSDI 2024): a server is hot when it has more pending than most servers
 * mostly have; of the cold ones the quickest is picked, and of hot ones alone the least pending. So latency decides while there is
 * room, and what piles up bounds it. "Mostly" is a quantile of what was seen at former picks, which are slowly forgotten.
 */
#include "balance/private.h"

enum {
    BUCKETS = 64,
    QUANTILE_PERMILLE = 840, /* 2^-0.25, as the paper has it */
    SEEN_MOST = 4096,        /* then all counts are halved */
};

struct seen {
    uint32_t counts[BUCKETS]; /* by what was pending */
    uint32_t total;
};

/* Pending requests to a bucket: exact up to 16, then four to each power of two. */
static unsigned bucket_of(uint64_t pending)
{
    if (pending < 16)
        return (unsigned)pending;
    unsigned power = 63 - (unsigned)__builtin_clzll(pending); /* from 4 */
    unsigned bucket = 16 + (power - 4) * 4 + (unsigned)(pending >> (power - 2) & 3);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* As if its weight were the usual one. */
static unsigned heat_of(const struct balance_candidate *candidate)
{
    const uint64_t usual = (uint64_t)BALANCE_WEIGHT_USUAL * BALANCE_RAMP_WHOLE;
    return bucket_of(candidate->pending * usual / balance_weight(candidate));
}

static void see(struct seen *seen, unsigned bucket)
{
    seen->counts[bucket]++;
    if (++seen->total < SEEN_MOST)
        return;
    seen->total = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        seen->total += seen->counts[i] /= 2;
}

static unsigned threshold_of(const struct seen *seen)
{
    uint64_t wanted = (uint64_t)seen->total * QUANTILE_PERMILLE / 1000, sum = 0;
    unsigned bucket = 0;
    for (; bucket + 1 < BUCKETS; bucket++) {
        sum += seen->counts[bucket];
        if (sum > wanted)
            break;
    }
    return bucket;
}

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    struct seen *seen = state;
    struct balance_least quickest = {.position = BALANCE_NONE}, least = quickest;
    uint64_t slowest_ns = balance_slowest(choice);
    for (size_t i = 0; i < choice->count; i++)
        see(seen, heat_of(balance_left(choice, i)));
    unsigned threshold = threshold_of(seen);
    for (size_t i = 0; i < choice->count; i++) {
        const struct balance_candidate *candidate = balance_left(choice, i);
        uint64_t weight = balance_weight(candidate);
        uint64_t latency_ns = candidate->latency_ns;
        if (!latency_ns && candidate->pending)
            latency_ns = slowest_ns; /* the one request that tries it is under way */
        if (heat_of(candidate) <= threshold)
            balance_least_offer(&quickest, i, latency_ns, weight, random);
        balance_least_offer(&least, i, candidate->pending, weight, random);
    }
    return choice->left[quickest.position != BALANCE_NONE ? quickest.position : least.position];
}

const struct balance_policy balance_hot_cold = {
    .name = "hot_cold",
    .help = "the quickest of those that have few pending (Prequal's rule)",
    .has_weights = true,
    .state_bytes = sizeof(struct seen),
    .pick = pick,
};
