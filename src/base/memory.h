/* SPDX-License-Identifier: Apache-2.0
 *
 * Heap memory that never comes back as NULL. Every table and queue of the program has a stated limit, so a
 * process that cannot get its memory is one that the machine cannot carry: it ends with a sentence and its
 * supervisor starts it anew.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Zeroed memory of `size` bytes; the caller frees it with memory_free(). */
void *memory_new(size_t size);

/* The same at the start of a line of the cache. */
void *memory_new_aligned(size_t size);

/* Uninitialised memory. */
void *memory_raw(size_t size);

/* Room for `count` items of `size` bytes each, contents kept; ends the process on overflow. */
void *memory_resize(void *old, size_t count, size_t size);

char *memory_text(const char *text, size_t length); /* a NUL-terminated copy */
void memory_free(void *memory);                     /* NULL is fine */

enum { CACHE_LINE_BYTES = 64 };

#define NEW(type) ((type *)memory_new(sizeof(type)))

#endif
