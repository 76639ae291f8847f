/* SPDX-License-Identifier: Apache-2.0
 *
 * The compiled tree: binary, every node with two children, places only in its leaves. So the depth of the leaf at which a walk ends is
 * the length of the longest prefix that has one place: what an answer may be scoped by. Children lie before
 * their parents, the right one beside its own.
 */
#include "base/memory.h"
#include "maps/private.h"

enum {
    JUMP_BITS = 16,
    JUMPS = 1 << JUMP_BITS,
    JUMP_NODES = 4096, /* a tree that is worth the table */
};

uint32_t maps_tree_join(struct tree *tree, uint32_t left, uint32_t right)
{
    if (left == right && (left & (uint32_t)TREE_LEAF))
        return left;
    if (tree->count == tree->capacity) {
        tree->capacity = tree->capacity ? tree->capacity * 2 : 64;
        tree->nodes = memory_resize(tree->nodes, tree->capacity, sizeof *tree->nodes);
    }
    tree->nodes[tree->count] = (struct tree_node){{left, right}};
    return tree->count++;
}

static void fill_jumps(struct tree *tree, uint32_t at, unsigned depth, uint32_t prefix)
{
    if (depth < JUMP_BITS && !(at & (uint32_t)TREE_LEAF)) {
        fill_jumps(tree, tree->nodes[at].child[0], depth + 1, prefix);
        fill_jumps(tree, tree->nodes[at].child[1], depth + 1,
                   prefix | 1u << (JUMP_BITS - 1 - depth));
        return;
    }
    uint32_t end = prefix + (1u << (JUMP_BITS - depth));
    for (uint32_t i = prefix; i < end; i++)
        tree->jumps[i] = (struct tree_jump){at, (uint8_t)depth};
}

void maps_tree_seal(struct tree *tree, uint32_t root)
{
    tree->root = root;
    if (tree->count) {
        tree->capacity = tree->count;
        tree->nodes = memory_resize(tree->nodes, tree->capacity, sizeof *tree->nodes);
    }
    if (tree->count < JUMP_NODES)
        return;
    tree->jumps = memory_raw(JUMPS * sizeof *tree->jumps);
    fill_jumps(tree, root, 0, 0);
}

uint32_t maps_tree_find(const struct tree *tree, const struct address *address, unsigned *bits)
{
    uint32_t at = tree->root;
    unsigned depth = 0;
    if (tree->jumps) {
        const struct tree_jump *jump = &tree->jumps[address->bytes[0] << 8 | address->bytes[1]];
        at = jump->at;
        depth = jump->depth;
    }
    for (; !(at & (uint32_t)TREE_LEAF); depth++)
        at = tree->nodes[at].child[address->bytes[depth / 8] >> (7 - depth % 8) & 1];
    *bits = depth;
    return at & ~(uint32_t)TREE_LEAF;
}

uint64_t maps_tree_bytes(const struct tree *tree)
{
    return (uint64_t)tree->capacity * sizeof *tree->nodes +
           (tree->jumps ? JUMPS * sizeof *tree->jumps : 0);
}

void maps_tree_clear(struct tree *tree)
{
    memory_free(tree->nodes);
    memory_free(tree->jumps);
    *tree = (struct tree){0};
}
