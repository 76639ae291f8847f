/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks to values, by longest prefix (R1: a client's address to its region). Built once, then read by any
 * number of threads: the tree is flat arrays, a look-up walks at most one node per bit of the longest prefix, and in a sealed tree
 * with many networks none of the first 16.
 */
#ifndef BASE_PREFIX_TREE_H
#define BASE_PREFIX_TREE_H

#include "base/address.h"

struct prefix_tree;

struct prefix_tree *prefix_tree_new(void);
void prefix_tree_free(struct prefix_tree *tree);

/* Values are below 2^31. A network that is there already gets the new value. */
void prefix_tree_put(struct prefix_tree *tree, const struct network *network, uint32_t value);

/* No network will follow: a table of the first 16 bits is made where the tree is large. */
void prefix_tree_seal(struct prefix_tree *tree);

/* The value of the longest network that has the address, or -1; its length goes to `bits` (NULL: not wanted). For no
 * match `bits` is the length of the longest prefix of the address that holds no network, so that an answer can be scoped (RFC 7871). */
int64_t prefix_tree_find(const struct prefix_tree *tree, const struct address *address,
                         unsigned *bits);

size_t prefix_tree_count(const struct prefix_tree *tree); /* networks in it */

#endif
