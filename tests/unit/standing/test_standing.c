/* SPDX-License-Identifier: Apache-2.0
 *
 * Standing streams, where the test is the other end. A message is one byte: 'x' is none, 'h' holds until it is let go, others are answered
 * by themselves as capitals.
 */
#include "standing/standing.h"

#include "base/error.h"
#include "fake_link.h"
#include "loop/loop.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#define S_NS 1000000000ull

struct user {
    struct standing standing;
    bool lets_go;
    int spoken, ended;
    uint32_t code;
};

static struct metric malformed = METRIC(COUNTER, "test_malformed_total", "", "Of this test.");

static struct user *user_of(struct standing *standing)
{
    return CONTAINER_OF(standing, struct user, standing);
}

static int take(struct standing *standing, struct text *out)
{
    uint8_t byte;
    if (!slice_queue_peek(&standing->in, 0, &byte, 1))
        return ERROR_INCOMPLETE;
    if (byte == 'x')
        return ERROR_INVALID;
    if (byte == 'h' && !user_of(standing)->lets_go)
        return 0;
    slice_queue_consume(&standing->in, 1);
    text_add_format(out, "%c", byte - 'a' + 'A');
    return 1;
}

static void speak(struct standing *standing)
{
    user_of(standing)->spoken++;
}

static void on_ended(struct standing *standing, uint32_t code)
{
    user_of(standing)->ended++;
    user_of(standing)->code = code;
}

static const struct standing_kind kind = {
    .take = take, .speak = speak, .ended = on_ended, .malformed = &malformed, .again_ns = 3 * S_NS};
static struct link link = {.is_up = true};

static struct user start(void)
{
    fake_clear();
    return (struct user){0};
}

static struct link_stream *opened(struct user *user)
{
    standing_init(&user->standing, &kind);
    assert_true(standing_is_due(&user->standing));
    assert_true(standing_open(&user->standing, &link, TRANSPORT_OPEN_LOADS));
    assert_false(standing_is_due(&user->standing));
    return fake_stream(fake_stream_count() - 1);
}

static void assert_said(const struct link_stream *stream, const char *text)
{
    assert_int_equal(stream->written.length, strlen(text));
    assert_memory_equal(stream->written.data, text, strlen(text));
}

static void messages_are_taken_and_answered_in_one_piece(void **state)
{
    struct user user = start();
    (void)state;
    struct link_stream *stream = opened(&user);
    assert_int_equal(stream->open.flags, TRANSPORT_OPEN_LOADS);
    fake_deliver(stream, SPAN("abc"), false);
    assert_said(stream, "ABC");
    assert_int_equal(stream->consumed, 3);
    assert_int_equal(user.spoken, 1);
    fake_set_room(stream, 0);
    fake_set_room(stream, 10);
    assert_int_equal(user.spoken, 2);
    standing_end(&user.standing, TRANSPORT_CODE_CANCELLED);
}

static void what_is_held_stops_the_reading(void **state)
{
    struct user user = start();
    (void)state;
    struct link_stream *stream = opened(&user);
    fake_deliver(stream, SPAN("ah"), false);
    fake_deliver(stream, SPAN("bc"), false);
    assert_said(stream, "A");
    assert_true(user.standing.is_held);
    assert_int_equal(stream->consumed, 2);
    standing_read_on(&user.standing);
    assert_said(stream, "A");
    user.lets_go = true;
    standing_read_on(&user.standing);
    assert_said(stream, "AHBC");
    assert_false(user.standing.is_held);
    standing_end(&user.standing, TRANSPORT_CODE_CANCELLED);
}

static void nonsense_and_the_peers_end_end_it(void **state)
{
    static const struct {
        const char *sent;
        bool is_end;
        uint32_t code;
        const char *said;
    } rows[] = {{"axb", false, TRANSPORT_CODE_PROTOCOL, "A"},
                {"ab", true, TRANSPORT_CODE_CANCELLED, "AB"}};
    (void)state;
    metric_register(&malformed);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct user user = start();
        uint64_t before = metric_read(&malformed);
        struct link_stream *stream = opened(&user);
        fake_deliver(stream, span_text(rows[i].sent), rows[i].is_end);
        assert_said(stream, rows[i].said);
        assert_true(stream->was_reset);
        assert_int_equal(stream->reset_code, rows[i].code);
        assert_int_equal(user.ended, 1);
        assert_null(user.standing.stream);
        assert_int_equal(metric_read(&malformed) - before, rows[i].code == TRANSPORT_CODE_PROTOCOL);
        standing_end(&user.standing, TRANSPORT_CODE_CANCELLED); /* harmless */
        assert_int_equal(user.ended, 1);
    }
}

static void the_next_attempt_waits_as_the_end_says(void **state)
{
    static const struct {
        uint32_t code;
        uint64_t least_ns, most_ns;
    } rows[] = {{TRANSPORT_CODE_SHUTDOWN, 0, 0},
                {TRANSPORT_CODE_CANCELLED, 3 * S_NS, 3 * S_NS},
                {TRANSPORT_CODE_REFUSED, 5 * S_NS, 5 * S_NS}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct user user = start();
        struct link_stream *stream = opened(&user);
        uint64_t before_ns = clock_now_ns();
        fake_reset(stream, rows[i].code);
        uint64_t after_ns = clock_now_ns();
        assert_false(stream->was_reset);
        assert_int_equal(user.code, rows[i].code);
        assert_true(user.standing.retry_ns >= before_ns + rows[i].least_ns &&
                    user.standing.retry_ns <= after_ns + rows[i].most_ns);
        assert_int_equal(standing_is_due(&user.standing), rows[i].least_ns == 0);
    }
}

static void one_that_cannot_be_opened_is_due_later(void **state)
{
    struct link refusing = {.is_up = true, .refuses = true};
    struct user user = start();
    (void)state;
    standing_init(&user.standing, &kind);
    assert_false(standing_open(&user.standing, &refusing, 0));
    assert_false(standing_is_due(&user.standing));
    assert_int_equal(user.ended, 0);
}

static void a_link_has_one_that_was_accepted(void **state)
{
    struct link other = {.is_up = true};
    struct user first = start(), stranger = {0}, second = {0};
    struct list accepted;
    struct text text = {0};
    (void)state;
    list_init(&accepted);
    standing_init(&first.standing, &kind);
    standing_init(&stranger.standing, &kind);
    standing_init(&second.standing, &kind);
    standing_accept(&first.standing, &accepted, &link, fake_stream_new(&link));
    standing_accept(&stranger.standing, &accepted, &other, fake_stream_new(&other));
    assert_int_equal(first.ended + stranger.ended, 0);
    standing_accept(&second.standing, &accepted, &link, fake_stream_new(&link));
    assert_int_equal(first.ended, 1);
    assert_int_equal(first.code, TRANSPORT_CODE_CANCELLED);
    assert_int_equal(stranger.ended + second.ended, 0);
    text_add_format(&text, "lost");
    standing_say(&first.standing, &text);
    assert_int_equal(text.length, 0);
    assert_int_equal(standing_room(&first.standing), 0);
    assert_true(standing_room(&second.standing) > 0);
    standing_end(&stranger.standing, TRANSPORT_CODE_SHUTDOWN);
    standing_end(&second.standing, TRANSPORT_CODE_SHUTDOWN);
    assert_true(list_is_empty(&accepted));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_taken_and_answered_in_one_piece),
        cmocka_unit_test(what_is_held_stops_the_reading),
        cmocka_unit_test(nonsense_and_the_peers_end_end_it),
        cmocka_unit_test(the_next_attempt_waits_as_the_end_says),
        cmocka_unit_test(one_that_cannot_be_opened_is_due_later),
        cmocka_unit_test(a_link_has_one_that_was_accepted),
    };
    metrics_thread_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_clear();
    metrics_thread_stop();
    return failed;
}
