/* SPDX-License-Identifier: Apache-2.0
 *
 * Domain names, and the records of zones in presentation form (RFC 1035 section 5.1); data is checked by dns/.
 */
#include "conf/load.h"
#include "dns/dns.h"

enum { LABEL_BYTES = 63 };

static bool is_label_byte(uint8_t byte)
{
    return (uint8_t)(byte - 'a') < 26 || (uint8_t)(byte - '0') < 10 || byte == '-' || byte == '_';
}

bool domain_parse(struct span text, const char *origin, bool can_be_wildcard,
                  char out[DOMAIN_TEXT_BYTES])
{
    bool is_absolute = text.length && text.data[text.length - 1] == '.';
    const char *tail = is_absolute ? "" : origin ? origin : "";
    if (span_equal(text, SPAN("@")) && origin) {
        text.length = 0;
    } else if (!text.length || (is_absolute && text.length == 1)) {
        return false; /* the root is no name that anything here could have */
    }
    /* 253 without the final dot is the most that 255 bytes on the wire carry */
    if (text.length + strlen(tail) > DOMAIN_TEXT_BYTES - 2)
        return false;
    size_t label = 0, length = 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = ascii_lower(text.data[i]);
        bool is_star = byte == '*' && i == 0 && can_be_wildcard &&
                       (text.length == 1 ? origin != NULL : text.data[1] == '.');
        if (byte == '.' ? label == 0 : !is_label_byte(byte) && !is_star)
            return false;
        label = byte == '.' ? 0 : label + 1;
        if (label > LABEL_BYTES)
            return false;
        out[length++] = (char)byte;
    }
    if (length && !is_absolute)
        out[length++] = '.';
    memcpy(out + length, tail, strlen(tail) + 1);
    return strlen(out) <= DOMAIN_TEXT_BYTES - 2;
}

/* The next word up to a blank, or empty. */
static struct span next_word(struct span *rest)
{
    *rest = span_trim(*rest);
    size_t length = 0;
    while (length < rest->length && rest->data[length] != ' ' && rest->data[length] != '\t')
        length++;
    struct span word = span_of(rest->data, length);
    *rest = span_trim(span_from(*rest, length));
    return word;
}

const char *record_parse(struct arena *arena, struct span text, struct conf_record *record)
{
    struct span rest = text, owner = next_word(&rest), word = next_word(&rest);
    uint64_t ttl;
    record->ttl_s = UINT32_MAX; /* the zone's */
    if (word.length && (uint8_t)(word.data[0] - '0') < 10) {
        if (!number_parse(&type_seconds, word, &ttl) || ttl / 1000000000 > INT32_MAX)
            return "the TTL must be seconds, like 300, 5m or 1h";
        record->ttl_s = (uint32_t)(ttl / 1000000000);
        word = next_word(&rest);
    }
    if (span_equal_nocase(word, SPAN("IN")))
        word = next_word(&rest);
    if (!word.length)
        return "";
    uint16_t type = dns_type_number(word);
    if (type == DNS_SOA)
        return "the SOA record is made of the zone's own settings";
    if (!type)
        return "its type is none that zones may hold";
    char name[DNS_TYPE_TEXT_BYTES];
    record->type = arena_text(arena, dns_type_text(type, name));
    if (!rest.length)
        return "its data is missing";
    record->owner = (const char *)arena_copy(arena, owner).data;
    record->data = (const char *)arena_copy(arena, rest).data;
    return NULL;
}

const char *record_finish(struct arena *arena, const char *zone, struct conf_record *record)
{
    char owner[DOMAIN_TEXT_BYTES];
    struct dns_name apex, name;
    if (!domain_parse(span_text(record->owner), zone, true, owner) ||
        dns_name_parse(span_text(owner), NULL, &name) < 0)
        return "its owner is not a domain name";
    if (dns_name_parse(span_text(zone), NULL, &apex) < 0 || !dns_name_is_within(&name, &apex))
        return "its owner is outside the zone";
    record->owner = arena_text(arena, owner);
    uint8_t data[DNS_RDATA_LIMIT];
    size_t length;
    if (dns_rdata_parse(dns_type_number(span_text(record->type)), span_text(record->data), &apex,
                        data, &length) < 0)
        return "its data does not have the form of its type";
    return NULL;
}
