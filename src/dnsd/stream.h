/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/dnsd: what a connection's bytes go through, TCP alone or TLS over it (RFC 7858), so that tcp.c is the same for
 * both.
 */
#ifndef DNSD_STREAM_H
#define DNSD_STREAM_H

#include "base/error.h"
#include "base/span.h"
#include "base/text.h"

struct dnsd_stream;

struct dnsd_stream_functions {
    /* Bytes, or 0: the peer will send no more; ERROR_AGAIN: wait for the stream's events; ERROR_CLOSED. */
    int (*receive)(struct dnsd_stream *stream, uint8_t *out, size_t room);
    /* Bytes; ERROR_AGAIN and ERROR_CLOSED likewise. */
    int (*send)(struct dnsd_stream *stream, struct span bytes);
    /* Whether bytes came that no event will tell of. */
    bool (*has_more)(const struct dnsd_stream *stream);
    void (*clear)(struct dnsd_stream *stream); /* the descriptor stays open */
};

struct dnsd_stream {
    const struct dnsd_stream_functions *functions;
    int fd;
    uint32_t events; /* of the last ERROR_AGAIN */
    void *session;   /* of TLS */
};

void dnsd_stream_init(struct dnsd_stream *stream, int fd);

/* ---- TLS: certificate and key for all connections; the count of references is the library's */

struct dnsd_tls;

/* From PEM. NULL: sentences in `why`. */
struct dnsd_tls *dnsd_tls_new(struct span certificate, struct span private_key, struct text *why);
void dnsd_tls_free(struct dnsd_tls *tls); /* connections go on */

MUST_USE int dnsd_tls_stream_init(struct dnsd_stream *stream, struct dnsd_tls *tls, int fd);

#endif
