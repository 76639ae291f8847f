/* SPDX-License-Identifier: Apache-2.0
 *
 * Windows of a session and its streams: credit, limits, what a slow reader costs, content that is not copied.
 */
#include "fixture.h"

static void credit_comes_only_for_what_was_consumed(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.keeps_data = fixture.is_quiet = true;
    put_headers(&fixture, 0, 1, ":method: POST\n:scheme: https\n:authority: a\n:path: /\n");
    for (int i = 0; i < 16; i++)
        put_zeros(&fixture, 0, 1, 16384);
    assert_int_equal(feed(&fixture), 0);
    sent(&fixture, true);
    fixture_expect(&fixture, ""); /* the window is used up, nothing was given back */
    h2_stream_consume(stream_of(&fixture, 1), 200000);
    sent(&fixture, true);
    fixture_expect(&fixture, "WINDOW_UPDATE 1 200000\n");
    put_zeros(&fixture, 0, 1, 16384);
    assert_int_equal(feed(&fixture), 0);
    fixture_stop(&fixture);
}

static void RFC9113_6_9_1_more_than_the_window_is_an_error_of_the_stream(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.keeps_data = true;
    put_headers(&fixture, 0, 1, ":method: POST\n:scheme: https\n:authority: a\n:path: /\n");
    for (int i = 0; i < 17; i++)
        put_zeros(&fixture, 0, 1, 16384);
    assert_int_equal(feed(&fixture), 0);
    expect_sent(&fixture, "closed 1 3\nRST_STREAM 1 3\n");
    put_get(&fixture, 3);
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "head 3 GET / at example.com:0, content none\nend 3\n");
    fixture_stop(&fixture);
}

/* Credit of the connection comes back for streams that end without having been consumed. */
static void the_window_of_the_connection_never_leaks(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.keeps_data = fixture.is_quiet = true;
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t id = 2 * i + 1;
        put_headers(&fixture, 0, id, ":method: POST\n:scheme: https\n:authority: a\n:path: /\n");
        for (int j = 0; j < 15; j++)
            put_zeros(&fixture, 0, id, 16384);
        if (i % 2)
            put_u32(&fixture, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
        assert_int_equal(feed(&fixture), 0);
        if (i % 2 == 0)
            h2_stream_reset(&fixture.streams[id / 2], H2_CODE_CANCEL);
        sent(&fixture, false);
        for (int j = 0; j < 4; j++)
            put_zeros(&fixture, 0, id, 16384); /* was under way when the stream ended */
        assert_int_equal(feed(&fixture), 0);
    }
    assert_int_equal(h2_session_streams(fixture.session), 0);
    fixture_stop(&fixture);
}

static void a_slow_reader_holds_little(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.is_quiet = true;
    uint64_t held = 0;
    for (uint32_t i = 0; i < 128; i++)
        put_get(&fixture, 2 * i + 1);
    assert_int_equal(feed(&fixture), 0);
    for (uint32_t i = 0; i < 128; i++) {
        answer(&fixture, 2 * i + 1, 200, -1);
        struct h2_stream *stream = stream_of(&fixture, 2 * i + 1);
        assert_true(h2_stream_room(stream) >= H2_STREAM_FLOOR_BYTES);
        while (h2_stream_room(stream)) {
            uint32_t length =
                h2_stream_room(stream) < 4096 ? (uint32_t)h2_stream_room(stream) : 4096;
            write_zeros(&fixture, 2 * i + 1, length);
            held += length;
        }
    }
    assert_int_equal(held, fixture.settings.connection_held_bytes + 128 * H2_STREAM_FLOOR_BYTES);
    /* The client's window is 65535 bytes: no more goes out, whoever asks. */
    h2_session_pull(fixture.session, &fixture.out, UINT64_MAX);
    uint64_t out = fixture.out.bytes;
    assert_true(out >= 65535 && out < 65535 + 128 * 64);
    h2_session_pull(fixture.session, &fixture.out, UINT64_MAX);
    assert_int_equal(fixture.out.bytes, out);
    assert_false(h2_session_has_output(fixture.session));
    slice_queue_clear(&fixture.out);
    put_u32(&fixture, NGHTTP2_WINDOW_UPDATE, 0, 100000);
    assert_int_equal(feed(&fixture), 0);
    assert_true(h2_session_has_output(fixture.session));
    fixture_stop(&fixture);
}

static void pulling_stops_at_the_limit(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 200, -1);
    write_zeros(&fixture, 1, 60000);
    h2_session_pull(fixture.session, &fixture.out, 1000);
    assert_in_range(fixture.out.bytes, 1000, 1000 + 16384 + 9);
    assert_true(h2_session_has_output(fixture.session));
    h2_stream_reset(&fixture.streams[0], H2_CODE_CANCEL);
    slice_queue_clear(&fixture.out);
    h2_session_pull(fixture.session, &fixture.out, UINT64_MAX);
    assert_int_equal(fixture.out.bytes, 9 + 4); /* RST_STREAM, and not a byte more */
    assert_int_equal(h2_session_streams(fixture.session), 0);
    fixture_stop(&fixture);
}

/* Content goes out as the very bytes that were written. */
static void large_content_is_not_copied(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 200, -1);
    struct chunk *chunk = chunk_new_sized(8192);
    memset(chunk->data, 0, chunk->capacity);
    chunk->filled = chunk->capacity;
    chunk_retain(chunk);
    h2_stream_write(stream_of(&fixture, 1), (struct slice){chunk, 0, 8192});
    h2_session_pull(fixture.session, &fixture.out, UINT64_MAX);
    slice_queue_consume(&fixture.out, fixture.out.bytes - 8192);
    assert_ptr_equal(slice_queue_front(&fixture.out).data, chunk->data);
    chunk_release(chunk);
    fixture_stop(&fixture);
}

static void windows_that_settings_change(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    put_settings(&fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10);
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 200, -1);
    write_zeros(&fixture, 1, 100);
    text_clear(&fixture.log);
    sent(&fixture, true);
    fixture_expect(&fixture, "SETTINGS 0 ACK\nHEADERS 1 :status=200\nDATA 1 10\n");
    put_settings(&fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4); /* now 6 below 0 */
    put_u32(&fixture, NGHTTP2_WINDOW_UPDATE, 1, 6);
    assert_int_equal(feed(&fixture), 0);
    expect_sent(&fixture, "");
    put_u32(&fixture, NGHTTP2_WINDOW_UPDATE, 1, 1);
    assert_int_equal(feed(&fixture), 0);
    expect_sent(&fixture, "DATA 1 1\n");
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credit_comes_only_for_what_was_consumed),
        cmocka_unit_test(RFC9113_6_9_1_more_than_the_window_is_an_error_of_the_stream),
        cmocka_unit_test(the_window_of_the_connection_never_leaks),
        cmocka_unit_test(a_slow_reader_holds_little),
        cmocka_unit_test(pulling_stops_at_the_limit),
        cmocka_unit_test(large_content_is_not_copied),
        cmocka_unit_test(windows_that_settings_change),
    };
    return cmocka_run_group_tests_name("h2_windows", tests, NULL, NULL);
}
