/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard in front of the handshake: mac1, cookies, budget. Virtual time.
 */
#include "ends.h"

#define SECOND_NS 1000000000ull

static const struct address SOURCE = {.bytes = {192, 0, 2, 1}, .port = 7000, .family = 4};
static const struct address SOURCE6 = {.bytes = {0x20, 1, 0xd, 0xb8, [15] = 1},
                                       .port = 7000,
                                       .family = 6};

struct gate {
    struct ends ends;
    struct handshake_guard guard;
    uint64_t now_ns;
    uint8_t reply[HANDSHAKE_COOKIE_BYTES];
};

static void gate_init(struct gate *gate, uint64_t seed)
{
    ends_init(&gate->ends, seed);
    gate->now_ns = NOW_NS;
    handshake_guard_init(&gate->guard, &gate->ends.crypto, &gate->ends.gateway.public_key,
                         gate->now_ns);
}

static void gate_clear(struct gate *gate)
{
    handshake_guard_clear(&gate->guard);
    ends_clear(&gate->ends);
}

static void gate_start(struct gate *gate)
{
    handshake_initiator_start(&gate->ends.initiator, gate->now_ns, WALL_NS, &gate->ends.edge_offer,
                              gate->ends.init);
}

static enum guard_verdict gate_admit(struct gate *gate, const struct address *source)
{
    return handshake_guard_admit(&gate->guard, gate->now_ns, source,
                                 span_of(gate->ends.init, sizeof gate->ends.init), gate->reply);
}

/* Spends what is free in this second. */
static void gate_load(struct gate *gate)
{
    gate->guard.seen = GUARD_FREE_PER_S;
    gate->guard.second_started_ns = gate->now_ns;
}

static int gate_take_cookie(struct gate *gate)
{
    return handshake_initiator_cookie(&gate->ends.initiator, gate->now_ns,
                                      span_of(gate->reply, sizeof gate->reply));
}

static void R9_wrong_mac1_costs_no_curve_operation(void **state)
{
    (void)state;
    struct gate gate;
    gate_init(&gate, 1);
    gate_start(&gate);
    curve_operations = 0;
    for (int i = 0; i < 100000; i++) {
        gate.ends.init[100 + i % 1000] ^= (uint8_t)(1 + i % 255);
        assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_SILENCE);
        gate.ends.init[100 + i % 1000] ^= (uint8_t)(1 + i % 255);
        gate.now_ns += 1000;
    }
    assert_int_equal(curve_operations, 0);
    assert_int_equal(gate.guard.counters.wrong_mac1, 100000);
    assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_ADMIT); /* and they used up nothing */
    gate_clear(&gate);
}

static void free_until_loaded_then_cookie_admits(void **state)
{
    (void)state;
    struct gate gate;
    gate_init(&gate, 2);
    gate_start(&gate);
    for (int i = 0; i < GUARD_FREE_PER_S; i++)
        assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_ADMIT);
    assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_COOKIE);
    assert_int_equal(packet_type(gate.reply[0]), PACKET_COOKIE);
    assert_int_equal(gate_take_cookie(&gate), 0);
    gate_start(&gate);
    assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_ADMIT);
    assert_int_equal(ends_respond(&gate.ends, span_of(gate.ends.init, sizeof gate.ends.init),
                                  HANDSHAKE_ACCEPTED),
                     0);
    /* The next second is free again. */
    gate.now_ns += SECOND_NS;
    handshake_initiator_init(&gate.ends.initiator, &gate.ends.edge, &gate.ends.of_edge);
    gate_start(&gate);
    assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_ADMIT);
    gate_clear(&gate);
}

static void cookie_is_bound_to_address_and_port(void **state)
{
    (void)state;
    const struct address *sources[] = {&SOURCE, &SOURCE6};
    for (size_t i = 0; i < 2; i++) {
        struct gate gate;
        gate_init(&gate, 3);
        gate_load(&gate);
        gate_start(&gate);
        assert_int_equal(gate_admit(&gate, sources[i]), GUARD_COOKIE);
        assert_int_equal(gate_take_cookie(&gate), 0);
        gate_start(&gate);
        struct address other = *sources[i];
        other.port++;
        assert_int_equal(gate_admit(&gate, &other), GUARD_COOKIE);
        other = *sources[i];
        other.bytes[3] ^= 1;
        assert_int_equal(gate_admit(&gate, &other), GUARD_COOKIE);
        assert_int_equal(gate_admit(&gate, sources[1 - i]), GUARD_COOKIE);
        assert_int_equal(gate_admit(&gate, sources[i]), GUARD_ADMIT);
        gate_clear(&gate);
    }
}

static void cookie_lives_one_to_two_rotations(void **state)
{
    (void)state;
    static const struct {
        uint64_t age_ns;
        bool is_held, is_right; /* whether the initiator still uses it; whether it would count */
    } cases[] = {
        {COOKIE_ROTATE_NS - 1, true, true},      {COOKIE_ROTATE_NS, false, true},
        {2 * COOKIE_ROTATE_NS - 1, false, true}, {2 * COOKIE_ROTATE_NS, false, false},
        {100 * COOKIE_ROTATE_NS, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gate gate;
        gate_init(&gate, 4);
        gate_load(&gate);
        gate_start(&gate);
        assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_COOKIE);
        assert_int_equal(gate_take_cookie(&gate), 0);
        gate.now_ns += cases[i].age_ns;
        gate_load(&gate);
        gate_start(&gate);
        assert_int_equal(gate_admit(&gate, &SOURCE), cases[i].is_held ? GUARD_ADMIT : GUARD_COOKIE);
        gate.ends.initiator.cookie.valid_until_ns = UINT64_MAX;
        gate_start(&gate);
        assert_int_equal(gate_admit(&gate, &SOURCE),
                         cases[i].is_right ? GUARD_ADMIT : GUARD_COOKIE);
        gate_clear(&gate);
    }
}

/* A restarted responder has other secrets: it answers the wrong mac2 with a new cookie even
 * without load. */
static void stale_cookie_is_renewed(void **state)
{
    (void)state;
    struct gate gate;
    gate_init(&gate, 5);
    gate_load(&gate);
    gate_start(&gate);
    assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_COOKIE);
    assert_int_equal(gate_take_cookie(&gate), 0);
    handshake_guard_init(&gate.guard, &gate.ends.crypto, &gate.ends.gateway.public_key,
                         gate.now_ns);
    gate_start(&gate);
    assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_COOKIE);
    assert_int_equal(gate_take_cookie(&gate), 0);
    gate_start(&gate);
    assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_ADMIT);
    gate_clear(&gate);
}

static void R9_forged_cookie_is_refused(void **state)
{
    (void)state;
    struct gate gate;
    gate_init(&gate, 6);
    gate_load(&gate);
    gate_start(&gate);
    assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_COOKIE);
    for (size_t bit = 0; bit < 8 * sizeof gate.reply; bit++) {
        gate.reply[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(gate_take_cookie(&gate) < 0);
        gate.reply[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t length = 0; length < sizeof gate.reply; length++)
        assert_int_equal(handshake_initiator_cookie(&gate.ends.initiator, gate.now_ns,
                                                    span_of(gate.reply, length)),
                         ERROR_INVALID);
    assert_int_equal(gate.ends.initiator.cookie.valid_until_ns, 0);

    /* Bound to the INIT that it answers: after another start it is of no use. */
    gate_start(&gate);
    assert_int_equal(gate_take_cookie(&gate), ERROR_AUTH);
    gate_clear(&gate);
}

static void R9_flood_with_cookie_is_bounded(void **state)
{
    (void)state;
    struct gate gate;
    gate_init(&gate, 7);
    gate_load(&gate);
    gate_start(&gate);
    assert_int_equal(gate_admit(&gate, &SOURCE), GUARD_COOKIE);
    assert_int_equal(gate_take_cookie(&gate), 0);
    gate_start(&gate);
    int admitted = 0;
    for (int i = 0; i < 1000; i++)
        admitted += gate_admit(&gate, &SOURCE) == GUARD_ADMIT;
    assert_int_equal(admitted, GUARD_SOURCE_PER_S);
    assert_int_equal(gate.guard.counters.limited, 1000 - GUARD_SOURCE_PER_S);

    /* Many sources with a cookie each (they share buckets now and then). */
    admitted = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        struct address source = SOURCE;
        source.bytes[1] = (uint8_t)(i >> 8);
        source.bytes[2] = (uint8_t)i;
        handshake_initiator_init(&gate.ends.initiator, &gate.ends.edge, &gate.ends.of_edge);
        if (i % 16 == 0) { /* a curve operation each: a sample will do */
            gate_start(&gate);
            assert_int_equal(gate_admit(&gate, &source), GUARD_COOKIE);
            assert_int_equal(gate_take_cookie(&gate), 0);
            gate_start(&gate);
            for (int j = 0; j < 16; j++)
                admitted += gate_admit(&gate, &source) == GUARD_ADMIT;
        }
    }
    assert_true(admitted <= GUARD_LIMIT_PER_S);
    assert_int_equal(gate.guard.admitted, GUARD_LIMIT_PER_S);
    gate_clear(&gate);
}

static void malformed_is_counted(void **state)
{
    (void)state;
    struct gate gate;
    gate_init(&gate, 8);
    gate_start(&gate);
    for (size_t length = 0; length < HANDSHAKE_INIT_BYTES; length++)
        assert_int_equal(handshake_guard_admit(&gate.guard, gate.now_ns, &SOURCE,
                                               span_of(gate.ends.init, length), gate.reply),
                         GUARD_SILENCE);
    assert_int_equal(gate.guard.counters.malformed, HANDSHAKE_INIT_BYTES);
    gate_clear(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R9_wrong_mac1_costs_no_curve_operation),
        cmocka_unit_test(free_until_loaded_then_cookie_admits),
        cmocka_unit_test(cookie_is_bound_to_address_and_port),
        cmocka_unit_test(cookie_lives_one_to_two_rotations),
        cmocka_unit_test(stale_cookie_is_renewed),
        cmocka_unit_test(R9_forged_cookie_is_refused),
        cmocka_unit_test(R9_flood_with_cookie_is_bounded),
        cmocka_unit_test(malformed_is_counted),
    };
    return cmocka_run_group_tests_name("cookie", tests, NULL, NULL);
}
