/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the store share: keys from numbers, answers, bodies that can be told apart.
 */
#ifndef TESTS_STORE_KEPT_H
#define TESTS_STORE_KEPT_H

#include "base/memory.h"
#include "base/random.h"
#include "loop/loop.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define SECOND UINT64_C(1000000000)

static inline struct store *open_store(uint64_t memory_bytes, const char *policy)
{
    struct store *store;
    const struct store_options options = {.memory_bytes = memory_bytes,
                                          .policy = policy,
                                          .seed = 42};
    assert_int_equal(store_open(&store, &options), 0);
    return store;
}

/* Lives until the next but three. */
static inline struct span key_of(uint64_t number)
{
    static _Thread_local char texts[4][64];
    static _Thread_local unsigned turn;
    char *text = texts[turn++ % 4];
    snprintf(text, 64, "shop https://www.shop.example/items/%llu", (unsigned long long)number);
    return span_text(text);
}

static inline struct store_query query_of(struct span key)
{
    return (struct store_query){.site = 1, .key = key, .now_ns = SECOND};
}

static inline struct store_counts counts_of(struct store *store)
{
    struct store_counts counts;
    store_count(store, &counts);
    return counts;
}

static inline struct store_fill *begin_fill(struct store *store, const struct store_query *query)
{
    struct store_joined joined;
    struct store_reader reader = {0};
    assert_int_equal(store_join(store, query, NULL, &reader, &joined), STORE_FILL);
    return joined.fill;
}

/* Byte `i` of a body. */
static inline uint8_t body_byte(uint64_t seed, uint64_t i)
{
    return (uint8_t)((seed * 131 + i * 7 + (i >> 8)) & 0xff);
}

static inline void fill_with(struct store_fill *fill, uint64_t seed, uint64_t from, uint64_t length)
{
    uint8_t *bytes = memory_raw(length + 1);
    for (uint64_t i = 0; i < length; i++)
        bytes[i] = body_byte(seed, from + i);
    store_fill_data(fill, span_of(bytes, length), SECOND);
    memory_free(bytes);
}

static inline void answer_fill(struct store_fill *fill, const struct store_answer *answer,
                               int64_t length)
{
    assert_int_equal(store_fill_answer(&fill, answer, length, SECOND), 0);
}

/* Keeps an object. */
static inline void put(struct store *store, const struct store_query *query,
                       const struct store_answer *answer, uint64_t seed, uint64_t bytes)
{
    struct store_joined joined;
    struct store_reader reader = {0};
    struct store_object *seen = store_find(store, query);
    assert_int_equal(store_join(store, query, seen, &reader, &joined), STORE_FILL);
    store_object_release(store, &seen);
    answer_fill(joined.fill, answer, (int64_t)bytes);
    fill_with(joined.fill, seed, 0, bytes);
    store_fill_end(&joined.fill);
}

/* The queue holds the bytes from..from + its length of the body; clears it. */
static inline bool is_body(struct slice_queue *bytes, uint64_t seed, uint64_t from)
{
    bool is_right = true;
    while (bytes->count) {
        struct slice slice = slice_queue_pop(bytes, UINT32_MAX);
        for (uint32_t i = 0; i < slice.length; i++)
            is_right &= slice_data(&slice)[i] == body_byte(seed, from++);
        slice_release(&slice);
    }
    slice_queue_clear(bytes);
    return is_right;
}

static inline bool has_body(const struct store_object *object, uint64_t seed, uint64_t length)
{
    struct slice_queue bytes = {0};
    if (store_object_body_bytes(object) != length)
        return false;
    store_object_body(object, 0, length, &bytes);
    return bytes.bytes == length && is_body(&bytes, seed, 0);
}

#endif
