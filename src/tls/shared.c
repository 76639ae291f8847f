/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of session tickets (RFC 5077, RFC 8446 section 4.6.1): one in use, the former two still accepted, all of them random and
 * gone for good an hour later. Every worker reads, one thread writes; the slot that is written is accepted by nobody, and has not
 * been for an hour.
 */
#include "tls/shared.h"

#include "base/memory.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdatomic.h>

enum {
    SLOTS = 4,
    ACCEPTED = 3,
    NAME_BYTES = 16,
    KEY_BYTES = 32,
};

struct ticket_key {
    uint8_t name[NAME_BYTES], cipher[KEY_BYTES], mac[KEY_BYTES];
};

struct tls_shared {
    struct ticket_key keys[SLOTS];
    _Atomic uint32_t current; /* counts up; its slot is the remainder */
    _Atomic uint64_t now_s;
    uint64_t changed_s;
};

static void make_key(struct ticket_key *key)
{
    INVARIANT(RAND_bytes(key->name, NAME_BYTES) == 1 &&
              RAND_priv_bytes(key->cipher, KEY_BYTES) == 1 &&
              RAND_priv_bytes(key->mac, KEY_BYTES) == 1);
}

struct tls_shared *tls_shared_new(uint64_t now_s)
{
    struct tls_shared *shared = NEW(struct tls_shared);
    for (int i = 0; i < SLOTS; i++) /* of others nobody has tickets */
        make_key(&shared->keys[i]);
    atomic_init(&shared->current, ACCEPTED);
    atomic_init(&shared->now_s, now_s);
    shared->changed_s = now_s;
    return shared;
}

void tls_shared_free(struct tls_shared **freed)
{
    struct tls_shared *shared = *freed;
    if (!shared)
        return;
    *freed = NULL;
    OPENSSL_cleanse(shared, sizeof *shared);
    memory_free(shared);
}

static void rotate(struct tls_shared *shared)
{
    uint32_t next = atomic_load_explicit(&shared->current, memory_order_relaxed) + 1;
    make_key(&shared->keys[next % SLOTS]);
    atomic_store_explicit(&shared->current, next, memory_order_release);
}

/* One key at a time, also behind a long sleep of the machine: what a worker is just reading is never the one that is written. */
void tls_shared_tick(struct tls_shared *shared, uint64_t now_s)
{
    atomic_store_explicit(&shared->now_s, now_s, memory_order_relaxed);
    if (now_s < shared->changed_s)
        shared->changed_s = now_s; /* the clock was set back */
    if (now_s - shared->changed_s > SLOTS * TLS_TICKET_PERIOD_S)
        shared->changed_s = now_s - SLOTS * TLS_TICKET_PERIOD_S;
    if (now_s - shared->changed_s >= TLS_TICKET_PERIOD_S) {
        rotate(shared);
        shared->changed_s += TLS_TICKET_PERIOD_S;
    }
}

uint64_t tls_shared_now_s(const struct tls_shared *shared)
{
    return atomic_load_explicit(&shared->now_s, memory_order_relaxed);
}

static bool start_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac,
                                          KEY_BYTES),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static int seal(const struct ticket_key *key, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                EVP_MAC_CTX *mac)
{
    const EVP_CIPHER *method = EVP_aes_256_cbc();
    memcpy(name, key->name, NAME_BYTES);
    return RAND_bytes(iv, EVP_CIPHER_get_iv_length(method)) == 1 &&
                   EVP_EncryptInit_ex(cipher, method, NULL, key->cipher, iv) == 1 &&
                   start_mac(mac, key)
               ? TLS_TICKET_GOOD
               : TLS_TICKET_ERROR;
}

static int open_ticket(const struct tls_shared *shared, uint32_t current, const uint8_t *name,
                       const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    for (uint32_t age = 0; age < ACCEPTED; age++) {
        const struct ticket_key *key = &shared->keys[(current - age) % SLOTS];
        if (memcmp(name, key->name, NAME_BYTES) != 0)
            continue;
        if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) != 1 ||
            !start_mac(mac, key))
            return TLS_TICKET_ERROR;
        return age ? TLS_TICKET_RENEWED : TLS_TICKET_GOOD;
    }
    return TLS_TICKET_UNKNOWN;
}

int tls_shared_ticket(const struct tls_shared *shared, uint8_t *name, uint8_t *iv,
                      EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_new)
{
    uint32_t current = atomic_load_explicit(&shared->current, memory_order_acquire);
    return is_new ? seal(&shared->keys[current % SLOTS], name, iv, cipher, mac)
                  : open_ticket(shared, current, name, iv, cipher, mac);
}
