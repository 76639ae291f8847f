/* SPDX-License-Identifier: Apache-2.0
 *
 * A session's cookie as a client sends it. Whatever is taken for ours is written again as the same text: there is one text for one
 * value, so that nobody can make a second one of a signed cookie.
 */
#include "balance/balance.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct balance_session_settings kinds[] = {
        {.kind = BALANCE_SESSION_COOKIE},
        {.kind = BALANCE_SESSION_COOKIE,
         .secrets = {{(const uint8_t *)"0123456789abcdef", 16}},
         .secret_count = 1}};
    const struct balance_session_settings *settings = &kinds[size && data[0] & 1];
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
