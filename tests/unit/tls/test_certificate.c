/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates: what is refused with which sentence, names, dates, stapled answers.
 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/crypto.h>

static struct pem authority, rsa, ec, weak;

static int make_all(void **state)
{
    (void)state;
    pem_make(&authority, KEY_EC, "", NULL, -DAY_S, 100 * DAY_S);
    pem_make(&rsa, KEY_RSA, "DNS:a.example", &authority, -DAY_S, 10 * DAY_S);
    pem_make(&ec, KEY_EC, "DNS:A.example,DNS:*.b.example,IP:192.0.2.1", &authority, -DAY_S,
             10 * DAY_S);
    pem_make(&weak, KEY_RSA_SHORT, "DNS:a.example", &authority, -DAY_S, 10 * DAY_S);
    return 0;
}

static int clear_all(void **state)
{
    (void)state;
    pem_clear(&authority);
    pem_clear(&rsa);
    pem_clear(&ec);
    pem_clear(&weak);
    return 0;
}

static void R13_bad_files_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"
                                    "-----END ENCRYPTED PRIVATE KEY-----\n";
    char broken[sizeof rsa.certificate + 64];
    snprintf(broken, sizeof broken, "%s-----BEGIN CERTIFICATE-----\nAAAA\n", rsa.certificate);
    const struct {
        const char *certificate, *key, *sentence;
    } rows[] = {
        {"", rsa.key, "certificate: no certificate in PEM form"},
        {"nothing of the kind", rsa.key, "certificate: no certificate in PEM form"},
        {broken, rsa.key, "certificate: not certificates in PEM form, 16 at most"},
        {rsa.key, rsa.key, "certificate: no certificate in PEM form"},
        {rsa.certificate, "", "key: no private key in PEM form, or one with a passphrase"},
        {rsa.certificate, encrypted, "key: no private key in PEM form, or one with a passphrase"},
        {rsa.certificate, ec.key, "key: it belongs to another certificate"},
        {weak.certificate, weak.key, "an RSA key of less than 2048 bits"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text why = {0};
        assert_null(
            tls_certificate_read(span_text(rows[i].certificate), span_text(rows[i].key), &why));
        assert_string_equal(why.data, rows[i].sentence);
        text_clear(&why);
    }
}

static void R13_names_cover_hosts(void **state)
{
    (void)state;
    struct tls_certificate *certificate = pem_read(&ec);
    const struct {
        const char *host;
        bool is_covered;
    } rows[] = {{"a.example", true},   {"www.a.example", false},
                {"x.b.example", true}, {"X.B.Example", true},
                {"b.example", false},  {"y.x.b.example", false},
                {".b.example", false}, {"", false},
                {"*.b.example", true}, {"192.0.2.1", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (tls_certificate_covers(certificate, span_text(rows[i].host)) != rows[i].is_covered)
            fail_msg("%s", rows[i].host);
    assert_true(tls_certificate_ends_s(certificate) - tls_certificate_begins_s(certificate) ==
                11 * DAY_S);
    tls_certificate_release(&certificate);
    assert_null(certificate);
}

static void R13_made_for_trying_out(void **state)
{
    (void)state;
    static const char *const names[] = {"shop.example", "*.shop.example"};
    struct tls_certificate *certificate = tls_certificate_self_signed(names, 2, 30);
    assert_true(tls_certificate_covers(certificate, SPAN("shop.example")));
    assert_true(tls_certificate_covers(certificate, SPAN("www.shop.example")));
    assert_false(tls_certificate_covers(certificate, SPAN("example")));
    assert_true(tls_certificate_ends_s(certificate) - tls_certificate_begins_s(certificate) ==
                31 * DAY_S);
    tls_certificate_release(&certificate);
    certificate = tls_certificate_self_signed(NULL, 0, 1);
    assert_false(tls_certificate_covers(certificate, SPAN("shop.example")));
    tls_certificate_release(&certificate);
}

static void R13_staples_are_judged(void **state)
{
    (void)state;
    struct tls_certificate *certificate = pem_read(&ec);
    uint64_t now_s = tls_certificate_begins_s(certificate) + DAY_S;
    const struct {
        const struct pem *about, *by;
        bool is_good;
        int64_t ends_in_s;
        int result;
        const char *sentence;
    } rows[] = {
        {&ec, &authority, true, DAY_S, 0, NULL},
        {&rsa, &authority, true, DAY_S, ERROR_INVALID, "it is about another certificate"},
        {&ec, &rsa, true, DAY_S, ERROR_INVALID, "it is not signed by the certificate's issuer"},
        {&ec, &authority, false, DAY_S, ERROR_INVALID,
         "it does not say that the certificate is good"},
        {&ec, &authority, true, -60, ERROR_TIMEOUT, "it has expired: handshakes go without"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t bytes;
        uint8_t *ocsp =
            ocsp_make(rows[i].about, rows[i].by, rows[i].is_good, rows[i].ends_in_s, &bytes);
        struct text why = {0};
        assert_int_equal(tls_certificate_staple(certificate, span_of(ocsp, bytes), now_s, &why),
                         rows[i].result);
        if (rows[i].sentence)
            assert_string_equal(why.data, rows[i].sentence);
        text_clear(&why);
        OPENSSL_free(ocsp);
    }
    struct text why = {0};
    assert_int_equal(tls_certificate_staple(certificate, SPAN("junk"), now_s, &why), ERROR_INVALID);
    text_clear(&why);
    tls_certificate_release(&certificate);
}

static void R13_authorities_are_certificates(void **state)
{
    (void)state;
    struct text why = {0};
    assert_int_equal(tls_authorities_check(span_text(authority.certificate), &why), 0);
    assert_int_equal(tls_authorities_check(SPAN("none"), &why), ERROR_INVALID);
    text_clear(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R13_bad_files_are_refused_with_a_sentence),
        cmocka_unit_test(R13_names_cover_hosts),
        cmocka_unit_test(R13_made_for_trying_out),
        cmocka_unit_test(R13_staples_are_judged),
        cmocka_unit_test(R13_authorities_are_certificates),
    };
    return cmocka_run_group_tests(tests, make_all, clear_all);
}
