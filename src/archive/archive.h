/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node was like (R11): the numbers of its status as samples, its words as events when they change, in an SQLite
 * database with stated life. Samples are kept as they were taken for some days, and then as the least, mean and
 * greatest of five minutes.
 *
 * A series is named by its way through the status: "dns.edges.fra.load". Blocking: it belongs into a process of its own.
 */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include "base/error.h"
#include "base/text.h"

#include <jansson.h>

enum {
    ARCHIVE_SERIES_LIMIT = 16384, /* further ones are not kept, which a counter says */
    ARCHIVE_NAME_LIMIT = 200,     /* bytes of a series' name */
    ARCHIVE_WORD_LIMIT = 200,     /* of an event's word */
    ARCHIVE_COARSE_S = 300,
    ARCHIVE_ROWS_LIMIT = 10000, /* of an answer */
    ARCHIVE_PRUNE_ROWS = 20000, /* samples forgotten at once */
};

struct archive_options {
    const char *folder;     /* exists and may be written to; the file is history.db */
    uint64_t keep_s;        /* samples as they were taken */
    uint64_t keep_coarse_s; /* five minutes as one, and events */
};

struct archive_counters {
    uint64_t samples, events, looks;
    uint64_t series_refused; /* beyond the limit, or with too long a name */
    uint64_t errors;         /* of the database: a full disk ... */
};

struct archive;

/* A file that is no database is put aside as history.db.broken, and a fresh one begins. ERROR_IO and a sentence in `why`. */
MUST_USE int archive_open(struct archive **archive, const struct archive_options *options,
                          struct text *why);
void archive_close(struct archive **archive);

/* One look at the node: every number of `status` becomes a sample, every word that has changed an event. All of it or nothing. */
MUST_USE int archive_take(struct archive *archive, const json_t *status, uint64_t now_s,
                          struct text *why);

/* Forgets what is old, a bounded part of it: true when there is more. */
bool archive_prune(struct archive *archive, uint64_t now_s);

/* `series`: with * for anything, as in "dns.edges.*.load". Of each series and step the least, mean, greatest and last value and the rise
 * per second. Steps below five minutes read samples, longer ones the five minutes; the last of these is still in the making. */
struct archive_query {
    const char *series;
    uint64_t since_s, until_s;
    uint64_t step_s; /* 0: all of it as one */
};

/* {"rows": [{"series", "time", "count", "least", "mean", "greatest", "last", "per_second"}], "is_cut": bool}; NULL and a sentence. */
json_t *archive_values(struct archive *archive, const struct archive_query *query,
                       struct text *why);
/* {"rows": [{"time", "series", "from", "to"}], "is_cut": bool}, the newest first. */
json_t *archive_events(struct archive *archive, const struct archive_query *query,
                       struct text *why);

const struct archive_counters *archive_counters(const struct archive *archive);

#endif
