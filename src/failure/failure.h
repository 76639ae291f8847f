/* SPDX-License-Identifier: Apache-2.0
 *
 * What is done about servers that fail: a server whose requests fail is ejected for a while, never more than a share of them; what is
 * sent again, or to two servers at once, has a budget; a type of requests that fails everywhere meets an open circuit instead of servers in
 * trouble; and an administrator drains a server. One object for each set of servers, used by one thread. Pure.
 */
#ifndef FAILURE_FAILURE_H
#define FAILURE_FAILURE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FAILURE_SERVERS_MOST = 256, /* of a set; of further ones nothing is known */
    FAILURE_TYPES_MOST = 16,
};

/* ---- Settings (sites.X.failure) ---- */

struct failure_ejection {
    bool is_on;                /* true */
    uint32_t consecutive;      /* 5: failures in a row; 0: not looked at */
    uint32_t share_percent;    /* 50: of an interval's answers; 0: not looked at */
    uint32_t least_requests;   /* 20: of an interval, before their share says anything */
    uint32_t slower_percent;   /* 0: not looked at; 400: four times the others' median */
    uint64_t interval_ns;      /* 5 s */
    uint64_t base_ns, most_ns; /* 5 s 5 min: for how long, longer each time */
    uint32_t most_percent;     /* 50: of the servers at once; the last one never */
};

/* So many tries beyond a request's first may be under way. Where that is used up, one may still be taken from a reserve, which requests that
 * needed none have filled, each by its percentage: so the requests of a server that dies all find another one, while
 * servers that fail for long never meet more than the share. */
struct failure_retries {
    uint32_t percent; /* 20: of the requests under way */
    uint32_t least;   /* 3: so many always may */
    uint32_t reserve; /* 500 */
    bool on_answers;  /* true: 502, 503 and 504 are tried elsewhere, not only lost connections */
};

struct failure_hedging {
    bool is_on;                /* false */
    uint32_t quantile_percent; /* 95: of the requests of a type are answered by then */
    uint64_t least_ns;         /* 2 ms: never sooner */
    uint32_t percent;          /* 5: of the requests under way */
    uint32_t samples;          /* 50: as many are needed before anything is hedged */
};

struct failure_breaker {
    bool is_on;              /* false */
    uint32_t share_percent;  /* 50: of an interval's answers fail */
    uint32_t least_requests; /* 20: of an interval */
    uint64_t interval_ns;    /* 5 s */
    uint64_t open_ns;        /* 5 s: nothing passes; then probes do */
    uint32_t probes;         /* 3: that must succeed, one by one */
};

struct failure_settings {
    bool counts_server_errors; /* true: 500 to 599 are failures; else only 502, 503 and 504 */
    struct failure_ejection ejection;
    struct failure_retries retries;
    struct failure_hedging hedging;
    struct failure_breaker breaker;
};

/* ---- What became of a request ---- */

// clang-format off
#define FAILURE_OUTCOME_LIST(X)                                      \
    X(LEFT, "the client left, or we did")                            \
    X(ANSWERED, "answered")                                          \
    X(ERROR, "server error")                                         \
    X(GATEWAY_ERROR, "bad gateway, unavailable or timeout")          \
    X(REFUSED, "no connection")                                      \
    X(FAILED, "no answer, or one that is malformed")
// clang-format on

enum failure_outcome {
#define X(name, text) FAILURE_##name,
    FAILURE_OUTCOME_LIST(X)
#undef X
        FAILURE_OUTCOMES
};

/* Of an answer with that status. */
enum failure_outcome failure_outcome_of(unsigned status);

/* ---- The object ---- */

struct failure;

struct failure *failure_new(const struct failure_settings *settings); /* copied */
void failure_free(struct failure **freed);
void failure_set_settings(struct failure *failure, const struct failure_settings *settings);

/* Which servers there are, by identity: what is known of those that stay is kept, whatever their numbers were. */
void failure_set_servers(struct failure *failure, const uint64_t *identities, size_t count);

/* Whether the server may be used as far as others know (health checks, orders): others do not count where a share of the servers
 * is meant. True at first. */
void failure_set_available(struct failure *failure, size_t server, bool is_available);

/* ---- Ejection ---- */

/* A request to the server ended so, after so long (0: not known). True: which servers are ejected has changed. */
bool failure_result(struct failure *failure, size_t server, enum failure_outcome outcome,
                    uint64_t service_ns, uint64_t now_ns);
/* Intervals end, ejected servers return. The same. Call it at failure_wake_ns(), or more often. */
bool failure_tick(struct failure *failure, uint64_t now_ns);
uint64_t failure_wake_ns(const struct failure *failure); /* UINT64_MAX: never */
bool failure_is_ejected(const struct failure *failure, size_t server);

// clang-format off
#define FAILURE_CAUSE_LIST(X)                     \
    X(NONE, "nothing")                            \
    X(ROW, "failures in a row")                   \
    X(SHARE, "share of failures")                 \
    X(SLOWNESS, "slower than the others")
// clang-format on

enum failure_cause {
#define X(name, text) FAILURE_BY_##name,
    FAILURE_CAUSE_LIST(X)
#undef X
};
const char *failure_cause_text(enum failure_cause cause);

struct failure_server_report {
    bool is_ejected;
    enum failure_cause cause; /* of the last ejection */
    uint32_t ejections;       /* lately: each makes the next one longer */
    uint64_t until_ns;
    uint32_t in_a_row;          /* failures */
    uint32_t answers, failures; /* of this interval */
};
void failure_report_server(const struct failure *failure, size_t server,
                           struct failure_server_report *report);

/* ---- Budgets of what is sent again, or twice ---- */

/* A request is under way, and is no more; retries and hedges of it do not count. */
void failure_begin(struct failure *failure);
void failure_end(struct failure *failure);
/* False: the budget is used up. Each that is taken is given back when that try has ended. */
bool failure_retry_take(struct failure *failure);
void failure_retry_give(struct failure *failure);
bool failure_hedge_take(struct failure *failure);
void failure_hedge_give(struct failure *failure);
/* How long to wait for an answer before another server is asked too, from the quantile of the request's type; 0: not at all. */
uint64_t failure_hedge_delay_ns(const struct failure *failure, uint64_t quantile_ns,
                                uint32_t samples);

/* ---- Circuit breakers, one for each type of requests ---- */

// clang-format off
#define FAILURE_CIRCUIT_LIST(X)                        \
    X(CLOSED, "closed")                                \
    X(OPEN, "open")                                    \
    X(HALF_OPEN, "half open")
// clang-format on

enum failure_circuit {
#define X(name, text) FAILURE_CIRCUIT_##name,
    FAILURE_CIRCUIT_LIST(X)
#undef X
};

/* What is let through ends in failure_circuit_result(), however it ended. */
struct failure_pass {
    bool may; /* go to a server */
    uint8_t type;
    uint32_t epoch;   /* of the circuit's state */
    uint64_t wait_ns; /* where it may not: for how long */
};
struct failure_pass failure_circuit_pass(struct failure *failure, uint8_t type, uint64_t now_ns);
void failure_circuit_result(struct failure *failure, const struct failure_pass *pass,
                            enum failure_outcome outcome, uint64_t now_ns);
enum failure_circuit failure_circuit_state(const struct failure *failure, uint8_t type);

struct failure_report {
    uint32_t active, retries, hedges; /* under way */
    uint64_t retries_refused, hedges_refused, ejections, circuits_opened, circuit_refused;
    uint32_t servers_ejected;
};
void failure_read_report(const struct failure *failure, struct failure_report *report);

#endif
