/* SPDX-License-Identifier: Apache-2.0
 *
 * How far mirrors are behind, learnt in passing (L8). For a bounded number of targets it is kept what validator the original gave
 * last, since when, and which one before. A mirror that gives the one before is behind by the age of the change at least; one that
 * gives the present one is no further behind than that. Last-Modified is believed before entity tags, which some servers make of
 * inode numbers, so that no two machines agree.
 */
#include "balance/balance.h"
#include "base/memory.h"

enum {
    TARGETS = 2048, /* a power of two; a target displaces the other one of its place */
    MIRRORS = 64,
};

struct target {
    uint64_t hash;
    struct balance_validator now, before; /* before: not known when zero */
    uint64_t changed_ns;                  /* 0: not seen changing */
};

struct mirror {
    uint64_t identity;
    uint64_t behind_ns;
    uint64_t heard_ns;
};

struct balance_freshness {
    struct target targets[TARGETS];
    struct mirror mirrors[MIRRORS];
};

struct balance_freshness *balance_freshness_new(void)
{
    return NEW(struct balance_freshness);
}

void balance_freshness_free(struct balance_freshness **freshness)
{
    memory_free(*freshness);
    *freshness = NULL;
}

static bool is_empty(const struct balance_validator *validator)
{
    return !validator->tag && !validator->modified_s;
}

/* By what both have. */
static bool is_same(const struct balance_validator *a, const struct balance_validator *b)
{
    if (a->modified_s && b->modified_s)
        return a->modified_s == b->modified_s;
    return a->tag && a->tag == b->tag;
}

static struct target *place_of(struct balance_freshness *freshness, uint64_t target)
{
    return &freshness->targets[target % TARGETS];
}

void balance_freshness_original(struct balance_freshness *freshness, uint64_t target,
                                const struct balance_validator *validator, uint64_t now_ns)
{
    struct target *known = place_of(freshness, target);
    if (is_empty(validator))
        return;
    if (known->hash != target) {
        *known = (struct target){.hash = target, .now = *validator};
        return;
    }
    if (is_same(&known->now, validator))
        return;
    known->before = known->now;
    known->now = *validator;
    known->changed_ns = now_ns;
}

static struct mirror *find_mirror(struct balance_freshness *freshness, uint64_t identity)
{
    struct mirror *oldest = &freshness->mirrors[0];
    for (unsigned i = 0; i < MIRRORS; i++) {
        if (freshness->mirrors[i].identity == identity)
            return &freshness->mirrors[i];
        if (freshness->mirrors[i].heard_ns < oldest->heard_ns)
            oldest = &freshness->mirrors[i];
    }
    *oldest = (struct mirror){.identity = identity};
    return oldest;
}

/* Of what the mirror gave: true where it is older than what the original has. */
static bool is_older(const struct target *known, const struct balance_validator *given)
{
    if (given->modified_s && known->now.modified_s)
        return given->modified_s < known->now.modified_s;
    return is_same(&known->before, given);
}

void balance_freshness_mirror(struct balance_freshness *freshness, uint64_t identity,
                              uint64_t target, const struct balance_validator *validator,
                              uint64_t now_ns)
{
    const struct target *known = place_of(freshness, target);
    if (is_empty(validator) || known->hash != target || !known->changed_ns)
        return; /* a target that does not change tells nothing */
    uint64_t age_ns = now_ns > known->changed_ns ? now_ns - known->changed_ns : 0;
    struct mirror *mirror = find_mirror(freshness, identity);
    mirror->heard_ns = now_ns;
    if (is_older(known, validator)) {
        if (mirror->behind_ns < age_ns)
            mirror->behind_ns = age_ns;
    } else if (is_same(&known->now, validator) && mirror->behind_ns > age_ns) {
        /* It has caught up here; elsewhere it may not have, so that the estimate falls by steps. */
        mirror->behind_ns -= (mirror->behind_ns - age_ns + 3) / 4;
    }
}

uint64_t balance_freshness_behind(const struct balance_freshness *freshness, uint64_t identity)
{
    for (unsigned i = 0; i < MIRRORS; i++)
        if (freshness->mirrors[i].identity == identity)
            return freshness->mirrors[i].behind_ns;
    return 0;
}
