/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of 4 KiB or more, the newest first; a piece larger than a block gets a block of its own. A thread keeps some blocks of the
 * ordinary size: arenas of requests come and go with every request.
 */
#include "base/arena.h"

#include "base/memory.h"
#include "base/watched.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    ARENA_BLOCK_BYTES = 4096,
    SPARE_LIMIT =
        MEMORY_IS_WATCHED ? 0 : 256, /* blocks of a thread; it sees what is used behind its end */
};

struct arena_block {
    struct arena_block *next;
    size_t size;
    alignas(max_align_t) uint8_t data[];
};

enum { ORDINARY_BYTES = ARENA_BLOCK_BYTES - sizeof(struct arena_block) };

static _Thread_local struct {
    struct arena_block *first;
    uint32_t count;
} spare;

static struct arena_block *block_new(size_t room)
{
    struct arena_block *block = spare.first;
    if (room == ORDINARY_BYTES && block) {
        spare.first = block->next;
        spare.count--;
    } else {
        block = memory_raw(sizeof *block + room);
    }
    block->size = room;
    ASAN_POISON_MEMORY_REGION(block->data, room);
    return block;
}

static void block_free(struct arena_block *block)
{
    if (block->size != ORDINARY_BYTES || spare.count == SPARE_LIMIT) {
        memory_free(block);
        return;
    }
    block->next = spare.first;
    spare.first = block;
    spare.count++;
}

void arena_cache_drain(void)
{
    while (spare.first) {
        struct arena_block *block = spare.first;
        spare.first = block->next;
        memory_free(block);
    }
    spare.count = 0;
}

static void begin(struct arena *arena, struct arena_block *block)
{
    arena->blocks = block;
    arena->at = block->data;
    arena->end = block->data + block->size;
}

void *arena_take_block(struct arena *arena, size_t size)
{
    size_t room = arena_room(size) + 1; /* arena_take_raw() asks for more than it takes */
    struct arena_block *block = block_new(room > ORDINARY_BYTES ? room : ORDINARY_BYTES);
    block->next = arena->blocks;
    begin(arena, block);
    return arena_take_raw(arena, size);
}

void *arena_take(struct arena *arena, size_t size)
{
    return memset(arena_take_raw(arena, size), 0, size);
}

struct span arena_copy(struct arena *arena, struct span span)
{
    uint8_t *copy = arena_take_raw(arena, span.length + 1);
    if (span.length)
        memcpy(copy, span.data, span.length);
    copy[span.length] = 0;
    return span_of(copy, span.length);
}

char *arena_text(struct arena *arena, const char *text)
{
    return text ? (char *)(uintptr_t)arena_copy(arena, span_text(text)).data : NULL;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = arena_take(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void arena_rewind(struct arena *arena)
{
    struct arena_block *kept = arena->blocks;
    if (!kept)
        return;
    arena->blocks = kept->next;
    arena_clear(arena);
    kept->next = NULL;
    ASAN_POISON_MEMORY_REGION(kept->data, kept->size);
    begin(arena, kept);
}

void arena_clear(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        block_free(block);
    }
    *arena = (struct arena){0};
}
