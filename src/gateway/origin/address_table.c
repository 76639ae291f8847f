/* SPDX-License-Identifier: Apache-2.0
 *
 * Things by address.
 */
#include "gateway/origin/address_table.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"

enum { FIRST_CHAINS = 16 };

/* Equal addresses are equal memory. Addresses are the owner's own, not strangers': no seed. */
static uint64_t hash_of(const struct address *address)
{
    return hash_span(span_of(address, sizeof *address), 0);
}

static struct list *chain_of(const struct address_table *table, uint64_t hash)
{
    return &table->chains[hash & (table->chain_count - 1)];
}

static void grow(struct address_table *table)
{
    struct address_table former = *table;
    table->chain_count = former.chain_count ? 2 * former.chain_count : FIRST_CHAINS;
    table->chains = memory_resize(NULL, table->chain_count, sizeof *table->chains);
    for (uint32_t i = 0; i < table->chain_count; i++)
        list_init(&table->chains[i]);
    for (uint32_t i = 0; i < former.chain_count; i++)
        for (struct list *link; (link = list_pop_front(&former.chains[i])) != NULL;) {
            struct address_table_item *item = CONTAINER_OF(link, struct address_table_item, link);
            list_push_back(chain_of(table, item->hash), link);
        }
    memory_free(former.chains);
}

void address_table_add(struct address_table *table, struct address_table_item *item,
                       const struct address *address)
{
    if (table->count == table->chain_count)
        grow(table);
    item->hash = hash_of(address);
    list_push_back(chain_of(table, item->hash), &item->link);
    table->count++;
}

void address_table_remove(struct address_table *table, struct address_table_item *item)
{
    list_remove(&item->link);
    table->count--;
}

/* The first of that hash from there on. */
static struct address_table_item *find(const struct list *chain, const struct list *from,
                                       uint64_t hash)
{
    for (const struct list *link = from; link != chain; link = link->next) {
        struct address_table_item *item = CONTAINER_OF(link, struct address_table_item, link);
        if (item->hash == hash)
            return item;
    }
    return NULL;
}

struct address_table_item *address_table_first(const struct address_table *table,
                                               const struct address *address)
{
    if (!table->count)
        return NULL;
    uint64_t hash = hash_of(address);
    const struct list *chain = chain_of(table, hash);
    return find(chain, chain->next, hash);
}

struct address_table_item *address_table_next(const struct address_table *table,
                                              const struct address_table_item *item)
{
    return find(chain_of(table, item->hash), item->link.next, item->hash);
}

void address_table_clear(struct address_table *table)
{
    INVARIANT(!table->count);
    memory_free(table->chains);
    *table = (struct address_table){0};
}
