/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of buckets.
 */
#include "dns/limiter.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/prefix_tree.h"

#include <stdatomic.h>

/* | tag, 20 bits | withheld answers, 4 | paid until, 40: microseconds, wrapping every 12 days | */
enum {
    TIME_BITS = 40,
    COUNT_BITS = 4,
    SET_WORDS = 8,       /* a cache line */
    SET_COUNT = 1 << 14, /* 1 MiB; 131,072 buckets */
    TRIES = 4,           /* of a compare-and-swap; then the answer is given */
};
static const uint64_t time_mask = (1ull << TIME_BITS) - 1;
static const uint64_t count_mask = (1ull << COUNT_BITS) - 1;
static const uint64_t burst_us = 1000000;

struct dns_limiter {
    struct dns_limiter_options options;
    struct prefix_tree *exempt;
    uint64_t cost_us; /* of one answer */
    uint64_t window_us;
    void *memory;
    _Atomic uint64_t *words;
};

static uint64_t time_of(uint64_t word)
{
    return word & time_mask;
}

static uint64_t count_of(uint64_t word)
{
    return word >> TIME_BITS & count_mask;
}

static uint64_t tag_of(uint64_t word)
{
    return word >> (TIME_BITS + COUNT_BITS);
}

static uint64_t make_word(uint64_t tag, uint64_t count, uint64_t time_us)
{
    return tag << (TIME_BITS + COUNT_BITS) | (count & count_mask) << TIME_BITS |
           (time_us & time_mask);
}

/* How far ahead of `now_us` the word is paid for; 0: nothing is owed. A time that seems to lie behind the window is an old one
 * that the clock has come round to. */
static uint64_t debt(const struct dns_limiter *limiter, uint64_t word, uint64_t now_us)
{
    uint64_t ahead_us = (time_of(word) - now_us) & time_mask;
    return ahead_us > limiter->window_us + limiter->cost_us ? 0 : ahead_us;
}

struct dns_limiter *dns_limiter_new(const struct dns_limiter_options *options)
{
    INVARIANT(options->rate > 0 && options->slip <= DNS_SLIP_LIMIT && options->window_s > 0);
    struct dns_limiter *limiter = NEW(struct dns_limiter);
    limiter->options = *options;
    limiter->cost_us = (1000000 + options->rate - 1) / options->rate;
    limiter->window_us = (uint64_t)options->window_s * 1000000;
    limiter->exempt = prefix_tree_new();
    for (size_t i = 0; i < options->exempt_count; i++)
        prefix_tree_put(limiter->exempt, &options->exempt[i], 0);
    prefix_tree_seal(limiter->exempt);
    size_t line = SET_WORDS * sizeof *limiter->words;
    limiter->memory = memory_new((SET_COUNT + 1) * line);
    uintptr_t start = ((uintptr_t)limiter->memory + line - 1) / line * line;
    limiter->words = (_Atomic uint64_t *)start;
    return limiter;
}

void dns_limiter_free(struct dns_limiter *limiter)
{
    if (!limiter)
        return;
    prefix_tree_free(limiter->exempt);
    memory_free(limiter->memory);
    memory_free(limiter);
}

/* Tag and set in one. */
static uint64_t hash_of(const struct dns_limiter *limiter, const struct address *client,
                        enum dns_kind kind, struct span name)
{
    struct {
        uint8_t network[8]; /* /64 is the longest of IPv6 */
        uint8_t family, kind, zero[6];
    } key = {.family = client->family, .kind = (uint8_t)kind};
    unsigned bits = client->family == 4 ? limiter->options.ipv4_bits : limiter->options.ipv6_bits;
    memcpy(key.network, client->bytes, bits / 8);
    if (bits % 8)
        key.network[bits / 8] = client->bytes[bits / 8] & (uint8_t)(0xff << (8 - bits % 8));
    uint64_t seed = hash_span(span_of(&key, sizeof key), limiter->options.seed);
    return hash_span(name, seed);
}

/* The word of this tag, or the one that owes least. */
static _Atomic uint64_t *choose_word(const struct dns_limiter *limiter, _Atomic uint64_t *set,
                                     uint64_t tag, uint64_t now_us)
{
    _Atomic uint64_t *least = set;
    uint64_t least_us = UINT64_MAX;
    for (unsigned i = 0; i < SET_WORDS; i++) {
        uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);
        if (tag_of(word) == tag)
            return &set[i];
        uint64_t debt_us = debt(limiter, word, now_us);
        if (debt_us < least_us) {
            least_us = debt_us;
            least = &set[i];
        }
    }
    return least;
}

static bool is_exempt(const struct dns_limiter *limiter, const struct address *client)
{
    return prefix_tree_find(limiter->exempt, client, NULL) >= 0;
}

enum dns_limit dns_limiter_take(struct dns_limiter *limiter, const struct address *client,
                                enum dns_kind kind, struct span name, uint64_t now_ns)
{
    uint64_t now_us = now_ns / 1000 & time_mask, hash = hash_of(limiter, client, kind, name);
    uint64_t tag = hash >> (TIME_BITS + COUNT_BITS);
    _Atomic uint64_t *set = &limiter->words[(hash & (SET_COUNT - 1)) * SET_WORDS];
    for (unsigned i = 0; i < TRIES; i++) {
        _Atomic uint64_t *place = choose_word(limiter, set, tag, now_us);
        uint64_t word = atomic_load_explicit(place, memory_order_relaxed);
        bool is_same = tag_of(word) == tag;
        uint64_t debt_us = is_same ? debt(limiter, word, now_us) : 0;
        uint64_t withheld = is_same ? count_of(word) : 0;
        bool is_given = debt_us <= burst_us - limiter->cost_us;
        uint64_t slip = limiter->options.slip;
        bool is_slip = !is_given && slip && ++withheld >= slip;
        if (is_given || is_slip)
            withheld = 0;
        debt_us += limiter->cost_us;
        if (debt_us > limiter->window_us)
            debt_us = limiter->window_us;
        if (!atomic_compare_exchange_weak_explicit(place, &word,
                                                   make_word(tag, withheld, now_us + debt_us),
                                                   memory_order_relaxed, memory_order_relaxed))
            continue;
        if (is_given || is_exempt(limiter, client))
            return DNS_LIMIT_NONE;
        return is_slip ? DNS_LIMIT_SLIPPED : DNS_LIMIT_DROPPED;
    }
    return DNS_LIMIT_NONE;
}
