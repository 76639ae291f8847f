/* SPDX-License-Identifier: Apache-2.0
 *
 * Durations of the last minute, in slices of ten seconds: a slice that comes round again is emptied by its writer. A reader that
 * looks at that moment sees a part of the slice: these are figures to look at, not to add up.
 */
#include "observe/histogram.h"
#include "observe/observe.h"

#include "base/memory.h"

#include <stdatomic.h>

enum { SLICES = 7 }; /* six whole ones, and the one that fills */
static const uint64_t slice_ns = 10000000000;

struct slice {
    _Atomic uint64_t turn; /* now_ns / slice_ns + 1; 0: never used */
    _Atomic uint32_t counts[HISTOGRAM_BUCKETS];
};

struct recent {
    uint64_t began_ns;
    struct slice slices[SLICES];
};

struct recent *recent_new(uint64_t now_ns)
{
    struct recent *recent = NEW(struct recent);
    recent->began_ns = now_ns;
    return recent;
}

void recent_free(struct recent **freed)
{
    memory_free(*freed);
    *freed = NULL;
}

static void empty(struct slice *slice, uint64_t turn)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        atomic_store_explicit(&slice->counts[i], 0, memory_order_relaxed);
    atomic_store_explicit(&slice->turn, turn, memory_order_relaxed);
}

void recent_add(struct recent *recent, uint64_t now_ns, uint64_t duration_ns)
{
    uint64_t turn = now_ns / slice_ns + 1;
    struct slice *slice = &recent->slices[turn % SLICES];
    if (atomic_load_explicit(&slice->turn, memory_order_relaxed) != turn)
        empty(slice, turn);
    _Atomic uint32_t *count = &slice->counts[histogram_bucket(duration_ns)];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static void sum_up(const struct recent *recent, uint64_t turn, uint64_t *counts)
{
    for (size_t i = 0; i < SLICES; i++) {
        const struct slice *slice = &recent->slices[i];
        uint64_t of = atomic_load_explicit(&slice->turn, memory_order_relaxed);
        if (of + SLICES <= turn || of > turn)
            continue;
        for (size_t k = 0; k < HISTOGRAM_BUCKETS; k++)
            counts[k] += atomic_load_explicit(&slice->counts[k], memory_order_relaxed);
    }
}

void recent_read(struct recent *const *list, size_t count, uint64_t now_ns,
                 struct recent_facts *facts)
{
    uint64_t counts[HISTOGRAM_BUCKETS] = {0}, total = 0, turn = now_ns / slice_ns + 1;
    uint64_t from_ns = turn > SLICES ? (turn - SLICES) * slice_ns : 0, began_ns = now_ns;
    for (size_t i = 0; i < count; i++)
        if (list[i]) {
            sum_up(list[i], turn, counts);
            began_ns = list[i]->began_ns < began_ns ? list[i]->began_ns : began_ns;
        }
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        total += counts[i];
    uint64_t span_ns = now_ns - (began_ns > from_ns ? began_ns : from_ns);
    *facts = (struct recent_facts){.per_s = span_ns ? (double)total * 1e9 / (double)span_ns
                                                    : (double)total,
                                   .p50_ns = histogram_quantile_ns(counts, 0.5),
                                   .p99_ns = histogram_quantile_ns(counts, 0.99)};
}
