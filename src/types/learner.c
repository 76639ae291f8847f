/* SPDX-License-Identifier: Apache-2.0
 *
 * What requests of one shape have cost. A shape is site, method and path, where a segment with digits counts as any other one: /order/17
 * is /order/18. Each request is learnt twice, as itself and as one of its kind in its folder, so that a path that was never asked for
 * is known by its neighbours. Means are geometric: one slow answer does not make a page a slow one.
 *
 * A table of sets of four; what was learnt least lately makes room. Strangers who ask for many paths spoil at most what is
 * learnt, never memory: then the guess holds.
 */
#include "types/private.h"

#include "base/hash.h"
#include "base/memory.h"

#include <math.h>

enum {
    LEARNER_SETS = 4096, /* a power of two */
    LEARNER_WAYS = 4,
    SHAPE_BYTES = 192,  /* of a path that tell it from others */
    LEARNT_LEAST = 8,   /* requests before a shape's costs say anything */
    LEARNT_MEMORY = 32, /* the mean forgets as if it were one of so many */
    TICK_SHIFT = 30,    /* a tick of the stamps is about a second */
};

struct learnt {
    uint64_t shape; /* 0: free */
    float log_ns, log_bytes;
    uint32_t stamp;
    uint16_t count;
    uint8_t type;
};

struct types_learner {
    uint64_t seed;
    struct learnt entries[LEARNER_SETS * LEARNER_WAYS];
};

/* Marks between types, as logarithms to base 2, and how far past one a shape must be before its type changes. */
#define LOG_FAST_NS     22.25f /* 5 ms */
#define LOG_SLOW_NS     26.58f /* 100 ms */
#define LOG_LARGE_BYTES 19.0f  /* 512 KiB */
#define LOG_MARGIN      0.5f

struct types_learner *types_learner_new(uint64_t seed)
{
    struct types_learner *learner = NEW(struct types_learner);
    learner->seed = seed;
    return learner;
}

void types_learner_free(struct types_learner **freed)
{
    memory_free(*freed);
    *freed = NULL;
}

/* ---- shapes */

struct shape_text {
    uint8_t bytes[SHAPE_BYTES];
    size_t length;
};

static void add_segment(struct shape_text *shape, struct span segment)
{
    bool is_name = true;
    size_t room = SHAPE_BYTES - shape->length;
    for (size_t i = 0; i < segment.length && is_name; i++)
        is_name = (uint8_t)(segment.data[i] - '0') > 9;
    if (!is_name)
        segment = SPAN("#");
    if (!room)
        return;
    shape->bytes[shape->length++] = '/';
    size_t length = segment.length < room - 1 ? segment.length : room - 1;
    memcpy(shape->bytes + shape->length, segment.data, length);
    shape->length += length;
}

void shapes_of(const struct http_head *head, uint64_t site, uint8_t guess, uint64_t shapes[2])
{
    struct shape_text shape = {.length = 0};
    struct span rest = span_from(path_of(head->target), 1);
    uint64_t seed = site * 31 + head->method;
    size_t folder = 0;
    for (bool more = true; more;) {
        size_t end = span_find(rest, '/');
        folder = shape.length;
        add_segment(&shape, (struct span){rest.data, end});
        more = end < rest.length;
        rest = span_from(rest, end + 1);
    }
    shapes[0] = hash_span(span_of(shape.bytes, shape.length), seed) | 1;
    shapes[1] = folder ? hash_span(span_of(shape.bytes, folder), ~seed - guess) | 1 : 0;
}

/* ---- the table */

static size_t set_of(const struct types_learner *learner, uint64_t shape)
{
    uint64_t mixed = (shape ^ learner->seed) * 0x9e3779b97f4a7c15;
    return (size_t)(mixed >> 32 & (LEARNER_SETS - 1)) * LEARNER_WAYS;
}

static const struct learnt *find(const struct types_learner *learner, uint64_t shape)
{
    const struct learnt *set = &learner->entries[set_of(learner, shape)];
    for (size_t i = 0; shape && i < LEARNER_WAYS; i++)
        if (set[i].shape == shape)
            return &set[i];
    return NULL;
}

static struct learnt *find_or_add(struct types_learner *learner, uint64_t shape)
{
    struct learnt *set = &learner->entries[set_of(learner, shape)], *oldest = set;
    for (size_t i = 0; i < LEARNER_WAYS; i++) {
        if (set[i].shape == shape)
            return &set[i];
        if (set[i].stamp < oldest->stamp)
            oldest = &set[i];
    }
    *oldest = (struct learnt){.shape = shape, .type = TYPES_DYNAMIC};
    return oldest;
}

/* How far a mark is moved for a shape that is on one side of it already. */
static float margin(const struct learnt *learnt, bool is_above)
{
    return learnt->count <= LEARNT_LEAST ? 0 : is_above ? -LOG_MARGIN : LOG_MARGIN;
}

static uint8_t type_of(const struct learnt *learnt)
{
    uint8_t was = learnt->type;
    if (learnt->log_bytes > LOG_LARGE_BYTES + margin(learnt, was == TYPES_MULTIMEDIA))
        return TYPES_MULTIMEDIA;
    if (learnt->log_ns > LOG_SLOW_NS + margin(learnt, was == TYPES_DATABASE))
        return TYPES_DATABASE;
    if (learnt->log_ns > LOG_FAST_NS + margin(learnt, was != TYPES_STATIC))
        return TYPES_DYNAMIC;
    return TYPES_STATIC;
}

static void learn(struct types_learner *learner, uint64_t shape, float log_ns, float log_bytes,
                  uint32_t stamp)
{
    struct learnt *learnt = find_or_add(learner, shape);
    if (learnt->count < LEARNT_MEMORY)
        learnt->count++;
    learnt->stamp = stamp;
    learnt->log_ns += (log_ns - learnt->log_ns) / (float)learnt->count;
    learnt->log_bytes += (log_bytes - learnt->log_bytes) / (float)learnt->count;
    if (learnt->count >= LEARNT_LEAST)
        learnt->type = type_of(learnt);
}

void types_learn(struct types_learner *learner, const struct types_found *found,
                 uint64_t first_byte_ns, uint64_t bytes, uint64_t now_ns)
{
    float log_ns = log2f((float)(first_byte_ns | 1)), log_bytes = log2f((float)(bytes | 1));
    uint32_t stamp = (uint32_t)(now_ns >> TICK_SHIFT);
    for (size_t i = 0; i < 2; i++)
        if (found->shapes[i])
            learn(learner, found->shapes[i], log_ns, log_bytes, stamp);
}

bool learner_find(const struct types_learner *learner, const uint64_t shapes[2], uint8_t *type)
{
    for (size_t i = 0; i < 2; i++) {
        const struct learnt *learnt = find(learner, shapes[i]);
        if (learnt && learnt->count >= LEARNT_LEAST) {
            *type = learnt->type;
            return true;
        }
    }
    return false;
}
