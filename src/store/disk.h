/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/store: the disk tier. A log in segments, only ever appended to; records of objects and of purges, whose place in the log says which
 * came first. A thread of its own does all reading and writing; the index is in memory and made anew at the start.
 *
 * A place is the number of a segment (upper 32 bits) and the offset in it. Segments are never reused or continued after a restart.
 *
 * One process at a time owns a folder, by a lock on it that the kernel lets go of when that process ends, however it does.
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
    DISK_INDEX_SHARE =
        4, /* the index takes one in so many bytes of the memory's budget; then the oldest segment goes */
    DISK_ENTRY_BYTES = 64,     /* of it, for each object */
    DISK_HEAD_MOST = 1 << 20,  /* bytes of a head; objects with longer ones stay in memory */
    DISK_SCAN_RECORDS = 64,    /* at a time; loads and writes go between */
    DISK_RENEWAL_LEAST = 4096, /* bytes of a body; smaller ones are as soon written again */
};
#define DISK_WAIT_NS  (250ull * 1000000)   /* between looks whether the folder's owner is gone */
#define DISK_RETRY_NS (10ull * 1000000000) /* after a folder could not be used, or written to */
#define DISK_LEAVE_NS (2ull * 1000000000)  /* for what waits when a folder is let go of */
#define DISK_SYNC_NS  (1ull * 1000000000)  /* purges reach the medium, too, so often */

/* ---- disk_log.c: records and segments, on the disk's thread */

enum disk_kind {
    DISK_OBJECT,
    DISK_PURGE, /* a head only, as store_purge_write() has it */
    DISK_NUMBERS, /* likewise: struct purged_site of all sites, so that dropping old segments forgets none */
    /* An object that a 304 gave a new head (and facts, tags): no body, that of an older record is its own. The head behind is never touched, so
     * that it is what counts where this one is torn. */
    DISK_RENEWAL,
};

/* Where a body is: behind the head of the object's record at that place. Of a renewal it stands behind its head. */
struct disk_body {
    uint64_t place, bytes;
};

/* In host order: a foreign machine's file does not check. */
struct disk_record {
    uint64_t magic;
    uint64_t check; /* of what follows, seeded by the place */
    uint64_t meta_check;
    uint64_t
        body_check; /* of a renewal, too: whatever is where it points, this is what it must be */
    uint64_t body_bytes; /* in the record */
    uint64_t site;
    uint64_t
        order; /* a purge's own; else that of the last purge before it in the log: no number is ever left out */
    uint32_t head_length;
    uint16_t kind, key_length, rule_length, selector_length, facts_length, tag_count;
};

struct disk_segment {
    struct disk_segment *next; /* newer */
    uint32_t number;
    int fd;
    uint64_t bytes;
};

struct disk_log {
    int folder;
    uint64_t salt; /* the folder's own */
    uint64_t bytes_most, segment_bytes, bytes;
    struct disk_segment *oldest, *newest;
};

/* A record in memory: its head, and behind it tags, facts, key, rule, selector, head. */
struct disk_item {
    struct disk_record record;
    bool is_placed; /* its head is right: what follows begins behind its length */
    uint8_t *meta;  /* to be freed */
    uint64_t meta_length;
};
struct span disk_item_part(const struct disk_item *item, int part);
enum { DISK_FACTS, DISK_KEY, DISK_RULE, DISK_SELECTOR, DISK_HEAD, DISK_BODY }; /* parts */
/* Of an object that stands at that place, or a renewal. */
struct disk_body disk_item_body(const struct disk_item *item, uint64_t place);

/* Opens what segments there are, and a new one; 0, or ERROR_IO with errno. The folder is the log's from then on. */
MUST_USE int disk_log_open(struct disk_log *log, int folder, uint64_t bytes_most,
                           uint64_t fresh_salt);
void disk_log_close(struct disk_log *log);
/* Begins a segment where a record of that length does not fit; 0, or ERROR_IO with errno. */
MUST_USE int disk_log_make_room(struct disk_log *log, uint64_t length);
uint64_t disk_body_check(const struct slice *slices, uint32_t count);
/* All of the record is given but its magic and the checks of it and of `meta`; there is room. */
MUST_USE int disk_log_append(struct disk_log *log, const struct disk_record *given,
                             struct span meta, const struct slice *slices, uint32_t count,
                             uint64_t *place);
/* The record at that place, without its body: whole and right, or ERROR_INVALID; ERROR_CLOSED: the segment ends there, as it does where the
 * process was killed while it wrote. */
MUST_USE int disk_log_read(const struct disk_log *log, uint64_t place, struct disk_item *item);
/* The next place behind one at which nothing is right where something is; 0: nowhere in the segment. */
uint64_t disk_log_seek(const struct disk_log *log, uint64_t place);
/* An object stands there that says it has such a body. */
bool disk_log_has_body(const struct disk_log *log, const struct disk_body *body, uint64_t check);
/* What stands there is among the next to be dropped. */
bool disk_log_is_leaving(const struct disk_log *log, uint64_t place);
/* The body, whole and right; likewise. */
MUST_USE int disk_log_read_body(const struct disk_log *log, const struct disk_body *body,
                                uint64_t check, struct chunk **chunk);
void disk_log_sync(struct disk_log *log); /* the newest segment */
/* Drops the oldest segment. */
void disk_log_drop(struct disk_log *log);
uint64_t disk_record_bytes(const struct disk_record *record);

/* ---- the tier's state: of the thread, but for what stands behind the lock */

/* Records of a lesser order are meant. */
struct disk_mark {
    uint64_t order, hash;     /* of the name or tag */
    struct store_purge purge; /* `what` is its own */
};

struct disk_marks {
    struct disk_mark *list;
    uint32_t count, capacity;
    uint64_t floor; /* records of a lesser order are forgotten */
};

struct disk_entry {
    struct table_node node; /* by the hash of the key, its part too */
    uint64_t place;
    uint64_t body;   /* the place of the record that has it: the same, or an older one */
    uint64_t choice; /* hash of rule and selector */
};

struct disk_job {
    struct disk_job *next;
    struct store_fill *fill;     /* to be loaded from `place`, or */
    struct store_object *object; /* to be written, or */
    uint8_t *purge;              /* likewise */
    uint64_t place, order, sequence, site;
    size_t bytes; /* of the purge's record, or of memory that the object takes */
};

struct disk_queue {
    struct disk_job *first, **last;
    uint32_t count;
    uint64_t bytes;
};

/* Segments of earlier runs are looked through, the newest first. */
struct disk_scan {
    const struct disk_segment *segment; /* that one now; NULL: none */
    uint32_t before;                    /* segments from this number on are done */
    uint64_t place, first, last;        /* in it; orders of its first record and of the last one */
    uint64_t end;                       /* of the newest record of all */
    bool has_records;                   /* likewise */
    bool is_cut;                        /* there is a purge missing in it: what is older goes */
    bool is_open_ended;                 /* what its last bytes were cannot be told */
    bool has_newer; /* the order of the first record of the segments done is known, */
    uint64_t newer; /* and it is this */
    struct disk_entry *found;
    size_t found_count, found_capacity;
    struct disk_mark *purges; /* of the segment */
    size_t purge_count, purge_capacity;
};

struct disk {
    struct store *store;
    pthread_t thread;
    struct disk_log log;
    struct disk_scan scan;
    struct purge_numbers numbers; /* of sites, as the log has them */
    uint64_t bytes_most;
    uint64_t try_ns;   /* when the folder is tried again */
    uint64_t pause_ns; /* until then nothing but purges is written */
    uint64_t sync_ns;  /* when purges were brought to the medium last */
    bool is_unsynced;
    bool has_waited;                  /* the folder was another process's while this one ran */
    bool has_failed;                  /* nothing can be written, not even purges */
    bool scans_next;                  /* and writes the time after */
    uint64_t object_most, index_most; /* fixed: bytes of an object, entries of the index */

    pthread_mutex_t lock; /* the innermost one: of all that follows */
    pthread_cond_t has_work, is_idle;
    enum store_disk_state state;
    int error;     /* errno of the last that went wrong; 0: nothing did */
    int folder;    /* to be used; -1: none */
    int given;     /* from now on, */
    bool is_given; /* newly */
    bool is_busy, is_stopping;
    struct disk_queue loads, purges, writes;
    struct table index;
    struct disk_marks marks, pending; /* of what is in the log; since there was a folder */
    uint64_t order;                   /* of the last purge */
    uint64_t written; /* likewise in the log: those behind it are lost if the process is */
    bool
        is_forgotten; /* a purge was forgotten that is not in the log: nothing that is there can be trusted */
    uint64_t bytes, writes_done, bytes_written, renewals, loads_done, bad, dropped, errors;
};

/* ---- disk_marks.c: purges that are remembered for as long as older records are; under the lock */
/* Copies what it refers to. */
void disk_mark_set(struct disk_mark *mark, uint64_t order, const struct store_purge *purge);
/* Takes what it refers to. */
void disk_marks_add(struct disk *disk, struct disk_mark *mark);
/* The same for one of an earlier run, the newest first: where there is no room older records are forgotten. */
void disk_marks_restore(struct disk *disk, struct disk_mark *mark);
/* One for when there is a folder. */
void disk_marks_wait(struct disk *disk, const struct store_purge *purge);
/* The folder is let go of: those that are not in its log wait for the next. */
void disk_marks_leave(struct disk *disk);
void disk_marks_clear(struct disk_marks *marks);
/* False: a purge took it since it was written. */
bool disk_marks_spare(const struct disk *disk, const struct disk_item *item, bool *is_stale);

/* ---- disk_index.c: what is where; under the lock */
uint64_t disk_key_hash(const struct disk *disk, struct span key);
uint64_t disk_choice(struct span rule, struct span selector);
void disk_index_add(struct disk *disk, const struct disk_entry *found);
/* The place of its body; 0: there is none. */
uint64_t disk_index_body(const struct disk *disk, uint64_t hash, uint64_t choice);
void disk_index_remove(struct disk *disk, uint64_t hash, uint64_t place);
/* What has its body before that place, in the chains from there on, a piece at a time; where to go on, 0: all were seen. */
uint64_t disk_index_forget(struct disk *disk, uint64_t before, uint64_t chain);
/* What has its body in a segment that was dropped; not under the lock, on the thread. */
void disk_index_forget_dropped(struct disk *disk);

/* Where one that the request may have stands; false: nowhere. Under the shard's lock, and not under this one. */
bool disk_find(struct disk *disk, struct span key, const struct choice *choice, uint64_t *place);

/* ---- disk_scan.c: on the thread */
void disk_scan_begin(struct disk *disk);
/* The next records; false: there are no more. */
bool disk_scan_some(struct disk *disk);
/* What the newest segments say is known: which purges there were. */
bool disk_scan_knows_purges(const struct disk *disk);
void disk_scan_clear(struct disk_scan *scan);

/* ---- disk_jobs.c */
void disk_queue_init(struct disk_queue *queue);
struct disk_job *disk_queue_pop(struct disk_queue *queue);
/* As the next in order; takes what the mark refers to. Under the lock. */
void disk_queue_purge(struct disk *disk, struct disk_mark *mark);
/* On the thread; both free it. */
void disk_job_run(struct disk *disk, struct disk_job *job);
void disk_job_drop(struct disk *disk, struct disk_job *job);
/* An object that was just kept; takes no reference of the caller's. */
void disk_write(struct disk *disk, struct store_object *object);
/* Under purge_lock, behind everything else of the purge. */
void disk_purge(struct disk *disk, const struct store_purge *purge);
/* Reads it into memory, then ends the fill (fill_loaded()); takes the filler's reference. */
void disk_load(struct disk *disk, struct store_fill *fill, uint64_t place);

/* ---- disk.c */
struct disk *disk_open(struct store *store, int folder, uint64_t bytes_most); /* NULL: cannot */
void disk_close(struct disk **closed);
void disk_use_folder(struct disk *disk, int folder);
void disk_settle(struct disk *disk);
void disk_count(struct disk *disk, struct store_counts *counts);
enum store_disk_state disk_state(struct disk *disk, int *error);

#endif
