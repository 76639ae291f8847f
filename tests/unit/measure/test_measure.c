/* SPDX-License-Identifier: Apache-2.0
 *
 * Measurements cross unchanged, and nobody else can make, repeat or withhold them to any effect (R9): flipped bits,
 * replays within and across restarts of either end, processes that were followed, floods; and requests likewise.
 */
#include "base/bytes.h"
#include "world.h"

static struct measure_message message_of(uint32_t number)
{
    struct measure_message message = {0};
    const struct measure_item item = {.kind = MEASURE_LINK, .link = {.srtt_us = number}};
    assert_true(measure_put(&message, &item));
    return message;
}

static uint32_t number_of(const struct measure_message *message)
{
    struct measure_reader reader = measure_reader_of(message);
    struct measure_item item;
    assert_true(measure_next(&reader, &item));
    assert_int_equal(item.kind, MEASURE_LINK);
    return item.link.srtt_us;
}

static size_t write_measure(struct status_sender *sender, uint32_t number,
                            uint8_t out[MEASURE_DATAGRAM_MAX])
{
    struct measure_message message = message_of(number);
    size_t length = status_sender_measure(sender, &message, out);
    assert_true(length != 0);
    return length;
}

static int deliver(struct world *world, const uint8_t *bytes, size_t length)
{
    struct measure_message message;
    const struct status_edge *from = NULL;
    int result = status_receiver_measure(world->receiver, world->now_ns, span_of(bytes, length),
                                         &message, &from);
    if (result < 0)
        return result;
    assert_non_null(from);
    return (int)number_of(&message);
}

static const struct measure_receiver_counters *counters(const struct world *world)
{
    return status_receiver_measure_counters(world->receiver);
}

/* ---- sections */

static struct address random_network(struct random *random, bool is_v6)
{
    struct address address = {.family = is_v6 ? 6 : 4};
    uint64_t bits = random_u64(random);
    memcpy(address.bytes, &bits, is_v6 ? 6 : 3);
    return address;
}

static struct measure_item random_item(struct random *random)
{
    static const enum measure_kind kinds[] = {MEASURE_LOAD,    MEASURE_LINK,   MEASURE_LATENCY,
                                              MEASURE_LATENCY, MEASURE_HEALTH, MEASURE_HELD,
                                              MEASURE_PROOF,   MEASURE_PROBE};
    struct measure_item item;
    memset(&item, 0, sizeof item);
    item.kind = kinds[random_below(random, sizeof kinds / sizeof *kinds)];
    switch (item.kind) {
    case MEASURE_LOAD:
        item.load.role = (enum measure_role)random_below(random, MEASURE_ROLES);
        item.load.load.cpu_idle = (uint16_t)random_below(random, 1001);
        item.load.load.load = (uint16_t)random_u64(random);
        item.load.load.connections = (uint32_t)random_u64(random);
        item.load.load.requests_per_s = (uint32_t)random_u64(random);
        item.load.load.free_ram_bytes = random_u64(random);
        item.load.load.free_swap_bytes = random_u64(random);
        for (size_t i = 0; i < MEASURE_GAUGES; i++)
            item.load.load.gauges[i] = (uint32_t)random_u64(random);
        break;
    case MEASURE_LINK:
        item.link.id = random_u64(random);
        item.link.srtt_us = (uint32_t)random_u64(random);
        item.link.loss_ppm = (uint32_t)random_u64(random);
        item.link.is_up = random_below(random, 2);
        break;
    case MEASURE_LATENCY:
        item.latency.client = random_network(random, random_below(random, 2));
        item.latency.source = (enum latency_source)random_below(random, LATENCY_SOURCES);
        item.latency.is_silent = random_below(random, 2);
        item.latency.samples = (uint16_t)random_u64(random);
        item.latency.age_s = (uint16_t)random_u64(random);
        item.latency.rtt_us = (uint32_t)random_u64(random);
        break;
    case MEASURE_HEALTH:
        item.health.subject = random_u64(random);
        item.health.kind = (uint8_t)random_below(random, 2);
        item.health.check = (uint8_t)random_u64(random);
        item.health.cause = (uint8_t)random_u64(random);
        item.health.is_up = random_below(random, 2);
        item.health.age_s = (uint16_t)random_u64(random);
        item.health.streak = (uint16_t)random_u64(random);
        item.health.rtt_us = (uint32_t)random_u64(random);
        break;
    case MEASURE_PROOF:
        item.proof.name = random_u64(random);
        for (size_t i = 0; i < HASH_BYTES; i++)
            item.proof.digest[i] = (uint8_t)random_u64(random);
        break;
    case MEASURE_HELD:
        item.held.site = random_u64(random);
        item.held.share = (uint16_t)random_u64(random);
        break;
    case MEASURE_PROBE:
        item.probe = random_network(random, random_below(random, 2));
        item.probe.bytes[3] = 7;
        break;
    }
    return item;
}

static void items_cross_unchanged(void **state)
{
    (void)state;
    enum { ROUNDS = 300, ITEMS = 400 };
    struct random random;
    static struct measure_item sent[ITEMS];
    random_seed(&random, 1);
    for (int round = 0; round < ROUNDS; round++) {
        struct measure_message message = {0};
        size_t count = 0;
        sent[0] = random_item(&random);
        while (measure_put(&message, &sent[count])) {
            assert_true(++count < ITEMS);
            sent[count] = round % 2 ? random_item(&random) : sent[0];
        }
        assert_in_range(message.length, MEASURE_SECTIONS_MAX - 52, MEASURE_SECTIONS_MAX);
        struct measure_reader reader = measure_reader_of(&message);
        for (size_t i = 0; i < count; i++) {
            struct measure_item got;
            memset(&got, 0, sizeof got);
            assert_true(measure_next(&reader, &got));
            assert_memory_equal(&got, &sent[i], sizeof got);
        }
        struct measure_item none;
        assert_false(measure_next(&reader, &none));
        assert_false(reader.is_malformed);
    }
}

struct foreign {
    const char *name;
    const char *bytes;
    size_t length;
    unsigned items;
    unsigned unknown;
    bool is_malformed;
};
#define BYTES(text) text, sizeof(text) - 1

/* What later releases, or broken ones, may send. PROBEs are the shortest records. */
static void foreign_sections_are_passed_over(void **state)
{
    (void)state;
    const struct foreign rows[] = {
        {"nothing", BYTES(""), 0, 0, false},
        {"two records", BYTES("\x10\4\0\2aaaabbbb"), 2, 0, false},
        {"longer records", BYTES("\x10\6\0\2aaaa__bbbb__"), 2, 0, false},
        {"shorter records", BYTES("\x10\3\0\2aaabbb"), 0, 0, true},
        {"records of no bytes", BYTES("\x10\0\xff\xff\x10\4\0\1aaaa"), 1, 0, false},
        {"no records", BYTES("\x10\4\0\0\x10\4\0\1aaaa"), 1, 0, false},
        {"unknown type before", BYTES("\xc8\2\0\1xy\x10\4\0\1aaaa"), 1, 1, false},
        {"unknown type behind", BYTES("\x10\4\0\1aaaa\xc8\2\0\1xy"), 1, 1, false},
        {"unknown type of no records", BYTES("\xc8\2\0\0\x10\4\0\1aaaa"), 1, 1, false},
        {"section cut short", BYTES("\x10\4\0\1aaaa\x10\4\0\2bbbb"), 1, 0, true},
        {"header cut short", BYTES("\x10\4\0\1aaaa\x10\4\0"), 1, 0, true},
        {"unknown type cut short", BYTES("\xc8\xff\xff\xff"), 0, 0, true},
        {"unknown source of a latency", BYTES("\3\15\0\1hostS\0\1\0\2\0\0\1\0\x10\4\0\1aaaa"), 1, 0,
         false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct measure_message message = {.length = (uint16_t)rows[i].length};
        memcpy(message.bytes, rows[i].bytes, rows[i].length);
        struct measure_reader reader = measure_reader_of(&message);
        struct measure_item item;
        unsigned items = 0;
        while (measure_next(&reader, &item))
            items++;
        if (items != rows[i].items || reader.unknown != rows[i].unknown ||
            reader.is_malformed != rows[i].is_malformed)
            fail_msg("%s: %u items, %u unknown, malformed %d", rows[i].name, items, reader.unknown,
                     reader.is_malformed);
    }
}

/* ---- to the DNS node */

static void S9_measurements_of_a_live_node_are_believed(void **state)
{
    (void)state;
    struct world *world = world_new(1, 2);
    uint8_t bytes[MEASURE_DATAGRAM_MAX];
    struct measure_message message = message_of(1);
    /* before the receiver was heard nothing is sent at all */
    assert_int_equal(status_sender_measure(&world->edges[1].sender, &message, bytes), 0);
    world_run_ms(world, 1000);
    size_t length = write_measure(&world->edges[1].sender, 1234, bytes);
    const struct status_edge *from = NULL;
    assert_int_equal(status_receiver_measure(world->receiver, world->now_ns, span_of(bytes, length),
                                             &message, &from),
                     0);
    assert_int_equal(from->label, 1);
    assert_int_equal(number_of(&message), 1234);
    assert_int_equal(counters(world)->believed, 1);
    world_free(world);
}

static void R9_every_flipped_bit_and_every_cut_of_a_measurement_is_refused(void **state)
{
    (void)state;
    struct world *world = world_new(2, 1);
    world_run_ms(world, 1000);
    uint8_t bytes[MEASURE_DATAGRAM_MAX];
    size_t length = write_measure(&world->edges[0].sender, 7, bytes);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(deliver(world, bytes, length) < 0);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < length; cut++)
        assert_true(deliver(world, bytes, cut) < 0);
    assert_int_equal(counters(world)->believed, 0);
    assert_int_equal(deliver(world, bytes, length), 7);
    world_free(world);
}

/* Any order, each once; what is older than the window is refused. */
static void R9_measurements_count_once_in_any_order(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    static uint8_t bytes[COUNT][MEASURE_DATAGRAM_MAX];
    struct world *world = world_new(3, 1);
    world_run_ms(world, 1000);
    size_t length = 0;
    for (uint32_t i = 0; i < COUNT; i++)
        length = write_measure(&world->edges[0].sender, i, bytes[i]);
    for (uint32_t i = 0; i + 1 < COUNT; i += 2) {
        world_run_ms(world, 100);
        assert_int_equal(deliver(world, bytes[i + 1], length), i + 1);
        assert_int_equal(deliver(world, bytes[i], length), i);
        for (uint32_t again = 0; again <= i + 1; again++)
            assert_int_equal(deliver(world, bytes[again], length), ERROR_REPLAY);
    }
    uint8_t late[2][MEASURE_DATAGRAM_MAX];
    size_t late_length = write_measure(&world->edges[0].sender, 1, late[0]);
    (void)write_measure(&world->edges[0].sender, 2, late[1]);
    for (uint32_t i = 0; i < 63; i++) {
        world_run_ms(world, 50);
        length = write_measure(&world->edges[0].sender, i, bytes[0]);
        assert_int_equal(deliver(world, bytes[0], length), i);
    }
    assert_int_equal(deliver(world, late[0], late_length), ERROR_REPLAY); /* 64 back: too old */
    assert_int_equal(deliver(world, late[1], late_length), 2);
    world_free(world);
}

/* A record of everything over restarts of both ends changes nothing, be the node alive or not. */
static void R9_withheld_measurements_of_other_times_change_nothing(void **state)
{
    (void)state;
    enum { KEPT = 20 };
    static uint8_t kept[3][KEPT][MEASURE_DATAGRAM_MAX];
    struct world *world = world_new(4, 1);
    size_t length = 0;
    for (int age = 0; age < 3; age++) {
        world_run_ms(world, 1000);
        for (uint32_t i = 0; i < KEPT; i++)
            length = write_measure(&world->edges[0].sender, i, kept[age][i]);
        if (age == 0)
            world_start_edge(world, 0); /* another process */
        else
            world_start_receiver(world); /* the same process, another epoch */
    }
    world_run_ms(world, 1000);
    for (int round = 0; round < 2; round++) {
        for (int age = 0; age < 3; age++)
            for (uint32_t i = 0; i < KEPT; i++)
                assert_int_equal(deliver(world, kept[age][i], length), ERROR_REPLAY);
        assert_int_equal(counters(world)->believed, 0);
        world_stop_edge(world, 0);
        world_run_ms(world, 1000);
    }
    world_start_edge(world, 0);
    world_run_ms(world, 1000);
    length = write_measure(&world->edges[0].sender, 99, kept[0][0]);
    assert_int_equal(deliver(world, kept[0][0], length), 99);
    world_free(world);
}

/* Two processes side by side: the newer one's measurements count, and the older one's when it is believed again, but
 * not those that it sent before. */
static void R9_measurements_belong_to_the_process_that_is_believed(void **state)
{
    (void)state;
    struct world *world = world_new(5, 1);
    uint8_t before[MEASURE_DATAGRAM_MAX], bytes[MEASURE_DATAGRAM_MAX];
    world_run_ms(world, 1000);
    struct status_sender older = world->edges[0].sender, newer;
    size_t length = write_measure(&older, 1, before);
    world->edges[0].is_running = false;
    world_start_edge(world, 0);
    world_run_ms(world, 1000);
    newer = world->edges[0].sender;
    assert_int_equal(deliver(world, bytes, write_measure(&older, 2, bytes)), ERROR_REPLAY);
    assert_int_equal(deliver(world, bytes, write_measure(&newer, 3, bytes)), 3);
    world->edges[0].sender = older;
    world_run_ms(world, 2000);
    assert_int_equal(world_edge(world, 0)->state, STATUS_EDGE_LIVE);
    assert_int_equal(deliver(world, before, length), ERROR_REPLAY);
    assert_int_equal(deliver(world, bytes, write_measure(&newer, 4, bytes)), ERROR_REPLAY);
    assert_int_equal(deliver(world, bytes, write_measure(&world->edges[0].sender, 5, bytes)), 5);
    status_sender_clear(&newer);
    world_free(world);
}

/* A node that sends without measure gets its share; forgeries by others do not use it up. */
static void measurements_are_limited_for_each_node(void **state)
{
    (void)state;
    struct world *world = world_new(6, 2);
    uint8_t bytes[MEASURE_DATAGRAM_MAX];
    world_run_ms(world, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        size_t length = write_measure(&world->edges[0].sender, i, bytes);
        bytes[length - 1] ^= 1;
        assert_int_equal(deliver(world, bytes, length), ERROR_AUTH);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        size_t length = write_measure(&world->edges[0].sender, i, bytes);
        assert_int_equal(deliver(world, bytes, length), i < MEASURE_PER_S ? (int)i : ERROR_LIMIT);
    }
    size_t length = write_measure(&world->edges[1].sender, 5, bytes);
    assert_int_equal(deliver(world, bytes, length), 5);
    world_run_ms(world, 1000);
    length = write_measure(&world->edges[0].sender, 6, bytes);
    assert_int_equal(deliver(world, bytes, length), 6);
    assert_int_equal(counters(world)->limited, 1000 - MEASURE_PER_S);
    world_free(world);
}

static void R9_strangers_measurements_leave_no_state(void **state)
{
    (void)state;
    struct world *world = world_new(7, 1);
    uint8_t bytes[MEASURE_DATAGRAM_MAX];
    world_run_ms(world, 1000);
    for (int i = 0; i < 10000; i++) {
        size_t length = random_below(&world->random, sizeof bytes + 1);
        for (size_t at = 0; at < length; at++)
            bytes[at] = (uint8_t)random_u64(&world->random);
        bytes[0] = STATUS_TYPE_MEASURE;
        bytes[1] = STATUS_VERSION;
        bytes[2] = bytes[3] = 0;
        assert_true(deliver(world, bytes, length) < 0);
    }
    assert_int_equal(counters(world)->strangers + counters(world)->malformed, 10000);
    world_free(world);
}

/* ---- from the DNS node */

static size_t write_request(struct world *world, uint32_t number, uint8_t out[MEASURE_DATAGRAM_MAX])
{
    struct measure_message message = message_of(number);
    return status_receiver_request(world->receiver, &world->edges[0].public_key, &message, out);
}

static int take(struct status_sender *sender, const uint8_t *bytes, size_t length)
{
    struct measure_message message;
    assert_true(status_is_request(span_of(bytes, length)) == (length && bytes[0] == 0x71));
    int result = status_sender_request(sender, span_of(bytes, length), &message);
    return result < 0 ? result : (int)number_of(&message);
}

static void R9_requests_are_taken_once_by_the_process_they_are_for(void **state)
{
    (void)state;
    struct world *world = world_new(8, 1);
    uint8_t bytes[MEASURE_DATAGRAM_MAX], first[MEASURE_DATAGRAM_MAX];
    assert_int_equal(write_request(world, 1, bytes), 0); /* nobody is believed yet */
    world_run_ms(world, 1000);
    struct status_sender *sender = &world->edges[0].sender;
    size_t length = write_request(world, 1, first);
    size_t second = write_request(world, 2, bytes);
    assert_int_equal(take(sender, bytes, second), 2);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        first[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (bit >= 8)
            assert_true(take(sender, first, length) < 0);
        first[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 1; cut < length; cut++)
        assert_true(take(sender, first, cut) < 0);
    assert_int_equal(take(sender, first, length), 1);
    assert_int_equal(take(sender, first, length), ERROR_REPLAY);
    assert_int_equal(take(sender, bytes, second), ERROR_REPLAY);

    /* To the process before: worthless to the next one. The other epoch's: worthless too. */
    length = write_request(world, 3, bytes);
    world_start_edge(world, 0);
    world_run_ms(world, 1000);
    assert_int_equal(take(sender, bytes, length), ERROR_REPLAY);
    length = write_request(world, 4, bytes);
    world_start_receiver(world);
    world_run_ms(world, 1000);
    assert_int_equal(take(sender, bytes, length), ERROR_REPLAY);
    length = write_request(world, 5, bytes);
    assert_int_equal(take(sender, bytes, length), 5);

    /* An EPOCH and a REQUEST never pass for each other, nor has a dead node anything to do. */
    assert_true(status_sender_receive(sender, world->now_ns, span_of(bytes, length)) < 0);
    world_stop_edge(world, 0);
    world_run_ms(world, 1000);
    assert_int_equal(write_request(world, 6, bytes), 0);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_cross_unchanged),
        cmocka_unit_test(foreign_sections_are_passed_over),
        cmocka_unit_test(S9_measurements_of_a_live_node_are_believed),
        cmocka_unit_test(R9_every_flipped_bit_and_every_cut_of_a_measurement_is_refused),
        cmocka_unit_test(R9_measurements_count_once_in_any_order),
        cmocka_unit_test(R9_withheld_measurements_of_other_times_change_nothing),
        cmocka_unit_test(R9_measurements_belong_to_the_process_that_is_believed),
        cmocka_unit_test(measurements_are_limited_for_each_node),
        cmocka_unit_test(R9_strangers_measurements_leave_no_state),
        cmocka_unit_test(R9_requests_are_taken_once_by_the_process_they_are_for),
    };
    return cmocka_run_group_tests_name("measurements", tests, NULL, NULL);
}
