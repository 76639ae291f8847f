/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames that break RFC 9113's rules, by section (docs/http2-conformance.md refers to the rows by their names): what the session sends
 * and whether the connection goes on. Most of this is libnghttp2's work; this is the proof that it is done here.
 */
#include "fixture.h"

#include <stdio.h>

#define FRAME(length, type, flags, stream, payload) "\0\0" length type flags "\0\0\0" stream payload
#define GET(stream, flags)             \
    FRAME("\x11", "\1", flags, stream, \
          "\x82\x87\x84\x41\x0b"       \
          "example.com"                \
          "\x90")
#define GET_OPEN(stream)  GET(stream, "\4")
#define GET_WHOLE(stream) GET(stream, "\5")
#define BYTES(text)                               \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

enum ends { GOES_ON, ENDS };

static const struct {
    const char *name;
    struct span bytes;
    const char *sent; /* but SETTINGS and WINDOW_UPDATE */
    enum ends ends;
} rows[] = {
    /* 4: frames */
    {"4.1 unknown types are ignored",
     BYTES(FRAME("\4", "\xbb", "\xff", "\0", "abcd") FRAME("\0", "\xfa", "\0", "\5", "")), "",
     GOES_ON},
    {"4.1 undefined flags are ignored", BYTES(FRAME("\x8", "\6", "\xfe", "\0", "12345678")),
     "PING 0 ACK\n", GOES_ON},
    {"4.1 the reserved bit is ignored",
     BYTES("\0\0\x8\6\0\x80\0\0\0"
           "12345678"),
     "PING 0 ACK\n", GOES_ON},
    {"4.2 a frame beyond SETTINGS_MAX_FRAME_SIZE", BYTES("\0\x40\1\0\0\0\0\0\1"),
     "GOAWAY 0 last 0 code 6\n", ENDS},
    {"4.2 a frame too short for its type", BYTES(FRAME("\3", "\3", "\0", "\1", "abc")),
     "GOAWAY 0 last 0 code 6\n", ENDS},
    {"4.3 a field block that cannot be decoded", BYTES(FRAME("\1", "\1", "\5", "\1", "\xff")),
     "GOAWAY 0 last 1 code 9\n", ENDS},
    {"4.3 an index without an entry", BYTES(FRAME("\1", "\1", "\5", "\1", "\xfe")),
     "GOAWAY 0 last 1 code 9\n", ENDS},
    {"4.3 a field block that another frame interrupts",
     BYTES(FRAME("\1", "\1", "\1", "\1", "\x82") FRAME("\x8", "\6", "\0", "\0", "12345678")),
     "GOAWAY 0 last 1 code 1\n", ENDS},
    {"4.3 a field block that another stream interrupts",
     BYTES(FRAME("\1", "\1", "\1", "\1", "\x82") FRAME("\1", "\x9", "\4", "\3", "\x87")),
     "GOAWAY 0 last 1 code 1\n", ENDS},
    /* 5: streams */
    {"5.1 DATA for an idle stream", BYTES(FRAME("\1", "\0", "\0", "\1", "x")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"5.1 RST_STREAM for an idle stream", BYTES(FRAME("\4", "\3", "\0", "\1", "\0\0\0\x8")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"5.1 WINDOW_UPDATE for an idle stream", BYTES(FRAME("\4", "\x8", "\0", "\1", "\0\0\0\1")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"5.1 DATA behind END_STREAM", BYTES(GET_WHOLE("\1") FRAME("\1", "\0", "\0", "\1", "x")),
     "GOAWAY 0 last 1 code 5\n", ENDS},
    {"5.1 HEADERS behind END_STREAM", BYTES(GET_WHOLE("\1") GET_WHOLE("\1")),
     "GOAWAY 0 last 1 code 5\n", ENDS},
    {"5.1 PRIORITY in any state",
     BYTES(FRAME("\5", "\2", "\0", "\x9", "\0\0\0\0\1") GET_WHOLE("\1")
               FRAME("\5", "\2", "\0", "\1", "\0\0\0\0\1")),
     "", GOES_ON},
    {"5.1.1 an even stream identifier", BYTES(GET_WHOLE("\2")), "GOAWAY 0 last 0 code 1\n", ENDS},
    {"5.1.1 a stream identifier that goes down", BYTES(GET_WHOLE("\5") GET_WHOLE("\3")),
     "GOAWAY 0 last 5 code 1\n", ENDS},
    {"5.4.1 GOAWAY names the last stream",
     BYTES(GET_WHOLE("\1") GET_WHOLE("\3") FRAME("\1", "\0", "\0", "\0", "x")),
     "GOAWAY 0 last 3 code 1\n", ENDS},
    /* 6: frame types */
    {"6.1 DATA without a stream", BYTES(FRAME("\1", "\0", "\0", "\0", "x")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.1 DATA with padding beyond its end",
     BYTES(GET_OPEN("\1") FRAME("\2", "\0", "\x8", "\1", "\2x")), "GOAWAY 0 last 1 code 1\n", ENDS},
    {"6.2 HEADERS without a stream", BYTES(GET_WHOLE("\0")), "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.2 HEADERS with padding beyond its end", BYTES(FRAME("\2", "\1", "\x0d", "\1", "\2\x82")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.3 PRIORITY without a stream", BYTES(FRAME("\5", "\2", "\0", "\0", "\0\0\0\0\1")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.3 PRIORITY of another length",
     BYTES(GET_WHOLE("\1") FRAME("\4", "\2", "\0", "\1", "\0\0\0\0")), "GOAWAY 0 last 1 code 6\n",
     ENDS},
    {"6.4 RST_STREAM without a stream", BYTES(FRAME("\4", "\3", "\0", "\0", "\0\0\0\x8")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.4 RST_STREAM is never answered by another",
     BYTES(GET_WHOLE("\1") FRAME("\4", "\3", "\0", "\1", "\0\0\0\x8")
               FRAME("\4", "\3", "\0", "\1", "\0\0\0\x8")),
     "", GOES_ON},
    {"6.5 SETTINGS of a stream", BYTES(FRAME("\0", "\4", "\0", "\1", "")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.5 SETTINGS acknowledged with a payload",
     BYTES(FRAME("\6", "\4", "\1", "\0", "\0\4\0\0\0\1")), "GOAWAY 0 last 0 code 6\n", ENDS},
    {"6.5 SETTINGS of a length that is no multiple of 6",
     BYTES(FRAME("\5", "\4", "\0", "\0", "\0\4\0\0\0")), "GOAWAY 0 last 0 code 6\n", ENDS},
    {"6.5.2 SETTINGS_ENABLE_PUSH of 2", BYTES(FRAME("\6", "\4", "\0", "\0", "\0\2\0\0\0\2")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.5.2 SETTINGS_INITIAL_WINDOW_SIZE beyond 2^31-1",
     BYTES(FRAME("\6", "\4", "\0", "\0", "\0\4\x80\0\0\0")), "GOAWAY 0 last 0 code 3\n", ENDS},
    {"6.5.2 SETTINGS_MAX_FRAME_SIZE below 16384",
     BYTES(FRAME("\6", "\4", "\0", "\0", "\0\5\0\0\x3f\xff")), "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.5.2 SETTINGS_MAX_FRAME_SIZE beyond 2^24-1",
     BYTES(FRAME("\6", "\4", "\0", "\0", "\0\5\1\0\0\0")), "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.5.2 an unknown setting is ignored", BYTES(FRAME("\6", "\4", "\0", "\0", "\x7f\1\0\0\0\1")),
     "", GOES_ON},
    {"6.6 PUSH_PROMISE from a client",
     BYTES(GET_OPEN("\1") FRAME("\5", "\5", "\4", "\1", "\0\0\0\2\x82")),
     "GOAWAY 0 last 1 code 1\n", ENDS},
    {"6.7 PING is answered", BYTES(FRAME("\x8", "\6", "\0", "\0", "12345678")), "PING 0 ACK\n",
     GOES_ON},
    {"6.7 PING of a stream", BYTES(FRAME("\x8", "\6", "\0", "\1", "12345678")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.7 PING of another length", BYTES(FRAME("\x6", "\6", "\0", "\0", "123456")),
     "GOAWAY 0 last 0 code 6\n", ENDS},
    {"6.7 an acknowledgement that nobody asked for",
     BYTES(FRAME("\x8", "\6", "\1", "\0", "12345678")), "", GOES_ON},
    {"6.8 GOAWAY of a stream", BYTES(FRAME("\x8", "\7", "\0", "\1", "\0\0\0\0\0\0\0\0")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.9 WINDOW_UPDATE of nothing",
     BYTES(GET_WHOLE("\1") FRAME("\4", "\x8", "\0", "\1", "\0\0\0\0")), "GOAWAY 0 last 1 code 1\n",
     ENDS},
    {"6.9 WINDOW_UPDATE of nothing for the connection",
     BYTES(FRAME("\4", "\x8", "\0", "\0", "\0\0\0\0")), "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.9 WINDOW_UPDATE of another length", BYTES(FRAME("\3", "\x8", "\0", "\0", "\0\0\1")),
     "GOAWAY 0 last 0 code 6\n", ENDS},
    {"6.9.1 a window beyond 2^31-1", BYTES(FRAME("\4", "\x8", "\0", "\0", "\x7f\xff\xff\xff")),
     "GOAWAY 0 last 0 code 3\n", ENDS},
    {"6.9.1 a window of a stream beyond 2^31-1",
     BYTES(GET_WHOLE("\1") FRAME("\4", "\x8", "\0", "\1", "\x7f\xff\xff\xff")), "RST_STREAM 1 3\n",
     GOES_ON},
    {"6.9.2 windows that settings make too large",
     BYTES(GET_WHOLE("\1") FRAME("\4", "\x8", "\0", "\1", "\x7f\0\0\0")
               FRAME("\6", "\4", "\0", "\0", "\0\4\x7f\xff\xff\xff")),
     "RST_STREAM 1 3\n", GOES_ON},
    {"6.10 CONTINUATION behind nothing", BYTES(FRAME("\1", "\x9", "\4", "\1", "\x82")),
     "GOAWAY 0 last 0 code 1\n", ENDS},
    {"6.10 CONTINUATION behind END_HEADERS",
     BYTES(GET_OPEN("\1") FRAME("\1", "\x9", "\4", "\1", "\x82")), "GOAWAY 0 last 1 code 1\n",
     ENDS},
    /* RFC 9218 section 7.1 */
    {"RFC 9218 7.1 PRIORITY_UPDATE of a stream",
     BYTES(FRAME("\7", "\x10", "\0", "\1", "\0\0\0\1u=1")), "GOAWAY 0 last 0 code 1\n", ENDS},
    {"RFC 9218 7.1 PRIORITY_UPDATE for no stream",
     BYTES(FRAME("\7", "\x10", "\0", "\0", "\0\0\0\0u=1")), "GOAWAY 0 last 0 code 1\n", ENDS},
};

/* What was sent, without the events. */
static void strip_events(char *text)
{
    char *to = text;
    for (char *line = text; *line;) {
        size_t length = strcspn(line, "\n") + 1;
        if (line[0] >= 'A' && line[0] <= 'Z') {
            memmove(to, line, length);
            to += length;
        }
        line += length;
    }
    *to = 0;
}

static void RFC9113_frames_that_break_the_rules(void **state)
{
    int failed = 0;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture fixture;
        fixture_start(&fixture, NULL);
        slice_queue_append(&fixture.in, rows[i].bytes);
        feed(&fixture);
        sent(&fixture, false);
        strip_events(fixture.log.data ? fixture.log.data : (char[1]){0});
        const char *said = fixture.log.data ? fixture.log.data : "";
        bool ended = h2_session_is_over(fixture.session);
        if (strcmp(said, rows[i].sent) != 0 || ended != (rows[i].ends == ENDS)) {
            printf("%s:\n%s%s, not:\n%s", rows[i].name, said, ended ? "and ends" : "goes on",
                   rows[i].sent);
            failed++;
        }
        text_clear(&fixture.log);
        fixture_stop(&fixture);
    }
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(RFC9113_frames_that_break_the_rules),
    };
    return cmocka_run_group_tests_name("h2_frames", tests, NULL, NULL);
}
