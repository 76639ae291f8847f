/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: lines that nobody can forge, files that are rotated, a reader that does not read.
 */
#include "base/error.h"
#include "base/memory.h"
#include "observe/observe.h"
#include "observe/ring.h"
#include "observe/writer.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static char folder[] = "/tmp/causeway-log-XXXXXX";
static char path[64], rotated[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(rotated, sizeof rotated, "%s/log.1", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(rotated);
    return rmdir(folder);
}

/* The whole file, NUL-terminated; freed by the caller. */
static char *read_file(const char *name)
{
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    char *content = memory_new(1 << 20);
    size_t length = fread(content, 1, (1 << 20) - 1, file);
    content[length] = 0;
    fclose(file);
    return content;
}

static size_t count_lines(const char *content)
{
    size_t lines = 0;
    for (; *content; content++)
        lines += *content == '\n';
    return lines;
}

static const char hostile[] =
    "GET /\n2026-01-01T00:00:00Z error admin: forged\r\x1b[31m\x9b \xc2\x9b \\ \" \x7f ok \xc3\xa4";

static void R9_a_text_line_cannot_be_forged(void **state)
{
    (void)state;
    unlink(path);
    assert_int_equal(log_open(path, LOG_INFO, LOG_TEXT, "front"), 0);
    log_info("edge", "refused request=%s", hostile);
    log_debug("edge", "not shown");
    log_close();
    char *content = read_file(path);
    assert_int_equal(count_lines(content), 1);
    assert_non_null(strstr(content, " info front edge: refused request=GET /\\n2026-01-01"));
    assert_non_null(
        strstr(content, "forged\\x0d\\x1b[31m\\x9b \\xc2\\x9b \\\\ \" \\x7f ok \xc3\xa4\n"));
    for (const char *c = content; *c; c++)
        assert_true((uint8_t)*c >= 0x20 || *c == '\n');
    memory_free(content);
}

static void R9_a_json_line_is_one_object_with_the_same_bytes(void **state)
{
    (void)state;
    unlink(path);
    assert_int_equal(log_open(path, LOG_INFO, LOG_JSON, "front"), 0);
    log_warning("edge", "%s", hostile);
    char *longest = memory_new(5000);
    memset(longest, '"', 4999); /* doubles in the line, which is cut */
    log_error("edge", "%s", longest);
    memory_free(longest);
    log_close();
    char *content = read_file(path);
    assert_int_equal(count_lines(content), 2);
    char *second = strchr(content, '\n') + 1;
    second[-1] = 0;
    json_t *line = json_loads(content, 0, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(line, "process")), "front");
    const char *message = json_string_value(json_object_get(line, "message"));
    assert_int_equal(strncmp(message, hostile, 6), 0);
    assert_non_null(strstr(message, "\xef\xbf\xbd")); /* what was no UTF-8 */
    json_decref(line);
    line = json_loads(second, 0, NULL);
    assert_non_null(line);
    assert_true(strlen(second) <= LOG_LINE_BYTES);
    json_decref(line);
    memory_free(content);
}

static void a_rotated_log_is_reopened(void **state)
{
    (void)state;
    unlink(path);
    unlink(rotated);
    assert_int_equal(log_open(path, LOG_INFO, LOG_TEXT, "front"), 0);
    log_info("test", "before");
    assert_int_equal(rename(path, rotated), 0);
    log_reopen();
    struct stat status;
    for (int i = 0; i < 5000 && stat(path, &status); i++)
        poll(NULL, 0, 1); /* the condition, with a bound */
    log_info("test", "after");
    log_close();
    char *old = read_file(rotated), *fresh = read_file(path);
    assert_non_null(strstr(old, "before"));
    assert_null(strstr(old, "after"));
    assert_non_null(strstr(fresh, "after"));
    memory_free(old);
    memory_free(fresh);
}

static void the_level_and_the_path_can_change(void **state)
{
    (void)state;
    unlink(path);
    unlink(rotated);
    assert_int_equal(log_open(path, LOG_ERROR, LOG_TEXT, "front"), 0);
    log_info("test", "hidden");
    assert_int_equal(log_open(rotated, LOG_DEBUG, LOG_TEXT, "front"), 0);
    log_debug("test", "shown");
    assert_int_equal(log_open("/nonexistent/log", LOG_DEBUG, LOG_TEXT, "front"), ERROR_IO);
    log_debug("test", "still there");
    log_close();
    char *content = read_file(rotated);
    assert_null(strstr(content, "hidden"));
    assert_non_null(strstr(content, "shown"));
    assert_non_null(strstr(content, "still there"));
    memory_free(content);
}

static int pipe_writer;

static int open_pipe(const char *name)
{
    (void)name;
    return fcntl(pipe_writer, F_DUPFD_CLOEXEC, 3);
}

/* A pipe that nobody reads: no call blocks, what does not fit is counted, and the reader hears of
 * it in the end. */
static void a_full_pipe_blocks_nobody(void **state)
{
    (void)state;
    enum { LINES = 20000 };
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pipe_writer = pipe_fds[1];
    log_set_opener(open_pipe);
    assert_int_equal(log_open("pipe", LOG_INFO, LOG_TEXT, "front"), 0);
    uint64_t dropped_before = log_dropped();
    for (int i = 0; i < LINES; i++)
        log_info("test", "number=%d %.500s", i,
                 "................................................................"
                 "................................................................");
    uint64_t dropped = log_dropped() - dropped_before;
    assert_true(dropped > 0);
    assert_true(dropped < LINES);
    struct log_file *other = log_file_open("another");
    assert_non_null(other); /* opening one waits for no reader either */

    size_t lines = 0, told = 0, bytes = 0;
    static char buffer[1 << 16];
    struct pollfd poll_fd = {.fd = pipe_fds[0], .events = POLLIN};
    while (lines < LINES - dropped + 1 && poll(&poll_fd, 1, 5000) == 1) {
        ssize_t got = read(pipe_fds[0], buffer + bytes, sizeof buffer - 1 - bytes);
        assert_true(got > 0);
        bytes += (size_t)got;
        buffer[bytes] = 0;
        char *end, *at = buffer;
        for (; (end = strchr(at, '\n')); at = end + 1, lines++) {
            *end = 0;
            const char *message = strstr(at, "lines were dropped");
            if (message)
                told += strtoull(strstr(at, "log: ") + 5, NULL, 10);
        }
        bytes -= (size_t)(at - buffer);
        memmove(buffer, at, bytes);
    }
    assert_int_equal(told, dropped);
    assert_true(lines >= LINES - dropped + 1);
    log_file_close(&other);
    log_close();
    log_set_opener(NULL);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void a_file_of_whole_lines(void **state)
{
    (void)state;
    unlink(path);
    struct log_file *file = log_file_open(path);
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        log_file_write(file, SPAN("one line\n"));
    assert_int_equal(log_file_dropped(file), 0);
    log_file_close(&file);
    assert_null(file);
    char *content = read_file(path);
    assert_int_equal(count_lines(content), 1000);
    memory_free(content);
    assert_null(log_file_open("/nonexistent/access"));
}

static void R9_a_full_disk_is_told_once_and_counted(void **state)
{
    enum { TURNS = 20 };
    (void)state;
    unlink(path);
    assert_int_equal(log_open(path, LOG_INFO, LOG_TEXT, "front"), 0);
    uint64_t before = log_dropped();
    struct log_file *file = log_file_open("/dev/full");
    assert_non_null(file);
    for (int i = 0; i < TURNS; i++) {
        uint64_t dropped = log_file_dropped(file);
        log_file_write(file, SPAN("one line\n"));
        for (int k = 0; k < 5000 && log_file_dropped(file) == dropped; k++)
            poll(NULL, 0, 1);
    }
    assert_int_equal(log_file_dropped(file), TURNS);
    assert_int_equal(log_dropped() - before, TURNS);
    log_file_close(&file);
    log_close();
    char *content = read_file(path);
    assert_non_null(strstr(content, "/dev/full: No space left on device: its lines are lost"));
    assert_int_equal(count_lines(content), 1);
    memory_free(content);
}

/* ---- the ring under many writers */

enum { PRODUCERS = 4, RECORDS = 50000 };

static struct ring ring;

static void *produce(void *argument)
{
    uint32_t producer = (uint32_t)(uintptr_t)argument;
    for (uint32_t i = 0; i < RECORDS;) {
        uint32_t record[12] = {producer, i};
        size_t words = 2 + i % 10;
        for (size_t k = 2; k < words; k++)
            record[k] = i;
        if (ring_put(&ring, span_of(record, words * sizeof *record)))
            i++;
    }
    return NULL;
}

static void a_ring_keeps_each_writers_order(void **state)
{
    (void)state;
    pthread_t producers[PRODUCERS];
    uint32_t next[PRODUCERS] = {0};
    ring_init(&ring, 4096);
    for (uintptr_t i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&producers[i], NULL, produce, (void *)i), 0);
    for (uint32_t seen = 0; seen < PRODUCERS * RECORDS;) {
        struct span record;
        if (!ring_front(&ring, &record)) {
            sched_yield();
            continue;
        }
        const uint32_t *words = (const uint32_t *)(const void *)record.data;
        assert_int_equal(words[1], next[words[0]]);
        assert_int_equal(record.length, (2 + words[1] % 10) * sizeof *words);
        for (size_t k = 2; k < record.length / sizeof *words; k++)
            assert_int_equal(words[k], words[1]);
        next[words[0]]++;
        ring_pop(&ring);
        seen++;
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i], NULL);
    assert_true(ring_is_empty(&ring));
    ring_clear(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R9_a_text_line_cannot_be_forged),
        cmocka_unit_test(R9_a_json_line_is_one_object_with_the_same_bytes),
        cmocka_unit_test(a_rotated_log_is_reopened),
        cmocka_unit_test(the_level_and_the_path_can_change),
        cmocka_unit_test(a_full_pipe_blocks_nobody),
        cmocka_unit_test(a_file_of_whole_lines),
        cmocka_unit_test(R9_a_full_disk_is_told_once_and_counted),
        cmocka_unit_test(a_ring_keeps_each_writers_order),
    };
    return cmocka_run_group_tests_name("observe/log", tests, make_folder, remove_folder);
}
