/* SPDX-License-Identifier: Apache-2.0
 *
 * Marks of sessions: their text, "<class>.<until>-<signature>", and what an origin says of a session in a field of its answer (L10).
 */
#include "balance/private.h"

#include <stdio.h>
#include <string.h>

enum { UNTIL_DIGITS_MOST = 10 };

static const char purpose[] = "causeway class";

struct span balance_mark_write(const struct crypto *crypto,
                               const struct balance_mark_settings *settings,
                               const struct balance_mark_owner *owner,
                               const struct balance_mark *mark, char out[BALANCE_MARK_BYTES])
{
    INVARIANT(settings->secret_count && mark->class < BALANCE_MARK_CLASSES);
    int length = snprintf(out, BALANCE_MARK_BYTES, "%u.%llx", mark->class,
                          (unsigned long long)mark->until_s & 0xffffffffffull);
    const struct cookie_signed what = {.purpose = purpose,
                                       .site = owner->site,
                                       .body = span_of(out, (size_t)length),
                                       .bound = owner->bound};
    out[length] = '-';
    cookie_sign(crypto, settings->secrets[0], &what, out + length + 1);
    return span_of(out, (size_t)length + 1 + COOKIE_SIGNATURE_DIGITS);
}

/* "<class>.<until>" */
static bool read_body(struct span body, struct balance_mark *mark)
{
    uint8_t class = body.length ? (uint8_t)(body.data[0] - '0') : BALANCE_MARK_CLASSES;
    struct span until = span_from(body, 2);
    if (class >= BALANCE_MARK_CLASSES || body.length < 3 || body.data[1] != '.')
        return false;
    mark->class = class;
    return until.length <= UNTIL_DIGITS_MOST && until.data[0] != '0' &&
           cookie_read_hex(until, &mark->until_s);
}

enum balance_mark_is balance_mark_read(const struct crypto *crypto,
                                       const struct balance_mark_settings *settings,
                                       const struct balance_mark_owner *owner, struct span text,
                                       uint64_t now_s, struct balance_mark *mark)
{
    size_t length = span_find(text, '-');
    const struct cookie_signed what = {.purpose = purpose,
                                       .site = owner->site,
                                       .body = span_of(text.data, length),
                                       .bound = owner->bound};
    struct balance_mark read;
    *mark = (struct balance_mark){0};
    if (!read_body(what.body, &read) ||
        !cookie_is_signed(crypto, settings->secrets, settings->secret_count, &what,
                          span_from(text, length + 1)))
        return BALANCE_MARK_FORGED;
    if (read.until_s <= now_s)
        return BALANCE_MARK_EXPIRED;
    *mark = read;
    return BALANCE_MARK_GOOD;
}

/* ---- what origins say */

const char *const balance_mark_words[BALANCE_MARK_CLASSES] = {"urgent", "high", "normal", "low",
                                                              "background"};

static bool read_seconds(struct span text, uint64_t *seconds)
{
    *seconds = 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t digit = (uint8_t)(text.data[i] - '0');
        if (digit > 9)
            return false;
        *seconds = *seconds * 10 + digit;
        if (*seconds > BALANCE_MARK_SECONDS_MOST)
            return false;
    }
    return *seconds > 0;
}

bool balance_mark_hear(struct span value, uint64_t now_s, struct balance_mark *mark)
{
    static const struct span for_ = {(const uint8_t *)"for=", 4};
    size_t end = span_find(value, ';');
    struct span word = span_trim(span_of(value.data, end));
    struct span parameter = span_trim(span_from(value, end + 1));
    uint64_t seconds = BALANCE_MARK_SECONDS;
    if (end < value.length &&
        !(span_starts(parameter, for_) && read_seconds(span_from(parameter, 4), &seconds)))
        return false;
    for (uint8_t i = 0; i < (uint8_t)BALANCE_MARK_CLASSES; i++)
        if (span_equal(word, span_text(balance_mark_words[i]))) {
            *mark = (struct balance_mark){i, now_s + seconds};
            return true;
        }
    return false;
}
