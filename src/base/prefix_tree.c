/* SPDX-License-Identifier: Apache-2.0
 *
 * Two binary tries, one per family, over arrays of nodes.
 */
#include "base/prefix_tree.h"

#include "base/memory.h"

enum { NO_VALUE = -1 };

struct node {
    uint32_t child[2]; /* 0: none (the root is nobody's child) */
    int32_t value;
};

struct trie {
    struct node *nodes;
    uint32_t count, capacity;
};

struct prefix_tree {
    struct trie ipv4, ipv6;
    size_t networks;
};

static uint32_t add_node(struct trie *trie)
{
    if (trie->count == trie->capacity) {
        trie->capacity = trie->capacity ? trie->capacity * 2 : 64;
        trie->nodes = memory_resize(trie->nodes, trie->capacity, sizeof *trie->nodes);
    }
    trie->nodes[trie->count] = (struct node){.value = NO_VALUE};
    return trie->count++;
}

struct prefix_tree *prefix_tree_new(void)
{
    struct prefix_tree *tree = NEW(struct prefix_tree);
    add_node(&tree->ipv4);
    add_node(&tree->ipv6);
    return tree;
}

void prefix_tree_free(struct prefix_tree *tree)
{
    if (!tree)
        return;
    memory_free(tree->ipv4.nodes);
    memory_free(tree->ipv6.nodes);
    memory_free(tree);
}

static unsigned bit_of(const struct address *address, unsigned index)
{
    return address->bytes[index / 8] >> (7 - index % 8) & 1;
}

void prefix_tree_put(struct prefix_tree *tree, const struct network *network, uint32_t value)
{
    struct trie *trie = network->address.family == 4 ? &tree->ipv4 : &tree->ipv6;
    uint32_t at = 0;
    for (unsigned i = 0; i < network->bits; i++) {
        unsigned bit = bit_of(&network->address, i);
        uint32_t child = trie->nodes[at].child[bit];
        if (!child) {
            child = add_node(trie);
            trie->nodes[at].child[bit] = child;
        }
        at = child;
    }
    if (trie->nodes[at].value == NO_VALUE)
        tree->networks++;
    trie->nodes[at].value = (int32_t)value;
}

int64_t prefix_tree_find(const struct prefix_tree *tree, const struct address *address,
                         unsigned *bits)
{
    const struct trie *trie = address->family == 4 ? &tree->ipv4 : &tree->ipv6;
    int32_t found = NO_VALUE;
    unsigned found_bits = 0, depth = 0, most = address_bits(address);
    for (uint32_t at = 0;;) {
        const struct node *node = &trie->nodes[at];
        if (node->value != NO_VALUE) {
            found = node->value;
            found_bits = depth;
        }
        if (depth == most)
            break;
        at = node->child[bit_of(address, depth)];
        depth++;
        if (!at)
            break;
    }
    if (bits)
        *bits = found == NO_VALUE ? depth : found_bits;
    return found;
}

size_t prefix_tree_count(const struct prefix_tree *tree)
{
    return tree->networks;
}
