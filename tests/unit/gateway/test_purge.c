/* SPDX-License-Identifier: Apache-2.0
 *
 * What a gateway says to edges of purges (C2), where the test is the edge, and writes the log itself.
 */
#include "gateway/purges/purge.h"
#include "stage.h"

enum { NOW_US = 1000000 };

static struct stage stage;
static uint64_t shop;

static void start(void)
{
    stage_start(&stage, ", cache: { on: true }", ", allow_local: true, purges: { folder: /tmp }");
    assert_non_null(stage.gateway->purges);
    shop = purge_site(SPAN("shop"));
    assert_int_equal(purge_log_set_sites(stage.gateway->purges->log, &shop, 1, NOW_US), 0);
}

static void stop(void)
{
    gateway_purge_sessions_abort(stage.worker);
    stage_stop(&stage);
}

static void append(const char *tag)
{
    struct purge purge = {.site = shop, .kind = PURGE_TAG, .what = span_text(tag)};
    assert_int_equal(purge_log_append(stage.gateway->purges->log, &purge, 1), 0);
    gateway_purge_sessions_run(stage.worker);
}

static struct link_stream *connect_edge(struct link *link)
{
    struct link_stream *stream = fake_stream_new(link);
    gateway_purge_accept(stage.worker, link, stream);
    return stream;
}

static void tell(struct link_stream *stream, const struct purge_message *messages, size_t count)
{
    struct text text = {0};
    for (size_t i = 0; i < count; i++)
        purge_message_write(&text, &messages[i]);
    fake_deliver(stream, text_span(&text), false);
    text_clear(&text);
}

#define TELL(stream, ...)                                       \
    tell((stream), (const struct purge_message[]){__VA_ARGS__}, \
         sizeof((const struct purge_message[]){__VA_ARGS__}) / sizeof(struct purge_message))
#define HELLO                                                 \
    {                                                         \
        .type = PURGE_MESSAGE_HELLO, .version = PURGE_VERSION \
    }
#define HAS(site_, number_)                                              \
    {                                                                    \
        .type = PURGE_MESSAGE_SITE, .site = (site_), .number = (number_) \
    }
#define ASKS(mark)                                  \
    {                                               \
        .type = PURGE_MESSAGE_ASK, .number = (mark) \
    }

/* "p7 s9 c3": purges and purges of the site by number beyond NOW_US, CURRENT by mark, f: foreign; and forgets it. */
static const char *said(struct link_stream *stream)
{
    static char line[512];
    size_t length = 0, at = 0;
    line[0] = 0;
    for (;;) {
        struct purge_message message;
        int bytes = purge_message_read(span_from(text_span(&stream->written), at), &message);
        if (bytes < 0)
            break;
        at += (size_t)bytes;
        bool is_purge = message.type == PURGE_MESSAGE_PURGE;
        char kind = is_purge ? message.purge.kind == PURGE_SITE ? 's' : 'p'
                    : message.type == PURGE_MESSAGE_CURRENT ? 'c'
                                                            : 'f';
        length +=
            (size_t)snprintf(line + length, sizeof line - length, "%s%c%lu", length ? " " : "",
                             kind, is_purge ? message.purge.number - NOW_US : message.number);
    }
    text_reset(&stream->written);
    return line;
}

static void C2_an_edge_gets_what_it_lacks_and_then_all_that_comes(void **state)
{
    (void)state;
    start();
    append("a");
    append("b");
    append("c");
    struct link_stream *stream = connect_edge(&stage.edge);
    TELL(stream, HELLO, HAS(shop, NOW_US + 1), ASKS(5));
    assert_string_equal(said(stream), "p2 p3 c5");
    append("d");
    assert_string_equal(said(stream), "p4");
    TELL(stream, ASKS(6));
    assert_string_equal(said(stream), "c6");
    stop();
}

static void C2_one_that_has_nothing_gets_only_the_number(void **state)
{
    (void)state;
    start();
    append("a");
    append("b");
    struct link_stream *stream = connect_edge(&stage.edge);
    TELL(stream, HELLO, HAS(shop, 0), ASKS(1));
    assert_string_equal(said(stream), "s2 c1");
    append("c");
    assert_string_equal(said(stream), "p3");
    stop();
}

static void C2_one_that_knows_more_than_the_log_waits_until_the_site_is_above(void **state)
{
    (void)state;
    start();
    struct link_stream *stream = connect_edge(&stage.edge);
    TELL(stream, HELLO, HAS(shop, NOW_US + 70), ASKS(1));
    assert_string_equal(said(stream), "");
    struct gateway_purges *purges = stage.gateway->purges;
    struct purge_order *order =
        CONTAINER_OF(list_pop_front(&purges->orders), struct purge_order, link);
    assert_int_equal(order->purges[0].kind, PURGE_SITE);
    assert_true(order->purges[0].is_soft);
    assert_int_equal(purge_log_append(purges->log, order->purges, order->count), 0);
    purge_order_free(&order);
    gateway_purge_sessions_run(stage.worker);
    assert_string_equal(said(stream), "s71 c1");
    append("a");
    assert_string_equal(said(stream), "p72");
    stop();
}

static void C2_others_sites_and_strangers_are_refused(void **state)
{
    (void)state;
    start();
    struct link_stream *stream = connect_edge(&stage.edge);
    TELL(stream, HELLO, HAS(purge_site(SPAN("private")), 0), HAS(12345, 0), ASKS(1));
    assert_string_equal(said(stream), "f0 f0 c1");
    append("a");
    assert_string_equal(said(stream), "");
    stream = connect_edge(&stage.stranger);
    assert_int_equal(stream->reset_code, TRANSPORT_CODE_REFUSED);
    stop();
    stage_start(&stage, ", cache: { on: true }", ", allow_local: true"); /* no log */
    stream = connect_edge(&stage.edge);
    assert_int_equal(stream->reset_code, TRANSPORT_CODE_REFUSED);
    stop();
}

static void C2_what_is_no_message_ends_the_stream(void **state)
{
    static const struct purge_message before[] = {ASKS(1)};
    static const struct purge_message twice[] = {HELLO, HELLO};
    static const struct purge_message newer[] = {{.type = PURGE_MESSAGE_HELLO, .version = 2}};
    static const struct purge_message ours[] = {HELLO,
                                                {.type = PURGE_MESSAGE_CURRENT, .number = 1}};
    static const struct {
        const struct purge_message *messages;
        size_t count;
    } rows[] = {{before, 1}, {twice, 2}, {newer, 1}, {ours, 2}};
    (void)state;
    start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct link_stream *stream = connect_edge(&stage.edge);
        tell(stream, rows[i].messages, rows[i].count);
        assert_true(stream->was_reset);
        assert_int_equal(stream->reset_code, TRANSPORT_CODE_PROTOCOL);
    }
    assert_true(list_is_empty(&stage.gateway->purges->sessions));
    stop();
}

static void C2_a_slow_edge_is_not_sent_more_than_there_is_room_for(void **state)
{
    (void)state;
    start();
    struct link_stream *stream = connect_edge(&stage.edge);
    TELL(stream, HELLO, HAS(shop, NOW_US), ASKS(1));
    assert_string_equal(said(stream), "c1");
    fake_set_room(stream, 0);
    append("a");
    append("b");
    TELL(stream, ASKS(2));
    assert_string_equal(said(stream), "");
    fake_set_room(stream, 1);
    assert_string_equal(said(stream), "p1");
    fake_set_room(stream, 1000);
    assert_string_equal(said(stream), "p2 c2");
    stop();
}

static void C2_a_further_stream_of_the_same_link_takes_over(void **state)
{
    (void)state;
    start();
    struct link_stream *first = connect_edge(&stage.edge), *second = connect_edge(&stage.edge);
    assert_true(first->was_reset);
    TELL(second, HELLO, HAS(shop, NOW_US), ASKS(1));
    assert_string_equal(said(second), "c1");
    stop();
}

static json_t *inquire(const char *text)
{
    json_t *question = json_loads(text, 0, NULL);
    assert_non_null(question);
    json_t *answer = gateway_purge_inquire(stage.gateway, stage.conf, question);
    json_decref(question);
    return answer;
}

static void C2_bad_questions_get_a_sentence(void **state)
{
    static const char *const rows[] = {
        "{}",
        "{\"action\": \"do\", \"site\": \"shop\"}",
        "{\"action\": \"do\", \"site\": \"shop\", \"items\": 3}",
        "{\"action\": \"do\", \"site\": \"shop\", \"items\": [3]}",
        "{\"action\": \"do\", \"site\": \"shop\", \"items\": [{\"kind\": \"url\"}]}",
        "{\"action\": \"do\", \"site\": \"shop\", \"items\": [{\"kind\": \"uri\"}]}",
        "{\"action\":\"do\", \"site\":\"shop\", \"items\":[{\"kind\":\"url\", \"what\":\"\"}]}",
        "{\"action\": \"look\", \"site\": \"shop\"}",
        "{\"action\": \"look\", \"site\": \"shop\", \"ticket\": 77}",
        "{\"action\": \"undo\", \"site\": \"shop\"}",
        "{\"action\": \"do\", \"site\": \"private\", \"items\": [{\"kind\": \"all\"}]}",
    };
    (void)state;
    start();
    stage.gateway->purges->has_thread = true; /* as if */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *answer = inquire(rows[i]);
        if (!json_string_value(json_object_get(answer, "error")))
            fail_msg("row %zu is taken", i);
        json_decref(answer);
    }
    json_t *answer = inquire(
        "{\"action\": \"do\", \"site\": \"shop\", \"items\": [{\"kind\": \"url\", \"what\": "
        "\"WWW.shop.example:8080?a\"}, {\"kind\": \"prefix\", \"what\": "
        "\"https://www.shop.example\"}]}");
    assert_int_equal(json_integer_value(json_object_get(answer, "ticket")), 1);
    json_decref(answer);
    const struct purge_order *order =
        CONTAINER_OF(stage.gateway->purges->orders.next, struct purge_order, link);
    assert_int_equal(order->count, 3);
    assert_true(span_equal(order->purges[0].what, SPAN("shop http://www.shop.example:8080/?a")));
    assert_true(span_equal(order->purges[1].what, SPAN("shop https://www.shop.example:8080/?a")));
    assert_true(span_equal(order->purges[2].what, SPAN("shop https://www.shop.example/")));
    stage.gateway->purges->has_thread = false;
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C2_an_edge_gets_what_it_lacks_and_then_all_that_comes),
        cmocka_unit_test(C2_one_that_has_nothing_gets_only_the_number),
        cmocka_unit_test(C2_one_that_knows_more_than_the_log_waits_until_the_site_is_above),
        cmocka_unit_test(C2_others_sites_and_strangers_are_refused),
        cmocka_unit_test(C2_what_is_no_message_ends_the_stream),
        cmocka_unit_test(C2_a_slow_edge_is_not_sent_more_than_there_is_room_for),
        cmocka_unit_test(C2_a_further_stream_of_the_same_link_takes_over),
        cmocka_unit_test(C2_bad_questions_get_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
