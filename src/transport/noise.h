/* SPDX-License-Identifier: Apache-2.0
 *
 * Noise_IKpsk2_25519_ChaChaPoly_SHA256 (The Noise Protocol Framework, revision 34): the running
 * state and the two messages of the pattern, with any payload.
 *
 *     <- s
 *     ...
 *     -> e, es, s, ss
 *     <- e, ee, se, psk
 *
 * The packets around the messages are handshake.c's.
 */
#ifndef TRANSPORT_NOISE_H
#define TRANSPORT_NOISE_H

#include "crypto/crypto.h"

enum {
    NOISE_SEALED_KEY_BYTES = KEY_BYTES + AEAD_TAG_BYTES,
    /* Bytes of a message besides its payload. */
    NOISE_FIRST_OVERHEAD = KEY_BYTES + NOISE_SEALED_KEY_BYTES + AEAD_TAG_BYTES,
    NOISE_SECOND_OVERHEAD = KEY_BYTES + AEAD_TAG_BYTES,
};

/* SymmetricState and CipherState in one. */
struct noise {
    const struct crypto *crypto;
    uint8_t chaining_key[HASH_BYTES];
    uint8_t hash[HASH_BYTES];
    struct key message_key;
    uint64_t nonce;
};

void noise_init(struct noise *noise, const struct crypto *crypto, struct span prologue,
                const struct key *responder_public);
void noise_clear(struct noise *noise); /* wipes */

/* Initiator, first message. `shared` is X25519 of both static keys. Two curve operations;
 * ERROR_INVALID where the responder's key is of small order. `out` has payload.length +
 * NOISE_FIRST_OVERHEAD bytes. */
MUST_USE int noise_write_first(struct noise *noise, const struct key *ephemeral_private,
                               const struct key *responder_public, const struct key *static_public,
                               const struct key *static_shared, struct span payload, uint8_t *out);

/* Responder, first message as far as the initiator's static key: e, es, s. One curve operation.
 * `message` has at least NOISE_FIRST_OVERHEAD bytes. */
MUST_USE int noise_read_static(struct noise *noise, const struct key *static_private,
                               struct span message, struct key *ephemeral_public,
                               struct key *initiator_public);
/* The rest of it: ss and the payload. `sealed` is what follows the static key in the message;
 * `payload` may be the same place. */
MUST_USE int noise_read_payload(struct noise *noise, const struct key *static_shared,
                                struct span sealed, uint8_t *payload);

/* Responder, second message. Three curve operations. `out` has payload.length +
 * NOISE_SECOND_OVERHEAD bytes. */
MUST_USE int noise_write_second(struct noise *noise, const struct key *ephemeral_private,
                                const struct key *initiator_ephemeral,
                                const struct key *initiator_public,
                                const struct key *pre_shared_key, struct span payload,
                                uint8_t *out);
/* Initiator, second message, of at least NOISE_SECOND_OVERHEAD bytes. Two curve operations. */
MUST_USE int noise_read_second(struct noise *noise, const struct key *ephemeral_private,
                               const struct key *static_private, const struct key *pre_shared_key,
                               struct span message, uint8_t *payload);

/* The transport keys: initiator to responder, and back. */
void noise_split(const struct noise *noise, struct key *forth, struct key *back);

#endif
