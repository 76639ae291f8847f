/* SPDX-License-Identifier: Apache-2.0
 *
 * Domain names and record texts of zones, in presentation form (RFC 1035 section 5.1; no escapes).
 */
#include "conf/load.h"

#include <stdio.h>

enum { LABEL_BYTES = 63, STRING_BYTES = 255, TEXT_STRINGS = 64 };

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

const char *const record_types[] = {"A", "AAAA", "CNAME", "NS", "TXT", NULL};

static const char *find_type(struct span word)
{
    for (size_t i = 0; record_types[i]; i++)
        if (span_equal_nocase(word, span_text(record_types[i])))
            return record_types[i];
    return NULL;
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
    record->type = find_type(word);
    if (!word.length)
        return "";
    if (!record->type)
        return "its type must be A, AAAA, CNAME, NS or TXT";
    if (!rest.length)
        return "its data is missing";
    record->owner = (const char *)arena_copy(arena, owner).data;
    record->data = (const char *)arena_copy(arena, rest).data;
    return NULL;
}

/* One or more strings, quoted or single words, each of at most 255 bytes. */
static const char *check_strings(struct span rest)
{
    size_t count = 0;
    for (rest = span_trim(rest); rest.length; rest = span_trim(rest), count++) {
        size_t length = 0, i = 0;
        if (rest.data[0] == '"') {
            for (i = 1; i < rest.length && rest.data[i] != '"'; i++, length++)
                if (rest.data[i] == '\\' && ++i >= rest.length)
                    return "a quote is not closed";
            if (i >= rest.length)
                return "a quote is not closed";
            i++;
        } else {
            for (; i < rest.length && rest.data[i] != ' ' && rest.data[i] != '\t'; i++, length++)
                if (rest.data[i] == '"')
                    return "a quote stands within a word";
        }
        if (length > STRING_BYTES)
            return "a string of a TXT record has at most 255 bytes";
        rest = span_from(rest, i);
    }
    return count > TEXT_STRINGS ? "a TXT record has at most 64 strings here" : NULL;
}

const char *record_finish(struct arena *arena, const char *zone, struct conf_record *record)
{
    char name[DOMAIN_TEXT_BYTES];
    struct span data = span_text(record->data);
    struct address address;
    if (!domain_parse(span_text(record->owner), zone, true, name))
        return "its owner is not a domain name";
    size_t owner = strlen(name), apex = strlen(zone);
    if (owner < apex || strcmp(name + owner - apex, zone) != 0 ||
        (owner > apex && name[owner - apex - 1] != '.'))
        return "its owner is outside the zone";
    record->owner = arena_text(arena, name);
    if (strcmp(record->type, "A") == 0)
        return address_parse(data, &address) < 0 || address.family != 4
                   ? "an A record needs an IPv4 address"
                   : NULL;
    if (strcmp(record->type, "AAAA") == 0)
        return address_parse(data, &address) < 0 || address.family != 6
                   ? "an AAAA record needs an IPv6 address"
                   : NULL;
    if (strcmp(record->type, "TXT") == 0)
        return check_strings(data);
    if (!domain_parse(data, zone, false, name))
        return "its data must be a domain name";
    record->data = arena_text(arena, name);
    return NULL;
}
