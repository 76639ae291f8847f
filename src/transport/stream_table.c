/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams by id.
 */
#include "transport/stream_table.h"

#include "base/memory.h"

#include <stddef.h>

enum {
    FIRST_CAPACITY = 16,
    LINE_ENTRIES = CACHE_LINE_BYTES / sizeof(struct stream_entry),
};

/* Streams of an end that were opened one after the other, and whose packets mostly come in that
 * order, share a line of the cache; where a line lies is the seed's secret. */
static uint32_t home(const struct stream_table *table, uint64_t id)
{
    uint64_t line = id / (2 * LINE_ENTRIES) << 1 | (id & 1);
    uint64_t hash = (line ^ table->seed) * 0x9e3779b97f4a7c15ull;
    uint64_t at = (hash ^ hash >> 32) * LINE_ENTRIES + id / 2 % LINE_ENTRIES;
    return (uint32_t)(at & (table->capacity - 1));
}

void stream_table_clear(struct stream_table *table)
{
    memory_free(table->entries);
    *table = (struct stream_table){.seed = table->seed};
}

static void place(struct stream_table *table, uint64_t id, struct transport_stream *stream)
{
    uint32_t at = home(table, id);
    while (table->entries[at].stream)
        at = (at + 1) & (table->capacity - 1);
    table->entries[at] = (struct stream_entry){id, stream};
}

void stream_table_put(struct stream_table *table, uint64_t id, struct transport_stream *stream)
{
    if (table->count * 2 >= table->capacity) {
        struct stream_table old = *table;
        table->capacity = old.capacity ? old.capacity * 2 : FIRST_CAPACITY;
        table->entries = memory_new_aligned(table->capacity * sizeof *table->entries);
        for (uint32_t i = 0; i < old.capacity; i++)
            if (old.entries[i].stream)
                place(table, old.entries[i].id, old.entries[i].stream);
        memory_free(old.entries);
    }
    place(table, id, stream);
    table->count++;
}

void stream_table_remove(struct stream_table *table, uint64_t id)
{
    if (!table->count)
        return;
    uint32_t mask = table->capacity - 1;
    uint32_t at = home(table, id);
    while (table->entries[at].stream && table->entries[at].id != id)
        at = (at + 1) & mask;
    if (!table->entries[at].stream)
        return;
    table->count--;
    /* Entries behind that would no longer be found move up. */
    for (uint32_t next = (at + 1) & mask; table->entries[next].stream; next = (next + 1) & mask) {
        uint32_t from_home = (next - home(table, table->entries[next].id)) & mask;
        if (from_home < ((next - at) & mask))
            continue;
        table->entries[at] = table->entries[next];
        at = next;
    }
    table->entries[at].stream = NULL;
}

struct transport_stream *stream_table_get(const struct stream_table *table, uint64_t id)
{
    if (!table->count)
        return NULL;
    uint32_t at = home(table, id);
    while (table->entries[at].stream) {
        if (table->entries[at].id == id)
            return table->entries[at].stream;
        at = (at + 1) & (table->capacity - 1);
    }
    return NULL;
}
