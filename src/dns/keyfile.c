/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys as files: the pair X.key and X.private that dnssec-keygen and ldns-keygen write, and the signatures over a zone's
 * keys that were made where the key signing key is.
 */
#include "dns/dns.h"

#include "base/arena.h"
#include "base/bytes.h"

enum { PUBLIC_FROM = 4 }; /* in DNSKEY's data: flags, protocol, algorithm */

static struct span take_line(struct span *text)
{
    size_t length = span_find(*text, '\n');
    struct span line = span_of(text->data, length);
    *text = span_from(*text, length + 1);
    while (line.length && (line.data[line.length - 1] == '\r' || line.data[line.length - 1] == ' '))
        line.length--;
    return line;
}

static struct span take_word(struct span *line)
{
    *line = span_trim(*line);
    size_t length = 0;
    while (length < line->length && line->data[length] != ' ' && line->data[length] != '\t')
        length++;
    struct span word = span_of(line->data, length);
    *line = span_from(*line, length);
    return word;
}

/* "owner [TTL] [IN] TYPE data": what stands behind the type, and the owner; false: no record of the type. */
static bool find_data(struct span line, const char *type, struct span *owner, struct span *data)
{
    enum { WORDS = 3 };
    line.length = span_find(line, ';'); /* a remark */
    if (!line.length)
        return false;
    *owner = take_word(&line);
    for (int i = 0; i < WORDS && line.length; i++)
        if (span_equal_nocase(take_word(&line), span_text(type))) {
            *data = span_trim(line);
            return true;
        }
    return false;
}

static int parse_record(struct span line, uint16_t type, const struct dns_name *zone,
                        uint8_t out[DNS_RDATA_LIMIT], size_t *length)
{
    struct span owner, data;
    struct dns_name name;
    if (!find_data(line, dns_type_name(type), &owner, &data))
        return ERROR_NOT_FOUND;
    if (dns_name_parse(owner, NULL, &name) < 0 || !dns_name_equal(&name, zone))
        return ERROR_DENIED;
    return dns_rdata_parse(type, data, zone, out, length) < 0 ? ERROR_INVALID : 0;
}

static bool take_key(struct span data, struct dns_key *key)
{
    size_t length = data.length - PUBLIC_FROM;
    *key = (struct dns_key){.flags = load_u16(data.data), .algorithm = data.data[3]};
    size_t wanted = key->algorithm == DNS_ALGORITHM_P256      ? 64
                    : key->algorithm == DNS_ALGORITHM_ED25519 ? 32
                                                              : 0;
    if (data.data[2] != 3 || !wanted || length != wanted || !(key->flags & DNS_KEY_ZONE))
        return false;
    key->public_length = (uint8_t)length;
    memcpy(key->public_key, data.data + PUBLIC_FROM, length);
    dns_key_finish(key);
    return true;
}

const char *dns_key_record_parse(struct span line, const struct dns_name *zone, struct dns_key *key)
{
    uint8_t data[DNS_RDATA_LIMIT];
    size_t length;
    if (parse_record(line, DNS_DNSKEY, zone, data, &length) < 0 ||
        !take_key(span_of(data, length), key))
        return "a line is no DNSKEY record of the zone";
    return NULL;
}

static const char *parse_public(struct span text, const struct dns_name *zone, struct dns_key *key)
{
    uint8_t data[DNS_RDATA_LIMIT];
    size_t length;
    while (text.length) {
        int result = parse_record(take_line(&text), DNS_DNSKEY, zone, data, &length);
        if (result == ERROR_NOT_FOUND)
            continue;
        if (result == ERROR_DENIED)
            return "the .key file is that of another zone";
        if (result < 0 || !take_key(span_of(data, length), key))
            return "the DNSKEY record is malformed, or of an algorithm other than 13 and 15";
        return NULL;
    }
    return "the .key file holds no DNSKEY record";
}

const char *dns_key_file_parse(struct span record, struct span secret, const struct dns_name *zone,
                               struct dns_key *key, uint8_t private_key[32])
{
    const char *why = parse_public(record, zone, key);
    bool has_key = false;
    uint64_t algorithm = 0;
    while (!why && secret.length) {
        struct span line = take_line(&secret), name = take_word(&line), value = take_word(&line);
        if (span_equal(name, SPAN("Algorithm:")) && span_number(value, &algorithm) < 0)
            return "the .private file is malformed at Algorithm";
        if (!span_equal(name, SPAN("PrivateKey:")))
            continue;
        if (base64_decode(value, private_key, 32) < 0)
            return "the .private file is malformed at PrivateKey";
        has_key = true;
    }
    if (!why && !has_key)
        return "the .private file holds no PrivateKey";
    if (!why && algorithm != key->algorithm)
        return "the .key and .private files are of different algorithms";
    return why;
}

const char *dns_signed_keys_parse(struct span text, const struct dns_name *zone,
                                  struct arena *arena, struct dns_signed_keys *signed_keys)
{
    uint8_t data[DNS_RDATA_LIMIT];
    size_t length;
    *signed_keys =
        (struct dns_signed_keys){.given = ARENA_ARRAY(arena, struct span, DNS_SIGNED_KEYS_LIMIT)};
    while (text.length) {
        struct span line = take_line(&text);
        int result = parse_record(line, DNS_DNSKEY, zone, data, &length);
        if (result == 0) {
            if (signed_keys->key_count == DNS_KEYS_LIMIT / 2)
                return "it holds too many keys";
            struct dns_key *key = &signed_keys->keys[signed_keys->key_count++];
            if (!take_key(span_of(data, length), key) || !(key->flags & DNS_KEY_ENTRY))
                return "a DNSKEY record is malformed, or is no key signing key";
            continue;
        }
        if (result == ERROR_NOT_FOUND)
            result = parse_record(line, DNS_RRSIG, zone, data, &length);
        if (result == ERROR_NOT_FOUND)
            continue;
        if (result < 0)
            return result == ERROR_DENIED ? "it is that of another zone" : "a record is malformed";
        if (signed_keys->given_count == DNS_SIGNED_KEYS_LIMIT)
            return "it holds too many signatures";
        signed_keys->given[signed_keys->given_count++] = arena_copy(arena, span_of(data, length));
    }
    return signed_keys->key_count && signed_keys->given_count ? NULL
                                                              : "it holds no keys or no signatures";
}
