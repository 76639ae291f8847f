/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys from a secret by HKDF (RFC 5869), each with a purpose of its own.
 */
#include "acme/share.h"

#include "acme/jws.h"

#include <jansson.h>

static void derive(struct span secret, const char *purpose, const char *of, uint64_t number,
                   uint8_t *out, size_t length)
{
    const struct crypto *crypto = crypto_openssl();
    uint8_t root[HASH_BYTES];
    struct text info = {0};
    text_add_format(&info, "%s\n%s\n%llu", purpose, of, (unsigned long long)number);
    crypto_hkdf_extract(crypto, SPAN("causeway acme 1"), secret, root);
    crypto_hkdf_expand(crypto, root, text_span(&info), out, length);
    bytes_wipe(root, sizeof root);
    text_clear(&info);
}

void acme_account_seed(struct span secret, const char *directory,
                       uint8_t seed[SIGNATURE_SEED_BYTES])
{
    derive(secret, "account", directory, 0, seed, SIGNATURE_SEED_BYTES);
}

void acme_certificate_seed(struct span secret, const char *site, uint64_t number,
                           uint8_t seed[SIGNATURE_SEED_BYTES])
{
    derive(secret, "certificate", site, number, seed, SIGNATURE_SEED_BYTES);
}

/* As text. */
static void write_mac(struct span secret, const char *site, uint64_t number, struct span chain,
                      struct text *mac)
{
    uint8_t key[HASH_BYTES], bytes[HASH_BYTES];
    derive(secret, "share", site, number, key, sizeof key);
    crypto_hmac(crypto_openssl(), span_of(key, sizeof key), &chain, 1, bytes);
    acme_base64url(mac, span_of(bytes, sizeof bytes));
    bytes_wipe(key, sizeof key);
}

void acme_share_write(struct span secret, const char *site, uint64_t number, struct span chain,
                      struct text *json)
{
    text_add_format(json, "{\"number\":%llu,\"chain\":", (unsigned long long)number);
    text_add_json(json, chain);
    text_add(json, ",\"mac\":\"");
    write_mac(secret, site, number, chain, json);
    text_add(json, "\"}");
}

int acme_share_read(struct span json, struct span secret, const char *site, uint64_t *number,
                    struct text *chain)
{
    json_t *object = json.length <= ACME_SHARE_BYTES
                         ? json_loadb((const char *)json.data, json.length, 0, NULL)
                         : NULL;
    const char *text = json_string_value(json_object_get(object, "chain"));
    const char *said = json_string_value(json_object_get(object, "mac"));
    json_int_t counted = json_integer_value(json_object_get(object, "number"));
    struct text mac = {0};
    int result = ERROR_INVALID;
    if (text && said && counted > 0) {
        write_mac(secret, site, (uint64_t)counted, span_text(text), &mac);
        bool is_good =
            strlen(said) == mac.length && bytes_equal_constant_time(said, mac.data, mac.length);
        result = is_good ? 0 : ERROR_AUTH;
    }
    if (result == 0) {
        *number = (uint64_t)counted;
        text_add(chain, text);
    }
    text_clear(&mac);
    json_decref(object);
    return result;
}
