/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of signed zones: from the configuration, and as time goes by (docs/dns-dnssec.md).
 */
#ifndef DNSD_KEYS_H
#define DNSD_KEYS_H

#include "base/text.h"
#include "conf/conf.h"
#include "dns/dns.h"

struct dnsd_keys;

/* NULL: sentences in `why`. Zones whose files this process has not read get no keys. */
struct dnsd_keys *dnsd_keys_new(const struct conf *conf, struct text *why);
void dnsd_keys_free(struct dnsd_keys *keys);

/* For the builder: which zones are signed, and DS records in zones above them. */
void dnsd_keys_add(const struct dnsd_keys *keys, struct dns_builder *builder);
/* The zones are finished: makes the keysets that are in force at `wall_s`. */
void dnsd_keys_bind(struct dnsd_keys *keys, const struct dns_zones *zones, uint32_t wall_s);
/* Publishes what has changed; every second or so, on one thread. True: copies of a zone are to be made anew, by their serial. */
bool dnsd_keys_turn(struct dnsd_keys *keys, uint32_t wall_s);

/* What the answers share, which stays the caller's; and what they are signed by, NULL: nothing. */
void dnsd_keys_share(struct dnsd_keys *keys, struct dns_signatures *signatures,
                     struct dns_budget *budget);
const struct dns_signing *dnsd_keys_signing(const struct dnsd_keys *keys);

/* ,"signed_zones":[{"name":...}] */
void dnsd_keys_write(const struct dnsd_keys *keys, uint32_t wall_s, struct text *json);

/* For the command line. */
/* DS records of a zone, in the form of zone files. ERROR_NOT_FOUND: it is none of ours, or not signed. */
MUST_USE int dnsd_keys_write_ds(const struct dnsd_keys *keys, const struct dns_name *zone,
                                struct text *text);
/* The key sets that the zone will have, for a key signing key elsewhere to sign (offline.c). ERROR_INVALID: they do not
 * roll. */
MUST_USE int dnsd_keys_write_request(struct dnsd_keys *keys, const struct dns_name *zone,
                                     uint32_t from_s, uint32_t until_s, struct text *text);

void dnsd_key_write(const struct dns_key *key, const char *zone, uint32_t ttl_s, struct text *text);

#endif
