/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that wait behind many others are parked: they are little then, and lose nothing (L3).
 */
#include "gateway/request.h"
#include "visit.h"

#define LOCAL ", allow_local: true"

/* With both slots taken: `how` waits, and is parked as soon as another one waits behind it. */
static struct link_stream *ask_and_park(struct stage *stage, const struct request *how,
                                        struct link_stream **behind)
{
    uint64_t parked = metric_read(&gateway_parked_requests);
    stage->worker->awake_most = 1;
    struct link_stream *stream = ask(stage, &stage->edge, how);
    turn_some(stage->worker->loop);
    assert_int_equal(metric_read(&gateway_parked_requests) - parked, 0);
    *behind = ask(stage, &stage->edge, &(struct request){0});
    turn_some(stage->worker->loop);
    assert_int_equal(metric_read(&gateway_parked_requests) - parked, 1);
    assert_int_equal(stage->worker->awake_count, 1);
    return stream;
}

static const struct {
    struct request how;
    const char *end; /* of what the origin gets */
} parked_rows[] = {
    {{0}, "\r\n\r\n"},
    {{.method = HTTP_METHOD_POST, .body = ""}, "\r\n0\r\n\r\n"},
    {{.method = HTTP_METHOD_POST, .body = "body"}, "\r\n4\r\nbody\r\n0\r\n\r\n"},
    {{.method = HTTP_METHOD_PUT, .body = "bo", .is_unended = true},
     "\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"},
};

/* What comes of it while it waits, or later. */
static void deliver_rest(struct link_stream *stream, const struct request *how)
{
    struct slice_queue form = {0};
    struct text bytes = {0};
    if (!how->is_unended)
        return;
    http_form_write_data(&form, slice_copy(SPAN("dy")));
    http_form_write_end(&form);
    append_text(&form, &bytes);
    fake_deliver(stream, text_span(&bytes), true);
    text_clear(&bytes);
}

static void L3_a_parked_request_is_what_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parked_rows / sizeof *parked_rows; i++) {
        const struct request *how = &parked_rows[i].how;
        struct stage stage;
        struct visit straight, origin;
        struct link_stream *behind;
        stage_start(&stage, ", limits: { connections: 1, kept: 0 }, origin_host: inner.example",
                    LOCAL);
        struct link_stream *stream = ask(&stage, &stage.edge, how);
        deliver_rest(stream, how);
        visit(&stage, &straight);
        read_request(&straight, parked_rows[i].end);
        answer(&straight, OK);
        expect_answer(&stage, stream, 200, "hello");
        close(straight.fd);

        struct gateway_ticket *first = stage_take_slot(&stage), *second = stage_take_slot(&stage);
        uint64_t open = metric_read(&gateway_open_requests);
        stream = ask_and_park(&stage, how, &behind);
        assert_int_equal(metric_read(&gateway_open_requests) - open, 2);
        deliver_rest(stream, how);
        gateway_ticket_end(&second, NULL);
        visit(&stage, &origin);
        read_request(&origin, parked_rows[i].end);
        assert_string_equal(origin.got, straight.got);
        assert_int_equal(metric_read(&gateway_open_requests) - open, 2);
        answer(&origin, OK);
        expect_answer(&stage, stream, 200, "hello");
        close(origin.fd);
        visit(&stage, &origin);
        read_request(&origin, "\r\n\r\n");
        answer(&origin, OK);
        expect_answer(&stage, behind, 200, "hello");
        assert_int_equal(metric_read(&gateway_open_requests), open);
        gateway_ticket_end(&first, NULL);
        close(origin.fd);
        stage_stop(&stage);
    }
}

static void L3_a_parked_request_that_fails_at_one_origin_goes_to_another(void **state)
{
    struct stage stage;
    struct visit origin;
    struct link_stream *behind;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    stage_kill_origin(&stage, 0);
    struct gateway_ticket *first = stage_take_slot(&stage), *second = stage_take_slot(&stage);
    struct link_stream *stream = ask_and_park(&stage, &(struct request){0}, &behind);
    gateway_ticket_end(&first, NULL);
    gateway_ticket_end(&second, NULL);
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            visit(&stage, &origin);
        read_request(&origin, "\r\n\r\n");
        assert_int_equal(origin.origin, 1);
        answer(&origin, OK);
        turn_some(stage.worker->loop);
    }
    expect_answer(&stage, stream, 200, "hello");
    expect_answer(&stage, behind, 200, "hello");
    close(origin.fd);
    stage_stop(&stage);
}

static void L3_a_parked_request_can_leave_be_refused_and_end_with_its_worker(void **state)
{
    enum { LEAVES, IS_REFUSED, ENDS, WAYS };
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        struct stage stage;
        struct link_stream *behind;
        stage_start(&stage,
                    way == IS_REFUSED
                        ? ", limits: { connections: 1, kept: 1 }, queue: { patience: 10ms }"
                        : ", limits: { connections: 1, kept: 1 }",
                    LOCAL);
        uint64_t cancelled = metric_read(&gateway_cancelled);
        uint64_t parked = metric_read(&gateway_parked_requests);
        struct gateway_ticket *first = stage_take_slot(&stage), *second = stage_take_slot(&stage);
        struct link_stream *stream =
            way == IS_REFUSED ? NULL : ask_and_park(&stage, &(struct request){0}, &behind);
        if (way == IS_REFUSED) { /* it may happen before the other one has come */
            stage.worker->awake_most = 1;
            stream = ask(&stage, &stage.edge, &(struct request){0});
            ask(&stage, &stage.edge, &(struct request){0});
            assert_int_equal(metric_read(&gateway_parked_requests) - parked, 1);
            assert_true(turn_until(stage.worker->loop, is_over, stream));
            assert_int_equal(stream->reset_code, TRANSPORT_CODE_LIMIT);
        } else if (way == LEAVES) {
            fake_reset(stream, TRANSPORT_CODE_CANCELLED);
            assert_true(stream->is_released);
            assert_int_equal(metric_read(&gateway_cancelled) - cancelled, 1);
        } else {
            gateway_requests_abort(stage.worker);
            assert_true(stream->is_released && behind->is_released);
            assert_int_equal(stream->reset_code, TRANSPORT_CODE_SHUTDOWN);
        }
        assert_int_equal(metric_read(&gateway_parked_requests), parked);
        gateway_ticket_end(&first, NULL);
        gateway_ticket_end(&second, NULL);
        stage_stop(&stage);
    }
}

static void L10_a_parked_request_gets_another_class_and_keeps_its_past(void **state)
{
    struct stage stage;
    struct visit origin;
    struct link_stream *behind;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 0 }", LOCAL);
    struct gateway_ticket *first = stage_take_slot(&stage), *second = stage_take_slot(&stage);
    ask_and_park(&stage, &(struct request){.target = "/first"}, &behind);
    struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){.target = "/second"});
    struct gateway_request *request =
        CONTAINER_OF(stage.worker->awake.next, struct gateway_request, link);
    request->attempts = 3; /* as if it had been tried before */
    request->failed_code = TRANSPORT_CODE_PROTOCOL;
    request->failed_metric = &gateway_unreachable;
    request->wants_fresh = true;
    ask(&stage, &stage.edge, &(struct request){0});
    assert_int_equal(stage.worker->awake_count, 1);
    fake_set_ring(stream, 0);
    gateway_ticket_end(&second, NULL);
    visit(&stage, &origin);
    assert_memory_equal(read_request(&origin, "\r\n\r\n"), "GET /second ", 12);
    request = CONTAINER_OF(stage.worker->requests.next, struct gateway_request, link);
    assert_ptr_equal(request->stream, stream);
    assert_int_equal(request->opening.priority, 0); /* of further tries, too */
    assert_int_equal(request->attempts, 4);
    assert_int_equal(request->failed_code, TRANSPORT_CODE_PROTOCOL);
    assert_ptr_equal(request->failed_metric, &gateway_unreachable);
    assert_true(request->wants_fresh && request->head_ns);
    close(origin.fd);
    gateway_ticket_end(&first, NULL);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L3_a_parked_request_is_what_it_was),
        cmocka_unit_test(L3_a_parked_request_that_fails_at_one_origin_goes_to_another),
        cmocka_unit_test(L3_a_parked_request_can_leave_be_refused_and_end_with_its_worker),
        cmocka_unit_test(L10_a_parked_request_gets_another_class_and_keeps_its_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
