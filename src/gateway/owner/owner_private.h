/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to owner*.c: a farm's owner, in parts. All of it runs on the owner's worker.
 *
 *   owner.c           its queue: requests come, get their slots or refusals, and slots come back
 *   owner_servers.c   which servers it has, and which of them may be used
 *   owner_sessions.c  what it remembers: the servers of sessions, and how far mirrors are behind
 *   owner_report.c    what every thread may know of it
 */
#ifndef GATEWAY_OWNER_PRIVATE_H
#define GATEWAY_OWNER_PRIVATE_H

#include "gateway/owner/owner.h"

enum { OWNER_SERVERS = QUEUE_SERVERS_MOST }; /* their numbers in the queue are below that */

/* A server by that number. */
struct owner_server {
    uint64_t identity;
    struct address address;
    struct queue_part part;  /* of its slots, that this gateway has */
    uint64_t avoid_until_ns; /* a connection failed lately */
    enum balance_role role;
    uint64_t behind_ns; /* as the configuration says; 0: it is learnt */
    bool drains;
    bool is_ordered_out;
};

struct gateway_owner {
    struct list link; /* in the worker's list; not before the first request */
    struct gateway *gateway;
    struct gateway_worker *worker;
    uint32_t number;
    struct queue *queue;                 /* NULL: nobody has asked for one of its servers yet */
    struct gateway_judge *judge;         /* likewise */
    struct list waiting;                 /* struct gateway_ticket, in the order of their arrival */
    struct owner_server *servers;        /* by number; as the queue */
    struct balance_sessions *sessions;   /* those without a cookie; NULL: none yet */
    struct balance_freshness *freshness; /* of mirrors; NULL: there are none */
    uint32_t sessions_most;
    uint64_t sessions_idle_ns;
    uint64_t judge_ns; /* when a server may be usable again; UINT64_MAX: all is judged */
    struct loop_task pump;
    struct loop_timer wake, report;
    uint64_t version; /* of the map that was followed last */
    uint64_t sets[QUEUE_SETS];
    bool is_quiet;           /* what was published last says that there is nothing */
    void *_Atomic published; /* struct gateway_queue_facts */
};

static inline uint64_t gateway_owner_now_ns(const struct gateway_owner *owner)
{
    return loop_now_ns(owner->worker->loop);
}

/* ---- owner.c */
/* Its queue may have somebody to send, or to refuse, at the end of this turn; and there is something to tell. */
void gateway_owner_has_news(struct gateway_owner *owner);
/* Those that wait find their places anew: the parts of the farm are others. */
void gateway_owner_send_on(struct gateway_owner *owner);

/* ---- owner_servers.c */
/* `farm` NULL: none is left to this owner. */
void gateway_owner_follow(struct gateway_owner *owner, const struct gateway_map *map,
                          const struct gateway_farm *farm);
void gateway_owner_judge_servers(struct gateway_owner *owner);
/* No connection to it could be made: it is the last choice for a while. */
void gateway_owner_avoid(struct gateway_owner *owner, uint16_t number, uint64_t now_ns);
/* The server that just failed it, unless there is no other that will do. */
uint16_t gateway_owner_server_to_avoid(const struct gateway_owner *owner,
                                       const struct gateway_wish *wish);
/* Our part of the slots that the configuration gives origins; slots that are found are each gateway's own. */
void gateway_owner_divide_slots(struct gateway_owner *owner);
void gateway_owner_on_wake(struct loop *loop, struct loop_timer *timer);

/* ---- owner_sessions.c */
/* The server of its session; QUEUE_NO_SERVER: it has none, or one that gets nothing new or not this. The queue sees to the rest. */
uint16_t gateway_owner_find_session(struct gateway_owner *owner, struct gateway_session *session);
/* It was given that server: it stays there. */
void gateway_owner_settle_session(struct gateway_owner *owner, struct gateway_ticket *ticket);
void gateway_owner_configure_sessions(struct gateway_owner *owner);
/* How far mirrors are behind, by what this answer shows. */
void gateway_owner_learn_freshness(struct gateway_owner *owner, const struct gateway_ticket *ticket,
                                   const struct gateway_outcome *outcome);
/* A server is a mirror whose delay is learnt: what was learnt of it outlasts a reload. */
void gateway_owner_follow_mirror(struct gateway_owner *owner, uint16_t number);
void gateway_owner_forget(struct gateway_owner *owner); /* all of that */
void gateway_owner_sessions_metrics_register(void);

/* ---- owner_report.c */
#define GATEWAY_OWNER_REPORT_NS (100ull * 1000000)
void gateway_owner_on_report(struct loop *loop, struct loop_timer *timer);

#endif
