/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions: what a cookie says, and the table of those without one.
 */
#include "balance_case.h"

static const uint64_t second = 1000000000;

static struct balance_session_settings signed_by(const char *first, const char *second_secret)
{
    struct balance_session_settings settings = {.kind = BALANCE_SESSION_COOKIE};
    if (first)
        settings.secrets[settings.secret_count++] = span_text(first);
    if (second_secret)
        settings.secrets[settings.secret_count++] = span_text(second_secret);
    return settings;
}

static void L9_a_cookie_names_its_server(void **state)
{
    (void)state;
    static const struct balance_session rows[] = {{1, 0},
                                                  {0xfedcba9876543210, 0},
                                                  {0x0123456789abcdef, 1},
                                                  {7, 1795000000},
                                                  {UINT64_MAX, 0xffffffffff}};
    const struct balance_session_settings settings[] = {signed_by(NULL, NULL),
                                                        signed_by("0123456789abcdef", NULL)};
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            char text[BALANCE_COOKIE_BYTES];
            struct balance_session read;
            struct span cookie =
                balance_cookie_write(crypto_openssl(), &settings[k], SPAN("shop"), &rows[i], text);
            assert_true(
                balance_cookie_read(crypto_openssl(), &settings[k], SPAN("shop"), cookie, &read));
            assert_true(read.identity == rows[i].identity);
            assert_true(read.fresh_until_s == rows[i].fresh_until_s);
        }
}

static void L9_a_plain_cookie_is_what_it_was(void **state)
{
    (void)state; /* others read it after an upgrade */
    const struct balance_session_settings plain = signed_by(NULL, NULL);
    const struct balance_session session = {0xabc, 0x6740f1a2};
    char text[BALANCE_COOKIE_BYTES];
    struct span cookie =
        balance_cookie_write(crypto_openssl(), &plain, SPAN("shop"), &session, text);
    assert_true(span_equal(cookie, SPAN("0000000000000abc.6740f1a2")));
    assert_true(balance_identity(SPAN("http://192.0.2.1:80")) == 0xc60567f966188dd6);
}

static void L9_a_forged_cookie_names_nobody(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_openssl();
    const struct balance_session_settings ours = signed_by("a new secret of ours",
                                                           "the old one of ours"),
                                          old = signed_by("the old one of ours", NULL),
                                          other = signed_by("somebody else's secret", NULL);
    const struct balance_session session = {0xabc, 5};
    struct balance_session read;
    char text[BALANCE_COOKIE_BYTES], changed[BALANCE_COOKIE_BYTES];
    struct span cookie = balance_cookie_write(crypto, &old, SPAN("shop"), &session, text);
    assert_true(balance_cookie_read(crypto, &ours, SPAN("shop"), cookie, &read));
    assert_false(balance_cookie_read(crypto, &other, SPAN("shop"), cookie, &read));
    assert_false(balance_cookie_read(crypto, &ours, SPAN("shoq"), cookie, &read));
    for (size_t i = 0; i < cookie.length; i++) {
        memcpy(changed, text, sizeof text);
        changed[i] = changed[i] == '1' ? '2' : '1';
        assert_false(balance_cookie_read(crypto, &ours, SPAN("shop"),
                                         span_of(changed, cookie.length), &read));
        assert_false(balance_cookie_read(crypto, &ours, SPAN("shop"), span_of(text, i), &read));
        assert_true(read.identity == 0 && read.fresh_until_s == 0);
    }
}

static void L9_what_is_no_cookie_of_ours_is_none(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       "1",
                                       "0000000000000000",
                                       "000000000000abcg",
                                       "000000000000ABCD",
                                       "0000000000000abc1",
                                       "0000000000000abc.",
                                       "0000000000000abc.0",
                                       "0000000000000abc.05",
                                       "0000000000000abc.12345678901",
                                       "0000000000000abc.5.5",
                                       "0000000000000abc-",
                                       "0000000000000abc-00",
                                       "0000000000000abc-00000000000000000000000000000000",
                                       "-0000000000000abc",
                                       "0000000000000abc "};
    const struct balance_session_settings plain = signed_by(NULL, NULL);
    struct balance_session session;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (balance_cookie_read(crypto_openssl(), &plain, SPAN("shop"), span_text(rows[i]),
                                &session))
            fail_msg("'%s' was taken", rows[i]);
}

static bool has(struct balance_sessions *sessions, uint64_t key, uint64_t now_ns, uint64_t identity)
{
    struct balance_session session;
    bool is_there = balance_sessions_find(sessions, key, now_ns, &session);
    assert_true(!is_there || session.identity == identity);
    return is_there;
}

static void put(struct balance_sessions *sessions, uint64_t key, uint64_t now_ns, uint64_t identity)
{
    balance_sessions_put(sessions, key, now_ns, &(struct balance_session){.identity = identity});
}

static void L9_a_session_is_remembered_while_it_is_used(void **state)
{
    (void)state;
    struct balance_sessions *sessions = balance_sessions_new(100, 60 * second, 1);
    assert_false(has(sessions, 5, second, 0));
    put(sessions, 5, second, 77);
    put(sessions, 6, second, 88);
    assert_true(has(sessions, 5, 60 * second, 77));
    assert_false(has(sessions, 6, 63 * second, 88)); /* not heard of for over a minute */
    assert_true(has(sessions, 5, 119 * second, 77));
    put(sessions, 5, 120 * second, 99); /* another server now */
    assert_true(has(sessions, 5, 120 * second, 99));
    put(sessions, 6, 120 * second, 11);
    assert_true(has(sessions, 6, 120 * second, 11));
    assert_int_equal(balance_sessions_count(sessions), 2);
    balance_sessions_free(&sessions);
    assert_null(sessions);
}

static void L9_the_longest_unused_session_makes_room(void **state)
{
    (void)state;
    enum { MOST = 100 };
    struct balance_sessions *sessions = balance_sessions_new(MOST, 3600 * second, 1);
    for (uint64_t key = 0; key < MOST; key++)
        put(sessions, key, second, key + 1);
    for (uint64_t key = 0; key < MOST; key += 2)
        assert_true(has(sessions, key, 2 * second, key + 1));
    for (uint64_t key = 1000; key < 1000 + MOST / 2; key++)
        put(sessions, key, 3 * second, key + 1);
    for (uint64_t key = 0; key < MOST; key++)
        assert_int_equal(has(sessions, key, 3 * second, key + 1), key % 2 == 0);
    assert_int_equal(balance_sessions_count(sessions), MOST);
    balance_sessions_free(&sessions);
}

static void L9_other_bounds_keep_the_sessions_used_last(void **state)
{
    (void)state;
    struct balance_sessions *sessions = balance_sessions_new(100, 3600 * second, 1);
    for (uint64_t key = 0; key < 100; key++)
        put(sessions, key, (key + 1) * second, key + 1);
    balance_sessions_configure(&sessions, 10, 3600 * second);
    for (uint64_t key = 0; key < 100; key++)
        assert_int_equal(has(sessions, key, 100 * second, key + 1), key >= 90);
    balance_sessions_configure(&sessions, 1000, 50 * second);
    assert_true(has(sessions, 95, 120 * second, 96));
    assert_false(has(sessions, 95, 172 * second, 96));
    balance_sessions_free(&sessions);
}

/* Against a table that forgets nothing, with keys that come again. */
static void L9_the_table_is_what_a_plain_one_would_be(void **state)
{
    (void)state;
    enum { KEYS = 64, MOST = 24, ROUNDS = 20000 };
    struct {
        uint64_t identity, used;
    } plain[KEYS] = {0};
    struct random random;
    random_seed(&random, 5);
    struct balance_sessions *sessions = balance_sessions_new(MOST, 100000 * second, 9);
    for (uint64_t now = 1; now < ROUNDS; now++) {
        uint64_t key = random_below(&random, KEYS), newer = 0;
        for (unsigned i = 0; i < KEYS; i++)
            newer += plain[i].used > plain[key].used;
        bool is_there = has(sessions, key, now * second, plain[key].identity);
        assert_int_equal(is_there, plain[key].used && newer < MOST);
        if (is_there)
            plain[key].used = now;
        if (random_below(&random, 2)) {
            plain[key].identity = random_u64(&random) | 1;
            plain[key].used = now;
            put(sessions, key, now * second, plain[key].identity);
        }
    }
    balance_sessions_free(&sessions);
}

static void L9_a_session_goes_where_its_key_says_whatever_the_policy(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(11, 3), server(22, 3), server(33, 3)};
    struct chooser by_hash, by_turns;
    chooser_init(&by_hash, &balance_hash);
    chooser_init(&by_turns, &balance_round_robin);
    by_hash.question.has_key = by_turns.question.has_key = true;
    for (uint64_t key = 0; key < 50; key++) {
        by_hash.question.key = by_turns.question.key = key;
        assert_int_equal(choose(&by_hash, servers, 3), choose(&by_turns, servers, 3));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L9_a_cookie_names_its_server),
        cmocka_unit_test(L9_a_plain_cookie_is_what_it_was),
        cmocka_unit_test(L9_a_forged_cookie_names_nobody),
        cmocka_unit_test(L9_what_is_no_cookie_of_ours_is_none),
        cmocka_unit_test(L9_a_session_is_remembered_while_it_is_used),
        cmocka_unit_test(L9_the_longest_unused_session_makes_room),
        cmocka_unit_test(L9_other_bounds_keep_the_sessions_used_last),
        cmocka_unit_test(L9_the_table_is_what_a_plain_one_would_be),
        cmocka_unit_test(L9_a_session_goes_where_its_key_says_whatever_the_policy),
    };
    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
