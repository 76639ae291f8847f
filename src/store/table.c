/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear hashing over doubling segments: segment 0 holds chains 0 .. TABLE_FIRST - 1, segment n the chains from TABLE_FIRST << (n - 1) on.
 */
#include "store/table.h"

#include "base/memory.h"

static struct table_node **place(const struct table *table, uint64_t index)
{
    if (index < TABLE_FIRST)
        return &table->segments[0][index];
    unsigned top = 63 - (unsigned)__builtin_clzll(index); /* TABLE_FIRST is 1 << 6 */
    return &table->segments[top - 5][index - (UINT64_C(1) << top)];
}

/* Those below `chains - half` were split already. */
static uint64_t index_of(const struct table *table, uint64_t hash)
{
    uint64_t half = UINT64_C(1) << (63 - (unsigned)__builtin_clzll(table->chains));
    uint64_t index = hash & (2 * half - 1);
    return index < table->chains ? index : index - half;
}

void table_init(struct table *table)
{
    *table = (struct table){.chains = TABLE_FIRST};
    table->segments[0] = memory_new(TABLE_FIRST * sizeof(struct table_node *));
}

void table_clear(struct table *table)
{
    for (int i = 0; i < TABLE_SEGMENTS; i++)
        memory_free(table->segments[i]);
    *table = (struct table){0};
}

static void split_one(struct table *table)
{
    uint64_t fresh = table->chains, top = 63 - (unsigned)__builtin_clzll(fresh);
    if (top - 5 == TABLE_SEGMENTS)
        return; /* longer chains from here on */
    if (!table->segments[top - 5])
        table->segments[top - 5] = memory_new((UINT64_C(1) << top) * sizeof(struct table_node *));
    struct table_node **from = place(table, fresh - (UINT64_C(1) << top));
    struct table_node **to = place(table, fresh);
    table->chains++;
    while (*from) { /* order is kept */
        struct table_node *node = *from;
        if (index_of(table, node->hash) == fresh) {
            *from = node->next;
            node->next = NULL;
            *to = node;
            to = &node->next;
        } else {
            from = &node->next;
        }
    }
}

void table_add(struct table *table, struct table_node *node)
{
    if (table->count++ >= table->chains)
        split_one(table);
    struct table_node **chain = place(table, index_of(table, node->hash));
    node->next = *chain;
    *chain = node;
}

void table_remove(struct table *table, struct table_node *node)
{
    struct table_node **link = place(table, index_of(table, node->hash));
    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    node->next = NULL;
    table->count--;
}

struct table_node *table_next(const struct table *table, uint64_t hash,
                              const struct table_node *after)
{
    struct table_node *node = after ? after->next : *place(table, index_of(table, hash));
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct table_node *table_chain(const struct table *table, uint64_t index)
{
    return *place(table, index);
}

uint64_t table_bytes(const struct table *table)
{
    uint64_t top = UINT64_C(1) << (63 - (unsigned)__builtin_clzll(table->chains));
    return (table->chains == top ? top : 2 * top) * sizeof(struct table_node *);
}
