/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/store: shards, objects, fills, and the rules of their locks.
 *
 * A shard's lock guards its tables, its policy and which fills are linked; a fill's lock its state, pieces and readers. A fill's lock may be
 * taken under a shard's, never the other way round; purge_lock comes before both. References are released outside of all of them.
 */
#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

#include "store/policy.h"
#include "store/store.h"
#include "store/table.h"

#include "base/memory.h"
#include "loop/loop.h"

#include <pthread.h>

enum {
    SHARDS_MOST = 64,
    SHARD_BYTES = 4 << 20,     /* at least so much of the budget for each */
    SMALL_BYTES = CHUNK_BYTES, /* head and body up to this: one chunk of exactly their size */
    OBJECT_TABLE_BYTES = 24,   /* of tables and ghosts, for each object */
    EVICT_HELD_MOST = 16,      /* objects in use that are passed over in search of room */
    SWEEP_CHAINS = 8192,       /* looked through in a tick */
    SWEEP_CHAINS_LOCKED = 16,  /* under one lock */
    FILLS_SHARE =
        2, /* one in so many bytes of the budget may belong to fills: others go past the store, */
    FILLS_PART = 3, /* and at so many quarters of it those that grow are not kept */
};

/* What a block of that size takes from the heap. */
static inline uint64_t heap_bytes(uint64_t size)
{
    return (size + 8 + 15) & ~UINT64_C(15);
}

/* ---- objects */

struct store_object {
    struct table_node node; /* in its shard's table: a reference */
    struct policy_node policy;
    uint64_t site;
    uint64_t order; /* purges up to here were looked at; under the shard's lock */
    uint64_t charge;
    union {
        uint64_t body_bytes;
        uint64_t pass_until_ns; /* of a mark that answers were not for keeping */
    };
    struct slice head;
    union {
        struct slice one;
        struct slice *many;
    } body;
    uint32_t slice_count;
    _Atomic uint32_t references;
    uint32_t hits;              /* under the shard's lock */
    _Atomic uint32_t claimed_s; /* when somebody last took it on himself to fetch it anew */
    uint16_t key_length, rule_length, selector_length, facts_length, tag_count;
    bool is_pass;
    bool is_kept;    /* in its shard's table; under its lock */
    bool is_renewed; /* its body is that of the one before it */
    _Atomic bool is_purged;
    uint64_t tail[]; /* hashes of tags, then facts, key, rule, selector */
};

/* Of no body yet; charged, with one reference. `key` NULL in no case; the answer NULL: a mark. */
struct store_object *object_new(struct store *store, uint64_t site, uint64_t hash, struct span key,
                                const struct store_answer *answer);
/* Tags as hashes, in any alignment. */
struct store_object *object_with_tags(struct store *store, uint64_t site, uint64_t hash,
                                      struct span key, const struct store_answer *answer,
                                      const void *tags, uint16_t tag_count);
bool object_answer_fits(const struct store_answer *answer);
/* Head and body in one chunk; or the head in one, and references to `count` slices. */
void object_set_small(struct store *store, struct store_object *object, struct span head,
                      const struct slice *slices, uint32_t count, uint64_t bytes);
void object_set_large(struct store *store, struct store_object *object, struct span head,
                      const struct slice *slices, uint32_t count, uint64_t bytes);
/* The one of the two that fits the size. */
void object_set_body(struct store *store, struct store_object *object, struct span head,
                     const struct slice *slices, uint32_t count, uint64_t bytes);
/* The same key, facts and tags, without bytes. */
struct store_object *object_again(struct store *store, const struct store_object *object);
const struct slice *object_slices(const struct store_object *object);
struct span object_selector(const struct store_object *object);
bool object_has_tag(const struct store_object *object, uint64_t tag);
uint64_t tag_hash(uint64_t site, struct span tag);

/* ---- the store */

struct shard_counts {
    uint64_t hits, misses, inserts, evictions, replaced, purged, waits, alone;
};

struct shard {
    _Alignas(CACHE_LINE_BYTES) pthread_mutex_t lock;
    struct table objects; /* newest first */
    struct table fills;
    void *policy;
    uint64_t marks;         /* of the objects: not for keeping */
    _Atomic uint64_t bytes; /* of the objects */
    struct shard_counts counts;
};

struct pending_purge {
    uint64_t order, site, tag;
    enum store_purge_kind kind;
    bool is_soft;
    struct slice what; /* a reference */
};

/* Immutable; published under RCU. */
struct pending_purges {
    uint64_t newest;
    uint32_t count;
    struct pending_purge purges[]; /* in order */
};

struct purged_site {
    uint64_t site, sequence;
};

struct purge_numbers {
    struct purged_site *list; /* open addressing; sequence 0: free */
    uint32_t size, count;
};

struct store {
    struct disk *disk; /* NULL: none */
    struct store_options options;
    const struct policy *policy;
    struct shard *shards;
    uint32_t shard_count; /* a power of two */
    _Atomic uint64_t used, fill_bytes, turn;
    _Atomic uint64_t fills, dismissed, failed_fills, passed_fills;
    /* Purges. */
    _Atomic uint64_t newest; /* order of the last one */
    void *_Atomic pending;   /* struct pending_purges; NULL: none */
    pthread_mutex_t purge_lock;
    struct purge_numbers numbers;
    /* The tick's own. */
    uint64_t sweep_target, sweep_chain;
    uint32_t sweep_shard, stall_shard;
};

uint64_t store_hash(const struct store *store, struct span key); /* of its name */
/* Whether a purge of `purged` takes what has that key. */
bool store_key_is_of(struct span key, struct span purged);
struct shard *store_shard(const struct store *store, uint64_t hash);
void store_charge(struct store *store, uint64_t bytes);
void store_discharge(struct store *store, uint64_t bytes);
void store_make_room(struct store *store); /* under no lock */

/* Under the shard's lock. The newest object with the hash, and behind it the others. */
struct store_object *shard_next(const struct shard *shard, uint64_t hash,
                                const struct store_object *after);
/* Of these, only those of the key. */
struct store_object *shard_object(const struct shard *shard, uint64_t hash,
                                  const struct store_query *query,
                                  const struct store_object *after);
/* Takes it out: the table's reference is now the caller's. */
void shard_unlink(struct store *store, struct shard *shard, struct store_object *object);
/* Takes the caller's reference, and hands out, chained by node.next, what it replaced. */
struct store_object *shard_keep(struct store *store, struct shard *shard,
                                struct store_object *object);
void store_release_chain(struct store *store, struct store_object *chain);

/* ---- find.c */
/* Which of a key's variants a request may have. */
struct choice {
    uint32_t rule_length, selector_length;
    bool is_none; /* they vary, and it can have none of them */
    uint8_t rule[STORE_RULE_MOST], selector[STORE_SELECTOR_MOST];
};
/* Locks the shard, and leaves it locked: by the rule of the newest object, or where there is none of a fill. */
void shard_choose(struct shard *shard, uint64_t hash, const struct store_query *query,
                  struct choice *choice);
/* Under the lock. Those that a purge takes are unlinked, and chained to *purged for the caller to release. */
struct store_object *shard_find(struct store *store, struct shard *shard, uint64_t hash,
                                const struct store_query *query, const struct choice *choice,
                                struct store_object **purged);

/* ---- purge.c */
/* Under the shard's lock, by a reader (loop.h): whether purges leave it be; it may become stale by the way. */
bool purge_spares(struct store *store, struct shard *shard, struct store_object *object);
void purge_sweep(struct store *store);
/* What is on disk has those up to that number behind it. `is_late`: what is in memory may not. Under purge_lock. */
void purge_restore_number(struct store *store, const struct purged_site *site, bool is_late);
void purge_clear(struct store *store);
uint64_t purge_numbers_get(const struct purge_numbers *numbers, uint64_t site); /* 0: none */
/* False: there are too many sites. */
bool purge_numbers_raise(struct purge_numbers *numbers, uint64_t site, uint64_t sequence);
void purge_numbers_clear(struct purge_numbers *numbers);

/* ---- fills */

/* A part of a body; counted, under the fill's lock: by the piece before it, by readers that are at it, by the fill. */
struct fill_piece {
    struct fill_piece *next;
    struct slice slice; /* the whole room */
    uint32_t filled;
    uint32_t references;
    uint64_t charge;
};

/* The readers of one worker: one message wakes them all. */
struct outpost {
    struct message message;
    struct outpost *next;
    struct store_fill *fill;
    struct worker *worker; /* NULL: on a thread that is none */
    struct list readers;
    _Atomic bool is_woken; /* its message holds a reference of the fill */
};

// clang-format off
#define FILL_STATE_LIST(X)                                                                          \
    X(WAITING, "no head yet")                                                                       \
    X(FLOWING, "the body comes")                                                                    \
    X(WHOLE, "all is there")                                                                        \
    X(PASSED, "not for keeping")                                                                    \
    X(FAILED, "no answer, or not whole")                                                            \
    X(LEFT, "the filler went away")
// clang-format on
enum fill_state {
#define X(name, text) FILL_##name,
    FILL_STATE_LIST(X)
#undef X
};

struct store_fill {
    struct table_node node;
    struct store *store;
    struct shard *shard;
    uint64_t site, order;
    uint8_t *key; /* its own: key, rule and selector as expected */
    struct span key_span;
    struct span rule, selector; /* under the shard's lock; from the head on those of `making` */
    _Atomic bool is_linked;     /* found by others, and kept in the end */
    _Atomic uint32_t references;

    pthread_mutex_t lock;
    enum fill_state state;
    bool is_load;                /* the filler is the disk */
    bool is_dismissed;           /* those that waited fetch for themselves */
    struct store_object *making; /* what readers see: its head and facts */
    struct fill_piece *first;    /* NULL: too large to be kept, pieces go when all have read them */
    struct fill_piece *last;
    bool is_cut;       /* its readers were too far behind: they are cut off */
    uint64_t cut_at;   /* when so much is buffered */
    uint64_t received; /* written by the filler's worker only */
    uint64_t buffered;
    int64_t length;
    uint64_t last_byte_ns;
    uint32_t reader_count;
    uint32_t waiting[STORE_URGENCY_MOST + 1]; /* of these, by urgency */
    _Atomic uint8_t urgency;                  /* of the most urgent; written under the lock */
    struct outpost *outposts;

    /* The filler's. */
    struct worker *filler;
    struct message change_message; /* holds a reference while posted */
    _Atomic bool is_watched;       /* it wants to be told */
    _Atomic bool is_room_wanted, is_change_posted;
    void (*changed)(void *context);
    void *change_context;
};

void fill_retain(struct store_fill *fill);
void fill_release(struct store_fill *fill);
/* Under the fill's lock. */
void fill_wake(struct store_fill *fill);
void fill_attach(struct store_fill *fill, struct store_reader *reader);
void piece_release(struct store_fill *fill, struct fill_piece *piece);
/* Under the shard's lock. */
void fill_unlink(struct store_fill *fill);
/* The disk's answer (NULL: none), whose reference it takes: kept, and the waiters look again. */
void fill_loaded(struct store_fill **pointer, struct store_object *object);
/* Lets go those who wait too long; looks at one shard. */
void fills_look(struct store *store, uint64_t now_ns);

#endif
