/* SPDX-License-Identifier: Apache-2.0
 *
 * Resumption: over contexts (a reload), hours, sites, and authorities.
 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct pem authority, other_authority, server;
static struct tls_certificate *certificate;
static SSL_CTX *client;
static SSL_SESSION *kept;

static int keep(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

static int make_all(void **state)
{
    (void)state;
    pem_make(&authority, KEY_EC, "", NULL, -DAY_S, 10 * DAY_S);
    pem_make(&other_authority, KEY_EC, "", NULL, -DAY_S, 10 * DAY_S);
    pem_make(&server, KEY_EC, "DNS:a.example,DNS:b.example", &authority, -DAY_S, 10 * DAY_S);
    certificate = pem_read(&server);
    client = client_new();
    SSL_CTX_sess_set_new_cb(client, keep);
    return 0;
}

static int clear_all(void **state)
{
    (void)state;
    SSL_SESSION_free(kept);
    SSL_CTX_free(client);
    tls_certificate_release(&certificate);
    pem_clear(&server);
    pem_clear(&authority);
    pem_clear(&other_authority);
    return 0;
}

static struct tls_context *context_of(struct tls_shared *shared, enum tls_client mode,
                                      const struct pem *authorities)
{
    static const char *const a[] = {"a.example"}, *const b[] = {"b.example"};
    struct tls_certificate *list[] = {certificate};
    struct span pem = span_text(authorities->certificate);
    struct tls_site sites[] = {{"a", a, 1, list, 1, mode, pem}, {"b", b, 1, NULL, 0, mode, pem}};
    struct tls_settings settings = {TLS_INTERMEDIATE, sites, 2, 0};
    struct text why = {0};
    struct tls_context *context = tls_context_new(&settings, shared, &why);
    assert_non_null(context);
    return context;
}

/* Whether the session that is kept was resumed; another one is kept then. */
static bool connect_to(struct tls_context *context, const char *name)
{
    struct pair pair;
    pair_open(&pair, context, client, name, kept, TLS_HTTP_1);
    assert_true(pair_handshake(&pair));
    bool is_resumed = SSL_session_reused(pair.client);
    assert_int_equal(tls_session_facts(pair.session)->is_resumed, is_resumed);
    pair_close(&pair);
    return is_resumed;
}

static void forget(void)
{
    SSL_SESSION_free(kept);
    kept = NULL;
}

static void resumes_over_reloads(int version)
{
    struct tls_shared *shared = tls_shared_new(NOW_S), *other = tls_shared_new(NOW_S);
    struct tls_context *first = context_of(shared, TLS_CLIENT_NONE, &authority);
    struct tls_context *second = context_of(shared, TLS_CLIENT_NONE, &authority);
    struct tls_context *foreign = context_of(other, TLS_CLIENT_NONE, &authority);
    forget();
    SSL_CTX_set_max_proto_version(client, version);
    assert_false(connect_to(first, "a.example"));
    assert_true(connect_to(first, "a.example"));
    assert_true(connect_to(second, "a.example"));
    assert_true(connect_to(second, "a.example"));
    assert_false(connect_to(foreign, "a.example"));
    SSL_CTX_set_max_proto_version(client, 0);
    tls_context_release(&first);
    tls_context_release(&second);
    tls_context_release(&foreign);
    tls_shared_free(&shared);
    tls_shared_free(&other);
}

static void R13_sessions_resume_over_a_reload(void **state)
{
    (void)state;
    resumes_over_reloads(TLS1_3_VERSION);
    resumes_over_reloads(TLS1_2_VERSION);
}

static void R13_keys_change_each_hour_and_two_more_are_accepted(void **state)
{
    (void)state;
    struct tls_shared *shared = tls_shared_new(NOW_S);
    struct tls_context *context = context_of(shared, TLS_CLIENT_NONE, &authority);
    for (int hours = 0; hours <= 3; hours++) {
        forget();
        assert_false(connect_to(context, "a.example"));
        for (int i = 1; i <= hours; i++)
            tls_shared_tick(shared, NOW_S + (uint64_t)(i + hours * 10) * TLS_TICKET_PERIOD_S);
        assert_int_equal(connect_to(context, "a.example"), hours < 3);
        for (int i = 0; i < 20; i++) /* as if nothing had happened for long */
            tls_shared_tick(shared, NOW_S + (uint64_t)(hours + 1) * 10 * TLS_TICKET_PERIOD_S);
    }
    tls_shared_tick(shared, NOW_S); /* a clock that is set back */
    forget();
    assert_false(connect_to(context, "a.example"));
    assert_true(connect_to(context, "a.example"));
    tls_context_release(&context);
    tls_shared_free(&shared);
}

static void R13_sessions_stay_within_their_site_and_authorities(void **state)
{
    (void)state;
    struct tls_shared *shared = tls_shared_new(NOW_S);
    struct tls_context *without = context_of(shared, TLS_CLIENT_NONE, &authority);
    struct tls_context *with = context_of(shared, TLS_CLIENT_OPTIONAL, &authority);
    struct tls_context *by_others = context_of(shared, TLS_CLIENT_OPTIONAL, &other_authority);
    forget();
    assert_false(connect_to(without, "a.example"));
    assert_false(connect_to(without, "b.example"));
    assert_false(connect_to(with, "b.example"));
    assert_true(connect_to(with, "b.example"));
    assert_false(connect_to(by_others, "b.example"));
    tls_context_release(&without);
    tls_context_release(&with);
    tls_context_release(&by_others);
    tls_shared_free(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R13_sessions_resume_over_a_reload),
        cmocka_unit_test(R13_keys_change_each_hour_and_two_more_are_accepted),
        cmocka_unit_test(R13_sessions_stay_within_their_site_and_authorities),
    };
    return cmocka_run_group_tests(tests, make_all, clear_all);
}
