/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets on loopback, IPv4 and IPv6.
 */
#include "../families.h"
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static struct address parse(const char *text)
{
    struct address address;
    assert_int_equal(address_parse_port(span_text(text), false, &address), 0);
    return address;
}

static void wait_for(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
}

static void addresses_go_there_and_back(void **state)
{
    (void)state;
    const char *texts[] = {"192.0.2.1:80", "[2001:db8::1]:443", "0.0.0.0:1", "[::]:65535"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct address address = parse(texts[i]);
        struct sockaddr_storage storage;
        unsigned length;
        address_to_sockaddr(&address, &storage, &length);
        struct address back = address_from_sockaddr(&storage);
        assert_memory_equal(&address, &back, sizeof address);
    }
}

static void tcp_listens_accepts_and_connects(void **state)
{
    (void)state;
    const char *texts[] = {"127.0.0.1:0", "[::1]:0"};
    for (size_t i = 0; i < families(); i++) {
        struct address address = parse(texts[i]), local, peer, seen;
        int listener, client, server;
        assert_int_equal(socket_listen_tcp(&address, 0, &listener), 0);
        assert_int_equal(fcntl(listener, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        assert_int_equal(fcntl(listener, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(socket_local(listener, &local), 0);
        assert_int_equal(socket_accept(listener, &peer, &server), ERROR_AGAIN);
        assert_int_equal(socket_connect_tcp(&local, &client), 0);
        wait_for(client, POLLOUT);
        assert_int_equal(socket_error(client), 0);
        wait_for(listener, POLLIN);
        assert_int_equal(socket_accept(listener, &peer, &server), 0);
        assert_int_equal(fcntl(server, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        assert_int_equal(socket_local(client, &seen), 0);
        assert_true(address_equal(&peer, &seen));
        assert_int_equal(socket_peer(client, &seen), 0);
        assert_true(address_equal(&local, &seen));

        socket_set_reset_on_close(server);
        close(server);
        wait_for(client, POLLIN);
        char byte;
        assert_int_equal(read(client, &byte, 1), -1);
        assert_int_equal(errno, ECONNRESET);
        close(client);
        close(listener);

        int result = socket_connect_tcp(&local, &client); /* nobody there now */
        if (result == 0) {
            wait_for(client, POLLOUT);
            assert_int_equal(socket_error(client), ECONNREFUSED);
            close(client);
        } else {
            assert_int_equal(result, ERROR_UNREACHABLE);
        }
    }
}

static void an_address_is_bound_twice_only_with_reuseport(void **state)
{
    (void)state;
    struct address any = parse("127.0.0.1:0"), tcp, udp;
    int fds[2], one;
    assert_int_equal(socket_listen_tcp(&any, SOCKET_REUSEPORT, &fds[0]), 0);
    assert_int_equal(socket_local(fds[0], &tcp), 0);
    assert_int_equal(socket_listen_tcp(&tcp, SOCKET_REUSEPORT, &fds[1]), 0);
    assert_int_equal(socket_listen_tcp(&tcp, 0, &one), ERROR_IO);
    assert_int_equal(errno, EADDRINUSE);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(socket_bind_udp(&any, SOCKET_REUSEPORT, &fds[0]), 0);
    assert_int_equal(socket_local(fds[0], &udp), 0);
    assert_int_equal(socket_bind_udp(&udp, SOCKET_REUSEPORT, &fds[1]), 0);
    assert_int_equal(socket_bind_udp(&udp, 0, &one), ERROR_IO);
    close(fds[0]);
    close(fds[1]);
}

static void both_families_share_a_port(void **state)
{
    (void)state;
    struct address any4 = parse("0.0.0.0:0"), any6 = parse("[::]:0"), local;
    int fds[2];
    assert_int_equal(socket_listen_tcp(&any4, 0, &fds[0]), 0);
    assert_int_equal(socket_local(fds[0], &local), 0);
    any6.port = local.port;
    assert_int_equal(socket_listen_tcp(&any6, 0, &fds[1]), 0);
    close(fds[0]);
    close(fds[1]);
}

static void buffers_say_what_was_given(void **state)
{
    (void)state;
    struct address any = parse("127.0.0.1:0");
    int fd;
    assert_int_equal(socket_bind_udp(&any, 0, &fd), 0);
    struct socket_buffers given = socket_force_buffers(fd, 150000);
    assert_int_equal(given.receive_bytes, 150000);
    assert_int_equal(given.send_bytes, 150000);
    close(fd);
}

/* A supervisor that runs as root gives them, a child that does not asks for them again. */
static void buffers_that_were_forced_are_kept_without_the_right_to(void **state)
{
    enum { FORCED = 64 << 20, NOBODY = 65534 };
    (void)state;
    struct address any = parse("127.0.0.1:0");
    int fd;
    assert_int_equal(socket_bind_udp(&any, 0, &fd), 0);
    if (geteuid() != 0 || socket_force_buffers(fd, FORCED).receive_bytes != FORCED) {
        close(fd);
        skip(); /* only root may force them, and only then is there something to keep */
    }
    assert_int_equal(seteuid(NOBODY), 0);
    struct socket_buffers same = socket_force_buffers(fd, FORCED);
    struct socket_buffers less = socket_force_buffers(fd, FORCED / 2);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(same.receive_bytes, FORCED);
    assert_int_equal(same.send_bytes, FORCED);
    assert_int_equal(less.receive_bytes, FORCED);
    close(fd);
}

static uint8_t pattern(uint64_t offset)
{
    return (uint8_t)(offset * 31 + offset / CHUNK_BYTES);
}

/* Reads of one chunk, of several, cut by the limit, or by what is there: nothing is lost, moved or read too much. */
static void reads_keep_order_and_limit(void **state)
{
    (void)state;
    enum { MOST = 6 * CHUNK_BYTES + 100 };
    const uint32_t sizes[] = {
        1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7, MOST};
    const uint32_t limits[] = {10, CHUNK_BYTES, 2 * CHUNK_BYTES + 5, 4 * CHUNK_BYTES, 2 * MOST};
    static uint8_t sent[MOST], got[MOST];
    for (uint64_t i = 0; i < MOST; i++)
        sent[i] = pattern(i);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
            int ends[2];
            struct slice_queue bytes = {0};
            bool ended = false;
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
            socket_force_buffers(ends[0], 4 * MOST);
            assert_int_equal(write(ends[0], sent, sizes[i]), sizes[i]);
            close(ends[0]);
            for (uint64_t before = 0; before < sizes[i]; before = bytes.bytes) {
                uint64_t left = sizes[i] - before;
                int count = socket_read(ends[1], &bytes, limits[k], &ended);
                assert_int_equal(count, bytes.bytes - before);
                assert_in_range(count, 1, limits[k] < left ? limits[k] : left);
            }
            if (!ended)
                assert_int_equal(socket_read(ends[1], &bytes, limits[k], &ended), 0);
            assert_true(ended);
            assert_int_equal(slice_queue_peek(&bytes, 0, got, MOST), sizes[i]);
            assert_memory_equal(got, sent, sizes[i]);
            slice_queue_clear(&bytes);
            close(ends[1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_go_there_and_back),
        cmocka_unit_test(tcp_listens_accepts_and_connects),
        cmocka_unit_test(an_address_is_bound_twice_only_with_reuseport),
        cmocka_unit_test(both_families_share_a_port),
        cmocka_unit_test(buffers_say_what_was_given),
        cmocka_unit_test(buffers_that_were_forced_are_kept_without_the_right_to),
        cmocka_unit_test(reads_keep_order_and_limit),
    };
    return cmocka_run_group_tests_name("loop/socket", tests, NULL, NULL);
}
