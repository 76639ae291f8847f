/* SPDX-License-Identifier: Apache-2.0
 *
 * What a listening socket does with INITs before it is known whose they are, and with packets for
 * sessions that it has forgotten.
 */
#include "transport/lane.h"

#include "base/memory.h"

enum { STRAY_ANSWERS_PER_S = 100 };

struct transport_listener {
    struct handshake_identity identity;
    struct handshake_guard guard;
    uint64_t second; /* of the answers to stray packets */
    uint32_t answers;
};

struct transport_listener *transport_listener_new(const struct crypto *crypto,
                                                  const uint8_t private_key[TRANSPORT_KEY_BYTES],
                                                  uint64_t now_ns)
{
    struct transport_listener *listener = NEW(struct transport_listener);
    struct key key;
    memcpy(key.bytes, private_key, sizeof key.bytes);
    handshake_identity_init(&listener->identity, crypto, &key);
    handshake_guard_init(&listener->guard, crypto, &listener->identity.public_key, now_ns);
    bytes_wipe(&key, sizeof key);
    return listener;
}

void transport_listener_free(struct transport_listener **listener)
{
    if (!*listener)
        return;
    handshake_guard_clear(&(*listener)->guard);
    handshake_identity_clear(&(*listener)->identity);
    memory_free(*listener);
    *listener = NULL;
}

int transport_listener_hello(struct transport_listener *listener,
                             const struct transport_datagram *datagram, uint64_t now_ns,
                             struct transport_transmit *reply, struct transport_hello **hello,
                             struct transport_hello_facts *facts)
{
    *hello = NULL;
    if (reply->capacity < HANDSHAKE_COOKIE_BYTES)
        return ERROR_LIMIT;
    struct span init = span_of(datagram->data, datagram->length);
    switch (handshake_guard_admit(&listener->guard, now_ns, &datagram->from, init, reply->data)) {
    case GUARD_SILENCE:
        return ERROR_DENIED;
    case GUARD_COOKIE:
        reply->to = datagram->from;
        reply->length = HANDSHAKE_COOKIE_BYTES;
        reply->segment_bytes = HANDSHAKE_COOKIE_BYTES;
        return ERROR_AGAIN;
    case GUARD_ADMIT:
        break;
    }
    struct handshake_responder responder = {0};
    int error = handshake_responder_open(&responder, &listener->identity, init);
    if (!error) {
        memcpy(facts->peer_key, responder.peer_key.bytes, sizeof facts->peer_key);
        facts->lane = responder.lane;
        facts->lanes = responder.lane_count;
        *hello = dial_hello_new(&responder);
    }
    handshake_responder_clear(&responder);
    return error;
}

bool transport_listener_stray(struct transport_listener *listener,
                              const struct transport_datagram *datagram, uint64_t now_ns,
                              struct transport_transmit *reply)
{
    uint32_t index;
    uint32_t length = datagram->segment_bytes && datagram->segment_bytes < datagram->length
                          ? datagram->segment_bytes
                          : datagram->length;
    struct packet_header header;
    if (length <= HANDSHAKE_CLOSE_BYTES || reply->capacity < HANDSHAKE_CLOSE_BYTES ||
        packet_header_read(span_of(datagram->data, length), &header))
        return false;
    index = header.index;
    uint64_t second = now_ns / 1000000000;
    if (second != listener->second) {
        listener->second = second;
        listener->answers = 0;
    }
    if (listener->answers++ >= STRAY_ANSWERS_PER_S)
        return false;
    handshake_close_write(&listener->identity, index, reply->data);
    reply->to = datagram->from;
    reply->length = HANDSHAKE_CLOSE_BYTES;
    reply->segment_bytes = HANDSHAKE_CLOSE_BYTES;
    return true;
}

enum transport_packet_kind transport_packet_kind(struct span datagram, uint32_t *receiver_index)
{
    if (datagram.length < PACKET_RECEIVER_INDEX_OFFSET + 4)
        return TRANSPORT_PACKET_FOREIGN;
    switch ((unsigned)packet_type(datagram.data[0])) {
    case PACKET_INIT:
        return TRANSPORT_PACKET_HELLO;
    case PACKET_DATA:
    case PACKET_RESP:
    case PACKET_COOKIE:
        *receiver_index = load_u32(datagram.data + PACKET_RECEIVER_INDEX_OFFSET);
        return TRANSPORT_PACKET_INDEXED;
    case PACKET_CLOSE_STATELESS:
        return datagram.length == HANDSHAKE_CLOSE_BYTES ? TRANSPORT_PACKET_CLOSE
                                                        : TRANSPORT_PACKET_FOREIGN;
    default:
        return TRANSPORT_PACKET_FOREIGN;
    }
}
