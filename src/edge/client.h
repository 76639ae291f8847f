/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: a client's connection and the request on it, as its parts see it.
 *
 *   client.c   the connection: states, events, timers, the socket
 *   request.c  up: a head, its way to a gateway, its body
 *   answer.c   down: the answer
 *   page.c     answers of our own
 *
 * The parts set the state and never free a client: run() in client.c does, at the end of every event.
 */
#ifndef EDGE_CLIENT_H
#define EDGE_CLIENT_H

#include "edge/private.h"

// clang-format off
#define CLIENT_STATE_LIST(X)                                                                        \
    X(IDLE, "between requests")                                                                     \
    X(HEAD, "reading a head")                                                                       \
    X(EXCHANGE, "body up, answer down")                                                             \
    X(CLOSING, "the last bytes go out")                                                             \
    X(OVER, "to be freed")
// clang-format on

enum client_state {
#define X(name, text) CLIENT_##name,
    CLIENT_STATE_LIST(X)
#undef X
};

enum {
    EDGE_TRIES_MOST = 3,   /* links for a request; some may turn out to be down at once */
    EDGE_REPEATS_MOST = 1, /* of a request whose stream was lost */
};

struct edge_client {
    struct list link;
    struct edge_worker *worker;
    struct loop_watch watch;
    struct loop_timer timer;
    uint64_t deadline_ns; /* the timer fires no later; moved without touching the timer */
    enum client_state state;
    struct address peer;
    uint64_t rtt_read_ns; /* when the round trip was read last; 0: never */
    uint16_t local_port;
    struct slice_queue in, out;
    bool read_ended;   /* the socket's end was read; what came before it may still be in `in` */
    bool client_ended; /* will send no more */
    bool is_shut;      /* our side of a tunnel */
    bool is_lingering; /* our side is shut, the rest of the request is thrown away */
    uint64_t lingered;

    /* The request. */
    struct arena arena;
    struct http_limits limits;
    struct http_parser parser;
    struct http_head head;
    struct http_opening opening;
    char request_id[EDGE_REQUEST_ID_BYTES];
    struct slice_queue to_link;
    struct http_form_content content; /* on its way there */
    bool has_head, request_ended, body_was_sent;
    struct link *tried[EDGE_TRIES_MOST];
    size_t tries;
    uint32_t repeats;

    /* The answer. */
    struct link_stream *stream;
    struct slice_queue from_link;
    uint64_t owed;                      /* bytes read from the stream, credit not yet given */
    bool stream_ended, stream_finished; /* from there, from here */
    struct arena answer_arena;
    struct http_form_reader reader;
    struct http_head answer;
    bool answer_began, answer_ended, is_tunnel;

    /* Copied from the snapshot: it may change while the request runs. */
    char *site;
    uint64_t body_timeout_ns, gateway_timeout_ns;

    /* For the log. */
    uint64_t began_ns, began_wall_ns, first_byte_ns, bytes_in, bytes_out;
    const char *cause;
};

/* ---- client.c */
extern const struct link_stream_events edge_client_stream_events;
void edge_client_set_state(struct edge_client *client, enum client_state state);
void edge_client_set_deadline(struct edge_client *client, uint64_t timeout_ns);
/* A byte moved: how long until the next must? */
void edge_client_made_progress(struct edge_client *client);
/* Resets the stream with the code, if it is any, and lets go of it. */
void edge_client_drop_stream(struct edge_client *client, uint32_t code);
/* Cuts the client off so that it notices: an answer that is not whole must not look whole. */
void edge_client_abort(struct edge_client *client, const char *cause);
/* The answer is complete in `out`. */
void edge_client_conclude(struct edge_client *client);

/* ---- request.c */
void edge_client_go_up(struct edge_client *client);
/* The whole request was written. */
void edge_client_finish_stream(struct edge_client *client);
/* The stream is over before its answer is: another gateway, a page, or the client is cut off. */
void edge_client_stream_lost(struct edge_client *client, uint32_t code);

/* ---- answer.c */
void edge_client_go_down(struct edge_client *client);

/* ---- page.c */
/* An answer of our own, with a page. */
void edge_client_redirect(struct edge_client *client, const char *host);
void edge_client_answer_page(struct edge_client *client, unsigned status, const char *cause);
void edge_client_refuse(struct edge_client *client, enum http_cause cause);

#endif
