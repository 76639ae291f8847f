/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of record types. A type's layout says what its data consists of, one letter a field; parsing, checking
 * and compression all follow it, so that a further type is one more row. Types outside of it are held as plain bytes
 * (RFC 3597).
 *
 *   a  IPv4 address               n  name, compressible (RFC 3597 section 4: only types of RFC 1035)
 *   q  IPv6 address               N  name, never compressed
 *   1  2  4  integers             d  time in seconds, also 1h30m, 4 bytes
 *   i  64 bits, 4 hex groups      T  moment: YYYYMMDDHHmmSS or seconds, 4 bytes
 *   c  one character string       s  character strings to the end (at least one)
 *   t  record type, 2 bytes       m  bitmap of record types to the end
 *   g  DNSSEC algorithm, 1 byte   C  kind of certificate, 2 bytes
 *   h  hex behind its length,     k  base32hex behind its length
 *      "-" for none               e  E  6 and 8 bytes as 00-11-...
 *   x  hex to the end             b  base64 to the end
 *   r  plain bytes to the end     p  service parameters to the end (RFC 9460)
 *   L  location (RFC 1876)
 */
#ifndef DNS_TYPES_H
#define DNS_TYPES_H

#include "dns/dns.h"

struct dns_type {
    uint16_t number;
    const char *name;
    const char *layout;
};

/* NULL: not in the table. */
const struct dns_type *dns_type_find(uint16_t number);

/* How many bytes of `rdata` the field at its front takes, or a negative error when it does not fit. */
int dns_field_length(char field, struct span rdata);

/* Whether the data is exactly what the type's layout says; any bytes are right for a type without a layout. */
bool dns_rdata_is_valid(uint16_t type, struct span rdata);

/* ---- from text */

/* A word of a zone file, escapes and inner quotes still in it. */
struct dns_word {
    struct span text;
    uint32_t line, column;
    bool is_quoted;
};

enum { DNS_WORDS_LIMIT = 4096 }; /* of one record */

/* Appends to `out`, which has DNS_RDATA_LIMIT bytes. */
struct dns_rdata_writer {
    uint8_t *out;
    size_t length;
};
MUST_USE int dns_rdata_put(struct dns_rdata_writer *writer, const void *bytes, size_t length);
/* The word's characters with their escapes resolved, at most `most`. */
MUST_USE int dns_rdata_put_characters(struct dns_rdata_writer *writer, struct span word,
                                      size_t most);
/* Base64 (`bits` 6) or hexadecimal (4) over all words. */
MUST_USE int dns_rdata_put_digits(struct dns_rdata_writer *writer, const struct dns_word *words,
                                  size_t count, unsigned bits);

/* Record data of `type` from its words, in its own form or that of RFC 3597. `*wrong` is the index of the word at which
 * it failed; `count` where one is missing. */
MUST_USE int dns_rdata_parse_words(uint16_t type, const struct dns_word *words, size_t count,
                                   const struct dns_name *origin, uint8_t *out, size_t *length,
                                   size_t *wrong);

/* ---- rdata_service.c, rdata_location.c */

MUST_USE int dns_rdata_put_service(struct dns_rdata_writer *writer, const struct dns_word *words,
                                   size_t count, size_t *wrong);
bool dns_service_is_valid(struct span parameters);
MUST_USE int dns_rdata_put_location(struct dns_rdata_writer *writer, const struct dns_word *words,
                                    size_t count, size_t *wrong);

/* "300", "5m", "1h30m", "2w": whether it is one, below 2^31. */
bool dns_seconds_parse(struct span text, uint32_t *seconds);

#endif
