/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to the history: rows of the database put together step by step.
 */
#include "archive/private.h"

#include <math.h>
#include <string.h>

/* One series in one step. */
struct row {
    json_int_t time_s, first_s, last_s;
    json_int_t count;
    double least, mean, greatest, first, last;
};

/* A rise is reckoned from the end of the step before. */
static void start(struct row *row, json_int_t time_s, sqlite3_stmt *read, bool is_same_series)
{
    *row = (struct row){.time_s = time_s,
                        .first_s = is_same_series ? row->last_s : sqlite3_column_int64(read, 1),
                        .least = INFINITY,
                        .greatest = -INFINITY,
                        .first = is_same_series ? row->last : sqlite3_column_double(read, 6)};
}

/* Columns as READ_SAMPLES and READ_COARSE have them. */
static void join(struct row *row, sqlite3_stmt *read)
{
    json_int_t count = sqlite3_column_int64(read, 2);
    row->least = fmin(row->least, sqlite3_column_double(read, 3));
    row->mean +=
        (sqlite3_column_double(read, 4) - row->mean) * (double)count / (double)(row->count + count);
    row->greatest = fmax(row->greatest, sqlite3_column_double(read, 5));
    row->last = sqlite3_column_double(read, 7);
    row->last_s = sqlite3_column_int64(read, 1);
    row->count += count;
}

static bool add_row(json_t *rows, const char *series, const struct row *row)
{
    if (json_array_size(rows) == ARCHIVE_ROWS_LIMIT)
        return false;
    double seconds = (double)(row->last_s - row->first_s);
    json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "series",
                                          series, "time", row->time_s, "count", row->count, "least",
                                          row->least, "mean", row->mean, "greatest", row->greatest,
                                          "last", row->last, "per_second",
                                          seconds > 0 ? (row->last - row->first) / seconds : 0.0));
    return true;
}

static json_t *complain(struct archive *archive, struct text *why)
{
    text_add_format(why, "history.db: %s", archive_store_complaint(archive_store(archive)));
    return NULL;
}

static sqlite3_stmt *bind(struct archive *archive, enum store_statement which,
                          const struct archive_query *query)
{
    sqlite3_stmt *read = archive_store_statement(archive_store(archive), which);
    sqlite3_bind_text(read, 1, query->series, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(read, 2, (int64_t)query->since_s);
    sqlite3_bind_int64(read, 3, (int64_t)query->until_s);
    return read;
}

json_t *archive_values(struct archive *archive, const struct archive_query *query, struct text *why)
{
    json_int_t step_s = query->step_s ? (json_int_t)query->step_s : INT64_MAX;
    bool is_coarse = query->step_s >= ARCHIVE_COARSE_S;
    sqlite3_stmt *read = bind(archive, is_coarse ? STORE_READ_COARSE : STORE_READ_SAMPLES, query);
    json_t *rows = json_array();
    char series[ARCHIVE_NAME_LIMIT + 1] = "";
    struct row row = {0};
    bool is_cut = false;
    int result;
    while (!is_cut && (result = sqlite3_step(read)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(read, 0);
        json_int_t time_s = sqlite3_column_int64(read, 1);
        bool is_same_series = row.count && strcmp(series, name) == 0;
        time_s -= time_s % step_s;
        if (!is_same_series || time_s != row.time_s) {
            is_cut = row.count && !add_row(rows, series, &row);
            start(&row, time_s, read, is_same_series);
            snprintf(series, sizeof series, "%s", name);
        }
        join(&row, read);
    }
    sqlite3_reset(read);
    if (!is_cut && result != SQLITE_DONE) {
        json_decref(rows);
        return complain(archive, why);
    }
    if (row.count)
        is_cut = !add_row(rows, series, &row) || is_cut;
    return json_pack("{s:o, s:b}", "rows", rows, "is_cut", is_cut);
}

json_t *archive_events(struct archive *archive, const struct archive_query *query, struct text *why)
{
    sqlite3_stmt *read = bind(archive, STORE_READ_EVENTS, query);
    sqlite3_bind_int(read, 4, ARCHIVE_ROWS_LIMIT + 1);
    json_t *rows = json_array();
    bool is_cut = false;
    int result;
    while (!is_cut && (result = sqlite3_step(read)) == SQLITE_ROW) {
        is_cut = json_array_size(rows) == ARCHIVE_ROWS_LIMIT;
        if (!is_cut)
            json_array_append_new(rows,
                                  json_pack("{s:I, s:s, s:s?, s:s}", "time",
                                            (json_int_t)sqlite3_column_int64(read, 0), "series",
                                            (const char *)sqlite3_column_text(read, 1), "from",
                                            (const char *)sqlite3_column_text(read, 2), "to",
                                            (const char *)sqlite3_column_text(read, 3)));
    }
    sqlite3_reset(read);
    if (!is_cut && result != SQLITE_DONE) {
        json_decref(rows);
        return complain(archive, why);
    }
    return json_pack("{s:o, s:b}", "rows", rows, "is_cut", is_cut);
}
