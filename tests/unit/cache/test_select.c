/* SPDX-License-Identifier: Apache-2.0
 *
 * Which stored response a request selects: keys (RFC 9111 section 2, 4), Vary (4.1).
 */
#include "scenario.h"

static void C1_rfc9111_2_keys(void **state)
{
    (void)state;
    static const struct {
        bool is_https;
        const char *host;
        uint16_t port;
        const char *target, *key;
    } rows[] = {
        {true, "www.example", 0, "/", "shop https://www.example/"},
        {true, "www.example", 443, "/a?b", "shop https://www.example/a?b"},
        {false, "www.example", 80, "/a", "shop http://www.example/a"},
        {false, "www.example", 443, "/a", "shop http://www.example:443/a"},
        {true, "www.example", 8443, "/a", "shop https://www.example:8443/a"},
        {true, "[2001:db8::1]", 0, "/A%20b", "shop https://[2001:db8::1]/A%20b"},
        {true, "", 0, "/", NULL},
        {true, "www.example", 0, "*", NULL},
        {true, "www.example", 0, "", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text key = {0};
        int result = cache_key_make(&key, SPAN("shop"), rows[i].is_https, span_text(rows[i].host),
                                    rows[i].port, span_text(rows[i].target));
        assert_int_equal(result, rows[i].key ? 0 : ERROR_INVALID);
        if (rows[i].key)
            assert_string_equal(key.data, rows[i].key);
        text_clear(&key);
    }
    static uint8_t long_target[CACHE_KEY_MOST];
    struct text key = {0};
    memset(long_target, '/', sizeof long_target);
    assert_int_equal(cache_key_make(&key, SPAN("shop"), true, SPAN("a"), 0,
                                    span_of(long_target, sizeof long_target)),
                     ERROR_LIMIT);
    text_clear(&key);
}

/* As a purge has it: all variants, and all that rules tell apart under the URL. */
static int key_of_url(struct text *key, struct span site, struct span url)
{
    struct arena arena = {0};
    struct cache_url read = {0};
    int result = cache_url_read(&read, &arena, url);
    if (!result)
        result = cache_key_make(key, site, read.is_https, read.host, read.port, read.target);
    arena_clear(&arena);
    return result;
}

static void C2_a_url_says_what_is_purged(void **state)
{
    (void)state;
    static const struct {
        const char *url, *key;
    } rows[] = {
        {"https://www.Shop.example/a?b", "shop https://www.shop.example/a?b"},
        {"HTTP://shop.example:80/", "shop http://shop.example/"},
        {"http://shop.example:443/", "shop http://shop.example:443/"},
        {"https://shop.example", "shop https://shop.example/"},
        {"https://shop.example?a", "shop https://shop.example/?a"},
        {"https://shop.example/a#b", "shop https://shop.example/a"},
        {"https://[2001:db8::1]:8443/a", "shop https://[2001:db8::1]:8443/a"},
        {"https://", NULL},
        {"https:///a", NULL},
        {"https://a@shop.example/", NULL},
        {"https://shop.example/a b", NULL},
        {"ftp://shop.example/", NULL},
        {"/a", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text key = {0};
        int result = key_of_url(&key, SPAN("shop"), span_text(rows[i].url));
        assert_int_equal(result, rows[i].key ? 0 : ERROR_INVALID);
        if (rows[i].key)
            assert_string_equal(key.data, rows[i].key);
        text_clear(&key);
    }
}

static void variant_of(struct text *variant, const char *vary, const char *request, int expected)
{
    struct heads heads = {0};
    struct text names = {0};
    char lines[256];
    snprintf(lines, sizeof lines, "Vary: %s\n", vary);
    request_read(&heads.request, &heads.arena, "GET", request);
    response_read(&heads.response, &heads.arena, 200, lines, &heads.request);
    assert_int_equal(cache_vary_names(&names, &heads.response.fields), 0);
    assert_int_equal(cache_vary_variant(variant, text_span(&names), &heads.request.fields),
                     expected);
    text_clear(&names);
    arena_clear(&heads.arena);
}

static void C1_rfc9111_4_1_requests_that_match_and_that_do_not(void **state)
{
    (void)state;
    static const struct {
        const char *vary, *a, *b;
        bool is_same;
    } rows[] = {
        {"", "Foo: 1\n", "Foo: 2\n", true},
        {"Foo", "Foo: 1\n", "Foo: 1\n", true},
        {"Foo", "Foo: 1\n", "Foo: 2\n", false},
        {"Foo", "Foo: 1\n", "", false},
        {"Foo", "", "", true},
        {"Foo", "Foo: \n", "", false}, /* empty is not absent */
        {"foo", "Foo: 1\n", "fOO: 1\n", true},
        {"Foo", "Foo: 1\nOther: 2\n", "Foo: 1\nOther: 3\n", true},
        {"Foo, Bar", "Foo: 1\nBar: abc\n", "Bar: abc\nFoo: 1\n", true},
        {"Foo, Bar", "Foo: 1\nBar: abc\n", "Foo: 2\nBar: abc\n", false},
        {"Foo, Bar", "Foo: 1\n", "", false},
        {"Foo, Bar, Baz", "Foo: 1\nBaz: 789\n", "Foo: 1\nBaz: 789\n", true},
        {"Foo, Bar, Baz", "Foo: 1\nBar: abc4\nBaz: 789\n", "Foo: 1\nBar: abc\nBaz: 789\n", false},
        {"Foo", "Foo: 1, 2\n", "Foo: 1\nFoo: 2\n", true}, /* several lines are one list */
        {"Foo", "Foo: 1\nFoo: 2\n", "Foo: 2\nFoo: 1\n", false},
        {"Foo", "Foo: a b\n", "Foo: a  b\n", false}, /* syntax unknown */
        {"Foo, Bar", "Foo: 1\nBar: \n", "Foo: \nBar: 1\n", false},
        {"A, B", "A: x\n", "B: x\n", false},
        {"User-Agent", "User-Agent: a\n", "User-Agent: A\n", false},
        {"Cookie", "Cookie: a=b\n", "Cookie: a=c\n", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text a = {0}, b = {0};
        variant_of(&a, rows[i].vary, rows[i].a, 0);
        variant_of(&b, rows[i].vary, rows[i].b, 0);
        if (span_equal(text_span(&a), text_span(&b)) != rows[i].is_same)
            fail_msg("Vary: %s: %s | %s: %s | %s", rows[i].vary, rows[i].a, rows[i].b, a.data,
                     b.data);
        text_clear(&a);
        text_clear(&b);
    }
}

static void C1_rfc9111_4_1_what_means_the_same_is_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *name, *a, *b;
        bool is_same;
    } rows[] = {
        {"Accept-Encoding", "gzip, br", "br,gzip", true},
        {"Accept-Encoding", "gzip", "GZIP", true},
        {"Accept-Encoding", "gzip;q=0.5, br", "br;q=0.1, gzip;q=1.0", true},
        {"Accept-Encoding", "x-gzip", "gzip", true},
        {"Accept-Encoding", "gzip, gzip", "gzip", true},
        {"Accept-Encoding", "gzip, identity", "gzip", true},
        {"Accept-Encoding", "gzip, deflate;q=0", "gzip", true},
        {"Accept-Encoding", "gzip, br", "gzip", false},
        {"Accept-Encoding", "gzip;q=0", "gzip", false},
        {"Accept-Encoding", "gzip, identity;q=0", "gzip", false},
        {"Accept-Encoding", "*", "gzip", false},
        {"Accept-Encoding", "*, gzip;q=0", "*", false},
        {"Accept-Encoding", "*;q=0, gzip", "gzip", false},
        {"Accept-Encoding", "", "gzip", false},
        {"Accept-Language", "en, de", "de,en", true},
        {"Accept-Language", "EN", "en", true},
        {"Accept-Language", "en;q=0.8,de", "de , en ; q=0.80", true},
        {"Accept-Language", "en;q=0.8, de", "de;q=0.8, en", false},
        {"Accept-Language", "en-GB", "en", false},
        {"Accept", "text/html,*/*;q=0.8", "text/html, */* ; q=0.8", true},
        {"Accept", "text/html", "*/*", false},
        {"Accept", "a/b;c=\"x y\"", "a/b;c=\"xy\"", false},
        {"Accept-Charset", "UTF-8, *", "utf-8,*", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text a = {0}, b = {0};
        char x[128], y[128];
        snprintf(x, sizeof x, "%s: %s\n", rows[i].name, rows[i].a);
        snprintf(y, sizeof y, "%s: %s\n", rows[i].name, rows[i].b);
        variant_of(&a, rows[i].name, x, 0);
        variant_of(&b, rows[i].name, y, 0);
        if (span_equal(text_span(&a), text_span(&b)) != rows[i].is_same)
            fail_msg("%s | %s: %s | %s", x, y, a.data, b.data);
        text_clear(&a);
        text_clear(&b);
    }
}

static void C1_rfc9111_4_1_variants_have_a_limit(void **state)
{
    (void)state;
    struct text lines = {0}, variant = {0};
    text_add(&lines, "Foo: ");
    for (int i = 0; i < CACHE_VARY_MOST / 2; i++)
        text_add(&lines, "x");
    text_add(&lines, "\nBar: ");
    for (int i = 0; i < CACHE_VARY_MOST / 2; i++)
        text_add(&lines, "x");
    text_add(&lines, "\n");
    variant_of(&variant, "Foo, Bar", lines.data, ERROR_LIMIT);
    text_clear(&variant);
    text_clear(&lines);
}

static void C1_rfc9111_4_1_names_are_one_list(void **state)
{
    (void)state;
    struct heads heads = {0};
    struct text names = {0};
    request_read(&heads.request, &heads.arena, "GET", "");
    response_read(&heads.response, &heads.arena, 200, "Vary: Foo, , bar\nVary: FOO,Accept\n",
                  &heads.request);
    assert_int_equal(cache_vary_names(&names, &heads.response.fields), 0);
    assert_string_equal(names.data, "accept,bar,foo");
    text_clear(&names);
    response_read(&heads.response, &heads.arena, 200, "Vary: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\n",
                  &heads.request);
    assert_int_equal(cache_vary_names(&names, &heads.response.fields), ERROR_UNSUPPORTED);
    text_clear(&names);
    arena_clear(&heads.arena);
}

static void stored_fields_are_the_same_behind_packing(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct heads heads = {0};
    struct text packed = {0};
    struct http_fields again;
    request_read(&heads.request, &heads.arena, "GET", "");
    response_read(&heads.response, &heads.arena, 200, "ETag: \"a\"\nX-Foo: bar\nEmpty:\nVary: x\n",
                  &heads.request);
    const struct http_fields *fields = &heads.response.fields;
    assert_int_equal(cache_head_pack(&packed, fields), 0);
    assert_int_equal(cache_head_unpack(&again, &arena, text_span(&packed)), 0);
    assert_int_equal(again.count, fields->count);
    for (uint32_t i = 0; i < again.count; i++) {
        assert_true(span_equal(again.list[i].name, fields->list[i].name));
        assert_true(span_equal(again.list[i].value, fields->list[i].value));
        assert_int_equal(again.list[i].id, fields->list[i].id);
    }
    assert_memory_equal(again.present, fields->present, sizeof again.present);
    for (size_t i = 1; i < packed.length;
         i++) /* cut anywhere: some fields or an error, never more */
        if (cache_head_unpack(&again, &arena, span_of(packed.data, i)) == 0)
            assert_true(again.count < fields->count);
    text_clear(&packed);
    arena_clear(&arena);
    arena_clear(&heads.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_rfc9111_2_keys),
        cmocka_unit_test(C2_a_url_says_what_is_purged),
        cmocka_unit_test(C1_rfc9111_4_1_requests_that_match_and_that_do_not),
        cmocka_unit_test(C1_rfc9111_4_1_what_means_the_same_is_the_same),
        cmocka_unit_test(C1_rfc9111_4_1_variants_have_a_limit),
        cmocka_unit_test(C1_rfc9111_4_1_names_are_one_list),
        cmocka_unit_test(stored_fields_are_the_same_behind_packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
