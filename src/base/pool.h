/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory for what comes and goes with every request, from free lists of the thread: the C library keeps only a few pieces of a size at
 * hand, and a burst of requests needs many.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

void *pool_take(size_t size); /* not zeroed; never NULL */
void *pool_take_zeroed(size_t size);
void pool_give(void *given,
               size_t size); /* the size it was taken with, on any thread; NULL is fine */
void pool_drain(void);       /* frees this thread's lists (at most 2 MiB); call it at thread end */

#endif
