/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue in front of one set of servers. Each server has a number of requests pending (its slots) that is kept steady and
 * exact; what comes above it waits here, ordered by class, then by deadline, and leaves to the server that the policy picks. The
 * slots of a server are fixed by its owner or found by a controller. Servers may be origins (gateway) or channels (edge). Pure:
 * one thread at a time, time and randomness are passed in. (L3, L4, L6, L7, L10)
 *
 *   push ──> waiting, in lanes ── next ──> pending at a server ── finish ──> gone
 *                │  cancel: its client has gone
 *                └─ dropped: its time is over, the queue stands, a higher class needs the room
 *
 * After each push, finish, set_* and tick the caller takes launches by queue_next() until it says no, and at queue_wake_ns() what
 * has to go by queue_dropped(). Nothing here calls back, but for the costs in `struct queue_costs`.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "balance/balance.h"
#include "base/error.h"
#include "base/heap.h"
#include "base/list.h"

enum {
    QUEUE_CLASSES = 5,            /* 0 is first, as the link's rings */
    QUEUE_TYPES = 16,             /* request types, numbers of src/types */
    QUEUE_SERVERS_MOST = 64,      /* of one queue, those included that only finish what they have */
    QUEUE_SETS = 16,              /* parts of the servers that requests may ask for */
    QUEUE_SLOTS_MOST = 65535,     /* of one server */
    QUEUE_NO_SERVER = 0xffff,     /* no server at all */
    QUEUE_LENGTH_MOST = 4u << 20, /* of requests waiting */
    QUEUE_LENGTH_DEFAULT = 10000,
};

/* How a queue waits; conf reads it from sites.*.queue. */
struct queue_settings {
    uint32_t length;      /* requests waiting at most; above it, the lowest class goes first */
    uint64_t patience_ns; /* longest wait of a request that has no earlier deadline */
    /* The queue of a class stands when for an interval every launch had waited longer than the target. */
    uint64_t target_ns, interval_ns;
    /* A standing queue: the newest go first, the old go without a server. Else all wait their turn. */
    bool is_newest_first;
    /* Of the servers' time, what a class gets at least while it waits. Sum at most 100. */
    uint8_t share_percent[QUEUE_CLASSES];
    uint8_t reserve_percent; /* of the slots, kept for higher classes while such requests come */
    bool finds_slots; /* for the caller: servers without a stated number have 0 in their spec */
    uint32_t slots_least, slots_most;     /* what the controller may choose, for each server */
    struct balance_slow_start slow_start; /* of weight and slots */
    struct balance_marks marks;           /* of original and mirrors (L8) */
};

void queue_settings_default(struct queue_settings *settings);

/* ---- requests */

/* Embedded in the caller's ticket, which must live until it was launched, dropped or cancelled. Zeroed; then the caller fills in the
 * first part. */
struct queue_item {
    uint64_t deadline_ns; /* when waiting is of no more use; 0: after the patience */
    uint64_t key;         /* for policies that go by key */
    uint16_t pinned;      /* the server of its session, or QUEUE_NO_SERVER */
    uint16_t except;      /* a server that failed it, now the last choice; or QUEUE_NO_SERVER */
    uint8_t class, type;
    uint8_t set; /* the part of the servers that may serve it */
    bool has_key;
    enum balance_need need; /* of originals and mirrors */

    /* The queue's own. */
    uint32_t expected_us; /* the wait that was foretold, without what is learnt from others */
    uint64_t arrived_ns;
    struct heap_node node;   /* in its lane, by deadline */
    struct list link;        /* in its lane, by arrival */
    struct queue_lane *lane; /* NULL: not waiting */
};

/* Every way by which a waiting request ends without a server. */
#define QUEUE_REASON_LIST(X)                                             \
    X(DEADLINE, "deadline", "it waited as long as it may")               \
    X(STANDING, "standing", "the queue stands, newer requests go first") \
    X(FULL, "full", "the queue is full")                                 \
    X(HOPELESS, "hopeless", "the wait would have been longer than it may be")

enum queue_reason {
#define X(name, word, text) QUEUE_REASON_##name,
    QUEUE_REASON_LIST(X)
#undef X
        QUEUE_REASONS
};

const char *queue_reason_word(enum queue_reason reason);
const char *queue_reason_text(enum queue_reason reason);

/* ---- servers */

/* What the owner says of a server. */
struct queue_server_spec {
    uint64_t identity; /* stable over reloads and nodes; unique in the queue */
    uint16_t weight;   /* 0: nothing new but what is pinned to it; 100 is usual */
    uint32_t slots;    /* its high-water mark (L3); 0: the controller finds it */
    uint32_t types;    /* bit for each type that it serves; 0: all */
    uint16_t
        type_weights[QUEUE_TYPES]; /* in place of `weight` for requests of that type; 0: as it is */
    uint16_t sets;                 /* bit for each set that it belongs to; 0: set 0 */
    enum balance_role role;
    uint64_t behind_ns; /* of a mirror */
};

/* What became of a request at a server. */
struct queue_outcome {
    uint64_t service_ns; /* from launch to the beginning of its answer; 0: not known */
    uint64_t held_ns;    /* from launch to finish: how long it had the slot */
    uint64_t bytes;      /* of its answer */
    bool is_failed;      /* the server's fault: says nothing of how long requests take */
    bool is_local_drop;  /* ended by us or by the client: likewise */
};

struct queue_launch {
    struct queue_item *item; /* the caller's again */
    uint16_t server;         /* its number, valid until the request has finished */
    uint64_t waited_ns;
};

/* What each choice looks at, by number of server. */
struct queue_load {
    uint32_t pending[QUEUE_SERVERS_MOST], slots[QUEUE_SERVERS_MOST];
    uint32_t type_pending[QUEUE_TYPES][QUEUE_SERVERS_MOST];
    uint32_t types[QUEUE_TYPES]; /* at all servers together */
};

/* For each of the first `count` servers, when one more request of the type would be done there (src/types knows), in ns; 0: not known. Asked once
 * for each choice. */
struct queue_costs {
    void (*expected_ns)(void *context, uint8_t type, const struct queue_load *load, size_t count,
                        double expected_ns[QUEUE_SERVERS_MOST]);
    void *context;
};

/* ---- life */

struct queue;

/* Settings are copied. The random source and the costs' context are borrowed for the queue's life; `costs` NULL: the queue's own means. */
struct queue *queue_new(const struct queue_settings *settings, const struct balance_policy *policy,
                        struct random *random, const struct queue_costs *costs);
void queue_free(struct queue **freed); /* nothing waits in it any more */
void queue_configure(struct queue *queue, const struct queue_settings *settings,
                     const struct balance_policy *policy, uint64_t now_ns);

/* The servers from now on. What is known of one that stays (by identity) is kept; one that is gone gets nothing new, and its
 * number is free when its last request has finished. ERROR_LIMIT: over QUEUE_SERVERS_MOST with those that still finish, ERROR_INVALID:
 * an identity twice, a weight or set out of range; nothing was changed then. */
MUST_USE int queue_servers_set(struct queue *queue, const struct queue_server_spec *specs,
                               size_t count, uint64_t now_ns);
uint16_t queue_server_find(const struct queue *queue,
                           uint64_t identity); /* QUEUE_NO_SERVER: not there */
uint64_t queue_server_identity(const struct queue *queue, uint16_t server);

/* Whether it may be used as far as is known (health, ejection). What waited for it alone is freed to go elsewhere. One that is
 * unusable and of weight 0 gets nothing at all: it drains. */
void queue_server_set_usable(struct queue *queue, uint16_t number, bool is_usable, uint64_t now_ns);
void queue_server_set_weight(struct queue *queue, uint16_t number, uint16_t weight,
                             uint64_t now_ns);
/* Its slots as the owner fixes them; 0: found by the controller. */
void queue_server_set_slots(struct queue *queue, uint16_t number, uint32_t slots);
void queue_server_set_behind(struct queue *queue, uint16_t number, uint64_t behind_ns);
/* No more than so many of them from here, where gateways share the server; UINT32_MAX: no such bound. */
void queue_server_set_most(struct queue *queue, uint16_t number, uint32_t most);

/* ---- gateways that share servers */

/* A gateway's part of a server's slots, beside `others` gateways; needs are in any unit, those of the others together. With fewer slots than
 * gateways each has one. */
uint32_t queue_divide(uint32_t slots, uint32_t others, uint64_t own_need, uint64_t others_need);

/* A part that shrinks at once and grows when others have had the time to shrink theirs. Zero-initialised: nothing was given yet. */
struct queue_part {
    uint32_t slots;
    uint8_t larger_for; /* looks in a row */
};
uint32_t queue_part_follow(struct queue_part *part, uint32_t due);

/* ---- requests come and go */

/* 0: it waits; queue_next() may launch it at once. ERROR_LIMIT: refused for *reason, the item is not kept. */
MUST_USE int queue_push(struct queue *queue, struct queue_item *item, uint64_t now_ns,
                        enum queue_reason *reason);
void queue_cancel(struct queue *queue,
                  struct queue_item *item); /* harmless when it does not wait */
/* Another class for a request that waits (L10). */
void queue_reclass(struct queue *queue, struct queue_item *item, uint8_t class, uint64_t now_ns);
bool queue_next(struct queue *queue, uint64_t now_ns,
                struct queue_launch *launch); /* false: nobody can go now */
/* A request that does not wait takes a slot, over the count if there is none: a second try beside the first. */
void queue_begin(struct queue *queue, uint16_t number, uint8_t class, uint8_t type);
void queue_finish(struct queue *queue, uint16_t number, uint8_t class, uint8_t type,
                  const struct queue_outcome *outcome, uint64_t now_ns);
struct queue_item *queue_dropped(struct queue *queue, uint64_t now_ns,
                                 enum queue_reason *reason); /* NULL: none any more */
uint64_t
queue_wake_ns(const struct queue
                  *queue); /* when to call queue_dropped() and queue_next(); UINT64_MAX: never */

/* ---- queries */

struct queue_class_report {
    uint32_t waiting;
    uint64_t wait_ns;  /* that a request coming now may expect */
    uint64_t launched; /* since the queue began */
    uint8_t share_percent;
    bool is_standing;
};

struct queue_report {
    struct queue_class_report classes[QUEUE_CLASSES];
    uint32_t waiting, pending, slots; /* slots: of usable servers */
    uint32_t rate_milli;              /* requests finished, in thousandths for each second */
    uint32_t
        load_permille; /* pending and waiting to the slots, over the last second or so; 1000: just full */
    uint64_t drain_ns; /* to serve all that waits: for Retry-After */
    uint64_t pushed, finished, cancelled, dropped[QUEUE_REASONS];
};

void queue_report(const struct queue *queue, uint64_t now_ns, struct queue_report *report);

struct queue_server_report {
    uint64_t identity;
    uint32_t pending, slots;
    uint16_t weight;
    bool is_usable, is_found /* slots by the controller */, is_leaving;
    uint64_t service_ns; /* mean of late */
    uint64_t finished, failed;
};

/* False: there is no server of that number. Numbers are below QUEUE_SERVERS_MOST. */
bool queue_server_report(const struct queue *queue, uint16_t number,
                         struct queue_server_report *report);

#endif
