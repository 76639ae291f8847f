/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt to get a certificate (RFC 8555 section 7.1), or to learn when the present one should be renewed (RFC 9773): a state
 * machine without I/O. It says what it needs next; the caller gets that and comes back with it.
 *
 *   DIRECTORY -> ACCOUNT -> ORDER -> AUTHORIZATION -> SHOWING -> CHALLENGE -> PENDING -> FINALIZE -> PROCESSING -> CERTIFICATE -> DONE
 *           `-> RENEWAL -> DONE           ^-------------- for each name --------'
 *
 * From every state an answer that is none, a refusal, or too long a time leads to FAILED, with a sentence. An attempt never begins
 * anew by itself: when the next one may be, schedule.h says.
 */
#ifndef ACME_ORDER_H
#define ACME_ORDER_H

#include "acme/answer.h"
#include "acme/jws.h"

// clang-format off
#define ACME_ORDER_STATE_LIST(X)                                                \
    X(DIRECTORY, "asks for the directory")                                      \
    X(ACCOUNT, "opens or finds the account")                                    \
    X(ORDER, "orders")                                                          \
    X(AUTHORIZATION, "asks what is to be proved")                               \
    X(SHOWING, "shows the proof")                                               \
    X(CHALLENGE, "has the authority look at the proof")                         \
    X(PENDING, "waits for the authority to look")                               \
    X(FINALIZE, "sends the request for the certificate")                        \
    X(PROCESSING, "waits for the certificate")                                  \
    X(CERTIFICATE, "fetches the certificate")                                   \
    X(RENEWAL, "asks when to renew")                                            \
    X(DONE, "is done")                                                          \
    X(FAILED, "has failed")
// clang-format on

enum acme_order_state {
#define X(name, text) ACME_ORDER_##name,
    ACME_ORDER_STATE_LIST(X)
#undef X
};
const char *acme_order_state_text(enum acme_order_state state);

enum {
    ACME_ORDER_LONGEST_S = 900, /* of an attempt */
    ACME_NONCES_MOST = 20,      /* that are refused one behind the other (RFC 8555 section 6.5) */
    ACME_POLL_MOST_S = 30,      /* longest wait between two looks, whatever she says */
    ACME_CHAIN_BYTES = 131072,  /* longest chain of certificates */
};

enum acme_challenge { ACME_CHALLENGE_HTTP, ACME_CHALLENGE_DNS };

/* What is wanted. Borrowed for as long as the order lives. */
struct acme_plan {
    const char *directory; /* URL */
    const char *const *names;
    size_t name_count;
    const char *const *contacts; /* mail addresses */
    size_t contact_count;
    enum acme_challenge challenge;
    const struct signature_key *account;
    struct acme_binding binding; /* id NULL: none */
    struct span request;         /* PKCS #10 in DER */
    const char *renewal_of;      /* acme_certificate_id(): ask when to renew, order nothing; NULL */
};

struct acme_order;
struct acme_order *acme_order_new(const struct acme_plan *plan, uint64_t now_s);
void acme_order_free(struct acme_order **freed);
enum acme_order_state acme_order_state(const struct acme_order *order);

enum acme_need_kind {
    ACME_NEED_ANSWER, /* to a request: acme_order_answer() */
    ACME_NEED_PROOF,  /* acme_order_proof() is to be seen by everybody: acme_order_shown() */
    ACME_NEED_TIME,   /* until then; ask again */
    ACME_NEED_NOTHING /* it is over */
};

struct acme_need {
    enum acme_need_kind kind;
    const char *method, *url; /* "GET", "HEAD", "POST" */
    struct span body;         /* application/jose+json; until the answer */
    uint64_t until_s;
};
void acme_order_need(struct acme_order *order, uint64_t now_s, struct acme_need *need);

/* All of it borrowed for the call. */
struct acme_answer {
    const char *failure; /* a sentence: there is no answer; NULL */
    unsigned status;
    struct span nonce, location, retry_after; /* fields; empty: not there */
    struct span body;
};
void acme_order_answer(struct acme_order *order, uint64_t now_s, const struct acme_answer *answer);
void acme_order_shown(struct acme_order *order);
/* The caller gives up, with a sentence. */
void acme_order_fail(struct acme_order *order, const char *why);

/* What is to be seen now; false: nothing. HTTP-01: /.well-known/acme-challenge/TOKEN of the name is "TOKEN.THUMBPRINT". DNS-01: a TXT record
 * of _acme-challenge.NAME is the base64url of `digest`. */
struct acme_proof {
    const char *name, *token;
    uint8_t digest[HASH_BYTES];
};
bool acme_order_proof(const struct acme_order *order, struct acme_proof *proof);

/* DONE: the chain in PEM; or when she would like to be asked for the next one, and how soon to ask again (0: she did not say). */
struct span acme_order_chain(const struct acme_order *order);
const struct acme_window *acme_order_window(const struct acme_order *order);
uint64_t acme_order_retry_after_s(const struct acme_order *order); /* of FAILED too */

/* FAILED */
struct acme_failure {
    char sentence[ACME_DETAIL_BYTES + 200]; /* in her words where she had any */
    bool is_refusal; /* she answered, and said no; else she could not be reached or understood */
};
const struct acme_failure *acme_order_failure(const struct acme_order *order);

#endif
