/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports passed through at the gateway (T10): the record that names the site, the allow-list, the origin.
 */
#include "stage.h"

#define LOCAL ", allow_local: true"

static struct link_stream *open_port(struct stage *stage, struct link *from, uint16_t port)
{
    struct link_stream *stream = fake_stream_new(from);
    struct transport_open open = {.port = port, .flags = TRANSPORT_OPEN_SECURE};
    gateway_port_accept(stage->worker, from, stream, &open);
    return stream;
}

static void name_site(struct link_stream *stream, const char *site)
{
    struct text record = {0};
    uint8_t head[2] = {1, (uint8_t)strlen(site)};
    text_add_span(&record, span_of(head, 2));
    text_add(&record, site);
    fake_deliver(stream, text_span(&record), false);
    text_clear(&record);
}

static int accepted(struct stage *stage, int origin)
{
    struct address peer;
    int fd = -1;
    for (int i = 0; i < 100 && socket_accept(stage->listeners[origin], &peer, &fd) == ERROR_AGAIN;
         i++)
        turn_some(stage->worker->loop);
    return fd;
}

static bool was_reset(void *argument)
{
    return ((struct link_stream *)argument)->was_reset;
}

static void expect_reset(struct stage *stage, struct link_stream *stream, uint32_t code)
{
    assert_true(turn_until(stage->worker->loop, was_reset, stream));
    assert_int_equal(stream->reset_code, code);
    assert_true(stream->is_released);
    assert_true(list_is_empty(&stage->worker->ports));
}

static void T10_a_port_reaches_the_same_port_of_the_origin(void **state)
{
    struct stage stage;
    char got[8];
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct link_stream *stream = open_port(&stage, &stage.edge, stage.origins[0].port);
    fake_deliver(stream, SPAN("\x01\x04sho"), false); /* in pieces */
    assert_int_equal(stream->consumed, 0);
    fake_deliver(stream, SPAN("phello"), false);
    int fd = accepted(&stage, 0);
    assert_true(fd >= 0);
    turn_some(stage.worker->loop);
    assert_int_equal(recv(fd, got, sizeof got, MSG_DONTWAIT), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(stream->consumed, 11);
    assert_int_equal(send(fd, "there", 5, 0), 5);
    turn_some(stage.worker->loop);
    assert_string_equal(stream->written.data, "there");
    close(fd);
    stage_stop(&stage);
}

/* The port is the first origin's own: a slot of that origin is one of both. */
static void L3_a_port_waits_for_a_slot_of_its_origin(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    struct gateway_ticket *first = stage_take_slot(&stage), *second = stage_take_slot(&stage);
    struct link_stream *stream = open_port(&stage, &stage.edge, stage.origins[0].port);
    fake_deliver(stream, SPAN("\x01\x04shophel"), false);
    turn_some(stage.worker->loop);
    fake_deliver(stream, SPAN("lo"), false); /* meanwhile */
    assert_int_equal(accepted(&stage, 0), -1);
    gateway_ticket_end(&first, NULL);
    gateway_ticket_end(&second, NULL);
    char got[8];
    int fd = accepted(&stage, 0);
    assert_true(fd >= 0);
    turn_some(stage.worker->loop);
    assert_int_equal(recv(fd, got, sizeof got, MSG_DONTWAIT), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(metric_read(&gateway_pending), 1); /* as long as it is open */
    fake_reset(stream, TRANSPORT_CODE_CANCELLED);
    turn_some(stage.worker->loop);
    assert_int_equal(metric_read(&gateway_pending), 0);
    close(fd);
    stage_stop(&stage);
}

static void T10_only_what_the_allow_list_names_is_let_through(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    const struct {
        struct link *from;
        uint16_t port;
        const char *site;
    } rows[] = {
        {&stage.edge, (uint16_t)(stage.origins[0].port + 1), "shop"}, /* another port */
        {&stage.edge, stage.origins[0].port, "private"},              /* another site */
        {&stage.edge, stage.origins[0].port, "nothing"},              /* no site */
        {&stage.stranger, stage.origins[0].port, "shop"},             /* another edge */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t refused = metric_read(&gateway_refused);
        struct link_stream *stream = open_port(&stage, rows[i].from, rows[i].port);
        name_site(stream, rows[i].site);
        expect_reset(&stage, stream, TRANSPORT_CODE_REFUSED);
        assert_int_equal(metric_read(&gateway_refused) - refused, 1);
    }
    turn_some(stage.worker->loop);
    assert_int_equal(accepted(&stage, 0), -1);
    stage_stop(&stage);
}

static void T10_a_malformed_record_is_refused(void **state)
{
    static const struct {
        struct span bytes;
        bool is_end;
    } rows[] = {{SPAN("\x02\x04shop"), false},
                {SPAN("\x01\x00"), false},
                {SPAN("\x01\x04sh"), true},
                {SPAN(""), true}};
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t bad = metric_read(&gateway_bad_requests);
        struct link_stream *stream = open_port(&stage, &stage.edge, stage.origins[0].port);
        fake_deliver(stream, rows[i].bytes, rows[i].is_end);
        expect_reset(&stage, stream, TRANSPORT_CODE_PROTOCOL);
        assert_int_equal(metric_read(&gateway_bad_requests) - bad, 1);
    }
    stage_stop(&stage);
}

static void T10_a_record_that_does_not_come_is_not_waited_for(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    stage.worker->head_timeout_ns = 10000000;
    struct link_stream *silent = open_port(&stage, &stage.edge, stage.origins[0].port);
    struct link_stream *slow = open_port(&stage, &stage.edge, stage.origins[0].port);
    struct link_stream *prompt = open_port(&stage, &stage.edge, stage.origins[0].port);
    fake_deliver(slow, SPAN("\x01\x04sho"), false);
    name_site(prompt, "shop");
    int fd = accepted(&stage, 0);
    assert_true(turn_until(stage.worker->loop, was_reset, silent));
    assert_true(turn_until(stage.worker->loop, was_reset, slow));
    assert_int_equal(silent->reset_code, TRANSPORT_CODE_TIMEOUT);
    assert_int_equal(slow->reset_code, TRANSPORT_CODE_TIMEOUT);
    assert_false(prompt->was_reset); /* its time was for the record only */
    close(fd);
    stage_stop(&stage);
}

static void T10_an_origin_that_refuses_is_unreachable(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    stage_kill_origin(&stage, 0);
    uint64_t unreachable = metric_read(&gateway_unreachable);
    struct link_stream *stream = open_port(&stage, &stage.edge, stage.origins[0].port);
    name_site(stream, "shop");
    expect_reset(&stage, stream, TRANSPORT_CODE_UNREACHABLE);
    assert_int_equal(metric_read(&gateway_unreachable) - unreachable, 1);
    stage_stop(&stage);
}

static void T10_an_edge_that_leaves_early_leaves_nothing(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct link_stream *stream = open_port(&stage, &stage.edge, stage.origins[0].port);
    fake_deliver(stream, SPAN("\x01"), false);
    fake_reset(stream, TRANSPORT_CODE_CANCELLED);
    assert_true(stream->is_released);
    assert_true(list_is_empty(&stage.worker->ports));
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T10_a_port_reaches_the_same_port_of_the_origin),
        cmocka_unit_test(L3_a_port_waits_for_a_slot_of_its_origin),
        cmocka_unit_test(T10_only_what_the_allow_list_names_is_let_through),
        cmocka_unit_test(T10_a_malformed_record_is_refused),
        cmocka_unit_test(T10_a_record_that_does_not_come_is_not_waited_for),
        cmocka_unit_test(T10_an_origin_that_refuses_is_unreachable),
        cmocka_unit_test(T10_an_edge_that_leaves_early_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
