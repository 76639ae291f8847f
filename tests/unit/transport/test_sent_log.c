/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "transport/sent_log.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

static void send(struct sent_log *log, uint32_t frames, enum sent_state state)
{
    struct sent_packet *packet = sent_log_begin(log);
    packet->sent_ns = log->next;
    for (uint32_t i = 0; i < frames; i++)
        *sent_log_frame(log) = (struct sent_frame){.offset = log->next * 1000 + i};
    sent_log_commit(log, state);
}

static void records_survive_growth_and_retirement(void **state)
{
    (void)state;
    struct sent_log log = {0};
    struct random random;
    random_seed(&random, 2);
    for (int i = 0; i < 20000; i++) {
        send(&log, (uint32_t)(log.next % 5), log.next % 7 ? SENT_IN_FLIGHT : SENT_UNTRACKED);
        uint64_t settled = log.oldest + random_below(&random, log.next - log.oldest);
        sent_log_set_state(&log, settled, SENT_ACKED);
        while (log.oldest < log.next && (log.next - log.oldest > 3000 ||
                                         sent_log_packet(&log, log.oldest)->state == SENT_ACKED)) {
            sent_log_set_state(&log, log.oldest, SENT_LOST);
            sent_log_retire(&log);
        }
        uint32_t in_flight = 0;
        if (i % 500)
            continue;
        for (uint64_t number = log.oldest; number < log.next; number++) {
            const struct sent_packet *packet = sent_log_packet(&log, number);
            assert_true(packet->sent_ns == number);
            assert_int_equal(packet->frames, number % 5);
            for (uint32_t k = 0; k < packet->frames; k++)
                assert_true(sent_log_frame_at(&log, packet, k)->offset == number * 1000 + k);
            in_flight += packet->state == SENT_IN_FLIGHT;
            assert_true(packet->state != SENT_IN_FLIGHT || number >= log.first_open);
        }
        assert_int_equal(log.in_flight, in_flight);
    }
    sent_log_clear(&log);
}

static void cancelled_packet_leaves_nothing(void **state)
{
    (void)state;
    struct sent_log log = {0};
    send(&log, 2, SENT_IN_FLIGHT);
    sent_log_begin(&log);
    sent_log_frame(&log);
    sent_log_cancel(&log);
    assert_int_equal(log.next, 1);
    send(&log, 1, SENT_IN_FLIGHT);
    assert_true(sent_log_frame_at(&log, sent_log_packet(&log, 1), 0)->offset == 1000);
    assert_int_equal(log.frames_head, 3);
    sent_log_clear(&log);
}

static void first_open_follows_the_oldest_in_flight(void **state)
{
    (void)state;
    struct sent_log log = {0};
    for (int i = 0; i < 5; i++)
        send(&log, 0, SENT_IN_FLIGHT);
    sent_log_set_state(&log, 1, SENT_ACKED);
    assert_int_equal(log.first_open, 0);
    sent_log_set_state(&log, 0, SENT_LOST);
    assert_int_equal(log.first_open, 2);
    for (uint64_t number = 2; number < 5; number++)
        sent_log_set_state(&log, number, SENT_ACKED);
    assert_int_equal(log.in_flight, 0);
    send(&log, 0, SENT_UNTRACKED);
    send(&log, 0, SENT_IN_FLIGHT);
    assert_int_equal(log.first_open, 6);
    sent_log_clear(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_survive_growth_and_retirement),
        cmocka_unit_test(cancelled_packet_leaves_nothing),
        cmocka_unit_test(first_open_follows_the_oldest_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
