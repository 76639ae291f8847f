/* SPDX-License-Identifier: Apache-2.0
 *
 * A query as read from the wire.
 */
#ifndef DNS_QUERY_H
#define DNS_QUERY_H

#include "dns/edns.h"

/* Bits of the header's second 16-bit word (RFC 1035 section 4.1.1, RFC 4035 section 3.1.6). */
enum {
    DNS_FLAG_QR = 0x8000,
    DNS_FLAG_AA = 0x0400,
    DNS_FLAG_TC = 0x0200,
    DNS_FLAG_RD = 0x0100,
    DNS_FLAG_CD = 0x0010,
    DNS_OPCODE_MASK = 0x7800,
    DNS_OPCODE_NOTIFY = 4 << 11,
};

enum { DNS_CLASS_IN = 1, DNS_CLASS_CH = 3 };

struct dns_query {
    uint16_t id, flags;
    uint16_t type, class;
    uint16_t
        question_bytes; /* of the message behind its header; 0: the question cannot be told back */
    uint16_t udp_bytes; /* the sender's limit, EDNS or not */
    bool has_edns, is_dnssec_ok;
    bool has_tsig;
    uint8_t edns_version;
    struct dns_options options; /* of version 0 */
    struct dns_name name;       /* lower case */
};

enum dns_reading {
    DNS_READ,      /* everything is there */
    DNS_DROP,      /* too short for a header, or itself an answer: nothing is sent */
    DNS_MALFORMED, /* FORMERR */
    DNS_UNKNOWN,   /* another opcode: NOTIMP; only the header was read */
    DNS_COOKIE_ALONE, /* no question, but a cookie: a client that wants a good one (RFC 7873 section 5.4) */
};

enum dns_reading dns_query_read(struct span message, struct dns_query *query);

#endif
