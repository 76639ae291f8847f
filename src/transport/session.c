/* SPDX-License-Identifier: Apache-2.0
 *
 * Traffic keys of a session.
 */
#include "transport/session.h"

static void key_start(struct session *session, struct session_key *key, const struct key *secret)
{
    struct traffic_keys traffic;
    traffic_keys_derive(session->crypto, secret, session->result.aead, &traffic);
    key->aead = session->crypto->aead_new(session->crypto, session->result.aead, traffic.key);
    memcpy(key->iv, traffic.iv, sizeof key->iv);
    bytes_wipe(&traffic, sizeof traffic);
}

static void key_clear(struct session_key *key)
{
    if (key->aead)
        aead_free(&key->aead);
    *key = (struct session_key){0};
}

static void secret_advance(const struct crypto *crypto, struct key *secret)
{
    struct key next;
    traffic_secret_next(crypto, secret, &next);
    *secret = next;
    bytes_wipe(&next, sizeof next);
}

void session_start(struct session *session, const struct crypto *crypto,
                   struct handshake_result *result, uint64_t now_ns)
{
    *session = (struct session){.crypto = crypto, .result = *result, .started_ns = now_ns};
    session->send.since_ns = now_ns;
    session->send.secret = result->send_secret;
    key_start(session, &session->send.key, &session->send.secret);
    session->receive.secret = result->receive_secret;
    key_start(session, &session->receive.current, &session->receive.secret);
    secret_advance(crypto, &session->receive.secret);
    key_start(session, &session->receive.next, &session->receive.secret);
    bytes_wipe(&session->result.send_secret, sizeof session->result.send_secret);
    bytes_wipe(&session->result.receive_secret, sizeof session->result.receive_secret);
    bytes_wipe(result, sizeof *result);
}

void session_clear(struct session *session)
{
    if (!session_is_on(session))
        return;
    key_clear(&session->send.key);
    key_clear(&session->receive.previous);
    key_clear(&session->receive.current);
    key_clear(&session->receive.next);
    bytes_wipe(session, sizeof *session);
}

void session_seal(struct session *session, uint8_t path, uint64_t number, uint8_t *packet,
                  uint32_t plain)
{
    struct session_sender *send = &session->send;
    const struct packet_header header = {
        .phase = send->phase, .path = path, .number = number, .index = session->result.peer_index};
    uint8_t nonce[PACKET_NONCE_BYTES];
    INVARIANT(number >= send->fresh_numbers[path] && number <= PACKET_NUMBER_MAX);
    send->fresh_numbers[path] = number + 1;
    packet_header_write(&header, packet);
    packet_nonce(send->key.iv, path, number, nonce);
    aead_seal(send->key.aead, nonce, span_of(packet, PACKET_HEADER_BYTES),
              span_of(packet + PACKET_HEADER_BYTES, plain), packet + PACKET_HEADER_BYTES);
    send->packets++;
}

/* The peer has moved to the next phase. */
static void follow(struct session *session, uint64_t keep_ns, uint64_t now_ns)
{
    struct session_receiver *receive = &session->receive;
    key_clear(&receive->previous);
    receive->previous = receive->current;
    receive->current = receive->next;
    receive->previous_until_ns = now_ns + keep_ns;
    receive->phase = (uint8_t)((receive->phase + 1) % PACKET_PHASES);
    secret_advance(session->crypto, &receive->secret);
    key_start(session, &receive->next, &receive->secret);
}

int session_open(struct session *session, const struct packet_header *header, uint8_t *packet,
                 uint32_t length, uint64_t keep_ns, uint64_t now_ns, struct span *frames)
{
    struct session_receiver *receive = &session->receive;
    struct session_key *key;
    bool is_next = false;
    if (header->phase == receive->phase) {
        key = &receive->current;
    } else if (header->phase == (receive->phase + 1) % PACKET_PHASES) {
        key = &receive->next;
        is_next = true;
    } else if (header->phase == (receive->phase + PACKET_PHASES - 1) % PACKET_PHASES) {
        if (receive->previous.aead && now_ns >= receive->previous_until_ns)
            key_clear(&receive->previous);
        key = &receive->previous;
    } else {
        return ERROR_AUTH;
    }
    if (!key->aead)
        return ERROR_AUTH;
    uint8_t nonce[PACKET_NONCE_BYTES];
    packet_nonce(key->iv, header->path, header->number, nonce);
    uint8_t *body = packet + PACKET_HEADER_BYTES;
    int error = aead_open(key->aead, nonce, span_of(packet, PACKET_HEADER_BYTES),
                          span_of(body, length - PACKET_HEADER_BYTES), body);
    if (error)
        return ERROR_AUTH;
    if (is_next)
        follow(session, keep_ns, now_ns);
    *frames = span_of(body, length - PACKET_OVERHEAD_BYTES);
    return 0;
}

bool session_ratchet(struct session *session, uint64_t now_ns)
{
    struct session_sender *send = &session->send;
    bool is_due = send->packets >= SESSION_PHASE_PACKETS ||
                  (send->packets && now_ns - send->since_ns >= SESSION_PHASE_NS);
    if (!is_due || !send->is_acked)
        return false;
    secret_advance(session->crypto, &send->secret);
    key_clear(&send->key);
    key_start(session, &send->key, &send->secret);
    send->phase = (uint8_t)((send->phase + 1) % PACKET_PHASES);
    send->since_ns = now_ns;
    send->packets = 0;
    send->is_acked = false;
    return true;
}
