/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "base/slice.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static uint8_t byte_at(uint64_t position)
{
    return (uint8_t)(position * 131 >> 3);
}

/* A random mix of append, push, pop, move and consume keeps the byte stream as it was. */
static void queue_keeps_the_stream(void **state)
{
    (void)state;
    struct slice_queue queue = {0}, other = {0};
    struct random random;
    random_seed(&random, 3);
    uint64_t written = 0, read = 0;
    static uint8_t buffer[40000];
    for (int round = 0; round < 3000; round++) {
        size_t length = random_below(&random, round % 10 ? 700 : sizeof buffer);
        for (size_t i = 0; i < length; i++)
            buffer[i] = byte_at(written + i);
        if (round % 3 == 2)
            slice_queue_gather(&queue, span_of(buffer, length));
        else if (round % 3)
            slice_queue_append(&queue, span_of(buffer, length));
        else
            slice_queue_push(&queue, slice_copy(span_of(buffer, length)));
        written += length;
        if (round % 17 == 0) {
            slice_queue_move(&other, &queue);
            slice_queue_move(&queue, &other);
        }
        assert_int_equal(queue.bytes, written - read);
        uint64_t take = random_below(&random, queue.bytes + 1);
        size_t seen =
            slice_queue_peek(&queue, 0, buffer, take < sizeof buffer ? take : sizeof buffer);
        for (size_t i = 0; i < seen; i++)
            assert_int_equal(buffer[i], byte_at(read + i));
        if (round % 5 == 0 && queue.count) {
            struct slice slice = slice_queue_pop(&queue, 100);
            for (uint32_t i = 0; i < slice.length; i++)
                assert_int_equal(slice_data(&slice)[i], byte_at(read + i));
            read += slice.length;
            slice_release(&slice);
        } else {
            slice_queue_consume(&queue, take);
            read += take;
        }
    }
    slice_queue_clear(&queue);
    slice_queue_clear(&other);
    chunk_cache_drain();
}

static void append_never_writes_into_shared_bytes(void **state)
{
    (void)state;
    struct slice_queue queue = {0};
    slice_queue_append(&queue, SPAN("abc"));
    struct slice held = slice_queue_pop(&queue, 2); /* shares its chunk with the queue's rest */
    slice_queue_append(&queue, SPAN("def"));
    uint8_t out[4];
    assert_int_equal(slice_queue_peek(&queue, 0, out, 4), 4);
    assert_memory_equal(out, "cdef", 4);
    assert_memory_equal(slice_data(&held), "ab", 2);
    slice_release(&held);
    slice_queue_clear(&queue);
}

/* Pieces lie in one part each, behind what was there, and never in bytes that somebody else holds. */
/* A peer that sends byte by byte used to make us hold a chunk for each byte. */
static void what_trickles_in_holds_little(void **state)
{
    struct slice_queue read = {0}, passed = {0};
    (void)state;
    for (int i = 0; i < 10000; i++) {
        struct chunk *chunk = chunk_new();
        chunk->data[0] = (uint8_t)('a' + i % 26);
        chunk->filled = 1;
        slice_queue_push_read(&read, chunk);
        chunk = chunk_new();
        memset(chunk->data, 'x', 50);
        chunk->filled = 50;
        slice_queue_push(&passed, (struct slice){chunk, 0, 50});
    }
    assert_int_equal(read.bytes, 10000);
    assert_int_equal(read.count, 1);
    assert_int_equal(slice_data(&read.only)[27], 'b');
    assert_int_equal(passed.bytes, 500000);
    assert_in_range(passed.count, 1, 500000 / (CHUNK_BYTES - 50) + 1);
    slice_queue_clear(&read);
    slice_queue_clear(&passed);
}

static void what_others_see_is_not_joined(void **state)
{
    struct slice_queue queue = {0};
    (void)state;
    struct slice first = slice_copy(SPAN("first"));
    slice_queue_push(&queue, slice_retain(first));
    slice_queue_push(&queue, slice_copy(SPAN("second")));
    assert_int_equal(queue.count, 2);
    assert_int_equal(first.length, 5);
    slice_queue_clear(&queue);
    slice_release(&first);
}

static void extend_gives_room_in_one_piece(void **state)
{
    (void)state;
    struct slice_queue queue = {0};
    struct slice held = {0};
    uint64_t written = 0;
    static const uint32_t lengths[] = {1, 7, 600, 511, 16384, 3, 40000, 2, 16383, 5};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t *room = slice_queue_extend(&queue, lengths[i]);
        for (uint32_t j = 0; j < lengths[i]; j++)
            room[j] = byte_at(written++);
        if (i == 5) {
            held = slice_queue_pop(&queue, 1);
            assert_int_equal(slice_data(&held)[0], byte_at(0));
        }
    }
    static uint8_t out[100000];
    assert_int_equal(slice_queue_peek(&queue, 0, out, sizeof out), written - 1);
    for (uint64_t i = 1; i < written; i++)
        assert_int_equal(out[i - 1], byte_at(i));
    slice_release(&held);
    slice_queue_clear(&queue);
    chunk_cache_drain();
}

static void what_extend_gave_too_much_is_taken_back(void **state)
{
    (void)state;
    struct slice_queue queue = {0};
    slice_queue_append(&queue, SPAN("before "));
    memcpy(slice_queue_extend(&queue, 300), "head", 4);
    slice_queue_trim(&queue, 296);
    slice_queue_append(&queue, SPAN(" behind"));
    uint8_t out[32];
    assert_int_equal(queue.bytes, 18);
    assert_int_equal(slice_queue_peek(&queue, 0, out, sizeof out), 18);
    assert_memory_equal(out, "before head behind", 18);
    slice_queue_clear(&queue);
    chunk_cache_drain();
}

static void numbers_become_digits(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        const char *text;
    } rows[] = {
        {0, "0"}, {7, "7"}, {10, "10"}, {86400, "86400"}, {UINT64_MAX, "18446744073709551615"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t room[SPAN_DIGITS];
        uint64_t back;
        struct span digits = span_decimal(rows[i].number, room);
        assert_true(span_equal(digits, span_text(rows[i].text)));
        assert_int_equal(span_number(digits, &back), 0);
        assert_true(back == rows[i].number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_keeps_the_stream),
        cmocka_unit_test(append_never_writes_into_shared_bytes),
        cmocka_unit_test(what_trickles_in_holds_little),
        cmocka_unit_test(what_others_see_is_not_joined),
        cmocka_unit_test(extend_gives_room_in_one_piece),
        cmocka_unit_test(what_extend_gave_too_much_is_taken_back),
        cmocka_unit_test(numbers_become_digits),
    };
    return cmocka_run_group_tests_name("base/slice", tests, NULL, NULL);
}
