/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions: what is read from a request, what is remembered, what its answer tells the client (L8, L9).
 */
#include "gateway/session.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
// clang-format on

enum { NOW_S = 1795000000, SERVER = 0xabc, OTHER = 0xdef };
static const uint64_t second = 1000000000;

/* A request on its way, and the site that it is for. */
struct stage {
    struct conf_site site;
    struct arena arena;
    struct http_opening opening;
    struct http_head head, answer;
    struct gateway_session session;
};

static void stage_start(struct stage *stage, enum balance_session_kind kind, const char *name)
{
    memset(stage, 0, sizeof *stage);
    stage->site.name = "shop";
    stage->site.balance.session = (struct balance_session_settings){
        .kind = kind, .name = name, .ipv4_bits = 24, .ipv6_bits = 56, .most = 100};
    http_head_init(&stage->head, &stage->arena);
    http_head_init(&stage->answer, &stage->arena);
    stage->head.method = HTTP_METHOD_GET;
    stage->head.host = SPAN("shop.example");
    stage->head.target = SPAN("/a;v=1/b;sid=p2?x=1&sid=p1&y=2");
    stage->answer.status = 200;
    assert_int_equal(address_parse(SPAN("192.0.2.77"), &stage->opening.client), 0);
}

static void ask(struct stage *stage, const char *name, const char *value)
{
    assert_int_equal(http_fields_add_text(&stage->head.fields, span_text(name), span_text(value)),
                     0);
}

static void answer(struct stage *stage, const char *name, const char *value)
{
    assert_int_equal(http_fields_add_text(&stage->answer.fields, span_text(name), span_text(value)),
                     0);
}

static void read_it(struct stage *stage)
{
    gateway_session_read(&stage->site, &stage->opening, &stage->head, NOW_S, &stage->session);
}

/* Set-Cookie of the answer of that server, or "". */
static struct span told(struct stage *stage, uint64_t identity)
{
    assert_int_equal(gateway_session_tell(&stage->session, &stage->site, &stage->opening, identity,
                                          NOW_S, &stage->answer),
                     0);
    const struct http_field *field = http_fields_find(&stage->answer.fields, HTTP_NAME_SET_COOKIE);
    return field ? field->value : SPAN("");
}

static struct span cookies(const struct stage *stage)
{
    const struct http_field *field = http_fields_find(&stage->head.fields, HTTP_NAME_COOKIE);
    return field ? field->value : SPAN("none");
}

static void L9_the_first_answer_names_the_server(void **state)
{
    (void)state;
    struct stage stage;
    stage_start(&stage, BALANCE_SESSION_COOKIE, "s");
    read_it(&stage);
    assert_true(stage.session.known.identity == 0);
    assert_false(stage.session.has_key);
    assert_true(span_equal(told(&stage, SERVER),
                           SPAN("s=0000000000000abc; Path=/; HttpOnly; SameSite=Lax")));
    stage.opening.is_https = true;
    http_fields_remove(&stage.answer.fields, HTTP_NAME_SET_COOKIE);
    assert_true(span_equal(told(&stage, SERVER),
                           SPAN("s=0000000000000abc; Path=/; HttpOnly; SameSite=Lax; Secure")));
    arena_clear(&stage.arena);
}

static void L9_a_cookie_is_followed_and_kept_from_the_origin(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second, *others;
        uint64_t identity;
    } rows[] = {
        {"s=0000000000000abc", NULL, "none", SERVER},
        {"a=1; s=0000000000000abc; b=2", NULL, "a=1; b=2", SERVER},
        {"a=1;s=0000000000000abc ;", "c=\"x; y\"", "a=1; c=\"x; y\"", SERVER},
        {"a=1; ss=0000000000000abc; S=1", NULL, "a=1; ss=0000000000000abc; S=1", 0},
        {"s=nonsense; a=1", NULL, "a=1", 0},
        {"s", "b", "b", 0},
        {"s=0000000000000abc;a", "b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q;r;t;u;v;w;x;y;z;0;1;2;3",
         "a; b; c; d; e; f; g; h; i; j; k; l; m; n; o; p; q; r; t; u; v; w; x; y; z; 0; 1; 2; 3",
         SERVER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        stage_start(&stage, BALANCE_SESSION_COOKIE, "s");
        ask(&stage, "Cookie", rows[i].first);
        if (rows[i].second)
            ask(&stage, "cookie", rows[i].second);
        read_it(&stage);
        assert_true(stage.session.known.identity == rows[i].identity);
        if (!span_equal(cookies(&stage), span_text(rows[i].others)))
            fail_msg("row %zu: %.*s", i, SPAN_ARGS(cookies(&stage)));
        /* Told again only where it is another server. */
        assert_int_equal(told(&stage, SERVER).length != 0, rows[i].identity != SERVER);
        assert_int_equal(told(&stage, OTHER).length != 0, true);
        arena_clear(&stage.arena);
    }
}

static void L9_each_group_of_origins_has_its_own_cookie(void **state)
{
    (void)state;
    struct stage stage;
    stage_start(&stage, BALANCE_SESSION_COOKIE, "s");
    stage.opening.group = SPAN("api");
    ask(&stage, "Cookie", "s=0000000000000abc; s-api=0000000000000def");
    read_it(&stage);
    assert_true(stage.session.known.identity == OTHER);
    assert_true(span_equal(cookies(&stage), SPAN("s=0000000000000abc")));
    assert_true(span_starts(told(&stage, SERVER), SPAN("s-api=0000000000000abc;")));
    arena_clear(&stage.arena);
}

static void L9_what_caches_give_to_others_sets_no_cookie(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        uint16_t status;
        bool sets;
    } rows[] = {
        {"Cache-Control", "max-age=60", 200, false},
        {"Cache-Control", "no-cache, Public", 200, false},
        {"Cache-Control", "s-maxage=60, max-age=0", 200, false},
        {"Cache-Control", "max-age=0, must-revalidate", 200, true},
        {"Cache-Control", "s-maxage=0", 200, true},
        {"CDN-Cache-Control", "max-age=60", 200, false},
        {"Causeway-Cache-Control", "max-age=60", 200, false},
        {"CDN-Cache-Control", "no-store", 200, true},
        {"CDN-Cache-Control", "max-age=60, private", 200, true},
        {"Cache-Control", "max-age=60, private", 200, true},
        {"Cache-Control", "no-store", 200, true},
        {"Expires", "Sun, 06 Nov 1994 08:49:37 GMT", 200, false},
        {"X-Other", "public", 200, true},
        {"X-Other", "public", 404, true},
        {"X-Other", "public", 304, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        stage_start(&stage, BALANCE_SESSION_COOKIE, "s");
        read_it(&stage);
        stage.answer.status = rows[i].status;
        answer(&stage, rows[i].name, rows[i].value);
        if ((told(&stage, SERVER).length != 0) != rows[i].sets)
            fail_msg("row %zu", i);
        arena_clear(&stage.arena);
    }
}

static uint64_t key_of(enum balance_session_kind kind, const char *name, const char *field,
                       const char *target, const char *client)
{
    struct stage stage;
    stage_start(&stage, kind, name);
    if (field)
        ask(&stage, "X-User", field);
    if (target)
        stage.head.target = span_text(target);
    if (client)
        assert_int_equal(address_parse(span_text(client), &stage.opening.client), 0);
    read_it(&stage);
    assert_int_equal(stage.session.kind, stage.session.has_key ? kind : BALANCE_SESSION_OFF);
    assert_int_equal(told(&stage, SERVER).length, 0);
    arena_clear(&stage.arena);
    return stage.session.has_key ? stage.session.key : 0;
}

static void L9_requests_of_one_value_have_one_key(void **state)
{
    (void)state;
    const enum balance_session_kind header = BALANCE_SESSION_HEADER,
                                    parameter = BALANCE_SESSION_PARAMETER,
                                    client = BALANCE_SESSION_CLIENT;
    uint64_t anna = key_of(header, "x-user", "anna", NULL, NULL);
    assert_true(anna && anna == key_of(header, "X-User", "anna", "/other", "198.51.100.1"));
    assert_true(anna != key_of(header, "X-User", "bert", NULL, NULL));
    assert_true(0 == key_of(header, "X-Nobody", "anna", NULL, NULL));

    uint64_t p1 = key_of(parameter, "sid", NULL, "/a?sid=p1", NULL);
    assert_true(p1 && p1 == key_of(parameter, "sid", NULL, "/b?x&sid=p1&y", NULL));
    assert_true(p1 == key_of(parameter, "sid", NULL, "/b;sid=p1", NULL));
    assert_true(p1 == key_of(parameter, "sid", NULL, "/b;sid=p1/c?x=1", NULL));
    assert_true(p1 == key_of(parameter, "sid", NULL, NULL, NULL)); /* the query first */
    assert_true(p1 != key_of(parameter, "sid", NULL, "/a?sid=p2", NULL));
    assert_true(0 == key_of(parameter, "sid", NULL, "/a?xsid=p1&sid=", NULL));
    assert_true(0 == key_of(parameter, "sid", NULL, "*", NULL));

    uint64_t net = key_of(client, NULL, NULL, NULL, "192.0.2.1");
    assert_true(net && net == key_of(client, NULL, NULL, NULL, "192.0.2.254"));
    assert_true(net == key_of(client, NULL, NULL, NULL, "::ffff:192.0.2.9"));
    assert_true(net != key_of(client, NULL, NULL, NULL, "192.0.3.1"));
    net = key_of(client, NULL, NULL, NULL, "2001:db8:1:200::1");
    assert_true(net == key_of(client, NULL, NULL, NULL, "2001:db8:1:2ff::9"));
    assert_true(net != key_of(client, NULL, NULL, NULL, "2001:db8:1:300::1"));
}

static void L1_policy_hash_has_its_own_key(void **state)
{
    (void)state;
    static const struct {
        enum balance_key key;
        const char *host, *target, *client;
        bool is_same; /* as for shop.example/a?1 of 192.0.2.77 */
    } rows[] = {
        {BALANCE_KEY_PATH, "shop.example", "/a?2", "198.51.100.1", true},
        {BALANCE_KEY_PATH, "shop.example", "/b?1", "192.0.2.77", false},
        {BALANCE_KEY_TARGET, "www.example", "/a?1", "198.51.100.1", true},
        {BALANCE_KEY_TARGET, "shop.example", "/a?2", "192.0.2.77", false},
        {BALANCE_KEY_HOST, "shop.example", "/b", "198.51.100.1", true},
        {BALANCE_KEY_HOST, "www.example", "/a?1", "192.0.2.77", false},
        {BALANCE_KEY_CLIENT, "www.example", "/b", "192.0.2.1", true},
        {BALANCE_KEY_CLIENT, "shop.example", "/a?1", "198.51.100.1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        stage_start(&stage, BALANCE_SESSION_OFF, NULL);
        stage.site.balance.policy = BALANCE_HASH;
        stage.site.balance.key = rows[i].key;
        stage.head.target = SPAN("/a?1");
        read_it(&stage);
        uint64_t key = stage.session.key;
        assert_true(stage.session.has_key);
        assert_int_equal(stage.session.kind, BALANCE_SESSION_OFF);
        stage.head.target = span_text(rows[i].target);
        stage.head.host = span_text(rows[i].host);
        assert_int_equal(address_parse(span_text(rows[i].client), &stage.opening.client), 0);
        read_it(&stage);
        if ((stage.session.key == key) != rows[i].is_same)
            fail_msg("row %zu", i);
        arena_clear(&stage.arena);
    }
}

static void L9_a_session_without_a_cookie_is_in_the_table(void **state)
{
    (void)state;
    struct stage stage;
    stage_start(&stage, BALANCE_SESSION_CLIENT, NULL);
    struct balance_sessions *table = balance_sessions_new(10, 60 * second, 1);
    read_it(&stage);
    gateway_session_find(&stage.session, table, second, NOW_S);
    assert_true(stage.session.known.identity == 0);
    gateway_session_put(&stage.session, table, SERVER, second, NOW_S);
    read_it(&stage);
    gateway_session_find(&stage.session, table, 2 * second, NOW_S);
    assert_true(stage.session.known.identity == SERVER);

    arena_clear(&stage.arena);
    stage_start(&stage, BALANCE_SESSION_COOKIE,
                "s"); /* not of cookies, nor of those that have none */
    read_it(&stage);
    gateway_session_put(&stage.session, table, SERVER, second, NOW_S);
    arena_clear(&stage.arena);
    stage_start(&stage, BALANCE_SESSION_HEADER, "X-User");
    read_it(&stage);
    gateway_session_put(&stage.session, table, SERVER, second, NOW_S);
    gateway_session_put(&stage.session, NULL, SERVER, second, NOW_S);
    assert_int_equal(balance_sessions_count(table), 1);
    balance_sessions_free(&table);
    arena_clear(&stage.arena);
}

static void L8_a_session_that_changed_something_sees_the_original(void **state)
{
    (void)state;
    struct stage stage;
    stage_start(&stage, BALANCE_SESSION_COOKIE, "s");
    stage.site.balance.after_write_ns = 10 * second;
    stage.head.method = HTTP_METHOD_POST;
    read_it(&stage);
    assert_int_equal(stage.session.need, BALANCE_NEEDS_ORIGINAL);
    answer(&stage, "Cache-Control",
           "max-age=60"); /* an answer to POST: a cache keeps it for nobody */
    struct span cookie = told(&stage, SERVER);
    assert_true(span_starts(cookie, SPAN("s=0000000000000abc.6afd86ca;")));

    static const struct {
        const char *cookie;
        uint64_t fresh_until_s;
        enum balance_need need;
    } rows[] = {
        {"s=0000000000000abc.6afd86ca", NOW_S + 10, BALANCE_NEEDS_FRESH},
        {"s=0000000000000abc.6afd86c0", NOW_S, BALANCE_NEEDS_ANY},
        {"s=0000000000000abc.ffffffff", NOW_S + 10,
         BALANCE_NEEDS_FRESH}, /* no longer than is set */
        {"s=0000000000000abc", 0, BALANCE_NEEDS_ANY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage next;
        stage_start(&next, BALANCE_SESSION_COOKIE, "s");
        next.site.balance.after_write_ns = 10 * second;
        ask(&next, "Cookie", rows[i].cookie);
        read_it(&next);
        assert_int_equal(next.session.need, rows[i].need);
        assert_true(next.session.known.fresh_until_s == rows[i].fresh_until_s);
        assert_int_equal(told(&next, SERVER).length, 0); /* nothing new */
        arena_clear(&next.arena);
    }
    arena_clear(&stage.arena);
}

static void L8_the_table_remembers_changes_too(void **state)
{
    (void)state;
    struct stage stage;
    struct balance_sessions *table = balance_sessions_new(10, 3600 * second, 1);
    stage_start(&stage, BALANCE_SESSION_CLIENT, NULL);
    stage.site.balance.after_write_ns = 10 * second;
    stage.head.method = HTTP_METHOD_DELETE;
    read_it(&stage);
    gateway_session_put(&stage.session, table, SERVER, second, NOW_S);
    stage.head.method = HTTP_METHOD_GET;
    read_it(&stage);
    gateway_session_find(&stage.session, table, second, NOW_S + 9);
    assert_int_equal(stage.session.need, BALANCE_NEEDS_FRESH);
    gateway_session_put(&stage.session, table, SERVER, second, NOW_S + 9);
    read_it(&stage);
    gateway_session_find(&stage.session, table, second, NOW_S + 10);
    assert_int_equal(stage.session.need, BALANCE_NEEDS_ANY);
    balance_sessions_free(&table);
    arena_clear(&stage.arena);
}

static void L8_a_session_of_a_mirror_visits_the_original_and_comes_back(void **state)
{
    (void)state;
    struct gateway_session session = {.kind = BALANCE_SESSION_COOKIE, .known = {SERVER, 0}};
    assert_true(gateway_session_may_use(&session, BALANCE_MIRROR));
    assert_true(gateway_session_settle(&session, OTHER, BALANCE_ORIGINAL, true) == OTHER);
    session.need = BALANCE_NEEDS_FRESH;
    assert_false(gateway_session_may_use(&session, BALANCE_MIRROR));
    assert_true(gateway_session_may_use(&session, BALANCE_ORIGINAL));
    assert_true(gateway_session_may_use(&session, BALANCE_EQUAL));
    assert_true(gateway_session_settle(&session, OTHER, BALANCE_ORIGINAL, true) == SERVER);
    assert_true(gateway_session_settle(&session, OTHER, BALANCE_ORIGINAL, false) == OTHER);
    assert_true(gateway_session_settle(&session, OTHER, BALANCE_EQUAL, true) == OTHER);
    session.known.identity = 0;
    assert_true(gateway_session_settle(&session, OTHER, BALANCE_ORIGINAL, true) == OTHER);
}

static void L8_validators_are_read_of_what_can_be_compared(void **state)
{
    (void)state;
    struct stage stage;
    struct balance_validator strong, weak;
    uint64_t target, other;
    stage_start(&stage, BALANCE_SESSION_OFF, NULL);
    assert_false(gateway_session_validator(&stage.head, &stage.answer, NOW_S, &target, &strong));
    answer(&stage, "ETag", "\"v1\"");
    answer(&stage, "Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_true(gateway_session_validator(&stage.head, &stage.answer, NOW_S, &target, &strong));
    assert_true(strong.modified_s == 784111777 && strong.tag);
    http_fields_remove(&stage.answer.fields, HTTP_NAME_ETAG);
    answer(&stage, "ETag", "W/\"v1\"");
    assert_true(gateway_session_validator(&stage.head, &stage.answer, NOW_S, &other, &weak));
    assert_true(weak.tag == strong.tag && other == target);
    ask(&stage, "Accept-Encoding", "gzip");
    assert_true(gateway_session_validator(&stage.head, &stage.answer, NOW_S, &other, &weak));
    assert_true(other != target);
    stage.answer.status = 404;
    assert_false(gateway_session_validator(&stage.head, &stage.answer, NOW_S, &other, &weak));
    stage.answer.status = 200;
    stage.head.method = HTTP_METHOD_POST;
    assert_false(gateway_session_validator(&stage.head, &stage.answer, NOW_S, &other, &weak));
    arena_clear(&stage.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L9_the_first_answer_names_the_server),
        cmocka_unit_test(L9_a_cookie_is_followed_and_kept_from_the_origin),
        cmocka_unit_test(L9_each_group_of_origins_has_its_own_cookie),
        cmocka_unit_test(L9_what_caches_give_to_others_sets_no_cookie),
        cmocka_unit_test(L9_requests_of_one_value_have_one_key),
        cmocka_unit_test(L1_policy_hash_has_its_own_key),
        cmocka_unit_test(L9_a_session_without_a_cookie_is_in_the_table),
        cmocka_unit_test(L8_a_session_that_changed_something_sees_the_original),
        cmocka_unit_test(L8_the_table_remembers_changes_too),
        cmocka_unit_test(L8_a_session_of_a_mirror_visits_the_original_and_comes_back),
        cmocka_unit_test(L8_validators_are_read_of_what_can_be_compared),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
