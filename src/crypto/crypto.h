/* SPDX-License-Identifier: Apache-2.0
 *
 * Cryptography behind a small table of functions, so that the pure cores (transport/, measure/)
 * name no library and tests can put a counting, seeded or null one in its place. The real table
 * is OpenSSL's: X25519 (RFC 7748), SHA-256, AES-128-GCM and ChaCha20-Poly1305 (RFC 8439). HMAC
 * (RFC 2104) and HKDF (RFC 5869) stand on the table's hash.
 *
 * Requirement ids: T9, R9.
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "base/error.h"
#include "base/random.h"
#include "base/span.h"
#include "base/text.h"

enum {
    KEY_BYTES = 32,      /* X25519 private and public keys, pre-shared keys, secrets */
    KEY_TEXT_BYTES = 45, /* base64 of a key with its padding, and a NUL */
    HASH_BYTES = 32,     /* SHA-256 */
    AEAD_NONCE_BYTES = 12,
    AEAD_TAG_BYTES = 16,
};

/* Any 32 secret or public bytes that are a key. */
struct key {
    uint8_t bytes[KEY_BYTES];
};

/* name, number (on the wire; also the bit in a set of kinds), bytes of its key, text */
#define AEAD_KIND_LIST(X)                            \
    X(CHACHA20_POLY1305, 0, 32, "ChaCha20-Poly1305") \
    X(AES_128_GCM, 1, 16, "AES-128-GCM") /* the better one where both ends have it in hardware */

enum aead_kind {
#define X(name, number, bytes, text) AEAD_##name = (number),
    AEAD_KIND_LIST(X)
#undef X
};
enum { AEAD_KINDS = 2 };

#define AEAD_BIT(kind) (1u << (kind))

size_t aead_key_bytes(enum aead_kind kind);
const char *aead_kind_text(enum aead_kind kind);

/* The one to use of a set of AEAD_BITs. 0 and *kind, or ERROR_UNSUPPORTED when no known bit is
 * set. */
MUST_USE int aead_choose(uint32_t kinds, enum aead_kind *kind);

/* One key ready for use, in either direction. Belongs to one thread at a time. An implementation
 * embeds it first. */
struct aead {
    const struct aead_functions *functions;
};

struct aead_functions {
    void (*seal)(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], struct span associated,
                 struct span plain, uint8_t *out);
    int (*open)(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], struct span associated,
                struct span sealed, uint8_t *out);
    void (*free)(struct aead *aead);
};

/* Writes plain.length + AEAD_TAG_BYTES bytes. `out` is either plain.data itself or does not
 * overlap it. The same nonce is never used twice with one key: that is the caller's duty. */
static inline void aead_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
                             struct span associated, struct span plain, uint8_t *out)
{
    aead->functions->seal(aead, nonce, associated, plain, out);
}

/* Checks and opens `sealed` (bytes and tag), writes sealed.length - AEAD_TAG_BYTES bytes; in
 * place allowed likewise. 0, or ERROR_AUTH: then what was written to `out` is worthless and must
 * not be looked at. */
MUST_USE static inline int aead_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
                                     struct span associated, struct span sealed, uint8_t *out)
{
    return aead->functions->open(aead, nonce, associated, sealed, out);
}

void aead_free(struct aead **aead); /* wipes the key; nulls; NULL inside is fine */

/* The table. A value: copy it and replace a function to count calls or to seed the randomness.
 * The functions may be called from any thread at once; a seeded `random` may not. */
struct crypto {
    const char *name;
    uint32_t aead_kinds; /* AEAD_BITs worth offering on this machine; ChaCha20-Poly1305 always is */

    /* Unpredictable bytes for keys, cookies and epochs. */
    void (*random)(void *random_state, void *out, size_t length);
    void *random_state;

    /* X25519 (RFC 7748). `public_key` is scalar x base point. `shared` is 0, or ERROR_INVALID
     * where the result is all zero (a public key of small order), which must end the handshake
     * (RFC 7748 section 6.1). */
    void (*public_key)(const struct crypto *crypto, const struct key *private_key,
                       struct key *public_key);
    int (*shared)(const struct crypto *crypto, const struct key *private_key,
                  const struct key *public_key, struct key *shared);

    /* SHA-256 of the parts, one behind the other. */
    void (*hash)(const struct crypto *crypto, const struct span *parts, size_t count,
                 uint8_t out[HASH_BYTES]);

    /* A new context for aead_key_bytes(kind) bytes at `key`. */
    struct aead *(*aead_new)(const struct crypto *crypto, enum aead_kind kind, const uint8_t *key);

    const void *state; /* the implementation's own */
};

/* The real one. The table lives as long as the process. */
const struct crypto *crypto_openssl(void);

/* No secrecy at all: for tests and for measuring the cost of what is around. The AEAD copies and
 * appends a fixed tag, which `open` checks; "X25519" is exclusive or; the hash is the real
 * hash's shape only. Never reachable from a configuration. */
const struct crypto *crypto_null(void);

/* `base` with its randomness drawn from `random`, which must outlive it: same seed, same keys,
 * same packets. */
struct crypto crypto_seeded(const struct crypto *base, struct random *random);

/* Hashes built on the table's. HMAC keys may have any length. */
void crypto_hmac(const struct crypto *crypto, struct span key, const struct span *parts,
                 size_t count, uint8_t out[HASH_BYTES]);
void crypto_hkdf_extract(const struct crypto *crypto, struct span salt, struct span input,
                         uint8_t out[HASH_BYTES]);
/* `length` is at most 255 * HASH_BYTES. */
void crypto_hkdf_expand(const struct crypto *crypto, const uint8_t secret[HASH_BYTES],
                        struct span info, uint8_t *out, size_t length);

/* HMAC with other hashes, of any key. */
enum mac_kind { MAC_SHA1, MAC_SHA256, MAC_SHA384, MAC_SHA512 };
enum { MAC_LONGEST_BYTES = 64 }; /* the longest */
void crypto_mac(enum mac_kind kind, struct span key, const struct span *parts, size_t count,
                uint8_t out[MAC_LONGEST_BYTES]);

/* Seals or opens once, for handshakes: a context is made and freed. */
void crypto_seal_once(const struct crypto *crypto, enum aead_kind kind, const uint8_t *key,
                      const uint8_t nonce[AEAD_NONCE_BYTES], struct span associated,
                      struct span plain, uint8_t *out);
MUST_USE int crypto_open_once(const struct crypto *crypto, enum aead_kind kind, const uint8_t *key,
                              const uint8_t nonce[AEAD_NONCE_BYTES], struct span associated,
                              struct span sealed, uint8_t *out);

/* Keys. */
void key_generate(const struct crypto *crypto, struct key *private_key);
void key_random(const struct crypto *crypto,
                struct key *key);                          /* 32 random bytes: a pre-shared key */
MUST_USE int key_parse(struct span text, struct key *key); /* base64; 0 or ERROR_INVALID */
const char *key_text(const struct key *key, char out[KEY_TEXT_BYTES]);
/* The text of the public key that belongs to `private_key`. */
const char *key_public_text(const struct crypto *crypto, const struct key *private_key,
                            char out[KEY_TEXT_BYTES]);
bool key_equal(const struct key *a, const struct key *b); /* in constant time */
bool key_is_zero(const struct key *key);                  /* in constant time */

/* Signatures of DNSSEC: ECDSA on P-256 with SHA-256 (RFC 6605) and Ed25519 (RFC 8080), by the numbers that they have there. */
enum signature_algorithm {
    SIGNATURE_ECDSA_P256 = 13,
    SIGNATURE_ED25519 = 15,
};

enum {
    SIGNATURE_BYTES = 64,        /* of both */
    SIGNATURE_PUBLIC_BYTES = 64, /* the longer one's; Ed25519 has 32 */
    SIGNATURE_PRIVATE_BYTES = 32,
    SIGNATURE_SEED_BYTES =
        48, /* so many uniform bytes make a private key without bias (FIPS 186-5 A.2.1) */
};

struct signature_key;    /* a key pair; immutable, any thread may use it */
struct signature_signer; /* a key made ready for signing; one thread at a time */

size_t signature_public_bytes(enum signature_algorithm algorithm);

/* ERROR_INVALID for bytes that are no private key. */
MUST_USE int signature_key_new(enum signature_algorithm algorithm,
                               const uint8_t private_key[SIGNATURE_PRIVATE_BYTES],
                               struct signature_key **key);
/* The key pair that belongs to a seed: always the same one. */
struct signature_key *signature_key_derive(enum signature_algorithm algorithm,
                                           const uint8_t seed[SIGNATURE_SEED_BYTES]);
void signature_key_free(struct signature_key **key);
const uint8_t *signature_key_public(const struct signature_key *key);
/* The private key in PEM (PKCS #8). */
void signature_key_write_pem(const struct signature_key *key, struct text *pem);
/* Of this process, never used twice. */
uint64_t signature_key_number(const struct signature_key *key);

struct signature_signer *signature_signer_new(const struct signature_key *key);
void signature_signer_free(struct signature_signer **owned);
void signature_sign(struct signature_signer *signer, struct span message,
                    uint8_t signature[SIGNATURE_BYTES]);
bool signature_is_valid(enum signature_algorithm algorithm, struct span public_key,
                        struct span message, const uint8_t signature[SIGNATURE_BYTES]);

/* In time that depends on `length` alone. */
bool bytes_equal_constant_time(const void *a, const void *b, size_t length);
/* Zeroes memory in a way that the compiler keeps. */
void bytes_wipe(void *memory, size_t length);

#endif
