/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether AddressSanitizer looks on, of gcc or of clang. Then nobody keeps memory for the next, and an arena's pieces lie apart from each
 * other: what one is overrun by is seen at once, also by the fuzzers. Without it nothing of this is there.
 */
#ifndef BASE_WATCHED_H
#define BASE_WATCHED_H

#ifdef __SANITIZE_ADDRESS__
#define MEMORY_IS_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_IS_WATCHED 1
#endif
#endif

#ifdef MEMORY_IS_WATCHED
#include <sanitizer/asan_interface.h>
#else
#define MEMORY_IS_WATCHED                         0
#define ASAN_POISON_MEMORY_REGION(place, bytes)   ((void)(place), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(place, bytes) ((void)(place), (void)(bytes))
#endif

#endif
