/* SPDX-License-Identifier: Apache-2.0
 *
 * A session: the keys that one handshake made, in both directions, with their phases. Each
 * direction ratchets by itself, every 2^22 packets or 120 s: the sender moves on once the peer has
 * acknowledged a packet of the present phase; the receiver holds the next key ready and the
 * previous one for three probe timeouts. Packet numbers and streams belong to the connection and
 * survive a change of sessions. (T9)
 */
#ifndef TRANSPORT_SESSION_H
#define TRANSPORT_SESSION_H

#include "transport/handshake.h"
#include "transport/packet.h"

#define SESSION_PHASE_PACKETS (1ull << 22)
#define SESSION_PHASE_NS      (120ull * 1000000000)

struct session_key {
    struct aead *aead; /* NULL: none */
    uint8_t iv[AEAD_NONCE_BYTES];
};

enum { SESSION_PATHS = 256 }; /* that a packet can name */

struct session_sender {
    struct session_key key;
    struct key secret; /* of the phase */
    uint8_t phase;
    uint64_t since_ns, packets;
    bool is_acked; /* a packet of the phase is known to have arrived */
    /* On each path the least number that was never sealed under this session: a nonce that comes
     * again would give the key away. Two sealed packets with one nonce end the process instead. */
    uint64_t fresh_numbers[SESSION_PATHS];
};

struct session_receiver {
    struct session_key previous, current, next;
    struct key secret; /* of the next phase */
    uint8_t phase;
    uint64_t previous_until_ns;
};

/* Zero-initialised is none. */
struct session {
    const struct crypto *crypto;    /* NULL: none */
    struct handshake_result result; /* its secrets are wiped */
    struct session_sender send;
    struct session_receiver receive;
    uint64_t started_ns;
    bool is_confirmed; /* a packet under it has arrived */
};

/* Takes the secrets out of `result` and wipes them. */
void session_start(struct session *session, const struct crypto *crypto,
                   struct handshake_result *result, uint64_t now_ns);
void session_clear(struct session *session); /* wipes */

static inline bool session_is_on(const struct session *session)
{
    return session->crypto != NULL;
}

/* Seals `packet` in place: header, `plain` bytes of frames behind it, and the tag:
 * PACKET_OVERHEAD_BYTES + plain in all. Numbers must grow on each path. */
void session_seal(struct session *session, uint8_t path, uint64_t number, uint8_t *packet,
                  uint32_t plain);

/* Opens a packet in place; *frames are the bytes between header and tag. A new key phase of the
 * peer is followed; the previous is kept for `keep_ns`. 0 or ERROR_AUTH. */
MUST_USE int session_open(struct session *session, const struct packet_header *header,
                          uint8_t *packet, uint32_t length, uint64_t keep_ns, uint64_t now_ns,
                          struct span *frames);

/* Moves to the next key phase when it is time and the peer has acknowledged a packet of this one.
 * True: it has moved. */
bool session_ratchet(struct session *session, uint64_t now_ns);

#endif
