/* SPDX-License-Identifier: Apache-2.0
 *
 * Which servers are ejected, when, and for how long.
 */
#include "failure/failure.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull
#define S  1000000000ull

static const uint64_t identities[] = {1, 2, 3, 4};

static struct failure_settings usual(void)
{
    return (struct failure_settings){.counts_server_errors = true,
                                     .ejection = {.is_on = true,
                                                  .consecutive = 5,
                                                  .share_percent = 50,
                                                  .least_requests = 20,
                                                  .interval_ns = 5 * S,
                                                  .base_ns = 5 * S,
                                                  .most_ns = 60 * S,
                                                  .most_percent = 50}};
}

static struct failure *failure_with(const struct failure_settings *settings, size_t servers)
{
    struct failure *failure = failure_new(settings);
    failure_set_servers(failure, identities, servers);
    return failure;
}

/* True: who is ejected has changed on the way. */
static bool results(struct failure *failure, size_t server, enum failure_outcome outcome,
                    unsigned times, uint64_t service_ns, uint64_t now_ns)
{
    bool has_changed = false;
    for (unsigned i = 0; i < times; i++)
        has_changed |= failure_result(failure, server, outcome, service_ns, now_ns);
    return has_changed;
}

static void failures_in_a_row_eject(void **state)
{
    (void)state;
    const struct failure_settings settings = usual();
    struct failure *failure = failure_with(&settings, 3);
    assert_false(results(failure, 1, FAILURE_FAILED, 4, 0, S));
    assert_false(results(failure, 1, FAILURE_ANSWERED, 1, MS, S)); /* ends the row */
    assert_false(results(failure, 1, FAILURE_REFUSED, 4, 0, S));
    assert_true(results(failure, 1, FAILURE_FAILED, 1, 0, S));
    assert_true(failure_is_ejected(failure, 1));
    assert_false(failure_is_ejected(failure, 0));
    struct failure_server_report report;
    failure_report_server(failure, 1, &report);
    assert_int_equal(report.cause, FAILURE_BY_ROW);
    assert_int_equal(report.until_ns, 6 * S);
    assert_int_equal(failure_wake_ns(failure), 6 * S);
    assert_false(failure_tick(failure, 6 * S - 1));
    assert_true(failure_tick(failure, 6 * S));
    assert_false(failure_is_ejected(failure, 1));
    assert_int_equal(failure_wake_ns(failure), UINT64_MAX);
    failure_free(&failure);
}

static void which_outcomes_are_failures(void **state)
{
    (void)state;
    static const struct {
        enum failure_outcome outcome;
        bool strict, lenient; /* a failure where server errors count, and where not */
    } rows[] = {{FAILURE_ANSWERED, false, false}, {FAILURE_LEFT, false, false},
                {FAILURE_ERROR, true, false},     {FAILURE_GATEWAY_ERROR, true, true},
                {FAILURE_REFUSED, true, true},    {FAILURE_FAILED, true, true}};
    for (int lenient = 0; lenient < 2; lenient++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct failure_settings settings = usual();
            settings.counts_server_errors = !lenient;
            struct failure *failure = failure_with(&settings, 2);
            bool has_changed = results(failure, 0, rows[i].outcome, 5, MS, S);
            assert_int_equal(has_changed, lenient ? rows[i].lenient : rows[i].strict);
            failure_free(&failure);
        }
    assert_int_equal(failure_outcome_of(200), FAILURE_ANSWERED);
    assert_int_equal(failure_outcome_of(404), FAILURE_ANSWERED);
    assert_int_equal(failure_outcome_of(500), FAILURE_ERROR);
    assert_int_equal(failure_outcome_of(503), FAILURE_GATEWAY_ERROR);
}

static void the_last_one_is_never_ejected(void **state)
{
    (void)state;
    const struct failure_settings settings = usual();
    struct failure *failure = failure_with(&settings, 1);
    assert_false(results(failure, 0, FAILURE_FAILED, 100, 0, S));
    failure_set_servers(failure, identities, 2);
    assert_true(results(failure, 0, FAILURE_FAILED, 5, 0, S));
    assert_false(results(failure, 1, FAILURE_FAILED, 100, 0, S));
    failure_free(&failure);
}

static void never_more_than_a_share(void **state)
{
    (void)state;
    const struct failure_settings settings = usual();
    struct failure *failure = failure_with(&settings, 4);
    for (size_t i = 0; i < 4; i++)
        results(failure, i, FAILURE_FAILED, 10, 0, S);
    assert_true(failure_is_ejected(failure, 0) && failure_is_ejected(failure, 1));
    assert_false(failure_is_ejected(failure, 2) || failure_is_ejected(failure, 3));
    /* As soon as one is back, the next that fails may go. */
    failure_tick(failure, 7 * S);
    assert_true(results(failure, 2, FAILURE_FAILED, 5, 0, 7 * S));
    failure_free(&failure);
}

static void servers_out_of_service_do_not_count(void **state)
{
    (void)state;
    const struct failure_settings settings = usual();
    struct failure *failure = failure_with(&settings, 3);
    failure_set_available(failure, 0, false);
    failure_set_available(failure, 1, false);
    assert_false(results(failure, 2, FAILURE_FAILED, 50, 0, S)); /* the last that serves */
    failure_set_available(failure, 1, true);
    assert_true(results(failure, 2, FAILURE_FAILED, 1, 0, S));
    failure_free(&failure);
}

static void each_time_it_stays_out_for_longer(void **state)
{
    (void)state;
    const struct failure_settings settings = usual();
    struct failure *failure = failure_with(&settings, 3);
    uint64_t now_ns = S;
    static const uint64_t longer_ns[] = {5 * S, 10 * S, 20 * S, 40 * S, 60 * S, 60 * S};
    struct failure_server_report report;
    for (size_t i = 0; i < sizeof longer_ns / sizeof *longer_ns; i++) {
        /* When it has returned, its first failure is enough. */
        assert_true(results(failure, 0, FAILURE_FAILED, i ? 1 : 5, 0, now_ns));
        failure_report_server(failure, 0, &report);
        assert_int_equal(report.until_ns - now_ns, longer_ns[i]);
        now_ns = report.until_ns;
        failure_tick(failure, now_ns);
    }
    /* Good intervals make up for it. */
    for (int i = 0; i < 6; i++) {
        results(failure, 0, FAILURE_ANSWERED, 3, MS, now_ns);
        now_ns += 5 * S;
        failure_tick(failure, now_ns);
    }
    failure_report_server(failure, 0, &report);
    assert_int_equal(report.ejections, 0);
    assert_false(results(failure, 0, FAILURE_FAILED, 4, 0, now_ns)); /* and it is no suspect */
    failure_free(&failure);
}

static void a_share_of_failures_ejects_at_the_end_of_the_interval(void **state)
{
    (void)state;
    const struct failure_settings settings = usual();
    struct failure *failure = failure_with(&settings, 3);
    for (int i = 0; i < 15; i++) {
        results(failure, 0, FAILURE_ANSWERED, 1, MS, S);
        assert_false(results(failure, 0, FAILURE_ERROR, 1, MS, S));
        results(failure, 1, FAILURE_ANSWERED, 2, MS, S);
    }
    for (int i = 0; i < 9; i++) { /* too few to say anything */
        results(failure, 2, FAILURE_ANSWERED, 1, MS, S);
        results(failure, 2, FAILURE_ERROR, 1, MS, S);
    }
    assert_false(failure_tick(failure, 5 * S));
    assert_true(failure_tick(failure, 6 * S + 1));
    assert_true(failure_is_ejected(failure, 0));
    assert_false(failure_is_ejected(failure, 1) || failure_is_ejected(failure, 2));
    struct failure_server_report report;
    failure_report_server(failure, 0, &report);
    assert_int_equal(report.cause, FAILURE_BY_SHARE);
    failure_free(&failure);
}

static void slow_servers_are_ejected_where_that_is_asked(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        struct failure_settings settings = usual();
        settings.ejection.slower_percent = asked ? 400 : 0;
        struct failure *failure = failure_with(&settings, 4);
        static const uint64_t times_ms[] = {10, 12, 39, 70};
        for (size_t i = 0; i < 4; i++)
            results(failure, i, FAILURE_ANSWERED, 30, times_ms[i] * MS, S);
        assert_int_equal(failure_tick(failure, 7 * S), asked);
        assert_int_equal(failure_is_ejected(failure, 3), asked);
        assert_false(failure_is_ejected(failure, 2));
        failure_free(&failure);
    }
}

static void a_reload_forgets_nothing(void **state)
{
    (void)state;
    const struct failure_settings settings = usual();
    struct failure *failure = failure_with(&settings, 3);
    results(failure, 2, FAILURE_FAILED, 5, 0, S);
    const uint64_t changed[] = {9, 3, 1};
    failure_set_servers(failure, changed, 3);
    assert_true(failure_is_ejected(failure, 1));
    assert_false(failure_is_ejected(failure, 2));
    struct failure_report report;
    failure_read_report(failure, &report);
    assert_int_equal(report.servers_ejected, 1);
    struct failure_settings off = settings;
    off.ejection.is_on = false;
    failure_set_settings(failure, &off);
    assert_true(failure_tick(failure, S));
    assert_false(failure_is_ejected(failure, 1));
    failure_free(&failure);
}

static void numbers_beyond_the_set_are_harmless(void **state)
{
    (void)state;
    const struct failure_settings settings = usual();
    struct failure *failure = failure_with(&settings, 1);
    assert_false(results(failure, 7, FAILURE_FAILED, 50, 0, S));
    assert_false(failure_is_ejected(failure, 7));
    failure_set_available(failure, 7, false);
    struct failure_server_report report;
    failure_report_server(failure, 7, &report);
    assert_int_equal(report.answers, 0);
    failure_free(&failure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_eject),
        cmocka_unit_test(which_outcomes_are_failures),
        cmocka_unit_test(the_last_one_is_never_ejected),
        cmocka_unit_test(never_more_than_a_share),
        cmocka_unit_test(servers_out_of_service_do_not_count),
        cmocka_unit_test(each_time_it_stays_out_for_longer),
        cmocka_unit_test(a_share_of_failures_ejects_at_the_end_of_the_interval),
        cmocka_unit_test(slow_servers_are_ejected_where_that_is_asked),
        cmocka_unit_test(a_reload_forgets_nothing),
        cmocka_unit_test(numbers_beyond_the_set_are_harmless),
    };
    return cmocka_run_group_tests_name("failure_ejection", tests, NULL, NULL);
}
