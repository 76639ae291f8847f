/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS around a carriage, over a socket pair: both ends without waiting, and what is no TLS.
 */
#include "link/tls.h"

#include "base/memory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { BYTES = 3000000, STEP = 20000, ROUNDS = 100000 };

static void open_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(const int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

static void L2_bytes_arrive_as_they_were_sent(void **state)
{
    int pair[2];
    uint32_t events;
    struct link_tls *tls = link_tls_new();
    (void)state;
    assert_non_null(tls);
    open_pair(pair);
    struct link_tls_session *client = link_tls_session_new(tls, pair[0], true);
    struct link_tls_session *server = link_tls_session_new(tls, pair[1], false);
    int at_client = ERROR_AGAIN, at_server = ERROR_AGAIN;
    for (int i = 0; i < 10 && (at_client || at_server); i++) {
        at_client = link_tls_handshake(client, &events);
        at_server = link_tls_handshake(server, &events);
        assert_true((at_client == 0 || at_client == ERROR_AGAIN) &&
                    (at_server == 0 || at_server == ERROR_AGAIN));
    }
    assert_int_equal(at_client + at_server, 0);

    uint8_t *sent = memory_raw(BYTES), *got = memory_raw(BYTES);
    for (uint32_t i = 0; i < BYTES; i++)
        sent[i] = (uint8_t)(i * 2654435761u >> 24);
    uint32_t written = 0, read = 0;
    for (int i = 0; i < ROUNDS && read < BYTES; i++) {
        uint32_t left = BYTES - written;
        if (left) {
            int result =
                link_tls_write(client, span_of(sent + written, left < STEP ? left : STEP), &events);
            assert_true(result > 0 || result == ERROR_AGAIN);
            written += result > 0 ? (uint32_t)result : 0;
        }
        int result = link_tls_read(server, got + read, BYTES - read, &events);
        assert_true(result > 0 || result == ERROR_AGAIN);
        read += result > 0 ? (uint32_t)result : 0;
    }
    assert_int_equal(read, BYTES);
    assert_memory_equal(got, sent, BYTES);
    memory_free(sent);
    memory_free(got);
    link_tls_session_free(&client);
    assert_int_equal(shutdown(pair[0], SHUT_RDWR), 0);
    uint8_t byte;
    assert_int_equal(link_tls_read(server, &byte, 1, &events), ERROR_CLOSED);
    link_tls_session_free(&server);
    close_pair(pair);
    link_tls_free(&tls);
}

static void L2_what_is_no_tls_is_cut_off(void **state)
{
    static const char *const greetings[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-2.0-x\r\n",
                                            "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"};
    struct link_tls *tls = link_tls_new();
    (void)state;
    assert_non_null(tls);
    for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
        int pair[2];
        uint32_t events;
        open_pair(pair);
        struct link_tls_session *server = link_tls_session_new(tls, pair[1], false);
        assert_int_equal(link_tls_handshake(server, &events), ERROR_AGAIN);
        size_t length = i < 2 ? strlen(greetings[i]) : 10;
        assert_int_equal(write(pair[0], greetings[i], length), (ssize_t)length);
        assert_int_equal(link_tls_handshake(server, &events), ERROR_CLOSED);
        link_tls_session_free(&server);
        close_pair(pair);
    }
    link_tls_free(&tls);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L2_bytes_arrive_as_they_were_sent),
        cmocka_unit_test(L2_what_is_no_tls_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
