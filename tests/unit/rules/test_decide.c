/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions, captures, settings and answers (L10, S8): rules in YAML, a request, and what becomes of it.
 */
#include "tests/unit/rules/rules_fixture.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

struct row {
    const char *rules, *client, *request, *told;
};

static void run_rows(const struct row *rows, size_t count)
{
    const char *loaded = "";
    struct fixture fixture = {0};
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        if (row->rules && row->rules != loaded) {
            if (fixture.matcher)
                fixture_clear(&fixture);
            if (!fixture_load(&fixture, row->rules))
                fail_msg("row %zu: %s", i, fixture.told.data);
            loaded = row->rules;
        }
        fixture_client(&fixture, row->client ? row->client : "192.0.2.9");
        memcpy(fixture.facts.country, "DE", 2);
        fixture.facts.rtt_us = 120000;
        fixture.facts.loss_ppm = 15000;
        fixture.facts.load_percent = RULES_UNKNOWN;
        if (!fixture_ask(&fixture, row->request))
            fail_msg("row %zu: the request is malformed", i);
        if (strcmp(fixture_tell(&fixture), row->told) != 0)
            fail_msg("row %zu: %s\n  gives %s\n  not   %s", i, row->request, fixture.told.data,
                     row->told);
    }
    fixture_clear(&fixture);
}
#define RUN(rows) run_rows(rows, sizeof(rows) / sizeof *(rows))

static void S8_each_condition_holds_and_fails(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"      - {match: {method: [GET, PURGE]}, priority: low}", NULL, "GET /", "pass ring 3; 1"},
        {NULL, NULL, "PURGE /", "pass ring 3; 1"},
        {NULL, NULL, "BAN /", "pass;"},
        {NULL, NULL, "POST /", "pass;"},
        {"      - {match: {path: /a}, priority: low}", NULL, "GET /a", "pass ring 3; 1"},
        {NULL, NULL, "GET /a?b", "pass ring 3; 1"},
        {NULL, NULL, "GET /a/", "pass;"},
        {NULL, NULL, "GET /ab", "pass;"},
        {"      - {match: {path: /a/*}, priority: low}", NULL, "GET /a/", "pass ring 3; 1"},
        {NULL, NULL, "GET /a/b/c", "pass ring 3; 1"},
        {NULL, NULL, "GET /a", "pass;"},
        {"      - {match: {path: ['*.png', '/x/*/y/*.gif']}, priority: low}", NULL, "GET /q/a.png",
         "pass ring 3; 1"},
        {NULL, NULL, "GET /x/1/y/2.gif", "pass ring 3; 1"},
        {NULL, NULL, "GET /x/y/2.gif", "pass;"},
        {NULL, NULL, "GET /a.pngx", "pass;"},
        {"      - {match: {path: '~ ^/p/[0-9]+$'}, priority: low}", NULL, "GET /p/17",
         "pass ring 3; 1"},
        {NULL, NULL, "GET /p/17a", "pass;"},
        {NULL, NULL, "GET /P/17", "pass;"},
        {"      - {match: {path: '~* ^/p/x'}, priority: low}", NULL, "GET /P/Xy", "pass ring 3; 1"},
        {"      - {match: {host: ['*.Shop.Example', other.shop.example]}, priority: low}", NULL,
         "GET /\nHost: WWW.shop.example", "pass ring 3; 1"},
        {NULL, NULL, "GET /", "pass;"},
        {"      - {match: {query: 'a=1&*'}, priority: low}", NULL, "GET /?a=1&b", "pass ring 3; 1"},
        {NULL, NULL, "GET /?a=1", "pass;"},
        {"      - {match: {parameter: {page: '1 2', x: '*'}}, priority: low}", NULL,
         "GET /?x&page=1%202", "pass ring 3; 1"},
        {NULL, NULL, "GET /?x=7&page=1+2", "pass ring 3; 1"},
        {NULL, NULL, "GET /?page=1+2", "pass;"},
        {"      - {match: {header: {X-Mode: [a, b], Accept: '*html*'}}, priority: low}", NULL,
         "GET /\nx-mode: b\nAccept: text/html", "pass ring 3; 1"},
        {NULL, NULL, "GET /\nX-Mode: b", "pass;"},
        {NULL, NULL, "GET /\nX-Mode: c\nX-Mode: a\nAccept: text/html", "pass ring 3; 1"},
        {"      - {match: {cookie: {id: '*', kind: gold}}, priority: low}", NULL,
         "GET /\nCookie: id=7; kind=gold", "pass ring 3; 1"},
        {NULL, NULL, "GET /\nCookie: id=7; kind=silver", "pass;"},
        {NULL, NULL, "GET /\nCookie: id=7\nCookie: kind=gold", "pass ring 3; 1"},
        {"      - {match: {client: [10.0.0.0/8, '2001:db8::/32']}, priority: low}", "10.1.2.3",
         "GET /", "pass ring 3; 1"},
        {NULL, "2001:db8::7", "GET /", "pass ring 3; 1"},
        {NULL, "::ffff:10.1.2.3", "GET /", "pass ring 3; 1"},
        {NULL, "11.1.2.3", "GET /", "pass;"},
        {"      - {match: {country: [at, de]}, priority: low}", NULL, "GET /", "pass ring 3; 1"},
        {"      - {match: {country: FR}, priority: low}", NULL, "GET /", "pass;"},
        {"      - {match: {scheme: https}, priority: low}", NULL, "GET /", "pass;"},
        {"      - {match: {tls: {certificate: none}}, priority: low}", NULL, "GET /",
         "pass ring 3; 1"},
        {"      - {match: {link: {rtt_above: 100ms, loss_above: 1}}, priority: low}", NULL, "GET /",
         "pass ring 3; 1"},
        {"      - {match: {link: {rtt_above: 120ms}}, priority: low}", NULL, "GET /", "pass;"},
        {"      - {match: {load_above: 1}, priority: low}", NULL, "GET /", "pass;"}, /* unknown */
        {"      - {match: {not: [{path: /a}, {method: POST}]}, priority: low}", NULL, "GET /",
         "pass ring 3; 1"},
        {NULL, NULL, "GET /a", "pass;"},
        {NULL, NULL, "POST /b", "pass;"},
        {"      - {match: {any: [{path: /a}, {method: POST, path: /c*}]}, priority: low}", NULL,
         "GET /a", "pass ring 3; 1"},
        {NULL, NULL, "POST /cd", "pass ring 3; 1"},
        {NULL, NULL, "POST /d", "pass;"},
        {"      - {match: {all: [{path: /a*}, {path: '*b'}]}, priority: low}", NULL, "GET /axb",
         "pass ring 3; 1"},
        {NULL, NULL, "GET /ax", "pass;"},
        {"      - {priority: urgent}", NULL, "GET /", "pass ring 0; 1"},
    };
    RUN(rows);
}

static void S8_a_path_written_in_another_way_is_the_same_path(void **state)
{
    (void)state;
    static const char rules[] = "      - {match: {path: /admin/*}, block: 403}";
    static const struct row rows[] = {
        {rules, NULL, "GET /admin/x", "block 403; 1"},
        {NULL, NULL, "GET //admin/x", "block 403; 1"},
        {NULL, NULL, "GET /%61dmin/x", "block 403; 1"},
        {NULL, NULL, "GET /a/../admin/x", "block 403; 1"},
        {NULL, NULL, "GET /a/%2e%2e/admin/", "block 403; 1"},
        {NULL, NULL, "GET /./admin//x", "block 403; 1"},
        {NULL, NULL, "GET /admin%2Fx", "block 403; 1"},
        {NULL, NULL, "GET /../admin/x", "block 403; 1"},
        {NULL, NULL, "GET /%2561dmin/x", "pass;"},
        {NULL, NULL, "GET /admin", "pass;"},
        {NULL, NULL, "GET /admin/..", "pass;"},
        {NULL, NULL, "GET /%zzadmin/", "pass;"},
    };
    RUN(rows);
}

static void L10_a_rule_marks_the_session(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"      - {match: {method: POST, path: /cart}, session_class: urgent}\n"
         "      - {match: {path: '/c*'}, priority: low}\n"
         "      - {match: {path: /coupon}, session_class: {priority: low, for: 10s}}\n"
         "      - {match: {path: /coupon}, session_class: {priority: high, for: 20s}, redirect: /}",
         NULL, "POST /cart", "pass ring 3 session 0 for 1800 s; 1 2"},
        {NULL, NULL, "GET /cart", "pass ring 3; 2"},
        {NULL, NULL, "GET /coupon", "redirect 302 to / ring 3 session 1 for 20 s; 2 3 4"},
    };
    RUN(rows);
}

static void S8_settings_accumulate_and_the_first_answer_is_the_last(void **state)
{
    (void)state;
    static const char rules[] =
        "      - {match: {path: /s*}, priority: high, limit: {requests: 5}}\n"
        "      - {match: {path: /sh*}, priority: urgent}\n"
        "      - {match: {path: /shop/x}, block: 404}\n"
        "      - {match: {path: /shop/*}, redirect: /elsewhere}\n"
        "      - {match: {path: /st*}, stop: true}\n"
        "      - {match: {path: /*}, limit: {requests: 5}, rewrite: /all}\n";
    static const struct row rows[] = {
        {rules, NULL, "GET /s", "pass as /all ring 1 limits 2; 1 6"},
        {NULL, NULL, "GET /sh", "pass as /all ring 0 limits 2; 1 2 6"},
        {NULL, NULL, "GET /shop/x", "block 404 ring 0 limits 1; 1 2 3"},
        {NULL, NULL, "GET /shop/y", "redirect 302 to /elsewhere ring 0 limits 1; 1 2 4"},
        {NULL, NULL, "GET /st", "pass ring 1 limits 1; 1 5"},
        {NULL, NULL, "GET /z?q", "pass as /all?q limits 1; 6"},
    };
    RUN(rows);
}

static void S8_captures_and_variables_in_targets(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"      - {match: {path: '~ ^/old/(\\w+)/(\\d+)$'}, redirect: {to: 'https://$host/$2/$1', "
         "status: 308}}",
         NULL, "GET /old/book/17?a=b", "redirect 308 to https://shop.example/17/book?a=b; 1"},
        {"      - {match: {path: /a/*/b/*}, rewrite: '/$2?x=$1&$query'}", NULL, "GET /a/1/b/2?z=3",
         "pass as /2?x=1&z=3; 1"},
        {"      - {match: {path: /old*}, redirect: '/new$1'}", NULL, "GET /old",
         "redirect 302 to /new; 1"},
        {"      - {match: {path: /go/*}, redirect: '/$1'}", NULL, "GET /go/%2f/evil.example/",
         "redirect 302 to /evil.example/; 1"},
        {"      - {match: {path: '~ ^/go(.*)'}, redirect: '/$1'}", NULL, "GET /go//evil.example/",
         "redirect 302 to /evil.example/; 1"},
        {"      - {match: {path: /x/*}, redirect: '/$1'}", NULL, "GET /x/a%0d%0aSet-Cookie:%20b",
         "redirect 302 to /a%0D%0ASet-Cookie:%20b; 1"},
        {"      - {match: {path: /x/*}, redirect: '/$1'}", NULL, "GET /x/a%3fb%23c?d",
         "redirect 302 to /a%3Fb%23c?d; 1"},
        {"      - {match: {host: '*.shop.example'}, redirect: '$scheme://shop.example/$1$path'}",
         NULL, "GET /p//q?r\nHost: de.shop.example",
         "redirect 302 to http://shop.example/de/p//q?r; 1"},
        {"      - {redirect: 'https://$host$target'}", NULL, "GET /p?r",
         "redirect 302 to https://shop.example/p?r; 1"},
        {"      - {match: {path: /c*}, redirect: '/$country/$client/$$1/${1}0'}", NULL, "GET /c7",
         "redirect 302 to /DE/192.0.2.9/$1/70; 1"},
    };
    RUN(rows);
}

static void S8_fields_are_changed_in_the_order_of_the_rules(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_non_null(fixture_load(
        &fixture, "      - {request: {set: {X-A: one, X-C: [p, q]}, remove: [X-Gone, Referer]}}\n"
                  "      - {match: {path: /u/*}, request: {set: {X-A: 'user $1'}, add: {X-B: b}}}\n"
                  "      - {response: {set: {X-Served: '$host'}, remove: Server}}"));
    fixture_client(&fixture, "192.0.2.9");
    assert_true(fixture_ask(&fixture, "GET /u/a%0ab\nX-Gone: 1\nX-B: a\nX-A: zero\nReferer: r"));
    struct http_fields *fields = &fixture.head.fields;
    assert_int_equal(rules_edit_fields(fields, &fixture.decision.request), 0);
    struct text text = {0};
    for (uint32_t i = 0; i < fields->count; i++)
        text_add_format(&text, "%.*s=%.*s;", SPAN_ARGS(fields->list[i].name),
                        SPAN_ARGS(fields->list[i].value));
    assert_string_equal(text.data, "Host=shop.example;X-B=a;X-C=p;X-C=q;X-A=user a b;X-B=b;");
    assert_int_equal(fixture.decision.response.count, 2);
    text_clear(&text);
    fixture_clear(&fixture);
}

static void S8_cache_settings_accumulate(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_non_null(fixture_load(
        &fixture, "      - {cache: {ttl: 10m, ignore_query: utm_*, store_cookies: true}}\n"
                  "      - {match: {path: /live/*}, cache: {ttl: 5s, store_cookies: false}}\n"
                  "      - {match: {path: /live/x}, cache: {bypass: true, key: ['cookie:a']}}"));
    assert_true(fixture_ask(&fixture, "GET /live/x"));
    const struct rules_cache *cache = &fixture.decision.cache;
    assert_int_equal(cache->ttl_ns, 5000000000);
    assert_string_equal(cache->ignore_query.items[0], "utm_*");
    assert_string_equal(cache->key.items[0], "cookie:a");
    assert_int_equal(cache->store_cookies, RULES_NO);
    assert_int_equal(cache->bypass, RULES_YES);
    fixture_clear(&fixture);
}

/* What a rule calls /static/x may be another page to the origin: nothing is stored longer for it. */
static void C2_a_path_with_dots_is_stored_only_as_the_origin_says(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        bool is_said;
    } rows[] = {
        {"GET /static/x", true},
        {"GET //static/%78", true},
        {"GET /account/..%2fstatic/x", false},
        {"GET /account/%2e%2e/static/x", false},
        {"GET /static/./x", false},
    };
    struct fixture fixture;
    assert_non_null(fixture_load(&fixture, "      - {match: {path: /static/*}, cache: {ttl: 1h, "
                                           "store_cookies: true, key: cookie:a}}"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(fixture_ask(&fixture, rows[i].request));
        const struct rules_cache *cache = &fixture.decision.cache;
        assert_int_equal(cache->key.count, 1);
        if ((cache->ttl_ns != 0) != rows[i].is_said ||
            (cache->store_cookies == RULES_YES) != rows[i].is_said)
            fail_msg("%s", rows[i].request);
    }
    fixture_clear(&fixture);
}

static void S8_a_regular_expression_cannot_burn_the_processor(void **state)
{
    (void)state;
    struct fixture fixture;
    struct text request = {0};
    assert_non_null(fixture_load(&fixture, "      - {match: {query: '~ ^(a+)+$'}, priority: low}"));
    assert_true(fixture_ask(&fixture, "GET /?aaaa"));
    assert_string_equal(fixture_tell(&fixture), "pass ring 3; 1");
    text_add(&request, "GET /?");
    for (unsigned i = 0; i < 4000; i++)
        text_add(&request, "a");
    text_add(&request, "b");
    assert_true(fixture_ask(&fixture, request.data));
    assert_string_equal(fixture_tell(&fixture), "failed 500;"); /* not: passed by */
    text_clear(&request);
    fixture_clear(&fixture);
}

/* PCRE2's limit holds for each place where a match may begin: there are as many as the client sends bytes. */
static void S8_nor_can_one_that_begins_anywhere(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct rules_matcher *matcher = rules_matcher_new(1);
    struct text subject = {0};
    for (unsigned i = 0; i < 16000; i++)
        text_add(&subject, " ");
    text_add(&subject, "x");
    for (int is_fast = 0; is_fast < 2; is_fast++) {
        struct pattern blanks, end;
        assert_null(pattern_compile(&arena, "~ \\s+$", is_fast, &blanks));
        assert_null(pattern_compile(&arena, "~ (x)$", is_fast, &end));
        uint32_t is_compiled = 0;
        pcre2_config(PCRE2_CONFIG_JIT, &is_compiled);
        matcher->failure = NULL;
        assert_false(pattern_matches(&blanks, text_span(&subject), matcher, NULL));
        assert_true(is_fast && is_compiled ? !matcher->failure : matcher->failure != NULL);
        matcher->failure = NULL;
        assert_true(pattern_matches(&end, text_span(&subject), matcher, NULL));
        assert_null(matcher->failure);
        pattern_clear(&blanks);
        pattern_clear(&end);
    }
    text_clear(&subject);
    rules_matcher_free(&matcher);
    arena_clear(&arena);
}

static void S8_what_is_too_long_fails(void **state)
{
    (void)state;
    struct fixture fixture;
    struct text request = {0};
    assert_non_null(fixture_load(
        &fixture, "      - {match: {path: /x/*}, redirect: 'https://a.example/$1$1$1$1'}"));
    text_add(&request, "GET /x/");
    for (unsigned i = 0; i < 4000; i++)
        text_add(&request, "a");
    assert_true(fixture_ask(&fixture, request.data));
    assert_string_equal(fixture_tell(&fixture), "failed 500; 1");
    text_clear(&request);
    fixture_clear(&fixture);
}

static void L10_limits_tell_keys_apart(void **state)
{
    (void)state;
    struct fixture fixture;
    uint64_t keys[6];
    assert_non_null(
        fixture_load(&fixture, "      - {limit: {requests: 5, by: [client, 'header:X-K']}}"));
    static const struct {
        const char *client, *request;
    } rows[] = {{"192.0.2.1", "GET /"},         {"192.0.2.2", "GET /"},
                {"2001:db8::1", "GET /"},       {"2001:db8::2", "GET /other"},
                {"192.0.2.1", "GET /\nX-K: 1"}, {"192.0.2.1", "GET /\nX-K: 2"}};
    for (size_t i = 0; i < 6; i++) {
        fixture_client(&fixture, rows[i].client);
        assert_true(fixture_ask(&fixture, rows[i].request));
        assert_int_equal(fixture.decision.toll_count, 1);
        keys[i] = fixture.decision.tolls[0].key;
    }
    assert_int_equal(keys[2], keys[3]); /* one /64 is one client */
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(keys[i] != keys[k] || (i == 3 && k == 2));
    fixture_clear(&fixture);
}

static void S8_mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *sentence;
    } rows[] = {
        {"      - {match: {path: '~ a(b'}, block: 403}",
         "c.yaml:10:24: rule: missing closing parenthesis, at character 4 of the regular "
         "expression\n"},
        {"      - {match: {path: '~a'}, block: 403}",
         "c.yaml:10:24: rule: a regular expression is written '~ EXPRESSION', or '~* EXPRESSION' "
         "without case\n"},
        {"      - {match: {methd: GET}, block: 403}",
         "c.yaml:10:18: unknown setting 'methd' in match; did you mean 'method'?\n"},
        {"      - {match: {method: post}, block: 403}",
         "c.yaml:10:26: rule: methods are in upper case; did you mean 'POST'?\n"},
        {"      - {match: {header: {'X Y': a}}, block: 403}",
         "c.yaml:10:27: rule: this is not the name of a header field\n"},
        {"      - {match: {country: Germany}, block: 403}",
         "c.yaml:10:27: rule: a country has two letters (ISO 3166), like DE\n"},
        {"      - {match: {client: 10.0.0.1/8}, block: 403}",
         "c.yaml:10:26: client: '10.0.0.1/8': "},
        {"      - {redirect: '/$hots'}",
         "c.yaml:10:20: rule: unknown variable $hots; did you mean $host?\n"},
        {"      - {redirect: shop.example}",
         "c.yaml:10:20: rule: a redirect goes to a path, or to "},
        {"      - {redirect: {to: /a, status: 304}}",
         "c.yaml:10:37: rule: a redirect has status 301, 302, 303, 307 or 308\n"},
        {"      - {rewrite: a}", "c.yaml:10:19: rule: a path begins with one '/'\n"},
        {"      - {rewrite: '/a b'}",
         "c.yaml:10:19: rule: a URL has no blanks and controls; %20 stands for a blank\n"},
        {"      - {redirect: '/a $1'}",
         "c.yaml:10:20: rule: a URL has no blanks and controls; %20 stands for a blank\n"},
        {"      - {request: {set: {Host: a}}}",
         "c.yaml:10:20: rule: Host is part of the framing and cannot be changed\n"},
        {"      - {limit: {requests: 1, by: cleint}}",
         "c.yaml:10:35: rule: it may be client, network, site, host, path, country, header:NAME, "
         "cookie:NAME or parameter:NAME; did you mean 'client'?\n"},
        {"      - {limit: {per: 1s}}", "c.yaml:10:10: limit: 'requests' is missing\n"},
        {"      - {block: 403, redirect: /a}",
         "c.yaml:10:10: rule: a rule has one answer: redirect, block, answer or files\n"},
        {"      - {match: {path: /a}}", "c.yaml:10:9: rule: the rule does nothing; it may have "},
        {"      - {priority: hihg}",
         "c.yaml:10:20: priority: 'hihg': it may be urgent, high, normal, low, background; did you "
         "mean 'high'?\n"},
        {"      - {block: yes}", "c.yaml:10:17: status: 'yes' is not an integer (like 64)\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture fixture;
        assert_null(fixture_load(&fixture, rows[i].rules));
        if (strncmp(fixture.told.data, rows[i].sentence, strlen(rows[i].sentence)) != 0)
            fail_msg("row %zu: %s", i, fixture.told.data);
        fixture_clear(&fixture);
    }
}

static void add_key(struct fixture *fixture, const char *request, struct text *key)
{
    assert_true(fixture_ask(fixture, request));
    text_add_span(key, rules_cache_target(&fixture->decision, &fixture->facts, &fixture->arena));
    text_add_span(key, span_of("", 1));
    rules_cache_part(&fixture->decision, &fixture->facts, &fixture->arena, key);
}

static void C2_what_chooses_among_stored_answers(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *a, *b;
        bool is_same;
    } rows[] = {
        {"      - {cache: {ignore_query: [utm_*, fbclid]}}", "GET /a?x=1&utm_source=m&y=2&fbclid",
         "GET /a?x=1&y=2", true},
        {NULL, "GET /a?utm_a=1&utm_b=2", "GET /a", true},
        {NULL, "GET /a?utm%5Fa=1", "GET /a?", true},
        {NULL, "GET /a?x=1&y=2", "GET /a?y=2&x=1", false},
        {NULL, "GET /a?x=utm_a", "GET /a", false},
        {"      - {cache: {ignore_query: '*'}}", "GET /a?x=1", "GET /a", true},
        {"      - {cache: {ttl: 1m}}", "GET /a?x=1", "GET /a", false},
        {"      - {cache: {key: [cookie:money, header:X-Kind]}}", "GET /\nCookie: money=euro",
         "GET /\nCookie: a=b; money=euro", true},
        {NULL, "GET /\nCookie: money=euro", "GET /\nCookie: money=yen", false},
        {NULL, "GET /\nCookie: money=euro", "GET /\nX-Kind: euro", false},
        {NULL, "GET /\nCookie: money=ab\nX-Kind: c", "GET /\nCookie: money=a\nX-Kind: bc", false},
        {NULL, "GET /", "GET /\nCookie: other=1", true},
        {NULL, "GET /\nCookie: money=euro", "GET /\nCookie: money=euro; money=yen", false},
        {NULL, "GET /\nCookie: money=euro", "GET /\nCookie: money=euro\nCookie: money=yen", false},
        {NULL, "GET /\nX-Kind: a", "GET /\nX-Kind: a\nX-Kind: b", false},
        {NULL, "GET /", "GET /\nX-Kind:", false},
        {"      - {cache: {key: 'parameter:x', ignore_query: '*'}}", "GET /?x=1&y=2", "GET /?x=1",
         true},
        {NULL, "GET /?x=1", "GET /?x=2", false},
        {NULL, "GET /?x=1", "GET /?x=1&x=2", false},
        {NULL, "GET /?x=1&y=2", "GET /?x=1&y=2;x=3", false},
        {NULL, "GET /", "GET /?x", false},
        {"      - {match: {header: {X-Api: '*'}}, origins: api}", "GET /\nX-Api: 1", "GET /",
         false},
    };
    struct fixture fixture = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text a = {0}, b = {0};
        if (rows[i].rules && fixture.matcher)
            fixture_clear(&fixture);
        if (rows[i].rules && !fixture_load(&fixture, rows[i].rules))
            fail_msg("row %zu: %s", i, fixture.told.data);
        add_key(&fixture, rows[i].a, &a);
        add_key(&fixture, rows[i].b, &b);
        if (span_equal(text_span(&a), text_span(&b)) != rows[i].is_same)
            fail_msg("row %zu: '%s' and '%s'", i, a.data, b.data);
        text_clear(&a);
        text_clear(&b);
    }
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(S8_each_condition_holds_and_fails),
        cmocka_unit_test(S8_a_path_written_in_another_way_is_the_same_path),
        cmocka_unit_test(L10_a_rule_marks_the_session),
        cmocka_unit_test(S8_settings_accumulate_and_the_first_answer_is_the_last),
        cmocka_unit_test(S8_captures_and_variables_in_targets),
        cmocka_unit_test(S8_fields_are_changed_in_the_order_of_the_rules),
        cmocka_unit_test(S8_cache_settings_accumulate),
        cmocka_unit_test(C2_a_path_with_dots_is_stored_only_as_the_origin_says),
        cmocka_unit_test(S8_a_regular_expression_cannot_burn_the_processor),
        cmocka_unit_test(S8_nor_can_one_that_begins_anywhere),
        cmocka_unit_test(S8_what_is_too_long_fails),
        cmocka_unit_test(C2_what_chooses_among_stored_answers),
        cmocka_unit_test(L10_limits_tell_keys_apart),
        cmocka_unit_test(S8_mistakes_are_told_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
