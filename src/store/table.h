/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/store: a hash table that grows by one chain with each item (linear hashing, Litwin 1980), over segments that double and never
 * move: no call ever stops for a rehash, however large the table. Items embed a node; equality is the caller's.
 */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum { TABLE_SEGMENTS = 27, TABLE_FIRST = 64 }; /* chains of the first segment */

struct table_node {
    struct table_node *next;
    uint64_t hash;
};

struct table {
    struct table_node **segments[TABLE_SEGMENTS];
    uint64_t chains, count;
};

void table_init(struct table *table);
void table_clear(struct table *table); /* when it is empty */
/* In front of its chain. Splits one chain, which moves nodes to a chain behind all others. */
void table_add(struct table *table, struct table_node *node);
void table_remove(struct table *table, struct table_node *node);
/* The first node with that hash behind `after` (NULL: of all). */
struct table_node *table_next(const struct table *table, uint64_t hash,
                              const struct table_node *after);
struct table_node *table_chain(const struct table *table, uint64_t index); /* < chains */
uint64_t table_bytes(const struct table *table);

#endif
