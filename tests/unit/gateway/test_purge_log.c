/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of purges (C2) on files in memory: numbers over restarts, what a crash leaves, what damage does, what is dropped, and two
 * processes that write it in turn.
 */
#include "base/memory.h"
#include "gateway/purges/purge_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

enum { NOW_US = 1000000, SITE = 7, OTHER = 9, THIRD = 11 };

struct stage {
    int files[PURGE_LOG_FILES];
    struct purge_log *log;
};

static const uint64_t both[] = {SITE, OTHER};

static void open_log(struct stage *stage, uint64_t most_bytes)
{
    assert_int_equal(purge_log_open(&stage->log, stage->files, most_bytes), 0);
}

static void stage_start(struct stage *stage, uint64_t most_bytes)
{
    for (int i = 0; i < PURGE_LOG_FILES; i++)
        assert_true((stage->files[i] = memfd_create("purges", MFD_CLOEXEC)) >= 0);
    open_log(stage, most_bytes);
    assert_int_equal(purge_log_set_sites(stage->log, both, 2, NOW_US), 0);
}

static void stage_stop(struct stage *stage)
{
    purge_log_close(&stage->log);
    for (int i = 0; i < PURGE_LOG_FILES; i++)
        close(stage->files[i]);
}

/* As after a crash. */
static void open_again(struct stage *stage, uint64_t now_us)
{
    purge_log_close(&stage->log);
    open_log(stage, 1 << 20);
    assert_int_equal(purge_log_set_sites(stage->log, both, 2, now_us), 0);
}

static uint64_t append(struct purge_log *log, uint64_t site, const char *tag)
{
    struct purge purge = {.site = site, .kind = PURGE_TAG, .what = span_text(tag)};
    assert_int_equal(purge_log_append(log, &purge, 1), 0);
    return purge.number;
}

static const struct purge_entry *entry(struct purge_log *log, uint64_t index)
{
    return purge_log_at(log, purge_log_begin(log) + index);
}

static uint64_t count(struct purge_log *log)
{
    return purge_log_end(log) - purge_log_begin(log);
}

static int present_file(const struct stage *stage)
{
    uint64_t generations[PURGE_LOG_FILES] = {0};
    for (int i = 0; i < PURGE_LOG_FILES; i++) {
        uint8_t head[PURGE_LOG_HEAD];
        if (pread(stage->files[i], head, sizeof head, 0) == (ssize_t)sizeof head &&
            purge_log_head_read(span_of(head, sizeof head), &generations[i]))
            generations[i] = 0;
    }
    return stage->files[generations[1] > generations[0]];
}

static void C2_numbers_ascend_for_each_site_and_survive(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, 1 << 20);
    assert_int_equal(count(stage.log), 2); /* both begin with a purge of everything */
    assert_int_equal(entry(stage.log, 0)->kind, PURGE_SITE);
    assert_true(entry(stage.log, 0)->is_soft);
    assert_int_equal(append(stage.log, SITE, "a"), NOW_US + 1);
    assert_int_equal(append(stage.log, SITE, "b"), NOW_US + 2);
    assert_int_equal(append(stage.log, OTHER, "a"), NOW_US + 1);
    struct purge batch[] = {{.site = SITE, .kind = PURGE_TAG, .what = SPAN("c")},
                            {.site = THIRD, .kind = PURGE_TAG, .what = SPAN("c")},
                            {.site = SITE, .kind = PURGE_SITE},
                            {.site = OTHER, .number = NOW_US + 50, .kind = PURGE_SITE}};
    assert_int_equal(purge_log_append(stage.log, batch, 4), 0);
    assert_int_equal(batch[0].number, NOW_US + 3);
    assert_int_equal(batch[1].number, 0); /* not numbered here */
    assert_int_equal(batch[2].number, NOW_US + 4);
    assert_int_equal(batch[3].number, NOW_US + 50);
    open_again(&stage, 2 * NOW_US);
    assert_int_equal(count(stage.log), 8);
    assert_int_equal(purge_log_last(stage.log, SITE), NOW_US + 4);
    assert_int_equal(append(stage.log, SITE, "d"), NOW_US + 5);
    assert_int_equal(append(stage.log, OTHER, "d"), NOW_US + 51);
    assert_memory_equal(entry(stage.log, 8)->what, "d", 1);
    stage_stop(&stage);
}

/* However short the last record was cut: it was never told to anybody. */
static void C2_a_torn_record_is_ignored_and_its_number_given_again(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, 1 << 20);
    append(stage.log, SITE, "first");
    uint64_t whole = purge_log_bytes(stage.log);
    append(stage.log, SITE, "second");
    uint64_t more = purge_log_bytes(stage.log);
    for (uint64_t cut = more - 1; cut > whole; cut--) {
        assert_int_equal(ftruncate(present_file(&stage), (off_t)cut), 0);
        open_again(&stage, 2 * NOW_US);
        assert_int_equal(purge_log_last(stage.log, SITE), NOW_US + 1);
    }
    assert_int_equal(ftruncate(present_file(&stage), (off_t)more + 1000), 0); /* zeros behind it */
    open_again(&stage, 2 * NOW_US);
    assert_int_equal(append(stage.log, SITE, "third"), NOW_US + 2);
    open_again(&stage, 2 * NOW_US);
    assert_int_equal(count(stage.log), 4);
    assert_memory_equal(entry(stage.log, 3)->what, "third", 5);
    stage_stop(&stage);
}

static void C2_damage_makes_all_sites_begin_anew(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, 1 << 20);
    append(stage.log, SITE, "first");
    uint64_t at = purge_log_bytes(stage.log);
    append(stage.log, SITE, "second");
    append(stage.log, OTHER, "third");
    assert_int_equal(pwrite(present_file(&stage), "\xff", 1, (off_t)at + 20), 1);
    open_again(&stage, 5 * NOW_US);
    assert_int_equal(purge_log_last(stage.log, SITE), 5 * NOW_US);
    assert_int_equal(purge_log_last(stage.log, OTHER), 5 * NOW_US);
    assert_int_equal(entry(stage.log, count(stage.log) - 1)->kind, PURGE_SITE);
    open_again(&stage, 6 * NOW_US); /* once is enough */
    assert_int_equal(purge_log_last(stage.log, SITE), 5 * NOW_US);
    /* Both heads: nothing is known any more. */
    for (int i = 0; i < PURGE_LOG_FILES; i++)
        assert_int_equal(pwrite(stage.files[i], "x", 1, 0), 1);
    open_again(&stage, 7 * NOW_US);
    assert_int_equal(purge_log_last(stage.log, SITE), 7 * NOW_US);
    stage_stop(&stage);
}

static void C2_the_older_half_is_dropped_for_a_purge_of_the_site(void **state)
{
    struct stage stage;
    char tag[32];
    (void)state;
    stage_start(&stage, 4096);
    uint64_t last = 0;
    append(stage.log, OTHER, "early");
    for (int i = 0; i < 500; i++) {
        snprintf(tag, sizeof tag, "tag-number-%d", i);
        last = append(stage.log, SITE, tag);
        assert_true(purge_log_bytes(stage.log) <= 4096);
    }
    assert_int_equal(last, NOW_US + 500);
    assert_true(purge_log_compactions(stage.log) > 2);
    assert_int_equal(entry(stage.log, 0)->kind, PURGE_SITE);
    assert_true(entry(stage.log, 0)->is_soft);
    assert_int_equal(entry(stage.log, 0)->site, SITE);
    assert_int_equal(entry(stage.log, 1)->site, OTHER);
    assert_int_equal(entry(stage.log, 1)->number, NOW_US + 1);
    for (uint64_t i = 2; i < count(stage.log); i++) /* no gap behind it */
        assert_int_equal(entry(stage.log, i)->number, entry(stage.log, 0)->number + i - 1);
    open_again(&stage, 2 * NOW_US);
    assert_int_equal(purge_log_last(stage.log, SITE), last);
    assert_int_equal(purge_log_last(stage.log, OTHER), NOW_US + 1);
    stage_stop(&stage);
}

static void C2_a_site_that_was_elsewhere_begins_anew(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, 1 << 20);
    append(stage.log, SITE, "a");
    append(stage.log, OTHER, "a");
    assert_int_equal(purge_log_set_sites(stage.log, both, 1, 2 * NOW_US), 0);
    assert_int_equal(purge_log_last(stage.log, OTHER), 0);
    assert_int_equal(purge_log_last(stage.log, SITE), NOW_US + 1);
    open_again(&stage, 3 * NOW_US); /* with both */
    assert_int_equal(purge_log_last(stage.log, SITE), NOW_US + 1);
    assert_int_equal(purge_log_last(stage.log, OTHER), 3 * NOW_US);
    stage_stop(&stage);
}

/* An upgrade: the process before goes on telling its edges what the one behind it numbers. */
static void C2_two_processes_share_the_log(void **state)
{
    struct stage stage;
    struct purge_log *other;
    (void)state;
    stage_start(&stage, 4096);
    append(stage.log, SITE, "a");
    assert_int_equal(purge_log_open(&other, stage.files, 4096), 0);
    assert_int_equal(append(other, SITE, "b"), NOW_US + 2);
    assert_int_equal(count(stage.log), 3);
    assert_int_equal(purge_log_follow(stage.log), 0);
    assert_int_equal(count(stage.log), 4);
    assert_int_equal(append(stage.log, SITE, "c"), NOW_US + 3);
    assert_int_equal(append(other, SITE, "d"), NOW_US + 4);
    for (int i = 0; i < 300; i++)
        append(other, SITE, "many of them, until the other file is the present one");
    uint64_t end = purge_log_end(stage.log);
    assert_int_equal(purge_log_follow(stage.log), 0);
    assert_true(purge_log_begin(stage.log) >= end); /* all places are new */
    assert_int_equal(purge_log_last(stage.log, SITE), NOW_US + 304);
    assert_int_equal(count(stage.log), count(other));
    purge_log_close(&other);
    stage_stop(&stage);
}

static void C2_a_disk_that_refuses_costs_no_number(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, 1 << 20);
    append(stage.log, SITE, "a");
    int file = present_file(&stage), kept = dup(file);
    assert_true(kept >= 0);
    int null = open("/dev/null", O_RDONLY);
    assert_true(dup2(null, file) == file);
    struct purge purge = {.site = SITE, .kind = PURGE_TAG, .what = SPAN("b")};
    assert_true(purge_log_append(stage.log, &purge, 1) < 0);
    assert_true(dup2(kept, file) == file);
    assert_int_equal(append(stage.log, SITE, "b"), NOW_US + 2);
    close(kept);
    close(null);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C2_numbers_ascend_for_each_site_and_survive),
        cmocka_unit_test(C2_a_torn_record_is_ignored_and_its_number_given_again),
        cmocka_unit_test(C2_damage_makes_all_sites_begin_anew),
        cmocka_unit_test(C2_the_older_half_is_dropped_for_a_purge_of_the_site),
        cmocka_unit_test(C2_a_site_that_was_elsewhere_begins_anew),
        cmocka_unit_test(C2_two_processes_share_the_log),
        cmocka_unit_test(C2_a_disk_that_refuses_costs_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
