/* SPDX-License-Identifier: Apache-2.0
 *
 * Two binary tries, one per family, over arrays of nodes. A large one has a table of where a walk stands after the first 16 bits:
 * each step of a walk is a read from memory that waits for the one before.
 */
#include "base/prefix_tree.h"

#include "base/error.h"
#include "base/memory.h"

enum {
    NO_VALUE = -1,
    JUMP_BITS = 16,
    JUMPS = 1 << JUMP_BITS,
    JUMP_NODES = 4096, /* a tree that is worth a table */
};

struct node {
    uint32_t child[2]; /* 0: none (the root is nobody's child) */
    int32_t value;
};

/* A walk: the best value above `at`, and its length. */
struct walk {
    uint32_t at; /* 0: it has ended, or not begun */
    int32_t found;
    uint8_t found_bits, depth;
};

struct trie {
    struct node *nodes;
    uint32_t count, capacity;
    struct walk *jumps; /* JUMPS of them, or NULL */
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
    memory_free(tree->ipv4.jumps);
    memory_free(tree->ipv6.nodes);
    memory_free(tree->ipv6.jumps);
    memory_free(tree);
}

static unsigned bit_of(const struct address *address, unsigned index)
{
    return address->bytes[index / 8] >> (7 - index % 8) & 1;
}

void prefix_tree_put(struct prefix_tree *tree, const struct network *network, uint32_t value)
{
    struct trie *trie = network->address.family == 4 ? &tree->ipv4 : &tree->ipv6;
    INVARIANT(!trie->jumps);
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

/* Goes on to a depth of `most`, or to where no network is below. The node at `most` itself is not looked at. */
static void go_on(const struct trie *trie, const struct address *address, unsigned most,
                  struct walk *walk)
{
    uint32_t at = walk->at;
    unsigned depth = walk->depth;
    while (depth < most) {
        const struct node *node = &trie->nodes[at];
        if (node->value != NO_VALUE) {
            walk->found = node->value;
            walk->found_bits = (uint8_t)depth;
        }
        at = node->child[bit_of(address, depth)];
        depth++;
        if (!at)
            break;
    }
    walk->at = at;
    walk->depth = (uint8_t)depth;
}

static void make_jumps(struct trie *trie)
{
    if (trie->count < JUMP_NODES)
        return;
    trie->jumps = memory_raw(JUMPS * sizeof *trie->jumps);
    for (uint32_t i = 0; i < JUMPS; i++) {
        const struct address address = {.bytes = {(uint8_t)(i >> 8), (uint8_t)i}};
        trie->jumps[i] = (struct walk){.found = NO_VALUE};
        go_on(trie, &address, JUMP_BITS, &trie->jumps[i]);
    }
}

void prefix_tree_seal(struct prefix_tree *tree)
{
    make_jumps(&tree->ipv4);
    make_jumps(&tree->ipv6);
}

int64_t prefix_tree_find(const struct prefix_tree *tree, const struct address *address,
                         unsigned *bits)
{
    const struct trie *trie = address->family == 4 ? &tree->ipv4 : &tree->ipv6;
    unsigned most = address_bits(address);
    struct walk walk = {.found = NO_VALUE};
    if (trie->jumps)
        walk = trie->jumps[address->bytes[0] << 8 | address->bytes[1]];
    if (walk.at || !walk.depth)
        go_on(trie, address, most, &walk);
    if (walk.at && trie->nodes[walk.at].value != NO_VALUE) {
        walk.found = trie->nodes[walk.at].value;
        walk.found_bits = (uint8_t)most;
    }
    if (bits)
        *bits = walk.found == NO_VALUE ? walk.depth : walk.found_bits;
    return walk.found;
}

size_t prefix_tree_count(const struct prefix_tree *tree)
{
    return tree->networks;
}
