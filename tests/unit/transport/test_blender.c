/* SPDX-License-Identifier: Apache-2.0
 *
 * The blender's shares, order and mixture (T2-T5). The shares are compared with both forms of the rule: the requirement's own
 * (normalised so that the ring with the greatest nReady can be emptied) and the bounded one (normalised to the bytes of a burst).
 */
#include "base/random.h"
#include "transport/blender.h"

#include <math.h>
#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { BUFFERS = 400, PACKET = 1372, PLENTY = 1 << 30 };

static const uint8_t DEFAULT_WEIGHTS[BLENDER_RINGS] = {16, 8, 4, 2, 1};

struct bench {
    struct blender blender;
    struct blend_buffer buffers[BUFFERS];
    uint64_t sent[BUFFERS];
    int count;
};

static void bench_clear(struct bench *bench)
{
    for (int i = 0; i < BUFFERS; i++)
        blender_leave(&bench->blender, &bench->buffers[i]);
    if (bench->blender.sites.count)
        blender_clear(&bench->blender);
}

/* What it held before goes. */
static void bench_init(struct bench *bench, const uint8_t weights[BLENDER_RINGS])
{
    bench_clear(bench);
    *bench = (struct bench){0};
    blender_init(&bench->blender, weights, BLENDER_QUANTUM);
    bench->blender.boost_bytes = 0;
}

static struct blend_buffer *add_for(struct bench *bench, uint16_t site, uint8_t ring,
                                    uint64_t bytes)
{
    struct blend_buffer *buffer = &bench->buffers[bench->count++];
    blender_join(&bench->blender, buffer, site, ring, BLENDER_WEIGHT_DEFAULT);
    blender_set_waiting(&bench->blender, buffer, bytes);
    return buffer;
}

static struct blend_buffer *add(struct bench *bench, uint8_t ring, uint64_t bytes)
{
    return add_for(bench, 0, ring, bytes);
}

/* Nothing is lost or counted twice. */
static void check_counts(const struct bench *bench)
{
    uint64_t sockets[BLENDER_RINGS] = {0}, ready[BLENDER_RINGS] = {0}, bytes[BLENDER_RINGS] = {0};
    uint64_t all = 0;
    for (int i = 0; i < bench->count; i++) {
        const struct blend_buffer *buffer = &bench->buffers[i];
        if (!buffer->is_member)
            continue;
        sockets[buffer->standing]++;
        ready[buffer->standing] += buffer->is_ready;
        bytes[buffer->standing] += buffer->bytes;
        all += buffer->bytes;
    }
    for (int i = 0; i < BLENDER_RINGS; i++) {
        assert_int_equal(bench->blender.rings[i].sockets, sockets[i]);
        assert_int_equal(bench->blender.rings[i].ready_count, ready[i]);
        assert_int_equal(bench->blender.rings[i].bytes, bytes[i]);
        uint64_t queued = 0;
        LIST_EACH (item, after, &bench->blender.rings[i].queues) {
            const struct blend_queue *queue = CONTAINER_OF(item, struct blend_queue, link);
            assert_true(queue->ready_count > 0);
            queued += queue->ready_count;
        }
        assert_int_equal(queued, ready[i]);
    }
    assert_int_equal(blender_waiting(&bench->blender), all);
}

/* One sub-packet; how many bytes, and of which buffer. */
static uint32_t serve(struct bench *bench, uint32_t room, bool packet_is_empty,
                      struct blend_buffer **who)
{
    uint32_t most = 0;
    struct blend_buffer *buffer = blender_next(&bench->blender, room, packet_is_empty, &most);
    *who = buffer;
    if (!buffer)
        return 0;
    assert_true(most > 0 && most <= room && most <= buffer->bytes);
    bench->sent[buffer - bench->buffers] += most;
    blender_took(&bench->blender, buffer, most);
    return most;
}

static int rings_in_use(const struct bench *bench)
{
    int rings = 0;
    for (int i = 0; i < BLENDER_RINGS; i++)
        rings += bench->blender.rings[i].ready_count > 0;
    return rings;
}

/* Random rings, buffers and weights; everyone has plenty. At the end of each of hundreds of rounds every ring has had its
 * n_send_norm for all of them, within one quantum. */
static void T3_shares_are_weight_times_ready_within_one_quantum(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 2);
    static struct bench bench;
    for (int scenario = 0; scenario < 300; scenario++) {
        uint8_t weights[BLENDER_RINGS];
        for (int i = 0; i < BLENDER_RINGS; i++)
            weights[i] =
                (uint8_t)(scenario % 3 ? 1 + random_below(&random, 255) : DEFAULT_WEIGHTS[i]);
        bench_init(&bench, weights);
        double nsend[BLENDER_RINGS] = {0}, sum = 0;
        for (int i = 0; i < BLENDER_RINGS; i++) {
            uint64_t ready = random_below(&random, 1 + random_below(&random, 80));
            for (uint64_t j = 0; j < ready; j++)
                add(&bench, (uint8_t)i, PLENTY);
            nsend[i] = (double)weights[i] * (double)ready;
            sum += nsend[i];
        }
        if (rings_in_use(&bench) < 2)
            continue;
        int fullest = 0;
        for (int i = 1; i < BLENDER_RINGS; i++) {
            if (bench.blender.rings[i].ready_count > bench.blender.rings[fullest].ready_count)
                fullest = i;
        }
        double burst = BLENDER_QUANTUM * 15; /* P, the bytes of a round */
        uint64_t round = bench.blender.round;
        double rounds = 0;
        for (int i = 0; i < 3000; i++) {
            struct blend_buffer *who;
            uint32_t most = 0;
            (void)blender_next(&bench.blender, PACKET, false, &most);
            if (bench.blender.round != round) {
                /* S = nBytes / (w n) of the fullest ring, with what it has emptied as nBytes. */
                double s_norm = (double)bench.blender.rings[fullest].sent_bytes / nsend[fullest];
                for (int r = 0; r < BLENDER_RINGS; r++) {
                    double sent = (double)bench.blender.rings[r].sent_bytes;
                    double bounded = rounds * burst * nsend[r] / sum;
                    double quantum = BLENDER_QUANTUM + 1;
                    assert_true(fabs(sent - bounded) <= quantum);
                    assert_true(fabs(sent - s_norm * nsend[r]) <=
                                quantum * fmax(1, nsend[r] / nsend[fullest]));
                }
                rounds += (double)(bench.blender.round - round);
                round = bench.blender.round;
            }
            serve(&bench, PACKET, false, &who);
        }
        check_counts(&bench);
    }
}

/* The same with whole packets for whoever can fill one: within one packet. */
static void T3_shares_hold_with_whole_packets(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench, DEFAULT_WEIGHTS);
    for (uint8_t i = 0; i < BLENDER_RINGS; i++)
        for (int j = 0; j <= i; j++)
            add(&bench, i, PLENTY);
    uint64_t all = 0;
    for (int i = 0; i < 20000; i++) {
        struct blend_buffer *who;
        all += serve(&bench, PACKET, true, &who);
    }
    double sum = 16 * 1 + 8 * 2 + 4 * 3 + 2 * 4 + 1 * 5;
    for (int i = 0; i < BLENDER_RINGS; i++) {
        double due = (double)all * DEFAULT_WEIGHTS[i] * (i + 1) / sum;
        assert_true(fabs((double)bench.blender.rings[i].sent_bytes - due) <= 15 * 512 + PACKET);
    }
    /* Inside a ring all had the same number of turns. */
    for (int i = 0, first = 0; i < BLENDER_RINGS; first += ++i)
        for (int j = first; j <= first + i; j++)
            assert_true(bench.sent[j] + PACKET >= bench.sent[first] &&
                        bench.sent[first] + PACKET >= bench.sent[j]);
}

/* Bytes waiting buy nothing: the bloated ring gets what its ready buffers are due. */
static void T3_a_bloated_buffer_buys_no_share(void **state)
{
    (void)state;
    static struct bench bench;
    static const uint8_t even[BLENDER_RINGS] = {1, 1, 1, 1, 1};
    bench_init(&bench, even);
    add(&bench, 1, 1u << 31);
    add(&bench, 2, 1u << 20);
    for (int i = 0; i < 1000; i++) {
        struct blend_buffer *who;
        serve(&bench, PACKET, false, &who);
    }
    assert_true(llabs((long long)bench.sent[0] - (long long)bench.sent[1]) <= 2 * BLENDER_QUANTUM);
}

/* One light buffer in the lowest ring beside hundreds in the highest, with the heaviest weights. */
static void T3_no_ring_starves(void **state)
{
    (void)state;
    static struct bench bench;
    static const uint8_t steep[BLENDER_RINGS] = {255, 1, 1, 1, 0};
    bench_init(&bench, steep);
    struct blend_buffer *light = add(&bench, 4, PLENTY);
    for (int i = 1; i < BUFFERS; i++)
        add(&bench, 0, PLENTY);
    uint64_t all = 0, last = 0, gap = 0;
    for (int i = 0; i < 1000000; i++) {
        struct blend_buffer *who;
        all += serve(&bench, PACKET, false, &who);
        if (who == light) {
            gap = all - last > gap ? all - last : gap;
            last = all;
        }
    }
    assert_true(bench.sent[0] >= all / (255 * 399 + 1) - BLENDER_QUANTUM);
    assert_true(gap <= (255 * 399 + 1) * BLENDER_QUANTUM + 15 * BLENDER_QUANTUM);
    assert_true(gap > 0);
}

/* With the same weights everywhere the order within a round is the requirement's pyramid. */
static void T4_top_ring_first_then_top_two_and_so_on(void **state)
{
    (void)state;
    static struct bench bench;
    static const uint8_t pyramid[BLENDER_RINGS] = {5, 4, 3, 2, 1};
    static const uint8_t expected[15] = {0, 0, 1, 0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4};
    bench_init(&bench, pyramid);
    struct blend_buffer *who;
    for (uint8_t i = 0; i < BLENDER_RINGS; i++)
        add(&bench, i, PLENTY);
    for (int i = 0; i < BLENDER_RINGS; i++)
        bench.blender.rings[i].credit = 0; /* without the first one on account */
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 15; i++) {
            assert_int_equal(serve(&bench, PACKET, false, &who), BLENDER_QUANTUM);
            assert_int_equal(who->ring, expected[i]);
        }
    }
}

static void T4_round_robin_inside_a_ring(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench, DEFAULT_WEIGHTS);
    for (int i = 0; i < 7; i++)
        add(&bench, 2, PLENTY);
    for (int i = 0; i < 70; i++) {
        struct blend_buffer *who;
        serve(&bench, PACKET, false, &who);
        assert_ptr_equal(who, &bench.buffers[i % 7]);
    }
}

static void T4_turns_follow_the_weights_inside_a_ring(void **state)
{
    (void)state;
    static struct bench bench;
    static const uint8_t weights[] = {1, 4, 8, 16, 32, 255};
    bench_init(&bench, DEFAULT_WEIGHTS);
    uint64_t all = 0;
    double sum = 0;
    for (int i = 0; i < 60; i++) {
        struct blend_buffer *buffer = add(&bench, 1, PLENTY);
        blender_set_ring(&bench.blender, buffer, 1, weights[i % 6]);
        sum += weights[i % 6];
    }
    for (int i = 0; i < 60000; i++) {
        struct blend_buffer *who;
        all += serve(&bench, PACKET, false, &who);
    }
    for (int i = 0; i < 60; i++) {
        double due = (double)all * weights[i % 6] / sum;
        assert_true(fabs((double)bench.sent[i] - due) < 0.1 * due + 17 * BLENDER_QUANTUM);
    }
}

/* Fills a packet as the core does; the number of different buffers in it. */
static int fill_packet(struct bench *bench, uint32_t *length)
{
    struct blend_buffer *in_it[16];
    int different = 0;
    uint32_t room = PACKET;
    while (room > 0) {
        struct blend_buffer *who;
        uint32_t most = serve(bench, room, room == PACKET, &who);
        if (most == 0)
            break;
        bool is_new = true;
        for (int i = 0; i < different; i++)
            is_new = is_new && in_it[i] != who;
        if (is_new)
            in_it[different++] = who;
        room -= most;
    }
    *length = PACKET - room;
    return different;
}

static void T5_many_with_little_are_mixed(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench, DEFAULT_WEIGHTS);
    for (int i = 0; i < 90; i++)
        add(&bench, (uint8_t)(i % 3 + 1), 300 + (uint64_t)(i * 7) % 600);
    uint32_t length;
    while (blender_waiting(&bench.blender) >= 3 * PACKET) {
        assert_true(fill_packet(&bench, &length) >= 3);
        assert_int_equal(length, PACKET);
        check_counts(&bench);
    }
}

static void T5_who_fills_a_packet_alone_gets_it_alone(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench, DEFAULT_WEIGHTS);
    for (int i = 0; i < 9; i++)
        add(&bench, (uint8_t)(i % 5), PLENTY);
    for (int i = 0; i < 100; i++) {
        uint32_t length;
        assert_int_equal(fill_packet(&bench, &length), 1);
        assert_int_equal(length, PACKET);
    }
    /* And the only one that waits is not cut into sub-packets. */
    bench_init(&bench, DEFAULT_WEIGHTS);
    add(&bench, 3, 900);
    struct blend_buffer *who;
    assert_int_equal(serve(&bench, PACKET, true, &who), 900);
    assert_int_equal(serve(&bench, PACKET - 900, false, &who), 0);
    assert_null(who);
}

static void T4_an_urgent_stream_waits_for_few_packets(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench, DEFAULT_WEIGHTS);
    for (int i = 0; i < 50; i++)
        add(&bench, 4, PLENTY);
    struct random random;
    random_seed(&random, 5);
    struct blend_buffer *urgent = add(&bench, 0, 0);
    for (int i = 0; i < 200; i++) {
        uint32_t length;
        for (uint64_t bulk = random_below(&random, 40); bulk > 0; bulk--)
            fill_packet(&bench, &length);
        blender_set_waiting(&bench.blender, urgent, 400);
        uint64_t waited = 0;
        while (urgent->is_ready) {
            fill_packet(&bench, &length);
            waited += length;
        }
        assert_true(waited <= 15 * BLENDER_QUANTUM + 2 * PACKET);
    }
}

static void a_new_stream_counts_one_ring_higher_at_first(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench, DEFAULT_WEIGHTS);
    add(&bench, 3, PLENTY);
    bench.blender.boost_bytes = BLENDER_BOOST_BYTES;
    struct blend_buffer *fresh = add(&bench, 3, PLENTY);
    assert_int_equal(fresh->standing, 2);
    assert_int_equal(add(&bench, 0, 1)->standing, 0);
    while (bench.sent[1] < BLENDER_BOOST_BYTES) {
        struct blend_buffer *who;
        assert_int_equal(fresh->standing, 2);
        serve(&bench, PACKET, false, &who);
        check_counts(&bench);
    }
    assert_int_equal(fresh->standing, 3);
    assert_true(bench.sent[0] <= bench.sent[1] / 2 + 15 * BLENDER_QUANTUM);
}

/* Joins, leaves, ring changes, new weights and waiting bytes at random, between sub-packets. */
static void T2_counters_hold_whatever_happens(void **state)
{
    (void)state;
    static struct bench bench;
    struct random random;
    random_seed(&random, 3);
    bench_init(&bench, DEFAULT_WEIGHTS);
    bench.blender.boost_bytes = 2000;
    bench.count = BUFFERS;
    uint64_t in = 0, out = 0;
    for (int step = 0; step < 100000; step++) {
        struct blend_buffer *buffer = &bench.buffers[random_below(&random, BUFFERS)];
        uint8_t ring = (uint8_t)random_below(&random, BLENDER_RINGS);
        uint64_t what = random_below(&random, 10);
        if (!buffer->is_member) {
            blender_join(&bench.blender, buffer, (uint16_t)random_below(&random, 20), ring,
                         (uint8_t)random_below(&random, 256));
        } else if (what == 0) {
            in -= buffer->bytes;
            blender_leave(&bench.blender, buffer);
            blender_leave(&bench.blender, buffer);
        } else if (what == 1) {
            blender_set_ring(&bench.blender, buffer, ring, (uint8_t)random_below(&random, 256));
        } else if (what == 2) {
            uint8_t weights[BLENDER_RINGS];
            for (int i = 0; i < BLENDER_RINGS; i++)
                weights[i] = (uint8_t)random_below(&random, 256);
            blender_set_weights(&bench.blender, weights);
        } else if (what < 7) {
            uint64_t bytes = random_below(&random, 2) ? random_below(&random, 4000) : 0;
            in += bytes - buffer->bytes;
            blender_set_waiting(&bench.blender, buffer, bytes);
        } else {
            for (uint64_t i = random_below(&random, 20); i > 0; i--) {
                struct blend_buffer *who;
                out += serve(&bench, 1 + (uint32_t)random_below(&random, PACKET), i & 1, &who);
            }
        }
        assert_int_equal(blender_waiting(&bench.blender), in - out);
        if (step % 97 == 0)
            check_counts(&bench);
    }
    /* All of it can be emptied. */
    struct blend_buffer *who;
    while (serve(&bench, PACKET, true, &who) > 0)
        ;
    check_counts(&bench);
    assert_int_equal(blender_waiting(&bench.blender), 0);
}

static void weights_change_while_running(void **state)
{
    (void)state;
    static struct bench bench;
    static const uint8_t first[BLENDER_RINGS] = {9, 1, 1, 1, 1},
                         then[BLENDER_RINGS] = {1, 9, 1, 1, 1};
    bench_init(&bench, first);
    add(&bench, 0, PLENTY);
    add(&bench, 1, PLENTY);
    struct blend_buffer *who;
    for (int i = 0; i < 1000; i++)
        serve(&bench, PACKET, false, &who);
    uint64_t before[2] = {bench.sent[0], bench.sent[1]};
    assert_true(llabs((long long)before[0] - 9 * (long long)before[1]) <= 15 * 512);
    blender_set_weights(&bench.blender, then);
    for (int i = 0; i < 10000; i++)
        serve(&bench, PACKET, false, &who);
    double a = (double)(bench.sent[0] - before[0]), b = (double)(bench.sent[1] - before[1]);
    assert_true(fabs(b / a - 9) < 0.2);
}

static void a_buffer_that_cannot_give_loses_its_turn_only(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench, DEFAULT_WEIGHTS);
    add(&bench, 0, PLENTY);
    add(&bench, 0, PLENTY);
    uint32_t most;
    struct blend_buffer *first = blender_next(&bench.blender, PACKET, true, &most);
    assert_ptr_equal(blender_next(&bench.blender, PACKET, true, &most), first);
    blender_took(&bench.blender, first, 0);
    struct blend_buffer *second = blender_next(&bench.blender, PACKET, true, &most);
    assert_ptr_not_equal(second, first);
    blender_took(&bench.blender, second, most);
    assert_ptr_equal(blender_next(&bench.blender, PACKET, true, &most), first);
}

/* ---- sites */

/* Random sites with random numbers of streams and weights in one ring: each site has its weight's share by bytes, whatever the
 * number of its streams and the size of what they send, and its streams share that evenly. */
static void T4_sites_share_a_ring_by_weight_whatever_their_streams(void **state)
{
    (void)state;
    static struct bench bench;
    struct random random;
    random_seed(&random, 11);
    enum { SITES = 8, PACKETS = 20000 };
    for (int scenario = 0; scenario < 30; scenario++) {
        bench_init(&bench, DEFAULT_WEIGHTS);
        struct transport_site_weight weights[SITES];
        int first[SITES + 1] = {0};
        double sum = 0;
        for (uint16_t i = 0; i < SITES; i++) {
            uint8_t weight = (uint8_t)(scenario < 10 ? 16 : 1 + random_below(&random, 64));
            weights[i] = (struct transport_site_weight){(uint16_t)(SITES - i), weight};
            sum += weight;
        }
        blend_sites_weigh(&bench.blender.sites, weights, SITES);
        for (uint16_t i = 0; i < SITES; i++) {
            for (uint64_t n = 1 + random_below(&random, 40); n > 0; n--)
                add_for(&bench, weights[i].number, 2, PLENTY);
            first[i + 1] = bench.count;
        }
        bool is_whole = scenario % 2;
        uint64_t all = 0;
        for (int i = 0; i < PACKETS; i++) {
            struct blend_buffer *who;
            all += serve(&bench, PACKET, is_whole, &who);
        }
        for (uint16_t i = 0; i < SITES; i++) {
            uint64_t sent = 0, least = UINT64_MAX, most = 0;
            for (int at = first[i]; at < first[i + 1]; at++) {
                sent += bench.sent[at];
                least = bench.sent[at] < least ? bench.sent[at] : least;
                most = bench.sent[at] > most ? bench.sent[at] : most;
            }
            double due = (double)all * weights[i].weight / sum;
            double turn = (double)PACKET * (2 + weights[i].weight / 16.0);
            assert_true(fabs((double)sent - due) <= 0.02 * due + 2 * turn);
            assert_true(most - least <= 2 * PACKET);
        }
        check_counts(&bench);
    }
}

/* The shares of the rings are those of weight x nReady, whoever's the streams are: a site that opens many in a lower ring takes
 * nothing from another one in a higher. */
static void T3_shares_of_rings_do_not_depend_on_sites(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench, DEFAULT_WEIGHTS);
    for (uint16_t i = 0; i < 60; i++)
        add_for(&bench, i % 7, (uint8_t)(i % 5), PLENTY);
    uint64_t all = 0;
    for (int i = 0; i < 30000; i++) {
        struct blend_buffer *who;
        all += serve(&bench, PACKET, i & 1, &who);
    }
    for (int i = 0; i < BLENDER_RINGS; i++) {
        double due = (double)all * DEFAULT_WEIGHTS[i] / 31;
        assert_true(fabs((double)bench.blender.rings[i].sent_bytes - due) <= 15 * 512 + PACKET);
    }
}

static void T4_a_site_with_a_thousand_streams_leaves_another_its_half(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench, DEFAULT_WEIGHTS);
    for (int i = 1; i < BUFFERS; i++)
        add_for(&bench, 7, 3, PLENTY);
    struct blend_buffer *single = add_for(&bench, 8, 3, 0);
    /* It asks now and then, and waits for one turn of the other site. */
    for (int i = 0; i < 200; i++) {
        struct blend_buffer *who;
        for (int packets = 0; packets < 10; packets++)
            serve(&bench, PACKET, true, &who);
        blender_set_waiting(&bench.blender, single, 900);
        uint64_t waited = 0;
        while (single->is_ready)
            waited += serve(&bench, PACKET, true, &who);
        assert_true(waited <= 2 * PACKET + 900);
    }
}

/* Weights change and streams come, go and change rings while all are served: from any moment on the sites have their new share. */
static void T4_site_weights_change_while_running(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench, DEFAULT_WEIGHTS);
    for (int i = 0; i < 40; i++)
        add_for(&bench, i < 30 ? 1 : 2, 1, PLENTY);
    struct random random;
    random_seed(&random, 12);
    for (int scenario = 0; scenario < 40; scenario++) {
        struct transport_site_weight weights[] = {
            {2, (uint8_t)(1 + random_below(&random, 200))},
            {1, (uint8_t)(1 + random_below(&random, 200))},
        };
        blend_sites_weigh(&bench.blender.sites, weights, 2);
        struct blend_buffer *moving = &bench.buffers[random_below(&random, 30)];
        blender_set_ring(&bench.blender, moving, moving->ring == 1 ? 3 : 1, 16);
        struct blend_buffer *leaving = &bench.buffers[random_below(&random, 30)];
        blender_leave(&bench.blender, leaving);
        blender_join(&bench.blender, leaving, 1, 1, 16);
        blender_set_waiting(&bench.blender, leaving, PLENTY);
        bench.blender.rings[3].credit = 0;
        double sent[2] = {0};
        for (int i = 0; i < 20000; i++) {
            struct blend_buffer *who;
            uint32_t bytes = serve(&bench, PACKET, true, &who);
            if (who->standing == 1)
                sent[who->site->number - 1] += bytes;
        }
        double due =
            (sent[0] + sent[1]) * weights[0].weight / (weights[0].weight + weights[1].weight);
        assert_true(fabs(sent[1] - due) <= 0.02 * due + 30 * PACKET);
        check_counts(&bench);
    }
    const struct transport_site_weight none = {0};
    blend_sites_weigh(&bench.blender.sites, &none, 0);
    assert_int_equal(bench.buffers[0].site->weight, BLEND_SITE_WEIGHT_DEFAULT);
}

/* More sites than are told apart: the longest idle one goes; while none is, newcomers share. */
static void T4_sites_are_bounded(void **state)
{
    (void)state;
    struct blend_sites sites;
    blend_sites_init(&sites);
    struct blend_site *first = blend_site_join(&sites, 1), *second = blend_site_join(&sites, 2);
    for (uint32_t i = 3; i < BLEND_SITES_LIMIT; i++)
        assert_int_equal(blend_site_join(&sites, (uint16_t)i)->number, i);
    struct blend_site *shared = blend_site_join(&sites, 60000);
    assert_int_equal(shared->number, 0);
    blend_site_leave(&sites, shared);
    second->sent_bytes = 77;
    blend_site_leave(&sites, second);
    blend_site_leave(&sites, first);
    assert_ptr_equal(blend_site_join(&sites, 2), second); /* still known */
    assert_int_equal(second->sent_bytes, 77);
    assert_ptr_equal(blend_site_join(&sites, 60000), first);
    assert_int_equal(first->number, 60000);
    assert_ptr_equal(blend_site_join(&sites, 1), shared);
    struct transport_site_facts facts[3];
    first->sent_bytes = 5;
    sites.all[100]->sent_bytes = 500;
    assert_int_equal(blend_sites_read(&sites, facts, 3), 3);
    assert_int_equal(facts[0].number, sites.all[100]->number);
    assert_int_equal(facts[1].number, 2);
    assert_int_equal(facts[2].number, 60000);
    blend_site_leave(&sites, shared);
    for (uint32_t i = 1; i < BLEND_SITES_LIMIT; i++)
        blend_site_leave(&sites, sites.all[i]);
    blend_sites_clear(&sites);
}

/* ---- T3 while everything changes */

/* Between random joins, leaves, changes of rings and of weights everyone is backlogged: in each stretch of time every ring has had its
 * share of what was sent, by the shares that held in the stretch, within two packets and the round that was under way. */
static void T3_shares_hold_through_random_changes(void **state)
{
    (void)state;
    static struct bench bench;
    struct random random;
    random_seed(&random, 14);
    bench_init(&bench, DEFAULT_WEIGHTS);
    bench.count = 200;
    for (int stretch = 0; stretch < 400; stretch++) {
        for (int changes = 0; changes < 20; changes++) {
            struct blend_buffer *buffer = &bench.buffers[random_below(&random, 200)];
            uint8_t ring = (uint8_t)random_below(&random, BLENDER_RINGS);
            if (!buffer->is_member) {
                blender_join(&bench.blender, buffer, (uint16_t)random_below(&random, 5), ring, 16);
                blender_set_waiting(&bench.blender, buffer, PLENTY);
            } else if (random_below(&random, 2)) {
                blender_leave(&bench.blender, buffer);
            } else {
                blender_set_ring(&bench.blender, buffer, ring, 16);
            }
        }
        uint8_t weights[BLENDER_RINGS];
        for (int i = 0; i < BLENDER_RINGS; i++)
            weights[i] = (uint8_t)(1 + random_below(&random, 64));
        blender_set_weights(&bench.blender, weights);
        double due[BLENDER_RINGS], before[BLENDER_RINGS], sum = 0, all = 0;
        for (int i = 0; i < BLENDER_RINGS; i++) {
            before[i] = (double)bench.blender.rings[i].sent_bytes;
            due[i] = weights[i] * (double)bench.blender.rings[i].ready_count;
            sum += due[i];
        }
        for (int i = 0; i < 1000 && sum > 0; i++) {
            struct blend_buffer *who;
            all += serve(&bench, PACKET, false, &who);
        }
        for (int i = 0; i < BLENDER_RINGS && sum > 0; i++) {
            double sent = (double)bench.blender.rings[i].sent_bytes - before[i];
            assert_true(fabs(sent - all * due[i] / sum) <= 15 * 512 + 2 * PACKET);
        }
        for (int i = 0; i < 200; i++)
            if (bench.buffers[i].is_member)
                blender_set_waiting(&bench.blender, &bench.buffers[i], PLENTY);
    }
    check_counts(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T3_shares_are_weight_times_ready_within_one_quantum),
        cmocka_unit_test(T3_shares_hold_with_whole_packets),
        cmocka_unit_test(T3_a_bloated_buffer_buys_no_share),
        cmocka_unit_test(T3_no_ring_starves),
        cmocka_unit_test(T4_top_ring_first_then_top_two_and_so_on),
        cmocka_unit_test(T4_round_robin_inside_a_ring),
        cmocka_unit_test(T4_turns_follow_the_weights_inside_a_ring),
        cmocka_unit_test(T5_many_with_little_are_mixed),
        cmocka_unit_test(T5_who_fills_a_packet_alone_gets_it_alone),
        cmocka_unit_test(T4_an_urgent_stream_waits_for_few_packets),
        cmocka_unit_test(a_new_stream_counts_one_ring_higher_at_first),
        cmocka_unit_test(T2_counters_hold_whatever_happens),
        cmocka_unit_test(weights_change_while_running),
        cmocka_unit_test(a_buffer_that_cannot_give_loses_its_turn_only),
        cmocka_unit_test(T4_sites_share_a_ring_by_weight_whatever_their_streams),
        cmocka_unit_test(T3_shares_of_rings_do_not_depend_on_sites),
        cmocka_unit_test(T4_a_site_with_a_thousand_streams_leaves_another_its_half),
        cmocka_unit_test(T4_site_weights_change_while_running),
        cmocka_unit_test(T4_sites_are_bounded),
        cmocka_unit_test(T3_shares_hold_through_random_changes),
    };
    return cmocka_run_group_tests_name("transport/blender", tests, NULL, NULL);
}
