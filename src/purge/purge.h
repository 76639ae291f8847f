/* SPDX-License-Identifier: Apache-2.0
 *
 * Purges between nodes (C2): what a site's owner wants gone from the edges' stores, numbered by one gateway of the site, told to edges over
 * the link, and kept in a log so that an edge which was away hears of it later. Two codecs over the same record: messages of a stream
 * (docs/protocol/purge.md), and records of the gateway's log.
 *
 *   number   of one site, ascending without gaps, but that a purge of the whole SITE may jump: it makes good for what it jumps over
 *
 * Pure. What an edge's store does with a purge is src/store's, who sends what is src/gateway's and src/edge's.
 */
#ifndef PURGE_PURGE_H
#define PURGE_PURGE_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/text.h"

enum {
    PURGE_WHAT_MOST = 10 * 1024, /* bytes of a URL, prefix or tag; as long as keys may be */
    PURGE_RECORD_BYTES = 18,     /* of a record, besides its `what` */
    PURGE_MESSAGE_HEAD = 5,      /* type and length */
    PURGE_MESSAGE_MOST = PURGE_MESSAGE_HEAD + PURGE_RECORD_BYTES + PURGE_WHAT_MOST,
    PURGE_VERSION = 1,
};
/* Numbers beyond are malformed: whatever an edge claims, there are numbers left above it. */
#define PURGE_NUMBER_MOST (1ull << 62)

/* Codes on the wire and in the log: add at the end. */
// clang-format off
#define PURGE_KIND_LIST(X)                                                                          \
    X(URL, "url")       /* `what` is its key as cache_key_make() has it: all that is stored of it */ \
    X(PREFIX, "prefix") /* of keys */                                                               \
    X(TAG, "tag")                                                                                   \
    X(SITE, "all")      /* `what` is empty */
// clang-format on
enum purge_kind {
#define X(name, text) PURGE_##name,
    PURGE_KIND_LIST(X)
#undef X
        PURGE_KINDS
};
const char *purge_kind_text(enum purge_kind kind);
MUST_USE int purge_kind_find(const char *text, enum purge_kind *kind); /* ERROR_NOT_FOUND */

struct purge {
    uint64_t site;   /* purge_site() */
    uint64_t number; /* 1 .. PURGE_NUMBER_MOST */
    enum purge_kind kind;
    bool is_soft; /* stale instead of gone */
    struct span what;
};

/* A site as a number that stays the same on all nodes, and over restarts. */
uint64_t purge_site(struct span name);

/* ---- messages: a stream that the edge opens to a gateway

     edge                                        gateway
     HELLO version, for each site SITE number  ->
     ASK mark                                  ->
                                               <-  PURGE ... all that is missing, in order; FOREIGN site
     DONE site number ...                      ->
                                               <-  CURRENT mark: all that was numbered before it heard ASK went before this
                                               <-  PURGE ... from now on, as they are numbered
     DONE ...                                  ->                                                                               */

// clang-format off
#define PURGE_MESSAGE_LIST(X)                                                                       \
    X(HELLO, 1)   /* first of all: version */                                                       \
    X(SITE, 2)    /* the edge has it, and every purge of it up to `number`; 0: none */              \
    X(ASK, 3)     /* `number` is a mark, to come back */                                            \
    X(DONE, 4)    /* the purge with that number is in force in the edge's store */                  \
    X(PURGE, 5)                                                                                     \
    X(CURRENT, 6) /* `number` is the mark of the last ASK */                                        \
    X(FOREIGN, 7) /* the site's purges are not numbered here, or not for this edge */
// clang-format on
enum purge_message_type {
    PURGE_MESSAGE_UNKNOWN, /* of a later release: to be passed over */
#define X(name, code) PURGE_MESSAGE_##name = (code),
    PURGE_MESSAGE_LIST(X)
#undef X
};

struct purge_message {
    enum purge_message_type type;
    uint8_t version;
    uint64_t site, number;
    struct purge purge; /* `what` borrows */
};
void purge_message_write(struct text *out, const struct purge_message *message);
/* The first message of `bytes`: its bytes, ERROR_INCOMPLETE, or ERROR_INVALID. */
MUST_USE int purge_message_read(struct span bytes, struct purge_message *message);
/* The same from a queue, whose bytes leave it by way of `buffer`: `what` is valid as long as that. */
MUST_USE int purge_message_take(struct slice_queue *in, uint8_t buffer[PURGE_MESSAGE_MOST],
                                struct purge_message *message);

/* ---- the log: a file of a head and records, each with a check value. The head's generation tells which of two files is the newer one. */
enum {
    PURGE_LOG_HEAD = 24,
    PURGE_LOG_EXTRA = 12, /* bytes of a record in the log, besides the record itself */
    PURGE_LOG_RECORD_MOST = PURGE_LOG_EXTRA + PURGE_RECORD_BYTES + PURGE_WHAT_MOST,
};
void purge_log_head_write(uint8_t head[PURGE_LOG_HEAD], uint64_t generation);
MUST_USE int purge_log_head_read(struct span head, uint64_t *generation); /* ERROR_INVALID */

void purge_log_write(struct text *out, uint64_t generation, const struct purge *purge);
/* The next record: its bytes. ERROR_INCOMPLETE: the end, or a record that was cut short; ERROR_INVALID: these bytes were not written so. */
MUST_USE int purge_log_read(struct span log, uint64_t generation, struct purge *purge);

#endif
