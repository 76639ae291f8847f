/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: the step that encodes content for clients (C3). What HTTP says is src/encode's; here it meets exchanges.
 *
 *   take     the client's wishes are read, and hidden from what comes behind: there an answer has one form
 *   answer   left as it is, or encoded on the fly (encode.c), or sent as it was encoded before (encode_stored.c)
 *
 * It is the nearest step to the client but one, so that rules, cache and origin know nothing of it.
 */
#ifndef EDGE_ENCODED_H
#define EDGE_ENCODED_H

#include "edge/exchange.h"

enum {
    /* Content that a worker encodes in one turn of its loop, in 1 to 5 ms; whoever wants more waits for the next turn. */
    EDGE_ENCODE_TURN_BYTES = 128 << 10,
    EDGE_ENCODE_ASKED =
        1024, /* stored answers that a worker counts the asks of; by hash, the last one stays */
    EDGE_ENCODE_ASKS = 3,              /* with so many it is worth to be encoded for all */
    EDGE_ENCODE_STORED_MOST = 8 << 20, /* bytes of one that is */
    EDGE_ENCODE_JOBS_MOST = 64,        /* that wait for the thread */
    EDGE_ENCODE_GAIN_PERCENT = 5,      /* what is not that much smaller is not kept */
};
#define EDGE_ENCODE_FLUSH_NS \
    (5ull * 1000000) /* nothing more came for so long: the client gets what there is */

/* In the exchange's arena. */
struct edge_encode {
    struct edge_exchange *exchange;
    struct encode_wishes wishes;
    struct http_fields asked; /* as the client sent them */

    struct encoder *encoder;     /* runs; NULL: none */
    struct loop_timer flush;     /* runs while the encoder holds something */
    struct list waiting;         /* for the worker's next turn */
    struct store_object *stored; /* is sent instead */
    uint64_t at;                 /* of it */
};

/* Of a worker. */
struct edge_encoding {
    struct encoders *encoders;
    struct list waiting;
    struct loop_timer again;
    uint64_t turn_ns, left; /* the turn, and what may be encoded in it */
    struct edge_asked {
        uint64_t content;
        uint32_t asks;
    } asked[EDGE_ENCODE_ASKED];
};

/* ---- encode_count.c */
enum edge_encode_kind { EDGE_ENCODE_FLY, EDGE_ENCODE_STORED, EDGE_ENCODE_FILE, EDGE_ENCODE_KINDS };
void edge_encode_count(enum encoding encoding, enum edge_encode_kind kind);
/* Why an answer went out as it was: enum encode_reason, and what only the edge knows. */
enum edge_encode_left {
    EDGE_ENCODE_LEFT_CLIENT = ENCODE_REASON_COUNT,
    EDGE_ENCODE_LEFT_RANGE,
    EDGE_ENCODE_LEFT_LIMIT,
    EDGE_ENCODE_LEFT_COUNT
};
void edge_encode_count_left(unsigned reason);
void edge_encode_count_running(int change);
void edge_encode_count_work(enum encoding encoding, uint64_t plain, uint64_t coded, uint64_t ns);

/* ---- encode_stored.c */
/* Where the best encoding of the stored answer on its way is kept: it is sent, with `head` changed. NEXT: it is not, and may be
 * later. Negative: the head cannot be changed. */
int edge_encode_stored(struct edge_encode *encode, const struct conf_site_encode *conf,
                       struct http_head *head);
/* Those of the site's encodings that make it smallest first; how many. */
size_t edge_encode_best_order(const struct conf_site_encode *conf,
                              enum encoding order[CONF_ENCODINGS]);
extern struct metric edge_encode_kept, edge_encode_useless, edge_encode_put_off;

#endif
