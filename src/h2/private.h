/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/h2: a session and its streams, as the parts see them.
 *
 *   session.c  bytes in and out, libnghttp2's callbacks
 *   request.c  from decoded fields to a request that http/ has settled; content, trailers
 *   answer.c   answers and their content down
 *   section.c  heads and trailers, kept until it is their turn
 *   stream.c   the life of a stream's record
 *   flood.c    what a client may do how often
 *   memory.c   the memory of libnghttp2, counted
 *   ids.c      identifiers of streams that have been
 *   names.c    known field names in lower case
 *   hpack.c    field sections in their compressed form, on their way down
 *   huffman.c  the code for their texts
 */
#ifndef H2_PRIVATE_H
#define H2_PRIVATE_H

#include "base/list.h"
#include "h2/h2.h"
#include "h2/hpack.h"

/* nghttp2.h is used with its 1.52 interface, Debian 12's. */
#include <nghttp2/nghttp2.h>

/* One for each rate of h2_settings. */
enum h2_rate_id {
    H2_RATE_RESETS,
    H2_RATE_ERRORS,
    H2_RATE_SETTINGS,
    H2_RATE_PINGS,
    H2_RATE_EMPTY_DATA,
    H2_RATE_WINDOW_UPDATES,
    H2_RATE_PRIORITIES,
    H2_RATE_UNKNOWN,
    H2_RATE_COUNT
};

// clang-format off
#define H2_DRAIN_LIST(X) \
    X(NO,        "serving") \
    X(ANNOUNCED, "the last GOAWAY follows when the client has seen the first") \
    X(FINAL,     "the last GOAWAY is queued")

/* The request of a stream. */
#define H2_REQUEST_LIST(X) \
    X(HEAD,    "fields come") \
    X(CONTENT, "content comes") \
    X(WAITING, "for the tunnel to be accepted: content is held") \
    X(WHOLE,   "ended") \
    X(REFUSED, "what still comes is thrown away") \
    X(GONE,    "likewise, and the caller no longer knows the stream")

#define H2_ANSWER_LIST(X) \
    X(NONE,    "none yet, or interim ones") \
    X(CONTENT, "its head was written") \
    X(WHOLE,   "written to its end") \
    X(SENT,    "and sent")
// clang-format on

enum h2_drain_state {
#define X(name, text) H2_DRAIN_##name,
    H2_DRAIN_LIST(X)
#undef X
};

enum h2_request_state {
#define X(name, text) H2_REQUEST_##name,
    H2_REQUEST_LIST(X)
#undef X
};

enum h2_answer_state {
#define X(name, text) H2_ANSWER_##name,
    H2_ANSWER_LIST(X)
#undef X
};

enum { H2_EARLY_PRIORITIES = 8 }; /* PRIORITY_UPDATEs kept for requests that are yet to come */

enum { H2_RESETS_REMEMBERED = 32 };

struct h2_ids {
    uint32_t highest;   /* that HEADERS named */
    uint32_t forgotten; /* the highest of the resets that are remembered no more */
    uint32_t resets[H2_RESETS_REMEMBERED], next;
};

struct h2_session {
    nghttp2_session *nghttp2;
    struct h2_settings settings;
    const struct h2_events *events;
    void *context;
    struct random *random;
    uint64_t now_ns;
    struct list streams;      /* struct h2_stream */
    struct list due;          /* those that an event is due for which no frame brings */
    struct h2_stream *recent; /* the last that libnghttp2 spoke of, or NULL */
    struct slice fed;         /* borrowed: what libnghttp2 is reading */
    struct slice_queue *out;  /* while pulling, */
    uint64_t out_most;        /* and how much it is to hold */
    struct hpack_encoder hpack;
    bool has_written;      /* the frame that libnghttp2 is about to give: another went out for it */
    uint64_t held_bytes;   /* of answers, beyond each stream's floor */
    uint64_t unsent_bytes; /* of answers */
    uint64_t memory_bytes, memory_most;
    uint64_t rates[H2_RATE_COUNT]; /* see flood.c */
    uint64_t sent_bytes;           /* of content, since credit for window updates was given */
    uint64_t content_sent;         /* of content, since the start */
    struct h2_ids ids;
    enum h2_cause cause;
    enum h2_drain_state drain;
    bool is_ended;        /* the last GOAWAY was queued because of `cause`, or by the caller */
    bool is_broken;       /* not even that can be sent */
    uint32_t open, heads; /* streams; those whose head is not complete */
    uint64_t requests;
    struct {
        uint32_t stream;
        struct http_priority priority;
    } early[H2_EARLY_PRIORITIES];
    uint32_t early_next;
};

/* The pseudo-header fields of a request (RFC 9113 section 8.3.1, RFC 8441 section 4). */
struct h2_pseudo {
    struct span method, scheme, authority, path, protocol;
};

/* A field section that waits for its turn: a head, or trailers (`status` 0). In the stream's arena, as is all that it refers to. */
struct h2_section {
    struct h2_section *next;
    unsigned status;
    uint32_t count;
    size_t text_bytes; /* of all names and values */
    struct http_field fields[];
};

struct h2_stream {
    struct list link; /* in h2_session.streams */
    struct list due;  /* in h2_session.due, or empty */
    struct h2_session *session;
    void *context;
    int32_t id;
    enum h2_request_state request;
    enum h2_answer_state answer;

    /* The request. */
    struct arena arena;
    struct http_head head;
    struct http_fields trailers;
    struct h2_pseudo pseudo;
    enum http_cause cause;  /* why it is refused, as far as is known */
    bool has_regular;       /* a field that is none of the pseudo ones came */
    bool request_ended;     /* END_STREAM came */
    bool is_priority_fixed; /* by h2_stream_set_priority() */
    bool was_reset;         /* by us, on purpose */
    uint32_t head_bytes, cookies;
    uint64_t decoded_bytes;  /* of the head, also of what was not kept */
    uint64_t body_bytes;     /* content so far */
    uint64_t owed;           /* given to the caller, no credit yet */
    struct slice_queue held; /* for a tunnel that is yet to be accepted */
    struct http_priority priority;

    /* The answer. */
    struct slice_queue out;
    struct h2_section *sections; /* the next to be sent first */
    struct http_fields answer_trailers;
    bool is_deferred; /* libnghttp2 waits for h2_stream_write() or _end() */
    bool is_empty;    /* it has no content, whatever is written */
    bool has_length;
    bool is_tunnel; /* was accepted; the client's bytes come once the state says so too */
    uint64_t length, written;
};

/* ---- session.c */
/* Ends the connection; the first cause counts. */
void h2_session_fail(struct h2_session *session, enum h2_cause cause);
/* The same for a result of libnghttp2 that is fatal; false: it is none. */
bool h2_session_failed(struct h2_session *session, ssize_t result);

/* ---- stream.c */
struct h2_stream *h2_stream_new(struct h2_session *session, int32_t id);
void h2_stream_free(struct h2_stream *stream);
void h2_stream_set_request(struct h2_stream *stream, enum h2_request_state state);
void h2_stream_set_answer(struct h2_stream *stream, enum h2_answer_state state);
bool h2_stream_is_known(const struct h2_stream *stream); /* to the caller: events are for it */
/* RST_STREAM of our own will. */
void h2_stream_submit_reset(struct h2_stream *stream, uint32_t code);
/* Behind each change of the answer's queue: `before` bytes it had. */
void h2_stream_account(struct h2_stream *stream, uint64_t before);
void h2_stream_set_due(struct h2_stream *stream);

/* ---- request.c */
void h2_request_field(struct h2_stream *stream, struct span name, struct span value);
void h2_request_head(struct h2_stream *stream, bool ends);         /* the fields are complete */
void h2_request_trailers(struct h2_stream *stream, bool ends);     /* likewise */
void h2_request_data(struct h2_stream *stream, struct slice data); /* takes it */
void h2_request_end(struct h2_stream *stream);
void h2_request_tunnel(
    struct h2_stream *stream); /* was accepted: what was held goes to the caller */

/* ---- answer.c */
/* A DATA frame with so much of the stream's queue goes to h2_session.out. */
void h2_answer_send_content(struct h2_stream *stream, const uint8_t *frame_header, size_t length);

/* ---- section.c */
void h2_section_queue_head(struct h2_stream *stream, const struct http_head *answer); /* copies */
void h2_section_queue_trailers(struct h2_stream *stream, const struct http_fields *trailers);
/* libnghttp2 sends HEADERS, with these flags: those of the stream's next section go to h2_session.out in their place. */
void h2_section_send(struct h2_stream *stream, uint8_t flags);

/* ---- flood.c */
/* Counts one; false: too many, the session has failed. */
bool h2_flood_take(struct h2_session *session, enum h2_rate_id rate);
void h2_flood_give(struct h2_session *session, enum h2_rate_id rate, uint32_t count);
bool h2_flood_frame(struct h2_session *session, const nghttp2_frame_hd *frame);
void h2_flood_sent(struct h2_session *session, size_t bytes); /* of content */

/* ---- ids.c */
/* HEADERS for an identifier that no open stream has; false: no client may send them. */
bool h2_ids_take(struct h2_ids *ids, uint32_t id);
void h2_ids_note_reset(struct h2_ids *ids, uint32_t id); /* from here */

/* ---- names.c */
extern const struct span h2_names[HTTP_NAME_COUNT]; /* of the known ones; else empty */

/* ---- memory.c */
nghttp2_mem h2_memory_of(struct h2_session *session);

#endif
