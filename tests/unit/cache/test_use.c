/* SPDX-License-Identifier: Apache-2.0
 *
 * May a stored response answer a request: RFC 9111 sections 4, 4.2.4, 5.2.1, 5.2.2, 5.4; RFC 5861; RFC 8246.
 */
#include "scenario.h"

#define FRESH "Cache-Control: max-age=60\nETag: \"a\"\n"

static void C1_rfc9111_4_fresh_stale_or_to_be_validated(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"fresh", "", 200, FRESH, 59, "", "fresh", 59},
        {"the last second is over", "", 200, FRESH, 60, "", "validate", 60},
        {"HEAD from GET", "", 200, FRESH, 5, "HEAD|", "fresh", 5},
        {"cookies do not matter", "", 200, FRESH, 5, "Cookie: a=b\n", "fresh", 5},
        {"credentials do not matter to what is for all", "", 200, FRESH, 5, "Authorization: x\n",
         "fresh", 5},
        {"no-cache", "", 200, "Cache-Control: max-age=60, no-cache\nETag: \"a\"\n", 0, "",
         "validate", 0},
        {"no-cache of fields", "", 200, "Cache-Control: max-age=60, no-cache=\"X-A\"\n", 0, "",
         "fresh", 0},
        {"Pragma of a response means nothing", "", 200, "Pragma: no-cache\n" FRESH, 5, "", "fresh",
         5},
    };
    RUN(rows);
}

static void C1_rfc9111_4_2_4_stale_only_where_allowed(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"nobody allows it", "", 200, "Cache-Control: max-age=2\n", 3, "", "validate", 0},
        {"by the origin", "", 200, "Cache-Control: max-age=2, stale-if-error=60\n", 3, "",
         "validate+error", 0},
        {"must-revalidate", "", 200,
         "Cache-Control: max-age=2, must-revalidate, stale-if-error=60, "
         "stale-while-revalidate=60\n",
         3, "Cache-Control: max-stale\n", "validate", 0},
        {"proxy-revalidate", "", 200,
         "Cache-Control: max-age=2, proxy-revalidate, stale-if-error=60, "
         "stale-while-revalidate=60\n",
         3, "Cache-Control: max-stale\n", "validate", 0},
        {"no-cache", "", 200,
         "Cache-Control: max-age=2, no-cache, stale-if-error=60, stale-while-revalidate=60\nETag: "
         "\"a\"\n",
         3, "Cache-Control: max-stale\n", "validate", 0},
        {"s-maxage", "", 200, "Cache-Control: s-maxage=2\n", 3, "Cache-Control: max-stale\n",
         "validate", 0},
        {"s-maxage with a window of its own", "", 200,
         "Cache-Control: s-maxage=2, stale-while-revalidate=60\n", 3, "", "refresh", 0},
        {"s-maxage with a window for errors", "", 200,
         "Cache-Control: s-maxage=2, stale-if-error=60\n", 3, "", "validate+error", 0},
    };
    RUN(rows);
}

static void C1_rfc5861_3_stale_while_revalidate(void **state)
{
    (void)state;
#define WINDOW "Cache-Control: max-age=60, stale-while-revalidate=30\n"
    static const struct scenario rows[] = {
        {"still fresh", "", 200, WINDOW, 59, "", "fresh", 59},
        {"stale", "", 200, WINDOW, 60, "", "refresh", 60},
        {"to the end", "", 200, WINDOW, 90, "", "refresh", 90},
        {"too stale", "", 200, WINDOW, 91, "", "validate", 91},
        {"0", "", 200, "Cache-Control: max-age=60, stale-while-revalidate=0\n", 60, "", "validate",
         0},
        {"bad", "", 200, "Cache-Control: max-age=60, stale-while-revalidate=x\n", 60, "",
         "validate", 0},
        {"the client wants a new one", "", 200, WINDOW, 60, "Cache-Control: no-cache\n", "validate",
         0},
        {"the client wants a young one", "", 200, WINDOW, 60, "Cache-Control: max-age=10\n",
         "validate", 0},
        {"nothing but the window", "", 200, "Cache-Control: max-age=0, stale-while-revalidate=30\n",
         3, "", "refresh", 0},
    };
    RUN(rows);
    struct cache_policy policy = cache_policy_default;
    policy.while_revalidate_s = 30;
    struct scenario row = {"by policy", "", 200,       "Cache-Control: max-age=60\n",
                           75,          "", "refresh", 0};
    scenario_run(&row, &policy);
    row.response =
        "Cache-Control: max-age=60, stale-while-revalidate=5\n"; /* the origin knows better */
    row.expected = "validate";
    scenario_run(&row, &policy);
    row.response = "Cache-Control: s-maxage=60\n";
    scenario_run(&row, &policy);
#undef WINDOW
}

static void C1_rfc5861_4_stale_if_error(void **state)
{
    (void)state;
#define WINDOW "Cache-Control: max-age=60, stale-if-error=30\n"
    static const struct scenario rows[] = {
        {"fresh", "", 200, WINDOW, 59, "", "fresh", 0},
        {"stale", "", 200, WINDOW, 60, "", "validate+error", 0},
        {"to the end", "", 200, WINDOW, 90, "", "validate+error", 0},
        {"too stale", "", 200, WINDOW, 91, "", "validate", 0},
        {"by the request", "", 200, FRESH, 75, "Cache-Control: stale-if-error=30\n",
         "validate+error", 0},
        {"by the request, too stale", "", 200, FRESH, 91, "Cache-Control: stale-if-error=30\n",
         "validate", 0},
        {"by the request, forbidden", "", 200, "Cache-Control: max-age=60, must-revalidate\n", 75,
         "Cache-Control: stale-if-error=30\n", "validate", 0},
        {"the client wants a new one", "", 200, WINDOW, 70, "Cache-Control: no-cache\n", "validate",
         0},
    };
    RUN(rows);
    static const unsigned errors[] = {500, 502, 503, 504}, others[] = {200, 304, 404, 501, 505};
    for (size_t i = 0; i < COUNT(errors); i++)
        assert_true(cache_status_is_error(errors[i]));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(cache_status_is_error(others[i]));
    struct cache_policy policy = cache_policy_default;
    policy.if_error_s = 3600;
    struct scenario row = {"by policy", "", 200, FRESH, 75, "", "validate+error", 0};
    scenario_run(&row, &policy);
#undef WINDOW
}

static void C1_rfc9111_5_2_1_requests_are_heard(void **state)
{
    (void)state;
#define CC "Cache-Control: "
    static const struct scenario rows[] = {
        {"no-cache", "", 200, FRESH, 5, CC "no-cache\n", "validate", 0},
        {"max-age=0", "", 200, FRESH, 0, CC "max-age=0\n", "validate", 0},
        {"max-age, old", "", 200, FRESH, 5, CC "max-age=4\n", "validate", 0},
        {"max-age, young", "", 200, FRESH, 5, CC "max-age=5\n", "fresh", 0},
        {"max-age and Age", "", 200, "Age: 30\n" FRESH, 0, CC "max-age=10\n", "validate", 0},
        {"bad max-age", "", 200, FRESH, 5, CC "max-age=x\n", "validate", 0},
        {"min-fresh, enough", "", 200, FRESH, 5, CC "min-fresh=55\n", "fresh", 0},
        {"min-fresh, too little", "", 200, FRESH, 5, CC "min-fresh=56\n", "validate", 0},
        {"bad min-fresh", "", 200, FRESH, 5, CC "min-fresh=x\n", "fresh", 0},
        {"max-stale, any", "", 200, FRESH, 5000, CC "max-stale\n", "stale", 5000},
        {"max-stale, enough", "", 200, FRESH, 70, CC "max-stale=10\n", "stale", 70},
        {"max-stale, too little", "", 200, FRESH, 71, CC "max-stale=10\n", "validate", 71},
        {"bad max-stale", "", 200, FRESH, 70, CC "max-stale=x\n", "validate", 0},
        {"max-stale and max-age", "", 200, FRESH, 70, CC "max-stale=100, max-age=50\n", "validate",
         0},
        {"no-store does not hinder", "", 200, FRESH, 5, CC "no-store\n", "fresh", 0},
        {"unknown", "", 200, FRESH, 5, CC "foo, bar=1\n", "fresh", 0},
        {"no-transform", "", 200, FRESH, 5, CC "no-transform\n", "fresh", 0},
    };
    RUN(rows);
    struct cache_policy policy = cache_policy_default;
    policy.ignores_requests = true;
    struct scenario row = {"deaf", "", 200, FRESH, 5, CC "no-cache, max-age=0\n", "fresh", 0};
    scenario_run(&row, &policy);
    row.again = "Pragma: no-cache\n";
    scenario_run(&row, &policy);
}

static void C1_rfc9111_5_2_1_7_only_if_cached(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"fresh", "", 200, FRESH, 5, CC "only-if-cached\n", "fresh", 0},
        {"stale", "", 200, FRESH, 70, CC "only-if-cached\n", "refuse", 0},
        {"stale and content with it", "", 200, FRESH, 70, CC "only-if-cached, max-stale\n", "stale",
         0},
        {"in the window", "", 200, "Cache-Control: max-age=60, stale-while-revalidate=30\n", 70,
         CC "only-if-cached\n", "refresh", 0},
    };
    RUN(rows);
    struct heads heads = {0};
    struct cache_ask ask;
    request_read(&heads.request, &heads.arena, "GET", CC "only-if-cached\n");
    cache_ask_read(&ask, &cache_policy_default, &heads.request);
    assert_int_equal(cache_judge(NULL, &ask, NOW_S).use, CACHE_USE_REFUSE);
    ask.only_if_cached = false;
    assert_int_equal(cache_judge(NULL, &ask, NOW_S).use, CACHE_USE_FORWARD);
    arena_clear(&heads.arena);
#undef CC
}

static void C1_rfc9111_5_4_pragma(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"no-cache", "", 200, FRESH, 5, "Pragma: no-cache\n", "validate", 0},
        {"among others", "", 200, FRESH, 5, "Pragma: foo, No-Cache\n", "validate", 0},
        {"unknown", "", 200, FRESH, 5, "Pragma: foo\n", "fresh", 0},
        {"Cache-Control goes first", "", 200, FRESH, 5,
         "Pragma: no-cache\nCache-Control: max-age=10\n", "fresh", 0},
    };
    RUN(rows);
}

static void C1_rfc8246_immutable(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"fresh is not validated", "", 200, "Cache-Control: max-age=60, immutable\n", 59, "",
         "fresh", 0},
        {"but when the client says so", "", 200,
         "Cache-Control: max-age=60, immutable\nETag: "
         "\"a\"\n",
         5, "Cache-Control: no-cache\n", "validate", 0},
        {"stale is stale", "", 200, "Cache-Control: max-age=60, immutable\n", 60, "", "validate",
         0},
        {"alone it says nothing of freshness", "", 200, "Cache-Control: immutable\n", 0, "",
         "USELESS", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_4_3_2_conditions_for_origins_are_forwarded(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"If-Match", "", 200, FRESH, 5, "If-Match: \"a\"\n", "forward", 0},
        {"If-Unmodified-Since", "", 200, FRESH, 5, "If-Unmodified-Since: " NOW "\n", "forward", 0},
        {"others are ours", "", 200, FRESH, 5, "If-None-Match: \"b\"\n", "fresh", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_4_4_what_was_made_invalid_is_validated(void **state)
{
    (void)state;
    struct cache_facts facts = {.response_s = NOW_S,
                                .lifetime_s = 60,
                                .if_error_s = 60,
                                .while_revalidate_s = 60,
                                .flags = CACHE_INVALID,
                                .status = 200};
    struct cache_ask ask = {.max_age_s = CACHE_SECONDS_NONE,
                            .min_fresh_s = CACHE_SECONDS_NONE,
                            .max_stale_s = CACHE_SECONDS_MOST,
                            .if_error_s = CACHE_SECONDS_NONE};
    struct cache_judgement judgement = cache_judge(&facts, &ask, NOW_S + 1);
    assert_int_equal(judgement.use, CACHE_USE_VALIDATE);
    assert_false(judgement.may_answer_for_errors);
}

static void C1_rfc9111_4_routes(void **state)
{
    (void)state;
    static const struct {
        const char *method, *lines;
        enum cache_route route;
    } rows[] = {
        {"GET", "", CACHE_ROUTE_LOOKUP},
        {"HEAD", "", CACHE_ROUTE_LOOKUP},
        {"OPTIONS", "", CACHE_ROUTE_PASS},
        {"GET", "X-HTTP-Method-Override: DELETE\n", CACHE_ROUTE_PASS},
        {"HEAD", "x-method-override: GET\n", CACHE_ROUTE_PASS},
        {"GET", "A: b\nX-HTTP-Method: PUT\n", CACHE_ROUTE_PASS},
        {"GET", "X-HTTP-Methods: PUT\n", CACHE_ROUTE_LOOKUP},
        {"POST", "Content-Length: 0\n", CACHE_ROUTE_INVALIDATE},
        {"PUT", "", CACHE_ROUTE_INVALIDATE},
        {"DELETE", "", CACHE_ROUTE_INVALIDATE},
        {"PATCH", "", CACHE_ROUTE_INVALIDATE},
        {"BREW", "", CACHE_ROUTE_INVALIDATE},
        {"GET", "Transfer-Encoding: chunked\n", CACHE_ROUTE_PASS},
        {"GET", "Connection: upgrade\nUpgrade: websocket\n", CACHE_ROUTE_PASS},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct heads heads = {0};
        struct cache_ask ask;
        request_read(&heads.request, &heads.arena, rows[i].method, rows[i].lines);
        cache_ask_read(&ask, &cache_policy_default, &heads.request);
        if (ask.route != rows[i].route)
            fail_msg("%s %s: %d", rows[i].method, rows[i].lines, (int)ask.route);
        arena_clear(&heads.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_rfc9111_4_fresh_stale_or_to_be_validated),
        cmocka_unit_test(C1_rfc9111_4_2_4_stale_only_where_allowed),
        cmocka_unit_test(C1_rfc5861_3_stale_while_revalidate),
        cmocka_unit_test(C1_rfc5861_4_stale_if_error),
        cmocka_unit_test(C1_rfc9111_5_2_1_requests_are_heard),
        cmocka_unit_test(C1_rfc9111_5_2_1_7_only_if_cached),
        cmocka_unit_test(C1_rfc9111_5_4_pragma),
        cmocka_unit_test(C1_rfc8246_immutable),
        cmocka_unit_test(C1_rfc9111_4_3_2_conditions_for_origins_are_forwarded),
        cmocka_unit_test(C1_rfc9111_4_4_what_was_made_invalid_is_validated),
        cmocka_unit_test(C1_rfc9111_4_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
