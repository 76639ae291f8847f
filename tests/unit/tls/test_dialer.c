/* SPDX-License-Identifier: Apache-2.0
 *
 * Our client against our server: which certificates it believes, what it shows of itself, sessions that are taken up again.
 */
#include "fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

/* The server's certificates, and two authorities of which the client knows one. */
enum { GOOD, OTHER_HOST, EXPIRED, NOT_YET, STRANGERS, ALONE, NUMBERED, CERTIFICATES };
static struct pem authority, stranger, ours, certificates[CERTIFICATES];
static struct tls_shared *shared;

static int make_all(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    pem_make(&authority, KEY_EC, "", NULL, -DAY_S, 10 * DAY_S);
    pem_make(&stranger, KEY_EC, "", NULL, -DAY_S, 10 * DAY_S);
    pem_make(&ours, KEY_EC, "DNS:gateway", &authority, -DAY_S, 10 * DAY_S);
    const struct {
        const char *names;
        const struct pem *issuer;
        int64_t begins_in_s, ends_in_s;
    } rows[CERTIFICATES] = {
        [GOOD] = {"DNS:app.internal,DNS:*.app.internal", &authority, -DAY_S, DAY_S},
        [OTHER_HOST] = {"DNS:elsewhere.internal", &authority, -DAY_S, DAY_S},
        [EXPIRED] = {"DNS:app.internal", &authority, -2 * DAY_S, -DAY_S},
        [NOT_YET] = {"DNS:app.internal", &authority, DAY_S, 2 * DAY_S},
        [STRANGERS] = {"DNS:app.internal", &stranger, -DAY_S, DAY_S},
        [ALONE] = {"DNS:app.internal", NULL, -DAY_S, DAY_S},
        [NUMBERED] = {"IP:192.0.2.80,IP:2001:db8::80", &authority, -DAY_S, DAY_S},
    };
    for (int i = 0; i < CERTIFICATES; i++)
        pem_make(&certificates[i], KEY_EC, rows[i].names, rows[i].issuer, rows[i].begins_in_s,
                 rows[i].ends_in_s);
    shared = tls_shared_new(NOW_S);
    return 0;
}

static int clear_all(void **state)
{
    (void)state;
    tls_shared_free(&shared);
    pem_clear(&authority);
    pem_clear(&stranger);
    pem_clear(&ours);
    for (int i = 0; i < CERTIFICATES; i++)
        pem_clear(&certificates[i]);
    return 0;
}

static struct tls_context *serve(const struct pem *pem, enum tls_profile profile,
                                 enum tls_client client)
{
    struct tls_certificate *certificate = pem_read(pem);
    const struct tls_site site = {
        "site", NULL, 0, &certificate, 1, client, span_text(authority.certificate)};
    const struct tls_settings settings = {profile, &site, 1, 0};
    struct text why = {0};
    struct tls_context *context = tls_context_new(&settings, shared, &why);
    assert_non_null(context);
    tls_certificate_release(&certificate);
    return context;
}

static struct tls_dialer *dialer_of(const struct pem *trusted, const struct pem *shown)
{
    struct tls_certificate *certificate = shown ? pem_read(shown) : NULL;
    const struct tls_dialer_settings settings = {.profile = TLS_INTERMEDIATE,
                                                 .is_trusting = !trusted,
                                                 .authorities =
                                                     trusted ? span_text(trusted->certificate)
                                                             : (struct span){0},
                                                 .certificate = certificate};
    struct text why = {0};
    struct tls_dialer *dialer = tls_dialer_new(&settings, &why);
    assert_non_null(dialer);
    tls_certificate_release(&certificate);
    return dialer;
}

/* Both ends are ours. */
struct call {
    int fds[2];
    struct tls_session *server, *client;
    struct slice_queue up, down, at_server, at_client;
};

static void call_open(struct call *call, struct tls_context *context, struct tls_dialer *dialer,
                      const char *name, struct tls_memory *memory)
{
    *call = (struct call){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, call->fds), 0);
    call->server = tls_session_new(context, call->fds[0], TLS_HTTP_1 | TLS_HTTP_2);
    call->client = tls_session_dial(dialer, call->fds[1], name, memory);
    slice_queue_append(&call->up, SPAN("ping"));
}

/* True: the server has read what the client says, and the other way round. */
static bool call_run(struct call *call)
{
    enum { ROUNDS = 12 };
    for (int i = 0; i < ROUNDS && call->at_client.bytes < 4; i++) {
        bool ended;
        if (tls_session_write(call->client, &call->up) < 0)
            return false;
        int read = tls_session_read(call->server, &call->at_server, 1 << 16, &ended);
        if (call->at_server.bytes && !call->down.bytes && !call->at_client.bytes)
            slice_queue_append(&call->down, SPAN("pong"));
        int written = tls_session_write(call->server, &call->down);
        (void)read, (void)written; /* where it refuses, its word is still to be read */
        if (tls_session_read(call->client, &call->at_client, 1 << 16, &ended) < 0)
            return false;
    }
    return call->at_client.bytes == 4;
}

static void call_close(struct call *call)
{
    assert_int_equal(tls_session_shut(call->client), 0);
    tls_session_free(&call->client);
    tls_session_free(&call->server);
    struct slice_queue *queues[] = {&call->up, &call->down, &call->at_server, &call->at_client};
    for (size_t i = 0; i < 4; i++)
        slice_queue_clear(queues[i]);
    close(call->fds[0]);
    close(call->fds[1]);
    assert_int_equal(ERR_peek_error(), 0);
}

static void T10_a_server_is_believed_for_its_certificate_alone(void **state)
{
    (void)state;
    const struct {
        int certificate;
        const char *name;
        const struct pem *trusted;
        enum tls_failure expected;
    } rows[] = {
        {GOOD, "app.internal", &authority, TLS_FAILURE_NONE},
        {GOOD, "eu.app.internal", &authority, TLS_FAILURE_NONE},
        {GOOD, "APP.internal", &authority, TLS_FAILURE_NONE},
        {GOOD, "a.b.app.internal", &authority, TLS_FAILURE_HOST},
        {GOOD, "192.0.2.80", &authority, TLS_FAILURE_HOST},
        {NUMBERED, "192.0.2.80", &authority, TLS_FAILURE_NONE},
        {NUMBERED, "2001:db8::80", &authority, TLS_FAILURE_NONE},
        {NUMBERED, "2001:db8::81", &authority, TLS_FAILURE_HOST},
        {OTHER_HOST, "app.internal", &authority, TLS_FAILURE_HOST},
        {EXPIRED, "app.internal", &authority, TLS_FAILURE_DATE},
        {NOT_YET, "app.internal", &authority, TLS_FAILURE_DATE},
        {STRANGERS, "app.internal", &authority, TLS_FAILURE_AUTHORITY},
        {STRANGERS, "app.internal", &stranger, TLS_FAILURE_NONE},
        {ALONE, "app.internal", &authority, TLS_FAILURE_AUTHORITY},
        {ALONE, "app.internal", &certificates[ALONE], TLS_FAILURE_NONE},
        {ALONE, "www.app.internal", &certificates[ALONE], TLS_FAILURE_HOST},
        {ALONE, "www.app.internal", NULL, TLS_FAILURE_NONE}, /* whoever answers */
        {EXPIRED, "192.0.2.1", NULL, TLS_FAILURE_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tls_context *context =
            serve(&certificates[rows[i].certificate], TLS_INTERMEDIATE, TLS_CLIENT_NONE);
        struct tls_dialer *dialer = dialer_of(rows[i].trusted, NULL);
        struct call call;
        call_open(&call, context, dialer, rows[i].name, NULL);
        bool is_good = call_run(&call);
        if (tls_session_failure(call.client) != rows[i].expected || is_good != !rows[i].expected)
            fail_msg("row %zu: %s", i, tls_failure_text(tls_session_failure(call.client)));
        if (!is_good) /* nothing of the request is told to whoever that is */
            assert_int_equal(call.at_server.bytes, 0);
        call_close(&call);
        tls_dialer_release(&dialer);
        tls_context_release(&context);
    }
}

static void T10_the_server_is_told_the_name_and_asked_for_http_1(void **state)
{
    (void)state;
    const char *const names[][2] = {{"App.internal", "app.internal"}, {"192.0.2.80", ""}};
    struct tls_context *context = serve(&certificates[GOOD], TLS_MODERN, TLS_CLIENT_NONE);
    struct tls_dialer *dialer = dialer_of(NULL, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct call call;
        call_open(&call, context, dialer, names[i][0], NULL);
        assert_true(call_run(&call));
        assert_string_equal(tls_session_facts(call.server)->name, names[i][1]);
        assert_int_equal(tls_session_facts(call.server)->protocol, TLS_HTTP_1);
        assert_string_equal(tls_session_facts(call.client)->version, "TLSv1.3");
        call_close(&call);
    }
    tls_dialer_release(&dialer);
    tls_context_release(&context);
}

static void T10_a_server_that_wants_a_certificate_gets_ours(void **state)
{
    (void)state;
    struct tls_context *context = serve(&certificates[GOOD], TLS_MODERN, TLS_CLIENT_REQUIRED);
    for (int shows = 0; shows < 2; shows++) {
        struct tls_dialer *dialer = dialer_of(&authority, shows ? &ours : NULL);
        struct call call;
        call_open(&call, context, dialer, "app.internal", NULL);
        assert_int_equal(call_run(&call), shows);
        /* TLS 1.3: the client is through with its handshake when the server refuses it */
        assert_int_equal(tls_session_failure(call.client),
                         shows ? TLS_FAILURE_NONE : TLS_FAILURE_ALERT);
        assert_int_equal(tls_session_facts(call.server)->has_client_certificate, shows);
        call_close(&call);
        tls_dialer_release(&dialer);
    }
    tls_context_release(&context);
}

static void T10_a_session_is_taken_up_again(void **state)
{
    (void)state;
    struct tls_context *context = serve(&certificates[GOOD], TLS_INTERMEDIATE, TLS_CLIENT_NONE);
    struct tls_dialer *dialer = dialer_of(&authority, NULL);
    struct tls_memory memory = {0};
    for (int i = 0; i < 3; i++) {
        struct call call;
        call_open(&call, context, dialer, "app.internal", &memory);
        assert_true(call_run(&call));
        assert_int_equal(tls_session_facts(call.client)->is_resumed, i > 0);
        call_close(&call);
    }
    tls_memory_clear(&memory);
    tls_memory_clear(&memory);
    tls_dialer_release(&dialer);
    tls_context_release(&context);
}

static void T10_what_is_no_TLS_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        enum tls_failure expected;
    } rows[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", TLS_FAILURE_NOT_TLS},
        {"\x16\x03\x03\x00\x04nono", TLS_FAILURE_MALFORMED},
        {"\x15\x03\x03\x00\x02\x02\x28", TLS_FAILURE_ALERT},
        {"", TLS_FAILURE_CLOSED},
    };
    struct tls_dialer *dialer = dialer_of(&authority, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fds[2];
        bool ended;
        struct slice_queue in = {0}, out = {0};
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        struct tls_session *session = tls_session_dial(dialer, fds[0], "app.internal", NULL);
        assert_int_equal(tls_session_wants(session, true, false), EPOLLOUT);
        slice_queue_append(&out, SPAN("secret"));
        assert_int_equal(tls_session_write(session, &out), 0);
        size_t length = rows[i].said[0] == 0x16   ? 9
                        : rows[i].said[0] == 0x15 ? 7
                                                  : strlen(rows[i].said);
        assert_int_equal(write(fds[1], rows[i].said, length), length);
        shutdown(fds[1], SHUT_WR);
        assert_true(tls_session_read(session, &in, 1 << 16, &ended) < 0);
        if (tls_session_failure(session) != rows[i].expected)
            fail_msg("row %zu: %s", i, tls_failure_text(tls_session_failure(session)));
        assert_int_equal(out.bytes, 6);
        tls_session_free(&session);
        slice_queue_clear(&in);
        slice_queue_clear(&out);
        close(fds[0]);
        close(fds[1]);
    }
    tls_dialer_release(&dialer);
}

static void T10_bad_settings_of_a_dialer_are_refused_with_a_sentence(void **state)
{
    (void)state;
    const char *const authorities[] = {
        "", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    for (size_t i = 0; i < sizeof authorities / sizeof *authorities; i++) {
        const struct tls_dialer_settings settings = {.authorities = span_text(authorities[i])};
        struct text why = {0};
        assert_null(tls_dialer_new(&settings, &why));
        assert_non_null(strstr(why.data, "authorities"));
        text_clear(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T10_a_server_is_believed_for_its_certificate_alone),
        cmocka_unit_test(T10_the_server_is_told_the_name_and_asked_for_http_1),
        cmocka_unit_test(T10_a_server_that_wants_a_certificate_gets_ours),
        cmocka_unit_test(T10_a_session_is_taken_up_again),
        cmocka_unit_test(T10_what_is_no_TLS_is_told),
        cmocka_unit_test(T10_bad_settings_of_a_dialer_are_refused_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, make_all, clear_all);
}
