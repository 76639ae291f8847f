/* SPDX-License-Identifier: Apache-2.0
 *
 * When to try: after a failure later and later, never before the authority said; and when to renew. Pure. What is remembered of a
 * site between attempts, and over the process's life, so that one that dies again and again does not order again and again.
 */
#ifndef ACME_SCHEDULE_H
#define ACME_SCHEDULE_H

#include "acme/answer.h"
#include "base/random.h"

enum {
    ACME_REFUSED_FIRST_S = 60, /* after a refusal, doubled each time */
    ACME_REFUSED_MOST_S = 12 * 3600,
    ACME_AWAY_FIRST_S = 10, /* where she could not be reached or understood */
    ACME_AWAY_MOST_S = 3600,
    ACME_RETRY_AFTER_MOST_S = 7 * 86400, /* as long as any limit of rates */
    ACME_ASK_AGAIN_S = 6 * 3600,         /* for the time of renewal, where she says nothing */
    ACME_ASK_LEAST_S = 60,
    ACME_ASK_MOST_S = 86400,
};

struct acme_record {
    uint64_t next_try_s;                 /* not before */
    uint32_t failures;                   /* one behind the other */
    char error[ACME_DETAIL_BYTES + 200]; /* of the last attempt; "": it went well */
    uint64_t number;                     /* of the certificate: one more each time */
    uint64_t renew_s;                    /* as the authority would like it; 0: she did not say */
    uint64_t ask_s;                      /* when to ask her for that again */
};

/* Of the attempt after `failures` ones, with a fifth of chance either way. */
uint64_t acme_pause_s(uint32_t failures, bool is_refusal, uint64_t retry_after_s,
                      struct random *random);

/* A certificate's life; `before_s` 0: at two thirds of it. */
uint64_t acme_renewal_s(uint64_t begins_s, uint64_t ends_s, uint64_t before_s);
/* Any time within what the authority suggests, which is random so that not all come at once (RFC 9773 section 4.2). */
uint64_t acme_window_pick(const struct acme_window *window, struct random *random);
/* How long until she is asked again. */
uint64_t acme_ask_pause_s(uint64_t retry_after_s);

#endif
