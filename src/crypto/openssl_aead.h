/* SPDX-License-Identifier: Apache-2.0
 *
 * AEADs of OpenSSL: a cipher is fetched once for the process, and keyed once for each key.
 */
#ifndef CRYPTO_OPENSSL_AEAD_H
#define CRYPTO_OPENSSL_AEAD_H

#include "crypto/crypto.h"

#include <openssl/core_dispatch.h>
#include <openssl/evp.h>

/* What its provider offers. Lives as long as the process. */
struct openssl_cipher {
    const EVP_CIPHER *fetched; /* keeps the provider loaded */
    void *provider_context;
    size_t key_bytes;
    OSSL_FUNC_cipher_newctx_fn *context_new;
    OSSL_FUNC_cipher_freectx_fn *context_free;
    OSSL_FUNC_cipher_encrypt_init_fn *encrypt_init;
    OSSL_FUNC_cipher_decrypt_init_fn *decrypt_init;
    OSSL_FUNC_cipher_update_fn *update;
    OSSL_FUNC_cipher_final_fn *final;
    OSSL_FUNC_cipher_get_ctx_params_fn *get_parameters;
};

void openssl_cipher_fetch(struct openssl_cipher *cipher, const char *name);
struct aead *openssl_aead_new(const struct openssl_cipher *cipher, const uint8_t *key);

#endif
