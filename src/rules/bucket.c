/* SPDX-License-Identifier: Apache-2.0
 *
 * Rate limits: token buckets in a table of fixed size, shared by all workers without a lock.
 *
 * A bucket is one number: the time at which it is full again (the generic cell rate algorithm). Taking a token moves that time by the
 * interval of one; where it would lie more than a burst ahead, there is none. A bucket that is full is like one that was never seen, so
 * the keys of a set whose time is past make room at once. Where a set has four keys that all wait, the one that is full soonest goes:
 * it gets a whole burst back when it comes again, which errs on the client's side, and is counted.
 */
#include "rules/rules.h"

#include "base/memory.h"

#include <stdatomic.h>

enum { WAYS = 4, SETS_MOST = 1 << 22, TRIES = 64 };

struct bucket {
    _Atomic uint64_t key; /* 0: none */
    _Atomic uint64_t full_ns;
};

struct rules_buckets {
    size_t mask;
    _Atomic uint64_t evicted;
    struct bucket *buckets; /* WAYS of a set share a line of the cache */
};

struct rules_buckets *rules_buckets_new(size_t sets)
{
    struct rules_buckets *buckets = NEW(struct rules_buckets);
    size_t count = 1;
    while (count < sets && count < SETS_MOST)
        count *= 2;
    buckets->mask = count - 1;
    buckets->buckets = memory_new_aligned(count * WAYS * sizeof(struct bucket));
    return buckets;
}

void rules_buckets_free(struct rules_buckets **freed)
{
    if (!*freed)
        return;
    memory_free((*freed)->buckets);
    memory_free(*freed);
    *freed = NULL;
}

uint64_t rules_buckets_evicted(const struct rules_buckets *buckets)
{
    return atomic_load_explicit(&buckets->evicted, memory_order_relaxed);
}

static uint64_t load(_Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

/* The key's bucket, perhaps another key's before. Two threads may give one key two buckets for a moment; it then has a burst more. */
static struct bucket *find(struct rules_buckets *buckets, uint64_t key, uint64_t now_ns)
{
    struct bucket *set = &buckets->buckets[(key >> 32 & buckets->mask) * WAYS], *oldest = set;
    for (unsigned i = 0; i < WAYS; i++) {
        if (load(&set[i].key) == key)
            return &set[i];
        if (load(&set[i].full_ns) < load(&oldest->full_ns))
            oldest = &set[i];
    }
    uint64_t before = load(&oldest->key);
    if (load(&oldest->full_ns) > now_ns)
        atomic_fetch_add_explicit(&buckets->evicted, 1, memory_order_relaxed);
    if (atomic_compare_exchange_strong_explicit(&oldest->key, &before, key, memory_order_relaxed,
                                                memory_order_relaxed))
        atomic_store_explicit(&oldest->full_ns, 0, memory_order_relaxed);
    return oldest;
}

uint64_t rules_buckets_take(struct rules_buckets *buckets, const struct rules_toll *toll,
                            uint64_t now_ns)
{
    const struct rules_limit *limit = toll->limit;
    uint64_t key = toll->key ? toll->key : 1;
    uint64_t interval_ns = limit->per_ns / limit->requests;
    uint64_t room_ns = interval_ns * (limit->burst ? limit->burst : limit->requests);
    struct bucket *bucket = find(buckets, key, now_ns);
    uint64_t full_ns = load(&bucket->full_ns);
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t from_ns = full_ns > now_ns ? full_ns : now_ns;
        uint64_t ahead_ns = from_ns - now_ns + interval_ns;
        if (ahead_ns > room_ns)
            return ahead_ns - room_ns;
        if (atomic_compare_exchange_weak_explicit(&bucket->full_ns, &full_ns, from_ns + interval_ns,
                                                  memory_order_relaxed, memory_order_relaxed))
            return 0;
    }
    return interval_ns; /* so many others at this very moment: one too many */
}
