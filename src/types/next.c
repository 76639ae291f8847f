/* SPDX-License-Identifier: Apache-2.0
 *
 * What the next request of a type will take at a server, by what was recent there, and by what one would expect of a pair of which little is
 * known. A choice asks it of all servers and of all types that are pending there: so it lies ready in rows, and no choice divides or follows a
 * pointer to a pair. (L7)
 */
#include "types/private.h"

#include "base/memory.h"

enum { BESIDE_PART = 8 }; /* of what is under way beside a request, as it is delayed by it */

#define RECENT_KEPT (1 - 1.0 / 64) /* of what was recent, with each that comes */

void next_recent_add(struct recent *recent, double value)
{
    recent->sum = recent->sum * RECENT_KEPT + value;
    recent->weight = recent->weight * RECENT_KEPT + 1;
}

void next_recent_decay(struct recent *recent, double factor)
{
    recent->sum *= factor;
    recent->weight *= factor;
}

/* ---- life */

static size_t at(const struct next *next, uint8_t type, size_t server)
{
    return type * next->servers + server;
}

static void set_part(struct next *next, size_t pair)
{
    next->parts[pair] = 1 / (next->recents[pair].weight + BORROWED_WEIGHT);
}

void next_init(struct next *next, size_t servers)
{
    size_t pairs = TYPES_MOST * servers;
    *next = (struct next){.servers = servers, .forgotten = UINT32_MAX};
    next->recents = memory_new((pairs + 1) * sizeof *next->recents);
    next->parts = memory_new((pairs + 1) * sizeof *next->parts);
    next->next_ns = memory_new((pairs + 1) * sizeof *next->next_ns);
    next->slowness = memory_new((servers + 1) * sizeof *next->slowness);
    for (size_t i = 0; i < pairs; i++)
        set_part(next, i);
    for (size_t i = 0; i < servers; i++)
        next->slowness[i] = 1;
}

void next_clear(struct next *next)
{
    memory_free(next->recents);
    memory_free(next->parts);
    memory_free(next->next_ns);
    memory_free(next->slowness);
    *next = (struct next){0};
}

void next_take_server(struct next *to, size_t server, const struct next *from, size_t former)
{
    to->slowness[server] = from->slowness[former];
    for (uint8_t type = 0; type < (uint8_t)TYPES_MOST; type++) {
        to->recents[at(to, type, server)] = from->recents[at(from, type, former)];
        set_part(to, at(to, type, server));
    }
}

void next_renumber(struct next *next, const uint8_t to[TYPES_MOST])
{
    struct next renumbered;
    next_init(&renumbered, next->servers);
    for (uint8_t type = 0; type < (uint8_t)TYPES_MOST; type++)
        for (size_t i = 0; to[type] < TYPES_MOST && i < next->servers; i++) {
            renumbered.recents[at(next, to[type], i)] = next->recents[at(next, type, i)];
            set_part(&renumbered, at(next, to[type], i));
        }
    for (size_t i = 0; i < next->servers; i++)
        renumbered.slowness[i] = next->slowness[i];
    next_clear(next);
    *next = renumbered;
}

/* ---- what happens */

void next_decay(struct next *next, double factor)
{
    for (size_t i = 0; i < TYPES_MOST * next->servers; i++) {
        next_recent_decay(&next->recents[i], factor);
        set_part(next, i);
    }
    next->forgotten = UINT32_MAX;
}

void next_set_slowness(struct next *next, size_t server, double slowness)
{
    next->slowness[server] = slowness;
}

static void renew(struct next *next, uint8_t type, size_t server)
{
    size_t pair = at(next, type, server);
    double borrowed = next->everywhere_ns[type] * next->slowness[server] * BORROWED_WEIGHT;
    next->next_ns[pair] = (next->recents[pair].sum + borrowed) * next->parts[pair];
}

void next_add(struct next *next, size_t server, uint8_t type, double service_ns, double slowness)
{
    next_recent_add(&next->recents[at(next, type, server)], service_ns);
    set_part(next, at(next, type, server));
    next->slowness[server] = slowness;
    for (uint8_t i = 0; i < (uint8_t)TYPES_MOST; i++)
        if (!next_is_forgotten(next, i))
            renew(next, i, server);
}

void next_forget_row(struct next *next, uint8_t type)
{
    next->forgotten |= 1u << type;
}

bool next_is_forgotten(const struct next *next, uint8_t type)
{
    return next->forgotten >> type & 1;
}

void next_renew_row(struct next *next, uint8_t type, double everywhere_ns)
{
    next->everywhere_ns[type] = everywhere_ns;
    next->forgotten &= ~(1u << type);
    for (size_t i = 0; i < next->servers; i++)
        renew(next, type, i);
}

/* ---- the question */

/* While the server has room to begin at once, what is under way beside it delays it little, and what it does is in the means, which were
 * measured beside such: it decides between servers that are alike. Counted in full it would send quick requests to a slow idle server. */
void next_expect(const struct next *next, uint8_t type, const struct types_load *load, size_t count,
                 double *expected_ns)
{
    const double *own_ns = &next->next_ns[at(next, type, 0)];
    for (size_t i = 0; i < count; i++)
        expected_ns[i] = 0;
    for (uint8_t k = 0; k < (uint8_t)TYPES_MOST; k++) {
        const uint32_t *pending = load->pending[k];
        const double *next_ns = &next->next_ns[at(next, k, 0)];
        for (size_t i = 0; pending && i < count; i++)
            expected_ns[i] += pending[i] * next_ns[i];
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t parallel = load->parallel[i] ? load->parallel[i] : 1;
        uint32_t part = load->all[i] < load->parallel[i] ? parallel * BESIDE_PART : parallel;
        expected_ns[i] = own_ns[i] + expected_ns[i] / part;
    }
}
