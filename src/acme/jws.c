/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Web Signatures, written as text: their members are base64 and URLs that were checked.
 */
#include "acme/jws.h"

#include <stdio.h>

void acme_base64url(struct text *text, struct span bytes)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < bytes.length; i += 3) {
        size_t here = bytes.length - i < 3 ? bytes.length - i : 3;
        uint32_t bits = (uint32_t)bytes.data[i] << 16;
        bits |= here > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        bits |= here > 2 ? bytes.data[i + 2] : 0;
        char out[4];
        for (unsigned k = 0; k < 4; k++)
            out[k] = alphabet[bits >> (18 - 6 * k) & 63];
        text_add_span(text, span_of(out, here + 1));
    }
}

/* ---- keys */

void acme_jwk(const struct signature_key *key, struct text *json)
{
    const uint8_t *point = signature_key_public(key);
    text_add(json, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
    acme_base64url(json, span_of(point, SIGNATURE_PUBLIC_BYTES / 2));
    text_add(json, "\",\"y\":\"");
    acme_base64url(json, span_of(point + SIGNATURE_PUBLIC_BYTES / 2, SIGNATURE_PUBLIC_BYTES / 2));
    text_add(json, "\"}");
}

void acme_thumbprint_of(struct span jwk, char out[ACME_THUMBPRINT_BYTES])
{
    const struct crypto *crypto = crypto_openssl();
    uint8_t hash[HASH_BYTES];
    struct text text = {0};
    crypto->hash(crypto, &jwk, 1, hash);
    acme_base64url(&text, span_of(hash, sizeof hash));
    snprintf(out, ACME_THUMBPRINT_BYTES, "%s", text.data);
    text_clear(&text);
}

void acme_thumbprint(const struct signature_key *key, char out[ACME_THUMBPRINT_BYTES])
{
    struct text jwk = {0};
    acme_jwk(key, &jwk);
    acme_thumbprint_of(text_span(&jwk), out);
    text_clear(&jwk);
}

/* ---- signatures */

/* Both parts as they are signed, "HEADER.PAYLOAD", and where the second begins. */
static size_t put_input(struct text *input, const struct text *header, struct span payload)
{
    acme_base64url(input, text_span(header));
    text_add(input, ".");
    size_t at = input->length;
    acme_base64url(input, payload);
    return at;
}

static void put_flattened(struct text *json, struct span input, size_t payload_at,
                          struct span signature)
{
    text_add(json, "{\"protected\":\"");
    text_add_span(json, span_of(input.data, payload_at - 1));
    text_add(json, "\",\"payload\":\"");
    text_add_span(json, span_from(input, payload_at));
    text_add(json, "\",\"signature\":\"");
    acme_base64url(json, signature);
    text_add(json, "\"}");
}

static void put_member(struct text *json, const char *name, const char *value)
{
    text_add_format(json, ",\"%s\":", name);
    text_add_json(json, span_text(value));
}

void acme_jws_write(const struct acme_jws *jws, struct span payload, struct text *json)
{
    struct text header = {0}, input = {0};
    uint8_t signature[SIGNATURE_BYTES];
    text_add(&header, "{\"alg\":\"ES256\"");
    if (jws->account) {
        put_member(&header, "kid", jws->account);
    } else {
        text_add(&header, ",\"jwk\":");
        acme_jwk(jws->key, &header);
    }
    put_member(&header, "nonce", jws->nonce);
    put_member(&header, "url", jws->url);
    text_add(&header, "}");
    size_t payload_at = put_input(&input, &header, payload);
    struct signature_signer *signer = signature_signer_new(jws->key);
    signature_sign(signer, text_span(&input), signature);
    signature_signer_free(&signer);
    put_flattened(json, text_span(&input), payload_at, span_of(signature, sizeof signature));
    text_clear(&header);
    text_clear(&input);
}

void acme_binding_write(const struct acme_binding *binding, const struct signature_key *key,
                        const char *url, struct text *json)
{
    struct text header = {0}, input = {0}, jwk = {0};
    uint8_t mac[HASH_BYTES];
    text_add(&header, "{\"alg\":\"HS256\"");
    put_member(&header, "kid", binding->id);
    put_member(&header, "url", url);
    text_add(&header, "}");
    acme_jwk(key, &jwk);
    size_t payload_at = put_input(&input, &header, text_span(&jwk));
    struct span part = text_span(&input);
    crypto_hmac(crypto_openssl(), binding->secret, &part, 1, mac);
    put_flattened(json, text_span(&input), payload_at, span_of(mac, sizeof mac));
    text_clear(&header);
    text_clear(&input);
    text_clear(&jwk);
}
