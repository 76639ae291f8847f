/* SPDX-License-Identifier: Apache-2.0
 *
 * The virtual flows through congestion.h, with nothing beside them: who is cut and when, who joins and leaves, floor, fuse, undo.
 */
#include "base/random.h"
#include "transport/congestion.h"

#include <stddef.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define OPS (&congestion_plain)
#define MS  1000000ull

enum { PACKET = 1400, RTT_MS = 50, IN_FLIGHT_MAX = 65536 };

struct bench {
    struct congestion *cc;
    struct congestion_packet flight[IN_FLIGHT_MAX];
    size_t count;
    uint64_t number, now_ns;
};

static void bench_open_known(struct bench *bench, uint32_t cap, uint64_t saved_bdp_bytes)
{
    *bench = (struct bench){.now_ns = 1000 * MS};
    struct congestion_config config = {.packet_bytes = PACKET,
                                       .hosted_cap = cap,
                                       .saved_bdp_bytes = saved_bdp_bytes};
    bench->cc = OPS->create(&config, bench->now_ns);
}

static void bench_open(struct bench *bench, uint32_t cap)
{
    bench_open_known(bench, cap, 0);
}

static void bench_close(struct bench *bench)
{
    OPS->destroy(bench->cc);
}

static bool send_one(struct bench *bench)
{
    uint16_t flow = OPS->take(bench->cc, PACKET, bench->number, bench->now_ns);
    if (flow == CONGESTION_NO_FLOW)
        return false;
    assert_true(bench->count < IN_FLIGHT_MAX);
    bench->flight[bench->count++] = (struct congestion_packet){
        .flow = flow, .bytes = PACKET, .number = bench->number++, .sent_ns = bench->now_ns};
    return true;
}

static void fill(struct bench *bench)
{
    while (send_one(bench))
        ;
    assert_int_equal(OPS->in_flight_bytes(bench->cc), bench->count * PACKET);
}

static void ack(struct bench *bench, const struct congestion_packet *packet)
{
    OPS->on_acked(bench->cc, packet, RTT_MS * MS, RTT_MS * MS, RTT_MS * MS, bench->now_ns);
}

/* A window goes out, an RTT later it is acked. */
static void run_round(struct bench *bench)
{
    fill(bench);
    bench->now_ns += RTT_MS * MS;
    for (size_t i = 0; i < bench->count; i++)
        ack(bench, &bench->flight[i]);
    bench->count = 0;
}

static void host(struct bench *bench, uint32_t hosted)
{
    for (int i = 0; i < 400; i++) {
        bench->now_ns += RTT_MS * MS / 10;
        OPS->set_hosted(bench->cc, hosted, RTT_MS * MS, bench->now_ns);
    }
}

/* Everyone out of slow start at about the same window. */
static void settle(struct bench *bench, uint32_t hosted)
{
    host(bench, hosted);
    for (int i = 0; i < 4; i++)
        run_round(bench);
    fill(bench);
    bench->now_ns += RTT_MS * MS;
    for (size_t i = 0; i < bench->count; i++)
        OPS->on_lost(bench->cc, &bench->flight[i], bench->now_ns);
    bench->count = 0;
    for (int i = 0; i < 20; i++)
        run_round(bench);
}

static void T7_starts_with_ten_packets(void **state)
{
    (void)state;
    static struct bench bench;
    bench_open(&bench, 256);
    assert_int_equal(OPS->window_bytes(bench.cc), 10 * PACKET);
    fill(&bench);
    assert_int_equal(bench.count, 10);
    assert_int_equal(OPS->flows(bench.cc), 1);
    /* Paced: two windows in an RTT of slow start. */
    assert_int_equal(OPS->pacing_bytes_per_s(bench.cc, 100 * MS), 2 * 10 * PACKET * 10);
    bench_close(&bench);
}

static void T7_one_loss_cuts_one_flow_once_per_round(void **state)
{
    (void)state;
    static struct bench bench;
    bench_open(&bench, 256);
    settle(&bench, 20);
    assert_int_equal(OPS->flows(bench.cc), 20);
    fill(&bench);
    uint64_t before = OPS->window_bytes(bench.cc);
    /* Every packet of flow 7 is lost: three tenths of one in twenty. */
    size_t lost = 0;
    for (size_t i = 0; i < bench.count; i++) {
        if (bench.flight[i].flow == 7) {
            OPS->on_lost(bench.cc, &bench.flight[i], bench.now_ns);
            lost++;
        }
    }
    assert_true(lost > 3);
    double share = (double)(before - OPS->window_bytes(bench.cc)) / (double)before;
    assert_true(share > 0.3 / 20 * 0.7 && share < 0.3 / 20 * 1.4);
    /* A loss of the next round cuts it again. */
    for (size_t i = 0; i < bench.count; i++)
        if (bench.flight[i].flow != 7)
            ack(&bench, &bench.flight[i]);
    bench.count = 0;
    fill(&bench);
    before = OPS->window_bytes(bench.cc);
    for (size_t i = 0; i < bench.count; i++) {
        if (bench.flight[i].flow == 7) {
            OPS->on_lost(bench.cc, &bench.flight[i], bench.now_ns);
            break;
        }
    }
    assert_true(OPS->window_bytes(bench.cc) < before);
    bench_close(&bench);
}

/* T7: backs off less the more it hosts. */
static void T7_backs_off_less_the_more_it_hosts(void **state)
{
    (void)state;
    static struct bench bench;
    double last = 1;
    static const uint32_t hosted[] = {1, 4, 16, 64};
    for (size_t i = 0; i < 4; i++) {
        bench_open(&bench, 256);
        settle(&bench, hosted[i]);
        fill(&bench);
        double before = (double)OPS->window_bytes(bench.cc);
        OPS->on_lost(bench.cc, &bench.flight[0], bench.now_ns);
        double cut = 1 - (double)OPS->window_bytes(bench.cc) / before;
        assert_true(cut < last * 0.5 && cut > 0.15 / hosted[i]);
        last = cut;
        bench_close(&bench);
    }
}

static void T7_window_never_below_hosted(void **state)
{
    (void)state;
    static struct bench bench;
    struct random random;
    random_seed(&random, 9);
    static const uint32_t hosted[] = {1, 2, 5, 40, 64, 150, 256, 400};
    for (size_t i = 0; i < sizeof(hosted) / sizeof(hosted[0]); i++) {
        bench_open(&bench, 1000);
        host(&bench, hosted[i]);
        uint64_t least = (hosted[i] < 256 ? hosted[i] : 256) * PACKET;
        for (int round = 0; round < 60; round++) {
            fill(&bench);
            assert_true(bench.count * PACKET >= least);
            bench.now_ns += RTT_MS * MS;
            for (size_t p = 0; p < bench.count; p++) {
                if (random_below(&random, 10) < 7)
                    OPS->on_lost(bench.cc, &bench.flight[p], bench.now_ns);
                else
                    ack(&bench, &bench.flight[p]);
                assert_true(OPS->window_bytes(bench.cc) >= least);
            }
            bench.count = 0;
        }
        /* At the floor it is spread over at least one RTT. */
        if (OPS->window_bytes(bench.cc) == least)
            assert_true(OPS->pacing_bytes_per_s(bench.cc, RTT_MS * MS) <=
                        least * 5 / 4 * 1000 / RTT_MS);
        bench_close(&bench);
    }
}

static void T7_growth_steepens_with_each_connection(void **state)
{
    (void)state;
    static struct bench bench;
    uint64_t last = 0;
    static const uint32_t hosted[] = {1, 4, 16, 64, 200};
    for (size_t i = 0; i < sizeof(hosted) / sizeof(hosted[0]); i++) {
        bench_open(&bench, 256);
        settle(&bench, hosted[i]);
        uint64_t before = OPS->window_bytes(bench.cc);
        for (int round = 0; round < 4; round++)
            run_round(&bench);
        uint64_t growth = OPS->window_bytes(bench.cc) - before;
        assert_true(growth > 2 * last);
        last = growth;
        bench_close(&bench);
    }
}

static void T7_connections_come_and_go(void **state)
{
    (void)state;
    static struct bench bench;
    bench_open(&bench, 256);
    settle(&bench, 20);
    uint64_t window = OPS->window_bytes(bench.cc);
    host(&bench, 21);
    assert_int_equal(OPS->flows(bench.cc), 21);
    assert_true(OPS->window_bytes(bench.cc) <= window + 10 * PACKET);
    assert_true(OPS->window_bytes(bench.cc) > window);
    host(&bench, 10);
    assert_int_equal(OPS->flows(bench.cc), 10);
    assert_true(OPS->window_bytes(bench.cc) < window * 6 / 10);
    /* The number is smoothed: one moment of 200 moves little. */
    bench.now_ns += MS;
    OPS->set_hosted(bench.cc, 200, RTT_MS * MS, bench.now_ns);
    assert_true(OPS->flows(bench.cc) < 13);
    host(&bench, 1000);
    assert_int_equal(OPS->flows(bench.cc), 256);
    host(&bench, 0);
    assert_int_equal(OPS->flows(bench.cc), 1);
    bench_close(&bench);
}

/* Told once, it gets there with the acknowledgements that come. */
static void T7_hosted_is_told_only_when_it_changes(void **state)
{
    (void)state;
    static struct bench bench;
    bench_open(&bench, 256);
    OPS->set_hosted(bench.cc, 20, RTT_MS * MS, bench.now_ns);
    assert_int_equal(OPS->flows(bench.cc), 1);
    for (int i = 0; i < 40; i++) {
        fill(&bench);
        bench.now_ns += RTT_MS * MS;
        for (size_t p = 0; p < bench.count; p++)
            if (i > 0 && p % 10 == 0)
                OPS->on_lost(bench.cc, &bench.flight[p], bench.now_ns);
            else
                ack(&bench, &bench.flight[p]);
        bench.count = 0;
        if (i == 4)
            assert_true(OPS->flows(bench.cc) > 10);
    }
    assert_int_equal(OPS->flows(bench.cc), 20);
    bench_close(&bench);
}

/* Opening connections beyond the policy's limit buys nothing. */
static void T7_hosted_is_capped(void **state)
{
    (void)state;
    static struct bench a, b;
    bench_open(&a, 30);
    bench_open(&b, 30);
    settle(&a, 30);
    settle(&b, 5000);
    assert_int_equal(OPS->window_bytes(a.cc), OPS->window_bytes(b.cc));
    bench_close(&a);
    bench_close(&b);
}

static void losses_that_were_none_are_undone(void **state)
{
    (void)state;
    static struct bench bench;
    bench_open(&bench, 256);
    settle(&bench, 4);
    fill(&bench);
    uint64_t before = OPS->window_bytes(bench.cc);
    struct congestion_packet lost[2];
    int count = 0;
    for (size_t i = 0; i < bench.count && count < 2; i++)
        if (bench.flight[i].flow == 2)
            lost[count++] = bench.flight[i];
    OPS->on_lost(bench.cc, &lost[0], bench.now_ns);
    OPS->on_lost(bench.cc, &lost[1], bench.now_ns);
    uint64_t cut = OPS->window_bytes(bench.cc);
    assert_true(cut < before);
    OPS->on_spurious(bench.cc, &lost[0], bench.now_ns);
    assert_int_equal(OPS->window_bytes(bench.cc), cut);
    OPS->on_spurious(bench.cc, &lost[1], bench.now_ns);
    assert_int_equal(OPS->window_bytes(bench.cc), before);
    bench_close(&bench);
}

static void a_mark_counts_like_a_loss_once(void **state)
{
    (void)state;
    static struct bench bench;
    bench_open(&bench, 256);
    settle(&bench, 1);
    fill(&bench);
    uint64_t before = OPS->window_bytes(bench.cc), in_flight = OPS->in_flight_bytes(bench.cc);
    OPS->on_ce(bench.cc, &bench.flight[0], bench.now_ns);
    uint64_t cut = OPS->window_bytes(bench.cc);
    assert_true(cut >= before * 69 / 100 && cut <= before * 70 / 100 + 1);
    OPS->on_ce(bench.cc, &bench.flight[1], bench.now_ns);
    assert_int_equal(OPS->window_bytes(bench.cc), cut);
    assert_int_equal(OPS->in_flight_bytes(bench.cc), in_flight);
    bench_close(&bench);
}

/* Few marks lately: little is given up; RFC 9331 and RFC 8257. */
static void marks_of_a_scalable_kind_are_answered_in_proportion(void **state)
{
    (void)state;
    static struct bench bench;
    bench = (struct bench){.now_ns = 1000 * MS};
    struct congestion_config config = {.packet_bytes = PACKET,
                                       .hosted_cap = 256,
                                       .is_ecn_scalable = true};
    bench.cc = OPS->create(&config, bench.now_ns);
    settle(&bench, 1);
    for (int i = 0; i < 60; i++)
        run_round(&bench);
    fill(&bench);
    uint64_t before = OPS->window_bytes(bench.cc);
    OPS->on_ce(bench.cc, &bench.flight[0], bench.now_ns);
    uint64_t cut = OPS->window_bytes(bench.cc);
    assert_true(cut < before && cut > before * 95 / 100);
    OPS->on_ce(bench.cc, &bench.flight[1], bench.now_ns);
    assert_int_equal(OPS->window_bytes(bench.cc), cut);
    bench_close(&bench);
}

static void T7_fuse_spreads_the_floor_over_backed_off_timeouts(void **state)
{
    (void)state;
    static struct bench bench;
    bench_open(&bench, 256);
    settle(&bench, 50);
    fill(&bench);
    uint64_t normal = OPS->pacing_bytes_per_s(bench.cc, RTT_MS * MS);
    OPS->on_probe_timeout(bench.cc, 1, bench.now_ns);
    assert_int_equal(OPS->pacing_bytes_per_s(bench.cc, RTT_MS * MS), normal);
    uint64_t last = 50 * PACKET * 1000 / RTT_MS;
    for (uint32_t i = 2; i < 9; i++) {
        OPS->on_probe_timeout(bench.cc, i, bench.now_ns);
        uint64_t now = OPS->pacing_bytes_per_s(bench.cc, RTT_MS * MS);
        assert_true(now <= last / 2 + 1);
        last = now;
    }
    assert_int_equal(OPS->window_bytes(bench.cc), 2 * 50 * PACKET); /* two each: collapsed */
    ack(&bench, &bench.flight[0]);
    assert_true(OPS->pacing_bytes_per_s(bench.cc, RTT_MS * MS) >= 50 * PACKET * 1000 / RTT_MS);
    bench_close(&bench);
}

static void an_application_that_sends_little_grows_no_window(void **state)
{
    (void)state;
    static struct bench bench;
    bench_open(&bench, 256);
    for (int i = 0; i < 100; i++) {
        for (int p = 0; p < 3; p++)
            send_one(&bench);
        bench.now_ns += RTT_MS * MS;
        for (size_t p = 0; p < bench.count; p++)
            ack(&bench, &bench.flight[p]);
        bench.count = 0;
    }
    assert_int_equal(OPS->window_bytes(bench.cc), 10 * PACKET);
    bench_close(&bench);
}

/* Careful resume: half of what the path carried, as soon as the round trip is known. */
static void a_known_path_is_not_searched_again(void **state)
{
    (void)state;
    static struct bench bench;
    bench_open_known(&bench, 256, 1000 * PACKET);
    run_round(&bench);
    assert_true(OPS->window_bytes(bench.cc) >= 500 * PACKET);
    run_round(&bench);
    run_round(&bench); /* validated: a loss is now a loss like others */
    fill(&bench);
    uint64_t before = OPS->window_bytes(bench.cc);
    OPS->on_lost(bench.cc, &bench.flight[5], bench.now_ns);
    assert_true(OPS->window_bytes(bench.cc) >= before * 69 / 100);
    bench_close(&bench);
}

static void a_path_that_has_shrunk_is_left_in_peace(void **state)
{
    (void)state;
    static struct bench bench;
    bench_open_known(&bench, 256, 1000 * PACKET);
    run_round(&bench);
    fill(&bench);
    bench.now_ns += RTT_MS * MS;
    for (size_t i = 0; i < 40; i++) /* forty get through */
        ack(&bench, &bench.flight[i]);
    for (size_t i = 40; i < bench.count; i++) {
        OPS->on_lost(bench.cc, &bench.flight[i], bench.now_ns);
        assert_int_equal(OPS->window_bytes(bench.cc), 20 * PACKET);
    }
    bench_close(&bench);
}

/* Random fates, joins and leaves: what is in flight always adds up, and nothing is left at the end. */
static void flight_adds_up_whatever_happens(void **state)
{
    (void)state;
    static struct bench bench;
    struct random random;
    random_seed(&random, 4);
    bench_open(&bench, 256);
    for (int step = 0; step < 20000; step++) {
        bench.now_ns += random_below(&random, 20 * MS);
        if (random_below(&random, 20) == 0)
            OPS->set_hosted(bench.cc, (uint32_t)random_below(&random, 300), RTT_MS * MS,
                            bench.now_ns);
        for (uint64_t i = random_below(&random, 60); i > 0 && bench.count < 2000; i--)
            send_one(&bench);
        for (uint64_t i = random_below(&random, 60); i > 0 && bench.count > 0; i--) {
            size_t which = random_below(&random, bench.count);
            struct congestion_packet packet = bench.flight[which];
            bench.flight[which] = bench.flight[--bench.count];
            uint64_t fate = random_below(&random, 10);
            if (fate == 0) {
                OPS->on_lost(bench.cc, &packet, bench.now_ns);
                if (random_below(&random, 2))
                    OPS->on_spurious(bench.cc, &packet, bench.now_ns);
            } else if (fate == 1) {
                OPS->on_discarded(bench.cc, &packet);
            } else {
                ack(&bench, &packet);
            }
        }
        if (random_below(&random, 500) == 0)
            OPS->on_probe_timeout(bench.cc, 3, bench.now_ns);
        assert_int_equal(OPS->in_flight_bytes(bench.cc), bench.count * PACKET);
    }
    while (bench.count > 0)
        ack(&bench, &bench.flight[--bench.count]);
    assert_int_equal(OPS->in_flight_bytes(bench.cc), 0);
    bench_close(&bench);
}

static void fixed_window_is_fixed(void **state)
{
    (void)state;
    struct congestion_config config = {.packet_bytes = PACKET, .hosted_cap = 3};
    struct congestion *cc = congestion_fixed.create(&config, 0);
    struct congestion_packet packet = {.bytes = PACKET};
    for (int i = 0; i < 3; i++)
        assert_int_equal(congestion_fixed.take(cc, PACKET, 0, 0), 0);
    assert_int_equal(congestion_fixed.take(cc, PACKET, 0, 0), CONGESTION_NO_FLOW);
    congestion_fixed.on_lost(cc, &packet, 0);
    assert_int_equal(congestion_fixed.window_bytes(cc), 3 * PACKET);
    assert_int_equal(congestion_fixed.in_flight_bytes(cc), 2 * PACKET);
    assert_int_equal(congestion_fixed.take(cc, PACKET, 0, 0), 0);
    congestion_fixed.destroy(cc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T7_starts_with_ten_packets),
        cmocka_unit_test(T7_one_loss_cuts_one_flow_once_per_round),
        cmocka_unit_test(T7_backs_off_less_the_more_it_hosts),
        cmocka_unit_test(T7_window_never_below_hosted),
        cmocka_unit_test(T7_growth_steepens_with_each_connection),
        cmocka_unit_test(T7_connections_come_and_go),
        cmocka_unit_test(T7_hosted_is_told_only_when_it_changes),
        cmocka_unit_test(T7_hosted_is_capped),
        cmocka_unit_test(losses_that_were_none_are_undone),
        cmocka_unit_test(a_mark_counts_like_a_loss_once),
        cmocka_unit_test(marks_of_a_scalable_kind_are_answered_in_proportion),
        cmocka_unit_test(T7_fuse_spreads_the_floor_over_backed_off_timeouts),
        cmocka_unit_test(an_application_that_sends_little_grows_no_window),
        cmocka_unit_test(a_known_path_is_not_searched_again),
        cmocka_unit_test(a_path_that_has_shrunk_is_left_in_peace),
        cmocka_unit_test(flight_adds_up_whatever_happens),
        cmocka_unit_test(fixed_window_is_fixed),
    };
    return cmocka_run_group_tests_name("transport/ensemble", tests, NULL, NULL);
}
