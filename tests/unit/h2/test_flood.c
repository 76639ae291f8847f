/* SPDX-License-Identifier: Apache-2.0
 *
 * Floods: what no honest client does ends the connection with a cause of its own, and what honest ones do never does.
 */
#include "fixture.h"

#include "base/bytes.h"

#define POST ":method: POST\n:scheme: https\n:authority: a\n:path: /\n"

/* Repeats `put` until the session ends; how often that was. Fails past `most`. */
static uint32_t flood(struct fixture *fixture, void (*put)(struct fixture *, uint32_t round),
                      uint32_t most, enum h2_cause cause)
{
    fixture->is_quiet = true;
    for (uint32_t round = 0; round < most; round++) {
        put(fixture, round);
        slice_queue_clear(&fixture->out);
        int fed = feed(fixture);
        h2_session_pull(fixture->session, &fixture->out, UINT64_MAX);
        if (fed == 0 && !h2_session_cause(fixture->session))
            continue;
        if (h2_session_cause(fixture->session) != cause)
            fail_msg("%s", h2_cause_name(h2_session_cause(fixture->session)));
        assert_true(h2_session_is_over(fixture->session));
        return round;
    }
    fail_msg("%u rounds were taken", most);
    return 0;
}

static void last_frame_is(struct fixture *fixture, uint32_t code)
{
    uint8_t frame[17];
    assert_true(fixture->out.bytes >= sizeof frame);
    slice_queue_peek(&fixture->out, fixture->out.bytes - sizeof frame, frame, sizeof frame);
    assert_int_equal(frame[3], NGHTTP2_GOAWAY);
    assert_int_equal(load_u32(frame + 13), code);
}

static void put_reset_request(struct fixture *fixture, uint32_t round)
{
    put_get(fixture, 2 * round + 1);
    put_u32(fixture, NGHTTP2_RST_STREAM, 2 * round + 1, NGHTTP2_CANCEL);
}

/* Streams that the client makes the server reset: CVE-2025-8671. */
static void put_bad_window(struct fixture *fixture, uint32_t round)
{
    put_get(fixture, 2 * round + 1);
    put_u32(fixture, NGHTTP2_WINDOW_UPDATE, 2 * round + 1, 0x7fffffff);
}

static void put_malformed(struct fixture *fixture, uint32_t round)
{
    put_headers(fixture, NGHTTP2_FLAG_END_STREAM, 2 * round + 1, POST "Upper: x\n");
}

static void put_setting(struct fixture *fixture, uint32_t round)
{
    put_settings(fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, round);
}

static void put_a_ping(struct fixture *fixture, uint32_t round)
{
    put_ping(fixture, round % 2 ? NGHTTP2_FLAG_ACK : 0);
}

static void put_empty_data(struct fixture *fixture, uint32_t round)
{
    if (!round)
        put_headers(fixture, 0, 1, POST);
    put_data(fixture, 0, 1, round % 2 ? "" : "x");
}

static void put_window_update(struct fixture *fixture, uint32_t round)
{
    (void)round;
    put_u32(fixture, NGHTTP2_WINDOW_UPDATE, 0, 1);
}

static void put_priority(struct fixture *fixture, uint32_t round)
{
    uint8_t payload[5] = {0, 0, 0, 0, (uint8_t)round};
    put_frame(fixture, NGHTTP2_PRIORITY, 0, 2 * (round % 1000) + 1,
              span_of(payload, sizeof payload));
}

static void put_priority_update(struct fixture *fixture, uint32_t round)
{
    (void)round;
    put_frame(fixture, NGHTTP2_PRIORITY_UPDATE, 0, 0, SPAN("\0\0\0\1u=1"));
}

static void put_unknown(struct fixture *fixture, uint32_t round)
{
    put_frame(fixture, (uint8_t)(0x20 + round % 100), 0, 0, SPAN("grease"));
}

static void put_goaway(struct fixture *fixture, uint32_t round)
{
    if (!round)
        put_headers(fixture, 0, 1, POST);
    put_frame(fixture, NGHTTP2_GOAWAY, 0, 0, SPAN("\0\0\0\0\0\0\0\0"));
}

static const struct {
    const char *name;
    void (*put)(struct fixture *fixture, uint32_t round);
    enum h2_cause cause;
    size_t rate; /* in the settings */
} floods[] = {
#define ROW(put, cause, rate)                                           \
    {                                                                   \
#put, put, H2_CAUSE_##cause, offsetof(struct h2_settings, rate) \
    }
    ROW(put_reset_request, RESETS, resets),
    ROW(put_bad_window, STREAM_ERRORS, errors),
    ROW(put_malformed, STREAM_ERRORS, errors),
    ROW(put_setting, SETTINGS_FLOOD, settings),
    ROW(put_a_ping, PING_FLOOD, pings),
    ROW(put_empty_data, EMPTY_DATA, empty_data),
    ROW(put_window_update, WINDOW_FLOOD, window_updates),
    ROW(put_priority, PRIORITY_FLOOD, priorities),
    ROW(put_priority_update, PRIORITY_FLOOD, priorities),
    ROW(put_unknown, UNKNOWN_FLOOD, unknown),
    ROW(put_goaway, UNKNOWN_FLOOD, unknown),
#undef ROW
};

/* Each at once ends where its burst ends; slowly it never does. */
static void floods_end_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        struct fixture fixture;
        fixture_start(&fixture, NULL);
        const struct h2_rate *rate =
            (const struct h2_rate *)((const char *)&fixture.settings + floods[i].rate);
        uint32_t rounds = flood(&fixture, floods[i].put, rate->burst + 10, floods[i].cause);
        if (rounds + 8 < rate->burst)
            fail_msg("%s: ended after %u of %u", floods[i].name, rounds, rate->burst);
        last_frame_is(&fixture, NGHTTP2_ENHANCE_YOUR_CALM);
        fixture_stop(&fixture);
    }
}

static void what_is_slow_is_no_flood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        struct fixture fixture;
        fixture_start(&fixture, NULL);
        fixture.is_quiet = fixture.answers = true;
        const struct h2_rate *rate =
            (const struct h2_rate *)((const char *)&fixture.settings + floods[i].rate);
        for (uint32_t round = 0; round < 3 * rate->burst && round < 900; round++) {
            fixture.now_ns += 2 * SECOND_NS / rate->per_second;
            floods[i].put(&fixture, round);
            if (feed(&fixture) != 0)
                fail_msg("%s: %s after %u", floods[i].name,
                         h2_cause_name(h2_session_cause(fixture.session)), round);
            h2_session_pull(fixture.session, &fixture.out, UINT64_MAX);
            slice_queue_clear(&fixture.out);
        }
        fixture_stop(&fixture);
    }
}

/* A hundred thousand bytes for each update of the window, as fast as it goes. */
static void updates_for_what_was_sent_are_no_flood(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.is_quiet = true;
    put_get(&fixture, 1);
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 200, -1);
    for (uint32_t round = 0; round < 20000; round++) {
        write_zeros(&fixture, 1, 16384);
        h2_session_pull(fixture.session, &fixture.out, UINT64_MAX);
        slice_queue_clear(&fixture.out);
        put_u32(&fixture, NGHTTP2_WINDOW_UPDATE, 0, 16384);
        put_u32(&fixture, NGHTTP2_WINDOW_UPDATE, 1, 16384);
        assert_int_equal(feed(&fixture), 0);
    }
    fixture_stop(&fixture);
}

/* Windows of one byte: many frames for hardly any content. */
static void tiny_windows_are_a_flood(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.is_quiet = true;
    put_settings(&fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    put_get(&fixture, 1);
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 200, -1);
    write_zeros(&fixture, 1, 60000);
    uint32_t frames = 0;
    do {
        put_u32(&fixture, NGHTTP2_WINDOW_UPDATE, 1, 1);
        h2_session_pull(fixture.session, &fixture.out, UINT64_MAX);
        slice_queue_clear(&fixture.out);
    } while (feed(&fixture) == 0 && frames++ < 10000);
    assert_in_range(frames, 1000, fixture.settings.window_updates.burst + 16);
    assert_int_equal(h2_session_cause(fixture.session), H2_CAUSE_WINDOW_FLOOD);
    fixture_stop(&fixture);
}

static void continuations_have_a_limit(void **state)
{
    struct fixture fixture;
    (void)state;
    for (uint32_t count = 8; count <= 9; count++) {
        fixture_start(&fixture, NULL);
        struct text block = {0};
        encode_lines(&block, ":method: GET\n:scheme: https\n:authority: a\n:path: /\n");
        put_frame(&fixture, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1,
                  span_of(block.data, block.length));
        for (uint32_t i = 1; i <= count; i++)
            put_frame(&fixture, NGHTTP2_CONTINUATION, i == count ? NGHTTP2_FLAG_END_HEADERS : 0, 1,
                      SPAN("\0\1x\1y"));
        text_clear(&block);
        feed(&fixture);
        if (count == H2_CONTINUATIONS) {
            fixture_expect(&fixture, "head 1 GET / at a:0, content none\nend 1\n");
        } else {
            assert_int_equal(h2_session_cause(fixture.session), H2_CAUSE_CONTINUATIONS);
            h2_session_pull(fixture.session, &fixture.out, UINT64_MAX);
            last_frame_is(&fixture, NGHTTP2_ENHANCE_YOUR_CALM);
        }
        fixture_stop(&fixture);
    }
}

/* One indexed field of 4000 bytes, repeated by one byte each: HPACK makes 16 KiB of it 64 MiB. */
static void a_header_bomb_ends_the_connection(void **state)
{
    struct fixture fixture;
    struct text block = {0};
    (void)state;
    fixture_start(&fixture, NULL);
    encode_lines(&block, ":method: GET\n:scheme: https\n:authority: a\n:path: /\n");
    text_add_span(&block, SPAN("\x40\x01x\x7f\xa1\x1e")); /* 127 + 33 + 30 * 128 = 4000 */
    for (int i = 0; i < 4000; i++)
        text_add(&block, "a");
    for (int i = 0; i < 12000; i++)
        text_add(&block, "\xbe"); /* index 62: the newest of the dynamic table */
    put_frame(&fixture, NGHTTP2_HEADERS, 5, 1, span_of(block.data, block.length));
    text_clear(&block);
    assert_int_equal(feed(&fixture), ERROR_CLOSED);
    assert_int_equal(h2_session_cause(fixture.session), H2_CAUSE_HEAD_BOMB);
    fixture_expect(&fixture, "");
    assert_true(h2_session_memory_bytes(fixture.session) < 128 * 1024);
    fixture_stop(&fixture);
}

static void RFC9113_5_1_2_streams_have_a_limit(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.is_quiet = true;
    for (uint32_t i = 0; i < 128; i++)
        put_get(&fixture, 2 * i + 1);
    assert_int_equal(feed(&fixture), 0);
    assert_int_equal(fixture.heads, 128);
    fixture.is_quiet = false;
    put_get(&fixture, 257);
    assert_int_equal(feed(&fixture), 0);
    assert_int_equal(fixture.heads, 128);
    expect_sent(&fixture, "GOAWAY 0 last 255 code 1\n");
    assert_int_equal(h2_session_cause(fixture.session), H2_CAUSE_PROTOCOL);
    fixture_stop(&fixture);
}

/* It asks, and its socket takes nothing: what waits has a limit even when the caller keeps feeding. */
static void answers_that_nobody_reads_have_a_limit(void **state)
{
    struct fixture fixture;
    uint32_t pings = 0;
    (void)state;
    fixture_start(&fixture, NULL);
    do {
        fixture.now_ns += SECOND_NS;
        put_ping(&fixture, 0);
    } while (feed(&fixture) == 0 && pings++ < 1000);
    assert_in_range(pings, H2_ACKS_QUEUED - 2, H2_ACKS_QUEUED + 2);
    assert_int_equal(h2_session_cause(fixture.session), H2_CAUSE_ACKS_UNREAD);
    fixture_stop(&fixture);
}

/* However the bytes arrive: answers that nobody had the time to read are not what it is ended for. */
static void pings_that_come_at_once_are_a_flood(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_settings(&fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000);
    for (int i = 0; i < 100; i++)
        put_ping(&fixture, 0);
    assert_int_equal(feed(&fixture), ERROR_CLOSED);
    assert_int_equal(h2_session_cause(fixture.session), H2_CAUSE_PING_FLOOD);
    fixture_stop(&fixture);
}

static void little_memory(struct h2_settings *settings)
{
    settings->memory_bytes = 40 * 1024;
}

static void memory_has_a_limit(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, little_memory);
    fixture.is_quiet = true;
    for (uint32_t i = 0; i < 128 && fixture.fed == 0; i++) {
        put_get(&fixture, 2 * i + 1);
        feed(&fixture);
        assert_true(h2_session_memory_bytes(fixture.session) <= 40 * 1024 + 65536);
    }
    assert_int_equal(fixture.fed, ERROR_CLOSED);
    assert_int_equal(h2_session_cause(fixture.session), H2_CAUSE_MEMORY);
    h2_session_pull(fixture.session, &fixture.out, UINT64_MAX);
    assert_true(h2_session_is_over(fixture.session));
    fixture_stop(&fixture);
}

/* With all streams in use: what the default of 1 MiB is measured by. */
static void an_ordinary_connection_needs_a_fraction_of_its_memory(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.is_quiet = true;
    for (uint32_t i = 0; i < 128; i++)
        put_get(&fixture, 2 * i + 1);
    assert_int_equal(feed(&fixture), 0);
    for (uint32_t i = 0; i < 128; i++)
        answer(&fixture, 2 * i + 1, 200, -1);
    assert_in_range(h2_session_memory_bytes(fixture.session), 1024, 256 * 1024);
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_end_the_connection),
        cmocka_unit_test(what_is_slow_is_no_flood),
        cmocka_unit_test(updates_for_what_was_sent_are_no_flood),
        cmocka_unit_test(tiny_windows_are_a_flood),
        cmocka_unit_test(continuations_have_a_limit),
        cmocka_unit_test(a_header_bomb_ends_the_connection),
        cmocka_unit_test(RFC9113_5_1_2_streams_have_a_limit),
        cmocka_unit_test(answers_that_nobody_reads_have_a_limit),
        cmocka_unit_test(pings_that_come_at_once_are_a_flood),
        cmocka_unit_test(memory_has_a_limit),
        cmocka_unit_test(an_ordinary_connection_needs_a_fraction_of_its_memory),
    };
    return cmocka_run_group_tests_name("h2_flood", tests, NULL, NULL);
}
