/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorities, certificates and a client of OpenSSL's for the tests of src/tls.
 */
#ifndef TLS_FIXTURE_H
#define TLS_FIXTURE_H

#include "tls/tls.h"

#include <openssl/ssl.h>

enum {
    NOW_S = 1900000000,
    DAY_S = 86400
}; /* in 2030: what is made at the present day is of no use to tests of dates */

struct pem {
    char certificate[8192], key[4096];
    X509 *leaf;
    EVP_PKEY *secret;
};

enum key_kind { KEY_RSA, KEY_RSA_SHORT, KEY_EC };

/* Signed by `issuer`, by itself where that is NULL; names as "DNS:a.example,DNS:*.b.example", "" for none. */
void pem_make(struct pem *pem, enum key_kind kind, const char *names, const struct pem *issuer,
              int64_t begins_in_s, int64_t ends_in_s);
void pem_clear(struct pem *pem);
struct tls_certificate *pem_read(const struct pem *pem); /* fails the test where it is refused */

/* An OCSP answer in DER; the caller frees it with OPENSSL_free(). */
uint8_t *ocsp_make(const struct pem *about, const struct pem *issuer, bool is_good,
                   int64_t ends_in_s, size_t *bytes);

/* A connection of a client with a session of ours, over a pair of sockets. */
struct pair {
    int fds[2]; /* ours, the client's */
    struct tls_session *session;
    SSL *client;
    struct slice_queue in, out; /* of ours */
    bool ended;
    int read_result, write_result;
};

SSL_CTX *client_new(void); /* trusts everybody */
/* `name` NULL: none. `resumed` NULL: none. */
void pair_open(struct pair *pair, struct tls_context *context, SSL_CTX *client, const char *name,
               SSL_SESSION *resumed, unsigned protocols);
void pair_move(struct pair *pair);      /* ours reads and writes what it can */
bool pair_handshake(struct pair *pair); /* both are done, and the client has read its tickets */
void pair_close(struct pair *pair);
const char *
pair_subject(const struct pair *pair,
             char out[TLS_NAME_BYTES]); /* first name of the certificate that the client got */

#endif
