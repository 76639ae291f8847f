/* SPDX-License-Identifier: Apache-2.0
 *
 * The real table against published vectors: SHA-256 (FIPS 180-2), HMAC (RFC 4231), HKDF (RFC
 * 5869), X25519 (RFC 7748), ChaCha20-Poly1305 (RFC 8439), AES-128-GCM (McGrew and Viega's test
 * cases, as in NIST's).
 */
#include "crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../hex.h"

static void assert_hex(const void *bytes, size_t length, const char *expected)
{
    char text[1024];
    assert_true(2 * length < sizeof text);
    assert_string_equal(hex_write(bytes, length, text), expected);
}

static void sha256_of_parts(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_openssl();
    uint8_t out[HASH_BYTES];
    crypto->hash(crypto, (struct span[]){SPAN("a"), SPAN(""), SPAN("bc")}, 3, out);
    assert_hex(out, sizeof out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto->hash(crypto, NULL, 0, out);
    assert_hex(out, sizeof out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void hmac_rfc4231(void **state)
{
    (void)state;
    uint8_t out[HASH_BYTES], key[131];
    struct span parts[] = {SPAN("what do ya want "), SPAN("for nothing?")};
    crypto_hmac(crypto_openssl(), SPAN("Jefe"), parts, 2, out);
    assert_hex(out, sizeof out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");

    memset(key, 0xaa, sizeof key);
    struct span text = SPAN("Test Using Larger Than Block-Size Key - Hash Key First");
    crypto_hmac(crypto_openssl(), span_of(key, sizeof key), &text, 1, out);
    assert_hex(out, sizeof out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void hkdf_rfc5869(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_openssl();
    uint8_t input[22], salt[13], info[10], secret[HASH_BYTES], out[42];
    memset(input, 0x0b, sizeof input);
    hex_read("000102030405060708090a0b0c", salt);
    hex_read("f0f1f2f3f4f5f6f7f8f9", info);
    crypto_hkdf_extract(crypto, span_of(salt, sizeof salt), span_of(input, sizeof input), secret);
    assert_hex(secret, sizeof secret,
               "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    crypto_hkdf_expand(crypto, secret, span_of(info, sizeof info), out, sizeof out);
    assert_hex(
        out, sizeof out,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");

    crypto_hkdf_extract(crypto, span_of(NULL, 0), span_of(input, sizeof input), secret);
    assert_hex(secret, sizeof secret,
               "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04");
    crypto_hkdf_expand(crypto, secret, span_of(NULL, 0), out, sizeof out);
    assert_hex(
        out, sizeof out,
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

static void x25519_rfc7748(void **state)
{
    (void)state;
    static const struct {
        const char *scalar, *point, *product;
    } cases[] = {
        {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
         "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
         "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
        {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
         "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
         "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
    };
    const struct crypto *crypto = crypto_openssl();
    struct key scalar, point, product;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hex_read(cases[i].scalar, scalar.bytes);
        hex_read(cases[i].point, point.bytes);
        assert_int_equal(crypto->shared(crypto, &scalar, &point, &product), 0);
        assert_hex(&product, sizeof product, cases[i].product);
    }

    /* Section 5.2, iterated: k, u = X25519(k, u), k */
    scalar = point = (struct key){{9}};
    for (int i = 1; i <= 1000; i++) {
        assert_int_equal(crypto->shared(crypto, &scalar, &point, &product), 0);
        point = scalar;
        scalar = product;
        if (i == 1)
            assert_hex(&scalar, sizeof scalar,
                       "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    assert_hex(&scalar, sizeof scalar,
               "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

static void x25519_refuses_points_of_small_order(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    const struct crypto *crypto = crypto_openssl();
    struct key own, point, shared;
    key_generate(crypto, &own);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        hex_read(points[i], point.bytes);
        assert_int_equal(crypto->shared(crypto, &own, &point, &shared), ERROR_INVALID);
    }
}

struct aead_case {
    enum aead_kind kind;
    const char *key, *nonce, *associated, *plain, *sealed;
};

static const struct aead_case aead_cases[] = {
    {AEAD_CHACHA20_POLY1305, /* RFC 8439 section 2.8.2 */
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
     "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a20496620492"
     "0"
     "636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c20737"
     "5"
     "6e73637265656e20776f756c642062652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da927"
     "2"
     "8b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b483"
     "1"
     "d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"},
    {AEAD_AES_128_GCM, /* test case 1 */
     "00000000000000000000000000000000", "000000000000000000000000", "", "",
     "58e2fccefa7e3061367f1d57a4e7455a"},
    {AEAD_AES_128_GCM, /* test case 4 */
     "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b"
     "5"
     "25b16aedf5aa0de657ba637b39",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84a"
     "a"
     "051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"},
};

static void aead_vectors(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_openssl();
    for (size_t i = 0; i < sizeof aead_cases / sizeof *aead_cases; i++) {
        const struct aead_case *c = &aead_cases[i];
        uint8_t key[32], nonce[12], other_nonce[12], associated[64], plain[256], sealed[256],
            out[256];
        assert_int_equal(hex_read(c->key, key), aead_key_bytes(c->kind));
        hex_read(c->nonce, nonce);
        memset(other_nonce, 0x77, sizeof other_nonce);
        struct span aad = span_of(associated, hex_read(c->associated, associated));
        size_t length = hex_read(c->plain, plain), sealed_length = hex_read(c->sealed, sealed);

        /* The context is used in both directions and with other nonces in between. */
        struct aead *aead = crypto->aead_new(crypto, c->kind, key);
        for (int round = 0; round < 3; round++) {
            aead_seal(aead, other_nonce, aad, span_of(plain, length), out);
            aead_seal(aead, nonce, aad, span_of(plain, length), out);
            assert_memory_equal(out, sealed, sealed_length);
            assert_int_equal(aead_open(aead, nonce, aad, span_of(out, sealed_length), out), 0);
            assert_memory_equal(out, plain, length);
            aead_seal(aead, nonce, aad, span_of(out, length), out); /* in place */
            assert_memory_equal(out, sealed, sealed_length);
            assert_int_equal(aead_open(aead, other_nonce, aad, span_of(sealed, sealed_length), out),
                             ERROR_AUTH);
        }
        for (size_t bit = 0; bit < 8 * sealed_length; bit++) {
            sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(aead_open(aead, nonce, aad, span_of(sealed, sealed_length), out),
                             ERROR_AUTH);
            sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t bit = 0; bit < 8 * aad.length; bit++) {
            associated[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(aead_open(aead, nonce, aad, span_of(sealed, sealed_length), out),
                             ERROR_AUTH);
            associated[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t cut = 0; cut < sealed_length; cut++)
            assert_int_equal(aead_open(aead, nonce, aad, span_of(sealed, cut), out), ERROR_AUTH);
        assert_int_equal(aead_open(aead, nonce, aad, span_of(sealed, sealed_length), out), 0);
        aead_free(&aead);
        assert_null(aead);
        aead_free(&aead);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_parts),
        cmocka_unit_test(hmac_rfc4231),
        cmocka_unit_test(hkdf_rfc5869),
        cmocka_unit_test(x25519_rfc7748),
        cmocka_unit_test(x25519_refuses_points_of_small_order),
        cmocka_unit_test(aead_vectors),
    };
    return cmocka_run_group_tests_name("crypto vectors", tests, NULL, NULL);
}
