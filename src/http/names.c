/* SPDX-License-Identifier: Apache-2.0
 *
 * Field names to constants by a perfect hash, and the table of token bytes.
 */
#include "http/chars.h"
#include "http/fields.h"

// clang-format off
const uint8_t http_token_lower[256] = {
    [0x20] = 0, '!', 0, '#', '$', '%', '&', '\'', 0, 0, '*', '+', 0, '-', '.', 0,
    [0x30] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, 0, 0, 0, 0,
    [0x40] = 0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    [0x50] = 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, 0, 0, '^', '_',
    [0x60] = '`', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    [0x70] = 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, '|', 0, '~', 0,
};
// clang-format on

enum { SLOT_BITS = 9 };

/* The factor was searched for: no two of the names share a slot. */
static uint32_t slot_of(const uint8_t *text, size_t length)
{
    uint32_t key = (uint32_t)length | (uint32_t)(text[0] | 0x20) << 8 |
                   (uint32_t)(text[length / 2] | 0x20) << 16 |
                   (uint32_t)(text[length - 2] | 0x20) << 24;
    return key * 0xdc7a9283u >> (32 - SLOT_BITS);
}

static const uint8_t name_at_slot[1 << SLOT_BITS] = {
#define X(name, code, slot, text) [slot] = HTTP_NAME_##name,
    HTTP_NAME_LIST(X)
#undef X
};

const struct span http_name_texts[HTTP_NAME_COUNT] = {
#define X(name, code, slot, text) [HTTP_NAME_##name] = {(const uint8_t *)(text), sizeof(text) - 1},
    HTTP_NAME_LIST(X)
#undef X
};

static uint64_t load_8(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t load_4(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* Whether a token is a known name in any case. Setting bit 5 makes one of both cases; as known
 * names hold only letters, digits and hyphens, no other token byte becomes equal to theirs by
 * it. */
static bool is_same_token(const uint8_t *token, const uint8_t *name, size_t length)
{
    const uint64_t low = 0x2020202020202020u;
    if (length >= 8) {
        uint64_t differs = 0;
        for (size_t i = 0; i + 8 < length; i += 8)
            differs |= (load_8(token + i) | low) ^ (load_8(name + i) | low);
        token += length - 8;
        name += length - 8;
        return !(differs | ((load_8(token) | low) ^ (load_8(name) | low)));
    }
    if (length >= 4) {
        const uint32_t half = (uint32_t)low;
        uint32_t differs = (load_4(token) | half) ^ (load_4(name) | half);
        token += length - 4;
        name += length - 4;
        return !(differs | ((load_4(token) | half) ^ (load_4(name) | half)));
    }
    for (size_t i = 0; i < length; i++)
        if ((token[i] | 0x20) != (name[i] | 0x20))
            return false;
    return true;
}

enum http_name http_name_of_token(struct span text)
{
    if (text.length < 2)
        return HTTP_NAME_OTHER;
    enum http_name id = name_at_slot[slot_of(text.data, text.length)];
    return http_name_texts[id].length == text.length &&
                   is_same_token(text.data, http_name_texts[id].data, text.length)
               ? id
               : HTTP_NAME_OTHER;
}

enum http_name http_name_of(struct span text)
{
    return http_is_token(text) ? http_name_of_token(text) : HTTP_NAME_OTHER;
}
