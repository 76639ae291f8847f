/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions of another class (L10): how they are marked, and what their requests get.
 */
#include "stage.h"

#include "edge/exchange.h"

#include <sys/socket.h>
#include <unistd.h>

static char secret[17]; /* wiped with the configuration */
static struct address visitor;

/* As if a rule had said it. */
static struct rules_decision said;
static enum edge_next take(struct edge_exchange *exchange)
{
    exchange->decision = said.session_class >= 0 ? &said : NULL;
    return EDGE_NEXT;
}
static void over(struct edge_exchange *exchange)
{
    exchange->decision = NULL;
}
static const struct edge_step rule = {.name = "rule", .take = take, .over = over};
static const struct edge_step *const steps[] = {&edge_step_site, &edge_step_class, &rule,
                                                &edge_step_link, NULL};

static void start(struct stage *stage, enum balance_session_kind sessions)
{
    stage_start(stage);
    stage->edge->steps = steps;
    strcpy(secret, "0123456789abcdef");
    struct conf_site *shop =
        (struct conf_site *)(uintptr_t)conf_find_site(stage->conf, SPAN("shop"));
    shop->balance.session.kind = sessions;
    shop->balance.session.name = "X-User";
    shop->balance.mark.header = "X-Class";
    shop->balance.mark.secrets[0] = span_text(secret);
    shop->balance.mark.secret_count = 1;
    said = (struct rules_decision){.session_class = -1, .priority = -1};
    visitor = (struct address){.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4};
}

static int client = -1;

/* Its stream on the link; `fields`: each with its line end. */
static struct link_stream *ask(struct stage *stage, const char *fields)
{
    int ends[2];
    struct text request = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    stage->worker->connections++;
    edge_client_start(stage->worker, &(struct edge_arrival){.fd = ends[0], .client = visitor},
                      NULL);
    text_add_format(&request, "GET /a HTTP/1.1\r\nHost: www.shop.example\r\n%s\r\n", fields);
    assert_int_equal(send(ends[1], request.data, request.length, MSG_NOSIGNAL), request.length);
    text_clear(&request);
    turn_some(stage->worker->loop);
    client = ends[1];
    return fake_stream(fake_stream_count() - 1);
}

/* What the client gets. */
static const char *answer(struct stage *stage, struct link_stream *stream, uint16_t status,
                          const char *mark)
{
    static char got[4096];
    struct arena arena = {0};
    struct slice_queue form = {0};
    struct http_head head;
    http_head_init(&head, &arena);
    head.status = status;
    head.minor = 1;
    head.body = HTTP_BODY_NONE;
    if (status != 304) {
        head.body = HTTP_BODY_LENGTH;
        head.has_length = true;
    }
    if (mark)
        assert_int_equal(http_fields_add_text(&head.fields, SPAN("X-Class"), span_text(mark)), 0);
    assert_int_equal(http_form_write_response(&form, &head), 0);
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
    ssize_t length = recv(client, got, sizeof got - 1, 0);
    got[length > 0 ? length : 0] = 0;
    close(client);
    turn_some(stage->worker->loop);
    assert_null(strstr(got, "X-Class"));
    return got;
}

/* The cookie of an answer as a client sends it; NULL: there is none. */
static const char *cookie_of(const char *answer)
{
    static char field[256];
    const char *at = strstr(answer, "Set-Cookie: ");
    if (!at)
        return NULL;
    at += strlen("Set-Cookie: ");
    assert_non_null(strstr(at, "; Path=/; Max-Age="));
    assert_non_null(strstr(answer, "Cache-Control: private"));
    snprintf(field, sizeof field, "Cookie: a=1; %.*s\r\n", (int)strcspn(at, ";"), at);
    return field;
}

static bool origin_sees(const struct link_stream *stream, const char *text)
{
    return memmem(stream->written.data, stream->written.length, text, strlen(text)) != NULL;
}

static uint64_t counted(const char *event)
{
    json_t *status = edge_classes_status();
    uint64_t value = (uint64_t)json_integer_value(json_object_get(status, event));
    json_decref(status);
    return value;
}

static void L10_a_marked_session_has_its_class_from_then_on(void **state)
{
    struct stage stage;
    (void)state;
    start(&stage, BALANCE_SESSION_OFF);
    struct link_stream *stream = ask(&stage, "");
    assert_int_equal(stream->open.ring, 1); /* the site's */
    const char *cookie = cookie_of(answer(&stage, stream, 200, "urgent"));
    assert_non_null(cookie);
    uint64_t used = counted("used");
    stream = ask(&stage, cookie);
    assert_int_equal(stream->open.ring, 0);
    assert_true(origin_sees(stream, "a=1") && !origin_sees(stream, "causeway-class"));
    assert_int_equal(counted("used") - used, 1);
    assert_null(cookie_of(answer(&stage, stream, 200, "urgent"))); /* it has that one */
    stream = ask(&stage, cookie);
    said.session_class = 4; /* a rule says another */
    said.session_class_ns = 60000000000;
    cookie = cookie_of(answer(&stage, stream, 302, NULL));
    assert_null(cookie); /* rules are asked before the answer */
    stream = ask(&stage, "");
    cookie = cookie_of(answer(&stage, stream, 302, NULL));
    assert_non_null(cookie);
    stream = ask(&stage, cookie);
    assert_int_equal(stream->open.ring, 4);
    answer(&stage, stream, 200, NULL);
    stage_stop(&stage);
}

static void L10_errors_and_nonsense_mark_nobody(void **state)
{
    struct stage stage;
    (void)state;
    start(&stage, BALANCE_SESSION_OFF);
    assert_null(cookie_of(answer(&stage, ask(&stage, ""), 404, "urgent")));
    assert_null(cookie_of(answer(&stage, ask(&stage, ""), 500, "urgent")));
    assert_null(cookie_of(answer(&stage, ask(&stage, ""), 304, "urgent")));
    assert_null(cookie_of(answer(&stage, ask(&stage, ""), 200, "soon")));
    assert_null(cookie_of(answer(&stage, ask(&stage, ""), 200, NULL)));
    stage_stop(&stage);
}

static void L10_forged_and_expired_marks_are_counted_and_nothing_else(void **state)
{
    struct stage stage;
    (void)state;
    start(&stage, BALANCE_SESSION_OFF);
    const struct balance_mark_settings ours = {.secrets = {span_text(secret)}, .secret_count = 1};
    const struct balance_mark_owner owner = {.site = SPAN("shop")};
    char text[BALANCE_MARK_BYTES], field[256];
    struct span old = balance_mark_write(crypto_openssl(), &ours, &owner,
                                         &(struct balance_mark){0, 1700000000}, text);
    snprintf(field, sizeof field, "Cookie: causeway-class=%.*s\r\n", SPAN_ARGS(old));
    uint64_t expired = counted("expired"), forged = counted("forged");
    struct link_stream *stream = ask(&stage, field);
    assert_int_equal(stream->open.ring, 1);
    assert_false(origin_sees(stream, "causeway-class"));
    answer(&stage, stream, 200, NULL);
    stream = ask(&stage, "Cookie: causeway-class=0.ffffffff-0123456789abcdef0123456789abcdef\r\n");
    assert_int_equal(stream->open.ring, 1);
    assert_false(origin_sees(stream, "causeway-class"));
    answer(&stage, stream, 200, NULL);
    assert_int_equal(counted("expired") - expired, 1);
    assert_int_equal(counted("forged") - forged, 1);
    stage_stop(&stage);
}

static void L9_L10_a_mark_is_of_the_sites_own_session(void **state)
{
    struct stage stage;
    char fields[512];
    (void)state;
    start(&stage, BALANCE_SESSION_HEADER);
    const char *cookie = cookie_of(answer(&stage, ask(&stage, "X-User: anna\r\n"), 200, "urgent"));
    assert_non_null(cookie);
    static const struct {
        const char *user;
        int ring;
    } rows[] = {{"X-User: anna\r\n", 0}, {"X-User: bert\r\n", 1}, {"", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(fields, sizeof fields, "%s%s", cookie, rows[i].user);
        struct link_stream *stream = ask(&stage, fields);
        assert_int_equal(stream->open.ring, rows[i].ring);
        answer(&stage, stream, 200, NULL);
    }
    stage_stop(&stage);
    start(&stage, BALANCE_SESSION_CLIENT);
    struct conf_site *shop =
        (struct conf_site *)(uintptr_t)conf_find_site(stage.conf, SPAN("shop"));
    shop->balance.session.ipv4_bits = 24;
    cookie = cookie_of(answer(&stage, ask(&stage, ""), 200, "high"));
    assert_non_null(cookie);
    visitor.bytes[3] = 99; /* of the same network */
    struct link_stream *stream = ask(&stage, cookie);
    assert_int_equal(stream->open.ring, 1);
    assert_null(cookie_of(answer(&stage, stream, 200, "high")));
    visitor.bytes[2] = 3;
    cookie = cookie_of(answer(&stage, ask(&stage, cookie), 200, "high"));
    assert_non_null(cookie); /* the old one was not its own */
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L10_a_marked_session_has_its_class_from_then_on),
        cmocka_unit_test(L10_errors_and_nonsense_mark_nobody),
        cmocka_unit_test(L10_forged_and_expired_marks_are_counted_and_nothing_else),
        cmocka_unit_test(L9_L10_a_mark_is_of_the_sites_own_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
