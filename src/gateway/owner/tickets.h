/* SPDX-License-Identifier: Apache-2.0
 *
 * A ticket is a place in the queue of a set of servers, and then a slot at one of them (L3). Whoever wants to use an origin asks for one on its
 * own worker; the ticket travels to the worker that owns those servers (owner.h), waits there, and comes back with a server or a
 * refusal. However it ends, gateway_ticket_end() is called once: it takes the place out of the queue, or gives the slot back with
 * what became of it. Tickets are never lost: what is under way when workers stop is freed with the messages.
 */
#ifndef GATEWAY_TICKETS_H
#define GATEWAY_TICKETS_H

#include "gateway/owner/judge.h"
#include "gateway/session.h"
#include "queue/queue.h"

struct gateway_ticket;

/* What is asked for. */
struct gateway_wish {
    uint64_t part;                  /* whose servers: gateway_part_key() */
    uint64_t except;                /* identity of the one that just failed it; 0: none */
    struct gateway_session session; /* zeroed: none */
    uint8_t class, type;
    enum gateway_try as;
};

/* What came of it. */
struct gateway_answer {
    int result; /* 0: a slot at `address`; ERROR_LIMIT: refused for `reason`; ERROR_UNREACHABLE: there are no such servers; ERROR_DENIED: the budget of such tries is used up */
    enum queue_reason reason;
    uint64_t retry_ns; /* with ERROR_LIMIT: when it may be worth another try */
    uint64_t identity; /* of the server */
    struct address address;
    uint64_t session_identity; /* of the server that the session belongs to from now on */
    enum balance_role role;    /* what the server is among those with its content */
    uint64_t hedge_ns; /* after so long without an answer a second server may be asked; 0: never */
};

/* What became of a slot. */
enum gateway_end {
    GATEWAY_END_DROPPED,     /* we or the client gave up: it says nothing of the server */
    GATEWAY_END_DONE,        /* the server answered */
    GATEWAY_END_FAILED,      /* it answered nonsense, or not at all */
    GATEWAY_END_UNCONNECTED, /* no connection could be made */
};

struct gateway_outcome {
    enum gateway_end end;
    uint16_t status; /* of an answer; 0: it has none */
    uint64_t
        service_ns; /* from the answer to the ticket to the beginning of the server's; 0: not known */
    uint64_t bytes;
    uint64_t target; /* of what the validator is, where the server has a role; 0: nothing */
    struct balance_validator validator;
};

/* Called on the asking worker, never from within gateway_ticket_ask(), and once at most: not after gateway_ticket_end(). */
typedef void gateway_ticket_function(void *argument, struct gateway_ticket *ticket);

struct gateway_ticket *gateway_ticket_ask(struct gateway_worker *worker,
                                          const struct gateway_wish *wish,
                                          gateway_ticket_function *answered, void *argument);
/* Another one waits for the answer, on the same worker. */
void gateway_ticket_move(struct gateway_ticket *ticket, gateway_ticket_function *answered,
                         void *argument);
/* Once it is answered: the session of the wish, with what its owner knew of it. */
const struct gateway_session *gateway_ticket_session(const struct gateway_ticket *ticket);
const struct gateway_answer *gateway_ticket_answer(const struct gateway_ticket *ticket);
/* Another class (L10): it counts while the ticket waits. NULL is harmless. */
void gateway_ticket_reclass(struct gateway_ticket *ticket, uint8_t class);
/* Nulls; NULL is harmless. `outcome` counts for a ticket that has a slot; NULL: dropped. */
void gateway_ticket_end(struct gateway_ticket **ended, const struct gateway_outcome *outcome);

#endif
