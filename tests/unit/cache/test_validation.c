/* SPDX-License-Identifier: Apache-2.0
 *
 * Validation, freshening, combining and invalidation (RFC 9111 sections 3.2, 3.4, 4.3, 4.4), and Cache-Status (RFC 9211).
 */
#include "scenario.h"

static struct text text_of(const struct http_fields *fields)
{
    struct text text = {0};
    text_add(&text, "");
    for (uint32_t i = 0; i < fields->count; i++)
        text_add_format(&text, "%.*s: %.*s\n", SPAN_ARGS(fields->list[i].name),
                        SPAN_ARGS(fields->list[i].value));
    return text;
}

/* A stored response of 20 bytes. */
struct stored {
    struct heads heads;
    struct cache_facts facts;
    struct http_fields fields;
};

static void stored_make(struct stored *stored, const char *request, unsigned status,
                        const char *response)
{
    char lines[512];
    *stored = (struct stored){0};
    stored->fields.arena = &stored->heads.arena;
    snprintf(lines, sizeof lines, "%s%s", response, status == 206 ? "" : "Content-Length: 20\n");
    request_read(&stored->heads.request, &stored->heads.arena, "GET", request);
    response_read(&stored->heads.response, &stored->heads.arena, status, lines,
                  &stored->heads.request);
    assert_int_equal(cache_response_judge(&stored->facts, &cache_policy_default,
                                          &stored->heads.request, &stored->heads.response, NOW_S,
                                          NOW_S),
                     CACHE_REFUSAL_NONE);
    assert_int_equal(cache_response_fields(&stored->fields, &cache_policy_default,
                                           &stored->heads.response.fields, NOW_S),
                     0);
}

static void C1_rfc9111_4_3_1_conditional_requests(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *request, *expected;
    } rows[] = {
        {"ETag: \"a\"\n", "", "If-None-Match: \"a\"\n"},
        {"ETag: W/\"a\"\n", "", "If-None-Match: W/\"a\"\n"},
        {"Last-Modified: " BEFORE "\n", "", "If-Modified-Since: " BEFORE "\n"},
        {"ETag: \"a\"\nLast-Modified: " BEFORE "\n", "",
         "If-None-Match: \"a\"\nIf-Modified-Since: " BEFORE "\n"},
        {"ETag: a\nLast-Modified: x\n", "", ""},
        {"", "If-None-Match: \"b\"\nRange: bytes=0-1\n", ""},
        {"ETag: \"a\"\n",
         "Foo: 1\nIf-None-Match: \"b\"\nIf-Modified-Since: x\nIf-Range: \"b\"\nRange: bytes=0-1\n",
         "Foo: 1\nIf-None-Match: \"a\"\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stored stored;
        char lines[256], expected[256];
        struct http_head request;
        snprintf(lines, sizeof lines, "%sCache-Control: max-age=60\n", rows[i].stored);
        stored_make(&stored, "", 200, lines);
        request_read(&request, &stored.heads.arena, "GET", rows[i].request);
        bool has_any = cache_validation_ask(&request.fields, &stored.fields);
        assert_int_equal(has_any, strstr(rows[i].expected, "If-") != NULL);
        struct text text = text_of(&request.fields);
        snprintf(expected, sizeof expected, "Host: www.example\n%s", rows[i].expected);
        assert_string_equal(text.data, expected);
        text_clear(&text);
        arena_clear(&stored.heads.arena);
    }
}

static void C1_rfc9111_4_3_4_whom_a_304_is_about(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *answer;
        bool matches;
    } rows[] = {
        {"ETag: \"a\"\n", "ETag: \"a\"\n", true},
        {"ETag: \"a\"\n", "ETag: \"b\"\n", false},
        {"ETag: W/\"a\"\n", "ETag: W/\"a\"\n", true},
        {"ETag: W/\"a\"\n", "ETag: \"a\"\n", false}, /* strong in the answer: strongly compared */
        {"ETag: \"a\"\n", "ETag: W/\"a\"\n", true},
        {"Last-Modified: " BEFORE "\n", "Last-Modified: " BEFORE "\n", true},
        {"Last-Modified: " BEFORE "\n", "Last-Modified: Sunday, 09-Sep-01 01:45:00 GMT\n", true},
        {"Last-Modified: " BEFORE "\n", "Last-Modified: " TEN_DAYS "\n", false},
        {"ETag: \"a\"\nLast-Modified: " BEFORE "\n", "ETag: \"a\"\nLast-Modified: " TEN_DAYS "\n",
         true},
        {"", "ETag: \"a\"\n", false},
        {"", "", true},
        {"ETag: \"a\"\n", "", true}, /* it answers our only question */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stored stored;
        char lines[256];
        struct http_head answer;
        snprintf(lines, sizeof lines, "%sCache-Control: max-age=60\n", rows[i].stored);
        stored_make(&stored, "", 200, lines);
        response_read(&answer, &stored.heads.arena, 304, rows[i].answer, &stored.heads.request);
        if (cache_validation_matches(&answer, &stored.facts, &stored.fields) != rows[i].matches)
            fail_msg("%s | %s", rows[i].stored, rows[i].answer);
        arena_clear(&stored.heads.arena);
    }
}

static void C1_rfc9111_4_3_5_whom_an_answer_to_HEAD_is_about(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *answer;
        bool matches;
    } rows[] = {
        {200, "ETag: \"a\"\nContent-Length: 20\n", true},
        {200, "ETag: \"a\"\n", true},
        {200, "ETag: \"b\"\nContent-Length: 20\n", false},
        {200, "ETag: \"a\"\nContent-Length: 21\n", false},
        {200, "Last-Modified: " BEFORE "\nContent-Length: 20\n", true},
        {200, "ETag: \"a\"\nLast-Modified: " TEN_DAYS "\nContent-Length: 20\n", false},
        {200, "Content-Length: 20\n", false},
        {404, "ETag: \"a\"\nContent-Length: 20\n", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stored stored;
        struct http_head asked, answer;
        stored_make(&stored, "", 200,
                    "ETag: \"a\"\nLast-Modified: " BEFORE "\nCache-Control: max-age=60\n");
        request_read(&asked, &stored.heads.arena, "HEAD", "");
        response_read(&answer, &stored.heads.arena, rows[i].status, rows[i].answer, &asked);
        if (cache_validation_matches(&answer, &stored.facts, &stored.fields) != rows[i].matches)
            fail_msg("%u %s", rows[i].status, rows[i].answer);
        arena_clear(&stored.heads.arena);
    }
}

/* The stored response has max-age=60, a tag and what `stored` says; 100 s later comes a 304. */
static enum cache_refusal freshen(const char *stored_lines, const char *answer_lines,
                                  struct cache_facts *facts, struct text *fields)
{
    struct stored stored;
    struct http_head answer;
    char lines[512];
    snprintf(lines, sizeof lines, "ETag: \"a\"\nCache-Control: max-age=60\n%s", stored_lines);
    stored_make(&stored, "", 200, lines);
    response_read(&answer, &stored.heads.arena, 304, answer_lines, &stored.heads.request);
    struct http_fields updated = {.arena = &stored.heads.arena};
    *facts = stored.facts;
    enum cache_refusal refusal =
        cache_validation_freshen(facts, &updated, &cache_policy_default, &stored.heads.request,
                                 &answer, &stored.fields, NOW_S + 100, NOW_S + 100);
    *fields = text_of(&updated);
    arena_clear(&stored.heads.arena);
    return refusal;
}

static void C1_rfc9111_3_2_fields_that_are_updated(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *answer, *expected;
    } rows[] = {
        {"Test: A\n", "", "Test: A\n"}, /* what a 304 omits stays */
        {"Test: A\n", "Test: B\n", "Test: B\n"},
        {"Test: A\nTest: C\n", "Test: B\n", "Test: B\n"},
        {"", "X-New: B\n", "X-New: B\n"},
        {"Content-Type: a/b\n", "Content-Type: c/d\n", "Content-Type: c/d\n"},
        {"Content-Location: /a\n", "Content-Location: /b\n", "Content-Location: /b\n"},
        {"Content-Security-Policy: a\n", "Content-Security-Policy: b\n",
         "Content-Security-Policy: b\n"},
        {"Vary: a\n", "Vary: b\n", "Vary: b\n"},
        /* never: what frames, and what the stored bytes were made with */
        {"Content-Encoding: br\n", "Content-Encoding: gzip\n", "Content-Encoding: br\n"},
        {"",
         "Content-Range: bytes 0-1/2\nAge: 5\nKeep-Alive: 5\nProxy-Authenticate: x\nUpgrade: y\n"
         "Connection: X-Hop\nX-Hop: 1\n",
         ""},
        {"", "Set-Cookie: a=b\nCache-Control: max-age=60, no-cache=\"Set-Cookie\"\n",
         "Cache-Control: max-age=60, no-cache=\"Set-Cookie\"\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cache_facts facts;
        struct text fields;
        char answer[512];
        snprintf(answer, sizeof answer, "Date: " LATER "\nETag: \"a\"\n%s", rows[i].answer);
        assert_int_equal(freshen(rows[i].stored, answer, &facts, &fields), CACHE_REFUSAL_NONE);
        if (!strstr(fields.data, rows[i].expected) || !strstr(fields.data, "Date: " LATER))
            fail_msg("%s | %s: %s", rows[i].stored, rows[i].answer, fields.data);
        assert_null(strstr(fields.data, "Content-Length"));
        assert_null(strstr(fields.data, "X-Hop"));
        assert_null(strstr(fields.data, "Age:"));
        assert_int_equal(facts.length, 20);
        text_clear(&fields);
    }
}

static void C1_rfc9111_4_3_4_freshness_is_judged_anew(void **state)
{
    (void)state;
    struct cache_facts facts;
    struct text fields;
    assert_int_equal(freshen("", "Date: " LATER "\nCache-Control: max-age=30\n", &facts, &fields),
                     CACHE_REFUSAL_NONE);
    assert_int_equal(facts.lifetime_s, 30);
    assert_int_equal(facts.initial_age_s, 0);
    assert_int_equal(facts.response_s, NOW_S + 100);
    text_clear(&fields);
    /* without a Date it is of now, not of the stored response's */
    assert_int_equal(freshen("", "-Date\nAge: 5\n", &facts, &fields), CACHE_REFUSAL_NONE);
    assert_int_equal(facts.initial_age_s, 5);
    assert_int_equal(facts.lifetime_s, 60);
    assert_non_null(strstr(fields.data, "Date: " LATER));
    text_clear(&fields);
    assert_int_equal(freshen("", "Cache-Control: no-store\n", &facts, &fields),
                     CACHE_REFUSAL_NO_STORE);
    text_clear(&fields);
    assert_int_equal(freshen("", "Cache-Control: private\n", &facts, &fields),
                     CACHE_REFUSAL_PRIVATE);
    text_clear(&fields);
}

static void C1_rfc9111_3_4_parts_that_belong_together(void **state)
{
    (void)state;
    static const struct {
        const char *name, *a, *b;
        bool combines, is_whole;
    } rows[] = {
        {"touching", "ETag: \"a\"\nContent-Range: bytes 0-4/20\n",
         "ETag: \"a\"\nContent-Range: bytes 5-9/20\n", true, false},
        {"the other way round", "ETag: \"a\"\nContent-Range: bytes 5-9/20\n",
         "ETag: \"a\"\nContent-Range: bytes 0-4/20\n", true, false},
        {"overlapping", "ETag: \"a\"\nContent-Range: bytes 0-10/20\n",
         "ETag: \"a\"\nContent-Range: bytes 5-19/20\n", true, true},
        {"a gap", "ETag: \"a\"\nContent-Range: bytes 0-4/20\n",
         "ETag: \"a\"\nContent-Range: bytes 6-9/20\n", false, false},
        {"other tags", "ETag: \"a\"\nContent-Range: bytes 0-4/20\n",
         "ETag: \"b\"\nContent-Range: bytes 5-9/20\n", false, false},
        {"weak tags", "ETag: W/\"a\"\nContent-Range: bytes 0-4/20\n",
         "ETag: W/\"a\"\nContent-Range: bytes 5-9/20\n", false, false},
        {"only one has a tag",
         "ETag: \"a\"\nLast-Modified: " BEFORE "\nContent-Range: bytes 0-4/20\n",
         "Last-Modified: " BEFORE "\nContent-Range: bytes 5-9/20\n", false, false},
        {"dates", "Last-Modified: " BEFORE "\nContent-Range: bytes 0-4/20\n",
         "Last-Modified: " BEFORE "\nContent-Range: bytes 5-9/20\n", true, false},
        {"weak dates", "Last-Modified: " NOW "\nContent-Range: bytes 0-4/20\n",
         "Last-Modified: " NOW "\nContent-Range: bytes 5-9/20\n", false, false},
        {"no validator", "Content-Range: bytes 0-4/20\n", "Content-Range: bytes 5-9/20\n", false,
         false},
        {"other lengths", "ETag: \"a\"\nContent-Range: bytes 0-4/20\n",
         "ETag: \"a\"\nContent-Range: bytes 5-9/21\n", false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stored a, b;
        struct cache_facts both;
        char x[256], y[256];
        snprintf(x, sizeof x, "%sCache-Control: max-age=60\n", rows[i].a);
        snprintf(y, sizeof y, "%sCache-Control: max-age=60\n", rows[i].b);
        stored_make(&a, "Range: bytes=0-\n", 206, x);
        stored_make(&b, "Range: bytes=0-\n", 206, y);
        if (cache_parts_combine(&a.facts, &a.fields, &b.facts, &b.fields) != rows[i].combines)
            fail_msg("%s", rows[i].name);
        if (rows[i].combines) {
            cache_parts_facts(&both, &a.facts, &b.facts);
            assert_int_equal(both.first, 0);
            assert_int_equal(!(both.flags & CACHE_PARTIAL), rows[i].is_whole);
        }
        arena_clear(&a.heads.arena);
        arena_clear(&b.heads.arena);
    }
}

static void C1_rfc9111_4_4_what_unsafe_requests_make_invalid(void **state)
{
    (void)state;
#define OWN "s https://www.example/a/b?c\n"
    static const struct {
        const char *method;
        unsigned status;
        const char *answer, *expected;
    } rows[] = {
        {"POST", 200, "", OWN},
        {"PUT", 204, "", OWN},
        {"DELETE", 200, "", OWN},
        {"PATCH", 200, "", OWN},
        {"BREW", 200, "", OWN}, /* nobody knows that it is safe */
        {"POST", 303, "", OWN},
        {"GET", 200, "", ""},
        {"OPTIONS", 200, "", ""},
        {"POST", 400, "Location: /x\n", ""},
        {"POST", 404, "", ""},
        {"DELETE", 500, "", ""},
        {"POST", 201, "Location: /x?y#z\n", OWN "s https://www.example/x?y\n"},
        {"POST", 201, "Location: https://www.example/x\n", OWN "s https://www.example/x\n"},
        {"POST", 201, "Location: https://WWW.example:443\n", OWN "s https://www.example/\n"},
        {"POST", 201, "Location: //www.example/x\n", OWN "s https://www.example/x\n"},
        {"POST", 201, "Location: x\n", OWN "s https://www.example/a/x\n"},
        {"POST", 201, "Location: ?d\n", OWN "s https://www.example/a/b?d\n"},
        {"POST", 200, "Content-Location: /x\n", OWN "s https://www.example/x\n"},
        {"POST", 200, "Location: /y\nContent-Location: /x\n",
         OWN "s https://www.example/y\ns https://www.example/x\n"},
        {"POST", 200, "Location: /a/b?c\n", OWN},
        /* other origins */
        {"POST", 201, "Location: https://other.example/x\n", OWN},
        {"POST", 201, "Location: http://www.example/x\n", OWN},
        {"POST", 201, "Location: https://www.example:8443/x\n", OWN},
        {"POST", 201, "Location: //other.example/x\n", OWN},
        {"POST", 201, "Location: https://x@www.example/x\n", OWN},
        {"POST", 201, "Location: mailto:x@www.example\n", OWN},
        {"POST", 201, "Location: ../x\n", OWN}, /* not resolved */
        {"POST", 201, "Location: /x/../y\n", OWN},
        {"POST", 201, "Location: \n", OWN},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct heads heads = {0};
        struct cache_invalid invalid;
        struct text text = {0};
        request_read(&heads.request, &heads.arena, rows[i].method, "");
        response_read(&heads.response, &heads.arena, rows[i].status, rows[i].answer,
                      &heads.request);
        cache_invalid_find(&invalid, SPAN("s"), true, &heads.request, &heads.response);
        text_add(&text, "");
        for (size_t k = 0; k < invalid.count; k++)
            text_add_format(&text, "%s\n", invalid.keys[k].data);
        if (strcmp(text.data, rows[i].expected))
            fail_msg("%s %u %s: %s", rows[i].method, rows[i].status, rows[i].answer, text.data);
        cache_invalid_clear(&invalid);
        text_clear(&text);
        arena_clear(&heads.arena);
    }
}

static void C1_rfc9211_cache_status(void **state)
{
    (void)state;
    static const struct {
        struct cache_status status;
        const char *expected;
    } rows[] = {
        {{.cache = {(const uint8_t *)"edge", 4}, .is_hit = true, .has_ttl = true, .ttl_s = 30},
         "edge;hit;ttl=30"},
        {{.cache = {(const uint8_t *)"edge", 4}, .is_hit = true, .has_ttl = true, .ttl_s = -412},
         "edge;hit;ttl=-412"},
        {{.cache = {(const uint8_t *)"edge", 4}, .why = CACHE_FORWARD_URI_MISS, .is_stored = true},
         "edge;fwd=uri-miss;stored"},
        {{.cache = {(const uint8_t *)"edge", 4},
          .why = CACHE_FORWARD_STALE,
          .forward_status = 304,
          .is_collapsed = true},
         "edge;fwd=stale;fwd-status=304;collapsed"},
        {{.cache = {(const uint8_t *)"edge", 4},
          .why = CACHE_FORWARD_MISS,
          .detail = {(const uint8_t *)"NO_STORE", 8}},
         "edge;fwd=miss;detail=NO_STORE"},
        {{.cache = {(const uint8_t *)"1 a\"b\\", 6},
          .why = CACHE_FORWARD_BYPASS,
          .detail = {(const uint8_t *)"of\nus", 5}},
         "\"1 a\\\"b\\\\\";fwd=bypass;detail=\"of?us\""},
        /* hit stands alone (RFC 9211 section 2.2) */
        {{.cache = {(const uint8_t *)"edge", 4},
          .is_hit = true,
          .why = CACHE_FORWARD_STALE,
          .is_stored = true},
         "edge;hit"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[CACHE_STATUS_MOST], text[CACHE_STATUS_MOST + 1];
        struct span span = cache_status_write(&rows[i].status, out);
        snprintf(text, sizeof text, "%.*s", SPAN_ARGS(span));
        assert_string_equal(text, rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_rfc9111_4_3_1_conditional_requests),
        cmocka_unit_test(C1_rfc9111_4_3_4_whom_a_304_is_about),
        cmocka_unit_test(C1_rfc9111_4_3_5_whom_an_answer_to_HEAD_is_about),
        cmocka_unit_test(C1_rfc9111_3_2_fields_that_are_updated),
        cmocka_unit_test(C1_rfc9111_4_3_4_freshness_is_judged_anew),
        cmocka_unit_test(C1_rfc9111_3_4_parts_that_belong_together),
        cmocka_unit_test(C1_rfc9111_4_4_what_unsafe_requests_make_invalid),
        cmocka_unit_test(C1_rfc9211_cache_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
