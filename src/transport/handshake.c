/* SPDX-License-Identifier: Apache-2.0
 *
 * INIT and RESP: the packets around Noise's two messages, what they negotiate, and the states at
 * either end. docs/protocol/handshake.md is the specification.
 */
#include "transport/handshake.h"

#include "base/bytes.h"

/* Layout of the packets. */
enum {
    HEADER_BYTES = 12,
    MAC_BYTES = COOKIE_MAC_BYTES,

    INIT_MESSAGE_OFFSET = HEADER_BYTES,
    INIT_PAYLOAD_OFFSET = INIT_MESSAGE_OFFSET + KEY_BYTES + NOISE_SEALED_KEY_BYTES,
    INIT_SEALED_BYTES = HANDSHAKE_INIT_PAYLOAD_BYTES + AEAD_TAG_BYTES,
    INIT_MAC1_OFFSET = INIT_PAYLOAD_OFFSET + INIT_SEALED_BYTES,
    INIT_MAC2_OFFSET = INIT_MAC1_OFFSET + MAC_BYTES,

    RESP_MESSAGE_OFFSET = HEADER_BYTES,
    RESP_MESSAGE_BYTES = NOISE_SECOND_OVERHEAD + HANDSHAKE_RESP_PAYLOAD_BYTES,
    RESP_MAC1_OFFSET = RESP_MESSAGE_OFFSET + RESP_MESSAGE_BYTES,

    CLOSE_TOKEN_OFFSET = HEADER_BYTES,
};
_Static_assert(INIT_MAC2_OFFSET + MAC_BYTES == HANDSHAKE_INIT_BYTES, "INIT layout");
_Static_assert(RESP_MAC1_OFFSET + MAC_BYTES == HANDSHAKE_RESP_BYTES, "RESP layout");
_Static_assert(CLOSE_TOKEN_OFFSET + HANDSHAKE_CLOSE_TOKEN_BYTES == HANDSHAKE_CLOSE_BYTES,
               "CLOSE_STATELESS layout");

static const struct span PROLOGUE = {(const uint8_t *)"causeway link", 13};

const char *handshake_answer_text(enum handshake_answer answer)
{
    switch (answer) {
#define X(name, value, text) \
    case HANDSHAKE_##name:   \
        return (text);
        HANDSHAKE_ANSWER_LIST(X)
#undef X
    }
    return "unknown";
}

/* --- the two ends --- */

void handshake_identity_init(struct handshake_identity *identity, const struct crypto *crypto,
                             const struct key *private_key)
{
    *identity = (struct handshake_identity){.crypto = crypto, .private_key = *private_key};
    crypto->public_key(crypto, private_key, &identity->public_key);
    cookie_keys_derive(crypto, &identity->public_key, &identity->cookie_keys);
    struct span label = SPAN("causeway close");
    crypto_hmac(crypto, span_of(private_key->bytes, KEY_BYTES), &label, 1,
                identity->close_key.bytes);
}

void handshake_identity_clear(struct handshake_identity *identity)
{
    bytes_wipe(identity, sizeof *identity);
}

int handshake_peer_init(struct handshake_peer *peer, const struct handshake_identity *identity,
                        const struct key *public_key, const struct key *pre_shared_key)
{
    if (key_equal(public_key, &identity->public_key))
        return ERROR_INVALID;
    *peer = (struct handshake_peer){.public_key = *public_key};
    if (pre_shared_key)
        peer->pre_shared_key = *pre_shared_key;
    cookie_keys_derive(identity->crypto, public_key, &peer->cookie_keys);
    return identity->crypto->shared(identity->crypto, &identity->private_key, public_key,
                                    &peer->static_shared);
}

void handshake_peer_clear(struct handshake_peer *peer)
{
    bytes_wipe(peer, sizeof *peer);
}

/* --- traffic keys --- */

void traffic_keys_derive(const struct crypto *crypto, const struct key *secret, enum aead_kind kind,
                         struct traffic_keys *keys)
{
    *keys = (struct traffic_keys){0};
    crypto_hkdf_expand(crypto, secret->bytes, SPAN("causeway key"), keys->key,
                       aead_key_bytes(kind));
    crypto_hkdf_expand(crypto, secret->bytes, SPAN("causeway iv"), keys->iv, AEAD_NONCE_BYTES);
}

void traffic_secret_next(const struct crypto *crypto, const struct key *secret, struct key *next)
{
    struct key made;
    crypto_hkdf_expand(crypto, secret->bytes, SPAN("causeway next"), made.bytes, KEY_BYTES);
    *next = made;
    bytes_wipe(&made, sizeof made);
}

/* --- stateless close --- */

static void close_token(const struct handshake_identity *identity, uint32_t own_index,
                        uint8_t token[HANDSHAKE_CLOSE_TOKEN_BYTES])
{
    uint8_t index[4];
    store_u32(index, own_index);
    cookie_mac(identity->crypto, span_of(identity->close_key.bytes, KEY_BYTES),
               span_of(index, sizeof index), token);
}

void handshake_close_write(const struct handshake_identity *identity, uint32_t forgotten_index,
                           uint8_t out[HANDSHAKE_CLOSE_BYTES])
{
    memset(out, 0, HEADER_BYTES);
    out[0] = PACKET_CLOSE_STATELESS << 4;
    store_u32(out + HANDSHAKE_SENDER_INDEX_OFFSET, forgotten_index);
    close_token(identity, forgotten_index, out + CLOSE_TOKEN_OFFSET);
}

int handshake_close_index(struct span packet, uint32_t *peer_index)
{
    if (packet.length != HANDSHAKE_CLOSE_BYTES)
        return ERROR_INVALID;
    uint8_t header[HEADER_BYTES] = {PACKET_CLOSE_STATELESS << 4};
    *peer_index = load_u32(packet.data + HANDSHAKE_SENDER_INDEX_OFFSET);
    store_u32(header + HANDSHAKE_SENDER_INDEX_OFFSET, *peer_index);
    return memcmp(packet.data, header, HEADER_BYTES) == 0 ? 0 : ERROR_INVALID;
}

bool handshake_close_matches(const struct handshake_result *result, struct span packet)
{
    uint32_t index;
    return handshake_close_index(packet, &index) == 0 && index == result->peer_index &&
           bytes_equal_constant_time(packet.data + CLOSE_TOKEN_OFFSET, result->close_token,
                                     HANDSHAKE_CLOSE_TOKEN_BYTES);
}

/* --- initiator --- */

static void initiator_set_state(struct handshake_initiator *initiator,
                                enum handshake_initiator_state state)
{
    initiator->state = state;
    if (state == HANDSHAKE_INITIATOR_IDLE) {
        noise_clear(&initiator->noise);
        bytes_wipe(&initiator->ephemeral, sizeof initiator->ephemeral);
    }
}

void handshake_initiator_init(struct handshake_initiator *initiator,
                              const struct handshake_identity *identity,
                              const struct handshake_peer *peer)
{
    *initiator = (struct handshake_initiator){.identity = identity, .peer = peer};
    initiator_set_state(initiator, HANDSHAKE_INITIATOR_IDLE);
}

void handshake_initiator_clear(struct handshake_initiator *initiator)
{
    initiator_set_state(initiator, HANDSHAKE_INITIATOR_IDLE);
    bytes_wipe(initiator, sizeof *initiator);
}

static void write_init_payload(const struct handshake_initiator *initiator,
                               uint8_t payload[HANDSHAKE_INIT_PAYLOAD_BYTES])
{
    const struct handshake_offer *offer = &initiator->offer;
    memset(payload, 0, HANDSHAKE_INIT_PAYLOAD_BYTES);
    uint8_t *at = store_u64(payload, initiator->last_timestamp_ns);
    at = store_u32(at, offer->index);
    at = store_u16(at, offer->lane);
    at = store_u16(at, offer->lane_count);
    *at++ = offer->version_min;
    *at++ = offer->version_max;
    at = store_u16(at, offer->aead_kinds);
    at = store_u32(at, offer->features);
    close_token(initiator->identity, offer->index, at);
}

void handshake_initiator_start(struct handshake_initiator *initiator, uint64_t now_ns,
                               uint64_t wall_ns, const struct handshake_offer *offer,
                               uint8_t init[HANDSHAKE_INIT_BYTES])
{
    INVARIANT(offer->lane < offer->lane_count && offer->version_min <= offer->version_max);
    const struct handshake_identity *identity = initiator->identity;
    const struct handshake_peer *peer = initiator->peer;
    const struct crypto *crypto = identity->crypto;

    initiator->offer = *offer;
    /* Later than all before, even where the wall clock was set back. */
    initiator->last_timestamp_ns =
        wall_ns > initiator->last_timestamp_ns ? wall_ns : initiator->last_timestamp_ns + 1;
    initiator->attempts_left = HANDSHAKE_RESP_ATTEMPTS;
    key_generate(crypto, &initiator->ephemeral);

    memset(init, 0, HEADER_BYTES);
    init[0] = PACKET_INIT << 4;
    store_u16(init + 2, offer->lane);
    store_u32(init + HANDSHAKE_SENDER_INDEX_OFFSET, offer->index);
    store_u16(init + 8, offer->lane_count);

    uint8_t payload[HANDSHAKE_INIT_PAYLOAD_BYTES];
    write_init_payload(initiator, payload);
    noise_init(&initiator->noise, crypto, PROLOGUE, &peer->public_key);
    int result = noise_write_first(&initiator->noise, &initiator->ephemeral, &peer->public_key,
                                   &identity->public_key, &peer->static_shared,
                                   span_of(payload, sizeof payload), init + INIT_MESSAGE_OFFSET);
    INVARIANT(result == 0); /* handshake_peer_init() refused keys of small order */

    cookie_mac(crypto, span_of(peer->cookie_keys.mac1.bytes, KEY_BYTES),
               span_of(init, INIT_MAC1_OFFSET), init + INIT_MAC1_OFFSET);
    memcpy(initiator->cookie.sent_mac1, init + INIT_MAC1_OFFSET, MAC_BYTES);
    if (now_ns < initiator->cookie.valid_until_ns)
        cookie_mac(crypto, span_of(initiator->cookie.cookie, COOKIE_BYTES),
                   span_of(init, INIT_MAC2_OFFSET), init + INIT_MAC2_OFFSET);
    else
        memset(init + INIT_MAC2_OFFSET, 0, MAC_BYTES);
    initiator_set_state(initiator, HANDSHAKE_INITIATOR_SENT);
}

int handshake_initiator_cookie(struct handshake_initiator *initiator, uint64_t now_ns,
                               struct span cookie)
{
    if (initiator->state != HANDSHAKE_INITIATOR_SENT)
        return ERROR_INVALID;
    return cookie_open(initiator->identity->crypto, &initiator->peer->cookie_keys,
                       initiator->offer.index, cookie, now_ns, &initiator->cookie);
}

/* A responder may choose only from what was offered. */
static bool choice_is_offered(const struct handshake_offer *offer, uint8_t version, uint8_t aead,
                              uint32_t features)
{
    return version >= offer->version_min && version <= offer->version_max && aead < AEAD_KINDS &&
           (offer->aead_kinds & AEAD_BIT(aead)) && (features & ~offer->features) == 0;
}

/* The payload of an authentic RESP. */
static int read_resp_payload(const struct handshake_initiator *initiator, const uint8_t *payload,
                             uint32_t peer_index, struct handshake_result *result,
                             enum handshake_answer *answer)
{
    const struct handshake_offer *offer = &initiator->offer;
    if (load_u32(payload) != peer_index)
        return ERROR_AUTH;
    uint8_t version = payload[4], aead = payload[5];
    uint32_t features = load_u32(payload + 8);
    if (payload[6] != HANDSHAKE_ACCEPTED) {
        *answer = (enum handshake_answer)payload[6];
        return ERROR_UNSUPPORTED;
    }
    if (!choice_is_offered(offer, version, aead, features))
        return ERROR_INVALID;
    *result = (struct handshake_result){.own_index = offer->index,
                                        .peer_index = peer_index,
                                        .features = features,
                                        .lane = offer->lane,
                                        .lane_count = offer->lane_count,
                                        .version = version,
                                        .aead = (enum aead_kind)aead};
    memcpy(result->close_token, payload + 12, HANDSHAKE_CLOSE_TOKEN_BYTES);
    return 0;
}

int handshake_initiator_finish(struct handshake_initiator *initiator, struct span resp,
                               struct handshake_result *result, enum handshake_answer *answer)
{
    *answer = HANDSHAKE_ACCEPTED;
    uint8_t header[HEADER_BYTES] = {PACKET_RESP << 4};
    store_u32(header + PACKET_RECEIVER_INDEX_OFFSET, initiator->offer.index);
    if (initiator->state != HANDSHAKE_INITIATOR_SENT || resp.length != HANDSHAKE_RESP_BYTES)
        return ERROR_INVALID;
    uint32_t peer_index = load_u32(resp.data + HANDSHAKE_SENDER_INDEX_OFFSET);
    store_u32(header + HANDSHAKE_SENDER_INDEX_OFFSET, peer_index);
    if (memcmp(resp.data, header, HEADER_BYTES) != 0)
        return ERROR_INVALID;

    const struct handshake_identity *identity = initiator->identity;
    uint8_t mac1[MAC_BYTES];
    cookie_mac(identity->crypto, span_of(identity->cookie_keys.mac1.bytes, KEY_BYTES),
               span_of(resp.data, RESP_MAC1_OFFSET), mac1);
    if (!bytes_equal_constant_time(mac1, resp.data + RESP_MAC1_OFFSET, MAC_BYTES))
        return ERROR_AUTH;
    if (initiator->attempts_left == 0)
        return ERROR_LIMIT;
    initiator->attempts_left--;

    /* On a copy: after a forgery the true RESP must still find the state as it was. */
    struct noise noise = initiator->noise;
    uint8_t payload[HANDSHAKE_RESP_PAYLOAD_BYTES];
    int error =
        noise_read_second(&noise, &initiator->ephemeral, &identity->private_key,
                          &initiator->peer->pre_shared_key,
                          span_of(resp.data + RESP_MESSAGE_OFFSET, RESP_MESSAGE_BYTES), payload);
    if (error == 0)
        error = read_resp_payload(initiator, payload, peer_index, result, answer);
    if (error == 0)
        noise_split(&noise, &result->send_secret, &result->receive_secret);
    if (error == 0 || error == ERROR_UNSUPPORTED)
        initiator_set_state(initiator, HANDSHAKE_INITIATOR_IDLE);
    noise_clear(&noise);
    bytes_wipe(payload, sizeof payload);
    return error;
}

/* --- responder --- */

static void responder_set_state(struct handshake_responder *responder,
                                enum handshake_responder_state state)
{
    if (state == HANDSHAKE_RESPONDER_EMPTY)
        bytes_wipe(responder, sizeof *responder);
    responder->state = state;
}

void handshake_responder_clear(struct handshake_responder *responder)
{
    responder_set_state(responder, HANDSHAKE_RESPONDER_EMPTY);
}

int handshake_responder_open(struct handshake_responder *responder,
                             const struct handshake_identity *identity, struct span init)
{
    INVARIANT(responder->state == HANDSHAKE_RESPONDER_EMPTY);
    if (init.length != HANDSHAKE_INIT_BYTES || init.data[0] != PACKET_INIT << 4 || init.data[1] ||
        load_u16(init.data + 10))
        return ERROR_INVALID;

    responder->identity = identity;
    responder->lane = load_u16(init.data + 2);
    responder->offer.index = load_u32(init.data + HANDSHAKE_SENDER_INDEX_OFFSET);
    responder->lane_count = load_u16(init.data + 8);
    memcpy(responder->sealed_payload, init.data + INIT_PAYLOAD_OFFSET, INIT_SEALED_BYTES);
    noise_init(&responder->noise, identity->crypto, PROLOGUE, &identity->public_key);
    int error = noise_read_static(&responder->noise, &identity->private_key,
                                  span_from(init, INIT_MESSAGE_OFFSET), &responder->ephemeral,
                                  &responder->peer_key);
    responder_set_state(responder, error ? HANDSHAKE_RESPONDER_EMPTY : HANDSHAKE_RESPONDER_OPENED);
    return error;
}

/* The payload of an authentic INIT; what its header says in clear must be the same. */
static int read_init_payload(struct handshake_responder *responder, const uint8_t *payload)
{
    struct reader reader = reader_of(span_of(payload, HANDSHAKE_INIT_PAYLOAD_BYTES));
    struct handshake_offer offer;
    responder->timestamp_ns = read_u64(&reader);
    offer.index = read_u32(&reader);
    offer.lane = read_u16(&reader);
    offer.lane_count = read_u16(&reader);
    offer.version_min = read_u8(&reader);
    offer.version_max = read_u8(&reader);
    offer.aead_kinds = read_u16(&reader);
    offer.features = read_u32(&reader);
    memcpy(responder->close_token, read_span(&reader, HANDSHAKE_CLOSE_TOKEN_BYTES).data,
           HANDSHAKE_CLOSE_TOKEN_BYTES);
    if (offer.index != responder->offer.index || offer.lane != responder->lane ||
        offer.lane_count != responder->lane_count)
        return ERROR_AUTH;
    if (offer.lane >= offer.lane_count || offer.version_min > offer.version_max)
        return ERROR_INVALID;
    responder->offer = offer;
    return 0;
}

int handshake_responder_verify(struct handshake_responder *responder,
                               const struct handshake_peer *peer,
                               const struct handshake_replay *replay)
{
    INVARIANT(responder->state == HANDSHAKE_RESPONDER_OPENED);
    INVARIANT(key_equal(&responder->peer_key, &peer->public_key));
    responder->peer = peer;
    uint8_t *payload = responder->sealed_payload;
    int error = noise_read_payload(&responder->noise, &peer->static_shared,
                                   span_of(payload, INIT_SEALED_BYTES), payload);
    if (error == 0)
        error = read_init_payload(responder, payload);
    if (error == 0 && responder->timestamp_ns <= replay->greatest_timestamp_ns)
        error = ERROR_REPLAY;
    responder_set_state(responder,
                        error ? HANDSHAKE_RESPONDER_EMPTY : HANDSHAKE_RESPONDER_VERIFIED);
    return error;
}

/* The best of what both offer. */
static enum handshake_answer negotiate(const struct handshake_offer *theirs,
                                       const struct handshake_offer *own,
                                       struct handshake_result *result)
{
    uint8_t least = theirs->version_min > own->version_min ? theirs->version_min : own->version_min;
    uint8_t greatest =
        theirs->version_max < own->version_max ? theirs->version_max : own->version_max;
    if (least > greatest)
        return HANDSHAKE_NO_VERSION;
    if (aead_choose(theirs->aead_kinds & own->aead_kinds, &result->aead) < 0)
        return HANDSHAKE_NO_AEAD;
    result->version = greatest;
    result->features = theirs->features & own->features;
    return HANDSHAKE_ACCEPTED;
}

static int write_resp(struct handshake_responder *responder, const struct handshake_offer *own,
                      enum handshake_answer answer, const struct handshake_result *result,
                      uint8_t resp[HANDSHAKE_RESP_BYTES])
{
    const struct handshake_identity *identity = responder->identity;
    const struct handshake_peer *peer = responder->peer;
    memset(resp, 0, HEADER_BYTES);
    resp[0] = PACKET_RESP << 4;
    store_u32(resp + HANDSHAKE_SENDER_INDEX_OFFSET, own->index);
    store_u32(resp + PACKET_RECEIVER_INDEX_OFFSET, responder->offer.index);

    uint8_t payload[HANDSHAKE_RESP_PAYLOAD_BYTES] = {0};
    store_u32(payload, own->index);
    payload[6] = (uint8_t)answer;
    if (answer == HANDSHAKE_ACCEPTED) {
        payload[4] = result->version;
        payload[5] = (uint8_t)result->aead;
        store_u32(payload + 8, result->features);
        close_token(identity, own->index, payload + 12);
    }

    struct key ephemeral;
    key_generate(identity->crypto, &ephemeral);
    int error = noise_write_second(&responder->noise, &ephemeral, &responder->ephemeral,
                                   &peer->public_key, &peer->pre_shared_key,
                                   span_of(payload, sizeof payload), resp + RESP_MESSAGE_OFFSET);
    cookie_mac(identity->crypto, span_of(peer->cookie_keys.mac1.bytes, KEY_BYTES),
               span_of(resp, RESP_MAC1_OFFSET), resp + RESP_MAC1_OFFSET);
    bytes_wipe(&ephemeral, sizeof ephemeral);
    bytes_wipe(payload, sizeof payload);
    return error;
}

int handshake_responder_accept(struct handshake_responder *responder,
                               struct handshake_replay *replay, const struct handshake_offer *own,
                               enum handshake_answer refusal, uint8_t resp[HANDSHAKE_RESP_BYTES],
                               struct handshake_result *result)
{
    INVARIANT(responder->state == HANDSHAKE_RESPONDER_VERIFIED);
    *result = (struct handshake_result){.own_index = own->index,
                                        .peer_index = responder->offer.index,
                                        .lane = responder->lane,
                                        .lane_count = responder->lane_count};
    memcpy(result->close_token, responder->close_token, HANDSHAKE_CLOSE_TOKEN_BYTES);
    enum handshake_answer answer = negotiate(&responder->offer, own, result);
    if (refusal != HANDSHAKE_ACCEPTED)
        answer = refusal;

    /* Again, because another INIT may have been accepted since this one was verified. */
    int error = ERROR_REPLAY;
    if (responder->timestamp_ns > replay->greatest_timestamp_ns) {
        replay->greatest_timestamp_ns = responder->timestamp_ns;
        error = write_resp(responder, own, answer, result, resp);
    }
    if (error == 0 && answer != HANDSHAKE_ACCEPTED)
        error = ERROR_UNSUPPORTED;
    if (error == 0)
        noise_split(&responder->noise, &result->receive_secret, &result->send_secret);
    else
        bytes_wipe(result, sizeof *result);
    responder_set_state(responder, HANDSHAKE_RESPONDER_EMPTY);
    return error;
}
