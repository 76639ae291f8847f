/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys as text, choice of AEAD, the null and the seeded table, constant-time comparison.
 */
#include "base/text.h"
#include "crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../hex.h"

static void key_text_round_trip(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_openssl();
    for (int i = 0; i < 100; i++) {
        struct key key, back;
        char text[KEY_TEXT_BYTES];
        key_random(crypto, &key);
        key_text(&key, text);
        assert_int_equal(strlen(text), KEY_TEXT_BYTES - 1);

        struct text same = {0};
        text_add_base64(&same, span_of(key.bytes, KEY_BYTES));
        assert_string_equal(text, same.data);
        text_clear(&same);

        assert_int_equal(key_parse(span_text(text), &back), 0);
        assert_true(key_equal(&key, &back));
    }
}

static void key_parse_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "AAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* no padding */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-A=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct key key;
        assert_int_equal(key_parse(span_text(texts[i]), &key), ERROR_INVALID);
    }
}

static void key_public_text_of_private(void **state)
{
    (void)state;
    struct key private_key, expected, got;
    char text[KEY_TEXT_BYTES];
    hex_read("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893", private_key.bytes);
    hex_read("31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62", expected.bytes);
    key_public_text(crypto_openssl(), &private_key, text);
    assert_int_equal(key_parse(span_text(text), &got), 0);
    assert_true(key_equal(&got, &expected));
}

static void generated_keys_agree(void **state)
{
    (void)state;
    const struct crypto *tables[] = {crypto_openssl(), crypto_null()};
    for (size_t i = 0; i < 2; i++) {
        struct random random;
        random_seed(&random, i);
        struct crypto seeded = crypto_seeded(tables[i], &random);
        struct key a, b, a_public, b_public, ab, ba;
        key_generate(&seeded, &a);
        key_generate(&seeded, &b);
        assert_false(key_equal(&a, &b));
        seeded.public_key(&seeded, &a, &a_public);
        seeded.public_key(&seeded, &b, &b_public);
        assert_int_equal(seeded.shared(&seeded, &a, &b_public, &ab), 0);
        assert_int_equal(seeded.shared(&seeded, &b, &a_public, &ba), 0);
        assert_true(key_equal(&ab, &ba));
        assert_int_equal(a.bytes[0] & 7, 0);
        assert_int_equal(a.bytes[31] & 0xc0, 0x40);
    }
}

static void seeded_random_repeats(void **state)
{
    (void)state;
    uint8_t out[2][37];
    for (int i = 0; i < 2; i++) {
        struct random random;
        random_seed(&random, 42);
        struct crypto seeded = crypto_seeded(crypto_openssl(), &random);
        seeded.random(seeded.random_state, out[i], sizeof out[i]);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
}

static void real_random_differs(void **state)
{
    (void)state;
    struct key a, b;
    key_random(crypto_openssl(), &a);
    key_random(crypto_openssl(), &b);
    assert_false(key_equal(&a, &b));
    assert_false(key_is_zero(&a));
}

static void comparison_sees_every_bit(void **state)
{
    (void)state;
    struct key a, b;
    key_random(crypto_openssl(), &a);
    b = a;
    assert_true(key_equal(&a, &b));
    for (size_t bit = 0; bit < 8 * KEY_BYTES; bit++) {
        b.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(key_equal(&a, &b));
        b.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    struct key zero = {0};
    assert_true(key_is_zero(&zero));
    for (size_t i = 0; i < KEY_BYTES; i++) {
        zero.bytes[i] = 0x80;
        assert_false(key_is_zero(&zero));
        zero.bytes[i] = 0;
    }
    bytes_wipe(&a, sizeof a);
    assert_true(key_is_zero(&a));
}

static void aead_choice(void **state)
{
    (void)state;
    enum aead_kind kind;
    uint32_t chacha = AEAD_BIT(AEAD_CHACHA20_POLY1305), aes = AEAD_BIT(AEAD_AES_128_GCM);
    assert_int_equal(aead_choose(chacha, &kind), 0);
    assert_int_equal(kind, AEAD_CHACHA20_POLY1305);
    assert_int_equal(aead_choose(chacha | aes | 0xfff0, &kind), 0);
    assert_int_equal(kind, AEAD_AES_128_GCM);
    assert_int_equal(aead_choose(aes, &kind), 0);
    assert_int_equal(kind, AEAD_AES_128_GCM);
    assert_int_equal(aead_choose(0, &kind), ERROR_UNSUPPORTED);
    assert_int_equal(aead_choose(0xfff0, &kind), ERROR_UNSUPPORTED);
    assert_true(crypto_openssl()->aead_kinds & chacha);
    assert_string_equal(aead_kind_text(AEAD_AES_128_GCM), "AES-128-GCM");
}

static void null_table_checks_its_tag(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_null();
    uint8_t nonce[AEAD_NONCE_BYTES] = {0}, buffer[4 + AEAD_TAG_BYTES] = "text";
    struct aead *aead = crypto->aead_new(crypto, AEAD_AES_128_GCM, nonce);
    aead_seal(aead, nonce, SPAN(""), span_of(buffer, 4), buffer);
    assert_memory_equal(buffer, "text", 4);
    assert_int_equal(aead_open(aead, nonce, SPAN(""), span_of(buffer, sizeof buffer), buffer), 0);
    buffer[sizeof buffer - 1] ^= 1;
    assert_int_equal(aead_open(aead, nonce, SPAN(""), span_of(buffer, sizeof buffer), buffer),
                     ERROR_AUTH);
    assert_int_equal(aead_open(aead, nonce, SPAN(""), span_of(buffer, 15), buffer), ERROR_AUTH);
    aead_free(&aead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_text_round_trip),        cmocka_unit_test(key_parse_refuses),
        cmocka_unit_test(key_public_text_of_private), cmocka_unit_test(generated_keys_agree),
        cmocka_unit_test(seeded_random_repeats),      cmocka_unit_test(real_random_differs),
        cmocka_unit_test(comparison_sees_every_bit),  cmocka_unit_test(aead_choice),
        cmocka_unit_test(null_table_checks_its_tag),
    };
    return cmocka_run_group_tests_name("crypto keys", tests, NULL, NULL);
}
