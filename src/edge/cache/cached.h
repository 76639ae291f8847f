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
    EDGE_REFRESHES_MOST = 256,  /* of a worker at once: answers validated behind clients' backs */
    EDGE_AHEAD_MOST = 32,       /* likewise: those before their time start while there are fewer */
    EDGE_GATHERERS_MOST = 1024, /* likewise: those, and slices on their way */
    EDGE_FETCHES_UNREAD_MOST = 256, /* likewise: those that go on for who comes later */
    EDGE_SLICE_LEAST = 65536,       /* bytes */
    EDGE_SLICE_SHARE = 16,          /* no slice is more than one in so many bytes of the store */
    EDGE_COMBINE_MOST = 4 << 20,    /* bytes of a stored part that are copied to another one */
};
#define EDGE_PASS_NS \
    (10ull * 1000000000) /* so long nobody waits for what turned out not to be stored */
#define EDGE_UNSLICED_NS \
    (60ull * 1000000000) /* so long nobody asks for slices of what the origin gave none of */

/* What an exchange without a client is to bring, in slices.c's name. Fills and the reference are its own. */
struct edge_gather {
    struct store_fill *index;   /* to be made, or confirmed; NULL: it is known */
    struct store_object *known; /* the index as it is stored; NULL: there is none */
    struct store_fill *slice;   /* NULL: none as yet */
    uint64_t number;            /* of the slice */
    uint32_t slice_bytes;       /* of an index to be made */
};

/* In the exchange's arena. */
struct edge_cached {
    struct edge_exchange *exchange;
    struct cache_policy policy;
    struct cache_ask ask;
    uint64_t site; /* in the store */
    struct text key,
        part_key;           /* of the whole; of what there is in parts, or of an index of slices */
    bool is_in_parts;       /* the latter is meant */
    struct http_head asked; /* the request as the client sent it, but for parameters that make no
                             * difference: a validation changes what is sent on */
    uint64_t request_s;     /* when it was sent on, or will be */

    struct store_object *object; /* what there is, fresh or not; a reference */
    struct cache_facts facts;    /* of that, or of what a reader reads */
    struct http_fields fields;   /* likewise; they borrow from it */
    struct cache_judgement judgement;
    bool is_validation; /* what was sent on asks whether `object` is still right */

    struct store_fill *fill;    /* we fetch: until it is answered */
    bool is_recalling;          /* the disk fetches: to be looked up again */
    uint8_t recalls;            /* so far */
    bool is_filling;            /* the store has its head: the rest is a fetch's (fetch.c) */
    struct store_reader reader; /* of what we or somebody else fetches */

    /* The answer from the store: where we are in it. */
    struct cache_answer answer;
    uint64_t at;      /* of the range, or of the whole */
    uint32_t index;   /* of the range */
    bool is_head_due; /* of that range, in a multipart answer */

    uint32_t refresh_hits; /* of the site; 0: nothing is fetched before its time */
    /* This exchange fetches anew what expires within `ahead_s`; UINT32_MAX: whenever it does. */
    bool is_ahead;
    uint32_t ahead_s;

    /* Slices (slices.c): the one that is being read is `slice`, or comes by the reader. */
    uint32_t slice_bytes; /* of the site; 0: none */
    bool waits_for_slice; /* not for the index */
    bool was_repeated;    /* the slice was looked for again: it had failed, or was on disk */
    uint64_t slice_number;
    struct store_object *slice;
    uint64_t slice_at;          /* bytes of it that the reader gave */
    struct edge_gather *gather; /* this exchange brings them; NULL: it does not */

    struct store_fill *part;    /* a part that comes is stored by the way (part.c); NULL: none is */
    struct store_object *older; /* one that is combined with it; a reference */
    uint64_t older_from;        /* where that goes on behind it */
    bool makes_whole;           /* nothing is missing any more */

    enum cache_forward why;
    bool was_hit;            /* what the answer said of it */
    unsigned forward_status; /* of the origin's answer that ours replaces; 0: none */
    enum cache_refusal refusal;
};

/* ---- cached.c */
/* In the present look-up's name: of the whole, or of what there is in parts. */
struct store_query edge_cached_query(struct edge_cached *cached);
/* What is in the store, as facts and fields. False: it cannot be read. */
bool edge_cached_open(struct edge_cached *cached, const struct store_object *object);
/* The wall's time in seconds. */
uint64_t edge_cached_now_s(void);
/* From now on look-ups are for what there is in parts, and what is found is judged. False: its key is too long. */
bool edge_cached_look_for_parts(struct edge_cached *cached);
bool edge_cached_make_part_key(struct edge_cached *cached);
/* What is fresh and popular is about to expire, and it is this request's turn to have it fetched anew. */
bool edge_cached_is_due(const struct edge_cached *cached);
/* Judges what was found, or that nothing was. */
void edge_cached_judge(struct edge_cached *cached);
/* The request is as urgent as the most urgent of those who wait for what it fetches, wherever that goes (`fill`, `gather`). */
void edge_cached_follow(struct edge_cached *cached);
/* Answers 504, where only what is stored is wanted. */
enum edge_next edge_cached_refuse(struct edge_exchange *exchange);
/* Behind a wait. */
void edge_cached_go_on(struct edge_exchange *exchange, enum edge_next next);
/* An errand is over before its time: an answer to nobody. */
enum edge_next edge_cached_give_up(struct edge_exchange *exchange);

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
/* What the store is told of an answer: bytes, all in texts. */
struct edge_packed {
    struct text head, rule, selector;
    struct span tags[STORE_TAGS_MOST];
    struct store_answer answer;
};
enum cache_refusal edge_cached_pack(struct edge_packed *packed, const struct edge_cached *cached,
                                    const struct cache_facts *facts,
                                    const struct http_fields *fields);
void edge_packed_clear(struct edge_packed *packed);
/* Judges the answer, and picks its fields to be stored. */
enum cache_refusal edge_cached_read(const struct edge_cached *cached,
                                    const struct http_head *answer, struct cache_facts *facts,
                                    struct http_fields *fields);
/* Purges the key of the present look-up. */
void edge_cached_purge(struct edge_cached *cached, bool is_soft);
enum edge_next edge_cached_take_head(struct edge_exchange *exchange, struct http_head *answer);

/* ---- fetch.c */
/* The rest of the exchange's answer goes to the store by itself; takes the fill, and the exchange's stream. */
void edge_fetch_start(struct edge_exchange *exchange, struct store_fill **fill);

/* ---- part.c: what comes as a part, 206, is stored with what it belongs to */
void edge_part_store(struct edge_cached *cached, const struct http_head *answer);
void edge_part_take_data(struct edge_exchange *exchange, const struct slice *data);
void edge_part_end(struct edge_cached *cached); /* the answer is over */

/* ---- slices.c: answers from slices */
/* Nothing is stored as a whole: is it in parts, or should it be? NEXT: it is not. */
enum edge_next edge_slices_look_up(struct edge_cached *cached);
/* Bytes of the representation, at most `limit`; how many, or negative. */
int64_t edge_slices_take(struct edge_cached *cached, uint64_t from, uint64_t limit,
                         struct slice_queue *out);
/* Is there an index, so that the next one gets it in slices? Of an answer that is too large to be stored. */
void edge_slices_note(struct edge_cached *cached, const struct cache_facts *facts,
                      const struct http_fields *fields);
struct store_query edge_slices_query(struct edge_cached *cached, const struct cache_facts *index,
                                     uint64_t number, struct text *key);

/* ---- gather.c: exchanges without a client that bring slices */
enum edge_next edge_gather_take(struct edge_cached *cached);
enum edge_next edge_gather_take_head(struct edge_cached *cached, struct http_head *answer);
/* Fails what it was to bring and has not. */
void edge_gather_clear(struct edge_gather *gather, struct store *store);

/* ---- refresh.c: exchanges without a client */
extern const struct edge_front edge_refresh_front;
/* Asks for the same again, so that the store has it; before its time where `is_ahead`. */
void edge_refresh_start(const struct edge_exchange *exchange, bool is_ahead);
/* Asks for a URL, or a path on the site's first host, unless what is stored stays fresh for longer. False: not now. */
bool edge_refresh_url(struct edge_worker *worker, const struct conf_site *site, struct span text,
                      uint32_t ahead_s);
/* Takes what the plan holds, also where it cannot begin: then that has failed. */
void edge_gather_start(const struct edge_exchange *exchange, struct edge_gather *plan);

#endif
