/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the history know of each other.
 */
#ifndef ARCHIVE_PRIVATE_H
#define ARCHIVE_PRIVATE_H

#include "archive/archive.h"

#include <sqlite3.h>

/* ---- look.c */

struct look_sink {
    void (*number)(void *owner, struct span series, double value);
    void (*word)(void *owner, struct span series, const char *word);
    void *owner;
};

void look_walk(const json_t *status, const struct look_sink *sink);

/* ---- store.c: the database */

/* Prepared once. ?1 of READ_* is a pattern, ?2 and ?3 the times between. */
#define STORE_STATEMENTS(X)                                                                       \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                   \
    X(COMMIT, "COMMIT")                                                                           \
    X(ROLLBACK, "ROLLBACK")                                                                       \
    X(ADD_SERIES, "INSERT INTO series(id, name) VALUES(?1, ?2)")                                  \
    X(ADD_SAMPLE, "INSERT OR REPLACE INTO samples(time, series, value) VALUES(?1, ?2, ?3)")       \
    X(ADD_COARSE, "INSERT OR REPLACE INTO coarse(series, time, count, least, mean, greatest, "    \
                  "first, last) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                          \
    X(SET_WORD, "INSERT OR REPLACE INTO words(series, word) VALUES(?1, ?2)")                      \
    X(ADD_EVENT, "INSERT INTO events(time, series, before, after) VALUES(?1, ?2, ?3, ?4)")        \
    X(FORGET_SAMPLES, "DELETE FROM samples WHERE (time, series) IN "                              \
                      "(SELECT time, series FROM samples WHERE time < ?1 LIMIT ?2)")              \
    X(FORGET_COARSE, "DELETE FROM coarse WHERE time < ?1")                                        \
    X(FORGET_EVENTS, "DELETE FROM events WHERE time < ?1")                                        \
    X(READ_SERIES, "SELECT id, name, word FROM series LEFT JOIN words ON words.series = id")      \
    X(READ_SAMPLES, "SELECT name, time, 1, value, value, value, value, value FROM samples "       \
                    "JOIN series ON id = series WHERE name GLOB ?1 AND time >= ?2 AND time < ?3 " \
                    "ORDER BY name, time")                                                        \
    X(READ_COARSE, "SELECT name, time, count, least, mean, greatest, first, last FROM coarse "    \
                   "JOIN series ON id = series WHERE name GLOB ?1 AND time >= ?2 AND time < ?3 "  \
                   "ORDER BY name, time")                                                         \
    X(READ_EVENTS, "SELECT time, name, before, after FROM events JOIN series ON id = series "     \
                   "WHERE name GLOB ?1 AND time >= ?2 AND time < ?3 "                             \
                   "ORDER BY time DESC, name LIMIT ?4")

enum store_statement {
#define X(name, sql) STORE_##name,
    STORE_STATEMENTS(X)
#undef X
        STORE_STATEMENT_COUNT
};

struct store {
    sqlite3 *database;
    sqlite3_stmt *statements[STORE_STATEMENT_COUNT];
};

MUST_USE int archive_store_open(struct store *store, const char *folder, struct text *why);
void archive_store_close(struct store *store);

/* Reset and without values. */
sqlite3_stmt *archive_store_statement(struct store *store, enum store_statement which);
/* Of a statement without rows: 0 or ERROR_IO. */
MUST_USE int archive_store_run(sqlite3_stmt *statement);
const char *archive_store_complaint(const struct store *store); /* of the last error */

/* ---- archive.c */

struct store *archive_store(struct archive *archive);

#endif
