/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameters of SVCB and HTTPS records: key=value words into {key, length, value}, keys ascending and each once
 * (RFC 9460 sections 2.1, 2.2, 7, 8, appendix A).
 */
#include "base/bytes.h"
#include "dns/types.h"

enum {
    KEY_MANDATORY = 0,
    KEY_ALPN = 1,
    KEY_NO_DEFAULT_ALPN = 2,
    KEY_PORT = 3,
    KEY_IPV4HINT = 4,
    KEY_ECH = 5,
    KEY_IPV6HINT = 6,
    KEY_DOHPATH = 7,
    KEY_OHTTP = 8,
    KEYS_NAMED = 9,
    KEY_INVALID = 65535,
    PARAMETERS_LIMIT = 64,
};

/* How a key's value is written: mandatory keys, list of texts, nothing, number, addresses, base64, text. */
static const struct {
    const char *name;
    char form;
} keys[KEYS_NAMED] = {
    [KEY_MANDATORY] = {"mandatory", 'k'},
    [KEY_ALPN] = {"alpn", 'l'},
    [KEY_NO_DEFAULT_ALPN] = {"no-default-alpn", '-'},
    [KEY_PORT] = {"port", '2'},
    [KEY_IPV4HINT] = {"ipv4hint", '4'},
    [KEY_ECH] = {"ech", 'b'},
    [KEY_IPV6HINT] = {"ipv6hint", '6'},
    [KEY_DOHPATH] = {"dohpath", 't'},
    [KEY_OHTTP] = {"ohttp", '-'},
};

struct parameter {
    struct span value; /* still in text; no data: there was no "=" */
    size_t word;
    uint16_t key;
};

static bool parse_key(struct span text, uint16_t *key)
{
    for (uint16_t i = 0; i < KEYS_NAMED; i++)
        if (span_equal_nocase(text, span_text(keys[i].name))) {
            *key = i;
            return true;
        }
    uint64_t number;
    if (text.length < 4 || !span_equal_nocase(span_of(text.data, 3), SPAN("key")) ||
        span_number(span_from(text, 3), &number) < 0 || number >= KEY_INVALID ||
        (text.length > 4 && text.data[3] == '0'))
        return false;
    *key = (uint16_t)number;
    return true;
}

static bool parse_parameter(const struct dns_word *word, struct parameter *parameter)
{
    size_t equals = span_find(word->text, '=');
    struct span value = span_from(word->text, equals + 1);
    if (word->is_quoted || !parse_key(span_of(word->text.data, equals), &parameter->key))
        return false;
    if (value.length > 1 && value.data[0] == '"') {
        if (value.data[value.length - 1] != '"')
            return false;
        value = span_of(value.data + 1, value.length - 2);
    }
    parameter->value = equals == word->text.length ? (struct span){0} : value;
    return true;
}

/* The next item of a list without escapes. */
static struct span take_item(struct span *list)
{
    size_t comma = span_find(*list, ',');
    struct span item = span_of(list->data, comma);
    *list = span_from(*list, comma + 1);
    return item;
}

/* Two decodings, one upon the other (appendix A.1): that of a character string, then "\," and "\\" within items. */
static int put_texts(struct dns_rdata_writer *writer, struct span value)
{
    uint8_t plain[DNS_RDATA_LIMIT], item[255];
    struct dns_rdata_writer decoded = {.out = plain};
    int error = dns_rdata_put_characters(&decoded, value, sizeof plain);
    if (error < 0)
        return error;
    for (size_t at = 0; at <= decoded.length; at++) {
        uint8_t length = 0;
        for (; at < decoded.length && plain[at] != ','; at++) {
            if (plain[at] == '\\' && ++at == decoded.length)
                return ERROR_INVALID;
            if (length == 255)
                return ERROR_LIMIT;
            item[length++] = plain[at];
        }
        if (!length)
            return ERROR_INVALID;
        error = dns_rdata_put(writer, &length, 1);
        if (error == 0)
            error = dns_rdata_put(writer, item, length);
        if (error < 0)
            return error;
    }
    return 0;
}

static int put_addresses(struct dns_rdata_writer *writer, struct span list, unsigned family)
{
    do {
        struct address address;
        if (address_parse(take_item(&list), &address) < 0 || address.family != family)
            return ERROR_INVALID;
        int error = dns_rdata_put(writer, address.bytes, family == 4 ? 4 : 16);
        if (error < 0)
            return error;
    } while (list.length);
    return 0;
}

/* Ascending on the wire whatever their order in the text. */
static int put_keys(struct dns_rdata_writer *writer, struct span list)
{
    uint16_t numbers[PARAMETERS_LIMIT];
    size_t count = 0;
    do {
        uint16_t key;
        if (count == PARAMETERS_LIMIT || !parse_key(take_item(&list), &key))
            return ERROR_INVALID;
        size_t at = count++;
        for (; at && numbers[at - 1] > key; at--)
            numbers[at] = numbers[at - 1];
        numbers[at] = key;
    } while (list.length);
    for (size_t i = 0; i < count; i++) {
        uint8_t wire[2];
        store_u16(wire, numbers[i]);
        int error = dns_rdata_put(writer, wire, 2);
        if (error < 0)
            return error;
    }
    return 0;
}

static int put_port(struct dns_rdata_writer *writer, struct span value)
{
    uint64_t port;
    uint8_t wire[2];
    if (span_number(value, &port) < 0 || port > UINT16_MAX)
        return ERROR_INVALID;
    store_u16(wire, (uint16_t)port);
    return dns_rdata_put(writer, wire, 2);
}

static int put_value(struct dns_rdata_writer *writer, const struct parameter *parameter)
{
    struct span value = parameter->value;
    char form = parameter->key < KEYS_NAMED ? keys[parameter->key].form : 't';
    if (form == '-')
        return value.length ? ERROR_INVALID : 0;
    if (form == 't')
        return dns_rdata_put_characters(writer, value, DNS_RDATA_LIMIT);
    if (!value.length)
        return ERROR_INVALID;
    switch (form) {
    case 'k':
        return put_keys(writer, value);
    case 'l':
        return put_texts(writer, value);
    case '2':
        return put_port(writer, value);
    case '4':
        return put_addresses(writer, value, 4);
    case '6':
        return put_addresses(writer, value, 6);
    }
    return dns_rdata_put_digits(writer, &(struct dns_word){.text = value}, 1, 6);
}

/* In the order of their keys; false for one that is there twice. */
static bool insert(struct parameter *parameters, size_t count, const struct parameter *fresh)
{
    size_t at = count;
    for (; at && parameters[at - 1].key > fresh->key; at--)
        parameters[at] = parameters[at - 1];
    parameters[at] = *fresh;
    return !at || parameters[at - 1].key != fresh->key;
}

int dns_rdata_put_service(struct dns_rdata_writer *writer, const struct dns_word *words,
                          size_t count, size_t *wrong)
{
    struct parameter parameters[PARAMETERS_LIMIT];
    size_t first = *wrong, start = writer->length;
    for (size_t i = 0; i < count; i++) {
        struct parameter parameter = {.word = i};
        *wrong = first + i;
        if (i == PARAMETERS_LIMIT || !parse_parameter(&words[i], &parameter) ||
            !insert(parameters, i, &parameter))
            return ERROR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        *wrong = first + parameters[i].word;
        uint8_t head[4] = {0};
        store_u16(head, parameters[i].key);
        int error = dns_rdata_put(writer, head, sizeof head);
        size_t at = writer->length;
        if (error == 0)
            error = put_value(writer, &parameters[i]);
        if (error < 0)
            return error;
        store_u16(writer->out + at - 2, (uint16_t)(writer->length - at));
    }
    *wrong = first;
    struct span wire = span_of(writer->out + start, writer->length - start);
    return dns_service_is_valid(wire) ? 0 : ERROR_INVALID;
}

/* ---- on the wire */

static bool has_key(struct span parameters, uint16_t key)
{
    struct reader reader = reader_of(parameters);
    while (reader_left(&reader)) {
        uint16_t here = read_u16(&reader);
        read_span(&reader, read_u16(&reader));
        if (here == key && !reader.failed)
            return true;
    }
    return false;
}

/* Ascending, present, and not itself (section 8). */
static bool is_mandatory_valid(struct span value, struct span parameters)
{
    int before = KEY_MANDATORY;
    if (!value.length || value.length % 2)
        return false;
    for (size_t i = 0; i < value.length; i += 2) {
        uint16_t key = load_u16(value.data + i);
        if (key <= before || !has_key(parameters, key))
            return false;
        before = key;
    }
    return true;
}

static bool are_texts(struct span value)
{
    size_t at = 0;
    while (at < value.length && value.data[at])
        at += (size_t)value.data[at] + 1;
    return value.length && at == value.length;
}

static bool is_value_valid(uint16_t key, struct span value, struct span parameters)
{
    switch (key) {
    case KEY_MANDATORY:
        return is_mandatory_valid(value, parameters);
    case KEY_ALPN:
        return are_texts(value);
    case KEY_NO_DEFAULT_ALPN:
        return !value.length && has_key(parameters, KEY_ALPN);
    case KEY_PORT:
        return value.length == 2;
    case KEY_IPV4HINT:
        return value.length && value.length % 4 == 0;
    case KEY_IPV6HINT:
        return value.length && value.length % 16 == 0;
    case KEY_OHTTP:
        return !value.length;
    }
    return key != KEY_INVALID;
}

bool dns_service_is_valid(struct span parameters)
{
    int before = -1;
    struct reader reader = reader_of(parameters);
    while (reader_left(&reader)) {
        uint16_t key = read_u16(&reader);
        struct span value = read_span(&reader, read_u16(&reader));
        if (reader.failed || key <= before || !is_value_valid(key, value, parameters))
            return false;
        before = key;
    }
    return true;
}
