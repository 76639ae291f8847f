/* SPDX-License-Identifier: Apache-2.0
 *
 * EDNS options, in and out.
 */
#include "dns/edns.h"

#include "base/bytes.h"
#include "dns/query.h"

enum option_code {
    OPTION_NSID = 3,       /* RFC 5001 */
    OPTION_SUBNET = 8,     /* RFC 7871 */
    OPTION_COOKIE = 10,    /* RFC 7873 */
    OPTION_KEEPALIVE = 11, /* RFC 7828 */
    OPTION_ERROR = 15,     /* RFC 8914 */
};

enum {
    OPTION_HEAD_BYTES = 4,
    SUBNET_HEAD_BYTES = 4,
    ERROR_BYTES = OPTION_HEAD_BYTES + 2,
    KEEPALIVE_BYTES = OPTION_HEAD_BYTES + 2,
};

/* ---- in */

static bool has_zero_bits_behind(const uint8_t *bytes, unsigned bits)
{
    return bits % 8 == 0 || (uint8_t)(bytes[bits / 8] << bits % 8) == 0;
}

/* All that RFC 7871 section 6 asks of a query: the address is exactly as long as the prefix, and zero behind it. Without a
 * prefix some clients name no family either. */
static bool read_subnet(struct span data, struct dns_subnet *subnet)
{
    struct reader reader = reader_of(data);
    uint16_t family = read_u16(&reader);
    uint8_t bits = read_u8(&reader), scope = read_u8(&reader);
    if (reader.failed || scope || family > 2)
        return false;
    unsigned most = family == 1 ? 32 : family == 2 ? 128 : 0;
    if (bits > most || reader_left(&reader) != (bits + 7u) / 8 ||
        !has_zero_bits_behind(reader.at, bits))
        return false;
    *subnet = (struct dns_subnet){(uint8_t)family, bits, reader.at};
    return true;
}

static bool is_cookie_length(size_t length)
{
    return length == DNS_CLIENT_COOKIE_BYTES ||
           (length >= DNS_CLIENT_COOKIE_BYTES + 8 && length <= DNS_COOKIE_LONGEST_BYTES);
}

/* A second one of a kind could contradict the first. */
static bool read_option(uint16_t code, struct span data, struct dns_options *options)
{
    switch (code) {
    case OPTION_SUBNET:
        if (options->has_subnet || !read_subnet(data, &options->subnet))
            return false;
        options->has_subnet = true;
        return true;
    case OPTION_COOKIE:
        if (options->has_cookie || !is_cookie_length(data.length))
            return false;
        options->has_cookie = true;
        options->cookie = data;
        return true;
    case OPTION_NSID:
        options->wants_nsid = true;
        return true;
    case OPTION_KEEPALIVE:
        options->wants_keepalive = true;
        return true;
    default:
        return true;
    }
}

bool dns_options_read(struct span bytes, struct dns_options *options)
{
    struct reader reader = reader_of(bytes);
    while (reader_left(&reader)) {
        uint16_t code = read_u16(&reader);
        struct span data = read_span(&reader, read_u16(&reader));
        if (reader.failed || !read_option(code, data, options)) {
            dns_options_init(options);
            return false;
        }
    }
    return true;
}

/* ---- out */

static size_t subnet_bytes(const struct dns_subnet *subnet)
{
    return OPTION_HEAD_BYTES + SUBNET_HEAD_BYTES + (subnet->bits + 7u) / 8;
}

static bool is_believed(const struct dns_settings *settings, const struct address *sender)
{
    return settings->has_subnets && (!settings->subnet_senders ||
                                     prefix_tree_find(settings->subnet_senders, sender, NULL) >= 0);
}

void dns_opt_prepare(struct dns_opt *opt, const struct dns_settings *settings,
                     const struct dns_request *request, struct dns_query *query,
                     struct dns_outcome *outcome)
{
    struct dns_options *options = &query->options;
    opt->settings = settings;
    opt->is_dnssec_ok = query->is_dnssec_ok;
    opt->options = options;
    opt->bytes = DNS_OPT_BYTES;
    options->has_subnet = options->has_subnet && is_believed(settings, request->client);
    options->has_cookie = options->has_cookie && settings->cookies.count;
    options->wants_nsid = options->wants_nsid && settings->identity.length;
    options->wants_keepalive =
        options->wants_keepalive && request->is_tcp && settings->keepalive_100ms;
    if (options->has_subnet) {
        opt->bytes += subnet_bytes(&options->subnet);
        outcome->has_subnet = options->subnet.bits != 0;
    }
    if (options->has_cookie) {
        opt->bytes += OPTION_HEAD_BYTES + DNS_COOKIE_BYTES;
        outcome->cookie = (uint8_t)dns_cookie_check(&settings->cookies, options->cookie,
                                                    request->client, request->wall_s, opt->cookie);
    }
    if (options->wants_nsid)
        opt->bytes += OPTION_HEAD_BYTES + settings->identity.length;
    if (options->wants_keepalive)
        opt->bytes += KEEPALIVE_BYTES;
}

static uint8_t *write_option(uint8_t *to, enum option_code code, struct span data)
{
    to = store_u16(store_u16(to, (uint16_t)code), (uint16_t)data.length);
    memcpy(to, data.data, data.length);
    return to + data.length;
}

/* A client that wants its address not to be used gets an answer for everybody (section 7.1.2). */
static uint8_t *write_subnet(uint8_t *to, const struct dns_subnet *subnet, uint8_t scope_bits)
{
    size_t address_bytes = (subnet->bits + 7u) / 8;
    to = store_u16(store_u16(to, OPTION_SUBNET), (uint16_t)(SUBNET_HEAD_BYTES + address_bytes));
    to = store_u16(to, subnet->family);
    *to++ = subnet->bits;
    *to++ = subnet->bits ? scope_bits : 0;
    if (address_bytes)
        memcpy(to, subnet->address, address_bytes);
    return to + address_bytes;
}

uint8_t *dns_opt_write(const struct dns_opt *opt, unsigned rcode, uint8_t scope_bits,
                       enum dns_extended_error error, uint8_t *to, const uint8_t *end)
{
    const struct dns_options *options = opt->options;
    *to++ = 0; /* the root */
    to = store_u16(store_u16(to, DNS_OPT), DNS_UDP_BYTES);
    *to++ = (uint8_t)(rcode >> 4);
    *to++ = 0; /* version */
    uint8_t *behind = to = store_u32(to, opt->is_dnssec_ok ? (uint32_t)DNS_OPT_DO << 16 : 0);
    if (options->has_subnet)
        to = write_subnet(to, &options->subnet, scope_bits);
    if (options->has_cookie)
        to = write_option(to, OPTION_COOKIE, span_of(opt->cookie, DNS_COOKIE_BYTES));
    if (options->wants_nsid)
        to = write_option(to, OPTION_NSID, opt->settings->identity);
    if (options->wants_keepalive) {
        to = store_u32(to, (uint32_t)OPTION_KEEPALIVE << 16 | 2);
        to = store_u16(to, opt->settings->keepalive_100ms);
    }
    if (error && end - to >= ERROR_BYTES) {
        to = store_u32(to, (uint32_t)OPTION_ERROR << 16 | 2);
        to = store_u16(to, (uint16_t)error);
    }
    store_u16(behind - 2, (uint16_t)(to - behind));
    return to;
}
