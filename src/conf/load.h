/* SPDX-License-Identifier: Apache-2.0
 *
 * What the steps of conf_load() share: read the items into structs (read.c), fill what follows from other settings (derive.c),
 * check relations (check.c). Every address of a member that the file set has a place, so that a later step can say
 * where it came from.
 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "conf/report.h"
#include "conf/schema.h"
#include "conf/table.h"
#include "conf/tree.h"

struct loader {
    struct conf *conf;
    const struct conf_reader *reader;
    const char *folder; /* of the file, with the final slash; "" for the current one */
    struct report report;
    struct arena scratch; /* gone when loading is done */
    struct table places;
    struct table names[3]; /* of nodes, sites and borders, for references */
};

/* Look-up tables of a finished snapshot. */
struct conf_index {
    struct table nodes, keys, sites, hosts;
};

/* Memory of a large file, unmapped with the snapshot. */
struct conf_memory {
    struct span content;
    struct conf_memory *next;
};

/* The settings of a section from `item` (NULL: only the defaults) into the struct at `base`. */
void read_section(struct loader *loader, const struct section *section, const struct item *item,
                  struct place place, void *base);
/* Arrays and names of all nodes and sites first: whatever is read later may refer to any of them. */
void declare_names(struct loader *loader, const struct item *root);

void place_set(struct loader *loader, const void *member, struct place place);
/* Where the member was set, or {0, 0}. */
struct place place_of(const struct loader *loader, const void *member);
/* The first of the two that the file has. */
struct place place_or(const struct loader *loader, const void *member, const void *otherwise);
static inline bool is_set(const struct loader *loader, const void *member)
{
    return place_of(loader, member).line != 0;
}

/* Defaults that follow from other settings. */
void derive(struct loader *loader);
/* Files that the configuration names: keys of this process's node, maps. */
void read_files(struct loader *loader, const char *node);
/* One that may be large, told of in `why`; or told of as below. */
int read_large(struct loader *loader, const char *path, struct span *content, struct text *why);
/* One that may be large; `content` lasts as long as the snapshot. An error is reported at `member`'s place as one of `setting`. */
void read_large_file(struct loader *loader, const void *member, const char *setting,
                     const char *path, struct span *content);
/* Of this node's DNS server: secrets of cookies, certificate and key. */
void read_dns_files(struct loader *loader, struct conf_dns *dns);
/* Of these, the secrets of TSIG keys, and zone files. */
void read_tsig_files(struct loader *loader);
void read_zone_files(struct loader *loader);
/* levels.c */
void derive_levels(struct loader *loader);
void check_levels(struct loader *loader);
void check_served_zones(struct loader *loader);
/* Keys of zones, in a process that signs (dnssec.c). */
void read_zone_keys(struct loader *loader);
void wipe_zone_keys(struct conf_dnssec *dnssec); /* NULL is fine */
void check_dnssec(struct loader *loader);
void compile_rules(struct loader *loader); /* of the sites (rules.c) */
/* Request types, and what is done about origins that fail (failure.c). */
void compile_types(struct loader *loader);
void check_failure(struct loader *loader);
void build_index(struct conf *conf);
void check_relations(struct loader *loader);
void check_exits(struct loader *loader); /* borders, content servers, front ends */

/* Health checks and probes (probe.c): what they take from other settings, their files, their relations. */
void derive_probes(struct loader *loader);
void read_probe_files(struct loader *loader);
void check_health(struct loader *loader);
void check_probe(struct loader *loader);

/* How gateways speak to origins (origin.c): files of this gateway's sites, and relations. */
void read_origin_files(struct loader *loader);
void wipe_origin_keys(struct conf_site *site);
void check_origin_settings(struct loader *loader);

/* What edges fetch ahead (prefetch.c): the file, and the lists of sites. */
void read_prefetch_file(struct loader *loader);
void check_prefetch(struct loader *loader);

/* Origins and which of them gets a request (balance.c): secrets of sessions, relations. */
void derive_balance(struct loader *loader);
void read_session_secrets(struct loader *loader);
void wipe_session_secrets(struct conf_site *site);
void check_balance(struct loader *loader);

/* The queue in front of them (queue.c). */
void derive_queue(struct loader *loader);
void check_queue(struct loader *loader);

/* Visitors' TLS (tls_files.c): certificates and keys of this node's sites, and relations. */
void read_tls_files(struct loader *loader);
enum { TLS_FILE_BYTES = 1 << 20 };
/* One file, told of by the name and the place of its setting. False: it could not be read, which is reported. */
bool read_tls_file(struct loader *loader, const char *setting, const char *const *path,
                   bool is_secret, size_t limit, struct span *out);
/* Whether certificate and key are good and fit together, and the dates; NULL: reported. */
struct tls_certificate;
struct tls_certificate *judge_tls_pair(struct loader *loader, const char *const *certificate_path,
                                       const char *const *key_path, struct span chain,
                                       struct span key);
void wipe_tls_keys(struct conf_site *site);
void check_tls(struct loader *loader);

/* ACME (acme.c): who takes part, what is in the node's folder, the secrets of ordering, relations. */
void derive_acme(struct loader *loader);
void read_acme_files(struct loader *loader);
void read_acme_site(struct loader *loader, struct conf_site *site);
void wipe_acme_keys(struct conf_acme *acme);
void check_acme(struct loader *loader, const struct conf_site *site);

/* A path of the file: relative ones are relative to its folder. */
const char *resolve_path(struct loader *loader, struct span path);

/* Domain names: [a-z0-9_-] labels. Writes the lower-case form with the final dot; a name that does not end in a dot gets `origin` (with its
 * final dot) behind it, or only the dot when `origin` is NULL. False: not a name. */
enum { DOMAIN_TEXT_BYTES = 256 };
bool domain_parse(struct span text, const char *origin, bool can_be_wildcard,
                  char out[DOMAIN_TEXT_BYTES]);

/* "owner [ttl] [IN] type data" into a record, names as written. NULL, or a sentence. */
const char *record_parse(struct arena *arena, struct span text, struct conf_record *record);
/* Makes the owner absolute and checks that the data has the form of its type. NULL, or a sentence. */
const char *record_finish(struct arena *arena, const char *zone, struct conf_record *record);

#endif
