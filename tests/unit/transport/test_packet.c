/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/packet.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static void header_is_written_as_specified(void **state)
{
    (void)state;
    /* docs/protocol/transport.md, "Test vectors" */
    static const struct {
        struct packet_header header;
        uint8_t wire[PACKET_HEADER_BYTES];
    } cases[] = {
        {{0, 0, 0, 0}, {0x10}},
        {{1, 0, 0x00412345, 7}, {0x14, 0, 0, 0, 0, 0, 0, 7, 0x00, 0x41, 0x23, 0x45}},
        {{3, 0xfe, 0xffffffff, PACKET_NUMBER_MAX},
         {0x1c, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
        {{2, 1, 0x01020304, 0x0a0b0c0d0e0full},
         {0x18, 1, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 1, 2, 3, 4}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t packet[PACKET_OVERHEAD_BYTES] = {0};
        packet_header_write(&cases[i].header, packet);
        assert_memory_equal(packet, cases[i].wire, PACKET_HEADER_BYTES);
        struct packet_header read;
        assert_int_equal(packet_header_read(span_of(packet, sizeof packet), &read), 0);
        assert_int_equal(read.phase, cases[i].header.phase);
        assert_int_equal(read.path, cases[i].header.path);
        assert_int_equal(read.index, cases[i].header.index);
        assert_true(read.number == cases[i].header.number);
    }
}

static void other_packets_are_refused(void **state)
{
    (void)state;
    uint8_t packet[PACKET_OVERHEAD_BYTES] = {0x10};
    struct packet_header header;
    for (size_t length = 0; length < sizeof packet; length++)
        assert_int_equal(packet_header_read(span_of(packet, length), &header), ERROR_INVALID);
    for (unsigned first = 0; first < 256; first++) {
        packet[0] = (uint8_t)first;
        bool is_data = first >> 4 == 1 && !(first & 3);
        assert_int_equal(packet_header_read(span_of(packet, sizeof packet), &header),
                         is_data ? 0 : ERROR_INVALID);
    }
}

static void nonce_differs_by_path_and_number(void **state)
{
    (void)state;
    const uint8_t iv[PACKET_NONCE_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    uint8_t nonce[PACKET_NONCE_BYTES];
    packet_nonce(iv, 0, 0, nonce);
    assert_memory_equal(nonce, iv, sizeof iv);
    packet_nonce(iv, 0xff, 0x010000000000ull, nonce);
    const uint8_t expected[] = {1, 2, 3, 4 ^ 0xff, 5, 6, 7 ^ 1, 8, 9, 10, 11, 12};
    assert_memory_equal(nonce, expected, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_written_as_specified),
        cmocka_unit_test(other_packets_are_refused),
        cmocka_unit_test(nonce_differs_by_path_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
