/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "transport/send_buffer.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 131 >> 3);
}

static void write(struct send_buffer *buffer, uint64_t length)
{
    struct slice_queue bytes = {0};
    uint64_t offset = buffer->end;
    for (uint64_t i = 0; i < length; i++) {
        uint8_t byte = byte_at(offset + i);
        slice_queue_append(&bytes, span_of(&byte, 1));
    }
    send_buffer_write(buffer, &bytes);
    assert_int_equal(bytes.bytes, 0);
    slice_queue_clear(&bytes);
}

struct packet {
    uint64_t offset;
    uint32_t length;
    bool fin;
};

/* Sends at random, loses and acknowledges at random, until all is acknowledged; what goes out is
 * right and nothing is sent that has been acknowledged. */
static void T6_every_byte_is_sent_until_acknowledged(void **state)
{
    (void)state;
    enum { BYTES = 60000, IN_FLIGHT = 40 };
    static uint8_t out[2000];
    static bool acked[BYTES];
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct send_buffer buffer = {0};
        struct packet flight[IN_FLIGHT];
        uint32_t in_flight = 0;
        struct random random;
        random_seed(&random, seed);
        memset(acked, 0, sizeof acked);
        for (int step = 0; !send_buffer_is_done(&buffer); step++) {
            assert_true(step < 100000);
            if (buffer.end < BYTES && buffer.end - buffer.base < 20000)
                write(&buffer,
                      1 + random_below(&random,
                                       BYTES - buffer.end < 5000 ? BYTES - buffer.end : 5000));
            if (buffer.end == BYTES)
                buffer.is_finished = true;
            buffer.limit = buffer.base + 15000;
            uint64_t most = 1 + random_below(&random, sizeof out - 1);
            struct packet packet = {0};
            bool has_packet = true;
            if (buffer.lost_bytes && random_below(&random, 2)) {
                struct range lost = send_buffer_next_lost(&buffer, most);
                packet = (struct packet){lost.start, (uint32_t)(lost.end - lost.start), false};
                assert_false(acked[packet.offset]);
            } else if (send_buffer_sendable(&buffer)) {
                uint64_t length = send_buffer_sendable(&buffer);
                packet =
                    (struct packet){buffer.next, (uint32_t)(length < most ? length : most), false};
            } else if (send_buffer_wants_fin(&buffer)) {
                packet = (struct packet){buffer.end, 0, true};
            } else {
                has_packet = false;
            }
            if (has_packet && in_flight < IN_FLIGHT) {
                packet.fin = buffer.is_finished && packet.offset + packet.length == buffer.end;
                send_buffer_copy(&buffer, packet.offset, packet.length, out);
                for (uint32_t i = 0; i < packet.length; i++)
                    assert_int_equal(out[i], byte_at(packet.offset + i));
                send_buffer_sent(&buffer, packet.offset, packet.length, packet.fin);
                flight[in_flight++] = packet;
            }
            if (in_flight && (in_flight == IN_FLIGHT || !has_packet || !random_below(&random, 3))) {
                uint32_t which = (uint32_t)random_below(&random, in_flight);
                struct packet settled = flight[which];
                flight[which] = flight[--in_flight];
                if (random_below(&random, 4)) {
                    send_buffer_acked(&buffer, settled.offset, settled.length, settled.fin);
                    memset(acked + settled.offset, 1, settled.length);
                } else {
                    send_buffer_lost(&buffer, settled.offset, settled.length, settled.fin);
                }
            }
        }
        assert_int_equal(buffer.count, 0); /* every slice has been given back */
        assert_int_equal(buffer.base, BYTES);
        send_buffer_clear(&buffer);
    }
}

static void end_alone_is_sent_and_sent_again(void **state)
{
    (void)state;
    struct send_buffer buffer = {.is_finished = true};
    assert_true(send_buffer_wants_fin(&buffer));
    send_buffer_sent(&buffer, 0, 0, true);
    assert_false(send_buffer_wants_fin(&buffer));
    assert_true(send_buffer_is_busy(&buffer));
    send_buffer_lost(&buffer, 0, 0, true);
    assert_true(send_buffer_wants_fin(&buffer));
    send_buffer_sent(&buffer, 0, 0, true);
    send_buffer_acked(&buffer, 0, 0, true);
    send_buffer_lost(&buffer, 0, 0, true); /* the first copy's fate, late */
    assert_false(send_buffer_wants_fin(&buffer));
    assert_true(send_buffer_is_done(&buffer));
    send_buffer_clear(&buffer);
}

static void credit_bounds_what_may_go(void **state)
{
    (void)state;
    struct send_buffer buffer = {.limit = 100};
    write(&buffer, 250);
    assert_int_equal(send_buffer_sendable(&buffer), 100);
    send_buffer_sent(&buffer, 0, 100, false);
    assert_int_equal(send_buffer_sendable(&buffer), 0);
    assert_int_equal(send_buffer_unsent(&buffer), 150);
    buffer.limit = 1000;
    assert_int_equal(send_buffer_sendable(&buffer), 150);
    send_buffer_clear(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T6_every_byte_is_sent_until_acknowledged),
        cmocka_unit_test(end_alone_is_sent_and_sent_again),
        cmocka_unit_test(credit_bounds_what_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
