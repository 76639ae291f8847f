/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/queue. A request lies in a lane: those of one class and type that the same servers may serve. Within a lane all are
 * alike for the choice, so that looking at its first is enough; one that is tied to a busy server is in another lane than
 * those that an idle one could serve (L4). A launch looks at lanes, never at requests.
 *
 *   queue ── group (who may serve it: a set, a session's server, all but one)
 *              └── lane (class, type) ── items by deadline, and by arrival
 */
#ifndef QUEUE_PRIVATE_H
#define QUEUE_PRIVATE_H

#include "base/memory.h"
#include "queue/limit.h"
#include "queue/queue.h"

enum {
    QUEUE_NEEDS = 3, /* of enum balance_need */
    GROUPS_OF_SETS = QUEUE_SETS * QUEUE_NEEDS,
    GROUPS_PINNED = QUEUE_SERVERS_MOST,
    GROUPS_EXCEPT = QUEUE_SETS * QUEUE_SERVERS_MOST * QUEUE_NEEDS,
    QUEUE_GROUPS = GROUPS_OF_SETS + GROUPS_PINNED + GROUPS_EXCEPT,
};

#define QUEUE_RETRY_NS 50000000ull /* when slots become free by time alone, not by an event */

struct queue_lane {
    struct heap deadlines;
    struct list arrivals; /* the oldest first */
    struct queue_group *group;
    uint64_t passed_over; /* the round of the queue in which nobody could take its first */
    uint8_t class, type;
};

struct queue_group {
    struct list link; /* in queue->groups while something waits in it */
    uint64_t servers; /* bits: who may serve it */
    uint16_t set, pinned, except;
    enum balance_need need;
    uint32_t waiting;
    uint16_t types[QUEUE_CLASSES]; /* bits: lanes in which something waits */
    struct queue_lane *lanes[QUEUE_CLASSES][QUEUE_TYPES];
};

struct queue_server {
    struct queue_server_spec spec;
    bool is_there; /* in the table */
    bool is_leaving;
    bool is_usable;
    uint32_t most;               /* bound by other gateways */
    uint64_t since_ns;           /* for the slow start; 0: always there */
    struct limit limit;          /* where the spec fixes no slots */
    uint64_t begun[QUEUE_TYPES]; /* launches of that type, to all servers, when it got its last */
    double service_ns[QUEUE_TYPES]; /* means; 0: not known */
    double usual_pending;           /* that those met, */
    double usual_seen;              /* by how many of late, PART_OF_MEAN at most */
    double peak_ns;                 /* peak EWMA of all types */
    uint64_t finished, failed;
};

/* What came for each second, of late. */
struct queue_rate {
    double per_s;
    uint64_t at_ns;
};

/* A number that holds until it changes: its mean over the last second or so. */
struct queue_level {
    double mean, now;
    uint64_t at_ns;
};

struct queue_class {
    uint32_t waiting, pending;
    uint32_t type_waiting[QUEUE_TYPES];
    double credit_ns;        /* of servers' time that its share gave it */
    uint64_t above_since_ns; /* launches have waited over the target since; 0: they have not */
    bool is_standing;
    double held_ns;         /* mean of late, of all types; 0: not known */
    double recent_wait_ns;  /* of those launched from the standing queue */
    double correction;      /* of the estimate, by what became of earlier ones */
    struct queue_rate work; /* ns of servers' time that came */
    double above_peak;      /* pending of higher classes, of late */
    uint64_t above_peak_ns;
    uint64_t launched;
};

struct queue {
    struct queue_settings settings;
    const struct balance_policy *policy;
    void *policy_state;
    struct random *random;
    const struct queue_costs *costs;

    struct queue_group *group_table[QUEUE_GROUPS]; /* NULL: never used */
    struct list groups;                            /* in which something waits */
    struct queue_class classes[QUEUE_CLASSES];
    uint32_t waiting, pending;
    struct queue_lane evicted; /* made way for higher classes; the caller has not heard of it */
    uint64_t wake_ns;          /* no later than the next to be dropped */
    uint64_t retry_ns;         /* when somebody may go without an event; UINT64_MAX: never */
    uint64_t round;            /* of launches */

    struct queue_server servers[QUEUE_SERVERS_MOST];
    size_t server_count; /* places used, with gaps */
    /* What choices look at, by number, apart from the rest so that it stays near. Slots are as of now, but of those in their slow start as of
     * when the choice was begun. */
    struct queue_load load_now;
    struct balance_candidate candidates[QUEUE_SERVERS_MOST]; /* but for what is pending and asked */
    double usual_part[QUEUE_SERVERS_MOST];                   /* 1 / (what is usual there + 1) */
    double usual_pending;                                    /* at whatever server */
    uint64_t weighs_types;                                   /* bits: type_weights are stated */
    uint64_t there;                                          /* bits: not leaving, */
    uint64_t open;                                           /* and of weight, */
    uint64_t usable;                                         /* and not known to be down */
    uint64_t ramping;                                        /* in their slow start */
    uint64_t serves[QUEUE_TYPES];                            /* bits, of all in the table */
    uint8_t by_speed[QUEUE_SERVERS_MOST]; /* those open and usable, the fastest first */
    uint32_t by_speed_count;
    uint32_t slots;        /* of those together */
    uint64_t sorted_at_ns; /* when the three were found */
    uint64_t peaks_at_ns;  /* when peaks were forgotten a little last */

    double held_ns[QUEUE_TYPES]; /* mean time that a request has its slot */
    uint32_t held_seen[QUEUE_TYPES];
    struct queue_rate finishes;
    struct queue_level load;
    uint64_t begun[QUEUE_TYPES]; /* launches, to all servers */
    uint64_t tried[QUEUE_TYPES]; /* how many they were when a forgotten server was tried last */
    uint64_t pushed, finished, cancelled, dropped[QUEUE_REASONS];
};

/* ---- lanes.c */
/* Where the item waits, or goes to wait. */
struct queue_lane *queue_lane_of(struct queue *queue, const struct queue_item *item);
void queue_lane_add(struct queue *queue, struct queue_lane *lane, struct queue_item *item);
void queue_lane_remove(struct queue *queue, struct queue_item *item);
struct queue_item *queue_lane_soonest(const struct queue_lane *lane); /* deadline; never empty */
struct queue_item *queue_lane_oldest(const struct queue_lane *lane);
struct queue_item *queue_lane_newest(const struct queue_lane *lane);
void queue_groups_follow(struct queue *queue); /* the servers have changed */
/* All that waits for that server alone may go elsewhere from now on. */
void queue_groups_untie(struct queue *queue, uint16_t server);
void queue_groups_free(struct queue *queue);

/* Walks over the lanes in which something of a class waits; they must not change meanwhile. Begins with {0}. */
struct queue_walk {
    struct list *group;
    uint32_t types;
};
struct queue_lane *queue_walk_next(struct queue *queue, uint8_t class, struct queue_walk *walk);

/* ---- servers.c */
void queue_servers_sort(struct queue *queue, uint64_t now_ns);
/* A choice begins. */
void queue_servers_ramp(struct queue *queue, uint64_t now_ns);
/* Who has room, if `reserve` slots are left free: bits. */
uint64_t queue_servers_room(const struct queue *queue, uint32_t reserve);
/* Those of `room` where requests of the group and type may go; down ones only where no other is left. */
uint64_t queue_servers_for(const struct queue *queue, const struct queue_group *group, uint8_t type,
                           uint64_t room);
/* The server for the item among those; QUEUE_NO_SERVER: it waits for another. */
uint16_t queue_server_pick(struct queue *queue, const struct queue_item *item,
                           const struct queue_group *group, uint64_t room, uint64_t now_ns);
void queue_server_left(struct queue *queue, uint16_t number); /* has finished its last */
void queue_server_answered(struct queue *queue, uint16_t number, uint8_t type,
                           const struct queue_outcome *outcome, uint64_t now_ns);

/* ---- order.c: which request is next, between the classes and within them */
/* Its server is *server. NULL: nobody can go. */
struct queue_item *queue_order_next(struct queue *queue, uint64_t now_ns, uint16_t *server);
void queue_order_launched(struct queue *queue, const struct queue_item *item, uint64_t now_ns);
void queue_order_emptied(struct queue *queue, uint8_t class); /* nothing of it waits any more */
uint64_t queue_order_patience_ns(const struct queue *queue, uint8_t class); /* at present */
/* Slots that the class leaves free for higher ones. */
uint32_t queue_order_reserve(const struct queue *queue, uint8_t class, uint64_t now_ns);
/* Who makes way when the queue is full; NULL: nobody of a lower class. */
struct queue_item *queue_order_victim(struct queue *queue, uint8_t class);

/* ---- estimate.c */
double queue_held_ns(const struct queue *queue, uint8_t type);
void queue_held_add(struct queue *queue, uint8_t class, uint8_t type, uint64_t held_ns);
/* The wait of a request that comes now; 0: it goes at once, or the queue stands. */
uint64_t queue_estimate_ns(const struct queue *queue, uint8_t class, double own_ns,
                           uint64_t now_ns);
/* The same with what is learnt from how wrong it was for others, and for a queue that stands. */
uint64_t queue_wait_ns(const struct queue *queue, uint8_t class, double own_ns, uint64_t now_ns);
double queue_backlog_ns(const struct queue *queue, uint8_t class); /* of servers' time */
void queue_estimate_launched(struct queue *queue, const struct queue_item *item, uint64_t now_ns);
void queue_load_note(struct queue *queue, uint64_t now_ns);
void queue_rate_add(struct queue_rate *rate, double amount, uint64_t now_ns);
double queue_rate_now(const struct queue_rate *rate, uint64_t now_ns);
double queue_level_mean(const struct queue_level *level, uint64_t now_ns);

#endif
