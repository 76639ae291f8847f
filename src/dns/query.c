/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a query: header, one question, and OPT among the additional records. Every record is walked, so that
 * what follows the question is well-formed or refused.
 */
#include "dns/query.h"

#include "base/bytes.h"

/* The question's name, folded on the way. A pointer cannot be right here: there is no name before it. */
static bool read_question_name(struct reader *reader, struct dns_name *name)
{
    uint8_t *to = name->wire;
    size_t left = reader_left(reader);
    const uint8_t *at = reader->at;
    if (left > DNS_NAME_LIMIT)
        left = DNS_NAME_LIMIT;
    const uint8_t *end = at + left;
    name->labels = 0;
    for (;;) {
        if (at == end)
            return false;
        uint8_t label = *at++;
        *to++ = label;
        if (!label)
            break;
        if (label > DNS_LABEL_LIMIT || end - at < label)
            return false;
        for (const uint8_t *stop = at + label; at < stop; at++)
            *to++ = ascii_lower(*at);
        name->labels++;
    }
    name->length = (uint8_t)(to - name->wire);
    reader->at = at;
    return true;
}

static bool read_question(struct reader *reader, struct dns_query *query)
{
    if (!read_question_name(reader, &query->name))
        return false;
    query->type = read_u16(reader);
    query->class = read_u16(reader);
    if (reader->failed)
        return false;
    query->question_bytes = (uint16_t)(query->name.length + 4);
    return true;
}

/* A record's owner, whose value nobody needs: labels up to the root or a pointer. */
static bool skip_name(struct reader *reader)
{
    for (size_t length = 0;;) {
        uint8_t label = read_u8(reader);
        length += (size_t)label + 1;
        if (reader->failed)
            return false;
        if (label >= 0xc0)
            return reader_take(reader, 1) != NULL;
        if (!label)
            return length <= DNS_NAME_LIMIT;
        if (label > DNS_LABEL_LIMIT || !reader_take(reader, label))
            return false;
    }
}

static bool read_opt(struct dns_query *query, bool is_root, uint16_t class, uint32_t ttl,
                     struct span options)
{
    if (query->has_edns || !is_root)
        return false; /* at most one (RFC 6891 section 6.1.1) */
    query->has_edns = true;
    query->edns_version = (uint8_t)(ttl >> 16);
    query->is_dnssec_ok = ttl & DNS_OPT_DO;
    query->udp_bytes = class < DNS_UDP_PLAIN_BYTES ? DNS_UDP_PLAIN_BYTES : class;
    return query->edns_version != 0 || dns_options_read(options, &query->options);
}

static bool read_record(struct reader *reader, struct dns_query *query, bool is_additional)
{
    bool is_root = reader_left(reader) && *reader->at == 0;
    if (!skip_name(reader))
        return false;
    uint16_t type = read_u16(reader), class = read_u16(reader);
    uint32_t ttl = read_u32(reader);
    struct span rdata = read_span(reader, read_u16(reader));
    if (reader->failed)
        return false;
    query->has_tsig |= type == DNS_TSIG && is_additional;
    if (type != DNS_OPT)
        return true;
    return is_additional && read_opt(query, is_root, class, ttl, rdata);
}

enum dns_reading dns_query_read(struct span message, struct dns_query *query)
{
    if (message.length < DNS_HEADER_BYTES)
        return DNS_DROP;
    const uint8_t *header = message.data;
    query->id = load_u16(header);
    query->flags = load_u16(header + 2);
    query->question_bytes = 0;
    query->udp_bytes = DNS_UDP_PLAIN_BYTES;
    query->has_edns = query->is_dnssec_ok = query->has_tsig = false;
    query->edns_version = 0;
    dns_options_init(&query->options);
    if (query->flags & DNS_FLAG_QR)
        return DNS_DROP; /* two servers must not answer one another for ever */
    if (query->flags & DNS_OPCODE_MASK)
        return DNS_UNKNOWN;

    unsigned questions = load_u16(header + 4);
    unsigned others = (unsigned)load_u16(header + 6) + load_u16(header + 8);
    unsigned additional = load_u16(header + 10);
    struct reader reader = reader_of(span_from(message, DNS_HEADER_BYTES));
    if (questions > 1 || (questions && !read_question(&reader, query)))
        return DNS_MALFORMED; /* RFC 9619 */
    for (; others; others--)
        if (!read_record(&reader, query, false))
            return DNS_MALFORMED;
    for (; additional; additional--)
        if (!read_record(&reader, query, true))
            return DNS_MALFORMED;
    if (reader_left(&reader))
        return DNS_MALFORMED;
    return questions ? DNS_READ : query->options.has_cookie ? DNS_COOKIE_ALONE : DNS_MALFORMED;
}
