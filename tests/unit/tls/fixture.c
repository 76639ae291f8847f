/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorities, certificates and a client of OpenSSL's for the tests of src/tls.
 */
#include "fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void to_text(BIO *bio, char *out, size_t room)
{
    int length = BIO_read(bio, out, (int)room - 1);
    assert_true(length > 0 && (size_t)length < room - 1);
    out[length] = 0;
    BIO_free(bio);
}

void pem_make(struct pem *pem, enum key_kind kind, const char *names, const struct pem *issuer,
              int64_t begins_in_s, int64_t ends_in_s)
{
    static long serial = 1;
    X509 *leaf = X509_new();
    EVP_PKEY *key =
        kind == KEY_EC ? EVP_EC_gen("P-256") : EVP_RSA_gen(kind == KEY_RSA_SHORT ? 1024u : 2048u);
    X509_set_version(leaf, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(leaf), serial);
    X509_gmtime_adj(X509_getm_notBefore(leaf), (long)begins_in_s);
    X509_gmtime_adj(X509_getm_notAfter(leaf), (long)ends_in_s);
    X509_set_pubkey(leaf, key);
    char subject[64];
    snprintf(subject, sizeof subject, "test %ld", serial++);
    X509_NAME_add_entry_by_NID(X509_get_subject_name(leaf), NID_commonName, MBSTRING_ASC,
                               (const uint8_t *)subject, -1, -1, 0);
    X509_set_issuer_name(leaf, X509_get_subject_name(issuer ? issuer->leaf : leaf));
    if (*names) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
        assert_non_null(extension);
        X509_add_ext(leaf, extension, -1);
        X509_EXTENSION_free(extension);
    } else { /* an authority */
        X509_EXTENSION *extension =
            X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
        X509_add_ext(leaf, extension, -1);
        X509_EXTENSION_free(extension);
    }
    assert_true(X509_sign(leaf, issuer ? issuer->secret : key, EVP_sha256()) > 0);
    *pem = (struct pem){.leaf = leaf, .secret = key};
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, leaf);
    if (issuer)
        PEM_write_bio_X509(bio, issuer->leaf);
    to_text(bio, pem->certificate, sizeof pem->certificate);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    to_text(bio, pem->key, sizeof pem->key);
}

void pem_clear(struct pem *pem)
{
    X509_free(pem->leaf);
    EVP_PKEY_free(pem->secret);
}

struct tls_certificate *pem_read(const struct pem *pem)
{
    struct text why = {0};
    struct tls_certificate *certificate =
        tls_certificate_read(span_text(pem->certificate), span_text(pem->key), &why);
    if (!certificate)
        fail_msg("%s", why.data);
    return certificate;
}

uint8_t *ocsp_make(const struct pem *about, const struct pem *issuer, bool is_good,
                   int64_t ends_in_s, size_t *bytes)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), about->leaf, issuer->leaf);
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0), *next = X509_gmtime_adj(NULL, (long)ends_in_s);
    OCSP_basic_add1_status(basic, id, is_good ? V_OCSP_CERTSTATUS_GOOD : V_OCSP_CERTSTATUS_REVOKED,
                           0, is_good ? NULL : now, now, next);
    assert_int_equal(OCSP_basic_sign(basic, issuer->leaf, issuer->secret, EVP_sha256(), NULL, 0),
                     1);
    OCSP_RESPONSE *answer = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    uint8_t *out = NULL;
    *bytes = (size_t)i2d_OCSP_RESPONSE(answer, &out);
    OCSP_RESPONSE_free(answer);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    return out;
}

SSL_CTX *client_new(void)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(client, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    return client;
}

void pair_open(struct pair *pair, struct tls_context *context, SSL_CTX *client, const char *name,
               SSL_SESSION *resumed, unsigned protocols)
{
    *pair = (struct pair){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
    pair->session = tls_session_new(context, pair->fds[0], protocols);
    pair->client = SSL_new(client);
    SSL_set_fd(pair->client, pair->fds[1]);
    SSL_set_connect_state(pair->client);
    if (name)
        SSL_set_tlsext_host_name(pair->client, name);
    if (resumed)
        SSL_set_session(pair->client, resumed);
}

void pair_move(struct pair *pair)
{
    pair->read_result = tls_session_read(pair->session, &pair->in, 1 << 20, &pair->ended);
    pair->write_result = tls_session_write(pair->session, &pair->out);
}

bool pair_handshake(struct pair *pair)
{
    enum { ROUNDS = 20 };
    int done = 0;
    for (int i = 0; i < ROUNDS; i++) {
        ERR_clear_error();
        done = SSL_do_handshake(pair->client);
        pair_move(pair);
        if (pair->read_result < 0)
            return false;
        if (done == 1 && tls_session_is_open(pair->session))
            break;
    }
    char none;
    SSL_read(pair->client, &none, 0); /* its tickets */
    SSL_peek(pair->client, &none, 1);
    return done == 1 && tls_session_is_open(pair->session);
}

void pair_close(struct pair *pair)
{
    tls_session_free(&pair->session);
    SSL_set_shutdown(pair->client, SSL_SENT_SHUTDOWN); /* else its session counts as broken */
    SSL_free(pair->client);
    slice_queue_clear(&pair->in);
    slice_queue_clear(&pair->out);
    close(pair->fds[0]);
    if (pair->fds[1] >= 0)
        close(pair->fds[1]);
    ERR_clear_error();
}

const char *pair_subject(const struct pair *pair, char out[TLS_NAME_BYTES])
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(SSL_get0_peer_certificate(pair->client), NID_subject_alt_name, NULL, NULL);
    const ASN1_STRING *text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), NULL);
    snprintf(out, TLS_NAME_BYTES, "%.*s", ASN1_STRING_length(text), ASN1_STRING_get0_data(text));
    GENERAL_NAMES_free(names);
    return out;
}
