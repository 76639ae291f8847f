/* SPDX-License-Identifier: Apache-2.0
 *
 * Record types: the table, and record data from text by layout.
 */
#include "dns/types.h"

#include "base/bytes.h"

static const struct dns_type types[] = {
    {DNS_A, "A", "a"},           {DNS_NS, "NS", "n"},     {DNS_CNAME, "CNAME", "n"},
    {DNS_SOA, "SOA", "nn44444"}, {12, "PTR", "n"},        {15, "MX", "2n"},
    {DNS_TXT, "TXT", "s"},       {DNS_AAAA, "AAAA", "q"}, {33, "SRV", "222N"},
    {257, "CAA", "1cr"},
};

enum { TYPES = sizeof types / sizeof *types };

const struct dns_type *dns_type_find(uint16_t number)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].number == number)
            return &types[i];
    return NULL;
}

uint16_t dns_type_number(struct span name)
{
    for (size_t i = 0; i < TYPES; i++)
        if (span_equal_nocase(name, span_text(types[i].name)))
            return types[i].number;
    return 0;
}

const char *dns_type_name(uint16_t number)
{
    const struct dns_type *type = dns_type_find(number);
    return type ? type->name : NULL;
}

static int fixed(size_t length, struct span rdata)
{
    return rdata.length < length ? ERROR_INVALID : (int)length;
}

static int strings_length(struct span rdata)
{
    size_t at = 0;
    while (at < rdata.length)
        at += (size_t)rdata.data[at] + 1;
    return at && at == rdata.length ? (int)at : ERROR_INVALID;
}

static int name_length(struct span rdata)
{
    size_t at = 0;
    while (at < rdata.length && at < DNS_NAME_LIMIT) {
        uint8_t label = rdata.data[at];
        if (label > DNS_LABEL_LIMIT)
            return ERROR_INVALID;
        at += (size_t)label + 1;
        if (!label)
            return at <= DNS_NAME_LIMIT ? (int)at : ERROR_INVALID;
    }
    return ERROR_INVALID;
}

int dns_field_length(char field, struct span rdata)
{
    switch (field) {
    case 'a':
        return fixed(4, rdata);
    case 'q':
        return fixed(16, rdata);
    case '1':
    case '2':
    case '4':
        return fixed((size_t)(field - '0'), rdata);
    case 'n':
    case 'N':
        return name_length(rdata);
    case 'c':
        return rdata.length ? fixed((size_t)rdata.data[0] + 1, rdata) : ERROR_INVALID;
    case 's':
        return strings_length(rdata);
    case 'r':
        return (int)rdata.length;
    }
    return ERROR_UNSUPPORTED;
}

bool dns_rdata_is_valid(uint16_t number, struct span rdata)
{
    const struct dns_type *type = dns_type_find(number);
    if (!type)
        return rdata.length <= DNS_RDATA_LIMIT;
    size_t at = 0;
    for (const char *field = type->layout; *field; field++) {
        int length = dns_field_length(*field, span_from(rdata, at));
        if (length < 0)
            return false;
        at += (size_t)length;
    }
    return at == rdata.length && at <= DNS_RDATA_LIMIT;
}

/* ---- from text ---- */

/* The next word, or what stands between quotes (with \" and \\ left in it); false at the end of the text. */
static bool take_word(struct span *text, struct span *word)
{
    *text = span_trim(*text);
    if (!text->length)
        return false;
    bool is_quoted = text->data[0] == '"';
    size_t from = is_quoted, at = from;
    while (at < text->length) {
        uint8_t byte = text->data[at];
        if (is_quoted ? byte == '"' : byte == ' ' || byte == '\t')
            break;
        at += byte == '\\' && at + 1 < text->length ? 2 : 1;
    }
    *word = span_of(text->data + from, at - from);
    *text = span_from(*text, at + (is_quoted ? 1 : 0));
    return true;
}

struct rdata_writer {
    uint8_t *out;
    size_t length;
};

static int put(struct rdata_writer *writer, const void *bytes, size_t length)
{
    if (writer->length + length > DNS_RDATA_LIMIT)
        return ERROR_LIMIT;
    memcpy(writer->out + writer->length, bytes, length);
    writer->length += length;
    return 0;
}

/* The word's characters with their escapes resolved. */
static int put_characters(struct rdata_writer *writer, struct span word, size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < word.length; i++, count++) {
        uint8_t byte = word.data[i];
        if (byte == '\\' && i + 1 < word.length) {
            byte = word.data[++i];
            uint64_t value;
            if (byte >= '0' && byte <= '9') {
                if (i + 2 >= word.length || span_number(span_of(word.data + i, 3), &value) < 0 ||
                    value > 255)
                    return ERROR_INVALID;
                byte = (uint8_t)value;
                i += 2;
            }
        }
        if (count == most)
            return ERROR_LIMIT;
        int error = put(writer, &byte, 1);
        if (error < 0)
            return error;
    }
    return 0;
}

static int put_string(struct rdata_writer *writer, struct span word)
{
    size_t at = writer->length;
    int error = put(writer, "", 1);
    if (error == 0)
        error = put_characters(writer, word, 255);
    if (error == 0)
        writer->out[at] = (uint8_t)(writer->length - at - 1);
    return error;
}

/* What people write without quotes ("v=spf1 include:example.net -all") is one text, spaces and all, in as many
 * strings as it needs. */
static int put_free_text(struct rdata_writer *writer, struct span text)
{
    while (text.length) {
        size_t length = text.length < 255 ? text.length : 255;
        uint8_t count = (uint8_t)length;
        int error = put(writer, &count, 1);
        if (error == 0)
            error = put(writer, text.data, length);
        if (error < 0)
            return error;
        text = span_from(text, length);
    }
    return 0;
}

static int put_integer(struct rdata_writer *writer, struct span word, unsigned bytes)
{
    uint64_t value;
    uint8_t wire[8];
    if (span_number(word, &value) < 0 || value >> (8 * bytes))
        return ERROR_INVALID;
    store_u64(wire, value);
    return put(writer, wire + 8 - bytes, bytes);
}

static int put_field(struct rdata_writer *writer, char field, struct span word,
                     const struct dns_name *origin)
{
    struct address address;
    struct dns_name name;
    int error;
    switch (field) {
    case 'a':
    case 'q':
        error = address_parse(word, &address);
        if (error < 0 || address.family != (field == 'a' ? 4 : 6))
            return ERROR_INVALID;
        return put(writer, address.bytes, field == 'a' ? 4 : 16);
    case '1':
    case '2':
    case '4':
        return put_integer(writer, word, (unsigned)(field - '0'));
    case 'n':
    case 'N':
        error = dns_name_parse(word, origin, &name);
        return error < 0 ? error : put(writer, name.wire, name.length);
    case 'c':
    case 's':
        return put_string(writer, word);
    case 'r':
        return put_characters(writer, word, DNS_RDATA_LIMIT);
    }
    return ERROR_UNSUPPORTED;
}

int dns_rdata_parse(uint16_t number, struct span text, const struct dns_name *origin,
                    uint8_t out[DNS_RDATA_LIMIT], size_t *length)
{
    const struct dns_type *type = dns_type_find(number);
    if (!type)
        return ERROR_UNSUPPORTED;
    struct rdata_writer writer = {.out = out};
    struct span word;
    for (const char *field = type->layout; *field; field++) {
        text = span_trim(text);
        if (*field == 's' && text.length && span_find(text, '"') == text.length) {
            int error = put_free_text(&writer, text);
            if (error < 0)
                return error;
            text.length = 0;
            break;
        }
        if (!take_word(&text, &word))
            return ERROR_INVALID;
        do {
            int error = put_field(&writer, *field, word, origin);
            if (error < 0)
                return error;
        } while (*field == 's' && take_word(&text, &word));
    }
    if (span_trim(text).length)
        return ERROR_INVALID;
    *length = writer.length;
    return 0;
}
