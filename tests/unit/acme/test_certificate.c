/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, requests and names of certificates, looked at by OpenSSL.
 */
#include "acme/certificate.h"
#include "tls/tls.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

static void R13_a_seed_makes_always_the_same_key(void **state)
{
    (void)state;
    const uint8_t seed[SIGNATURE_SEED_BYTES] = {1, 2, 3}, other[SIGNATURE_SEED_BYTES] = {3};
    struct text one = {0}, two = {0}, three = {0}, fresh = {0};
    acme_key_write(ACME_KEY_ECDSA, seed, &one);
    acme_key_write(ACME_KEY_ECDSA, seed, &two);
    acme_key_write(ACME_KEY_ECDSA, other, &three);
    acme_key_write(ACME_KEY_ECDSA, NULL, &fresh);
    assert_string_equal(one.data, two.data);
    assert_string_not_equal(one.data, three.data);
    assert_string_not_equal(one.data, fresh.data);
    text_clear(&one);
    text_clear(&two);
    text_clear(&three);
    text_clear(&fresh);
}

static void R13_requests_name_all_hosts(void **state)
{
    (void)state;
    const char *const names[] = {"www.shop.example", "*.shop.example"};
    for (int kind = ACME_KEY_ECDSA; kind <= ACME_KEY_RSA; kind++) {
        struct text pem = {0}, der = {0};
        acme_key_write((enum acme_key)kind, NULL, &pem);
        assert_int_equal(acme_request_write(text_span(&pem), names, 2, &der), 0);
        const uint8_t *at = (const uint8_t *)der.data;
        X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)der.length);
        assert_non_null(request);
        EVP_PKEY *key = X509_REQ_get0_pubkey(request);
        assert_int_equal(X509_REQ_verify(request, key), 1);
        assert_int_equal(EVP_PKEY_get_base_id(key),
                         kind == ACME_KEY_RSA ? EVP_PKEY_RSA : EVP_PKEY_EC);
        assert_int_equal(EVP_PKEY_get_bits(key), kind == ACME_KEY_RSA ? 2048 : 256);
        STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
        GENERAL_NAMES *list = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
        assert_int_equal(sk_GENERAL_NAME_num(list), 2);
        for (int i = 0; i < 2; i++) {
            const ASN1_STRING *text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(list, i), NULL);
            assert_string_equal((const char *)ASN1_STRING_get0_data(text), names[i]);
        }
        GENERAL_NAMES_free(list);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        X509_REQ_free(request);
        text_clear(&pem);
        text_clear(&der);
    }
    struct text der = {0};
    assert_int_equal(acme_request_write(SPAN("no key"), names, 2, &der), ERROR_INVALID);
}

/* RFC 9773 appendix A. */
static void rfc9773_appendix_a_certificate_id(void **state)
{
    (void)state;
    static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                              "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt\n"
                              "cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS\n"
                              "BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu\n"
                              "7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf\n"
                              "qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B\n"
                              "yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb\n"
                              "+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK\n"
                              "-----END CERTIFICATE-----\n";
    char id[ACME_ID_BYTES];
    assert_int_equal(acme_certificate_id(span_text(pem), id), 0);
    assert_string_equal(id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    assert_int_equal(acme_certificate_id(SPAN("none"), id), ERROR_INVALID);
    assert_string_equal(id, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R13_a_seed_makes_always_the_same_key),
        cmocka_unit_test(R13_requests_name_all_hosts),
        cmocka_unit_test(rfc9773_appendix_a_certificate_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
