/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of sessions that no cookie tells of: by key, bounded, the longest unused goes first (L9). Entries stand in one array and
 * refer to one another by number, in chains of equal hash and in the order of use.
 */
#include "balance/balance.h"
#include "base/memory.h"

enum { NOBODY = 0 }; /* entries are numbered from 1 */

#define SECOND_NS 1000000000ull

struct entry {
    uint64_t key, identity;
    uint32_t used_s;        /* when it was used last */
    uint32_t fresh_until_s; /* since 1970 */
    uint32_t next;          /* in its chain */
    uint32_t older, newer;
};

struct balance_sessions {
    uint64_t idle_ns, seed;
    uint32_t most, count;
    uint32_t oldest, newest;
    uint32_t chain_mask;
    struct entry *entries; /* [most + 1] */
    uint32_t *chains;
};

static uint32_t *chain_of(struct balance_sessions *sessions, uint64_t key)
{
    /* Keys are hashes without a secret: this keeps clients from filling one chain. */
    uint64_t x = (key ^ sessions->seed) * 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 32) * (sessions->seed | 1);
    return &sessions->chains[(x >> 29) & sessions->chain_mask];
}

struct balance_sessions *balance_sessions_new(uint32_t most, uint64_t idle_ns, uint64_t seed)
{
    struct balance_sessions *sessions = NEW(struct balance_sessions);
    uint32_t chains = 16;
    while (chains < most && chains < 1u << 31)
        chains *= 2;
    *sessions = (struct balance_sessions){.idle_ns = idle_ns,
                                          .seed = seed,
                                          .most = most,
                                          .chain_mask = chains - 1,
                                          .entries = memory_new(((size_t)most + 1) *
                                                                sizeof *sessions->entries),
                                          .chains = memory_new(chains * sizeof(uint32_t))};
    return sessions;
}

void balance_sessions_free(struct balance_sessions **sessions)
{
    if (!*sessions)
        return;
    memory_free((*sessions)->entries);
    memory_free((*sessions)->chains);
    memory_free(*sessions);
    *sessions = NULL;
}

/* ---- order of use */

static void forget_use(struct balance_sessions *sessions, uint32_t number)
{
    struct entry *entry = &sessions->entries[number];
    if (entry->older != NOBODY)
        sessions->entries[entry->older].newer = entry->newer;
    else
        sessions->oldest = entry->newer;
    if (entry->newer != NOBODY)
        sessions->entries[entry->newer].older = entry->older;
    else
        sessions->newest = entry->older;
}

static void note_use(struct balance_sessions *sessions, uint32_t number, uint64_t now_ns)
{
    struct entry *entry = &sessions->entries[number];
    entry->used_s = (uint32_t)(now_ns / SECOND_NS);
    entry->older = sessions->newest;
    entry->newer = NOBODY;
    if (sessions->newest != NOBODY)
        sessions->entries[sessions->newest].newer = number;
    else
        sessions->oldest = number;
    sessions->newest = number;
}

/* ---- entries */

static uint32_t look_up(struct balance_sessions *sessions, uint64_t key)
{
    uint32_t number = *chain_of(sessions, key);
    while (number != NOBODY && sessions->entries[number].key != key)
        number = sessions->entries[number].next;
    return number;
}

static void leave_chain(struct balance_sessions *sessions, uint32_t number)
{
    uint32_t *link = chain_of(sessions, sessions->entries[number].key);
    while (*link != number)
        link = &sessions->entries[*link].next;
    *link = sessions->entries[number].next;
}

static bool is_over(const struct balance_sessions *sessions, const struct entry *entry,
                    uint64_t now_ns)
{
    uint64_t used_ns = entry->used_s * SECOND_NS;
    return now_ns > used_ns && now_ns - used_ns > sessions->idle_ns + SECOND_NS;
}

bool balance_sessions_find(struct balance_sessions *sessions, uint64_t key, uint64_t now_ns,
                           struct balance_session *session)
{
    uint32_t number = look_up(sessions, key);
    *session = (struct balance_session){0};
    if (number == NOBODY || is_over(sessions, &sessions->entries[number], now_ns))
        return false;
    forget_use(sessions, number);
    note_use(sessions, number, now_ns);
    session->identity = sessions->entries[number].identity;
    session->fresh_until_s = sessions->entries[number].fresh_until_s;
    return true;
}

/* A free number, or that of the longest unused. */
static uint32_t make_room(struct balance_sessions *sessions)
{
    if (sessions->count < sessions->most)
        return ++sessions->count;
    uint32_t number = sessions->oldest;
    leave_chain(sessions, number);
    forget_use(sessions, number);
    return number;
}

void balance_sessions_put(struct balance_sessions *sessions, uint64_t key, uint64_t now_ns,
                          const struct balance_session *session)
{
    uint32_t number = look_up(sessions, key);
    if (!sessions->most)
        return;
    if (number == NOBODY) {
        uint32_t *chain = chain_of(sessions, key);
        number = make_room(sessions);
        sessions->entries[number].key = key;
        sessions->entries[number].next = *chain;
        *chain = number;
    } else {
        forget_use(sessions, number);
    }
    sessions->entries[number].identity = session->identity;
    sessions->entries[number].fresh_until_s = (uint32_t)session->fresh_until_s;
    note_use(sessions, number, now_ns);
}

uint32_t balance_sessions_count(const struct balance_sessions *sessions)
{
    return sessions->count;
}

void balance_sessions_configure(struct balance_sessions **sessions, uint32_t most, uint64_t idle_ns)
{
    struct balance_sessions *old = *sessions;
    old->idle_ns = idle_ns;
    if (old->most == most)
        return;
    struct balance_sessions *changed = balance_sessions_new(most, idle_ns, old->seed);
    for (uint32_t number = old->oldest; number != NOBODY; number = old->entries[number].newer) {
        const struct entry *entry = &old->entries[number];
        const struct balance_session session = {entry->identity, entry->fresh_until_s};
        balance_sessions_put(changed, entry->key, entry->used_s * SECOND_NS, &session);
    }
    balance_sessions_free(sessions);
    *sessions = changed;
}
