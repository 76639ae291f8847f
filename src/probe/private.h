/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/probe: a check under way. check.c leads it from connecting to its result; what is said on the connection is
 * in check_http.c, what on a datagram socket in check_dns.c, TLS in trust.c.
 */
#ifndef PROBE_PRIVATE_H
#define PROBE_PRIVATE_H

#include "base/arena.h"
#include "base/slice.h"
#include "http/http.h"
#include "observe/observe.h"
#include "probe/probe.h"

#include <openssl/ssl.h>

#define CHECK_STEP_LIST(X)          \
    X(CONNECTING)                   \
    X(SECURING) /* TLS handshake */ \
    X(SENDING)                      \
    X(READING)                      \
    X(DONE) /* the result is told in a task */

enum check_step {
#define X(name) STEP_##name,
    CHECK_STEP_LIST(X)
#undef X
};

enum { CHECK_QUERY_BYTES = DNS_HEADER_BYTES + DNS_NAME_LIMIT + 4 };

struct check_exchange { /* HTTP */
    struct slice_queue out, in;
    struct http_parser parser;
    struct http_head head;
    struct arena arena;
    struct text body;
    uint64_t read_bytes;
    bool has_head;
};

struct check {
    enum check_step step;
    struct loop *loop;
    const struct check_question *question;
    struct address address;
    struct random *random;
    struct loop_watch watch;
    struct loop_timer timeout;
    struct loop_task tell;
    uint64_t began_ns;
    struct check_result result;
    SSL *ssl;
    struct check_exchange http;
    uint8_t query[CHECK_QUERY_BYTES];
    size_t query_bytes;
    void (*done)(void *owner, const struct check_result *result);
    void *owner;
};

/* The check is over; what comes later is ignored. */
void check_finish(struct check *check, enum check_cause cause);
/* Moves on, and waits for these events. */
void check_set_step(struct check *check, enum check_step step, uint32_t events);
void check_wait(struct check *check, uint32_t events);

/* ---- trust.c. Results: 0 or a number of bytes; ERROR_AGAIN, and *events says for what to wait; ERROR_CLOSED. */
MUST_USE int check_tls_open(struct check *check);
MUST_USE int check_tls_handshake(struct check *check, uint32_t *events);
MUST_USE int check_tls_read(struct check *check, uint8_t *out, uint32_t room,
                            uint32_t *events); /* 0: the end */
MUST_USE int check_tls_write(struct check *check, struct span bytes, uint32_t *events);
/* Looks at the certificate; CAUSE_NONE when it is as wanted. */
enum check_cause check_tls_judge(struct check *check);
enum check_cause check_tls_failure(const struct check *check); /* of a handshake */
void check_tls_close(struct check *check);

/* ---- check_http.c */
void check_http_begin(struct check *check); /* connected, and secured if it is to be */
void check_http_ready(struct check *check); /* the socket is ready for what was waited for */
void check_http_clear(struct check *check);

/* ---- ping.c */
void ping_metrics_register(void);

/* ---- check_dns.c */
MUST_USE int check_dns_open(struct check *check, int *fd); /* connected; the query is sent */
void check_dns_ready(struct check *check);
/* Whether this is an answer to that query; its code then. ERROR_INVALID: it is not. */
MUST_USE int check_dns_read(struct span query, struct span answer, uint8_t *rcode);

#endif
