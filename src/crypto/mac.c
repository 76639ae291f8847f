/* SPDX-License-Identifier: Apache-2.0
 *
 * HMAC with the hashes that other protocols ask for (TSIG, RFC 8945 section 6): OpenSSL's.
 */
#include "crypto/crypto.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>

static const struct {
    const char *name;
    size_t bytes;
} hashes[] = {
    [MAC_SHA1] = {"SHA1", 20},
    [MAC_SHA256] = {"SHA256", 32},
    [MAC_SHA384] = {"SHA384", 48},
    [MAC_SHA512] = {"SHA512", 64},
};

void crypto_mac(enum mac_kind kind, struct span key, const struct span *parts, size_t count,
                uint8_t out[MAC_LONGEST_BYTES])
{
    static const uint8_t nothing[1];
    char name[16];
    snprintf(name, sizeof name, "%s", hashes[kind].name);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_end(),
    };
    size_t length;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    bool is_good = context && EVP_MAC_init(context, key.length ? key.data : nothing, key.length,
                                           parameters) == 1;
    for (size_t i = 0; i < count && is_good; i++)
        is_good = EVP_MAC_update(context, parts[i].data, parts[i].length) == 1;
    is_good = is_good && EVP_MAC_final(context, out, &length, MAC_LONGEST_BYTES) == 1;
    INVARIANT(is_good); /* of the library, never of what is signed */
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
}
