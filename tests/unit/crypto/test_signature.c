/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of DNSSEC: the examples of RFC 8032, 8080 and 6605, keys from seeds, and that a changed bit is noticed.
 */
#include "base/text.h"
#include "crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../hex.h"

static struct span public_of(enum signature_algorithm algorithm, const struct signature_key *key)
{
    return span_of(signature_key_public(key), signature_public_bytes(algorithm));
}

/* RFC 8032 section 7.1, tests 1 and 3. */
static void ed25519_examples(void **state)
{
    (void)state;
    static const struct {
        const char *private_key, *public_key, *message, *signature;
    } cases[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
         "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
         "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t private_key[64], message[64], signature[SIGNATURE_BYTES];
        char text[2 * SIGNATURE_BYTES + 1];
        hex_read(cases[i].private_key, private_key);
        size_t length = hex_read(cases[i].message, message);
        struct signature_key *key;
        assert_int_equal(signature_key_new(SIGNATURE_ED25519, private_key, &key), 0);
        assert_string_equal(hex_write(signature_key_public(key), 32, text), cases[i].public_key);
        struct signature_signer *signer = signature_signer_new(key);
        for (int again = 0; again < 2; again++) { /* a signer serves more than once */
            signature_sign(signer, span_of(message, length), signature);
            assert_string_equal(hex_write(signature, sizeof signature, text), cases[i].signature);
        }
        assert_true(signature_is_valid(SIGNATURE_ED25519, public_of(SIGNATURE_ED25519, key),
                                       span_of(message, length), signature));
        signature_signer_free(&signer);
        signature_key_free(&key);
    }
}

/* RFC 6605 section 6.1 and RFC 8080 section 6.1: private and public keys. */
static void public_keys(void **state)
{
    (void)state;
    static const struct {
        enum signature_algorithm algorithm;
        const char *private_key, *public_key;
    } cases[] = {
        {SIGNATURE_ECDSA_P256, "GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=",
         "GojIhhXUN/"
         "u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=="},
        {SIGNATURE_ED25519, "ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=",
         "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t private_key[32];
        assert_int_equal(base64_decode(span_text(cases[i].private_key), private_key, 32), 0);
        struct signature_key *key;
        assert_int_equal(signature_key_new(cases[i].algorithm, private_key, &key), 0);
        struct text text = {0};
        text_add_base64(&text, public_of(cases[i].algorithm, key));
        assert_string_equal(text.data, cases[i].public_key);
        text_clear(&text);
        signature_key_free(&key);
    }
}

static void p256_refuses_what_is_no_scalar(void **state)
{
    (void)state;
    uint8_t private_key[32] = {0};
    struct signature_key *key;
    assert_int_equal(signature_key_new(SIGNATURE_ECDSA_P256, private_key, &key), ERROR_INVALID);
    memset(private_key, 0xff, sizeof private_key);
    assert_int_equal(signature_key_new(SIGNATURE_ECDSA_P256, private_key, &key), ERROR_INVALID);
    assert_null(key);
}

static void signatures_hold_and_break(void **state)
{
    (void)state;
    static const enum signature_algorithm algorithms[] = {SIGNATURE_ECDSA_P256, SIGNATURE_ED25519};
    for (size_t i = 0; i < 2; i++) {
        uint8_t seed[SIGNATURE_SEED_BYTES] = {1, 2, 3}, message[100] = {0};
        struct signature_key *key = signature_key_derive(algorithms[i], seed);
        struct signature_key *same = signature_key_derive(algorithms[i], seed);
        assert_memory_equal(signature_key_public(key), signature_key_public(same),
                            signature_public_bytes(algorithms[i]));
        assert_true(signature_key_number(key) != signature_key_number(same));
        struct signature_signer *signer = signature_signer_new(key);
        /* ECDSA's numbers have leading zeros and set first bits now and then */
        for (unsigned turn = 0; turn < 600; turn++) {
            uint8_t signature[SIGNATURE_BYTES];
            message[0] = (uint8_t)turn;
            message[1] = (uint8_t)(turn >> 8);
            signature_sign(signer, span_of(message, sizeof message), signature);
            struct span public_key = public_of(algorithms[i], same);
            struct span signed_message = span_of(message, sizeof message);
            assert_true(signature_is_valid(algorithms[i], public_key, signed_message, signature));
            signature[turn % SIGNATURE_BYTES] ^= 1;
            assert_false(signature_is_valid(algorithms[i], public_key, signed_message, signature));
        }
        signature_signer_free(&signer);
        signature_key_free(&key);
        seed[0]++;
        key = signature_key_derive(algorithms[i], seed);
        assert_memory_not_equal(signature_key_public(key), signature_key_public(same), 32);
        signature_key_free(&key);
        signature_key_free(&same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ed25519_examples),
        cmocka_unit_test(public_keys),
        cmocka_unit_test(p256_refuses_what_is_no_scalar),
        cmocka_unit_test(signatures_hold_and_break),
    };
    return cmocka_run_group_tests_name("crypto_signature", tests, NULL, NULL);
}
