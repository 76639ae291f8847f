/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and keys from PEM, their names, and such as are made at start for trying out.
 */
#include "tls/certificate.h"

#include "base/memory.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum {
    RSA_LEAST_BITS = 2048, /* RFC 9325 section 4.5 */
};

/* ---- reading */

static int refuse_passphrase(char *out, int room, int is_writing, void *argument)
{
    (void)out;
    (void)room;
    (void)is_writing;
    (void)argument;
    return -1;
}

STACK_OF(X509) * tls_read_certificates(struct span pem, int limit)
{
    STACK_OF(X509) *list = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
    X509 *certificate;
    INVARIANT(list && bio);
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        sk_X509_push(list, certificate);
    unsigned long error = ERR_peek_last_error();
    bool is_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    ERR_clear_error();
    if (is_end && sk_X509_num(list) <= limit)
        return list;
    sk_X509_pop_free(list, X509_free);
    return NULL;
}

static EVP_PKEY *read_key(struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
    INVARIANT(bio);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

uint64_t tls_time_of(const ASN1_TIME *time)
{
    struct tm broken;
    if (!time || ASN1_TIME_to_tm(time, &broken) != 1)
        return 0;
    time_t seconds = timegm(&broken);
    return seconds > 0 ? (uint64_t)seconds : 0;
}

/* A name as look-ups want it; others than host names are passed over. */
static void add_name(struct tls_certificate *certificate, struct span name)
{
    if (!name.length || name.length >= TLS_NAME_BYTES || certificate->name_count == TLS_NAMES_LIMIT)
        return;
    char *copy = memory_text((const char *)name.data, name.length);
    for (char *at = copy; *at; at++)
        *at = (char)ascii_lower((uint8_t)*at);
    if (strlen(copy) != name.length) { /* a NUL within */
        memory_free(copy);
        return;
    }
    certificate->names =
        memory_resize(certificate->names, certificate->name_count + 1, sizeof *certificate->names);
    certificate->names[certificate->name_count++] = copy;
}

/* Subject Alternative Names alone: the common name has not counted since RFC 6125. */
static void read_names(struct tls_certificate *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type == GEN_DNS)
            add_name(certificate,
                     span_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)));
    }
    GENERAL_NAMES_free(names);
}

static const char *kind_of(const EVP_PKEY *key, enum tls_kind *kind)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        *kind = TLS_RSA;
        return EVP_PKEY_get_bits(key) < RSA_LEAST_BITS ? "an RSA key of less than 2048 bits" : NULL;
    case EVP_PKEY_EC:
        *kind = TLS_ECDSA;
        return NULL;
    case EVP_PKEY_ED25519:
        *kind = TLS_EDDSA;
        return NULL;
    }
    return "its key is none of RSA, ECDSA, Ed25519";
}

/* NULL, or what is wrong. */
static const char *fill(struct tls_certificate *certificate, struct span chain, struct span key)
{
    certificate->chain = tls_read_certificates(chain, TLS_CHAIN_LIMIT);
    if (!certificate->chain)
        return "certificate: not certificates in PEM form, 16 at most";
    certificate->leaf = sk_X509_shift(certificate->chain);
    if (!certificate->leaf)
        return "certificate: no certificate in PEM form";
    certificate->key = read_key(key);
    if (!certificate->key)
        return "key: no private key in PEM form, or one with a passphrase";
    if (X509_check_private_key(certificate->leaf, certificate->key) != 1)
        return "key: it belongs to another certificate";
    const char *wrong = kind_of(certificate->key, &certificate->kind);
    if (wrong)
        return wrong;
    certificate->begins_s = tls_time_of(X509_get0_notBefore(certificate->leaf));
    certificate->ends_s = tls_time_of(X509_get0_notAfter(certificate->leaf));
    read_names(certificate);
    return NULL;
}

struct tls_certificate *tls_certificate_read(struct span chain_pem, struct span key_pem,
                                             struct text *why)
{
    struct tls_certificate *certificate = NEW(struct tls_certificate);
    atomic_init(&certificate->references, 1);
    const char *wrong = fill(certificate, chain_pem, key_pem);
    ERR_clear_error();
    if (wrong) {
        text_add(why, wrong);
        tls_certificate_release(&certificate);
    }
    return certificate;
}

/* ---- making */

static bool add_extension(X509 *certificate, int id, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, id, value);
    bool is_added = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool add_names(X509 *certificate, const char *const *names, size_t count)
{
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    bool is_added = list != NULL;
    for (size_t i = 0; i < count && is_added; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();
        is_added = name && text && ASN1_STRING_set(text, names[i], -1);
        if (name && text) {
            GENERAL_NAME_set0_value(name, GEN_DNS, text);
            sk_GENERAL_NAME_push(list, name);
        }
    }
    is_added = is_added && X509_add1_ext_i2d(certificate, NID_subject_alt_name, list, 0, 0) == 1;
    GENERAL_NAMES_free(list);
    return is_added;
}

/* Without names nothing is said at all. */
static bool sign_self(X509 *certificate, EVP_PKEY *key, const char *const *names, size_t count,
                      unsigned days)
{
    uint64_t serial;
    X509_NAME *subject = X509_get_subject_name(certificate);
    static const uint8_t said[] = "Causeway, for trying out";
    return RAND_bytes((uint8_t *)&serial, sizeof serial) == 1 &&
           X509_set_version(certificate, X509_VERSION_3) &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -24 * 3600) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * 24 * 3600) &&
           X509_set_pubkey(certificate, key) &&
           (!count ||
            X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, said, -1, -1, 0)) &&
           X509_set_issuer_name(certificate, subject) &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           (!count || add_names(certificate, names, count)) &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

struct tls_certificate *tls_certificate_self_signed(const char *const *names, size_t count,
                                                    unsigned days)
{
    struct tls_certificate *certificate = NEW(struct tls_certificate);
    atomic_init(&certificate->references, 1);
    certificate->leaf = X509_new();
    certificate->chain = sk_X509_new_null();
    certificate->key = EVP_EC_gen("P-256");
    certificate->kind = TLS_ECDSA;
    INVARIANT(certificate->leaf && certificate->chain && certificate->key &&
              sign_self(certificate->leaf, certificate->key, names, count, days));
    certificate->begins_s = tls_time_of(X509_get0_notBefore(certificate->leaf));
    certificate->ends_s = tls_time_of(X509_get0_notAfter(certificate->leaf));
    read_names(certificate);
    return certificate;
}

/* ---- life and look-ups */

struct tls_certificate *tls_certificate_retain(const struct tls_certificate *certificate)
{
    struct tls_certificate *counted = (struct tls_certificate *)(uintptr_t)certificate;
    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
    return counted;
}

void tls_certificate_release(struct tls_certificate **released)
{
    struct tls_certificate *certificate = *released;
    if (!certificate)
        return;
    *released = NULL;
    if (atomic_fetch_sub_explicit(&certificate->references, 1, memory_order_acq_rel) != 1)
        return;
    X509_free(certificate->leaf);
    sk_X509_pop_free(certificate->chain, X509_free);
    EVP_PKEY_free(certificate->key);
    for (size_t i = 0; i < certificate->name_count; i++)
        memory_free(certificate->names[i]);
    memory_free(certificate->names);
    memory_free(certificate->staple);
    memory_free(certificate);
}

uint64_t tls_certificate_begins_s(const struct tls_certificate *certificate)
{
    return certificate->begins_s;
}

uint64_t tls_certificate_ends_s(const struct tls_certificate *certificate)
{
    return certificate->ends_s;
}

/* RFC 9525 section 6.3: a wildcard is a whole first label and stands for exactly one. */
bool tls_name_matches(struct span name, struct span host)
{
    if (!span_starts(name, SPAN("*.")))
        return span_equal_nocase(name, host);
    size_t dot = span_find(host, '.');
    return dot > 0 && dot < host.length &&
           span_equal_nocase(span_from(name, 1), span_from(host, dot));
}

bool tls_certificate_covers(const struct tls_certificate *certificate, struct span host)
{
    for (size_t i = 0; i < certificate->name_count; i++)
        if (tls_name_matches(span_text(certificate->names[i]), host))
            return true;
    return false;
}

bool tls_certificate_use(const struct tls_certificate *certificate, struct ssl_ctx_st *context)
{
    bool is_used = SSL_CTX_use_cert_and_key(context, certificate->leaf, certificate->key,
                                            certificate->chain, 1) == 1;
    ERR_clear_error();
    return is_used;
}

int tls_authorities_check(struct span pem, struct text *why)
{
    enum { AUTHORITIES_LIMIT = 1024 };
    STACK_OF(X509) *list = tls_read_certificates(pem, AUTHORITIES_LIMIT);
    bool is_good = list && sk_X509_num(list);
    sk_X509_pop_free(list, X509_free);
    if (!is_good)
        text_add(why, "no certificates in PEM form, at most 1024");
    return is_good ? 0 : ERROR_INVALID;
}
