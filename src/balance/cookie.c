/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a session's cookie. It names the server by identity, so that every gateway, now and after a restart, reads the same
 * out of it (L9).
 */
#include "balance/balance.h"

#include <stdio.h>
#include <string.h>

enum {
    IDENTITY_DIGITS = 16,
    SIGNATURE_BYTES_KEPT = 16,
    SIGNATURE_DIGITS = 32,
    FRESH_DIGITS_MOST = 10
};

static void sign(const struct crypto *crypto, struct span secret, struct span site,
                 struct span body, uint8_t out[HASH_BYTES])
{
    const struct span parts[] = {SPAN("causeway session"), span_of(&(uint8_t){0}, 1), site,
                                 span_of(&(uint8_t){0}, 1), body};
    crypto_hmac(crypto, secret, parts, sizeof parts / sizeof *parts, out);
}

static char digit_of(unsigned value)
{
    return "0123456789abcdef"[value];
}

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
    uint8_t signature[HASH_BYTES];
    sign(crypto, settings->secrets[0], site, body, signature);
    char *at = out + length;
    *at++ = '-';
    for (unsigned i = 0; i < SIGNATURE_BYTES_KEPT; i++) {
        *at++ = digit_of(signature[i] >> 4);
        *at++ = digit_of(signature[i] & 15);
    }
    *at = 0;
    return span_of(out, (size_t)(at - out));
}

/* Lower case only: one text for one value. */
static bool read_hex(struct span text, uint64_t *number)
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

static bool is_signed(const struct crypto *crypto, const struct balance_session_settings *settings,
                      struct span site, struct span body, struct span digits)
{
    uint8_t given[SIGNATURE_BYTES_KEPT], wanted[HASH_BYTES];
    if (digits.length != SIGNATURE_DIGITS)
        return false;
    for (unsigned i = 0; i < SIGNATURE_BYTES_KEPT; i++) {
        uint64_t byte;
        if (!read_hex(span_of(digits.data + 2 * i, 2), &byte))
            return false;
        given[i] = (uint8_t)byte;
    }
    for (size_t i = 0; i < settings->secret_count; i++) {
        sign(crypto, settings->secrets[i], site, body, wanted);
        if (bytes_equal_constant_time(given, wanted, sizeof given))
            return true;
    }
    return false;
}

static bool read_body(struct span body, struct balance_session *session)
{
    size_t dot = span_find(body, '.');
    struct span fresh = span_from(body, dot + 1);
    if (dot != IDENTITY_DIGITS || !read_hex(span_of(body.data, dot), &session->identity))
        return false;
    if (dot == body.length)
        return session->identity != 0;
    return session->identity && fresh.length && fresh.length <= FRESH_DIGITS_MOST &&
           fresh.data[0] != '0' && read_hex(fresh, &session->fresh_until_s);
}

bool balance_cookie_read(const struct crypto *crypto,
                         const struct balance_session_settings *settings, struct span site,
                         struct span text, struct balance_session *session)
{
    size_t length = span_find(text, '-');
    struct span body = span_of(text.data, length);
    *session = (struct balance_session){0};
    bool is_good = read_body(body, session) &&
                   (settings->secret_count
                        ? length < text.length &&
                              is_signed(crypto, settings, site, body, span_from(text, length + 1))
                        : length == text.length);
    if (!is_good)
        *session = (struct balance_session){0};
    return is_good;
}
