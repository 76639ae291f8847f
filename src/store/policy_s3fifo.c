/* SPDX-License-Identifier: Apache-2.0
 *
 * S3-FIFO (Yang et al., SOSP 2023): most objects of a web trace are wanted once, so newcomers pass a small queue, a tenth of the bytes, and only
 * those that were used there come into the main one. Who left the small queue lately is remembered (a ghost: its hash), and on
 * return goes into the main queue at once. A scan thus passes through a tenth of the room. A use is one counter, no list moves.
 */
#include "store/policy.h"

#include "base/memory.h"

enum {
    SMALL_SHARE = 10, /* the small queue's part: one in so many bytes */
    HITS_MOST = 3,
    HITS_TO_MAIN = 2,
    GHOST_WAYS = 4,      /* places of a hash */
    GHOSTS_LEAST = 1024, /* a power of two, like all sizes */
    QUEUE_SMALL = 0,
    QUEUE_MAIN = 1,
};

struct ghost {
    uint32_t mark;  /* of the hash; 0: empty */
    uint32_t stamp; /* counts those that left */
};

struct s3fifo {
    struct list queues[2]; /* oldest first */
    uint64_t bytes[2];
    uint32_t count[2];
    struct ghost *ghosts;
    uint32_t ghosts_size, stamp;
};

static void *s3fifo_make(uint64_t seed)
{
    struct s3fifo *state = NEW(struct s3fifo);
    (void)seed;
    list_init(&state->queues[QUEUE_SMALL]);
    list_init(&state->queues[QUEUE_MAIN]);
    state->ghosts_size = GHOSTS_LEAST;
    state->ghosts = memory_new(GHOSTS_LEAST * sizeof(struct ghost));
    return state;
}

static void s3fifo_free(void *made)
{
    struct s3fifo *state = made;
    memory_free(state->ghosts);
    memory_free(state);
}

/* ---- ghosts: as many as the main queue has objects */

static uint32_t mark_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) | 1;
}

static struct ghost *ghosts_of(struct s3fifo *state, uint64_t hash)
{
    return &state->ghosts[hash & (state->ghosts_size - 1) & ~(uint64_t)(GHOST_WAYS - 1)];
}

static void ghost_remember(struct s3fifo *state, uint64_t hash)
{
    if (state->count[QUEUE_MAIN] > state->ghosts_size) { /* seldom: those known are forgotten */
        memory_free(state->ghosts);
        state->ghosts_size *= 2;
        state->ghosts = memory_new(state->ghosts_size * sizeof(struct ghost));
    }
    struct ghost *ways = ghosts_of(state, hash), *oldest = ways;
    state->stamp++;
    for (int i = 1; i < GHOST_WAYS; i++)
        if (state->stamp - ways[i].stamp > state->stamp - oldest->stamp)
            oldest = &ways[i];
    *oldest = (struct ghost){mark_of(hash), state->stamp};
}

/* Was there, and is not any more. */
static bool ghost_returns(struct s3fifo *state, uint64_t hash)
{
    struct ghost *ways = ghosts_of(state, hash);
    for (int i = 0; i < GHOST_WAYS; i++)
        if (ways[i].mark == mark_of(hash)) {
            bool is_recent = state->stamp - ways[i].stamp <= state->count[QUEUE_MAIN];
            ways[i].mark = 0;
            return is_recent;
        }
    return false;
}

/* ---- the queues */

static void enter(struct s3fifo *state, struct policy_node *node, uint8_t queue)
{
    node->queue = queue;
    node->hits = 0;
    list_push_back(&state->queues[queue], &node->link);
    state->bytes[queue] += node->bytes;
    state->count[queue]++;
}

static void s3fifo_remove(void *made, struct policy_node *node)
{
    struct s3fifo *state = made;
    list_remove(&node->link);
    state->bytes[node->queue] -= node->bytes;
    state->count[node->queue]--;
}

static void s3fifo_add(void *made, struct policy_node *node)
{
    struct s3fifo *state = made;
    enter(state, node, ghost_returns(state, node->hash) ? QUEUE_MAIN : QUEUE_SMALL);
}

static void s3fifo_touch(void *state, struct policy_node *node)
{
    (void)state;
    if (node->hits < HITS_MOST)
        node->hits++;
}

static struct policy_node *oldest_of(struct s3fifo *state, uint8_t queue)
{
    struct policy_node *node = CONTAINER_OF(state->queues[queue].next, struct policy_node, link);
    s3fifo_remove(state, node);
    return node;
}

/* Ends: each round takes one from the small queue for good, or a hit from one of the main queue. */
static struct policy_node *s3fifo_evict(void *made)
{
    struct s3fifo *state = made;
    while (state->count[QUEUE_SMALL] + state->count[QUEUE_MAIN]) {
        uint64_t all = state->bytes[QUEUE_SMALL] + state->bytes[QUEUE_MAIN];
        if (state->count[QUEUE_SMALL] &&
            (!state->count[QUEUE_MAIN] || state->bytes[QUEUE_SMALL] > all / SMALL_SHARE)) {
            struct policy_node *node = oldest_of(state, QUEUE_SMALL);
            if (node->hits < HITS_TO_MAIN) {
                ghost_remember(state, node->hash);
                return node;
            }
            enter(state, node, QUEUE_MAIN);
            continue;
        }
        struct policy_node *node = oldest_of(state, QUEUE_MAIN);
        if (!node->hits)
            return node;
        uint8_t hits = (uint8_t)(node->hits - 1);
        enter(state, node, QUEUE_MAIN);
        node->hits = hits;
    }
    return NULL;
}

const struct policy policy_s3fifo = {
    .name = "s3fifo",
    .make = s3fifo_make,
    .free = s3fifo_free,
    .add = s3fifo_add,
    .touch = s3fifo_touch,
    .remove = s3fifo_remove,
    .evict = s3fifo_evict,
};
