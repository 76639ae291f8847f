/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/tls: the socket as OpenSSL sees it.
 */
#ifndef TLS_STREAM_H
#define TLS_STREAM_H

#include "base/error.h"
#include "base/slice.h"

#include <openssl/bio.h>
#include <stdbool.h>

struct tls_stream {
    int fd;
    bool is_open; /* the handshake is over */
    bool
        is_empty; /* the last read brought less than it had room for: do not ask again before the socket says so */
    bool has_ended;
    bool is_flooded; /* nothing more is read */
    bool holds;      /* what the socket does not take is kept in `held`, rather than refused */
    bool has_more;   /* with `holds`: the next record follows at once, and they leave together */
    struct slice_queue held; /* records that are yet to leave; before anything else */
};

BIO_METHOD *tls_stream_method_new(void); /* BIO_meth_free() */
/* `stream` outlives it. */
BIO *tls_stream_open(const BIO_METHOD *method, struct tls_stream *stream);
/* What is held goes out: 0, ERROR_AGAIN, ERROR_RESET or ERROR_IO. */
MUST_USE int tls_stream_flush(struct tls_stream *stream);

#endif
