/* SPDX-License-Identifier: Apache-2.0
 *
 * An index of numbers: open addressing, at most half full. Used while maps are compiled.
 */
#include "base/memory.h"
#include "maps/private.h"

static uint32_t slot_of(const struct index *index, uint64_t key)
{
    uint64_t mixed = key * 0x9e3779b97f4a7c15ull;
    uint32_t at = (uint32_t)(mixed >> 32) & index->mask;
    while (index->slots[at].key && index->slots[at].key != key)
        at = (at + 1) & index->mask;
    return at;
}

static void grow(struct index *index)
{
    struct index old = *index;
    index->mask = old.slots ? old.mask * 2 + 1 : 63;
    index->slots = memory_new(((size_t)index->mask + 1) * sizeof *index->slots);
    for (size_t i = 0; old.slots && i <= old.mask; i++)
        if (old.slots[i].key)
            index->slots[slot_of(index, old.slots[i].key)] = old.slots[i];
    memory_free(old.slots);
}

uint32_t *maps_index_at(struct index *index, uint64_t key)
{
    if (!index->slots || index->count > index->mask / 2)
        grow(index);
    struct index_slot *slot = &index->slots[slot_of(index, key)];
    if (!slot->key) {
        slot->key = key;
        index->count++;
    }
    return &slot->value;
}

uint32_t maps_index_find(const struct index *index, uint64_t key)
{
    return index->slots ? index->slots[slot_of(index, key)].value : 0;
}

void maps_index_clear(struct index *index)
{
    memory_free(index->slots);
    *index = (struct index){0};
}
