/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of HTTPS checks, by OpenSSL on the loop's non-blocking sockets. The handshake goes through whatever the certificate says;
 * what is wrong with it is told afterwards, so that an expired certificate is not taken for a broken server, and its date is known
 * before it matters.
 */
#include "probe/private.h"

#include "base/memory.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

struct check_trust {
    SSL_CTX *context;
};

/* Adds every certificate of the text; returns how many. */
static size_t add_authorities(SSL_CTX *context, struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
    X509 *authority;
    size_t count = 0;
    while (bio && (authority = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority) == 1;
        X509_free(authority);
    }
    BIO_free(bio);
    ERR_clear_error();
    return count;
}

struct check_trust *check_trust_new(struct span pem)
{
    struct check_trust *trust = NEW(struct check_trust);
    trust->context = SSL_CTX_new(TLS_client_method());
    INVARIANT(trust->context);
    SSL_CTX_set_mode(trust->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(trust->context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(trust->context, SSL_SESS_CACHE_OFF);
    if (pem.length && !add_authorities(trust->context, pem))
        check_trust_free(&trust);
    return trust;
}

void check_trust_free(struct check_trust **freed)
{
    struct check_trust *trust = *freed;
    *freed = NULL;
    if (!trust)
        return;
    SSL_CTX_free(trust->context);
    memory_free(trust);
}

/* ---- a session */

/* The name that the certificate must have, and that the server is told; an address goes without the latter. */
static bool set_host(SSL *ssl, const struct check *check)
{
    char address[ADDRESS_TEXT_BYTES];
    if (check->question->host)
        return SSL_set1_host(ssl, check->question->host) == 1 &&
               SSL_set_tlsext_host_name(ssl, check->question->host) == 1;
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
                                         address_text(&check->address, false, address)) == 1;
}

int check_tls_open(struct check *check)
{
    if (check->question->dialer) {
        check->ssl = tls_dialer_open(check->question->dialer, check->question->tls_name);
        return SSL_set_fd(check->ssl, check->watch.fd) == 1 ? 0 : ERROR_LIMIT;
    }
    if (!check->question->trust)
        return ERROR_UNSUPPORTED;
    SSL *ssl = SSL_new(check->question->trust->context);
    if (!ssl || SSL_set_fd(ssl, check->watch.fd) != 1 || !set_host(ssl, check)) {
        SSL_free(ssl);
        ERR_clear_error();
        return ERROR_LIMIT;
    }
    SSL_set_connect_state(ssl);
    check->ssl = ssl;
    return 0;
}

void check_tls_close(struct check *check)
{
    SSL_free(check->ssl); /* the descriptor stays open */
    check->ssl = NULL;
}

static int result_of(struct check *check, int returned, uint32_t *events)
{
    int error = SSL_get_error(check->ssl, returned);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return ERROR_CLOSED;
    *events = error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
    return ERROR_AGAIN;
}

int check_tls_handshake(struct check *check, uint32_t *events)
{
    int returned = SSL_do_handshake(check->ssl);
    if (returned == 1)
        return 0;
    int result = result_of(check, returned, events);
    return result == 0 ? ERROR_CLOSED : result;
}

int check_tls_read(struct check *check, uint8_t *out, uint32_t room, uint32_t *events)
{
    int returned = SSL_read(check->ssl, out, (int)room);
    return returned > 0 ? returned : result_of(check, returned, events);
}

int check_tls_write(struct check *check, struct span bytes, uint32_t *events)
{
    int returned = SSL_write(check->ssl, bytes.data, (int)bytes.length);
    if (returned > 0)
        return returned;
    int result = result_of(check, returned, events);
    return result == 0 ? ERROR_CLOSED : result;
}

/* ---- the certificate */

static uint64_t expiry_s(const X509 *certificate)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return 0;
    time_t time = timegm(&tm);
    return time > 0 ? (uint64_t)time : 0;
}

static bool is_in_force(const X509 *certificate)
{
    return X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0 &&
           X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

static enum check_cause cause_of(long verdict)
{
    switch (verdict) {
    case X509_V_OK:
        return CAUSE_NONE;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return CAUSE_CERTIFICATE_HOST;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return CAUSE_CERTIFICATE_DATE;
    default:
        return CAUSE_CERTIFICATE_TRUST;
    }
}

static enum check_cause judge(const struct check *check, const X509 *certificate)
{
    if (check->question->dialer || check->question->certificate == CHECK_CERTIFICATE_OFF)
        return CAUSE_NONE;
    if (!is_in_force(certificate))
        return CAUSE_CERTIFICATE_DATE;
    if (check->question->certificate == CHECK_CERTIFICATE_DATE)
        return CAUSE_NONE;
    return cause_of(SSL_get_verify_result(check->ssl));
}

/* A dialer ends the handshake over what it does not like. */
enum check_cause check_tls_failure(const struct check *check)
{
    enum check_cause cause =
        check->question->dialer ? cause_of(SSL_get_verify_result(check->ssl)) : CAUSE_NONE;
    return cause == CAUSE_NONE ? CAUSE_TLS : cause;
}

enum check_cause check_tls_judge(struct check *check)
{
    X509 *certificate = SSL_get1_peer_certificate(check->ssl);
    if (!certificate)
        return CAUSE_TLS;
    check->result.certificate_expires_s = expiry_s(certificate);
    enum check_cause cause = judge(check, certificate);
    X509_free(certificate);
    ERR_clear_error();
    return cause;
}
