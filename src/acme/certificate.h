/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of certificates, requests for them (PKCS #10, RFC 2986), and the name by which a certificate's renewal is asked for
 * (RFC 9773 section 4.1). On OpenSSL.
 */
#ifndef ACME_CERTIFICATE_H
#define ACME_CERTIFICATE_H

#include "base/error.h"
#include "base/text.h"
#include "crypto/crypto.h"

enum acme_key { ACME_KEY_ECDSA, ACME_KEY_RSA };

enum { ACME_ID_BYTES = 256 };

/* A private key in PEM. `seed` makes always the same one (ECDSA alone); NULL: a fresh one. */
void acme_key_write(enum acme_key kind, const uint8_t seed[SIGNATURE_SEED_BYTES], struct text *pem);

/* The request in DER for these names. ERROR_INVALID: the key cannot be read. */
MUST_USE int acme_request_write(struct span key_pem, const char *const *names, size_t count,
                                struct text *der);

/* Of the first certificate. ERROR_INVALID: none, or it does not say who made it. */
MUST_USE int acme_certificate_id(struct span pem, char id[ACME_ID_BYTES]);

#endif
