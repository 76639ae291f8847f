/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/store: the disk tier. A log in segments, only ever appended to; records of objects and of purges, whose place in the log says which
 * came first. A thread of its own does all reading and writing; the index is in memory and made anew at the start.
 *
 * A place is the number of a segment (upper 32 bits) and the offset in it. Segments are never reused or continued after a restart.
 */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#include "store/private.h"

enum {
    DISK_SEGMENT_LEAST = 1 << 20,
    DISK_SEGMENT_MOST = 1 << 30,
    DISK_SEGMENTS = 64,       /* about so many make up the budget */
    DISK_WRITES_MOST = 4096,  /* objects waiting to be written; others are not */
    DISK_WRITES_SHARE = 16,   /* likewise: one in so many bytes of the memory's budget */
    DISK_LOADS_MOST = 4096,   /* likewise to be read */
    DISK_PURGES_MOST = 65536, /* remembered; then what is older than the oldest half goes */
    DISK_ENTRIES_MOST = 1 << 24,
    DISK_HEAD_MOST = 1 << 20, /* bytes of a head; objects with longer ones stay in memory */
};
#define DISK_SCAN_NS (60ull * 1000000000) /* what is not read by then is forgotten: the oldest */

/* ---- disk_log.c: records and segments, on the disk's thread */

/* In host order: a foreign machine's file does not check. */
struct disk_record {
    uint64_t magic;
    uint64_t check; /* of what follows but the body, seeded by the place */
    uint64_t body_check, body_bytes;
    uint64_t site;
    uint32_t head_length;
    uint16_t is_purge, key_length, rule_length, selector_length, facts_length, tag_count;
    uint64_t order; /* purges of a greater one are behind it */
};

struct disk_segment {
    struct disk_segment *next; /* newer */
    uint32_t number;
    int fd;
    uint64_t bytes;
};

struct disk_log {
    int folder;
    uint64_t bytes_most, segment_bytes, bytes;
    struct disk_segment *oldest, *newest;
};

/* A record in memory: its head, and behind it tags, facts, key, rule, selector, head. A purge is a head only, as store_purge_write() has it. */
struct disk_item {
    struct disk_record record;
    uint8_t *meta; /* to be freed */
    uint64_t meta_length;
};
struct span disk_item_part(const struct disk_item *item, int part);
enum { DISK_FACTS, DISK_KEY, DISK_RULE, DISK_SELECTOR, DISK_HEAD }; /* parts */

/* Opens what segments there are; 0 or ERROR_IO. */
MUST_USE int disk_log_open(struct disk_log *log, int folder, uint64_t bytes_most);
void disk_log_close(struct disk_log *log);
/* Magic and checks of the record are made here; a segment is begun where it does not fit. */
MUST_USE int disk_log_append(struct disk_log *log, const struct disk_record *given,
                             struct span meta, const struct slice *slices, uint32_t count,
                             uint64_t *place);
/* The record at that place, without its body: whole and right, or ERROR_INVALID, ERROR_IO. */
MUST_USE int disk_log_read(const struct disk_log *log, uint64_t place, struct disk_item *item);
/* Its body; likewise. */
MUST_USE int disk_log_read_body(const struct disk_log *log, uint64_t place,
                                const struct disk_item *item, struct chunk **body);
/* Drops the oldest segment. */
void disk_log_drop(struct disk_log *log);
uint64_t disk_record_bytes(const struct disk_record *record);

/* ---- disk.c */
struct disk;
struct disk *disk_open(struct store *store, int folder, uint64_t bytes_most); /* NULL: cannot */
void disk_close(struct disk **closed);
void disk_settle(struct disk *disk);
/* An object that was just kept; takes no reference of the caller's. */
void disk_write(struct disk *disk, struct store_object *object);
/* Under purge_lock, behind everything else of the purge. */
void disk_purge(struct disk *disk, const struct store_purge *purge);
/* Where one that the request may have stands; false: nowhere. Under the shard's lock. */
bool disk_find(struct disk *disk, struct span key, const struct choice *choice, uint64_t *place);
/* Reads it into memory, then ends the fill (fill_loaded()); takes the filler's reference. */
void disk_load(struct disk *disk, struct store_fill *fill, uint64_t place);
void disk_count(struct disk *disk, struct store_counts *counts);

#endif
