/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports that nobody else can make or repeat (R9): flipped bits, replays within and across
 * restarts, reordering, duplication, loss, strangers, and nonces that are never used twice.
 */
#include "base/bytes.h"
#include "world.h"

#include <malloc.h>
#include <stdlib.h>

static void fill(struct status_report *report, struct random *random)
{
    *report = (struct status_report){
        .flags = (uint8_t)random_below(random, 4),
        .connections = (uint32_t)random_u64(random),
        .requests_per_s = (uint32_t)random_u64(random),
        .config_hash = random_u64(random),
        .worker_count = (uint16_t)random_below(random, STATUS_WORKERS_MAX + 1),
        .gateway_count = (uint16_t)random_below(random, STATUS_GATEWAYS_MAX + 1),
    };
    for (size_t i = 0; i < report->worker_count; i++)
        report->worker_age_ms[i] = (uint16_t)random_below(random, STATUS_STALL_MS);
    for (size_t i = 0; i < report->gateway_count; i++)
        report->gateways[i] = (struct status_gateway){
            .id = random_u64(random),
            .srtt_us = (uint32_t)random_u64(random),
            .loss_ppm = (uint32_t)random_below(random, 1000001),
            .is_up = random_below(random, 2),
        };
}

static void assert_same(const struct status_report *a, const struct status_report *b)
{
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->connections, b->connections);
    assert_int_equal(a->requests_per_s, b->requests_per_s);
    assert_int_equal(a->config_hash, b->config_hash);
    assert_int_equal(a->worker_count, b->worker_count);
    assert_int_equal(a->gateway_count, b->gateway_count);
    assert_memory_equal(a->worker_age_ms, b->worker_age_ms, 2u * a->worker_count);
    for (size_t i = 0; i < a->gateway_count; i++) {
        assert_int_equal(a->gateways[i].id, b->gateways[i].id);
        assert_int_equal(a->gateways[i].srtt_us, b->gateways[i].srtt_us);
        assert_int_equal(a->gateways[i].loss_ppm, b->gateways[i].loss_ppm);
        assert_int_equal(a->gateways[i].is_up, b->gateways[i].is_up);
    }
}

static void report_crosses_unchanged(void **state)
{
    (void)state;
    struct world *world = world_new(1, 1);
    world_run_ms(world, 500);
    for (int i = 0; i < 200; i++) {
        fill(&world->edges[0].report, &world->random);
        if (i == 0)
            world->edges[0].report.worker_count = STATUS_WORKERS_MAX,
            world->edges[0].report.gateway_count = STATUS_GATEWAYS_MAX;
        world_run_ms(world, 250 + 20);
        assert_same(&world->edges[0].report, &world_edge(world, 0)->report);
    }
    world_free(world);
}

/* More than fits is cut, not refused. */
static void report_of_too_many_is_cut(void **state)
{
    (void)state;
    struct world *world = world_new(2, 1);
    world->edges[0].report.worker_count = 5000;
    world->edges[0].report.gateway_count = 5000;
    world_run_ms(world, 600);
    assert_int_equal(world_edge(world, 0)->report.worker_count, STATUS_WORKERS_MAX);
    assert_int_equal(world_edge(world, 0)->report.gateway_count, STATUS_GATEWAYS_MAX);
    world_free(world);
}

static void R9_every_flipped_bit_and_every_cut_is_refused(void **state)
{
    (void)state;
    struct world *world = world_new(3, 1);
    world_run_ms(world, 1000);
    struct world_edge *edge = &world->edges[0];
    uint8_t bytes[STATUS_DATAGRAM_MAX];
    edge->report.worker_count = 3;
    edge->report.gateway_count = 2;
    size_t length = status_sender_write(&edge->sender, world->now_ns, &edge->report, bytes);
    struct status_edge before = *world_edge(world, 0);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(world_deliver_report(world, 0, bytes, length) < 0);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < length; cut++)
        assert_true(world_deliver_report(world, 0, bytes, cut) < 0);
    assert_memory_equal(&before, world_edge(world, 0), sizeof before);
    assert_int_equal(world->flights_count, 0); /* nothing was answered */
    const struct status_receiver_counters *counters = status_receiver_counters(world->receiver);
    assert_int_equal(counters->forged + counters->malformed + counters->strangers,
                     8 * length + length);
    assert_int_equal(world_deliver_report(world, 0, bytes, length), 0);
    assert_int_equal(world_deliver_report(world, 0, bytes, length), ERROR_REPLAY); /* once */
    world_free(world);
}

static void R9_forged_epoch_changes_nothing(void **state)
{
    (void)state;
    struct world *world = world_new(4, 1);
    struct world_edge *edge = &world->edges[0];
    uint8_t bytes[STATUS_DATAGRAM_MAX], reply[STATUS_EPOCH_BYTES];
    size_t length = status_sender_write(&edge->sender, world->now_ns, &edge->report, bytes);
    assert_int_equal(status_receiver_receive(world->receiver, world->now_ns, span_of(bytes, length),
                                             reply, NULL),
                     ERROR_AGAIN);
    struct status_sender before = edge->sender;
    for (size_t bit = 0; bit < 8 * sizeof reply; bit++) {
        reply[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(
            status_sender_receive(&edge->sender, world->now_ns, span_of(reply, sizeof reply)) < 0);
        reply[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < sizeof reply; cut++)
        assert_true(status_sender_receive(&edge->sender, world->now_ns, span_of(reply, cut)) < 0);
    before.counters = edge->sender.counters;
    assert_memory_equal(&before, &edge->sender, sizeof before);
    assert_int_equal(
        status_sender_receive(&edge->sender, world->now_ns, span_of(reply, sizeof reply)), 0);
    /* Once. */
    assert_int_equal(status_sender_receive(&edge->sender, world->now_ns,
                                           span_of(reply, sizeof reply)),
                     ERROR_REPLAY);
    world_free(world);
}

static void R9_replayed_reports_change_nothing(void **state)
{
    (void)state;
    enum { RECORDED = 200 };
    static uint8_t record[RECORDED][STATUS_DATAGRAM_MAX];
    static size_t lengths[RECORDED];
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct world *world = world_new(100 + seed, 2);
        struct world_edge *edge = &world->edges[0];
        size_t recorded = 0;
        /* Whoever listens records what the edge sends, over three of its incarnations and two of
         * the receiver's. */
        while (recorded < RECORDED) {
            world_run_ms(world, 1);
            for (size_t i = 0; i < world->flights_count && recorded < RECORDED; i++) {
                const struct flight *flight = &world->flights[i];
                if (flight->edge == 0 && flight->is_report &&
                    flight->arrives_ns == world->now_ns + 20 * MS_NS) {
                    memcpy(record[recorded], flight->bytes, flight->length);
                    lengths[recorded++] = flight->length;
                }
            }
            if (recorded == RECORDED / 3 || recorded == RECORDED / 2) {
                world_start_edge(world, 0);
                recorded++;
            }
            if (recorded == RECORDED / 4) {
                world_start_receiver(world);
                recorded++;
            }
        }
        world_run_ms(world, 300);

        /* The edge dies; all of the record, in any order, does not bring it back, to this
         * receiver or to one that has just started. */
        world_stop_edge(world, 0);
        world_run_ms(world, 1000);
        assert_int_equal(world_edge(world, 0)->state, STATUS_EDGE_DEAD);
        for (int round = 0; round < 2; round++) {
            struct status_edge before = *world_edge(world, 0);
            for (int i = 0; i < 1000; i++) {
                size_t chosen = random_below(&world->random, RECORDED);
                if (lengths[chosen])
                    assert_true(world_deliver_report(world, 0, record[chosen], lengths[chosen]) <
                                0);
                world_run_ms(world, 1);
            }
            struct status_edge after = *world_edge(world, 0);
            assert_int_equal(after.believed, before.believed);
            assert_int_equal(after.heard_ns, before.heard_ns);
            assert_int_not_equal(after.state, STATUS_EDGE_LIVE);
            const struct status_receiver_counters *counters =
                status_receiver_counters(world->receiver);
            assert_int_equal(counters->forged, 0);
            assert_true(counters->stale_epoch + counters->replayed > 900);
            assert_true(counters->epochs_sent <= 2 + 3 * STATUS_EPOCHS_PER_S + 50);
            world_start_receiver(world);
        }

        /* The true edge comes back amid the noise. */
        world_start_edge(world, 0);
        for (int i = 0; i < 2000 && world_edge(world, 0)->state != STATUS_EDGE_LIVE; i++) {
            if (i % 100 == 0)
                (void)!world_deliver_report(world, 0, record[0], lengths[0]);
            world_run_ms(world, 1);
        }
        assert_int_equal(world_edge(world, 0)->state, STATUS_EDGE_LIVE);
        assert_int_equal(edge->sender.epoch != 0, 1);
        memset(lengths, 0, sizeof lengths);
        world_free(world);
    }
}

/* What the process before sent, and somebody withheld until the next process was believed, is
 * worthless. */
static void R9_withheld_reports_of_the_process_before_change_nothing(void **state)
{
    (void)state;
    enum { WITHHELD = 50 };
    static uint8_t withheld[WITHHELD][STATUS_DATAGRAM_MAX];
    size_t lengths[WITHHELD];
    struct world *world = world_new(9, 1);
    struct world_edge *edge = &world->edges[0];
    world_run_ms(world, 1000);
    for (size_t i = 0; i < WITHHELD; i++)
        lengths[i] = status_sender_write(&edge->sender, world->now_ns, &edge->report, withheld[i]);
    world_start_edge(world, 0);
    world_run_ms(world, 1000);
    assert_int_equal(world_edge(world, 0)->incarnations, 2);
    for (size_t i = 0; i < WITHHELD; i++)
        assert_true(world_deliver_report(world, 0, withheld[i], lengths[i]) < 0);
    uint64_t believed = world_edge(world, 0)->believed;
    world_run_ms(world, 1000);
    assert_in_range(world_edge(world, 0)->believed, believed + 3, believed + 5);
    assert_int_equal(world_edge(world, 0)->incarnations, 2);
    world_free(world);
}

/* An upgrade: both processes report for a while, the older one draining; the newer one counts. */
static void R8_newer_process_wins_while_both_report(void **state)
{
    (void)state;
    struct world *world = world_new(10, 1);
    world_run_ms(world, 1000);
    struct status_sender older = world->edges[0].sender;
    world->edges[0].is_running = false;
    world_start_edge(world, 0);
    world_run_ms(world, 100);
    assert_int_equal(world_edge(world, 0)->incarnations, 2);
    const struct status_report draining = {.flags = STATUS_DRAINING};
    for (int i = 0; i < 40; i++) {
        uint8_t bytes[STATUS_DATAGRAM_MAX];
        size_t length = status_sender_write(&older, world->now_ns, &draining, bytes);
        assert_int_equal(world_deliver_report(world, 0, bytes, length), ERROR_REPLAY);
        world_run_ms(world, 250);
    }
    assert_int_equal(world_edge(world, 0)->incarnations, 2);
    assert_int_equal(world->events[STATUS_EVENT_FLAGS], 0);
    assert_int_equal(world->events[STATUS_EVENT_DEAD], 0);
    assert_int_equal(status_receiver_counters(world->receiver)->superseded, 40);
    status_sender_clear(&older);
    world_free(world);
}

/* And one that was rolled back: the older process goes on alone. */
static void R8_older_process_that_outlives_the_newer_is_believed_again(void **state)
{
    (void)state;
    struct world *world = world_new(11, 1);
    world_run_ms(world, 1000);
    struct status_sender older = world->edges[0].sender, newer;
    world->edges[0].is_running = false;
    world_start_edge(world, 0);
    world_run_ms(world, 1000);
    newer = world->edges[0].sender;
    world->edges[0].sender = older;
    world_run_ms(world, 850 + 250 + 3 * 20 + 3);
    assert_int_equal(world_edge(world, 0)->state, STATUS_EDGE_LIVE);
    assert_int_equal(world_edge(world, 0)->incarnations, 3);
    world_run_ms(world, 3000);
    assert_int_equal(world_edge(world, 0)->incarnations, 3);
    assert_int_equal(world->events[STATUS_EVENT_DEAD], 1);
    status_sender_clear(&newer);
    world_free(world);
}

/* Loss, duplication and reordering: what is believed ascends, nobody dies wrongly at 20 % loss
 * more often than chance has it, nothing is counted as forged. */
static void R9_bad_network_with_seeds(void **state)
{
    (void)state;
    unsigned deaths = 0;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct world *world = world_new(200 + seed, 5);
        world->loss_percent = 10;
        world->duplicate_percent = 30;
        world->jitter_ms = 400; /* more than a period: reordered */
        for (int i = 0; i < 60; i++) {
            for (size_t e = 0; e < 5; e++)
                world->edges[e].report.connections++;
            world_run_ms(world, 250);
        }
        const struct status_receiver_counters *counters = status_receiver_counters(world->receiver);
        assert_int_equal(counters->forged + counters->malformed + counters->strangers, 0);
        assert_true(counters->replayed > 0);
        for (size_t e = 0; e < 5; e++)
            assert_in_range(world_edge(world, e)->report.connections,
                            world->edges[e].report.connections - 12,
                            world->edges[e].report.connections);
        deaths += world->events[STATUS_EVENT_DEAD];
        world_free(world);
    }
    assert_true(deaths < 150); /* 30 x 5 edges x 15 s */
}

static void R9_strangers_leave_no_state(void **state)
{
    (void)state;
    struct world *world = world_new(5, 3);
    world_run_ms(world, 1000);
    uint8_t bytes[STATUS_DATAGRAM_MAX], reply[STATUS_EPOCH_BYTES];
    struct status_edge before[3];
    for (size_t i = 0; i < 3; i++)
        before[i] = *world_edge(world, i);
    size_t allocated = 0;
    for (int i = 0; i < 100000; i++) {
        if (i == 10) /* the library has what it keeps for itself */
            allocated = mallinfo2().uordblks;
        size_t length = STATUS_DATAGRAM_MIN + random_below(&world->random, 200);
        for (size_t at = 0; at < length; at += 8) {
            uint64_t bits = random_u64(&world->random);
            memcpy(bytes + at, &bits, 8);
        }
        bytes[0] = STATUS_TYPE_STATUS;
        bytes[1] = STATUS_VERSION;
        bytes[2] = bytes[3] = 0;
        if (i % 2) /* one who has seen a tag on the wire */
            store_u64(bytes + 4, world->edges[0].sender.pair.tag);
        assert_true(status_receiver_receive(world->receiver, world->now_ns, span_of(bytes, length),
                                            reply, NULL) < 0);
    }
    assert_int_equal(mallinfo2().uordblks, allocated);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(&before[i], world_edge(world, i), sizeof before[i]);
    assert_int_equal(status_receiver_count(world->receiver), 3);
    world_free(world);
}

static void R9_other_keys_do_not_open(void **state)
{
    (void)state;
    struct world *world = world_new(6, 2);
    /* Another pre-shared key: another pair altogether. */
    struct status_sender sender;
    uint8_t bytes[STATUS_DATAGRAM_MAX], reply[STATUS_EPOCH_BYTES];
    struct key psk = world->psk;
    psk.bytes[31] ^= 0x80;
    assert_int_equal(status_sender_init(&sender, &world->crypto, &world->edges[0].private_key,
                                        &world->receiver_public, &psk, world->now_ns),
                     0);
    size_t length = status_sender_write(&sender, world->now_ns, &world->edges[0].report, bytes);
    assert_int_equal(status_receiver_receive(world->receiver, world->now_ns, span_of(bytes, length),
                                             reply, NULL),
                     ERROR_NOT_FOUND);
    status_sender_clear(&sender);

    /* One edge's report under another edge's tag. */
    length =
        status_sender_write(&world->edges[0].sender, world->now_ns, &world->edges[0].report, bytes);
    uint8_t other[STATUS_DATAGRAM_MAX];
    (void)!status_sender_write(&world->edges[1].sender, world->now_ns, &world->edges[1].report,
                               other);
    memcpy(bytes + 4, other + 4, 8);
    assert_int_equal(status_receiver_receive(world->receiver, world->now_ns, span_of(bytes, length),
                                             reply, NULL),
                     ERROR_AUTH);
    world_free(world);
}

/* --- nonces: a table that notes every (key, nonce) that is sealed with --- */

struct noting_aead {
    struct aead aead;
    struct aead *real;
    uint8_t key[KEY_BYTES];
};

enum { NOTED_MAX = 20000 };
static struct {
    uint8_t key[KEY_BYTES], nonce[AEAD_NONCE_BYTES];
} noted[NOTED_MAX];
static size_t noted_count;

static void noting_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
                        struct span associated, struct span plain, uint8_t *out)
{
    struct noting_aead *own = (struct noting_aead *)aead;
    assert_true(noted_count < NOTED_MAX);
    memcpy(noted[noted_count].key, own->key, KEY_BYTES);
    memcpy(noted[noted_count++].nonce, nonce, AEAD_NONCE_BYTES);
    aead_seal(own->real, nonce, associated, plain, out);
}

static int noting_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
                       struct span associated, struct span sealed, uint8_t *out)
{
    return aead_open(((struct noting_aead *)aead)->real, nonce, associated, sealed, out);
}

static void noting_free(struct aead *aead)
{
    aead_free(&((struct noting_aead *)aead)->real);
    free(aead);
}

static struct aead *noting_new(const struct crypto *crypto, enum aead_kind kind, const uint8_t *key)
{
    static const struct aead_functions functions = {noting_seal, noting_open, noting_free};
    struct noting_aead *own = calloc(1, sizeof *own);
    own->aead.functions = &functions;
    own->real = crypto_openssl()->aead_new(crypto, kind, key);
    memcpy(own->key, key, aead_key_bytes(kind));
    return &own->aead;
}

static int compare_noted(const void *a, const void *b)
{
    return memcmp(a, b, sizeof *noted);
}

static void R9_no_nonce_is_used_twice_across_restarts(void **state)
{
    (void)state;
    noted_count = 0;
    struct world *world = world_new(7, 3);
    world->crypto.aead_new = noting_new;
    world_start_receiver(world);
    for (size_t i = 0; i < 3; i++)
        world_start_edge(world, i);
    for (int i = 0; i < 60; i++) {
        world_run_ms(world, 1000);
        if (i % 3 == 0)
            world_start_edge(world, (size_t)i / 3 % 3);
        if (i % 7 == 0)
            world_start_receiver(world);
    }
    assert_true(noted_count > 700);
    qsort(noted, noted_count, sizeof *noted, compare_noted);
    for (size_t i = 1; i < noted_count; i++)
        assert_true(compare_noted(&noted[i - 1], &noted[i]) != 0);
    world_free(world);
}

static void beat_is_steady_and_does_not_catch_up(void **state)
{
    (void)state;
    struct world *world = world_new(8, 1);
    struct status_sender *sender = &world->edges[0].sender;
    uint8_t bytes[STATUS_DATAGRAM_MAX];
    uint64_t start_ns = status_sender_wake(sender);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(status_sender_wake(sender), start_ns + i * STATUS_PERIOD_NS);
        /* Late by a little: the beat stays. */
        (void)!status_sender_write(sender, status_sender_wake(sender) + i * MS_NS,
                                   &world->edges[0].report, bytes);
    }
    uint64_t late_ns = start_ns + 60000 * MS_NS;
    (void)!status_sender_write(sender, late_ns, &world->edges[0].report, bytes);
    assert_int_equal(status_sender_wake(sender), late_ns + STATUS_PERIOD_NS);
    /* An extra one between beats. */
    (void)!status_sender_write(sender, late_ns + MS_NS, &world->edges[0].report, bytes);
    assert_int_equal(status_sender_wake(sender), late_ns + MS_NS + STATUS_PERIOD_NS);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_crosses_unchanged),
        cmocka_unit_test(report_of_too_many_is_cut),
        cmocka_unit_test(R9_every_flipped_bit_and_every_cut_is_refused),
        cmocka_unit_test(R9_forged_epoch_changes_nothing),
        cmocka_unit_test(R9_replayed_reports_change_nothing),
        cmocka_unit_test(R9_withheld_reports_of_the_process_before_change_nothing),
        cmocka_unit_test(R8_newer_process_wins_while_both_report),
        cmocka_unit_test(R8_older_process_that_outlives_the_newer_is_believed_again),
        cmocka_unit_test(R9_bad_network_with_seeds),
        cmocka_unit_test(R9_strangers_leave_no_state),
        cmocka_unit_test(R9_other_keys_do_not_open),
        cmocka_unit_test(R9_no_nonce_is_used_twice_across_restarts),
        cmocka_unit_test(beat_is_steady_and_does_not_catch_up),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
