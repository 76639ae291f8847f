/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of policies, and who is left to choose among.
 */
#include "balance/private.h"

#include "base/hash.h"

#include <string.h>

const struct balance_policy *balance_policy_of(enum balance_policy_kind kind)
{
    static const struct balance_policy *const policies[] = {
#define X(kind, name) &balance_##name,
        BALANCE_POLICY_LIST(X)
#undef X
    };
    INVARIANT(kind < BALANCE_POLICIES);
    return policies[kind];
}

const struct balance_policy *balance_find(const char *name)
{
    for (unsigned i = 0; i < BALANCE_POLICIES; i++) {
        const struct balance_policy *policy = balance_policy_of((enum balance_policy_kind)i);
        if (strcmp(policy->name, name) == 0)
            return policy;
    }
    return NULL;
}

uint64_t balance_identity(struct span name)
{
    enum { SEED = 0x6f726967 }; /* any, but the same in every node and release */
    uint64_t identity = hash_span(name, SEED);
    return identity ? identity : 1;
}

/* ---- who is left */

static bool is_full(const struct balance_candidate *candidate)
{
    return candidate->limit && candidate->pending >= candidate->limit;
}

/* An original past its marks gives way to mirrors; so does a mirror to others. */
static bool is_past_marks(const struct balance_candidate *candidate,
                          const struct balance_marks *marks)
{
    if (!marks)
        return false;
    if (marks->latency_ns && candidate->latency_ns > marks->latency_ns && candidate->pending)
        return true;
    return marks->pending_percent && candidate->limit &&
           (uint64_t)candidate->pending * 100 >=
               (uint64_t)candidate->limit * marks->pending_percent;
}

/* Lower ones first. A tier of mirrors is those that are as far behind as each other, to a power of two of seconds. */
enum {
    TIER_FIRST,
    TIER_MIRRORS,
    TIER_ORIGINAL_BUSY = TIER_MIRRORS + 64,
    TIER_MIRRORS_BUSY,
    TIER_NEVER
};

static unsigned tier_of(const struct balance_candidate *candidate, enum balance_need need,
                        const struct balance_marks *marks)
{
    switch (candidate->role) {
    case BALANCE_EQUAL:
        return TIER_FIRST;
    case BALANCE_ORIGINAL:
        return need != BALANCE_NEEDS_ANY || !is_past_marks(candidate, marks) ? TIER_FIRST
                                                                             : TIER_ORIGINAL_BUSY;
    case BALANCE_MIRROR: {
        if (need != BALANCE_NEEDS_ANY ||
            (marks && marks->behind_most_ns && candidate->behind_ns > marks->behind_most_ns))
            return TIER_NEVER;
        if (is_past_marks(candidate, marks))
            return TIER_MIRRORS_BUSY;
        uint64_t behind_s = candidate->behind_ns / 1000000000;
        return TIER_MIRRORS + (behind_s ? 64 - (unsigned)__builtin_clzll(behind_s) : 0);
    }
    }
    return TIER_NEVER;
}

/* Those of the least tier that has room. */
struct left {
    uint16_t list[BALANCE_CANDIDATES_MOST];
    size_t count;
    bool is_anybody; /* with room or without */
};

static void leave(struct left *left, const struct balance_candidate *candidates, size_t count,
                  enum balance_need need, const struct balance_marks *marks, bool usable)
{
    unsigned best = TIER_NEVER;
    for (size_t i = 0; i < count; i++) {
        const struct balance_candidate *candidate = &candidates[i];
        if (candidate->is_usable != usable || !candidate->weight)
            continue;
        unsigned tier = tier_of(candidate, need, marks);
        if (tier == TIER_NEVER)
            continue;
        left->is_anybody = true;
        if (is_full(candidate) || tier > best)
            continue;
        if (tier < best)
            left->count = 0;
        best = tier;
        left->list[left->count++] = (uint16_t)i;
    }
}

size_t balance_pick(const struct balance_policy *policy, void *state,
                    const struct balance_candidate *candidates, size_t count,
                    const struct balance_question *question, struct random *random)
{
    struct left left;
    enum balance_need least =
        question->need == BALANCE_NEEDS_FRESH ? BALANCE_NEEDS_ANY : question->need;
    left.count = 0;
    left.is_anybody = false;
    if (count > BALANCE_CANDIDATES_MOST)
        count = BALANCE_CANDIDATES_MOST;
    leave(&left, candidates, count, question->need, question->marks, true);
    if (!left.is_anybody && least != question->need)
        leave(&left, candidates, count, least, question->marks, true);
    if (!left.is_anybody)
        leave(&left, candidates, count, least, question->marks, false);
    if (left.count <= 1)
        return left.count ? left.list[0] : BALANCE_NONE;
    struct balance_choice choice = {candidates, left.list, left.count, question};
    if (question->has_key)
        policy = &balance_hash;
    size_t picked = policy->pick(state, &choice, random);
    INVARIANT(picked < count);
    return picked;
}

struct span balance_client_network(const struct balance_session_settings *settings,
                                   const struct address *client, uint8_t out[16])
{
    struct address network = address_unmap(client);
    unsigned bits = network.family == 4 ? settings->ipv4_bits : settings->ipv6_bits;
    for (unsigned i = 0; i < sizeof network.bytes; i++) {
        unsigned kept = bits < 8 ? bits : 8;
        out[i] = network.bytes[i] & (uint8_t)(0xff00 >> kept);
        bits -= kept;
    }
    return span_of(out, sizeof network.bytes);
}
