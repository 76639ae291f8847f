/* SPDX-License-Identifier: Apache-2.0
 *
 * One site on several edges: from a secret that they share, all of them derive the account's key, by which any of them answers
 * proofs over HTTP, and the key of each certificate, by its number. So nothing but the chain, which is public, crosses the network;
 * a MAC by the same secret says that the ordering node sent it.
 */
#ifndef ACME_SHARE_H
#define ACME_SHARE_H

#include "base/error.h"
#include "base/text.h"
#include "crypto/crypto.h"

enum { ACME_SHARE_BYTES = 200000 };

void acme_account_seed(struct span secret, const char *directory,
                       uint8_t seed[SIGNATURE_SEED_BYTES]);
void acme_certificate_seed(struct span secret, const char *site, uint64_t number,
                           uint8_t seed[SIGNATURE_SEED_BYTES]);

/* {"number": 7, "chain": "...", "mac": "..."} */
void acme_share_write(struct span secret, const char *site, uint64_t number, struct span chain,
                      struct text *json);
/* 0; ERROR_INVALID: not one; ERROR_AUTH: not of this site and secret. */
MUST_USE int acme_share_read(struct span json, struct span secret, const char *site,
                             uint64_t *number, struct text *chain);

#endif
