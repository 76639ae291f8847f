/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: the step between an exchange and the store (C1). What HTTP says is src/cache's; what is kept is src/store's;
 * here the two meet.
 *
 *                     fresh
 *   take --> look up -------> answer it (cached_answer.c)
 *              |  stale, or nothing             304, or an error that a stale one covers
 *              `--> join --> ask for it --> link --> cached_fill.c -------> answer it
 *                     |                                 | to be stored: fetch.c brings it to the store,
 *                     |                                 v                   whatever becomes of who asked
 *                     `--> somebody asks for it: wait, then read it as it comes --> answer it
 */
#ifndef EDGE_CACHED_H
#define EDGE_CACHED_H

#include "cache/cache.h"
#include "edge/exchange.h"
#include "store/store.h"

enum {
    EDGE_REFRESHES_MOST = 256
}; /* of a worker at once: stale answers validated behind clients' backs */
enum {
    EDGE_FETCHES_UNREAD_MOST = 256 /* of a worker: those that go on for who comes later */
};
#define EDGE_PASS_NS \
    (10ull * 1000000000) /* so long nobody waits for what turned out not to be stored */

/* In the exchange's arena. */
struct edge_cached {
    struct edge_exchange *exchange;
    struct cache_policy policy;
    struct cache_ask ask;
    uint64_t site; /* in the store */
    struct text key;
    struct http_head asked; /* the request as the client sent it, but for parameters that make no
                             * difference: a validation changes what is sent on */
    uint64_t request_s;     /* when it was sent on, or will be */

    struct store_object *object; /* what there is, fresh or not; a reference */
    struct cache_facts facts;    /* of that, or of what a reader reads */
    struct http_fields fields;   /* likewise; they borrow from it */
    struct cache_judgement judgement;
    bool is_validation; /* what was sent on asks whether `object` is still right */

    struct store_fill *fill;    /* we fetch: until it is answered */
    bool is_filling;            /* the store has its head: the rest is a fetch's (fetch.c) */
    struct store_reader reader; /* of what we or somebody else fetches */

    /* The answer from the store: where we are in it. */
    struct cache_answer answer;
    uint64_t at;      /* of the range, or of the whole */
    uint32_t index;   /* of the range */
    bool is_head_due; /* of that range, in a multipart answer */

    enum cache_forward why;
    bool was_hit;            /* what the answer said of it */
    unsigned forward_status; /* of the origin's answer that ours replaces; 0: none */
    enum cache_refusal refusal;
};

/* ---- cached.c */
struct store_query edge_cached_query(struct edge_cached *cached);
/* What is in the store, as facts and fields. False: it cannot be read. */
bool edge_cached_open(struct edge_cached *cached, const struct store_object *object);
/* The wall's time in seconds. */
uint64_t edge_cached_now_s(void);

/* ---- cached_answer.c */
/* While the head of an answer passes: it is all of `object`, which stays where it is until the exchange is over. */
bool edge_cached_is_whole(const struct edge_exchange *exchange);
/* Answers with `facts` and `fields`; content comes from `object`, or from the reader where there is none. */
enum edge_next edge_cached_answer(struct edge_cached *cached);
/* Answers with the origin's own head, which is the exchange's; content comes from the reader. */
enum edge_next edge_cached_answer_fetched(struct edge_cached *cached);
/* The Cache-Status field of an answer. */
MUST_USE int edge_cached_add_status(struct edge_cached *cached, struct http_fields *fields,
                                    bool is_hit);

/* ---- cached_fill.c: what comes back */
/* The tags of a stored answer, which borrow from its fields; how many. */
size_t edge_cached_tags(struct span tags[STORE_TAGS_MOST], const struct http_fields *fields);
enum edge_next edge_cached_take_head(struct edge_exchange *exchange, struct http_head *answer);

/* ---- fetch.c */
/* The rest of the exchange's answer goes to the store by itself; takes the fill, and the exchange's stream. */
void edge_fetch_start(struct edge_exchange *exchange, struct store_fill **fill);

/* ---- refresh.c: exchanges without a client */
extern const struct edge_front edge_refresh_front;
/* Asks for the same again, so that the store has it. */
void edge_refresh_start(const struct edge_exchange *exchange);

#endif
