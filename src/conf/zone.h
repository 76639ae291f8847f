/* SPDX-License-Identifier: Apache-2.0
 *
 * Zones: their records, levels, signatures and copies (docs/dns-zones.md, docs/dns-dnssec.md, docs/dns-levels.md). Part of conf.h.
 */
#ifndef CONF_ZONE_H
#define CONF_ZONE_H

#include "conf/bounds.h"
#include "conf/values.h"

struct conf_record {
    const char *owner; /* fully qualified, lower case, with the final dot */
    const char *type;  /* one that dns_type_number() knows, but SOA */
    uint32_t ttl_s;
    const char *data; /* presentation form; relative names are relative to the zone */
    uint32_t line;    /* in the file, for errors of later stages */
};

enum conf_algorithm { CONF_ECDSAP256SHA256 = 13, CONF_ED25519 = 15 };
enum conf_denial { CONF_DENIAL_NSEC, CONF_DENIAL_COMPACT };

/* A zone whose answers are signed. What was read of the files is there where `has_files`: in a process that signs. */
struct conf_dnssec {
    enum conf_algorithm algorithm; /* CONF_ECDSAP256SHA256 */
    const char *secret_path;       /* 32 bytes that keys are derived from; NULL: none */
    struct conf_texts keys;        /* key files in BIND's form, without their suffix */
    uint32_t *ksks;                /* numbers of derived key signing keys: 1 */
    size_t ksk_count;
    const char *signed_keys_path; /* signatures over the keys, made elsewhere; NULL: none */
    bool is_single;               /* false: one key for keys and records, which does not roll */
    bool has_cds;                 /* true */
    enum conf_denial denial;      /* CONF_DENIAL_NSEC */
    uint32_t period_s, overlap_s, validity_s; /* 90 days, 14 days, 3 days */
    bool has_files;
    uint8_t secret[CONF_KEY_BYTES];
    struct span *key_secrets, *key_records; /* of each of `keys`: X.private, X.key */
    struct span signed_keys;
};

enum conf_tsig_algorithm { CONF_TSIG_SHA1, CONF_TSIG_SHA256, CONF_TSIG_SHA384, CONF_TSIG_SHA512 };

/* A key that zone transfers are signed with (RFC 8945). */
struct conf_tsig {
    const char *name;                   /* with the final dot */
    enum conf_tsig_algorithm algorithm; /* SHA256 */
    const char *secret_path;
    uint8_t secret[CONF_TSIG_BYTES];
    size_t secret_length; /* 0: not of this process */
};

/* Who may copy a zone. */
struct conf_transfer {
    struct conf_networks allow;    /* none: any that has a key */
    struct conf_texts key_names;   /* with the final dot */
    const struct conf_tsig **keys; /* derived; one of them is needed where there is any */
    size_t key_count;
    struct conf_addresses notify; /* told of each new version */
    uint32_t journal_bytes;       /* 16 MiB: of differences kept for IXFR */
    bool leaves_out_computed;     /* false: computed names go with their present answer */
};

/* Clients of a region get an alias into this zone (R3). */
struct conf_level {
    const char *region;
    const char *zone_name;        /* with the final dot */
    const struct conf_zone *zone; /* derived: below the one that has the level */
};

struct conf_zone {
    const char *name;           /* with the final dot */
    struct conf_dnssec *dnssec; /* NULL: not signed */
    const char *primary;        /* MNAME */
    const char *contact;        /* RNAME, as a name */
    struct conf_texts ns;
    uint32_t serial, refresh_s, retry_s, expire_s, negative_ttl_s; /* 1 3600 600 604800 60 */
    uint32_t ttl_s;                                                /* default for records, 3600 */
    struct conf_record *records;
    size_t record_count;
    const char *file_path;   /* NULL: no zone file */
    struct conf_file *files; /* it and what it includes, with the dns role only */
    size_t file_count;
    struct conf_transfer *transfer; /* NULL: nobody may copy it */
    struct conf_level *levels;
    size_t level_count;
    uint32_t level_ttl_s;              /* of the aliases, 60 */
    const struct conf_zone *upper;     /* derived: the one that has it as a level; NULL: none */
    const struct conf_zone *enclosing; /* derived: the deepest that it lies in; NULL: none */
};

#endif
