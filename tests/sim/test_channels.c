/* SPDX-License-Identifier: Apache-2.0
 *
 * Several gateways of a site in virtual time: how requests are spread over the links to them, what happens when one loses packets or its
 * origins fail, and that shares do not swing, although what the edge knows is a report and a link's delay old. (L1, L2, T8)
 */
#include "gateway.h"

#include <math.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { NORMAL = 2, SEEDS = 3, TENTHS = 300, WINDOW_TENTHS = 5 };

static const struct sim_origin_config origins[] = {
    {.name = "one", .workers = 16, .slowness = 1},
    {.name = "two", .workers = 16, .slowness = 1},
};
static const struct sim_origin_config fewer[] = {{.name = "three", .workers = 16, .slowness = 1}};
static const struct sim_origin_config failing[] = {
    {.name = "four", .workers = 16, .slowness = 1},
    {.name = "five",
     .workers = 16,
     .slowness = 1,
     .up_ns = 20 * SIM_SECOND,
     .down_ns = 20 * SIM_SECOND},
};

static const struct sim_kind kinds[] = {
    {.share = 0.8, .nominal_ns = 8 * SIM_MS, .spread = 0.5, .answer_bytes = 8000},
    {.share = 0.2, .nominal_ns = 100 * SIM_MS, .spread = 0.3, .answer_bytes = 20000},
};

static struct sim_gateway_config far_by(uint64_t ms)
{
    return (struct sim_gateway_config){.origins = origins,
                                       .origin_count = sizeof origins / sizeof *origins,
                                       .delay_ns = ms * SIM_MS,
                                       .bytes_per_s = 125000000};
}

static struct sim_world_config two(const struct sim_gateway_config *gateways, double load,
                                   uint64_t seed)
{
    return (struct sim_world_config){.gateways = gateways,
                                     .gateway_count = 2,
                                     .kinds = kinds,
                                     .kind_count = sizeof kinds / sizeof *kinds,
                                     .loads = {[NORMAL] = load},
                                     .patience_ns = 5 * SIM_SECOND,
                                     .policy = "expected",
                                     .limits = SIM_LIMITS_EXACT,
                                     .route = {.loss_percent = 3, .hold_ns = 5 * SIM_SECOND},
                                     .has_buffer = true,
                                     .warm_ns = 10 * SIM_SECOND,
                                     .measured_ns = TENTHS / 10 * SIM_SECOND,
                                     .seed = seed};
}

/* ---- shares */

/* Of the first gateway, of the requests in tenths `from` to `to`. */
static double share(const struct sim_result *result, int from, int to)
{
    double first = 0, all = 0;
    for (int i = from; i < to; i++) {
        first += result->sent[0][i];
        all += result->sent[0][i] + result->sent[1][i];
    }
    return all > 0 ? first / all : 0;
}

/* The greatest difference between a half second and the mean. */
static double swing(const struct sim_result *result)
{
    double mean = share(result, 0, TENTHS), most = 0;
    for (int i = 0; i + WINDOW_TENTHS <= TENTHS; i += WINDOW_TENTHS)
        most = fmax(most, fabs(share(result, i, i + WINDOW_TENTHS) - mean));
    return most;
}

static void L2_shares_do_not_swing(void **state)
{
    (void)state;
    const struct sim_gateway_config near = far_by(10), far = far_by(40);
    struct sim_gateway_config small = near;
    small.origins = fewer;
    small.origin_count = 1;
    const struct {
        const char *what;
        struct sim_gateway_config gateways[2];
        double load, least, most; /* of the first */
    } rows[] = {
        {"equals", {near, near}, 0.5, 0.45, 0.55},
        {"equals", {near, near}, 0.95, 0.45, 0.55},
        {"equals, overload", {near, near}, 1.5, 0.45, 0.55},
        {"near and far, light", {near, far}, 0.3, 0.9, 1},
        {"near and far, heavy", {near, far}, 0.9, 0.45, 0.7},
        {"small and large", {small, near}, 0.9, 0.28, 0.42},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            const struct sim_world_config config = two(rows[i].gateways, rows[i].load, seed);
            struct sim_result result;
            sim_world_run(&config, &sim_queue, &result);
            double mean = share(&result, 0, TENTHS), most = swing(&result);
            print_message("  %s, load %.2f, seed %lu: share %.3f, swings by %.3f; p99 %.0f ms, "
                          "goodput %.3f\n",
                          rows[i].what, rows[i].load, (unsigned long)seed, mean, most,
                          sim_result_quantile_ms(&result, NORMAL, 0.99),
                          sim_result_goodput(&result));
            assert_true(mean >= rows[i].least && mean <= rows[i].most);
            assert_true(most < 0.15);
            assert_true(sim_result_goodput(&result) > fmin(rows[i].load, 1) * 0.95);
            sim_result_clear(&result);
        }
    }
}

/* ---- a link that loses packets */

static void T8_traffic_leaves_a_lossy_link_within_two_seconds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_gateway_config gateways[] = {far_by(20), far_by(20)};
        struct sim_world_config config = two(gateways, 0.4, seed);
        struct sim_result clean, result;
        sim_world_run(&config, &sim_queue, &clean);
        double usual_ms = sim_result_quantile_ms(&clean, NORMAL, 0.99);
        gateways[0].loss = 0.05;
        gateways[0].loss_from_ns = config.warm_ns + 5 * SIM_SECOND;
        sim_world_run(&config, &sim_queue, &result);
        print_message("  seed %lu: share before %.3f, in the third second %.3f, later %.3f\n",
                      (unsigned long)seed, share(&result, 0, 50), share(&result, 70, 80),
                      share(&result, 80, TENTHS));
        assert_true(share(&result, 0, 50) > 0.4);
        assert_true(share(&result, 70, TENTHS) < 0.02);
        /* Who came later has had no answer over twice the usual p99. */
        for (int second = 7; second < TENTHS / 10; second++)
            assert_true((double)result.slowest_ms[second] < 2 * usual_ms);
        assert_int_equal(result.classes[NORMAL].good, result.classes[NORMAL].came);
        sim_result_clear(&clean);
        sim_result_clear(&result);
    }
}

/* ---- origins that fail behind one gateway */

static void L2_load_follows_what_a_gateway_can_do(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_gateway_config gateways[] = {far_by(20), far_by(20)};
        gateways[0].origins = failing;
        struct sim_world_config config = two(gateways, 0.75, seed);
        struct sim_result result;
        sim_world_run(&config, &sim_queue, &result); /* down from the 10th second to the 30th */
        print_message("  seed %lu: share before %.3f, while half of it is down %.3f; p99 %.0f ms\n",
                      (unsigned long)seed, share(&result, 0, 100), share(&result, 130, TENTHS),
                      sim_result_quantile_ms(&result, NORMAL, 0.99));
        assert_true(share(&result, 0, 100) > 0.45);
        assert_true(share(&result, 130, TENTHS) < 0.4);
        assert_int_equal(result.classes[NORMAL].good, result.classes[NORMAL].came);
        sim_result_clear(&result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L2_shares_do_not_swing),
        cmocka_unit_test(T8_traffic_leaves_a_lossy_link_within_two_seconds),
        cmocka_unit_test(L2_load_follows_what_a_gateway_can_do),
    };
    return cmocka_run_group_tests_name("sim/channels", tests, NULL, NULL);
}
