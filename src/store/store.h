/* SPDX-License-Identifier: Apache-2.0
 *
 * What a cache keeps (C1, C2): answers in memory shared by all workers, and fills: answers in the making that stream to
 * everybody who waits for them. It knows nothing of HTTP: keys, heads, facts, rules and selectors are bytes of others
 * (src/cache judges them), times are passed in.
 *
 * Threads: every call from any worker (or thread that is a reader, loop.h), unless it says so. A fill belongs to the worker that
 * began it, a reader to the worker that attached it. No call blocks, but for the lock of a shard, held for tens of nanoseconds.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/error.h"
#include "base/list.h"
#include "base/slice.h"

struct store;
struct store_object; /* immutable, counted */
struct store_fill;

enum {
    STORE_KEY_MOST = 16384,     /* bytes of a primary key; longer ones are not kept */
    STORE_RULE_MOST = 1024,     /* bytes of a rule that says by what a key's answers vary */
    STORE_SELECTOR_MOST = 8192, /* bytes that say which of them this is */
    STORE_FACTS_MOST = 1024,
    STORE_TAGS_MOST = 256,       /* of one object; one that has more goes by SITE and PREFIX only */
    STORE_VARIANTS_MOST = 64,    /* of one key: the oldest goes */
    STORE_PARTS_MOST = 256,      /* likewise of one name, variants and all */
    STORE_WAITERS_MOST = 10000,  /* of one fill: others fetch for themselves */
    STORE_PURGES_PENDING = 1024, /* that the sweep has not finished */
    STORE_SITES_MOST = 65536,    /* with numbered purges */
    STORE_WINDOW_BYTES = 1 << 20, /* held of an answer that turned out too large to be kept */
    STORE_BEHIND_MOST =
        16 << 20, /* likewise, where the filler goes on without room: readers are cut off then */
};
enum { STORE_URGENCY_MOST = 7 }; /* of those who wait for a fill */
enum { STORE_CLAIM_S = 5 };      /* so long nobody else fetches an object anew before its time */
#define STORE_STALL_NS (5ull * 1000000000) /* without a byte: waiters fetch for themselves */

/* ---- life cycle */
struct store_options {
    uint64_t memory_bytes;      /* of objects, fills and tables together */
    uint64_t object_bytes_most; /* 0: an eighth of it */
    const char *policy;         /* of eviction; NULL: s3fifo */
    uint32_t waiters_most;      /* 0: STORE_WAITERS_MOST */
    uint64_t stall_ns;          /* 0: STORE_STALL_NS */
    uint64_t seed;              /* of the tables: random */
    uint64_t disk_bytes;        /* 0: no disk tier */
    int disk_folder;            /* as for store_use_folder() */
};
/* ERROR_NOT_FOUND: no such policy. ERROR_LIMIT: no thread is to be had for the disk. */
MUST_USE int store_open(struct store **opened, const struct store_options *options);
/* When nobody holds an object, a fill or a reader. */
void store_close(struct store **closed);
/* Every 10 ms, on one worker: sweeps after purges and lets go those who wait for a stalled fill; a bounded piece of work. */
void store_tick(struct store *store, uint64_t now_ns);
/* Waits until the disk tier has nothing to do; on no worker. */
void store_settle(struct store *store);

/* ---- the disk tier
 *
 * A process at a time owns a folder: another one waits until it lets go of it, and keeps answers in memory only. Whatever goes wrong
 * there costs nothing but what is not found.
 */
// clang-format off
#define STORE_DISK_STATE_LIST(X)                                                                    \
    X(CLOSED, "there is none")                                                                      \
    X(OPENING, "looks through what is there")                                                       \
    X(WAITING, "another process has the folder")                                                    \
    X(OPEN, "in use")                                                                               \
    X(FAILED, "cannot be used, and is tried again")
// clang-format on
enum store_disk_state {
#define X(name, text) STORE_DISK_##name,
    STORE_DISK_STATE_LIST(X)
#undef X
};
/* *error: errno of what went wrong last, and has not gone well since; 0: nothing. */
enum store_disk_state store_disk_state(struct store *store, int *error);
/* From now on that folder, by a descriptor that stays the caller's (O_PATH is enough); -1: none. What waits is written, for 2 s at most, and
 * the one before is let go of, soon: it does not block. Without disk_bytes: nothing. */
void store_use_folder(struct store *store, int folder);
/* The numbers of purges that the disk remembers are known, or are not to be expected soon: until then store_purge_sequence() may be too low. */
bool store_knows_purges(struct store *store);

/* The names of the policies, for the configuration: NULL ends them. */
const char *store_policy_name(size_t index);

/* ---- finding */
/* Borrowed for the call. Keys that differ are different resources, also of different sites. A key is a name and, behind a NUL byte, perhaps
 * a part: what is told apart under one name, and purged with it. */
struct store_query {
    uint64_t site;   /* a number that stays the same over restarts: purges go by it */
    struct span key; /* begins with what purges by prefix begin with */
    uint64_t now_ns;
    /* The key's answers vary: writes the selector that this request has by the rule, and returns its length; UINT32_MAX: none that could
     * match. Outside of any lock. NULL: finds only answers that do not vary. */
    uint32_t (*select)(void *context, struct span rule, uint8_t selector[STORE_SELECTOR_MOST]);
    void *context;
};
/* A reference, or NULL. */
struct store_object *store_find(struct store *store, const struct store_query *query);

struct store_object *store_object_retain(struct store_object *object);
void store_object_release(struct store *store, struct store_object **pointer); /* nulls */
struct span store_object_key(const struct store_object *object);
struct span store_object_head(const struct store_object *object);
struct span store_object_facts(const struct store_object *object);
struct span store_object_rule(const struct store_object *object);
uint64_t store_object_body_bytes(const struct store_object *object);
/* References to a part of the body, to the end of `out`. Offset and length within the body. */
void store_object_body(const struct store_object *object, uint64_t offset, uint64_t length,
                       struct slice_queue *out);
/* A soft purge took its freshness: it has to be validated before it is used, or is used where stale ones may. */
bool store_object_is_purged(const struct store_object *object);

/* Look-ups that found it, and half of those that found the ones before it, and so on. */
uint32_t store_object_hits(const struct store_object *object);
/* Whoever gets true fetches it anew; others need not, for STORE_CLAIM_S. */
bool store_object_claim(struct store_object *object, uint32_t now_s);

/* The names that were found most often, the most popular first; keys that have a part, or a byte below a blank, are no names. */
struct store_hot {
    char *key; /* to be freed */
    uint32_t hits;
};
enum { STORE_HOTTEST_MOST = 10000 };
/* At most `most`; how many. `list` has room for them. Looks through everything: on no worker. */
size_t store_hottest(struct store *store, uint64_t site, struct store_hot *list, size_t most);

/* ---- fetching once for many
 *
 *              join                     answer            data ...          end: kept
 *    miss ---> FILL: fetch it, tell us  ------> readers' FLOWING --------->  readers' WHOLE
 *         ---> WAIT: somebody does        pass: not for all, readers' ALONE
 *         ---> ALONE: fetch it past us    fail: readers' FAILED
 *         ---> FOUND: it just came        leave: readers' AGAIN, the first one to join fetches
 */
enum store_role {
    STORE_FOUND, /* `object`: another one than `seen` is there now */
    STORE_FILL,  /* `fill`: to be ended by one of end, refresh, pass, fail, leave */
    STORE_WAIT,  /* the reader is attached */
    STORE_ALONE, /* not through the store: it was not for keeping lately, or a limit is reached */
};

// clang-format off
#define STORE_READER_STATE_LIST(X)                                                                  \
    X(NONE, "not attached")                                                                         \
    X(WAITING, "no head yet")                                                                       \
    X(FLOWING, "the head is there, the body comes")                                                 \
    X(WHOLE, "all is there: pull the rest")                                                         \
    X(ALONE, "not begun and let go: fetch it past the store")                                       \
    X(AGAIN, "not begun, and who fetched is gone, or it is another variant: join again")            \
    X(FAILED, "cut off: what was sent of it is not whole")
// clang-format on
enum store_reader_state {
#define X(name, text) STORE_READER_##name,
    STORE_READER_STATE_LIST(X)
#undef X
};

/* Embed it, zeroed, with `wake` set: called on its worker after anything changed, never from within another call of the store. On a
 * thread that is no worker: never. */
struct store_reader {
    void (*wake)(struct store_reader *reader);
    /* The store's own. */
    struct list link;
    struct store_fill *fill;
    struct fill_piece *piece;
    uint32_t offset; /* in the piece */
    bool has_begun;  /* its owner saw the head */
    bool is_own;     /* of the filler */
    uint8_t urgency; /* set by store_reader_set_urgency() */
    uint32_t (*select)(void *context, struct span rule, uint8_t selector[STORE_SELECTOR_MOST]);
    void *context;
};

struct store_joined {
    struct store_object *object; /* FOUND: a reference */
    struct store_fill *fill;     /* FILL */
};
/* After a look-up that found nothing that may be used as it is. `seen` (may be NULL): what it found. The query's `select` and
 * `context` are used for as long as the reader is attached. */
enum store_role store_join(struct store *store, const struct store_query *query,
                           const struct store_object *seen, struct store_reader *reader,
                           struct store_joined *joined);

/* After a look-up that found nothing, whatever is asked for: WAIT where it is on disk, from where it comes now: the reader says AGAIN when it is
 * there, to be looked up. ALONE: it is not. */
enum store_role store_recall(struct store *store, const struct store_query *query,
                             struct store_reader *reader);

/* ---- the filler's side, on its worker */
struct store_answer { /* borrowed for the call */
    struct span head, facts;
    struct span rule, selector; /* empty: it does not vary */
    const struct span *tags;
    size_t tag_count;
};
enum { STORE_LENGTH_UNKNOWN = -1 };
/* The head is there and may be kept; the length of the body, or STORE_LENGTH_UNKNOWN. ERROR_LIMIT: it is too much, which ends the fill like
 * store_fill_pass(), and nulls it. */
MUST_USE int store_fill_answer(struct store_fill **pointer, const struct store_answer *answer,
                               int64_t length, uint64_t now_ns);
/* Copies. More than store_fill_room() is taken too, but should not be given. */
void store_fill_data(struct store_fill *fill, struct span data, uint64_t now_ns);
/* How many bytes it takes now: much, but where the answer is not kept after all (too large, purged meanwhile) and its readers are behind. */
uint64_t store_fill_room(struct store_fill *fill);
/* How urgently they wait who do, at whichever worker: the most urgent of them; 0: nobody, or all without hurry. */
uint8_t store_fill_urgency(const struct store_fill *fill);
/* Called on the filler's worker when there is room again after there was none, when the last reader has left, or when the fill has another
 * urgency: look at all three, also now. Replaces the one before. */
void store_fill_watch(struct store_fill *fill, void (*changed)(void *context), void *context);
bool store_fill_is_read(struct store_fill *fill); /* somebody waits for it */
bool store_fill_is_kept(
    struct store_fill
        *fill); /* and will be found by others: no purge took it, it is not too large */
/* The filler's own client reads like the others do, but is never let go. Before any data. */
void store_fill_read(struct store_fill *fill, struct store_reader *reader);
/* Whole: kept from now on. All of these null. */
void store_fill_end(struct store_fill **pointer);
/* What is stored is still good: the answer has the new head and facts, the body is that of `old`. */
void store_fill_refresh(struct store_fill **pointer, const struct store_object *old,
                        const struct store_answer *answer);
/* Not for keeping, remembered for `pass_ns` (0: not at all): until then joins are ALONE. */
void store_fill_pass(struct store_fill **pointer, uint64_t now_ns, uint64_t pass_ns);
/* There is no answer, or it was cut off. */
void store_fill_fail(struct store_fill **pointer);
/* The filler goes away. */
void store_fill_leave(struct store_fill **pointer);

/* ---- a reader's side, on its worker */
/* Attached or not: at most STORE_URGENCY_MOST, which is the most urgent; 0 (as it begins): its fill may take its time. */
void store_reader_set_urgency(struct store_reader *reader, uint8_t urgency);
enum store_reader_state store_reader_look(struct store_reader *reader);
/* FLOWING or WHOLE: until the reader closes. */
const struct store_object *store_reader_object(const struct store_reader *reader);
/* References to the next bytes of the body, at most `limit`; how many. */
uint64_t store_reader_pull(struct store_reader *reader, struct slice_queue *out, uint64_t limit);
bool store_reader_is_at_end(const struct store_reader *reader); /* WHOLE, and all was pulled */
void store_reader_close(struct store_reader *reader);           /* harmless when not attached */

/* ---- purging
 *
 * A purge is in force when the call returns: for what is stored, and for fills that began before. What it matches leaves the memory
 * at the next look-up or when the sweep comes by.
 */
enum store_purge_kind {
    STORE_PURGE_KEY, /* all variants of the key and, where it is only a name, all parts of that */
    STORE_PURGE_PREFIX, /* of the key */
    STORE_PURGE_TAG,
    STORE_PURGE_SITE, /* all of it */
};
struct store_purge {
    uint64_t site;
    uint64_t
        sequence; /* the site's number of this purge, from 1; 0: not numbered (of this node only) */
    enum store_purge_kind kind;
    bool is_soft;
    struct span what;
};
/* 0. ERROR_REPLAY: was done already. ERROR_INCOMPLETE: those between are missing, nothing was done: give them first, or jump over
 * them by a numbered purge of the whole SITE, soft or hard. ERROR_AGAIN: too many are pending, once the sweep is on. */
MUST_USE int store_purge(struct store *store, const struct store_purge *purge);
uint64_t store_purge_sequence(struct store *store, uint64_t site); /* of the last one; 0: none */

/* A purge as a record of a log that is replayed later: appended to `out`. */
void store_purge_write(const struct store_purge *purge, struct slice_queue *out);
/* The next record: its bytes, ERROR_INCOMPLETE, or ERROR_INVALID. `what` borrows. */
MUST_USE int store_purge_read(struct span log, struct store_purge *purge);

/* ---- counts, exact when nothing moves */
// clang-format off
#define STORE_COUNT_LIST(X)                                                                         \
    X(objects, "objects kept")                                                                      \
    X(bytes, "bytes of memory that count: objects, fills, what is still read, tables")              \
    X(bytes_most, "the budget")                                                                     \
    X(fills, "fills in progress")                                                                   \
    X(hits, "look-ups that found something")                                                        \
    X(misses, "look-ups that found nothing")                                                        \
    X(inserts, "objects that were kept")                                                            \
    X(evictions, "objects that made room")                                                          \
    X(replaced, "objects that gave way to a newer one")                                             \
    X(purged, "objects that purges took away or made stale")                                        \
    X(purges_pending, "purges that the sweep has not finished")                                     \
    X(waits, "requests that waited for the fill of another")                                        \
    X(alone, "requests sent past the store")                                                        \
    X(dismissed, "waiters let go because their fill stalled")                                       \
    X(failed_fills, "fills that failed, or were left")                                              \
    X(passed_fills, "fills whose answer was not for keeping")                                       \
    X(disk_objects, "objects on disk")                                                              \
    X(disk_bytes, "bytes on disk")                                                                  \
    X(disk_writes, "records written")                                                               \
    X(disk_renewals, "of these, heads alone, of objects whose body was there")                      \
    X(disk_written, "bytes of all records written")                                                 \
    X(disk_loads, "objects read back into memory")                                                  \
    X(disk_bad, "records that were torn, foreign, or purged since")                                 \
    X(disk_errors, "times that the folder could not be opened, or written to")                      \
    X(disk_dropped, "objects not written because too much waited to be, or nothing could be")
// clang-format on
struct store_counts {
#define X(name, text) uint64_t name;
    STORE_COUNT_LIST(X)
#undef X
};
void store_count(struct store *store, struct store_counts *counts);

#endif
