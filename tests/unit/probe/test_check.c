/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks against peers on loopback that answer as a table says (R8): every cause, bodies in pieces, and what must be ignored.
 */
#include "../families.h"
#include "probe/private.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define MS_NS 1000000ull
enum { SILENCE_MS = 200, PATIENCE_MS = 20000 };

enum { PIECES = 4 };

/* What the peer does with a connection, or a query. */
struct behaviour {
    const char *pieces[PIECES]; /* written one after another */
    bool stays_open, resets, closes_at_once;
};

struct stage {
    struct loop *loop;
    struct random random;
    struct loop_watch listener, peer;
    struct loop_timer timer;
    const struct behaviour *behaviour;
    size_t piece;
    uint64_t patience_ns;
    struct address address;
    struct check_result result;
    unsigned told;
    char request[2048];
    size_t request_bytes;
};

static void end_peer(struct stage *stage)
{
    if (stage->peer.fd < 0)
        return;
    if (stage->behaviour->resets)
        socket_set_reset_on_close(stage->peer.fd);
    loop_watch_close(stage->loop, &stage->peer);
    stage->peer.fd = -1;
}

static void on_piece(struct loop *loop, struct loop_timer *timer)
{
    struct stage *stage = CONTAINER_OF(timer, struct stage, timer);
    const char *piece = stage->piece < PIECES ? stage->behaviour->pieces[stage->piece++] : NULL;
    if (stage->peer.fd < 0)
        return;
    if (piece) {
        (void)!send(stage->peer.fd, piece, strlen(piece), MSG_NOSIGNAL);
        loop_timer_start(loop, timer, loop_now_ns(loop) + 2 * MS_NS);
    } else if (!stage->behaviour->stays_open) {
        end_peer(stage);
    }
}

static void on_request(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)events;
    struct stage *stage = CONTAINER_OF(watch, struct stage, peer);
    ssize_t got = recv(watch->fd, stage->request + stage->request_bytes,
                       sizeof stage->request - 1 - stage->request_bytes, MSG_DONTWAIT);
    if (got <= 0) {
        end_peer(stage);
        return;
    }
    stage->request_bytes += (size_t)got;
    if (!loop_timer_is_running(&stage->timer) && stage->piece == 0)
        loop_timer_start(loop, &stage->timer, loop_now_ns(loop));
}

static void on_connection(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)events;
    struct stage *stage = CONTAINER_OF(watch, struct stage, listener);
    struct address peer;
    int fd;
    if (socket_accept(watch->fd, &peer, &fd) < 0)
        return;
    stage->peer = (struct loop_watch){.fd = fd, .ready = on_request};
    if (stage->behaviour->closes_at_once)
        end_peer(stage);
    else
        assert_int_equal(loop_watch_set(loop, &stage->peer, EPOLLIN), 0);
}

static void on_done(void *owner, const struct check_result *result)
{
    struct stage *stage = owner;
    stage->result = *result;
    stage->told++;
    loop_stop(stage->loop);
}

static void start(struct stage *stage, const char *address, bool listens)
{
    *stage = (struct stage){
        .loop = loop_new(), .listener.fd = -1, .peer.fd = -1, .patience_ns = PATIENCE_MS * MS_NS};
    random_seed(&stage->random, 1);
    stage->timer.fire = on_piece;
    stage->listener.ready = on_connection;
    assert_int_equal(address_parse_port(span_text(address), false, &stage->address), 0);
    assert_int_equal(socket_listen_tcp(&stage->address, 0, &stage->listener.fd), 0);
    assert_int_equal(socket_local(stage->listener.fd, &stage->address), 0);
    if (listens) {
        assert_int_equal(loop_watch_set(stage->loop, &stage->listener, EPOLLIN), 0);
        return;
    }
    close(stage->listener.fd);
    stage->listener.fd = -1;
}

static void stop(struct stage *stage)
{
    loop_timer_stop(stage->loop, &stage->timer);
    end_peer(stage);
    if (stage->listener.fd >= 0)
        loop_watch_close(stage->loop, &stage->listener);
    loop_free(&stage->loop);
}

static enum check_cause run(struct stage *stage, const struct check_question *question)
{
    stage->told = 0;
    (void)check_start(stage->loop, question, &stage->address, stage->patience_ns, &stage->random,
                      on_done, stage);
    assert_int_equal(stage->told, 0);
    loop_run(stage->loop);
    assert_int_equal(stage->told, 1);
    return stage->result.cause;
}

/* Where it is not the time that is to run out, a busy machine has all it wants. */
static uint64_t patience_for(enum check_cause expected)
{
    return (expected == CAUSE_TIMEOUT ? SILENCE_MS : PATIENCE_MS) * MS_NS;
}

static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0"};

static void R8_tcp_connects_or_is_refused(void **state)
{
    (void)state;
    static const struct behaviour silent = {.stays_open = true};
    const struct check_question question = {.kind = CHECK_TCP};
    for (size_t i = 0; i < families(); i++) {
        struct stage stage;
        start(&stage, addresses[i], true);
        stage.behaviour = &silent;
        assert_int_equal(run(&stage, &question), CAUSE_NONE);
        assert_in_range(stage.result.connect_us, 1, PATIENCE_MS * 1000);
        stop(&stage);
        start(&stage, addresses[i], false);
        assert_int_equal(run(&stage, &question), CAUSE_REFUSED);
        stop(&stage);
    }
}

static void R8_what_has_no_route_says_nothing(void **state)
{
    (void)state;
    struct stage stage;
    const struct check_question question = {.kind = CHECK_TCP};
    start(&stage, addresses[0], false);
    stage.address = (struct address){.family = 4, .bytes = {255, 255, 255, 255}, .port = 80};
    enum check_cause cause = run(&stage, &question);
    assert_int_equal(check_cause_outcome(cause), HEALTH_VOID);
    stop(&stage);
}

#define OK   "HTTP/1.1 200 OK\r\n"
#define BODY "Content-Length: 5\r\n\r\nhello"

static void R8_http_answers_and_what_they_come_to(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct behaviour behaviour;
        const char *body; /* wanted */
        enum check_cause expected;
    } rows[] = {
        {"plain", {.pieces = {OK BODY}}, NULL, CAUSE_NONE},
        {"head alone is enough",
         {.pieces = {OK "Content-Length: 5\r\n\r\n"}, .stays_open = true},
         NULL,
         CAUSE_NONE},
        {"in pieces", {.pieces = {"HTTP/1.", "1 200 OK\r", "\n\r\n"}}, NULL, CAUSE_NONE},
        {"text", {.pieces = {OK BODY}}, "ell", CAUSE_NONE},
        {"text across pieces",
         {.pieces = {OK "Content-Length: 5\r\n\r\n", "hel", "lo"}},
         "ello",
         CAUSE_NONE},
        {"text across chunks",
         {.pieces = {OK "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", "2\r\nlo\r\n0\r\n\r\n"}},
         "hello",
         CAUSE_NONE},
        {"text until the end of the connection",
         {.pieces = {OK "\r\n", "hel", "lo"}},
         "hello",
         CAUSE_NONE},
        {"no such text", {.pieces = {OK BODY}}, "hullo", CAUSE_BODY},
        {"no body", {.pieces = {OK "Content-Length: 0\r\n\r\n"}}, "x", CAUSE_BODY},
        {"cut body", {.pieces = {OK "Content-Length: 9\r\n\r\nhel"}}, "hello", CAUSE_CLOSED},
        {"interim answer first",
         {.pieces = {"HTTP/1.1 103 Early Hints\r\n\r\n", OK BODY}},
         NULL,
         CAUSE_NONE},
        {"redirect",
         {.pieces = {"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"}},
         NULL,
         CAUSE_NONE},
        {"error",
         {.pieces = {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}},
         NULL,
         CAUSE_STATUS},
        {"not found",
         {.pieces = {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"}},
         NULL,
         CAUSE_STATUS},
        {"not HTTP", {.pieces = {"SSH-2.0-OpenSSH\r\n"}}, NULL, CAUSE_HTTP},
        {"two lengths",
         {.pieces = {OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"}},
         NULL,
         CAUSE_HTTP},
        {"silent", {.pieces = {NULL}, .stays_open = true}, NULL, CAUSE_TIMEOUT},
        {"half a head", {.pieces = {"HTTP/1.1 200"}, .stays_open = true}, NULL, CAUSE_TIMEOUT},
        {"closed in the head", {.pieces = {"HTTP/1.1 200"}}, NULL, CAUSE_CLOSED},
        {"reset", {.pieces = {"HTTP/1.1 200"}, .resets = true}, NULL, CAUSE_RESET},
        {"reset at once", {.resets = true, .closes_at_once = true}, NULL, CAUSE_RESET},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        const struct check_question question = {.kind = CHECK_HTTP,
                                                .host = "www.shop.example",
                                                .path = "/health?x",
                                                .status_least = 200,
                                                .status_most = 399,
                                                .body = rows[i].body};
        start(&stage, addresses[i % families()], true);
        stage.behaviour = &rows[i].behaviour;
        stage.patience_ns = patience_for(rows[i].expected);
        enum check_cause cause = run(&stage, &question);
        if (cause != rows[i].expected)
            fail_msg("%s: %s", rows[i].name, check_cause_text(cause));
        if (cause == CAUSE_NONE) {
            assert_non_null(strstr(stage.request, "GET /health?x HTTP/1.1\r\n"));
            assert_non_null(strstr(stage.request, "Host: www.shop.example\r\n"));
        }
        stop(&stage);
    }
}

static void R8_http_host_is_the_address_where_none_is_given(void **state)
{
    (void)state;
    static const struct behaviour good = {.pieces = {OK BODY}};
    static const char *const hosts[] = {"Host: 127.0.0.1\r\n", "Host: [::1]\r\n"};
    for (size_t i = 0; i < families(); i++) {
        struct stage stage;
        const struct check_question question = {.kind = CHECK_HTTP,
                                                .status_least = 200,
                                                .status_most = 200};
        start(&stage, addresses[i], true);
        stage.behaviour = &good;
        assert_int_equal(run(&stage, &question), CAUSE_NONE);
        assert_non_null(strstr(stage.request, hosts[i]));
        assert_non_null(strstr(stage.request, "GET / HTTP/1.1\r\n"));
        stop(&stage);
    }
}

static void R8_https_where_nobody_speaks_tls(void **state)
{
    (void)state;
    static const struct behaviour plain = {.pieces = {OK BODY}};
    struct stage stage;
    struct check_trust *trust = check_trust_new((struct span){0});
    const struct check_question question = {
        .kind = CHECK_HTTPS, .status_least = 200, .status_most = 399, .trust = trust};
    start(&stage, addresses[0], true);
    stage.behaviour = &plain;
    assert_int_equal(run(&stage, &question), CAUSE_TLS);
    stop(&stage);
    check_trust_free(&trust);
    assert_null(check_trust_new(SPAN("no certificate in here")));
}

static void R8_a_cancelled_check_is_silent(void **state)
{
    (void)state;
    static const struct behaviour good = {.pieces = {OK BODY}};
    struct stage stage;
    const struct check_question question = {.kind = CHECK_HTTP,
                                            .status_least = 200,
                                            .status_most = 399};
    start(&stage, addresses[0], true);
    stage.behaviour = &good;
    struct check *check = check_start(stage.loop, &question, &stage.address, stage.patience_ns,
                                      &stage.random, on_done, &stage);
    check_cancel(&check);
    assert_null(check);
    check_cancel(&check);
    assert_int_equal(stage.told, 0);
    stop(&stage);
}

/* ---- DNS: the peer answers by what the row makes of the query */

struct name_server {
    struct loop_watch watch;
    int row;
};

enum {
    GOOD,
    SERVFAIL,
    WRONG_ID,
    NOT_AN_ANSWER,
    WRONG_NAME,
    SCRAP,
    SILENT,
    WRONG_THEN_GOOD,
    SERVER_ROWS
};

static void send_answer(int fd, uint8_t *answer, size_t length, const struct sockaddr_storage *to,
                        socklen_t to_length, int row)
{
    answer[2] |= row == NOT_AN_ANSWER ? 0 : 0x80;
    answer[3] = row == SERVFAIL ? 2 : 0;
    answer[0] ^= row == WRONG_ID ? 1 : 0;
    answer[13] ^= row == WRONG_NAME ? 1 : 0;
    (void)!sendto(fd, answer, row == SCRAP ? 5 : length, 0, (const struct sockaddr *)to, to_length);
}

static void on_query(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    struct name_server *server = CONTAINER_OF(watch, struct name_server, watch);
    uint8_t query[512], answer[512];
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    ssize_t got =
        recvfrom(watch->fd, query, sizeof query, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    if (got <= 0 || server->row == SILENT)
        return;
    memcpy(answer, query, (size_t)got);
    if (server->row == WRONG_THEN_GOOD) {
        for (int i = 0; i < 20; i++) {
            send_answer(watch->fd, answer, (size_t)got, &from, length, i % 2 ? WRONG_ID : SCRAP);
            memcpy(answer, query, (size_t)got);
        }
    }
    send_answer(watch->fd, answer, (size_t)got, &from, length,
                server->row == WRONG_THEN_GOOD ? GOOD : server->row);
}

static void R8_dns_answers_and_what_is_none(void **state)
{
    (void)state;
    static const enum check_cause expected[SERVER_ROWS] = {
        [GOOD] = CAUSE_NONE,          [SERVFAIL] = CAUSE_DNS,
        [WRONG_ID] = CAUSE_TIMEOUT,   [NOT_AN_ANSWER] = CAUSE_TIMEOUT,
        [WRONG_NAME] = CAUSE_TIMEOUT, [SCRAP] = CAUSE_TIMEOUT,
        [SILENT] = CAUSE_TIMEOUT,     [WRONG_THEN_GOOD] = CAUSE_NONE,
    };
    struct check_question question = {.kind = CHECK_DNS, .type = DNS_SOA};
    assert_int_equal(dns_name_parse(SPAN("shop.example"), NULL, &question.name), 0);
    for (int row = 0; row < SERVER_ROWS; row++)
        for (size_t i = 0; i < families(); i++) {
            struct stage stage;
            struct name_server server = {.row = row, .watch.ready = on_query};
            start(&stage, addresses[i], false);
            stage.address.port = 0;
            assert_int_equal(socket_bind_udp(&stage.address, 0, &server.watch.fd), 0);
            assert_int_equal(socket_local(server.watch.fd, &stage.address), 0);
            assert_int_equal(loop_watch_set(stage.loop, &server.watch, EPOLLIN), 0);
            stage.patience_ns = patience_for(expected[row]);
            assert_int_equal(run(&stage, &question), expected[row]);
            loop_watch_close(stage.loop, &server.watch);
            if (row == GOOD)
                assert_int_equal(run(&stage, &question), CAUSE_REFUSED);
            stop(&stage);
        }
}

/* ---- targets */

struct watched {
    struct check_target target;
    struct stage *stage;
    unsigned results, changes, wanted;
};

static void on_result(struct check_target *target, bool has_changed)
{
    struct watched *watched = CONTAINER_OF(target, struct watched, target);
    watched->results++;
    watched->changes += has_changed;
    if (watched->results == watched->wanted)
        loop_stop(watched->stage->loop);
}

static void R8_a_target_goes_down_and_comes_up(void **state)
{
    (void)state;
    static const struct behaviour silent = {.stays_open = true};
    static const struct health_settings settings = {.interval_ns = 10 * MS_NS,
                                                    .fast_ns = 1 * MS_NS,
                                                    .timeout_ns = PATIENCE_MS * MS_NS,
                                                    .rise = 2,
                                                    .fall = 3};
    const struct check_question question = {.kind = CHECK_TCP};
    struct stage stage;
    struct checker checker;
    start(&stage, addresses[0], true);
    stage.behaviour = &silent;
    checker_init(&checker, stage.loop, 1);
    checker.limit = 1; /* two targets take turns */
    struct watched watched[2];
    memset(watched, 0, sizeof watched);
    for (int i = 0; i < 2; i++) {
        watched[i].stage = &stage;
        watched[i].wanted = i ? 0 : 5;
        watched[i].target.settings = &settings;
        watched[i].target.question = &question;
        watched[i].target.address = stage.address;
        watched[i].target.on_result = on_result;
        check_target_start(&watched[i].target, &checker);
    }
    loop_run(stage.loop);
    assert_int_equal(watched[0].target.health.state, HEALTH_UP);
    assert_int_equal(watched[0].changes, 1);
    loop_watch_close(stage.loop, &stage.listener);
    stage.listener.fd = -1;
    watched[0].wanted = watched[0].results + 4;
    loop_run(stage.loop);
    assert_int_equal(watched[0].target.health.state, HEALTH_DOWN);
    assert_int_equal(watched[0].target.last.cause, CAUSE_REFUSED);
    assert_int_equal(watched[0].changes, 2);
    for (int i = 0; i < 2; i++)
        check_target_stop(&watched[i].target);
    assert_int_equal(checker.running, 0);
    assert_true(watched[1].results > 0);
    stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R8_tcp_connects_or_is_refused),
        cmocka_unit_test(R8_what_has_no_route_says_nothing),
        cmocka_unit_test(R8_http_answers_and_what_they_come_to),
        cmocka_unit_test(R8_http_host_is_the_address_where_none_is_given),
        cmocka_unit_test(R8_https_where_nobody_speaks_tls),
        cmocka_unit_test(R8_a_cancelled_check_is_silent),
        cmocka_unit_test(R8_dns_answers_and_what_is_none),
        cmocka_unit_test(R8_a_target_goes_down_and_comes_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
