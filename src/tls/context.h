/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/tls: who is answered with what.
 */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include "tls/certificate.h"
#include "tls/names.h"
#include "tls/shared.h"

enum { RESUMPTION_BYTES = 32 };

/* The certificates of a name, one of each kind of key, at least one; NULL where there is none of a kind. */
struct tls_identity {
    const struct tls_certificate *kinds[TLS_KINDS];
};

/* What holds for a site's connections, whatever certificate they have. */
struct tls_policy {
    enum tls_client client;
    X509_STORE *authorities;
    STACK_OF(X509_NAME) * authority_names; /* told to clients */
    uint8_t resumption[RESUMPTION_BYTES];  /* sessions of others are not resumed */
};

struct tls_context {
    _Atomic uint32_t references;
    SSL_CTX *openssl;
    BIO_METHOD *stream_method; /* of its sessions' sockets */
    struct tls_shared *shared;
    struct tls_names certificate_names, host_names; /* to indices of the following */
    struct tls_identity *identities;
    size_t identity_count;
    struct tls_policy *policies; /* of the sites, and of none behind them */
    size_t site_count;
    struct tls_identity *by_default; /* NULL: refused */
    size_t default_site;
    struct tls_certificate **certificates; /* all, retained */
    size_t certificate_count;
};

struct tls_dialer {
    _Atomic uint32_t references;
    SSL_CTX *openssl;
    BIO_METHOD *stream_method;
};

/* What all contexts of the program have in common, whichever end they are of. */
void tls_context_harden(SSL_CTX *openssl, enum tls_profile profile);

/* For a name in lower case, "" for none; NULL: refused. */
const struct tls_identity *tls_context_identity(const struct tls_context *context,
                                                struct span name);
const struct tls_policy *tls_context_policy(const struct tls_context *context, struct span name);

/* ---- session.c: what OpenSSL asks in the course of a handshake, and what it tells clients */
int tls_on_session(SSL *openssl, SSL_SESSION *offered);
int tls_on_hello(SSL *openssl, int *alert, void *argument);
int tls_on_certificate(SSL *openssl, void *argument);
int tls_on_protocols(SSL *openssl, const unsigned char **out, unsigned char *length,
                     const unsigned char *offered, unsigned offered_length, void *argument);
int tls_on_staple(SSL *openssl, void *argument);
/* Of every message of TLS, either way. */
void tls_on_message(int is_written, int version, int kind, const void *data, size_t length,
                    SSL *openssl, void *argument);
int tls_on_ticket(SSL *openssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int is_new);

#endif
