/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL's part of ordering. Calls that fail only when memory is out end the process.
 */
#include "acme/certificate.h"

#include "acme/jws.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { RSA_BITS = 2048 };

/* ---- keys */

static void write_rsa(struct text *pem)
{
    EVP_PKEY *key = EVP_RSA_gen(RSA_BITS);
    BIO *bio = BIO_new(BIO_s_mem());
    const char *data;
    INVARIANT(key && bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    long length = BIO_get_mem_data(bio, &data);
    text_add_span(pem, span_of(data, (size_t)length));
    BIO_free(bio);
    EVP_PKEY_free(key);
}

void acme_key_write(enum acme_key kind, const uint8_t seed[SIGNATURE_SEED_BYTES], struct text *pem)
{
    uint8_t fresh[SIGNATURE_SEED_BYTES];
    if (kind == ACME_KEY_RSA) {
        write_rsa(pem);
        return;
    }
    if (!seed)
        INVARIANT(RAND_priv_bytes(fresh, sizeof fresh) == 1);
    struct signature_key *key = signature_key_derive(SIGNATURE_ECDSA_P256, seed ? seed : fresh);
    signature_key_write_pem(key, pem);
    signature_key_free(&key);
    bytes_wipe(fresh, sizeof fresh);
}

static EVP_PKEY *read_key(struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
    INVARIANT(bio);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

/* ---- requests */

static STACK_OF(X509_EXTENSION) * names_extension(const char *const *names, size_t count)
{
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    INVARIANT(list);
    for (size_t i = 0; i < count; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();
        INVARIANT(name && text && ASN1_STRING_set(text, names[i], -1));
        GENERAL_NAME_set0_value(name, GEN_DNS, text);
        INVARIANT(sk_GENERAL_NAME_push(list, name) > 0);
    }
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    INVARIANT(X509V3_add1_i2d(&extensions, NID_subject_alt_name, list, 0, 0) == 1);
    GENERAL_NAMES_free(list);
    return extensions;
}

int acme_request_write(struct span key_pem, const char *const *names, size_t count,
                       struct text *der)
{
    EVP_PKEY *key = read_key(key_pem);
    if (!key)
        return ERROR_INVALID;
    X509_REQ *request = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = names_extension(names, count);
    uint8_t *bytes = NULL;
    INVARIANT(request && X509_REQ_set_version(request, X509_REQ_VERSION_1) &&
              X509_REQ_set_pubkey(request, key) && X509_REQ_add_extensions(request, extensions) &&
              X509_REQ_sign(request, key, EVP_sha256()) > 0);
    int length = i2d_X509_REQ(request, &bytes);
    INVARIANT(length > 0);
    text_add_span(der, span_of(bytes, (size_t)length));
    OPENSSL_free(bytes);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    return 0;
}

/* ---- names of certificates */

/* The content bytes of the number as DER has them: with a zero in front where the first bit is set. */
static void put_serial(struct text *text, const ASN1_INTEGER *serial)
{
    uint8_t bytes[1 + 64] = {0};
    int length = ASN1_STRING_length(serial);
    if (length <= 0 || length > 64)
        return;
    memcpy(bytes + 1, ASN1_STRING_get0_data(serial), (size_t)length);
    bool has_zero = bytes[1] >> 7;
    acme_base64url(text, span_of(bytes + !has_zero, (size_t)length + has_zero));
}

int acme_certificate_id(struct span pem, char id[ACME_ID_BYTES])
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
    INVARIANT(bio);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    const ASN1_OCTET_STRING *maker = certificate ? X509_get0_authority_key_id(certificate) : NULL;
    struct text text = {.limit = ACME_ID_BYTES - 1};
    if (maker) {
        acme_base64url(&text,
                       span_of(ASN1_STRING_get0_data(maker), (size_t)ASN1_STRING_length(maker)));
        text_add(&text, ".");
        put_serial(&text, X509_get0_serialNumber(certificate));
    }
    bool is_good = maker && !text.is_cut;
    snprintf(id, ACME_ID_BYTES, "%s", is_good ? text.data : "");
    text_clear(&text);
    X509_free(certificate);
    return is_good ? 0 : ERROR_INVALID;
}
