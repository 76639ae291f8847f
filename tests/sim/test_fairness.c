/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a tunnel that hosts N connections take the share of N (T7)? Twelve cells of the matrix that tools/fairness runs in full, the
 * harm on a lossy link, and competitors other than CUBIC, by the share of a hosted connection in that of a real one.
 */
#include "dumbbell.h"
#include "fairness.h"

#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* Where rules that are not fair show it: one cut for many losses (2 BDP, many flows), delay taken for loss (0.02 to 0.1 BDP),
 * newcomers and flow counts (100, 200), pacing and long ways (1 and 4 beside 20). */
static void T7_twelve_cells_of_the_matrix(void **state)
{
    (void)state;
    static const struct {
        uint32_t hosted, others;
        double buffer_bdp, rtt_ratio;
    } cells[12] = {
        {20, 20, 0.02, 1}, {20, 20, 0.1, 1}, {20, 20, 2, 1},    {20, 20, 0.25, 0.5},
        {20, 20, 2, 2},    {20, 4, 0.05, 2}, {4, 20, 0.1, 1},   {4, 4, 0.25, 1},
        {1, 20, 1, 1},     {1, 4, 0.05, 2},  {100, 20, 0.1, 1}, {200, 20, 2, 1},
    };
    struct fairness_limits limits = {.error = 0.05};
    double sum = 0;
    for (size_t i = 0; i < 12; i++) {
        struct fairness_cell cell = {
            .hosted = cells[i].hosted,
            .others = cells[i].others,
            .buffer_bdp = cells[i].buffer_bdp,
            .rtt_ratio = cells[i].rtt_ratio,
            .mbit_per_s = fairness_mbit_for(cells[i].hosted),
            .rtt_ms = 60,
            .seed = 1,
        };
        struct fairness_share ours, baseline;
        fairness_measure(&cell, &limits, true, &baseline);
        fairness_measure(&cell, &limits, false, &ours);
        double ratio = ours.ours / baseline.ours, use = ours.ours + ours.theirs;
        print_message("  N %u beside %u, %.2f BDP, RTT x%.1f: ratio %.3f, neighbours %.3f\n",
                      cell.hosted, cell.others, cell.buffer_bdp, cell.rtt_ratio, ratio,
                      ours.theirs / baseline.theirs);
        if (ratio < 0.5 || ratio > 2)
            fail_msg("not in 0.5 - 2");
        if (use < 0.85 || use > 1.001)
            fail_msg("%.3f of the link was used", use);
        sum += ratio / 12;
    }
    print_message("  mean %.3f\n", sum);
    assert_true(sum > 0.8 && sum < 1.25);
}

/* A tunnel may take what loss leaves unused; it must not take from those who cannot. */
static void T7_twenty_on_a_lossy_link_are_not_harmed(void **state)
{
    (void)state;
    struct fairness_cell cell = {.hosted = 20,
                                 .others = 20,
                                 .buffer_bdp = 1,
                                 .rtt_ratio = 1,
                                 .loss = 0.01,
                                 .mbit_per_s = 200,
                                 .rtt_ms = 150,
                                 .seed = 1};
    struct fairness_limits limits = {.seconds = 60};
    struct fairness_share ours, baseline;
    fairness_measure(&cell, &limits, true, &baseline);
    fairness_measure(&cell, &limits, false, &ours);
    double harm = 1 - ours.theirs / baseline.theirs;
    print_message("  harm %.3f; the tunnel has %.2f of the link, real ones had %.2f\n", harm,
                  ours.ours, baseline.ours);
    assert_true(harm <= 0.1);
    assert_true(ours.ours >= 0.8 * baseline.ours);
}

struct contest {
    uint32_t hosted, others;
    enum flow_kind kind;
    uint64_t mbit_per_s, rtt_ms;
    double buffer_bdp;
    double least, most; /* ratio asserted */
    uint32_t seconds, seeds;
};

static double ratio_of(const struct contest *contest, uint64_t seed)
{
    struct dumbbell_config config = {
        .bytes_per_s = contest->mbit_per_s * 125000,
        .rtt_ns = contest->rtt_ms * SIM_MS,
        .buffer_bdp = contest->buffer_bdp,
        .jitter_packets = 8,
    };
    struct dumbbell dumbbell;
    dumbbell_init(&dumbbell, &config, seed);
    struct flow *aggregate = dumbbell_add(&dumbbell, FLOW_AGGREGATE, contest->hosted, 0);
    for (uint32_t i = 0; i < contest->others; i++)
        dumbbell_add(&dumbbell, contest->kind, 1, random_below(&dumbbell.sim.random, SIM_SECOND));
    dumbbell_run(&dumbbell, 10 * SIM_SECOND, contest->seconds * SIM_SECOND);
    double mine = (double)aggregate->acked / contest->hosted, theirs = 0;
    for (uint16_t i = 1; i < dumbbell.flow_count; i++)
        theirs += (double)dumbbell.flows[i].acked / contest->others;
    double bytes = (mine * contest->hosted + theirs * contest->others) * FLOW_PACKET_BYTES;
    double use = bytes / ((double)config.bytes_per_s * contest->seconds);
    if (use < 0.85)
        fail_msg("only %.3f of the link was used", use);
    dumbbell_clear(&dumbbell);
    return mine / theirs;
}

static void run_contests(const struct contest *contests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct contest *contest = &contests[i];
        double sum = 0;
        for (uint64_t seed = 1; seed <= contest->seeds; seed++)
            sum += ratio_of(contest, seed);
        double mean = sum / contest->seeds;
        print_message("  N %u beside %u at %.2f BDP: ratio %.3f\n", contest->hosted,
                      contest->others, contest->buffer_bdp, mean);
        if (mean < contest->least || mean > contest->most)
            fail_msg("not in %.2f - %.2f", contest->least, contest->most);
    }
}

/* On short paths CUBIC is meant to be Reno's equal. */
static void T7_beside_reno(void **state)
{
    (void)state;
    static const struct contest contests[] = {
        {20, 20, FLOW_RENO, 100, 10, 1, 0.8, 1.4, 40, 2},
        {10, 10, FLOW_RENO, 50, 20, 0.5, 0.8, 1.4, 40, 2},
    };
    run_contests(contests, sizeof(contests) / sizeof(contests[0]));
}

/* The first BBR takes from all who heed loss, most of it from a short queue: a tunnel stands that no worse than real ones. */
static void T7_beside_bbr_like_real_connections(void **state)
{
    (void)state;
    static const double buffers[] = {0.5, 1, 2};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        struct fairness_cell cell = {.hosted = 10,
                                     .others = 2,
                                     .competitor = FLOW_BBR,
                                     .buffer_bdp = buffers[i],
                                     .rtt_ratio = 1,
                                     .mbit_per_s = 100,
                                     .rtt_ms = 40,
                                     .seed = 1};
        struct fairness_limits limits = {.seconds = 60};
        struct fairness_share ours, baseline;
        fairness_measure(&cell, &limits, true, &baseline);
        fairness_measure(&cell, &limits, false, &ours);
        print_message("  %.1f BDP: ten in a tunnel have %.3f beside two BBR, ten real ones %.3f\n",
                      cell.buffer_bdp, ours.ours, baseline.ours);
        assert_true(ours.ours > 0.6 * baseline.ours && ours.ours < 2 * baseline.ours);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T7_twelve_cells_of_the_matrix),
        cmocka_unit_test(T7_twenty_on_a_lossy_link_are_not_harmed),
        cmocka_unit_test(T7_beside_reno),
        cmocka_unit_test(T7_beside_bbr_like_real_connections),
    };
    return cmocka_run_group_tests_name("sim/fairness", tests, NULL, NULL);
}
