/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows that come.
 */
#include "base/sorted.h"

#include "base/memory.h"

void *sorted_insert(void *rows, size_t *count, size_t *capacity, size_t row_bytes, uint64_t key)
{
    size_t place = sorted_place(rows, *count, row_bytes, key);
    if (*count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 16;
        rows = memory_resize(rows, *capacity, row_bytes);
    }
    uint8_t *row = (uint8_t *)rows + place * row_bytes;
    memmove(row + row_bytes, row, (*count - place) * row_bytes);
    memset(row, 0, row_bytes);
    memcpy(row, &key, sizeof key);
    ++*count;
    return rows;
}
