/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of DNSSEC on OpenSSL 3. A signer keeps its contexts: what a signature costs beyond the arithmetic is one
 * hash of the message. Signatures of both algorithms are 64 bytes on the wire; OpenSSL's own form of ECDSA's is DER.
 */
#include "crypto/crypto.h"

#include "base/memory.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdatomic.h>

enum {
    SCALAR_BYTES = 32,
    POINT_BYTES = 65,       /* uncompressed, with its leading 4 */
    DER_BYTES = 2 + 2 * 35, /* the longest signature on P-256 */
};

struct signature_key {
    enum signature_algorithm algorithm;
    EVP_PKEY *pkey;
    uint64_t number;
    uint8_t public_key[SIGNATURE_PUBLIC_BYTES];
};

struct signature_signer {
    enum signature_algorithm algorithm;
    EVP_PKEY_CTX *context; /* ECDSA: ready for any number of hashes */
    EVP_MD_CTX *digest;
    EVP_MD *sha256;
};

/* These calls fail only when memory is out or we pass nonsense; neither can be gone on from. */
static void check(int result)
{
    INVARIANT(result == 1);
}

size_t signature_public_bytes(enum signature_algorithm algorithm)
{
    return algorithm == SIGNATURE_ED25519 ? 32 : 64;
}

/* ---- keys ---- */

/* Both coordinates of the point, behind the byte 4 (SEC 1 section 2.3.3). */
static void point_of(const EC_GROUP *group, const BIGNUM *scalar, uint8_t out[POINT_BYTES])
{
    EC_POINT *point = EC_POINT_new(group);
    INVARIANT(point != NULL);
    check(EC_POINT_mul(group, point, scalar, NULL, NULL, NULL));
    INVARIANT(EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, out, POINT_BYTES,
                                 NULL) == POINT_BYTES);
    EC_POINT_free(point);
}

static EVP_PKEY *p256_from(const BIGNUM *scalar, const uint8_t point[POINT_BYTES])
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    INVARIANT(builder && context);
    check(OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1,
                                          0));
    check(OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_BYTES));
    if (scalar)
        check(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar));
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    INVARIANT(parameters != NULL);
    check(EVP_PKEY_fromdata_init(context));
    /* Fails for a point of others that is none of the curve's. */
    if (EVP_PKEY_fromdata(context, &pkey, scalar ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                          parameters) != 1)
        pkey = NULL;
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    return pkey;
}

static struct signature_key *key_of(enum signature_algorithm algorithm, EVP_PKEY *pkey)
{
    static _Atomic uint64_t numbers;
    struct signature_key *key = NEW(struct signature_key);
    key->algorithm = algorithm;
    key->pkey = pkey;
    key->number = atomic_fetch_add(&numbers, 1) + 1;
    return key;
}

static struct signature_key *p256_key(const EC_GROUP *group, const BIGNUM *scalar)
{
    uint8_t point[POINT_BYTES];
    point_of(group, scalar, point);
    EVP_PKEY *pkey = p256_from(scalar, point);
    INVARIANT(pkey != NULL);
    struct signature_key *key = key_of(SIGNATURE_ECDSA_P256, pkey);
    memcpy(key->public_key, point + 1, POINT_BYTES - 1);
    return key;
}

static struct signature_key *ed25519_key(const uint8_t private_key[SIGNATURE_PRIVATE_BYTES])
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, SIGNATURE_PRIVATE_BYTES);
    INVARIANT(pkey != NULL);
    struct signature_key *key = key_of(SIGNATURE_ED25519, pkey);
    size_t length = sizeof key->public_key;
    check(EVP_PKEY_get_raw_public_key(pkey, key->public_key, &length));
    return key;
}

static EC_GROUP *p256_group(void)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    INVARIANT(group != NULL);
    return group;
}

int signature_key_new(enum signature_algorithm algorithm,
                      const uint8_t private_key[SIGNATURE_PRIVATE_BYTES],
                      struct signature_key **key)
{
    *key = NULL;
    if (algorithm == SIGNATURE_ED25519) {
        *key = ed25519_key(private_key);
        return 0;
    }
    EC_GROUP *group = p256_group();
    BIGNUM *scalar = BN_bin2bn(private_key, SCALAR_BYTES, NULL);
    INVARIANT(scalar != NULL);
    if (!BN_is_zero(scalar) && BN_cmp(scalar, EC_GROUP_get0_order(group)) < 0)
        *key = p256_key(group, scalar);
    BN_clear_free(scalar);
    EC_GROUP_free(group);
    return *key ? 0 : ERROR_INVALID;
}

struct signature_key *signature_key_derive(enum signature_algorithm algorithm,
                                           const uint8_t seed[SIGNATURE_SEED_BYTES])
{
    if (algorithm == SIGNATURE_ED25519)
        return ed25519_key(seed);
    /* seed mod (n - 1) + 1 */
    EC_GROUP *group = p256_group();
    BIGNUM *scalar = BN_bin2bn(seed, SIGNATURE_SEED_BYTES, NULL);
    BIGNUM *most = BN_dup(EC_GROUP_get0_order(group));
    BN_CTX *context = BN_CTX_new();
    INVARIANT(scalar && most && context);
    check(BN_sub_word(most, 1));
    check(BN_nnmod(scalar, scalar, most, context));
    check(BN_add_word(scalar, 1));
    struct signature_key *key = p256_key(group, scalar);
    BN_CTX_free(context);
    BN_free(most);
    BN_clear_free(scalar);
    EC_GROUP_free(group);
    return key;
}

void signature_key_free(struct signature_key **owned)
{
    struct signature_key *key = *owned;
    *owned = NULL;
    if (!key)
        return;
    EVP_PKEY_free(key->pkey); /* wipes the scalar with the last signer */
    memory_free(key);
}

const uint8_t *signature_key_public(const struct signature_key *key)
{
    return key->public_key;
}

void signature_key_write_pem(const struct signature_key *key, struct text *pem)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *data;
    INVARIANT(bio != NULL);
    check(PEM_write_bio_PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL));
    long length = BIO_get_mem_data(bio, &data);
    text_add_span(pem, span_of(data, (size_t)length));
    BIO_free(bio);
}

uint64_t signature_key_number(const struct signature_key *key)
{
    return key->number;
}

/* ---- signing ---- */

struct signature_signer *signature_signer_new(const struct signature_key *key)
{
    struct signature_signer *signer = NEW(struct signature_signer);
    signer->algorithm = key->algorithm;
    signer->digest = EVP_MD_CTX_new();
    INVARIANT(signer->digest != NULL);
    if (key->algorithm == SIGNATURE_ED25519) {
        check(EVP_DigestSignInit(signer->digest, NULL, NULL, NULL, key->pkey));
        return signer;
    }
    signer->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    signer->context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    INVARIANT(signer->sha256 && signer->context);
    check(EVP_PKEY_sign_init(signer->context));
    return signer;
}

void signature_signer_free(struct signature_signer **owned)
{
    struct signature_signer *signer = *owned;
    *owned = NULL;
    if (!signer)
        return;
    EVP_PKEY_CTX_free(signer->context);
    EVP_MD_CTX_free(signer->digest);
    EVP_MD_free(signer->sha256);
    memory_free(signer);
}

/* One INTEGER of a DER signature, which OpenSSL wrote, as 32 bytes. Returns the position behind it. */
static const uint8_t *scalar_from_der(const uint8_t *at, uint8_t out[SCALAR_BYTES])
{
    size_t length = at[1];
    at += 2;
    const uint8_t *end = at + length;
    for (; length > SCALAR_BYTES; length--)
        at++; /* the zero in front of a number whose first bit is set */
    memset(out, 0, SCALAR_BYTES - length);
    memcpy(out + SCALAR_BYTES - length, at, length);
    return end;
}

static size_t scalar_to_der(const uint8_t in[SCALAR_BYTES], uint8_t *out)
{
    size_t from = 0;
    while (from < SCALAR_BYTES - 1 && !in[from])
        from++;
    size_t zero = in[from] >> 7, length = SCALAR_BYTES - from;
    out[0] = 2;
    out[1] = (uint8_t)(length + zero);
    out[2] = 0;
    memcpy(out + 2 + zero, in + from, length);
    return 2 + zero + length;
}

void signature_sign(struct signature_signer *signer, struct span message,
                    uint8_t signature[SIGNATURE_BYTES])
{
    size_t length = SIGNATURE_BYTES;
    if (signer->algorithm == SIGNATURE_ED25519) {
        check(EVP_DigestSign(signer->digest, signature, &length, message.data, message.length));
        check(EVP_DigestSignInit(signer->digest, NULL, NULL, NULL, NULL)); /* ready for the next */
        return;
    }
    uint8_t hash[HASH_BYTES], der[DER_BYTES];
    check(EVP_DigestInit_ex2(signer->digest, signer->sha256, NULL));
    check(EVP_DigestUpdate(signer->digest, message.data, message.length));
    check(EVP_DigestFinal_ex(signer->digest, hash, NULL));
    length = sizeof der;
    check(EVP_PKEY_sign(signer->context, der, &length, hash, sizeof hash));
    scalar_from_der(scalar_from_der(der + 2, signature), signature + SCALAR_BYTES);
}

static bool is_valid_p256(struct span public_key, struct span message,
                          const uint8_t signature[SIGNATURE_BYTES])
{
    uint8_t point[POINT_BYTES] = {POINT_CONVERSION_UNCOMPRESSED}, der[DER_BYTES] = {0x30};
    memcpy(point + 1, public_key.data, POINT_BYTES - 1);
    EVP_PKEY *pkey = p256_from(NULL, point);
    if (!pkey)
        return false;
    size_t length = 2;
    length += scalar_to_der(signature, der + length);
    length += scalar_to_der(signature + SCALAR_BYTES, der + length);
    der[1] = (uint8_t)(length - 2);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    INVARIANT(digest != NULL);
    check(EVP_DigestVerifyInit_ex(digest, NULL, "SHA256", NULL, NULL, pkey, NULL));
    bool is_valid = EVP_DigestVerify(digest, der, length, message.data, message.length) == 1;
    EVP_MD_CTX_free(digest);
    EVP_PKEY_free(pkey);
    return is_valid;
}

static bool is_valid_ed25519(struct span public_key, struct span message,
                             const uint8_t signature[SIGNATURE_BYTES])
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key.data, public_key.length);
    if (!pkey)
        return false;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    INVARIANT(digest != NULL);
    check(EVP_DigestVerifyInit(digest, NULL, NULL, NULL, pkey));
    bool is_valid =
        EVP_DigestVerify(digest, signature, SIGNATURE_BYTES, message.data, message.length) == 1;
    EVP_MD_CTX_free(digest);
    EVP_PKEY_free(pkey);
    return is_valid;
}

bool signature_is_valid(enum signature_algorithm algorithm, struct span public_key,
                        struct span message, const uint8_t signature[SIGNATURE_BYTES])
{
    if (public_key.length != signature_public_bytes(algorithm))
        return false;
    return algorithm == SIGNATURE_ED25519 ? is_valid_ed25519(public_key, message, signature)
                                          : is_valid_p256(public_key, message, signature);
}
