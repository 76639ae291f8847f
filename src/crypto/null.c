/* SPDX-License-Identifier: Apache-2.0
 *
 * The table without any secrecy, for tests of what is around and for measuring it. Of the real
 * ones it keeps the shapes: lengths, two ends that come to the same secret, a tag that must be
 * there.
 */
#include "crypto/crypto.h"

#include "base/hash.h"
#include "base/memory.h"

static const uint8_t NULL_TAG[AEAD_TAG_BYTES] = "causeway-null-16";

static void null_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
                      struct span associated, struct span plain, uint8_t *out)
{
    (void)aead, (void)nonce, (void)associated;
    if (out != plain.data && plain.length)
        memcpy(out, plain.data, plain.length);
    memcpy(out + plain.length, NULL_TAG, AEAD_TAG_BYTES);
}

static int null_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
                     struct span associated, struct span sealed, uint8_t *out)
{
    (void)aead, (void)nonce, (void)associated;
    if (sealed.length < AEAD_TAG_BYTES)
        return ERROR_AUTH;
    size_t length = sealed.length - AEAD_TAG_BYTES;
    if (memcmp(sealed.data + length, NULL_TAG, AEAD_TAG_BYTES) != 0)
        return ERROR_AUTH;
    if (out != sealed.data && length)
        memcpy(out, sealed.data, length);
    return 0;
}

static void null_free(struct aead *aead)
{
    memory_free(aead);
}

static const struct aead_functions null_functions = {null_seal, null_open, null_free};

static struct aead *null_aead_new(const struct crypto *crypto, enum aead_kind kind,
                                  const uint8_t *key)
{
    (void)crypto, (void)kind, (void)key;
    struct aead *aead = NEW(struct aead);
    aead->functions = &null_functions;
    return aead;
}

static void null_random(void *random_state, void *out, size_t length)
{
    (void)random_state;
    memset(out, 0x5a, length); /* use crypto_seeded() for more */
}

static void null_public_key(const struct crypto *crypto, const struct key *private_key,
                            struct key *public_key)
{
    (void)crypto;
    *public_key = *private_key;
}

static int null_shared(const struct crypto *crypto, const struct key *private_key,
                       const struct key *public_key, struct key *shared)
{
    (void)crypto;
    for (size_t i = 0; i < KEY_BYTES; i++)
        shared->bytes[i] = private_key->bytes[i] ^ public_key->bytes[i];
    return 0;
}

static void null_hash(const struct crypto *crypto, const struct span *parts, size_t count,
                      uint8_t out[HASH_BYTES])
{
    (void)crypto;
    uint64_t lanes[HASH_BYTES / 8] = {1, 2, 3, 4};
    for (size_t i = 0; i < count; i++)
        for (size_t lane = 0; lane < HASH_BYTES / 8; lane++)
            lanes[lane] = hash_span(parts[i], lanes[lane]);
    memcpy(out, lanes, HASH_BYTES);
}

const struct crypto *crypto_null(void)
{
    static const struct crypto table = {
        .name = "null",
        .aead_kinds = AEAD_BIT(AEAD_CHACHA20_POLY1305) | AEAD_BIT(AEAD_AES_128_GCM),
        .random = null_random,
        .public_key = null_public_key,
        .shared = null_shared,
        .hash = null_hash,
        .aead_new = null_aead_new,
    };
    return &table;
}
