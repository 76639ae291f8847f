/* SPDX-License-Identifier: Apache-2.0
 *
 * The step that encodes (C3): how much of a turn it takes, what it does with an answer that trickles, and with clients that leave.
 */
#include "stage.h"

#include "edge/encode/encoded.h"

#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define GET "GET /a HTTP/1.1\r\nHost: coded.example\r\nAccept-Encoding: gzip\r\n\r\n"

static const struct address visitor = {.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4};

/* ---- a step that answers with so much text, for each of some clients */

enum { CLIENTS = 3, PIECE = 8192, WHOLE = 1 << 20 };

static struct {
    struct edge_exchange *of[CLIENTS];
    uint64_t pulled[CLIENTS], in_turn, turn_ns, most_in_turn;
    size_t count;
} script;

static size_t index_of(const struct edge_exchange *exchange)
{
    size_t i = 0;
    while (script.of[i] != exchange)
        i++;
    return i;
}

static int pull(struct edge_exchange *exchange, struct slice_queue *out, uint64_t limit,
                bool *ended)
{
    uint64_t *pulled = &script.pulled[index_of(exchange)];
    uint64_t now_ns = loop_now_ns(exchange->worker->loop);
    uint32_t length = limit < PIECE ? (uint32_t)limit : PIECE;
    if (length > WHOLE - *pulled)
        length = (uint32_t)(WHOLE - *pulled);
    uint8_t *bytes = slice_queue_extend(out, length);
    for (uint32_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)('a' + (*pulled + i) % 23);
    *pulled += length;
    *ended = *pulled == WHOLE;
    if (script.turn_ns != now_ns)
        script.in_turn = 0;
    script.turn_ns = now_ns;
    script.in_turn += length;
    if (script.in_turn > script.most_in_turn)
        script.most_in_turn = script.in_turn;
    return 0;
}

static enum edge_next take(struct edge_exchange *exchange)
{
    struct http_head *head = edge_exchange_own_head(exchange);
    script.of[script.count++] = exchange;
    head->status = 200;
    head->keeps_alive = true;
    head->body = HTTP_BODY_CHUNKED;
    assert_int_equal(http_fields_add(&head->fields, HTTP_NAME_CONTENT_TYPE, SPAN("text/plain")), 0);
    edge_exchange_answer_from(exchange, pull);
    return EDGE_TAKEN;
}

static const struct edge_step scripted = {.name = "scripted", .take = take};
static const struct edge_step *const own_steps[] = {&edge_step_site, &edge_step_encode, &scripted,
                                                    NULL};
static const struct edge_step *const link_steps[] = {&edge_step_site, &edge_step_encode,
                                                     &edge_step_link, NULL};

/* ---- clients */

struct client {
    int fd;
    struct text got;
};

static struct client ask(struct stage *stage)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    stage->worker->connections++;
    edge_client_start(stage->worker, &(struct edge_arrival){.fd = ends[0], .client = visitor},
                      NULL);
    assert_int_equal(send(ends[1], GET, sizeof GET - 1, MSG_NOSIGNAL), sizeof GET - 1);
    return (struct client){.fd = ends[1]};
}

static void hear(struct client *client)
{
    char room[65536];
    for (ssize_t got; (got = recv(client->fd, room, sizeof room, 0)) > 0;)
        text_add_span(&client->got, span_of(room, (size_t)got));
}

static void leave(struct client *client)
{
    close(client->fd);
    text_clear(&client->got);
}

/* What the chunks so far hold, decoded: its length. *is_whole: the encoded content and the message have ended. */
static size_t decode(const struct client *client, uint8_t *out, size_t room, bool *is_whole)
{
    struct span rest = text_span(&client->got);
    z_stream stream = {.next_out = out, .avail_out = (unsigned)room};
    int result = inflateInit2(&stream, 15 + 16);
    assert_int_equal(result, Z_OK);
    *is_whole = false;
    const uint8_t *behind = memmem(rest.data, rest.length, "\r\n\r\n", 4);
    rest = span_from(rest, behind ? (size_t)(behind - rest.data) + 4 : rest.length);
    while (rest.length) {
        char *end;
        size_t length = strtoul((const char *)rest.data, &end, 16);
        rest = span_from(rest, (size_t)((uint8_t *)end - rest.data) + 2);
        *is_whole = !length && result == Z_STREAM_END;
        if (length > rest.length || !length)
            break;
        stream.next_in = (uint8_t *)(uintptr_t)rest.data;
        stream.avail_in = (unsigned)length;
        result = inflate(&stream, Z_SYNC_FLUSH);
        assert_true(result == Z_OK || result == Z_STREAM_END);
        rest = span_from(rest, length + 2);
    }
    inflateEnd(&stream);
    return room - stream.avail_out;
}

static void start(struct stage *stage, const struct edge_step *const *steps)
{
    stage_start(stage);
    stage->edge->steps = steps;
    memset(&script, 0, sizeof script);
}

/* ---- cases */

static bool all_are_pulled(void *argument)
{
    struct client *clients = argument;
    bool is_all = script.count == CLIENTS;
    for (size_t i = 0; i < CLIENTS; i++) {
        hear(&clients[i]);
        is_all &= script.pulled[i] == WHOLE;
    }
    return is_all;
}

static void C3_a_turn_encodes_so_much_and_all_get_on(void **state)
{
    static uint8_t plain[WHOLE + 1];
    struct client clients[CLIENTS];
    struct stage stage;
    (void)state;
    start(&stage, own_steps);
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i] = ask(&stage);
    assert_true(turn_until(stage.worker->loop, all_are_pulled, clients));
    turn_some(stage.worker->loop);
    assert_in_range(script.most_in_turn, EDGE_ENCODE_TURN_BYTES / 2,
                    EDGE_ENCODE_TURN_BYTES + CLIENTS * PIECE);
    for (size_t i = 0; i < CLIENTS; i++) {
        bool is_whole;
        hear(&clients[i]);
        assert_non_null(strstr(clients[i].got.data, "Content-Encoding: gzip"));
        assert_int_equal(decode(&clients[i], plain, sizeof plain, &is_whole), WHOLE);
        assert_true(is_whole);
        for (size_t at = 0; at < WHOLE; at++)
            assert_int_equal(plain[at], 'a' + at % 23);
        leave(&clients[i]);
    }
    assert_int_equal(encoders_running(stage.worker->encoding->encoders), 0);
    turn_some(stage.worker->loop);
    stage_stop(&stage);
}

static void C3_clients_that_leave_give_their_encoder_back(void **state)
{
    struct client clients[CLIENTS];
    struct stage stage;
    (void)state;
    start(&stage, own_steps);
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i] = ask(&stage);
    while (script.count < CLIENTS)
        turn_some(stage.worker->loop);
    assert_true(encoders_running(stage.worker->encoding->encoders) > 0);
    leave(&clients[0]);
    edge_clients_abort(stage.worker); /* some of them wait for a turn */
    assert_int_equal(encoders_running(stage.worker->encoding->encoders), 0);
    turn_some(stage.worker->loop);
    leave(&clients[1]);
    leave(&clients[2]);
    stage_stop(&stage);
}

static bool has_hello(void *argument)
{
    struct client *client = argument;
    uint8_t plain[64];
    bool is_whole;
    hear(client);
    return client->got.length && decode(client, plain, sizeof plain, &is_whole) == 5 &&
           memcmp(plain, "hello", 5) == 0;
}

static void C3_an_answer_that_trickles_is_flushed(void **state)
{
    struct stage stage;
    struct arena arena = {0};
    struct slice_queue form = {0};
    struct http_head head;
    (void)state;
    start(&stage, link_steps);
    struct client client = ask(&stage);
    while (fake_stream_count() == 0)
        turn_some(stage.worker->loop);
    http_head_init(&head, &arena);
    head.status = 200;
    head.minor = 1;
    head.body = HTTP_BODY_CHUNKED;
    assert_int_equal(http_fields_add(&head.fields, HTTP_NAME_CONTENT_TYPE, SPAN("text/plain")), 0);
    assert_int_equal(http_form_write_response(&form, &head), 0);
    http_form_write_data(&form, slice_copy(SPAN("hello")));
    while (form.count) {
        struct slice slice = slice_queue_pop(&form, UINT32_MAX);
        fake_deliver(fake_stream(0), span_of(slice_data(&slice), slice.length), false);
        slice_release(&slice);
    }
    assert_true(turn_until(stage.worker->loop, has_hello, &client));
    assert_int_equal(encoders_running(stage.worker->encoding->encoders), 1);
    slice_queue_clear(&form);
    arena_clear(&arena);
    leave(&client);
    turn_some(stage.worker->loop);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C3_a_turn_encodes_so_much_and_all_get_on),
        cmocka_unit_test(C3_clients_that_leave_give_their_encoder_back),
        cmocka_unit_test(C3_an_answer_that_trickles_is_flushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
