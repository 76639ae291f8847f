/* SPDX-License-Identifier: Apache-2.0
 *
 * Beside llhttp, the parser of Node.js: whatever this parser takes as a message, llhttp takes too,
 * and as the same one: same method, target, fields, content and end. (Not the other way round: much
 * that llhttp takes is refused here.) Inputs are good messages and mutations of them by a seeded
 * generator.
 *
 *     unit_http_llhttp [SEED [ROUNDS]]      other mutations, more of them
 */
#include "record.h"

#include "base/random.h"

#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>

enum { MUTATIONS = 150000, INPUT_MOST = 2048, CHANGES_MOST = 4 };

struct message {
    struct text text; /* start line and fields as both see them */
    struct text content;
    size_t used;
    bool is_complete, has_extension, has_framing, is_1_0;
    enum http_event last;
};

static void message_clear(struct message *message)
{
    text_clear(&message->text);
    text_clear(&message->content);
}

static void add_known(struct text *text, struct span name)
{
    /* Known names are shown as registered here: compare without case. */
    for (size_t i = 0; i < name.length; i++) {
        uint8_t lower = ascii_lower(name.data[i]);
        text_add_span(text, span_of(&lower, 1));
    }
}

static struct message read_here(struct span input, bool is_response)
{
    struct message message = {0};
    struct arena arena = {0};
    struct http_head head;
    struct http_parser parser;
    if (is_response)
        http_parser_start_response(&parser, &http_limits_default, &head, &arena, HTTP_METHOD_GET,
                                   false);
    else
        http_parser_start_request(&parser, &http_limits_default, &head, &arena);
    for (bool goes_on = true; goes_on;) {
        size_t used;
        struct span data;
        message.last = http_parser_feed(
            &parser, span_of(input.data + message.used, input.length - message.used), &used, &data);
        message.used += used;
        const struct http_fields *fields = NULL;
        if (message.last == HTTP_EVENT_HEAD) {
            if (head.status)
                text_add_format(&message.text, "%u\n", head.status);
            else
                text_add_format(&message.text, "%.*s %.*s\n", SPAN_ARGS(head.method_text),
                                SPAN_ARGS(head.target_received));
            fields = &head.fields;
            message.is_1_0 = !head.minor;
        } else if (message.last == HTTP_EVENT_TRAILERS) {
            fields = &parser.trailers;
        } else if (message.last == HTTP_EVENT_DATA) {
            text_add_span(&message.content, data);
        } else {
            goes_on = false;
        }
        for (uint32_t i = 0; fields && i < fields->count; i++) {
            add_known(&message.text, fields->list[i].name);
            text_add(&message.text, ": ");
            text_add_span(&message.text, fields->list[i].value);
            text_add(&message.text, "\n");
        }
    }
    if (message.last == HTTP_EVENT_MORE && http_parser_finish(&parser) == HTTP_EVENT_END)
        message.last = HTTP_EVENT_END;
    message.is_complete = message.last == HTTP_EVENT_END;
    message.has_extension = parser.extension_bytes;
    message.has_framing = http_fields_has(&head.fields, HTTP_NAME_CONTENT_LENGTH) ||
                          http_fields_has(&head.fields, HTTP_NAME_TRANSFER_ENCODING);
    arena_clear(&arena);
    return message;
}

/* ---- The same through llhttp ---- */

struct there {
    llhttp_t parser;
    struct message message;
    struct text name, value;
    bool in_value;
};

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    struct there *there = parser->data;
    text_add_span(&there->message.text, span_of(at, length));
    return 0;
}

static int on_method(llhttp_t *parser, const char *at, size_t length)
{
    struct there *there = parser->data;
    text_add_span(&there->message.text, span_of(at, length));
    return 0;
}

static int on_method_complete(llhttp_t *parser)
{
    struct there *there = parser->data;
    text_add(&there->message.text, " ");
    return 0;
}

static int on_url_complete(llhttp_t *parser)
{
    struct there *there = parser->data;
    text_add(&there->message.text, "\n");
    return 0;
}

static int on_status_complete(llhttp_t *parser)
{
    struct there *there = parser->data;
    text_add_format(&there->message.text, "%u\n", parser->status_code);
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t length)
{
    struct there *there = parser->data;
    add_known(&there->message.text, span_of(at, length));
    return 0;
}

static int on_field_complete(llhttp_t *parser)
{
    struct there *there = parser->data;
    text_add(&there->message.text, ": ");
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
    struct there *there = parser->data;
    text_add_span(&there->value, span_of(at, length));
    return 0;
}

static int on_value_complete(llhttp_t *parser)
{
    struct there *there = parser->data;
    text_add_span(&there->message.text, span_trim(text_span(&there->value)));
    text_add(&there->message.text, "\n");
    text_reset(&there->value);
    return 0;
}

/* llhttp leaves it to its user to know which answers have no content. */
static int on_head(llhttp_t *parser)
{
    return parser->type == HTTP_RESPONSE && !http_status_has_body(parser->status_code);
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    struct there *there = parser->data;
    text_add_span(&there->message.content, span_of(at, length));
    return 0;
}

static int on_complete(llhttp_t *parser)
{
    struct there *there = parser->data;
    if (parser->type == HTTP_RESPONSE && parser->status_code < 200 && parser->status_code != 101)
        return 0;
    there->message.is_complete = true;
    return HPE_PAUSED;
}

static struct message read_there(struct span input, bool is_response, llhttp_errno_t *error)
{
    static const llhttp_settings_t settings = {
        .on_url = on_url,
        .on_method = on_method,
        .on_method_complete = on_method_complete,
        .on_url_complete = on_url_complete,
        .on_status_complete = on_status_complete,
        .on_header_field = on_field,
        .on_header_field_complete = on_field_complete,
        .on_header_value = on_value,
        .on_header_value_complete = on_value_complete,
        .on_headers_complete = on_head,
        .on_body = on_body,
        .on_message_complete = on_complete,
    };
    struct there there = {0};
    llhttp_init(&there.parser, is_response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    there.parser.data = &there;
    *error = llhttp_execute(&there.parser, (const char *)input.data, input.length);
    if (*error == HPE_OK && !there.message.is_complete) {
        there.message.used = input.length;
        llhttp_errno_t end = llhttp_finish(&there.parser);
        if (end != HPE_OK && end != HPE_PAUSED)
            there.message.is_complete = false;
    } else {
        const char *at = llhttp_get_error_pos(&there.parser);
        there.message.used = at ? (size_t)(at - (const char *)input.data) : input.length;
    }
    text_clear(&there.name);
    text_clear(&there.value);
    return there.message;
}

/* Where llhttp takes less or otherwise: it knows a list of methods and of versions only, reads
 * chunk extensions, which are skipped here, and does not see that HTAB around a length or a
 * coding is white space (RFC 9110 section 5.5). */
static bool is_beyond_llhttp(llhttp_errno_t error, const struct message *here, struct span input)
{
    if (here->has_framing && span_find(input, '\t') < input.length)
        return true;
    if (error == HPE_STRICT || error == HPE_INVALID_CHUNK_SIZE)
        return here->has_extension;
    return error == HPE_INVALID_METHOD || error == HPE_INVALID_VERSION;
}

/* Of HTTP/1.0 it is left out here (RFC 9110 section 10.1.1). */
static bool is_expectation(const struct message *here, const struct message *there)
{
    struct span expect = SPAN("\nexpect: ");
    return here->is_1_0 && there->text.length &&
           memmem(there->text.data, there->text.length, expect.data, expect.length);
}

static unsigned compare(struct span input, bool is_response)
{
    struct message here = read_here(input, is_response);
    unsigned compared = 0;
    if (here.is_complete) {
        llhttp_errno_t error;
        struct message there = read_there(input, is_response, &error);
        if (!is_beyond_llhttp(error, &here, input) && !is_expectation(&here, &there)) {
            struct span a = text_span(&here.text), b = text_span(&there.text);
            struct span c = text_span(&here.content), d = text_span(&there.content);
            if (!there.is_complete || !span_equal(a, b) || !span_equal(c, d) ||
                here.used != there.used) {
                fprintf(stderr, "input:\n%.*s\nhere, %zu used:\n%.*s\n%.*s\n", SPAN_ARGS(input),
                        here.used, SPAN_ARGS(a), SPAN_ARGS(c));
                fprintf(stderr, "llhttp, %s, %zu used:\n%.*s\n%.*s\n", llhttp_errno_name(error),
                        there.used, SPAN_ARGS(b), SPAN_ARGS(d));
                fail();
            }
            compared = 1;
        }
        message_clear(&there);
    }
    message_clear(&here);
    return compared;
}

// clang-format off
static const struct span requests[] = {
    TEXT("GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nUser-Agent: x\r\n\r\n"),
    TEXT("POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world"),
    TEXT("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
    TEXT("PUT /x HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcGET / HTTP/1.1\r\n"),
    TEXT("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    TEXT("GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n"),
    TEXT("HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    TEXT("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; c=d\r\nX: \t y\t \r\nEmpty:\r\n\r\n"),
};
static const struct span responses[] = {
    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/html\r\n\r\nhelloHTTP/1.1 200 OK\r\n"),
    TEXT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nc;a=b\r\n brave world\r\n0\r\n\r\n"),
    TEXT("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nuntil the end"),
    TEXT("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n"),
    TEXT("HTTP/1.1 204 No Content\r\n\r\n"),
    TEXT("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab"),
};
static const struct span pieces[] = {
    TEXT("\r\n"), TEXT("\n"), TEXT("\r"), TEXT(" "), TEXT("\t"), TEXT(":"), TEXT(","), TEXT(";"), TEXT("0"), TEXT("5"), TEXT("\0"),
    TEXT("Content-Length: 5\r\n"), TEXT("Content-Length: 0\r\n"), TEXT("Transfer-Encoding: chunked\r\n"), TEXT("chunked"), TEXT("gzip, "),
    TEXT("Host: b\r\n"), TEXT("HTTP/1.1"), TEXT("HTTP/1.0"), TEXT("0\r\n\r\n"), TEXT("5\r\nhello\r\n"), TEXT("Connection: close\r\n"),
    TEXT("Connection: upgrade\r\nUpgrade: websocket\r\n"), TEXT("A"), TEXT("\xff"), TEXT("X-A: b\r\n"), TEXT("/"), TEXT("GET"),
};
// clang-format on

static struct span mutate(struct random *random, struct span seed, uint8_t *bytes)
{
    size_t length = seed.length;
    memcpy(bytes, seed.data, length);
    for (uint64_t changes = random_below(random, CHANGES_MOST + 1); changes; changes--) {
        size_t at = random_below(random, length + 1), cut = 0;
        struct span piece = pieces[random_below(random, sizeof pieces / sizeof *pieces)];
        uint8_t byte = (uint8_t)random_below(random, 256);
        switch (random_below(random, 4)) {
        case 0: /* a byte becomes another */
            piece = span_of(&byte, 1);
            cut = 1;
            break;
        case 1: /* some bytes go */
            piece.length = 0;
            cut = 1 + random_below(random, 8);
            break;
        case 2: /* a line doubles */
            piece = span_of(bytes + at, random_below(random, 30));
            if (piece.length > length - at)
                piece.length = length - at;
            break;
        default: /* a piece comes in */
            break;
        }
        if (cut > length - at)
            cut = length - at;
        uint8_t copy[256];
        memcpy(copy, piece.data, piece.length);
        if (length - cut + piece.length > INPUT_MOST)
            continue;
        memmove(bytes + at + piece.length, bytes + at + cut, length - at - cut);
        memcpy(bytes + at, copy, piece.length);
        length += piece.length - cut;
    }
    return span_of(bytes, length);
}

static uint64_t first_seed = 1, rounds = 1;

static void compare_mutations(const struct span *seeds, size_t count, bool is_response)
{
    struct random random;
    uint64_t compared = 0, all = rounds * MUTATIONS;
    static uint8_t bytes[INPUT_MOST];
    random_seed(&random, first_seed + is_response);
    for (size_t i = 0; i < count; i++)
        if (!compare(seeds[i], is_response))
            fail_msg("seed %zu is not understood", i);
    for (uint64_t i = 0; i < all; i++)
        compared +=
            compare(mutate(&random, seeds[random_below(&random, count)], bytes), is_response);
    printf("%lu of %lu mutations accepted and compared\n", compared, all);
    assert_true(compared > all / 10);
}

static void requests_mean_the_same_to_llhttp(void **state)
{
    (void)state;
    compare_mutations(requests, sizeof requests / sizeof *requests, false);
}

static void answers_mean_the_same_to_llhttp(void **state)
{
    (void)state;
    compare_mutations(responses, sizeof responses / sizeof *responses, true);
}

int main(int argc, char **argv)
{
    first_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : first_seed;
    rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : rounds;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_mean_the_same_to_llhttp),
        cmocka_unit_test(answers_mean_the_same_to_llhttp),
    };
    return cmocka_run_group_tests_name("http/llhttp", tests, NULL, NULL);
}
