/* SPDX-License-Identifier: Apache-2.0
 *
 * mac1, mac2, cookies and the budget of handshakes. docs/protocol/handshake.md, "Before any
 * curve operation".
 */
#include "transport/cookie.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "transport/handshake.h"

#define SECOND_NS 1000000000ull

enum {
    COOKIE_NONCE_OFFSET = 12,
    COOKIE_NONCE_BYTES = 16,
    COOKIE_SEALED_OFFSET = COOKIE_NONCE_OFFSET + COOKIE_NONCE_BYTES,

    INIT_MAC2_OFFSET = HANDSHAKE_INIT_BYTES - COOKIE_MAC_BYTES,
    INIT_MAC1_OFFSET = INIT_MAC2_OFFSET - COOKIE_MAC_BYTES,
};
_Static_assert(COOKIE_SEALED_OFFSET + COOKIE_BYTES + AEAD_TAG_BYTES == HANDSHAKE_COOKIE_BYTES,
               "COOKIE layout");

void cookie_keys_derive(const struct crypto *crypto, const struct key *public_key,
                        struct cookie_keys *keys)
{
    struct span key = span_of(public_key->bytes, KEY_BYTES);
    crypto->hash(crypto, (struct span[]){SPAN("causeway mac1"), key}, 2, keys->mac1.bytes);
    crypto->hash(crypto, (struct span[]){SPAN("causeway cookie"), key}, 2, keys->seal.bytes);
}

void cookie_mac(const struct crypto *crypto, struct span key, struct span covered,
                uint8_t mac[COOKIE_MAC_BYTES])
{
    uint8_t whole[HASH_BYTES];
    crypto_hmac(crypto, key, &covered, 1, whole);
    memcpy(mac, whole, COOKIE_MAC_BYTES);
}

static bool mac_is_right(const struct crypto *crypto, struct span key, struct span packet,
                         size_t offset)
{
    uint8_t mac[COOKIE_MAC_BYTES];
    cookie_mac(crypto, key, span_of(packet.data, offset), mac);
    return bytes_equal_constant_time(mac, packet.data + offset, COOKIE_MAC_BYTES);
}

/* The key for one COOKIE: fresh for each nonce, and bound to the INIT that it answers. */
static void sealing_key(const struct crypto *crypto, const struct cookie_keys *keys,
                        const uint8_t *nonce, const uint8_t *mac1, struct key *key)
{
    crypto_hmac(crypto, span_of(keys->seal.bytes, KEY_BYTES),
                (struct span[]){span_of(nonce, COOKIE_NONCE_BYTES),
                                span_of(mac1, COOKIE_MAC_BYTES)},
                2, key->bytes);
}

static void cookie_of_source(const struct handshake_guard *guard, const struct key *secret,
                             const struct address *source, uint8_t cookie[COOKIE_BYTES])
{
    uint8_t text[1 + sizeof source->bytes + 2];
    text[0] = source->family;
    memcpy(text + 1, source->bytes, sizeof source->bytes);
    store_u16(text + 1 + sizeof source->bytes, source->port);
    cookie_mac(guard->crypto, span_of(secret->bytes, KEY_BYTES), span_of(text, sizeof text),
               cookie);
}

void handshake_guard_init(struct handshake_guard *guard, const struct crypto *crypto,
                          const struct key *own_public_key, uint64_t now_ns)
{
    *guard = (struct handshake_guard){.crypto = crypto,
                                      .rotated_ns = now_ns,
                                      .second_started_ns = now_ns};
    cookie_keys_derive(crypto, own_public_key, &guard->keys);
    key_random(crypto, &guard->secrets[0]);
    key_random(crypto, &guard->secrets[1]);
    crypto->random(crypto->random_state, &guard->hash_seed, sizeof guard->hash_seed);
}

void handshake_guard_clear(struct handshake_guard *guard)
{
    bytes_wipe(guard, sizeof *guard);
}

static void rotate_secrets(struct handshake_guard *guard, uint64_t now_ns)
{
    uint64_t age_ns = now_ns - guard->rotated_ns;
    if (age_ns < COOKIE_ROTATE_NS)
        return;
    if (age_ns < 2 * COOKIE_ROTATE_NS)
        guard->secrets[1] = guard->secrets[0];
    else
        key_random(guard->crypto, &guard->secrets[1]);
    key_random(guard->crypto, &guard->secrets[0]);
    guard->rotated_ns = now_ns;
}

static bool mac2_is_right(const struct handshake_guard *guard, const struct address *source,
                          struct span init)
{
    for (size_t i = 0; i < 2; i++) {
        uint8_t cookie[COOKIE_BYTES];
        cookie_of_source(guard, &guard->secrets[i], source, cookie);
        if (mac_is_right(guard->crypto, span_of(cookie, COOKIE_BYTES), init, INIT_MAC2_OFFSET))
            return true;
    }
    return false;
}

static void write_cookie(struct handshake_guard *guard, const struct address *source,
                         struct span init, uint8_t *reply)
{
    memset(reply, 0, COOKIE_NONCE_OFFSET);
    reply[0] = PACKET_COOKIE << 4;
    memcpy(reply + PACKET_RECEIVER_INDEX_OFFSET, init.data + HANDSHAKE_SENDER_INDEX_OFFSET, 4);
    guard->crypto->random(guard->crypto->random_state, reply + COOKIE_NONCE_OFFSET,
                          COOKIE_NONCE_BYTES);

    uint8_t cookie[COOKIE_BYTES];
    struct key key;
    cookie_of_source(guard, &guard->secrets[0], source, cookie);
    sealing_key(guard->crypto, &guard->keys, reply + COOKIE_NONCE_OFFSET,
                init.data + INIT_MAC1_OFFSET, &key);
    crypto_seal_once(guard->crypto, AEAD_CHACHA20_POLY1305, key.bytes,
                     (const uint8_t[AEAD_NONCE_BYTES]){0}, span_of(reply, COOKIE_SEALED_OFFSET),
                     span_of(cookie, COOKIE_BYTES), reply + COOKIE_SEALED_OFFSET);
    bytes_wipe(&key, sizeof key);
}

/* One more from this source in this second? */
static bool source_may(struct handshake_guard *guard, const struct address *source)
{
    size_t length = source->family == 4 ? 4 : 8; /* an IPv6 site has a /64 to choose from */
    uint8_t *bucket =
        &guard
             ->buckets[hash_span(span_of(source->bytes, length), guard->hash_seed) % GUARD_BUCKETS];
    if (*bucket == GUARD_SOURCE_PER_S)
        return false;
    ++*bucket;
    return true;
}

enum guard_verdict handshake_guard_admit(struct handshake_guard *guard, uint64_t now_ns,
                                         const struct address *source, struct span init,
                                         uint8_t *reply)
{
    struct guard_counters *counters = &guard->counters;
    if (init.length != HANDSHAKE_INIT_BYTES || init.data[0] != PACKET_INIT << 4) {
        counters->malformed++;
        return GUARD_SILENCE;
    }
    if (!mac_is_right(guard->crypto, span_of(guard->keys.mac1.bytes, KEY_BYTES), init,
                      INIT_MAC1_OFFSET)) {
        counters->wrong_mac1++;
        return GUARD_SILENCE;
    }

    rotate_secrets(guard, now_ns);
    if (now_ns - guard->second_started_ns >= SECOND_NS) {
        guard->second_started_ns = now_ns;
        guard->seen = guard->admitted = 0;
        memset(guard->buckets, 0, sizeof guard->buckets);
    }
    bool is_loaded = guard->seen >= GUARD_FREE_PER_S;
    guard->seen++;

    /* A wrong mac2 is answered even without load: the sender's cookie is of a secret that we no
     * longer have. */
    bool has_mac2 =
        !bytes_equal_constant_time(init.data + INIT_MAC2_OFFSET,
                                   (const uint8_t[COOKIE_MAC_BYTES]){0}, COOKIE_MAC_BYTES);
    if (has_mac2 ? !mac2_is_right(guard, source, init) : is_loaded) {
        write_cookie(guard, source, init, reply);
        counters->cookies_sent++;
        return GUARD_COOKIE;
    }
    if (is_loaded && (guard->admitted >= GUARD_LIMIT_PER_S || !source_may(guard, source))) {
        counters->limited++;
        return GUARD_SILENCE;
    }
    guard->admitted++;
    counters->admitted++;
    return GUARD_ADMIT;
}

int cookie_open(const struct crypto *crypto, const struct cookie_keys *keys, uint32_t own_index,
                struct span packet, uint64_t now_ns, struct cookie_held *held)
{
    uint8_t header[COOKIE_NONCE_OFFSET] = {PACKET_COOKIE << 4};
    store_u32(header + PACKET_RECEIVER_INDEX_OFFSET, own_index);
    if (packet.length != HANDSHAKE_COOKIE_BYTES || memcmp(packet.data, header, sizeof header) != 0)
        return ERROR_INVALID;

    struct key key;
    uint8_t cookie[COOKIE_BYTES];
    sealing_key(crypto, keys, packet.data + COOKIE_NONCE_OFFSET, held->sent_mac1, &key);
    int result = crypto_open_once(crypto, AEAD_CHACHA20_POLY1305, key.bytes,
                                  (const uint8_t[AEAD_NONCE_BYTES]){0},
                                  span_of(packet.data, COOKIE_SEALED_OFFSET),
                                  span_from(packet, COOKIE_SEALED_OFFSET), cookie);
    bytes_wipe(&key, sizeof key);
    if (result < 0)
        return result;
    memcpy(held->cookie, cookie, COOKIE_BYTES);
    held->valid_until_ns = now_ns + COOKIE_ROTATE_NS;
    return 0;
}
