/* SPDX-License-Identifier: Apache-2.0
 *
 * ECN bits and segment sizes through the kernel, over loopback.
 */
#include "../families.h"
#include "link/driver.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

enum { PACKET = 1200, PACKETS = 4 };

static int loopback_socket(uint8_t family, struct address *address)
{
    *address = (struct address){.family = family};
    if (family == 4)
        memcpy(address->bytes, "\x7f\0\0\1", 4);
    else
        address->bytes[15] = 1;
    int fd;
    assert_int_equal(socket_bind_udp(address, 0, &fd), 0);
    assert_int_equal(socket_local(fd, address), 0);
    ancillary_enable(fd, family, true);
    return fd;
}

static void send_marked(int fd, const struct address *to, uint32_t length, uint16_t segment,
                        uint8_t ecn)
{
    static uint8_t bytes[PACKET * PACKETS];
    struct sockaddr_storage name;
    union ancillary space;
    struct iovec vector = {bytes, length};
    struct msghdr header = {.msg_name = &name, .msg_iov = &vector, .msg_iovlen = 1};
    address_to_sockaddr(to, &name, &header.msg_namelen);
    ancillary_write(&header, &space, to->family, segment, ecn);
    assert_int_equal(sendmsg(fd, &header, 0), length);
}

static struct transport_datagram receive(int fd)
{
    static uint8_t bytes[65536];
    union ancillary space;
    struct iovec vector = {bytes, sizeof bytes};
    struct msghdr header = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof space};
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 5000), 1);
    ssize_t got = recvmsg(fd, &header, 0);
    assert_true(got > 0);
    struct transport_datagram datagram = {.data = bytes, .length = (uint32_t)got};
    ancillary_read(&header, &datagram);
    return datagram;
}

static void check_family(uint8_t family)
{
    struct address here, there;
    int from = loopback_socket(family, &here), to = loopback_socket(family, &there);
    for (uint8_t ecn = 0; ecn < 4; ecn++) {
        send_marked(from, &there, PACKET, 0, ecn);
        struct transport_datagram datagram = receive(to);
        assert_int_equal(datagram.ecn, ecn);
        assert_int_equal(datagram.length, PACKET);
        /* A batch, whether GRO joins it again or not. */
        send_marked(from, &there, PACKET * PACKETS - 7, PACKET, ecn);
        for (uint32_t left = PACKET * PACKETS - 7; left; left -= datagram.length) {
            datagram = receive(to);
            assert_int_equal(datagram.ecn, ecn);
            if (datagram.length > PACKET)
                assert_int_equal(datagram.segment_bytes, PACKET);
        }
    }
    close(from);
    close(to);
}

static void T8_ecn_bits_cross_the_kernel_with_batches(void **state)
{
    (void)state;
    check_family(4);
    if (families() > 1)
        check_family(6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T8_ecn_bits_cross_the_kernel_with_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
