/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 for URLs back into bytes, for what tests want to look into.
 */
#ifndef TESTS_ACME_DECODE_H
#define TESTS_ACME_DECODE_H

#include "base/text.h"

static inline int base64url_value(char character)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = character ? strchr(alphabet, character) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

static inline void base64url_decode(const char *from, struct text *out)
{
    uint32_t bits = 0, count = 0;
    for (; *from; from++) {
        bits = bits << 6 | (uint32_t)base64url_value(*from);
        count += 6;
        if (count >= 8) {
            uint8_t byte = (uint8_t)(bits >> (count - 8));
            text_add_span(out, span_of(&byte, 1));
            count -= 8;
        }
    }
}

#endif
