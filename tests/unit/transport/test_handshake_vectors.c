/* SPDX-License-Identifier: Apache-2.0
 *
 * Our handshake against the test vectors of docs/protocol/handshake.md (path: first argument),
 * which another implementation computes too. Random numbers are those of the page, in the order
 * in which they are drawn.
 */
#include "ends.h"

#include <stdio.h>
#include <stdlib.h>

static char page[64 * 1024];

/* `name` at the start of a line, then hexadecimal digits that may go on in indented lines. */
static size_t vector(const char *name, uint8_t *out, size_t size)
{
    char start[64];
    snprintf(start, sizeof start, "\n%s ", name);
    const char *at = strstr(page, start);
    assert_non_null(at);
    at += strlen(start);
    size_t length = 0;
    for (;;) {
        at += strspn(at, " ");
        unsigned byte = 0;
        if (*at == '\n' && at[1] == ' ') {
            at++;
            continue;
        }
        if (sscanf(at, "%2x", &byte) != 1 || *at == '\n')
            break;
        assert_true(length < size);
        out[length++] = (uint8_t)byte;
        at += 2;
    }
    return length;
}

static void vector_exact(const char *name, void *out, size_t size)
{
    assert_int_equal(vector(name, out, size), size);
}

static void assert_vector(const char *name, const void *bytes, size_t size)
{
    uint8_t expected[HANDSHAKE_INIT_BYTES];
    assert_int_equal(vector(name, expected, sizeof expected), size);
    assert_memory_equal(bytes, expected, size);
}

static uint32_t vector_number(const char *name)
{
    uint8_t bytes[4];
    uint32_t number = 0;
    for (size_t i = 0, length = vector(name, bytes, sizeof bytes); i < length; i++)
        number = number << 8 | bytes[i];
    return number;
}

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
    uint8_t timestamp[8];
    memset(v, 0, sizeof *v);
    v->script = script;
    v->crypto = *crypto_openssl();
    v->crypto.random = scripted_random;
    v->crypto.random_state = &v->script;
    vector_exact("edge_private", &edge_private, KEY_BYTES);
    vector_exact("gateway_private", &gateway_private, KEY_BYTES);
    vector_exact("pre_shared_key", &psk, KEY_BYTES);
    vector_exact("timestamp", timestamp, sizeof timestamp);
    for (size_t i = 0; i < sizeof timestamp; i++)
        v->timestamp_ns = v->timestamp_ns << 8 | timestamp[i];
    handshake_identity_init(&v->edge, &v->crypto, &edge_private);
    handshake_identity_init(&v->gateway, &v->crypto, &gateway_private);
    assert_int_equal(handshake_peer_init(&v->of_edge, &v->edge, &v->gateway.public_key, &psk), 0);
    assert_int_equal(handshake_peer_init(&v->of_gateway, &v->gateway, &v->edge.public_key, &psk),
                     0);
    v->edge_offer = (struct handshake_offer){
        .version_min = 1,
        .version_max = 1,
        .aead_kinds = AEAD_BIT(AEAD_AES_128_GCM) | AEAD_BIT(AEAD_CHACHA20_POLY1305),
        .features = vector_number("features"),
        .index = vector_number("edge_index"),
        .lane = (uint16_t)vector_number("lane"),
        .lane_count = (uint16_t)vector_number("lane_count"),
    };
    v->gateway_offer = v->edge_offer;
    v->gateway_offer.index = vector_number("gateway_index");
    v->gateway_offer.features = vector_number("chosen_features");
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
    FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;
    if (!file || fread(page, 1, sizeof page - 1, file) == 0) {
        fprintf(stderr, "usage: %s docs/protocol/handshake.md\n", arguments[0]);
        return 2;
    }
    fclose(file);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_has_our_handshake),
        cmocka_unit_test(page_has_our_cookie),
    };
    return cmocka_run_group_tests_name("handshake vectors", tests, NULL, NULL);
}
