/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of several servers gets the next request. The caller lists the servers as candidates and asks balance_pick(): what may
 * be used at all (up, not full, not draining, fresh enough) is decided once, here; a policy only compares what is left. A policy is
 * one file with a const struct of functions and one line in the list; edge, gateway and peer share them. Beside that: slow start,
 * sessions that stay with their server (L9), mirrors and how fresh they are (L8). Pure: the time is passed in.
 *
 * Requirement ids: L1, L3, L8, L9.
 */
#ifndef BALANCE_BALANCE_H
#define BALANCE_BALANCE_H

#include "base/address.h"
#include "base/random.h"
#include "base/span.h"
#include "crypto/crypto.h"

#define BALANCE_NONE SIZE_MAX

enum {
    BALANCE_CANDIDATES_MOST = 256, /* that are looked at for one pick; those behind get nothing */
    BALANCE_WEIGHT_MOST = 1000,
    BALANCE_WEIGHT_USUAL = 100,
    BALANCE_RAMP_WHOLE = 1000,
};

/* ---- Servers as they are at the moment of a pick ---- */

/* Of servers with the same content, which has it first (L8). */
enum balance_role {
    BALANCE_EQUAL,    /* all of them are */
    BALANCE_ORIGINAL, /* it changes here */
    BALANCE_MIRROR,   /* gets it from the original, sooner or later */
};

struct balance_candidate {
    uint64_t identity;      /* balance_identity(): the same over reloads, restarts and nodes */
    uint64_t latency_ns;    /* peak EWMA of its answers, decayed to now; 0: unknown */
    uint64_t expected_ns;   /* until this request were complete there; 0: unknown */
    uint64_t behind_ns;     /* of a mirror: so long ago it was as the original is now */
    uint32_t pending;       /* requests under way there */
    uint32_t limit;         /* its high-water mark (L3); 0: none */
    uint16_t weight;        /* its share beside others; 0: nothing new (it drains, or does not
                               serve such requests) */
    uint16_t ramp_permille; /* slow start: so much of its weight; 0: all of it */
    enum balance_role role;
    bool is_usable; /* not known to be down, and not the one that just failed this request */
};

/* A number for the server of that name (its URL, or address and port); never 0. */
uint64_t balance_identity(struct span name);

/* When the original has enough to do, and how old is too old. Zero-initialised: the original until it is full, mirrors of any age. */
struct balance_marks {
    uint32_t pending_percent; /* of its limit; 0: until it is full */
    uint64_t latency_ns;      /* 0: no mark */
    uint64_t behind_most_ns;  /* mirrors that are further behind get nothing; 0: any */
};

/* Which of original and mirrors will do (L8). */
enum balance_need {
    BALANCE_NEEDS_ANY,
    BALANCE_NEEDS_FRESH, /* its client changed something just now: a mirror only where no original is up */
    BALANCE_NEEDS_ORIGINAL, /* it changes something itself */
};

/* What is asked of the policy. */
struct balance_question {
    uint64_t now_ns;
    uint64_t key; /* of requests that should come together: hash of a path, or of a session */
    bool has_key; /* then it decides, whatever the policy is */
    enum balance_need need;
    const struct balance_marks *marks; /* NULL: none */
};

/* ---- Policies ---- */

/* The candidates that are left: a list, and which of them. */
struct balance_choice {
    const struct balance_candidate *candidates;
    const uint16_t *left; /* indices in ascending order */
    size_t count;         /* of `left`; at least 1 */
    const struct balance_question *question;
};

struct balance_policy {
    const char *name;
    const char *help;
    bool has_weights;
    size_t state_bytes; /* of what it remembers from pick to pick, zero-initialised; 0: nothing */
    /* The index of one of those left. */
    size_t (*pick)(void *state, const struct balance_choice *choice, struct random *random);
    /* It goes by expected_ns: its choice is refused where a full server would have the request done sooner, waiting included. */
    bool waits_for_better;
};

/* Add at the end of the list. */
// clang-format off
#define BALANCE_POLICY_LIST(X)                                                                                         \
    X(LEAST_PENDING, least_pending)     /* fewest pending for their weight */                                          \
    X(ROUND_ROBIN, round_robin)         /* in turn, whatever their weight */                                           \
    X(WEIGHTED, weighted)               /* in turn, by weight, evenly mixed */                                         \
    X(RANDOM, random)                   /* by weight */                                                                \
    X(FIRST, first)                     /* the first that is not full: fail-over order */                              \
    X(TWO_CHOICES, two_choices)         /* the less pending of two drawn */                                            \
    X(PEAK_EWMA, peak_ewma)             /* least latency times pending of two drawn */                                 \
    X(HOT_COLD, hot_cold)               /* least latency among those with few pending (Prequal) */                     \
    X(EXPECTED, expected)               /* soonest done */                                                             \
    X(HASH, hash)                       /* the same key to the same server, within a bound of load */
// clang-format on

enum balance_policy_kind {
#define X(kind, name) BALANCE_##kind,
    BALANCE_POLICY_LIST(X)
#undef X
        BALANCE_POLICIES,
};

#define X(kind, name) extern const struct balance_policy balance_##name;
BALANCE_POLICY_LIST(X)
#undef X

const struct balance_policy *balance_policy_of(enum balance_policy_kind kind);
const struct balance_policy *balance_find(const char *name); /* NULL: there is none of that name */

/* The candidate to use, or BALANCE_NONE: wait. A full one is never picked, nor one of weight 0; one that is not usable only where
 * nobody usable of weight is there, full or not. Originals come before mirrors, fresher mirrors before others, as `marks` say.
 * `state`: policy->state_bytes, aligned for any type. No allocation; O(count), for the policies that sort nothing. */
size_t balance_pick(const struct balance_policy *policy, void *state,
                    const struct balance_candidate *candidates, size_t count,
                    const struct balance_question *question, struct random *random);

/* ---- Slow start of a server that is new or comes back ---- */

struct balance_slow_start {
    uint64_t duration_ns;   /* 0: none; 200 days at most */
    uint32_t least_percent; /* of its weight at the beginning; at least 1 */
};

/* For balance_candidate.ramp_permille. `since_ns`: when it came; 0: it was always there. */
uint16_t balance_ramp(const struct balance_slow_start *slow_start, uint64_t since_ns,
                      uint64_t now_ns);

/* ---- Settings of a site (conf reads them) ---- */

/* What a request's key is, where it has no session, for policies that go by it. */
enum balance_key { BALANCE_KEY_PATH, BALANCE_KEY_TARGET, BALANCE_KEY_HOST, BALANCE_KEY_CLIENT };

/* By what requests are told to belong together (L9). */
enum balance_session_kind {
    BALANCE_SESSION_OFF,
    BALANCE_SESSION_COOKIE,    /* our own: it names the server */
    BALANCE_SESSION_HEADER,    /* a request field's value */
    BALANCE_SESSION_CLIENT,    /* the client's network */
    BALANCE_SESSION_PARAMETER, /* of the URI's query, or a ;parameter of its path */
};

enum { BALANCE_SECRETS = 4 };

struct balance_session_settings {
    enum balance_session_kind kind;
    const char *name;             /* of cookie, field or parameter */
    uint8_t ipv4_bits, ipv6_bits; /* of the client's network */
    uint32_t most;                /* sessions that are remembered; of cookies none need be */
    uint64_t idle_ns;             /* and for how long unused */
    const char *secret_path;      /* of cookies; NULL: they are not signed */
    struct span secrets[BALANCE_SECRETS]; /* the first signs, all are good */
    size_t secret_count;
};

/* Marks of sessions (L10): which class a session's requests have, and until when. */
struct balance_mark_settings {
    const char *cookie; /* its name */
    const char *header; /* of origins' answers, by which they mark sessions; NULL: they do not */
    const char *secret_path;              /* NULL: there are no marks */
    struct span secrets[BALANCE_SECRETS]; /* the first signs, all are good */
    size_t secret_count;
};

struct balance_settings {
    enum balance_policy_kind policy;
    enum balance_key key;
    struct balance_slow_start slow_start;
    struct balance_session_settings session;
    struct balance_marks marks;
    struct balance_mark_settings mark;
    uint64_t
        after_write_ns; /* so long a session sees the original when it changed something; 0: not at all */
};

/* ---- Sessions (L9) ----
 *
 * A session is tied to the server of its first request, named by identity. The cookie's text tells which; of other kinds a table
 * remembers. A request of a session that is not known yet goes by its key (balance_question.key), so that gateways and
 * restarts agree as far as servers and loads do. */

struct balance_session {
    uint64_t identity;      /* of its server; 0: none yet */
    uint64_t fresh_until_s; /* it changed something: until then it sees the original (L8); 0: no */
};

/* Text of a cookie, "<identity>[.<fresh until>][-<signature>]" in hexadecimal digits. The signature is HMAC-SHA-256 over the site's name and what
 * stands before it, cut to 128 bits; it is there where the settings have a secret. */
enum { BALANCE_COOKIE_BYTES = 72 };
struct span balance_cookie_write(const struct crypto *crypto,
                                 const struct balance_session_settings *settings, struct span site,
                                 const struct balance_session *session,
                                 char out[BALANCE_COOKIE_BYTES]);
/* False: it is none of ours, or not signed by a secret that we have. */
bool balance_cookie_read(const struct crypto *crypto,
                         const struct balance_session_settings *settings, struct span site,
                         struct span text, struct balance_session *session);

/* The client's address without the bits that are not its network's, of both families in `out`. */
struct span balance_client_network(const struct balance_session_settings *settings,
                                   const struct address *client, uint8_t out[16]);

/* ---- Marks of sessions (L10) ----
 *
 * An edge marks a session, and tells the client in a cookie "<class>.<until>-<signature>" that any edge with the same secret reads again:
 * nothing is remembered. The signature covers the site and what the session is bound to. */

enum {
    BALANCE_MARK_CLASSES = 5,
    BALANCE_MARK_BYTES = 64,
    BALANCE_MARK_SECONDS = 1800, /* where an origin does not say how long */
    BALANCE_MARK_SECONDS_MOST = 30 * 86400,
};
extern const char *const balance_mark_words[BALANCE_MARK_CLASSES]; /* "urgent" ... */

struct balance_mark {
    uint8_t class;
    uint64_t until_s; /* since 1970; 0: none */
};
struct balance_mark_owner {
    struct span site;
    struct span bound; /* what the site's session goes by; empty: whoever has the cookie */
};
enum balance_mark_is { BALANCE_MARK_GOOD, BALANCE_MARK_FORGED, BALANCE_MARK_EXPIRED };

struct span balance_mark_write(const struct crypto *crypto,
                               const struct balance_mark_settings *settings,
                               const struct balance_mark_owner *owner,
                               const struct balance_mark *mark, char out[BALANCE_MARK_BYTES]);
/* FORGED: not signed by a secret that we have, or for another session. *mark is zeroes unless it is GOOD. */
enum balance_mark_is balance_mark_read(const struct crypto *crypto,
                                       const struct balance_mark_settings *settings,
                                       const struct balance_mark_owner *owner, struct span text,
                                       uint64_t now_s, struct balance_mark *mark);
/* What an origin says: "urgent", or "urgent; for=600" (seconds). False: it is nothing of the kind. */
bool balance_mark_hear(struct span value, uint64_t now_s, struct balance_mark *mark);

/* The table of the other kinds: at most `most` sessions; the longest unused makes room. Some 48 bytes for each, taken as they are used. O(1). */
struct balance_sessions;
struct balance_sessions *balance_sessions_new(uint32_t most, uint64_t idle_ns,
                                              uint64_t seed); /* seed: unknown to clients */
void balance_sessions_free(struct balance_sessions **sessions);
/* Other bounds; the sessions used last are kept. */
void balance_sessions_configure(struct balance_sessions **sessions, uint32_t most,
                                uint64_t idle_ns);
/* False: not known, or unused for too long. Using it keeps it. */
bool balance_sessions_find(struct balance_sessions *sessions, uint64_t key, uint64_t now_ns,
                           struct balance_session *session);
void balance_sessions_put(struct balance_sessions *sessions, uint64_t key, uint64_t now_ns,
                          const struct balance_session *session);
uint32_t balance_sessions_count(const struct balance_sessions *sessions);

/* ---- How far mirrors are behind (L8) ----
 *
 * Learnt by comparing validators of answers to the same target: one that the original has changed since and a mirror still
 * gives as it was shows how old the mirror is at least; one that it gives as it is now, how old it is at most. */

struct balance_validator {
    uint64_t tag;        /* hash of the entity tag; 0: none */
    uint64_t modified_s; /* Last-Modified, since 1970; 0: none */
};

struct balance_freshness;
struct balance_freshness *balance_freshness_new(void); /* some 130 KiB */
void balance_freshness_free(struct balance_freshness **freshness);
/* An answer of the original, or of a mirror. `target`: hash of all that selects the answer. */
void balance_freshness_original(struct balance_freshness *freshness, uint64_t target,
                                const struct balance_validator *validator, uint64_t now_ns);
void balance_freshness_mirror(struct balance_freshness *freshness, uint64_t identity,
                              uint64_t target, const struct balance_validator *validator,
                              uint64_t now_ns);
/* For balance_candidate.behind_ns; 0: as fresh as is known. */
uint64_t balance_freshness_behind(const struct balance_freshness *freshness, uint64_t identity);

#endif
