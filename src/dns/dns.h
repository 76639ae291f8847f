/* SPDX-License-Identifier: Apache-2.0
 *
 * The DNS: names, records, zones, and the answer to a query, from bytes to bytes (R1, R5; RFC 1034, 1035, 2181,
 * 2308, 4592, 6891, 7828, 7871, 7873, 8020, 8482, 8906, 8914, 9018, 9471). Pure: no socket, clock or allocation on the way
 * of a query.
 *
 * Zones are built once, at load, and never change; any number of threads reads them. An owner name may be
 * *computed*: its A and AAAA records then come from the caller's current ranking instead of the zone.
 */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include "base/address.h"
#include "base/error.h"
#include "base/prefix_tree.h"
#include "base/span.h"
#include "base/text.h"
#include "dns/dnssec.h"

/* ---- names ---- */

enum {
    DNS_NAME_LIMIT = 255, /* bytes on the wire with the root label, RFC 1035 section 2.3.4 */
    DNS_LABEL_LIMIT = 63,
    DNS_NAME_TEXT_BYTES = 1024, /* every byte may become \DDD */
};

/* A name in wire form, never compressed. */
struct dns_name {
    uint8_t length; /* 1 for the root */
    uint8_t labels; /* without the root label: 0 for the root */
    uint8_t wire[DNS_NAME_LIMIT];
};

/* "www.example.org", with or without the final dot, with \. and \DDD. Without a final dot `origin` (when not
 * NULL) is appended; "@" is then the origin itself. 0, ERROR_INVALID or ERROR_LIMIT. */
MUST_USE int dns_name_parse(struct span text, const struct dns_name *origin, struct dns_name *name);

/* Reads a name at `*offset` of a message, following compression pointers, which must point backwards; `*offset`
 * moves behind it. Case is kept. 0, ERROR_INVALID, ERROR_INCOMPLETE or ERROR_LIMIT. */
MUST_USE int dns_name_read(struct span message, size_t *offset, struct dns_name *name);

/* Without the final dot, except for the root. Returns `out`. */
const char *dns_name_text(const struct dns_name *name, char out[DNS_NAME_TEXT_BYTES]);

void dns_name_lower(struct dns_name *name);
bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);         /* without case */
bool dns_name_is_within(const struct dns_name *name, const struct dns_name *of); /* or equal */

/* ---- types ---- */

enum dns_type_number {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_HINFO = 13,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_RP = 17,
    DNS_AAAA = 28,
    DNS_LOC = 29,
    DNS_SRV = 33,
    DNS_NAPTR = 35,
    DNS_DNAME = 39,
    DNS_OPT = 41,
    DNS_DS = 43,
    DNS_SSHFP = 44,
    DNS_RRSIG = 46,
    DNS_NSEC = 47,
    DNS_DNSKEY = 48,
    DNS_NSEC3 = 50,
    DNS_NSEC3PARAM = 51,
    DNS_TLSA = 52,
    DNS_SMIMEA = 53,
    DNS_CDS = 59,
    DNS_CDNSKEY = 60,
    DNS_OPENPGPKEY = 61,
    DNS_SVCB = 64,
    DNS_HTTPS = 65,
    DNS_SPF = 99,
    DNS_NXNAME = 128, /* RFC 9824: in bitmaps only */
    DNS_TSIG = 250,
    DNS_IXFR = 251,
    DNS_AXFR = 252,
    DNS_ANY = 255,
    DNS_URI = 256,
    DNS_CAA = 257,
    DNS_ALIAS =
        65401, /* of PowerDNS: stands for the addresses of another name, never on the wire */
};

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_YXDOMAIN = 6,
    DNS_BADVERS = 16,
    DNS_BADCOOKIE = 23,
    DNS_RCODES = 24, /* size of a table of counters */
};

enum {
    DNS_RDATA_LIMIT = 16384, /* bytes of one record's data that a zone may hold */
    DNS_TYPE_TEXT_BYTES = 16,
};

/* The number of a type that zones may hold ("AAAA", "TYPE65280"), or 0; and the name of a number in the table, or NULL. */
uint16_t dns_type_number(struct span name);
const char *dns_type_name(uint16_t number);
const char *dns_type_text(uint16_t number,
                          char out[DNS_TYPE_TEXT_BYTES]); /* "TYPE65280" for others */

/* A record's data from its zone-file form ("10 mail.example."), or for any type that of RFC 3597 ("\# 2 c0de"). 0,
 * ERROR_INVALID, ERROR_LIMIT, or ERROR_UNSUPPORTED for a type that is not in the table. */
MUST_USE int dns_rdata_parse(uint16_t type, struct span text, const struct dns_name *origin,
                             uint8_t out[DNS_RDATA_LIMIT], size_t *length);

/* ---- zone files ---- */

/* Where a zone file's records go. */
struct dns_zonefile {
    const char *path; /* for sentences, and for the folder that files may be included from */
    const struct dns_name *apex; /* the first origin */
    void *context;
    /* The text of an included file, valid until the parsing ends. 0, or a negative error with a sentence in `why`. */
    int (*include)(void *context, const char *path, struct span *content, struct text *why);
    void (*on_record)(void *context, const struct dns_name *owner, uint16_t type, uint32_t ttl_s,
                      struct span rdata);
    /* A record whose owner is outside of the zone, and which is left out. */
    void (*on_stray)(void *context, const struct dns_name *owner, const char *path, uint32_t line);
};

/* RFC 1035 section 5. 0, or ERROR_INVALID with a line "file:line:column: sentence" for each mistake. */
MUST_USE int dns_zonefile_parse(const struct dns_zonefile *zonefile, struct span text,
                                struct text *complaints);

enum { DNS_PATH_BYTES = 1024 };

/* The next file at or behind `*at` that the text includes from the folder of the zone file `top`; false: no more. For those
 * who gather files without reading records: a line that looks like it is enough. */
bool dns_zonefile_find_include(struct span text, size_t *at, const char *top,
                               char path[DNS_PATH_BYTES]);

/* ---- zones ---- */

struct dns_zones;   /* all zones of a server; immutable */
struct dns_builder; /* zones in the making */

/* `seed` keys the hash table: random, since strangers choose the names that are looked up. */
struct dns_builder *dns_builder_new(uint64_t seed);
void dns_builder_free(struct dns_builder *builder);

/* Every record belongs to the deepest zone whose apex is at or above its owner, whatever the order of calls.
 * What cannot be right is remembered as a sentence and told by dns_builder_finish(). */
void dns_builder_add_zone(struct dns_builder *builder, const struct dns_name *apex);
void dns_builder_add(struct dns_builder *builder, const struct dns_name *owner, uint16_t type,
                     uint32_t ttl_s, struct span rdata);
void dns_builder_add_text(struct dns_builder *builder, const struct dns_name *owner,
                          const char *type, uint32_t ttl_s, const char *rdata,
                          const struct dns_name *origin);
void dns_builder_add_computed(struct dns_builder *builder, const struct dns_name *owner,
                              uint32_t site);

/* Rows between these two are of the zone's own file. There what belongs to a zone below it, or is the address of a site's
 * host, is left out with a sentence in `warnings` (valid until the end), and what lies below a delegation is kept though nobody
 * sees it. */
void dns_builder_begin_file(struct dns_builder *builder, const struct dns_name *apex,
                            struct text *warnings);
void dns_builder_end_file(struct dns_builder *builder);

/* Answers of a zone that was added are signed; `is_compact`: without a chain of its names (dns/dnssec.h). */
void dns_builder_sign_zone(struct dns_builder *builder, const struct dns_name *apex,
                           bool is_compact);

/* Whether a zone that was added holds the name. */
bool dns_builder_has(const struct dns_builder *builder, const struct dns_name *name);

/* The zones, or NULL with one sentence a line in `complaints`. The builder is gone either way. */
struct dns_zones *dns_builder_finish(struct dns_builder **builder, struct text *complaints);

/* The number that a name was added with as computed, wildcards included; false: it is none of these. */
bool dns_zones_computed(const struct dns_zones *zones, const struct dns_name *name,
                        uint32_t *number);

void dns_zones_free(struct dns_zones *zones);
size_t dns_zones_count(const struct dns_zones *zones);
size_t dns_zones_names(const struct dns_zones *zones);
/* The place of a zone in tables beside the zones: 0 to dns_zones_count() - 1, or ERROR_NOT_FOUND. */
int dns_zones_number(const struct dns_zones *zones, const struct dns_name *apex);

/* ---- answers ---- */

enum {
    DNS_HEADER_BYTES = 12,
    DNS_UDP_PLAIN_BYTES = 512, /* without EDNS */
    DNS_UDP_BYTES = 1232,      /* with EDNS we neither send nor announce more (no fragments) */
    DNS_TCP_BYTES = 65535,
    DNS_ADDRESSES_LIMIT = 3, /* of each family in a computed answer (R5) */
};

/* What a computed name answers to one client. */
struct dns_addresses {
    uint32_t ttl_s;
    uint8_t ipv4_count, ipv6_count;
    uint8_t ipv4[DNS_ADDRESSES_LIMIT][4];
    uint8_t ipv6[DNS_ADDRESSES_LIMIT][16];
};

enum {
    DNS_TEXTS_LIMIT = 4, /* in a computed answer */
    DNS_TEXT_BYTES = 44, /* of one: its length, and 43 characters */
};

/* TXT records that a computed name has for now, in the form of their data. */
struct dns_texts {
    uint8_t count;
    uint8_t items[DNS_TEXTS_LIMIT][DNS_TEXT_BYTES];
};

/* Whom an answer is for: the sender of the query, or the network that it asks for (RFC 7871). */
struct dns_client {
    struct address address; /* zero behind `bits`, no port */
    uint8_t bits;
    bool is_subnet; /* EDNS Client Subnet said so */
};

/* What a computed name answers to a client: addresses, or an alias to a name that another level answers for (R3); with
 * neither the answer is SERVFAIL. All of it stays valid until dns_answer() returns. */
struct dns_choice {
    const struct dns_addresses *addresses;
    struct dns_addresses room;     /* for a source that puts them together for each query */
    const struct dns_texts *texts; /* beside addresses; NULL: none */
    const struct dns_name *alias;  /* lower case */
    uint32_t alias_ttl_s;
    uint8_t scope_bits; /* how many bits of the client's address decided; 0: none */
    bool
        alias_varies; /* some clients get an alias, so that what the name lacks depends on them too */
};

/* ---- what a server is set to ---- */

enum {
    DNS_SECRETS_LIMIT = 4,
    DNS_SECRET_BYTES = 16,
    DNS_IDENTITY_LIMIT = 64, /* bytes */
    DNS_SLIP_LIMIT = 15,
};

/* The first makes server cookies, all are accepted: all servers of an address get the next one before any makes cookies by it
 * (RFC 9018 section 5). */
struct dns_cookie_secrets {
    uint8_t count; /* 0: no cookies */
    uint8_t bytes[DNS_SECRETS_LIMIT][DNS_SECRET_BYTES];
};

/* Limits the rate of equal answers to a network; shared by all threads, without locks. */
struct dns_limiter;

struct dns_limiter_options {
    uint64_t seed;
    uint32_t rate;                /* answers a second, at least 1; as many at once */
    uint32_t slip;                /* every so many of those withheld is a small one; 0: none */
    uint32_t window_s;            /* how long a network is remembered that does not stop */
    uint8_t ipv4_bits, ipv6_bits; /* of a network; at most 64 */
    const struct network *exempt;
    size_t exempt_count;
};

struct dns_limiter *dns_limiter_new(const struct dns_limiter_options *options);
void dns_limiter_free(struct dns_limiter *limiter);

struct dns_settings {
    struct span identity; /* NSID (RFC 5001), id.server (RFC 4892); empty: not told */
    struct span version;  /* version.server */
    bool has_subnets;     /* EDNS Client Subnet counts (RFC 7871) */
    const struct prefix_tree *subnet_senders; /* of these; NULL: of everybody */
    struct dns_cookie_secrets cookies;
    bool is_cookie_required;     /* clients that know cookies must show a good one over UDP */
    uint16_t keepalive_100ms;    /* what TCP clients are told (RFC 7828) */
    struct dns_limiter *limiter; /* NULL: no limit */
};

/* Where answers come from. `find` fills in a choice that is zero; `expect` (may be NULL) hears of the client before the name is looked up,
 * so that what `find` will read can be on its way from memory. */
struct dns_source {
    const struct dns_zones *zones;
    const struct dns_settings *settings; /* NULL: nothing of it */
    void (*expect)(const void *context, const struct dns_client *client);
    void (*find)(const void *context, uint32_t site, const struct dns_client *client,
                 struct dns_choice *choice);
    const void *context;
    const struct dns_signing *signing; /* NULL: nothing is signed */
};

struct dns_request {
    struct span message;
    const struct address *client;
    bool is_tcp;
    uint32_t wall_s;           /* seconds since 1970, for cookies and signatures */
    uint64_t now_ns;           /* for what is limited */
    struct dns_signer *signer; /* of this thread; only where something is signed */
};

/* What the cookie of a query was (RFC 7873 section 5.2). */
enum dns_cookie_result { DNS_COOKIE_NONE, DNS_COOKIE_NEW, DNS_COOKIE_GOOD, DNS_COOKIE_BAD };
enum { DNS_COOKIE_RESULTS = 4 };

enum dns_limit { DNS_LIMIT_NONE, DNS_LIMIT_SLIPPED, DNS_LIMIT_DROPPED };
enum { DNS_LIMITS = 3 };

/* For counters. */
struct dns_outcome {
    uint8_t rcode; /* enum dns_rcode */
    bool is_truncated;
    bool is_malformed; /* also set when the message was dropped */
    bool has_tsig;   /* nothing was written: the signature is to be checked first, and taken off */
    bool is_notify;  /* somebody takes us for a secondary; refused */
    bool has_subnet; /* that counted */
    bool has_alias;  /* of a computed name, to another level */
    uint8_t cookie;  /* enum dns_cookie_result */
    uint8_t limit;   /* enum dns_limit */
};

/* Writes the answer and returns its length, at most `capacity` (DNS_UDP_BYTES are always enough over UDP); 0: nothing is to be
 * sent. `capacity` is at least DNS_UDP_PLAIN_BYTES. */
size_t dns_answer(const struct dns_source *source, const struct dns_request *request, uint8_t *out,
                  size_t capacity, struct dns_outcome *outcome);

/* ---- transaction signatures (RFC 8945) ---- */

/* Their numbers are those of crypto/'s enum mac_kind. */
enum { DNS_TSIG_SHA1, DNS_TSIG_SHA256, DNS_TSIG_SHA384, DNS_TSIG_SHA512, DNS_TSIG_ALGORITHMS };

enum {
    DNS_NOTAUTH = 9, /* of the header, where the signature is no good */
    DNS_TSIG_BADSIG = 16,
    DNS_TSIG_BADKEY = 17,
    DNS_TSIG_BADTIME = 18,
    DNS_TSIG_MAC_BYTES = 64,
    DNS_TSIG_FUDGE_S = 300,
    DNS_TSIG_LIMIT = 2 * DNS_NAME_LIMIT + 128, /* bytes of the record */
};

struct dns_tsig_key {
    struct dns_name name; /* lower case */
    unsigned algorithm;
    struct span secret;
    void (*mac)(unsigned algorithm, struct span key, const struct span *parts, size_t count,
                uint8_t out[DNS_TSIG_MAC_BYTES]);
};

struct dns_tsig_record {
    size_t offset; /* in the message, which is signed up to here */
    struct dns_name key_name, algorithm_name;
    unsigned algorithm; /* DNS_TSIG_ALGORITHMS: unknown */
    uint64_t time_s;
    uint16_t fudge_s, id, error;
    struct span mac, other; /* of the message */
};

/* A request's signature, and then the state of its answer, which may be many messages. */
struct dns_tsig {
    const struct dns_tsig_key *key; /* NULL: unknown */
    struct dns_tsig_record record;
    uint16_t error; /* 0: it is good */
    bool is_further;
    uint64_t now_s;
    size_t mac_bytes;
    uint8_t mac[DNS_TSIG_MAC_BYTES]; /* of the message before */
};

/* The message's last record where it is a signature. 0, ERROR_NOT_FOUND, or ERROR_INVALID. */
MUST_USE int dns_tsig_read(struct span message, struct dns_tsig_record *record);
void dns_tsig_check(struct span message, const struct dns_tsig_record *record,
                    const struct dns_tsig_key *keys, size_t count, uint64_t now_s,
                    struct dns_tsig *tsig);
/* For a request of our own. */
void dns_tsig_begin(struct dns_tsig *tsig, const struct dns_tsig_key *key, uint16_t id,
                    uint64_t now_s);
/* Room that dns_tsig_sign() needs behind the message at most. Returns the message's new length. */
size_t dns_tsig_bytes(const struct dns_tsig *tsig);
size_t dns_tsig_sign(struct dns_tsig *tsig, uint8_t *message, size_t length, uint64_t now_s);

/* ---- zone transfers (RFC 5936, 1995, 1996) ---- */

struct dns_zone;

/* The zone of exactly this name, or NULL; its serial. */
const struct dns_zone *dns_zones_zone(const struct dns_zones *zones, const struct dns_name *name);
uint32_t dns_zone_serial(const struct dns_zone *zone);
/* A name of the zone that is computed; false: there is none. */
bool dns_zone_computed(const struct dns_zone *zone, struct dns_name *name);
/* Its SOA record at this moment: where it is signed here and copied, its serial counts how often its copies were made anew, too. */
struct dns_rrset;
const struct dns_rrset *dns_zone_soa(const struct dns_zones *zones, const struct dns_zone *zone,
                                     const struct dns_signing *signing);
/* Whether `a` is newer than `b` (RFC 1982). */
bool dns_serial_is_newer(uint32_t a, uint32_t b);

/* From one version of a zone to the next. Immutable. */
struct dns_difference {
    uint32_t from, to; /* serials */
    size_t bytes;
    struct span removed, added; /* records, each behind its owner; SOA records first */
};

/* NULL: the two are alike, or longer than `limit_bytes` apart, or other names are computed. */
struct dns_difference *dns_difference_new(const struct dns_zones *old,
                                          const struct dns_zone *old_zone,
                                          const struct dns_zones *fresh,
                                          const struct dns_zone *fresh_zone, size_t limit_bytes);
void dns_difference_free(struct dns_difference *difference);
/* Whether anything but the serial differs. */
bool dns_zones_differ(const struct dns_zones *old, const struct dns_zone *old_zone,
                      const struct dns_zones *fresh, const struct dns_zone *fresh_zone);

struct dns_transfer_request {
    struct dns_name zone; /* lower case */
    uint16_t id, flags;
    bool is_incremental;
    uint32_t serial; /* that the client has */
};

/* Whether the message, without its signature, asks for a transfer. ERROR_NOT_FOUND: it does not. ERROR_INVALID: it does, badly. */
MUST_USE int dns_transfer_read(struct span message, struct dns_transfer_request *request);

enum dns_transfer_phase {
    DNS_TRANSFER_SOA,  /* the first */
    DNS_TRANSFER_ZONE, /* all records */
    DNS_TRANSFER_KEYS, /* what the keys of a signed zone add */
    DNS_TRANSFER_PROOFS,
    DNS_TRANSFER_DIFFERENCES,
    DNS_TRANSFER_LAST, /* the SOA again */
    DNS_TRANSFER_DONE,
};

/* A transfer on its way. What it refers to outlives it. */
struct dns_transfer {
    struct dns_transfer_request request;
    const struct dns_zones *zones;
    const struct dns_zone *zone;
    bool leaves_out_computed;
    enum dns_transfer_phase phase;
    const struct dns_node *node;
    unsigned set;                                    /* of the node, or of the keys */
    size_t link;                                     /* of the chain of proofs */
    uint32_t serial;                                 /* that the copy gets */
    const struct dns_difference *const *differences; /* that are left */
    size_t difference_count;
    bool is_adding;
    bool is_cut; /* there is no source any more, or the keys are others: what was sent is no copy */
    size_t offset; /* in the difference's records */
    uint64_t records;
};

/* `differences`: oldest first, without gaps, to the zone's present serial. */
void dns_transfer_begin(struct dns_transfer *transfer, const struct dns_transfer_request *request,
                        const struct dns_zones *zones, const struct dns_zone *zone,
                        const struct dns_difference *const *differences, size_t difference_count,
                        bool leaves_out_computed);

/* The next message: its length, 0 behind the last. `source` gives computed names their answers, and signed zones their keys (NULL: there is none
 * any more, see is_cut). Of the request the time and the signer count; NULL where nothing is signed. `capacity` is at least
 * DNS_TRANSFER_BYTES. */
enum { DNS_TRANSFER_BYTES = 60000 };
size_t dns_transfer_next(struct dns_transfer *transfer, const struct dns_source *source,
                         const struct dns_request *request, uint8_t *out, size_t capacity);

/* A message without records: an error in answer to a request, or NOTIFY. */
size_t dns_transfer_refuse(struct span message, unsigned rcode, uint8_t *out, size_t capacity);
size_t dns_notify_write(const struct dns_name *zone, const struct dns_rrset *soa, uint16_t id,
                        uint8_t *out, size_t capacity);
/* Whether the message acknowledges that NOTIFY. */
bool dns_notify_is_answered(struct span message, const struct dns_name *zone, uint16_t id);

#endif
