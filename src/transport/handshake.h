/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake of the link: Noise_IKpsk2_25519_ChaChaPoly_SHA256 in the shape that WireGuard
 * gave it. One round trip between two ends that know each other's static keys; the initiator's
 * identity is hidden; strangers get silence and leave no state. docs/protocol/handshake.md is
 * the specification, with test vectors.
 *
 *     initiator                                              responder
 *     handshake_initiator_start    -- INIT, 1200 bytes -->   handshake_guard_admit
 *                                                            handshake_responder_open     who?
 *                                                            handshake_responder_verify   what?
 *     handshake_initiator_finish   <-- RESP, 108 bytes --    handshake_responder_accept
 *
 *     under load:
 *     handshake_initiator_cookie   <-- COOKIE, 60 bytes --   handshake_guard_admit
 *     handshake_initiator_start again
 *
 * Pure: `now_ns` is the monotonic clock, `wall_ns` nanoseconds since 1970, randomness comes
 * through struct crypto. The caller resends (a fresh start each time) and owns the tables of
 * peers and of timestamps.
 *
 * Requirement ids: T1, R9.
 */
#ifndef TRANSPORT_HANDSHAKE_H
#define TRANSPORT_HANDSHAKE_H

#include "crypto/crypto.h"
#include "transport/cookie.h"
#include "transport/noise.h"

/* High four bits of a packet's first byte. */
enum packet_type {
    PACKET_DATA = 1,
    PACKET_INIT = 2,
    PACKET_RESP = 3,
    PACKET_COOKIE = 4,
    PACKET_CLOSE_STATELESS = 5,
};

enum {
    HANDSHAKE_VERSION = 1, /* of the wire; the only one so far */

    HANDSHAKE_INIT_BYTES = 1200, /* always: whoever asks has paid for the answer */
    HANDSHAKE_RESP_BYTES = 108,
    HANDSHAKE_COOKIE_BYTES = 60,
    HANDSHAKE_CLOSE_BYTES = 28,

    /* Where steering finds the receiver's index, in every packet but INIT. */
    PACKET_RECEIVER_INDEX_OFFSET = 8,
    HANDSHAKE_SENDER_INDEX_OFFSET = 4, /* of INIT, RESP and CLOSE_STATELESS */

    HANDSHAKE_INIT_PAYLOAD_BYTES =
        1060, /* encrypted; this version uses the first 40, the rest pads */
    HANDSHAKE_RESP_PAYLOAD_BYTES = 32,

    HANDSHAKE_CLOSE_TOKEN_BYTES = 16,
    HANDSHAKE_RESP_ATTEMPTS = 8, /* forged RESPs that pass mac1 are tried so often per INIT */
};

static inline enum packet_type packet_type(uint8_t first_byte)
{
    return (enum packet_type)(first_byte >> 4); /* may be none of them */
}

/* This end: its key, and what follows from it. */
struct handshake_identity {
    const struct crypto *crypto;
    struct key private_key, public_key;
    struct cookie_keys cookie_keys; /* of our own public key: what others prove to know */
    struct key close_key;           /* stateless closes of this node are signed with it */
};

void handshake_identity_init(struct handshake_identity *identity, const struct crypto *crypto,
                             const struct key *private_key);
void handshake_identity_clear(struct handshake_identity *identity); /* wipes */

/* The other end: one for each configured peer. */
struct handshake_peer {
    struct key public_key;
    struct key pre_shared_key; /* all zero: none */
    struct key static_shared;  /* X25519 of both static keys, computed once */
    struct cookie_keys cookie_keys;
};

/* One curve operation. ERROR_INVALID: the public key is of small order, or is our own. */
MUST_USE int handshake_peer_init(struct handshake_peer *peer,
                                 const struct handshake_identity *identity,
                                 const struct key *public_key, const struct key *pre_shared_key);
void handshake_peer_clear(struct handshake_peer *peer); /* wipes */

/* What an end brings to the table. */
struct handshake_offer {
    uint8_t version_min, version_max;
    uint16_t aead_kinds; /* AEAD_BITs; crypto->aead_kinds */
    uint32_t features;   /* bits; the session has those of both ends */
    uint32_t index;      /* receiver index of this end: worker (10 bits) | generation (2) | ... */
    uint16_t lane, lane_count; /* the initiator's word; lane < lane_count */
};

/* The answer of a responder that knows and trusts the initiator; sent in RESP. 0 is acceptance. */
#define HANDSHAKE_ANSWER_LIST(X)                              \
    X(ACCEPTED, 0, "accepted")                                \
    X(NO_VERSION, 1, "no protocol version in common")         \
    X(NO_AEAD, 2, "no cipher in common")                      \
    X(NO_LANE, 3, "no such lane, or another number of lanes") \
    X(BUSY, 4, "too busy for another session")

enum handshake_answer {
#define X(name, value, text) HANDSHAKE_##name = (value),
    HANDSHAKE_ANSWER_LIST(X)
#undef X
};
const char *handshake_answer_text(enum handshake_answer answer);

/* The outcome at either end. Wipe it with bytes_wipe() once the keys are derived. */
struct handshake_result {
    struct key send_secret, receive_secret; /* of key phase 0; see traffic_keys_derive() */
    uint32_t own_index, peer_index;
    uint32_t features;
    uint16_t lane, lane_count;
    uint8_t version;
    enum aead_kind aead;
    uint8_t
        close_token[HANDSHAKE_CLOSE_TOKEN_BYTES]; /* the peer's: see handshake_close_matches() */
};

/* --- traffic keys --- */

struct traffic_keys {
    uint8_t key[KEY_BYTES]; /* its first aead_key_bytes(kind) bytes */
    uint8_t iv[AEAD_NONCE_BYTES];
};

/* HKDF-Expand with labels. The ratchet gives the secret of the next key phase; forget the old
 * one. */
void traffic_keys_derive(const struct crypto *crypto, const struct key *secret, enum aead_kind kind,
                         struct traffic_keys *keys);
void traffic_secret_next(const struct crypto *crypto, const struct key *secret, struct key *next);

/* --- initiator --- */

#define HANDSHAKE_INITIATOR_STATE_LIST(X)                    \
    X(IDLE, "idle") /* nothing sent, or given up, or done */ \
    X(SENT, "sent") /* INIT is out; RESP or COOKIE may come */

enum handshake_initiator_state {
#define X(name, text) HANDSHAKE_INITIATOR_##name,
    HANDSHAKE_INITIATOR_STATE_LIST(X)
#undef X
};

/* Embed one for each lane that dials. It keeps the cookie and the last timestamp between
 * attempts. */
struct handshake_initiator {
    enum handshake_initiator_state state;
    const struct handshake_identity *identity;
    const struct handshake_peer *peer;
    struct noise noise;
    struct key ephemeral;
    struct handshake_offer offer;
    uint64_t last_timestamp_ns;
    unsigned attempts_left; /* RESPs that may still be tried */
    struct cookie_held cookie;
};

/* `identity` and `peer` must outlive it. */
void handshake_initiator_init(struct handshake_initiator *initiator,
                              const struct handshake_identity *identity,
                              const struct handshake_peer *peer);
void handshake_initiator_clear(struct handshake_initiator *initiator); /* wipes */

/* Writes an INIT; an earlier one is forgotten. Each call draws a fresh ephemeral key and a later
 * timestamp, so this is also how to resend. With a valid cookie at hand mac2 is set. Two curve
 * operations. */
void handshake_initiator_start(struct handshake_initiator *initiator, uint64_t now_ns,
                               uint64_t wall_ns, const struct handshake_offer *offer,
                               uint8_t init[HANDSHAKE_INIT_BYTES]);

/* A COOKIE for the INIT that is out: start again to use it. ERROR_INVALID (not ours or
 * malformed) or ERROR_AUTH change nothing. */
MUST_USE int handshake_initiator_cookie(struct handshake_initiator *initiator, uint64_t now_ns,
                                        struct span cookie);

/* A RESP. Two curve operations when mac1 is right, else none.
 *   0                          `result` is filled; IDLE
 *   ERROR_INVALID, ERROR_AUTH  not a RESP to this INIT, forged, or another pre-shared key: the
 *                              state is as before, the true one may still come
 *   ERROR_LIMIT                too many wrong ones for this INIT: start again
 *   ERROR_UNSUPPORTED          the true responder refuses; *answer says why; IDLE
 * *answer is HANDSHAKE_ACCEPTED in all other cases. */
MUST_USE int handshake_initiator_finish(struct handshake_initiator *initiator, struct span resp,
                                        struct handshake_result *result,
                                        enum handshake_answer *answer);

/* --- responder --- */

#define HANDSHAKE_RESPONDER_STATE_LIST(X)                               \
    X(EMPTY, "empty")                                                   \
    X(OPENED, "opened")     /* the initiator's static key is claimed */ \
    X(VERIFIED, "verified") /* and proven, with what it offers */

enum handshake_responder_state {
#define X(name, text) HANDSHAKE_RESPONDER_##name,
    HANDSHAKE_RESPONDER_STATE_LIST(X)
#undef X
};

/* The work on one INIT; on the stack, or kept while the caller decides. Zero-initialised is
 * EMPTY. */
struct handshake_responder {
    enum handshake_responder_state state;
    const struct handshake_identity *identity;
    const struct handshake_peer *peer;
    struct noise noise;
    struct key ephemeral;      /* the initiator's, public */
    struct key peer_key;       /* from OPENED: the initiator's static public key */
    uint16_t lane, lane_count; /* from OPENED: claimed in clear; proven from VERIFIED */
    uint8_t sealed_payload[HANDSHAKE_INIT_PAYLOAD_BYTES + AEAD_TAG_BYTES];
    struct handshake_offer offer; /* from VERIFIED: the initiator's, with its index */
    uint64_t timestamp_ns;        /* from VERIFIED */
    uint8_t close_token[HANDSHAKE_CLOSE_TOKEN_BYTES];
};

/* Greatest timestamp seen; the caller keeps one for each (static key, lane), zero-initialised,
 * as long as it runs. */
struct handshake_replay {
    uint64_t greatest_timestamp_ns;
};

/* An INIT that the guard admitted -> peer_key, lane, lane_count. One curve operation. Look the
 * key up; unknown: handshake_responder_clear(), silence. ERROR_INVALID or ERROR_AUTH: silence. */
MUST_USE int handshake_responder_open(struct handshake_responder *responder,
                                      const struct handshake_identity *identity, struct span init);

/* `peer` is the one with peer_key. Proves that the initiator has that key -> offer. No curve
 * operation. ERROR_AUTH or ERROR_INVALID: silence; ERROR_REPLAY: its timestamp is not later than
 * the greatest seen. `replay` is that of (peer, lane); it is not changed yet. */
MUST_USE int handshake_responder_verify(struct handshake_responder *responder,
                                        const struct handshake_peer *peer,
                                        const struct handshake_replay *replay);

/* Answers: writes RESP, notes the timestamp, fills `result`, and is EMPTY again. Three curve
 * operations. `refusal` is HANDSHAKE_ACCEPTED, or the caller's reason to refuse (lanes, load),
 * sent to the initiator. 0: the session stands as soon as the first packet under its keys
 * authenticates; until then the old session stays. ERROR_UNSUPPORTED: refused, by the caller or
 * because nothing is in common: RESP says so and there is no result. ERROR_INVALID: the
 * ephemeral key is of small order: silence. */
MUST_USE int
handshake_responder_accept(struct handshake_responder *responder, struct handshake_replay *replay,
                           const struct handshake_offer *own, enum handshake_answer refusal,
                           uint8_t resp[HANDSHAKE_RESP_BYTES], struct handshake_result *result);
void handshake_responder_clear(struct handshake_responder *responder); /* wipes; EMPTY */

/* --- stateless close --- */

/* After a restart a node answers packets for indexes that it has forgotten with the token that
 * it gave away in the handshake (as RFC 9000 section 10.3): only it can compute that, and the
 * peer dials again at once instead of waiting for silence. Answer only packets longer than
 * HANDSHAKE_CLOSE_BYTES and at a limited rate. */
void handshake_close_write(const struct handshake_identity *identity, uint32_t forgotten_index,
                           uint8_t out[HANDSHAKE_CLOSE_BYTES]);
/* For the session whose peer_index is in the packet (handshake_close_index()). */
bool handshake_close_matches(const struct handshake_result *result, struct span packet);
MUST_USE int handshake_close_index(struct span packet, uint32_t *peer_index);

#endif
