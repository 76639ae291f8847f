/* SPDX-License-Identifier: Apache-2.0
 *
 * Noise IKpsk2. Function names of the specification (section 5) stand beside ours. The messages
 * are straight lines of tokens.
 */
#include "transport/noise.h"

static const char PROTOCOL_NAME[] = "Noise_IKpsk2_25519_ChaChaPoly_SHA256";

/* MixHash */
static void mix_hash(struct noise *noise, struct span data)
{
    struct span parts[] = {span_of(noise->hash, HASH_BYTES), data};
    noise->crypto->hash(noise->crypto, parts, 2, noise->hash);
}

/* HKDF of section 4.3, with `count` outputs: the next chaining key first. */
static void mix(struct noise *noise, const struct key *input, uint8_t *out, size_t count)
{
    uint8_t secret[HASH_BYTES];
    crypto_hkdf_extract(noise->crypto, span_of(noise->chaining_key, HASH_BYTES),
                        span_of(input->bytes, KEY_BYTES), secret);
    crypto_hkdf_expand(noise->crypto, secret, span_of(NULL, 0), out, count * HASH_BYTES);
    memcpy(noise->chaining_key, out, HASH_BYTES);
    bytes_wipe(secret, sizeof secret);
}

/* MixKey */
static void mix_key(struct noise *noise, const struct key *input)
{
    uint8_t out[2 * HASH_BYTES];
    mix(noise, input, out, 2);
    memcpy(noise->message_key.bytes, out + HASH_BYTES, KEY_BYTES);
    noise->nonce = 0;
    bytes_wipe(out, sizeof out);
}

/* MixKeyAndHash: the token "psk" */
static void mix_psk(struct noise *noise, const struct key *pre_shared_key)
{
    uint8_t out[3 * HASH_BYTES];
    mix(noise, pre_shared_key, out, 3);
    mix_hash(noise, span_of(out + HASH_BYTES, HASH_BYTES));
    memcpy(noise->message_key.bytes, out + 2 * HASH_BYTES, KEY_BYTES);
    noise->nonce = 0;
    bytes_wipe(out, sizeof out);
}

/* The token "e" in a handshake with a pre-shared key (section 9.2). */
static void mix_ephemeral(struct noise *noise, const struct key *ephemeral_public)
{
    mix_hash(noise, span_of(ephemeral_public->bytes, KEY_BYTES));
    mix_key(noise, ephemeral_public);
}

/* MixKey(DH()): the tokens "es", "ee", "se" */
static int mix_shared(struct noise *noise, const struct key *private_key,
                      const struct key *public_key)
{
    struct key shared;
    int result = noise->crypto->shared(noise->crypto, private_key, public_key, &shared);
    if (result == 0)
        mix_key(noise, &shared);
    bytes_wipe(&shared, sizeof shared);
    return result;
}

/* 32 zero bits and the counter, little-endian (section 12.2) */
static void next_nonce(struct noise *noise, uint8_t nonce[AEAD_NONCE_BYTES])
{
    memset(nonce, 0, AEAD_NONCE_BYTES);
    for (unsigned i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(noise->nonce >> (8 * i));
    noise->nonce++;
}

/* EncryptAndHash */
static void seal_and_hash(struct noise *noise, struct span plain, uint8_t *out)
{
    uint8_t nonce[AEAD_NONCE_BYTES];
    next_nonce(noise, nonce);
    crypto_seal_once(noise->crypto, AEAD_CHACHA20_POLY1305, noise->message_key.bytes, nonce,
                     span_of(noise->hash, HASH_BYTES), plain, out);
    mix_hash(noise, span_of(out, plain.length + AEAD_TAG_BYTES));
}

/* DecryptAndHash; in place allowed, so the sealed bytes are hashed before they are gone. */
static int open_and_hash(struct noise *noise, struct span sealed, uint8_t *out)
{
    uint8_t nonce[AEAD_NONCE_BYTES], associated[HASH_BYTES];
    next_nonce(noise, nonce);
    memcpy(associated, noise->hash, HASH_BYTES);
    mix_hash(noise, sealed);
    return crypto_open_once(noise->crypto, AEAD_CHACHA20_POLY1305, noise->message_key.bytes, nonce,
                            span_of(associated, HASH_BYTES), sealed, out);
}

void noise_init(struct noise *noise, const struct crypto *crypto, struct span prologue,
                const struct key *responder_public)
{
    *noise = (struct noise){.crypto = crypto};
    struct span name = span_text(PROTOCOL_NAME); /* longer than a hash, so it is hashed */
    crypto->hash(crypto, &name, 1, noise->hash);
    memcpy(noise->chaining_key, noise->hash, HASH_BYTES);
    mix_hash(noise, prologue);
    mix_hash(noise, span_of(responder_public->bytes, KEY_BYTES));
}

void noise_clear(struct noise *noise)
{
    bytes_wipe(noise, sizeof *noise);
}

int noise_write_first(struct noise *noise, const struct key *ephemeral_private,
                      const struct key *responder_public, const struct key *static_public,
                      const struct key *static_shared, struct span payload, uint8_t *out)
{
    struct key ephemeral_public;
    noise->crypto->public_key(noise->crypto, ephemeral_private, &ephemeral_public);

    memcpy(out, ephemeral_public.bytes, KEY_BYTES);
    mix_ephemeral(noise, &ephemeral_public);                             /* e */
    int result = mix_shared(noise, ephemeral_private, responder_public); /* es */
    if (result < 0)
        return result;
    seal_and_hash(noise, span_of(static_public->bytes, KEY_BYTES), out + KEY_BYTES); /* s */
    mix_key(noise, static_shared);                                                   /* ss */
    seal_and_hash(noise, payload, out + KEY_BYTES + NOISE_SEALED_KEY_BYTES);
    return 0;
}

int noise_read_static(struct noise *noise, const struct key *static_private, struct span message,
                      struct key *ephemeral_public, struct key *initiator_public)
{
    memcpy(ephemeral_public->bytes, message.data, KEY_BYTES);
    mix_ephemeral(noise, ephemeral_public);                           /* e */
    int result = mix_shared(noise, static_private, ephemeral_public); /* es */
    if (result < 0)
        return result;
    return open_and_hash(noise, span_of(message.data + KEY_BYTES, NOISE_SEALED_KEY_BYTES),
                         initiator_public->bytes); /* s */
}

int noise_read_payload(struct noise *noise, const struct key *static_shared, struct span sealed,
                       uint8_t *payload)
{
    mix_key(noise, static_shared); /* ss */
    return open_and_hash(noise, sealed, payload);
}

int noise_write_second(struct noise *noise, const struct key *ephemeral_private,
                       const struct key *initiator_ephemeral, const struct key *initiator_public,
                       const struct key *pre_shared_key, struct span payload, uint8_t *out)
{
    struct key ephemeral_public;
    noise->crypto->public_key(noise->crypto, ephemeral_private, &ephemeral_public);

    memcpy(out, ephemeral_public.bytes, KEY_BYTES);
    mix_ephemeral(noise, &ephemeral_public);                                /* e */
    int result = mix_shared(noise, ephemeral_private, initiator_ephemeral); /* ee */
    if (result == 0)
        result = mix_shared(noise, ephemeral_private, initiator_public); /* se */
    if (result < 0)
        return result;
    mix_psk(noise, pre_shared_key); /* psk */
    seal_and_hash(noise, payload, out + KEY_BYTES);
    return 0;
}

int noise_read_second(struct noise *noise, const struct key *ephemeral_private,
                      const struct key *static_private, const struct key *pre_shared_key,
                      struct span message, uint8_t *payload)
{
    struct key ephemeral_public;
    memcpy(ephemeral_public.bytes, message.data, KEY_BYTES);
    mix_ephemeral(noise, &ephemeral_public);                              /* e */
    int result = mix_shared(noise, ephemeral_private, &ephemeral_public); /* ee */
    if (result == 0)
        result = mix_shared(noise, static_private, &ephemeral_public); /* se */
    if (result < 0)
        return result;
    mix_psk(noise, pre_shared_key); /* psk */
    return open_and_hash(noise, span_from(message, KEY_BYTES), payload);
}

void noise_split(const struct noise *noise, struct key *forth, struct key *back)
{
    uint8_t secret[HASH_BYTES], out[2 * KEY_BYTES];
    crypto_hkdf_extract(noise->crypto, span_of(noise->chaining_key, HASH_BYTES), span_of(NULL, 0),
                        secret);
    crypto_hkdf_expand(noise->crypto, secret, span_of(NULL, 0), out, sizeof out);
    memcpy(forth->bytes, out, KEY_BYTES);
    memcpy(back->bytes, out + KEY_BYTES, KEY_BYTES);
    bytes_wipe(secret, sizeof secret);
    bytes_wipe(out, sizeof out);
}
