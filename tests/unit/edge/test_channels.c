/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels at work: loads that gateways tell, requests that wait here while the queues there stand, and requests whose link broke.
 */
#include "edge/channels.h"
#include "edge/line.h"
#include "purge/purge.h"
#include "stage.h"

#include <sys/socket.h>
#include <unistd.h>

static const struct address visitor = {.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4};

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

static bool answered(int client, const char *status)
{
    char got[4096];
    ssize_t length = recv(client, got, sizeof got - 1, 0);
    if (length <= 0)
        return false;
    got[length] = 0;
    return strncmp(got + sizeof "HTTP/1.1", status, strlen(status)) == 0;
}

static void answer(struct stage *stage, struct link_stream *stream)
{
    struct arena arena = {0};
    struct slice_queue form = {0};
    struct http_head head;
    uint8_t bytes[512];
    http_head_init(&head, &arena);
    head.status = 204;
    head.minor = 1;
    head.body = HTTP_BODY_NONE;
    assert_int_equal(http_form_write_response(&form, &head), 0);
    http_form_write_end(&form);
    size_t length = slice_queue_peek(&form, 0, bytes, sizeof bytes);
    fake_deliver(stream, span_of(bytes, length), true);
    slice_queue_clear(&form);
    arena_clear(&arena);
    turn_some(stage->worker->loop);
}

/* ---- loads */

static struct link_stream *start_loads(struct stage *stage)
{
    stage->links.links[STAGE_NEAR].has_loads = true;
    edge_loads_start(stage->worker);
    assert_int_equal(fake_stream_count(), 1);
    struct link_stream *stream = fake_stream(0);
    assert_ptr_equal(stream->link, &stage->links.links[STAGE_NEAR]);
    assert_int_equal(stream->open.flags, TRANSPORT_OPEN_LOADS);
    assert_true(span_equal(text_span(&stream->written), SPAN("\x01\0\0\0\x01\x01")));
    return stream;
}

static void tell(struct link_stream *stream, const struct loads_message *message)
{
    struct text text = {0};
    loads_message_write(&text, message);
    fake_deliver(stream, text_span(&text), false);
    text_clear(&text);
}

static void tell_load(struct link_stream *stream, const struct loads_report *report)
{
    tell(stream, &(struct loads_message){.type = LOADS_MESSAGE_LOAD, .report = *report});
    tell(stream, &(struct loads_message){.type = LOADS_MESSAGE_BEAT, .number = 1, .known = 100});
}

static struct edge_load_source *near_source(struct stage *stage)
{
    return edge_loads_source(stage->edge->loads, stage->links.links[STAGE_NEAR].key);
}

static void L5_what_a_gateway_tells_is_believed_while_it_beats(void **state)
{
    struct stage stage;
    struct loads_report told = {.site = 7, .slots = 3}, report;
    uint64_t known, lost;
    (void)state;
    stage_start(&stage);
    struct link_stream *stream = start_loads(&stage);
    struct edge_load_source *source = near_source(&stage);
    tell(stream, &(struct loads_message){.type = LOADS_MESSAGE_LOAD, .report = told});
    uint64_t now_ns = clock_now_ns();
    assert_false(edge_loads_read(source, 7, now_ns, &report));
    text_clear(&stream->written);
    tell(stream,
         &(struct loads_message){.type = LOADS_MESSAGE_BEAT, .number = 9, .known = 100, .lost = 3});
    assert_true(span_equal(text_span(&stream->written), SPAN("\x05\0\0\0\x08\0\0\0\0\0\0\0\x09")));
    now_ns = clock_now_ns();
    assert_true(edge_loads_read(source, 7, now_ns, &report));
    assert_int_equal(report.slots, 3);
    assert_true(edge_loads_read_way(source, now_ns, &known, &lost));
    assert_int_equal(known, 100);
    assert_int_equal(lost, 3);
    assert_false(edge_loads_read(source, 8, now_ns, &report));
    assert_false(edge_loads_read(source, 7, now_ns + 2 * LOADS_STALE_NS, &report));
    tell(stream, &(struct loads_message){.type = LOADS_MESSAGE_GONE, .report = {.site = 7}});
    assert_false(edge_loads_read(source, 7, now_ns, &report));
    edge_loads_stop(stage.worker);
    stage_stop(&stage);
}

static void L5_a_gateway_that_tells_nonsense_is_not_heard(void **state)
{
    struct stage stage;
    uint64_t known, lost;
    (void)state;
    stage_start(&stage);
    struct link_stream *stream = start_loads(&stage);
    tell(stream, &(struct loads_message){.type = LOADS_MESSAGE_BEAT});
    assert_true(edge_loads_read_way(near_source(&stage), clock_now_ns(), &known, &lost));
    tell(stream, &(struct loads_message){.type = LOADS_MESSAGE_HELLO});
    assert_true(stream->was_reset && stream->is_released);
    assert_int_equal(stream->reset_code, TRANSPORT_CODE_PROTOCOL);
    assert_false(edge_loads_read_way(near_source(&stage), clock_now_ns(), &known, &lost));
    edge_loads_stop(stage.worker);
    stage_stop(&stage);
}

static void S6_rules_hear_of_the_load(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    struct link_stream *stream = start_loads(&stage);
    const struct conf_site *single = conf_find_site(stage.conf, SPAN("single"));
    tell_load(stream, &(struct loads_report){
                          .site = purge_site(SPAN("single")), .slots = 4, .load_permille = 1250});
    assert_int_equal(edge_channels_load(stage.worker, stage.conf, single), 125);
    assert_int_equal(edge_channels_load(stage.worker, stage.conf,
                                        conf_find_site(stage.conf, SPAN("shop"))),
                     RULES_UNKNOWN);
    edge_loads_stop(stage.worker);
    stage_stop(&stage);
}

/* ---- the edge's own buffer */

#define SINGLE "GET / HTTP/1.1\r\nHost: single.example\r\n\r\n"

/* It has counted nothing yet: what the gateway has is taken for its own, and as much is let through. */
static void L4_requests_wait_here_while_the_queue_there_stands(void **state)
{
    enum { THERE = 2, CLIENTS = 4 };
    struct stage stage;
    struct loads_report standing = {.site = purge_site(SPAN("single")),
                                    .slots = 1,
                                    .service_us = 1000,
                                    .waiting = {0, 0, THERE}};
    (void)state;
    stage_start(&stage);
    struct link_stream *loads = start_loads(&stage);
    tell_load(loads, &standing);
    int clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = ask(&stage, SINGLE);
    /* So many may be there, the others wait. */
    assert_int_equal(fake_stream_count(), 1 + THERE);
    for (int i = 0; i < CLIENTS; i++) {
        answer(&stage, fake_stream((size_t)i + 1));
        assert_true(answered(clients[i], "204"));
        int launched = i + 1 + THERE < CLIENTS ? i + 1 + THERE : CLIENTS;
        assert_int_equal(fake_stream_count(), 1 + launched);
    }
    /* The queue is gone: what comes is let through, more with each look. */
    standing.waiting[2] = 0;
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    tell_load(loads, &standing);
    edge_channels_follow(stage.worker->channels);
    clients[0] = ask(&stage, SINGLE);
    assert_int_equal(fake_stream_count(), 2 + CLIENTS);
    close(clients[0]);
    edge_loads_stop(stage.worker);
    stage_stop(&stage);
}

static bool has_four(void *argument)
{
    (void)argument;
    return fake_stream_count() == 4;
}

/* Two may be there, one more waits here. */
static struct edge_line *fill(struct stage *stage, int clients[3])
{
    const uint64_t site = purge_site(SPAN("single"));
    struct link_stream *loads = start_loads(stage);
    tell_load(loads, &(struct loads_report){
                         .site = site, .slots = 1, .service_us = 1000, .waiting = {0, 0, 2}});
    struct edge_line *line = edge_line_join(stage->edge->lines, site);
    for (int i = 0; i < 3; i++)
        clients[i] = ask(stage, SINGLE);
    assert_int_equal(fake_stream_count(), 3);
    return line;
}

static void empty(struct stage *stage, int clients[3], struct edge_line *line)
{
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    edge_line_leave(&line, 1);
    edge_loads_stop(stage->worker);
    stage_stop(stage);
}

static void L10_what_is_free_is_left_for_a_higher_class_at_another_worker(void **state)
{
    struct stage stage;
    int clients[3];
    (void)state;
    stage_start(&stage);
    struct edge_line *line = fill(&stage, clients);
    /* This one has told what waits here: the site's class. */
    assert_int_equal(edge_line_first_elsewhere(line, 1), 2);
    edge_line_tell(line, 1, 1);
    answer(&stage, fake_stream(1));
    assert_true(answered(clients[0], "204"));
    assert_int_equal(fake_stream_count(), 3);
    /* It comes to its turn once nobody above it waits; equals do not wait for each other. */
    edge_line_tell(line, 1, 2);
    assert_true(turn_until(stage.worker->loop, has_four, NULL));
    assert_int_equal(edge_line_first_elsewhere(line, 1), EDGE_LINE_NOBODY);
    empty(&stage, clients, line);
}

static void L10_who_is_held_back_has_a_share_all_the_same(void **state)
{
    struct stage stage;
    int clients[3];
    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < stage.conf->site_count; i++)
        stage.conf->sites[i].queue.share_percent[2] = 50; /* one request in two looks */
    struct edge_line *line = fill(&stage, clients);
    edge_line_tell(line, 1, 0); /* and never anything else */
    answer(&stage, fake_stream(1));
    assert_int_equal(fake_stream_count(), 3);
    assert_true(turn_until(stage.worker->loop, has_four, NULL));
    empty(&stage, clients, line);
}

static void L4_nobody_waits_for_servers_that_are_all_down(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    struct link_stream *loads = start_loads(&stage);
    tell_load(loads, &(struct loads_report){
                         .site = purge_site(SPAN("single")), .is_full = true, .waiting = {5}});
    int clients[] = {ask(&stage, SINGLE), ask(&stage, SINGLE), ask(&stage, SINGLE)};
    assert_int_equal(fake_stream_count(), 4);
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    edge_loads_stop(stage.worker);
    stage_stop(&stage);
}

static const char without_single[] =
    "nodes:\n"
    "  edge: { " NETWORK_A ", edge: { listen: [\":80\"] } }\n"
    "  near: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] }, gateway: {} }\n"
    "sites:\n"
    "  shop: { hosts: [www.shop.example], origins: [\"http://192.0.2.9\"] }\n";

static void L4_who_waits_is_answered_when_the_site_goes(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    struct link_stream *loads = start_loads(&stage);
    tell_load(loads, &(struct loads_report){
                         .site = purge_site(SPAN("single")), .slots = 1, .waiting = {2}});
    int clients[3] = {ask(&stage, SINGLE), ask(&stage, SINGLE), ask(&stage, SINGLE)};
    assert_int_equal(fake_stream_count(), 3);
    struct conf *old = stage.conf;
    stage.conf = network_load(without_single, "edge");
    edge_channels_follow(stage.worker->channels);
    turn_some(stage.worker->loop);
    assert_true(answered(clients[2], "503"));
    answer(&stage, fake_stream(1)); /* what was under way ends as it should */
    assert_true(answered(clients[0], "204"));
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    conf_free(old);
    edge_loads_stop(stage.worker);
    stage_stop(&stage);
}

/* ---- links that break */

#define SAFE   "GET / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n"
#define UNSAFE "POST / HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: 3\r\n\r\nxyz"
#define HALF   "POST / HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: 3\r\n\r\nx"
#define BARE   "POST / HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: 0\r\n\r\n"

static bool has_moved(void *argument)
{
    (void)argument;
    return fake_stream_count() == 3;
}

static bool is_given_up(void *argument)
{
    (void)argument;
    return fake_stream(1)->was_reset;
}

static void set_broken_wait(struct stage *stage, uint64_t wait_ns)
{
    for (size_t i = 0; i < stage->conf->site_count; i++)
        stage->conf->sites[i].channels.broken_wait_ns = wait_ns;
}

static void L2_what_may_be_repeated_leaves_a_broken_link(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int safe = ask(&stage, SAFE), unsafe = ask(&stage, UNSAFE);
    assert_int_equal(fake_stream_count(), 2);
    stage.links.links[STAGE_NEAR].is_up = false;
    assert_true(turn_until(stage.worker->loop, has_moved, NULL));
    assert_true(fake_stream(0)->was_reset && fake_stream(0)->is_released);
    assert_ptr_equal(fake_stream(2)->link, &stage.links.links[STAGE_FAR]);
    answer(&stage, fake_stream(2));
    assert_true(answered(safe, "204"));
    /* The other waits for its link, which is lost then. */
    assert_false(fake_stream(1)->was_reset);
    fake_reset(fake_stream(1), TRANSPORT_CODE_LINK_LOST);
    turn_some(stage.worker->loop);
    assert_true(answered(unsafe, "502"));
    close(safe);
    close(unsafe);
    stage_stop(&stage);
}

static void L2_what_may_not_be_repeated_waits_only_for_a_time(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    set_broken_wait(&stage, 100000000);
    int safe = ask(&stage, SAFE), unsafe = ask(&stage, UNSAFE);
    for (int i = 0; i < 3; i++)
        stage.links.links[i].is_up = false;
    assert_true(turn_until(stage.worker->loop, is_given_up, NULL));
    assert_true(fake_stream(1)->is_released);
    assert_true(answered(unsafe, "502"));
    /* The other has nowhere to go, and time. */
    assert_false(fake_stream(0)->was_reset);
    stage.links.links[STAGE_FAR].is_up = true;
    assert_true(turn_until(stage.worker->loop, has_moved, NULL));
    assert_ptr_equal(fake_stream(2)->link, &stage.links.links[STAGE_FAR]);
    answer(&stage, fake_stream(2));
    assert_true(answered(safe, "204"));
    close(safe);
    close(unsafe);
    stage_stop(&stage);
}

static void L2_a_link_that_comes_back_answers_what_waited(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int unsafe = ask(&stage, UNSAFE), safe = ask(&stage, SAFE);
    struct link *near = &stage.links.links[STAGE_NEAR];
    near->is_up = false;
    assert_true(turn_until(stage.worker->loop, has_moved, NULL)); /* it is seen */
    near->is_up = true;
    answer(&stage, fake_stream(0));
    assert_true(answered(unsafe, "204"));
    assert_false(fake_stream(0)->was_reset);
    close(unsafe);
    close(safe);
    stage_stop(&stage);
}

/* `request` never left the first link. What the second one got. */
static struct span moved(struct stage *stage, int *client, const char *request, const char *rest)
{
    *client = ask(stage, request);
    assert_int_equal(fake_stream_count(), 2);
    fake_stream(1)->never_left = true;
    stage->links.links[STAGE_NEAR].is_up = false;
    assert_true(turn_until(stage->worker->loop, has_moved, NULL));
    assert_true(fake_stream(1)->is_released);
    assert_ptr_equal(fake_stream(2)->link, &stage->links.links[STAGE_FAR]);
    assert_int_equal(send(*client, rest, strlen(rest), MSG_NOSIGNAL), strlen(rest));
    turn_some(stage->worker->loop);
    assert_true(fake_stream(2)->is_finished);
    return text_span(&fake_stream(2)->written);
}

static void L2_what_never_left_goes_over_another_link(void **state)
{
    static const struct {
        const char *first, *rest; /* what comes before the link is out, and behind it */
    } rows[] = {{UNSAFE, ""}, {HALF, "yz"}, {BARE, ""}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        int client;
        stage_start(&stage);
        /* As it would have been without all that. */
        int same = ask(&stage, rows[i].first);
        assert_int_equal(send(same, rows[i].rest, strlen(rows[i].rest), MSG_NOSIGNAL),
                         strlen(rows[i].rest));
        turn_some(stage.worker->loop);
        struct span expected = text_span(&fake_stream(0)->written);
        struct span got = moved(&stage, &client, rows[i].first, rows[i].rest);
        /* But for its own identity, which is in the head. */
        enum { TAIL = 8 };
        assert_int_equal(got.length, expected.length);
        assert_memory_equal(got.data + got.length - TAIL, expected.data + expected.length - TAIL,
                            TAIL);
        answer(&stage, fake_stream(2));
        assert_true(answered(client, "204"));
        close(client);
        close(same);
        stage_stop(&stage);
    }
}

static void L2_what_never_left_a_lost_link_goes_over_another(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int unsent = ask(&stage, UNSAFE), unsafe = ask(&stage, UNSAFE);
    fake_stream(0)->never_left = true;
    stage.links.links[STAGE_NEAR].is_up = false;
    for (size_t i = 0; i < 2; i++)
        fake_reset(fake_stream(i), TRANSPORT_CODE_SHUTDOWN);
    turn_some(stage.worker->loop);
    assert_int_equal(fake_stream_count(), 3);
    assert_true(answered(unsafe, "502"));
    answer(&stage, fake_stream(2));
    assert_true(answered(unsent, "204"));
    close(unsent);
    close(unsafe);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L5_what_a_gateway_tells_is_believed_while_it_beats),
        cmocka_unit_test(L5_a_gateway_that_tells_nonsense_is_not_heard),
        cmocka_unit_test(S6_rules_hear_of_the_load),
        cmocka_unit_test(L4_requests_wait_here_while_the_queue_there_stands),
        cmocka_unit_test(L10_what_is_free_is_left_for_a_higher_class_at_another_worker),
        cmocka_unit_test(L10_who_is_held_back_has_a_share_all_the_same),
        cmocka_unit_test(L4_nobody_waits_for_servers_that_are_all_down),
        cmocka_unit_test(L4_who_waits_is_answered_when_the_site_goes),
        cmocka_unit_test(L2_what_may_be_repeated_leaves_a_broken_link),
        cmocka_unit_test(L2_what_may_not_be_repeated_waits_only_for_a_time),
        cmocka_unit_test(L2_a_link_that_comes_back_answers_what_waited),
        cmocka_unit_test(L2_what_never_left_goes_over_another_link),
        cmocka_unit_test(L2_what_never_left_a_lost_link_goes_over_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
