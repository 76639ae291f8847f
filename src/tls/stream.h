/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/tls: the socket as OpenSSL sees it.
 */
#ifndef TLS_STREAM_H
#define TLS_STREAM_H

#include <openssl/bio.h>
#include <stdbool.h>

struct tls_stream {
    int fd;
    bool is_open; /* the handshake is over */
    bool
        is_empty; /* the last read brought less than it had room for: do not ask again before the socket says so */
    bool has_more; /* the next record follows at once */
    bool has_ended;
};

BIO_METHOD *tls_stream_method_new(void); /* BIO_meth_free() */
/* `stream` outlives it. */
BIO *tls_stream_open(const BIO_METHOD *method, struct tls_stream *stream);

#endif
