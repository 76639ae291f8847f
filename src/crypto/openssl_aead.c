/* SPDX-License-Identifier: Apache-2.0
 *
 * AEADs of OpenSSL 3, called where EVP itself calls them: by the functions of the provider that
 * implements the fetched cipher (provider-cipher(7)). EVP_EncryptInit_ex2() asks the cipher for the
 * length of its IV each time, by name, through a list of parameters: with the shells around the
 * other calls that is 50 ns of the 350 of a packet, and it buys nothing where nonce and tag have
 * the lengths of the RFC. The context is keyed once; a packet sets the nonce.
 */
#include "crypto/openssl_aead.h"

#include "base/memory.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/provider.h>
#include <strings.h>

struct openssl_aead {
    struct aead aead;
    const struct openssl_cipher *cipher;
    void *context; /* the provider's */
    uint8_t tag[AEAD_TAG_BYTES];
    OSSL_PARAM tag_parameters[2]; /* names `tag` */
};

/* These calls fail only when memory is out or we pass nonsense; neither can be gone on from. */
static void check(int result)
{
    INVARIANT(result == 1);
}

static void openssl_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
                         struct span associated, struct span plain, uint8_t *out)
{
    struct openssl_aead *own = (struct openssl_aead *)aead;
    const struct openssl_cipher *cipher = own->cipher;
    size_t length;
    check(cipher->encrypt_init(own->context, NULL, 0, nonce, AEAD_NONCE_BYTES, NULL));
    if (associated.length)
        check(cipher->update(own->context, NULL, &length, associated.length, associated.data,
                             associated.length));
    if (plain.length)
        check(cipher->update(own->context, out, &length, plain.length, plain.data, plain.length));
    check(cipher->final(own->context, out + plain.length, &length, AEAD_TAG_BYTES));
    check(cipher->get_parameters(own->context, own->tag_parameters));
    memcpy(out + plain.length, own->tag, AEAD_TAG_BYTES);
}

static int openssl_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
                        struct span associated, struct span sealed, uint8_t *out)
{
    if (sealed.length < AEAD_TAG_BYTES)
        return ERROR_AUTH;
    struct openssl_aead *own = (struct openssl_aead *)aead;
    const struct openssl_cipher *cipher = own->cipher;
    size_t plain_length = sealed.length - AEAD_TAG_BYTES, length;
    memcpy(own->tag, sealed.data + plain_length, AEAD_TAG_BYTES);
    check(
        cipher->decrypt_init(own->context, NULL, 0, nonce, AEAD_NONCE_BYTES, own->tag_parameters));
    if (associated.length)
        check(cipher->update(own->context, NULL, &length, associated.length, associated.data,
                             associated.length));
    if (plain_length)
        check(cipher->update(own->context, out, &length, plain_length, sealed.data, plain_length));
    return cipher->final(own->context, own->tag, &length, AEAD_TAG_BYTES) == 1 ? 0 : ERROR_AUTH;
}

static void openssl_aead_free(struct aead *aead)
{
    struct openssl_aead *own = (struct openssl_aead *)aead;
    own->cipher->context_free(own->context); /* wipes the key schedule */
    memory_free(own);
}

static const struct aead_functions openssl_functions = {openssl_seal, openssl_open,
                                                        openssl_aead_free};

struct aead *openssl_aead_new(const struct openssl_cipher *cipher, const uint8_t *key)
{
    struct openssl_aead *own = NEW(struct openssl_aead);
    own->aead.functions = &openssl_functions;
    own->cipher = cipher;
    own->tag_parameters[0] =
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, own->tag, AEAD_TAG_BYTES);
    own->tag_parameters[1] = OSSL_PARAM_construct_end();
    own->context = cipher->context_new(cipher->provider_context);
    INVARIANT(own->context != NULL);
    check(cipher->encrypt_init(own->context, key, cipher->key_bytes, NULL, 0, NULL));
    return &own->aead;
}

/* `names` are those of an algorithm, joined by colons. */
static bool has_name(const char *names, const char *name)
{
    size_t length = strlen(name);
    for (;;) {
        size_t part = strcspn(names, ":");
        if (part == length && strncasecmp(names, name, length) == 0)
            return true;
        if (!names[part])
            return false;
        names += part + 1;
    }
}

static void bind_functions(struct openssl_cipher *cipher, const OSSL_DISPATCH *functions)
{
    for (const OSSL_DISPATCH *f = functions; f->function_id; f++) {
        switch (f->function_id) {
        case OSSL_FUNC_CIPHER_NEWCTX:
            cipher->context_new = OSSL_FUNC_cipher_newctx(f);
            break;
        case OSSL_FUNC_CIPHER_FREECTX:
            cipher->context_free = OSSL_FUNC_cipher_freectx(f);
            break;
        case OSSL_FUNC_CIPHER_ENCRYPT_INIT:
            cipher->encrypt_init = OSSL_FUNC_cipher_encrypt_init(f);
            break;
        case OSSL_FUNC_CIPHER_DECRYPT_INIT:
            cipher->decrypt_init = OSSL_FUNC_cipher_decrypt_init(f);
            break;
        case OSSL_FUNC_CIPHER_UPDATE:
            cipher->update = OSSL_FUNC_cipher_update(f);
            break;
        case OSSL_FUNC_CIPHER_FINAL:
            cipher->final = OSSL_FUNC_cipher_final(f);
            break;
        case OSSL_FUNC_CIPHER_GET_CTX_PARAMS:
            cipher->get_parameters = OSSL_FUNC_cipher_get_ctx_params(f);
            break;
        }
    }
}

void openssl_cipher_fetch(struct openssl_cipher *cipher, const char *name)
{
    const EVP_CIPHER *fetched = EVP_CIPHER_fetch(NULL, name, NULL);
    INVARIANT(fetched && EVP_CIPHER_get_iv_length(fetched) == AEAD_NONCE_BYTES);
    const OSSL_PROVIDER *provider = EVP_CIPHER_get0_provider(fetched);
    *cipher = (struct openssl_cipher){
        .fetched = fetched,
        .provider_context = OSSL_PROVIDER_get0_provider_ctx(provider),
        .key_bytes = (size_t)EVP_CIPHER_get_key_length(fetched),
    };
    int no_cache;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(provider, OSSL_OP_CIPHER, &no_cache);
    for (; all->algorithm_names; all++)
        if (has_name(all->algorithm_names, name))
            break;
    INVARIANT(all->algorithm_names != NULL);
    bind_functions(cipher, all->implementation);
    INVARIANT(cipher->context_new && cipher->context_free && cipher->encrypt_init &&
              cipher->decrypt_init && cipher->update && cipher->final && cipher->get_parameters);
}
