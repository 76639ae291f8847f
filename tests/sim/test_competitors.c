/* SPDX-License-Identifier: Apache-2.0
 *
 * The real connections that we are compared with are what they claim to be: CUBIC by the figures of RFC 9438, Reno by its square
 * root, BBR by its traits; and the dumbbell favours nobody.
 */
#include "dumbbell.h"

#include <math.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { DROPPER_FIRST = 64 };

/* Drops one packet in `every`, and an early one that ends slow start. */
struct dropper {
    struct sim_node node;
    struct sim_node *to;
    uint64_t packets, every;
};

static void dropper_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct dropper *dropper = (struct dropper *)(void *)node;
    uint64_t number = ++dropper->packets;
    if (number == DROPPER_FIRST || number % dropper->every == 0)
        sim_packet_free(node->sim, packet);
    else
        sim_deliver(dropper->to, packet);
}

/* Mean window of a connection that loses every n-th packet and has no other limit. */
static double mean_window(enum flow_kind kind, uint64_t every, uint64_t rtt_ms, uint64_t seconds)
{
    struct dumbbell_config config = {.bytes_per_s = 12500000000,
                                     .rtt_ns = rtt_ms * SIM_MS,
                                     .buffer_bdp = 1};
    struct dumbbell dumbbell;
    dumbbell_init(&dumbbell, &config, 1);
    struct flow *flow = dumbbell_add(&dumbbell, kind, 1, 0);
    struct dropper dropper = {.every = every, .to = flow->to};
    sim_node_init(&dropper.node, &dumbbell.sim, "dropper");
    dropper.node.receive = dropper_receive;
    flow->to = &dropper.node;
    dumbbell_run(&dumbbell, seconds * SIM_SECOND, 3 * seconds * SIM_SECOND);
    double window = (double)flow->acked / (double)(3 * seconds) * (double)rtt_ms * 1e-3;
    dumbbell_clear(&dumbbell);
    return window;
}

/* Section 5.1, tables 1 and 2, C = 0.4; where CUBIC follows Reno, the table gives Reno's figure. */
static void cubic_has_the_windows_of_rfc9438(void **state)
{
    (void)state;
    static const struct {
        enum flow_kind kind;
        uint64_t every, rtt_ms, seconds;
        double window;
    } rows[] = {
        {FLOW_CUBIC, 100, 100, 100, 12},    {FLOW_CUBIC, 1000, 100, 100, 38},
        {FLOW_CUBIC, 10000, 100, 200, 187}, {FLOW_CUBIC, 100000, 100, 400, 1054},
        {FLOW_CUBIC, 100, 10, 20, 12},      {FLOW_CUBIC, 1000, 10, 20, 38},
        {FLOW_CUBIC, 10000, 10, 40, 120},   {FLOW_CUBIC, 100000, 10, 100, 379},
        {FLOW_RENO, 100, 100, 100, 12},     {FLOW_RENO, 1000, 100, 100, 38},
        {FLOW_RENO, 10000, 100, 400, 120},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double window = mean_window(rows[i].kind, rows[i].every, rows[i].rtt_ms, rows[i].seconds);
        print_message("  %s, 1 of %llu lost, %llu ms: %.1f packets, %.0f by the RFC\n",
                      rows[i].kind == FLOW_CUBIC ? "CUBIC" : "Reno",
                      (unsigned long long)rows[i].every, (unsigned long long)rows[i].rtt_ms, window,
                      rows[i].window);
        if (window < 0.88 * rows[i].window || window > 1.12 * rows[i].window)
            fail_msg("%.1f is not %.0f", window, rows[i].window);
    }
}

/* Use of a link by one connection alone. */
struct alone {
    double use, lost, queue_ms; /* queue: the mean of looks at it */
    double queue_least_ms;      /* in the second half */
};

static struct alone run_alone(enum flow_kind kind, double buffer_bdp, double loss,
                              uint64_t mbit_per_s, uint64_t seconds)
{
    struct dumbbell_config config = {.bytes_per_s = mbit_per_s * 125000,
                                     .rtt_ns = 60 * SIM_MS,
                                     .buffer_bdp = buffer_bdp,
                                     .loss = loss};
    struct dumbbell dumbbell;
    dumbbell_init(&dumbbell, &config, 2);
    struct flow *flow = dumbbell_add(&dumbbell, kind, 1, 0);
    struct alone alone = {.queue_least_ms = INFINITY};
    dumbbell_run(&dumbbell, 5 * SIM_SECOND, 0);
    uint64_t looks = seconds * 100;
    for (uint64_t i = 0; i < looks; i++) {
        sim_run(&dumbbell.sim, dumbbell.sim.now_ns + 10 * SIM_MS, NULL, NULL);
        double queue_ms = (double)sim_link_queue_ns(&dumbbell.bottleneck) / (double)SIM_MS;
        alone.queue_ms += queue_ms / (double)looks;
        alone.queue_least_ms = fmin(alone.queue_least_ms, queue_ms);
    }
    alone.use =
        (double)flow->acked * FLOW_PACKET_BYTES / (double)config.bytes_per_s / (double)seconds;
    alone.lost = (double)flow->lost;
    dumbbell_clear(&dumbbell);
    return alone;
}

/* A connection that starts on a deep buffer leaves slow start by the delay, before it loses hundreds at once (RFC 9406). */
static void cubic_leaves_slow_start_by_delay(void **state)
{
    (void)state;
    struct dumbbell_config config = {.bytes_per_s = 12500000,
                                     .rtt_ns = 60 * SIM_MS,
                                     .buffer_bdp = 3};
    uint64_t lost[2];
    for (int pass = 0; pass < 2; pass++) {
        struct dumbbell dumbbell;
        dumbbell_init(&dumbbell, &config, 1);
        struct flow *flow = dumbbell_add(&dumbbell, pass ? FLOW_RENO : FLOW_CUBIC, 1, 0);
        sim_run(&dumbbell.sim, 3 * SIM_SECOND, NULL, NULL);
        lost[pass] = flow->lost;
        assert_true(pass || !cubic_is_in_slow_start(&flow->tcp.cubic));
        dumbbell_clear(&dumbbell);
    }
    print_message("  %llu lost, by Reno, which has no such thing here, %llu\n",
                  (unsigned long long)lost[0], (unsigned long long)lost[1]);
    assert_true(lost[0] * 3 < lost[1]);
}

/* Through a recovery about 0.7 of the packets go on, and the window is met at its end (RFC 6937). */
static void recovery_sends_on(void **state)
{
    (void)state;
    struct dumbbell_config config = {.bytes_per_s = 1250000000,
                                     .rtt_ns = 100 * SIM_MS,
                                     .buffer_bdp = 1};
    struct dumbbell dumbbell;
    dumbbell_init(&dumbbell, &config, 1);
    struct flow *flow = dumbbell_add(&dumbbell, FLOW_CUBIC, 1, 0);
    struct dropper dropper = {.every = 20000, .to = flow->to};
    sim_node_init(&dropper.node, &dumbbell.sim, "dropper");
    dropper.node.receive = dropper_receive;
    flow->to = &dropper.node;
    while (!(flow->tcp.is_recovering && flow->next_number > 19000))
        sim_run(&dumbbell.sim, dumbbell.sim.now_ns + SIM_MS, NULL, NULL);
    double flight = (double)flow->tcp.prr_flight;
    uint64_t sent = flow->next_number - flow->tcp.prr_out;
    while (flow->tcp.is_recovering)
        sim_run(&dumbbell.sim, dumbbell.sim.now_ns + SIM_MS, NULL, NULL);
    double share = (double)(flow->next_number - sent) / flight;
    print_message("  %.2f of the packets in flight\n", share);
    assert_true(share > 0.65 && share < 0.78);
    assert_true((double)flow->in_flight >= flow->tcp.cubic.window - 3);
    dumbbell_clear(&dumbbell);
}

/* It fills the link, from a shallow and from a deep queue, with random loss too; its queue is short, and empties in between. */
static void bbr_models_the_path(void **state)
{
    (void)state;
    static const struct {
        double buffer_bdp, loss, use;
    } rows[] = {{4, 0, 0.94}, {0.5, 0, 0.93}, {1, 0.01, 0.92}, {1, 0.05, 0.85}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alone alone = run_alone(FLOW_BBR, rows[i].buffer_bdp, rows[i].loss, 20, 60);
        print_message("  BBR, %.1f BDP, loss %.2f: use %.3f, mean queue %.1f ms, least %.2f\n",
                      rows[i].buffer_bdp, rows[i].loss, alone.use, alone.queue_ms,
                      alone.queue_least_ms);
        assert_true(alone.use > rows[i].use && alone.use < 1.001);
        assert_true(alone.queue_ms < 20);
        assert_true(alone.queue_least_ms < 1);
    }
    assert_true(run_alone(FLOW_CUBIC, 1, 0.01, 20, 60).use < 0.35);
}

/* Neither dies beside the other; how they share depends on the buffer. */
static void bbr_and_cubic_live_side_by_side(void **state)
{
    (void)state;
    static const double buffers[] = {0.5, 1, 2, 4};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        struct dumbbell_config config = {.bytes_per_s = 12500000,
                                         .rtt_ns = 40 * SIM_MS,
                                         .buffer_bdp = buffers[i],
                                         .jitter_packets = 8};
        struct dumbbell dumbbell;
        dumbbell_init(&dumbbell, &config, 3);
        struct flow *bbr = dumbbell_add(&dumbbell, FLOW_BBR, 1, 0);
        struct flow *cubic = dumbbell_add(&dumbbell, FLOW_CUBIC, 1, SIM_SECOND);
        dumbbell_run(&dumbbell, 20 * SIM_SECOND, 60 * SIM_SECOND);
        double sum = (double)(bbr->acked + cubic->acked), share = (double)bbr->acked / sum;
        print_message("  BBR beside CUBIC, %.1f BDP: %.2f of the link\n", buffers[i], share);
        assert_true(share > 0.1 && share < 0.97);
        dumbbell_clear(&dumbbell);
    }
}

/* The rig itself: a connection among ten of its like gets what they get; if it alone is paced, it gets more. */
static void the_rig_favours_nobody_but_the_paced(void **state)
{
    (void)state;
    enum { SEEDS = 4 };
    double ratios[2] = {0};
    for (int paced = 0; paced < 2; paced++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct dumbbell_config config = {.bytes_per_s = 6250000,
                                             .rtt_ns = 60 * SIM_MS,
                                             .buffer_bdp = 0.25,
                                             .jitter_packets = 8};
            struct dumbbell dumbbell;
            dumbbell_init(&dumbbell, &config, seed);
            for (uint16_t i = 0; i < 11; i++) {
                struct flow *flow = dumbbell_add(&dumbbell, FLOW_CUBIC, 1,
                                                 random_below(&dumbbell.sim.random, SIM_SECOND));
                flow->is_paced = paced && i == 0;
            }
            dumbbell_run(&dumbbell, 20 * SIM_SECOND, 300 * SIM_SECOND);
            double theirs = 0;
            for (uint16_t i = 1; i < 11; i++)
                theirs += (double)dumbbell.flows[i].acked / 10;
            ratios[paced] += (double)dumbbell.flows[0].acked / theirs / SEEDS;
            dumbbell_clear(&dumbbell);
        }
    }
    print_message("  one among ten: %.3f; paced: %.3f\n", ratios[0], ratios[1]);
    assert_true(ratios[0] > 0.93 && ratios[0] < 1.07);
    assert_true(ratios[1] > ratios[0] + 0.03 && ratios[1] < 1.4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cubic_has_the_windows_of_rfc9438),
        cmocka_unit_test(cubic_leaves_slow_start_by_delay),
        cmocka_unit_test(recovery_sends_on),
        cmocka_unit_test(bbr_models_the_path),
        cmocka_unit_test(bbr_and_cubic_live_side_by_side),
        cmocka_unit_test(the_rig_favours_nobody_but_the_paced),
    };
    return cmocka_run_group_tests_name("sim/competitors", tests, NULL, NULL);
}
