/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to request*.c and parked.c: a request, its states, and what its files call of each other. Every event ends in run() of request.c, the only
 * place that frees a request: steps in between only set its state.
 */
#ifndef GATEWAY_REQUEST_H
#define GATEWAY_REQUEST_H

#include "gateway/hedge.h"

// clang-format off
#define REQUEST_STATE_LIST(X)                                                                       \
    X(HEAD, "reading the head")                                                                     \
    X(WAIT, "waiting for a slot of an origin")                                                      \
    X(CONNECT, "connecting to an origin")                                                           \
    X(EXCHANGE, "body up, answer down")                                                             \
    X(DRAIN, "answered; the rest of the request is thrown away")                                    \
    X(OVER, "to be freed")
// clang-format on

enum request_state {
#define X(name, text) REQUEST_##name,
    REQUEST_STATE_LIST(X)
#undef X
};

struct gateway_request {
    struct list link; /* in worker->requests or worker->awake */
    struct gateway_worker *worker;
    struct link_stream *stream;
    enum request_state state;
    bool is_in_awake;  /* parked.c */
    struct link *from; /* whose edge it is */

    /* From the link. */
    struct slice_queue from_link;
    uint64_t owed; /* bytes read from the stream, credit not yet given */
    bool stream_ended;
    struct arena arena;
    struct http_form_reader reader;
    struct http_head head;
    struct http_opening opening;
    uint8_t ring;        /* that the edge gave the stream after it was opened; CONF_RINGS: none */
    bool request_ended;  /* END was read */
    bool body_was_taken; /* some of the body is gone: the request cannot be repeated */

    /* The origin. */
    struct gateway_ticket *ticket;   /* in WAIT */
    struct gateway_attempt *attempt; /* in CONNECT and EXCHANGE */
    struct gateway_hedge hedge;      /* a second one beside it */
    bool is_held; /* the answer says that the origin cannot now; the second one may tell better */
    uint32_t attempts; /* so far */
    bool wants_fresh;  /* a kept connection died; the next one is not on such, and is not counted */
    uint32_t failed_code;         /* what became of the last one, */
    struct metric *failed_metric; /* which is what became of the request when there is no other */
    uint64_t head_ns;             /* when the head had come */
    struct types_found found;     /* what kind of work it is */
    struct gateway_session session;

    /* To the link. */
    struct slice_queue to_link;
    struct http_form_content content; /* on its way there */
    bool answer_began, answer_ended;
    bool is_tunnel;

    /* Copied from the site: the snapshot may change while the request runs. */
    const char *site;  /* in the arena */
    const char *group; /* of its origins, likewise; NULL: those in none */
    uint64_t connect_timeout_ns, read_timeout_ns, idle_timeout_ns;
    uint32_t kept_connections, retries;
    bool tries_answers; /* 502 to 504 elsewhere, too */
    enum http_pack_policy packs;

    struct loop_timer timer;
    uint64_t deadline_ns; /* the timer fires no later; moved without touching the timer */
};

static inline void request_set_state(struct gateway_request *request, enum request_state state)
{
    INVARIANT(request->state != REQUEST_OVER);
    request->state = state;
}

static inline void request_set_deadline(struct gateway_request *request, uint64_t timeout_ns)
{
    struct loop *loop = request->worker->loop;
    request->deadline_ns = loop_now_ns(loop) + timeout_ns;
    if (!loop_timer_is_running(&request->timer) || request->timer.node.key > request->deadline_ns)
        loop_timer_start(loop, &request->timer, request->deadline_ns);
}

static inline void request_made_progress(struct gateway_request *request)
{
    request->deadline_ns = loop_now_ns(request->worker->loop) + request->read_timeout_ns;
}

/* NULL: the configuration knows it no more. */
static inline const struct conf_site *request_site(const struct gateway_request *request)
{
    return conf_find_site(gateway_conf(request->worker), span_text(request->site));
}

/* ---- request.c: it begins on a stream, or anew */
struct gateway_request *gateway_request_new(struct gateway_worker *worker, struct link *link,
                                            struct link_stream *stream);
void gateway_request_free(struct gateway_request *request);
void gateway_request_on_ticket(struct gateway_request *request, struct gateway_ticket *ticket);

/* ---- request.c: how it ends */
/* The edge makes a page of the code, or cuts the client off where the answer had begun. */
void gateway_request_fail(struct gateway_request *request, uint32_t code, struct metric *metric);
void gateway_request_bad_answer(struct gateway_request *request, enum http_cause cause);
void gateway_request_bad_request(struct gateway_request *request);

/* ---- request.c: an origin for it */
struct gateway_wish gateway_request_wish(const struct gateway_request *request, enum gateway_try as,
                                         uint64_t except);
/* `except`: the identity of an origin that it should not be, if there is another; 0: none. */
void gateway_request_wait(struct gateway_request *request, enum gateway_try as, uint64_t except);
/* The connection is gone, and nothing of an answer has come. */
void gateway_request_lost(struct gateway_request *request);

/* ---- parked.c: requests that wait */
/* It waits from now on, under a ticket. Where many do, the one that has done so for longest is parked: it exists no more until its ticket is
 * answered. */
void gateway_waiting_join(struct gateway_request *request);
void gateway_waiting_leave(struct gateway_request *request); /* harmless when it does not wait */
void gateway_parked_abort(struct gateway_worker *worker);

/* ---- request_up.c: from the stream to the origin, as far as both can */
void gateway_request_go_up(struct gateway_request *request);
/* Takes its head as it was decided on earlier. False: it cannot be read. */
bool gateway_request_reread(struct gateway_request *request, struct span head);

/* ---- request_down.c: from the origin to the stream */
void gateway_request_go_down(struct gateway_request *request);
/* The head of the answer has come. False: it has ended the request. */
bool gateway_request_begin_answer(struct gateway_request *request);
/* One piece of it. False: nothing more now. */
bool gateway_request_take_answer(struct gateway_request *request);
/* The answer is complete. Whatever of the request is still to come is thrown away. */
void gateway_request_conclude(struct gateway_request *request);

#endif
