/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a response is fresh and how old it is: RFC 9111 sections 4.2, 5.1, 5.2.2, 5.3.
 */
#include "scenario.h"

static void C1_rfc9111_4_2_1_s_maxage_beats_max_age(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"longer", "", 200, "Cache-Control: max-age=1, s-maxage=60\n", 30, "", "fresh", 0},
        {"shorter", "", 200, "Cache-Control: max-age=60, s-maxage=1\n", 30, "", "validate", 0},
        {"reversed", "", 200, "Cache-Control: s-maxage=1, max-age=60\n", 30, "", "validate", 0},
        {"two lines", "", 200, "Cache-Control: max-age=60\nCache-Control: s-maxage=1\n", 30, "",
         "validate", 0},
        {"bad", "", 200, "Cache-Control: max-age=60, s-maxage=x\nETag: \"a\"\n", 0, "", "validate",
         0},
    };
    RUN(rows);
}

static void C1_rfc9111_4_2_1_max_age_beats_expires(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"past Expires", "", 200, "Cache-Control: max-age=60\nExpires: " BEFORE "\n", 59, "",
         "fresh", 0},
        {"bad Expires", "", 200, "Cache-Control: max-age=60\nExpires: 0\n", 59, "", "fresh", 0},
        {"future Expires", "", 200, "Cache-Control: max-age=0\nExpires: " LATER "\nETag: \"a\"\n",
         0, "", "validate", 0},
        {"s-maxage too", "", 200, "Cache-Control: s-maxage=0\nExpires: " LATER "\nETag: \"a\"\n", 0,
         "", "validate", 0},
        {"other directives do not", "", 200, "Cache-Control: foobar\nExpires: " LATER "\n", 99, "",
         "fresh", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_1_2_2_delta_seconds(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool is_good;
    } values[] = {
        {"3600", true},        {"003600", true},
        {"\"3600\"", true},    {"2147483647", true},
        {"2147483648", true},  {"2147483649", true},
        {"99999999999", true}, {"99999999999999999999999999", true},
        {"'3600'", false},     {"a3600", false},
        {"3600a", false},      {"-3600", false},
        {"+3600", false},      {"3600.0", false},
        {"3600.5", false},     {"", false},
        {"\"\"", false},       {"36 00", false},
        {" 3600", false},      {"0x10", false},
        {"\"3600", false},     {"1e3", false},
        {"3600;x", false},
    };
    for (size_t i = 0; i < COUNT(values); i++) {
        char lines[128];
        snprintf(lines, sizeof lines, "ETag: \"a\"\nCache-Control: max-age=%s\n", values[i].value);
        struct scenario row = {
            values[i].value, "", 200, lines, 30, "", values[i].is_good ? "fresh" : "validate", 0};
        scenario_run(&row, &cache_policy_default);
    }
}

static void C1_rfc9111_5_2_directives_are_parsed(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"case", "", 200, "Cache-Control: MaX-aGe=60\n", 30, "", "fresh", 0},
        {"extension before", "", 200, "Cache-Control: foobar, max-age=60\n", 30, "", "fresh", 0},
        {"extension with a value", "", 200, "Cache-Control: foo=bar, max-age=60\n", 30, "", "fresh",
         0},
        {"empty elements", "", 200, "Cache-Control: , ,max-age=60,,\n", 30, "", "fresh", 0},
        {"no space", "", 200, "Cache-Control: foo,max-age=60\n", 30, "", "fresh", 0},
        {"in quotes before", "", 200, "Cache-Control: x=\"max-age=60\", max-age=1\n", 30, "",
         "validate", 0},
        {"in quotes behind", "", 200, "Cache-Control: max-age=1, x=\"max-age=60\"\n", 30, "",
         "validate", 0},
        {"comma in quotes", "", 200, "Cache-Control: x=\"a, max-age=60\", max-age=\"1\"\n", 30, "",
         "validate", 0},
        {"escaped quote", "", 200, "Cache-Control: x=\"a\\\", max-age=60, \", max-age=1\n", 30, "",
         "validate", 0},
        {"space before =", "", 200, "ETag: \"a\"\nCache-Control: max-age =60\n", 30, "", "validate",
         0},
        {"space after =", "", 200, "ETag: \"a\"\nCache-Control: max-age= 60\n", 30, "", "validate",
         0},
        {"other separators", "", 200, "ETag: \"a\"\nCache-Control: foo; max-age=60\n", 30, "",
         "validate", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_4_2_1_the_first_of_several_counts(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"fresh, stale", "", 200, "Cache-Control: max-age=60, max-age=1\n", 30, "", "fresh", 0},
        {"fresh, stale, lines", "", 200, "Cache-Control: max-age=60\nCache-Control: max-age=1\n",
         30, "", "fresh", 0},
        {"stale, fresh", "", 200, "Cache-Control: max-age=1, max-age=60\n", 30, "", "validate", 0},
        {"stale, fresh, lines", "", 200, "Cache-Control: max-age=1\nCache-Control: max-age=60\n",
         30, "", "validate", 0},
        {"Expires", "", 200, "Expires: " LATER "\nExpires: " BEFORE "\n", 30, "", "fresh", 0},
        {"the most restrictive of a conflict", "", 200,
         "ETag: \"a\"\nCache-Control: max-age=60, no-cache\n", 30, "", "validate", 0},
        {"public and private", "", 200, "Cache-Control: max-age=60, public, private\n", 30, "",
         "PRIVATE", 0},
    };
    RUN(rows);
}

static void C1_rfc9111_5_3_expires(void **state)
{
    (void)state;
    static const struct {
        const char *value, *expected;
    } values[] = {
        {LATER, "fresh"},
        {"Sunday, 09-Sep-01 01:48:20 GMT", "fresh"},
        {"Sun Sep  9 01:48:20 2001", "fresh"},
        {"Thu, 18 Aug 2050 02:01:18 GMT", "fresh"},
        {"Mon, 18 Aug 2050 02:01:18 GMT", "fresh"}, /* the day is not looked at */
        {NOW, "validate"},
        {BEFORE, "validate"},
        {"0", "validate"},
        {"-1", "validate"},
        {"", "validate"},
        {"never", "validate"},
        {"THU, 18 Aug 2050 02:01:18 GMT", "fresh"}, /* RFC 9111 section 4.2: in any case */
        {"Thu, 18 AUG 2050 02:01:18 gmt", "fresh"},
        {"Thu, 18 Aug 2050 02:01:18 UTC", "validate"},
        {"Thu, 18 Aug 2050 02:01:18 +0000", "validate"},
        {"Thu, 18 Aug 2050 02:01:18", "validate"},
        {"Thu, 18 Aug 50 02:01:18 GMT", "validate"},
        {"Thu 18 Aug 2050 02:01:18 GMT", "validate"},
        {"Thu, 18  Aug  2050 02:01:18 GMT", "validate"},
        {"Thu, 18-Aug-2050 02:01:18 GMT", "validate"},
        {"Thu, 18 Aug 2050 02.01.18 GMT", "validate"},
        {"Thu, 18 Aug 2050 2:01:18 GMT", "validate"},
        {"Thu, 8 Aug 2050 02:01:18 GMT", "validate"},
        {"Thu, 31 Feb 2050 02:01:18 GMT", "validate"},
        {"Thu, 18 Aug 2050 24:01:18 GMT", "validate"},
        {"Thu, 18 Aug 2050 02:01:18 GMT, x", "validate"},
        {"Thu, 01 Jan 1970 00:00:00 GMT", "validate"},
        {"Sun, 01 Jan 1900 00:00:00 GMT", "validate"},
        {"Fri, 31 Dec 9999 23:59:59 GMT", "fresh"},
    };
    for (size_t i = 0; i < COUNT(values); i++) {
        char lines[128];
        snprintf(lines, sizeof lines, "ETag: \"a\"\nExpires: %s\n", values[i].value);
        struct scenario row = {values[i].value, "", 200, lines, 99, "", values[i].expected, 99};
        scenario_run(&row, &cache_policy_default);
    }
}

static void C1_rfc9111_4_2_1_expires_counts_from_date(void **state)
{
    (void)state;
    static const struct scenario rows[] = {
        {"100 s", "", 200, "Expires: " LATER "\n", 100, "", "validate", 100},
        {"an old Date is an old response", "", 200,
         "ETag: \"a\"\nDate: " BEFORE "\nExpires: " NOW "\n", 0, "", "validate", 100},
        {"no Date: since it came", "", 200, "-Date\nExpires: " LATER "\n", 99, "", "fresh", 99},
        {"no Date, over", "", 200, "-Date\nExpires: " LATER "\n", 100, "", "validate", 100},
        {"bad Date likewise", "", 200, "Date: x\nExpires: " LATER "\n", 99, "", "fresh", 99},
        {"Age counts", "", 200, "ETag: \"a\"\nExpires: " LATER "\nAge: 60\n", 40, "", "validate",
         100},
        {"Age leaves some", "", 200, "Expires: " LATER "\nAge: 60\n", 39, "", "fresh", 99},
    };
    RUN(rows);
}

static void C1_rfc9111_4_2_2_heuristics(void **state)
{
    (void)state;
    static const unsigned statuses[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
    for (size_t i = 0; i < COUNT(statuses); i++) {
        struct scenario row = {"a tenth of ten days",
                               "",
                               statuses[i],
                               "Last-Modified: " TEN_DAYS "\n",
                               86399,
                               "",
                               "fresh",
                               86399};
        scenario_run(&row, &cache_policy_default);
        row.after_s = 86400;
        row.expected = "validate";
        row.age_s = 0;
        scenario_run(&row, &cache_policy_default);
    }
    static const struct scenario rows[] = {
        {"bounded by a day", "", 200, "Last-Modified: " A_YEAR "\n", 86400, "", "validate", 0},
        {"not without Last-Modified", "", 200, "ETag: \"a\"\n", 0, "", "validate", 0},
        {"a bad Last-Modified", "", 200, "ETag: \"a\"\nLast-Modified: x\n", 0, "", "validate", 0},
        {"of the future", "", 200, "Last-Modified: " LATER "\n", 0, "", "validate", 0},
        {"not with explicit freshness", "", 200,
         "Cache-Control: max-age=1\nLast-Modified: " TEN_DAYS "\n", 1, "", "validate", 0},
        {"nor with a bad one", "", 200, "Expires: 0\nLast-Modified: " TEN_DAYS "\n", 0, "",
         "validate", 0},
        {"201", "", 201, "Last-Modified: " TEN_DAYS "\n", 0, "", "STATUS", 0},
        {"202", "", 202, "Last-Modified: " TEN_DAYS "\n", 0, "", "STATUS", 0},
        {"403", "", 403, "Last-Modified: " TEN_DAYS "\n", 0, "", "STATUS", 0},
        {"502", "", 502, "Last-Modified: " TEN_DAYS "\n", 0, "", "STATUS", 0},
        {"504", "", 504, "Last-Modified: " TEN_DAYS "\n", 0, "", "STATUS", 0},
        {"599", "", 599, "Last-Modified: " TEN_DAYS "\n", 0, "", "STATUS", 0},
        {"public 201", "", 201, "Cache-Control: public\nLast-Modified: " TEN_DAYS "\n", 86399, "",
         "fresh", 0},
    };
    RUN(rows);
    struct cache_policy policy = cache_policy_default;
    policy.heuristic_most_s = 0;
    struct scenario off = {"off", "", 200, "Last-Modified: " TEN_DAYS "\n", 0, "", "validate", 0};
    scenario_run(&off, &policy);
}

static void C1_rfc9111_5_1_age(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        uint32_t age_s;
    } values[] = {
        {"Age: 5\n", 5},
        {"Age: 0\n", 0},
        {"Age: abc\n", 0},
        {"Age: -7200\n", 0},
        {"Age: 7.0\n", 0},
        {"Age: 70,0\n", 70},
        {"Age: 70\nAge: 0\n", 70},
        {"Age: 0,70\n", 0},
        {"Age: 0\nAge: 70\n", 0},
        {"Age: 70, 70\n", 70},
        {"Age: 99999999999\n", 2147483648u},
        {"Age: 07\n", 7},
        {"Age: \n", 0},
    };
    for (size_t i = 0; i < COUNT(values); i++) {
        char lines[160];
        snprintf(lines, sizeof lines, "ETag: \"a\"\nCache-Control: max-age=2147483648\n%s",
                 values[i].lines);
        struct scenario row = {values[i].lines,
                               "",
                               200,
                               lines,
                               0,
                               "",
                               values[i].age_s < 2147483648u ? "fresh" : "validate",
                               values[i].age_s};
        scenario_run(&row, &cache_policy_default);
    }
}

static void C1_rfc9111_4_2_3_age_is_calculated(void **state)
{
    (void)state;
    static const struct {
        const char *name, *lines;
        uint64_t request_s, response_s, now_s;
        uint32_t age_s;
    } rows[] = {
        {"at once", "", NOW_S, NOW_S, NOW_S, 0},
        {"resident", "", NOW_S, NOW_S, NOW_S + 7, 7},
        {"apparent: Date is past", "Date: " BEFORE "\n", NOW_S, NOW_S, NOW_S, 100},
        {"Age with the delay of the answer", "Age: 10\n", NOW_S - 5, NOW_S, NOW_S + 1, 16},
        {"the greater of both", "Date: " BEFORE "\nAge: 10\n", NOW_S - 5, NOW_S, NOW_S, 100},
        {"and the other way", "Date: " BEFORE "\nAge: 200\n", NOW_S - 5, NOW_S, NOW_S, 205},
        {"Date of the future", "Date: " LATER "\n", NOW_S, NOW_S, NOW_S + 3, 3},
        {"our clock went back", "Age: 4\n", NOW_S, NOW_S, NOW_S - 50, 4},
        {"between request and answer too", "", NOW_S + 9, NOW_S, NOW_S, 0},
        {"no Date", "-Date\n", NOW_S, NOW_S, NOW_S + 2, 2},
        {"a very long time", "", NOW_S, NOW_S, NOW_S + (1ull << 40), 2147483648u},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct heads heads = {0};
        struct cache_facts facts;
        struct cache_ask ask;
        char lines[256];
        bool is_without = !strncmp(rows[i].lines, "-Date\n", 6);
        snprintf(lines, sizeof lines, "%sETag: \"a\"\nCache-Control: max-age=60\n", rows[i].lines);
        request_read(&heads.request, &heads.arena, "GET", "");
        response_read(&heads.response, &heads.arena, 200, lines, &heads.request);
        assert_int_equal(http_fields_has(&heads.response.fields, HTTP_NAME_DATE), !is_without);
        assert_int_equal(cache_response_judge(&facts, &cache_policy_default, &heads.request,
                                              &heads.response, rows[i].request_s,
                                              rows[i].response_s),
                         CACHE_REFUSAL_NONE);
        cache_ask_read(&ask, &cache_policy_default, &heads.request);
        struct cache_judgement judgement = cache_judge(&facts, &ask, rows[i].now_s);
        if (judgement.age_s != rows[i].age_s)
            fail_msg("%s: %u instead of %u", rows[i].name, judgement.age_s, rows[i].age_s);
        assert_int_equal(judgement.ttl_s, 60 - (int64_t)rows[i].age_s);
        arena_clear(&heads.arena);
    }
}

static void C1_a_policy_bounds_and_replaces_lifetimes(void **state)
{
    (void)state;
    struct cache_policy policy = cache_policy_default;
    policy.lifetime_most_s = 10;
    struct scenario row = {"bounded", "", 200, "Cache-Control: max-age=60\n", 9, "", "fresh", 9};
    scenario_run(&row, &policy);
    row.after_s = 10;
    row.expected = "validate";
    row.age_s = 10;
    scenario_run(&row, &policy);
    policy = cache_policy_default;
    policy.lifetime_s = 30;
    static const struct scenario rows[] = {
        {"longer", "", 200, "Cache-Control: max-age=1\n", 29, "", "fresh", 0},
        {"shorter", "", 200, "Cache-Control: max-age=60\n", 30, "", "validate", 0},
        {"nothing said", "", 200, "", 29, "", "fresh", 0},
        {"not of errors", "", 500, "", 0, "", "STATUS", 0},
        {"not of what must not be stored", "", 200, "Cache-Control: no-store\n", 0, "", "NO_STORE",
         0},
        {"nor for credentials", "Authorization: x\n", 200, "", 0, "", "AUTHORIZATION", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        scenario_run(&rows[i], &policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_rfc9111_4_2_1_s_maxage_beats_max_age),
        cmocka_unit_test(C1_rfc9111_4_2_1_max_age_beats_expires),
        cmocka_unit_test(C1_rfc9111_1_2_2_delta_seconds),
        cmocka_unit_test(C1_rfc9111_5_2_directives_are_parsed),
        cmocka_unit_test(C1_rfc9111_4_2_1_the_first_of_several_counts),
        cmocka_unit_test(C1_rfc9111_5_3_expires),
        cmocka_unit_test(C1_rfc9111_4_2_1_expires_counts_from_date),
        cmocka_unit_test(C1_rfc9111_4_2_2_heuristics),
        cmocka_unit_test(C1_rfc9111_5_1_age),
        cmocka_unit_test(C1_rfc9111_4_2_3_age_is_calculated),
        cmocka_unit_test(C1_a_policy_bounds_and_replaces_lifetimes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
