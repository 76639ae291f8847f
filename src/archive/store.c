/* SPDX-License-Identifier: Apache-2.0
 *
 * The database of the history: its tables, and the statements that are used on them. Write-ahead logging, so that a reader
 * never waits and a crash loses at most the last look.
 */
#include "archive/private.h"

#include <stdio.h>

enum { BUSY_MS = 2000 };

static const char *const tables =
    "CREATE TABLE IF NOT EXISTS series(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE IF NOT EXISTS samples(time INTEGER NOT NULL, series INTEGER NOT NULL, value REAL "
    "NOT NULL,"
    " PRIMARY KEY(time, series)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS coarse(series INTEGER NOT NULL, time INTEGER NOT NULL, count "
    "INTEGER NOT NULL,"
    " least REAL NOT NULL, mean REAL NOT NULL, greatest REAL NOT NULL, first REAL NOT NULL, last "
    "REAL NOT NULL,"
    " PRIMARY KEY(series, time)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS words(series INTEGER PRIMARY KEY, word TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS events(time INTEGER NOT NULL, series INTEGER NOT NULL, before "
    "TEXT, after TEXT);"
    "CREATE INDEX IF NOT EXISTS events_by_time ON events(time);";

static const char *const statements[] = {
#define X(name, sql) [STORE_##name] = (sql),
    STORE_STATEMENTS(X)
#undef X
};

const char *archive_store_complaint(const struct store *store)
{
    return store->database ? sqlite3_errmsg(store->database) : "out of memory";
}

void archive_store_close(struct store *store)
{
    for (int i = 0; i < STORE_STATEMENT_COUNT; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->database);
    *store = (struct store){0};
}

sqlite3_stmt *archive_store_statement(struct store *store, enum store_statement which)
{
    sqlite3_stmt *statement = store->statements[which];
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return statement;
}

int archive_store_run(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result == SQLITE_DONE ? 0 : ERROR_IO;
}

/* Reading the schema finds a file that is none of SQLite's; a check of every page would take minutes on a large one. */
static int read_schema(sqlite3 *database)
{
    return sqlite3_exec(database, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
}

static int open_file(struct store *store, const char *path)
{
    int result =
        sqlite3_open_v2(path, &store->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result != SQLITE_OK)
        return result;
    sqlite3_busy_timeout(store->database, BUSY_MS);
    result = read_schema(store->database);
    if (result != SQLITE_OK)
        return result;
    result =
        sqlite3_exec(store->database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
                     NULL, NULL, NULL);
    return result == SQLITE_OK ? sqlite3_exec(store->database, tables, NULL, NULL, NULL) : result;
}

/* What was written behind the broken file is of no use without it. */
static void put_aside(const char *path)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        struct text from = {0}, to = {0};
        text_add_format(&from, "%s%s", path, tails[i]);
        text_add_format(&to, "%s.broken%s", path, tails[i]);
        (void)rename(from.data, to.data);
        text_clear(&from);
        text_clear(&to);
    }
}

static int prepare(struct store *store)
{
    for (int i = 0; i < STORE_STATEMENT_COUNT; i++)
        if (sqlite3_prepare_v3(store->database, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &store->statements[i], NULL) != SQLITE_OK)
            return ERROR_IO;
    return 0;
}

int archive_store_open(struct store *store, const char *folder, struct text *why)
{
    *store = (struct store){0};
    struct text path = {0};
    text_add_format(&path, "%s/history.db", folder);
    int result = open_file(store, path.data);
    if (result == SQLITE_CORRUPT || result == SQLITE_NOTADB) {
        archive_store_close(store);
        put_aside(path.data);
        result = open_file(store, path.data);
    }
    int error = result == SQLITE_OK ? prepare(store) : ERROR_IO;
    if (error) {
        text_add_format(why, "%s: %s", path.data, archive_store_complaint(store));
        archive_store_close(store);
    }
    text_clear(&path);
    return error;
}
