/* SPDX-License-Identifier: Apache-2.0
 *
 * Congestion control alone where nobody else is there: losses by chance do not slow it down, the queue stays empty, and when others
 * come and go it notices (T1, T7).
 */
#include "dumbbell.h"

#include "base/list.h"

#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

struct outcome {
    double use, queue_ms; /* of the rate; seen by each packet that was acknowledged, on average */
};

static double queue_sum_ms;
static uint64_t queue_count;

static void watch_acked(struct congestion *congestion, const struct congestion_packet *packet,
                        uint64_t rtt_ns, uint64_t srtt_ns, uint64_t min_rtt_ns, uint64_t now_ns)
{
    queue_sum_ms += (double)(rtt_ns - min_rtt_ns) * 1e-6;
    queue_count++;
    congestion_ensemble.on_acked(congestion, packet, rtt_ns, srtt_ns, min_rtt_ns, now_ns);
}

static const char *mode_of(const struct flow *flow)
{
    return flow->aggregate.ops->mode(flow->aggregate.congestion);
}

/* `seconds` after the first ten. */
static struct outcome run_alone(const struct dumbbell_config *config, uint32_t hosted,
                                uint32_t seconds, uint64_t seed)
{
    struct congestion_ops watched = congestion_ensemble;
    watched.on_acked = watch_acked;
    struct dumbbell dumbbell;
    dumbbell_init(&dumbbell, config, seed);
    struct flow *flow = dumbbell_add(&dumbbell, FLOW_AGGREGATE, hosted, 0);
    flow->aggregate.ops = &watched;
    sim_run(&dumbbell.sim, 10 * SIM_SECOND, NULL, NULL);
    flow_count_anew(flow);
    queue_sum_ms = 0;
    queue_count = 0;
    sim_run(&dumbbell.sim, (10 + seconds) * SIM_SECOND, NULL, NULL);
    struct outcome outcome = {
        .use = (double)flow->acked * FLOW_PACKET_BYTES / ((double)config->bytes_per_s * seconds),
        .queue_ms = queue_sum_ms / (double)queue_count,
    };
    dumbbell_clear(&dumbbell);
    return outcome;
}

static void T1_losses_by_chance_do_not_slow_it_down(void **state)
{
    (void)state;
    static const struct {
        double loss, least; /* of rate x (1 - loss) */
    } cases[] = {{0.001, 0.95}, {0.01, 0.95}, {0.03, 0.95}, {0.05, 0.94}, {0.1, 0.92}};
    static const uint32_t hosted[] = {1, 20};
    static const double buffers[] = {0.05, 1};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t n = 0; n < 4; n++) {
            struct dumbbell_config config = {.bytes_per_s = 25000000,
                                             .rtt_ns = 150 * SIM_MS,
                                             .buffer_bdp = buffers[n / 2],
                                             .loss = cases[i].loss,
                                             .jitter_packets = 8};
            struct outcome outcome = run_alone(&config, hosted[n % 2], 15, 1 + n);
            double use = outcome.use / (1 - cases[i].loss);
            print_message("  loss %.3f, N %u, %.2f BDP: %.3f of rate x (1 - loss), queue %.2f ms\n",
                          cases[i].loss, hosted[n % 2], buffers[n / 2], use, outcome.queue_ms);
            assert_true(use >= cases[i].least);
        }
    }
}

static void T7_alone_full_rate_with_an_empty_queue(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes_per_s, rtt_ms;
        double buffer_bdp, least, queue_ms;
    } cases[] = {{12500000, 20, 5, 0.99, 2},
                 {1250000, 50, 4, 0.98, 5},
                 {25000000, 150, 1, 0.985, 4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dumbbell_config config = {.bytes_per_s = cases[i].bytes_per_s,
                                         .rtt_ns = cases[i].rtt_ms * SIM_MS,
                                         .buffer_bdp = cases[i].buffer_bdp,
                                         .jitter_packets = 1};
        struct outcome outcome = run_alone(&config, 1, 30, 1);
        print_message("  %llu Mbit/s, %llu ms: %.3f of the rate, queue %.2f ms\n",
                      (unsigned long long)(cases[i].bytes_per_s / 125000),
                      (unsigned long long)cases[i].rtt_ms, outcome.use, outcome.queue_ms);
        assert_true(outcome.use >= cases[i].least && outcome.queue_ms <= cases[i].queue_ms);
    }
}

static bool is_mode(const struct flow *flow, const char *mode)
{
    return strcmp(mode_of(flow), mode) == 0;
}

/* A CUBIC connection comes to a link that was the tunnel's alone, takes about a half, and goes. */
static void T7_it_notices_who_comes_and_goes(void **state)
{
    (void)state;
    static const double buffers[] = {0.25, 1};
    for (size_t i = 0; i < 2; i++) {
        struct dumbbell_config config = {.bytes_per_s = 6250000,
                                         .rtt_ns = 40 * SIM_MS,
                                         .buffer_bdp = buffers[i],
                                         .jitter_packets = 8};
        struct dumbbell dumbbell;
        dumbbell_init(&dumbbell, &config, 1);
        struct sim *sim = &dumbbell.sim;
        struct flow *ours = dumbbell_add(&dumbbell, FLOW_AGGREGATE, 1, 0);
        struct flow *other = dumbbell_add(&dumbbell, FLOW_CUBIC, 1, 10 * SIM_SECOND);
        other->limit_packets = 60 * 6250000ull / 2 / FLOW_PACKET_BYTES; /* a minute of its half */
        sim_run(sim, 10 * SIM_SECOND, NULL, NULL);
        assert_true(is_mode(ours, "model"));
        uint64_t now_ns = sim->now_ns;
        while (is_mode(ours, "model") && sim->now_ns < now_ns + 20 * SIM_SECOND)
            sim_run(sim, sim->now_ns + 100 * SIM_MS, NULL, NULL);
        double noticed_s = (double)(sim->now_ns - now_ns) * 1e-9;
        flow_count_anew(ours);
        flow_count_anew(other);
        sim_run(sim, now_ns + 50 * SIM_SECOND, NULL, NULL);
        double share = (double)other->acked / (double)(ours->acked + other->acked);
        sim_run(sim, 200 * SIM_SECOND, NULL, NULL);
        print_message("  %.2f BDP: noticed after %.1f s, the other had %.2f, now %s\n", buffers[i],
                      noticed_s, share, mode_of(ours));
        assert_true(noticed_s < 10);
        assert_true(share > 0.3 && share < 0.7);
        assert_true(is_mode(ours, "model"));
        dumbbell_clear(&dumbbell);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T1_losses_by_chance_do_not_slow_it_down),
        cmocka_unit_test(T7_alone_full_rate_with_an_empty_queue),
        cmocka_unit_test(T7_it_notices_who_comes_and_goes),
    };
    return cmocka_run_group_tests_name("sim/alone", tests, NULL, NULL);
}
