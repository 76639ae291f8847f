/* SPDX-License-Identifier: Apache-2.0
 *
 * What libnghttp2 allocates for a connection is counted and has a limit: past it the library fails like without memory, and the
 * session ends with a cause of its own. Each block is preceded by its size.
 */
#include "h2/private.h"

#include "base/pool.h"

#include <stdalign.h>

struct block {
    alignas(max_align_t) size_t size;
};

static bool fits(const struct h2_session *session, size_t size)
{
    return size <= session->memory_most && session->memory_bytes <= session->memory_most - size;
}

static void *give(struct h2_session *session, struct block *block, size_t size)
{
    block->size = size;
    session->memory_bytes += size;
    return block + 1;
}

static void *on_malloc(size_t size, void *context)
{
    if (!fits(context, size))
        return NULL;
    return give(context, pool_take(sizeof(struct block) + size), size);
}

static void *on_calloc(size_t count, size_t size, void *context)
{
    size_t all;
    if (__builtin_mul_overflow(count, size, &all) || !fits(context, all))
        return NULL;
    return give(context, pool_take_zeroed(sizeof(struct block) + all), all);
}

static void on_free(void *memory, void *context)
{
    struct h2_session *session = context;
    if (!memory)
        return;
    struct block *block = (struct block *)memory - 1;
    session->memory_bytes -= block->size;
    pool_give(block, sizeof *block + block->size);
}

static void *on_realloc(void *memory, size_t size, void *context)
{
    if (!memory)
        return on_malloc(size, context);
    size_t before = ((struct block *)memory - 1)->size;
    void *moved = on_malloc(size, context); /* for the moment both count */
    if (!moved)
        return NULL;
    memcpy(moved, memory, before < size ? before : size);
    on_free(memory, context);
    return moved;
}

nghttp2_mem h2_memory_of(struct h2_session *session)
{
    return (nghttp2_mem){.mem_user_data = session,
                         .malloc = on_malloc,
                         .free = on_free,
                         .calloc = on_calloc,
                         .realloc = on_realloc};
}
