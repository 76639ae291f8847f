/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshake packets from strangers and from peers gone mad. The first byte chooses: raw bytes
 * for the responder or the initiator under the real table; or contents of any kind in packets
 * that are authentic, under the null table, so that the parsers behind the encryption are
 * reached.
 */
#include "fuzz.h"

#include "transport/handshake.h"

struct ends {
    struct crypto crypto;
    struct random random;
    struct handshake_identity edge, gateway;
    struct handshake_peer of_edge, of_gateway;
    struct handshake_guard guard;
    struct handshake_initiator initiator;
    struct handshake_offer offer;
    uint8_t init[HANDSHAKE_INIT_BYTES];
};

static void must(bool condition)
{
    INVARIANT(condition);
}

static void ends_init(struct ends *ends, const struct crypto *table)
{
    struct key edge = {{8, [31] = 0x40}}, gateway = {{16, [31] = 0x40}};
    memset(ends, 0, sizeof *ends);
    random_seed(&ends->random, 1);
    ends->crypto = crypto_seeded(table, &ends->random);
    handshake_identity_init(&ends->edge, &ends->crypto, &edge);
    handshake_identity_init(&ends->gateway, &ends->crypto, &gateway);
    must(handshake_peer_init(&ends->of_edge, &ends->edge, &ends->gateway.public_key, NULL) == 0);
    must(handshake_peer_init(&ends->of_gateway, &ends->gateway, &ends->edge.public_key, NULL) == 0);
    handshake_guard_init(&ends->guard, &ends->crypto, &ends->gateway.public_key, 0);
    handshake_initiator_init(&ends->initiator, &ends->edge, &ends->of_edge);
    ends->offer = (struct handshake_offer){1, 1, 3, 0xff, 0x1000, 0, 1};
    handshake_initiator_start(&ends->initiator, 0, 1000, &ends->offer, ends->init);
}

static struct ends *ends_of(bool is_null)
{
    static struct ends real, null;
    struct ends *ends = is_null ? &null : &real;
    if (!ends->crypto.name)
        ends_init(ends, is_null ? crypto_null() : crypto_openssl());
    return ends;
}

static void respond(struct ends *ends, struct span init)
{
    struct handshake_responder responder = {0};
    struct handshake_replay replay = {0};
    struct handshake_result result;
    uint8_t resp[HANDSHAKE_RESP_BYTES];
    if (handshake_responder_open(&responder, &ends->gateway, init) < 0 ||
        !key_equal(&responder.peer_key, &ends->edge.public_key)) {
        handshake_responder_clear(&responder);
        return;
    }
    if (handshake_responder_verify(&responder, &ends->of_gateway, &replay) == 0) {
        must(responder.offer.lane < responder.offer.lane_count);
        must(responder.offer.version_min <= responder.offer.version_max);
        if (handshake_responder_accept(&responder, &replay, &ends->offer, HANDSHAKE_ACCEPTED, resp,
                                       &result) == 0)
            must(result.version == 1 && (unsigned)result.aead < AEAD_KINDS &&
                 !(result.features & ~0xffu));
    }
    must(responder.state == HANDSHAKE_RESPONDER_EMPTY);
}

static void finish(struct ends *ends, struct span packet)
{
    struct handshake_initiator copy = ends->initiator;
    struct handshake_result result;
    enum handshake_answer answer;
    int error = handshake_initiator_finish(&copy, packet, &result, &answer);
    if (error == 0)
        must(result.version == 1 && (unsigned)result.aead < AEAD_KINDS &&
             !(result.features & ~0xffu) && copy.state == HANDSHAKE_INITIATOR_IDLE);
    must((error == ERROR_UNSUPPORTED) == (answer != HANDSHAKE_ACCEPTED));
    must(handshake_answer_text(answer) != NULL);
}

/* Header and contents from the input; everything else right. */
static void authentic_init(struct ends *ends, struct span input)
{
    uint8_t init[HANDSHAKE_INIT_BYTES] = {0}, payload[HANDSHAKE_INIT_PAYLOAD_BYTES] = {0};
    struct key ephemeral = {{24, [31] = 0x40}};
    struct noise noise;
    memcpy(init + 1, input.data, input.length < 11 ? input.length : 11);
    init[0] = PACKET_INIT << 4;
    struct span rest = span_from(input, 11);
    if (rest.length)
        memcpy(payload, rest.data, rest.length < sizeof payload ? rest.length : sizeof payload);
    noise_init(&noise, &ends->crypto, SPAN("causeway link"), &ends->gateway.public_key);
    must(noise_write_first(&noise, &ephemeral, &ends->gateway.public_key, &ends->edge.public_key,
                           &ends->of_edge.static_shared, span_of(payload, sizeof payload),
                           init + 12) == 0);
    respond(ends, span_of(init, sizeof init));
}

static void authentic_resp(struct ends *ends, struct span input)
{
    uint8_t resp[HANDSHAKE_RESP_BYTES] = {PACKET_RESP << 4},
            payload[HANDSHAKE_RESP_PAYLOAD_BYTES] = {0};
    struct handshake_responder responder = {0};
    struct key ephemeral = {{32, [31] = 0x40}};
    must(handshake_responder_open(&responder, &ends->gateway,
                                  span_of(ends->init, sizeof ends->init)) == 0);
    must(handshake_responder_verify(&responder, &ends->of_gateway, &(struct handshake_replay){0}) ==
         0);
    memcpy(payload, input.data, input.length < sizeof payload ? input.length : sizeof payload);
    memcpy(resp + HANDSHAKE_SENDER_INDEX_OFFSET, payload, 4);
    memcpy(resp + PACKET_RECEIVER_INDEX_OFFSET, ends->init + HANDSHAKE_SENDER_INDEX_OFFSET, 4);
    must(noise_write_second(&responder.noise, &ephemeral, &responder.ephemeral,
                            &ends->edge.public_key, &ends->of_gateway.pre_shared_key,
                            span_of(payload, sizeof payload), resp + 12) == 0);
    size_t mac1 = sizeof resp - COOKIE_MAC_BYTES;
    cookie_mac(&ends->crypto, span_of(ends->edge.cookie_keys.mac1.bytes, KEY_BYTES),
               span_of(resp, mac1), resp + mac1);
    finish(ends, span_of(resp, sizeof resp));
    handshake_responder_clear(&responder);
}

static void raw_init(struct ends *ends, struct span input)
{
    static const struct address source = {.bytes = {192, 0, 2, 1}, .family = 4};
    uint8_t reply[HANDSHAKE_COOKIE_BYTES];
    ends->guard.seen = input.length & 1 ? GUARD_FREE_PER_S : 0;
    (void)handshake_guard_admit(&ends->guard, 0, &source, input, reply);
    respond(ends, input);
}

static void raw_answer(struct ends *ends, struct span input)
{
    struct handshake_initiator copy = ends->initiator;
    uint32_t index;
    if (handshake_initiator_cookie(&copy, 0, input) == 0)
        must(copy.cookie.valid_until_ns != 0);
    (void)!handshake_close_index(input, &index);
    finish(ends, input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const ways[])(struct ends *, struct span) = {
        raw_init, raw_answer, raw_init, raw_answer, authentic_init, authentic_resp,
    };
    enum { WAYS = sizeof ways / sizeof *ways };
    if (size < 2 || data[0] >= WAYS)
        return 0;
    ways[data[0]](ends_of(data[0] >= 2), span_of(data + 1, size - 1));
    return 0;
}
