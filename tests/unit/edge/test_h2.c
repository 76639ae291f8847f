/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP/2 front: streams of a client become streams of a link, each with its own back-pressure and its own end. The client is
 * libnghttp2's.
 */
#include "stage.h"

#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAMS = 16, STREAM_WINDOW = 256 << 10, LARGE = 1 << 20 };

static const struct address visitor = {.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4};

/* ---- the client */

struct client {
    int fd;
    nghttp2_session *session;
    bool keeps_windows; /* gives no credit */
    bool is_over, has_goaway;
    uint64_t body_sent;
    struct {
        char status[4];
        uint64_t bytes;
        bool is_whole, was_reset;
    } streams[STREAMS]; /* by id / 2 */
};

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t length, int flags,
                       void *context)
{
    struct client *client = context;
    (void)session, (void)flags;
    ssize_t sent = send(client->fd, data, length, MSG_NOSIGNAL);
    return sent > 0 ? sent : NGHTTP2_ERR_WOULDBLOCK;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *context)
{
    struct client *client = context;
    (void)session, (void)flags;
    if (name_length == 7 && memcmp(name, ":status", 7) == 0 && length == 3)
        memcpy(client->streams[frame->hd.stream_id / 2].status, value, 3);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t length, void *context)
{
    struct client *client = context;
    (void)flags, (void)data;
    client->streams[id / 2].bytes += length;
    return client->keeps_windows ? 0 : nghttp2_session_consume(session, id, length);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct client *client = context;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        client->has_goaway = true;
    else if (frame->hd.type == NGHTTP2_RST_STREAM)
        client->streams[frame->hd.stream_id / 2].was_reset = true;
    else if (frame->hd.stream_id && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        client->streams[frame->hd.stream_id / 2].is_whole = true;
    return 0;
}

static void connect_client(struct stage *stage, struct client *client)
{
    int ends[2];
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    *client = (struct client){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    client->fd = ends[1];
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks) + nghttp2_option_new(&option), 0);
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_option_set_no_auto_window_update(option, 1);
    assert_int_equal(nghttp2_session_client_new2(&client->session, callbacks, client, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, NULL, 0), 0);
    stage->worker->connections++;
    edge_client_start(stage->worker, &(struct edge_arrival){.fd = ends[0], .client = visitor},
                      NULL);
}

/* Both ends until nothing more happens. */
static void talk(struct stage *stage, struct client *client)
{
    for (int i = 0; i < 200; i++) {
        static uint8_t got[1 << 16];
        assert_int_equal(nghttp2_session_send(client->session), 0);
        turn_some(stage->worker->loop);
        ssize_t length = recv(client->fd, got, sizeof got, 0);
        client->is_over |= length == 0;
        if (length > 0)
            assert_int_equal(nghttp2_session_mem_recv(client->session, got, (size_t)length),
                             length);
        else if (!nghttp2_session_want_write(client->session))
            break;
    }
}

static ssize_t make_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct client *client = context;
    (void)session, (void)id, (void)flags, (void)source;
    memset(buffer, 'x', length);
    client->body_sent += length;
    return (ssize_t)length; /* without an end */
}

static int32_t ask(struct stage *stage, struct client *client, const char *host,
                   const char *priority, bool has_body)
{
#define FIELD(name, value)                                                                        \
    {                                                                                             \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value), \
            NGHTTP2_NV_FLAG_NONE                                                                  \
    }
    const nghttp2_nv fields[] = {FIELD(":method", has_body ? "POST" : "GET"),
                                 FIELD(":scheme", "http"), FIELD(":path", "/a?b"),
                                 FIELD(":authority", host), FIELD("priority", priority)};
#undef FIELD
    const nghttp2_data_provider body = {.read_callback = make_body};
    int32_t id =
        nghttp2_submit_request(client->session, NULL, fields, 5, has_body ? &body : NULL, NULL);
    assert_true(id > 0 && id / 2 < STREAMS);
    talk(stage, client);
    return id / 2;
}

static void leave(struct stage *stage, struct client *client)
{
    close(client->fd);
    turn_some(stage->worker->loop);
    nghttp2_session_del(client->session);
    stage_stop(stage);
}

/* ---- the gateway */

static void reply(struct stage *stage, struct client *client, struct link_stream *stream,
                  size_t length, bool is_whole)
{
    struct arena arena = {0};
    struct slice_queue form = {0};
    struct http_head head;
    http_head_init(&head, &arena);
    head.status = 200;
    head.minor = 1;
    head.body = HTTP_BODY_CHUNKED;
    assert_int_equal(http_form_write_response(&form, &head), 0);
    static const uint8_t block[16384];
    for (size_t piece; length; length -= piece) {
        piece = length < sizeof block ? length : sizeof block;
        http_form_write_data(&form, slice_copy(span_of(block, piece)));
    }
    if (is_whole)
        http_form_write_end(&form);
    while (form.count) {
        struct slice slice = slice_queue_pop(&form, UINT32_MAX);
        fake_deliver(stream, span_of(slice_data(&slice), slice.length), false);
        slice_release(&slice);
    }
    fake_deliver(stream, SPAN(""), true);
    slice_queue_clear(&form);
    arena_clear(&arena);
    talk(stage, client);
}

/* ---- cases */

static void streams_of_a_client_are_streams_of_a_link(void **state)
{
    struct stage stage;
    struct client client;
    (void)state;
    stage_start(&stage);
    connect_client(&stage, &client);
    int32_t first = ask(&stage, &client, "www.shop.example", "u=3", false);
    int32_t second = ask(&stage, &client, "WWW.shop.example", "i", false);
    assert_int_equal(fake_stream_count(), 2);
    assert_true(fake_stream(0)->is_finished && fake_stream(1)->is_finished);
    assert_true(address_equal(&fake_stream(0)->open.client, &visitor));
    reply(&stage, &client, fake_stream(1), 5, true);
    assert_string_equal(client.streams[second].status, "200");
    assert_string_equal(client.streams[first].status, "");
    reply(&stage, &client, fake_stream(0), 100000, true);
    assert_int_equal(client.streams[first].bytes, 100000);
    assert_int_equal(client.streams[second].bytes, 5);
    assert_true(client.streams[first].is_whole && client.streams[second].is_whole);
    assert_true(fake_stream(0)->is_released && fake_stream(1)->is_released);
    assert_false(fake_stream(0)->was_reset || fake_stream(1)->was_reset);
    leave(&stage, &client);
}

static void S8_less_urgent_requests_go_to_lower_rings(void **state)
{
    static const struct {
        const char *priority;
        uint8_t ring;
    } rows[] = {{"u=0", 1}, {"u=3", 1}, {"u=4", 2}, {"u=5", 2}, {"u=6", 3}, {"u=7", 3}, {"?!", 1}};
    struct stage stage;
    struct client client;
    (void)state;
    stage_start(&stage);
    connect_client(&stage, &client);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ask(&stage, &client, "www.shop.example", rows[i].priority, false);
        assert_int_equal(fake_stream(i)->open.ring, rows[i].ring); /* the site's is 1 */
    }
    leave(&stage, &client);
}

static void pages_leave_the_connection_as_it_is(void **state)
{
    struct stage stage;
    struct client client;
    (void)state;
    stage_start(&stage);
    connect_client(&stage, &client);
    int32_t nobody = ask(&stage, &client, "nobody.example", "u=3", false);
    int32_t lost = ask(&stage, &client, "single.example", "u=3", false);
    assert_string_equal(client.streams[nobody].status, "404");
    assert_true(client.streams[nobody].is_whole && client.streams[nobody].bytes > 0);
    fake_reset(fake_stream(0), TRANSPORT_CODE_UNREACHABLE);
    talk(&stage, &client);
    assert_string_equal(client.streams[lost].status, "502");
    assert_true(client.streams[lost].is_whole);
    assert_false(client.is_over || client.has_goaway);
    leave(&stage, &client);
}

static void an_answer_that_breaks_off_is_reset(void **state)
{
    struct stage stage;
    struct client client;
    (void)state;
    stage_start(&stage);
    connect_client(&stage, &client);
    int32_t cut = ask(&stage, &client, "www.shop.example", "u=3", false);
    int32_t kept = ask(&stage, &client, "www.shop.example", "u=3", false);
    reply(&stage, &client, fake_stream(0), 1000, false);
    assert_true(client.streams[cut].was_reset);
    assert_false(client.streams[cut].is_whole);
    reply(&stage, &client, fake_stream(1), 5, true);
    assert_true(client.streams[kept].is_whole);
    leave(&stage, &client);
}

static void a_request_that_is_given_up_takes_its_stream_along(void **state)
{
    struct stage stage;
    struct client client;
    (void)state;
    stage_start(&stage);
    connect_client(&stage, &client);
    int32_t id = ask(&stage, &client, "www.shop.example", "u=3", false);
    assert_int_equal(nghttp2_submit_rst_stream(client.session, NGHTTP2_FLAG_NONE, id * 2 + 1,
                                               NGHTTP2_CANCEL),
                     0);
    talk(&stage, &client);
    assert_int_equal(fake_stream(0)->reset_code, TRANSPORT_CODE_CANCELLED);
    assert_true(fake_stream(0)->was_reset && fake_stream(0)->is_released);
    leave(&stage, &client);
}

static void a_client_that_leaves_takes_its_streams_along(void **state)
{
    struct stage stage;
    struct client client;
    (void)state;
    stage_start(&stage);
    connect_client(&stage, &client);
    ask(&stage, &client, "www.shop.example", "u=3", false);
    ask(&stage, &client, "www.shop.example", "u=3", true);
    shutdown(client.fd, SHUT_WR);
    turn_some(stage.worker->loop);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(fake_stream(i)->reset_code, TRANSPORT_CODE_CANCELLED);
    assert_true(edge_is_drained(stage.edge));
    leave(&stage, &client);
}

static void a_body_waits_for_room_on_the_link(void **state)
{
    struct stage stage;
    struct client client;
    (void)state;
    stage_start(&stage);
    connect_client(&stage, &client);
    ask(&stage, &client, "www.shop.example", "u=3", true);
    fake_set_room(fake_stream(0), 0);
    uint64_t before = client.body_sent;
    talk(&stage, &client);
    assert_true(client.body_sent - before <= STREAM_WINDOW);
    before = client.body_sent;
    talk(&stage, &client);
    assert_int_equal(client.body_sent, before); /* no credit for what the link does not take */
    fake_set_room(fake_stream(0), LARGE);
    talk(&stage, &client);
    assert_true(client.body_sent > before);
    leave(&stage, &client);
}

static void an_answer_that_is_not_read_stops_its_stream_alone(void **state)
{
    struct stage stage;
    struct client client;
    (void)state;
    stage_start(&stage);
    connect_client(&stage, &client);
    client.keeps_windows = true;
    int32_t slow = ask(&stage, &client, "www.shop.example", "u=3", false);
    uint64_t consumed = fake_stream(0)->consumed;
    assert_int_equal(
        nghttp2_session_set_local_window_size(client.session, NGHTTP2_FLAG_NONE, 0, LARGE), 0);
    reply(&stage, &client, fake_stream(0), LARGE, true);
    assert_int_equal(client.streams[slow].bytes, 65535);
    assert_true(fake_stream(0)->consumed - consumed < 65535 + EDGE_HELD_MOST);
    assert_true(fake_stream(0)->inbound.bytes > LARGE / 2);
    int32_t quick = ask(&stage, &client, "www.shop.example", "u=3", false);
    reply(&stage, &client, fake_stream(1), 5, true);
    assert_true(client.streams[quick].is_whole);
    client.keeps_windows = false;
    assert_int_equal(nghttp2_session_consume(client.session, slow * 2 + 1, 65535), 0);
    while (!client.streams[slow].is_whole) {
        uint64_t before = client.streams[slow].bytes;
        talk(&stage, &client);
        assert_true(client.streams[slow].bytes > before);
    }
    assert_int_equal(client.streams[slow].bytes, LARGE);
    assert_true(fake_stream(0)->consumed - consumed > LARGE / 2);
    leave(&stage, &client);
}

static void a_drain_says_goaway_and_finishes_requests(void **state)
{
    struct stage stage;
    struct client client;
    (void)state;
    stage_start(&stage);
    connect_client(&stage, &client);
    int32_t id = ask(&stage, &client, "www.shop.example", "u=3", false);
    edge_set_admin(stage.edge, EDGE_DRAIN);
    edge_h2_clients_drain(stage.worker);
    talk(&stage, &client);
    assert_true(client.has_goaway);
    assert_false(edge_is_drained(stage.edge));
    reply(&stage, &client, fake_stream(0), 5, true);
    assert_true(client.streams[id].is_whole);
    assert_true(client.is_over);
    close(client.fd);
    turn_some(stage.worker->loop);
    assert_true(edge_is_drained(stage.edge));
    client.fd = -1;
    leave(&stage, &client);
}

static void the_end_of_the_edge_ends_streams_and_connections(void **state)
{
    struct stage stage;
    struct client client;
    (void)state;
    stage_start(&stage);
    connect_client(&stage, &client);
    ask(&stage, &client, "www.shop.example", "u=3", true);
    edge_h2_clients_abort(stage.worker);
    assert_int_equal(fake_stream(0)->reset_code, TRANSPORT_CODE_SHUTDOWN);
    assert_true(edge_is_drained(stage.edge));
    leave(&stage, &client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_of_a_client_are_streams_of_a_link),
        cmocka_unit_test(S8_less_urgent_requests_go_to_lower_rings),
        cmocka_unit_test(pages_leave_the_connection_as_it_is),
        cmocka_unit_test(an_answer_that_breaks_off_is_reset),
        cmocka_unit_test(a_request_that_is_given_up_takes_its_stream_along),
        cmocka_unit_test(a_client_that_leaves_takes_its_streams_along),
        cmocka_unit_test(a_body_waits_for_room_on_the_link),
        cmocka_unit_test(an_answer_that_is_not_read_stops_its_stream_alone),
        cmocka_unit_test(a_drain_says_goaway_and_finishes_requests),
        cmocka_unit_test(the_end_of_the_edge_ends_streams_and_connections),
    };
    return cmocka_run_group_tests_name("edge/h2", tests, NULL, NULL);
}
