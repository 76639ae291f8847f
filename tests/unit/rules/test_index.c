/* SPDX-License-Identifier: Apache-2.0
 *
 * The index against trying every rule: whatever holds must be among the candidates, in any set of rules; and of many rules few must be.
 */
#include "base/random.h"
#include "tests/unit/rules/rules_fixture.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { SETS = 60, REQUESTS = 200 };

static const char *one_of(struct random *random, const char *const *words, size_t count)
{
    return words[random_u64(random) % count];
}
#define ONE_OF(random, words) one_of(random, words, sizeof(words) / sizeof *(words))

static void add_condition(struct text *yaml, struct random *random, unsigned depth)
{
    static const char *const singles[] = {"path: /a",
                                          "path: [/a/b, /c]",
                                          "path: /a/*",
                                          "path: /a/b*",
                                          "path: '*'",
                                          "path: '*.png'",
                                          "path: '/a*g'",
                                          "path: '~ ^/a/(b|c)'",
                                          "path: '~ ^/a/b?c'",
                                          "path: '~ b$'",
                                          "path: '~* ^/A'",
                                          "host: shop.example",
                                          "host: '*.shop.example'",
                                          "host: [x.shop.example, '*e']",
                                          "method: GET",
                                          "method: [POST, PURGE]",
                                          "query: a=1",
                                          "query: '*a*'",
                                          "parameter: {a: '1'}",
                                          "parameter: {a: '*', b: x}",
                                          "header: {X-A: one}",
                                          "header: {x-a: '*'}",
                                          "header: {Accept: [a, b]}",
                                          "cookie: {id: '7'}",
                                          "cookie: {id: '*'}",
                                          "client: 10.0.0.0/8",
                                          "client: [10.1.0.0/16, 192.0.2.0/24]",
                                          "client: '10.1.2.0/24'",
                                          "country: DE",
                                          "country: [FR, AT]"};
    static const char *const groups[] = {"any", "all", "not"};
    text_add_format(yaml, "{%s", ONE_OF(random, singles));
    if (depth < 3 && random_u64(random) % 3 == 0) {
        text_add_format(yaml, ", %s: [", ONE_OF(random, groups));
        for (uint64_t i = random_u64(random) % 3 + 1; i; i--) {
            add_condition(yaml, random, depth + 1);
            text_add(yaml, i > 1 ? ", " : "");
        }
        text_add(yaml, "]");
    }
    text_add(yaml, "}");
}

static void ask(struct fixture *fixture, struct random *random)
{
    static const char *const methods[] = {"GET", "POST", "PURGE", "PUT"};
    static const char *const paths[] = {"/a", "/a/b", "/a/c", "/a/bc", "/a/x.png",
                                        "/c", "/",    "/zb",  "/abg",  "//a/./b"};
    static const char *const queries[] = {"", "?a=1", "?b=x&a=2", "?xay"};
    static const char *const hosts[] = {"shop.example", "x.shop.example", "a.b.shop.example"};
    static const char *const fields[] = {"", "\nX-A: one", "\nx-a: two\nAccept: b",
                                         "\nCookie: id=7", "\nCookie: q=1;id=8"};
    static const char *const clients[] = {"10.1.2.3", "10.2.0.1", "192.0.2.1", "2001:db8::1"};
    static const char *const countries[] = {"DE", "AT", "US"};
    char request[512];
    snprintf(request, sizeof request, "%s %s%s\nHost: %s%s", ONE_OF(random, methods),
             ONE_OF(random, paths), ONE_OF(random, queries), ONE_OF(random, hosts),
             ONE_OF(random, fields));
    fixture_client(fixture, ONE_OF(random, clients));
    memcpy(fixture->facts.country, ONE_OF(random, countries), 2);
    assert_true(fixture_ask(fixture, request));
}

static void check(struct fixture *fixture)
{
    struct subject subject;
    struct candidates found;
    subject_init(&subject, &fixture->facts, &fixture->arena);
    index_find(fixture->rules->index, &subject, &found);
    for (size_t i = 0; i < rules_count(fixture->rules); i++) {
        size_t word = i / 64;
        bool is_found =
            found.summary[word / 64] >> (word % 64) & 1 && found.words[word] >> (i % 64) & 1;
        if (!is_found &&
            condition_holds(&fixture->rules->compiled[i].root, &subject, fixture->matcher))
            fail_msg("rule %zu holds for %.*s and was not found", i + 1,
                     SPAN_ARGS(fixture->head.target));
    }
}

static void S8_whatever_holds_is_found(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1);
    for (unsigned set = 0; set < SETS; set++) {
        struct text yaml = {0};
        struct fixture fixture;
        for (uint64_t i = random_u64(&random) % 200 + 1; i; i--) {
            text_add(&yaml, "      - {match: ");
            add_condition(&yaml, &random, 0);
            text_add(&yaml, ", priority: low}\n");
        }
        if (!fixture_load(&fixture, yaml.data))
            fail_msg("%s", fixture.told.data);
        for (unsigned i = 0; i < REQUESTS; i++) {
            ask(&fixture, &random);
            check(&fixture);
        }
        text_clear(&yaml);
        fixture_clear(&fixture);
    }
}

/* Each form by which rules may differ leads past nearly all of them. */
static void S8_of_many_rules_few_are_tried(void **state)
{
    (void)state;
    static const struct {
        const char *form, *request;
    } rows[] = {
        {"path: /page/%u", "GET /page/77"},
        {"path: /folder/%u/*", "GET /folder/77/x"},
        {"path: '*.type%u'", "GET /x.type77"},
        {"path: '~ ^/item/%u/(.*)$'", "GET /item/77/x"},
        {"host: h%u.shop.example", "GET /\nHost: h77.shop.example"},
        {"path: /same, header: {X-Tenant: t%u}", "GET /same\nX-Tenant: t77"},
        {"path: /same/*, cookie: {id: v%u}", "GET /same/\nCookie: a=b; id=v77"},
        {"path: /, parameter: {q: v%u}", "GET /?a&q=v77"},
        {"client: 10.0.%u.0/24", "GET /"},
        {"any: [{path: /one/%u}, {path: /two/%u}]", "GET /two/77"},
        {"all: [{path: /same}, {query: n=%u}]", "GET /same?n=77"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text yaml = {0};
        struct fixture fixture;
        char match[128];
        for (unsigned k = 0; k < 200; k++) {
            // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): of the table above
            snprintf(match, sizeof match, rows[i].form, k, k);
            text_add_format(&yaml, "      - {match: {%s}, priority: low}\n", match);
        }
        if (!fixture_load(&fixture, yaml.data))
            fail_msg("%s", fixture.told.data);
        fixture_client(&fixture, "10.0.77.1");
        assert_true(fixture_ask(&fixture, rows[i].request));
        if (fixture.decision.considered > 2 || fixture.decision.matched_count != 1)
            fail_msg("row %zu: %zu tried, %zu matched", i, fixture.decision.considered,
                     fixture.decision.matched_count);
        assert_int_equal(fixture.decision.matched[0], 77);
        text_clear(&yaml);
        fixture_clear(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(S8_whatever_holds_is_found),
        cmocka_unit_test(S8_of_many_rules_few_are_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
