/* SPDX-License-Identifier: Apache-2.0
 *
 * A second try beside the first: of an origin that is slow, and of one whose answer says that it cannot now. Whoever wins, the edge gets
 * one answer, and no slot or connection is left behind (L6).
 */
#include "gateway/request.h"
#include "visit.h"

#include <errno.h>

#define HEDGING                                                                                \
    ", failure: { hedging: { on: true, samples: 10, share: 50, least: 1ms }, ejection: { on: " \
    "false } }"
#define PASSING_OVER ", failure: { ejection: { on: false } }"
#define LOCAL        ", allow_local: true"
#define UNAVAILABLE  "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nlate"
#define OTHER        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"

enum { ROUNDS_MOST = 1000000 };

/* A request of that type has taken a millisecond, or nothing is told of it. Its delay before a second one. */
static uint64_t serve(struct stage *stage, unsigned type, bool is_told)
{
    const struct gateway_wish wish = {.part = gateway_part_key("shop", NULL, 0),
                                      .type = (uint8_t)type};
    const struct gateway_outcome outcome = {
        .end = GATEWAY_END_DONE, .status = 200, .service_ns = 1000000, .bytes = 100};
    bool has_come = false;
    struct gateway_ticket *ticket =
        gateway_ticket_ask(stage->worker, &wish, stage_on_ticket, &has_come);
    assert_true(turn_until(stage->worker->loop, stage_is_true, &has_come));
    uint64_t delay_ns = gateway_ticket_answer(ticket)->hedge_ns;
    gateway_ticket_end(&ticket, is_told ? &outcome : NULL);
    return delay_ns;
}

/* Enough is known of every type, and has been looked up. */
static void learn(struct stage *stage)
{
    int rounds = 0;
    for (unsigned type = 0; type < TYPES_BUILTIN; type++)
        for (int i = 0; i < 20; i++)
            serve(stage, type, true);
    for (unsigned type = 0; type < TYPES_BUILTIN; type++)
        while (!serve(stage, type, false))
            assert_true(rounds++ < ROUNDS_MOST);
}

struct pair {
    struct stage stage;
    struct link_stream *stream;
    struct visit first, second;
    uint64_t hedges, won, retries;
};

static void start(struct pair *pair, const char *site, const struct request *how)
{
    stage_start(&pair->stage, site, LOCAL);
    if (strcmp(site, HEDGING) == 0)
        learn(&pair->stage);
    pair->hedges = metric_read(&gateway_hedges);
    pair->won = metric_read(&gateway_hedges_won);
    pair->retries = metric_read(&gateway_retries);
    pair->stream = ask(&pair->stage, &pair->stage.edge, how);
    visit(&pair->stage, &pair->first);
    read_request(&pair->first, how->body ? "0\r\n\r\n" : "\r\n\r\n");
}

/* It comes to the other origin. */
static void expect_second(struct pair *pair)
{
    visit(&pair->stage, &pair->second);
    assert_memory_equal(read_request(&pair->second, "\r\n\r\n"), "GET /a HTTP/1.1\r\n", 17);
    assert_int_not_equal(pair->second.origin, pair->first.origin);
}

static bool has_ended(void *argument)
{
    struct visit *visit = argument;
    char byte;
    ssize_t got = recv(visit->fd, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

static void stop(struct pair *pair, int hedges, int won, int retries)
{
    assert_int_equal(pending_requests(&pair->stage), 0);
    assert_true(list_is_empty(&pair->stage.worker->requests));
    assert_int_equal(metric_read(&gateway_hedges) - pair->hedges, hedges);
    assert_int_equal(metric_read(&gateway_hedges_won) - pair->won, won);
    assert_int_equal(metric_read(&gateway_retries) - pair->retries, retries);
    if (pair->first.fd >= 0)
        close(pair->first.fd);
    if (pair->second.fd >= 0)
        close(pair->second.fd);
    stage_stop(&pair->stage);
}

static void is_late(struct loop *loop, struct loop_timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

/* Ten times as long as the delay after which another request is sent twice. */
static void wait_long(struct stage *stage)
{
    struct loop *loop = stage->worker->loop;
    struct loop_timer timer = {.fire = is_late};
    loop_timer_start(loop, &timer, loop_now_ns(loop) + 20000000);
    loop_run(loop);
}

static void L6_the_second_origin_answers_first(void **state)
{
    struct pair pair = {.second.fd = -1};
    (void)state;
    start(&pair, HEDGING, &(struct request){0});
    expect_second(&pair);
    answer(&pair.second, OTHER);
    expect_answer(&pair.stage, pair.stream, 200, "other");
    assert_true(turn_until(pair.stage.worker->loop, has_ended, &pair.first));
    assert_int_equal(idle_connections(&pair.stage), 1);
    stop(&pair, 1, 1, 0);
}

static void L6_the_first_origin_answers_first_after_all(void **state)
{
    struct pair pair = {.second.fd = -1};
    (void)state;
    start(&pair, HEDGING, &(struct request){0});
    expect_second(&pair);
    answer(&pair.first, OK);
    expect_answer(&pair.stage, pair.stream, 200, "hello");
    assert_true(turn_until(pair.stage.worker->loop, has_ended, &pair.second));
    stop(&pair, 1, 0, 0);
}

static void L6_a_second_answer_that_is_no_help_is_not_taken(void **state)
{
    static const char *const answers[] = {UNAVAILABLE,
                                          "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
                                          "nonsense\r\n\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct pair pair = {.second.fd = -1};
        start(&pair, HEDGING, &(struct request){0});
        expect_second(&pair);
        answer(&pair.second, answers[i]);
        assert_true(turn_until(pair.stage.worker->loop, has_ended, &pair.second));
        assert_false(pair.stream->is_released);
        answer(&pair.first, OK);
        expect_answer(&pair.stage, pair.stream, 200, "hello");
        stop(&pair, 1, 0, 0);
    }
}

static void L6_hints_of_the_second_origin_are_no_answer(void **state)
{
    static const char hints[] = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    (void)state;
    for (int is_second = 0; is_second < 2; is_second++) {
        struct pair pair = {.second.fd = -1};
        start(&pair, HEDGING, &(struct request){0});
        expect_second(&pair);
        answer(&pair.second, hints);
        wait_long(&pair.stage);
        assert_int_equal(pair.stream->written.length, 0);
        answer(is_second ? &pair.second : &pair.first, OK);
        expect_answer(&pair.stage, pair.stream, 200, "hello");
        stop(&pair, 1, is_second, 0);
    }
}

static void L6_a_second_origin_that_refuses_changes_nothing(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, HEDGING, LOCAL);
    learn(&stage);
    stage_kill_origin(&stage, 0);
    for (int i = 0; i < 3; i++) { /* the first time the first one may be that, too */
        uint64_t hedges = metric_read(&gateway_hedges);
        struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
        if (i == 0)
            visit(&stage, &origin);
        read_request(&origin, "\r\n\r\n");
        wait_long(&stage);
        answer(&origin, OK);
        expect_answer(&stage, stream, 200, "hello");
        assert_int_equal(metric_read(&gateway_hedges) - hedges, 0);
    }
    close(origin.fd);
    stage_stop(&stage);
}

static void L6_an_edge_that_leaves_takes_both_along(void **state)
{
    struct pair pair = {.second.fd = -1};
    (void)state;
    start(&pair, HEDGING, &(struct request){0});
    expect_second(&pair);
    fake_reset(pair.stream, TRANSPORT_CODE_CANCELLED);
    assert_true(turn_until(pair.stage.worker->loop, has_ended, &pair.first));
    assert_true(turn_until(pair.stage.worker->loop, has_ended, &pair.second));
    stop(&pair, 1, 0, 0);
}

static void L6_what_is_unsafe_or_has_content_is_not_asked_for_twice(void **state)
{
    static const struct request rows[] = {
        {.method = HTTP_METHOD_POST},
        {.method = HTTP_METHOD_DELETE},
        {.method = HTTP_METHOD_GET, .body = "a query"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pair pair = {.second.fd = -1};
        start(&pair, HEDGING, &rows[i]);
        wait_long(&pair.stage);
        answer(&pair.first, OK);
        expect_answer(&pair.stage, pair.stream, 200, "hello");
        stop(&pair, 0, 0, 0);
    }
}

/* ---- an answer that waits for a better one */

static void L3_an_origin_that_cannot_now_is_passed_over(void **state)
{
    struct pair pair = {.second.fd = -1};
    (void)state;
    start(&pair, PASSING_OVER, &(struct request){0});
    answer(&pair.first, UNAVAILABLE);
    expect_second(&pair);
    assert_int_equal(pair.stream->written.length, 0);
    answer(&pair.second, OTHER);
    expect_answer(&pair.stage, pair.stream, 200, "other");
    stop(&pair, 0, 0, 1);
}

static void L3_where_no_other_can_either_the_first_answer_is_told(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 502 No\r\nContent-Length: 3\r\n\r\nbad",
                                          "nonsense\r\n\r\n", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct pair pair = {.second.fd = -1};
        start(&pair, PASSING_OVER, &(struct request){0});
        answer(&pair.first, UNAVAILABLE);
        expect_second(&pair);
        if (answers[i])
            answer(&pair.second, answers[i]);
        else
            shutdown(pair.second.fd, SHUT_RDWR);
        expect_answer(&pair.stage, pair.stream, 503, "late");
        stop(&pair, 0, 0, 1);
    }
}

static void L3_an_answer_that_waits_does_not_need_its_connection(void **state)
{
    static const char *const answers[] = {OTHER, UNAVAILABLE};
    (void)state;
    for (int is_no_help = 0; is_no_help < 2; is_no_help++) {
        struct pair pair = {.second.fd = -1};
        start(&pair, PASSING_OVER, &(struct request){0});
        answer(&pair.first, UNAVAILABLE);
        expect_second(&pair);
        socket_set_reset_on_close(pair.first.fd);
        close(pair.first.fd);
        pair.first.fd = -1;
        turn_some(pair.stage.worker->loop);
        answer(&pair.second, answers[is_no_help]);
        if (is_no_help)
            expect_answer(&pair.stage, pair.stream, 503, "late");
        else
            expect_answer(&pair.stage, pair.stream, 200, "other");
        stop(&pair, 0, 0, 1);
    }
}

/* The second origin says nothing for so long that the first answer is told after all, and then no more of that one comes either. */
static void L3_an_answer_that_waited_has_no_longer_than_others(void **state)
{
    struct pair pair = {.second.fd = -1};
    (void)state;
    start(&pair, PASSING_OVER ", timeouts: { read: 100ms }", &(struct request){0});
    answer(&pair.first, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nlate");
    expect_second(&pair);
    expect_reset(&pair.stage, pair.stream, TRANSPORT_CODE_TIMEOUT);
    stop(&pair, 0, 0, 1);
}

static void L3_where_no_other_is_up_the_answer_is_told_at_once(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, PASSING_OVER, LOCAL);
    stage_kill_origin(&stage, 0);
    for (int i = 0; i < 3; i++) {
        struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
        if (i == 0)
            visit(&stage, &origin);
        read_request(&origin, "\r\n\r\n");
        answer(&origin, UNAVAILABLE);
        expect_answer(&stage, stream, 503, "late");
    }
    close(origin.fd);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L6_the_second_origin_answers_first),
        cmocka_unit_test(L6_the_first_origin_answers_first_after_all),
        cmocka_unit_test(L6_a_second_answer_that_is_no_help_is_not_taken),
        cmocka_unit_test(L6_hints_of_the_second_origin_are_no_answer),
        cmocka_unit_test(L6_a_second_origin_that_refuses_changes_nothing),
        cmocka_unit_test(L6_an_edge_that_leaves_takes_both_along),
        cmocka_unit_test(L6_what_is_unsafe_or_has_content_is_not_asked_for_twice),
        cmocka_unit_test(L3_an_origin_that_cannot_now_is_passed_over),
        cmocka_unit_test(L3_where_no_other_can_either_the_first_answer_is_told),
        cmocka_unit_test(L3_an_answer_that_waits_does_not_need_its_connection),
        cmocka_unit_test(L3_an_answer_that_waited_has_no_longer_than_others),
        cmocka_unit_test(L3_where_no_other_is_up_the_answer_is_told_at_once),
    };
    return cmocka_run_group_tests_name("gateway_hedge", tests, NULL, NULL);
}
