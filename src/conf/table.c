/* SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing with linear probing, at most two thirds full.
 */
#include "conf/table.h"

#include "base/hash.h"

enum { TABLE_FIRST_SLOTS = 16 };

struct table_slot {
    uint64_t hash;
    struct span key;
    const void *value; /* NULL: free */
};

static struct table_slot *slot_of(const struct table *table, struct span key, uint64_t hash)
{
    size_t mask = table->capacity - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        struct table_slot *slot = &table->slots[i];
        if (!slot->value || (slot->hash == hash && span_equal(slot->key, key)))
            return slot;
    }
}

static void grow(struct table *table)
{
    struct table old = *table;
    table->capacity = old.capacity ? old.capacity * 2 : TABLE_FIRST_SLOTS;
    table->slots = ARENA_ARRAY(table->arena, struct table_slot, table->capacity);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].value)
            *slot_of(table, old.slots[i].key, old.slots[i].hash) = old.slots[i];
}

bool table_put(struct table *table, struct span key, const void *value)
{
    if ((table->count + 1) * 3 > table->capacity * 2)
        grow(table);
    uint64_t hash = hash_span(key, 0);
    struct table_slot *slot = slot_of(table, key, hash);
    if (slot->value)
        return false;
    *slot = (struct table_slot){hash, key, value};
    table->count++;
    return true;
}

void *table_find(const struct table *table, struct span key)
{
    if (!table->capacity)
        return NULL;
    return (void *)(uintptr_t)slot_of(table, key, hash_span(key, 0))->value;
}
