/* SPDX-License-Identifier: Apache-2.0
 *
 * A DNS message as text, one record a line, for tests to compare; strict, so that what it accepts is a sound
 * message. Also queries in the making.
 */
#ifndef TESTS_DNS_MESSAGE_TEXT_H
#define TESTS_DNS_MESSAGE_TEXT_H

#include "dns/dns.h"

/* "NXDOMAIN aa tc\nAU shop.example 300 SOA ...\n"; false when the message is not sound. */
bool message_text(struct span message, struct text *text);

struct query_form {
    const char *name;
    uint16_t type;
    uint16_t class;     /* 0: IN */
    uint16_t flags;     /* of the header */
    uint16_t udp_bytes; /* 0: no EDNS */
    uint8_t edns_version;
    bool is_dnssec_ok;
    struct span options;
};

/* Returns the length. */
size_t query_write(const struct query_form *form, uint8_t out[512]);

#endif
