/* SPDX-License-Identifier: Apache-2.0
 *
 * EDNS options (RFC 6891 section 6.1.2): those of a query that we act on, and what the answer's OPT record says.
 * What we do not know is ignored; what we know and is malformed makes the query so.
 */
#ifndef DNS_EDNS_H
#define DNS_EDNS_H

#include "dns/cookie.h"

enum { DNS_OPT_BYTES = 11, DNS_OPT_DO = 0x8000 };

/* EDNS Client Subnet as it came (RFC 7871 section 6). */
struct dns_subnet {
    uint8_t family; /* 1 IPv4, 2 IPv6; 0 only with `bits` 0 */
    uint8_t bits;   /* 0: the client wishes not to be told of */
    const uint8_t *address;
};

struct dns_options {
    bool has_subnet, has_cookie, wants_nsid, wants_keepalive;
    struct dns_subnet subnet;
    struct span cookie; /* of the message */
};

/* None. The rest of the struct means nothing then, and a query costs no more than that. */
static inline void dns_options_init(struct dns_options *options)
{
    options->has_subnet = options->has_cookie = false;
    options->wants_nsid = options->wants_keepalive = false;
}

/* Into initialised ones. False: malformed, and none is left. */
bool dns_options_read(struct span bytes, struct dns_options *options);

/* RFC 8914 */
enum dns_extended_error {
    DNS_EXTENDED_OTHER = 0, /* none is said */
    DNS_EXTENDED_NOT_READY = 14,
    DNS_EXTENDED_PROHIBITED = 18,
    DNS_EXTENDED_NOT_AUTHORITATIVE = 20,
    DNS_EXTENDED_NOT_SUPPORTED = 21,
};

struct dns_query;

/* The OPT record of one answer. */
struct dns_opt {
    const struct dns_settings *settings;
    const struct dns_options
        *options; /* of the query; those that are not answered are struck out */
    bool is_dnssec_ok;
    uint8_t cookie[DNS_COOKIE_BYTES];
    size_t bytes; /* room to be kept for it; the extended error may not find any */
};

/* Strikes out what this server or this sender does not get, and says how long the record may become. */
void dns_opt_prepare(struct dns_opt *opt, const struct dns_settings *settings,
                     const struct dns_request *request, struct dns_query *query,
                     struct dns_outcome *outcome);

/* Writes it and returns the end; at most to `end`. */
uint8_t *dns_opt_write(const struct dns_opt *opt, unsigned rcode, uint8_t scope_bits,
                       enum dns_extended_error error, uint8_t *to, const uint8_t *end);

#endif
