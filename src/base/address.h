/* SPDX-License-Identifier: Apache-2.0
 *
 * IP addresses, networks and ports as values, IPv4 and IPv6 alike, without the socket interface. A Unix socket has an address, too,
 * so that whoever counts and compares servers need not know what they are.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/error.h"
#include "base/span.h"

/* `bytes` holds 4 (IPv4, the rest zero) or 16 bytes in network order, or a digest of a Unix socket's path, which is known elsewhere.
 * Equal addresses are equal memory. */
struct address {
    uint8_t bytes[16];
    uint16_t port;
    uint8_t family; /* 4, 6, ADDRESS_UNIX, or 0 for none */
    uint8_t zero;
    uint32_t scope; /* IPv6 link-local interface index, else 0 */
};

struct network {
    struct address address; /* host bits zero, port 0 */
    uint8_t bits;           /* prefix length within its family */
};

enum { ADDRESS_TEXT_BYTES = 64, ADDRESS_UNIX = 1 };

/* "192.0.2.1", "2001:db8::1". 0 or ERROR_INVALID. */
MUST_USE int address_parse(struct span text, struct address *address);

/* "192.0.2.1:80", "[2001:db8::1]:80", ":80" and "*:80" (any IPv4: 0.0.0.0), "80" when `port_alone`. */
MUST_USE int address_parse_port(struct span text, bool port_alone, struct address *address);

/* "192.0.2.0/24", "2001:db8::/32"; a lone address is a full-length network. Host bits must be zero. */
MUST_USE int network_parse(struct span text, struct network *network);

struct address address_of_path(struct span path);

/* Writes "192.0.2.1" or "2001:db8::1"; with a port "192.0.2.1:80" or "[2001:db8::1]:80" when `with_port`; of a Unix socket "unix:" and
 * its digest. Returns `out`. */
const char *address_text(const struct address *address, bool with_port,
                         char out[ADDRESS_TEXT_BYTES]);
const char *network_text(const struct network *network, char out[ADDRESS_TEXT_BYTES]);

bool address_equal(const struct address *a, const struct address *b); /* port included */
bool address_same_host(const struct address *a, const struct address *b);
bool network_has(const struct network *network, const struct address *address);
static inline unsigned address_bits(const struct address *address)
{
    return address->family == 4 ? 32 : 128;
}

/* What an address is for, where that decides whether a node may connect to it. */
bool address_is_loopback(const struct address *address); /* 127/8, ::1, also mapped */
bool address_is_link_local(
    const struct address *address); /* 169.254/16 (with the metadata services), fe80::/10 */
bool address_is_any(const struct address *address); /* 0.0.0.0, ::, also mapped */

/* IPv4-mapped IPv6 becomes IPv4; others stay. */
struct address address_unmap(const struct address *address);

#endif
