/* SPDX-License-Identifier: Apache-2.0
 *
 * A socket joined with a stream, over real sockets and a stream whose other end is the test (T10, T12); and the record that
 * opens a passed-through stream.
 */
#include "base/memory.h"
#include "fake_link.h"
#include "turn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* ---- the record */

static void T10_a_service_record_is_read_as_it_was_written(void **state)
{
    (void)state;
    char longest[256];
    memset(longest, 'x', 255);
    longest[255] = 0;
    const char *const names[] = {"s", "shop", longest};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct slice_queue queue = {0};
        uint8_t buffer[LINK_SERVICE_BYTES];
        struct span site;
        link_service_write(&queue, span_text(names[i]));
        slice_queue_append(&queue, SPAN("behind"));
        assert_int_equal(link_service_read(&queue, buffer, &site), 0);
        assert_true(span_equal(site, span_text(names[i])));
        assert_int_equal(queue.bytes, 6);
        slice_queue_clear(&queue);
    }
}

static void T10_a_service_record_may_come_in_pieces(void **state)
{
    (void)state;
    static const uint8_t record[] = {1, 4, 's', 'h', 'o', 'p'};
    struct slice_queue queue = {0};
    uint8_t buffer[LINK_SERVICE_BYTES];
    struct span site;
    for (size_t i = 0; i < sizeof record; i++) {
        assert_int_equal(link_service_read(&queue, buffer, &site), ERROR_INCOMPLETE);
        assert_int_equal(queue.bytes, i);
        slice_queue_append(&queue, span_of(&record[i], 1));
    }
    assert_int_equal(link_service_read(&queue, buffer, &site), 0);
    assert_true(span_equal(site, SPAN("shop")));
    assert_int_equal(queue.bytes, 0);
    slice_queue_clear(&queue);
}

static void T10_a_malformed_service_record_is_refused(void **state)
{
    (void)state;
    static const struct span records[] = {SPAN("\x02\x04shop"), SPAN("\x00"), SPAN("\x01\x00")};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct slice_queue queue = {0};
        uint8_t buffer[LINK_SERVICE_BYTES];
        struct span site;
        slice_queue_append(&queue, records[i]);
        assert_int_equal(link_service_read(&queue, buffer, &site), ERROR_INVALID);
        slice_queue_clear(&queue);
    }
}

/* ---- the splice */

struct fixture {
    struct loop *loop;
    struct link link;
    struct link_stream *stream;
    struct link_splice *splice;
    int far; /* the other end of its socket */
    uint32_t done, code;
    uint64_t to_socket, from_socket;
};

static void on_done(void *owner, struct link_splice *splice, uint32_t code, uint64_t to_socket,
                    uint64_t from_socket)
{
    struct fixture *fixture = owner;
    assert_ptr_equal(splice, fixture->splice);
    fixture->done++;
    fixture->code = code;
    fixture->to_socket = to_socket;
    fixture->from_socket = from_socket;
}

static void start(struct fixture *fixture, int fd, const struct link_splice_options *more)
{
    struct link_splice_options options = *more;
    fixture->loop = loop_new();
    fixture->link = (struct link){.name = "peer", .is_up = true};
    fixture->stream = fake_stream_new(&fixture->link);
    options.fd = fd;
    options.stream = fixture->stream;
    options.done = on_done;
    options.owner = fixture;
    fixture->splice = link_splice_start(fixture->loop, &options);
}

static void start_pair(struct fixture *fixture, const struct link_splice_options *more)
{
    int ends[2];
    *fixture = (struct fixture){.code = UINT32_MAX};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    fixture->far = ends[1];
    start(fixture, ends[0], more);
}

static const struct address loopback = {.bytes = {127, 0, 0, 1}, .family = 4};

/* TCP, for what only TCP has: connecting, and resets. */
static int listen_loopback(struct address *at)
{
    int listener;
    assert_int_equal(socket_listen_tcp(&loopback, 0, &listener), 0);
    assert_int_equal(socket_local(listener, at), 0);
    return listener;
}

static void start_tcp(struct fixture *fixture, const struct link_splice_options *more)
{
    struct address at, peer;
    int fd, listener = listen_loopback(&at);
    *fixture = (struct fixture){.code = UINT32_MAX};
    assert_int_equal(socket_connect_tcp(&at, &fd), 0);
    while (socket_accept(listener, &peer, &fixture->far) < 0)
        continue; /* both ends are in this kernel: it is under way */
    close(listener);
    start(fixture, fd, more);
}

static void finish(struct fixture *fixture)
{
    assert_true(fixture->stream->is_released);
    assert_int_equal(fixture->done, 1);
    if (fixture->far >= 0)
        close(fixture->far);
    fake_clear();
    loop_free(&fixture->loop);
}

static bool is_done(void *argument)
{
    return ((struct fixture *)argument)->done > 0;
}

static bool has_written(void *argument)
{
    struct fixture *fixture = argument;
    return fixture->stream->written.length > 0;
}

static bool is_finished(void *argument)
{
    return ((struct fixture *)argument)->stream->is_finished;
}

static void expect_read(struct fixture *fixture, const char *text)
{
    char got[100];
    ssize_t length = recv(fixture->far, got, sizeof got, 0);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static const struct link_splice_options plain = {0};

static void T10_bytes_pass_both_ways_and_are_counted(void **state)
{
    struct fixture fixture;
    (void)state;
    start_pair(&fixture, &plain);
    fake_deliver(fixture.stream, SPAN("down"), false);
    expect_read(&fixture, "down");
    assert_int_equal(fixture.stream->consumed, 4);
    assert_int_equal(send(fixture.far, "up it goes", 10, 0), 10);
    assert_true(turn_until(fixture.loop, has_written, &fixture));
    assert_string_equal(fixture.stream->written.data, "up it goes");
    link_splice_abort(fixture.splice, TRANSPORT_CODE_SHUTDOWN);
    assert_int_equal(fixture.to_socket, 4);
    assert_int_equal(fixture.from_socket, 10);
    finish(&fixture);
}

static void T10_the_sockets_end_passes_first(void **state)
{
    struct fixture fixture;
    (void)state;
    start_pair(&fixture, &plain);
    assert_int_equal(send(fixture.far, "last", 4, 0), 4);
    shutdown(fixture.far, SHUT_WR);
    assert_true(turn_until(fixture.loop, is_finished, &fixture));
    assert_string_equal(fixture.stream->written.data, "last");
    assert_int_equal(fixture.done, 0);
    fake_deliver(fixture.stream, SPAN("still"), false);
    expect_read(&fixture, "still");
    fake_deliver(fixture.stream, SPAN("end"), true);
    assert_int_equal(fixture.done, 1);
    assert_int_equal(fixture.code, TRANSPORT_CODE_NONE);
    assert_false(fixture.stream->was_reset);
    expect_read(&fixture, "end");
    assert_int_equal(recv(fixture.far, &(char){0}, 1, 0), 0);
    finish(&fixture);
}

static void T10_the_streams_end_passes_first(void **state)
{
    struct fixture fixture;
    (void)state;
    start_pair(&fixture, &plain);
    fake_deliver(fixture.stream, SPAN("end"), true);
    expect_read(&fixture, "end");
    assert_int_equal(recv(fixture.far, &(char){0}, 1, 0), 0);
    assert_int_equal(fixture.done, 0);
    assert_int_equal(send(fixture.far, "still", 5, 0), 5);
    assert_true(turn_until(fixture.loop, has_written, &fixture));
    assert_false(fixture.stream->is_finished);
    shutdown(fixture.far, SHUT_WR);
    assert_true(turn_until(fixture.loop, is_done, &fixture));
    assert_int_equal(fixture.code, TRANSPORT_CODE_NONE);
    assert_true(fixture.stream->is_finished);
    assert_string_equal(fixture.stream->written.data, "still");
    finish(&fixture);
}

static void T10_what_was_read_before_goes_first_and_is_credited(void **state)
{
    struct fixture fixture;
    struct slice_queue first = {0};
    struct link_splice_options options = {.first = &first};
    (void)state;
    slice_queue_append(&first, SPAN("first "));
    start_pair(&fixture, &options);
    assert_int_equal(first.bytes, 0);
    fake_deliver(fixture.stream, SPAN("second"), false);
    expect_read(&fixture, "first second");
    assert_int_equal(fixture.stream->consumed, 12);
    link_splice_abort(fixture.splice, 0);
    assert_int_equal(fixture.code, TRANSPORT_CODE_CANCELLED);
    finish(&fixture);
}

/* What the socket does not take stays with the sender: little is held here, and no credit is given for it. */
static void T12_a_socket_that_takes_nothing_stops_the_stream(void **state)
{
    enum { BYTES = 4 << 20, HELD = 65536 };
    struct fixture fixture;
    static uint8_t block[BYTES];
    (void)state;
    for (size_t i = 0; i < BYTES; i++)
        block[i] = (uint8_t)(i * 31 >> 8);
    start_pair(&fixture, &plain);
    fake_deliver(fixture.stream, span_of(block, BYTES), true);
    turn_some(fixture.loop);
    uint64_t left = fixture.stream->inbound.bytes, consumed = fixture.stream->consumed;
    assert_true(left > BYTES / 2);
    assert_in_range(BYTES - left - consumed, 1, HELD);
    size_t got = 0;
    for (ssize_t length; got < BYTES; got += (size_t)length) {
        static uint8_t read_back[1 << 16];
        while ((length = recv(fixture.far, read_back, sizeof read_back, 0)) < 0)
            turn_some(fixture.loop);
        assert_memory_equal(read_back, block + got, (size_t)length);
    }
    assert_int_equal(fixture.stream->consumed, BYTES);
    assert_int_equal(recv(fixture.far, &(char){0}, 1, 0), 0);
    link_splice_abort(fixture.splice, TRANSPORT_CODE_SHUTDOWN);
    assert_int_equal(fixture.to_socket, BYTES);
    finish(&fixture);
}

static void T12_a_stream_without_room_stops_the_socket(void **state)
{
    struct fixture fixture;
    (void)state;
    start_pair(&fixture, &plain);
    fake_set_room(fixture.stream, 3);
    assert_int_equal(send(fixture.far, "abcdef", 6, 0), 6);
    assert_true(turn_until(fixture.loop, has_written, &fixture));
    turn_some(fixture.loop);
    assert_string_equal(fixture.stream->written.data, "abc");
    fake_set_room(fixture.stream, 100);
    shutdown(fixture.far, SHUT_WR);
    assert_true(turn_until(fixture.loop, is_finished, &fixture));
    assert_string_equal(fixture.stream->written.data, "abcdef");
    link_splice_abort(fixture.splice, TRANSPORT_CODE_SHUTDOWN);
    finish(&fixture);
}

static void T10_a_reset_of_the_stream_resets_the_socket(void **state)
{
    struct fixture fixture;
    (void)state;
    start_tcp(&fixture, &plain);
    turn_some(fixture.loop);
    fake_reset(fixture.stream, TRANSPORT_CODE_LINK_LOST);
    assert_int_equal(fixture.code, TRANSPORT_CODE_LINK_LOST);
    assert_false(fixture.stream->was_reset); /* it is over already */
    assert_int_equal(recv(fixture.far, &(char){0}, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET); /* not an end: what is not whole must not look whole */
    finish(&fixture);
}

static void T10_a_reset_of_the_socket_resets_the_stream(void **state)
{
    struct fixture fixture;
    (void)state;
    start_tcp(&fixture, &plain);
    turn_some(fixture.loop);
    socket_set_reset_on_close(fixture.far);
    close(fixture.far);
    fixture.far = -1;
    assert_true(turn_until(fixture.loop, is_done, &fixture));
    assert_int_equal(fixture.code, TRANSPORT_CODE_CANCELLED);
    assert_true(fixture.stream->was_reset);
    assert_int_equal(fixture.stream->reset_code, TRANSPORT_CODE_CANCELLED);
    assert_false(fixture.stream->is_finished);
    finish(&fixture);
}

static void T10_a_silent_connection_ends_at_its_idle_time(void **state)
{
    struct fixture fixture;
    struct link_splice_options options = {.idle_timeout_ns = 20000000};
    uint64_t began_ns = clock_now_ns();
    (void)state;
    start_pair(&fixture, &options);
    assert_true(turn_until(fixture.loop, is_done, &fixture));
    assert_true(clock_now_ns() - began_ns >= 20000000);
    assert_int_equal(fixture.code, TRANSPORT_CODE_TIMEOUT);
    assert_int_equal(fixture.stream->reset_code, TRANSPORT_CODE_TIMEOUT);
    finish(&fixture);
}

static void T10_an_origin_that_refuses_is_unreachable(void **state)
{
    struct fixture fixture = {.far = -1};
    struct link_splice_options options = {.is_connecting = true};
    struct address at;
    int fd, listener = listen_loopback(&at);
    (void)state;
    close(listener);
    if (socket_connect_tcp(&at, &fd) < 0)
        skip(); /* this kernel says so at once */
    start(&fixture, fd, &options);
    assert_true(turn_until(fixture.loop, is_done, &fixture));
    assert_int_equal(fixture.code, TRANSPORT_CODE_UNREACHABLE);
    assert_int_equal(fixture.stream->reset_code, TRANSPORT_CODE_UNREACHABLE);
    finish(&fixture);
}

static void T10_nothing_is_taken_before_the_origin_is_connected(void **state)
{
    struct fixture fixture;
    struct link_splice_options options = {.is_connecting = true, .connect_timeout_ns = 5000000000};
    (void)state;
    start_tcp(&fixture, &options);
    fake_deliver(fixture.stream, SPAN("early"), false);
    assert_int_equal(fixture.stream->inbound.bytes, 5);
    turn_some(fixture.loop);
    expect_read(&fixture, "early");
    link_splice_abort(fixture.splice, TRANSPORT_CODE_SHUTDOWN);
    assert_int_equal(fixture.stream->reset_code, TRANSPORT_CODE_SHUTDOWN);
    finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T10_a_service_record_is_read_as_it_was_written),
        cmocka_unit_test(T10_a_service_record_may_come_in_pieces),
        cmocka_unit_test(T10_a_malformed_service_record_is_refused),
        cmocka_unit_test(T10_bytes_pass_both_ways_and_are_counted),
        cmocka_unit_test(T10_the_sockets_end_passes_first),
        cmocka_unit_test(T10_the_streams_end_passes_first),
        cmocka_unit_test(T10_what_was_read_before_goes_first_and_is_credited),
        cmocka_unit_test(T12_a_socket_that_takes_nothing_stops_the_stream),
        cmocka_unit_test(T12_a_stream_without_room_stops_the_socket),
        cmocka_unit_test(T10_a_reset_of_the_stream_resets_the_socket),
        cmocka_unit_test(T10_a_reset_of_the_socket_resets_the_stream),
        cmocka_unit_test(T10_a_silent_connection_ends_at_its_idle_time),
        cmocka_unit_test(T10_an_origin_that_refuses_is_unreachable),
        cmocka_unit_test(T10_nothing_is_taken_before_the_origin_is_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
