/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys on the command line: DS records for the parent, and signatures by a key signing key that never comes near a server.
 * The server tells which sets of keys it will have (they follow from its secret and the time); the other machine, which has
 * the key and not the secret, signs them; the server checks what comes back.
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "dnsd/private.h"

enum { BACKDATE_S = 3600 };

static struct dnsd_keys *find_keys(const struct conf *conf, const char *zone, struct dns_name *name,
                                   struct text *why)
{
    if (dns_name_parse(span_text(zone), NULL, name) < 0) {
        text_add_format(why, "'%s' is not a domain name", zone);
        return NULL;
    }
    return dnsd_keys_new(conf, why);
}

static int conclude(int error, const char *zone, struct text *why)
{
    if (error == ERROR_NOT_FOUND)
        text_add_format(why, "zone '%s' is not signed by this node", zone);
    if (error == ERROR_INVALID)
        text_add_format(why, "the keys of zone '%s' do not roll", zone);
    return error;
}

int dnsd_dnssec_ds(const struct conf *conf, const char *zone, struct text *text, struct text *why)
{
    struct dns_name name;
    struct dnsd_keys *keys = find_keys(conf, zone, &name, why);
    if (!keys)
        return ERROR_CONFIG;
    int error = dnsd_keys_write_ds(keys, &name, text);
    dnsd_keys_free(keys);
    return conclude(error, zone, why);
}

int dnsd_dnssec_request(const struct conf *conf, const char *zone, uint32_t from_s,
                        uint32_t until_s, struct text *text, struct text *why)
{
    struct dns_name name;
    struct dnsd_keys *keys = find_keys(conf, zone, &name, why);
    if (!keys)
        return ERROR_CONFIG;
    int error = dnsd_keys_write_request(keys, &name, from_s, until_s, text);
    dnsd_keys_free(keys);
    return conclude(error, zone, why);
}

/* ---- the other machine ---- */

struct offline {
    struct dns_name zone;
    char zone_text[DNS_NAME_TEXT_BYTES + 1];
    uint32_t ttl_s;
    bool has_cds;
    struct dns_key entry;
    struct signature_signer *signer;
    uint32_t from_s, until_s; /* of the interval; until 0: none yet */
    struct dns_key keys[DNS_KEYS_LIMIT];
    size_t key_count; /* the entry key is the first */
    struct text *text;
};

static void hash(const void *context, const struct span *parts, size_t count, uint8_t out[32])
{
    const struct crypto *crypto = context;
    crypto->hash(crypto, parts, count, out);
}

static void sign_set(const struct offline *offline, const struct dns_keyset *keyset, size_t set)
{
    uint8_t header[DNS_RRSIG_HEADER_BYTES], signature[SIGNATURE_BYTES];
    uint8_t memory[DNS_KEYSET_MESSAGE_BYTES];
    uint32_t inception_s = offline->from_s - BACKDATE_S;
    size_t length = dns_keyset_rrsig(keyset, set, &offline->zone, &offline->entry, inception_s,
                                     offline->until_s, header);
    signature_sign(offline->signer,
                   dns_keyset_message(keyset, &offline->zone, span_of(header, length), memory),
                   signature);
    text_add_format(offline->text, "%s %u IN RRSIG %s %u %u %u %u %u %u %s ", offline->zone_text,
                    offline->ttl_s, dns_type_name(load_u16(header)), offline->entry.algorithm,
                    offline->zone.labels, offline->ttl_s, offline->until_s, inception_s,
                    offline->entry.tag, offline->zone_text);
    text_add_base64(offline->text, span_of(signature, sizeof signature));
    text_add(offline->text, "\n");
}

static void sign_interval(const struct offline *offline)
{
    if (!offline->until_s)
        return;
    struct dns_keyset form = {.keys = offline->keys,
                              .key_count = offline->key_count,
                              .zone_key = &offline->keys[offline->key_count - 1]};
    struct dns_keyset *keyset = dns_keyset_new(&form, &offline->zone, offline->ttl_s,
                                               offline->has_cds, hash, crypto_openssl());
    for (size_t i = 0; i < keyset->set_count; i++)
        sign_set(offline, keyset, i);
    dns_keyset_free(keyset);
}

static bool take_numbers(struct span line, uint32_t *first, uint32_t *second)
{
    uint64_t a, b;
    size_t blank = span_find(line, ' ');
    if (span_number(span_of(line.data, blank), &a) < 0 ||
        span_number(span_from(line, blank + 1), &b) < 0 || a > UINT32_MAX || b > UINT32_MAX)
        return false;
    *first = (uint32_t)a;
    *second = (uint32_t)b;
    return true;
}

static const char *take_zone(struct offline *offline, struct span line, struct span record,
                             struct span secret)
{
    uint8_t private_key[SIGNATURE_PRIVATE_BYTES];
    struct signature_key *key = NULL;
    size_t blank = span_find(line, ' ');
    uint32_t has_cds;
    if (offline->signer || dns_name_parse(span_of(line.data, blank), NULL, &offline->zone) < 0 ||
        !take_numbers(span_from(line, blank + 1), &offline->ttl_s, &has_cds))
        return "the request is malformed at its zone";
    dns_name_lower(&offline->zone);
    dns_name_text(&offline->zone, offline->zone_text);
    if (offline->zone.labels)
        strcat(offline->zone_text, ".");
    offline->has_cds = has_cds;
    const char *why =
        dns_key_file_parse(record, secret, &offline->zone, &offline->entry, private_key);
    if (!why && !(offline->entry.flags & DNS_KEY_ENTRY))
        why = "the key is no key signing key: its flags are not 257";
    if (!why && signature_key_new(offline->entry.algorithm, private_key, &key) < 0)
        why = "the .private file holds no key of its algorithm";
    if (!why && memcmp(signature_key_public(key), offline->entry.public_key,
                       offline->entry.public_length) != 0)
        why = "the .private file is that of another .key file";
    bytes_wipe(private_key, sizeof private_key);
    if (!why) {
        offline->signer = signature_signer_new(key);
        dnsd_key_write(&offline->entry, offline->zone_text, offline->ttl_s, offline->text);
    }
    signature_key_free(&key);
    return why;
}

static const char *take_interval(struct offline *offline, struct span line)
{
    if (!offline->signer)
        return "the request names no zone before its intervals";
    sign_interval(offline);
    offline->keys[0] = offline->entry;
    offline->key_count = 1;
    return take_numbers(line, &offline->from_s, &offline->until_s)
               ? NULL
               : "the request is malformed at an interval";
}

static const char *take_key(struct offline *offline, struct span line)
{
    if (!offline->until_s || offline->key_count == DNS_KEYS_LIMIT)
        return "the request has keys outside of intervals, or too many of them";
    struct dns_key *key = &offline->keys[offline->key_count];
    const char *why = dns_key_record_parse(line, &offline->zone, key);
    offline->key_count += !why;
    return why;
}

static const char *take_line(struct offline *offline, struct span line, struct span record,
                             struct span secret)
{
    if (!line.length || line.data[0] == ';')
        return NULL;
    if (span_starts(line, SPAN("zone ")))
        return take_zone(offline, span_from(line, 5), record, secret);
    if (span_starts(line, SPAN("interval ")))
        return take_interval(offline, span_from(line, 9));
    return take_key(offline, line);
}

int dnsd_dnssec_sign(struct span request, struct span record, struct span secret, struct text *text,
                     struct text *why)
{
    struct offline *offline = NEW(struct offline);
    offline->text = text;
    const char *sentence = NULL;
    while (request.length && !sentence) {
        size_t length = span_find(request, '\n');
        sentence = take_line(offline, span_trim(span_of(request.data, length)), record, secret);
        request = span_from(request, length + 1);
    }
    if (!sentence && !offline->until_s)
        sentence = "the request holds no intervals";
    if (sentence)
        text_add(why, sentence);
    else
        sign_interval(offline);
    signature_signer_free(&offline->signer);
    memory_free(offline);
    return sentence ? ERROR_INVALID : 0;
}
