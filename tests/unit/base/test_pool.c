/* SPDX-License-Identifier: Apache-2.0
 *
 * Pieces come zeroed where that was asked for, do not overlap, and may be given back on another thread.
 */
#include "base/pool.h"

#include <pthread.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
// clang-format on

enum { PIECES = 200 };

static const size_t sizes[] = {0, 1, 64, 65, 500, 2048, 2049, 100000};

static void pieces_do_not_overlap(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int round = 0; round < 3; round++) {
            uint8_t *pieces[PIECES];
            for (int i = 0; i < PIECES; i++)
                memset(pieces[i] = pool_take(sizes[s]), i, sizes[s]);
            for (int i = 0; i < PIECES; i++) {
                for (size_t k = 0; k < sizes[s]; k++)
                    assert_int_equal(pieces[i][k], (uint8_t)i);
                pool_give(pieces[i], sizes[s]);
            }
        }
    pool_give(NULL, 10);
    pool_drain();
}

static void what_was_used_comes_back_zeroed(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        uint8_t *piece = pool_take_zeroed(300);
        for (int k = 0; k < 300; k++)
            assert_int_equal(piece[k], 0);
        memset(piece, 0xff, 300);
        pool_give(piece, 300);
    }
    pool_drain();
}

static void *give_all(void *argument)
{
    void **pieces = argument;
    for (int i = 0; i < PIECES; i++)
        pool_give(pieces[i], 128);
    pool_drain();
    return NULL;
}

static void another_thread_may_give_back(void **state)
{
    (void)state;
    void *pieces[PIECES];
    pthread_t thread;
    for (int i = 0; i < PIECES; i++)
        pieces[i] = pool_take(128);
    assert_int_equal(pthread_create(&thread, NULL, give_all, pieces), 0);
    pthread_join(thread, NULL);
    pool_drain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(what_was_used_comes_back_zeroed),
        cmocka_unit_test(another_thread_may_give_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
