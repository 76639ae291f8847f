/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of rows in ascending order of a number of 64 bits, which is the first member of each row. For what is looked up far more often than a
 * row comes or goes: sites, servers. Rows move when one comes.
 */
#ifndef BASE_SORTED_H
#define BASE_SORTED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t sorted_key(const void *rows, size_t row_bytes, size_t place)
{
    uint64_t key;
    memcpy(&key, (const uint8_t *)rows + place * row_bytes, sizeof key);
    return key;
}

/* The place of the first row with that key, or where it would be. */
static inline size_t sorted_place(const void *rows, size_t count, size_t row_bytes, uint64_t key)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted_key(rows, row_bytes, middle) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first row with that key; NULL: there is none. The rows are the caller's, who may change all but the key. */
static inline void *sorted_find(const void *rows, size_t count, size_t row_bytes, uint64_t key)
{
    size_t place = sorted_place(rows, count, row_bytes, key);
    return place < count && sorted_key(rows, row_bytes, place) == key
               ? (void *)((uintptr_t)rows + place * row_bytes)
               : NULL;
}

/* A row with that key at the place that sorted_place() tells; its other bytes are zero. Returns the rows, as memory_resize() does. */
void *sorted_insert(void *rows, size_t *count, size_t *capacity, size_t row_bytes, uint64_t key);

#endif
