/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/2 for the server's side of a connection (RFC 9113, 8441, 9218) without I/O: bytes in, requests out; answers in, bytes out.
 * libnghttp2 does frames, windows, the order of sending and HPACK's decoder (the encoder is hpack.h); what a request means and whether
 * it is accepted is decided by http/, the same for both protocols. Pure: `now_ns` is passed in.
 *
 *   front: bytes from the socket -> h2_session_feed() -> h2_events (on_head, on_data, on_end ...)
 *          h2_stream_answer(), _write(), _end() -> h2_session_pull() -> bytes for the socket
 *
 * Life of a stream: a record exists from its HEADERS to on_closed(), or to the caller's own h2_stream_reset(): behind either the
 * caller no longer has it. A request ends with on_closed() exactly once, unless the caller reset it.
 * Events come only from within h2_session_feed() and h2_session_pull(). From within an event every h2_stream_ function may be called
 * (for the stream of on_closed() none), and no h2_session_ function but the queries, _drain() and _end().
 *
 * Back-pressure: a client gets credit for content only through h2_stream_consume(); h2_stream_room() says how much of an answer is
 * taken now. The caller stops feeding while what was pulled waits for the socket: that bounds the answers to control frames.
 */
#ifndef H2_H2_H
#define H2_H2_H

#include "base/random.h"
#include "http/http.h"

struct h2_session;
struct h2_stream;

/* ---- Limits and settings ---- */

/* A token bucket: so many at once, so many a second in the long run. */
struct h2_rate {
    uint32_t burst, per_second;
};

struct h2_settings {
    struct http_limits limits; /* as for HTTP/1.1; heads also bound SETTINGS_MAX_HEADER_LIST_SIZE */
    uint32_t streams;          /* at a time */
    uint32_t stream_window_bytes;     /* content of one request that is under way to the caller */
    uint32_t connection_window_bytes; /* likewise of all requests of the connection */
    uint32_t stream_held_bytes;       /* of an answer, written and not sent */
    uint32_t
        connection_held_bytes; /* likewise of all answers, beyond H2_STREAM_FLOOR_BYTES of each */
    uint32_t memory_bytes;     /* what libnghttp2 may hold for the connection */
    bool websocket;            /* RFC 8441 is offered */

    struct h2_rate resets; /* streams that the client gave up before their answer: CVE-2023-44487 */
    struct h2_rate errors; /* streams that its mistakes ended: CVE-2025-8671 */
    struct h2_rate settings;       /* SETTINGS, acknowledgements too */
    struct h2_rate pings;          /* likewise */
    struct h2_rate empty_data;     /* DATA of less than H2_SMALL_DATA_BYTES that end nothing */
    struct h2_rate window_updates; /* and one more for each H2_WINDOW_BYTES that were sent */
    struct h2_rate
        priorities; /* PRIORITY and PRIORITY_UPDATE, and H2_REQUEST_PRIORITIES more for each request */
    struct h2_rate unknown; /* frames of unknown types, GOAWAY */
};

enum {
    H2_STREAM_FLOOR_BYTES = 16384, /* of an answer, held whatever other streams hold */
    H2_SMALL_DATA_BYTES = 16,
    H2_WINDOW_BYTES = 1024,
    H2_REQUEST_PRIORITIES = 4,
    H2_HEAD_BYTES_MOST =
        4, /* a head may decode to so many times its limits before the connection ends */
    H2_CONTINUATIONS = 8, /* CONTINUATION frames behind one HEADERS: CVE-2024-28182 */
    /* Answers to SETTINGS and PING that wait for the socket: more than the bursts of both, so that what comes all at once is a flood. */
    H2_ACKS_QUEUED = 128,
};

/* 128 streams; windows of 256 KiB and 4 MiB; answers of 64 KiB and 1 MiB; 1 MiB of memory; WebSocket; rates that no browser, load
 * generator or proxy comes near. */
void h2_settings_init(struct h2_settings *settings, const struct http_limits *limits);

/* ---- Why a connection is ended ---- */

/* name, error code of GOAWAY, text. The name labels the counters. */
// clang-format off
#define H2_CAUSE_LIST(X) \
    X(NONE,            0x0, "no error") \
    X(PREFACE,         0x1, "no HTTP/2 preface") \
    X(PROTOCOL,        0x1, "broke the rules of HTTP/2") \
    X(RESETS,          0xb, "gave up requests too fast") \
    X(STREAM_ERRORS,   0xb, "too many streams with errors") \
    X(CONTINUATIONS,   0xb, "too many CONTINUATION frames") \
    X(HEAD_BOMB,       0xb, "header section far beyond the limits") \
    X(SETTINGS_FLOOD,  0xb, "SETTINGS too often") \
    X(PING_FLOOD,      0xb, "PING too often") \
    X(EMPTY_DATA,      0xb, "too many DATA frames with hardly a byte") \
    X(WINDOW_FLOOD,    0xb, "WINDOW_UPDATE too often") \
    X(PRIORITY_FLOOD,  0xb, "priorities too often") \
    X(UNKNOWN_FLOOD,   0xb, "too many frames without a meaning") \
    X(ACKS_UNREAD,     0xb, "asks without reading the answers") \
    X(MEMORY,          0xb, "needs more memory than a connection gets")
// clang-format on

enum h2_cause {
#define X(name, code, text) H2_CAUSE_##name,
    H2_CAUSE_LIST(X)
#undef X
        H2_CAUSE_COUNT
};

const char *h2_cause_text(enum h2_cause cause);
const char *h2_cause_name(enum h2_cause cause); /* "RESETS", for counters */

/* Error codes of RST_STREAM (RFC 9113 section 7). */
enum h2_code {
    H2_CODE_NO_ERROR = 0x0,
    H2_CODE_PROTOCOL_ERROR = 0x1,
    H2_CODE_INTERNAL_ERROR = 0x2,
    H2_CODE_STREAM_CLOSED = 0x5,
    H2_CODE_REFUSED_STREAM = 0x7, /* not acted upon: may be repeated */
    H2_CODE_CANCEL = 0x8,
    H2_CODE_CONNECT_ERROR = 0xa,
    H2_CODE_ENHANCE_YOUR_CALM = 0xb,
    H2_CODE_HTTP_1_1_REQUIRED = 0xd,
};

/* ---- Sessions ---- */

/* `context` is what h2_session_new() got. */
struct h2_events {
    /* A request: complete and settled as http_parser_next() would have with HTTP_EVENT_HEAD; Cookie fields are joined, Host stands
     * for :authority, `minor` is 1. The head and its arena belong to the stream, to read and to change, until it is gone. A request
     * for a WebSocket (RFC 8441) looks like HTTP/1.1's: GET, `upgrades`, a Sec-WebSocket-Key; it is accepted by an answer of 101,
     * its content is what the client sends into the tunnel and comes only behind that answer. */
    void (*on_head)(void *context, struct h2_stream *stream, struct http_head *head);
    /* A request that is not to be served. `stream` NULL: malformed, it was reset already, this is for the counters. Else answer a page
     * (http_cause_status()), or reset it; no further event but on_room() and on_closed() comes. May come behind on_head() (BODY_LONG). Fields
     * of `head` beyond what was read before the cause showed are missing; it may be NULL where `stream` is. */
    void (*on_refused)(void *context, struct h2_stream *stream, struct http_head *head,
                       enum http_cause cause);
    /* Takes the reference. Credit is due by h2_stream_consume(). */
    void (*on_data)(void *context, struct h2_stream *stream, struct slice data);
    /* The request is complete; `trailers` NULL: none. They live as long as the head. */
    void (*on_end)(void *context, struct h2_stream *stream, const struct http_fields *trailers);
    /* h2_stream_room() has become more. */
    void (*on_room)(void *context, struct h2_stream *stream);
    /* Over: answered to the end (`code` H2_CODE_NO_ERROR and h2_stream_is_answered()), reset by the client, or lost with the
     * connection. The head is there until it returns. */
    void (*on_closed)(void *context, struct h2_stream *stream, uint32_t code);
    /* The client changed its mind (PRIORITY_UPDATE). NULL: not wanted. */
    void (*on_priority)(void *context, struct h2_stream *stream, struct http_priority priority);
};

/* `events` outlives the session; `settings` is copied. `random` makes WebSocket keys. */
struct h2_session *h2_session_new(const struct h2_settings *settings,
                                  const struct h2_events *events, void *context,
                                  struct random *random);
/* Every stream ends with on_closed(H2_CODE_CANCEL) first. */
void h2_session_free(struct h2_session **freed);

/* Whether a connection begins with HTTP/2's preface ("prior knowledge"): 0, ERROR_INVALID, or ERROR_INCOMPLETE. */
MUST_USE int h2_preface_check(const struct slice_queue *in);

/* Takes everything from `in`. 0, or ERROR_CLOSED: nothing more is taken; what h2_session_pull() gives is still to be sent, then the
 * connection is to be closed (h2_session_cause() says why). */
MUST_USE int h2_session_feed(struct h2_session *session, struct slice_queue *in, uint64_t now_ns);

/* Appends what is to be sent until `out` holds `limit_bytes` or a frame more. Give it little room: what is decided late obeys the latest
 * priorities. */
void h2_session_pull(struct h2_session *session, struct slice_queue *out, uint64_t limit_bytes);
bool h2_session_has_output(const struct h2_session *session); /* now: not what waits for windows */

/* No more requests: announces the end, and refuses new requests once the client has heard of it (RFC 9113 section 6.8); requests
 * under way go on. A second call does not wait for the client to hear it. */
void h2_session_drain(struct h2_session *session);
/* Ends all at once, with GOAWAY NO_ERROR. */
void h2_session_end(struct h2_session *session);

/* Gives up the streams whose context is NULL: their answers are whole, and the client does not take them. on_closed() follows. */
void h2_session_forget(struct h2_session *session);

bool h2_session_is_over(
    const struct h2_session *session); /* nothing more to take or to send: close */
enum h2_cause h2_session_cause(const struct h2_session *session);
uint32_t h2_session_streams(const struct h2_session *session); /* open now */
/* The stream whose head has begun and not ended; 0: none. */
uint32_t h2_session_head(const struct h2_session *session);
uint64_t h2_session_requests(const struct h2_session *session);     /* since the start */
uint64_t h2_session_content_sent(const struct h2_session *session); /* bytes, since the start */
uint64_t h2_session_unsent(const struct h2_session *session); /* bytes of answers, held for it */
uint64_t h2_session_memory_bytes(const struct h2_session *session); /* of libnghttp2 */

/* ---- Streams ---- */

void h2_stream_set_context(struct h2_stream *stream, void *context);
void *h2_stream_context(const struct h2_stream *stream);
uint32_t h2_stream_id(const struct h2_stream *stream);
struct http_head *h2_stream_head(struct h2_stream *stream);
struct http_priority
h2_stream_priority(const struct h2_stream *stream); /* what the client wishes; RFC 9218 */
/* From now on: the site's own wish goes before the client's (RFC 9218 section 8), whose updates are no longer heeded. */
void h2_stream_set_priority(struct h2_stream *stream, struct http_priority priority);

/* Interim (1xx) answers, then one final. Fields that belong to a connection are left out; Content-Length comes from the head's members;
 * HEAD, 204, 304 and a body of NONE or of no bytes end the answer at once. 101 for a request that upgrades opens the tunnel. 0, or
 * ERROR_INVALID: fields that cannot be written, an answer behind the final one; nothing was written. */
MUST_USE int h2_stream_answer(struct h2_stream *stream, const struct http_head *answer);
/* Takes the reference. More than h2_stream_room() is taken as well; what the answer has no place for is dropped. */
void h2_stream_write(struct h2_stream *stream, struct slice data);
/* The answer is complete; `trailers` may be NULL, forbidden ones are left out. When it is shorter or longer than it said, the stream is
 * reset instead: what is not whole must not look whole. */
void h2_stream_end(struct h2_stream *stream, const struct http_fields *trailers);
/* Gives the stream up and nulls it: no further event. */
void h2_stream_reset(struct h2_stream **stream, enum h2_code code);

uint64_t h2_stream_room(const struct h2_stream *stream); /* bytes of the answer that it takes now */
uint64_t h2_stream_held(const struct h2_stream *stream); /* written, and not in a frame yet */
/* The caller is through with so many bytes of on_data(). */
void h2_stream_consume(struct h2_stream *stream, uint64_t bytes);
bool h2_stream_is_answered(const struct h2_stream *stream); /* the answer was sent to its end */

#endif
