/* SPDX-License-Identifier: Apache-2.0
 *
 * An arena: memory that is given out piece by piece and freed all at once. One for each request and for each
 * configuration snapshot.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"
#include "base/watched.h"

#include <stdalign.h>

struct arena_block;

/* Embed it; zero-initialised is an empty arena. */
struct arena {
    struct arena_block *blocks; /* newest first */
    uint8_t *at, *end;          /* what is left of it */
    size_t used_bytes;          /* given out in all */
};

enum { ARENA_APART_BYTES = MEMORY_IS_WATCHED ? 16 : 0 }; /* between two pieces */

static inline size_t arena_room(size_t size)
{
    const size_t step = alignof(max_align_t);
    return ((size + step - 1) & ~(step - 1)) + ARENA_APART_BYTES;
}

void *arena_take_block(struct arena *arena, size_t size); /* for arena_take_raw() alone */

/* Aligned for any type, not zeroed. */
static inline void *arena_take_raw(struct arena *arena, size_t size)
{
    size_t room = arena_room(size);
    if ((size_t)(arena->end - arena->at) <= room) /* also where there is no block yet */
        return arena_take_block(arena, size);
    void *taken = arena->at;
    arena->at += room;
    arena->used_bytes += room - ARENA_APART_BYTES;
    ASAN_UNPOISON_MEMORY_REGION(taken, size);
    return taken;
}

void *arena_take(struct arena *arena, size_t size);            /* the same, zeroed */
struct span arena_copy(struct arena *arena, struct span span); /* followed by a NUL */
char *arena_text(struct arena *arena, const char *text);       /* NULL stays NULL */
char *arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void arena_rewind(
    struct arena *arena);              /* as arena_clear(), but a block stays for what comes next */
void arena_clear(struct arena *arena); /* frees everything; the arena may be used again */
void arena_cache_drain(
    void); /* frees the blocks that this thread keeps for its next arenas (at most 1 MiB); call it at thread end */

#define ARENA_NEW(arena, type) ((type *)arena_take((arena), sizeof(type)))
#define ARENA_ARRAY_RAW(arena, type, count) \
    ((type *)arena_take_raw((arena), sizeof(type) * (count)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_take((arena), sizeof(type) * (count)))

#endif
