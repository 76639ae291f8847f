/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams by id: open addressing, with a seed because the peer chooses half of the ids. O(1), no
 * memory for each entry.
 */
#ifndef TRANSPORT_STREAM_TABLE_H
#define TRANSPORT_STREAM_TABLE_H

#include <stdint.h>

struct transport_stream;

/* Zero-initialised is empty; set `seed` before the first entry. */
struct stream_table {
    struct stream_entry *entries; /* linear probing, at most half full */
    uint32_t count, capacity;
    uint64_t seed;
};

struct stream_entry {
    uint64_t id;
    struct transport_stream *stream; /* NULL: free */
};

void stream_table_clear(struct stream_table *table);
void stream_table_put(struct stream_table *table, uint64_t id, struct transport_stream *stream);
void stream_table_remove(struct stream_table *table, uint64_t id); /* harmless when absent */
struct transport_stream *stream_table_get(const struct stream_table *table, uint64_t id);

#endif
