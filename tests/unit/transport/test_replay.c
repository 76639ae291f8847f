/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "transport/packet.h"
#include "transport/replay.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

static void T9_each_number_passes_once(void **state)
{
    (void)state;
    struct replay replay = {0};
    static const struct {
        uint64_t number;
        bool fresh;
    } cases[] = {
        {0, true},
        {0, false},
        {1, true},
        {100, true},
        {99, true},
        {100, false},
        {8191, true},
        {2, true},
        {2, false},
        {8192 + 64, true},
        {3, false}, /* behind the window now */
        {200, true},
        {200, false},
        {1000000, true},
        {8192, false},
        {1000000 - 8000, true},
        {1000000, false},
        {1000000 - 8192 - 64, false},
        {PACKET_NUMBER_MAX, true},
        {PACKET_NUMBER_MAX, false},
        {1000001, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (replay_note(&replay, cases[i].number) != cases[i].fresh)
            fail_msg("case %zu", i);
}

static void T9_window_agrees_with_a_model(void **state)
{
    (void)state;
    enum { NUMBERS = 40000 };
    static bool seen[NUMBERS];
    struct replay replay = {0};
    struct random random;
    random_seed(&random, 5);
    uint64_t greatest = 0;
    for (int i = 0; i < 200000; i++) {
        uint64_t most = (uint64_t)i / 5;
        uint64_t back =
            random_below(&random, 4) ? random_below(&random, 50) : random_below(&random, 12000);
        uint64_t number = most > back ? most - back : 0;
        if (number >= NUMBERS)
            break;
        bool fresh = replay_note(&replay, number);
        if (number > greatest)
            greatest = number;
        if (greatest - number < REPLAY_BITS - 64)
            assert_int_equal(fresh, !seen[number]);
        else
            assert_false(fresh && seen[number]);
        seen[number] = true;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T9_each_number_passes_once),
        cmocka_unit_test(T9_window_agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
