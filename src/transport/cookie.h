/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard in front of the handshake: what an INIT must show before any curve operation is
 * spent on it. mac1 proves that the sender knows our public key; under load mac2 proves that it
 * can receive at its source address (a cookie, as in WireGuard); a budget bounds the rest. Fixed
 * memory, whoever knocks.
 */
#ifndef TRANSPORT_COOKIE_H
#define TRANSPORT_COOKIE_H

#include "base/address.h"
#include "crypto/crypto.h"

enum {
    COOKIE_BYTES = 16,
    COOKIE_MAC_BYTES = 16,

    /* INITs per second with a right mac1 that are taken without a cookie: each costs one curve
     * operation, so a stranger who knows our public key gets about 1 % of a core. */
    GUARD_FREE_PER_S = 200,
    GUARD_LIMIT_PER_S = 2000, /* and with a cookie: about 10 % of a core */
    GUARD_SOURCE_PER_S = 20,  /* of these from one /32 or /64 (or another that shares its bucket) */
    GUARD_BUCKETS = 1024,
};
#define COOKIE_ROTATE_NS (120ull * 1000000000) /* a cookie is valid for one to two of these */

/* From a public key: what mac1 and COOKIE are keyed with. */
struct cookie_keys {
    struct key mac1, seal;
};
void cookie_keys_derive(const struct crypto *crypto, const struct key *public_key,
                        struct cookie_keys *keys);

/* A MAC over `covered`: mac1 with keys->mac1 of the receiver, mac2 with a cookie. */
void cookie_mac(const struct crypto *crypto, struct span key, struct span covered,
                uint8_t mac[COOKIE_MAC_BYTES]);

/* An initiator's cookie. */
struct cookie_held {
    uint8_t cookie[COOKIE_BYTES];
    uint8_t sent_mac1[COOKIE_MAC_BYTES]; /* of the INIT that is out; a COOKIE is bound to it */
    uint64_t valid_until_ns;             /* 0: none */
};

/* --- the responder's guard --- */

#define GUARD_COUNTER_LIST(X)                                          \
    X(malformed) /* not an INIT of 1200 bytes */                       \
    X(wrong_mac1)                                                      \
    X(admitted)                                                        \
    X(cookies_sent) /* under load without mac2, or with a wrong one */ \
    X(limited)      /* above the budget, though with a cookie */

struct guard_counters {
#define X(name) uint64_t name;
    GUARD_COUNTER_LIST(X)
#undef X
};

enum guard_verdict {
    GUARD_ADMIT,  /* go on with handshake_responder_open() */
    GUARD_COOKIE, /* send the reply back to the source */
    GUARD_SILENCE,
};

/* One for each worker that listens; 10 KB. */
struct handshake_guard {
    const struct crypto *crypto;
    struct cookie_keys keys;
    struct key secrets[2]; /* of cookies: current, previous */
    uint64_t rotated_ns;
    uint64_t second_started_ns; /* of the budget */
    uint32_t seen, admitted;    /* in this second: with a right mac1; let through */
    uint64_t hash_seed;
    uint8_t buckets[GUARD_BUCKETS];
    struct guard_counters counters;
};

void handshake_guard_init(struct handshake_guard *guard, const struct crypto *crypto,
                          const struct key *own_public_key, uint64_t now_ns);
void handshake_guard_clear(struct handshake_guard *guard); /* wipes */

/* Judges an INIT from `source`. GUARD_COOKIE: `reply` has HANDSHAKE_COOKIE_BYTES bytes to send.
 * At most three hashes' work. */
enum guard_verdict handshake_guard_admit(struct handshake_guard *guard, uint64_t now_ns,
                                         const struct address *source, struct span init,
                                         uint8_t *reply);

/* The initiator's side of a COOKIE: `keys` of the responder. 0, ERROR_INVALID or ERROR_AUTH. */
MUST_USE int cookie_open(const struct crypto *crypto, const struct cookie_keys *keys,
                         uint32_t own_index, struct span packet, uint64_t now_ns,
                         struct cookie_held *held);

#endif
