/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring with one writer and one reader.
 */
#include "transport/trace.h"

#include "base/error.h"

#include <stddef.h>

static const struct trace_names names[TRACE_KINDS] = {
#define X(name, event, number, a, b, c) [TRACE_##name] = {event, {number, a, b, c}},
    TRACE_KIND_LIST(X)
#undef X
};

const struct trace_names *trace_kind_names(enum trace_kind kind)
{
    return kind < TRACE_KINDS ? &names[kind] : NULL;
}

void trace_write(struct transport_trace *trace, const struct trace_record *record)
{
    uint32_t head = atomic_load_explicit(&trace->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&trace->tail, memory_order_acquire);
    if (head - tail >= trace->capacity) {
        atomic_fetch_add_explicit(&trace->dropped, 1, memory_order_relaxed);
        return;
    }
    trace->records[head & (trace->capacity - 1)] = *record;
    atomic_store_explicit(&trace->head, head + 1, memory_order_release);
}

bool trace_read(struct transport_trace *trace, struct trace_record *record)
{
    uint32_t tail = atomic_load_explicit(&trace->tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&trace->head, memory_order_acquire);
    if (head == tail)
        return false;
    *record = trace->records[tail & (trace->capacity - 1)];
    atomic_store_explicit(&trace->tail, tail + 1, memory_order_release);
    return true;
}
