/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of purges (C2), private to src/gateway: two files, one of which is the present one, and the same in memory for those who send it
 * on. Numbers are given here. What is in memory is on the disk: an edge never hears of a purge that a crash could make unheard of.
 *
 * A site's first record is always a purge of the whole site, which may jump: so whoever has an older number than any record, or none, only
 * needs what follows. Numbers begin at the time in microseconds, so that a log which was lost goes on above the one before it.
 *
 * Files and numbers: one thread. What is in memory: any thread, between lock and unlock. Another process of this node may write
 * the same files while it takes over (causeway upgrade): a lock of the files keeps them apart, and each reads what the other wrote.
 */
#ifndef GATEWAY_PURGE_LOG_H
#define GATEWAY_PURGE_LOG_H

#include "purge/purge.h"

enum { PURGE_LOG_FILES = 2 };

struct purge_entry {
    uint64_t site, number;
    enum purge_kind kind;
    bool is_soft;
    uint32_t length;
    uint8_t what[];
};

struct purge_log;
/* Of two descriptors, which stay the caller's, open for reading and writing. When a file has more than `most_bytes` the older half of its
 * purges is dropped. ERROR_IO. */
MUST_USE int purge_log_open(struct purge_log **opened, const int files[PURGE_LOG_FILES],
                            uint64_t most_bytes);
void purge_log_close(struct purge_log **closed);

/* ---- the log's thread */
/* These sites, ascending, are numbered here from now on, and no others. 0 or ERROR_IO: the old ones still are. */
MUST_USE int purge_log_set_sites(struct purge_log *log, const uint64_t *sites, size_t count,
                                 uint64_t now_us);
/* Gives each its number, which is at least the one that it has, and writes them down. Those of a site that is not numbered here are passed over,
 * and have number 0 then. 0 or ERROR_IO: nothing was done. */
MUST_USE int purge_log_append(struct purge_log *log, struct purge *purges, size_t count);
/* Reads what another process has written meanwhile. 0 or ERROR_IO. */
int purge_log_follow(struct purge_log *log);
uint64_t purge_log_bytes(const struct purge_log *log); /* of the present file */
uint64_t purge_log_compactions(const struct purge_log *log);

/* ---- any thread, between these two */
void purge_log_lock(struct purge_log *log);
void purge_log_unlock(struct purge_log *log);
uint64_t purge_log_last(const struct purge_log *log, uint64_t site); /* 0: not numbered here */
/* Places of what is there, in order; after purges were dropped all of them are new. */
uint64_t purge_log_begin(const struct purge_log *log);
uint64_t purge_log_end(const struct purge_log *log);
const struct purge_entry *purge_log_at(const struct purge_log *log, uint64_t place);

#endif
