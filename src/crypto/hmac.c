/* SPDX-License-Identifier: Apache-2.0
 *
 * HMAC (RFC 2104) and HKDF (RFC 5869) over the table's hash; one-shot sealing. No library in here.
 */
#include "crypto/crypto.h"

enum {
    BLOCK_BYTES = 64,     /* SHA-256's */
    HMAC_PARTS_LIMIT = 6, /* parts that callers pass at most */
};

void crypto_hmac(const struct crypto *crypto, struct span key, const struct span *parts,
                 size_t count, uint8_t out[HASH_BYTES])
{
    INVARIANT(count <= HMAC_PARTS_LIMIT);
    uint8_t padded[BLOCK_BYTES] = {0}, inner[HASH_BYTES];
    if (key.length > BLOCK_BYTES)
        crypto->hash(crypto, &key, 1, padded);
    else if (key.length)
        memcpy(padded, key.data, key.length);

    struct span all[HMAC_PARTS_LIMIT + 1] = {span_of(padded, BLOCK_BYTES)};
    for (size_t i = 0; i < count; i++)
        all[i + 1] = parts[i];
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        padded[i] ^= 0x36;
    crypto->hash(crypto, all, count + 1, inner);

    for (size_t i = 0; i < BLOCK_BYTES; i++)
        padded[i] ^= 0x36 ^ 0x5c;
    crypto->hash(crypto, (struct span[]){span_of(padded, BLOCK_BYTES), span_of(inner, HASH_BYTES)},
                 2, out);
    bytes_wipe(padded, sizeof padded);
    bytes_wipe(inner, sizeof inner);
}

void crypto_hkdf_extract(const struct crypto *crypto, struct span salt, struct span input,
                         uint8_t out[HASH_BYTES])
{
    crypto_hmac(crypto, salt, &input, 1, out);
}

void crypto_hkdf_expand(const struct crypto *crypto, const uint8_t secret[HASH_BYTES],
                        struct span info, uint8_t *out, size_t length)
{
    INVARIANT(length <= 255 * HASH_BYTES);
    uint8_t block[HASH_BYTES];
    size_t block_length = 0; /* T(0) is empty */
    for (uint8_t counter = 1; length; counter++) {
        struct span parts[] = {span_of(block, block_length), info, span_of(&counter, 1)};
        crypto_hmac(crypto, span_of(secret, HASH_BYTES), parts, 3, block);
        block_length = HASH_BYTES;
        size_t taken = length < HASH_BYTES ? length : HASH_BYTES;
        memcpy(out, block, taken);
        out += taken;
        length -= taken;
    }
    bytes_wipe(block, sizeof block);
}

void crypto_seal_once(const struct crypto *crypto, enum aead_kind kind, const uint8_t *key,
                      const uint8_t nonce[AEAD_NONCE_BYTES], struct span associated,
                      struct span plain, uint8_t *out)
{
    struct aead *aead = crypto->aead_new(crypto, kind, key);
    aead_seal(aead, nonce, associated, plain, out);
    aead_free(&aead);
}

int crypto_open_once(const struct crypto *crypto, enum aead_kind kind, const uint8_t *key,
                     const uint8_t nonce[AEAD_NONCE_BYTES], struct span associated,
                     struct span sealed, uint8_t *out)
{
    struct aead *aead = crypto->aead_new(crypto, kind, key);
    int result = aead_open(aead, nonce, associated, sealed, out);
    aead_free(&aead);
    return result;
}
