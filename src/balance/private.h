/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/balance: what policies share.
 */
#ifndef BALANCE_PRIVATE_H
#define BALANCE_PRIVATE_H

#include "balance/balance.h"

/* Weight in thousandths of a unit, with slow start; at least 1 for a weight that is not 0. */
static inline uint64_t balance_weight(const struct balance_candidate *candidate)
{
    uint64_t ramp = candidate->ramp_permille ? candidate->ramp_permille : BALANCE_RAMP_WHOLE;
    return candidate->weight * ramp;
}

static inline const struct balance_candidate *balance_left(const struct balance_choice *choice,
                                                           size_t position)
{
    return &choice->candidates[choice->left[position]];
}

/* A number for each candidate that is left; the least wins, and of equal ones any, at random by weight. Costs are compared exactly:
 * cost / weight without division. */
struct balance_least {
    size_t position; /* in choice->left; BALANCE_NONE: nothing was offered yet */
    uint64_t cost, weight;
    uint64_t ties; /* their weights together */
};
void balance_least_offer(struct balance_least *least, size_t position, uint64_t cost,
                         uint64_t weight, struct random *random);

/* A position, by weight; `except` (BALANCE_NONE: nobody) is left out, unless it is alone. */
size_t balance_draw(const struct balance_choice *choice, size_t except, struct random *random);

/* The greatest latency that is known of those left, or 1. */
uint64_t balance_slowest(const struct balance_choice *choice);

/* ---- cookie.c: texts that are signed. HMAC-SHA-256 cut to 128 bits, over all of these, in lower case hexadecimal digits. */
enum { COOKIE_SIGNATURE_DIGITS = 32 };
struct cookie_signed {
    const char *purpose; /* one kind of text is never taken for another */
    struct span site, body;
    struct span bound; /* to what else; empty: nothing */
};
void cookie_sign(const struct crypto *crypto, struct span secret, const struct cookie_signed *what,
                 char digits[COOKIE_SIGNATURE_DIGITS]);
bool cookie_is_signed(const struct crypto *crypto, const struct span *secrets, size_t count,
                      const struct cookie_signed *what, struct span digits);
/* Lower case only: one text for one value. */
bool cookie_read_hex(struct span text, uint64_t *number);

#endif
