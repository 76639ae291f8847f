/* SPDX-License-Identifier: Apache-2.0
 *
 * Field names to constants by a perfect hash, and the table of token bytes.
 */
#include "http/chars.h"
#include "http/http.h"

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

static const struct span names[HTTP_NAME_COUNT] = {
#define X(name, code, slot, text) [HTTP_NAME_##name] = {(const uint8_t *)(text), sizeof(text) - 1},
    HTTP_NAME_LIST(X)
#undef X
};

struct span http_name_text(enum http_name id)
{
    return (unsigned)id < HTTP_NAME_COUNT ? names[id] : (struct span){0};
}

enum http_name http_name_of(struct span text)
{
    if (text.length < 2)
        return HTTP_NAME_OTHER;
    enum http_name id = name_at_slot[slot_of(text.data, text.length)];
    const struct span *name = &names[id];
    if (name->length != text.length)
        return HTTP_NAME_OTHER;
    /* The bits in which letters of either case differ are the only ones that may. */
    for (size_t i = 0; i < text.length; i++)
        if (http_token_lower[text.data[i]] != http_token_lower[name->data[i]])
            return HTTP_NAME_OTHER;
    return id;
}
