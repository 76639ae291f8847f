/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client network may cause: a token bucket for each (/24, /56), kept as the time at which it will be full again
 * (the generic cell rate algorithm), so that one word and one compare-and-exchange are all of it. The table has a fixed
 * size; a network without a place takes that of the one which is full again soonest, so that those who cost much are
 * remembered.
 */
#include "dns/dns.h"

#include "base/hash.h"
#include "base/memory.h"

enum {
    BUCKETS = 1 << 16,
    WAYS = 4, /* places that a network may have */
    IPV4_BYTES = 3,
    IPV6_BYTES = 7,
};

/* | tag of the network, 24 bits | when it is full, in units of 1024 ns, 40 bits | */
enum { TIME_BITS = 40 };
static const uint64_t time_mask = (1ull << TIME_BITS) - 1;

struct dns_budget {
    uint64_t seed;
    _Atomic uint64_t buckets[BUCKETS];
};

struct dns_budget *dns_budget_new(uint64_t seed)
{
    struct dns_budget *budget = NEW(struct dns_budget);
    budget->seed = seed;
    return budget;
}

void dns_budget_free(struct dns_budget *budget)
{
    memory_free(budget);
}

static uint64_t hash_of(const struct dns_budget *budget, const struct address *client)
{
    return hash_span(span_of(client->bytes, client->family == 4 ? IPV4_BYTES : IPV6_BYTES),
                     budget->seed + client->family);
}

/* How long until the bucket is full; 0: it is. Times are modulo 2^40 units: one that seems further ahead than half of
 * that has passed. */
static uint64_t ahead(uint64_t full, uint64_t now)
{
    uint64_t difference = (full - now) & time_mask;
    return difference >> (TIME_BITS - 1) ? 0 : difference;
}

/* More than a bucket holds is a time so long ago that it seems to be ahead again. */
static uint64_t left_of(uint64_t bucket, uint64_t now, uint64_t most)
{
    uint64_t left = ahead(bucket & time_mask, now);
    return left <= most ? left : 0;
}

static _Atomic uint64_t *place_of(struct dns_budget *budget, uint64_t hash, uint64_t now,
                                  uint64_t most)
{
    _Atomic uint64_t *chosen = NULL;
    uint64_t soonest = UINT64_MAX, tag = hash >> TIME_BITS;
    size_t at = (size_t)(hash % BUCKETS) & ~(size_t)(WAYS - 1);
    for (unsigned way = 0; way < WAYS; way++) {
        uint64_t bucket = atomic_load_explicit(&budget->buckets[at + way], memory_order_relaxed);
        if (bucket >> TIME_BITS == tag)
            return &budget->buckets[at + way];
        uint64_t left = left_of(bucket, now, most);
        if (left < soonest) {
            soonest = left;
            chosen = &budget->buckets[at + way];
        }
    }
    return chosen;
}

bool dns_budget_take(struct dns_budget *budget, const struct dns_budget_limits *limits,
                     const struct address *client, uint64_t now_ns)
{
    if (!limits->per_s)
        return true;
    uint64_t hash = hash_of(budget, client), tag = hash >> TIME_BITS;
    uint64_t now = (now_ns >> 10) & time_mask; /* units of 1024 ns */
    uint64_t each = (1000000000 >> 10) / limits->per_s + 1;
    uint64_t most = each * limits->burst;
    _Atomic uint64_t *place = place_of(budget, hash, now, most);
    uint64_t bucket = atomic_load_explicit(place, memory_order_relaxed);
    for (;;) {
        uint64_t left = bucket >> TIME_BITS == tag ? left_of(bucket, now, most) : 0;
        if (left + each > most)
            return false;
        uint64_t fresh = tag << TIME_BITS | ((now + left + each) & time_mask);
        if (atomic_compare_exchange_weak_explicit(place, &bucket, fresh, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    }
}
