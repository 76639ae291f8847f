/* SPDX-License-Identifier: Apache-2.0
 *
 * XXH3 from libxxhash.
 */
#include "base/hash.h"

#include <xxhash.h>

uint64_t hash_span(struct span span, uint64_t seed)
{
    return XXH3_64bits_withSeed(span.data, span.length, seed);
}
