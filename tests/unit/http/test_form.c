/* SPDX-License-Identifier: Apache-2.0
 *
 * The message as it crosses the link: the vectors of its specification, both ways; what a broken or
 * taken edge might send; every cut of the stream.
 */
#include "record.h"

#include "http/form.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>

static const char *specification; /* path of docs/protocol/message.md */

/* ---- Vectors ---- */

static int hex_digit(int byte)
{
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                                        : -1;
}

/* The bytes of the block that begins with ```hex NAME; text behind # is a remark. */
static size_t load_vector(const char *name, uint8_t *out, size_t room)
{
    char line[512], start[64];
    size_t length = 0;
    bool inside = false;
    snprintf(start, sizeof start, "```hex %s\n", name);
    FILE *file = fopen(specification, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (!inside) {
            inside = !strcmp(line, start);
            continue;
        }
        if (!strncmp(line, "```", 3))
            break;
        for (const char *at = line; *at && *at != '#'; at++) {
            if (hex_digit(at[0]) < 0 || hex_digit(at[1]) < 0)
                continue;
            assert_true(length < room);
            out[length++] = (uint8_t)(hex_digit(at[0]) << 4 | hex_digit(at[1]));
            at++;
        }
    }
    fclose(file);
    assert_true(length > 0);
    return length;
}

/* Reads a stream in pieces; the recording has the events, the opening first. */
static struct recording read_form(struct span input, const struct record_mode *mode, size_t first,
                                  size_t step)
{
    struct recording recording = {0};
    struct arena arena = {0};
    struct slice_queue queue = {0};
    struct http_head head;
    struct http_opening opening;
    struct http_form_reader reader;
    const struct http_limits *limits = mode->limits ? mode->limits : &http_limits_default;
    if (mode->is_response)
        http_form_reader_start_response(&reader, limits, &head, &arena, mode->asked_method,
                                        mode->asked_upgrade);
    else
        http_form_reader_start_request(&reader, limits, &opening, &head, &arena);
    enum http_event event = HTTP_EVENT_MORE;
    for (size_t at = 0; at < input.length && event == HTTP_EVENT_MORE;) {
        size_t length = at ? step : first;
        if (length > input.length - at)
            length = input.length - at;
        slice_queue_push(&queue, slice_copy(span_of(input.data + at, length)));
        at += length;
        do {
            struct slice data;
            event = http_form_reader_next(&reader, &queue, &data);
            if (event == HTTP_EVENT_HEAD && !mode->is_response) {
                char text[ADDRESS_TEXT_BYTES];
                text_add_format(&recording.text,
                                "site %.*s%s%.*s id %.*s client %s edge %u %s %u\n",
                                SPAN_ARGS(opening.site), opening.group.length ? " group " : "",
                                SPAN_ARGS(opening.group), SPAN_ARGS(opening.request_id),
                                address_text(&opening.client, true, text), opening.edge_port,
                                opening.is_https ? "https" : "http", opening.priority);
            }
            record_event(&recording, event, &head, &reader.trailers, reader.cause,
                         event == HTTP_EVENT_DATA ? span_of(slice_data(&data), data.length)
                                                  : (struct span){0});
            slice_release(&data);
        } while (event == HTTP_EVENT_HEAD || event == HTTP_EVENT_DATA ||
                 event == HTTP_EVENT_TRAILERS);
    }
    if (event == HTTP_EVENT_MORE) {
        event = http_form_reader_finish(&reader);
        record_event(&recording, event, &head, &reader.trailers, reader.cause, (struct span){0});
    }
    slice_queue_clear(&queue);
    arena_clear(&arena);
    text_clear(&recording.body);
    return recording;
}

static void expect_form(struct span input, const struct record_mode *mode, const char *expected)
{
    for (size_t cut = 0; cut <= input.length; cut++) {
        struct recording recording =
            cut ? read_form(input, mode, cut, input.length) : read_form(input, mode, 1, 1);
        assert_string_equal(recording.text.data, expected);
        recording_clear(&recording);
    }
    chunk_cache_drain();
}

static void expect_bytes(struct slice_queue *out, const uint8_t *bytes, size_t length)
{
    static uint8_t written[70000];
    size_t count = slice_queue_peek(out, 0, written, sizeof written);
    if (count != length || memcmp(written, bytes, length) != 0) {
        for (size_t i = 0; i < count; i++)
            printf("%02x%c", written[i], i % 16 == 15 ? '\n' : ' ');
        printf("\n");
    }
    assert_int_equal(count, length);
    assert_memory_equal(written, bytes, length);
    slice_queue_clear(out);
}

static void parse(struct http_head *head, struct arena *arena, const char *text, bool is_response)
{
    struct http_parser parser;
    struct span data;
    size_t used;
    if (is_response)
        http_parser_start_response(&parser, &http_limits_default, head, arena, HTTP_METHOD_GET,
                                   true);
    else
        http_parser_start_request(&parser, &http_limits_default, head, arena);
    assert_int_equal(http_parser_feed(&parser, span_text(text), &used, &data), HTTP_EVENT_HEAD);
}

static struct http_opening opening_of(const char *client)
{
    struct http_opening opening = {
        .site = SPAN("shop"), .request_id = SPAN("7f3a"), .edge_port = 80, .priority = 2};
    assert_int_equal(address_parse_port(span_text(client), false, &opening.client), 0);
    return opening;
}

static void vector_request(void **state)
{
    (void)state;
    uint8_t vector[512];
    size_t length = load_vector("request", vector, sizeof vector);
    struct arena arena = {0};
    struct slice_queue out = {0};
    struct http_head head;
    parse(&head, &arena,
          "GET /cart?id=7 HTTP/1.1\r\nHost: Shop.Example\r\nAccept: */*\r\nUser-Agent: curl/8.5\r\n"
          "X-Trace: 1\r\nConnection: close, X-Drop\r\nX-Drop: 1\r\nProxy-Connection: close\r\n\r\n",
          false);
    struct http_opening opening = opening_of("192.0.2.7:50000");
    assert_int_equal(http_form_write_request(&out, &opening, &head), 0);
    http_form_write_end(&out);
    expect_bytes(&out, vector, length);
    expect_form(span_of(vector, length), &(struct record_mode){0},
                "site shop id 7f3a client 192.0.2.7:50000 edge 80 http 2\n"
                "GET /cart?id=7 = /cart?id=7 on shop.example:0 1.1 body 0 length 0 0 keeps\n"
                "  Accept: */*|2\n  User-Agent: curl/8.5|73\n  X-Trace: 1|0\nend\n");
    arena_clear(&arena);
}

static void vector_group(void **state)
{
    (void)state;
    uint8_t vector[512];
    size_t length = load_vector("group", vector, sizeof vector);
    struct arena arena = {0};
    struct slice_queue out = {0};
    struct http_head head;
    parse(&head, &arena, "GET /cart?id=7 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n",
          false);
    struct http_opening opening = opening_of("192.0.2.7:50000");
    opening.group = SPAN("api");
    assert_int_equal(http_form_write_request(&out, &opening, &head), 0);
    http_form_write_end(&out);
    expect_bytes(&out, vector, length);
    expect_form(span_of(vector, length), &(struct record_mode){0},
                "site shop group api id 7f3a client 192.0.2.7:50000 edge 80 http 2\n"
                "GET /cart?id=7 = /cart?id=7 on shop.example:0 1.1 body 0 length 0 0 keeps\n"
                "  Accept: */*|2\nend\n");
    opening.group = SPAN("a group");
    assert_int_equal(http_form_write_request(&out, &opening, &head), ERROR_INVALID);
    arena_clear(&arena);
}

static void vector_upload(void **state)
{
    (void)state;
    uint8_t vector[512];
    size_t length = load_vector("upload", vector, sizeof vector);
    struct arena arena = {0};
    struct slice_queue out = {0};
    struct http_head head;
    parse(&head, &arena,
          "PROPPATCH /f HTTP/1.1\r\nHost: a:8443\r\nContent-Length: 11\r\nTE: trailers\r\n\r\n",
          false);
    struct http_opening opening = opening_of("[2001:db8::7]:443");
    opening.is_https = true;
    opening.edge_port = 8443;
    assert_int_equal(http_form_write_request(&out, &opening, &head), 0);
    http_form_write_data(&out, slice_copy(SPAN("hello")));
    http_form_write_data(&out, slice_copy(SPAN("")));
    http_form_write_data(&out, slice_copy(SPAN(" world")));
    http_form_write_end(&out);
    expect_bytes(&out, vector, length);
    expect_form(span_of(vector, length), &(struct record_mode){0},
                "site shop id 7f3a client [2001:db8::7]:443 edge 8443 https 2\n"
                "PROPPATCH /f = /f on a:8443 1.1 body 1 length 1 11 keeps\n"
                "  TE: trailers|65\ncontent hello world\nend\n");
    arena_clear(&arena);
}

static void vector_answer(void **state)
{
    (void)state;
    uint8_t vector[512];
    size_t length = load_vector("answer", vector, sizeof vector);
    struct arena arena = {0};
    struct slice_queue out = {0};
    struct http_head head;
    parse(&head, &arena, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", true);
    assert_int_equal(http_form_write_response(&out, &head), 0);
    parse(&head, &arena,
          "HTTP/1.1 200 Fine\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n"
          "Server: nginx\r\n\r\n",
          true);
    assert_int_equal(http_form_write_response(&out, &head), 0);
    http_form_write_data(&out, slice_copy(SPAN("<p>hi")));
    struct http_fields trailers = {.arena = &arena};
    assert_int_equal(http_fields_add_text(&trailers, SPAN("X-Sum"), SPAN("42")), 0);
    assert_int_equal(http_fields_add(&trailers, HTTP_NAME_COOKIE, SPAN("no trailer")), 0);
    assert_int_equal(http_form_write_trailers(&out, &trailers), 0);
    http_form_write_end(&out);
    expect_bytes(&out, vector, length);
    expect_form(
        span_of(vector, length),
        &(struct record_mode){.is_response = true, .asked_method = HTTP_METHOD_GET},
        "103 Early Hints 1.1 body 0 length 0 0 keeps\n  Link: </a.css>|35\n"
        "200 OK 1.1 body 2 length 0 0 keeps\n  Content-Type: text/html|20\n  Server: nginx|61\n"
        "content <p>hi\n  trailer X-Sum: 42|0\nend\n");
    arena_clear(&arena);
}

static void vector_upgrade(void **state)
{
    (void)state;
    uint8_t vector[512];
    size_t length = load_vector("upgrade", vector, sizeof vector);
    struct arena arena = {0};
    struct slice_queue out = {0};
    struct http_head head;
    parse(&head, &arena,
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
          "Sec-WebSocket-Accept: x\r\n\r\n",
          true);
    assert_int_equal(http_form_write_response(&out, &head), 0);
    http_form_write_data(&out, slice_copy(SPAN("\x81\x02hi")));
    http_form_write_end(&out);
    expect_bytes(&out, vector, length);
    expect_form(span_of(vector, length),
                &(struct record_mode){
                    .is_response = true, .asked_method = HTTP_METHOD_GET, .asked_upgrade = true},
                "101 Switching Protocols 1.1 body 4 length 0 0 keeps upgrades\n"
                "  Sec-WebSocket-Accept: x|58\ncontent \x81\x02hi\nend\n");
    arena_clear(&arena);
}

static struct http_times read_times(struct span input, enum http_event *last)
{
    struct arena arena = {0};
    struct slice_queue queue = {0};
    struct http_head head;
    struct http_form_reader reader;
    struct slice data;
    http_form_reader_start_response(&reader, &http_limits_default, &head, &arena, HTTP_METHOD_GET,
                                    false);
    slice_queue_push(&queue, slice_copy(input));
    do {
        *last = http_form_reader_next(&reader, &queue, &data);
        slice_release(&data);
    } while (*last == HTTP_EVENT_HEAD || *last == HTTP_EVENT_DATA);
    slice_queue_clear(&queue);
    arena_clear(&arena);
    return reader.times;
}

static void vector_times(void **state)
{
    (void)state;
    uint8_t vector[512];
    size_t length = load_vector("times", vector, sizeof vector);
    struct arena arena = {0};
    struct slice_queue out = {0};
    struct http_head head;
    struct http_times times = {.us = {250, 0, 1500, 20000}, .known = HTTP_TIME_WHOLE};
    enum http_event last;
    parse(&head, &arena, "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n", true);
    http_form_write_times(&out, &times);
    assert_int_equal(http_form_write_response(&out, &head), 0);
    http_form_write_data(&out, slice_copy(SPAN("ok")));
    times.known = HTTP_TIME_COUNT;
    http_form_write_times(&out, &times);
    http_form_write_end(&out);
    expect_bytes(&out, vector, length);
    expect_form(span_of(vector, length),
                &(struct record_mode){.is_response = true, .asked_method = HTTP_METHOD_GET},
                "200 OK 1.1 body 2 length 0 0 keeps\ncontent ok\nend\n");
    struct http_times read = read_times(span_of(vector, length), &last);
    assert_int_equal(last, HTTP_EVENT_END);
    assert_int_equal(read.known, HTTP_TIME_COUNT);
    assert_memory_equal(read.us, times.us, sizeof times.us);
    arena_clear(&arena);
}

/* The page lists every name and every pair with its code. */
static void specification_has_the_tables(void **state)
{
    (void)state;
    static char page[64 * 1024];
    FILE *file = fopen(specification, "r");
    assert_non_null(file);
    size_t length = fread(page, 1, sizeof page - 1, file);
    fclose(file);
    assert_true(length < sizeof page - 1);
    page[length] = 0;
    for (int code = 1; code < 256; code++) {
        char row[256];
        enum http_name id = (enum http_name)code;
        struct span value = {0}, name = http_name_text(id);
        if (code >= FORM_PAIR_FIRST && http_pair_at((uint8_t)code, &id, &value))
            snprintf(row, sizeof row, "| %d | %.*s | `%.*s` |\n", code,
                     SPAN_ARGS(http_name_text(id)), SPAN_ARGS(value));
        else if (name.length)
            snprintf(row, sizeof row, "`%d` %.*s", code, SPAN_ARGS(name));
        else
            continue;
        if (!strstr(page, row))
            fail_msg("not in the specification: %s", row);
    }
}

/* ---- What must be refused ---- */

/* Frames in the making. */
struct stream {
    uint8_t bytes[1024];
    size_t length;
};

static void add_bytes(struct stream *stream, struct span bytes)
{
    memcpy(stream->bytes + stream->length, bytes.data, bytes.length);
    stream->length += bytes.length;
}

static void add_frame(struct stream *stream, uint8_t type, struct span payload)
{
    stream->bytes[stream->length++] = type;
    stream->length =
        (size_t)(varint_store(stream->bytes + stream->length, payload.length) - stream->bytes);
    add_bytes(stream, payload);
}

/* Payload up to the fields: GET / on host a, no content. */
#define START(flags)                                                    \
    "\x01" flags "\x02\x00\x50\x04\xc0\x00\x02\x07\xc3\x50\x04shop\x04" \
    "7f3a"
#define GET       \
    START("\x00") \
    "\x01\x01"    \
    "a\x00\x00\x01/"
#define PUT_5     \
    START("\x03") \
    "\x04\x01"    \
    "a\x00\x00\x01/\x05\x00"
#define PUT_CHUNKED \
    START("\x01")   \
    "\x04\x01"      \
    "a\x00\x00\x01/\x00"
#define STATUS_200(flags) "\x01" flags "\x00\xc8"

struct bad_request {
    struct span headers;
    enum http_cause cause;
};

// clang-format off
static const struct bad_request bad_requests[] = {
    {TEXT(""), HTTP_CAUSE_FORM_VERSION},
    {TEXT("\x02"), HTTP_CAUSE_FORM_VERSION},
    {TEXT("\x01"), HTTP_CAUSE_FORM_CONTENT},
    {TEXT("\x01\x20\x02\x00\x50\x04\xc0\x00\x02\x07\xc3\x50\x04shop\x04" "7f3a\x01\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_FORM_CONTENT},
    {TEXT("\x01\x00\x02\x00\x50\x05\xc0\x00\x02\x07\xc3\x50\x04shop\x04" "7f3a\x01\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_FORM_CONTENT},
    {TEXT("\x01\x00\x02\x00\x50\x04\xc0\x00\x02\x07\xc3\x50\x04sh p\x04" "7f3a\x01\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_FORM_CONTENT},
    {TEXT("\x01\x00\x02\x00\x50\x04\xc0\x00\x02\x07\xc3\x50\x00\x04" "7f3a\x01\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_FORM_CONTENT},
    {TEXT("\x01\x00\x02\x00\x50\x04\xc0\x00\x02\x07\xc3\x50\x04shop\x04" "7f\na\x01\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_FORM_CONTENT},
    {TEXT("\x01\x00\x02\x00\x50\x04\xc0\x00\x02\x07\xc3\x50\xff\xff\xff\xff\xff\xff\xff\xff"), HTTP_CAUSE_FORM_CONTENT},
    {TEXT(START("\x00") "\x09\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_METHOD}, /* CONNECT */
    {TEXT(START("\x00") "\x0a\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_METHOD},
    {TEXT(START("\x00") "\x00\x07" "CONNECT\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_METHOD},
    {TEXT(START("\x00") "\x00\x03" "GET\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_METHOD},
    {TEXT(START("\x00") "\x00\x03" "A B\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_METHOD},
    {TEXT(START("\x00") "\x00\x00\x01" "a\x00\x00\x01/\x00"), HTTP_CAUSE_METHOD},
    {TEXT(START("\x00") "\x01\x01" "A\x00\x00\x01/\x00"), HTTP_CAUSE_HOST_INVALID},
    {TEXT(START("\x00") "\x01\x03" "a\r\n\x00\x00\x01/\x00"), HTTP_CAUSE_HOST_INVALID},
    {TEXT(START("\x00") "\x01\x02" "a.\x00\x00\x01/\x00"), HTTP_CAUSE_HOST_INVALID},
    {TEXT(START("\x00") "\x01\x00\x00\x50\x01/\x00"), HTTP_CAUSE_HOST_INVALID},
    {TEXT(START("\x00") "\x01\x01" "a\x00\x00\x00\x00"), HTTP_CAUSE_TARGET},
    {TEXT(START("\x00") "\x01\x01" "a\x00\x00\x02/ \x00"), HTTP_CAUSE_TARGET},
    {TEXT(START("\x00") "\x01\x01" "a\x00\x00\x04/\r\nX\x00"), HTTP_CAUSE_TARGET},
    {TEXT(START("\x00") "\x01\x01" "a\x00\x00\x08http://b\x00"), HTTP_CAUSE_TARGET},
    {TEXT(START("\x00") "\x01\x01" "a\x00\x00\x01*\x00"), HTTP_CAUSE_METHOD},
    {TEXT(GET), HTTP_CAUSE_FORM_CONTENT},                      /* no fields */
    {TEXT(GET "\x01"), HTTP_CAUSE_FORM_CONTENT},               /* fewer fields than announced */
    {TEXT(GET "\x00\x00"), HTTP_CAUSE_FORM_CONTENT},           /* bytes behind the fields */
    {TEXT(GET "\x01\xff"), HTTP_CAUSE_FORM_CONTENT},           /* no such pair */
    {TEXT(GET "\x01\x7f\x01" "a"), HTTP_CAUSE_FORM_CONTENT},   /* no such name */
    {TEXT(GET "\x01\x02\x05" "a"), HTTP_CAUSE_FORM_CONTENT},   /* value cut short */
    {TEXT(GET "\x7f\xff"), HTTP_CAUSE_HEAD_FIELDS},
    {TEXT(GET "\x01\x02\x03" "a\r\n"), HTTP_CAUSE_FIELD_VALUE},
    {TEXT(GET "\x01\x02\x02" "a\0"), HTTP_CAUSE_FIELD_VALUE},
    {TEXT(GET "\x01\x02\x02 a"), HTTP_CAUSE_FIELD_VALUE},
    {TEXT(GET "\x01\x00\x03" "A:B\x01" "c"), HTTP_CAUSE_FIELD_NAME},
    {TEXT(GET "\x01\x00\x00\x01" "c"), HTTP_CAUSE_FIELD_NAME},
    {TEXT(GET "\x01\x01\x01" "b"), HTTP_CAUSE_FORM_FIELD},                          /* Host */
    {TEXT(GET "\x01\x10\x01" "5"), HTTP_CAUSE_FORM_FIELD},                          /* Content-Length */
    {TEXT(GET "\x01\x00\x0e" "content-lengtH\x01" "5"), HTTP_CAUSE_FORM_FIELD},     /* the same, spelled out */
    {TEXT(GET "\x01\x00\x11Transfer-Encoding\x07" "chunked"), HTTP_CAUSE_FORM_FIELD},
    {TEXT(GET "\x01\x0c\x05" "close"), HTTP_CAUSE_FORM_FIELD},                      /* Connection */
    {TEXT(GET "\x01\x47\x03" "h2c"), HTTP_CAUSE_FORM_FIELD},                        /* Upgrade */
    {TEXT(GET "\x01\x41\x04" "gzip"), HTTP_CAUSE_FORM_FIELD},                       /* TE */
    {TEXT(GET "\x01\x18\x01" "x"), HTTP_CAUSE_EXPECTATION},
    {TEXT(START("\x02") "\x01\x01" "a\x00\x00\x01/\x05\x00"), HTTP_CAUSE_FORM_BODY}, /* a length without content */
    {TEXT(START("\x04") "\x01\x01" "a\x00\x00\x01/\x03h2c\x00"), HTTP_CAUSE_FORM_CONTENT},
    {TEXT(START("\x05") "\x01\x01" "a\x00\x00\x01/\x09websocket\x00"), HTTP_CAUSE_FORM_BODY},
    {TEXT(START("\x04") "\x03\x01" "a\x00\x00\x01/\x09websocket\x00"), HTTP_CAUSE_FORM_CONTENT},
};
// clang-format on

static void expect_refused(const struct stream *stream, const struct record_mode *mode,
                           enum http_cause cause, size_t row)
{
    struct span input = span_of(stream->bytes, stream->length);
    struct recording recording = read_form(input, mode, input.length, 1);
    if (recording.cause != cause || recording.last != HTTP_EVENT_ERROR)
        fail_msg("row %zu: %s, not %s", row, http_cause_name(recording.cause),
                 http_cause_name(cause));
    expect_form(input, mode, recording.text.data);
    recording_clear(&recording);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    struct stream good = {0};
    add_frame(&good, FORM_HEADERS, SPAN(GET "\x00"));
    add_frame(&good, FORM_END, SPAN(""));
    expect_form(span_of(good.bytes, good.length), &(struct record_mode){0},
                "site shop id 7f3a client 192.0.2.7:50000 edge 80 http 2\n"
                "GET / = / on a:0 1.1 body 0 length 0 0 keeps\nend\n");
    for (size_t i = 0; i < sizeof bad_requests / sizeof *bad_requests; i++) {
        struct stream stream = {0};
        add_frame(&stream, FORM_HEADERS, bad_requests[i].headers);
        add_frame(&stream, FORM_END, SPAN(""));
        expect_refused(&stream, &(struct record_mode){0}, bad_requests[i].cause, i);
    }
}

struct frame_row {
    struct {
        uint8_t type;
        struct span payload;
    } frames[5];
    enum http_cause cause; /* NONE: complete */
    enum http_method method;
    bool is_response, upgrade, is_small;
};

static const struct http_limits small = {.fields = 4,
                                         .name_bytes = 8,
                                         .line_bytes = 100,
                                         .trailers = 1,
                                         .informational = 1,
                                         .body_bytes = 8};

// clang-format off
#define EMPTY {(const uint8_t *)"", 0}
#define END {FORM_END, EMPTY}
static const struct frame_row frame_rows[] = {
    {{{FORM_HEADERS, TEXT(PUT_5)}, {FORM_DATA, TEXT("hello")}, END}, HTTP_CAUSE_NONE, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_CHUNKED)}, {FORM_TRAILERS, TEXT("\x00")}, END}, HTTP_CAUSE_NONE, .method = HTTP_METHOD_OTHER},
    {{{0, EMPTY}}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_OTHER},
    {{{FORM_DATA, TEXT("x")}}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_OTHER},
    {{END}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_OTHER},
    {{{FORM_INFORMATIONAL, TEXT("\x01\x00\x00\x67\x00")}}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_5)}, {FORM_HEADERS, TEXT(PUT_5)}}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_5)}, {FORM_DATA, TEXT("hell")}, END}, HTTP_CAUSE_FORM_BODY, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_5)}, {FORM_DATA, TEXT("hello!")}}, HTTP_CAUSE_FORM_BODY, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_5)}, {FORM_DATA, TEXT("hello")}, {FORM_DATA, TEXT("!")}}, HTTP_CAUSE_FORM_BODY, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_5)}, {FORM_TRAILERS, TEXT("\x00")}}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_CHUNKED)}, {FORM_DATA, EMPTY}}, HTTP_CAUSE_FORM_LENGTH, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_CHUNKED)}, {FORM_END, TEXT("x")}}, HTTP_CAUSE_FORM_LENGTH, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_CHUNKED)}, {FORM_DATA, TEXT("hello")}, {FORM_DATA, TEXT("hell")}}, HTTP_CAUSE_BODY_LONG, .is_small = true},
    {{{FORM_HEADERS, TEXT(PUT_CHUNKED)}, {FORM_TRAILERS, TEXT("\x00")}, {FORM_DATA, TEXT("x")}}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_CHUNKED)}, {FORM_TRAILERS, TEXT("\x00")}, {FORM_TRAILERS, TEXT("\x00")}}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_CHUNKED)}, {FORM_TRAILERS, TEXT("\x01\x10\x01" "5")}}, HTTP_CAUSE_FORM_FIELD, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_CHUNKED)}, {FORM_TRAILERS, TEXT("\x01\x00\x01" "A\x01\n")}}, HTTP_CAUSE_FIELD_VALUE, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(PUT_CHUNKED)}, {FORM_TRAILERS, TEXT("\x02\x00\x01" "A\x01" "b\x00\x01" "A\x01" "b")}}, HTTP_CAUSE_TRAILER_LONG, .is_small = true},
    {{{FORM_HEADERS, TEXT(PUT_CHUNKED)}, {FORM_DATA, TEXT("hello")}}, HTTP_CAUSE_TRUNCATED, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(GET "\x00")}, {FORM_DATA, TEXT("x")}}, HTTP_CAUSE_FORM_BODY, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(GET "\x00")}}, HTTP_CAUSE_TRUNCATED, .method = HTTP_METHOD_OTHER},
    {{{FORM_HEADERS, TEXT(GET "\x01\x00\x09" "ABCDEFGHI\x01" "b")}}, HTTP_CAUSE_FIELD_NAME_LONG, .is_small = true},
    /* Behind a request that upgrades comes what the client sends. */
    {{{FORM_HEADERS, TEXT(START("\x04") "\x01\x01" "a\x00\x00\x01/\x09websocket\x00")}, {FORM_DATA, TEXT("raw")}, END}, HTTP_CAUSE_NONE, .method = HTTP_METHOD_OTHER},
    /* Answers. */
    {{{FORM_HEADERS, TEXT(STATUS_200("\x03") "\x05\x00")}, {FORM_DATA, TEXT("hello")}, END}, HTTP_CAUSE_NONE, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_HEADERS, TEXT(STATUS_200("\x02") "\x05\x00")}, END}, HTTP_CAUSE_NONE, .method = HTTP_METHOD_HEAD, .is_response = true},
    {{{FORM_HEADERS, TEXT(STATUS_200("\x00") "\x00")}, END}, HTTP_CAUSE_NONE, .method = HTTP_METHOD_HEAD, .is_response = true},
    {{{FORM_HEADERS, TEXT(STATUS_200("\x00") "\x00")}, END}, HTTP_CAUSE_FORM_BODY, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_HEADERS, TEXT(STATUS_200("\x01") "\x00")}, END}, HTTP_CAUSE_FORM_BODY, .method = HTTP_METHOD_HEAD, .is_response = true},
    {{{FORM_HEADERS, TEXT(STATUS_200("\x10") "\x00")}}, HTTP_CAUSE_FORM_CONTENT, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_HEADERS, TEXT(STATUS_200("\x03") "\x09\x00")}}, HTTP_CAUSE_BODY_LONG, .method = HTTP_METHOD_GET, .is_response = true, .is_small = true},
    {{{FORM_HEADERS, TEXT("\x01\x01\x00\xcc\x00")}}, HTTP_CAUSE_FORM_BODY, .method = HTTP_METHOD_GET, .is_response = true}, /* 204 */
    {{{FORM_HEADERS, TEXT("\x01\x02\x00\xcc\x05\x00")}}, HTTP_CAUSE_FORM_BODY, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_HEADERS, TEXT("\x01\x02\x01\x30\x05\x00")}, END}, HTTP_CAUSE_NONE, .method = HTTP_METHOD_GET, .is_response = true}, /* 304 */
    {{{FORM_HEADERS, TEXT("\x01\x02\x01\x30\x05\x00")}, {FORM_DATA, TEXT("hello")}}, HTTP_CAUSE_FORM_BODY, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_HEADERS, TEXT("\x01\x00\x00\x63\x00")}}, HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_HEADERS, TEXT("\x01\x00\x02\x58\x00")}}, HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_HEADERS, TEXT("\x01\x00\x00\x67\x00")}}, HTTP_CAUSE_STATUS_UNEXPECTED, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_INFORMATIONAL, TEXT(STATUS_200("\x00") "\x00")}}, HTTP_CAUSE_STATUS_UNEXPECTED, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_INFORMATIONAL, TEXT("\x01\x00\x00\x64\x00")}, {FORM_INFORMATIONAL, TEXT("\x01\x00\x00\x67\x00")}}, HTTP_CAUSE_INFORMATIONAL_MANY, .method = HTTP_METHOD_GET, .is_response = true, .is_small = true},
    {{{FORM_INFORMATIONAL, TEXT("\x01\x00\x00\x64\x00")}, END}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_INFORMATIONAL, TEXT("\x01\x00\x00\x64\x00")}}, HTTP_CAUSE_TRUNCATED, .method = HTTP_METHOD_GET, .is_response = true},
    /* Times: what comes behind those that are known was added later. */
    {{{FORM_TIMES, EMPTY}, {FORM_HEADERS, TEXT(STATUS_200("\x00") "\x00")}, END}, HTTP_CAUSE_NONE, .method = HTTP_METHOD_HEAD, .is_response = true},
    {{{FORM_TIMES, TEXT("\1\2\3\4\5\x40")}, {FORM_HEADERS, TEXT(STATUS_200("\x00") "\x00")}, END}, HTTP_CAUSE_NONE, .method = HTTP_METHOD_HEAD, .is_response = true},
    {{{FORM_HEADERS, TEXT(STATUS_200("\x01") "\x00")}, {FORM_TRAILERS, TEXT("\x00")}, {FORM_TIMES, TEXT("\1")}, END}, HTTP_CAUSE_NONE, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_TIMES, TEXT("\1\x40")}}, HTTP_CAUSE_FORM_CONTENT, .method = HTTP_METHOD_HEAD, .is_response = true},
    {{{FORM_TIMES, TEXT("\1")}, {FORM_TIMES, TEXT("\1")}, {FORM_TIMES, TEXT("\1")}}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_HEAD, .is_response = true},
    {{{FORM_TIMES, TEXT("0123456789012345678901234567890123456789012345678901234567890123!")}}, HTTP_CAUSE_FORM_LENGTH, .method = HTTP_METHOD_HEAD, .is_response = true},
    {{{FORM_TIMES, TEXT("\1")}}, HTTP_CAUSE_FORM_FRAME, .method = HTTP_METHOD_GET}, /* a request has none */
    {{{FORM_HEADERS, TEXT("\x01\x04\x00\x65\x09websocket\x00")}}, HTTP_CAUSE_STATUS_UNEXPECTED, .method = HTTP_METHOD_GET, .is_response = true},
    {{{FORM_HEADERS, TEXT("\x01\x00\x00\x65\x00")}}, HTTP_CAUSE_STATUS_UNEXPECTED, .method = HTTP_METHOD_GET, .is_response = true, .upgrade = true},
    {{{FORM_HEADERS, TEXT("\x01\x04\x00\x65\x03h2c\x00")}}, HTTP_CAUSE_FORM_CONTENT, .method = HTTP_METHOD_GET, .is_response = true, .upgrade = true},
};
// clang-format on

static void frames_must_come_in_their_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof frame_rows / sizeof *frame_rows; i++) {
        const struct frame_row *row = &frame_rows[i];
        struct stream stream = {0};
        for (size_t j = 0; row->frames[j].payload.data; j++)
            add_frame(&stream, row->frames[j].type, row->frames[j].payload);
        struct record_mode mode = {.limits = row->is_small ? &small : NULL,
                                   .is_response = row->is_response,
                                   .asked_method = row->method,
                                   .asked_upgrade = row->upgrade};
        if (row->cause) {
            expect_refused(&stream, &mode, row->cause, i);
            continue;
        }
        struct span input = span_of(stream.bytes, stream.length);
        struct recording recording = read_form(input, &mode, input.length, 1);
        if (recording.last != HTTP_EVENT_END)
            fail_msg("row %zu: %s", i, http_cause_name(recording.cause));
        expect_form(input, &mode, recording.text.data);
        recording_clear(&recording);
    }
}

static void long_frames_are_refused_at_their_header(void **state)
{
    (void)state;
    struct stream stream = {.bytes = {FORM_HEADERS}, .length = 1};
    stream.length =
        (size_t)(varint_store(stream.bytes + 1, HTTP_FORM_HEAD_MOST + 1) - stream.bytes);
    expect_refused(&stream, &(struct record_mode){0}, HTTP_CAUSE_FORM_LENGTH, 0);
}

static void what_must_not_cross_is_not_written(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice_queue out = {0};
    struct http_head good, head;
    parse(&good, &arena, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", false);
    const struct http_opening opening = opening_of("192.0.2.7:50000");
    for (int i = 0; i < 9; i++) {
        struct http_opening bad = opening;
        head = good;
        if (i == 0)
            bad.site = SPAN("");
        if (i == 1)
            bad.request_id = SPAN("a b");
        if (i == 2)
            bad.client.family = 0;
        if (i == 3)
            head.target = SPAN("/a b");
        if (i == 4)
            head.host = SPAN("a\nb");
        if (i == 5)
            head.method = HTTP_METHOD_CONNECT;
        if (i == 6)
            head.body = HTTP_BODY_LENGTH;
        if (i == 7)
            head.has_length = true;
        struct http_field field = {http_name_text(HTTP_NAME_ACCEPT), SPAN("a\n"), HTTP_NAME_ACCEPT};
        if (i == 8)
            head.fields = (struct http_fields){&field, 1, 1, {0}, &arena};
        assert_int_equal(http_form_write_request(&out, &bad, &head), ERROR_INVALID);
        assert_int_equal(out.bytes, 0);
    }
    static uint8_t long_value[60000];
    memset(long_value, 'a', sizeof long_value);
    assert_int_equal(
        http_fields_add(&good.fields, HTTP_NAME_COOKIE, span_of(long_value, sizeof long_value)), 0);
    assert_int_equal(http_form_write_request(&out, &opening, &good), ERROR_LIMIT);
    head = (struct http_head){.status = 200, .body = HTTP_BODY_LENGTH, .has_length = true};
    head.content_length = 1ull << 62;
    assert_int_equal(http_form_write_response(&out, &head), ERROR_LIMIT);
    assert_int_equal(out.bytes, 0);
    arena_clear(&arena);
}

static void data_is_a_reference(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice_queue out = {0};
    struct http_head head;
    struct http_opening opening;
    struct http_form_reader reader;
    uint8_t whole[100] = {'x'}; /* what is smaller may be copied */
    struct slice data = slice_copy(span_of(whole, sizeof whole));
    const uint8_t *bytes = slice_data(&data);
    slice_queue_append(&out, SPAN("\x01\x20" START("\x03") "\x04\x01"
                                                           "a\x00\x00\x01/\x40\x64\x00"));
    http_form_write_data(&out, data);
    http_form_write_end(&out);
    http_form_reader_start_request(&reader, &http_limits_default, &opening, &head, &arena);
    assert_int_equal(http_form_reader_next(&reader, &out, &data), HTTP_EVENT_HEAD);
    assert_int_equal(http_form_reader_next(&reader, &out, &data), HTTP_EVENT_DATA);
    assert_ptr_equal(slice_data(&data), bytes);
    slice_release(&data);
    assert_int_equal(http_form_reader_next(&reader, &out, &data), HTTP_EVENT_END);
    assert_int_equal(http_form_reader_finish(&reader), HTTP_EVENT_END);
    slice_queue_clear(&out);
    arena_clear(&arena);
    chunk_cache_drain();
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_request),
        cmocka_unit_test(vector_group),
        cmocka_unit_test(vector_upload),
        cmocka_unit_test(vector_answer),
        cmocka_unit_test(vector_upgrade),
        cmocka_unit_test(vector_times),
        cmocka_unit_test(specification_has_the_tables),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(frames_must_come_in_their_order),
        cmocka_unit_test(long_frames_are_refused_at_their_header),
        cmocka_unit_test(what_must_not_cross_is_not_written),
        cmocka_unit_test(data_is_a_reference),
    };
    if (count != 2) {
        fprintf(stderr, "usage: %s docs/protocol/message.md\n", arguments[0]);
        return 2;
    }
    specification = arguments[1];
    return cmocka_run_group_tests_name("http/form", tests, NULL, NULL);
}
