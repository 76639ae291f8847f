/* SPDX-License-Identifier: Apache-2.0
 *
 * What a certificate authority says, out of its JSON (RFC 8555 section 7, RFC 9773 section 4). Texts of hers are bounded, and
 * printable when they reach a log; URLs are https and nothing but visible ASCII, because they go into requests.
 */
#ifndef ACME_ANSWER_H
#define ACME_ANSWER_H

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

enum {
    ACME_ANSWER_BYTES = 262144,     /* longest answer */
    ACME_URL_BYTES = 1024,          /* longest URL */
    ACME_TOKEN_BYTES = 256,         /* longest token of a challenge */
    ACME_AUTHORIZATIONS_MOST = 100, /* of an order: as many names as a certificate may have */
    ACME_DETAIL_BYTES = 400,        /* of a sentence of hers that is kept */
};

/* The statuses of section 7.1.6, of whatever has them. */
// clang-format off
#define ACME_STATUS_LIST(X)                                                                          \
    X(PENDING, "pending") X(READY, "ready") X(PROCESSING, "processing") X(VALID, "valid")            \
    X(INVALID, "invalid") X(DEACTIVATED, "deactivated") X(EXPIRED, "expired") X(REVOKED, "revoked")
// clang-format on

enum acme_status {
    ACME_STATUS_UNKNOWN,
#define X(name, text) ACME_STATUS_##name,
    ACME_STATUS_LIST(X)
#undef X
};

/* What she complains of (RFC 7807): the last part of its type ("badNonce", "rateLimited"), and a sentence; "" for none. */
struct acme_problem {
    char type[64];
    char detail[ACME_DETAIL_BYTES];
};

/* All texts lie in the caller's arena. */
struct acme_directory {
    const char *new_nonce, *new_account, *new_order;
    const char *renewal_info; /* NULL: not offered */
    bool needs_binding;       /* accounts must be known by other means */
};

struct acme_order_answer {
    enum acme_status status;
    const char *authorizations[ACME_AUTHORIZATIONS_MOST];
    size_t authorization_count;
    const char *finalize;
    const char *certificate; /* NULL: not there yet */
    struct acme_problem problem;
};

struct acme_authorization {
    enum acme_status status;
    const char *name; /* without its wildcard */
    /* The challenge of the wanted type; `url` NULL: it is not offered. */
    const char *url, *token;
    struct acme_problem problem; /* why a challenge of any type failed */
};

/* When she would like to be asked again: any time within. Seconds since 1970. */
struct acme_window {
    uint64_t begins_s, ends_s;
};

/* 0; ERROR_INVALID with a sentence in `why`: not what the RFC says. */
MUST_USE int acme_directory_parse(struct span json, struct arena *arena,
                                  struct acme_directory *directory, struct text *why);
MUST_USE int acme_order_parse(struct span json, struct arena *arena,
                              struct acme_order_answer *order, struct text *why);
MUST_USE int acme_authorization_parse(struct span json, const char *challenge, struct arena *arena,
                                      struct acme_authorization *authorization, struct text *why);
MUST_USE int acme_window_parse(struct span json, struct acme_window *window);
/* Of an answer whose status is an error; what cannot be read leaves it empty. */
void acme_problem_parse(struct span json, struct acme_problem *problem);

/* Of a field: seconds, or a date (RFC 9110 section 10.2.3); seconds from now. 0: neither. */
uint64_t acme_retry_after_s(struct span value, uint64_t now_s);

bool acme_url_is_good(const char *url);
/* The characters of tokens (section 8.1), so that one may stand in a path or a body. */
bool acme_token_is_good(struct span token);

#endif
