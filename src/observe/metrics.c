/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters, gauges and histograms. Each thread has slots of its own, which only it writes: counting
 * is a load, an add and a store, without a lock or a shared cache line. Readers add the threads up.
 */
#include "observe/metrics.h"

#include "base/error.h"
#include "base/list.h"
#include "base/memory.h"
#include "observe/histogram.h"

#include <pthread.h>
#include <stdatomic.h>

struct thread_slots {
    struct list link; /* `threads` */
    _Atomic uint64_t slots[METRIC_SLOTS_LIMIT];
};

static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* of all that follows; never taken to count */
static struct list threads = {&threads, &threads};
static uint64_t ended[METRIC_SLOTS_LIMIT]; /* what threads counted that are gone */
static struct metric *first, **last = &first;
static uint32_t next_slot = 1; /* 0: not registered */
static _Thread_local struct thread_slots *own;

static uint32_t slots_of(const struct metric *metric)
{
    return metric->kind == METRIC_HISTOGRAM ? HISTOGRAM_SLOTS : 1;
}

void metric_register(struct metric *metric)
{
    pthread_mutex_lock(&lock);
    if (!metric->slot) {
        INVARIANT(next_slot + slots_of(metric) <= METRIC_SLOTS_LIMIT);
        metric->slot = next_slot;
        next_slot += slots_of(metric);
        metric->next = NULL;
        *last = metric;
        last = &metric->next;
    }
    pthread_mutex_unlock(&lock);
}

void metrics_thread_start(void)
{
    if (own)
        return;
    own = NEW(struct thread_slots);
    pthread_mutex_lock(&lock);
    list_push_back(&threads, &own->link);
    pthread_mutex_unlock(&lock);
}

void metrics_thread_stop(void)
{
    if (!own)
        return;
    pthread_mutex_lock(&lock);
    list_remove(&own->link);
    for (uint32_t i = 0; i < METRIC_SLOTS_LIMIT; i++)
        ended[i] += atomic_load_explicit(&own->slots[i], memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    memory_free(own);
    own = NULL;
}

/* Only this thread writes its slots, so no read-modify-write is needed. */
static void slot_add(uint32_t slot, uint64_t count)
{
    _Atomic uint64_t *value = &own->slots[slot];
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + count,
                          memory_order_relaxed);
}

void metric_add(struct metric *metric, uint64_t count)
{
    if (own && metric->slot)
        slot_add(metric->slot, count);
}

void metric_set(struct metric *metric, uint64_t value)
{
    if (own && metric->slot)
        atomic_store_explicit(&own->slots[metric->slot], value, memory_order_relaxed);
}

void metric_observe_ns(struct metric *metric, uint64_t duration_ns)
{
    if (!own || !metric->slot)
        return;
    slot_add(metric->slot + histogram_bucket(duration_ns), 1);
    slot_add(metric->slot + HISTOGRAM_BUCKETS, duration_ns);
}

/* Under `lock`. */
static uint64_t slot_sum(uint32_t slot)
{
    uint64_t sum = ended[slot];
    LIST_EACH (link, after, &threads)
        sum += atomic_load_explicit(&CONTAINER_OF(link, struct thread_slots, link)->slots[slot],
                                    memory_order_relaxed);
    return sum;
}

static void read_slots(const struct metric *metric, uint64_t *values)
{
    for (uint32_t i = 0; i < slots_of(metric); i++)
        values[i] = slot_sum(metric->slot + i);
}

uint64_t metric_read(const struct metric *metric)
{
    if (!metric->slot)
        return 0;
    uint64_t values[HISTOGRAM_SLOTS], sum = 0;
    pthread_mutex_lock(&lock);
    read_slots(metric, values);
    pthread_mutex_unlock(&lock);
    if (metric->kind != METRIC_HISTOGRAM)
        return values[0];
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        sum += values[i];
    return sum;
}

uint64_t metric_quantile_ns(const struct metric *metric, double quantile)
{
    if (!metric->slot || metric->kind != METRIC_HISTOGRAM)
        return 0;
    uint64_t values[HISTOGRAM_SLOTS];
    pthread_mutex_lock(&lock);
    read_slots(metric, values);
    pthread_mutex_unlock(&lock);
    return histogram_quantile_ns(values, quantile);
}

void metrics_each(metric_visit *visit, void *argument)
{
    uint64_t values[HISTOGRAM_SLOTS];
    pthread_mutex_lock(&lock);
    for (const struct metric *metric = first; metric; metric = metric->next) {
        read_slots(metric, values);
        visit(metric, values, argument);
    }
    pthread_mutex_unlock(&lock);
}
