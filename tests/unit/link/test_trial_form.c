/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ends of a measurement say, and what they make of it.
 */
#include "link/trial.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull

static void requests_are_checked(void **state)
{
    (void)state;
    static const struct {
        struct trial_request request;
        int result;
    } rows[] = {
        {{TRIAL_UP, 3000, TRIAL_BYTES_MAX}, 0},
        {{TRIAL_DOWN, 30000, 1}, 0},
        {{TRIAL_UP, 0, 1}, ERROR_INVALID},
        {{TRIAL_UP, 30001, 1}, ERROR_INVALID},
        {{TRIAL_UP, 1000, TRIAL_BYTES_MAX + 1}, ERROR_INVALID},
        {{(enum trial_way)2, 1000, 1}, ERROR_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t bytes[TRIAL_REQUEST_BYTES];
        struct trial_request read;
        trial_request_write(bytes, &rows[i].request);
        assert_int_equal(trial_request_read(bytes, &read), rows[i].result);
        if (!rows[i].result)
            assert_true(read.way == rows[i].request.way &&
                        read.milliseconds == rows[i].request.milliseconds &&
                        read.bytes == rows[i].request.bytes);
        bytes[0] = 2;
        assert_int_equal(trial_request_read(bytes, &read), ERROR_INVALID);
    }
}

static void the_interval_is_that_of_the_tenths(void **state)
{
    (void)state;
    static struct trial_meter meter;
    /* 4 s at 1 MB/s, each other tenth 10 % more or less; the first 0.9 s are half as fast. */
    for (uint64_t ms = 0; ms < 4000; ms++)
        trial_meter_add(&meter, (ms / 100 % 2 ? 1100u : 900u) / (ms < 900 ? 2 : 1),
                        (5000 + ms) * MS);
    const struct trial_report report = trial_meter_report(&meter);
    assert_int_equal(report.bytes, 3555000);
    assert_int_equal(report.duration_us, 3999000);
    assert_in_range(report.bytes_per_s, 990000, 1010000);
    assert_in_range(report.half_width_bytes_per_s, 30000, 45000); /* 2 x 0.1 / sqrt(30) */
    uint8_t bytes[TRIAL_REPORT_BYTES];
    trial_report_write(bytes, &report);
    const struct trial_report read = trial_report_read(bytes);
    assert_memory_equal(&read, &report, sizeof report);
}

static void what_is_too_short_claims_nothing(void **state)
{
    (void)state;
    static struct trial_meter meter;
    struct trial_report report = trial_meter_report(&meter);
    assert_int_equal(report.bytes_per_s, 0);
    trial_meter_add(&meter, 1000, 7 * MS);
    trial_meter_add(&meter, 1000, 17 * MS);
    report = trial_meter_report(&meter);
    assert_in_range(report.bytes_per_s, 199000, 200000);
    assert_int_equal(report.half_width_bytes_per_s, report.bytes_per_s);
    /* Far behind the last bin it still counts. */
    trial_meter_add(&meter, 5, 100000 * MS);
    assert_int_equal(trial_meter_report(&meter).bytes, 2005);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_checked),
        cmocka_unit_test(the_interval_is_that_of_the_tenths),
        cmocka_unit_test(what_is_too_short_claims_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
