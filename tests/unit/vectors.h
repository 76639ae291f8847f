/* SPDX-License-Identifier: Apache-2.0
 *
 * Test vectors that stand in a page of docs/protocol: lines of a name and hexadecimal digits, which
 * may go on in indented lines.
 */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { VECTOR_BYTES_MAX = 2048 };

static char vectors_page[64 * 1024];

/* The path is the program's only argument. */
static inline bool vectors_open(int count, char **arguments)
{
    FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    if (!file || fread(vectors_page, 1, sizeof vectors_page - 1, file) == 0) {
        fprintf(stderr, "usage: %s PAGE\n", arguments[0]);
        return false;
    }
    fclose(file);
    return true;
}

/* Its length. */
static inline size_t vector(const char *name, uint8_t *out, size_t size)
{
    char start[64];
    snprintf(start, sizeof start, "\n%s ", name);
    const char *at = strstr(vectors_page, "\n```\n"); /* the block of vectors */
    assert_non_null(at);
    at = strstr(at, start);
    assert_non_null(at);
    at += strlen(start);
    size_t length = 0;
    for (;;) {
        at += strspn(at, " ");
        unsigned byte = 0;
        if (*at == '\n' && at[1] == ' ') {
            at++;
            continue;
        }
        if (sscanf(at, "%2x", &byte) != 1 || *at == '\n')
            break;
        assert_true(length < size);
        out[length++] = (uint8_t)byte;
        at += 2;
    }
    return length;
}

static inline void vector_exact(const char *name, void *out, size_t size)
{
    assert_int_equal(vector(name, out, size), size);
}

static inline void assert_vector(const char *name, const void *bytes, size_t size)
{
    uint8_t expected[VECTOR_BYTES_MAX];
    assert_int_equal(vector(name, expected, sizeof expected), size);
    assert_memory_equal(bytes, expected, size);
}

static inline uint64_t vector_number(const char *name)
{
    uint8_t bytes[8];
    uint64_t number = 0;
    for (size_t i = 0, length = vector(name, bytes, sizeof bytes); i < length; i++)
        number = number << 8 | bytes[i];
    return number;
}

#endif
