/* SPDX-License-Identifier: Apache-2.0
 *
 * Records into a message. The usual one, addresses of the very name that was asked for, is a single copy.
 */
#include "dns/writer.h"

#include "base/bytes.h"
#include "dns/query.h"

static size_t left(const struct dns_writer *writer)
{
    return (size_t)(writer->end - writer->at);
}

static void remember(struct dns_writer *writer, size_t offset, size_t length)
{
    if (writer->suffix_count < DNS_SUFFIXES_LIMIT && offset < 0x4000 && length > 1)
        writer->suffixes[writer->suffix_count++] =
            (struct dns_suffix){(uint16_t)offset, (uint8_t)length};
}

/* The last labels of the question's name: those that zone names share. */
static void begin_suffixes(struct dns_writer *writer)
{
    const struct dns_name *asked = writer->asked;
    size_t at = 0;
    for (unsigned labels = asked->labels; labels; labels--) {
        if (labels <= DNS_SUFFIXES_ASKED)
            remember(writer, DNS_HEADER_BYTES + at, asked->length - at);
        at += (size_t)asked->wire[at] + 1;
    }
}

/* Whether the name at `offset` of the message is `name`; what stands there was written by us. */
static bool stands_at(const struct dns_writer *writer, size_t offset, const uint8_t *name)
{
    const uint8_t *at = writer->start + offset;
    for (;;) {
        while (*at >= 0xc0)
            at = writer->start + (load_u16(at) & 0x3fff);
        if (*at != *name)
            return false;
        if (!*name)
            return true;
        for (unsigned i = 1; i <= *name; i++)
            if (ascii_lower(at[i]) != ascii_lower(name[i]))
                return false;
        at += *at + 1;
        name += *name + 1;
    }
}

static const struct dns_suffix *find_suffix(const struct dns_writer *writer, const uint8_t *name,
                                            size_t length)
{
    for (unsigned i = 0; i < writer->suffix_count; i++)
        if (writer->suffixes[i].length == length &&
            stands_at(writer, writer->suffixes[i].offset, name))
            return &writer->suffixes[i];
    return NULL;
}

static bool write_name(struct dns_writer *writer, const uint8_t *name)
{
    size_t length = 1;
    for (const uint8_t *at = name; *at; at += *at + 1)
        length += (size_t)*at + 1;
    if (!writer->suffix_count)
        begin_suffixes(writer);
    const struct dns_suffix *found = NULL;
    size_t plain = 0; /* bytes in front of the part that stands somewhere already */
    while (name[plain] && !(found = find_suffix(writer, name + plain, length - plain)))
        plain += (size_t)name[plain] + 1;
    if (left(writer) < plain + 2)
        return false;
    size_t offset = (size_t)(writer->at - writer->start);
    for (size_t at = 0; at < plain; at += (size_t)name[at] + 1)
        remember(writer, offset + at, length - at);
    memcpy(writer->at, name, plain);
    writer->at += plain;
    if (found)
        writer->at = store_u16(writer->at, (uint16_t)(0xc000 | found->offset));
    else
        *writer->at++ = 0;
    return true;
}

static bool write_owner(struct dns_writer *writer, struct dns_owner owner)
{
    if (!owner.pointer)
        return write_name(writer, owner.name);
    if (left(writer) < 2)
        return false;
    writer->at = store_u16(writer->at, owner.pointer);
    return true;
}

static bool write_bytes(struct dns_writer *writer, const uint8_t *bytes, size_t length)
{
    if (left(writer) < length)
        return false;
    memcpy(writer->at, bytes, length);
    writer->at += length;
    return true;
}

static bool write_rdata(struct dns_writer *writer, const char *layout, struct span rdata)
{
    for (const char *field = layout; *field; field++) {
        size_t length = (size_t)dns_field_length(*field, rdata); /* checked when it was loaded */
        if (!(*field == 'n' ? write_name(writer, rdata.data)
                            : write_bytes(writer, rdata.data, length)))
            return false;
        rdata = span_from(rdata, length);
    }
    return true;
}

/* `from`: one record as it lies in a set. */
static bool write_one(struct dns_writer *writer, struct dns_owner owner, const uint8_t *from,
                      const struct dns_type *compress, uint32_t ttl_most_s)
{
    struct span rdata = span_of(from + DNS_RR_FIXED_BYTES, load_u16(from + 10));
    uint32_t ttl_s = load_u32(from + 6);
    if (!write_owner(writer, owner) || left(writer) < DNS_RR_FIXED_BYTES - 2)
        return false;
    memcpy(writer->at, from + 2, 4); /* type, class */
    store_u32(writer->at + 4, ttl_s < ttl_most_s ? ttl_s : ttl_most_s);
    uint8_t *behind = writer->at += DNS_RR_FIXED_BYTES - 2;
    if (!(compress ? write_rdata(writer, compress->layout, rdata)
                   : write_bytes(writer, rdata.data, rdata.length)))
        return false;
    store_u16(behind - 2, (uint16_t)(writer->at - behind));
    return true;
}

bool dns_write_rrset(struct dns_writer *writer, struct dns_owner owner,
                     const struct dns_rrset *rrset, uint32_t ttl_most_s)
{
    if (!rrset->compress && owner.pointer == DNS_OWNER_POINTER && ttl_most_s == UINT32_MAX)
        return write_bytes(writer, rrset->wire, rrset->wire_bytes);
    uint8_t *start = writer->at;
    unsigned suffixes = writer->suffix_count;
    const uint8_t *from = rrset->wire;
    for (unsigned i = 0; i < rrset->count; i++) {
        if (!write_one(writer, owner, from, rrset->compress, ttl_most_s)) {
            writer->at = start;
            writer->suffix_count = suffixes;
            return false;
        }
        from += DNS_RR_FIXED_BYTES + load_u16(from + 10);
    }
    return true;
}

bool dns_write_stored(struct dns_writer *writer, struct dns_owner owner, const uint8_t *record)
{
    uint8_t *start = writer->at;
    unsigned suffixes = writer->suffix_count;
    const struct dns_type *type = dns_type_find(load_u16(record + 2));
    if (write_one(writer, owner, record, type && strchr(type->layout, 'n') ? type : NULL,
                  UINT32_MAX))
        return true;
    writer->at = start;
    writer->suffix_count = suffixes;
    return false;
}

bool dns_write_record(struct dns_writer *writer, struct dns_owner owner, uint16_t type,
                      uint32_t ttl_s, struct span rdata)
{
    uint8_t *start = writer->at;
    unsigned suffixes = writer->suffix_count;
    if (write_owner(writer, owner) && left(writer) >= DNS_RR_FIXED_BYTES - 2 + rdata.length) {
        uint8_t *to = store_u16(writer->at, type);
        to = store_u32(store_u16(to, 1), ttl_s);
        to = store_u16(to, (uint16_t)rdata.length);
        memcpy(to, rdata.data, rdata.length);
        writer->at = to + rdata.length;
        return true;
    }
    writer->at = start;
    writer->suffix_count = suffixes;
    return false;
}

bool dns_write_identity(struct dns_writer *writer, struct span text)
{
    if (left(writer) < DNS_RR_FIXED_BYTES + 1 + text.length)
        return false;
    uint8_t *to = store_u16(writer->at, DNS_OWNER_POINTER);
    to = store_u16(store_u16(to, DNS_TXT), DNS_CLASS_CH);
    to = store_u16(store_u32(to, 0), (uint16_t)(text.length + 1));
    *to++ = (uint8_t)text.length;
    memcpy(to, text.data, text.length);
    writer->at = to + text.length;
    return true;
}

bool dns_write_alias(struct dns_writer *writer, struct dns_owner owner, uint32_t ttl_s,
                     const struct dns_name *target)
{
    uint8_t *start = writer->at;
    unsigned suffixes = writer->suffix_count;
    if (dns_write_record(writer, owner, DNS_CNAME, ttl_s, SPAN(""))) {
        uint8_t *behind = writer->at;
        if (write_name(writer, target->wire)) {
            store_u16(behind - 2, (uint16_t)(writer->at - behind));
            return true;
        }
    }
    writer->at = start;
    writer->suffix_count = suffixes;
    return false;
}
