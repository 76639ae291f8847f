/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: a request and its answer, whatever the protocol in which its client speaks. An exchange knows neither sockets
 * nor framing; a *front* does (h1.c), and embeds or allocates the exchange.
 *
 *            front                        exchange
 *   begin, start, body, body_end  -->  steps (exchange.c)  -->  up.c    -->  link
 *   head, data, end, abort, wake  <--  page.c, down.c      <--  down.c  <--
 *
 * Back-pressure: the front reads no more of a body than edge_exchange_body_room(); the exchange hands over no more of an answer than
 * the front has room for, and the link's stream gets credit for what the client has taken.
 *
 * Freeing: the exchange never frees itself and the front never frees it inside a call from it but wake(). Whichever side is gone first,
 * the other learns it by the state: OVER means that the link, the client and the log have all been seen to, and that the front may
 * call edge_exchange_finish().
 *
 * Timers: from the head's end on the exchange's (the gateway's time, a body or an answer that stands still); before the head, between
 * requests and behind the answer the front's.
 */
#ifndef EDGE_EXCHANGE_H
#define EDGE_EXCHANGE_H

#include "balance/balance.h"
#include "cache/cache.h"
#include "edge/front/pace.h"
#include "edge/private.h"
#include "encode/encode.h"
#include "tls/tls.h"

// clang-format off
#define EXCHANGE_STATE_LIST(X)                                                                      \
    X(IDLE, "no request")                                                                           \
    X(HEAD, "its head is on its way")                                                               \
    X(STEPS, "a step decides, or waits")                                                            \
    X(LINK, "at a gateway: body up, answer down")                                                   \
    X(OWN, "an answer of our own goes down")                                                        \
    X(OVER, "answered as a whole, or cut off")
// clang-format on

enum exchange_state {
#define X(name, text) EXCHANGE_##name,
    EXCHANGE_STATE_LIST(X)
#undef X
};

enum {
    EDGE_TRIES_MOST = 3,   /* links for a request; some may turn out to be down at once */
    EDGE_REPEATS_MOST = 1, /* of a request whose stream was lost */
};

struct edge_exchange;

/* Content of our own that comes bit by bit: appends at most `limit` bytes to `out`; none for now (front->wake() goes on), or tells the
 * end. Negative: it was cut short. */
typedef int edge_pull_function(struct edge_exchange *exchange, struct slice_queue *out,
                               uint64_t limit, bool *ended);

/* What stands between an answer's content and the front, as the steps have seen it. It gives on by edge_exchange_give(). */
struct edge_filter {
    bool (*wants)(struct edge_exchange *exchange); /* false: front->wake() once it does */
    void (*data)(struct edge_exchange *exchange, struct slice data); /* takes the reference */
    void (*end)(struct edge_exchange *exchange); /* nothing more comes: the rest goes out */
};

/* The protocol's side. All calls but wake() come out of calls of the front or of wake()'s causes, and only gather: the front writes when
 * it runs next. */
struct edge_front {
    const char *protocols[2]; /* for the log; by http_head.minor */
    bool is_background;       /* there is no client: nothing is logged or counted */
    bool times_reader;        /* the front itself ends clients that do not take their answers */
    /* An interim or the final head; may be changed. `body` NONE: no data follows. With 101 the connection is a tunnel from here on.
     * Negative: it cannot be passed on, nothing was written. */
    int (*head)(struct edge_exchange *exchange, struct http_head *answer);
    void (*data)(struct edge_exchange *exchange, struct slice data); /* takes the reference */
    /* The answer is whole. Of a tunnel: the far end will say no more. Negative: the trailers cannot be passed on. */
    int (*end)(struct edge_exchange *exchange, const struct http_fields *trailers);
    /* What the client got so far must not look whole. */
    void (*abort)(struct edge_exchange *exchange);
    uint64_t (*room)(const struct edge_exchange *exchange); /* bytes of content that it takes now */
    uint64_t (*held)(const struct edge_exchange *exchange); /* bytes its client has not taken */
    /* What is held waits behind other answers of the same client. NULL: it never does. */
    bool (*is_queued)(const struct edge_exchange *exchange);
    /* Something came of the link, of a timer or of a step that had waited: run, as behind an event of the client's. May free
     * the exchange. */
    void (*wake)(struct edge_exchange *exchange);
};

/* Who asks: the same for all exchanges of a connection, and outlives them. */
struct edge_visitor {
    struct address address;
    uint16_t local_port;
    bool is_https;
    bool is_proxied;          /* by a trusted proxy's word: the socket's other end is the proxy */
    struct edge_share *share; /* of its network; NULL: not counted */
    struct tls_session *tls;  /* of the connection; NULL: in clear */
};

struct edge_exchange {
    const struct edge_front *front;
    struct edge_worker *worker;
    const struct edge_visitor *visitor;
    enum exchange_state state;
    struct loop_timer timer;
    uint64_t deadline_ns; /* the timer fires no later; moved without touching the timer */

    /* The request: the front fills in `head`, whose bytes are in `arena`. */
    struct arena arena;
    struct http_head head;
    struct http_opening opening;
    uint8_t ring, rings_below; /* of the link: the site's; by the client's own wish */
    uint8_t wanted;            /* by others that wait for its answer: an urgency; 0: nobody does */
    struct balance_mark mark;  /* that its session brought; zeroes: none */
    struct span session;       /* the field by which the site knows sessions, if it is that */
    char request_id[EDGE_REQUEST_ID_BYTES];
    const char *site;                   /* its name, in `arena`; NULL: not known yet */
    const struct conf_site *site_found; /* in that turn of the loop: see edge_exchange_site() */
    uint64_t site_turn;
    unsigned step;                      /* of edge_steps */
    bool encodes;                       /* the site wants answers encoded */
    struct edge_encode *encode;         /* of the encode step; NULL: it has nothing to do with it */
    struct edge_cached *cached;         /* of the cache step; NULL: it has nothing to do with it */
    struct slice_queue body;            /* of the request, before it has a stream */
    const struct http_fields *trailers; /* of the request, from the front */
    struct slice_queue to_link;
    struct slice_queue unsent;        /* of a stream that nothing left by: goes by the next one */
    struct http_form_content content; /* on its way there */
    bool was_looked_up, was_held;     /* in the store; which had what the client got */
    bool has_head, request_ended, body_was_sent;
    bool restores, was_packed;    /* goes on with `unsent`, in whose message frames may be packed */
    bool has_share;               /* counted among its network's requests */
    struct list in_channel;       /* of its channel, while it has one */
    struct edge_ticket *ticket;   /* of the edge's own buffer; NULL: it has none */
    struct edge_channel *channel; /* where its stream is; NULL: it has none */
    struct link *tried[EDGE_TRIES_MOST];
    size_t tries;
    uint32_t repeats;

    /* The answer. */
    struct link_stream *stream;
    struct slice_queue from_link;     /* or all that is left of our own content */
    const struct edge_filter *filter; /* NULL: content goes to the front as it is */
    edge_pull_function *pull; /* where our own content comes from; NULL: all of it is here */
    uint64_t owed;            /* bytes read from the stream, credit not yet given */
    bool stream_ended, stream_finished; /* from there, from here */
    struct arena answer_arena;
    struct http_form_reader reader;
    struct http_head answer;
    bool answer_began, answer_ended, is_tunnel;

    /* What the rules say for later: in `arena`. */
    struct rules_decision *decision; /* NULL: nothing */
    struct edge_file *file;          /* open, or NULL */

    /* Copied from the snapshot: it may change while the request runs. */
    uint64_t body_timeout_ns, gateway_timeout_ns, tunnel_timeout_ns;
    uint32_t upload_rate, download_rate;
    struct edge_pace pace; /* of the client */

    /* For the log. */
    uint64_t began_ns, first_byte_ns, bytes_in, bytes_out;
    uint64_t head_ns, body_ns, sent_ns; /* came as a whole, likewise, was sent on; 0: not yet */
    uint32_t link_rtt_us;               /* when it was sent on */
    char trace_id[HTTP_TRACE_ID_BYTES]; /* empty: none */
    char snapshot[EDGE_SNAPSHOT_BYTES]; /* which configuration decided: the beginning of its hash */
    const char *cause;
};

/* ---- Life cycle, for fronts. `exchange` is zero-initialised; one carries one request after another. */
void edge_exchange_init(struct edge_exchange *exchange, const struct edge_front *front,
                        struct edge_worker *worker, const struct edge_visitor *visitor);
/* The first byte of a request came. */
void edge_exchange_begin(struct edge_exchange *exchange);
/* What the request held is released, and one that is not over is cancelled; the exchange may carry another. */
void edge_exchange_finish(struct edge_exchange *exchange);
void edge_exchange_clear(struct edge_exchange *exchange); /* before it is freed */

/* ---- From the front: the request. None of these frees the exchange or calls wake(). */

/* `head` is complete. */
void edge_exchange_start(struct edge_exchange *exchange);
/* Takes the reference. */
void edge_exchange_body(struct edge_exchange *exchange, struct slice data);
/* The request is whole; `trailers` may be NULL, and stay valid until edge_exchange_finish(). A tunnel's client will say no more. */
void edge_exchange_body_end(struct edge_exchange *exchange, const struct http_fields *trailers);
/* Bytes of the body to read now. */
uint64_t edge_exchange_body_room(const struct edge_exchange *exchange);
/* At the end of each turn of the front, and when it has room again: moves what can move, up and down. */
void edge_exchange_run(struct edge_exchange *exchange);
/* The client took bytes of the answer: the stream may go on. */
void edge_exchange_made_room(struct edge_exchange *exchange);
/* Something happened: what follows has its time anew. */
void edge_exchange_made_progress(struct edge_exchange *exchange);
/* So many bytes came from the client, or were taken by it: it gets time in proportion. */
void edge_exchange_moved(struct edge_exchange *exchange, uint64_t bytes);
/* The request is malformed: a page that says so or, behind the answer's beginning, an abort. */
void edge_exchange_refuse(struct edge_exchange *exchange, enum http_cause cause);
/* The client's wish for the order of answers (RFC 9218 section 4.1), at any time: what it needs less goes to a ring below the site's;
 * nobody gets before others by asking. */
void edge_exchange_set_urgency(struct edge_exchange *exchange, uint8_t urgency);
/* The client is gone, or may not go on: no call to the front follows. */
void edge_exchange_cancel(struct edge_exchange *exchange, uint32_t code, const char *cause);

static inline struct span edge_exchange_id(const struct edge_exchange *exchange)
{
    return span_of(exchange->request_id, EDGE_REQUEST_ID_BYTES - 1);
}

static inline bool edge_exchange_is_over(const struct edge_exchange *exchange)
{
    return exchange->state == EXCHANGE_OVER;
}

/* ---- Steps: what becomes of a request between its head and the link, in the order of edge_steps (exchange.c). What a step remembers of
 * an exchange is a member of struct edge_exchange. */
enum edge_next {
    EDGE_NEXT, /* the following step's turn */
    EDGE_WAITS, /* edge_exchange_proceed() will be called, or one of the answers of page.c and front->wake() */
    EDGE_TAKEN, /* the exchange is at the link, answered, or over */
};
struct edge_step {
    const char *name;
    enum edge_next (*take)(struct edge_exchange *exchange);

    /* The way back: what a later step answers, the link's answers among them, passes the steps before it, the nearest first. Each may be
     * NULL. */

    /* The final head, to be changed; NEXT, or TAKEN: the step has answered by itself instead (page.c). */
    enum edge_next (*answer)(struct edge_exchange *exchange, struct http_head *answer);
    void (*data)(struct edge_exchange *exchange, const struct slice *data); /* to look at */
    /* Exactly once for each exchange that was started, also where the step's turn never came: what it remembers is released. The
     * answer may be less than whole: see answer_ended. */
    void (*over)(struct edge_exchange *exchange);
};
extern const struct edge_step *const edge_steps[]; /* NULL ends them; the last always takes */
extern const struct edge_step edge_step_acme;      /* acme.c */
extern const struct edge_step edge_step_site;      /* site.c */
extern const struct edge_step edge_step_rate, edge_step_share; /* guard.c */
extern const struct edge_step edge_step_encode;                /* encode.c */
extern const struct edge_step edge_step_class;                 /* classes.c */
extern const struct edge_step edge_step_rules;                 /* rules.c */
extern const struct edge_step edge_step_cache;                 /* cached.c */
extern const struct edge_step edge_step_link;                  /* up.c */
/* The step that had waited is done: the following one's turn, and then the front's. */
void edge_exchange_proceed(struct edge_exchange *exchange);

/* ---- Between the parts: exchange.c */
/* Of the present snapshot; NULL: it is no more. Behind the first step. */
const struct conf_site *edge_exchange_site(const struct edge_exchange *exchange);
/* The answer's head passes the steps before the one that answers. TAKEN: one of them has answered instead. */
enum edge_next edge_exchange_pass_head(struct edge_exchange *exchange);
void edge_exchange_pass_data(struct edge_exchange *exchange, const struct slice *data);
/* Content as the client gets it; takes the reference. */
void edge_exchange_give(struct edge_exchange *exchange, struct slice data);
void edge_exchange_set_state(struct edge_exchange *exchange, enum exchange_state state);
/* Resets the stream with the code, if it is any, and lets go of it. */
void edge_exchange_drop_stream(struct edge_exchange *exchange, uint32_t code);
/* The answer is not whole, and must not look whole. */
void edge_exchange_abort(struct edge_exchange *exchange, const char *cause);
/* The front has the whole answer. */
void edge_exchange_conclude(struct edge_exchange *exchange);

/* ---- rules.c: what else an answer of the rules has, before page.c gets it */
MUST_USE int edge_rules_edit(const struct edge_exchange *exchange, struct http_head *answer);
/* Before the steps of an exchange without a client, which repeats the request of another as the rules left it: they are not asked again. */
void edge_rules_repeat(struct edge_exchange *exchange, const struct edge_exchange *from);

/* ---- trace.c */
/* The site of the exchange is known: what of the request's trace goes on. */
void edge_trace_settle(struct edge_exchange *exchange, const struct conf_site *site);

/* ---- timing.c */
void edge_legs_read(const struct edge_exchange *exchange, struct edge_legs *legs);
/* Adds Server-Timing, with what is known so far. */
MUST_USE int edge_timing_add(const struct edge_exchange *exchange, struct http_fields *fields);

/* ---- cached.c */
/* It waits with another urgency: what it waits for follows. */
void edge_cached_reclass(struct edge_exchange *exchange);

/* ---- cached_answer.c */
/* What Cache-Status says behind the node's name, in `out`; empty: the site has no cache. */
struct span edge_cached_words(const struct edge_exchange *exchange, char out[CACHE_STATUS_MOST]);
/* ---- encode.c */
/* A rule says so: the request goes on as it came, and so does its answer. */
void edge_encode_leave(struct edge_exchange *exchange);
/* For an answer of our own, complete but for its content, which may be at hand in other encodings: of those that the client wants `has` is
 * asked, the best first. IDENTITY: none of them. */
enum encoding edge_encode_pick(const struct edge_exchange *exchange, const struct http_head *answer,
                               bool (*has)(void *context, enum encoding encoding), void *context);
void edge_encode_register_metrics(void);
json_t *edge_encode_status(void); /* a new reference */

/* ---- files.c */
/* Answers with the file at that path, which is decoded and has no dot segments. */
void edge_files_answer(struct edge_exchange *exchange, const struct rules_files *files,
                       struct span path);
void edge_files_close(struct edge_exchange *exchange); /* nothing open is fine */

/* ---- up.c */
/* The head of the answer is here, the request is out as a whole: what is still to come is another exchange's, which was only initialised.
 * A client's is from now on as urgent as those who read it: edge_exchange_set_wanted() has to follow. */
void edge_exchange_hand_over(struct edge_exchange *from, struct edge_exchange *to);
void edge_exchange_set_ring(struct edge_exchange *exchange,
                            uint8_t ring); /* the site's, or a rule's */
/* How urgently it waits by itself: CONF_RINGS less its ring, so that more is more urgent, and 0 is nobody. */
uint8_t edge_exchange_urgency(const struct edge_exchange *exchange);
/* The most urgent of others that wait for its answer (C1): it goes in their ring where that comes before its own, as long as they wait. */
void edge_exchange_set_wanted(struct edge_exchange *exchange, uint8_t urgency);
void edge_exchange_go_up(struct edge_exchange *exchange);
/* The whole request was written. */
void edge_exchange_finish_stream(struct edge_exchange *exchange);
/* Its turn has come: to that channel, or to any where it is NULL or cannot be used. May free the exchange. */
void edge_exchange_launch(struct edge_exchange *exchange, struct edge_channel *channel);
/* The link of its stream has been broken for so long, and may come back. What may be asked again elsewhere is; so is what never left. What
 * must not be repeated is given up behind its site's time. May free the exchange. */
void edge_exchange_link_out(struct edge_exchange *exchange, uint64_t out_ns);
/* The stream is over before its answer is: another gateway, a page, or the client is cut off. */
void edge_exchange_stream_lost(struct edge_exchange *exchange, uint32_t code);

/* ---- down.c */
void edge_exchange_go_down(struct edge_exchange *exchange);

/* ---- page.c: answers of our own, instead of whatever else was on its way */

/* Begins one: `answer` of the exchange, returned for status, fields, body and content_length. */
struct http_head *edge_exchange_own_head(struct edge_exchange *exchange);
/* Takes the content, which is as long as the head says. */
void edge_exchange_answer(struct edge_exchange *exchange, struct slice_queue *content);
void edge_exchange_answer_from(struct edge_exchange *exchange, edge_pull_function *pull);
void edge_exchange_page(struct edge_exchange *exchange, unsigned status, const char *cause);
/* The same, and when it is worth another try. */
void edge_exchange_page_later(struct edge_exchange *exchange, unsigned status, const char *cause,
                              uint64_t wait_ns);
void edge_exchange_redirect(struct edge_exchange *exchange, const char *host);

#endif
