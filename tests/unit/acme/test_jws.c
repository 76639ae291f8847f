/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and signatures of ACME, by the examples of their RFCs.
 */
#include "acme/jws.h"
#include "decode.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

/* RFC 7515 appendix A.3.1 */
static const char rfc7515_d[] = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
static const char rfc7515_x[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
static const char rfc7515_y[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

static struct signature_key *rfc7515_key(void)
{
    struct text bytes = {0};
    struct signature_key *key;
    base64url_decode(rfc7515_d, &bytes);
    assert_int_equal(bytes.length, SIGNATURE_PRIVATE_BYTES);
    assert_int_equal(signature_key_new(SIGNATURE_ECDSA_P256, (const uint8_t *)bytes.data, &key), 0);
    text_clear(&bytes);
    return key;
}

static void rfc7515_appendix_c_base64url(void **state)
{
    (void)state;
    const uint8_t bytes[] = {3, 236, 255, 224, 193};
    static const struct {
        size_t length;
        const char *text;
    } rows[] = {{0, NULL}, {1, "Aw"}, {2, "A-w"}, {3, "A-z_"}, {4, "A-z_4A"}, {5, "A-z_4ME"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text text = {0};
        acme_base64url(&text, span_of(bytes, rows[i].length));
        if (rows[i].text)
            assert_string_equal(text.data, rows[i].text);
        else
            assert_int_equal(text.length, 0);
        text_clear(&text);
    }
}

static void rfc7638_section_3_1_thumbprint(void **state)
{
    (void)state;
    char out[ACME_THUMBPRINT_BYTES];
    acme_thumbprint_of(
        SPAN("{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM"
             "78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY"
             "4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgd"
             "AZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
             "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\"}"),
        out);
    assert_string_equal(out, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

static void rfc7515_appendix_a_3_key(void **state)
{
    (void)state;
    struct signature_key *key = rfc7515_key();
    struct text jwk = {0}, wanted = {0}, signature = {0};
    acme_jwk(key, &jwk);
    text_add_format(&wanted, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
                    rfc7515_x, rfc7515_y);
    assert_string_equal(jwk.data, wanted.data);
    base64url_decode(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3"
        "-Kg6NU1Q",
        &signature);
    assert_true(signature_is_valid(
        SIGNATURE_ECDSA_P256, span_of(signature_key_public(key), SIGNATURE_PUBLIC_BYTES),
        SPAN("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
             "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"),
        (const uint8_t *)signature.data));
    text_clear(&jwk);
    text_clear(&wanted);
    text_clear(&signature);
    signature_key_free(&key);
}

/* The header that a request was signed with; its signature is good. A new reference. */
static json_t *open_jws(const struct text *jws, const struct signature_key *key, struct text *said)
{
    json_t *object = json_loadb(jws->data, jws->length, 0, NULL);
    const char *header = json_string_value(json_object_get(object, "protected"));
    const char *payload = json_string_value(json_object_get(object, "payload"));
    struct text bytes = {0}, input = {0}, signature = {0};
    assert_non_null(header);
    assert_non_null(payload);
    base64url_decode(header, &bytes);
    base64url_decode(payload, said);
    base64url_decode(json_string_value(json_object_get(object, "signature")), &signature);
    text_add_format(&input, "%s.%s", header, payload);
    assert_int_equal(json_object_size(object), 3);
    if (key) {
        assert_int_equal(signature.length, SIGNATURE_BYTES);
        assert_true(signature_is_valid(SIGNATURE_ECDSA_P256,
                                       span_of(signature_key_public(key), SIGNATURE_PUBLIC_BYTES),
                                       text_span(&input), (const uint8_t *)signature.data));
    } else {
        uint8_t mac[HASH_BYTES];
        struct span part = text_span(&input);
        crypto_hmac(crypto_openssl(), SPAN("a secret"), &part, 1, mac);
        assert_int_equal(signature.length, sizeof mac);
        assert_memory_equal(signature.data, mac, sizeof mac);
    }
    json_t *opened = json_loadb(bytes.data, bytes.length, 0, NULL);
    json_decref(object);
    text_clear(&bytes);
    text_clear(&input);
    text_clear(&signature);
    return opened;
}

static void rfc8555_section_6_2_requests(void **state)
{
    (void)state;
    struct signature_key *key = rfc7515_key();
    struct text jws = {0}, said = {0};
    struct acme_jws request = {.key = key,
                               .nonce = "5XJ1L3lEkMG7tR6pA00clA",
                               .url = "https://ca.example/new"};
    acme_jws_write(&request, SPAN("{\"a\":1}"), &jws);
    json_t *header = open_jws(&jws, key, &said);
    assert_string_equal(said.data, "{\"a\":1}");
    assert_string_equal(json_string_value(json_object_get(header, "alg")), "ES256");
    assert_string_equal(json_string_value(json_object_get(header, "nonce")), request.nonce);
    assert_string_equal(json_string_value(json_object_get(header, "url")), request.url);
    assert_string_equal(json_string_value(json_object_get(json_object_get(header, "jwk"), "x")),
                        rfc7515_x);
    assert_null(json_object_get(header, "kid"));
    json_decref(header);

    text_clear(&jws);
    text_clear(&said);
    request.account = "https://ca.example/account/1";
    acme_jws_write(&request, (struct span){0}, &jws);
    header = open_jws(&jws, key, &said);
    assert_int_equal(said.length, 0);
    assert_string_equal(json_string_value(json_object_get(header, "kid")), request.account);
    assert_null(json_object_get(header, "jwk"));
    json_decref(header);
    text_clear(&jws);
    text_clear(&said);
    signature_key_free(&key);
}

static void rfc8555_section_7_3_4_binding(void **state)
{
    (void)state;
    struct signature_key *key = rfc7515_key();
    struct text jws = {0}, said = {0}, jwk = {0};
    const struct acme_binding binding = {"customer-7", SPAN("a secret")};
    acme_binding_write(&binding, key, "https://ca.example/new", &jws);
    json_t *header = open_jws(&jws, NULL, &said);
    acme_jwk(key, &jwk);
    assert_string_equal(said.data, jwk.data);
    assert_string_equal(json_string_value(json_object_get(header, "alg")), "HS256");
    assert_string_equal(json_string_value(json_object_get(header, "kid")), "customer-7");
    assert_null(json_object_get(header, "nonce"));
    json_decref(header);
    text_clear(&jws);
    text_clear(&said);
    text_clear(&jwk);
    signature_key_free(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc7515_appendix_c_base64url),
        cmocka_unit_test(rfc7638_section_3_1_thumbprint),
        cmocka_unit_test(rfc7515_appendix_a_3_key),
        cmocka_unit_test(rfc8555_section_6_2_requests),
        cmocka_unit_test(rfc8555_section_7_3_4_binding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
