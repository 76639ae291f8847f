/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/tls: what a certificate consists of.
 */
#ifndef TLS_CERTIFICATE_H
#define TLS_CERTIFICATE_H

#include "tls/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

/* OpenSSL keeps one certificate of each for a connection, and takes the one that suits the client. */
enum tls_kind { TLS_RSA, TLS_ECDSA, TLS_EDDSA, TLS_KINDS };

struct tls_certificate {
    _Atomic uint32_t references;
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    enum tls_kind kind;
    char **names; /* lower case */
    size_t name_count;
    uint64_t begins_s, ends_s;
    uint8_t *staple; /* NULL: none */
    size_t staple_bytes;
    uint64_t staple_ends_s;
};

struct tls_certificate *tls_certificate_retain(const struct tls_certificate *certificate);
uint64_t tls_time_of(const ASN1_TIME *time); /* seconds since 1970 */
/* Whether `name`, perhaps with a wildcard for its first label, stands for `host`. */
bool tls_name_matches(struct span name, struct span host);
/* Certificates in PEM form, one behind another; NULL: malformed, or more than the limit. */
STACK_OF(X509) * tls_read_certificates(struct span pem, int limit);

#endif
