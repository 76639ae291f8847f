/* SPDX-License-Identifier: Apache-2.0
 *
 * Randomness that is passed in: a seeded generator (xoshiro256**, seeded by splitmix64) for whatever must be
 * repeatable. It is not for keys: those come from crypto/.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_seed(struct random *random, uint64_t seed);
uint64_t random_u64(struct random *random);
uint64_t random_below(struct random *random, uint64_t limit); /* uniform in [0, limit); limit > 0 */
double random_unit(struct random *random);                    /* uniform in [0, 1) */

#endif
