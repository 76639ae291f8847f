/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges of bytes (RFC 9110 section 14). Private to src/cache.
 */
#ifndef CACHE_RANGE_H
#define CACHE_RANGE_H

#include "cache/cache.h"

enum ranges {
    RANGES_IGNORED, /* another unit, malformed, too many, or more bytes than there are: everything is sent */
    RANGES_NONE, /* none of them can be satisfied: 416 */
    RANGES_GOOD,
};

/* "bytes=0-4,-5" of `length` bytes. At most CACHE_RANGES_MOST, in the order asked for; those that cannot be satisfied are left out. */
enum ranges ranges_read(struct span value, uint64_t length, struct cache_range *ranges,
                        uint32_t *count);

/* "bytes 4-9/10". 0; ERROR_INVALID: malformed, of unknown length, or of one that nothing has. */
MUST_USE int content_range_read(struct span value, uint64_t *first, uint64_t *last,
                                uint64_t *length);

#endif
