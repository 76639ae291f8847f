/* SPDX-License-Identifier: Apache-2.0
 *
 * A message in the making, in the caller's buffer, with name compression (RFC 1035 section 4.1.4). A write that
 * does not fit changes nothing and returns false: whole record sets are written or not.
 */
#ifndef DNS_WRITER_H
#define DNS_WRITER_H

#include "dns/zone.h"

enum {
    DNS_SUFFIXES_LIMIT = 24, /* names remembered for compression; further ones are written out */
    DNS_SUFFIXES_ASKED = 8,  /* of these, suffixes of the question's name */
};

/* A place in the message where a name (or the rest of one) of `length` bytes stands. */
struct dns_suffix {
    uint16_t offset;
    uint8_t length;
};

struct dns_writer {
    uint8_t *start, *at, *end;
    const struct dns_name *asked; /* the question's name, at offset 12 */
    unsigned suffix_count;        /* 0: not begun */
    struct dns_suffix suffixes[DNS_SUFFIXES_LIMIT];
};

/* An owner is a suffix of the question's name (its pointer is known), or a name of its own. */
struct dns_owner {
    uint16_t pointer; /* 0: `name` */
    const uint8_t *name;
};

/* The owner pointer of a name that the question's name ends in. */
static inline struct dns_owner dns_owner_suffix(const struct dns_writer *writer, uint8_t length)
{
    return (struct dns_owner){
        .pointer = (uint16_t)(0xc000 | (DNS_HEADER_BYTES + writer->asked->length - length))};
}

/* All records of the set; their TTLs at most `ttl_most_s`. */
bool dns_write_rrset(struct dns_writer *writer, struct dns_owner owner,
                     const struct dns_rrset *rrset, uint32_t ttl_most_s);

/* One record as it lies in a set. */
bool dns_write_stored(struct dns_writer *writer, struct dns_owner owner, const uint8_t *record);

/* One record with data that has no names in it. */
bool dns_write_record(struct dns_writer *writer, struct dns_owner owner, uint16_t type,
                      uint32_t ttl_s, struct span rdata);

/* One TXT record of class CH, of the name that was asked for; the text has at most 255 bytes. */
bool dns_write_identity(struct dns_writer *writer, struct span text);

/* One CNAME record. */
bool dns_write_alias(struct dns_writer *writer, struct dns_owner owner, uint32_t ttl_s,
                     const struct dns_name *target);

#endif
