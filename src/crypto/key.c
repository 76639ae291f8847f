/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys as values and as text, kinds of AEAD, constant-time comparison and wiping. No library in
 * here.
 */
#include "crypto/crypto.h"

#include "base/text.h"

#include <stddef.h>

bool bytes_equal_constant_time(const void *a, const void *b, size_t length)
{
    const volatile uint8_t *p = a, *q = b;
    uint8_t difference = 0;
    for (size_t i = 0; i < length; i++)
        difference |= p[i] ^ q[i];
    return difference == 0;
}

void bytes_wipe(void *memory, size_t length)
{
    explicit_bzero(memory, length);
}

bool key_equal(const struct key *a, const struct key *b)
{
    return bytes_equal_constant_time(a, b, sizeof *a);
}

bool key_is_zero(const struct key *key)
{
    return bytes_equal_constant_time(key, &(const struct key){0}, sizeof *key);
}

void key_random(const struct crypto *crypto, struct key *key)
{
    crypto->random(crypto->random_state, key->bytes, KEY_BYTES);
}

void key_generate(const struct crypto *crypto, struct key *private_key)
{
    key_random(crypto, private_key);
    /* Clamped as RFC 7748 section 5 does at use, so that a private key has one text only. */
    private_key->bytes[0] &= 248;
    private_key->bytes[31] &= 127;
    private_key->bytes[31] |= 64;
}

int key_parse(struct span text, struct key *key)
{
    return base64_decode(text, key->bytes, KEY_BYTES);
}

const char *key_text(const struct key *key, char out[KEY_TEXT_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = key->bytes;
    char *at = out;
    for (size_t i = 0; i < 30; i += 3) {
        uint32_t bits = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *at++ = digits[bits >> shift & 63];
    }
    uint32_t bits = (uint32_t)in[30] << 16 | (uint32_t)in[31] << 8;
    *at++ = digits[bits >> 18 & 63];
    *at++ = digits[bits >> 12 & 63];
    *at++ = digits[bits >> 6 & 63];
    *at++ = '=';
    *at = 0;
    return out;
}

const char *key_public_text(const struct crypto *crypto, const struct key *private_key,
                            char out[KEY_TEXT_BYTES])
{
    struct key public_key;
    crypto->public_key(crypto, private_key, &public_key);
    return key_text(&public_key, out);
}

size_t aead_key_bytes(enum aead_kind kind)
{
    switch (kind) {
#define X(name, number, bytes, text) \
    case AEAD_##name:                \
        return (bytes);
        AEAD_KIND_LIST(X)
#undef X
    }
    return 0;
}

const char *aead_kind_text(enum aead_kind kind)
{
    switch (kind) {
#define X(name, number, bytes, text) \
    case AEAD_##name:                \
        return (text);
        AEAD_KIND_LIST(X)
#undef X
    }
    return "unknown";
}

int aead_choose(uint32_t kinds, enum aead_kind *kind)
{
    if (kinds & AEAD_BIT(AEAD_AES_128_GCM))
        *kind = AEAD_AES_128_GCM;
    else if (kinds & AEAD_BIT(AEAD_CHACHA20_POLY1305))
        *kind = AEAD_CHACHA20_POLY1305;
    else
        return ERROR_UNSUPPORTED;
    return 0;
}

void aead_free(struct aead **aead)
{
    if (*aead)
        (*aead)->functions->free(*aead);
    *aead = NULL;
}

static void random_seeded(void *random_state, void *out, size_t length)
{
    uint8_t *at = out;
    while (length) {
        uint64_t bits = random_u64(random_state);
        size_t taken = length < sizeof bits ? length : sizeof bits;
        memcpy(at, &bits, taken);
        at += taken;
        length -= taken;
    }
}

struct crypto crypto_seeded(const struct crypto *base, struct random *random)
{
    struct crypto crypto = *base;
    crypto.random = random_seeded;
    crypto.random_state = random;
    return crypto;
}
