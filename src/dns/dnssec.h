/* SPDX-License-Identifier: Apache-2.0
 *
 * DNSSEC (RFC 4033-4035, 6605, 8080, 9077, 9824): answers are signed as they are given. dns/dns.h brings this header along.
 *
 * The server hands in three things: the keys of each zone at this moment (a keyset, swapped as keys roll), a store of
 * signatures that all threads share, and for each thread a signer. A signature is made when somebody asks for it first and
 * is then kept; a network that asks for more new ones than its budget gets none.
 */
#ifndef DNS_DNSSEC_H
#define DNS_DNSSEC_H

#include "base/address.h"
#include "base/span.h"

#include <stdatomic.h>

struct dns_name;

/* ---- keys ---- */

enum {
    DNS_ALGORITHM_P256 = 13,
    DNS_ALGORITHM_ED25519 = 15,
    DNS_SIGNATURE_BYTES = 64,
    DNS_PUBLIC_KEY_BYTES = 64, /* the longest */
    DNS_DNSKEY_BYTES = 4 + DNS_PUBLIC_KEY_BYTES,
    DNS_DS_BYTES = 4 + 32, /* digest type 2: SHA-256 */
    DNS_KEYS_LIMIT = 8,    /* of a zone at once */
    DNS_KEY_ZONE = 0x0100, /* flags, RFC 4034 section 2.1.1 */
    DNS_KEY_ENTRY = 0x0001,
    DNS_KEY_SIGNED_SETS_LIMIT = 64,
};

/* A key of a zone. `secret` means something to the signer only; NULL: we cannot sign with it. */
struct dns_key {
    uint16_t flags, tag;
    uint8_t algorithm;
    uint8_t public_length;
    uint8_t public_key[DNS_PUBLIC_KEY_BYTES];
    const void *secret;
};

/* The data of the key's DNSKEY record; returns its length, and dns_key_finish() sets the tag from it. */
size_t dns_key_write(const struct dns_key *key, uint8_t out[DNS_DNSKEY_BYTES]);
void dns_key_finish(struct dns_key *key);

/* The data of its DS record. `hash` is SHA-256 of the parts, one behind the other. */
typedef void dns_hash(const void *context, const struct span *parts, size_t count, uint8_t out[32]);
void dns_key_write_ds(const struct dns_key *key, const struct dns_name *zone, dns_hash *hash,
                      const void *context, uint8_t out[DNS_DS_BYTES]);

/* A key pair from the files X.key and X.private. NULL, or a sentence. */
const char *dns_key_file_parse(struct span record, struct span secret, const struct dns_name *zone,
                               struct dns_key *key, uint8_t private_key[32]);

/* A DNSKEY record of the zone, as in zone files. NULL, or a sentence. */
const char *dns_key_record_parse(struct span line, const struct dns_name *zone,
                                 struct dns_key *key);

/* What an offline key signing key has signed in advance: its DNSKEY record, and RRSIG records over the sets that there will
 * be. NULL, or a sentence. */
struct arena;
enum { DNS_SIGNED_KEYS_LIMIT = 4096 };
struct dns_signed_keys {
    struct dns_key keys[DNS_KEYS_LIMIT / 2];
    size_t key_count;
    struct span *given; /* data of the records, in the arena */
    size_t given_count;
};
const char *dns_signed_keys_parse(struct span text, const struct dns_name *zone,
                                  struct arena *arena, struct dns_signed_keys *signed_keys);

/* Which of the numbered keys of a zone exist at a time. Key n signs during [n * period, (n + 1) * period) since 1970, and
 * is published for `overlap` before and behind that (pre-publication, RFC 6781 section 4.1.1.1), so that servers which never
 * speak to each other agree. */
struct dns_rollover {
    uint32_t period_s, overlap_s; /* overlap at most half a period */
};
struct dns_rollover_state {
    uint32_t signing, first, last; /* numbers; published are first to last */
    uint32_t signing_gone_s;       /* when the signing one is published no longer */
    uint32_t change_s;             /* when any of this is different */
};
struct dns_rollover_state dns_rollover_at(const struct dns_rollover *rollover, uint32_t now_s);

struct dns_rrset;

/* The keys of a zone for a while, and the records that follow from them. Immutable. */
struct dns_keyset {
    uint64_t id; /* of secrets and settings: signatures of other keysets are none of this one's */
    const struct dns_key *keys;
    size_t key_count;
    const struct dns_key *zone_key; /* signs all but the sets below; one of `keys` */
    uint32_t zone_key_gone_s;       /* no signature by it may outlive this */
    const struct dns_key *entry_keys[DNS_KEYS_LIMIT]; /* sign DNSKEY, CDS and CDNSKEY */
    size_t entry_key_count;
    const struct dns_rrset *sets[3]; /* of these types, where there are any */
    size_t set_count;
    const struct span
        *given; /* data of RRSIG records over these, made elsewhere by keys that are offline */
    size_t given_count;
    const struct dns_rrset
        *soa; /* of a zone that is copied: the zone's own with `serial`; NULL: as it is */
    uint32_t serial;
    uint32_t validity_s; /* of a signature */
    bool is_compact;     /* denials of RFC 9824 instead of a chain of names that can be walked */
};

/* Copies of a signed zone are made anew so often, long before their signatures end: so many have passed since 1970 is added to
 * the zone's serial, by all servers alike. */
enum { DNS_COPY_S = 6 * 3600, DNS_COPY_VALIDITY_LEAST_S = 8 * DNS_COPY_S };

/* A keyset with the DNSKEY, CDS and CDNSKEY sets of `keys`; without delegation records when `has_cds` is false. All of
 * `form` is copied but for the keys' secrets. */
struct dns_keyset *dns_keyset_new(const struct dns_keyset *form, const struct dns_name *zone,
                                  uint32_t ttl_s, bool has_cds, dns_hash *hash,
                                  const void *context);
void dns_keyset_free(void *keyset);

/* What a signature over one of the keyset's own sets signs, for making and checking those of offline keys. `header` is RRSIG's
 * data up to its signature. The bytes lie in `memory`, which has DNS_KEYSET_MESSAGE_BYTES. */
enum { DNS_KEYSET_MESSAGE_BYTES = 8192 };
struct span dns_keyset_message(const struct dns_keyset *keyset, const struct dns_name *zone,
                               struct span header, void *memory);
/* RRSIG's data up to its signature over set number `set`; returns its length. */
enum { DNS_RRSIG_HEADER_BYTES = 18 + 255 };
size_t dns_keyset_rrsig(const struct dns_keyset *keyset, size_t set, const struct dns_name *zone,
                        const struct dns_key *key, uint32_t inception_s, uint32_t expiration_s,
                        uint8_t out[DNS_RRSIG_HEADER_BYTES]);

/* ---- signatures ---- */

/* Signatures that were made, for all threads: a table of fixed size, without locks. */
struct dns_signatures;
struct dns_signatures *dns_signatures_new(size_t bytes, uint64_t seed);
void dns_signatures_free(struct dns_signatures *signatures);

/* How many new signatures a client network (/24, /56) may cause. Shared by all threads, without locks. */
struct dns_budget;
struct dns_budget *dns_budget_new(uint64_t seed);
void dns_budget_free(struct dns_budget *budget);
struct dns_budget_limits {
    uint32_t per_s, burst; /* per_s 0: no limit */
};
/* Takes one; false: it is used up. */
bool dns_budget_take(struct dns_budget *budget, const struct dns_budget_limits *limits,
                     const struct address *client, uint64_t now_ns);

/* What is the same for all threads. */
struct dns_signing {
    void *_Atomic *keysets; /* struct dns_keyset, by dns_zones_number(); NULL: not signed */
    struct dns_signatures *signatures;
    struct dns_budget *budget;
    struct dns_budget_limits limits;
};

/* What belongs to one thread. */
struct dns_signer {
    void (*sign)(void *context, const struct dns_key *key, struct span message,
                 uint8_t signature[DNS_SIGNATURE_BYTES]);
    void *context;
    uint8_t *buffer; /* of `capacity`, for the message to sign; grows */
    size_t capacity;
    uint64_t made, kept, refused; /* signatures: made, found, and beyond the budget */
};
void dns_signer_clear(struct dns_signer *signer);

#endif
