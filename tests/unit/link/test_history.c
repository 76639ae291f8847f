/* SPDX-License-Identifier: Apache-2.0
 *
 * A day of a link, second by second.
 */
#include "link/history.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define SECOND 1000000000ull

static struct history_sample samples[1440];

static void run(struct history *history, struct transport_facts *facts, uint32_t *second,
                uint32_t seconds)
{
    for (uint32_t i = 0; i < seconds; i++) {
        if (facts->state == TRANSPORT_STATE_UP) {
            facts->packets_sent += 100;
            facts->packets_lost += *second % 10 == 3 ? 6 : 0;
            facts->packets_spurious += *second % 10 == 3 ? 1 : 0;
            facts->rings[2].sent_bytes += 64 * 1024;
        }
        history_add(history, facts, ++*second * SECOND);
    }
}

static void T8_history_of_a_day_in_three_tiers(void **state)
{
    (void)state;
    struct history *history = history_new();
    struct transport_facts facts = {
        .state = TRANSPORT_STATE_UP,
        .sessions = 1,
        .quality = {.srtt_us = 40000, .queue_us = 300, .delivery_bytes_per_s = 10240},
        .peer_quality = {.loss_ppm_1s = 700, .queue_us = 50}};
    uint32_t second = 0;
    assert_int_equal(history_read(history, HISTORY_SECONDS, samples), 0);
    run(history, &facts, &second, 3000);
    /* An outage of 20 s, which the history outlives; then a slower road. */
    facts.state = TRANSPORT_STATE_DIALLING;
    run(history, &facts, &second, 20);
    facts.state = TRANSPORT_STATE_UP;
    facts.sessions++;
    facts.quality.srtt_us = 80000;
    run(history, &facts, &second, 580);

    assert_int_equal(history_read(history, HISTORY_SECONDS, samples), 300);
    assert_true(samples[299].end_ns == 3600 * SECOND && samples[0].end_ns == 3301 * SECOND);
    assert_int_equal(samples[0].packets_out, 100);
    assert_int_equal(history_read(history, HISTORY_TENS, samples), 360);
    assert_true(samples[359].end_ns == 3600 * SECOND);
    const struct history_sample *last = &samples[359], *out = &samples[300];
    assert_int_equal(last->up_s, 10);
    assert_int_equal(last->packets_out, 1000);
    assert_int_equal(last->lost_out, 5);
    assert_int_equal(last->srtt_us, 80000);
    assert_int_equal(last->queue_us_out, 300);
    assert_int_equal(last->loss_ppm_in, 700);
    assert_int_equal(last->delivered_kib_out, 100);
    assert_int_equal(last->ring2_kib, 640);
    assert_int_equal(out->up_s, 0);
    assert_int_equal(out->srtt_us, 0);
    /* Counts of the second in which it came up are not lost. */
    assert_int_equal(samples[302].reconnects, 1);
    assert_int_equal(samples[302].srtt_us, 80000);
    assert_int_equal(history_read(history, HISTORY_MINUTES, samples), 60);
    assert_int_equal(samples[49].srtt_us, 40000);
    assert_int_equal(samples[50].up_s, 40); /* means are of the time it was up */
    assert_int_equal(samples[50].srtt_us, 80000);
    run(history, &facts, &second, 90000);
    assert_int_equal(history_read(history, HISTORY_MINUTES, samples), 1440);
    assert_true(samples[1439].end_ns - samples[0].end_ns == 1439 * 60 * SECOND);
    history_free(&history);
    assert_null(history);
}

static void T8_history_fits_its_stated_memory(void **state)
{
    (void)state;
    size_t bytes = 0;
    for (int tier = 0; tier < HISTORY_TIERS; tier++)
        bytes += history_tier_limit((enum history_tier)tier) * sizeof(struct history_sample);
    assert_in_range(bytes, 200000, 240000);
    assert_true(history_tier_seconds(HISTORY_TENS) * history_tier_limit(HISTORY_TENS) >= 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T8_history_of_a_day_in_three_tiers),
        cmocka_unit_test(T8_history_fits_its_stated_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
