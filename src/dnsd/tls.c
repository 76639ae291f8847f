/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS over TLS by OpenSSL (RFC 7858, RFC 9325): TLS 1.2 and later, session tickets, no renegotiation, no early data. The handshake
 * goes on within reads and writes.
 */
#include "dnsd/stream.h"

#include "base/memory.h"
#include "tls/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>

/* "dot", where a client asks for a protocol at all (RFC 7858 has none; IANA's registry has). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *length,
                           const unsigned char *offered, unsigned offered_length, void *argument)
{
    static const unsigned char ours[] = "\3dot";
    (void)ssl;
    (void)argument;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, length, ours, sizeof ours - 1, offered, offered_length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_context(void)
{
    static const unsigned char session_context[] = "causeway dot";
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    INVARIANT(context);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets keep it at the client */
    SSL_CTX_set_session_id_context(context, session_context, sizeof session_context - 1);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    return context;
}

struct dnsd_tls *dnsd_tls_new(struct span certificate, struct span private_key, struct text *why)
{
    struct text wrong = {0};
    struct tls_certificate *read = tls_certificate_read(certificate, private_key, &wrong);
    if (!read) { /* the setting is called otherwise here */
        bool is_key = span_starts(text_span(&wrong), SPAN("key: "));
        text_add_format(why, "tls.%s%s\n", is_key ? "private_" : "", wrong.data);
        text_clear(&wrong);
        return NULL;
    }
    SSL_CTX *context = make_context();
    bool is_used = tls_certificate_use(read, context);
    tls_certificate_release(&read);
    if (is_used)
        return (struct dnsd_tls *)context;
    text_add(why, "tls: the certificate's key is too weak\n");
    SSL_CTX_free(context);
    return NULL;
}

void dnsd_tls_free(struct dnsd_tls *tls)
{
    SSL_CTX_free((SSL_CTX *)tls);
}

/* ---- a connection */

static int result_of(struct dnsd_stream *stream, int returned)
{
    int error = SSL_get_error(stream->session, returned);
    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_WANT_READ:
        stream->events = EPOLLIN;
        return ERROR_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        stream->events = EPOLLOUT;
        return ERROR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return ERROR_CLOSED;
    }
}

static int receive(struct dnsd_stream *stream, uint8_t *out, size_t room)
{
    int returned = SSL_read(stream->session, out, (int)room);
    return returned > 0 ? returned : result_of(stream, returned);
}

static int send_bytes(struct dnsd_stream *stream, struct span bytes)
{
    int returned = SSL_write(stream->session, bytes.data, (int)bytes.length);
    if (returned > 0)
        return returned;
    int result = result_of(stream, returned);
    return result ? result : ERROR_CLOSED;
}

static bool has_more(const struct dnsd_stream *stream)
{
    return SSL_has_pending(stream->session);
}

/* The client is told once that this was the end, as far as the socket takes it. */
static void clear(struct dnsd_stream *stream)
{
    SSL_shutdown(stream->session);
    ERR_clear_error();
    SSL_free(stream->session);
    stream->session = NULL;
}

static const struct dnsd_stream_functions over_tls = {receive, send_bytes, has_more, clear};

int dnsd_tls_stream_init(struct dnsd_stream *stream, struct dnsd_tls *tls, int fd)
{
    SSL *ssl = SSL_new((SSL_CTX *)tls);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return ERROR_LIMIT;
    }
    SSL_set_accept_state(ssl);
    *stream = (struct dnsd_stream){&over_tls, fd, EPOLLIN, ssl};
    return 0;
}
