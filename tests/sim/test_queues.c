/* SPDX-License-Identifier: Apache-2.0
 *
 * Managed queues, short flows and the processor: what they are meant to do to traffic, they do.
 */
#include "processor.h"
#include "web.h"

#include <math.h>
#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static struct dumbbell shared;

static struct dumbbell_config a_link(enum dumbbell_queue queue)
{
    return (struct dumbbell_config){
        .bytes_per_s = 2500000, .rtt_ns = 50 * SIM_MS, .buffer_bdp = 4, .queue = queue};
}

static double use_of(const struct flow *flow, uint64_t seconds)
{
    return (double)flow->acked * FLOW_PACKET_BYTES / 2500000 / (double)seconds;
}

static double mean_ms(uint64_t sum_ns, uint64_t count)
{
    return (double)sum_ns * 1e-6 / (double)count;
}

/* RFC 8289: a standing queue of a CUBIC connection shrinks to about the target, and the link stays busy. */
static void codel_keeps_the_queue_short(void **state)
{
    (void)state;
    for (int marks = 0; marks < 2; marks++) {
        struct dumbbell_config config = a_link(marks ? DUMBBELL_CODEL_ECN : DUMBBELL_CODEL);
        dumbbell_init(&shared, &config, 1);
        struct flow *flow = dumbbell_add(&shared, FLOW_CUBIC, 1, 0);
        flow->ecn = marks ? ECN_ECT_0 : ECN_NOT_ECT;
        sim_run(&shared.sim, 10 * SIM_SECOND, NULL, NULL);
        struct sim_codel before = shared.codel;
        flow_count_anew(flow);
        sim_run(&shared.sim, 70 * SIM_SECOND, NULL, NULL);
        const struct sim_codel *codel = &shared.codel;
        double queue_ms =
            mean_ms(codel->sojourn_sum_ns - before.sojourn_sum_ns, codel->packets - before.packets);
        print_message("  use %.3f, mean queue %.2f ms, dropped %llu, marked %llu\n",
                      use_of(flow, 60), queue_ms, (unsigned long long)codel->dropped,
                      (unsigned long long)codel->marked);
        assert_true(use_of(flow, 60) > 0.9);
        assert_true(queue_ms < 8);
        assert_true(marks ? codel->marked > 10 && codel->dropped == 0
                          : codel->dropped > 10 && codel->marked == 0);
        assert_int_equal(codel->overflowed, 0);
        assert_int_equal(flow->lost > 0, !marks);
        dumbbell_clear(&shared);
    }
}

/* Unresponsive traffic of 1.2 times the rate: drops come at intervals of 100 ms / sqrt(count), first after 100 ms. */
static void codel_drops_by_its_control_law(void **state)
{
    (void)state;
    struct sim sim;
    struct sim_node sink;
    struct sim_codel codel;
    struct sim_codel_config config = {.bytes_per_s = 1000000};
    sim_init(&sim, 1);
    sim_node_init(&sink, &sim, "sink");
    sim_codel_init(&codel, &sim, &config, &sink);
    uint64_t drops_ns[8];
    size_t drops = 0;
    for (uint64_t now_ns = 0; drops < 8; now_ns += 833 * SIM_US) {
        sim_run(&sim, now_ns, NULL, NULL);
        struct sim_packet *packet = sim_packet_new(&sim, 0);
        packet->length = 1000;
        sim_deliver(&codel.node, packet);
        if (codel.dropped > drops)
            drops_ns[drops++] = now_ns;
    }
    /* 5 ms of queue stand after 30 ms (a sixth more than leaves), and must stand for another 100. */
    assert_true(drops_ns[0] > 125 * SIM_MS && drops_ns[0] < 140 * SIM_MS);
    for (size_t i = 1; i < 8; i++) {
        double gap_ms = (double)(drops_ns[i] - drops_ns[i - 1]) * 1e-6;
        double law_ms = 100 / sqrt((double)i);
        if (fabs(gap_ms - law_ms) > 2.5)
            fail_msg("drop %zu after %.1f ms, not %.1f", i, gap_ms, law_ms);
    }
    sim_codel_clear(&codel);
    sim_clear(&sim);
}

/* A scalable connection (L4S) and a classic one share about evenly, and the former's packets hardly wait. */
static void the_dual_queue_couples(void **state)
{
    (void)state;
    struct dumbbell_config config = a_link(DUMBBELL_DUAL);
    config.rtt_ns = 20 * SIM_MS;
    config.buffer_bdp = 20;
    dumbbell_init(&shared, &config, 1);
    struct flow *scalable = dumbbell_add(&shared, FLOW_RENO, 1, 0);
    scalable->ecn = ECN_ECT_1;
    struct flow *classic = dumbbell_add(&shared, FLOW_CUBIC, 1, 0);
    dumbbell_run(&shared, 20 * SIM_SECOND, 60 * SIM_SECOND);
    const struct sim_dual *dual = &shared.dual;
    double low_ms = mean_ms(dual->low.sojourn_sum_ns, dual->low.packets);
    double classic_ms = mean_ms(dual->classic.sojourn_sum_ns, dual->classic.packets);
    double ratio = (double)scalable->acked / (double)classic->acked;
    print_message("  queue %.2f and %.1f ms, use %.3f, scalable to classic %.2f\n", low_ms,
                  classic_ms, use_of(scalable, 60) + use_of(classic, 60), ratio);
    assert_true(low_ms < 2 && classic_ms > 5 && classic_ms < 25);
    assert_true(use_of(scalable, 60) + use_of(classic, 60) > 0.95);
    assert_true(ratio > 0.4 && ratio < 2.5);
    assert_int_equal(scalable->lost, 0);
    assert_true(dual->low.marked > 100 && dual->classic.dropped > 10);
    dumbbell_clear(&shared);
}

/* Poisson arrivals of 55 KB in the mean, as many bytes as asked, all of them delivered though the link loses some. */
static void short_flows_come_and_go(void **state)
{
    (void)state;
    static struct web web;
    struct dumbbell_config config = a_link(DUMBBELL_DROP_TAIL);
    config.loss = 0.01;
    dumbbell_init(&shared, &config, 3);
    web_init(&web, &shared, 1250000);
    sim_run(&shared.sim, 100 * SIM_SECOND, NULL, NULL);
    double load = (double)web.packets * FLOW_PACKET_BYTES / 1250000 / 100;
    double median_ms = (double)web_time_ns(&web, 0.5) * 1e-6;
    double late_ms = (double)web_time_ns(&web, 0.99) * 1e-6;
    print_message("  %llu flows, load %.3f, median %.0f ms, p99 %.0f ms\n",
                  (unsigned long long)web.done, load, median_ms, late_ms);
    assert_true(web.arrived > 2100 && web.arrived < 2450);
    assert_int_equal(web.refused, 0);
    assert_true(web.done + 20 > web.arrived);
    assert_true(load > 0.9 && load < 1.1);
    assert_true(median_ms > 100 && median_ms < 400);
    assert_true(late_ms < 3000);
    web_clear(&web);
    dumbbell_clear(&shared);
}

/* 1 us a packet and 9 us a batch: one at a time 100 packets take 1 ms, in batches of 50 a tenth of that. */
static void a_processor_likes_batches(void **state)
{
    (void)state;
    static const struct {
        uint32_t batch_max;
        uint64_t busy_ns, batches;
    } rows[] = {{1, 1000 * SIM_US, 100}, {50, 118 * SIM_US, 2}, {64, 118 * SIM_US, 2}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sim sim;
        struct sim_node sink;
        struct sim_processor processor;
        struct sim_processor_config config = {.batch_ns = 9 * SIM_US,
                                              .packet_ns = SIM_US,
                                              .batch_max = rows[i].batch_max,
                                              .waiting_max = 100};
        sim_init(&sim, 1);
        sim_node_init(&sink, &sim, "sink");
        sim_processor_init(&processor, &sim, &config, &sink);
        for (int k = 0; k < 101; k++)
            sim_deliver(&processor.node, sim_packet_new(&sim, 0));
        sim_run(&sim, SIM_SECOND, NULL, NULL);
        assert_int_equal(processor.packets, 100);
        assert_int_equal(processor.dropped, 1);
        assert_int_equal(processor.busy_ns, rows[i].busy_ns);
        assert_int_equal(processor.batches, rows[i].batches);
        sim_processor_clear(&processor);
        sim_clear(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codel_keeps_the_queue_short),
        cmocka_unit_test(codel_drops_by_its_control_law),
        cmocka_unit_test(the_dual_queue_couples),
        cmocka_unit_test(short_flows_come_and_go),
        cmocka_unit_test(a_processor_likes_batches),
    };
    return cmocka_run_group_tests_name("sim/queues", tests, NULL, NULL);
}
