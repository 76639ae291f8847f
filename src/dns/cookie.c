/* SPDX-License-Identifier: Apache-2.0
 *
 * Cookies (RFC 9018 section 4). Times are serial numbers (RFC 1982), so that they may wrap.
 */
#include "dns/cookie.h"

#include "base/bytes.h"

enum {
    VERSION = 1,
    TIME_AT = DNS_CLIENT_COOKIE_BYTES + 4,
    HASH_AT = TIME_AT + 4,
    HASHED_BYTES = HASH_AT + 16, /* with the client's address */
    /* section 4.3 */
    FUTURE_S = 300,
    LIFE_S = 3600,
    RENEW_S = 1800,
};

static uint64_t load_little(const uint8_t *from, size_t length)
{
    uint64_t value = 0;
    while (length--)
        value = value << 8 | from[length];
    return value;
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], unsigned count)
{
    while (count--) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

void dns_siphash(const uint8_t key[DNS_SECRET_BYTES], struct span data, uint8_t out[8])
{
    uint64_t k0 = load_little(key, 8), k1 = load_little(key + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                     k1 ^ 0x7465646279746573};
    uint64_t length = data.length;
    for (; data.length >= 8; data = span_from(data, 8))
        sip_word(v, load_little(data.data, 8));
    sip_word(v, length << 56 | load_little(data.data, data.length));
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    uint64_t hash = v[0] ^ v[1] ^ v[2] ^ v[3];
    for (unsigned i = 0; i < 8; i++, hash >>= 8)
        out[i] = (uint8_t)hash;
}

/* `cookie`: client's, version, reserved and time, which is what the hash is taken of, with the address. */
static void hash_cookie(const uint8_t *secret, const uint8_t *cookie, const struct address *client,
                        uint8_t out[8])
{
    uint8_t hashed[HASHED_BYTES];
    size_t address_bytes = address_bits(client) / 8;
    memcpy(hashed, cookie, HASH_AT);
    memcpy(hashed + HASH_AT, client->bytes, address_bytes);
    dns_siphash(secret, span_of(hashed, HASH_AT + address_bytes), out);
}

/* In a time that tells nothing of where they differ. */
static bool is_same_hash(const uint8_t *a, const uint8_t *b)
{
    return (load_u64(a) ^ load_u64(b)) == 0;
}

/* The number of the secret that made it, or -1. */
static int made_by(const struct dns_cookie_secrets *secrets, struct span option,
                   const struct address *client, uint32_t now_s)
{
    if (option.length != DNS_COOKIE_BYTES || option.data[DNS_CLIENT_COOKIE_BYTES] != VERSION)
        return -1;
    int32_t age_s = (int32_t)(now_s - load_u32(option.data + TIME_AT));
    if (age_s < -FUTURE_S || age_s > LIFE_S)
        return -1;
    for (int i = 0; i < secrets->count; i++) {
        uint8_t hash[8];
        hash_cookie(secrets->bytes[i], option.data, client, hash);
        if (is_same_hash(hash, option.data + HASH_AT))
            return i;
    }
    return -1;
}

enum dns_cookie_result dns_cookie_check(const struct dns_cookie_secrets *secrets,
                                        struct span option, const struct address *client,
                                        uint32_t now_s, uint8_t out[DNS_COOKIE_BYTES])
{
    int secret = made_by(secrets, option, client, now_s);
    memcpy(out, option.data, DNS_CLIENT_COOKIE_BYTES);
    if (secret == 0 && (int32_t)(now_s - load_u32(option.data + TIME_AT)) < RENEW_S) {
        memcpy(out, option.data, DNS_COOKIE_BYTES);
        return DNS_COOKIE_GOOD;
    }
    uint8_t *to = store_u32(out + DNS_CLIENT_COOKIE_BYTES, (uint32_t)VERSION << 24);
    hash_cookie(secrets->bytes[0], out, client, store_u32(to, now_s));
    if (secret >= 0)
        return DNS_COOKIE_GOOD;
    return option.length == DNS_CLIENT_COOKIE_BYTES ? DNS_COOKIE_NEW : DNS_COOKIE_BAD;
}
