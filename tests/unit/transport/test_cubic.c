/* SPDX-License-Identifier: Apache-2.0
 *
 * CUBIC against values computed here from the formulas of RFC 9438 in closed form, not by the code under test.
 */
#include "transport/cubic.h"
#include "transport/hystart.h"

#include <math.h>
#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define SECOND 1000000000ull

static void near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance * expected))
        fail_msg("%.6f instead of %.6f", value, expected);
}

/* Acks one window per RTT, each packet alone, for `seconds`. */
static void run_rounds(struct cubic *cubic, uint64_t rtt_ns, double seconds, uint64_t *now_ns)
{
    uint64_t end_ns = *now_ns + (uint64_t)(seconds * 1e9);
    while (*now_ns < end_ns) {
        *now_ns += (uint64_t)((double)rtt_ns / cubic->window);
        cubic_on_acked(cubic, 1, 1, rtt_ns, *now_ns);
    }
}

static void T7_slow_start_doubles_each_round(void **state)
{
    (void)state;
    struct cubic cubic;
    cubic_init(&cubic, 10, CUBIC_NO_THRESHOLD);
    for (int round = 0; round < 5; round++)
        for (double i = cubic.window; i > 0; i--)
            cubic_on_acked(&cubic, 1, 1, SECOND / 10, SECOND);
    assert_true(cubic.window == 320);
    cubic_init(&cubic, 10, 16);
    for (int i = 0; i < 2; i++)
        cubic_on_acked(&cubic, 4, 1, SECOND / 10, SECOND);
    assert_true(cubic.window == 16); /* not above the threshold in one step */
}

/* Section 4.6: the cut; 4.7: fast convergence. */
static void T7_a_cut_takes_three_tenths(void **state)
{
    (void)state;
    struct cubic cubic;
    cubic_init(&cubic, 1000, 1000);
    cubic_on_congestion(&cubic);
    near(cubic.window, 700, 1e-12);
    near(cubic.window_max, 1000, 1e-12);
    near(cubic.threshold, 700, 1e-12);
    cubic_on_congestion(&cubic); /* below the former maximum: it gives way */
    near(cubic.window_max, 700 * 1.7 / 2, 1e-12);
    near(cubic.window, 490, 1e-12);
    for (int i = 0; i < 50; i++)
        cubic_on_congestion(&cubic);
    assert_true(cubic.window == CUBIC_WINDOW_MIN);
}

/* Section 4.3, after a cut from `prior`: slower until the former window is reached. */
static double reno_window(double prior, double rounds)
{
    double window = 0.7 * prior + 3 * 0.3 / 1.7 * rounds;
    return window < prior ? window : prior + rounds - 0.3 * prior / (3 * 0.3 / 1.7);
}

/* W(t) = 0.4 (t - K)^3 + W_max, K = cbrt((W_max - cwnd) / 0.4), sections 4.2 to 4.5. The code approaches W(t + RTT). */
static void T7_window_follows_the_cubic_curve(void **state)
{
    (void)state;
    static const struct {
        double window_max, rtt_s;
    } paths[] = {{1000, 0.02}, {5000, 0.05}, {20000, 0.1}};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct cubic cubic;
        uint64_t start_ns = 5 * SECOND, now_ns = start_ns;
        uint64_t rtt_ns = (uint64_t)(paths[i].rtt_s * 1e9);
        cubic_init(&cubic, paths[i].window_max, paths[i].window_max);
        cubic_on_congestion(&cubic);
        double k = pow((paths[i].window_max - 0.7 * paths[i].window_max) / 0.4, 1.0 / 3);
        cubic_on_acked(&cubic, 1, 1, rtt_ns, now_ns);
        near(cubic.k_s, k, 1e-9);
        for (double t = 0.25; t < 2 * k; t += 0.25) {
            run_rounds(&cubic, rtt_ns, 0.25, &now_ns);
            double elapsed = (double)(now_ns - start_ns) * 1e-9;
            double curve = 0.4 * pow(elapsed - k, 3) + paths[i].window_max;
            double reno = reno_window(paths[i].window_max, elapsed / paths[i].rtt_s);
            near(cubic.window, curve > reno ? curve : reno, 0.02);
        }
        /* At K it is back at the maximum. */
        assert_true(cubic.window > paths[i].window_max);
    }
}

/* Short paths: alpha = 3 (1 - beta) / (1 + beta) packets per round until the former window, then one (section 4.3). */
static void T7_short_paths_grow_like_reno(void **state)
{
    (void)state;
    struct cubic cubic;
    uint64_t now_ns = SECOND;
    cubic_init(&cubic, 40, 40);
    cubic_on_congestion(&cubic);
    run_rounds(&cubic, 2000000, 0.02, &now_ns); /* ten rounds of 2 ms */
    near(cubic.window, 28 + 10 * 3 * 0.3 / 1.7, 0.02);
    run_rounds(&cubic, 2000000, 0.02646, &now_ns); /* until 40 */
    near(cubic.window, 40, 0.03);
    double before = cubic.window;
    run_rounds(&cubic, 2000000, 0.02, &now_ns);
    near(cubic.window, before + 10, 0.03);
}

/* Long-run average under one loss every n packets (section 5.1): 1.054 (RTT^3 / p^3)^(1/4) and not less than Reno's. */
static void T7_average_window_matches_the_response_function(void **state)
{
    (void)state;
    static const struct {
        double loss, rtt_s;
    } paths[] = {{1e-4, 0.1}, {3e-5, 0.1}, {1e-3, 0.4}};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct cubic cubic;
        uint64_t rtt_ns = (uint64_t)(paths[i].rtt_s * 1e9), now_ns = SECOND;
        cubic_init(&cubic, 100, 100);
        double packets = 0, rounds = 0;
        for (int cut = 0; cut < 40; cut++) {
            for (double n = 0; n < 1 / paths[i].loss; n++) {
                now_ns += (uint64_t)((double)rtt_ns / cubic.window);
                cubic_on_acked(&cubic, 1, 1, rtt_ns, now_ns);
                if (cut >= 20) {
                    packets++;
                    rounds += 1 / cubic.window;
                }
            }
            cubic_on_congestion(&cubic);
        }
        near(packets / rounds, 1.054 * pow(paths[i].rtt_s / paths[i].loss, 0.75), 0.12);
    }
}

static void growth_stops_while_the_window_is_not_used(void **state)
{
    (void)state;
    struct cubic cubic;
    uint64_t now_ns = SECOND;
    cubic_init(&cubic, 1000, 1000);
    cubic_on_congestion(&cubic);
    run_rounds(&cubic, SECOND / 10, 1, &now_ns);
    struct cubic before = cubic;
    for (int i = 0; i < 100; i++)
        cubic_on_acked_idle(&cubic, now_ns += SECOND);
    assert_true(cubic.window == before.window);
    /* The curve goes on where it stood. */
    uint64_t then_ns = now_ns - 100 * SECOND;
    run_rounds(&cubic, SECOND / 10, 1, &now_ns);
    run_rounds(&before, SECOND / 10, 1, &then_ns);
    near(cubic.window, before.window, 1e-6);
}

static void hystart_round(struct hystart *hystart, uint64_t *number, uint64_t rtt_ns)
{
    uint64_t end = *number + 20;
    for (; *number < end; (*number)++)
        hystart_on_acked(hystart, *number, end, rtt_ns);
}

static void hystart_leaves_when_the_delay_grows(void **state)
{
    (void)state;
    struct hystart hystart = {0};
    uint64_t number = 0;
    for (int i = 0; i < 5; i++)
        hystart_round(&hystart, &number, 50000000);
    hystart_round(&hystart, &number, 52000000); /* below the threshold of 3.125 ms */
    assert_false(hystart.is_over);
    for (int i = 0; i < 7; i++) /* a spike shorter than what it looks at */
        hystart_on_acked(&hystart, number, number + 20, 90000000);
    hystart_on_acked(&hystart, number, number + 20, 50000000);
    assert_false(hystart.is_over);
    /* In the middle of a round, with the eighth sample. */
    for (int i = 0; i < 8; i++) {
        assert_false(hystart.is_over);
        hystart_on_acked(&hystart, number, number + 20, 54000000);
    }
    assert_true(hystart.is_over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T7_slow_start_doubles_each_round),
        cmocka_unit_test(T7_a_cut_takes_three_tenths),
        cmocka_unit_test(T7_window_follows_the_cubic_curve),
        cmocka_unit_test(T7_short_paths_grow_like_reno),
        cmocka_unit_test(T7_average_window_matches_the_response_function),
        cmocka_unit_test(growth_stops_while_the_window_is_not_used),
        cmocka_unit_test(hystart_leaves_when_the_delay_grows),
    };
    return cmocka_run_group_tests_name("transport/cubic", tests, NULL, NULL);
}
