/* SPDX-License-Identifier: Apache-2.0
 *
 * Noise_IKpsk2_25519_ChaChaPoly_SHA256 against the published vector of an independent
 * implementation (cacophony, in Haskell; vectors/cacophony.txt), with the transport messages
 * that follow, in both directions.
 */
#include "transport/noise.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../hex.h"

static const char PROLOGUE[] = "John Galt";
static const char PSK[] = "54686973206973206d7920417573747269616e20706572737065637469766521";
static const char INITIATOR_STATIC[] =
    "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
static const char INITIATOR_EPHEMERAL[] =
    "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
static const char RESPONDER_STATIC[] =
    "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
static const char RESPONDER_EPHEMERAL[] =
    "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";

static const struct {
    const char *payload, *message;
} vector[] = {
    {"4c756477696720766f6e204d69736573", "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3af"
                                         "a4c79442ec9b09893d0f510791784c10cbc95"
                                         "9f25b1766e0def6e301d14fbca1c7790ac829b8b3674f5f649a5f0e98"
                                         "479662cbfbf2b2c47cd4b09fcd266cd29d7cb"
                                         "675f1808849707847840f6d178ec4d3733aa"},
    {"4d757272617920526f746862617264", "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448"
                                       "088439a1b3cebf680b2c74217fcb5eba4ff"
                                       "58a9468cd90c4aca6194f57479b379a7"},
    {"462e20412e20486179656b", "a8fde7a0accec190cd306c5950d4fd8e04a205ec288aa747d8b347"},
    {"4361726c204d656e676572", "59caddd9984a3bbe24c4fb31a2bd455b7eba3fa0980674b1a3a5f9"},
    {"4a65616e2d426170746973746520536179",
     "3b9bfebd210c22ba0cff9de79b4007d7a552fffbf92616881faa8a883e25b80258"},
    {"457567656e2042f6686d20766f6e2042617765726b",
     "f37512df1043d564d7c46ac85c53d3b6a9a05724bc297e7142808f217561651217fe85b782"},
};

struct party {
    struct key static_private, static_public, ephemeral_private, static_shared, psk;
    struct noise noise;
};

static void party_init(struct party *party, const char *static_hex, const char *ephemeral_hex,
                       const struct key *responder_public)
{
    const struct crypto *crypto = crypto_openssl();
    *party = (struct party){0};
    hex_read(static_hex, party->static_private.bytes);
    hex_read(ephemeral_hex, party->ephemeral_private.bytes);
    hex_read(PSK, party->psk.bytes);
    crypto->public_key(crypto, &party->static_private, &party->static_public);
    noise_init(&party->noise, crypto, span_text(PROLOGUE),
               responder_public ? responder_public : &party->static_public);
}

static void parties_init(struct party *initiator, struct party *responder)
{
    const struct crypto *crypto = crypto_openssl();
    party_init(responder, RESPONDER_STATIC, RESPONDER_EPHEMERAL, NULL);
    party_init(initiator, INITIATOR_STATIC, INITIATOR_EPHEMERAL, &responder->static_public);
    assert_int_equal(crypto->shared(crypto, &initiator->static_private, &responder->static_public,
                                    &initiator->static_shared),
                     0);
    assert_int_equal(crypto->shared(crypto, &responder->static_private, &initiator->static_public,
                                    &responder->static_shared),
                     0);
}

static void published_vector(void **state)
{
    (void)state;
    struct party initiator, responder;
    parties_init(&initiator, &responder);
    uint8_t payload[64], expected[160], message[160], got[64];

    size_t length = hex_read(vector[0].payload, payload);
    size_t size = hex_read(vector[0].message, expected);
    assert_int_equal(size, length + NOISE_FIRST_OVERHEAD);
    assert_int_equal(noise_write_first(&initiator.noise, &initiator.ephemeral_private,
                                       &responder.static_public, &initiator.static_public,
                                       &initiator.static_shared, span_of(payload, length), message),
                     0);
    assert_memory_equal(message, expected, size);

    struct key ephemeral, who;
    assert_int_equal(noise_read_static(&responder.noise, &responder.static_private,
                                       span_of(message, size), &ephemeral, &who),
                     0);
    assert_true(key_equal(&who, &initiator.static_public));
    size_t at = KEY_BYTES + NOISE_SEALED_KEY_BYTES;
    assert_int_equal(noise_read_payload(&responder.noise, &responder.static_shared,
                                        span_of(message + at, size - at), got),
                     0);
    assert_memory_equal(got, payload, length);

    length = hex_read(vector[1].payload, payload);
    size = hex_read(vector[1].message, expected);
    assert_int_equal(size, length + NOISE_SECOND_OVERHEAD);
    assert_int_equal(noise_write_second(&responder.noise, &responder.ephemeral_private, &ephemeral,
                                        &who, &responder.psk, span_of(payload, length), message),
                     0);
    assert_memory_equal(message, expected, size);
    assert_int_equal(noise_read_second(&initiator.noise, &initiator.ephemeral_private,
                                       &initiator.static_private, &initiator.psk,
                                       span_of(message, size), got),
                     0);
    assert_memory_equal(got, payload, length);

    struct key forth[2], back[2];
    noise_split(&initiator.noise, &forth[0], &back[0]);
    noise_split(&responder.noise, &forth[1], &back[1]);
    assert_true(key_equal(&forth[0], &forth[1]));
    assert_true(key_equal(&back[0], &back[1]));
    for (size_t i = 2; i < sizeof vector / sizeof *vector; i++) {
        uint8_t nonce[AEAD_NONCE_BYTES] = {0};
        nonce[4] = (uint8_t)((i - 2) / 2); /* little-endian counter, one for each direction */
        length = hex_read(vector[i].payload, payload);
        size = hex_read(vector[i].message, expected);
        crypto_seal_once(crypto_openssl(), AEAD_CHACHA20_POLY1305,
                         i % 2 == 0 ? forth[0].bytes : back[0].bytes, nonce, span_of(NULL, 0),
                         span_of(payload, length), message);
        assert_memory_equal(message, expected, size);
    }
}

static void another_psk_is_refused(void **state)
{
    (void)state;
    struct party initiator, responder;
    parties_init(&initiator, &responder);
    responder.psk.bytes[31] ^= 1;
    uint8_t message[160], got[64];
    struct key ephemeral, who;
    assert_int_equal(noise_write_first(&initiator.noise, &initiator.ephemeral_private,
                                       &responder.static_public, &initiator.static_public,
                                       &initiator.static_shared, SPAN("hello"), message),
                     0);
    assert_int_equal(noise_read_static(&responder.noise, &responder.static_private,
                                       span_of(message, 5 + NOISE_FIRST_OVERHEAD), &ephemeral,
                                       &who),
                     0);
    assert_int_equal(noise_read_payload(&responder.noise, &responder.static_shared,
                                        span_of(message + 80, 5 + AEAD_TAG_BYTES), got),
                     0);
    assert_int_equal(noise_write_second(&responder.noise, &responder.ephemeral_private, &ephemeral,
                                        &who, &responder.psk, SPAN("world"), message),
                     0);
    assert_int_equal(noise_read_second(&initiator.noise, &initiator.ephemeral_private,
                                       &initiator.static_private, &initiator.psk,
                                       span_of(message, 5 + NOISE_SECOND_OVERHEAD), got),
                     ERROR_AUTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vector),
        cmocka_unit_test(another_psk_is_refused),
    };
    return cmocka_run_group_tests_name("noise", tests, NULL, NULL);
}
