/* SPDX-License-Identifier: Apache-2.0
 *
 * The store of signatures: a table of fixed size that all threads read and write without a lock. An entry is two lines of
 * the cache under a version number, odd while it is written; a reader that meets a writer takes it for a miss, a writer
 * that meets another lets it be.
 */
#include "dns/signed.h"

#include "base/memory.h"

enum {
    WORDS = 13, /* of a record: key, times, signature */
    WAYS = 2,   /* entries that a key may lie in: neighbours */
    ENTRIES_LEAST = 64,
};

struct entry {
    _Atomic uint64_t version; /* 0: free */
    _Atomic uint64_t words[WORDS];
    uint64_t unused[2]; /* to whole lines */
};

_Static_assert(sizeof(struct entry) == 2 * (size_t)CACHE_LINE_BYTES, "an entry is two lines");
_Static_assert(sizeof(struct dns_signature) == WORDS * sizeof(uint64_t), "words are the record");

struct dns_signatures {
    uint64_t seed;
    size_t mask;
    void *memory;
    struct entry *entries;
};

struct dns_signatures *dns_signatures_new(size_t bytes, uint64_t seed)
{
    size_t count = ENTRIES_LEAST;
    while (count * 2 * sizeof(struct entry) <= bytes)
        count *= 2;
    struct dns_signatures *signatures = NEW(struct dns_signatures);
    signatures->seed = seed;
    signatures->mask = count - 1;
    /* zeroed by the kernel, so that what is never used is never there */
    signatures->memory = memory_new(count * sizeof(struct entry) + CACHE_LINE_BYTES);
    uintptr_t start = (uintptr_t)signatures->memory + CACHE_LINE_BYTES - 1;
    signatures->entries = (struct entry *)(start & ~(uintptr_t)(CACHE_LINE_BYTES - 1));
    return signatures;
}

void dns_signatures_free(struct dns_signatures *signatures)
{
    if (!signatures)
        return;
    memory_free(signatures->memory);
    memory_free(signatures);
}

uint64_t dns_signatures_seed(const struct dns_signatures *signatures)
{
    return signatures->seed;
}

/* Data words are loaded before the version is looked at again (acquire), and stored behind its odd value (release). */
static bool read_entry(struct entry *entry, struct dns_signature *signature)
{
    uint64_t words[WORDS];
    uint64_t version = atomic_load_explicit(&entry->version, memory_order_acquire);
    if (!version || (version & 1))
        return false;
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = atomic_load_explicit(&entry->words[i], memory_order_acquire);
    if (atomic_load_explicit(&entry->version, memory_order_relaxed) != version)
        return false;
    memcpy(signature, words, sizeof words);
    return true;
}

static bool has_key(struct entry *entry, const struct dns_signature_key *key)
{
    return atomic_load_explicit(&entry->words[0], memory_order_relaxed) == key->low &&
           atomic_load_explicit(&entry->words[1], memory_order_relaxed) == key->high;
}

static struct entry *entry_of(const struct dns_signatures *signatures,
                              const struct dns_signature_key *key, unsigned way)
{
    return &signatures->entries[(key->low & signatures->mask) ^ way];
}

static bool is_key(const struct dns_signature_key *a, const struct dns_signature_key *b)
{
    return a->low == b->low && a->high == b->high;
}

bool dns_signatures_find(const struct dns_signatures *signatures,
                         const struct dns_signature_key *key, uint32_t wall_s,
                         struct dns_signature *signature)
{
    for (unsigned way = 0; way < WAYS; way++) {
        struct entry *entry = entry_of(signatures, key, way);
        if (has_key(entry, key) && read_entry(entry, signature) && is_key(&signature->key, key))
            return signature->inception_s <= wall_s && wall_s < signature->refresh_s;
    }
    return false;
}

/* Its own place, else a free one, else that of the signature which is to be made anew sooner. */
static struct entry *choose_entry(const struct dns_signatures *signatures,
                                  const struct dns_signature_key *key)
{
    struct entry *chosen = NULL;
    uint32_t soonest_s = UINT32_MAX;
    for (unsigned way = 0; way < WAYS; way++) {
        struct entry *entry = entry_of(signatures, key, way);
        struct dns_signature there;
        if (has_key(entry, key) || !atomic_load_explicit(&entry->version, memory_order_relaxed))
            return entry;
        if (read_entry(entry, &there) && there.refresh_s <= soonest_s) {
            soonest_s = there.refresh_s;
            chosen = entry;
        }
    }
    return chosen;
}

void dns_signatures_keep(struct dns_signatures *signatures, const struct dns_signature *signature)
{
    struct entry *entry = choose_entry(signatures, &signature->key);
    if (!entry)
        return;
    uint64_t words[WORDS];
    uint64_t version = atomic_load_explicit(&entry->version, memory_order_relaxed);
    if ((version & 1) ||
        !atomic_compare_exchange_strong_explicit(&entry->version, &version, version + 1,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    memcpy(words, signature, sizeof words);
    for (unsigned i = 0; i < WORDS; i++)
        atomic_store_explicit(&entry->words[i], words[i], memory_order_release);
    atomic_store_explicit(&entry->version, version + 2, memory_order_release);
}
