/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast and how fair to its own streams a link is, end to end: completion times, delays and shares in virtual time. The limits are
 * what was measured with a margin; slower is a failure.
 */
#include "workload.h"

#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { MEGABYTE = 1000000 };

static struct sim_pair pair;
static struct workload workload;

static void begin(const struct sim_link_config *link,
                  const struct sim_impairment_config *impairment, uint64_t seed)
{
    sim_pair_init(&pair, crypto_null(), seed, link, impairment);
    workload_init(&workload, &pair);
}

static void end(void)
{
    sim_pair_clear(&pair);
}

/* Nothing is planned before both ends are up. */
static void come_up(void)
{
    sim_pair_start(&pair);
    for (int i = 0; i < 1000 && !(pair.edge.ups && pair.gateway.ups); i++)
        sim_run(&pair.sim, pair.sim.now_ns + 10 * SIM_MS, NULL, NULL);
    assert_true(pair.edge.ups == 1 && pair.gateway.ups == 1);
    workload.start_ns = pair.sim.now_ns;
    sim_end_touch(&pair.edge);
    sim_end_touch(&pair.gateway);
}

static double elapsed_s(void)
{
    return (double)(pair.sim.now_ns - workload.start_ns) * 1e-9;
}

static void finish_within(double limit_s)
{
    bool is_done = workload_run(&workload, (uint64_t)(limit_s * 3e9));
    workload_check(&workload);
    print_message("  %.3f s (limit %.3f), lost %llu, spurious %llu, resent %llu bytes\n",
                  elapsed_s(), limit_s, (unsigned long long)sim_end_facts(&pair.edge).packets_lost,
                  (unsigned long long)sim_end_facts(&pair.edge).packets_spurious,
                  (unsigned long long)sim_end_facts(&pair.edge).stream_bytes_resent);
    assert_true(is_done);
    assert_true(elapsed_s() <= limit_s);
}

/* 100 Mbit/s, 100 ms round trip, a buffer of one BDP. */
static const struct sim_link_config long_path = {
    .bytes_per_s = 12500000, .queue_bytes = 1250000, .delay_ns = 50 * SIM_MS, .overhead_bytes = 28};

static void T7_bulk_fills_a_clean_long_path(void **state)
{
    (void)state;
    struct sim_impairment_config clean = {0};
    begin(&long_path, &clean, 1);
    workload_add(&workload, EDGE_SIDE, 100 * MEGABYTE, 0);
    come_up();
    sim_run(&pair.sim, workload.start_ns + 3 * SIM_SECOND, NULL, NULL);
    uint64_t before = workload.sides[GATEWAY_SIDE][0].read;
    sim_run(&pair.sim, workload.start_ns + 8 * SIM_SECOND, NULL, NULL);
    uint64_t bytes = workload.sides[GATEWAY_SIDE][0].read - before;
    print_message("  %.1f %% of the link after 3 s\n", (double)bytes / 5 / 125000);
    assert_true(bytes >= 5ull * 12500000 * 90 / 100);
    finish_within(9.6);
    end();
}

static void T7_downloads_and_uploads_at_once(void **state)
{
    (void)state;
    struct sim_impairment_config clean = {0};
    begin(&long_path, &clean, 2);
    for (int i = 0; i < 10; i++)
        workload_add(&workload, i & 1, 4 * MEGABYTE, 4 * MEGABYTE);
    come_up();
    finish_within(5.5);
    end();
}

static void T7_loss_and_reordering_do_not_stop_it(void **state)
{
    (void)state;
    static const struct {
        double loss, reorder, limit_s;
        int streams;
    } cases[] = {{0.01, 0.02, 30, 1}, {0.01, 0.02, 8, 20}, {0.05, 0.05, 30, 20}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sim_impairment_config lossy = {.loss = cases[i].loss};
        struct sim_link_config link = long_path;
        link.reorder = cases[i].reorder;
        link.reorder_max_ns = 10 * SIM_MS;
        begin(&link, &lossy, 3);
        for (int s = 0; s < cases[i].streams; s++)
            workload_add(&workload, EDGE_SIDE, (unsigned)(4 * MEGABYTE / cases[i].streams), 0);
        come_up();
        finish_within(cases[i].limit_s);
        end();
    }
}

/* Reordering alone costs next to nothing: no cut stays. */
static void reordering_alone_is_not_loss(void **state)
{
    (void)state;
    struct sim_impairment_config clean = {0};
    struct sim_link_config link = long_path;
    link.reorder = 0.02;
    link.reorder_max_ns = 5 * SIM_MS;
    begin(&link, &clean, 4);
    workload_add(&workload, EDGE_SIDE, 50 * MEGABYTE, 0);
    come_up();
    finish_within(6.5);
    end();
}

/* After an outage that ended the session: half of what the path carried is there again after a round trip, and if the path has become
 * ten times slower meanwhile it is not flooded. */
static double megabyte_after_an_outage(uint64_t later_bytes_per_s, uint64_t *lost)
{
    struct sim_impairment_config clean = {0};
    begin(&long_path, &clean, 9);
    pair.edge.config.resume_ns = pair.gateway.config.resume_ns = 10 * SIM_SECOND;
    workload.expects_loss = true;
    workload_add(&workload, EDGE_SIDE, 1000ull * MEGABYTE, 0);
    come_up();
    sim_run(&pair.sim, pair.sim.now_ns + 5 * SIM_SECOND, NULL, NULL);
    pair.up_impairment.is_cut = pair.down_impairment.is_cut = true;
    sim_run(&pair.sim, pair.sim.now_ns + 12 * SIM_SECOND, NULL, NULL);
    assert_true(pair.edge.downs == 1);
    pair.up_impairment.is_cut = pair.down_impairment.is_cut = false;
    pair.up_link.config.bytes_per_s = later_bytes_per_s;
    pair.up_link.config.queue_bytes = later_bytes_per_s / 10;
    uint64_t lost_before = sim_end_facts(&pair.edge).packets_lost;
    for (int i = 0; i < 2000 && pair.edge.ups < 2; i++)
        sim_run(&pair.sim, pair.sim.now_ns + 10 * SIM_MS, NULL, NULL);
    workload_add(&workload, EDGE_SIDE, MEGABYTE, 0);
    sim_end_touch(&pair.edge);
    uint64_t start_ns = pair.sim.now_ns;
    assert_true(workload_run(&workload, 60 * SIM_SECOND));
    workload_check(&workload);
    *lost = sim_end_facts(&pair.edge).packets_lost - lost_before;
    double took_s = (double)(pair.sim.now_ns - start_ns) * 1e-9;
    end();
    return took_s;
}

static void T1_a_link_that_comes_back_is_soon_as_fast_as_before(void **state)
{
    (void)state;
    uint64_t lost;
    double same_s = megabyte_after_an_outage(12500000, &lost);
    print_message("  1 MB in %.2f s, %llu packets lost", same_s, (unsigned long long)lost);
    assert_true(same_s < 0.65 && lost == 0);
    double slower_s = megabyte_after_an_outage(1250000, &lost);
    print_message("; on a tenth of the rate %.2f s, %llu lost\n", slower_s,
                  (unsigned long long)lost);
    assert_true(slower_s < 2.5 && lost < 500);
}

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* 10 KB answers of ring 0, five a second, beside bulk both in ring 4 that fills a link with a deep buffer. */
static void urgent_requests_beside(double loss, double p99_rtts)
{
    enum { REQUESTS = 200, RTT_MS = 100 };
    struct sim_impairment_config lossy = {.loss = loss};
    struct sim_link_config link = {.bytes_per_s = 2500000,
                                   .queue_bytes = 62500,
                                   .delay_ns = RTT_MS / 2 * SIM_MS};
    begin(&link, &lossy, 5);
    for (int i = 0; i < 5; i++) {
        struct stream_plan *bulk = workload_add(&workload, EDGE_SIDE, 0, 1000ull * MEGABYTE);
        bulk->ring = 4;
    }
    for (uint64_t i = 0; i < REQUESTS; i++) {
        struct stream_plan *request = workload_add(&workload, EDGE_SIDE, 300, 10000);
        request->open_ns = 5 * SIM_SECOND + i * 200 * SIM_MS;
        request->ring = 0;
    }
    come_up();
    sim_run(&pair.sim, workload.start_ns + 48 * SIM_SECOND, NULL, NULL);
    uint64_t times_ns[REQUESTS];
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct stream_side *at = &workload.sides[EDGE_SIDE][5 + i];
        assert_true(at->is_ended);
        times_ns[i] = at->ended_ns - at->opened_ns;
    }
    qsort(times_ns, REQUESTS, sizeof(times_ns[0]), compare_times);
    uint64_t median_ns = times_ns[REQUESTS / 2], p99_ns = times_ns[REQUESTS * 99 / 100];
    uint64_t bulk = 0;
    for (int i = 0; i < 5; i++)
        bulk += workload.sides[EDGE_SIDE][i].read;
    print_message("  loss %.3f: median %.1f ms, p99 %.1f ms; bulk %.1f Mbit/s\n", loss,
                  (double)median_ns * 1e-6, (double)p99_ns * 1e-6, (double)bulk * 8e-6 / 48);
    assert_true((double)p99_ns <= p99_rtts * RTT_MS * 1e6);
    assert_true(median_ns <= 150 * SIM_MS);
    end();
}

static void T3_an_urgent_request_does_not_wait_for_bulk(void **state)
{
    (void)state;
    urgent_requests_beside(0, 2.7);
    urgent_requests_beside(0.01, 3.0);
}

static void a_slow_reader_stalls_only_itself(void **state)
{
    (void)state;
    struct sim_impairment_config clean = {0};
    begin(&long_path, &clean, 6);
    for (int i = 0; i < 10; i++) {
        struct stream_plan *plan = workload_add(&workload, EDGE_SIDE, 0, 5 * MEGABYTE);
        if (i % 2 == 0) { /* 50 kB/s */
            plan->read_limit[EDGE_SIDE] = 5000;
            plan->read_pause_ns[EDGE_SIDE] = 100 * SIM_MS;
        }
    }
    come_up();
    sim_run(&pair.sim, workload.start_ns + 6 * SIM_SECOND, NULL, NULL);
    for (int i = 0; i < 10; i++) {
        const struct stream_side *at = &workload.sides[EDGE_SIDE][i];
        if (i % 2 == 1)
            assert_true(at->is_ended && at->ended_ns - at->opened_ns < 4 * SIM_SECOND);
        else
            assert_true(at->read > 200000 && at->read < 400000);
    }
    end();
}

/* Streams in every ring, all with plenty: what arrives has the shares weight x nReady. */
static void T3_shares_hold_end_to_end(void **state)
{
    (void)state;
    static const int streams[TRANSPORT_RINGS] = {1, 2, 1, 4, 3};
    static const uint8_t weights[2][TRANSPORT_RINGS] = {{16, 8, 4, 2, 1}, {1, 1, 3, 1, 2}};
    struct sim_impairment_config clean = {0};
    begin(&long_path, &clean, 7);
    for (uint8_t ring = 0; ring < TRANSPORT_RINGS; ring++) {
        for (int i = 0; i < streams[ring]; i++)
            workload_add(&workload, EDGE_SIDE, 1000ull * MEGABYTE, 0)->ring = ring;
    }
    come_up();
    for (int phase = 0; phase < 2; phase++) {
        transport_set_weights(pair.edge.transport, weights[phase]);
        sim_run(&pair.sim, pair.sim.now_ns + 3 * SIM_SECOND, NULL, NULL);
        struct transport_facts before = sim_end_facts(&pair.edge);
        sim_run(&pair.sim, pair.sim.now_ns + 5 * SIM_SECOND, NULL, NULL);
        struct transport_facts after = sim_end_facts(&pair.edge);
        double sum = 0, all = 0;
        for (int ring = 0; ring < TRANSPORT_RINGS; ring++) {
            sum += weights[phase][ring] * streams[ring];
            all += (double)(after.rings[ring].sent_bytes - before.rings[ring].sent_bytes);
            assert_int_equal(after.rings[ring].ready, streams[ring]);
        }
        for (int ring = 0; ring < TRANSPORT_RINGS; ring++) {
            double due = all * weights[phase][ring] * streams[ring] / sum;
            double sent = (double)(after.rings[ring].sent_bytes - before.rings[ring].sent_bytes);
            if (sent < due * 0.98 || sent > due * 1.02)
                fail_msg("ring %d: %.0f bytes of the %.0f that are due", ring, sent, due);
        }
    }
    end();
}

/* T5, T11: streams with little share packets, and acknowledgements are few. */
static void T11_many_small_streams_share_packets(void **state)
{
    (void)state;
    struct sim_impairment_config clean = {0};
    struct sim_link_config link = {.bytes_per_s = 1250000,
                                   .queue_bytes = 62500,
                                   .delay_ns = 20 * SIM_MS};
    begin(&link, &clean, 8);
    for (int i = 0; i < 500; i++)
        workload_add(&workload, EDGE_SIDE, 400, 0)->ring = (uint8_t)(i % 3);
    come_up();
    finish_within(0.6);
    struct transport_facts facts = sim_end_facts(&pair.edge);
    print_message("  %llu packets for 500 streams of 400 bytes, %llu acks back\n",
                  (unsigned long long)facts.packets_sent,
                  (unsigned long long)sim_end_facts(&pair.gateway).acks_sent);
    assert_true(facts.packets_sent - facts.packets_lost < 200);
    assert_true(sim_end_facts(&pair.gateway).acks_sent < 150);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T7_bulk_fills_a_clean_long_path),
        cmocka_unit_test(T7_downloads_and_uploads_at_once),
        cmocka_unit_test(T7_loss_and_reordering_do_not_stop_it),
        cmocka_unit_test(reordering_alone_is_not_loss),
        cmocka_unit_test(T1_a_link_that_comes_back_is_soon_as_fast_as_before),
        cmocka_unit_test(T3_an_urgent_request_does_not_wait_for_bulk),
        cmocka_unit_test(a_slow_reader_stalls_only_itself),
        cmocka_unit_test(T3_shares_hold_end_to_end),
        cmocka_unit_test(T11_many_small_streams_share_packets),
    };
    return cmocka_run_group_tests_name("sim/goodput", tests, NULL, NULL);
}
