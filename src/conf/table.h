/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table from bytes to pointers that only grows; its memory is an arena's. Read by any number of threads
 * once it is complete.
 */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

#include "base/arena.h"

struct table_slot;

/* Embed it; only `arena` needs to be set. */
struct table {
    struct arena *arena;
    struct table_slot *slots;
    size_t count, capacity; /* a power of two */
};

/* False, and nothing changed, when the key is there. The key's bytes must live as long as the table. */
bool table_put(struct table *table, struct span key, const void *value);
void *table_find(const struct table *table, struct span key); /* NULL: not there */

#endif
