/* SPDX-License-Identifier: Apache-2.0
 *
 * A session's cookie as a client sends it. Whatever is taken for ours is written again as the same text: there is one text for one
 * value, so that nobody can make a second one of a signed cookie.
 */
#include "balance/balance.h"

#include "fuzz.h"

static const struct balance_mark_settings marks = {
    .secrets = {{(const uint8_t *)"0123456789abcdef", 16}}, .secret_count = 1};

/* Marks likewise; and what an origin says of one is a mark that can be written. */
static void try_mark(struct span text, bool is_told)
{
    const struct balance_mark_owner owner = {SPAN("shop"), SPAN("ab\0c")};
    struct balance_mark mark, read;
    char again[BALANCE_MARK_BYTES];
    if (is_told) {
        if (!balance_mark_hear(text, 1000, &mark))
            return;
        struct span written = balance_mark_write(crypto_openssl(), &marks, &owner, &mark, again);
        INVARIANT(balance_mark_read(crypto_openssl(), &marks, &owner, written, 1000, &read) ==
                      BALANCE_MARK_GOOD &&
                  read.class == mark.class && read.until_s == mark.until_s);
    } else if (balance_mark_read(crypto_openssl(), &marks, &owner, text, 1, &mark) ==
               BALANCE_MARK_GOOD) {
        struct span written = balance_mark_write(crypto_openssl(), &marks, &owner, &mark, again);
        INVARIANT(span_equal(written, text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct balance_session_settings kinds[] = {
        {.kind = BALANCE_SESSION_COOKIE},
        {.kind = BALANCE_SESSION_COOKIE,
         .secrets = {{(const uint8_t *)"0123456789abcdef", 16}},
         .secret_count = 1}};
    const struct balance_session_settings *settings = &kinds[size && data[0] & 1];
    if (size && data[0] & 2) {
        try_mark(span_of(data + 1, size - 1), data[0] & 4);
        return 0;
    }
    struct span text = size ? span_of(data + 1, size - 1) : span_of(data, 0);
    struct balance_session session;
    char again[BALANCE_COOKIE_BYTES];
    if (!balance_cookie_read(crypto_openssl(), settings, SPAN("shop"), text, &session))
        return 0;
    struct span written =
        balance_cookie_write(crypto_openssl(), settings, SPAN("shop"), &session, again);
    INVARIANT(span_equal(written, text));
    return 0;
}
