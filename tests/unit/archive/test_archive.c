/* SPDX-License-Identifier: Apache-2.0
 *
 * The history of a node in a real database: what goes in comes out, step by step; what is old is forgotten; a new process goes on
 * where the one before stood.
 */
#include "archive/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

enum { EARLY_S = 1800000000, KEEP_S = 3600, KEEP_COARSE_S = 86400 };

static char folder[64];
static struct archive *archive;

static void open_archive(void)
{
    struct text why = {0};
    const struct archive_options options = {folder, KEEP_S, KEEP_COARSE_S};
    if (archive_open(&archive, &options, &why))
        fail_msg("%s", why.data);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/archive-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    open_archive();
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"", "-wal", "-shm", ".broken"};
    (void)state;
    archive_close(&archive);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/history.db%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void take(uint64_t time_s, const char *json)
{
    json_t *status = json_loads(json, 0, NULL);
    struct text why = {0};
    assert_non_null(status);
    if (archive_take(archive, status, time_s, &why))
        fail_msg("%s", why.data);
    json_decref(status);
}

static json_t *values(const char *series, uint64_t since_s, uint64_t until_s, uint64_t step_s)
{
    const struct archive_query query = {series, since_s, until_s, step_s};
    struct text why = {0};
    json_t *answer = archive_values(archive, &query, &why);
    if (!answer)
        fail_msg("%s", why.data);
    return answer;
}

static json_t *row_of(json_t *answer, size_t at)
{
    return json_array_get(json_object_get(answer, "rows"), at);
}

static size_t rows_of(json_t *answer)
{
    return json_array_size(json_object_get(answer, "rows"));
}

static double number(json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

static const char *word(json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

static void R11_numbers_come_back_step_by_step(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        char json[128];
        snprintf(json, sizeof json,
                 "{\"dns\":{\"edges\":[{\"name\":\"fra\",\"load\":%d,\"sent\":%d}]}}", i % 4,
                 100 * i);
        take(EARLY_S + 10 * (uint64_t)i, json);
    }
    json_t *answer = values("dns.edges.*.load", EARLY_S, EARLY_S + 1000, 40);
    assert_int_equal(rows_of(answer), 3);
    for (size_t i = 0; i < 3; i++) {
        json_t *row = row_of(answer, i);
        assert_string_equal(word(row, "series"), "dns.edges.fra.load");
        assert_int_equal(number(row, "time"), EARLY_S + 40 * i);
        assert_int_equal(number(row, "count"), 4);
        assert_true(number(row, "least") == 0 && number(row, "greatest") == 3 &&
                    number(row, "mean") == 1.5 && number(row, "last") == 3);
    }
    json_decref(answer);
    answer = values("*sent", EARLY_S, EARLY_S + 1000, 40);
    assert_true(number(row_of(answer, 0), "per_second") == 10);
    assert_true(number(row_of(answer, 2), "per_second") ==
                10); /* from the end of the step before */
    json_decref(answer);
    answer = values("*", EARLY_S, EARLY_S + 1000, 0);
    assert_int_equal(rows_of(answer), 2);
    json_decref(answer);
}

static void R11_words_are_told_when_they_change(void **state)
{
    (void)state;
    static const char *const states[] = {"live", "live", "dead", "dead", "live"};
    for (uint64_t i = 0; i < 5; i++) {
        char json[128];
        snprintf(json, sizeof json,
                 "{\"dns\":{\"edges\":[{\"name\":\"a.b *c\",\"state\":\"%s\"}]}}", states[i]);
        if (i == 3) { /* the process ends, and its successor knows the last word */
            archive_close(&archive);
            open_archive();
        }
        take(EARLY_S + i, json);
    }
    const struct archive_query query = {"*state", EARLY_S, EARLY_S + 10, 0};
    struct text why = {0};
    json_t *answer = archive_events(archive, &query, &why);
    assert_int_equal(rows_of(answer), 3);
    assert_int_equal(number(row_of(answer, 0), "time"), EARLY_S + 4);
    assert_string_equal(word(row_of(answer, 0), "series"), "dns.edges.a_b__c.state");
    assert_string_equal(word(row_of(answer, 0), "from"), "dead");
    assert_string_equal(word(row_of(answer, 0), "to"), "live");
    assert_null(word(row_of(answer, 2), "from"));
    json_decref(answer);
}

/* Looks of two hours; of the first one only the five minutes are left. */
static void R11_old_looks_live_on_as_five_minutes(void **state)
{
    (void)state;
    for (uint64_t s = 0; s <= 7200; s += 60) {
        char json[64];
        snprintf(json, sizeof json, "{\"x\":%d}", (int)(s / 60));
        take(EARLY_S + s, json);
    }
    while (archive_prune(archive, EARLY_S + 7200))
        ;
    json_t *answer = values("x", EARLY_S, EARLY_S + 7201, 60);
    assert_int_equal(number(row_of(answer, 0), "time"), EARLY_S + 3600);
    json_decref(answer);
    answer = values("x", EARLY_S, EARLY_S + 7201, ARCHIVE_COARSE_S);
    assert_int_equal(rows_of(answer), 24); /* the last one is still in the making */
    assert_true(number(row_of(answer, 1), "least") == 5 &&
                number(row_of(answer, 1), "greatest") == 9 &&
                number(row_of(answer, 1), "mean") == 7);
    json_decref(answer);
    while (archive_prune(archive, EARLY_S + 7200 + KEEP_COARSE_S))
        ;
    answer = values("x", 0, INT64_MAX, ARCHIVE_COARSE_S);
    assert_int_equal(rows_of(answer), 0);
    json_decref(answer);
}

static void lists_without_names_and_too_long_names_are_left_out(void **state)
{
    (void)state;
    char json[ARCHIVE_NAME_LIMIT + 100], name[ARCHIVE_NAME_LIMIT + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    snprintf(json, sizeof json, "{\"list\":[1,2,{\"x\":3}],\"none\":null,\"%s\":1,\"y\":1e999}",
             name);
    json_t *status = json_pack("{s:[i,i], s:n, s:i, s:i}", "list", 1, 2, "none", name, 1, "z", 4);
    struct text why = {0};
    assert_int_equal(archive_take(archive, status, EARLY_S, &why), 0);
    json_decref(status);
    json_t *answer = values("*", 0, INT64_MAX, 0);
    assert_int_equal(rows_of(answer), 1);
    assert_string_equal(word(row_of(answer, 0), "series"), "z");
    assert_int_equal(archive_counters(archive)->series_refused, 1);
    json_decref(answer);
}

static void a_file_that_is_no_database_is_put_aside(void **state)
{
    (void)state;
    char path[128];
    archive_close(&archive);
    snprintf(path, sizeof path, "%s/history.db", folder);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 4096; i++)
        fputs("no database ", file);
    fclose(file);
    open_archive();
    take(EARLY_S, "{\"x\":1}");
    snprintf(path, sizeof path, "%s/history.db.broken", folder);
    struct stat kept;
    assert_int_equal(stat(path, &kept), 0);
}

static void a_folder_that_is_not_there_is_told(void **state)
{
    (void)state;
    struct archive *none;
    struct text why = {0};
    const struct archive_options options = {"/nonexistent/folder", 1, 1};
    assert_int_equal(archive_open(&none, &options, &why), ERROR_IO);
    assert_null(none);
    assert_non_null(strstr(why.data, "/nonexistent/folder/history.db"));
    text_clear(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(R11_numbers_come_back_step_by_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R11_words_are_told_when_they_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(R11_old_looks_live_on_as_five_minutes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_without_names_and_too_long_names_are_left_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_database_is_put_aside, set_up, tear_down),
        cmocka_unit_test(a_folder_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
