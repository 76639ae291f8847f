/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's queue and balancing in virtual time: origins of which one is five times slower and one flaps, requests that take 8
 * or 150 ms, 0.5 to 3 times the load that the origins can take. (L3, L6, L7, L10)
 */
#include "gateway.h"

#include <math.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { TOP = 0, NORMAL = 2, SEEDS = 3 };

static const struct sim_origin_config origins[] = {
    {.name = "fast 1", .workers = 8, .slowness = 1},
    {.name = "fast 2", .workers = 8, .slowness = 1},
    {.name = "slow", .workers = 8, .slowness = 5},
    {.name = "flaps",
     .workers = 8,
     .slowness = 1,
     .up_ns = 7 * SIM_SECOND,
     .down_ns = 3 * SIM_SECOND},
};

static const struct sim_kind kinds[] = {
    {.share = 0.8, .nominal_ns = 8 * SIM_MS, .spread = 0.5, .answer_bytes = 8000},
    {.share = 0.2, .nominal_ns = 150 * SIM_MS, .spread = 0.3, .answer_bytes = 20000},
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
        .loads = {[NORMAL] = load},
        .patience_ns = 5 * SIM_SECOND,
        .policy = "expected",
        .limits = SIM_LIMITS_EXACT,
        .has_buffer = true,
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
        for (int limits = SIM_LIMITS_NONE; limits <= SIM_LIMITS_EXACT; limits++) {
            struct sim_world_config config = usual(1.2, 1);
            config.limits = (enum sim_limits)limits;
            struct sim_result result;
            sim_world_run(&config, plain[i], &result);
            const struct sim_outcome *outcome = &result.classes[NORMAL];
            assert_true(outcome->came > 20000);
            assert_int_equal(outcome->came,
                             outcome->good + outcome->dropped + outcome->failed + outcome->left);
            for (size_t j = 0; j < gateway.origin_count; j++)
                assert_true(!limits || result.pending_most[0][j] <= 8);
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
    for (uint64_t i = 0; i < result.classes[NORMAL].launched; i++)
        mean_ms +=
            (double)result.classes[NORMAL].waits_ms[i] / (double)result.classes[NORMAL].launched;
    /* Pollaczek-Khinchine: load / (2 (1 - load)) times of service */
    assert_true(mean_ms > 0.9 * 20 && mean_ms < 1.1 * 20);
    assert_true(sim_result_goodput(&result) > 0.78 && sim_result_goodput(&result) < 0.82);
    sim_result_clear(&result);
}

/* ---- the queue */

/* Beside each of the others at the same load: with what waits in one queue before all servers, and with what waits at the servers. Ours finds its
 * limits by itself where the others have none. */
static void L7_p99_is_below_that_of_other_policies(void **state)
{
    (void)state;
    static const char *const words[] = {"found", "told", "loose"};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (int limits = SIM_LIMITS_NONE; limits <= SIM_LIMITS_LOOSE; limits++) {
            struct sim_world_config config = usual(0.8, seed);
            struct sim_result ours, others;
            config.limits = (enum sim_limits)limits;
            sim_world_run(&config, &sim_queue, &ours);
            double our_ms = sim_result_quantile_ms(&ours, NORMAL, 0.99);
            assert_int_equal(ours.classes[NORMAL].good, ours.classes[NORMAL].came);
            for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
                sim_world_run(&config, plain[i], &others);
                const struct sim_outcome *outcome = &others.classes[NORMAL];
                double their_ms = sim_result_quantile_ms(&others, NORMAL, 0.99);
                print_message("  seed %lu, limits %s: p99 %.0f ms, %s %.0f ms, %.1f %% answered\n",
                              (unsigned long)seed, words[limits], our_ms, plain[i]->name, their_ms,
                              100 * (double)outcome->good / (double)outcome->came);
                /* Who gives up on some visitors may be quick with the others. */
                if (outcome->good > outcome->came * 99 / 100)
                    assert_true(our_ms < (limits == SIM_LIMITS_LOOSE ? 1 : 0.8) * their_ms);
                sim_result_clear(&others);
            }
            sim_result_clear(&ours);
        }
    }
}

static void L3_overload_is_served_at_the_capacity(void **state)
{
    (void)state;
    static const double loads[] = {1.2, 2, 3};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (size_t i = 0; i < 2 * sizeof loads / sizeof *loads; i++) {
            struct sim_world_config config = usual(loads[i / 2], seed);
            struct sim_result result;
            config.limits = i % 2 ? SIM_LIMITS_EXACT : SIM_LIMITS_NONE;
            sim_world_run(&config, &sim_queue, &result);
            assert_true(sim_result_goodput(&result) > 0.95);
            assert_int_equal(result.classes[NORMAL].failed, 0);
            /* Whoever is admitted waits for target and interval, and for what came in that time. */
            assert_true(sim_result_wait_ms(&result, NORMAL, 1) <= 3500);
            for (size_t j = 0; j < gateway.origin_count; j++)
                assert_true(result.pending_most[0][j] <= (config.limits ? 8 : 32));
            sim_result_clear(&result);
        }
    }
}

static double top_p99_ms(struct sim_world_config *config, double flood, double *goodput)
{
    struct sim_result result;
    config->loads[TOP] = 0.1;
    config->loads[NORMAL] = flood;
    sim_world_run(config, &sim_queue, &result);
    double ms = sim_result_quantile_ms(&result, TOP, 0.99);
    *goodput = sim_result_goodput(&result);
    assert_int_equal(result.classes[TOP].good, result.classes[TOP].came);
    sim_result_clear(&result);
    return ms;
}

static void L10_a_flood_of_a_lower_class_hardly_moves_the_first(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (int limits = SIM_LIMITS_NONE; limits <= SIM_LIMITS_EXACT; limits++) {
            struct sim_world_config config = usual(0, seed);
            double goodput;
            config.limits = (enum sim_limits)limits;
            double alone_ms = top_p99_ms(&config, 0, &goodput);
            double beside_ms = top_p99_ms(&config, 2.9, &goodput);
            print_message("  seed %lu: p99 of the first class %.0f ms, beside a flood %.0f ms, "
                          "goodput %.3f\n",
                          (unsigned long)seed, alone_ms, beside_ms, goodput);
            assert_true(beside_ms < 1.2 * alone_ms);
            assert_true(goodput > 0.95);
        }
    }
}

static void L10_the_lowest_class_gets_its_share_in_a_flood_of_higher_ones(void **state)
{
    (void)state;
    struct sim_world_config config = usual(1.5, 1);
    struct sim_result result;
    config.loads[4] = 0.5;
    sim_world_run(&config, &sim_queue, &result);
    double share = result.classes[4].work_s / result.capacity_s;
    assert_true(share > 0.015 && share < 0.05);
    sim_result_clear(&result);
}

/* It was ten times as slow as the others for a while, which has been learnt; nobody would need it, and yet it gets its share again. */
static void L7_a_server_that_has_recovered_is_found_out(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const struct sim_origin_config pair[] = {
            {.name = "well", .workers = 8, .slowness = 1},
            {.name = "ill", .workers = 8, .slowness = 1, .ill_until_ns = 20 * SIM_SECOND},
        };
        const struct sim_gateway_config alike = {.origins = pair, .origin_count = 2};
        struct sim_world_config config = usual(0.3, seed);
        struct sim_result result;
        config.gateways = &alike;
        config.warm_ns = 60 * SIM_SECOND;
        config.measured_ns = 60 * SIM_SECOND;
        sim_world_run(&config, &sim_queue, &result);
        print_message("  seed %lu: %lu and %lu requests\n", (unsigned long)seed,
                      (unsigned long)result.taken[0][0], (unsigned long)result.taken[0][1]);
        assert_true(result.taken[0][1] > result.taken[0][0] / 2);
        sim_result_clear(&result);
    }
}

/* Nothing is known of anybody at the beginning, and little for a while: nobody gets all for that, from one request at a time to more than they can
 * do. Where it is found while all come at once how many an origin works on, one of them may look slow for half a minute: for short requests,
 * which stood behind long ones while it had too many. It gets fewer of those and more of the long ones, and has as much to do as the others. */
static void L7_servers_that_are_alike_share_from_the_first_request(void **state)
{
    (void)state;
    enum { ALIKE = 4 };
    static const double loads[] = {0.02, 0.3, 0.8, 2};
    struct sim_origin_config alike[ALIKE];
    const struct sim_gateway_config gateway_of_alike = {.origins = alike, .origin_count = ALIKE};
    for (size_t i = 0; i < ALIKE; i++)
        alike[i] = (struct sim_origin_config){.name = "alike", .workers = 8, .slowness = 1};
    for (size_t i = 0; i < 2 * sizeof loads / sizeof *loads; i++) {
        struct sim_world_config config = usual(loads[i / 2], 1);
        struct sim_result result;
        uint64_t least = UINT64_MAX, sum = 0;
        double least_s = INFINITY, sum_s = 0;
        config.gateways = &gateway_of_alike;
        config.limits = i % 2 ? SIM_LIMITS_EXACT : SIM_LIMITS_NONE;
        config.warm_ns = 0;
        config.measured_ns = 10 * SIM_SECOND;
        sim_world_run(&config, &sim_queue, &result);
        for (size_t k = 0; k < ALIKE; k++) {
            least = result.taken[0][k] < least ? result.taken[0][k] : least;
            sum += result.taken[0][k];
            least_s = fmin(least_s, result.held_s[0][k]);
            sum_s += result.held_s[0][k];
        }
        double part = (double)least * ALIKE / (double)sum, part_of_work = least_s * ALIKE / sum_s;
        print_message("  load %.2f, limits %s: the least has %.2f of its part of the requests, "
                      "%.2f of the work\n",
                      loads[i / 2], i % 2 ? "told" : "found", part, part_of_work);
        assert_true(part_of_work > 0.8);
        assert_true(part > (i % 2 || loads[i / 2] < 0.5 ? 0.8 : 0.25));
        sim_result_clear(&result);
    }
}

/* What is foretold to those who come in a second, beside what they wait. Where nobody waits for long there is nothing to foretell. */
static void L5_waits_are_foretold(void **state)
{
    (void)state;
    static const double loads[] = {1, 1.1, 1.5, 3};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
            struct sim_world_config config = usual(loads[i], seed);
            struct sim_result result;
            sim_world_run(&config, &sim_queue, &result);
            double median = 100 * sim_result_estimate_error(&result, NORMAL, 0.5);
            double most = 100 * sim_result_estimate_error(&result, NORMAL, 0.9);
            double steady = sim_result_mean_error(&result, NORMAL, 0.9);
            print_message("  seed %lu, load %.1f: the median second is %.1f %% off, p90 %.1f %%, "
                          "without flaps %.1f %%\n",
                          (unsigned long)seed, loads[i], median, most, steady);
            assert_true(median < 20);
            assert_true(most < 20);
            assert_true(steady < 10);
            sim_result_clear(&result);
        }
    }
}

/* Of an edge without a buffer, the whole queue is at the gateway, and requests wait for seconds. An origin that goes or comes meanwhile makes their wait
 * another, which nobody can foresee, nor for the second in which the gateway has not found out. All others: in nine of ten seconds the median
 * request is within 20 %, in a queue in order and in one that stands. */
static void L5_waits_at_the_gateway_alone_are_foretold(void **state)
{
    (void)state;
    static const double loads[] = {1, 1.1, 1.5, 3};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
            struct sim_world_config config = usual(loads[i], seed);
            struct sim_result result;
            config.has_buffer = false;
            sim_world_run(&config, &sim_queue, &result);
            double median = sim_result_estimate_error(&result, NORMAL, 0.5);
            double most = sim_result_median_error(&result, NORMAL, 0.9);
            print_message(
                "  seed %lu, load %.1f: the median second is %.1f %% off, flaps included; "
                "without them p90 %.0f %%\n",
                (unsigned long)seed, loads[i], 100 * median, most);
            assert_true(median < 0.2);
            assert_true(most <= 20);
            sim_result_clear(&result);
        }
    }
}

/* Nothing flaps: nine of ten seconds are foretold as well. */
static void L5_waits_at_steady_servers_are_foretold_closely(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_gateway_config steady = gateway;
        struct sim_world_config config = usual(1, seed);
        struct sim_result result;
        steady.origin_count = 3;
        config.gateways = &steady;
        config.measured_ns = 60 * SIM_SECOND;
        sim_world_run(&config, &sim_queue, &result);
        double most = sim_result_estimate_error(&result, NORMAL, 0.9);
        print_message("  seed %lu: nine of ten seconds are at most %.1f %% off\n",
                      (unsigned long)seed, 100 * most);
        assert_true(most < 0.2);
        sim_result_clear(&result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_ends_in_one_way),
        cmocka_unit_test(one_server_waits_as_theory_says),
        cmocka_unit_test(L7_p99_is_below_that_of_other_policies),
        cmocka_unit_test(L3_overload_is_served_at_the_capacity),
        cmocka_unit_test(L10_a_flood_of_a_lower_class_hardly_moves_the_first),
        cmocka_unit_test(L10_the_lowest_class_gets_its_share_in_a_flood_of_higher_ones),
        cmocka_unit_test(L7_a_server_that_has_recovered_is_found_out),
        cmocka_unit_test(L7_servers_that_are_alike_share_from_the_first_request),
        cmocka_unit_test(L5_waits_are_foretold),
        cmocka_unit_test(L5_waits_at_the_gateway_alone_are_foretold),
        cmocka_unit_test(L5_waits_at_steady_servers_are_foretold_closely),
    };
    return cmocka_run_group_tests_name("sim/gateway", tests, NULL, NULL);
}
