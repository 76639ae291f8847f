/* SPDX-License-Identifier: Apache-2.0
 *
 * Pieces of an arena: aligned, apart from each other, gone all at once; and seen by AddressSanitizer where it looks on.
 */
#include "base/arena.h"

#include "base/watched.h"

#include <stdalign.h>
#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
// clang-format on

static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 4000, 4096, 5000, 1 << 20, 3};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void fill(struct arena *arena, uint8_t *pieces[SIZES])
{
    for (size_t i = 0; i < SIZES; i++) {
        pieces[i] = arena_take(arena, sizes[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(pieces[i][k], 0);
        if (sizes[i])
            memset(pieces[i], (int)i + 1, sizes[i]);
    }
}

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena arena = {0};
    uint8_t *pieces[SIZES];
    for (int round = 0; round < 3; round++) {
        fill(&arena, pieces);
        for (size_t i = 0; i < SIZES; i++)
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(pieces[i][k], i + 1);
        if (round == 0)
            arena_rewind(&arena); /* what comes next may be where these were */
        else
            arena_clear(&arena);
    }
    arena_clear(&arena);
    arena_cache_drain();
}

static void texts_end_with_a_nul(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_string_equal(arena_copy(&arena, SPAN("text")).data, "text");
    assert_int_equal(arena_copy(&arena, SPAN("")).data[0], 0);
    assert_string_equal(arena_format(&arena, "%s %d", "four", 4), "four 4");
    assert_null(arena_text(&arena, NULL));
    assert_int_equal(arena.used_bytes, 3 * 16);
    arena_clear(&arena);
    assert_int_equal(arena.used_bytes, 0);
    arena_cache_drain();
}

static void what_lies_behind_a_piece_is_watched(void **state)
{
    (void)state;
#if MEMORY_IS_WATCHED
    struct arena arena = {0};
    uint8_t *first = arena_take(&arena, 21), *second = arena_take_raw(&arena, 16);
    assert_false(__asan_address_is_poisoned(first + 20));
    assert_true(__asan_address_is_poisoned(first + 21));
    assert_true(__asan_address_is_poisoned(second - 1));
    assert_true(__asan_address_is_poisoned(second + 16));
    arena_rewind(&arena);
    assert_true(__asan_address_is_poisoned(second));
    arena_clear(&arena);
#else
    skip(); /* only AddressSanitizer sees it */
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(texts_end_with_a_nul),
        cmocka_unit_test(what_lies_behind_a_piece_is_watched),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
