/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/tls: keys of tickets, and the time.
 */
#ifndef TLS_SHARED_H
#define TLS_SHARED_H

#include "tls/tls.h"

#include <openssl/ssl.h>

uint64_t tls_shared_now_s(const struct tls_shared *shared); /* any thread */
/* What it answers, in OpenSSL's numbers. */
enum { TLS_TICKET_ERROR = -1, TLS_TICKET_UNKNOWN = 0, TLS_TICKET_GOOD = 1, TLS_TICKET_RENEWED = 2 };
/* OpenSSL's question (SSL_CTX_set_tlsext_ticket_key_evp_cb) with the keys of `shared`. */
int tls_shared_ticket(const struct tls_shared *shared, uint8_t *name, uint8_t *iv,
                      EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_new);

#endif
