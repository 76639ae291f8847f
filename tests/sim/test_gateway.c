/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's queue and balancing in virtual time: origins of which one is five times slower and one flaps, requests that take 8
 * or 150 ms, 0.5 to 3 times the load that the origins can take. (L3, L6, L7, L10)
 */
#include "gateway.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static const struct sim_origin_config origins[] = {
    {.name = "fast 1", .workers = 8, .slowness = 1},
    {.name = "fast 2", .workers = 8, .slowness = 1},
    {.name = "fast 3", .workers = 8, .slowness = 1},
    {.name = "slow", .workers = 8, .slowness = 5},
    {.name = "flaps",
     .workers = 8,
     .slowness = 1,
     .up_ns = 7 * SIM_SECOND,
     .down_ns = 3 * SIM_SECOND},
};

static const struct sim_kind kinds[] = {
    {.share = 0.9, .nominal_ns = 8 * SIM_MS, .spread = 0.5, .answer_bytes = 8000},
    {.share = 0.1, .nominal_ns = 150 * SIM_MS, .spread = 0.3, .answer_bytes = 20000},
};

static const struct sim_gateway_config gateway = {
    .origins = origins,
    .origin_count = sizeof origins / sizeof *origins,
    .delay_ns = 20 * SIM_MS,
    .bytes_per_s = 125000000,
};

static struct sim_world_config usual(double load, uint64_t seed)
{
    return (struct sim_world_config){
        .gateways = &gateway,
        .gateway_count = 1,
        .kinds = kinds,
        .kind_count = sizeof kinds / sizeof *kinds,
        .loads = {[2] = load},
        .patience_ns = 5 * SIM_SECOND,
        .policy = "expected",
        .has_limits = true,
        .warm_ns = 10 * SIM_SECOND,
        .measured_ns = 30 * SIM_SECOND,
        .seed = seed,
    };
}

static const struct sim_balancer *const plain[] = {&sim_round_robin, &sim_least_pending,
                                                   &sim_power_of_two};

/* ---- the world itself */

static void a_request_ends_in_one_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        for (int has_limits = 0; has_limits < 2; has_limits++) {
            struct sim_world_config config = usual(1.2, 1);
            config.has_limits = has_limits;
            struct sim_result result;
            sim_world_run(&config, plain[i], &result);
            const struct sim_outcome *outcome = &result.classes[2];
            assert_true(outcome->came > 30000);
            assert_int_equal(outcome->came,
                             outcome->good + outcome->dropped + outcome->failed + outcome->left);
            for (size_t j = 0; j < gateway.origin_count; j++)
                assert_true(!has_limits || result.pending_most[0][j] <= 8);
            sim_result_clear(&result);
        }
    }
}

/* One server, one kind of request: what queueing theory says of Poisson arrivals and a constant time of service. */
static void one_server_waits_as_theory_says(void **state)
{
    (void)state;
    static const struct sim_origin_config one = {.name = "one", .workers = 1, .slowness = 1};
    static const struct sim_kind kind = {.share = 1, .nominal_ns = 10 * SIM_MS};
    struct sim_world_config config = usual(0.8, 1);
    const struct sim_gateway_config alone = {.origins = &one,
                                             .origin_count = 1,
                                             .delay_ns = SIM_MS};
    config.gateways = &alone;
    config.kinds = &kind;
    config.kind_count = 1;
    config.measured_ns = 600 * SIM_SECOND;
    struct sim_result result;
    sim_world_run(&config, &sim_least_pending, &result);
    double mean_ms = 0;
    for (uint64_t i = 0; i < result.classes[2].launched; i++)
        mean_ms += (double)result.classes[2].waits_ms[i] / (double)result.classes[2].launched;
    /* Pollaczek-Khinchine: load / (2 (1 - load)) times of service */
    assert_true(mean_ms > 0.9 * 20 && mean_ms < 1.1 * 20);
    assert_true(sim_result_goodput(&result) > 0.78 && sim_result_goodput(&result) < 0.82);
    sim_result_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_ends_in_one_way),
        cmocka_unit_test(one_server_waits_as_theory_says),
    };
    return cmocka_run_group_tests_name("sim/gateway", tests, NULL, NULL);
}
