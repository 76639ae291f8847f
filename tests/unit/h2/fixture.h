/* SPDX-License-Identifier: Apache-2.0
 *
 * A session without a network: frames are written by hand on one side, what the session says to its caller is written down as
 * text, and what it sends is read frame by frame, with libnghttp2's HPACK as the other end's.
 */
#ifndef TEST_H2_FIXTURE_H
#define TEST_H2_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/text.h"
#include "h2/h2.h"

#include <nghttp2/nghttp2.h>

enum { FIXTURE_STREAMS = 1024, SECOND_NS = 1000000000 };

struct fixture {
    struct h2_session *session;
    struct h2_settings settings;
    struct random random;
    uint64_t now_ns;
    struct text log;                            /* a line for each event */
    struct h2_stream *streams[FIXTURE_STREAMS]; /* by id / 2; NULL: none, or closed */
    bool keeps_data;                            /* no credit is given */
    bool answers;                               /* each complete request gets 204 */
    bool is_quiet;                              /* nothing is written down */
    uint32_t heads, closed;
    nghttp2_hd_inflater *inflater;
    struct slice_queue in, out;
    int fed; /* the last result of feeding */
};

/* With the preface and an empty SETTINGS fed, and the session's SETTINGS taken. `change` may be NULL. */
void fixture_start(struct fixture *fixture, void (*change)(struct h2_settings *));
void fixture_start_bare(struct fixture *fixture,
                        void (*change)(struct h2_settings *)); /* without those */
void fixture_stop(struct fixture *fixture);
/* The text so far, which is begun anew. */
void fixture_expect(struct fixture *fixture, const char *text);

/* ---- frames to the session: put, then fed */
void put_frame(struct fixture *fixture, uint8_t type, uint8_t flags, uint32_t stream,
               struct span payload);
/* HEADERS of "name: value\n" lines (a pseudo name begins with its colon), END_HEADERS added; literals that are not indexed. */
void put_headers(struct fixture *fixture, uint8_t flags, uint32_t stream, const char *lines);
void put_get(struct fixture *fixture, uint32_t stream); /* GET https://example.com/ */
void put_data(struct fixture *fixture, uint8_t flags, uint32_t stream, const char *text);
void put_zeros(struct fixture *fixture, uint8_t flags, uint32_t stream, uint32_t length);
void put_u32(struct fixture *fixture, uint8_t type, uint32_t stream,
             uint32_t value); /* RST_STREAM, WINDOW_UPDATE */
void put_ping(struct fixture *fixture, uint8_t flags);
void put_settings(struct fixture *fixture, uint16_t id, uint32_t value);
struct span encode_lines(struct text *block, const char *lines);
int feed(struct fixture *fixture);

/* ---- frames from it */
/* Pulls all, and writes what came: "HEADERS 1 END_STREAM :status=200 ...", "DATA 1 5 END_STREAM" ...; SETTINGS, their
 * acknowledgements and WINDOW_UPDATE only where `with_all`. */
const char *sent(struct fixture *fixture, bool with_all);
void expect_sent(struct fixture *fixture, const char *text);

/* ---- answers */
struct h2_stream *stream_of(struct fixture *fixture, uint32_t id);
/* A final answer with a body of unknown length (`length` < 0), none (0) or so much. */
void answer(struct fixture *fixture, uint32_t id, uint16_t status, int64_t length);
void write_text(struct fixture *fixture, uint32_t id, const char *text);
void write_zeros(struct fixture *fixture, uint32_t id, uint32_t length);

#endif
