/* SPDX-License-Identifier: Apache-2.0
 *
 * The table on OpenSSL 3: X25519, SHA-256, randomness. Algorithms are fetched once. openssl_aead.c
 * has the AEADs.
 */
#include "crypto/crypto.h"

#include "crypto/openssl_aead.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

struct openssl_state {
    EVP_MD *sha256;
    struct openssl_cipher ciphers[AEAD_KINDS];
};

/* These calls fail only when memory is out or we pass nonsense; neither can be gone on from. */
static void check(int result)
{
    INVARIANT(result == 1);
}

static struct aead *aead_new(const struct crypto *crypto, enum aead_kind kind, const uint8_t *key)
{
    const struct openssl_state *fetched = crypto->state;
    INVARIANT((unsigned)kind < AEAD_KINDS);
    return openssl_aead_new(&fetched->ciphers[kind], key);
}

static void openssl_random(void *random_state, void *out, size_t length)
{
    (void)random_state;
    check(RAND_bytes(out, (int)length));
}

/* `public_key` NULL: OpenSSL computes it, at half the price of an exchange. */
static EVP_PKEY *private_pkey(const struct key *private_key, const struct key *public_key)
{
    OSSL_PARAM parameters[3] = {OSSL_PARAM_construct_octet_string(
        OSSL_PKEY_PARAM_PRIV_KEY, (void *)private_key->bytes, KEY_BYTES)};
    parameters[1] = public_key
                        ? OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                                            (void *)public_key->bytes, KEY_BYTES)
                        : OSSL_PARAM_construct_end();
    parameters[2] = OSSL_PARAM_construct_end();

    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
    INVARIANT(context != NULL);
    check(EVP_PKEY_fromdata_init(context));
    check(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, parameters));
    EVP_PKEY_CTX_free(context);
    return pkey;
}

static void openssl_public_key(const struct crypto *crypto, const struct key *private_key,
                               struct key *public_key)
{
    (void)crypto;
    EVP_PKEY *pkey = private_pkey(private_key, NULL);
    size_t length = KEY_BYTES;
    check(EVP_PKEY_get_raw_public_key(pkey, public_key->bytes, &length));
    EVP_PKEY_free(pkey);
}

static int openssl_shared(const struct crypto *crypto, const struct key *private_key,
                          const struct key *public_key, struct key *shared)
{
    (void)crypto;
    /* The exchange does not read our own public half, so any will do; without one it would be
     * computed. */
    EVP_PKEY *own = private_pkey(private_key, public_key);
    EVP_PKEY *peer =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key->bytes, KEY_BYTES);
    INVARIANT(peer != NULL);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
    INVARIANT(context != NULL);
    check(EVP_PKEY_derive_init(context));
    check(EVP_PKEY_derive_set_peer_ex(context, peer, 0));
    size_t length = KEY_BYTES;
    /* Derivation itself fails for points of small order only; the comparison does not rest on
     * that. */
    int result = EVP_PKEY_derive(context, shared->bytes, &length) == 1 && !key_is_zero(shared)
                     ? 0
                     : ERROR_INVALID;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    return result;
}

static void openssl_hash(const struct crypto *crypto, const struct span *parts, size_t count,
                         uint8_t out[HASH_BYTES])
{
    const struct openssl_state *fetched = crypto->state;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    INVARIANT(context != NULL);
    check(EVP_DigestInit_ex2(context, fetched->sha256, NULL));
    for (size_t i = 0; i < count; i++)
        check(EVP_DigestUpdate(context, parts[i].data, parts[i].length));
    check(EVP_DigestFinal_ex(context, out, NULL));
    EVP_MD_CTX_free(context);
}

static bool aes_is_in_hardware(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & HWCAP_AES) && (getauxval(AT_HWCAP) & HWCAP_PMULL);
#else
    return false;
#endif
}

static struct openssl_state state;
static struct crypto table = {
    .name = "OpenSSL",
    .random = openssl_random,
    .public_key = openssl_public_key,
    .shared = openssl_shared,
    .hash = openssl_hash,
    .aead_new = aead_new,
    .state = &state,
};

static void fetch_algorithms(void)
{
    state.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    INVARIANT(state.sha256 != NULL);
    openssl_cipher_fetch(&state.ciphers[AEAD_CHACHA20_POLY1305], "ChaCha20-Poly1305");
    openssl_cipher_fetch(&state.ciphers[AEAD_AES_128_GCM], "AES-128-GCM");
    table.aead_kinds =
        AEAD_BIT(AEAD_CHACHA20_POLY1305) | (aes_is_in_hardware() ? AEAD_BIT(AEAD_AES_128_GCM) : 0);
}

const struct crypto *crypto_openssl(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch_algorithms);
    return &table;
}
