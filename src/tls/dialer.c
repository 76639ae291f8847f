/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's side, for connections to origins: whom it trusts, its own certificate, sessions that are taken up again. As strict in
 * versions and ciphers as the profiles of servers are.
 */
#include "tls/context.h"
#include "tls/stream.h"

#include "base/memory.h"

#include <openssl/err.h>

enum { AUTHORITIES_LIMIT = 1024 };

/* A server's own certificate may stand for itself: that is how a self-signed one is trusted, and no other. */
static bool trust(SSL_CTX *openssl, struct span pem)
{
    STACK_OF(X509) *list = tls_read_certificates(pem, AUTHORITIES_LIMIT);
    X509_STORE *store = SSL_CTX_get_cert_store(openssl);
    bool is_good = list && sk_X509_num(list);
    for (int i = 0; is_good && i < sk_X509_num(list); i++)
        is_good = X509_STORE_add_cert(store, sk_X509_value(list, i)) == 1;
    sk_X509_pop_free(list, X509_free);
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(openssl, SSL_VERIFY_PEER, NULL);
    ERR_clear_error();
    return is_good;
}

static const char *fill(SSL_CTX *openssl, const struct tls_dialer_settings *settings)
{
    static const uint8_t protocols[] = "\x08http/1.1";
    tls_context_harden(openssl, settings->profile);
    SSL_CTX_set_verify(openssl, SSL_VERIFY_NONE, NULL);
    if (!settings->is_trusting && !trust(openssl, settings->authorities))
        return "the authorities are not certificates in PEM form, at most 1024";
    if (settings->certificate && !tls_certificate_use(settings->certificate, openssl))
        return "the client certificate cannot be used";
    INVARIANT(SSL_CTX_set_alpn_protos(openssl, protocols, sizeof protocols - 1) == 0);
    SSL_CTX_set_session_cache_mode(openssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(openssl, tls_on_session);
    return NULL;
}

struct tls_dialer *tls_dialer_new(const struct tls_dialer_settings *settings, struct text *why)
{
    struct tls_dialer *dialer = NEW(struct tls_dialer);
    atomic_init(&dialer->references, 1);
    dialer->openssl = SSL_CTX_new(TLS_client_method());
    dialer->stream_method = tls_stream_method_new();
    INVARIANT(dialer->openssl && dialer->stream_method);
    const char *wrong = fill(dialer->openssl, settings);
    if (wrong) {
        text_add(why, wrong);
        tls_dialer_release(&dialer);
    }
    return dialer;
}

struct tls_dialer *tls_dialer_retain(struct tls_dialer *dialer)
{
    atomic_fetch_add_explicit(&dialer->references, 1, memory_order_relaxed);
    return dialer;
}

void tls_dialer_release(struct tls_dialer **released)
{
    struct tls_dialer *dialer = *released;
    if (!dialer)
        return;
    *released = NULL;
    if (atomic_fetch_sub_explicit(&dialer->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(dialer->openssl);
    BIO_meth_free(dialer->stream_method);
    memory_free(dialer);
}
