/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole fields to codes and back.
 */
#include "http/form.h"
#include "http/pairs.h"

enum { SLOT_BITS = 9, VALUE_MOST = 255 };

struct pair {
    enum http_name id;
    struct span value;
};

static const struct pair pairs[256] = {
#define X(code, slot, name, value) \
    [code] = {HTTP_NAME_##name, {(const uint8_t *)(value), sizeof(value) - 1}},
    HTTP_PAIR_LIST(X)
#undef X
};

static const uint8_t pair_at_slot[1 << SLOT_BITS] = {
#define X(code, slot, name, value) [slot] = (code),
    HTTP_PAIR_LIST(X)
#undef X
};

/* The factor was searched for: no two of the pairs share a slot. */
static uint32_t slot_of(enum http_name id, struct span value)
{
    const uint8_t *bytes = value.data;
    size_t length = value.length;
    uint64_t key = (uint64_t)id | (uint64_t)length << 8 | (uint64_t)bytes[0] << 16 |
                   (uint64_t)bytes[length / 2] << 24 | (uint64_t)bytes[length - 1] << 32 |
                   (uint64_t)bytes[length > 3 ? length - 4 : 0] << 40;
    return (uint32_t)(key * 0xace58b3a1ca9ced1u >> (64 - SLOT_BITS));
}

uint8_t http_pair_of(enum http_name id, struct span value)
{
    if (id == HTTP_NAME_OTHER || !value.length || value.length > VALUE_MOST)
        return 0;
    uint8_t code = pair_at_slot[slot_of(id, value)];
    return code && pairs[code].id == id && span_equal(pairs[code].value, value) ? code : 0;
}

bool http_pair_at(uint8_t code, enum http_name *id, struct span *value)
{
    *id = pairs[code].id;
    *value = pairs[code].value;
    return *id != HTTP_NAME_OTHER;
}
