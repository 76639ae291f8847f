/* SPDX-License-Identifier: Apache-2.0
 *
 * Checked allocation.
 */
#include "base/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t size)
{
    fprintf(stderr, "causeway: out of memory (%zu bytes wanted)\n", size);
    abort();
}

void *memory_new(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        out_of_memory(size);
    return memory;
}

void *memory_new_aligned(size_t size)
{
    void *memory = NULL;
    if (posix_memalign(&memory, CACHE_LINE_BYTES, size))
        out_of_memory(size);
    return memset(memory, 0, size);
}

void *memory_raw(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory)
        out_of_memory(size);
    return memory;
}

void *memory_resize(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        out_of_memory(SIZE_MAX);
    void *memory = realloc(old, bytes ? bytes : 1);
    if (!memory)
        out_of_memory(bytes);
    return memory;
}

char *memory_text(const char *text, size_t length)
{
    char *copy = memory_raw(length + 1);
    memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}

void memory_free(void *memory)
{
    free(memory);
}
