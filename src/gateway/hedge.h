/* SPDX-License-Identifier: Apache-2.0
 *
 * A second try beside the first: of a request that waits for its answer longer than others of its type (a hedge), or whose first answer was
 * that the server cannot now (then that answer is held until the second try tells better). The request's side is request.c: it
 * decides when, and takes the attempt over that answers first.
 */
#ifndef GATEWAY_HEDGE_H
#define GATEWAY_HEDGE_H

#include "gateway/attempt.h"

/* In the request; zeroed: there is none. */
struct gateway_hedge {
    struct gateway_request *request;
    struct gateway_worker *worker;
    const struct http_head *head; /* without content; the request's */
    struct gateway_ticket *ticket;
    struct gateway_attempt *attempt;
    struct loop_timer timer; /* until it begins */
    bool is_hedge;           /* else the first answer is held */
    uint64_t first;          /* the origin of the first try: not this one again */
};

/* gateway_request_on_hedge() follows after the delay, for requests without content; 0: the caller asks himself. */
void gateway_hedge_arm(struct gateway_hedge *hedge, struct gateway_request *request,
                       struct gateway_worker *worker, const struct http_head *head,
                       uint64_t delay_ns);
void gateway_hedge_ask(struct gateway_hedge *hedge, const struct gateway_wish *wish);
/* It has a slot: goes there. False: it has ended. */
bool gateway_hedge_start(struct gateway_hedge *hedge, const struct conf_site *site,
                         const struct origin_caller *caller);
/* False: it has ended. */
bool gateway_hedge_on_connected(struct gateway_hedge *hedge, bool has_failed);
/* False: it has ended, also by an error of the server. *answers: the head of a good answer is in attempt->answer. */
bool gateway_hedge_on_origin(struct gateway_hedge *hedge, bool is_readable, bool *answers);
/* The attempt, which is the caller's now. */
struct gateway_attempt *gateway_hedge_take(struct gateway_hedge *hedge);
void gateway_hedge_stop(struct gateway_hedge *hedge);

/* ---- what it tells its request (request.c) */
void gateway_request_on_hedge(struct gateway_request *request);
void gateway_request_on_hedge_ticket(struct gateway_request *request);

extern struct metric gateway_hedges, gateway_hedges_won;

#endif
