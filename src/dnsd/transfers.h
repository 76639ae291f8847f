/* SPDX-License-Identifier: Apache-2.0
 *
 * Zone transfers: the table (transfers.c), a transfer on a connection and signed queries (transfer.c), NOTIFY (notify.c).
 */
#ifndef DNSD_TRANSFERS_H
#define DNSD_TRANSFERS_H

#include "dnsd/private.h"

enum {
    DNSD_JOURNAL_STEPS = 256,   /* versions that a journal goes back */
    DNSD_TRANSFERS_LIMIT = 64,  /* at once; further ones are refused, and come again */
    DNSD_NOTIFIES_LIMIT = 4096, /* under way */
};

struct step;

/* A zone that may be copied. */
struct dnsd_copied {
    struct dns_name name; /* lower case */
    const struct dns_zone *zone;
    struct network *allow;
    size_t allow_count;
    const struct dns_tsig_key **keys;
    size_t key_count;
    bool needs_key, leaves_out_computed, is_signed;
    struct address *notify;
    size_t notify_count;
    uint32_t journal_limit;                    /* bytes */
    struct step **steps;                       /* oldest first */
    const struct dns_difference **differences; /* theirs */
    size_t step_count;
};

struct dnsd_transfers {
    struct dns_tsig_key *keys;
    size_t key_count;
    struct dnsd_copied *zones; /* by zone */
    size_t zone_count;
};

/* NULL: not for anybody. */
const struct dnsd_copied *dnsd_transfers_find(const struct dnsd_transfers *transfers,
                                              const struct dns_zone *zone);
bool dnsd_copied_allows(const struct dnsd_copied *zone, const struct address *client,
                        const struct dns_tsig_key *key);

#endif
