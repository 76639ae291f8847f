/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake between two ends that know each other, and what it refuses. No clock runs here.
 */
#include "ends.h"

static void T1_both_ends_come_to_the_same_session(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct ends ends;
        enum handshake_answer answer;
        ends_init(&ends, seed);
        ends_start(&ends);
        assert_int_equal(curve_operations, 2);
        assert_int_equal(ends.initiator.state, HANDSHAKE_INITIATOR_SENT);
        curve_operations = 0;
        assert_int_equal(
            ends_respond(&ends, span_of(ends.init, sizeof ends.init), HANDSHAKE_ACCEPTED), 0);
        assert_int_equal(curve_operations, 4);
        assert_int_equal(ends.responder.state, HANDSHAKE_RESPONDER_EMPTY);
        curve_operations = 0;
        assert_int_equal(ends_finish(&ends, span_of(ends.resp, sizeof ends.resp), &answer), 0);
        assert_int_equal(curve_operations, 2);
        assert_int_equal(answer, HANDSHAKE_ACCEPTED);
        assert_int_equal(ends.initiator.state, HANDSHAKE_INITIATOR_IDLE);
        assert_true(key_is_zero(&ends.initiator.ephemeral));

        const struct handshake_result *a = &ends.edge_result, *b = &ends.gateway_result;
        assert_true(key_equal(&a->send_secret, &b->receive_secret));
        assert_true(key_equal(&a->receive_secret, &b->send_secret));
        assert_false(key_equal(&a->send_secret, &a->receive_secret));
        assert_int_equal(a->own_index, ends.edge_offer.index);
        assert_int_equal(a->peer_index, ends.gateway_offer.index);
        assert_int_equal(b->own_index, ends.gateway_offer.index);
        assert_int_equal(b->peer_index, ends.edge_offer.index);
        assert_int_equal(a->features, 0x00000f01);
        assert_int_equal(b->features, 0x00000f01);
        assert_int_equal(a->version, 1);
        assert_int_equal(b->version, 1);
        assert_int_equal(a->aead, AEAD_AES_128_GCM);
        assert_int_equal(b->aead, AEAD_AES_128_GCM);
        assert_int_equal(a->lane, 1);
        assert_int_equal(b->lane, 1);
        assert_int_equal(a->lane_count, 4);
        assert_int_equal(b->lane_count, 4);

        /* A second RESP, or the same again, finds nothing open. */
        assert_int_equal(ends_finish(&ends, span_of(ends.resp, sizeof ends.resp), &answer),
                         ERROR_INVALID);
        ends_clear(&ends);
    }
}

static void null_table_handshakes_too(void **state)
{
    (void)state;
    struct ends ends;
    enum handshake_answer answer;
    ends_init(&ends, 1);
    struct key edge_private = ends.edge.private_key, gateway_private = ends.gateway.private_key;
    ends.crypto = crypto_seeded(crypto_null(), &ends.random);
    handshake_identity_init(&ends.edge, &ends.crypto, &edge_private);
    handshake_identity_init(&ends.gateway, &ends.crypto, &gateway_private);
    assert_int_equal(handshake_peer_init(&ends.of_edge, &ends.edge, &ends.gateway.public_key, NULL),
                     0);
    assert_int_equal(
        handshake_peer_init(&ends.of_gateway, &ends.gateway, &ends.edge.public_key, NULL), 0);
    ends_start(&ends);
    assert_int_equal(ends_respond(&ends, span_of(ends.init, sizeof ends.init), HANDSHAKE_ACCEPTED),
                     0);
    assert_int_equal(ends_finish(&ends, span_of(ends.resp, sizeof ends.resp), &answer), 0);
    assert_true(key_equal(&ends.edge_result.send_secret, &ends.gateway_result.receive_secret));
    ends_clear(&ends);
}

/* The guard stands before the responder, as in a real listener. */
static bool is_accepted(struct ends *ends, struct handshake_guard *guard, struct span init)
{
    static const struct address source = {.bytes = {192, 0, 2, 1}, .port = 7000, .family = 4};
    uint8_t reply[HANDSHAKE_COOKIE_BYTES];
    ends->replay = (struct handshake_replay){0};
    guard->seen = 0;
    return handshake_guard_admit(guard, NOW_NS, &source, init, reply) == GUARD_ADMIT &&
           ends_respond(ends, init, HANDSHAKE_ACCEPTED) == 0;
}

static void R9_every_flipped_bit_of_init_is_refused(void **state)
{
    (void)state;
    struct ends ends;
    struct handshake_guard guard;
    ends_init(&ends, 2);
    handshake_guard_init(&guard, &ends.crypto, &ends.gateway.public_key, NOW_NS);
    ends_start(&ends);
    struct span init = span_of(ends.init, sizeof ends.init);
    for (size_t bit = 0; bit < 8 * sizeof ends.init; bit++) {
        ends.init[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(is_accepted(&ends, &guard, init));
        ends.init[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(is_accepted(&ends, &guard, init));

    /* A forger who knows the gateway's public key makes mac1 right: Noise refuses all the same,
     * but for mac2, which is no part of it. */
    curve_operations = 0;
    unsigned refused = 0;
    for (size_t bit = 0; bit < 8 * (sizeof ends.init - 32); bit += 7) {
        ends.init[bit / 8] ^= (uint8_t)(1 << bit % 8);
        uint8_t mac1[COOKIE_MAC_BYTES];
        memcpy(mac1, ends.init + 1168, sizeof mac1);
        cookie_mac(&ends.crypto, span_of(ends.gateway.cookie_keys.mac1.bytes, KEY_BYTES),
                   span_of(ends.init, 1168), ends.init + 1168);
        assert_false(is_accepted(&ends, &guard, init));
        memcpy(ends.init + 1168, mac1, sizeof mac1);
        ends.init[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused++;
    }
    assert_true(curve_operations <= refused);
    assert_true(is_accepted(&ends, &guard, init));
    ends_clear(&ends);
}

static void R9_every_flipped_bit_of_resp_is_refused(void **state)
{
    (void)state;
    struct ends ends;
    enum handshake_answer answer;
    ends_init(&ends, 3);
    ends_start(&ends);
    assert_int_equal(ends_respond(&ends, span_of(ends.init, sizeof ends.init), HANDSHAKE_ACCEPTED),
                     0);
    struct span resp = span_of(ends.resp, sizeof ends.resp);
    curve_operations = 0;
    for (size_t bit = 0; bit < 8 * sizeof ends.resp; bit++) {
        ends.resp[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(ends_finish(&ends, resp, &answer) < 0);
        assert_int_equal(ends.initiator.state, HANDSHAKE_INITIATOR_SENT);
        ends.resp[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(curve_operations, 0); /* mac1 stops them all */
    assert_int_equal(ends_finish(&ends, resp, &answer), 0);
    ends_clear(&ends);
}

/* Whoever knows the initiator's public key can make mac1 right; Noise refuses, and only so
 * often. */
static void R9_forged_resp_with_right_mac1_is_refused_and_bounded(void **state)
{
    (void)state;
    struct ends ends;
    enum handshake_answer answer;
    for (size_t byte = 0; byte < HANDSHAKE_RESP_BYTES - 16; byte++) {
        ends_init(&ends, 4 + byte);
        ends_start(&ends);
        assert_int_equal(
            ends_respond(&ends, span_of(ends.init, sizeof ends.init), HANDSHAKE_ACCEPTED), 0);
        uint8_t forged[HANDSHAKE_RESP_BYTES];
        memcpy(forged, ends.resp, sizeof forged);
        forged[byte] ^= 0x10;
        cookie_mac(&ends.crypto, span_of(ends.edge.cookie_keys.mac1.bytes, KEY_BYTES),
                   span_of(forged, sizeof forged - 16), forged + sizeof forged - 16);
        int tries = byte % 2 ? HANDSHAKE_RESP_ATTEMPTS : HANDSHAKE_RESP_ATTEMPTS - 1;
        curve_operations = 0;
        bool is_parsed = false;
        for (int i = 0; i < tries; i++) {
            int result = ends_finish(&ends, span_of(forged, sizeof forged), &answer);
            assert_true(result == ERROR_AUTH || result == ERROR_INVALID);
            is_parsed = curve_operations > 0;
        }
        assert_true(curve_operations <= 2 * (unsigned)tries);
        curve_operations = 0;
        assert_int_equal(ends_finish(&ends, span_of(ends.resp, sizeof ends.resp), &answer),
                         is_parsed && byte % 2 ? ERROR_LIMIT : 0);
        assert_true(curve_operations <= 2);
        ends_clear(&ends);
    }
}

static void truncated_and_extended_packets_are_refused(void **state)
{
    (void)state;
    struct ends ends;
    enum handshake_answer answer;
    uint8_t longer[HANDSHAKE_INIT_BYTES + 1] = {0};
    ends_init(&ends, 5);
    ends_start(&ends);
    memcpy(longer, ends.init, sizeof ends.init);
    for (size_t length = 0; length <= sizeof longer; length++)
        if (length != sizeof ends.init)
            assert_int_equal(ends_respond(&ends, span_of(longer, length), HANDSHAKE_ACCEPTED),
                             ERROR_INVALID);
    assert_int_equal(ends_respond(&ends, span_of(ends.init, sizeof ends.init), HANDSHAKE_ACCEPTED),
                     0);
    memcpy(longer, ends.resp, sizeof ends.resp);
    for (size_t length = 0; length <= sizeof longer; length++)
        if (length != sizeof ends.resp)
            assert_int_equal(ends_finish(&ends, span_of(longer, length), &answer), ERROR_INVALID);
    assert_int_equal(ends_finish(&ends, span_of(ends.resp, sizeof ends.resp), &answer), 0);
    ends_clear(&ends);
}

static void R9_replayed_and_older_init_is_refused(void **state)
{
    (void)state;
    struct ends ends;
    ends_init(&ends, 6);
    uint8_t older[HANDSHAKE_INIT_BYTES];
    handshake_initiator_start(&ends.initiator, NOW_NS, WALL_NS - 1, &ends.edge_offer, older);
    ends_start(&ends);
    struct span init = span_of(ends.init, sizeof ends.init);
    assert_int_equal(ends_respond(&ends, init, HANDSHAKE_ACCEPTED), 0);
    assert_int_equal(ends.replay.greatest_timestamp_ns, WALL_NS);
    curve_operations = 0;
    assert_int_equal(ends_respond(&ends, init, HANDSHAKE_ACCEPTED), ERROR_REPLAY);
    assert_int_equal(ends_respond(&ends, span_of(older, sizeof older), HANDSHAKE_ACCEPTED),
                     ERROR_REPLAY);
    assert_int_equal(curve_operations, 2); /* one each */
    assert_int_equal(ends.responder.state, HANDSHAKE_RESPONDER_EMPTY);

    /* The initiator's clock was set back by a day: its next INIT is later all the same. */
    handshake_initiator_start(&ends.initiator, NOW_NS, WALL_NS - 86400000000000ull,
                              &ends.edge_offer, ends.init);
    assert_int_equal(ends_respond(&ends, init, HANDSHAKE_ACCEPTED), 0);
    assert_int_equal(ends.replay.greatest_timestamp_ns, WALL_NS + 1);
    ends_clear(&ends);
}

/* Two INITs verified before either is accepted: only the later one stands. */
static void R9_init_that_another_overtook_is_refused(void **state)
{
    (void)state;
    struct ends ends;
    ends_init(&ends, 7);
    uint8_t later[HANDSHAKE_INIT_BYTES];
    ends_start(&ends);
    handshake_initiator_start(&ends.initiator, NOW_NS, WALL_NS + 5, &ends.edge_offer, later);
    struct handshake_responder waiting = {0};
    assert_int_equal(
        handshake_responder_open(&waiting, &ends.gateway, span_of(ends.init, sizeof ends.init)), 0);
    assert_int_equal(handshake_responder_verify(&waiting, &ends.of_gateway, &ends.replay), 0);
    assert_int_equal(ends_respond(&ends, span_of(later, sizeof later), HANDSHAKE_ACCEPTED), 0);
    curve_operations = 0;
    assert_int_equal(handshake_responder_accept(&waiting, &ends.replay, &ends.gateway_offer,
                                                HANDSHAKE_ACCEPTED, ends.resp,
                                                &ends.gateway_result),
                     ERROR_REPLAY);
    assert_int_equal(curve_operations, 0);
    assert_true(key_is_zero(&ends.gateway_result.send_secret));
    assert_int_equal(waiting.state, HANDSHAKE_RESPONDER_EMPTY);
    ends_clear(&ends);
}

static void R9_another_pre_shared_key_is_refused(void **state)
{
    (void)state;
    struct ends ends;
    enum handshake_answer answer;
    ends_init(&ends, 8);
    ends.of_gateway.pre_shared_key.bytes[0] ^= 1;
    ends_start(&ends);
    assert_int_equal(ends_respond(&ends, span_of(ends.init, sizeof ends.init), HANDSHAKE_ACCEPTED),
                     0);
    assert_int_equal(ends_finish(&ends, span_of(ends.resp, sizeof ends.resp), &answer), ERROR_AUTH);
    assert_int_equal(ends.initiator.state, HANDSHAKE_INITIATOR_SENT);
    ends_clear(&ends);
}

static void R9_stranger_costs_one_curve_operation(void **state)
{
    (void)state;
    struct ends ends, stranger;
    ends_init(&ends, 9);
    ends_init(&stranger, 10);
    /* The stranger knows the gateway's public key. */
    assert_int_equal(
        handshake_peer_init(&stranger.of_edge, &stranger.edge, &ends.gateway.public_key, NULL), 0);
    ends_start(&stranger);
    curve_operations = 0;
    assert_int_equal(ends_respond(&ends, span_of(stranger.init, sizeof stranger.init),
                                  HANDSHAKE_ACCEPTED),
                     ERROR_NOT_FOUND);
    assert_int_equal(curve_operations, 1);
    assert_int_equal(ends.replay.greatest_timestamp_ns, 0);

    /* One who claims a listed key without having it costs the same: the static secret is at
     * hand. */
    stranger.edge.public_key = ends.edge.public_key;
    ends_start(&stranger);
    curve_operations = 0;
    assert_int_equal(ends_respond(&ends, span_of(stranger.init, sizeof stranger.init),
                                  HANDSHAKE_ACCEPTED),
                     ERROR_AUTH);
    assert_int_equal(curve_operations, 1);
    assert_int_equal(ends.replay.greatest_timestamp_ns, 0);
    ends_clear(&ends);
    ends_clear(&stranger);
}

static void initiator_takes_only_the_resp_to_its_last_init(void **state)
{
    (void)state;
    struct ends ends;
    enum handshake_answer answer;
    ends_init(&ends, 11);
    ends_start(&ends);
    assert_int_equal(ends_respond(&ends, span_of(ends.init, sizeof ends.init), HANDSHAKE_ACCEPTED),
                     0);
    uint8_t late[HANDSHAKE_RESP_BYTES];
    memcpy(late, ends.resp, sizeof late);
    ends_start(&ends);
    assert_int_equal(ends_finish(&ends, span_of(late, sizeof late), &answer), ERROR_AUTH);
    assert_int_equal(ends_respond(&ends, span_of(ends.init, sizeof ends.init), HANDSHAKE_ACCEPTED),
                     0);
    assert_int_equal(ends_finish(&ends, span_of(ends.resp, sizeof ends.resp), &answer), 0);
    ends_clear(&ends);
}

static void negotiation(void **state)
{
    (void)state;
    enum { CHACHA = AEAD_BIT(AEAD_CHACHA20_POLY1305), AES = AEAD_BIT(AEAD_AES_128_GCM) };
    static const struct {
        uint8_t edge_min, edge_max, gateway_min, gateway_max;
        uint16_t edge_kinds, gateway_kinds;
        enum handshake_answer refusal, answer;
        uint8_t version;
        enum aead_kind aead;
    } cases[] = {
        {1, 1, 1, 1, CHACHA, CHACHA | AES, 0, 0, 1, AEAD_CHACHA20_POLY1305},
        {1, 3, 2, 5, CHACHA | AES, CHACHA | AES | 0x8000, 0, 0, 3, AEAD_AES_128_GCM},
        {4, 9, 1, 4, AES, AES, 0, 0, 4, AEAD_AES_128_GCM},
        {1, 1, 2, 3, AES, AES, 0, HANDSHAKE_NO_VERSION, 0, 0},
        {2, 3, 1, 1, AES, AES, 0, HANDSHAKE_NO_VERSION, 0, 0},
        {1, 1, 1, 1, AES, CHACHA, 0, HANDSHAKE_NO_AEAD, 0, 0},
        {1, 1, 1, 1, 0x8000, 0x8000, 0, HANDSHAKE_NO_AEAD, 0, 0},
        {1, 1, 1, 1, AES, AES, HANDSHAKE_NO_LANE, HANDSHAKE_NO_LANE, 0, 0},
        {1, 1, 1, 1, AES, AES, HANDSHAKE_BUSY, HANDSHAKE_BUSY, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ends ends;
        enum handshake_answer answer;
        ends_init(&ends, 20 + i);
        ends.edge_offer.version_min = cases[i].edge_min;
        ends.edge_offer.version_max = cases[i].edge_max;
        ends.edge_offer.aead_kinds = cases[i].edge_kinds;
        ends.gateway_offer.version_min = cases[i].gateway_min;
        ends.gateway_offer.version_max = cases[i].gateway_max;
        ends.gateway_offer.aead_kinds = cases[i].gateway_kinds;
        ends_start(&ends);
        int expected = cases[i].answer == HANDSHAKE_ACCEPTED ? 0 : ERROR_UNSUPPORTED;
        assert_int_equal(
            ends_respond(&ends, span_of(ends.init, sizeof ends.init), cases[i].refusal), expected);
        assert_int_equal(ends_finish(&ends, span_of(ends.resp, sizeof ends.resp), &answer),
                         expected);
        assert_int_equal(answer, cases[i].answer);
        assert_int_equal(ends.initiator.state, HANDSHAKE_INITIATOR_IDLE);
        assert_int_equal(ends.replay.greatest_timestamp_ns, WALL_NS);
        assert_true(strlen(handshake_answer_text(answer)) > 3);
        if (expected == 0) {
            assert_int_equal(ends.edge_result.version, cases[i].version);
            assert_int_equal(ends.gateway_result.version, cases[i].version);
            assert_int_equal(ends.edge_result.aead, cases[i].aead);
            assert_int_equal(ends.gateway_result.aead, cases[i].aead);
        } else {
            assert_true(key_is_zero(&ends.gateway_result.send_secret));
        }
        ends_clear(&ends);
    }
}

/* An authentic responder that answers nonsense: RESP is made from the Noise message up. */
static void responder_may_choose_only_what_was_offered(void **state)
{
    (void)state;
    enum { PAYLOAD = HANDSHAKE_RESP_PAYLOAD_BYTES };
    static const struct {
        size_t offset;
        uint8_t value;
        int result;
    } cases[] = {
        {4, 0, ERROR_INVALID}, /* version */
        {4, HANDSHAKE_VERSION + 1, ERROR_INVALID},
        {5, AEAD_AES_128_GCM, ERROR_INVALID}, /* known, not offered */
        {5, AEAD_KINDS, ERROR_INVALID},       /* unknown */
        {5, 255, ERROR_INVALID},
        {8, 0x80, ERROR_INVALID}, /* a feature not offered */
        {0, 0xff, ERROR_AUTH},    /* another index than in clear */
        {6, HANDSHAKE_BUSY, ERROR_UNSUPPORTED},
        {6, 200, ERROR_UNSUPPORTED}, /* of a later release */
        {31, 0xff, 0},               /* of a later release: ignored */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ends ends;
        enum handshake_answer answer;
        ends_init(&ends, 60 + i);
        ends.edge_offer.aead_kinds = AEAD_BIT(AEAD_CHACHA20_POLY1305);
        ends_start(&ends);
        struct handshake_responder *responder = &ends.responder;
        assert_int_equal(handshake_responder_open(responder, &ends.gateway,
                                                  span_of(ends.init, sizeof ends.init)),
                         0);
        assert_int_equal(handshake_responder_verify(responder, &ends.of_gateway, &ends.replay), 0);

        uint8_t resp[HANDSHAKE_RESP_BYTES] = {PACKET_RESP << 4};
        uint8_t payload[PAYLOAD] = {0, 0, 0, 9, HANDSHAKE_VERSION, AEAD_CHACHA20_POLY1305};
        memcpy(resp + HANDSHAKE_SENDER_INDEX_OFFSET, payload, 4);
        memcpy(resp + PACKET_RECEIVER_INDEX_OFFSET, ends.init + HANDSHAKE_SENDER_INDEX_OFFSET, 4);
        payload[cases[i].offset] = cases[i].value;
        struct key ephemeral;
        key_generate(&ends.crypto, &ephemeral);
        assert_int_equal(noise_write_second(&responder->noise, &ephemeral, &responder->ephemeral,
                                            &ends.edge.public_key, &ends.of_gateway.pre_shared_key,
                                            span_of(payload, PAYLOAD), resp + 12),
                         0);
        size_t mac1 = sizeof resp - COOKIE_MAC_BYTES;
        cookie_mac(&ends.crypto, span_of(ends.edge.cookie_keys.mac1.bytes, KEY_BYTES),
                   span_of(resp, mac1), resp + mac1);
        assert_int_equal(ends_finish(&ends, span_of(resp, sizeof resp), &answer), cases[i].result);
        assert_int_equal(answer, cases[i].result == ERROR_UNSUPPORTED ? cases[i].value : 0);
        ends_clear(&ends);
    }
}

static void peer_refuses_own_and_small_order_keys(void **state)
{
    (void)state;
    struct ends ends;
    struct handshake_peer peer;
    struct key small = {{1}};
    ends_init(&ends, 12);
    assert_int_equal(handshake_peer_init(&peer, &ends.edge, &ends.edge.public_key, NULL),
                     ERROR_INVALID);
    assert_int_equal(handshake_peer_init(&peer, &ends.edge, &small, NULL), ERROR_INVALID);
    ends_clear(&ends);
}

static void small_order_ephemeral_is_refused(void **state)
{
    (void)state;
    struct ends ends;
    ends_init(&ends, 13);
    ends_start(&ends);
    memset(ends.init + 12, 0, KEY_BYTES);
    assert_int_equal(ends_respond(&ends, span_of(ends.init, sizeof ends.init), HANDSHAKE_ACCEPTED),
                     ERROR_INVALID);
    assert_int_equal(ends.responder.state, HANDSHAKE_RESPONDER_EMPTY);
    ends_clear(&ends);
}

static void traffic_keys_differ_by_phase_and_kind(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_openssl();
    struct key secret, next, again;
    key_random(crypto, &secret);
    struct traffic_keys phase0, phase1, other;
    traffic_keys_derive(crypto, &secret, AEAD_AES_128_GCM, &phase0);
    traffic_secret_next(crypto, &secret, &next);
    traffic_keys_derive(crypto, &next, AEAD_AES_128_GCM, &phase1);
    traffic_keys_derive(crypto, &secret, AEAD_CHACHA20_POLY1305, &other);
    assert_memory_not_equal(phase0.key, phase1.key, 16);
    assert_memory_not_equal(phase0.iv, phase1.iv, AEAD_NONCE_BYTES);
    assert_memory_equal(phase0.iv, other.iv, AEAD_NONCE_BYTES);
    assert_memory_equal(phase0.key + 16, ((uint8_t[16]){0}), 16);
    again = secret;
    traffic_secret_next(crypto, &again, &again); /* in place */
    assert_true(key_equal(&next, &again));
}

static void T1_stateless_close_ends_only_its_session(void **state)
{
    (void)state;
    struct ends ends;
    enum handshake_answer answer;
    ends_init(&ends, 14);
    ends_start(&ends);
    assert_int_equal(ends_respond(&ends, span_of(ends.init, sizeof ends.init), HANDSHAKE_ACCEPTED),
                     0);
    assert_int_equal(ends_finish(&ends, span_of(ends.resp, sizeof ends.resp), &answer), 0);

    /* The gateway restarted: it has its key, and the index that the edge's packet names. */
    struct handshake_identity restarted;
    uint8_t packet[HANDSHAKE_CLOSE_BYTES];
    uint32_t index;
    handshake_identity_init(&restarted, crypto_openssl(), &ends.gateway.private_key);
    handshake_close_write(&restarted, ends.gateway_offer.index, packet);
    assert_int_equal(packet_type(packet[0]), PACKET_CLOSE_STATELESS);
    assert_int_equal(handshake_close_index(span_of(packet, sizeof packet), &index), 0);
    assert_int_equal(index, ends.edge_result.peer_index);
    assert_true(handshake_close_matches(&ends.edge_result, span_of(packet, sizeof packet)));
    assert_false(handshake_close_matches(&ends.gateway_result, span_of(packet, sizeof packet)));
    for (size_t bit = 0; bit < 8 * sizeof packet; bit++) {
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(handshake_close_matches(&ends.edge_result, span_of(packet, sizeof packet)));
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t length = 0; length < sizeof packet; length++)
        assert_false(handshake_close_matches(&ends.edge_result, span_of(packet, length)));
    /* And the other way round. */
    handshake_close_write(&ends.edge, ends.edge_offer.index, packet);
    assert_true(handshake_close_matches(&ends.gateway_result, span_of(packet, sizeof packet)));
    ends_clear(&ends);
}

static void same_seed_same_bytes(void **state)
{
    (void)state;
    struct ends ends[2];
    for (int i = 0; i < 2; i++) {
        ends_init(&ends[i], 15);
        ends_start(&ends[i]);
        assert_int_equal(ends_respond(&ends[i], span_of(ends[i].init, sizeof ends[i].init),
                                      HANDSHAKE_ACCEPTED),
                         0);
    }
    assert_memory_equal(ends[0].init, ends[1].init, sizeof ends[0].init);
    assert_memory_equal(ends[0].resp, ends[1].resp, sizeof ends[0].resp);
    ends_clear(&ends[0]);
    ends_clear(&ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T1_both_ends_come_to_the_same_session),
        cmocka_unit_test(null_table_handshakes_too),
        cmocka_unit_test(R9_every_flipped_bit_of_init_is_refused),
        cmocka_unit_test(R9_every_flipped_bit_of_resp_is_refused),
        cmocka_unit_test(R9_forged_resp_with_right_mac1_is_refused_and_bounded),
        cmocka_unit_test(truncated_and_extended_packets_are_refused),
        cmocka_unit_test(R9_replayed_and_older_init_is_refused),
        cmocka_unit_test(R9_init_that_another_overtook_is_refused),
        cmocka_unit_test(R9_another_pre_shared_key_is_refused),
        cmocka_unit_test(R9_stranger_costs_one_curve_operation),
        cmocka_unit_test(initiator_takes_only_the_resp_to_its_last_init),
        cmocka_unit_test(negotiation),
        cmocka_unit_test(responder_may_choose_only_what_was_offered),
        cmocka_unit_test(peer_refuses_own_and_small_order_keys),
        cmocka_unit_test(small_order_ephemeral_is_refused),
        cmocka_unit_test(traffic_keys_differ_by_phase_and_kind),
        cmocka_unit_test(T1_stateless_close_ends_only_its_session),
        cmocka_unit_test(same_seed_same_bytes),
    };
    return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
