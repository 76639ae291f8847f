/* SPDX-License-Identifier: Apache-2.0
 *
 * Who decides which request goes to which server, and when. A *farm* is a set of servers (origins' addresses) that is as small as it can be
 * while every server is in one farm only: sites that share a server share its farm. Each farm has one owner on one worker, with
 * the farm's queue, so that what is pending at a server is counted in one place and exactly (L3). A *part* is what one site asks for:
 * the servers of one of its groups, or of one of its ports; all parts of a farm wait in its queue.
 *
 *   sets.c     the map of farms, parts and owners: immutable, made on worker 0 of configuration and resolved names
 *   owner*.c   a farm's queue on its worker (owner_private.h)
 *   tickets.c  tickets on their way between those who ask and owners
 */
#ifndef GATEWAY_OWNER_H
#define GATEWAY_OWNER_H

#include "gateway/owner/tickets.h"

enum {
    GATEWAY_PARTS_MOST = 65536, /* of all sites; those behind have no servers */
    GATEWAY_NO_FARM = 0xffffffff,
};

/* ---- the map */

struct gateway_farm_server {
    struct queue_server_spec spec;
    struct address address;
    const char *url;     /* of its origin, as the first site names it */
    bool is_ordered_out; /* drained, or in maintenance: it gets nothing new */
};

struct gateway_farm {
    struct gateway_owner *owner;
    struct queue_settings settings; /* of its first site in the configuration, as the next two */
    const struct balance_policy *policy;
    struct gateway_judge_settings judge;
    struct gateway_farm_server *servers;
    size_t server_count;
    uint64_t sets[QUEUE_SETS]; /* which servers each set has, as a digest; 0: not used */
    const char *site;          /* the first, for people */
    uint32_t sessions_most;    /* of its sites, to remember; 0: none */
    uint64_t sessions_idle_ns;
};

struct gateway_part {
    uint64_t key;
    uint32_t farm; /* GATEWAY_NO_FARM: no server is known, or may be used */
    uint8_t set;   /* of the farm's queue */
};

struct gateway_map {
    struct arena arena;
    uint64_t version, digest;
    struct gateway_farm *farms;
    struct gateway_part *parts; /* by key */
    uint32_t *farm_of;          /* by the owner's number; GATEWAY_NO_FARM: it has none any more */
    uint32_t farm_count, part_count, owner_count;
};

/* Any thread that reads snapshots, for this turn; NULL before the first worker has started. */
const struct gateway_map *gateway_map_read(const struct gateway *gateway);
/* NULL: not known. */
const struct gateway_part *gateway_map_find(const struct gateway_map *map, uint64_t part);
/* On worker 0: the map of the present configuration and names, published if it is another one; all workers hear of it. */
void gateway_map_follow(struct gateway_worker *worker);
/* When no worker runs any more. */
void gateway_map_free(struct gateway *gateway);

/* ---- owners */

/* Owners are numbered from 0, and divided among workers. */
struct gateway_owner *gateway_owner_new(struct gateway *gateway, uint32_t number);
void gateway_owner_free(struct gateway_owner **freed); /* when no worker runs any more */
/* Any thread. */
uint32_t gateway_owner_number(const struct gateway_owner *owner);
struct gateway_worker *gateway_owner_worker(const struct gateway_owner *owner);
const struct gateway_queue_facts *gateway_owner_facts(struct gateway_owner *owner);

/* On its worker. */
/* It waits, or is refused at the end of this turn. The part is of that map, which need not be the newest by now: another one may be
 * published at any moment. */
void gateway_owner_push(struct gateway_owner *owner, const struct gateway_map *map,
                        const struct gateway_part *part, struct gateway_ticket *ticket);
void gateway_owner_cancel(struct gateway_ticket *ticket);  /* it waits no more */
void gateway_owner_reclass(struct gateway_ticket *ticket); /* it waits in another class */
void gateway_owner_finish(struct gateway_ticket *ticket, const struct gateway_outcome *outcome);
/* The map, or what health checks say, has changed: for all owners of this worker. */
void gateway_owners_follow(struct gateway_worker *worker);
/* The same of shares of classes that were told while running, or are the file's again. */
void gateway_owners_follow_shares(struct gateway_worker *worker);
void gateway_owners_deliver(struct worker *receiver, struct message *message); /* likewise */
void gateway_owners_stop(struct gateway_worker *worker);

/* ---- tickets, as owners see them */

struct gateway_ticket {
    struct queue_item item;
    struct list link; /* in the owner's list of those that wait */
    struct gateway_owner *owner;
    enum { TICKET_AWAY, TICKET_WAITS, TICKET_HAS_SLOT } place; /* as the owner knows it */
    uint16_t server;                                           /* where it has its slot, */
    uint8_t hops;                                              /* from worker to worker */
    uint64_t granted_ns;                                       /* since when it has the slot */
    struct gateway_judged judged;
    union {                       /* a hundred thousand of them may wait: no room for both */
        struct gateway_wish wish; /* up to the answer, and for who asked until the slot goes */
        struct gateway_outcome outcome; /* on its way back with the slot */
    };
    struct gateway_answer answer;

    /* Of tickets.c. */
    struct gateway_worker *_Atomic at; /* who may touch what is above */
    _Atomic uint32_t references;
    _Atomic uint8_t class; /* as it is wanted last */
    _Atomic bool reclass_is_under_way;
    bool has_answer; /* who asked knows of it */
    struct message forth, back, cancel, reclass;

    /* Of who asks. */
    struct gateway_worker *asker;
    gateway_ticket_function *answered; /* NULL: nobody waits for the answer any more */
    void *argument;
};

/* A ticket without an owner, on this worker: to the owner of its part. */
void gateway_ticket_route(struct gateway_worker *worker, struct gateway_ticket *ticket);
/* The answer is in the ticket: back to who asked. */
void gateway_ticket_return(struct gateway_worker *worker, struct gateway_ticket *ticket);
/* Without an answer, because the owner stops. */
void gateway_ticket_drop(struct gateway_ticket *ticket);
void gateway_tickets_start(struct gateway_worker *worker);
void gateway_tickets_stop(struct gateway_worker *worker);

#endif
