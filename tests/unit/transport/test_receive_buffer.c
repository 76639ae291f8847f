/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "transport/receive_buffer.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { BYTES = 20000 };
static uint8_t content[BYTES];

static int add(struct receive_buffer *buffer, uint64_t offset, uint64_t length, bool fin)
{
    return receive_buffer_add(buffer, offset, span_of(content + offset, (size_t)length), fin);
}

/* Reads what is there and compares. */
static uint64_t take(struct receive_buffer *buffer, uint64_t limit, bool *ended)
{
    struct slice_queue bytes = {0};
    uint64_t at = buffer->taken;
    *ended = receive_buffer_take(buffer, &bytes, limit);
    uint64_t length = bytes.bytes;
    while (bytes.bytes) {
        struct span front = slice_queue_front(&bytes);
        assert_memory_equal(front.data, content + at, front.length);
        at += front.length;
        slice_queue_consume(&bytes, front.length);
    }
    slice_queue_clear(&bytes);
    return length;
}

static void T6_pieces_in_any_order_become_the_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < BYTES; i++)
        content[i] = (uint8_t)(i * 37 >> 2);
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct receive_buffer buffer = {.limit = BYTES};
        struct random random;
        random_seed(&random, seed);
        uint64_t longest = 1 + random_below(&random, 3000);
        uint64_t read = 0;
        bool ended = false;
        for (int i = 0; !ended; i++) {
            /* Overlapping pieces; now and then the next missing one, so that it ends. */
            uint64_t offset = random_below(&random, 4) ? random_below(&random, BYTES) : buffer.next;
            uint64_t length = random_below(&random, longest + 1);
            if (length > BYTES - offset)
                length = BYTES - offset;
            assert_int_equal(add(&buffer, offset, length, offset + length == BYTES), 0);
            for (uint32_t k = 0; k < buffer.run_count; k++) {
                assert_true(buffer.runs[k].offset > buffer.next);
                assert_true(k == 0 || buffer.runs[k - 1].offset + buffer.runs[k - 1].bytes.bytes <
                                          buffer.runs[k].offset);
            }
            if (random_below(&random, 3) == 0)
                read += take(&buffer, random_below(&random, 5000), &ended);
            assert_true(i < 100000);
        }
        assert_int_equal(read, BYTES);
        assert_int_equal(buffer.run_count, 0);
        receive_buffer_clear(&buffer);
    }
}

static void limits_and_ends_are_enforced(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct {
            uint64_t offset, length;
            bool fin;
            int result;
        } steps[3];
    } cases[] = {
        {"credit", {{0, 1000, false, 0}, {1000, 1, false, ERROR_LIMIT}}},
        {"credit, out of order", {{500, 501, false, ERROR_LIMIT}}},
        {"bytes behind the end", {{0, 10, true, 0}, {10, 1, false, ERROR_INVALID}}},
        {"a second, other end", {{0, 10, true, 0}, {0, 9, true, ERROR_INVALID}}},
        {"the same end again", {{0, 10, true, 0}, {5, 5, true, 0}, {10, 0, true, 0}}},
        {"an end before known bytes", {{50, 10, false, 0}, {0, 20, true, ERROR_INVALID}}},
        {"an empty end", {{0, 0, true, 0}, {0, 0, true, 0}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct receive_buffer buffer = {.limit = 1000};
        for (int k = 0; k < 3; k++)
            if (add(&buffer, cases[i].steps[k].offset, cases[i].steps[k].length,
                    cases[i].steps[k].fin) != cases[i].steps[k].result)
                fail_msg("%s, step %d", cases[i].what, k);
        receive_buffer_clear(&buffer);
    }
}

static void too_many_gaps_are_refused(void **state)
{
    (void)state;
    struct receive_buffer buffer = {.limit = BYTES};
    for (uint64_t i = 0; i < RECEIVE_RUNS_MAX; i++)
        assert_int_equal(add(&buffer, 2 + i * 3, 1, false), 0);
    assert_int_equal(add(&buffer, 2 + RECEIVE_RUNS_MAX * 3, 1, false), ERROR_AGAIN);
    assert_int_equal(add(&buffer, 3, 1, false), 0); /* extends a run */
    assert_int_equal(add(&buffer, 0, 2, false), 0); /* fills the first gap */
    assert_int_equal(buffer.next, 4);
    assert_int_equal(add(&buffer, 2 + RECEIVE_RUNS_MAX * 3, 1, false), 0);
    receive_buffer_clear(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T6_pieces_in_any_order_become_the_stream),
        cmocka_unit_test(limits_and_ends_are_enforced),
        cmocka_unit_test(too_many_gaps_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
