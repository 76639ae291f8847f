/* SPDX-License-Identifier: Apache-2.0
 *
 * One try of a request at one origin: a connection, the request written to it as HTTP/1.1, the answer read from it. An attempt knows
 * neither link nor retries: its request (request.c) decides whether there is another one, and what the edge is told. A request whose
 * answer has begun has one attempt; before, there may be several of them at different origins.
 */
#ifndef GATEWAY_ATTEMPT_H
#define GATEWAY_ATTEMPT_H

#include "gateway/owner/tickets.h"

struct gateway_attempt {
    struct gateway_request *request;
    struct gateway_worker *worker;
    struct gateway_ticket *ticket; /* with the slot that it uses */
    struct origin_pool *pool;
    struct origin_connection *connection;
    struct arena arena; /* of the answer's head */
    struct http_parser parser;
    struct http_head answer; /* once gateway_attempt_next() has said HEAD */
    bool has_head;           /* of the answer itself: hints (1xx) are none */
    bool is_deaf;            /* the origin takes no more bytes, or was told the end of a tunnel */
    uint64_t target;         /* of what the validator of its answer is; 0: not looked at */
    struct balance_validator validator;
    uint64_t chosen_ns, asked_ns, answered_ns; /* when what happened (the last head); 0: not yet */
    uint64_t bytes;                            /* of the answer, so far */
    enum gateway_end
        end; /* what it would mean for the origin if the attempt ended now; DROPPED at first */
};

/* At the server that the ticket, which is taken, has a slot of; on a kept connection, if there is one and the attempt need not be on a fresh
 * one. ERROR_LIMIT: this system has no descriptors or ports left; other errors are the origin's. With one there is no attempt. */
struct gateway_attempt_order {
    struct gateway_ticket **ticket;
    const struct conf_site *site; /* whose origins; NULL: the configuration knows it no more */
    struct origin_caller caller;
    bool wants_fresh;
};
MUST_USE int gateway_attempt_start(struct gateway_request *request, struct gateway_worker *worker,
                                   const struct gateway_attempt_order *order,
                                   struct gateway_attempt **started);
/* Ends it, gives the slot back and nulls. Its connection is kept where the answer is complete and left it clean; else, and always by close(),
 * it is closed. */
void gateway_attempt_keep(struct gateway_attempt **ended, uint64_t idle_timeout_ns,
                          uint32_t keep_most);
void gateway_attempt_close(struct gateway_attempt **ended);

/* Up. The head goes first, once it is connected: 0 or ERROR_INVALID. Body and end are ignored where the origin is deaf; `is_chunked` as the
 * head said. */
bool gateway_attempt_is_connecting(const struct gateway_attempt *attempt);
MUST_USE int gateway_attempt_ask(struct gateway_attempt *attempt, const struct http_head *head);
void gateway_attempt_write(struct gateway_attempt *attempt, struct slice data, bool is_chunked);
MUST_USE int gateway_attempt_finish(struct gateway_attempt *attempt,
                                    const struct http_fields *trailers);
uint64_t gateway_attempt_unsent(const struct gateway_attempt *attempt); /* bytes held for it */
/* Sends what the origin takes now; true: it took some. One that takes no more may have answered already, and that answer counts. */
bool gateway_attempt_send(struct gateway_attempt *attempt);
void gateway_attempt_shut(struct gateway_attempt *attempt); /* a tunnel's end, once all is sent */

/* Down. Reads at most `limit` bytes: how many, or a negative error; *ended: none follow. Then next() gives piece after piece until it says
 * MORE, END or ERROR. */
MUST_USE int gateway_attempt_read(struct gateway_attempt *attempt, uint32_t limit, bool *ended);
enum http_event gateway_attempt_next(struct gateway_attempt *attempt, struct slice *data);
/* What was read, and is not yet taken, moves the deadline. In the middle of a head, or of hints before it, it does not: one that comes drop by
 * drop would hold its slot for days. */
bool gateway_attempt_moves(const struct gateway_attempt *attempt);
bool gateway_attempt_is_silent(const struct gateway_attempt *attempt); /* nothing has come */
/* The same, on a connection that was kept: it died before the origin saw the request, or may have. */
bool gateway_attempt_died_idle(const struct gateway_attempt *attempt);

/* Waits for what is needed next: more of the answer, room for what is unsent, the connection. */
MUST_USE int gateway_attempt_watch(struct gateway_attempt *attempt, bool wants_answer);

/* ---- what an attempt tells its request (request.c) */
void gateway_request_on_connected(struct gateway_request *request, struct gateway_attempt *attempt,
                                  bool has_failed);
/* There is something to read, or room to write. */
void gateway_request_on_origin(struct gateway_request *request, struct gateway_attempt *attempt,
                               bool is_readable);
/* ---- pool.c: an event on the attempt's connection */
void gateway_attempt_on_ready(struct gateway_attempt *attempt, uint32_t events);

/* ---- learn.c: by the head as the edge sent it, what kind of work it is */
void gateway_recognise(struct gateway_worker *worker, const struct conf_site *site,
                       const struct http_opening *opening, const struct http_head *head,
                       struct arena *arena, struct types_found *found);
/* What a complete answer teaches of its like. */
void gateway_learn_kind(const struct gateway_attempt *attempt, const struct types_found *found);
/* What an answer's head tells: the client, which server it belongs to; the owner, how fresh the server is. */
void gateway_learn_session(struct gateway_attempt *attempt, const char *name,
                           const struct gateway_session *session,
                           const struct http_opening *opening, const struct http_head *head);
/* It is malformed or cut short: told, and which counter counts it. */
struct metric *gateway_attempt_bad(struct gateway_attempt *attempt, enum http_cause cause,
                                   const char *site, struct span request_id);
void gateway_attempt_times(const struct gateway_attempt *attempt, uint64_t head_ns,
                           struct http_times *times);

#endif
