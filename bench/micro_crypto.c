/* SPDX-License-Identifier: Apache-2.0
 *
 * What cryptography costs a packet and a handshake, on one core, in CPU time; the null table is
 * the floor. Prints one JSON object a line: case, subject, metric, value, unit.
 *
 *     micro_crypto [seconds for each row]
 */
#include "micro.h"

#include "crypto/crypto.h"
#include "transport/handshake.h"

#include <stdlib.h>

enum { PACKET_BYTES = 1200, HEADER_BYTES = 12, ROUND = 64 };

static const struct address SOURCE = {.bytes = {192, 0, 2, 1}, .port = 7000, .family = 4};

struct packet {
    struct aead *aead;
    uint8_t nonce[AEAD_NONCE_BYTES], header[HEADER_BYTES];
    uint8_t plain[PACKET_BYTES + AEAD_TAG_BYTES], sealed[PACKET_BYTES + AEAD_TAG_BYTES];
};

struct ends {
    struct handshake_identity edge, gateway;
    struct handshake_peer of_edge, of_gateway;
    struct handshake_initiator initiator;
    struct handshake_guard guard;
    struct handshake_offer offer;
    uint64_t wall_ns;
    uint8_t init[HANDSHAKE_INIT_BYTES], resp[HANDSHAKE_RESP_BYTES];
};

static void seal(void *owner)
{
    struct packet *packet = owner;
    packet->nonce[11]++;
    aead_seal(packet->aead, packet->nonce, span_of(packet->header, HEADER_BYTES),
              span_of(packet->plain, PACKET_BYTES), packet->plain);
}

static void open_sealed(void *owner)
{
    struct packet *packet = owner;
    INVARIANT(aead_open(packet->aead, packet->nonce, span_of(packet->header, HEADER_BYTES),
                        span_of(packet->sealed, sizeof packet->sealed), packet->plain) == 0);
}

static void start(void *owner)
{
    struct ends *ends = owner;
    handshake_initiator_start(&ends->initiator, 0, ++ends->wall_ns, &ends->offer, ends->init);
}

static void respond(void *owner)
{
    struct ends *ends = owner;
    struct handshake_responder responder = {0};
    struct handshake_replay replay = {0};
    struct handshake_result result;
    uint8_t reply[HANDSHAKE_COOKIE_BYTES];
    struct span init = span_of(ends->init, sizeof ends->init);
    ends->guard.seen = 0;
    INVARIANT(handshake_guard_admit(&ends->guard, 0, &SOURCE, init, reply) == GUARD_ADMIT);
    INVARIANT(handshake_responder_open(&responder, &ends->gateway, init) == 0);
    INVARIANT(handshake_responder_verify(&responder, &ends->of_gateway, &replay) == 0);
    INVARIANT(handshake_responder_accept(&responder, &replay, &ends->offer, HANDSHAKE_ACCEPTED,
                                         ends->resp, &result) == 0);
}

static void refuse_mac1(void *owner)
{
    struct ends *ends = owner;
    uint8_t reply[HANDSHAKE_COOKIE_BYTES];
    ends->init[600] ^= 1;
    INVARIANT(handshake_guard_admit(&ends->guard, 0, &SOURCE,
                                    span_of(ends->init, sizeof ends->init),
                                    reply) == GUARD_SILENCE);
    ends->init[600] ^= 1;
}

static void measure(const char *name, const char *subject, void (*work)(void *), void *owner,
                    double seconds)
{
    uint64_t began_ns = cpu_ns(), spent_ns, rounds = 0;
    do {
        for (int i = 0; i < ROUND; i++)
            work(owner);
        rounds += ROUND;
        spent_ns = cpu_ns() - began_ns;
    } while ((double)spent_ns < seconds * 1e9);
    printf("{\"case\": \"%s\", \"subject\": \"%s\", \"metric\": \"cpu_ns\", \"value\": %.1f, "
           "\"unit\": \"ns\"}\n",
           name, subject, (double)spent_ns / (double)rounds);
}

static void measure_packets(const struct crypto *crypto, enum aead_kind kind, const char *subject,
                            double seconds)
{
    static struct packet packet;
    char name[64];
    const uint8_t key[KEY_BYTES] = {1};
    memset(&packet, 0, sizeof packet);
    packet.aead = crypto->aead_new(crypto, kind, key);
    snprintf(name, sizeof name, "seal 1200 bytes, %s", aead_kind_text(kind));
    measure(name, subject, seal, &packet, seconds);
    aead_seal(packet.aead, packet.nonce, span_of(packet.header, HEADER_BYTES),
              span_of(packet.plain, PACKET_BYTES), packet.sealed);
    snprintf(name, sizeof name, "open 1200 bytes, %s", aead_kind_text(kind));
    measure(name, subject, open_sealed, &packet, seconds);
    aead_free(&packet.aead);
}

static void measure_handshakes(const struct crypto *crypto, double seconds)
{
    static struct ends ends;
    struct key edge, gateway;
    key_generate(crypto, &edge);
    key_generate(crypto, &gateway);
    handshake_identity_init(&ends.edge, crypto, &edge);
    handshake_identity_init(&ends.gateway, crypto, &gateway);
    INVARIANT(!handshake_peer_init(&ends.of_edge, &ends.edge, &ends.gateway.public_key, NULL));
    INVARIANT(!handshake_peer_init(&ends.of_gateway, &ends.gateway, &ends.edge.public_key, NULL));
    handshake_guard_init(&ends.guard, crypto, &ends.gateway.public_key, 0);
    handshake_initiator_init(&ends.initiator, &ends.edge, &ends.of_edge);
    ends.offer = (struct handshake_offer){1,          1,         (uint16_t)crypto->aead_kinds,
                                          .index = 1, .lane = 0, .lane_count = 1};
    measure("handshake, initiator's INIT", "causeway", start, &ends, seconds);
    measure("handshake, whole responder", "causeway", respond, &ends, seconds);
    measure("handshake, INIT with wrong mac1", "causeway", refuse_mac1, &ends, seconds);
}

int main(int count, char **arguments)
{
    double seconds = count > 1 ? atof(arguments[1]) : 0.3;
    for (int kind = 0; kind < AEAD_KINDS; kind++) {
        measure_packets(crypto_openssl(), (enum aead_kind)kind, "causeway", seconds);
        measure_packets(crypto_null(), (enum aead_kind)kind, "floor", seconds);
    }
    measure_handshakes(crypto_openssl(), seconds);
    return 0;
}
