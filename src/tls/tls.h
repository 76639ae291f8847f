/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS for visitors (R13): certificates chosen by the name that a client asks for, two strict profiles, tickets whose keys all
 * workers share, stapled OCSP answers, clients' certificates; and TLS to origins, where we are the client. Sessions read and write
 * slice queues like plain sockets do. By OpenSSL; nothing here logs, counts or reads a clock: the caller gets facts and causes, and
 * passes the time in.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "base/error.h"
#include "base/slice.h"
#include "base/text.h"

struct ssl_ctx_st; /* OpenSSL's */
struct ssl_session_st;
struct ssl_st;

enum {
    TLS_NAME_BYTES = 256,   /* longest name of a host, with a NUL */
    TLS_CHAIN_LIMIT = 16,   /* certificates between a server's and a root */
    TLS_NAMES_LIMIT = 1024, /* of a certificate that are looked at */
    TLS_TICKET_PERIOD_S =
        3600, /* a ticket key is the one in use so long, and is accepted twice as long again */
    TLS_SESSION_SECONDS = 2 * TLS_TICKET_PERIOD_S, /* a session can be resumed so long */
};

/* ---- certificates: a server's, those between it and a root, and its private key. Immutable but for the staple. */
struct tls_certificate;

/* The first certificate of `chain` is the server's. NULL, and what is wrong behind "certificate: " or "key: ". */
struct tls_certificate *tls_certificate_read(struct span chain_pem, struct span key_pem,
                                             struct text *why);
/* A fresh key, these names (`*.` stands for one label; there may be none), no authority. */
struct tls_certificate *tls_certificate_self_signed(const char *const *names, size_t count,
                                                    unsigned days);
/* Adds an OCSP answer (DER), which handshakes carry until it expires. 0; ERROR_INVALID: not one of this certificate, or it says
 * anything but "good"; ERROR_TIMEOUT: it has expired (now_s 0: not looked at). A sentence in `why`. */
MUST_USE int tls_certificate_staple(struct tls_certificate *certificate, struct span ocsp,
                                    uint64_t now_s, struct text *why);
void tls_certificate_release(struct tls_certificate **released);
uint64_t tls_certificate_begins_s(const struct tls_certificate *certificate); /* since 1970 */
uint64_t tls_certificate_ends_s(const struct tls_certificate *certificate);
bool tls_certificate_covers(const struct tls_certificate *certificate, struct span host);
/* For servers of the program with an OpenSSL context of their own. False: OpenSSL refuses. */
MUST_USE bool tls_certificate_use(const struct tls_certificate *certificate,
                                  struct ssl_ctx_st *context);

/* What checks clients' certificates: PEM. 0, or ERROR_INVALID with a sentence. */
MUST_USE int tls_authorities_check(struct span pem, struct text *why);

/* ---- what all contexts of a process share, over reloads: the keys of tickets, and the time */
struct tls_shared;

struct tls_shared *tls_shared_new(uint64_t now_s); /* wall time, since 1970 */
void tls_shared_free(struct tls_shared **freed);   /* behind every context */
/* Once a second or so, on one thread: takes new keys when it is time. */
void tls_shared_tick(struct tls_shared *shared, uint64_t now_s);

/* ---- a context: who is answered with what; immutable, counted, for all threads */
struct tls_context;

enum tls_profile {
    TLS_MODERN,       /* 1.3 alone */
    TLS_INTERMEDIATE, /* 1.2 with ephemeral keys and AEAD, and 1.3 */
};
enum tls_client { TLS_CLIENT_NONE, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };

struct tls_site {
    const char *name;         /* sessions are resumed within a site only */
    const char *const *hosts; /* lower case; "*.shop.example" stands for one or more labels */
    size_t host_count;
    struct tls_certificate *const
        *certificates; /* of several for a name, one of each kind of key */
    size_t certificate_count;
    enum tls_client client;  /* whether clients have certificates */
    struct span authorities; /* PEM, that they are checked by */
};

struct tls_settings {
    enum tls_profile profile;
    const struct tls_site *sites; /* names that two sites' certificates have: the first's count */
    size_t site_count;
    size_t
        default_site; /* answers clients that ask for no name, or an unknown one; SIZE_MAX: they are refused */
};

/* Retains the certificates; the rest is copied. NULL and a sentence. */
struct tls_context *tls_context_new(const struct tls_settings *settings, struct tls_shared *shared,
                                    struct text *why);
struct tls_context *tls_context_retain(struct tls_context *context);
void tls_context_release(struct tls_context **released);

/* ---- a client: whom it trusts and who it is; immutable, counted, for all threads */
struct tls_dialer;

struct tls_dialer_settings {
    enum tls_profile profile;
    bool
        is_trusting; /* whoever answers is believed; else the certificate must be of the name that is dialled, in force, and vouched for by */
    struct span authorities; /* these (PEM), authorities or the server's certificate itself */
    const struct tls_certificate
        *certificate; /* for servers that want one; NULL: none. Retained. */
};

/* NULL and a sentence. */
struct tls_dialer *tls_dialer_new(const struct tls_dialer_settings *settings, struct text *why);
struct tls_dialer *tls_dialer_retain(struct tls_dialer *dialer);
void tls_dialer_release(struct tls_dialer **released);

/* For code of the program that drives OpenSSL by itself: a connection in its beginning, without a socket. `name` as of tls_session_dial(). */
struct ssl_st *tls_dialer_open(struct tls_dialer *dialer, const char *name);

/* What makes the next handshake with the same server shorter. Zero-initialised; on one thread; outlives the sessions that fill it. */
struct tls_memory {
    struct ssl_session_st *session;
};
void tls_memory_clear(struct tls_memory *memory);

/* ---- a connection */
struct tls_session; /* belongs to one thread at a time */

enum { TLS_HTTP_1 = 1, TLS_HTTP_2 = 2 }; /* protocols, as bits (ALPN) */

struct tls_facts {
    const char *version, *cipher; /* NULL before the handshake is over */
    const char *name;             /* that the client asked for, lower case; "": none */
    unsigned protocol;            /* TLS_HTTP_2, or TLS_HTTP_1 also where nothing was said */
    bool is_resumed;
    bool has_client_certificate;    /* one that the site's authorities vouch for */
    uint8_t client_fingerprint[32]; /* SHA-256 of it */
};

// clang-format off
#define TLS_FAILURE_LIST(X)                                                 \
    X(NONE, "none", "none")                                                 \
    X(VERSION, "version", "no version of TLS in common")                    \
    X(CIPHER, "cipher", "no cipher or signature in common")                 \
    X(NAME, "name", "no certificate has the name that was asked for")       \
    X(PROTOCOL, "protocol", "no application protocol in common")            \
    X(CLIENT_CERTIFICATE, "client_certificate", "no valid certificate of the client") \
    X(NOT_TLS, "not_tls", "the other end does not speak TLS")               \
    X(ALERT, "alert", "the other end refused")                              \
    X(CLOSED, "closed", "the other end left")                               \
    X(TIMEOUT, "timeout", "the other end took too long")                    \
    X(MALFORMED, "malformed", "a malformed message")                        \
    X(REKEYS, "rekeys", "the other end changed its keys too often")         \
    /* from here on: what clients find */                                   \
    X(AUTHORITY, "authority", "certificate of an authority that is not trusted") \
    X(HOST, "host", "certificate of another host")                          \
    X(DATE, "date", "certificate expired or not valid yet")                 \
    X(CERTIFICATE, "certificate", "certificate that cannot be trusted")
// clang-format on

enum tls_failure {
#define X(name, word, text) TLS_FAILURE_##name,
    TLS_FAILURE_LIST(X)
#undef X
        TLS_FAILURES,
    TLS_FAILURES_OF_SERVERS = TLS_FAILURE_AUTHORITY /* those that a server can meet are below */
};
const char *tls_failure_text(enum tls_failure failure);

/* On a non-blocking stream socket, which stays the caller's. `protocols`: those that are offered here. The program ignores SIGPIPE. */
struct tls_session *tls_session_new(struct tls_context *context, int fd, unsigned protocols);
/* The same as a client. `name`: of a host, which the server is told and its certificate must have, or an address, which is not told.
 * HTTP/1.1 is asked for. `memory` may be NULL. */
struct tls_session *tls_session_dial(struct tls_dialer *dialer, int fd, const char *name,
                                     struct tls_memory *memory);
void tls_session_free(struct tls_session **freed);

/* As socket_read() and socket_write(), the handshake going on within them. A stream that ends without the client's word (close_notify)
 * is ERROR_RESET, since it may have been cut short. What a write leaves in `bytes` may be encrypted already: nothing may be taken
 * from its front by others before the next write. */
MUST_USE int tls_session_read(struct tls_session *session, struct slice_queue *bytes,
                              uint32_t limit, bool *ended);
MUST_USE int tls_session_write(struct tls_session *session, struct slice_queue *bytes);
/* Tells the client that nothing follows. 0: said, or nothing can be said any more; ERROR_AGAIN: once the socket takes it. */
MUST_USE int tls_session_shut(struct tls_session *session);

bool tls_session_is_open(const struct tls_session *session); /* the handshake is over */
/* What to wait for on the socket (EPOLLIN, EPOLLOUT), for one who wants to read, to write, or both. */
uint32_t tls_session_wants(const struct tls_session *session, bool reads, bool writes);
/* Bytes are here already, which the socket does not announce: read again when there is room. */
bool tls_session_has_pending(const struct tls_session *session);
const struct tls_facts *tls_session_facts(const struct tls_session *session);
/* Why the handshake failed, once a read or a write has; of a client also why the server ended the session behind it, as TLS 1.3 has it
 * where it does not like the client's certificate. */
enum tls_failure tls_session_failure(const struct tls_session *session);
/* May requests for this host come over the connection? If not: 421 (RFC 9110 section 15.5.20). */
bool tls_session_covers(struct tls_session *session, struct span host);

/* ---- a look at a client's first message, before anybody answers (T10) */
struct tls_hello {
    struct span name; /* that it asks for, as sent; empty: none */
};
/* `bytes`: what the client sent so far. 0; ERROR_INCOMPLETE; ERROR_INVALID: no ClientHello, or a malformed one; ERROR_LIMIT: too long.
 * `scratch`: TLS_HELLO_LIMIT bytes, where a message that came in several records is put together; the name lies in either. */
enum { TLS_HELLO_LIMIT = 16384 };
MUST_USE int tls_hello_parse(struct span bytes, uint8_t *scratch, struct tls_hello *hello);

#endif
