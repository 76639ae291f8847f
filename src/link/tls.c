/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS 1.3 by OpenSSL over non-blocking sockets.
 */
#include "link/tls.h"

#include "base/memory.h"
#include "observe/observe.h"
#include "tls/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>

enum { CERTIFICATE_DAYS = 3660 };

struct link_tls {
    SSL_CTX *server, *client;
};

struct link_tls_session {
    SSL *ssl;
};

/* One that says nothing: a key of its own, no name. */
static bool make_certificate(SSL_CTX *context)
{
    struct tls_certificate *certificate = tls_certificate_self_signed(NULL, 0, CERTIFICATE_DAYS);
    bool is_made = tls_certificate_use(certificate, context);
    tls_certificate_release(&certificate);
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

struct link_tls *link_tls_new(void)
{
    struct link_tls *tls = NEW(struct link_tls);
    tls->server = make_context(TLS_server_method());
    tls->client = make_context(TLS_client_method());
    if (!tls->server || !tls->client || !make_certificate(tls->server)) {
        log_error("link", "no TLS: %s", ERR_reason_error_string(ERR_get_error()));
        link_tls_free(&tls);
    }
    return tls;
}

void link_tls_free(struct link_tls **freed)
{
    struct link_tls *tls = *freed;
    if (!tls)
        return;
    *freed = NULL;
    SSL_CTX_free(tls->server);
    SSL_CTX_free(tls->client);
    memory_free(tls);
}

struct link_tls_session *link_tls_session_new(struct link_tls *tls, int fd, bool is_client)
{
    SSL *ssl = SSL_new(is_client ? tls->client : tls->server);
    INVARIANT(ssl && SSL_set_fd(ssl, fd) == 1);
    if (is_client)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    struct link_tls_session *session = NEW(struct link_tls_session);
    session->ssl = ssl;
    return session;
}

void link_tls_session_free(struct link_tls_session **freed)
{
    struct link_tls_session *session = *freed;
    if (!session)
        return;
    *freed = NULL;
    SSL_free(session->ssl);
    memory_free(session);
}

static int result_of(struct link_tls_session *session, int returned, uint32_t *events)
{
    int error = SSL_get_error(session->ssl, returned);
    ERR_clear_error();
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return ERROR_CLOSED;
    *events = error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
    return ERROR_AGAIN;
}

int link_tls_handshake(struct link_tls_session *session, uint32_t *events)
{
    int returned = SSL_do_handshake(session->ssl);
    return returned == 1 ? 0 : result_of(session, returned, events);
}

int link_tls_read(struct link_tls_session *session, uint8_t *out, uint32_t room, uint32_t *events)
{
    int returned = SSL_read(session->ssl, out, (int)room);
    return returned > 0 ? returned : result_of(session, returned, events);
}

int link_tls_write(struct link_tls_session *session, struct span bytes, uint32_t *events)
{
    int returned = SSL_write(session->ssl, bytes.data, (int)bytes.length);
    return returned > 0 ? returned : result_of(session, returned, events);
}
