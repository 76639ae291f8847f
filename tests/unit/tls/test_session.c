/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions against OpenSSL's client: whose certificate, which version and protocol, bytes both ways, ends, refusals.
 */
#include "fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

static struct pem authority, of_shop_rsa, of_shop_ec, of_blog, of_client, stranger;
static struct tls_certificate *shop[2], *blog[1];
static struct tls_shared *shared;
static SSL_CTX *client;

static int make_all(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    pem_make(&authority, KEY_EC, "", NULL, -DAY_S, 10 * DAY_S);
    pem_make(&of_shop_rsa, KEY_RSA, "DNS:shop.example,DNS:*.shop.example", &authority, -DAY_S,
             10 * DAY_S);
    pem_make(&of_shop_ec, KEY_EC, "DNS:shop.example,DNS:*.shop.example", &authority, -DAY_S,
             10 * DAY_S);
    pem_make(&of_blog, KEY_EC, "DNS:blog.example,DNS:api.shop.example", &authority, -DAY_S,
             10 * DAY_S);
    pem_make(&of_client, KEY_EC, "DNS:somebody", &authority, -DAY_S, 10 * DAY_S);
    pem_make(&stranger, KEY_EC, "DNS:somebody", NULL, -DAY_S, 10 * DAY_S);
    shop[0] = pem_read(&of_shop_rsa);
    shop[1] = pem_read(&of_shop_ec);
    blog[0] = pem_read(&of_blog);
    shared = tls_shared_new(NOW_S);
    client = client_new();
    return 0;
}

static int clear_all(void **state)
{
    (void)state;
    SSL_CTX_free(client);
    tls_shared_free(&shared);
    tls_certificate_release(&shop[0]);
    tls_certificate_release(&shop[1]);
    tls_certificate_release(&blog[0]);
    pem_clear(&authority);
    pem_clear(&of_shop_rsa);
    pem_clear(&of_shop_ec);
    pem_clear(&of_blog);
    pem_clear(&of_client);
    pem_clear(&stranger);
    return 0;
}

static struct tls_context *make_context(enum tls_profile profile, size_t default_site,
                                        enum tls_client blog_client)
{
    static const char *const shop_hosts[] = {"shop.example", "*.shop.example"};
    static const char *const blog_hosts[] = {"blog.example"};
    struct tls_site sites[] = {{"shop", shop_hosts, 2, shop, 2, TLS_CLIENT_NONE, {0}},
                               {"blog", blog_hosts, 1, blog, 1, blog_client,
                                span_text(authority.certificate)}};
    struct tls_settings settings = {profile, sites, 2, default_site};
    struct text why = {0};
    struct tls_context *context = tls_context_new(&settings, shared, &why);
    assert_non_null(context);
    return context;
}

static void R13_certificates_are_chosen_by_name(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_INTERMEDIATE, 1, TLS_CLIENT_NONE);
    const struct {
        const char *asked, *first_name;
        const char *covered, *uncovered;
    } rows[] = {
        {"shop.example", "shop.example", "www.shop.example", "blog.example"},
        {"WWW.Shop.Example", "shop.example", "shop.example", "a.www.shop.example"},
        {"api.shop.example", "blog.example", "blog.example",
         "shop.example"}, /* exact before wildcard */
        {"blog.example", "blog.example", "api.shop.example", "www.shop.example"},
        {"a.b.shop.example", "blog.example", "blog.example", "a.b.shop.example"},
        {"unknown.example", "blog.example", "blog.example", "unknown.example"},
        {NULL, "blog.example", "blog.example", "shop.example"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pair pair;
        char name[TLS_NAME_BYTES];
        pair_open(&pair, context, client, rows[i].asked, NULL, TLS_HTTP_1);
        assert_true(pair_handshake(&pair));
        assert_string_equal(pair_subject(&pair, name), rows[i].first_name);
        assert_true(tls_session_covers(pair.session, span_text(rows[i].covered)));
        assert_false(tls_session_covers(pair.session, span_text(rows[i].uncovered)));
        pair_close(&pair);
    }
    tls_context_release(&context);
}

static void R13_unknown_names_are_refused_where_that_is_set(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_MODERN, SIZE_MAX, TLS_CLIENT_NONE);
    const char *const names[] = {"unknown.example", NULL};
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        pair_open(&pair, context, client, names[i], NULL, TLS_HTTP_1);
        assert_false(pair_handshake(&pair));
        assert_int_equal(tls_session_failure(pair.session), TLS_FAILURE_NAME);
        SSL_do_handshake(pair.client);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_UNRECOGNIZED_NAME);
        pair_close(&pair);
    }
    tls_context_release(&context);
}

static void R13_versions_and_ciphers_of_the_profiles(void **state)
{
    (void)state;
    struct tls_context *modern = make_context(TLS_MODERN, 0, TLS_CLIENT_NONE);
    struct tls_context *intermediate = make_context(TLS_INTERMEDIATE, 0, TLS_CLIENT_NONE);
    const struct {
        struct tls_context *context;
        int version;
        const char *ciphers;
        enum tls_failure failure;
        const char *is_version, *is_cipher;
    } rows[] = {
        {modern, TLS1_3_VERSION, NULL, TLS_FAILURE_NONE, "TLSv1.3", "TLS_AES_128_GCM_SHA256"},
        {modern, TLS1_2_VERSION, NULL, TLS_FAILURE_VERSION, NULL, NULL},
        {intermediate, TLS1_3_VERSION, NULL, TLS_FAILURE_NONE, "TLSv1.3", "TLS_AES_128_GCM_SHA256"},
        {intermediate, TLS1_2_VERSION, "ALL", TLS_FAILURE_NONE, "TLSv1.2",
         "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {intermediate, TLS1_2_VERSION, "aRSA", TLS_FAILURE_NONE, "TLSv1.2",
         "ECDHE-RSA-AES128-GCM-SHA256"},
        {intermediate, TLS1_2_VERSION, "AES128-GCM-SHA256", TLS_FAILURE_CIPHER, NULL, NULL},
        {intermediate, TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA256", TLS_FAILURE_CIPHER, NULL, NULL},
        {intermediate, TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", TLS_FAILURE_CIPHER, NULL, NULL},
        {intermediate, TLS1_1_VERSION, "ALL:@SECLEVEL=0", TLS_FAILURE_VERSION, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        SSL_CTX *own = client_new();
        struct pair pair;
        SSL_CTX_set_min_proto_version(own, 0);
        SSL_CTX_set_max_proto_version(own, rows[i].version);
        if (rows[i].ciphers)
            assert_int_equal(SSL_CTX_set_cipher_list(own, rows[i].ciphers), 1);
        pair_open(&pair, rows[i].context, own, "shop.example", NULL, TLS_HTTP_1);
        assert_int_equal(pair_handshake(&pair), rows[i].failure == TLS_FAILURE_NONE);
        assert_int_equal(tls_session_failure(pair.session), rows[i].failure);
        if (rows[i].is_version) {
            assert_string_equal(tls_session_facts(pair.session)->version, rows[i].is_version);
            assert_string_equal(tls_session_facts(pair.session)->cipher, rows[i].is_cipher);
            assert_string_equal(tls_session_facts(pair.session)->name, "shop.example");
        }
        pair_close(&pair);
        SSL_CTX_free(own);
    }
    tls_context_release(&modern);
    tls_context_release(&intermediate);
}

static void R13_protocols_are_those_that_are_offered(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_MODERN, 0, TLS_CLIENT_NONE);
    const struct {
        const char *asked;
        unsigned offered, agreed; /* 0: refused */
    } rows[] = {{NULL, TLS_HTTP_1 | TLS_HTTP_2, TLS_HTTP_1},
                {"\2h2\10http/1.1", TLS_HTTP_1 | TLS_HTTP_2, TLS_HTTP_2},
                {"\10http/1.1\2h2", TLS_HTTP_1 | TLS_HTTP_2, TLS_HTTP_2},
                {"\2h2\10http/1.1", TLS_HTTP_1, TLS_HTTP_1},
                {"\2h2", TLS_HTTP_1, 0},
                {"\3dot", TLS_HTTP_1 | TLS_HTTP_2, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pair pair;
        pair_open(&pair, context, client, "shop.example", NULL, rows[i].offered);
        if (rows[i].asked)
            SSL_set_alpn_protos(pair.client, (const uint8_t *)rows[i].asked,
                                (unsigned)strlen(rows[i].asked));
        assert_int_equal(pair_handshake(&pair), rows[i].agreed != 0);
        if (rows[i].agreed)
            assert_int_equal(tls_session_facts(pair.session)->protocol, rows[i].agreed);
        else
            assert_int_equal(tls_session_failure(pair.session), TLS_FAILURE_PROTOCOL);
        pair_close(&pair);
    }
    tls_context_release(&context);
}

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 31 >> 3);
}

/* Pieces of `sizes`, again and again. */
static void fill(struct slice_queue *queue, size_t bytes, const uint32_t sizes[2])
{
    for (size_t at = 0, i = 0, length; at < bytes; at += length, i++) {
        length = bytes - at < sizes[i % 2] ? bytes - at : sizes[i % 2];
        struct chunk *chunk = chunk_new_sized((uint32_t)length);
        for (size_t k = 0; k < length; k++)
            chunk->data[k] = byte_at(at + k);
        chunk->filled = (uint32_t)length;
        slice_queue_push(queue, (struct slice){chunk, 0, (uint32_t)length});
    }
}

/* The socket takes little at a time: nothing is lost or doubled, however the answer is cut, and no byte is told to be sent that the client
 * could not have. */
static void R13_answers_arrive_whole(void **state)
{
    (void)state;
    enum { BYTES = 1000000, UNDER_WAY_MOST = 1 << 15 };
    static const struct {
        uint32_t sizes[2]; /* of the pieces */
        int room;          /* of the socket; 0: as it is */
        uint8_t fragment;  /* the client wants so small records (RFC 6066) */
        bool updates;      /* it changes keys, and wants us to */
    } rows[] = {
        {{777, 777}, 4096, 0, false},
        {{1, 1000}, 4096, 0, true},
        {{300, 65236}, 4096, 0, false},
        {{9, 16375}, 4096, 0, false},
        {{300, 16384}, 4096, 0, true},
        {{65536, 65536}, 4096, 0, false},
        {{10000, 20000}, 4096, TLSEXT_max_fragment_length_512, false},
        {{300, 65236}, 0, 0, true},
        {{20000, 500000}, 0, TLSEXT_max_fragment_length_4096, false},
    };
    struct tls_context *context = make_context(TLS_MODERN, 0, TLS_CLIENT_NONE);
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct pair pair;
        pair_open(&pair, context, client, "shop.example", NULL, TLS_HTTP_1);
        if (rows[row].room)
            setsockopt(pair.fds[0], SOL_SOCKET, SO_SNDBUF, &rows[row].room, sizeof(int));
        if (rows[row].fragment)
            assert_true(SSL_set_tlsext_max_fragment_length(pair.client, rows[row].fragment));
        assert_true(pair_handshake(&pair));
        fill(&pair.out, BYTES, rows[row].sizes);
        size_t got = 0, sent_all = 0, refusals = 0, turn = 0;
        while (got < BYTES) {
            uint8_t block[5000];
            uint64_t before = pair.out.bytes;
            int sent = tls_session_write(pair.session, &pair.out);
            assert_true(sent >= 0 && before - pair.out.bytes == (uint64_t)sent);
            sent_all += (size_t)sent;
            if (rows[row].room)
                assert_in_range(sent_all, got, got + UNDER_WAY_MOST);
            if (pair.out.bytes) {
                refusals++;
                assert_int_equal(tls_session_wants(pair.session, false, true), EPOLLOUT);
            }
            if (rows[row].updates && ++turn % 8 == 0) {
                SSL_key_update(pair.client, SSL_KEY_UPDATE_REQUESTED);
                SSL_do_handshake(pair.client);
                assert_true(tls_session_read(pair.session, &pair.in, 1000, &pair.ended) >= 0);
            }
            int length = SSL_read(pair.client, block, sizeof block);
            for (int i = 0; i < length; i++)
                assert_int_equal(block[i], byte_at(got + (size_t)i));
            got += length > 0 ? (size_t)length : 0; /* or a record is not whole yet */
            ERR_clear_error();
        }
        assert_true(refusals > (rows[row].room ? 10 : 0));
        assert_int_equal(pair.out.bytes, 0);
        pair_close(&pair);
    }
    tls_context_release(&context);
}

/* A limit leaves the rest where it is, and says so, since the socket will not. */
static void R13_requests_arrive_within_the_limit(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_MODERN, 0, TLS_CLIENT_NONE);
    struct pair pair;
    bool ended;
    pair_open(&pair, context, client, "shop.example", NULL, TLS_HTTP_1);
    assert_int_equal(tls_session_wants(pair.session, true, true), EPOLLIN);
    assert_true(pair_handshake(&pair));
    uint8_t sent[3000];
    memset(sent, 'x', sizeof sent);
    for (int i = 0; i < 10; i++)
        assert_int_equal(SSL_write(pair.client, sent, sizeof sent), sizeof sent);
    assert_int_equal(tls_session_read(pair.session, &pair.in, 1000, &ended), 1000);
    assert_true(tls_session_has_pending(pair.session));
    assert_int_equal(tls_session_read(pair.session, &pair.in, 20000, &ended), 20000);
    assert_true(tls_session_has_pending(pair.session));
    assert_int_equal(tls_session_read(pair.session, &pair.in, 20000, &ended), 9000);
    assert_false(tls_session_has_pending(pair.session));
    assert_int_equal(tls_session_read(pair.session, &pair.in, 20000, &ended), 0);
    assert_false(ended);
    assert_int_equal(pair.in.bytes, 30000);
    assert_int_equal(tls_session_wants(pair.session, true, false), EPOLLIN);
    pair_close(&pair);
    tls_context_release(&context);
}

static void R13_an_end_is_told_from_a_truncation(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_INTERMEDIATE, 0, TLS_CLIENT_NONE);
    for (int is_told = 0; is_told < 2; is_told++) {
        struct pair pair;
        bool ended;
        pair_open(&pair, context, client, "shop.example", NULL, TLS_HTTP_1);
        assert_true(pair_handshake(&pair));
        assert_int_equal(SSL_write(pair.client, "last", 4), 4);
        if (is_told)
            SSL_shutdown(pair.client);
        close(pair.fds[1]);
        pair.fds[1] = -1;
        assert_int_equal(tls_session_read(pair.session, &pair.in, 100, &ended), 4);
        assert_int_equal(ended, is_told);
        assert_int_equal(tls_session_read(pair.session, &pair.in, 100, &ended),
                         is_told ? 0 : ERROR_RESET);
        assert_int_equal(ended, is_told);
        pair_close(&pair);
    }
    tls_context_release(&context);
}

/* The first request comes along with the end of the handshake, and the connection's end with both. */
static void R13_a_hasty_client_was_there(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_MODERN, 0, TLS_CLIENT_NONE);
    struct pair pair;
    bool ended;
    pair_open(&pair, context, client, "shop.example", NULL, TLS_HTTP_1);
    while (SSL_do_handshake(pair.client) != 1) {
        ERR_clear_error();
        pair_move(&pair);
    }
    assert_false(tls_session_is_open(pair.session));
    assert_int_equal(SSL_write(pair.client, "all", 3), 3);
    close(pair.fds[1]);
    pair.fds[1] = -1;
    assert_int_equal(tls_session_read(pair.session, &pair.in, 100, &ended), 3);
    assert_true(tls_session_is_open(pair.session));
    assert_int_equal(tls_session_failure(pair.session), TLS_FAILURE_NONE);
    assert_string_equal(tls_session_facts(pair.session)->version, "TLSv1.3");
    pair_close(&pair);
    tls_context_release(&context);
}

static void R13_our_end_is_told(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_MODERN, 0, TLS_CLIENT_NONE);
    struct pair pair;
    char byte;
    pair_open(&pair, context, client, "shop.example", NULL, TLS_HTTP_1);
    assert_int_equal(tls_session_shut(pair.session), 0); /* nothing to say yet */
    assert_true(pair_handshake(&pair));
    slice_queue_append(&pair.out, SPAN("bye"));
    pair_move(&pair);
    assert_int_equal(tls_session_shut(pair.session), 0);
    char got[3];
    assert_int_equal(SSL_read(pair.client, got, 3), 3);
    int returned = SSL_read(pair.client, &byte, 1);
    assert_int_equal(SSL_get_error(pair.client, returned), SSL_ERROR_ZERO_RETURN);
    /* What the client says then still comes in. */
    assert_int_equal(SSL_write(pair.client, "late", 4), 4);
    pair_move(&pair);
    assert_int_equal(pair.in.bytes, 4);
    pair_close(&pair);
    tls_context_release(&context);
}

static void R13_what_is_no_tls_is_refused(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_INTERMEDIATE, 0, TLS_CLIENT_NONE);
    const struct {
        const char *sent;
        bool closes;
        int result;
        enum tls_failure failure;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", false, ERROR_IO, TLS_FAILURE_NOT_TLS},
        {"\x16\x03\x01", true, ERROR_RESET, TLS_FAILURE_CLOSED},
        {"", true, ERROR_RESET, TLS_FAILURE_CLOSED},
        {"\x16\x03\x01", false, 0, TLS_FAILURE_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pair pair;
        bool ended;
        pair_open(&pair, context, client, NULL, NULL, TLS_HTTP_1);
        assert_int_equal(write(pair.fds[1], rows[i].sent, strlen(rows[i].sent)),
                         strlen(rows[i].sent));
        if (rows[i].closes)
            shutdown(pair.fds[1], SHUT_WR);
        assert_int_equal(tls_session_read(pair.session, &pair.in, 100, &ended), rows[i].result);
        assert_int_equal(tls_session_failure(pair.session), rows[i].failure);
        if (rows[i].result < 0) {
            slice_queue_append(&pair.out, SPAN("never"));
            assert_int_equal(tls_session_write(pair.session, &pair.out), rows[i].result);
        }
        pair_close(&pair);
    }
    tls_context_release(&context);
}

static void R13_clients_have_certificates(void **state)
{
    (void)state;
    const struct {
        enum tls_client mode;
        const struct pem *shown;
        bool is_let_in, is_known;
    } rows[] = {
        {TLS_CLIENT_NONE, &of_client, true, false},
        {TLS_CLIENT_OPTIONAL, NULL, true, false},
        {TLS_CLIENT_OPTIONAL, &of_client, true, true},
        {TLS_CLIENT_OPTIONAL, &stranger, false, false},
        {TLS_CLIENT_REQUIRED, NULL, false, false},
        {TLS_CLIENT_REQUIRED, &of_client, true, true},
        {TLS_CLIENT_REQUIRED, &stranger, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tls_context *context = make_context(TLS_INTERMEDIATE, 0, rows[i].mode);
        struct pair pair;
        pair_open(&pair, context, client, "blog.example", NULL, TLS_HTTP_1);
        if (rows[i].shown) {
            SSL_use_certificate(pair.client, rows[i].shown->leaf);
            SSL_use_PrivateKey(pair.client, rows[i].shown->secret);
        }
        assert_int_equal(pair_handshake(&pair), rows[i].is_let_in);
        if (rows[i].is_let_in) {
            const struct tls_facts *facts = tls_session_facts(pair.session);
            uint8_t digest[32];
            assert_int_equal(facts->has_client_certificate, rows[i].is_known);
            X509_digest(of_client.leaf, EVP_sha256(), digest, NULL);
            if (rows[i].is_known)
                assert_memory_equal(facts->client_fingerprint, digest, sizeof digest);
        } else {
            assert_int_equal(tls_session_failure(pair.session), TLS_FAILURE_CLIENT_CERTIFICATE);
        }
        pair_close(&pair);
        tls_context_release(&context);
    }
}

/* Who came in at a site that asks for nothing does not get to one that does. */
static void R13_sites_with_client_certificates_are_not_entered_sideways(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_MODERN, 0, TLS_CLIENT_OPTIONAL);
    const char *const names[] = {"api.shop.example", "blog.example"};
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        pair_open(&pair, context, client, names[i], NULL, TLS_HTTP_1);
        assert_true(pair_handshake(&pair));
        assert_int_equal(tls_session_covers(pair.session, SPAN("blog.example")), i == 1);
        for (int k = 0; k < 2; k++) { /* what it remembers lets nobody else in */
            assert_true(tls_session_covers(pair.session, SPAN("api.shop.example")));
            assert_int_equal(tls_session_covers(pair.session, SPAN("blog.example")), i == 1);
            assert_false(tls_session_covers(pair.session, SPAN("elsewhere.example")));
        }
        pair_close(&pair);
    }
    tls_context_release(&context);
}

static void R13_staples_go_with_their_certificate_until_they_expire(void **state)
{
    (void)state;
    struct tls_shared *clock = tls_shared_new((uint64_t)time(NULL));
    struct tls_certificate *certificate = pem_read(&of_blog);
    static const char *const hosts[] = {"blog.example"};
    struct tls_site site = {"blog", hosts, 1, &certificate, 1, TLS_CLIENT_NONE, {0}};
    struct tls_settings settings = {TLS_MODERN, &site, 1, 0};
    size_t bytes;
    uint8_t *ocsp = ocsp_make(&of_blog, &authority, true, DAY_S, &bytes);
    struct text why = {0};
    assert_int_equal(tls_certificate_staple(certificate, span_of(ocsp, bytes), 0, &why), 0);
    struct tls_context *context = tls_context_new(&settings, clock, &why);
    for (int i = 0; i < 2; i++) {
        struct pair pair;
        const uint8_t *got = NULL;
        pair_open(&pair, context, client, "blog.example", NULL, TLS_HTTP_1);
        SSL_set_tlsext_status_type(pair.client, TLSEXT_STATUSTYPE_ocsp);
        assert_true(pair_handshake(&pair));
        long length = SSL_get_tlsext_status_ocsp_resp(pair.client, &got);
        if (i == 0) {
            assert_int_equal(length, bytes);
            assert_memory_equal(got, ocsp, bytes);
        } else {
            assert_null(got);
        }
        pair_close(&pair);
        tls_shared_tick(clock, (uint64_t)time(NULL) + 2 * DAY_S);
    }
    OPENSSL_free(ocsp);
    tls_context_release(&context);
    tls_certificate_release(&certificate);
    tls_shared_free(&clock);
}

static void R13_a_session_outlives_its_context(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_MODERN, 0, TLS_CLIENT_NONE);
    struct pair pair;
    pair_open(&pair, context, client, "shop.example", NULL, TLS_HTTP_1);
    tls_context_release(&context);
    assert_true(pair_handshake(&pair));
    assert_true(tls_session_covers(pair.session, SPAN("shop.example")));
    pair_close(&pair);
}

static void R13_renegotiation_is_refused(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_INTERMEDIATE, 0, TLS_CLIENT_NONE);
    SSL_CTX *own = client_new();
    struct pair pair;
    SSL_CTX_set_max_proto_version(own, TLS1_2_VERSION);
    pair_open(&pair, context, own, "shop.example", NULL, TLS_HTTP_1);
    assert_true(pair_handshake(&pair));
    assert_int_equal(SSL_renegotiate(pair.client), 1);
    SSL_do_handshake(pair.client);
    pair_move(&pair);
    ERR_clear_error();
    assert_int_not_equal(SSL_do_handshake(pair.client), 1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    pair_close(&pair);
    SSL_CTX_free(own);
    tls_context_release(&context);
}

/* Of changes of keys that have all come already few are looked at; one for each piece of content is anybody's right. */
static void R13_floods_of_new_keys_end_the_session(void **state)
{
    (void)state;
    struct tls_context *context = make_context(TLS_MODERN, 0, TLS_CLIENT_NONE);
    struct pair pair;
    static char content[16384];
    pair_open(&pair, context, client, "shop.example", NULL, TLS_HTTP_1);
    assert_true(pair_handshake(&pair));
    for (int i = 0; i < 200; i++) {
        assert_int_equal(SSL_key_update(pair.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_write(pair.client, content, sizeof content), sizeof content);
        pair_move(&pair);
        assert_true(pair.read_result > 0);
    }
    BIO *gathered = BIO_new(BIO_s_mem());
    SSL_set0_wbio(pair.client, gathered);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(SSL_key_update(pair.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(pair.client), 1);
    }
    char *flood;
    long bytes = BIO_get_mem_data(gathered, &flood);
    assert_int_equal(write(pair.fds[1], flood, (size_t)bytes), bytes);
    pair_move(&pair);
    int left = 0;
    assert_int_equal(ioctl(pair.fds[0], FIONREAD, &left), 0);
    assert_true(left > 20000); /* of some 50000 */
    assert_true(pair.read_result < 0);
    assert_int_equal(tls_session_failure(pair.session), TLS_FAILURE_REKEYS);
    pair_close(&pair);
    tls_context_release(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R13_certificates_are_chosen_by_name),
        cmocka_unit_test(R13_unknown_names_are_refused_where_that_is_set),
        cmocka_unit_test(R13_versions_and_ciphers_of_the_profiles),
        cmocka_unit_test(R13_protocols_are_those_that_are_offered),
        cmocka_unit_test(R13_answers_arrive_whole),
        cmocka_unit_test(R13_requests_arrive_within_the_limit),
        cmocka_unit_test(R13_an_end_is_told_from_a_truncation),
        cmocka_unit_test(R13_a_hasty_client_was_there),
        cmocka_unit_test(R13_our_end_is_told),
        cmocka_unit_test(R13_what_is_no_tls_is_refused),
        cmocka_unit_test(R13_clients_have_certificates),
        cmocka_unit_test(R13_sites_with_client_certificates_are_not_entered_sideways),
        cmocka_unit_test(R13_staples_go_with_their_certificate_until_they_expire),
        cmocka_unit_test(R13_a_session_outlives_its_context),
        cmocka_unit_test(R13_renegotiation_is_refused),
        cmocka_unit_test(R13_floods_of_new_keys_end_the_session),
    };
    return cmocka_run_group_tests(tests, make_all, clear_all);
}
