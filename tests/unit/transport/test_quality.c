/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/hosting.h"
#include "transport/quality.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define MS     1000000ull
#define SECOND (1000 * MS)

static void T8_loss_over_one_and_ten_seconds(void **state)
{
    (void)state;
    struct quality quality = {0};
    /* Second 100: 10 of 100 lost; 101: none of 100; then nothing. */
    quality_roll(&quality, 100 * SECOND);
    for (uint64_t i = 0; i < 90; i++)
        quality_acked(&quality, 100 * SECOND + i * MS, 1000);
    for (int i = 0; i < 11; i++)
        quality_lost(&quality, 100 * SECOND + 500 * MS);
    quality_spurious(&quality, 100 * SECOND + 600 * MS);
    quality_roll(&quality, 101 * SECOND);
    assert_int_equal(quality_loss_ppm(&quality, 1), 99009);
    assert_int_equal(quality_delivery_bytes_per_s(&quality), 90000);
    for (uint64_t i = 0; i < 99; i++)
        quality_acked(&quality, 101 * SECOND + i * MS, 1000);
    quality_roll(&quality, 102 * SECOND);
    assert_int_equal(quality_loss_ppm(&quality, 1), 0);
    assert_int_equal(quality_loss_ppm(&quality, 10), 50000);
    quality_roll(&quality, 110 * SECOND + 999 * MS);
    assert_int_equal(quality_loss_ppm(&quality, 10), 50000);
    quality_roll(&quality, 111 * SECOND);
    assert_int_equal(quality_loss_ppm(&quality, 10), 0);
    quality_roll(&quality, 1000000 * SECOND);
    assert_int_equal(quality_loss_ppm(&quality, 10), 0);
}

static void T7_idle_connections_count_for_nothing(void **state)
{
    (void)state;
    struct hosting hosting;
    struct hosting_entry entries[3] = {0};
    hosting_init(&hosting);
    uint64_t now_ns = SECOND;
    assert_int_equal(hosting_count(&hosting, 10 * MS, now_ns), 0);
    for (int i = 0; i < 3; i++)
        hosting_set_busy(&hosting, &entries[i], true, now_ns);
    assert_int_equal(hosting_count(&hosting, 10 * MS, now_ns), 3);
    hosting_set_busy(&hosting, &entries[0], false, now_ns);
    hosting_set_busy(&hosting, &entries[1], false, now_ns + 50 * MS);
    assert_int_equal(hosting_count(&hosting, 10 * MS, now_ns + 99 * MS), 3);
    assert_int_equal(hosting_count(&hosting, 10 * MS, now_ns + 100 * MS), 2);
    assert_int_equal(hosting_count(&hosting, 140 * MS, now_ns + 160 * MS), 2); /* srtt is longer */
    hosting_set_busy(&hosting, &entries[1], true, now_ns + 160 * MS);
    assert_int_equal(hosting_count(&hosting, 10 * MS, now_ns + SECOND), 2);
    hosting_leave(&hosting, &entries[1]);
    hosting_leave(&hosting, &entries[2]);
    assert_int_equal(hosting_count(&hosting, 10 * MS, now_ns + SECOND), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T8_loss_over_one_and_ten_seconds),
        cmocka_unit_test(T7_idle_connections_count_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
