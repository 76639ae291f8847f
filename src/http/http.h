/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP without I/O, for edge and gateway alike: the message model, a strict incremental HTTP/1.1
 * parser (RFC 9112), serialisers, the binary form in which a message crosses the link
 * (docs/protocol/message.md), and the semantics that every intermediary shares (RFC 9110):
 * hop-by-hop fields, Via, Forwarded, hosts, error pages, dates.
 *
 * Ownership: a head and its fields live in the arena that its parser or builder was given; spans in
 * a head stay valid until that arena is cleared. Body bytes are never copied: they come out as
 * parts of what was put in.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/address.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/random.h"
#include "base/slice.h"
#include "base/span.h"
#include "compress/compress.h"
#include "http/names.h"

/* ---- Limits ---- */

/* What a peer may send. A message past a limit is refused with the cause that names it. */
struct http_limits {
    uint32_t line_bytes;            /* request or status line: 414 or 400 past it */
    uint32_t head_bytes;            /* field lines together: 431 */
    uint32_t fields;                /* their number: 431 */
    uint32_t name_bytes;            /* one field name: 431 */
    uint32_t trailer_bytes;         /* trailer lines together */
    uint32_t trailers;              /* their number */
    uint32_t chunk_line_bytes;      /* one chunk-size line with its extensions */
    uint32_t chunk_extension_bytes; /* extensions of a whole message */
    uint32_t informational;         /* 1xx answers before the final one */
    uint64_t body_bytes;            /* content of one message: 413; UINT64_MAX for no limit */
};

/* 8 KiB line, 32 KiB and 128 fields, names of 256 bytes, trailers of 8 KiB and 32 fields, chunk
 * lines of 256 bytes, 16 KiB of extensions, 16 informational answers, bodies without limit. */
extern const struct http_limits http_limits_default;

/* ---- Why a message is refused ---- */

/* name, status for a client, text. The name labels the counters. A gateway answers 502 whatever the
 * cause was; an edge answers http_cause_status(). */
// clang-format off
#define HTTP_CAUSE_LIST(X) \
    X(NONE,                  0, "no error") \
    X(EMPTY_LINES,         400, "more than one empty line before the request") \
    X(METHOD,              400, "malformed method") \
    X(METHOD_LONG,         501, "method too long") \
    X(METHOD_CONNECT,      501, "CONNECT is not offered here") \
    X(TARGET,              400, "malformed request target") \
    X(TARGET_FORM,         400, "this form of request target does not fit the method") \
    X(TARGET_LONG,         414, "request line too long") \
    X(VERSION,             400, "malformed HTTP version") \
    X(VERSION_UNSUPPORTED, 505, "HTTP version not supported") \
    X(STATUS_LINE,         400, "malformed status line") \
    X(STATUS_UNEXPECTED,   400, "status does not fit the request") \
    X(LINE_END,            400, "line does not end with CR LF") \
    X(FIELD_NAME,          400, "malformed field name") \
    X(FIELD_SPACE,         400, "white space between field name and colon") \
    X(FIELD_FOLDED,        400, "folded field line") \
    X(FIELD_VALUE,         400, "control byte in a field value") \
    X(FIELD_NAME_LONG,     431, "field name too long") \
    X(HEAD_LONG,           431, "header section too long") \
    X(HEAD_FIELDS,         431, "too many header fields") \
    X(HOST_MISSING,        400, "Host is missing") \
    X(HOST_DUPLICATE,      400, "more than one Host") \
    X(HOST_INVALID,        400, "malformed Host") \
    X(LENGTH_INVALID,      400, "malformed Content-Length") \
    X(LENGTH_DUPLICATE,    400, "more than one Content-Length") \
    X(LENGTH_AND_CODING,   400, "both Content-Length and Transfer-Encoding") \
    X(CODING_INVALID,      400, "malformed Transfer-Encoding") \
    X(CODING_UNKNOWN,      501, "transfer coding not supported") \
    X(CODING_VERSION,      400, "Transfer-Encoding in HTTP/1.0") \
    X(CODING_FORBIDDEN,    400, "framing field where the status forbids content") \
    X(CONNECTION_INVALID,  400, "malformed Connection") \
    X(EXPECTATION,         417, "expectation not supported") \
    X(CHUNK_SIZE,          400, "malformed chunk size") \
    X(CHUNK_EXTENSION,     400, "malformed or too many chunk extensions") \
    X(CHUNK_LONG,          400, "chunk line too long") \
    X(CHUNK_END,           400, "chunk does not end with CR LF") \
    X(TRAILER_FORBIDDEN,   400, "field not allowed in trailers") \
    X(TRAILER_LONG,        431, "trailer section too long") \
    X(BODY_LONG,           413, "content too long") \
    X(INFORMATIONAL_MANY,  400, "too many informational answers") \
    X(TRUNCATED,           400, "ended in the middle of a message") \
    X(FORM_VERSION,        400, "message form of an unknown version") \
    X(FORM_FRAME,          400, "unknown or misplaced frame") \
    X(FORM_LENGTH,         400, "frame too long") \
    X(FORM_CONTENT,        400, "malformed frame") \
    X(FORM_FIELD,          400, "field that must not cross the link") \
    X(FORM_BODY,           400, "content differs from its declared length") \
    X(FORM_PACKED,         400, "packed frame that cannot be unpacked") \
    X(PSEUDO_FIELD,        400, "pseudo-header field missing, unknown or misplaced") \
    X(FIELD_CONNECTION,    400, "field of a connection in HTTP/2") \
    X(HOST_DIFFERS,        400, "Host differs from :authority") \
    X(LENGTH_DIFFERS,      400, "content differs from Content-Length")
// clang-format on

enum http_cause {
#define X(name, status, text) HTTP_CAUSE_##name,
    HTTP_CAUSE_LIST(X)
#undef X
        HTTP_CAUSE_COUNT
};

unsigned http_cause_status(enum http_cause cause);
const char *http_cause_text(enum http_cause cause); /* a sentence for an error page or a log */
const char *http_cause_name(enum http_cause cause); /* "CHUNK_SIZE", for counters */

/* ---- Fields ---- */

struct http_field {
    struct span name; /* as received or as registered; compare `id`, or without case */
    struct span value;
    enum http_name id;
};

/* A list in the order of arrival. Everything in it is valid: names are tokens, values hold no
 * control byte but HTAB and neither begin nor end with white space. Change it through the
 * functions only. Zero-initialised but for `arena`. */
struct http_fields {
    struct http_field *list;
    uint32_t count, capacity;
    uint64_t present[2]; /* bit for each known name that is in the list */
    struct arena *arena;
};

static inline bool http_fields_has(const struct http_fields *fields, enum http_name id)
{
    return fields->present[id / 64] >> (id % 64) & 1;
}

/* The first field of that name, or NULL. */
const struct http_field *http_fields_find(const struct http_fields *fields, enum http_name id);
const struct http_field *http_fields_find_text(const struct http_fields *fields, struct span name);

/* Appends copies. 0, ERROR_INVALID (not a token; control byte in the value), ERROR_LIMIT
 * (HTTP_FIELDS_MOST). */
enum { HTTP_FIELDS_MOST = 1024 }; /* whatever the configured limits say */
MUST_USE int http_fields_add(struct http_fields *fields, enum http_name id, struct span value);
MUST_USE int http_fields_add_text(struct http_fields *fields, struct span name, struct span value);
MUST_USE int http_fields_set(struct http_fields *fields, enum http_name id,
                             struct span value); /* replaces all */
/* The same, without a copy, for a value that was made here: it is valid, and outlives the list. 0 or ERROR_LIMIT. */
MUST_USE int http_fields_set_own(struct http_fields *fields, enum http_name id, struct span value);
void http_fields_remove(struct http_fields *fields, enum http_name id);     /* all of that name */
void http_fields_remove_text(struct http_fields *fields, struct span name); /* without case */
/* Takes a cookie out of a request's Cookie fields; the last value, if there are several. False: it is not there. */
bool http_cookie_take(struct http_fields *fields, struct span wanted, struct span *taken);
MUST_USE int http_fields_copy(struct http_fields *to,
                              const struct http_fields *from); /* appends all, bytes too */
/* Appends one, or all, of another list, whose bytes outlive this one. 0 or ERROR_LIMIT. */
MUST_USE int http_fields_borrow(struct http_fields *fields, const struct http_field *field);
MUST_USE int http_fields_borrow_all(struct http_fields *fields, const struct http_fields *from);

/* The known name spelled so (any case), else HTTP_NAME_OTHER. */
enum http_name http_name_of(struct span text);
extern const struct span http_name_texts[HTTP_NAME_COUNT];
/* As registered, "Content-Type"; empty for OTHER. */
static inline struct span http_name_text(enum http_name id)
{
    return (unsigned)id < HTTP_NAME_COUNT ? http_name_texts[id] : (struct span){0};
}

/* Written from a head's members, never from its list (framing, Host); not to be forwarded; allowed behind content. */
extern const uint64_t http_framing_names[2], http_hop_by_hop_names[2]; /* a bit for each */
static inline bool http_name_is_framing(enum http_name id)
{
    return http_framing_names[id / 64] >> (id % 64) & 1;
}
static inline bool http_name_is_hop_by_hop(enum http_name id)
{
    return http_hop_by_hop_names[id / 64] >> (id % 64) & 1;
}
bool http_name_is_trailer(enum http_name id);

bool http_is_token(struct span text);       /* RFC 9110 section 5.6.2, not empty */
bool http_is_field_value(struct span text); /* HTAB, SP, VCHAR, obs-text; trimmed */

/* Walks a comma-separated list value (RFC 9110 section 5.6.1), empty elements skipped, elements
 * trimmed; commas in quoted strings do not separate. Takes the next element off `rest`; false at
 * the end. */
bool http_list_next(struct span *rest, struct span *element);
/* Whether any field of that name lists the token (without case). */
bool http_fields_list_has(const struct http_fields *fields, enum http_name id, struct span token);

/* ---- Message heads ---- */

/* Codes are those of the message form: add at the end. */
// clang-format off
#define HTTP_METHOD_LIST(X) \
    X(GET, 1) X(HEAD, 2) X(POST, 3) X(PUT, 4) X(DELETE, 5) X(OPTIONS, 6) X(PATCH, 7) X(TRACE, 8) X(CONNECT, 9)
// clang-format on

enum http_method {
    HTTP_METHOD_OTHER = 0, /* see http_head.method_text */
#define X(name, code) HTTP_METHOD_##name = (code),
    HTTP_METHOD_LIST(X)
#undef X
        HTTP_METHOD_COUNT
};

enum http_method http_method_of(struct span text);       /* case matters */
struct span http_method_text(enum http_method method);   /* empty for OTHER */
bool http_method_is_safe(enum http_method method);       /* GET HEAD OPTIONS TRACE */
bool http_method_is_idempotent(enum http_method method); /* the safe ones, PUT, DELETE */

/* How the content is delimited. */
enum http_body {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,  /* http_head.content_length bytes */
    HTTP_BODY_CHUNKED, /* of unknown length, with an end */
    HTTP_BODY_CLOSE,   /* answers only: until the connection ends */
    HTTP_BODY_TUNNEL,  /* after an accepted Upgrade: raw bytes until either end closes */
};

struct http_head {
    struct http_fields fields; /* all as received, framing fields included until they are removed */

    /* Requests. */
    enum http_method method;
    struct span method_text;     /* also for known methods */
    struct span target_received; /* as it came, for the log */
    struct span target;          /* origin-form, "/path?query", or "*" */
    /* Of the absolute-form target, else of Host: lower case, no port, no final dot; an IPv6
     * literal keeps its brackets. Empty: HTTP/1.0 without Host. */
    struct span host;
    uint16_t port; /* of the same; 0: none */
    bool expects_continue;

    /* Responses. */
    uint16_t status; /* 100-599; 0: this is a request */
    struct span reason;

    /* Both. */
    uint8_t minor;    /* HTTP/1.minor: 0 or 1. When a response is written: its client's version */
    bool keeps_alive; /* the connection may carry another message after this one */
    bool upgrades;    /* asks for an upgrade (request) or accepts it (101) */
    bool has_length;  /* content_length is known, also where there is no body (HEAD, 304) */
    enum http_body body;
    uint64_t content_length;
    struct span upgrade_protocol; /* "websocket" */
};

/* An empty head whose fields live in `arena`. */
void http_head_init(struct http_head *head, struct arena *arena);

/* Makes an HTTP/1.1 request of what came in another framing: settles target, host and content of a head that has nothing but its
 * fields (Host for :authority) with the checks of http_parser_next(). `method` and `target`, origin-form or "*", live in the head's
 * arena. `has_content`: some may come, whether Content-Length tells how much or not. NONE, or why it is refused. */
enum http_cause http_request_settle(struct http_head *head, const struct http_limits *limits,
                                    struct span method, struct span target, bool has_content);

/* What a client wishes of the order of answers (RFC 9218 section 4). */
struct http_priority {
    uint8_t urgency;  /* 0 (first) to 7 */
    bool incremental; /* of use before it is complete: may share with others */
};
#define HTTP_PRIORITY_DEFAULT ((struct http_priority){.urgency = 3})

/* Reads the value of a Priority field or PRIORITY_UPDATE frame. Parameters that are absent, unknown or malformed keep their
 * default; so does everything when the value is no dictionary (RFC 8941). */
struct http_priority http_priority_read(struct span value);

/* ---- Parsing HTTP/1.1 ---- */

enum http_event {
    HTTP_EVENT_MORE,     /* all input is used; more is needed */
    HTTP_EVENT_HEAD,     /* the head is complete; behind a 1xx but 101 another one follows */
    HTTP_EVENT_DATA,     /* a piece of content */
    HTTP_EVENT_TRAILERS, /* before END, only when there are any */
    HTTP_EVENT_END,      /* the message is complete; nothing behind it was used */
    HTTP_EVENT_ERROR,    /* see `cause`; the connection is of no further use */
};

/* One message at a time from one direction of a connection. Embed it; only `cause` and
 * `trailers` are for others. */
struct http_parser {
    enum http_cause cause;
    struct http_fields trailers;

    /* private */
    const struct http_limits *limits;
    struct http_head *head;
    struct arena *arena;
    uint8_t *held; /* the bytes of the lines so far, when they came in pieces */
    uint32_t held_bytes, held_capacity;
    uint32_t at;         /* positions from the first byte of the lines: the next to look at, */
    uint32_t line_at;    /* the line's first, */
    uint32_t mark_at;    /* the first of the element being read, */
    uint32_t name_end;   /* the end of the field name, */
    uint32_t section_at; /* the first of the field lines */
    uint32_t chunk_line_bytes, extension_bytes;
    uint32_t informational; /* heads so far */
    uint8_t state, line;
    uint8_t chunk_digits;
    uint8_t empty_lines;
    bool is_response;
    bool asked_upgrade;            /* by the request that is answered */
    enum http_method asked_method; /* likewise */
    uint64_t left;                 /* of the content or of the chunk */
    uint64_t body_bytes;           /* content so far */
};

/* Begins a message: `limits`, `head` and `arena` must outlive it; `head` is initialised here. */
void http_parser_start_request(struct http_parser *parser, const struct http_limits *limits,
                               struct http_head *head, struct arena *arena);
/* `method` and `upgrade` are of the request that is answered. */
void http_parser_start_response(struct http_parser *parser, const struct http_limits *limits,
                                struct http_head *head, struct arena *arena,
                                enum http_method method, bool upgrade);

/* Takes bytes from the front of `input`: `*used` says how many, also with MORE and END. With
 * DATA `*data` is a part of `input`. Call it again with the rest until it returns MORE, END or
 * ERROR. However the stream is cut into calls, the events but for the cuts of DATA are the same. */
enum http_event http_parser_feed(struct http_parser *parser, struct span input, size_t *used,
                                 struct span *data);

/* The same from a queue, whose used bytes leave it. With DATA `*data` is a counted reference
 * that the caller releases. */
enum http_event http_parser_next(struct http_parser *parser, struct slice_queue *input,
                                 struct slice *data);

/* The connection ended: END (content until close, or a tunnel), ERROR (in the middle of a
 * message), or MORE (before its first byte: nothing lost). */
enum http_event http_parser_finish(struct http_parser *parser);

/* After END of a request that upgrades, once 101 was sent: all further input is DATA. (A
 * response parser does this by itself after 101.) */
void http_parser_tunnel(struct http_parser *parser);

/* Nothing of the message has come yet. */
bool http_parser_is_idle(const struct http_parser *parser);

/* ---- Writing HTTP/1.1 ---- */

/* Both write a whole head with its framing and connection fields made from the head's members;
 * such fields in the list (Host, Content-Length, Transfer-Encoding, Connection, Keep-Alive,
 * Upgrade ...) are left out. They refuse with ERROR_INVALID, and write nothing, whatever would
 * not parse back as exactly this head. */

/* method, target, Host from host and port, fields, body (NONE, LENGTH or CHUNKED), keeps_alive,
 * upgrades. */
MUST_USE int http_write_request(struct slice_queue *out, const struct http_head *head);
/* status (the standard reason), fields, body, keeps_alive, upgrades; `minor` is the client's. */
MUST_USE int http_write_response(struct slice_queue *out, const struct http_head *head);

/* Decides how an answer goes to the client that asked: sets body, minor and keeps_alive. An
 * answer of unknown length (`body` CHUNKED or CLOSE) is chunked for HTTP/1.1 and ends with the
 * connection for 1.0. */
void http_response_frame(struct http_head *response, const struct http_head *request);

/* One chunk of a chunked body; takes the reference. An empty slice writes nothing. */
void http_write_chunk(struct slice_queue *out, struct slice data);
/* The end of a chunked body; `trailers` may be NULL. Forbidden trailers (RFC 9110 section 6.5.1)
 * are left out. */
MUST_USE int http_write_last_chunk(struct slice_queue *out, const struct http_fields *trailers);

const char *http_status_reason(unsigned status); /* "Not Found"; "Unknown" where there is none */
bool http_status_has_body(unsigned status);      /* not 1xx, 204, 304 */

/* ---- The message on the link ---- */

enum {
    HTTP_FORM_VERSION = 1,
    HTTP_FORM_HEAD_MOST = 48 * 1024, /* bytes of a HEADERS, INFORMATIONAL or TRAILERS frame */
    HTTP_SITE_MOST = 64,             /* bytes of a site's name */
    HTTP_REQUEST_ID_MOST = 64,       /* bytes of a request id */
};

/* What the edge knows of a request beyond the request itself; opens its stream. */
struct http_opening {
    struct span site;       /* name in the configuration, a token; checked by the allow-list */
    struct span request_id; /* a token */
    struct span group;      /* of the site's origins, a token; empty: those that are in no group */
    struct address client;  /* with its port */
    uint16_t edge_port;     /* local port that the client came to */
    bool is_https;
    uint8_t priority; /* class, 0 is the highest */
};

/* Appends HEADERS. Hop-by-hop and framing fields of the list stay behind; Content-Length crosses
 * as the head's content_length, Upgrade as its flag and protocol. 0, ERROR_INVALID or
 * ERROR_LIMIT; writes nothing on error. */
MUST_USE int http_form_write_request(struct slice_queue *out, const struct http_opening *opening,
                                     const struct http_head *head);
/* HEADERS of a final answer or of 101, INFORMATIONAL of another 1xx. */
MUST_USE int http_form_write_response(struct slice_queue *out, const struct http_head *head);
/* How long the gateway's part of an exchange took (docs/protocol/message.md). */
enum http_time {
    HTTP_TIME_QUEUE,      /* from the request's head until the origin that answered was chosen */
    HTTP_TIME_CONNECT,    /* from there until it was connected; 0: a kept connection */
    HTTP_TIME_FIRST_BYTE, /* from there to the first byte of its answer */
    HTTP_TIME_WHOLE,      /* from the choice to the last byte of its answer */
    HTTP_TIME_COUNT,
};
struct http_times {
    uint64_t us[HTTP_TIME_COUNT];
    uint8_t known; /* so many of them, from the first */
};
/* Before the final HEADERS of an answer, and once more before its END. */
void http_form_write_times(struct slice_queue *out, const struct http_times *times);
/* Takes the reference. An empty slice writes nothing. */
void http_form_write_data(struct slice_queue *out, struct slice data);
MUST_USE int http_form_write_trailers(struct slice_queue *out, const struct http_fields *trailers);
void http_form_write_end(struct slice_queue *out);

/* Packing (T9). A message that holds a secret of its client must not be packed where somebody else may choose another part of it and
 * watch the lengths. With PUBLIC these are: a request with Cookie, Authorization or another credential; an answer to such a
 * request; an answer with Set-Cookie, or that Cache-Control calls private or no-store. */
enum http_pack_policy { HTTP_PACK_OFF, HTTP_PACK_PUBLIC, HTTP_PACK_ALL };

struct http_pack {
    bool head, content;
    enum compress_count content_count; /* why not; COMPRESS_COUNTS: there is none */
};
/* `asked`: the fields of the request that is answered; NULL: this is a request. */
void http_pack_decide(enum http_pack_policy policy, const struct http_head *head,
                      const struct http_fields *asked, struct http_pack *pack);

void http_pack_count(const struct http_pack *pack, struct compressor *compressor);

/* Moves `head`, one frame as the functions above wrote it, to `out`: packed where that is a gain. `compressor` NULL: as it is. */
void http_form_pack_head(struct slice_queue *out, struct slice_queue *head,
                         struct compressor *compressor);

/* Content on its way into frames: what comes within a turn is gathered and packed together. Embedded; zero-initialised writes DATA
 * at once. */
struct http_form_content {
    struct packer packer;
    struct slice_queue waiting; /* less than COMPRESS_PIECE_BYTES behind each call */
};
void http_form_content_start(struct http_form_content *content, struct compressor *compressor);
void http_form_content_clear(struct http_form_content *content);
/* Takes the reference. */
void http_form_content_add(struct http_form_content *content, struct slice_queue *out,
                           struct slice data);
void http_form_content_flush(
    struct http_form_content *content,
    struct slice_queue *out); /* at the end of a turn, and of the content */

/* Reads one message from one direction of a stream. Embed it; only `cause`, `trailers` and `times`
 * are for others. */
struct http_form_reader {
    enum http_cause cause;
    struct http_fields trailers;
    struct http_times times; /* as far as they were told */

    /* private */
    const struct http_limits *limits;
    struct http_head *head;
    struct http_opening *opening; /* NULL: responses */
    struct arena *arena;
    uint8_t state;
    uint8_t times_frames; /* so far */
    enum http_method asked_method;
    bool asked_upgrade;
    uint32_t informational;
    uint32_t left;                 /* of the DATA frame */
    uint64_t body_bytes;           /* content so far */
    struct compressor *compressor; /* NULL: packed frames are refused */
    struct unpacker unpacker;
};

/* `limits`, `head`, `opening` and `arena` must outlive the message. */
void http_form_reader_start_request(struct http_form_reader *reader,
                                    const struct http_limits *limits, struct http_opening *opening,
                                    struct http_head *head, struct arena *arena);
void http_form_reader_start_response(struct http_form_reader *reader,
                                     const struct http_limits *limits, struct http_head *head,
                                     struct arena *arena, enum http_method method, bool upgrade);

/* Behind a start. Packed frames are understood from here on; http_form_reader_clear() releases what unpacking holds. The compressor
 * outlives the message. */
void http_form_reader_unpack(struct http_form_reader *reader, struct compressor *compressor);
void http_form_reader_clear(struct http_form_reader *reader); /* zero-initialised is fine */
/* Behind the head, which `head` becomes a copy of but for its fields: `to` reads the rest, `from` is cleared. */
void http_form_reader_move(struct http_form_reader *to, struct http_form_reader *from,
                           struct http_head *head, struct arena *arena);

/* Takes bytes from the front of the queue. Every name, value, method, target and host is checked
 * as the HTTP/1.1 parser does. Events as there: HEAD (1xx but 101: another follows), DATA (a
 * counted reference for the caller to release), TRAILERS, END, ERROR, MORE (part of a HEADERS
 * frame may stay in the queue, at most HTTP_FORM_HEAD_MOST bytes). The head's body member is
 * NONE, LENGTH, CHUNKED (unknown length) or TUNNEL. Behind the head of a request that upgrades,
 * DATA is what the client sends into the tunnel. */
enum http_event http_form_reader_next(struct http_form_reader *reader, struct slice_queue *input,
                                      struct slice *data);

/* The stream ended: END when the message had, else ERROR: a truncated message is never complete. */
enum http_event http_form_reader_finish(struct http_form_reader *reader);

/* ---- Semantics shared by edge and gateway ---- */

/* Connection and the fields that it names (never Host), Keep-Alive, Proxy-*, TE (but for
 * "trailers"), Upgrade, Transfer-Encoding, Content-Length. Their meaning stays in the head's
 * members. */
void http_remove_hop_by_hop(struct http_fields *fields);

/* Via: 1.1 pseudonym (RFC 9110 section 7.6.3); `minor` is of the received message. */
MUST_USE int http_add_via(struct http_fields *fields, uint8_t minor, struct span pseudonym);

/* The fields that Connection names, and Connection with them: before anything is decided by fields, or what is decided on (a field that
 * a rule sets, a stored answer that was chosen by one) is not what the next hop sees. The head keeps what else Connection said. */
void http_remove_nominated(struct http_fields *fields);

/* Forwarded, X-Forwarded-* and X-Real-IP of whoever is not a trusted proxy, and what else replaces the URL of a request
 * (X-Original-URL, X-Rewrite-URL, X-Original-Host, X-Host, X-HTTP-Host-Override). */
void http_remove_forwarded(struct http_fields *fields);

/* Forwarded (RFC 7239); X-Forwarded-For, -Proto, -Host and -Port: from the opening record and the
 * request's host, appended to what a trusted proxy sent. The kind that is not wanted goes, lest the
 * two tell different stories. */
enum { HTTP_FORWARDED = 1, HTTP_X_FORWARDED = 2 };
MUST_USE int http_add_forwarded(struct http_fields *fields, const struct http_opening *opening,
                                const struct http_head *head, unsigned kinds);

/* W3C Trace Context (trace.c). */
enum { HTTP_TRACE_ID_BYTES = 33, HTTP_TRACE_BYTES = 56 }; /* with their NULs */
struct http_trace {
    char id[HTTP_TRACE_ID_BYTES];
    bool is_sampled;
};
/* The value of a traceparent field, of this version or a later one. 0 or ERROR_INVALID. */
MUST_USE int http_trace_read(struct span text, struct http_trace *trace);
/* A trace that begins here; returns the value of its traceparent field, in `out`. */
struct span http_trace_begin(struct http_trace *trace, bool is_sampled, struct random *random,
                             char out[HTTP_TRACE_BYTES]);
enum http_trace_found { HTTP_TRACE_NONE, HTTP_TRACE_VALID, HTTP_TRACE_MALFORMED };
/* What of a request's traceparent and tracestate may not be passed on is gone behind it; what may is as it came. `trace` is written
 * where it is VALID. */
enum http_trace_found http_trace_settle(struct http_fields *fields, struct http_trace *trace);
void http_trace_remove(struct http_fields *fields);

/* "Example.COM.:8080" -> "example.com", 8080. Refuses what cannot be a host (RFC 9110 section
 * 4.2.1): the empty name, user information, bytes outside letters, digits, "-._~" and the
 * address literals. The result is in `text` or in `arena`. 0 or ERROR_INVALID. */
MUST_USE int http_host_parse(struct span text, struct arena *arena, struct span *host,
                             uint16_t *port);

/* Whether a request target is what http_head.target may be: origin-form of visible ASCII without
 * '#', or "*". */
bool http_is_target(struct span target);

/* A connection's first bytes where a balancer says whose it is: HAProxy's PROXY protocol, version 1 or 2. */
struct http_proxy_header {
    size_t length; /* of it all */
    bool
        is_local; /* it is the balancer's own, or of no kind that has addresses: those below are not there */
    struct address source,
        destination; /* with ports; the destination is what the visitor connected to */
};
enum { HTTP_PROXY_HEADER_MOST = 4096 };
/* 0; ERROR_INCOMPLETE; ERROR_INVALID: no such header, a malformed or a longer one, a checksum that differs. */
MUST_USE int http_proxy_header_parse(struct span bytes, struct http_proxy_header *header);
/* The reverse; returns the length. A header without addresses, or with two of different families, is a local one. */
enum http_proxy_version { HTTP_PROXY_V1 = 1, HTTP_PROXY_V2 = 2 };
enum { HTTP_PROXY_WRITTEN_MOST = 108 };
size_t http_proxy_header_write(enum http_proxy_version version,
                               const struct http_proxy_header *header,
                               uint8_t out[HTTP_PROXY_WRITTEN_MOST]);

enum { HTTP_DATE_BYTES = 30 }; /* with its NUL */
/* "Sun, 06 Nov 1994 08:49:37 GMT" from seconds since 1970, years 1970 to 9999. Returns `out`. */
const char *http_date_text(uint64_t seconds, char out[HTTP_DATE_BYTES]);
/* The reverse, and the two obsolete forms; `now_s` is for their years of two digits. Years before 1970 are 0. 0 or ERROR_INVALID. */
MUST_USE int http_date_read(struct span text, uint64_t now_s, uint64_t *seconds);

/* Makes `head` an answer with a short page: status, cause, request id; text/plain when the
 * request's Accept names it and not text/html, else HTML. Sets status, body, content_length and
 * fields (Content-Type, Cache-Control: no-store); returns the page's bytes in the head's arena.
 * `request` may be NULL. The caller adds Date, then frames and writes it. */
struct span http_error_page(struct http_head *head, const struct http_head *request,
                            unsigned status, struct span cause, struct span request_id);

#endif
