/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/store: who leaves when room is needed (C2). A policy is one file with a const struct of functions and one line
 * in policy.c. Each shard has a state of its own, under its lock: no function blocks or takes longer than a few list moves, amortised.
 */
#ifndef STORE_POLICY_H
#define STORE_POLICY_H

#include "base/list.h"

#include <stdint.h>

/* Embedded in what may leave; `hash` and `bytes` are set before it is added. */
struct policy_node {
    struct list link;
    uint64_t hash;
    uint32_t bytes;
    uint32_t place; /* the policy's own, like the rest */
    uint8_t queue, hits;
};

struct policy {
    const char *name;
    void *(*make)(uint64_t seed);
    void (*free)(void *state); /* when nothing is in it */
    void (*add)(void *state, struct policy_node *node);
    void (*touch)(void *state, struct policy_node *node); /* it was used */
    void (*remove)(void *state, struct policy_node *node);
    struct policy_node *(*evict)(void *state); /* chooses one and removes it; NULL: empty */
};

extern const struct policy policy_s3fifo, policy_lru, policy_lfu, policy_fifo, policy_random;

/* Of no name: the default. NULL: no such one. */
const struct policy *policy_find(const char *name);

#endif
