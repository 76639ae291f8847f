/* SPDX-License-Identifier: Apache-2.0
 *
 * Marks of sessions: what is read again, what is refused, and what origins may say (L10).
 */
#include "balance_case.h"

enum { NOW = 1795000000 };

static struct balance_mark_settings signed_by(const char *first, const char *older)
{
    struct balance_mark_settings settings = {.cookie = "causeway-class"};
    settings.secrets[settings.secret_count++] = span_text(first);
    if (older)
        settings.secrets[settings.secret_count++] = span_text(older);
    return settings;
}

static const char secret[] = "0123456789abcdef";

static void L10_a_mark_is_read_again_by_whoever_has_the_secret(void **state)
{
    (void)state;
    const struct balance_mark_settings ours = signed_by(secret, NULL),
                                       next = signed_by("another secret of ours", secret);
    const struct balance_mark_owner owner = {SPAN("shop"), SPAN("a\0b")};
    for (uint8_t class = 0; class < (uint8_t)BALANCE_MARK_CLASSES; class ++) {
        const struct balance_mark mark = {class, NOW + 1};
        struct balance_mark read;
        char text[BALANCE_MARK_BYTES];
        struct span cookie = balance_mark_write(crypto_openssl(), &ours, &owner, &mark, text);
        assert_int_equal(balance_mark_read(crypto_openssl(), &next, &owner, cookie, NOW, &read),
                         BALANCE_MARK_GOOD);
        assert_int_equal(read.class, class);
        assert_true(read.until_s == mark.until_s);
        assert_int_equal(balance_mark_read(crypto_openssl(), &next, &owner, cookie, NOW + 1, &read),
                         BALANCE_MARK_EXPIRED);
        assert_true(read.until_s == 0);
    }
}

static void L10_any_other_text_is_forged(void **state)
{
    (void)state;
    static const struct balance_mark_owner owners[] = {{{(const uint8_t *)"shop", 4}, {0}},
                                                       {{(const uint8_t *)"shoq", 4}, {0}},
                                                       {{(const uint8_t *)"shop", 4},
                                                        {(const uint8_t *)"x", 1}}};
    const struct balance_mark_settings ours = signed_by(secret, NULL),
                                       theirs = signed_by("fedcba9876543210", NULL);
    const struct balance_mark mark = {3, NOW + 100};
    struct balance_mark read;
    char text[BALANCE_MARK_BYTES];
    struct span cookie = balance_mark_write(crypto_openssl(), &ours, &owners[0], &mark, text);
    assert_int_equal(balance_mark_read(crypto_openssl(), &theirs, &owners[0], cookie, NOW, &read),
                     BALANCE_MARK_FORGED);
    for (size_t i = 1; i < 3; i++)
        assert_int_equal(balance_mark_read(crypto_openssl(), &ours, &owners[i], cookie, NOW, &read),
                         BALANCE_MARK_FORGED);
    for (size_t i = 0; i < cookie.length; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ 1 << bit);
            assert_int_equal(balance_mark_read(crypto_openssl(), &ours, &owners[0], cookie, NOW,
                                               &read),
                             BALANCE_MARK_FORGED);
            text[i] = (char)(text[i] ^ 1 << bit);
        }
    for (size_t length = 0; length < cookie.length; length++)
        assert_int_equal(balance_mark_read(crypto_openssl(), &ours, &owners[0],
                                           span_of(text, length), NOW, &read),
                         BALANCE_MARK_FORGED);
    assert_int_equal(balance_mark_read(crypto_openssl(), &ours, &owners[0], cookie, NOW, &read),
                     BALANCE_MARK_GOOD);
}

static void L10_a_mark_is_no_session_cookie(void **state)
{
    (void)state;
    const struct balance_session_settings sessions = {.kind = BALANCE_SESSION_COOKIE,
                                                      .secrets = {span_text(secret)},
                                                      .secret_count = 1};
    const struct balance_mark_settings ours = signed_by(secret, NULL);
    const struct balance_mark_owner owner = {.site = SPAN("shop")};
    struct balance_session session = {7, 0};
    struct balance_mark mark;
    char text[BALANCE_COOKIE_BYTES];
    struct span cookie =
        balance_cookie_write(crypto_openssl(), &sessions, SPAN("shop"), &session, text);
    assert_int_equal(balance_mark_read(crypto_openssl(), &ours, &owner, cookie, NOW, &mark),
                     BALANCE_MARK_FORGED);
}

static void L10_what_an_origin_says(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int class; /* -1: nothing */
        uint64_t seconds;
    } rows[] = {{"urgent", 0, 1800},
                {"high", 1, 1800},
                {" background ", 4, 1800},
                {"normal;for=1", 2, 1},
                {"low ; for=2592000", 3, 2592000},
                {"low;for=2592001", -1, 0},
                {"low;for=0", -1, 0},
                {"low;for=", -1, 0},
                {"low;", -1, 0},
                {"low;for=1s", -1, 0},
                {"low;FOR=1", -1, 0},
                {"low, high", -1, 0},
                {"Urgent", -1, 0},
                {"", -1, 0},
                {";for=1", -1, 0},
                {"low;for=99999999999999999999999", -1, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct balance_mark mark;
        bool is_good = balance_mark_hear(span_text(rows[i].value), NOW, &mark);
        if (is_good != (rows[i].class >= 0) ||
            (is_good && (mark.class != rows[i].class || mark.until_s != NOW + rows[i].seconds)))
            fail_msg("%s", rows[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L10_a_mark_is_read_again_by_whoever_has_the_secret),
        cmocka_unit_test(L10_any_other_text_is_forged),
        cmocka_unit_test(L10_a_mark_is_no_session_cookie),
        cmocka_unit_test(L10_what_an_origin_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
