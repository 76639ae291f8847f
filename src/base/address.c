/* SPDX-License-Identifier: Apache-2.0
 *
 * Text to address and back; inet_pton() and inet_ntop() know the forms.
 */
#include "base/address.h"

#include "base/bytes.h"
#include "base/hash.h"

#include <arpa/inet.h>
#include <stdio.h>

int address_parse(struct span text, struct address *address)
{
    char copy[INET6_ADDRSTRLEN];
    if (!text.length || text.length >= sizeof copy)
        return ERROR_INVALID;
    memcpy(copy, text.data, text.length);
    copy[text.length] = 0;
    if (strlen(copy) != text.length)
        return ERROR_INVALID;
    struct address parsed = {0};
    if (inet_pton(AF_INET, copy, parsed.bytes) == 1)
        parsed.family = 4;
    else if (inet_pton(AF_INET6, copy, parsed.bytes) == 1)
        parsed.family = 6;
    else
        return ERROR_INVALID;
    *address = parsed;
    return 0;
}

int address_parse_port(struct span text, bool port_alone, struct address *address)
{
    struct span host = {0}, port = text;
    for (size_t i = text.length; i > 0; i--)
        if (text.data[i - 1] == ':') {
            host = span_of(text.data, i - 1);
            port = span_from(text, i);
            break;
        }
    bool has_colon = port.length != text.length;
    if (!has_colon && !port_alone)
        return ERROR_INVALID;
    uint64_t number;
    if (port.length > 5 || span_number(port, &number) < 0 || number > 65535)
        return ERROR_INVALID;
    struct address parsed = {.family = 4};
    if (host.length >= 2 && host.data[0] == '[' && host.data[host.length - 1] == ']') {
        if (address_parse(span_of(host.data + 1, host.length - 2), &parsed) < 0 ||
            parsed.family != 6)
            return ERROR_INVALID;
    } else if (host.length && !span_equal(host, SPAN("*"))) {
        if (address_parse(host, &parsed) < 0 || parsed.family != 4)
            return ERROR_INVALID;
    }
    parsed.port = (uint16_t)number;
    *address = parsed;
    return 0;
}

/* Clears the bits behind `bits`; tells whether any was set. */
static bool mask(struct address *address, unsigned bits)
{
    bool had = false;
    for (unsigned i = 0; i < address_bits(address) / 8; i++) {
        unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
        uint8_t keep = (uint8_t)(kept >= 8 ? 0xff : 0xff00 >> kept);
        had |= (address->bytes[i] & (uint8_t)~keep) != 0;
        address->bytes[i] &= keep;
    }
    return had;
}

int network_parse(struct span text, struct network *network)
{
    size_t slash = span_find(text, '/');
    struct network parsed = {0};
    if (address_parse(span_of(text.data, slash), &parsed.address) < 0)
        return ERROR_INVALID;
    uint64_t bits = address_bits(&parsed.address);
    if (slash < text.length) {
        struct span number = span_from(text, slash + 1);
        if (number.length > 3 || span_number(number, &bits) < 0 ||
            bits > address_bits(&parsed.address))
            return ERROR_INVALID;
    }
    parsed.bits = (uint8_t)bits;
    if (mask(&parsed.address, parsed.bits))
        return ERROR_INVALID;
    *network = parsed;
    return 0;
}

struct address address_of_path(struct span path)
{
    struct address address = {.family = ADDRESS_UNIX};
    store_u64(address.bytes, hash_span(path, 1));
    store_u64(address.bytes + 8, hash_span(path, 2));
    return address;
}

const char *address_text(const struct address *address, bool with_port,
                         char out[ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "none";
    if (address->family == ADDRESS_UNIX) {
        snprintf(out, ADDRESS_TEXT_BYTES, "unix:%016llx",
                 (unsigned long long)load_u64(address->bytes));
        return out;
    }
    if (address->family)
        inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->bytes, host, sizeof host);
    if (!with_port)
        snprintf(out, ADDRESS_TEXT_BYTES, "%s", host);
    else if (address->family == 6)
        snprintf(out, ADDRESS_TEXT_BYTES, "[%s]:%u", host, address->port);
    else
        snprintf(out, ADDRESS_TEXT_BYTES, "%s:%u", host, address->port);
    return out;
}

const char *network_text(const struct network *network, char out[ADDRESS_TEXT_BYTES])
{
    address_text(&network->address, false, out);
    size_t length = strlen(out);
    snprintf(out + length, ADDRESS_TEXT_BYTES - length, "/%u", network->bits);
    return out;
}

bool address_same_host(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0 &&
           a->scope == b->scope;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->port == b->port && address_same_host(a, b);
}

bool network_has(const struct network *network, const struct address *address)
{
    if (network->address.family != address->family)
        return false;
    struct address masked = *address;
    mask(&masked, network->bits);
    return memcmp(masked.bytes, network->address.bytes, sizeof masked.bytes) == 0;
}

struct address address_unmap(const struct address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct address plain = *address;
    if (address->family == 6 && memcmp(address->bytes, mapped, sizeof mapped) == 0) {
        plain = (struct address){.family = 4, .port = address->port};
        memcpy(plain.bytes, address->bytes + 12, 4);
    }
    return plain;
}

bool address_is_loopback(const struct address *address)
{
    static const uint8_t one[16] = {[15] = 1};
    struct address plain = address_unmap(address);
    return plain.family == 4 ? plain.bytes[0] == 127
                             : plain.family == 6 && memcmp(plain.bytes, one, sizeof one) == 0;
}

bool address_is_link_local(const struct address *address)
{
    struct address plain = address_unmap(address);
    if (plain.family == 4)
        return plain.bytes[0] == 169 && plain.bytes[1] == 254;
    return plain.family == 6 && plain.bytes[0] == 0xfe && (plain.bytes[1] & 0xc0) == 0x80;
}

bool address_is_any(const struct address *address)
{
    static const uint8_t zero[16];
    struct address plain = address_unmap(address);
    return memcmp(plain.bytes, zero, sizeof zero) == 0;
}
