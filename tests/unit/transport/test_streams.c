/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"
#include "transport/lane.h"
#include "wire.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { SEEN_MAX = 256 };

/* Everything that either end was told, in order. */
static struct {
    int end;
    enum transport_event_kind kind;
    struct transport_stream *stream;
    struct transport_open open;
    uint32_t code;
} seen[SEEN_MAX];
static uint32_t seen_count;

static void on_event(struct wire *wire, int end, const struct transport_event *event)
{
    (void)wire;
    if (event->kind == TRANSPORT_EVENT_UP || event->kind == TRANSPORT_EVENT_DOWN)
        return;
    assert_true(seen_count < SEEN_MAX);
    seen[seen_count].end = end;
    seen[seen_count].kind = event->kind;
    seen[seen_count].stream = event->stream;
    seen[seen_count].code = event->code;
    if (event->open)
        seen[seen_count].open = *event->open;
    seen_count++;
}

/* Index of the first such event; SEEN_MAX: none. */
static uint32_t find(int end, enum transport_event_kind kind)
{
    for (uint32_t i = 0; i < seen_count; i++)
        if (seen[i].end == end && seen[i].kind == kind)
            return i;
    return SEEN_MAX;
}

static void come_up(struct wire *wire)
{
    seen_count = 0;
    wire->on_event = on_event;
    wire_dial(wire);
    wire_run(wire, 100 * MS);
    assert_int_equal(wire->ends[0].ups + wire->ends[1].ups, 2);
}

static struct transport_stream *open_at(struct wire *wire, int end, uint8_t ring)
{
    const struct transport_open open = {.port = 80, .ring = ring};
    struct transport_stream *stream;
    assert_int_equal(transport_stream_open(wire->ends[end].transport, &open, &stream), 0);
    return stream;
}

static void say(struct transport_stream *stream, size_t length)
{
    struct slice_queue bytes = {0};
    uint8_t *zero = memory_new(length);
    slice_queue_append(&bytes, span_of(zero, length));
    memory_free(zero);
    transport_stream_write(stream, &bytes);
    slice_queue_clear(&bytes);
}

static uint64_t hear(struct transport_stream *stream, bool *ended)
{
    struct slice_queue bytes = {0};
    transport_stream_read(stream, &bytes, UINT64_MAX, ended);
    uint64_t length = bytes.bytes;
    transport_stream_consume(stream, length);
    slice_queue_clear(&bytes);
    return length;
}

static uint64_t open_streams(struct wire *wire, int end)
{
    struct transport_facts facts;
    transport_read_facts(wire->ends[end].transport, &facts);
    return facts.streams_open;
}

static void T10_opening_is_told_before_anything_else(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 1);
    come_up(&wire);
    const struct transport_open open = {
        .port = 8443,
        .ring = 3,
        .weight = 7,
        .flags = TRANSPORT_OPEN_SECURE,
        .site = 12,
        .client = {.bytes = {10, 1, 2, 3}, .port = 99, .family = 4}};
    struct transport_stream *stream;
    assert_int_equal(transport_stream_open(wire.ends[0].transport, &open, &stream), 0);
    say(stream, 10);
    wire_run(&wire, 100 * MS);
    assert_int_equal(seen_count, 2);
    assert_int_equal(seen[0].kind, TRANSPORT_EVENT_OPENED);
    assert_int_equal(seen[0].open.port, 8443);
    assert_int_equal(seen[0].open.site, 12);
    assert_int_equal(seen[0].open.ring, 3);
    assert_int_equal(seen[0].open.weight, 7);
    assert_int_equal(seen[0].open.flags, TRANSPORT_OPEN_SECURE);
    assert_true(address_equal(&seen[0].open.client, &open.client));
    assert_int_equal(seen[1].kind, TRANSPORT_EVENT_READABLE);
    wire_clear(&wire);
}

static void T6_one_direction_ends_before_the_other(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 2);
    come_up(&wire);
    struct transport_stream *near = open_at(&wire, WIRE_EDGE, 1);
    say(near, 3);
    transport_stream_finish(near);
    wire_run(&wire, 100 * MS);
    struct transport_stream *far = seen[0].stream;
    bool ended;
    assert_int_equal(hear(far, &ended), 3);
    assert_true(ended);
    say(far, 40000);
    wire_run(&wire, SECOND);
    uint64_t heard = hear(near, &ended);
    wire_run(&wire, SECOND);
    heard += hear(near, &ended);
    wire_run(&wire, SECOND);
    heard += hear(near, &ended);
    assert_int_equal(heard, 40000);
    assert_false(ended);
    assert_int_equal(find(WIRE_EDGE, TRANSPORT_EVENT_DONE), SEEN_MAX);
    transport_stream_finish(far);
    wire_run(&wire, SECOND);
    assert_int_equal(hear(near, &ended), 0);
    assert_true(ended);
    wire_run(&wire, SECOND);
    assert_true(find(WIRE_EDGE, TRANSPORT_EVENT_DONE) < SEEN_MAX);
    assert_true(find(WIRE_GATEWAY, TRANSPORT_EVENT_DONE) < SEEN_MAX);
    transport_stream_release(near);
    transport_stream_release(far);
    wire_run(&wire, SECOND);
    assert_int_equal(open_streams(&wire, 0) + open_streams(&wire, 1), 0);
    wire_clear(&wire);
}

static void reset_ends_both_directions_and_tells_why(void **state)
{
    (void)state;
    for (int by = 0; by < WIRE_ENDS; by++)
        for (int releases_only = 0; releases_only < 2; releases_only++) {
            struct wire wire;
            wire_init(&wire, crypto_openssl(), 3);
            come_up(&wire);
            struct transport_stream *streams[] = {open_at(&wire, WIRE_EDGE, 1), NULL};
            say(streams[0], 100000);
            wire_run(&wire, 100 * MS);
            streams[1] = seen[0].stream;
            say(streams[1], 100000);
            if (!releases_only)
                transport_stream_reset(streams[by], TRANSPORT_CODE_UNREACHABLE);
            transport_stream_release(streams[by]);
            wire_run(&wire, SECOND);
            uint32_t at = find(!by, TRANSPORT_EVENT_RESET);
            assert_true(at < SEEN_MAX);
            assert_int_equal(seen[at].code,
                             releases_only ? TRANSPORT_CODE_CANCELLED : TRANSPORT_CODE_UNREACHABLE);
            assert_int_equal(find(by, TRANSPORT_EVENT_RESET), SEEN_MAX);
            say(streams[!by], 10); /* of no use, and harmless */
            transport_stream_release(streams[!by]);
            wire_run(&wire, SECOND);
            for (int end = 0; end < WIRE_ENDS; end++) {
                assert_int_equal(open_streams(&wire, end), 0);
                assert_int_equal(wire.ends[end].transport->credit.given, 0);
                assert_int_equal(blender_waiting(&wire.ends[end].transport->blender), 0);
            }
            wire_clear(&wire);
        }
}

static void reset_before_the_first_packet_is_not_heard_of(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 4);
    come_up(&wire);
    struct transport_stream *gone = open_at(&wire, WIRE_EDGE, 1);
    say(gone, 100);
    transport_stream_release(gone);
    struct transport_stream *kept = open_at(&wire, WIRE_EDGE, 1);
    say(kept, 5);
    wire_run(&wire, SECOND);
    assert_int_equal(seen_count, 2); /* OPENED and READABLE of the second */
    bool ended;
    assert_int_equal(hear(seen[1].stream, &ended), 5);
    assert_int_equal(open_streams(&wire, WIRE_GATEWAY), 1);
    wire_clear(&wire);
}

static void streams_beyond_the_budget_are_refused(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 5);
    wire.ends[WIRE_EDGE].config.window_budget = 20 * 16384;
    wire.ends[WIRE_GATEWAY].config.window_budget = 10 * 16384;
    wire_start(&wire, WIRE_EDGE);
    wire_start(&wire, WIRE_GATEWAY);
    come_up(&wire);
    struct transport_stream *streams[20];
    for (int i = 0; i < 20; i++)
        streams[i] = open_at(&wire, WIRE_EDGE, 1);
    const struct transport_open open = {.port = 1};
    struct transport_stream *none;
    assert_int_equal(transport_stream_open(wire.ends[WIRE_EDGE].transport, &open, &none),
                     ERROR_LIMIT);
    assert_null(none);
    wire_run(&wire, SECOND);
    uint32_t opened = 0, refused = 0;
    for (uint32_t i = 0; i < seen_count; i++) {
        opened += seen[i].kind == TRANSPORT_EVENT_OPENED;
        if (seen[i].kind == TRANSPORT_EVENT_RESET) {
            refused++;
            assert_int_equal(seen[i].end, WIRE_EDGE);
            assert_int_equal(seen[i].code, TRANSPORT_CODE_LIMIT);
        }
    }
    assert_int_equal(opened, 10);
    assert_int_equal(refused, 10);
    for (int i = 0; i < 20; i++)
        transport_stream_release(streams[i]);
    wire_run(&wire, SECOND);
    assert_int_equal(open_streams(&wire, WIRE_GATEWAY), 0 + 10); /* reset, not yet released there */
    seen_count = 0;
    struct transport_stream *again = open_at(&wire, WIRE_EDGE, 1);
    wire_run(&wire, SECOND);
    assert_true(find(WIRE_GATEWAY, TRANSPORT_EVENT_OPENED) < SEEN_MAX);
    assert_non_null(again);
    wire_clear(&wire);
}

static void writable_comes_after_room_was_zero(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 6);
    come_up(&wire);
    struct transport_stream *near = open_at(&wire, WIRE_EDGE, 1);
    while (transport_stream_room(near))
        say(near, 5000);
    assert_true(transport_stream_unsent(near) >= 16384);
    assert_int_equal(transport_stream_room(near), 0);
    wire_run(&wire, SECOND);
    assert_true(find(WIRE_EDGE, TRANSPORT_EVENT_WRITABLE) < SEEN_MAX);
    assert_true(transport_stream_room(near) > 0);
    /* A reader that does not read: room stays 0 and no event comes. */
    while (transport_stream_room(near))
        say(near, 5000);
    wire_run(&wire, SECOND);
    seen_count = 0;
    while (transport_stream_room(near))
        say(near, 5000);
    wire_run(&wire, 10 * SECOND);
    assert_int_equal(find(WIRE_EDGE, TRANSPORT_EVENT_WRITABLE), SEEN_MAX);
    wire_clear(&wire);
}

static void T2_ring_changes_on_both_ends(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 7);
    come_up(&wire);
    struct transport_stream *near = open_at(&wire, WIRE_EDGE, 4);
    say(near, 20000); /* past the first bytes that count one ring higher */
    wire_run(&wire, SECOND);
    struct transport_stream *far = seen[0].stream;
    say(far, 16000);
    wire_run(&wire, SECOND);
    transport_stream_set_ring(near, 1, 3);
    wire_run(&wire, SECOND);
    assert_int_equal(far->open.ring, 1);
    assert_int_equal(far->open.weight, 3);
    uint32_t told = find(WIRE_GATEWAY, TRANSPORT_EVENT_RING);
    assert_true(told < SEEN_MAX && seen[told].stream == far);
    assert_int_equal(seen[told].open.ring, 1);
    transport_stream_set_ring(near, 1, 3); /* nothing new, nothing told */
    wire_run(&wire, SECOND);
    assert_int_equal(find(WIRE_EDGE, TRANSPORT_EVENT_RING), SEEN_MAX);
    uint32_t times = 0;
    for (uint32_t i = 0; i < seen_count; i++)
        times += seen[i].kind == TRANSPORT_EVENT_RING;
    assert_int_equal(times, 1);
    for (int end = 0; end < WIRE_ENDS; end++) {
        struct transport_facts facts;
        transport_read_facts(wire.ends[end].transport, &facts);
        assert_int_equal(facts.rings[1].sockets, 1);
        assert_int_equal(facts.rings[4].sockets, 0);
    }
    wire_clear(&wire);
}

static uint8_t told_rings[2]; /* of streams by number, to the gateway */

static void note_ring(struct wire *wire, int end, const struct transport_event *event)
{
    (void)wire;
    if (end == WIRE_GATEWAY && event->open)
        told_rings[event->stream->id / 2] = event->open->ring;
}

/* Each change goes in a packet of its own; packets are lost, and overtake each other and the OPEN. */
static void L10_the_last_ring_is_the_last_one_told(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct wire wire;
        wire_init(&wire, crypto_openssl(), seed);
        come_up(&wire);
        wire.on_event = note_ring;
        wire.swap_ppm = 400000;
        wire.loss_ppm = 200000;
        struct transport_stream *other = open_at(&wire, WIRE_EDGE, 4);
        wire_step(&wire);
        struct transport_stream *near = open_at(&wire, WIRE_EDGE, 4);
        uint32_t changes = 1 + (uint32_t)seed % 4;
        for (uint32_t i = 0; i < changes; i++) {
            say(other, 3000); /* so that there are moments between a packet and its arrival */
            wire_step(&wire);
            transport_stream_set_ring(near, (uint8_t)((changes - i) % 4), (uint8_t)(i + 1));
        }
        wire_run(&wire, 20 * SECOND);
        struct transport_stream *far =
            stream_table_get(&wire.ends[WIRE_GATEWAY].transport->table, near->id);
        assert_non_null(far);
        assert_int_equal(far->open.ring, near->open.ring);
        assert_int_equal(far->open.weight, near->open.weight);
        assert_false(near->ring_again);
        assert_int_equal(near->rings_unacked, 0);
        assert_int_equal(told_rings[near->id / 2], near->open.ring);
        wire_clear(&wire);
    }
}

static void finished_and_released_streams_still_deliver(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 8);
    wire.loss_ppm = 200000;
    wire.on_event = on_event;
    seen_count = 0;
    wire_dial(&wire);
    wire_run(&wire, 20 * SECOND);
    struct transport_stream *near = open_at(&wire, WIRE_EDGE, 1);
    say(near, 12000);
    transport_stream_finish(near);
    transport_stream_release(near);
    wire_run(&wire, 20 * SECOND);
    struct transport_stream *far = seen[0].stream;
    bool ended;
    assert_int_equal(hear(far, &ended), 12000);
    assert_true(ended);
    say(far, 50000); /* is thrown away over there */
    transport_stream_finish(far);
    wire_run(&wire, 60 * SECOND);
    assert_true(find(WIRE_GATEWAY, TRANSPORT_EVENT_DONE) < SEEN_MAX);
    transport_stream_release(far);
    wire_run(&wire, SECOND);
    assert_int_equal(open_streams(&wire, 0) + open_streams(&wire, 1), 0);
    wire_clear(&wire);
}

static void what_waits_at_release_is_thrown_away(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 18);
    come_up(&wire);
    struct transport_stream *near = open_at(&wire, WIRE_EDGE, 1);
    say(near, 10);
    wire_run(&wire, SECOND);
    struct transport_stream *far = seen[0].stream;
    say(far, 40000); /* more than the first credit */
    transport_stream_finish(far);
    wire_run(&wire, SECOND);
    transport_stream_finish(near);
    transport_stream_release(near);
    wire_run(&wire, 2 * SECOND);
    bool ended;
    assert_int_equal(hear(far, &ended), 10);
    wire_run(&wire, 2 * SECOND);
    assert_true(find(WIRE_GATEWAY, TRANSPORT_EVENT_DONE) < SEEN_MAX);
    transport_stream_release(far);
    wire_run(&wire, 3 * SECOND);
    assert_int_equal(open_streams(&wire, 0) + open_streams(&wire, 1), 0);
    wire_clear(&wire);
}

static void streams_cost_at_most_a_kilobyte_when_idle(void **state)
{
    (void)state;
    assert_true(sizeof(struct transport_stream) + 2 * sizeof(struct stream_entry) <= 1024);
    struct wire wire;
    wire_init(&wire, crypto_null(), 9);
    wire.on_event = NULL;
    wire_dial(&wire);
    wire_run(&wire, 100 * MS);
    struct transport_facts facts;
    for (int i = 0; i < 10000; i++)
        open_at(&wire, WIRE_EDGE, (uint8_t)(i % 5));
    wire_run(&wire, 5 * SECOND);
    transport_read_facts(wire.ends[WIRE_GATEWAY].transport, &facts);
    assert_int_equal(facts.streams_open, 10000);
    assert_int_equal(facts.streams_reset, 0);
    assert_int_equal(facts.hosted, 0);
    wire_clear(&wire);
}

static void nothing_is_sent_while_nothing_happens(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 10);
    come_up(&wire);
    open_at(&wire, WIRE_EDGE, 1);
    wire_run(&wire, 5 * SECOND);
    uint64_t before = wire.sent[0] + wire.sent[1];
    wire_run(&wire, 100 * SECOND);
    /* A quality report each second and its ack, either way. */
    assert_in_range(wire.sent[0] + wire.sent[1] - before, 200, 420);
    wire_clear(&wire);
}

/* ---- what never left */

static struct transport_stream *open_and_say(struct wire *wire, size_t length)
{
    struct transport_stream *stream = open_at(wire, WIRE_EDGE, 2);
    say(stream, length);
    return stream;
}

static uint64_t taken_back(struct transport_stream *stream)
{
    struct slice_queue bytes = {0};
    uint64_t length =
        transport_stream_take_back(stream, &bytes) ? bytes.bytes : UINT64_MAX; /* not */
    slice_queue_clear(&bytes);
    return length;
}

static void L2_what_never_left_comes_back(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 9);
    wire.ends[WIRE_EDGE].config.hosted_cap = 4; /* connections do not widen the window */
    wire_start(&wire, WIRE_EDGE);
    come_up(&wire);
    struct transport_stream *first = open_and_say(&wire, 10);
    assert_int_equal(taken_back(first), 10);
    assert_int_equal(taken_back(first), UINT64_MAX); /* once */
    transport_stream_release(first);
    /* What went into a packet does not, whether it arrived or not. */
    struct transport_stream *arrived = open_and_say(&wire, 10);
    wire_run(&wire, 100 * MS);
    assert_int_equal(taken_back(arrived), UINT64_MAX);
    wire.is_cut[0] = true;
    enum { LOST = 8, LATE = 64 };
    struct transport_stream *lost[LOST], *late[LATE];
    for (uint32_t i = 0; i < LOST; i++)
        lost[i] = open_and_say(&wire, 16384);
    wire_run(&wire, 100 * MS);
    assert_int_equal(taken_back(lost[0]), UINT64_MAX);
    /* Behind a window that is full nothing leaves; probes take some along. */
    uint32_t back = 0;
    for (uint32_t i = 0; i < LATE; i++)
        late[i] = open_and_say(&wire, 1000);
    wire_run(&wire, 2 * SECOND);
    assert_true(transport_out_since(wire.ends[WIRE_EDGE].transport));
    for (uint32_t i = 0; i < LATE; i++) {
        uint64_t length = taken_back(late[i]);
        assert_true(length == 1000 || length == UINT64_MAX);
        back += length == 1000;
    }
    assert_true(back > LATE / 2);
    wire.is_cut[0] = false;
    wire_run(&wire, 5 * SECOND);
    /* The peer has heard nothing of those. */
    uint32_t heard = 0;
    for (uint32_t i = 0; i < seen_count; i++) {
        bool is_first = seen[i].kind == TRANSPORT_EVENT_READABLE && seen[i].end == WIRE_GATEWAY;
        for (uint32_t j = 0; j < i; j++)
            is_first &= seen[j].kind != seen[i].kind || seen[j].stream != seen[i].stream;
        heard += is_first;
    }
    assert_int_equal(heard, 1 + LOST + LATE - back);
    wire_clear(&wire);
}

static void L2_what_never_left_outlives_its_connection(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 10);
    come_up(&wire);
    struct transport_stream *sent = open_and_say(&wire, 10);
    wire_run(&wire, 100 * MS);
    struct transport_stream *unsent = open_and_say(&wire, 10), *reset = open_and_say(&wire, 10);
    transport_stream_reset(reset, TRANSPORT_CODE_CANCELLED);
    transport_close(wire.ends[WIRE_EDGE].transport, TRANSPORT_CODE_SHUTDOWN, wire.now_ns);
    wire_run(&wire, 10 * MS);
    uint32_t resets = 0;
    for (uint32_t i = 0; i < seen_count; i++)
        resets += seen[i].kind == TRANSPORT_EVENT_RESET && seen[i].end == WIRE_EDGE;
    assert_int_equal(resets, 2);
    assert_int_equal(taken_back(sent), UINT64_MAX);
    assert_int_equal(taken_back(reset), UINT64_MAX);
    assert_int_equal(taken_back(unsent), 10);
    transport_stream_release(sent);
    transport_stream_release(reset);
    transport_stream_release(unsent);
    wire_clear(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T10_opening_is_told_before_anything_else),
        cmocka_unit_test(T6_one_direction_ends_before_the_other),
        cmocka_unit_test(reset_ends_both_directions_and_tells_why),
        cmocka_unit_test(reset_before_the_first_packet_is_not_heard_of),
        cmocka_unit_test(streams_beyond_the_budget_are_refused),
        cmocka_unit_test(writable_comes_after_room_was_zero),
        cmocka_unit_test(T2_ring_changes_on_both_ends),
        cmocka_unit_test(L10_the_last_ring_is_the_last_one_told),
        cmocka_unit_test(finished_and_released_streams_still_deliver),
        cmocka_unit_test(what_waits_at_release_is_thrown_away),
        cmocka_unit_test(streams_cost_at_most_a_kilobyte_when_idle),
        cmocka_unit_test(nothing_is_sent_while_nothing_happens),
        cmocka_unit_test(L2_what_never_left_comes_back),
        cmocka_unit_test(L2_what_never_left_outlives_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
