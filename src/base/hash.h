/* SPDX-License-Identifier: Apache-2.0
 *
 * One hash for tables and for spreading work (XXH3, 64 bits). Give tables that strangers can fill a random seed.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/span.h"

uint64_t hash_span(struct span span, uint64_t seed);

#endif
