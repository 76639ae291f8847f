/* SPDX-License-Identifier: Apache-2.0
 *
 * Two ends of a handshake for tests: seeded keys, and a table that counts curve operations.
 */
#ifndef TESTS_UNIT_TRANSPORT_ENDS_H
#define TESTS_UNIT_TRANSPORT_ENDS_H

#include "transport/handshake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static unsigned curve_operations; /* since it was last set to 0 */

static void counting_public_key(const struct crypto *crypto, const struct key *private_key,
                                struct key *public_key)
{
    curve_operations++;
    crypto_openssl()->public_key(crypto, private_key, public_key);
}

static int counting_shared(const struct crypto *crypto, const struct key *private_key,
                           const struct key *public_key, struct key *shared)
{
    curve_operations++;
    return crypto_openssl()->shared(crypto, private_key, public_key, shared);
}

#define WALL_NS 1800000000000000000ull /* some day in 2027 */
#define NOW_NS  5000000000ull

struct ends {
    struct random random;
    struct crypto crypto;
    struct handshake_identity edge, gateway;
    struct handshake_peer of_edge,
        of_gateway; /* the gateway as the edge knows it; and the reverse */
    struct handshake_initiator initiator;
    struct handshake_responder responder;
    struct handshake_replay replay;
    struct handshake_offer edge_offer, gateway_offer;
    uint8_t init[HANDSHAKE_INIT_BYTES], resp[HANDSHAKE_RESP_BYTES];
    struct handshake_result edge_result, gateway_result;
};

static inline void ends_init(struct ends *ends, uint64_t seed)
{
    memset(ends, 0, sizeof *ends);
    random_seed(&ends->random, seed);
    ends->crypto = crypto_seeded(crypto_openssl(), &ends->random);
    ends->crypto.public_key = counting_public_key;
    ends->crypto.shared = counting_shared;

    struct key edge_private, gateway_private, psk;
    key_generate(&ends->crypto, &edge_private);
    key_generate(&ends->crypto, &gateway_private);
    key_random(&ends->crypto, &psk);
    handshake_identity_init(&ends->edge, &ends->crypto, &edge_private);
    handshake_identity_init(&ends->gateway, &ends->crypto, &gateway_private);
    assert_int_equal(
        handshake_peer_init(&ends->of_edge, &ends->edge, &ends->gateway.public_key, &psk), 0);
    assert_int_equal(
        handshake_peer_init(&ends->of_gateway, &ends->gateway, &ends->edge.public_key, &psk), 0);
    handshake_initiator_init(&ends->initiator, &ends->edge, &ends->of_edge);
    ends->edge_offer = (struct handshake_offer){
        .version_min = HANDSHAKE_VERSION,
        .version_max = HANDSHAKE_VERSION,
        .aead_kinds = AEAD_BIT(AEAD_AES_128_GCM) | AEAD_BIT(AEAD_CHACHA20_POLY1305),
        .features = 0x0000ff0f,
        .index = 0x00c00041,
        .lane = 1,
        .lane_count = 4,
    };
    ends->gateway_offer = ends->edge_offer;
    ends->gateway_offer.features = 0x80000ff1;
    ends->gateway_offer.index = 0x01400102;
    curve_operations = 0;
}

static inline void ends_clear(struct ends *ends)
{
    handshake_initiator_clear(&ends->initiator);
    handshake_responder_clear(&ends->responder);
    handshake_peer_clear(&ends->of_edge);
    handshake_peer_clear(&ends->of_gateway);
    handshake_identity_clear(&ends->edge);
    handshake_identity_clear(&ends->gateway);
}

static inline void ends_start(struct ends *ends)
{
    handshake_initiator_start(&ends->initiator, NOW_NS, WALL_NS, &ends->edge_offer, ends->init);
}

/* The responder's three steps on any bytes. */
static inline int ends_respond(struct ends *ends, struct span init, enum handshake_answer refusal)
{
    int result = handshake_responder_open(&ends->responder, &ends->gateway, init);
    if (result == 0 && !key_equal(&ends->responder.peer_key, &ends->of_gateway.public_key)) {
        handshake_responder_clear(&ends->responder);
        return ERROR_NOT_FOUND;
    }
    if (result == 0)
        result = handshake_responder_verify(&ends->responder, &ends->of_gateway, &ends->replay);
    if (result == 0)
        result = handshake_responder_accept(&ends->responder, &ends->replay, &ends->gateway_offer,
                                            refusal, ends->resp, &ends->gateway_result);
    return result;
}

static inline int ends_finish(struct ends *ends, struct span resp, enum handshake_answer *answer)
{
    return handshake_initiator_finish(&ends->initiator, resp, &ends->edge_result, answer);
}

#endif
