/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks at a node become rows: each look is one transaction, and each series carries its five minutes along in memory until they
 * are over.
 */
#include "archive/private.h"

#include "base/hash.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

struct series {
    char *name, *word; /* NULL: none yet */
    int64_t id;
    uint64_t coarse_s; /* the five minutes that are in the making; 0: none */
    uint64_t count;
    double least, mean, greatest, first, last;
};

struct archive {
    struct store store;
    struct archive_options options;
    struct archive_counters counters;
    struct series *series;
    uint32_t count;
    uint32_t *slots; /* open addressing: number + 1 */
    uint64_t coarse_pruned_s;
    /* of the look that is being taken */
    uint64_t now_s;
    int error;
};

enum { SLOTS = 2 * ARCHIVE_SERIES_LIMIT };

/* ---- series */

static uint32_t *slot_of(struct archive *archive, struct span name)
{
    uint32_t at = (uint32_t)hash_span(name, 0) % SLOTS;
    while (archive->slots[at] &&
           !span_equal(span_text(archive->series[archive->slots[at] - 1].name), name))
        at = (at + 1) % SLOTS;
    return &archive->slots[at];
}

static struct series *put_series(struct archive *archive, uint32_t *slot, int64_t id,
                                 struct span name)
{
    struct series *series = &archive->series[archive->count++];
    *series = (struct series){.id = id, .name = memory_text((const char *)name.data, name.length)};
    *slot = archive->count;
    return series;
}

/* NULL: refused, or the database failed. */
static struct series *find_series(struct archive *archive, struct span name)
{
    uint32_t *slot = slot_of(archive, name);
    if (*slot)
        return &archive->series[*slot - 1];
    if (archive->count == ARCHIVE_SERIES_LIMIT || name.length > ARCHIVE_NAME_LIMIT) {
        archive->counters.series_refused++;
        return NULL;
    }
    int64_t id = (int64_t)archive->count + 1;
    sqlite3_stmt *add = archive_store_statement(&archive->store, STORE_ADD_SERIES);
    sqlite3_bind_int64(add, 1, id);
    sqlite3_bind_text(add, 2, (const char *)name.data, (int)name.length, SQLITE_STATIC);
    archive->error = archive_store_run(add);
    return archive->error ? NULL : put_series(archive, slot, id, name);
}

static int load_series(struct archive *archive)
{
    sqlite3_stmt *read = archive_store_statement(&archive->store, STORE_READ_SERIES);
    int result;
    while ((result = sqlite3_step(read)) == SQLITE_ROW && archive->count < ARCHIVE_SERIES_LIMIT) {
        struct span name = span_text((const char *)sqlite3_column_text(read, 1));
        const char *word = (const char *)sqlite3_column_text(read, 2);
        struct series *series =
            put_series(archive, slot_of(archive, name), sqlite3_column_int64(read, 0), name);
        series->word = word ? memory_text(word, strlen(word)) : NULL;
    }
    sqlite3_reset(read);
    return result == SQLITE_DONE ? 0 : ERROR_IO;
}

static void drop_series(struct archive *archive)
{
    for (uint32_t i = 0; i < archive->count; i++) {
        memory_free(archive->series[i].name);
        memory_free(archive->series[i].word);
    }
    archive->count = 0;
    memset(archive->slots, 0, SLOTS * sizeof *archive->slots);
}

/* ---- taking a look */

static void keep_coarse(struct archive *archive, struct series *series)
{
    if (!series->count)
        return;
    sqlite3_stmt *add = archive_store_statement(&archive->store, STORE_ADD_COARSE);
    const double values[] = {series->least, series->mean, series->greatest, series->first,
                             series->last};
    sqlite3_bind_int64(add, 1, series->id);
    sqlite3_bind_int64(add, 2, (int64_t)series->coarse_s);
    sqlite3_bind_int64(add, 3, (int64_t)series->count);
    for (int i = 0; i < 5; i++)
        sqlite3_bind_double(add, 4 + i, values[i]);
    if (archive_store_run(add))
        archive->error = ERROR_IO;
}

static void join_coarse(struct archive *archive, struct series *series, double value)
{
    uint64_t coarse_s = archive->now_s - archive->now_s % ARCHIVE_COARSE_S;
    if (series->coarse_s != coarse_s) {
        keep_coarse(archive, series);
        series->coarse_s = coarse_s;
        series->count = 0;
    }
    if (!series->count++) {
        series->first = series->least = series->greatest = value;
        series->mean = 0;
    }
    series->least = fmin(series->least, value);
    series->greatest = fmax(series->greatest, value);
    series->mean += (value - series->mean) / (double)series->count;
    series->last = value;
}

static void on_number(void *owner, struct span name, double value)
{
    struct archive *archive = owner;
    struct series *series = archive->error ? NULL : find_series(archive, name);
    if (!series)
        return;
    join_coarse(archive, series, value);
    sqlite3_stmt *add = archive_store_statement(&archive->store, STORE_ADD_SAMPLE);
    sqlite3_bind_int64(add, 1, (int64_t)archive->now_s);
    sqlite3_bind_int64(add, 2, series->id);
    sqlite3_bind_double(add, 3, value);
    if (archive_store_run(add))
        archive->error = ERROR_IO;
    archive->counters.samples++;
}

static void add_event(struct archive *archive, const struct series *series, const char *word)
{
    sqlite3_stmt *set = archive_store_statement(&archive->store, STORE_SET_WORD);
    sqlite3_bind_int64(set, 1, series->id);
    sqlite3_bind_text(set, 2, word, -1, SQLITE_STATIC);
    sqlite3_stmt *add = archive_store_statement(&archive->store, STORE_ADD_EVENT);
    sqlite3_bind_int64(add, 1, (int64_t)archive->now_s);
    sqlite3_bind_int64(add, 2, series->id);
    if (series->word)
        sqlite3_bind_text(add, 3, series->word, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 4, word, -1, SQLITE_STATIC);
    if (archive_store_run(set) || archive_store_run(add))
        archive->error = ERROR_IO;
    archive->counters.events++;
}

static void on_word(void *owner, struct span name, const char *word)
{
    struct archive *archive = owner;
    struct series *series =
        archive->error || strlen(word) > ARCHIVE_WORD_LIMIT ? NULL : find_series(archive, name);
    if (!series || (series->word && strcmp(series->word, word) == 0))
        return;
    add_event(archive, series, word);
    memory_free(series->word);
    series->word = memory_text(word, strlen(word));
}

int archive_take(struct archive *archive, const json_t *status, uint64_t now_s, struct text *why)
{
    const struct look_sink sink = {on_number, on_word, archive};
    archive->now_s = now_s;
    archive->error = archive_store_run(archive_store_statement(&archive->store, STORE_BEGIN));
    if (!archive->error)
        look_walk(status, &sink);
    if (!archive->error)
        archive->error = archive_store_run(archive_store_statement(&archive->store, STORE_COMMIT));
    archive->counters.looks++;
    if (!archive->error)
        return 0;
    text_add_format(why, "history.db: %s", archive_store_complaint(&archive->store));
    archive->counters.errors++;
    /* What memory has learnt of this look the database has not. */
    if (archive_store_run(archive_store_statement(&archive->store, STORE_ROLLBACK)) == 0) {
        drop_series(archive);
        if (load_series(archive))
            archive->counters.errors++;
    }
    return archive->error;
}

/* ---- life */

static bool forget(struct archive *archive, enum store_statement which, uint64_t now_s,
                   uint64_t keep_s, int rows)
{
    sqlite3_stmt *statement = archive_store_statement(&archive->store, which);
    sqlite3_bind_int64(statement, 1, (int64_t)(now_s > keep_s ? now_s - keep_s : 0));
    if (rows)
        sqlite3_bind_int(statement, 2, rows);
    if (archive_store_run(statement)) {
        archive->counters.errors++;
        return false;
    }
    return rows && sqlite3_changes(archive->store.database) == rows;
}

bool archive_prune(struct archive *archive, uint64_t now_s)
{
    const struct archive_options *options = &archive->options;
    bool is_more =
        forget(archive, STORE_FORGET_SAMPLES, now_s, options->keep_s, ARCHIVE_PRUNE_ROWS);
    if (now_s - archive->coarse_pruned_s < 3600)
        return is_more;
    archive->coarse_pruned_s = now_s;
    forget(archive, STORE_FORGET_EVENTS, now_s, options->keep_coarse_s, 0);
    forget(archive, STORE_FORGET_COARSE, now_s, options->keep_coarse_s, 0);
    return is_more;
}

int archive_open(struct archive **opened, const struct archive_options *options, struct text *why)
{
    struct archive *archive = NEW(struct archive);
    archive->options = *options;
    archive->series = memory_new(ARCHIVE_SERIES_LIMIT * sizeof *archive->series);
    archive->slots = memory_new(SLOTS * sizeof *archive->slots);
    int result = archive_store_open(&archive->store, options->folder, why);
    if (!result) {
        result = load_series(archive);
        if (result)
            text_add_format(why, "history.db: %s", archive_store_complaint(&archive->store));
    }
    if (result)
        archive_close(&archive);
    *opened = archive;
    return result;
}

void archive_close(struct archive **owned)
{
    struct archive *archive = *owned;
    *owned = NULL;
    if (!archive)
        return;
    drop_series(archive);
    archive_store_close(&archive->store);
    memory_free(archive->series);
    memory_free(archive->slots);
    memory_free(archive);
}

const struct archive_counters *archive_counters(const struct archive *archive)
{
    return &archive->counters;
}

struct store *archive_store(struct archive *archive)
{
    return &archive->store;
}
