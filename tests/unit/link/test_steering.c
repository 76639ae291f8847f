/* SPDX-License-Identifier: Apache-2.0
 *
 * Receiver indexes, and the kernel's delivery of packets to the worker that an index names.
 */
#include "link/steering.h"

#include "base/bytes.h"
#include "loop/loop.h"
#include "transport/transport.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static void T1_an_index_names_worker_generation_and_slot(void **state)
{
    (void)state;
    static const uint32_t workers[] = {0, 1, 513, 1023}, slots[] = {0, 1, 8191, 16383};
    for (size_t w = 0; w < 4; w++)
        for (uint32_t generation = 0; generation < 4; generation++)
            for (size_t s = 0; s < 4; s++) {
                uint32_t index = index_pack(workers[w], generation, slots[s]);
                assert_int_equal(index >> 22, workers[w]);
                assert_int_equal(index % TRANSPORT_SESSIONS_PER_LANE, 0);
                /* whatever session of the lane it is for */
                index += TRANSPORT_SESSIONS_PER_LANE - 1;
                assert_int_equal(index_generation(index), generation);
                assert_int_equal(index_slot(index), slots[s]);
                assert_int_equal(index >> 22, workers[w]);
            }
}

enum { WORKERS = 3 };

struct group {
    int fds[WORKERS];
    struct address at;
    int sender;
};

static void open_group(struct group *group, uint8_t family)
{
    group->at = family == 6 ? (struct address){.bytes = {[15] = 1}, .family = 6}
                            : (struct address){.bytes = {127, 0, 0, 1}, .family = 4};
    struct address any = {.family = family};
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(socket_bind_udp(&group->at, SOCKET_REUSEPORT, &group->fds[i]), 0);
        if (i == 0)
            assert_int_equal(socket_local(group->fds[0], &group->at), 0);
    }
    assert_int_equal(socket_bind_udp(&any, 0, &group->sender), 0);
}

static void close_group(struct group *group)
{
    for (int i = 0; i < WORKERS; i++)
        close(group->fds[i]);
    close(group->sender);
}

/* Which worker's socket gets it. */
static int delivered_to(struct group *group, const uint8_t *packet, size_t length)
{
    struct sockaddr_storage to;
    unsigned to_length;
    address_to_sockaddr(&group->at, &to, &to_length);
    assert_int_equal(sendto(group->sender, packet, length, 0, (struct sockaddr *)&to, to_length),
                     length);
    struct pollfd polled[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        polled[i] = (struct pollfd){.fd = group->fds[i], .events = POLLIN};
    assert_int_equal(poll(polled, WORKERS, 5000), 1);
    for (int i = 0; i < WORKERS; i++)
        if (polled[i].revents) {
            assert_int_equal(recv(group->fds[i], &(uint8_t[64]){0}, 64, 0), length);
            return i;
        }
    return -1;
}

static void steer_of_family(uint8_t family)
{
    struct group group;
    open_group(&group, family);
    assert_int_equal(steering_attach(group.fds[0], WORKERS), 0);
    uint8_t packet[32] = {0x10};
    for (uint32_t worker = 0; worker < WORKERS; worker++)
        for (uint32_t slot = 0; slot < 100; slot += 33) {
            uint32_t index;
            store_u32(packet + 8, index_pack(worker, slot % 4, slot) + slot % 64);
            assert_int_equal(transport_packet_kind(span_of(packet, sizeof packet), &index),
                             TRANSPORT_PACKET_INDEXED);
            assert_int_equal(index_slot(index), slot);
            assert_int_equal(delivered_to(&group, packet, sizeof packet), (int)worker);
        }
    /* A worker that does not exist is still somebody; what is short or no DATA goes somewhere. */
    store_u32(packet + 8, index_pack(WORKERS + 1, 0, 0));
    assert_int_equal(delivered_to(&group, packet, sizeof packet), 1);
    assert_in_range(delivered_to(&group, packet, 11), 0, WORKERS - 1);
    assert_in_range(delivered_to(&group, packet, 1), 0, WORKERS - 1);
    packet[0] = 0x20;
    assert_in_range(delivered_to(&group, packet, sizeof packet), 0, WORKERS - 1);
    close_group(&group);
}

static void T1_the_kernel_delivers_to_the_worker_of_the_index_ipv4(void **state)
{
    (void)state;
    steer_of_family(4);
}

static void T1_the_kernel_delivers_to_the_worker_of_the_index_ipv6(void **state)
{
    struct address loopback6 = {.bytes = {[15] = 1}, .family = 6};
    int fd;
    (void)state;
    if (socket_bind_udp(&loopback6, 0, &fd) < 0)
        skip(); /* a machine without IPv6 */
    close(fd);
    steer_of_family(6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T1_an_index_names_worker_generation_and_slot),
        cmocka_unit_test(T1_the_kernel_delivers_to_the_worker_of_the_index_ipv4),
        cmocka_unit_test(T1_the_kernel_delivers_to_the_worker_of_the_index_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
