/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node sends out to learn about others: checks whether edges, gateways, origins and DNS nodes serve (R8), and
 * round trips to client networks (H3). Everything runs on one loop, without threads; the number of checks and
 * measurements under way is bounded. What the results mean is decided in measure/ (health.h, probe_schedule.h).
 */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include "base/arena.h"
#include "base/random.h"
#include "conf/conf.h"
#include "crypto/crypto.h"
#include "dns/dns.h"
#include "loop/loop.h"
#include "measure/measure.h"
#include "tls/tls.h"

/* ---- checks ---- */

/* Numbers cross the wire in HEALTH sections (docs/protocol/measure.md): add at the end. */
#define CHECK_KIND_LIST(X) \
    X(TCP, "tcp")          \
    X(HTTP, "http")        \
    X(HTTPS, "https")      \
    X(DNS, "dns")

enum check_kind {
#define X(name, text) CHECK_##name,
    CHECK_KIND_LIST(X)
#undef X
        CHECK_KINDS
};

/* name, what it says of the target, text. Likewise on the wire. */
#define CHECK_CAUSE_LIST(X)                                                             \
    X(NONE, HEALTH_GOOD, "ok")                                                          \
    X(TIMEOUT, HEALTH_BAD, "no answer in time")                                         \
    X(REFUSED, HEALTH_BAD, "connection refused")                                        \
    X(RESET, HEALTH_BAD, "connection reset")                                            \
    X(UNREACHABLE, HEALTH_BAD, "told unreachable")                                      \
    X(NO_ROUTE, HEALTH_VOID, "no route from here")                                      \
    X(LIMIT, HEALTH_VOID, "no descriptor or port left here")                            \
    X(CLOSED, HEALTH_BAD, "ended before the answer was complete")                       \
    X(TLS, HEALTH_BAD, "TLS handshake failed")                                          \
    X(CERTIFICATE_TRUST, HEALTH_BAD, "certificate of an authority that is not trusted") \
    X(CERTIFICATE_HOST, HEALTH_BAD, "certificate of another host")                      \
    X(CERTIFICATE_DATE, HEALTH_BAD, "certificate expired or not valid yet")             \
    X(HTTP, HEALTH_BAD, "malformed HTTP")                                               \
    X(STATUS, HEALTH_BAD, "another HTTP status than wanted")                            \
    X(BODY, HEALTH_BAD, "the wanted text is not in the answer")                         \
    X(DNS, HEALTH_BAD, "DNS answer with an error")

enum check_cause {
#define X(name, outcome, text) CAUSE_##name,
    CHECK_CAUSE_LIST(X)
#undef X
        CHECK_CAUSES
};

const char *check_cause_text(enum check_cause cause);
enum health_outcome check_cause_outcome(enum check_cause cause);

/* How much of a certificate must be right. */
enum check_certificate {
    CHECK_CERTIFICATE_OFF,
    CHECK_CERTIFICATE_DATE, /* in force today */
    CHECK_CERTIFICATE_FULL, /* and of this host, by an authority that is trusted */
};

/* Authorities; shared by any number of checks. `pem` empty: none, so CHECK_CERTIFICATE_FULL never holds. NULL: not a single
 * certificate could be read. */
struct check_trust;
struct check_trust *check_trust_new(struct span pem);
void check_trust_free(struct check_trust **trust);

enum { CHECK_BODY_BYTES = 64 * 1024 }; /* of an answer that are looked at */

/* What is asked and what is a good answer. Outlives the checks that use it, and so does what it points to. */
struct check_question {
    enum check_kind kind;
    /* HTTP and HTTPS: GET */
    const char *host; /* Host, server name and name of the certificate; NULL: the address */
    const char *path; /* NULL: "/" */
    uint16_t status_least, status_most;
    const char *body; /* text that must be in the answer; NULL: any */
    enum check_certificate certificate;
    struct check_trust *trust;
    /* HTTPS, instead of these two: it decides whom it believes, by this name. */
    struct tls_dialer *dialer;
    const char *tls_name;
    const char *socket;  /* path of a Unix socket, instead of the address */
    struct span preface; /* what connections begin with, in clear */
    /* DNS, over UDP: NOERROR is good */
    struct dns_name name;
    uint16_t type;
};

struct check_result {
    enum check_cause cause;
    uint32_t connect_us;            /* of the TCP handshake; 0: there was none */
    uint32_t took_us;               /* of the whole check */
    uint16_t status;                /* HTTP; 0: none */
    uint64_t certificate_expires_s; /* since 1970; 0: none was seen */
};

struct check;

/* `done` is called once, from the loop and never from here, and the check is gone by then; not after check_cancel(). */
struct check *check_start(struct loop *loop, const struct check_question *question,
                          const struct address *address, uint64_t timeout_ns, struct random *random,
                          void (*done)(void *owner, const struct check_result *result),
                          void *owner);
void check_cancel(struct check **check); /* nulls; NULL is fine */

/* ---- targets that are checked again and again ---- */

/* All targets of one loop. Embed it. */
struct checker {
    struct loop *loop;
    struct random random;
    uint32_t running, limit; /* checks at once; a target beyond waits for its turn */
};

void checker_init(struct checker *checker, struct loop *loop, uint64_t seed);

struct check_target {
    struct health health;     /* read it at any time */
    struct check_result last; /* likewise */
    const struct health_settings *settings;
    const struct check_question *question;
    struct address address;
    /* After each check, `has_changed` when its state did. The target may be stopped in it. */
    void (*on_result)(struct check_target *target, bool has_changed);

    /* private */
    struct checker *checker;
    struct check *check;
    struct loop_timer timer;
    uint64_t began_ns;
};

/* Embed it, zeroed, with settings, question, address and on_result set. */
void check_target_start(struct check_target *target, struct checker *checker);
void check_target_stop(struct check_target *target); /* harmless when not running */

/* ---- what a configuration asks for ---- */

/* A question and how often it is asked, with copies of all they need. */
struct check_plan {
    struct arena arena;
    struct check_question question;
    struct health_settings settings;
    uint16_t port; /* 0: the target's own */
    uint64_t warn_ns;
};
void check_plan_init(struct check_plan *plan, const struct conf_health *health);
void check_plan_clear(struct check_plan *plan);

enum { EDGE_VANTAGES_LIMIT = 8 };

struct edge_target {
    const char *name;
    uint64_t id;               /* status_node_id() */
    struct address *addresses; /* with their ports */
    size_t address_count;
    uint64_t vantages[EDGE_VANTAGES_LIMIT]; /* ids of the edges that check it */
    uint32_t vantage_count;
};
bool edge_target_has_vantage(const struct edge_target *edge, uint64_t id);

/* Which edges are checked and by whom. Immutable. Edges are numbered as they are configured. */
struct edge_plan {
    struct check_plan check;
    uint32_t quorum;
    struct edge_target *edges;
    size_t count;
};
/* NULL: edges are not checked. */
struct edge_plan *edge_plan_new(const struct conf *conf, const struct crypto *crypto);
void edge_plan_free(struct edge_plan **plan);

/* ---- the edges that this node checks ---- */

struct edge_view {
    bool is_checked; /* by this node */
    enum health_state state;
    enum check_cause cause; /* of the last check; likewise what follows */
    uint32_t rtt_us, streak;
    uint64_t checked_ns;
    struct address address; /* that decided it */
};

struct edge_checks;

struct edge_checks_options {
    const struct edge_plan *plan; /* outlives the checks */
    struct loop *loop;
    uint64_t seed;
    bool is_dns;  /* checks every edge; else those for which `own` is a vantage point */
    uint64_t own; /* status_node_id() of this node */
    void (*changed)(void *owner, uint32_t edge, const struct edge_view *view);
    void *owner;
};

struct edge_checks *edge_checks_new(const struct edge_checks_options *options);
void edge_checks_free(struct edge_checks **checks);
/* What the former checks knew of the same addresses goes on, so that a reload forgets nothing. */
void edge_checks_inherit(struct edge_checks *checks, const struct edge_checks *former);
const struct edge_view *edge_checks_view(const struct edge_checks *checks, uint32_t edge);
/* What is told of a view that is known. */
struct measure_health edge_view_tell(const struct edge_plan *plan, uint32_t edge,
                                     const struct edge_view *view, uint64_t now_ns);

/* ---- round trips to hosts ---- */

enum {
    PING_ECHOES_LIMIT = 10,
    PING_PORTS_LIMIT = 8,
    PING_AT_ONCE = 256,       /* measurements of a pinger */
    PING_SILENT_US = 3000000, /* the round trip of a host that does not answer */
};

enum ping_method { PING_ICMP, PING_TCP, PING_METHODS };

struct ping_settings {
    uint32_t echoes;
    uint64_t gap_ns, timeout_ns;
    uint16_t ports[PING_PORTS_LIMIT]; /* of TCP handshakes, where ICMP is silent */
    uint32_t port_count;
};

struct ping_result {
    struct address host;
    enum ping_method method;
    uint32_t sent, answered;
    uint32_t rtt_us; /* the median of those answered */
    bool is_silent;
};

struct pinger;

struct pinger_options {
    struct loop *loop;
    uint64_t seed;
    void (*done)(void *owner, const struct ping_result *result);
    void *owner;
};

struct pinger *pinger_new(const struct pinger_options *options);
void pinger_configure(struct pinger *pinger, const struct ping_settings *settings);
/* ICMP and ICMPv6 sockets in place of those before, which may be closed then; they stay the caller's. -1: opened here if this process
 * may. Without this call there is TCP alone. */
void pinger_open_icmp(struct pinger *pinger, const int fds[2]);
void pinger_close_icmp(struct pinger *pinger);
void pinger_free(struct pinger **pinger);
bool pinger_has_icmp(const struct pinger *pinger, uint8_t family);
/* `done` tells the result, never from here. ERROR_LIMIT: too many are under way. */
MUST_USE int pinger_measure(struct pinger *pinger, const struct address *host);

void probe_metrics_register(void);

#endif
