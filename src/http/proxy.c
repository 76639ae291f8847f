/* SPDX-License-Identifier: Apache-2.0
 *
 * The header by which a balancer says whose connection it passes on: HAProxy's PROXY protocol, version 1 (a line) and 2 (binary, with
 * extensions of which a checksum is verified and the rest is skipped).
 */
#include "http/http.h"

#include "base/bytes.h"

#include <stdio.h>

enum {
    LINE_MOST = 107, /* of version 1, with its end */
    V2_HEAD_BYTES = 16,
    V2_FAMILY = 13, /* where in the head */
    V2_LENGTH = 14,
    EXTENSION_HEAD_BYTES = 3,
    EXTENSION_CRC32C = 3,
    COMMAND_LOCAL = 0x20, /* version 2 in the upper half */
    COMMAND_PROXY = 0x21,
};

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

/* ---- version 1 */

/* The next word of the line, behind exactly one space. */
static bool next_word(struct span *line, struct span *word)
{
    size_t length = 1;
    if (!line->length || line->data[0] != ' ')
        return false;
    while (length < line->length && line->data[length] != ' ')
        length++;
    *word = span_of(line->data + 1, length - 1);
    *line = span_from(*line, length);
    return word->length > 0;
}

static bool read_port(struct span word, uint16_t *port)
{
    uint32_t number = 0;
    if (!word.length || word.length > 5 || (word.length > 1 && word.data[0] == '0'))
        return false;
    for (size_t i = 0; i < word.length; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        number = number * 10 + word.data[i] - '0';
    }
    *port = (uint16_t)number;
    return number <= UINT16_MAX;
}

static bool read_line(struct span line, struct http_proxy_header *header)
{
    struct span family, words[4];
    if (!next_word(&line, &family))
        return false;
    if (span_equal(family, SPAN("UNKNOWN"))) { /* whatever follows */
        header->is_local = true;
        return true;
    }
    for (size_t i = 0; i < 4; i++)
        if (!next_word(&line, &words[i]))
            return false;
    uint8_t wanted = span_equal(family, SPAN("TCP4"))   ? 4
                     : span_equal(family, SPAN("TCP6")) ? 6
                                                        : 0;
    return wanted && !line.length && address_parse(words[0], &header->source) == 0 &&
           address_parse(words[1], &header->destination) == 0 && header->source.family == wanted &&
           header->destination.family == wanted && read_port(words[2], &header->source.port) &&
           read_port(words[3], &header->destination.port);
}

static int parse_line(struct span bytes, struct http_proxy_header *header)
{
    size_t most = bytes.length < LINE_MOST ? bytes.length : LINE_MOST;
    for (size_t i = SPAN("PROXY").length; i + 1 < most; i++) {
        if (bytes.data[i] != '\r')
            continue;
        if (bytes.data[i + 1] != '\n' ||
            !read_line(span_from(span_of(bytes.data, i), SPAN("PROXY").length), header))
            return ERROR_INVALID;
        header->length = i + 2;
        return 0;
    }
    return most == LINE_MOST ? ERROR_INVALID : ERROR_INCOMPLETE;
}

/* ---- version 2 */

static uint32_t crc32c(uint32_t crc, struct span bytes)
{
    for (size_t i = 0; i < bytes.length; i++) {
        crc ^= bytes.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return crc;
}

/* Of the whole header, its own four bytes at `at` as zeroes. */
static bool is_intact(struct span whole, size_t at)
{
    static const uint8_t zeroes[4];
    uint32_t crc = crc32c(UINT32_MAX, span_of(whole.data, at));
    crc = crc32c(crc, span_of(zeroes, sizeof zeroes));
    crc = ~crc32c(crc, span_from(whole, at + sizeof zeroes));
    return crc == load_u32(whole.data + at);
}

static bool check_extensions(struct span whole, size_t at)
{
    while (at < whole.length) {
        if (whole.length - at < EXTENSION_HEAD_BYTES)
            return false;
        uint8_t type = whole.data[at];
        size_t length = load_u16(whole.data + at + 1);
        at += EXTENSION_HEAD_BYTES;
        if (length > whole.length - at)
            return false;
        if (type == EXTENSION_CRC32C && (length != 4 || !is_intact(whole, at)))
            return false;
        at += length;
    }
    return true;
}

static struct address read_address(const uint8_t *bytes, size_t length, const uint8_t *port)
{
    struct address address = {.family = length == 4 ? 4 : 6, .port = load_u16(port)};
    memcpy(address.bytes, bytes, length);
    return address_unmap(&address);
}

/* What a connection over TCP can have: two addresses, or none that mean anything here. */
static int read_addresses(struct span whole, struct http_proxy_header *header)
{
    static const struct {
        uint8_t family; /* and protocol */
        uint8_t address_bytes, block_bytes;
    } kinds[] = {{0x00, 0, 0}, {0x11, 4, 12}, {0x21, 16, 36}, {0x31, 0, 216}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (whole.data[V2_FAMILY] != kinds[i].family)
            continue;
        const uint8_t *block = whole.data + V2_HEAD_BYTES;
        size_t bytes = kinds[i].address_bytes;
        header->is_local = !bytes;
        if (!kinds[i].family)
            return 0; /* what is in it is nobody's business */
        if (whole.length - V2_HEAD_BYTES < kinds[i].block_bytes ||
            !check_extensions(whole, V2_HEAD_BYTES + (size_t)kinds[i].block_bytes))
            return ERROR_INVALID;
        if (!bytes)
            return 0;
        header->source = read_address(block, bytes, block + 2 * bytes);
        header->destination = read_address(block + bytes, bytes, block + 2 * bytes + 2);
        return 0;
    }
    return ERROR_INVALID;
}

static int parse_binary(struct span bytes, struct http_proxy_header *header)
{
    if (bytes.length < V2_HEAD_BYTES)
        return ERROR_INCOMPLETE;
    uint8_t command = bytes.data[sizeof signature];
    size_t length = V2_HEAD_BYTES + (size_t)load_u16(bytes.data + V2_LENGTH);
    if ((command != COMMAND_LOCAL && command != COMMAND_PROXY) || length > HTTP_PROXY_HEADER_MOST)
        return ERROR_INVALID;
    if (bytes.length < length)
        return ERROR_INCOMPLETE;
    header->length = length;
    if (command == COMMAND_PROXY)
        return read_addresses(span_of(bytes.data, length), header);
    header->is_local = true;
    return 0;
}

/* ---- either */

static bool begins_with(struct span bytes, struct span prefix)
{
    size_t most = bytes.length < prefix.length ? bytes.length : prefix.length;
    return span_equal(span_of(bytes.data, most), span_of(prefix.data, most));
}

int http_proxy_header_parse(struct span bytes, struct http_proxy_header *header)
{
    *header = (struct http_proxy_header){0};
    if (!bytes.length)
        return ERROR_INCOMPLETE;
    if (begins_with(bytes, span_of(signature, sizeof signature)))
        return parse_binary(bytes, header);
    if (begins_with(bytes, SPAN("PROXY ")))
        return parse_line(bytes, header);
    return ERROR_INVALID;
}

/* ---- writing */

static size_t write_line(const struct http_proxy_header *header, bool is_local,
                         uint8_t out[HTTP_PROXY_WRITTEN_MOST])
{
    char source[ADDRESS_TEXT_BYTES], destination[ADDRESS_TEXT_BYTES];
    int length;
    if (is_local)
        length = snprintf((char *)out, HTTP_PROXY_WRITTEN_MOST, "PROXY UNKNOWN\r\n");
    else
        length = snprintf((char *)out, HTTP_PROXY_WRITTEN_MOST, "PROXY TCP%u %s %s %u %u\r\n",
                          header->source.family, address_text(&header->source, false, source),
                          address_text(&header->destination, false, destination),
                          header->source.port, header->destination.port);
    INVARIANT(length > 0 && length < HTTP_PROXY_WRITTEN_MOST);
    return (size_t)length;
}

static size_t write_binary(const struct http_proxy_header *header, bool is_local,
                           uint8_t out[HTTP_PROXY_WRITTEN_MOST])
{
    uint8_t family = header->source.family == 6 ? 0x21 : 0x11;
    size_t bytes = is_local ? 0 : address_bits(&header->source) / 8;
    uint8_t *at = out + V2_HEAD_BYTES;
    memcpy(out, signature, sizeof signature);
    out[sizeof signature] = is_local ? COMMAND_LOCAL : COMMAND_PROXY;
    out[V2_FAMILY] = is_local ? 0 : family;
    memcpy(at, header->source.bytes, bytes);
    memcpy(at + bytes, header->destination.bytes, bytes);
    at += 2 * bytes;
    if (!is_local) {
        at = store_u16(at, header->source.port);
        at = store_u16(at, header->destination.port);
    }
    store_u16(out + V2_LENGTH, (uint16_t)(at - out - V2_HEAD_BYTES));
    return (size_t)(at - out);
}

size_t http_proxy_header_write(enum http_proxy_version version,
                               const struct http_proxy_header *header,
                               uint8_t out[HTTP_PROXY_WRITTEN_MOST])
{
    const struct address *source = &header->source, *destination = &header->destination;
    bool is_local = header->is_local || (source->family != 4 && source->family != 6) ||
                    destination->family != source->family;
    return version == HTTP_PROXY_V1 ? write_line(header, is_local, out)
                                    : write_binary(header, is_local, out);
}
