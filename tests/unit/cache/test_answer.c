/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a stored response answers: conditions (RFC 9111 section 4.3.2, RFC 9110 section 13), ranges (RFC 9110 section 14), HEAD.
 */
#include "scenario.h"

struct row {
    const char *name, *request;
    unsigned status;      /* stored */
    const char *response; /* 20 bytes long, if not said otherwise */
    const char *expected; /* "206 4-9", "200", "304", "416", "forward" */
};

static void choose(const struct row *row, struct heads *heads, struct cache_facts *facts,
                   struct http_fields *stored, struct cache_answer *answer, char *actual,
                   size_t size)
{
    struct cache_ask ask;
    struct cache_policy policy = cache_policy_default;
    struct http_head first;
    char lines[512], method[16];
    const char *again = row->request;
    bool is_part = strstr(row->response, "Content-Range") != NULL;
    const char *verb = method_of(&again, method);
    snprintf(lines, sizeof lines, "%sCache-Control: max-age=60\n%s", row->response,
             is_part ? "" : "Content-Length: 20\n");
    request_read(&first, &heads->arena, "GET", is_part ? "Range: bytes=0-1\n" : "");
    response_read(&heads->response, &heads->arena, row->status, lines, &first);
    assert_int_equal(cache_response_judge(facts, &policy, &first, &heads->response, NOW_S, NOW_S),
                     0);
    *stored = (struct http_fields){.arena = &heads->arena};
    assert_int_equal(cache_response_fields(stored, &policy, &heads->response.fields, NOW_S), 0);
    request_read(&heads->request, &heads->arena, verb, again);
    cache_ask_read(&ask, &policy, &heads->request);
    if (cache_answer_choose(answer, &ask, &heads->request, facts, stored, 7)) {
        snprintf(actual, size, "forward");
        return;
    }
    int at = snprintf(actual, size, "%u", answer->status);
    for (uint32_t i = 0; i < answer->count; i++)
        at += snprintf(actual + at, size - (size_t)at, " %llu-%llu",
                       (unsigned long long)answer->ranges[i].first,
                       (unsigned long long)answer->ranges[i].last);
}

static void run(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct heads heads = {0};
        struct cache_facts facts;
        struct http_fields stored;
        struct cache_answer answer;
        char actual[256];
        choose(&rows[i], &heads, &facts, &stored, &answer, actual, sizeof actual);
        if (strcmp(actual, rows[i].expected))
            fail_msg("%s: %s instead of %s", rows[i].name, actual, rows[i].expected);
        arena_clear(&heads.arena);
    }
}

static void C1_rfc9111_4_3_2_if_none_match(void **state)
{
    (void)state;
    static const char strong[] = "ETag: \"abc\"\n", weak[] = "ETag: W/\"abc\"\n";
    static const struct row rows[] = {
        {"strong", "If-None-Match: \"abc\"\n", 200, strong, "304"},
        {"weak", "If-None-Match: W/\"abc\"\n", 200, weak, "304"},
        {"weakly compared", "If-None-Match: W/\"abc\"\n", 200, strong, "304"},
        {"and the other way", "If-None-Match: \"abc\"\n", 200, weak, "304"},
        {"another", "If-None-Match: \"abd\"\n", 200, strong, "200"},
        {"case counts", "If-None-Match: \"ABC\"\n", 200, strong, "200"},
        {"first", "If-None-Match: \"abc\", \"1\", \"2\"\n", 200, strong, "304"},
        {"middle", "If-None-Match: \"1\", \"abc\", \"2\"\n", 200, strong, "304"},
        {"last", "If-None-Match: \"1\", \"2\",\"abc\"\n", 200, strong, "304"},
        {"second line", "If-None-Match: \"1\"\nIf-None-Match: \"abc\"\n", 200, strong, "304"},
        {"comma within", "If-None-Match: \"a,b\"\n", 200, "ETag: \"a,b\"\n", "304"},
        {"any", "If-None-Match: *\n", 200, strong, "304"},
        {"any, of one without", "If-None-Match: *\n", 200, "", "304"},
        {"obs-text", "If-None-Match: \"\xc3\xbc\"\n", 200, "ETag: \"\xc3\xbc\"\n", "304"},
        {"unquoted in the request", "If-None-Match: abc\n", 200, strong, "200"},
        {"unquoted in the store", "If-None-Match: \"abc\"\n", 200, "ETag: abc\n", "200"},
        {"lower w", "If-None-Match: w/\"abc\"\n", 200, "ETag: w/\"abc\"\n", "200"},
        {"before If-Modified-Since", "If-None-Match: \"x\"\nIf-Modified-Since: " NOW "\n", 200,
         "ETag: \"abc\"\nLast-Modified: " BEFORE "\n", "200"},
        {"and matching too", "If-None-Match: \"abc\"\nIf-Modified-Since: " TEN_DAYS "\n", 200,
         "ETag: \"abc\"\nLast-Modified: " BEFORE "\n", "304"},
        {"HEAD", "HEAD|If-None-Match: \"abc\"\n", 200, strong, "304"},
        {"only of successes", "If-None-Match: \"abc\"\n", 404, strong, "404"},
        {"before ranges", "If-None-Match: \"abc\"\nRange: bytes=0-1\n", 200, strong, "304"},
        {"of a part too", "If-None-Match: \"abc\"\nRange: bytes=0-1\n", 206,
         "ETag: \"abc\"\nContent-Range: bytes 0-4/20\n", "304"},
    };
    run(rows, COUNT(rows));
}

static void C1_rfc9111_4_3_2_if_modified_since(void **state)
{
    (void)state;
    static const char lines[] = "Last-Modified: " BEFORE "\n";
    static const struct row rows[] = {
        {"equal", "If-Modified-Since: " BEFORE "\n", 200, lines, "304"},
        {"later", "If-Modified-Since: " NOW "\n", 200, lines, "304"},
        {"earlier", "If-Modified-Since: " TEN_DAYS "\n", 200, lines, "200"},
        {"another form", "If-Modified-Since: Sunday, 09-Sep-01 01:45:00 GMT\n", 200, lines, "304"},
        {"bad", "If-Modified-Since: yesterday\n", 200, lines, "200"},
        {"no Last-Modified: Date", "If-Modified-Since: " NOW "\n", 200, "", "304"},
        {"Date is later", "If-Modified-Since: " BEFORE "\n", 200, "", "200"},
        {"neither: when it came", "If-Modified-Since: " LATER "\n", 200, "Date: x\n", "304"},
    };
    run(rows, COUNT(rows));
}

static void C1_rfc9110_14_ranges(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"first-last", "Range: bytes=4-9\n", 200, "", "206 4-9"},
        {"no last", "Range: bytes=18-\n", 200, "", "206 18-19"},
        {"suffix", "Range: bytes=-5\n", 200, "", "206 15-19"},
        {"long suffix", "Range: bytes=-500\n", 200, "", "206 0-19"},
        {"too long", "Range: bytes=15-99999\n", 200, "", "206 15-19"},
        {"case of the unit", "Range: BYTES=0-0\n", 200, "", "206 0-0"},
        {"several", "Range: bytes=0-1, 4-5,-1\n", 200, "", "206 0-1 4-5 19-19"},
        {"some cannot be", "Range: bytes=0-1, 40-50\n", 200, "", "206 0-1"},
        {"none can be", "Range: bytes=20-\n", 200, "", "416"},
        {"no last bytes", "Range: bytes=-0\n", 200, "", "416"},
        {"malformed", "Range: bytes=5-4\n", 200, "", "200"},
        {"nonsense", "Range: bytes=a-b\n", 200, "", "200"},
        {"empty", "Range: bytes=\n", 200, "", "200"},
        {"negative", "Range: bytes=--5\n", 200, "", "200"},
        {"other unit", "Range: pages=1-2\n", 200, "", "200"},
        {"overflow", "Range: bytes=0-99999999999999999999999\n", 200, "", "200"},
        {"overlaps beyond the whole", "Range: bytes=0-,0-,0-\n", 200, "", "200"},
        {"too many",
         "Range: bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,"
         "14-14,15-15,16-16\n",
         200, "", "200"},
        {"not of HEAD", "HEAD|Range: bytes=0-1\n", 200, "", "200"},
        {"not of other statuses", "Range: bytes=0-1\n", 404, "", "404"},
    };
    run(rows, COUNT(rows));
}

static void C1_rfc9110_13_1_5_if_range(void **state)
{
    (void)state;
#define RANGE "Range: bytes=0-1\n"
    static const struct row rows[] = {
        {"same", RANGE "If-Range: \"a\"\n", 200, "ETag: \"a\"\n", "206 0-1"},
        {"other", RANGE "If-Range: \"b\"\n", 200, "ETag: \"a\"\n", "200"},
        {"weak never", RANGE "If-Range: W/\"a\"\n", 200, "ETag: W/\"a\"\n", "200"},
        {"none stored", RANGE "If-Range: \"a\"\n", 200, "", "200"},
        {"date", RANGE "If-Range: " BEFORE "\n", 200, "Last-Modified: " BEFORE "\n", "206 0-1"},
        {"later is not enough", RANGE "If-Range: " NOW "\n", 200, "Last-Modified: " BEFORE "\n",
         "200"},
        {"a date too near to be strong", RANGE "If-Range: " NOW "\n", 200,
         "Last-Modified: " NOW "\n", "200"},
        {"without Range", "If-Range: \"b\"\n", 200, "ETag: \"a\"\n", "200"},
    };
    run(rows, COUNT(rows));
}

static void C1_rfc9111_3_3_stored_parts(void **state)
{
    (void)state;
    static const char part[] = "Content-Range: bytes 4-9/20\n";
    static const struct row rows[] = {
        {"all of it", "Range: bytes=4-9\n", 206, part, "206 4-9"},
        {"some of it", "Range: bytes=6-8\n", 206, part, "206 6-8"},
        {"beyond", "Range: bytes=6-10\n", 206, part, "forward"},
        {"before", "Range: bytes=3-8\n", 206, part, "forward"},
        {"to the end", "Range: bytes=6-\n", 206, part, "forward"},
        {"to the end, which it has", "Range: bytes=16-\n", 206, "Content-Range: bytes 14-19/20\n",
         "206 16-19"},
        {"suffix", "Range: bytes=-5\n", 206, "Content-Range: bytes 14-19/20\n", "206 15-19"},
        {"one of two", "Range: bytes=4-5,1-2\n", 206, part, "forward"},
        {"none can be", "Range: bytes=20-\n", 206, part, "416"},
        {"another representation", "Range: bytes=4-9\nIf-Range: \"b\"\n", 206,
         "ETag: \"a\"\nContent-Range: bytes 4-9/20\n", "forward"},
        {"everything", "Range: bytes=x\n", 206, part, "forward"},
    };
    run(rows, COUNT(rows));
}

/* ---- heads */

static void expect_head(const struct row *row, const char *expected, enum http_body body,
                        bool has_length, uint64_t length)
{
    struct heads heads = {0};
    struct cache_facts facts;
    struct http_fields stored;
    struct cache_answer answer;
    struct http_head head;
    struct text text = {0};
    char actual[256];
    struct cache_judgement judgement = {.age_s = 7};
    choose(row, &heads, &facts, &stored, &answer, actual, sizeof actual);
    http_head_init(&head, &heads.arena);
    assert_int_equal(cache_answer_head(&head, &answer, &judgement, &facts, &stored), 0);
    for (uint32_t i = 0; i < head.fields.count; i++)
        text_add_format(&text, "%.*s: %.*s\n", SPAN_ARGS(head.fields.list[i].name),
                        SPAN_ARGS(head.fields.list[i].value));
    assert_string_equal(text.data, expected);
    assert_int_equal(head.body, body);
    assert_int_equal(head.has_length, has_length);
    assert_int_equal(head.content_length, length);
    text_clear(&text);
    arena_clear(&heads.arena);
}

#define STORED "ETag: \"a\"\nLast-Modified: " BEFORE "\nContent-Type: text/x\nVary: Foo\nX-A: 1\n"
#define CC     "Cache-Control: max-age=60\n"

static void C1_rfc9111_4_heads_of_answers(void **state)
{
    (void)state;
    static const struct row whole = {"200", "", 200, STORED, ""},
                            head = {"HEAD", "HEAD|", 200, STORED, ""},
                            same = {"304", "If-None-Match: \"a\"\n", 200, STORED, ""},
                            part = {"206", "Range: bytes=4-9\n", 200, STORED, ""},
                            never = {"416", "Range: bytes=99-\n", 200, STORED, ""},
                            dated = {"304 without tag", "If-Modified-Since: " NOW "\n", 200,
                                     "Last-Modified: " BEFORE "\nContent-Encoding: br\n", ""};
    /* RFC 9111 section 4: an Age, and the Date of the origin. */
    expect_head(&whole, "Date: " NOW "\n" STORED CC "Age: 7\n", HTTP_BODY_LENGTH, true, 20);
    expect_head(&head, "Date: " NOW "\n" STORED CC "Age: 7\n", HTTP_BODY_NONE, true, 20);
    /* RFC 9110 section 15.4.5. */
    expect_head(&same, "Date: " NOW "\nETag: \"a\"\nVary: Foo\nX-A: 1\n" CC "Age: 7\n",
                HTTP_BODY_NONE, false, 0);
    expect_head(&dated, "Date: " NOW "\nLast-Modified: " BEFORE "\n" CC "Age: 7\n", HTTP_BODY_NONE,
                false, 0);
    /* RFC 9110 sections 15.3.7 and 15.5.17. */
    expect_head(&part, "Date: " NOW "\n" STORED CC "Content-Range: bytes 4-9/20\nAge: 7\n",
                HTTP_BODY_LENGTH, true, 6);
    expect_head(&never,
                "Date: " NOW "\nETag: \"a\"\nVary: Foo\nX-A: 1\n" CC
                "Content-Range: bytes */20\nAge: 7\n",
                HTTP_BODY_LENGTH, true, 0);
}

static void C1_rfc9110_14_6_multipart(void **state)
{
    (void)state;
    static const struct row row = {"several", "Range: bytes=0-1,-3\n", 200,
                                   "Content-Type: text/x\n", ""};
    struct heads heads = {0};
    struct cache_facts facts;
    struct http_fields stored;
    struct cache_answer answer;
    struct text body = {0};
    char actual[256], head[CACHE_PART_HEAD_MOST];
    static const char content[] = "0123456789abcdefghij";
    choose(&row, &heads, &facts, &stored, &answer, actual, sizeof actual);
    assert_true(answer.is_multipart);
    for (uint32_t i = 0; i <= answer.count; i++) {
        text_add_span(&body, cache_answer_part_head(&answer, i, &facts, &stored, head));
        if (i < answer.count)
            text_add_span(&body, span_of(content + answer.ranges[i].first,
                                         answer.ranges[i].last - answer.ranges[i].first + 1));
    }
    assert_string_equal(body.data, "--causeway0000000000000007\r\nContent-Type: text/x\r\n"
                                   "Content-Range: bytes 0-1/20\r\n\r\n01\r\n"
                                   "--causeway0000000000000007\r\nContent-Type: text/x\r\n"
                                   "Content-Range: bytes 17-19/20\r\n\r\nhij\r\n"
                                   "--causeway0000000000000007--\r\n");
    assert_int_equal(answer.content_length, body.length);
    struct http_head out;
    http_head_init(&out, &heads.arena);
    struct cache_judgement judgement = {0};
    assert_int_equal(cache_answer_head(&out, &answer, &judgement, &facts, &stored), 0);
    const struct http_field *type = http_fields_find(&out.fields, HTTP_NAME_CONTENT_TYPE);
    assert_true(
        span_equal(type->value, SPAN("multipart/byteranges; boundary=causeway0000000000000007")));
    assert_false(http_fields_has(&out.fields, HTTP_NAME_CONTENT_RANGE));
    text_clear(&body);
    arena_clear(&heads.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_rfc9111_4_3_2_if_none_match),
        cmocka_unit_test(C1_rfc9111_4_3_2_if_modified_since),
        cmocka_unit_test(C1_rfc9110_14_ranges),
        cmocka_unit_test(C1_rfc9110_13_1_5_if_range),
        cmocka_unit_test(C1_rfc9111_3_3_stored_parts),
        cmocka_unit_test(C1_rfc9111_4_heads_of_answers),
        cmocka_unit_test(C1_rfc9110_14_6_multipart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
