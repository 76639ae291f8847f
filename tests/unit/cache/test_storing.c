/* SPDX-License-Identifier: Apache-2.0
 *
 * Which responses are stored: RFC 9111 sections 3 and 5.2, RFC 9213.
 */
#include "scenario.h"

static void C1_rfc9111_3_methods(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"GET", "", 200, "Cache-Control: max-age=60\n", 0, "", "fresh", 0},
        {"HEAD", "HEAD|", 200, "Cache-Control: max-age=60\n", 0, "", "METHOD", 0},
        {"POST", "POST|", 200, "Cache-Control: max-age=60\n", 0, "", "METHOD", 0},
        {"PUT", "PUT|", 200, "Cache-Control: max-age=60\n", 0, "", "METHOD", 0},
        {"OPTIONS", "OPTIONS|", 200, "Cache-Control: max-age=60\n", 0, "", "METHOD", 0},
        {"unknown", "BREW|", 200, "Cache-Control: max-age=60\n", 0, "", "METHOD", 0},
        {"GET with content", "Content-Length: 3\n", 200, "Cache-Control: max-age=60\n", 0, "",
         "METHOD", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_3_final_statuses_with_explicit_freshness(void **state)
{
    (void)state;
    static const unsigned stored[] = {200, 201, 202, 203, 204, 299, 300, 301, 302, 303,
                                      307, 308, 400, 401, 403, 404, 405, 410, 413, 414,
                                      451, 499, 500, 501, 502, 503, 504, 599};
    for (size_t i = 0; i < COUNT(stored); i++) {
        struct scenario row = {"explicit", "", stored[i], "Cache-Control: max-age=60\n",
                               59,         "", "fresh",   59};
        scenario_run(&row, &cache_policy_default);
        row.after_s = 60;
        row.expected = "validate";
        row.age_s = 60;
        scenario_run(&row, &cache_policy_default);
    }
}

static void C1_rfc6585_and_answers_about_one_request_are_never_stored(void **state)
{
    (void)state;
    static const unsigned refused[] = {304, 407, 412, 416, 417, 425, 428, 429, 431, 511};
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct scenario row = {"refused", "", refused[i], "Cache-Control: max-age=60\n",
                               0,         "", "STATUS",   0};
        scenario_run(&row, &cache_policy_default);
    }
}

static void C1_rfc9111_3_something_must_allow_it(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"302 without", "", 302, "Last-Modified: " A_YEAR "\n", 0, "", "STATUS", 0},
        {"500 without", "", 500, "Last-Modified: " A_YEAR "\n", 0, "", "STATUS", 0},
        {"599 without", "", 599, "Last-Modified: " A_YEAR "\n", 0, "", "STATUS", 0},
        {"public", "", 302, "Cache-Control: public\nLast-Modified: " A_YEAR "\n", 0, "", "fresh",
         0},
        {"Expires", "", 302, "Expires: " LATER "\n", 0, "", "fresh", 0},
        {"max-age", "", 302, "Cache-Control: max-age=9\n", 0, "", "fresh", 0},
        {"s-maxage", "", 302, "Cache-Control: s-maxage=9\n", 0, "", "fresh", 0},
        {"heuristic status", "", 404, "Last-Modified: " A_YEAR "\n", 0, "", "fresh", 0},
        {"nothing at all", "", 200, "", 0, "", "USELESS", 0},
        {"only a validator", "", 200, "ETag: \"a\"\n", 0, "", "validate", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_5_2_2_5_no_store(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"alone", "", 200, "Cache-Control: no-store\nETag: \"a\"\n", 0, "", "NO_STORE", 0},
        {"case", "", 200, "Cache-Control: No-StOrE\nETag: \"a\"\n", 0, "", "NO_STORE", 0},
        {"with max-age", "", 200, "Cache-Control: max-age=60, no-store\n", 0, "", "NO_STORE", 0},
        {"other line", "", 200, "Cache-Control: max-age=60\nCache-Control: no-store\n", 0, "",
         "NO_STORE", 0},
        {"with a value", "", 200, "Cache-Control: max-age=60, no-store=\"x\"\n", 0, "", "NO_STORE",
         0},
        {"in quotes", "", 200, "Cache-Control: max-age=60, x=\"no-store\"\n", 0, "", "fresh", 0},
        {"longer name", "", 200, "Cache-Control: max-age=60, no-store-x\n", 0, "", "fresh", 0},
        {"Expires too", "", 200, "Cache-Control: no-store\nExpires: " LATER "\n", 0, "", "NO_STORE",
         0},
    };
    RUN(rows);
}

static void C1_rfc9111_5_2_1_5_no_store_of_requests(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"asked", "Cache-Control: no-store\n", 200, "Cache-Control: max-age=60\n", 0, "", "REQUEST",
         0},
        {"stored ones may be used", "", 200, "Cache-Control: max-age=60\n", 0,
         "Cache-Control: no-store\n", "fresh", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_5_2_2_7_private(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"alone", "", 200, "Cache-Control: private, max-age=60\n", 0, "", "PRIVATE", 0},
        {"empty names", "", 200, "Cache-Control: private=\"\", max-age=60\n", 0, "", "PRIVATE", 0},
        {"field names", "", 200, "Cache-Control: private=\"X-A\", max-age=60\n", 0, "", "fresh", 0},
        {"both", "", 200, "Cache-Control: private=\"X-A\", private, max-age=60\n", 0, "", "PRIVATE",
         0},
        {"of a request", "Cache-Control: private\n", 200, "Cache-Control: max-age=60\n", 0, "",
         "fresh", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_3_5_authorization(void **state)
{
    (void)state;
    static const char asked[] = "Authorization: Basic eDp5\n";
    static const struct scenario rows[] = {
        {"max-age", asked, 200, "Cache-Control: max-age=60\n", 0, "", "AUTHORIZATION", 0},
        {"Expires", asked, 200, "Expires: " LATER "\n", 0, "", "AUTHORIZATION", 0},
        {"public", asked, 200, "Cache-Control: max-age=60, public\n", 0, "", "fresh", 0},
        {"s-maxage", asked, 200, "Cache-Control: s-maxage=60\n", 0, "", "fresh", 0},
        {"must-revalidate", asked, 200, "Cache-Control: max-age=60, must-revalidate\n", 0, "",
         "fresh", 0},
        {"proxy-revalidate is not among them", asked, 200,
         "Cache-Control: max-age=60, proxy-revalidate\n", 0, "", "AUTHORIZATION", 0},
        {"targeted", asked, 200, "CDN-Cache-Control: max-age=60, public\n", 0, "", "fresh", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_5_2_2_3_must_understand(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"understood, ignores no-store", "", 200,
         "Cache-Control: must-understand, no-store, max-age=60\n", 0, "", "fresh", 0},
        {"not understood", "", 299, "Cache-Control: must-understand, max-age=60\n", 0, "",
         "NOT_UNDERSTOOD", 0},
        {"not understood, no-store", "", 599,
         "Cache-Control: must-understand, no-store, max-age=60\n", 0, "", "NOT_UNDERSTOOD", 0},
        {"404", "", 404, "Cache-Control: must-understand, no-store, max-age=60\n", 0, "", "fresh",
         0},
    };
    RUN(rows);
}

static void C1_set_cookie_is_stored_only_by_rule(void **state)
{
    (void)state;
    static const char lines[] = "Set-Cookie: a=b\nCache-Control: public, max-age=60\n";
    static const struct scenario refused = {"refuse", "", 200, lines, 0, "", "SET_COOKIE", 0},
                                 taken = {"taken", "", 200, lines, 0, "", "fresh", 0},
                                 named = {"named",
                                          "",
                                          200,
                                          "Set-Cookie: a=b\nCache-Control: private=\"Set-Cookie\", "
                                          "max-age=60\n",
                                          0,
                                          "",
                                          "fresh",
                                          0};
    struct cache_policy policy = cache_policy_default;
    scenario_run(&refused, &policy);
    scenario_run(&named, &policy);
    policy.cookies = CACHE_COOKIES_STRIP;
    scenario_run(&taken, &policy);
    policy.cookies = CACHE_COOKIES_KEEP;
    scenario_run(&taken, &policy);
}

static void C1_rfc9111_3_3_parts(void **state)
{
    (void)state;
    static const char range[] = "Range: bytes=4-9\n";
    static const struct scenario rows[] = {
        {"part", range, 206, "Cache-Control: max-age=60\nContent-Range: bytes 4-9/20\n", 0,
         "Range: bytes=4-9\n", "fresh", 0},
        {"everything asked of a part", range, 206,
         "Cache-Control: max-age=60\nContent-Range: bytes 4-9/20\n", 0, "", "forward", 0},
        {"a part that is everything", range, 206,
         "Cache-Control: max-age=60\nContent-Range: bytes 0-19/20\n", 0, "", "fresh", 0},
        {"nobody asked for a part", "", 206,
         "Cache-Control: max-age=60\nContent-Range: bytes 4-9/20\n", 0, "", "PARTIAL", 0},
        {"several parts", range, 206,
         "Cache-Control: max-age=60\nContent-Type: multipart/byteranges; boundary=x\n", 0, "",
         "PARTIAL", 0},
        {"unknown length", range, 206, "Cache-Control: max-age=60\nContent-Range: bytes 4-9/*\n", 0,
         "", "PARTIAL", 0},
        {"impossible", range, 206, "Cache-Control: max-age=60\nContent-Range: bytes 9-4/20\n", 0,
         "", "PARTIAL", 0},
        {"other unit", range, 206, "Cache-Control: max-age=60\nContent-Range: pages 4-9/20\n", 0,
         "", "PARTIAL", 0},
        {"200 to a range", range, 200, "Cache-Control: max-age=60\n", 0, "", "fresh", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_4_1_vary_star_is_not_stored(void **state)
{
    (void)state;
    static const char *const values[] = {"*", "*, *", ", *", "*, Foo", "Foo, *", "Foo,*,Bar",
                                         "Foo\nVary: *", "*\nVary: *", "\"Foo\", Bar",
                                         /* what gateways write for each visitor */
                                         "X-Forwarded-For", "Accept, Forwarded"};
    for (size_t i = 0; i < COUNT(values); i++) {
        char lines[128];
        snprintf(lines, sizeof lines, "Cache-Control: max-age=60\nVary: %s\n", values[i]);
        struct scenario row = {values[i], "", 200, lines, 0, "", "VARY", 0};
        scenario_run(&row, &cache_policy_default);
    }
}

/* ---- fields */

static void expect_stored(const char *response, enum cache_cookies cookies, const char *expected)
{
    struct heads heads = {0};
    struct http_fields stored = {.arena = &heads.arena};
    struct text text = {0};
    struct cache_policy policy = cache_policy_default;
    policy.cookies = cookies;
    request_read(&heads.request, &heads.arena, "GET", "");
    response_read(&heads.response, &heads.arena, 200, response, &heads.request);
    assert_int_equal(cache_response_fields(&stored, &policy, &heads.response.fields, NOW_S + 100),
                     0);
    for (uint32_t i = 0; i < stored.count; i++)
        text_add_format(&text, "%.*s: %.*s\n", SPAN_ARGS(stored.list[i].name),
                        SPAN_ARGS(stored.list[i].value));
    assert_string_equal(text.data, expected);
    text_clear(&text);
    arena_clear(&heads.arena);
}

static void C1_rfc9111_3_1_fields_that_are_stored(void **state)
{
    (void)state;
    expect_stored("Connection: X-Hop, keep-alive\nX-Hop: 1\nKeep-Alive: timeout=5\nX-Foo: 2\n"
                  "Proxy-Authenticate: x\nProxy-Authentication-Info: y\nUpgrade: z\nAge: 5\n"
                  "Content-Length: 3\nContent-Range: bytes 0-2/3\nTest-Header: a\n",
                  CACHE_COOKIES_KEEP, "Date: " NOW "\nX-Foo: 2\nTest-Header: a\n");
    expect_stored(
        "Cache-Control: private=\"x-foo, Set-Cookie\"\nX-Foo: 1\nSet-Cookie: a=b\nX-Bar: 2\n",
        CACHE_COOKIES_KEEP,
        "Date: " NOW "\nCache-Control: private=\"x-foo, Set-Cookie\"\nX-Bar: 2\n");
    expect_stored("Cache-Control: no-cache=\"X-Foo\"\nX-Foo: 1\n", CACHE_COOKIES_KEEP,
                  "Date: " NOW "\nCache-Control: no-cache=\"X-Foo\"\n");
    expect_stored("CDN-Cache-Control: max-age=5, private=\"X-Foo\"\nX-Foo: 1\n", CACHE_COOKIES_KEEP,
                  "Date: " NOW "\nCDN-Cache-Control: max-age=5, private=\"X-Foo\"\n");
    expect_stored("Set-Cookie: a=b\nSet-Cookie: c=d\n", CACHE_COOKIES_KEEP,
                  "Date: " NOW "\nSet-Cookie: a=b\nSet-Cookie: c=d\n");
    expect_stored("Set-Cookie: a=b\n", CACHE_COOKIES_STRIP, "Date: " NOW "\n");
    expect_stored("-Date\nX-Foo: 1\n", CACHE_COOKIES_STRIP, "X-Foo: 1\nDate: " LATER "\n");
}

/* ---- targeted fields */

static void C1_rfc9213_targeted_fields(void **state)
{
    (void)state;
#define CDN "CDN-Cache-Control: "
    static const struct scenario rows[] = {
        {"alone", "", 200, CDN "max-age=60\n", 59, "", "fresh", 0},
        {"over", "", 200, CDN "max-age=60\n", 60, "", "validate", 0},
        {"the most", "", 200, CDN "max-age=2147483648\n", 60, "", "fresh", 0},
        {"more", "", 200, CDN "max-age=99999999999\n", 60, "", "fresh", 0},
        {"too long for structured fields", "", 200,
         CDN "max-age=1234567890123456\nCache-Control: no-store\n", 0, "", "NO_STORE", 0},
        {"Age", "", 200, CDN "max-age=3600\nAge: 7200\n", 0, "", "USELESS", 0},
        {"space before =", "", 200, "Cache-Control: max-age=1\n" CDN "max-age =100\n", 5, "",
         "validate", 0},
        {"space after =", "", 200, "Cache-Control: max-age=1\n" CDN "max-age= 100\n", 5, "",
         "validate", 0},
        {"0", "", 200, CDN "max-age=0\nETag: \"a\"\n", 0, "", "validate", 0},
        {"negative", "", 200, CDN "max-age=-5\nETag: \"a\"\n", 0, "", "validate", 0},
        {"extension", "", 200, CDN "foobar, max-age=60\n", 0, "", "fresh", 0},
        {"case: keys are lower", "", 200, CDN "MaX-aGe=60\n", 0, "", "USELESS", 0},
        {"past Expires", "", 200, CDN "max-age=60\nExpires: " BEFORE "\n", 0, "", "fresh", 0},
        {"bad Expires", "", 200, CDN "max-age=60\nExpires: 0\n", 0, "", "fresh", 0},
        {"0 and future Expires", "", 200, CDN "max-age=0\nExpires: " LATER "\nETag: \"a\"\n", 0, "",
         "validate", 0},
        {"longer than the other", "", 200, CDN "max-age=60\nCache-Control: max-age=1\n", 30, "",
         "fresh", 0},
        {"shorter than the other", "", 200, CDN "max-age=1\nCache-Control: max-age=60\n", 30, "",
         "validate", 0},
        {"shorter than s-maxage", "", 200, CDN "max-age=1\nCache-Control: s-maxage=60\n", 30, "",
         "validate", 0},
        {"private", "", 200, CDN "private\nCache-Control: max-age=60\n", 0, "", "PRIVATE", 0},
        {"private for others", "", 200, CDN "max-age=60\nCache-Control: private\n", 0, "", "fresh",
         0},
        {"no-cache", "", 200, CDN "no-cache\nCache-Control: max-age=60\nETag: \"a\"\n", 0, "",
         "validate", 0},
        {"no-store", "", 200, CDN "no-store\nCache-Control: max-age=60\n", 0, "", "NO_STORE", 0},
        {"no-store for others", "", 200, CDN "max-age=60\nCache-Control: no-store\n", 0, "",
         "fresh", 0},
        {"must-revalidate for others", "", 200,
         CDN "max-age=1, stale-while-revalidate=60\nCache-Control: must-revalidate\n", 30, "",
         "refresh", 0},
        {"malformed", "", 200, CDN "max-age=60, &&&&\nCache-Control: no-store\n", 0, "", "NO_STORE",
         0},
        {"comma at the end", "", 200, CDN "max-age=60,\nCache-Control: no-store\n", 0, "",
         "NO_STORE", 0},
        {"wrong type", "", 200, CDN "max-age=\"60\"\nCache-Control: no-store\n", 0, "", "NO_STORE",
         0},
        {"decimal", "", 200, CDN "max-age=60.5\nCache-Control: no-store\n", 0, "", "NO_STORE", 0},
        {"empty", "", 200, CDN "\nCache-Control: max-age=60\n", 0, "", "fresh", 0},
        {"parameters are skipped", "", 200, CDN "max-age=60;a=1;b;c=\"x\", x=(1 2);q=?0\n", 0, "",
         "fresh", 0},
        {"the last of one key", "", 200, CDN "max-age=1, max-age=60\n", 30, "", "fresh", 0},
        {"two lines", "", 200, CDN "max-age=60\n" CDN "no-store\n", 0, "", "NO_STORE", 0},
        {"false is absent", "", 200, CDN "max-age=60, no-store=?0\n", 0, "", "fresh", 0},
        {"heuristics remain", "", 200, CDN "foo\nLast-Modified: " TEN_DAYS "\nExpires: 0\n", 60, "",
         "fresh", 0},
        {"our own goes first", "", 200,
         "Causeway-Cache-Control: max-age=60\n" CDN "no-store\nCache-Control: no-store\n", 0, "",
         "fresh", 0},
        {"a bad one of ours does not count", "", 200,
         "Causeway-Cache-Control: max-age=6 0\n" CDN "max-age=60\nCache-Control: no-store\n", 0, "",
         "fresh", 0},
    };
#undef CDN
    RUN(rows);
}

/* What was public to any shared cache is for one client. */
static void L10_what_is_made_private_no_shared_cache_stores(void **state)
{
    (void)state;
    static const char *const says[] = {
        "",
        "Cache-Control: max-age=60, public\n",
        "CDN-Cache-Control: max-age=60\nSurrogate-Control: max-age=60\n",
        "Causeway-Cache-Control: max-age=60\n",
        "causeway-cache-control: max-age=60\ncdn-cache-control: max-age=60\nExpires: " LATER "\n",
    };
    for (size_t i = 0; i < COUNT(says); i++) {
        struct heads heads = {0};
        struct cache_facts facts;
        const struct cache_policy policy = {.cookies = CACHE_COOKIES_KEEP};
        request_read(&heads.request, &heads.arena, "GET", "");
        response_read(&heads.response, &heads.arena, 200, says[i], &heads.request);
        assert_int_equal(cache_make_private(&heads.response.fields), 0);
        assert_int_equal(cache_response_judge(&facts, &policy, &heads.request, &heads.response,
                                              NOW_S, NOW_S),
                         CACHE_REFUSAL_PRIVATE);
        assert_false(http_fields_has(&heads.response.fields, HTTP_NAME_SURROGATE_CONTROL));
        arena_clear(&heads.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_rfc9111_3_methods),
        cmocka_unit_test(C1_rfc9111_3_final_statuses_with_explicit_freshness),
        cmocka_unit_test(C1_rfc6585_and_answers_about_one_request_are_never_stored),
        cmocka_unit_test(C1_rfc9111_3_something_must_allow_it),
        cmocka_unit_test(C1_rfc9111_5_2_2_5_no_store),
        cmocka_unit_test(C1_rfc9111_5_2_1_5_no_store_of_requests),
        cmocka_unit_test(C1_rfc9111_5_2_2_7_private),
        cmocka_unit_test(C1_rfc9111_3_5_authorization),
        cmocka_unit_test(C1_rfc9111_5_2_2_3_must_understand),
        cmocka_unit_test(C1_set_cookie_is_stored_only_by_rule),
        cmocka_unit_test(C1_rfc9111_3_3_parts),
        cmocka_unit_test(C1_rfc9111_4_1_vary_star_is_not_stored),
        cmocka_unit_test(C1_rfc9111_3_1_fields_that_are_stored),
        cmocka_unit_test(C1_rfc9213_targeted_fields),
        cmocka_unit_test(L10_what_is_made_private_no_shared_cache_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
