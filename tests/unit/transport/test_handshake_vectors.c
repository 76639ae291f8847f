/* SPDX-License-Identifier: Apache-2.0
 *
 * Our handshake against the test vectors of docs/protocol/handshake.md (path: first argument),
 * which another implementation computes too. Random numbers are those of the page, in the order
 * in which they are drawn.
 */
#include "../vectors.h"
#include "ends.h"

struct script {
    const char *names[8];
    size_t next;
};

static void scripted_random(void *random_state, void *out, size_t length)
{
    struct script *script = random_state;
    const char *name = script->names[script->next++];
    assert_non_null(name);
    if (*name)
        vector_exact(name, out, length);
    else
        memset(out, 0, length);
}

struct vectors {
    struct script script;
    struct crypto crypto;
    struct handshake_identity edge, gateway;
    struct handshake_peer of_edge, of_gateway;
    struct handshake_initiator initiator;
    struct handshake_offer edge_offer, gateway_offer;
    uint64_t timestamp_ns;
    uint8_t init[HANDSHAKE_INIT_BYTES];
};

static void vectors_init(struct vectors *v, struct script script)
{
    struct key edge_private, gateway_private, psk;
    memset(v, 0, sizeof *v);
    v->script = script;
    v->crypto = *crypto_openssl();
    v->crypto.random = scripted_random;
    v->crypto.random_state = &v->script;
    vector_exact("edge_private", &edge_private, KEY_BYTES);
    vector_exact("gateway_private", &gateway_private, KEY_BYTES);
    vector_exact("pre_shared_key", &psk, KEY_BYTES);
    v->timestamp_ns = vector_number("timestamp");
    handshake_identity_init(&v->edge, &v->crypto, &edge_private);
    handshake_identity_init(&v->gateway, &v->crypto, &gateway_private);
    assert_int_equal(handshake_peer_init(&v->of_edge, &v->edge, &v->gateway.public_key, &psk), 0);
    assert_int_equal(handshake_peer_init(&v->of_gateway, &v->gateway, &v->edge.public_key, &psk),
                     0);
    v->edge_offer = (struct handshake_offer){
        .version_min = 1,
        .version_max = 1,
        .aead_kinds = AEAD_BIT(AEAD_AES_128_GCM) | AEAD_BIT(AEAD_CHACHA20_POLY1305),
        .features = (uint32_t)vector_number("features"),
        .index = (uint32_t)vector_number("edge_index"),
        .lane = (uint16_t)vector_number("lane"),
        .lane_count = (uint16_t)vector_number("lane_count"),
    };
    v->gateway_offer = v->edge_offer;
    v->gateway_offer.index = (uint32_t)vector_number("gateway_index");
    v->gateway_offer.features = (uint32_t)vector_number("chosen_features");
    handshake_initiator_init(&v->initiator, &v->edge, &v->of_edge);
    handshake_initiator_start(&v->initiator, NOW_NS, v->timestamp_ns, &v->edge_offer, v->init);
}

static void page_has_our_handshake(void **state)
{
    (void)state;
    struct vectors v;
    vectors_init(&v, (struct script){{"edge_ephemeral", "gateway_ephemeral"}, 0});
    assert_vector("edge_public", &v.edge.public_key, KEY_BYTES);
    assert_vector("gateway_public", &v.gateway.public_key, KEY_BYTES);
    assert_vector("init", v.init, sizeof v.init);

    struct handshake_responder responder = {0};
    struct handshake_replay replay = {0};
    struct handshake_result of_gateway, of_edge;
    enum handshake_answer answer;
    uint8_t resp[HANDSHAKE_RESP_BYTES];
    assert_int_equal(
        handshake_responder_open(&responder, &v.gateway, span_of(v.init, sizeof v.init)), 0);
    assert_int_equal(handshake_responder_verify(&responder, &v.of_gateway, &replay), 0);
    assert_int_equal(handshake_responder_accept(&responder, &replay, &v.gateway_offer,
                                                HANDSHAKE_ACCEPTED, resp, &of_gateway),
                     0);
    assert_vector("resp", resp, sizeof resp);
    assert_int_equal(
        handshake_initiator_finish(&v.initiator, span_of(resp, sizeof resp), &of_edge, &answer), 0);
    assert_vector("edge_to_gateway", &of_edge.send_secret, KEY_BYTES);
    assert_vector("gateway_to_edge", &of_edge.receive_secret, KEY_BYTES);
    assert_vector("edge_to_gateway", &of_gateway.receive_secret, KEY_BYTES);
    assert_vector("gateway_to_edge", &of_gateway.send_secret, KEY_BYTES);
    assert_vector("gateway_close_token", of_edge.close_token, HANDSHAKE_CLOSE_TOKEN_BYTES);
    assert_vector("edge_close_token", of_gateway.close_token, HANDSHAKE_CLOSE_TOKEN_BYTES);

    struct traffic_keys keys;
    struct key next;
    traffic_keys_derive(&v.crypto, &of_edge.send_secret, AEAD_AES_128_GCM, &keys);
    assert_vector("forth_key_aes", keys.key, 16);
    assert_vector("forth_iv", keys.iv, AEAD_NONCE_BYTES);
    traffic_keys_derive(&v.crypto, &of_edge.send_secret, AEAD_CHACHA20_POLY1305, &keys);
    assert_vector("forth_key_chacha", keys.key, 32);
    traffic_secret_next(&v.crypto, &of_edge.send_secret, &next);
    assert_vector("forth_next", &next, KEY_BYTES);
}

static void page_has_our_cookie(void **state)
{
    (void)state;
    static const struct address source = {.bytes = {192, 0, 2, 1}, .port = 7000, .family = 4};
    struct vectors v;
    vectors_init(&v, (struct script){{"edge_ephemeral", "cookie_secret", "", "", "cookie_nonce",
                                      "edge_ephemeral"},
                                     0});
    struct handshake_guard guard;
    uint8_t reply[HANDSHAKE_COOKIE_BYTES];
    handshake_guard_init(&guard, &v.crypto, &v.gateway.public_key, NOW_NS);
    guard.seen = GUARD_FREE_PER_S;
    assert_int_equal(handshake_guard_admit(&guard, NOW_NS, &source, span_of(v.init, sizeof v.init),
                                           reply),
                     GUARD_COOKIE);
    assert_vector("cookie", reply, sizeof reply);
    assert_int_equal(handshake_initiator_cookie(&v.initiator, NOW_NS, span_of(reply, sizeof reply)),
                     0);
    v.initiator.last_timestamp_ns = 0; /* the same INIT once more, now with mac2 */
    handshake_initiator_start(&v.initiator, NOW_NS, v.timestamp_ns, &v.edge_offer, v.init);
    assert_vector("mac2", v.init + sizeof v.init - COOKIE_MAC_BYTES, COOKIE_MAC_BYTES);
}

int main(int count, char **arguments)
{
    if (!vectors_open(count, arguments))
        return 2;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_has_our_handshake),
        cmocka_unit_test(page_has_our_cookie),
    };
    return cmocka_run_group_tests_name("handshake vectors", tests, NULL, NULL);
}
