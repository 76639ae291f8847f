/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a session's cookie. It names the server by identity, so that every gateway, now and after a restart, reads the same
 * out of it (L9).
 */
#include "balance/private.h"

#include <stdio.h>
#include <string.h>

enum { IDENTITY_DIGITS = 16, KEPT_BYTES = COOKIE_SIGNATURE_DIGITS / 2, FRESH_DIGITS_MOST = 10 };

static const char purpose[] = "causeway session";

/* ---- signatures */

/* What it is bound to may hold any byte, and therefore comes last. */
static void sign(const struct crypto *crypto, struct span secret, const struct cookie_signed *what,
                 uint8_t out[HASH_BYTES])
{
    const struct span zero = span_of(&(uint8_t){0}, 1);
    const struct span parts[] = {span_of(what->purpose, strlen(what->purpose) + 1),
                                 what->site,
                                 zero,
                                 what->body,
                                 zero,
                                 what->bound};
    size_t count = sizeof parts / sizeof *parts;
    crypto_hmac(crypto, secret, parts, what->bound.length ? count : count - 2, out);
}

static char digit_of(unsigned value)
{
    return "0123456789abcdef"[value];
}

void cookie_sign(const struct crypto *crypto, struct span secret, const struct cookie_signed *what,
                 char digits[COOKIE_SIGNATURE_DIGITS])
{
    uint8_t signature[HASH_BYTES];
    sign(crypto, secret, what, signature);
    for (unsigned i = 0; i < KEPT_BYTES; i++) {
        *digits++ = digit_of(signature[i] >> 4);
        *digits++ = digit_of(signature[i] & 15);
    }
}

bool cookie_read_hex(struct span text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.data[i];
        unsigned digit = (uint8_t)(byte - '0') < 10  ? (unsigned)byte - '0'
                         : (uint8_t)(byte - 'a') < 6 ? (unsigned)byte - 'a' + 10
                                                     : 16;
        if (digit > 15)
            return false;
        *number = *number << 4 | digit;
    }
    return text.length != 0;
}

bool cookie_is_signed(const struct crypto *crypto, const struct span *secrets, size_t count,
                      const struct cookie_signed *what, struct span digits)
{
    uint8_t given[KEPT_BYTES], wanted[HASH_BYTES];
    if (digits.length != COOKIE_SIGNATURE_DIGITS)
        return false;
    for (unsigned i = 0; i < KEPT_BYTES; i++) {
        uint64_t byte;
        if (!cookie_read_hex(span_of(digits.data + 2 * i, 2), &byte))
            return false;
        given[i] = (uint8_t)byte;
    }
    for (size_t i = 0; i < count; i++) {
        sign(crypto, secrets[i], what, wanted);
        if (bytes_equal_constant_time(given, wanted, sizeof given))
            return true;
    }
    return false;
}

/* ---- the cookie */

struct span balance_cookie_write(const struct crypto *crypto,
                                 const struct balance_session_settings *settings, struct span site,
                                 const struct balance_session *session,
                                 char out[BALANCE_COOKIE_BYTES])
{
    int length =
        session->fresh_until_s
            ? snprintf(out, BALANCE_COOKIE_BYTES, "%016llx.%llx",
                       (unsigned long long)session->identity,
                       (unsigned long long)session->fresh_until_s & 0xffffffffffull)
            : snprintf(out, BALANCE_COOKIE_BYTES, "%016llx", (unsigned long long)session->identity);
    struct span body = span_of(out, (size_t)length);
    if (!settings->secret_count)
        return body;
    const struct cookie_signed what = {.purpose = purpose, .site = site, .body = body};
    out[length] = '-';
    cookie_sign(crypto, settings->secrets[0], &what, out + length + 1);
    return span_of(out, (size_t)length + 1 + COOKIE_SIGNATURE_DIGITS);
}

static bool read_body(struct span body, struct balance_session *session)
{
    size_t dot = span_find(body, '.');
    struct span fresh = span_from(body, dot + 1);
    if (dot != IDENTITY_DIGITS || !cookie_read_hex(span_of(body.data, dot), &session->identity))
        return false;
    if (dot == body.length)
        return session->identity != 0;
    return session->identity && fresh.length && fresh.length <= FRESH_DIGITS_MOST &&
           fresh.data[0] != '0' && cookie_read_hex(fresh, &session->fresh_until_s);
}

bool balance_cookie_read(const struct crypto *crypto,
                         const struct balance_session_settings *settings, struct span site,
                         struct span text, struct balance_session *session)
{
    size_t length = span_find(text, '-');
    struct span body = span_of(text.data, length);
    const struct cookie_signed what = {.purpose = purpose, .site = site, .body = body};
    *session = (struct balance_session){0};
    bool is_good = read_body(body, session) &&
                   (settings->secret_count
                        ? length < text.length &&
                              cookie_is_signed(crypto, settings->secrets, settings->secret_count,
                                               &what, span_from(text, length + 1))
                        : length == text.length);
    if (!is_good)
        *session = (struct balance_session){0};
    return is_good;
}
