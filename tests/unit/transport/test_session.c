/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/session.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define SECOND 1000000000ull

static void make(struct session *a, struct session *b, uint64_t now_ns)
{
    struct key secrets[2];
    memset(secrets[0].bytes, 1, KEY_BYTES);
    memset(secrets[1].bytes, 2, KEY_BYTES);
    struct handshake_result result = {.send_secret = secrets[0],
                                      .receive_secret = secrets[1],
                                      .own_index = 10,
                                      .peer_index = 20,
                                      .aead = AEAD_AES_128_GCM};
    session_start(a, crypto_openssl(), &result, now_ns);
    assert_int_equal(result.own_index, 0); /* wiped */
    result = (struct handshake_result){.send_secret = secrets[1],
                                       .receive_secret = secrets[0],
                                       .own_index = 20,
                                       .peer_index = 10,
                                       .aead = AEAD_AES_128_GCM};
    session_start(b, crypto_openssl(), &result, now_ns);
}

static void seal(struct session *session, uint64_t number,
                 uint8_t packet[PACKET_OVERHEAD_BYTES + 5])
{
    memcpy(packet + PACKET_HEADER_BYTES, "hello", 5);
    session_seal(session, 0, number, packet, 5);
}

static int open_at(struct session *session, uint8_t packet[PACKET_OVERHEAD_BYTES + 5],
                   uint64_t now_ns)
{
    struct packet_header header;
    struct span frames;
    uint8_t copy[PACKET_OVERHEAD_BYTES + 5];
    memcpy(copy, packet, sizeof copy);
    assert_int_equal(packet_header_read(span_of(copy, sizeof copy), &header), 0);
    int error = session_open(session, &header, copy, sizeof copy, SECOND, now_ns, &frames);
    if (!error)
        assert_true(span_equal(frames, SPAN("hello")));
    return error;
}

static void T9_phases_follow_by_time_once_acknowledged(void **state)
{
    (void)state;
    struct session a, b;
    make(&a, &b, 0);
    uint8_t old[PACKET_OVERHEAD_BYTES + 5], packet[PACKET_OVERHEAD_BYTES + 5];
    uint64_t now_ns = 0, number = 0;
    for (int phase = 0; phase < 10; phase++) {
        assert_int_equal(a.send.phase, phase % PACKET_PHASES);
        seal(&a, number++, old);
        seal(&a, number++, packet);
        assert_int_equal(open_at(&b, packet, now_ns), 0);
        now_ns += SESSION_PHASE_NS;
        assert_false(session_ratchet(&a, now_ns)); /* nothing of this phase acknowledged */
        assert_int_equal(a.send.phase, phase % PACKET_PHASES);
        a.send.is_acked = true;
        assert_true(session_ratchet(&a, now_ns));
        seal(&a, number++, packet);
        assert_int_equal(open_at(&b, packet, now_ns), 0);
        /* A late packet of the phase before is read for a while. */
        assert_int_equal(open_at(&b, old, now_ns + SECOND - 1), 0);
        assert_int_equal(open_at(&b, old, now_ns + SECOND), ERROR_AUTH);
    }
    session_clear(&a);
    session_clear(&b);
    assert_false(session_is_on(&a));
}

static void T9_phases_follow_by_packets(void **state)
{
    (void)state;
    struct session a, b;
    make(&a, &b, 0);
    a.send.packets = SESSION_PHASE_PACKETS - 1;
    a.send.is_acked = true;
    assert_false(session_ratchet(&a, 1));
    assert_int_equal(a.send.phase, 0);
    a.send.packets++;
    assert_true(session_ratchet(&a, 1));
    assert_int_equal(a.send.phase, 1);
    assert_int_equal(a.send.packets, 0);
    session_clear(&a);
    session_clear(&b);
}

static void T9_every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct session a, b;
    make(&a, &b, 0);
    uint8_t packet[PACKET_OVERHEAD_BYTES + 5];
    seal(&a, 7, packet);
    for (size_t bit = 0; bit < sizeof packet * 8; bit++) {
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct packet_header header;
        struct span frames;
        uint8_t copy[sizeof packet];
        memcpy(copy, packet, sizeof copy);
        if (!packet_header_read(span_of(copy, sizeof copy), &header))
            assert_int_equal(session_open(&b, &header, copy, sizeof copy, SECOND, 0, &frames),
                             ERROR_AUTH);
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(b.receive.phase, 0); /* a forged phase moves nothing */
    assert_int_equal(open_at(&b, packet, 0), 0);
    session_clear(&a);
    session_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T9_phases_follow_by_time_once_acknowledged),
        cmocka_unit_test(T9_phases_follow_by_packets),
        cmocka_unit_test(T9_every_flipped_bit_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
