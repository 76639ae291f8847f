/* SPDX-License-Identifier: Apache-2.0
 *
 * What the disk tier has, by the hash of its key: the place of the newest record of each variant. Whether the key is the right one is seen
 * when the record is read.
 */
#include "store/disk.h"

#include "base/hash.h"

uint64_t disk_choice(struct span rule, struct span selector)
{
    return rule.length ? hash_span(selector, hash_span(rule, 0)) : 0;
}

uint64_t disk_key_hash(const struct disk *disk, struct span key)
{
    return hash_span(key, disk->store->options.seed);
}

static struct disk_entry *entry_of(const struct disk *disk, uint64_t hash, uint64_t choice)
{
    for (struct table_node *node = NULL; (node = table_next(&disk->index, hash, node)) != NULL;)
        if (CONTAINER_OF(node, struct disk_entry, node)->choice == choice)
            return CONTAINER_OF(node, struct disk_entry, node);
    return NULL;
}

static void entry_free(struct disk *disk, struct disk_entry *entry)
{
    table_remove(&disk->index, &entry->node);
    store_discharge(disk->store, DISK_ENTRY_BYTES);
    memory_free(entry);
}

/* The newer one of two stays. */
void disk_index_add(struct disk *disk, const struct disk_entry *found)
{
    struct disk_entry *entry = entry_of(disk, found->node.hash, found->choice);
    if (!entry) {
        entry = NEW(struct disk_entry);
        entry->node.hash = found->node.hash;
        entry->choice = found->choice;
        table_add(&disk->index, &entry->node);
        store_charge(disk->store, DISK_ENTRY_BYTES);
    }
    if (entry->place < found->place) {
        entry->place = found->place;
        entry->body = found->body;
    }
}

uint64_t disk_index_body(const struct disk *disk, uint64_t hash, uint64_t choice)
{
    const struct disk_entry *entry = entry_of(disk, hash, choice);
    return entry ? entry->body : 0;
}

void disk_index_remove(struct disk *disk, uint64_t hash, uint64_t place)
{
    for (struct table_node *node = NULL; (node = table_next(&disk->index, hash, node)) != NULL;)
        if (CONTAINER_OF(node, struct disk_entry, node)->place == place) {
            entry_free(disk, CONTAINER_OF(node, struct disk_entry, node));
            return;
        }
}

uint64_t disk_index_forget(struct disk *disk, uint64_t before, uint64_t chain)
{
    uint64_t end = chain + 64;
    for (; chain < end && chain < disk->index.chains; chain++)
        for (struct table_node *node = table_chain(&disk->index, chain), *next; node; node = next) {
            struct disk_entry *entry = CONTAINER_OF(node, struct disk_entry, node);
            next = node->next;
            if (entry->body < before)
                entry_free(disk, entry);
        }
    return chain < disk->index.chains ? chain : 0;
}

void disk_index_forget_dropped(struct disk *disk)
{
    uint64_t from = disk->log.oldest ? (uint64_t)disk->log.oldest->number << 32 : UINT64_MAX;
    uint64_t chain = 0;
    do {
        pthread_mutex_lock(&disk->lock);
        chain = disk_index_forget(disk, from, chain);
        pthread_mutex_unlock(&disk->lock);
    } while (chain);
}

bool disk_find(struct disk *disk, struct span key, const struct choice *choice, uint64_t *place)
{
    uint64_t hash = disk_key_hash(disk, key);
    *place = 0;
    pthread_mutex_lock(&disk->lock);
    if (disk->loads.count >= DISK_LOADS_MOST || disk->state != STORE_DISK_OPEN) {
        /* as if it were not there */
    } else if (choice->rule_length) {
        const struct disk_entry *entry =
            entry_of(disk, hash,
                     disk_choice(span_of(choice->rule, choice->rule_length),
                                 span_of(choice->selector, choice->selector_length)));
        *place = entry ? entry->place : 0;
    } else {
        for (struct table_node *node = NULL;
             (node = table_next(&disk->index, hash, node)) != NULL;) {
            const struct disk_entry *entry = CONTAINER_OF(node, struct disk_entry, node);
            if (entry->place > *place)
                *place = entry->place;
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return *place != 0;
}
