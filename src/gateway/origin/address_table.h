/* SPDX-License-Identifier: Apache-2.0
 *
 * Things by address, where a gateway has thousands of origins: chains that are looked through, and grow in number with what is in them. Several
 * things may have the same address.
 */
#ifndef GATEWAY_ADDRESS_TABLE_H
#define GATEWAY_ADDRESS_TABLE_H

#include "base/address.h"
#include "base/list.h"

/* Zero-initialised is empty. */
struct address_table {
    struct list *chains;
    uint32_t chain_count; /* a power of two, or 0 */
    uint32_t count;
};

/* Embedded in the thing. */
struct address_table_item {
    struct list link;
    uint64_t hash;
};

void address_table_add(struct address_table *table, struct address_table_item *item,
                       const struct address *address);
void address_table_remove(struct address_table *table, struct address_table_item *item);
/* Those that may have that address, one after another; NULL: no more. */
struct address_table_item *address_table_first(const struct address_table *table,
                                               const struct address *address);
struct address_table_item *address_table_next(const struct address_table *table,
                                              const struct address_table_item *item);
void address_table_clear(struct address_table *table); /* nothing is in it any more */

#endif
