/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS 1.3 by OpenSSL over non-blocking sockets.
 */
#include "link/tls.h"

#include "base/memory.h"
#include "observe/observe.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/epoll.h>

#define CERTIFICATE_SECONDS (10L * 366 * 24 * 3600)

struct tls {
    SSL_CTX *server, *client;
};

struct tls_session {
    SSL *ssl;
};

/* One that says nothing: a key of its own, no name. */
static bool make_certificate(SSL_CTX *context)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    bool is_made = key && certificate && X509_set_version(certificate, X509_VERSION_3) &&
                   ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) &&
                   X509_gmtime_adj(X509_getm_notBefore(certificate), -24 * 3600) &&
                   X509_gmtime_adj(X509_getm_notAfter(certificate), CERTIFICATE_SECONDS) &&
                   X509_set_pubkey(certificate, key) &&
                   X509_sign(certificate, key, EVP_sha256()) > 0 &&
                   SSL_CTX_use_certificate(context, certificate) == 1 &&
                   SSL_CTX_use_PrivateKey(context, key) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return is_made;
}

static SSL_CTX *make_context(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    return context;
}

struct tls *tls_new(void)
{
    struct tls *tls = NEW(struct tls);
    tls->server = make_context(TLS_server_method());
    tls->client = make_context(TLS_client_method());
    if (!tls->server || !tls->client || !make_certificate(tls->server)) {
        log_error("link", "no TLS: %s", ERR_reason_error_string(ERR_get_error()));
        tls_free(&tls);
    }
    return tls;
}

void tls_free(struct tls **freed)
{
    struct tls *tls = *freed;
    if (!tls)
        return;
    *freed = NULL;
    SSL_CTX_free(tls->server);
    SSL_CTX_free(tls->client);
    memory_free(tls);
}

struct tls_session *tls_session_new(struct tls *tls, int fd, bool is_client)
{
    SSL *ssl = SSL_new(is_client ? tls->client : tls->server);
    INVARIANT(ssl && SSL_set_fd(ssl, fd) == 1);
    if (is_client)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    struct tls_session *session = NEW(struct tls_session);
    session->ssl = ssl;
    return session;
}

void tls_session_free(struct tls_session **freed)
{
    struct tls_session *session = *freed;
    if (!session)
        return;
    *freed = NULL;
    SSL_free(session->ssl);
    memory_free(session);
}

static int result_of(struct tls_session *session, int returned, uint32_t *events)
{
    int error = SSL_get_error(session->ssl, returned);
    ERR_clear_error();
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return ERROR_CLOSED;
    *events = error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
    return ERROR_AGAIN;
}

int tls_handshake(struct tls_session *session, uint32_t *events)
{
    int returned = SSL_do_handshake(session->ssl);
    return returned == 1 ? 0 : result_of(session, returned, events);
}

int tls_read(struct tls_session *session, uint8_t *out, uint32_t room, uint32_t *events)
{
    int returned = SSL_read(session->ssl, out, (int)room);
    return returned > 0 ? returned : result_of(session, returned, events);
}

int tls_write(struct tls_session *session, struct span bytes, uint32_t *events)
{
    int returned = SSL_write(session->ssl, bytes.data, (int)bytes.length);
    return returned > 0 ? returned : result_of(session, returned, events);
}
