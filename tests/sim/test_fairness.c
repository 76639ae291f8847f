/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a tunnel that hosts N connections take the share of N? One ensemble beside real CUBIC and Reno connections over a drop-tail
 * bottleneck, by the share of a hosted connection in that of a real one: 1 is the aim (T7).
 */
#include "dumbbell.h"

#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

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

static void T7_twenty_take_the_share_of_twenty(void **state)
{
    (void)state;
    static const struct contest contests[] = {
        {20, 20, FLOW_CUBIC, 200, 60, 0.05, 0.8, 1.25, 40, 2},
        {20, 20, FLOW_CUBIC, 200, 60, 0.1, 0.8, 1.25, 40, 2},
        {20, 20, FLOW_CUBIC, 200, 60, 0.25, 0.8, 1.25, 40, 2},
        {20, 20, FLOW_CUBIC, 200, 60, 1, 0.8, 1.25, 40, 3},
        {20, 20, FLOW_CUBIC, 200, 60, 2, 0.8, 1.25, 80, 3},
    };
    run_contests(contests, sizeof(contests) / sizeof(contests[0]));
}

/* Few connections need minutes to forget who started first. */
static void T7_few_take_the_share_of_few(void **state)
{
    (void)state;
    static const struct contest contests[] = {
        {1, 10, FLOW_CUBIC, 50, 60, 0.25, 0.8, 1.35, 300, 3},
        {1, 10, FLOW_CUBIC, 50, 60, 1, 0.8, 1.35, 300, 3},
        {4, 4, FLOW_CUBIC, 100, 60, 1, 0.75, 1.3, 240, 2},
    };
    run_contests(contests, sizeof(contests) / sizeof(contests[0]));
}

static void T7_two_hundred_take_the_share_of_two_hundred(void **state)
{
    (void)state;
    static const struct contest contests[] = {
        {200, 20, FLOW_CUBIC, 500, 60, 1, 0.8, 1.25, 20, 1},
        {200, 20, FLOW_CUBIC, 500, 60, 0.25, 0.8, 1.25, 20, 1},
    };
    run_contests(contests, sizeof(contests) / sizeof(contests[0]));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T7_twenty_take_the_share_of_twenty),
        cmocka_unit_test(T7_few_take_the_share_of_few),
        cmocka_unit_test(T7_two_hundred_take_the_share_of_two_hundred),
        cmocka_unit_test(T7_beside_reno),
    };
    return cmocka_run_group_tests_name("sim/fairness", tests, NULL, NULL);
}
