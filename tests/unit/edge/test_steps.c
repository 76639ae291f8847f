/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps between a request's head and the link: they wait, answer by themselves, and see what comes back.
 */
#include "stage.h"

#include "edge/exchange.h"

#include <sys/socket.h>
#include <unistd.h>

#define GET "GET /a HTTP/1.1\r\nHost: www.shop.example\r\n\r\n"

static const struct address visitor = {.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4};

/* ---- a step that does what a case wants */

static struct {
    enum edge_next next;                          /* of the request */
    void (*take)(struct edge_exchange *exchange); /* NULL: nothing but that */
    enum edge_next (*answer)(struct edge_exchange *exchange, struct http_head *answer);
    struct edge_exchange *exchange;
    unsigned answers, overs, pulled;
    uint64_t bytes;
    bool was_whole;
} script;

static enum edge_next take(struct edge_exchange *exchange)
{
    script.exchange = exchange;
    if (script.take)
        script.take(exchange);
    return script.next;
}

static enum edge_next answer(struct edge_exchange *exchange, struct http_head *head)
{
    script.answers++;
    return script.answer ? script.answer(exchange, head) : EDGE_NEXT;
}

static void data(struct edge_exchange *exchange, const struct slice *slice)
{
    (void)exchange;
    script.bytes += slice->length;
}

static void over(struct edge_exchange *exchange)
{
    script.overs++;
    script.was_whole = exchange->answer_ended;
}

static const struct edge_step scripted = {
    .name = "scripted", .take = take, .answer = answer, .data = data, .over = over};
static const struct edge_step *const steps[] = {&edge_step_site, &scripted, &edge_step_link, NULL};

/* ---- the stage */

static void start(struct stage *stage)
{
    stage_start(stage);
    stage->edge->steps = steps;
    memset(&script, 0, sizeof script);
}

static int ask(struct stage *stage, const char *request)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    stage->worker->connections++;
    edge_client_start(stage->worker, &(struct edge_arrival){.fd = ends[0], .client = visitor},
                      NULL);
    assert_int_equal(send(ends[1], request, strlen(request), MSG_NOSIGNAL), strlen(request));
    turn_some(stage->worker->loop);
    return ends[1];
}

static const char *heard(int client)
{
    static char got[1 << 17];
    ssize_t length = recv(client, got, sizeof got - 1, 0);
    got[length > 0 ? length : 0] = 0;
    return got;
}

static void reply(struct stage *stage, struct link_stream *stream, uint16_t status,
                  const char *content, bool is_whole)
{
    struct arena arena = {0};
    struct slice_queue form = {0};
    struct http_head head;
    http_head_init(&head, &arena);
    head.status = status;
    head.minor = 1;
    head.body = HTTP_BODY_CHUNKED;
    assert_int_equal(http_form_write_response(&form, &head), 0);
    http_form_write_data(&form, slice_copy(span_text(content)));
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
    turn_some(stage->worker->loop);
}

static void finish(struct stage *stage, int client)
{
    close(client);
    turn_some(stage->worker->loop);
    stage_stop(stage);
    assert_int_equal(script.overs, 1);
}

/* ---- cases */

static void a_step_waits_and_the_body_waits_with_it(void **state)
{
    struct stage stage;
    (void)state;
    start(&stage);
    script.next = EDGE_WAITS;
    int client = ask(&stage, "POST /a HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: "
                             "5\r\n\r\nhello");
    assert_int_equal(fake_stream_count(), 0);
    assert_int_equal(edge_exchange_body_room(script.exchange), 0);
    edge_exchange_proceed(script.exchange);
    assert_int_equal(fake_stream_count(), 1);
    assert_non_null(
        memmem(fake_stream(0)->written.data, fake_stream(0)->written.length, "hello", 5));
    assert_true(fake_stream(0)->is_finished);
    reply(&stage, fake_stream(0), 200, "thanks", true);
    assert_non_null(strstr(heard(client), "thanks"));
    assert_int_equal(script.answers, 1);
    assert_int_equal(script.bytes, 6);
    assert_true(script.was_whole);
    finish(&stage, client);
}

static void a_client_leaves_while_a_step_waits(void **state)
{
    struct stage stage;
    (void)state;
    start(&stage);
    script.next = EDGE_WAITS;
    int client = ask(&stage, "POST /a HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: "
                             "5\r\n\r\nhel");
    edge_clients_abort(stage.worker);
    assert_int_equal(script.overs, 1);
    assert_false(script.was_whole);
    finish(&stage, client);
}

static void answer_hello(struct edge_exchange *exchange)
{
    struct slice_queue content = {0};
    struct http_head *head = edge_exchange_own_head(exchange);
    head->status = 200;
    head->body = HTTP_BODY_LENGTH;
    head->has_length = true;
    head->content_length = 5;
    slice_queue_append(&content, SPAN("hello"));
    edge_exchange_answer(exchange, &content);
}

static void a_step_answers_by_itself(void **state)
{
    struct stage stage;
    (void)state;
    start(&stage);
    script.next = EDGE_TAKEN;
    script.take = answer_hello;
    int client = ask(&stage, GET);
    const char *got = heard(client);
    assert_memory_equal(got, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(got, "\r\n\r\nhello"));
    assert_int_equal(fake_stream_count(), 0);
    assert_int_equal(script.answers, 0); /* it knows what it said */
    finish(&stage, client);
}

enum { PIECES = 100, PIECE = 4096 };

static int pull(struct edge_exchange *exchange, struct slice_queue *out, uint64_t limit,
                bool *ended)
{
    (void)exchange;
    assert_true(limit > 0);
    if (++script.pulled % 2)
        return 0; /* none for now */
    memset(slice_queue_extend(out, PIECE), 'x', PIECE);
    *ended = script.pulled == 2 * PIECES;
    return 0;
}

static void answer_in_pieces(struct edge_exchange *exchange)
{
    struct http_head *head = edge_exchange_own_head(exchange);
    head->status = 200;
    head->body = HTTP_BODY_CHUNKED;
    edge_exchange_answer_from(exchange, pull);
}

static void an_answer_of_our_own_comes_bit_by_bit(void **state)
{
    struct stage stage;
    (void)state;
    start(&stage);
    script.next = EDGE_TAKEN;
    script.take = answer_in_pieces;
    int client = ask(&stage, GET);
    size_t got = strlen(heard(client));
    while (script.pulled < 2 * PIECES) {
        script.exchange->front->wake(script.exchange);
        for (ssize_t more; (more = recv(client, (char[65536]){0}, 65536, 0)) > 0;)
            got += (size_t)more;
    }
    assert_true(got > PIECES * PIECE);
    assert_true(script.was_whole);
    finish(&stage, client);
}

static int pull_nothing(struct edge_exchange *exchange, struct slice_queue *out, uint64_t limit,
                        bool *ended)
{
    (void)exchange, (void)out, (void)limit, (void)ended;
    return script.pulled++ ? ERROR_IO : 0;
}

static void answer_nothing(struct edge_exchange *exchange)
{
    struct http_head *head = edge_exchange_own_head(exchange);
    head->status = 200;
    head->body = HTTP_BODY_CHUNKED;
    edge_exchange_answer_from(exchange, pull_nothing);
}

static void an_answer_of_our_own_that_breaks_off_cuts_the_client_off(void **state)
{
    struct stage stage;
    (void)state;
    start(&stage);
    script.next = EDGE_TAKEN;
    script.take = answer_nothing;
    int client = ask(&stage, GET);
    assert_null(strstr(heard(client), "\r\n0\r\n"));
    assert_int_equal(script.overs, 1);
    assert_false(script.was_whole);
    finish(&stage, client);
}

static enum edge_next add_field(struct edge_exchange *exchange, struct http_head *head)
{
    (void)exchange;
    assert_int_equal(http_fields_add_text(&head->fields, SPAN("x-seen"), SPAN("1")), 0);
    return EDGE_NEXT;
}

static enum edge_next answer_instead(struct edge_exchange *exchange, struct http_head *head)
{
    if (head->status < 500)
        return EDGE_NEXT;
    answer_hello(exchange);
    return EDGE_TAKEN;
}

static void a_step_changes_or_replaces_what_comes_back(void **state)
{
    static const struct {
        enum edge_next (*answer)(struct edge_exchange *exchange, struct http_head *head);
        uint16_t status; /* 0: the link fails */
        const char *expected;
    } rows[] = {
        {add_field, 200, "x-seen: 1\r\n"},
        {answer_instead, 503, "\r\n\r\nhello"},
        {answer_instead, 0, "\r\n\r\nhello"}, /* in place of a page of ours */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        start(&stage);
        script.answer = rows[i].answer;
        int client = ask(&stage, GET);
        if (rows[i].status)
            reply(&stage, fake_stream(0), rows[i].status, "not this", true);
        else
            fake_reset(fake_stream(0), TRANSPORT_CODE_TIMEOUT);
        const char *got = heard(client);
        if (!strstr(got, rows[i].expected))
            fail_msg("row %zu: %s", i, got);
        assert_true(fake_stream(0)->is_released);
        assert_true(script.was_whole);
        finish(&stage, client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_waits_and_the_body_waits_with_it),
        cmocka_unit_test(a_client_leaves_while_a_step_waits),
        cmocka_unit_test(a_step_answers_by_itself),
        cmocka_unit_test(an_answer_of_our_own_comes_bit_by_bit),
        cmocka_unit_test(an_answer_of_our_own_that_breaks_off_cuts_the_client_off),
        cmocka_unit_test(a_step_changes_or_replaces_what_comes_back),
    };
    return cmocka_run_group_tests_name("edge/steps", tests, NULL, NULL);
}
