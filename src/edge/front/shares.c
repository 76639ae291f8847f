/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of client networks: two sets of eight places for each, chosen by a seeded hash; the rest of the hash is the name.
 */
#include "edge/front/shares.h"

#include "base/hash.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    WAYS = 8,
    LOCKS = 64, /* of new networks; a name always has the same */
    COUNT_BITS = 24,
    TRIES = 64,
};
#define COUNT_MASK ((1ull << COUNT_BITS) - 1)

struct edge_share {
    _Atomic uint64_t pin;                       /* name and connections; 0: free */
    _Atomic uint64_t full_ns[EDGE_SHARE_RATES]; /* when each bucket will be full again */
    _Atomic uint32_t requests;
    _Atomic uint32_t unread_kib; /* two share a line of the cache */
};

struct edge_shares {
    size_t mask; /* of sets */
    uint64_t seed;
    pthread_mutex_t locks[LOCKS];
    struct edge_share *places;
};

struct edge_shares *edge_shares_new(size_t networks, uint64_t seed)
{
    struct edge_shares *shares = NEW(struct edge_shares);
    size_t sets = 1;
    while (sets * WAYS < networks + networks / 3)
        sets *= 2;
    shares->mask = sets - 1;
    shares->seed = seed;
    shares->places = memory_new_aligned(sets * WAYS * sizeof *shares->places);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&shares->locks[i], NULL);
    return shares;
}

void edge_shares_free(struct edge_shares **freed)
{
    struct edge_shares *shares = *freed;
    if (!shares)
        return;
    *freed = NULL;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&shares->locks[i]);
    memory_free(shares->places);
    memory_free(shares);
}

struct network edge_share_network(const struct address *client, uint8_t ipv4_bits,
                                  uint8_t ipv6_bits)
{
    struct address unmapped = address_unmap(client);
    struct network network = {.address = {.family = unmapped.family}};
    network.bits = unmapped.family == 4 ? ipv4_bits : ipv6_bits;
    for (unsigned i = 0; i < network.bits / 8u; i++)
        network.address.bytes[i] = unmapped.bytes[i];
    if (network.bits % 8)
        network.address.bytes[network.bits / 8] =
            (uint8_t)(unmapped.bytes[network.bits / 8] & 0xff00 >> network.bits % 8);
    return network;
}

/* ---- places */

static uint64_t load(_Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

struct wanted {
    uint64_t name; /* of COUNT_BITS zeroes, and never 0 */
    struct edge_share *sets[2];
};

static struct wanted want(const struct edge_shares *shares, const struct network *network)
{
    struct {
        struct address address;
        uint64_t bits;
    } key = {network->address, network->bits};
    uint64_t hash = hash_span(span_of(&key, sizeof key), shares->seed);
    uint64_t name = hash & ~COUNT_MASK;
    size_t first = hash & shares->mask & COUNT_MASK;
    size_t second = (first ^ ((name >> COUNT_BITS) * 0x9e3779b97f4a7c15ull >> 32)) & shares->mask;
    return (struct wanted){.name = name ? name : 1ull << COUNT_BITS,
                           .sets = {&shares->places[first * WAYS], &shares->places[second * WAYS]}};
}

/* One connection more where the network has a place already. */
static struct edge_share *join(const struct wanted *wanted)
{
    for (size_t i = 0; i < 2 * (size_t)WAYS; i++) {
        struct edge_share *share = &wanted->sets[i / WAYS][i % WAYS];
        uint64_t pin = load(&share->pin);
        while ((pin & ~COUNT_MASK) == wanted->name && (pin & COUNT_MASK) < COUNT_MASK)
            if (atomic_compare_exchange_weak_explicit(&share->pin, &pin, pin + 1,
                                                      memory_order_acquire, memory_order_relaxed))
                return share;
    }
    return NULL;
}

static uint64_t busy_until_ns(struct edge_share *share)
{
    uint64_t connections_ns = load(&share->full_ns[EDGE_SHARE_CONNECTIONS]);
    uint64_t requests_ns = load(&share->full_ns[EDGE_SHARE_REQUESTS]);
    return connections_ns > requests_ns ? connections_ns : requests_ns;
}

/* A place of the set whose network has no connections: the one whose rates have least to remember. How many there are. */
static unsigned find_in_set(struct edge_share *set, struct edge_share **best, uint64_t *pin)
{
    unsigned count = 0;
    uint64_t least_ns = UINT64_MAX;
    for (size_t i = 0; i < WAYS; i++) {
        uint64_t found = load(&set[i].pin);
        uint64_t until_ns = found ? busy_until_ns(&set[i]) : 0;
        if (found & COUNT_MASK)
            continue;
        if (!count++ || until_ns < least_ns) {
            least_ns = until_ns;
            *best = &set[i];
            *pin = found;
        }
    }
    return count;
}

/* In the emptier set, so that both fill evenly; NULL: both are full. */
static struct edge_share *find_free(const struct wanted *wanted, uint64_t *pin)
{
    struct edge_share *places[2] = {NULL, NULL};
    uint64_t pins[2];
    unsigned first = find_in_set(wanted->sets[0], &places[0], &pins[0]);
    unsigned second = find_in_set(wanted->sets[1], &places[1], &pins[1]);
    unsigned chosen = second > first;
    *pin = places[chosen] ? pins[chosen] : 0;
    return places[chosen];
}

static struct edge_share *claim(const struct wanted *wanted)
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t pin;
        struct edge_share *share = find_free(wanted, &pin);
        if (!share)
            return NULL;
        if (!atomic_compare_exchange_strong_explicit(&share->pin, &pin, wanted->name | 1,
                                                     memory_order_acquire, memory_order_relaxed))
            continue; /* another network was faster */
        for (size_t k = 0; k < EDGE_SHARE_RATES; k++)
            atomic_store_explicit(&share->full_ns[k], 0, memory_order_relaxed);
        return share;
    }
    return NULL;
}

struct edge_share *edge_shares_enter(struct edge_shares *shares, const struct network *network)
{
    struct wanted wanted = want(shares, network);
    struct edge_share *share = join(&wanted);
    if (share)
        return share;
    /* Two that are new at once must not get two places. */
    pthread_mutex_t *lock = &shares->locks[(wanted.name >> COUNT_BITS) % LOCKS];
    pthread_mutex_lock(lock);
    share = join(&wanted);
    if (!share)
        share = claim(&wanted);
    pthread_mutex_unlock(lock);
    return share;
}

void edge_share_leave(struct edge_share *share)
{
    if (share)
        atomic_fetch_sub_explicit(&share->pin, 1, memory_order_release);
}

uint32_t edge_share_connections(const struct edge_share *share)
{
    return (uint32_t)(load(&((struct edge_share *)(uintptr_t)share)->pin) & COUNT_MASK);
}

uint32_t edge_share_requests(const struct edge_share *share)
{
    return atomic_load_explicit(&((struct edge_share *)(uintptr_t)share)->requests,
                                memory_order_relaxed);
}

/* ---- what a network with connections may do */

uint64_t edge_share_take(struct edge_share *share, enum edge_share_rate rate, uint32_t per_s,
                         uint64_t burst_ns, uint64_t now_ns)
{
    _Atomic uint64_t *full_ns = &share->full_ns[rate];
    uint64_t interval_ns = 1000000000 / per_s;
    uint64_t room_ns = burst_ns > interval_ns ? burst_ns : interval_ns;
    uint64_t before_ns = load(full_ns);
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t from_ns = before_ns > now_ns ? before_ns : now_ns;
        if (from_ns - now_ns + interval_ns > room_ns)
            return from_ns - now_ns + interval_ns - room_ns;
        if (atomic_compare_exchange_weak_explicit(full_ns, &before_ns, from_ns + interval_ns,
                                                  memory_order_relaxed, memory_order_relaxed))
            return 0;
    }
    return interval_ns; /* so many others at this very moment: one too many */
}

bool edge_share_begin(struct edge_share *share, uint32_t most)
{
    if (atomic_fetch_add_explicit(&share->requests, 1, memory_order_relaxed) < most || !most)
        return true;
    edge_share_end(share);
    return false;
}

void edge_share_end(struct edge_share *share)
{
    atomic_fetch_sub_explicit(&share->requests, 1, memory_order_relaxed);
}

void edge_share_add_unread(struct edge_share *share, int32_t kib)
{
    atomic_fetch_add_explicit(&share->unread_kib, (uint32_t)kib, memory_order_relaxed);
}

uint32_t edge_share_unread(const struct edge_share *share)
{
    return atomic_load_explicit(&((struct edge_share *)(uintptr_t)share)->unread_kib,
                                memory_order_relaxed);
}
