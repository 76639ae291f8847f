/* SPDX-License-Identifier: Apache-2.0
 *
 * Server cookies as all servers of an address make them (RFC 7873, RFC 9018): version, reserved, time, and
 * SipHash-2-4 over the client's cookie, these and its address. Nothing is remembered of a client.
 */
#ifndef DNS_COOKIE_H
#define DNS_COOKIE_H

#include "dns/dns.h"

enum {
    DNS_CLIENT_COOKIE_BYTES = 8,
    DNS_SERVER_COOKIE_BYTES = 16,
    DNS_COOKIE_BYTES = DNS_CLIENT_COOKIE_BYTES + DNS_SERVER_COOKIE_BYTES,
    DNS_COOKIE_LONGEST_BYTES = 40, /* that a query may bring: other servers' are of other forms */
};

/* What becomes of the option of a query: 8 bytes, or 16 to 40. The answer's goes to `out`: the very same where it is good, of
 * the first secret and less than half an hour old, else a new one. */
enum dns_cookie_result dns_cookie_check(const struct dns_cookie_secrets *secrets,
                                        struct span option, const struct address *client,
                                        uint32_t now_s, uint8_t out[DNS_COOKIE_BYTES]);

/* SipHash-2-4 of Aumasson and Bernstein; the result as its eight bytes. */
void dns_siphash(const uint8_t key[DNS_SECRET_BYTES], struct span data, uint8_t out[8]);

#endif
