/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection: slices to records and back, and what OpenSSL asks in the course of the handshake.
 */
#include "tls/context.h"
#include "tls/hello.h"
#include "tls/stream.h"

#include "base/memory.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <sys/epoll.h>

enum {
    RECORD_BYTES = 16384,
    COPIED_MOST =
        8192, /* of a slice no larger than a record, behind another: the rest is encrypted where it lies */
    VECTORS = 24,        /* slices of which records are made in one go */
    BATCH_BYTES = 65536, /* of content whose records leave together */
};

struct tls_session {
    SSL *openssl;
    struct tls_stream stream;
    struct tls_context *context; /* of a server; else */
    struct tls_dialer *dialer;
    struct tls_memory *memory;           /* of a client; NULL: none */
    const struct tls_identity *identity; /* NULL before the client's name is known */
    const struct tls_policy *policy;
    unsigned protocols;
    struct tls_facts facts;
    char name[TLS_NAME_BYTES];
    char covered[TLS_NAME_BYTES]; /* the last host that requests came for, and may; "": none yet */
    enum tls_failure failure;
    int failed; /* what every further call returns; 0: nothing has */
    bool is_open, stopped_at_limit;
    uint32_t handshake_waits, read_waits,
        write_waits;  /* what of the socket the next of these needs */
    bool was_full;    /* the socket did not take the last batch as a whole */
    uint64_t content; /* read so far */
    uint64_t rekeys;  /* of the other end */
    uint64_t sealed;  /* at the front of what is written: is in records that the stream holds */
};

/* Changes of keys that the other end may make (RFC 8446 section 4.6.3): so many, and one more for so much content. */
enum { REKEYS_MOST = 64, REKEY_BYTES = 16384 };

static const char *const failure_texts[] = {
#define X(name, word, text) text,
    TLS_FAILURE_LIST(X)
#undef X
};

const char *tls_failure_text(enum tls_failure failure)
{
    return failure_texts[failure];
}

/* ---- what OpenSSL asks */

static struct tls_session *session_of(SSL *openssl)
{
    return SSL_get_app_data(openssl);
}

/* A change of keys costs what a record of content costs, and OpenSSL goes through all that have come before it returns: those of a full socket
 * hold up everybody else for seconds. */
void tls_on_message(int is_written, int version, int kind, const void *data, size_t length,
                    SSL *openssl, void *argument)
{
    struct tls_session *session = session_of(openssl);
    (void)version;
    (void)argument;
    if (is_written || kind != SSL3_RT_HANDSHAKE || !length ||
        *(const uint8_t *)data != SSL3_MT_KEY_UPDATE)
        return;
    if (++session->rekeys > REKEYS_MOST + session->content / REKEY_BYTES) {
        session->failure = TLS_FAILURE_REKEYS;
        session->stream.is_flooded = true;
    }
}

/* False: malformed. */
static bool take_name(struct tls_session *session, SSL *openssl)
{
    const unsigned char *data;
    size_t length;
    struct tls_hello hello = {0};
    session->name[0] = 0;
    if (!SSL_client_hello_get0_ext(openssl, TLSEXT_TYPE_server_name, &data, &length))
        return true;
    if (tls_hello_read_name(span_of(data, length), &hello) < 0 ||
        hello.name.length >= TLS_NAME_BYTES)
        return false;
    for (size_t i = 0; i < hello.name.length; i++)
        session->name[i] = (char)ascii_lower(hello.name.data[i]);
    session->name[hello.name.length] = 0;
    return true;
}

static void ask_for_certificate(SSL *openssl, const struct tls_policy *policy)
{
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    if (policy->client == TLS_CLIENT_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_set_verify(openssl, mode, NULL);
    SSL_set1_verify_cert_store(openssl, policy->authorities);
    SSL_set_client_CA_list(openssl, SSL_dup_CA_list(policy->authority_names));
}

/* Before anything is resumed or chosen: whose connection is it? Comes twice where another group is asked for. */
int tls_on_hello(SSL *openssl, int *alert, void *argument)
{
    struct tls_session *session = session_of(openssl);
    (void)argument;
    if (!take_name(session, openssl)) {
        *alert = SSL_AD_DECODE_ERROR;
        session->failure = TLS_FAILURE_MALFORMED;
        return SSL_CLIENT_HELLO_ERROR;
    }
    struct span name = span_text(session->name);
    session->identity = tls_context_identity(session->context, name);
    session->policy = tls_context_policy(session->context, name);
    if (!session->identity) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        session->failure = TLS_FAILURE_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (session->policy->client != TLS_CLIENT_NONE)
        ask_for_certificate(openssl, session->policy);
    return SSL_set_session_id_context(openssl, session->policy->resumption, RESUMPTION_BYTES) == 1
               ? SSL_CLIENT_HELLO_SUCCESS
               : SSL_CLIENT_HELLO_ERROR;
}

int tls_on_certificate(SSL *openssl, void *argument)
{
    const struct tls_session *session = session_of(openssl);
    (void)argument;
    for (int kind = 0; kind < TLS_KINDS; kind++) {
        const struct tls_certificate *certificate = session->identity->kinds[kind];
        if (certificate && SSL_use_cert_and_key(openssl, certificate->leaf, certificate->key,
                                                certificate->chain, 1) != 1)
            return 0;
    }
    return 1;
}

static bool offers(struct span offered, struct span protocol)
{
    while (offered.length) {
        size_t length = offered.data[0];
        if (span_equal(span_of(offered.data + 1, length),
                       protocol)) /* OpenSSL has checked the lengths */
            return true;
        offered = span_from(offered, 1 + length);
    }
    return false;
}

int tls_on_protocols(SSL *openssl, const unsigned char **out, unsigned char *length,
                     const unsigned char *offered, unsigned offered_length, void *argument)
{
    static const struct {
        unsigned bit;
        struct span name;
    } known[] = {{TLS_HTTP_2, {(const uint8_t *)"h2", 2}},
                 {TLS_HTTP_1, {(const uint8_t *)"http/1.1", 8}}};
    struct tls_session *session = session_of(openssl);
    (void)argument;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (session->protocols & known[i].bit &&
            offers(span_of(offered, offered_length), known[i].name)) {
            *out = known[i].name.data;
            *length = (unsigned char)known[i].name.length;
            session->facts.protocol = known[i].bit;
            return SSL_TLSEXT_ERR_OK;
        }
    session->failure = TLS_FAILURE_PROTOCOL;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int tls_on_staple(SSL *openssl, void *argument)
{
    const struct tls_session *session = session_of(openssl);
    const X509 *used = SSL_get_certificate(openssl);
    (void)argument;
    for (int kind = 0; kind < TLS_KINDS; kind++) {
        const struct tls_certificate *certificate = session->identity->kinds[kind];
        if (!certificate || certificate->leaf != used || !certificate->staple ||
            certificate->staple_ends_s <= tls_shared_now_s(session->context->shared))
            continue;
        unsigned char *copy = OPENSSL_memdup(certificate->staple, certificate->staple_bytes);
        if (!copy)
            break;
        SSL_set_tlsext_status_ocsp_resp(openssl, copy, (long)certificate->staple_bytes);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

int tls_on_ticket(SSL *openssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int is_new)
{
    int result =
        tls_shared_ticket(session_of(openssl)->context->shared, name, iv, cipher, mac, is_new);
    /* TLS 1.3: clients use a ticket once, so that they cannot be followed by it (RFC 8446 appendix C.4). */
    return result == TLS_TICKET_GOOD && !is_new && SSL_version(openssl) == TLS1_3_VERSION
               ? TLS_TICKET_RENEWED
               : result;
}

/* Of the sessions that a server offers the last one is kept. */
int tls_on_session(SSL *openssl, SSL_SESSION *offered)
{
    const struct tls_session *session = session_of(openssl);
    struct tls_memory *memory = session ? session->memory : NULL;
    if (!memory)
        return 0;
    SSL_SESSION_free(memory->session);
    memory->session = offered;
    return 1;
}

/* ---- life */

static struct tls_session *make_session(SSL_CTX *openssl, const BIO_METHOD *stream_method, int fd)
{
    struct tls_session *session = NEW(struct tls_session);
    session->openssl = SSL_new(openssl);
    session->stream.fd = fd;
    BIO *bio = tls_stream_open(stream_method, &session->stream);
    INVARIANT(session->openssl && bio);
    SSL_set_bio(session->openssl, bio, bio);
    SSL_set_app_data(session->openssl, session);
    session->facts.name = session->name;
    session->facts.protocol = TLS_HTTP_1;
    session->handshake_waits = session->read_waits = EPOLLIN;
    session->write_waits = EPOLLOUT;
    return session;
}

struct tls_session *tls_session_new(struct tls_context *context, int fd, unsigned protocols)
{
    struct tls_session *session = make_session(context->openssl, context->stream_method, fd);
    SSL_set_accept_state(session->openssl);
    session->context = tls_context_retain(context);
    session->protocols = protocols;
    return session;
}

/* The certificate must have it; a server is told names only (RFC 6066 section 3). */
static void expect_name(SSL *openssl, const char *name)
{
    X509_VERIFY_PARAM *wanted = SSL_get0_param(openssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, name) == 1)
        return;
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    INVARIANT(X509_VERIFY_PARAM_set1_host(wanted, name, 0) == 1 &&
              SSL_set_tlsext_host_name(openssl, name) == 1);
    ERR_clear_error();
}

SSL *tls_dialer_open(struct tls_dialer *dialer, const char *name)
{
    SSL *openssl = SSL_new(dialer->openssl);
    INVARIANT(openssl);
    SSL_set_connect_state(openssl);
    expect_name(openssl, name);
    return openssl;
}

struct tls_session *tls_session_dial(struct tls_dialer *dialer, int fd, const char *name,
                                     struct tls_memory *memory)
{
    struct tls_session *session = make_session(dialer->openssl, dialer->stream_method, fd);
    SSL_set_connect_state(session->openssl);
    session->dialer = tls_dialer_retain(dialer);
    session->memory = memory;
    session->handshake_waits = EPOLLOUT;
    expect_name(session->openssl, name);
    if (memory && memory->session)
        SSL_set_session(session->openssl, memory->session);
    return session;
}

void tls_memory_clear(struct tls_memory *memory)
{
    SSL_SESSION_free(memory->session);
    memory->session = NULL;
}

void tls_session_free(struct tls_session **freed)
{
    struct tls_session *session = *freed;
    if (!session)
        return;
    *freed = NULL;
    SSL_free(session->openssl);
    slice_queue_clear(&session->stream.held);
    tls_context_release(&session->context);
    tls_dialer_release(&session->dialer);
    memory_free(session);
}

/* ---- results */

/* What a client finds wrong with the certificate. */
static enum tls_failure distrust_of(long verdict)
{
    switch (verdict) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return TLS_FAILURE_HOST;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return TLS_FAILURE_DATE;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return TLS_FAILURE_AUTHORITY;
    }
    return TLS_FAILURE_CERTIFICATE;
}

static enum tls_failure cause_of(const struct tls_session *session, unsigned long error)
{
    enum { ALERTS = 1000 }; /* reasons from here on are what the peer said */
    int reason = ERR_GET_REASON(error);
    switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_INAPPROPRIATE_FALLBACK:
        return TLS_FAILURE_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
        return TLS_FAILURE_CIPHER;
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return TLS_FAILURE_PROTOCOL;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return TLS_FAILURE_CLIENT_CERTIFICATE;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return session->dialer ? distrust_of(SSL_get_verify_result(session->openssl))
                               : TLS_FAILURE_CLIENT_CERTIFICATE;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
        return TLS_FAILURE_NOT_TLS;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return TLS_FAILURE_CLOSED;
    }
    if (session->dialer && reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION)
        return TLS_FAILURE_VERSION;
    return reason >= ALERTS ? TLS_FAILURE_ALERT : TLS_FAILURE_MALFORMED;
}

static int fail(struct tls_session *session, int result, enum tls_failure cause)
{
    session->failed = result;
    bool is_late = session->dialer && cause == TLS_FAILURE_ALERT;
    if ((!session->is_open || is_late) && session->failure == TLS_FAILURE_NONE)
        session->failure = cause;
    return result;
}

/* ERROR_AGAIN, with what to wait for; ERROR_CLOSED: the client has said that it is done; ERROR_RESET, ERROR_IO. */
static int result_of(struct tls_session *session, int returned, uint32_t *waits)
{
    int number = errno;
    int kind = SSL_get_error(session->openssl, returned);
    unsigned long error = ERR_peek_error();
    ERR_clear_error();
    switch (kind) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        *waits = kind == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
        session->handshake_waits = *waits;
        return ERROR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return ERROR_CLOSED;
    case SSL_ERROR_SYSCALL:
        return fail(session, number == ECONNRESET || number == EPIPE ? ERROR_RESET : ERROR_IO,
                    TLS_FAILURE_CLOSED);
    }
    bool is_cut = ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    return fail(session, is_cut ? ERROR_RESET : ERROR_IO, cause_of(session, error));
}

static void note_client(struct tls_session *session)
{
    const X509 *certificate = SSL_get0_peer_certificate(session->openssl);
    unsigned length = 0;
    struct tls_facts *facts = &session->facts;
    facts->has_client_certificate =
        certificate && SSL_get_verify_result(session->openssl) == X509_V_OK &&
        X509_digest(certificate, EVP_sha256(), facts->client_fingerprint, &length) == 1;
}

static void note_handshake(struct tls_session *session)
{
    if (session->is_open || !SSL_is_init_finished(session->openssl))
        return;
    session->is_open = session->stream.is_open = true;
    session->read_waits = EPOLLIN;
    session->write_waits = EPOLLOUT;
    session->facts.version = SSL_get_version(session->openssl);
    session->facts.cipher = SSL_get_cipher_name(session->openssl);
    session->facts.is_resumed = SSL_session_reused(session->openssl);
    if (session->context && session->policy->client != TLS_CLIENT_NONE)
        note_client(session);
}

/* ---- bytes */

/* Fills a chunk with the content of one or several records. 0, or why no more came. */
static int read_chunk(struct tls_session *session, struct chunk *chunk, uint32_t limit)
{
    uint32_t room = limit < chunk->capacity ? limit : chunk->capacity;
    while (chunk->filled < room) {
        int got =
            SSL_read(session->openssl, chunk->data + chunk->filled, (int)(room - chunk->filled));
        if (got <= 0)
            return result_of(session, got, &session->read_waits);
        session->read_waits = EPOLLIN;
        chunk->filled += (uint32_t)got;
        session->content += (uint64_t)got;
        note_handshake(session); /* behind the next failure OpenSSL would not know any more */
        if (session->is_open && session->stream.is_empty && !SSL_has_pending(session->openssl))
            return ERROR_AGAIN; /* as it would say by itself, at greater length */
    }
    return 0;
}

int tls_session_read(struct tls_session *session, struct slice_queue *bytes, uint32_t limit,
                     bool *ended)
{
    uint32_t total = 0;
    int result = session->failed;
    *ended = false;
    session->stream.is_empty = false;
    while (result == 0 && total < limit) {
        struct chunk *chunk = chunk_new();
        result = read_chunk(session, chunk, limit - total);
        total += chunk->filled;
        slice_queue_push_read(bytes, chunk);
        note_handshake(session);
    }
    session->stopped_at_limit = result == 0;
    *ended = result == ERROR_CLOSED;
    return total || result == ERROR_AGAIN || *ended ? (int)total : result;
}

/* Content that becomes records. */
struct content {
    struct iovec slices[VECTORS];
    int count, at;
};

static bool content_is_over(const struct content *content)
{
    return content->at == content->count;
}

static void content_take(struct content *content, size_t length)
{
    struct iovec *slice = &content->slices[content->at];
    slice->iov_base = (uint8_t *)slice->iov_base + length;
    slice->iov_len -= length;
    content->at += !slice->iov_len;
}

/* How much of a slice is copied behind others into a record that has so much room. What is large can be encrypted where it lies wherever
 * it is cut; of what makes just one record the end is not taken off. */
static size_t content_share(size_t length, size_t room)
{
    if (length <= room)
        return length;
    if (length - room >= RECORD_BYTES)
        return room;
    return room > COPIED_MOST ? COPIED_MOST : 0;
}

/* What the next record holds, in one piece. */
static struct span content_next(struct content *content, uint8_t scratch[RECORD_BYTES])
{
    const struct iovec *slice = &content->slices[content->at];
    struct span first = span_of(slice->iov_base, slice->iov_len);
    if (first.length > RECORD_BYTES)
        first.length = RECORD_BYTES;
    content_take(content, first.length);
    if (first.length == RECORD_BYTES || content_is_over(content))
        return first;
    memcpy(scratch, first.data, first.length);
    size_t length = first.length;
    while (length < RECORD_BYTES && !content_is_over(content)) {
        slice = &content->slices[content->at];
        size_t share = content_share(slice->iov_len, RECORD_BYTES - length);
        bool is_cut = share < slice->iov_len;
        memcpy(scratch + length, slice->iov_base, share);
        length += share;
        content_take(content, share);
        if (is_cut)
            break;
    }
    return span_of(scratch, length);
}

static int write_failed(struct tls_session *session, int result)
{
    session->write_waits = EPOLLOUT;
    return result == ERROR_AGAIN ? result : fail(session, result, TLS_FAILURE_CLOSED);
}

/* Content leaves the queue when its records have left, byte by byte: what is told of it is how far the client is. */
static void drop_sent(struct tls_session *session, struct slice_queue *bytes)
{
    uint64_t held = session->stream.held.bytes;
    uint64_t left = session->sealed < held ? session->sealed : held;
    slice_queue_consume(bytes, session->sealed - left);
    session->sealed = left;
}

static int flush(struct tls_session *session, struct slice_queue *bytes)
{
    int result = tls_stream_flush(&session->stream);
    drop_sent(session, bytes);
    return result ? write_failed(session, result) : 0;
}

/* It becomes several where the client asked for small ones (RFC 6066 section 4). */
static int write_record(struct tls_session *session, struct span content)
{
    while (content.length) {
        int put = SSL_write(session->openssl, content.data, (int)content.length);
        if (put <= 0)
            return result_of(session, put, &session->write_waits);
        session->sealed += (uint64_t)put;
        content = span_from(content, (size_t)put);
    }
    return 0;
}

/* The stream holds nothing. Some of what comes first, as records that leave together; after a refusal one by one, so that little is held for
 * a client that does not take it. */
static int write_batch(struct tls_session *session, struct slice_queue *bytes)
{
    uint8_t scratch[RECORD_BYTES];
    struct content content = {.at = 0};
    struct tls_stream *stream = &session->stream;
    uint64_t most = session->was_full ? RECORD_BYTES : BATCH_BYTES;
    int result = 0;
    content.count = slice_queue_vectors(bytes, content.slices, VECTORS);
    stream->holds = stream->has_more = true;
    while (result == 0 && stream->has_more) {
        struct span record = content_next(&content, scratch);
        stream->has_more =
            !content_is_over(&content) && session->sealed + record.length + RECORD_BYTES <= most;
        result = write_record(session, record);
    }
    stream->holds = false;
    session->was_full = stream->held.bytes;
    drop_sent(session, bytes);
    if (result == 0 && session->was_full)
        result = write_failed(session, ERROR_AGAIN);
    return result;
}

static int handshake(struct tls_session *session)
{
    int done = SSL_do_handshake(session->openssl);
    int result = done > 0 ? 0 : result_of(session, done, &session->write_waits);
    note_handshake(session);
    return result;
}

int tls_session_write(struct tls_session *session, struct slice_queue *bytes)
{
    uint64_t before = bytes->bytes;
    int result = session->failed;
    if (result == 0 && !session->is_open)
        result = handshake(session);
    if (result == 0 && session->sealed)
        result = flush(session, bytes);
    while (result == 0 && bytes->bytes)
        result = write_batch(session, bytes);
    if (result == ERROR_CLOSED)
        result = fail(session, ERROR_RESET, TLS_FAILURE_CLOSED);
    uint64_t total = before - bytes->bytes;
    if (!total && result != 0 && result != ERROR_AGAIN)
        return result;
    return (int)(total < INT32_MAX ? total : INT32_MAX);
}

int tls_session_shut(struct tls_session *session)
{
    if (session->failed || !session->is_open)
        return 0;
    int done = SSL_shutdown(session->openssl);
    if (done >= 0)
        return 0;
    return result_of(session, done, &session->write_waits) == ERROR_AGAIN &&
                   session->write_waits == EPOLLOUT
               ? ERROR_AGAIN
               : 0;
}

/* ---- questions */

bool tls_session_is_open(const struct tls_session *session)
{
    return session->is_open;
}

/* Reading and writing both move the handshake on. */
uint32_t tls_session_wants(const struct tls_session *session, bool reads, bool writes)
{
    if (session->failed)
        return reads ? EPOLLIN : 0;
    if (!session->is_open)
        return session->handshake_waits;
    return (reads ? session->read_waits : 0) | (writes ? session->write_waits : 0);
}

bool tls_session_has_pending(const struct tls_session *session)
{
    return session->stopped_at_limit && SSL_has_pending(session->openssl);
}

const struct tls_facts *tls_session_facts(const struct tls_session *session)
{
    return &session->facts;
}

enum tls_failure tls_session_failure(const struct tls_session *session)
{
    return session->failure;
}

static bool covers(const struct tls_session *session, struct span host)
{
    INVARIANT(session->context);
    const struct tls_policy *policy = tls_context_policy(session->context, host);
    if (!session->identity || (policy->client != TLS_CLIENT_NONE && policy != session->policy))
        return false;
    for (int kind = 0; kind < TLS_KINDS; kind++)
        if (session->identity->kinds[kind] &&
            tls_certificate_covers(session->identity->kinds[kind], host))
            return true;
    return false;
}

/* Most connections are for one host. */
bool tls_session_covers(struct tls_session *session, struct span host)
{
    if (host.length && span_equal(host, span_text(session->covered)))
        return true;
    if (!covers(session, host))
        return false;
    if (host.length < TLS_NAME_BYTES) {
        memcpy(session->covered, host.data, host.length);
        session->covered[host.length] = 0;
    }
    return true;
}
