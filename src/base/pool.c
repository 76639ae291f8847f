/* SPDX-License-Identifier: Apache-2.0
 *
 * One list for each multiple of 64 bytes up to 2 KiB; what is larger comes straight from the heap.
 */
#include "base/pool.h"

#include "base/memory.h"
#include "base/watched.h"

#include <stdint.h>
#include <string.h>

enum {
    STEP_BYTES = 64,
    CLASSES = 32,
    KEPT_MOST =
        MEMORY_IS_WATCHED ? 0 : 64, /* pieces of a class; it sees what is used behind its end */
};

struct piece {
    struct piece *next;
};

static _Thread_local struct {
    struct piece *first;
    uint32_t count;
} classes[CLASSES];

/* CLASSES: too large for any. */
static size_t class_of(size_t size)
{
    size_t class = size ? (size - 1) / STEP_BYTES : 0;
    return class < CLASSES ? class : CLASSES;
}

void *pool_take(size_t size)
{
    size_t class = class_of(size);
    if (class == CLASSES)
        return memory_raw(size);
    struct piece *piece = classes[class].first;
    if (!piece)
        return memory_raw(MEMORY_IS_WATCHED ? size : (class + 1) * STEP_BYTES);
    classes[class].first = piece->next;
    classes[class].count--;
    return piece;
}

void *pool_take_zeroed(size_t size)
{
    return memset(pool_take(size), 0, size);
}

void pool_give(void *given, size_t size)
{
    size_t class = class_of(size);
    struct piece *piece = given;
    if (!piece || class == CLASSES || classes[class].count == KEPT_MOST) {
        memory_free(piece);
        return;
    }
    piece->next = classes[class].first;
    classes[class].first = piece;
    classes[class].count++;
}

void pool_drain(void)
{
    for (size_t class = 0; class < CLASSES; class ++) {
        while (classes[class].first) {
            struct piece *piece = classes[class].first;
            classes[class].first = piece->next;
            memory_free(piece);
        }
        classes[class].count = 0;
    }
}
