/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters under threads, buckets and their error, the Prometheus text against its rules.
 */
#include "base/error.h"
#include "base/random.h"
#include "observe/histogram.h"
#include "observe/observe.h"

#include <pthread.h>
#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static struct metric requests_ok =
    METRIC(COUNTER, "causeway_test_requests_total", "code=\"200\"", "Requests \\ by\nanswer.");
static struct metric connections =
    METRIC(GAUGE, "causeway_test_connections", "", "Open connections.");
static struct metric requests_bad =
    METRIC(COUNTER, "causeway_test_requests_total", "code=\"400\"", "Requests \\ by\nanswer.");
static struct metric durations =
    METRIC(HISTOGRAM, "causeway_test_duration_seconds", "side=\"edge\"", "Time to answer.");

enum { THREADS = 4, COUNTS = 100000 };

static void *count(void *argument)
{
    (void)argument;
    metric_add(&requests_ok, 1); /* counts nowhere: no slots yet */
    metrics_thread_start();
    for (int i = 0; i < COUNTS; i++) {
        metric_add(&requests_ok, 1);
        metric_observe_ns(&durations, 1000000);
    }
    metric_set(&connections, 3);
    metric_add(&connections, (uint64_t)-1);
    metrics_thread_stop();
    metrics_thread_stop();
    return NULL;
}

static int count_in_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    metric_register(&requests_ok);
    metric_register(&connections);
    metric_register(&requests_bad);
    metric_register(&durations);
    metric_register(&requests_ok);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, count, NULL))
            return -1;
    for (int i = 0; i < 100; i++)
        if (metric_read(&requests_ok) > THREADS * COUNTS) /* reading while they count */
            return -1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static void threads_are_summed_up(void **state)
{
    (void)state;
    assert_int_equal(metric_read(&requests_ok), THREADS * COUNTS);
    assert_int_equal(metric_read(&requests_bad), 0);
    assert_int_equal(metric_read(&connections), THREADS * 2);
    assert_int_equal(metric_read(&durations), THREADS * COUNTS);
    uint64_t median = metric_quantile_ns(&durations, 0.5);
    assert_true(median > 940000 && median < 1060000);
}

static void a_bucket_tells_a_duration_within_six_percent(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 3);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        assert_int_equal(histogram_bucket(histogram_lower_ns(i)), i);
        assert_int_equal(histogram_bucket(histogram_lower_ns(i + 1) - 1), i);
    }
    for (int i = 0; i < 200000; i++) {
        uint64_t octave = HISTOGRAM_FIRST_OCTAVE +
                          random_below(&random, HISTOGRAM_LAST_OCTAVE - HISTOGRAM_FIRST_OCTAVE);
        uint64_t duration = (1ull << octave) + random_below(&random, 1ull << octave);
        double value = (double)histogram_value_ns(histogram_bucket(duration));
        double error = value / (double)duration - 1;
        assert_true(error < 0.06 && error > -0.06);
    }
    assert_int_equal(histogram_bucket(0), 0);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
    assert_true(3600ull * 1000000000 < histogram_lower_ns(HISTOGRAM_BUCKETS - 1));
}

static void quantiles_of_a_known_distribution(void **state)
{
    (void)state;
    uint64_t counts[HISTOGRAM_BUCKETS] = {0};
    assert_int_equal(histogram_quantile_ns(counts, 0.5), 0);
    for (uint64_t ms = 1; ms <= 1000; ms++)
        counts[histogram_bucket(ms * 1000000)]++;
    const double quantiles[] = {0.01, 0.5, 0.9, 0.99, 1};
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        double value = (double)histogram_quantile_ns(counts, quantiles[i]) / 1e9;
        assert_true(value > quantiles[i] * 0.93 && value < quantiles[i] * 1.07);
    }
}

static size_t occurrences(const char *text, const char *word)
{
    size_t found = 0;
    for (; (text = strstr(text, word)); text++)
        found++;
    return found;
}

static void the_text_follows_the_exposition_format(void **state)
{
    (void)state;
    struct text text = {0};
    metrics_write_prometheus(&text);
    assert_int_equal(occurrences(text.data, "# HELP causeway_test_requests_total "), 1);
    assert_int_equal(occurrences(text.data, "# TYPE causeway_test_requests_total counter\n"), 1);
    assert_non_null(
        strstr(text.data, "# HELP causeway_test_requests_total Requests \\\\ by\\nanswer.\n"));
    assert_non_null(strstr(text.data, "causeway_test_requests_total{code=\"200\"} 400000\n"
                                      "causeway_test_requests_total{code=\"400\"} 0\n"));
    assert_non_null(strstr(text.data, "\ncauseway_test_connections 8\n"));
    assert_non_null(strstr(text.data, "# TYPE causeway_test_duration_seconds histogram\n"));
    assert_non_null(strstr(
        text.data, "causeway_test_duration_seconds_bucket{side=\"edge\",le=\"+Inf\"} 400000\n"));
    assert_non_null(
        strstr(text.data, "causeway_test_duration_seconds_count{side=\"edge\"} 400000\n"));
    assert_non_null(
        strstr(text.data, "causeway_test_duration_seconds_sum{side=\"edge\"} 400.000000000\n"));

    /* buckets are cumulative and their bounds rise */
    double bound = -1, seen = 0;
    for (const char *at = text.data; (at = strstr(at, "_bucket{side=\"edge\",le=\"")); at++) {
        char *end;
        double next = strtod(strstr(at, "le=\"") + 4, &end);
        double below = strtod(strchr(at, '}') + 1, &end);
        assert_true(next > bound && below >= seen);
        bound = next;
        seen = below;
    }
    text_clear(&text);
}

static void exports_of_processes_are_added_up(void **state)
{
    (void)state;
    struct text exported = {0}, text = {0};
    struct metrics_sum *sum = metrics_sum_new();
    metrics_export(&exported);
    assert_int_equal(metrics_sum_add(sum, text_span(&exported)), 0);
    assert_int_equal(metrics_sum_add(sum, text_span(&exported)), 0);
    assert_int_equal(metrics_sum_add(sum, SPAN("0\x1f"
                                               "causeway_other_total\x1f\x1fOther.\x1f"
                                               "0:7\n")),
                     0);
    metrics_sum_write(sum, &text);
    assert_non_null(strstr(text.data, "causeway_test_requests_total{code=\"200\"} 800000\n"));
    assert_non_null(strstr(text.data, "_count{side=\"edge\"} 800000\n"));
    assert_non_null(strstr(text.data, "causeway_other_total 7\n"));
    const char *bad[] = {"x",
                         "9\x1fname\x1f\x1f\n",
                         "0\x1f\x1f\x1f\n",
                         "0\x1fn\x1f\x1fh\x1f"
                         "1:1\n",
                         "0\x1fn\x1f\x1fh\x1f"
                         "0:x\n",
                         "1\x1f"
                         "causeway_other_total\x1f\x1fh\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(metrics_sum_add(sum, span_text(bad[i])), ERROR_INVALID);
    metrics_sum_free(&sum);
    text_clear(&exported);
    text_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_are_summed_up),
        cmocka_unit_test(a_bucket_tells_a_duration_within_six_percent),
        cmocka_unit_test(quantiles_of_a_known_distribution),
        cmocka_unit_test(the_text_follows_the_exposition_format),
        cmocka_unit_test(exports_of_processes_are_added_up),
    };
    return cmocka_run_group_tests_name("observe/metrics", tests, count_in_threads, NULL);
}
