/* SPDX-License-Identifier: Apache-2.0
 *
 * Hexadecimal test vectors in unit tests.
 */
#ifndef TESTS_UNIT_HEX_H
#define TESTS_UNIT_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Returns the number of bytes. */
static inline size_t hex_read(const char *text, uint8_t *out)
{
    size_t length = strlen(text) / 2;
    for (size_t i = 0; i < length; i++) {
        unsigned byte = 0;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return 0;
        out[i] = (uint8_t)byte;
    }
    return length;
}

/* `out` has 2 * length + 1 bytes. */
static inline const char *hex_write(const void *bytes, size_t length, char *out)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", at[i]);
    out[2 * length] = 0;
    return out;
}

#endif
