/* SPDX-License-Identifier: Apache-2.0
 *
 * What ACME puts its requests in: JSON Web Signatures (RFC 7515) in their flattened form, by ECDSA on P-256 (ES256), the key as
 * a JSON Web Key (RFC 7517) and its thumbprint (RFC 7638), which is what challenges are answered with (RFC 8555 section 8.1).
 */
#ifndef ACME_JWS_H
#define ACME_JWS_H

#include "base/text.h"
#include "crypto/crypto.h"

enum { ACME_THUMBPRINT_BYTES = 44 }; /* 43 characters and a NUL */

/* Base64 in the alphabet for URLs, without padding (RFC 4648 section 5). */
void acme_base64url(struct text *text, struct span bytes);

/* {"crv":"P-256","kty":"EC","x":"...","y":"..."}: members in the order that thumbprints want. */
void acme_jwk(const struct signature_key *key, struct text *json);
void acme_thumbprint(const struct signature_key *key, char out[ACME_THUMBPRINT_BYTES]);
/* Of the text of any JWK in that order. */
void acme_thumbprint_of(struct span jwk, char out[ACME_THUMBPRINT_BYTES]);

struct acme_jws {
    const struct signature_key *key;
    const char *account; /* URL of the account (`kid`); NULL: the key itself goes along (`jwk`) */
    const char *nonce;
    const char *url; /* that it is sent to */
};

/* A request's body. `payload`: of no memory at all where nothing is said (POST-as-GET, RFC 8555 section 6.3). */
void acme_jws_write(const struct acme_jws *jws, struct span payload, struct text *json);

/* The binding of a new account to one that the authority knows by other means (RFC 8555 section 7.3.4): the account's public
 * key, authenticated by a secret (HS256). */
struct acme_binding {
    const char *id;
    struct span secret;
};
void acme_binding_write(const struct acme_binding *binding, const struct signature_key *key,
                        const char *url, struct text *json);

#endif
