/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer thread: gathers whole lines of each file's ring into one write. Where a reader does
 * not keep up (a full pipe) only that file waits, its ring fills, and further lines are dropped and
 * counted.
 */
#include "observe/writer.h"

#include "base/error.h"
#include "base/list.h"
#include "base/memory.h"
#include "observe/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_BYTES = 65536,
    GATHER_MS = 5,     /* lines that come together are written together */
    CLOSING_MS = 1000, /* for a reader that does not read */
    STUCK_LIMIT = 64,  /* files waited for at once; the others are looked at with the next line */
};

struct log_file {
    struct list link; /* `files` */
    struct ring ring;
    char *path; /* NULL: standard error */
    int fd;
    bool is_log,
        is_paced; /* paced: no regular file; at most PIPE_BUF bytes at once, after poll() */
    bool is_closing, is_closed;
    bool has_failed; /* the last write; said once */
    _Atomic bool is_reopening;
    _Atomic uint64_t dropped;
    uint64_t dropped_told;
    char *batch; /* lines taken from the ring that are not written yet */
    size_t batch_length, batch_at;
    uint64_t batch_lines;
};

static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* of the list of files and the thread's life */
static pthread_cond_t is_closed = PTHREAD_COND_INITIALIZER;
static struct list files = {&files, &files};
static pthread_t thread;
static bool is_running;
static int wake_fd = -1;
static _Atomic bool is_asleep;
static _Atomic uint64_t all_dropped; /* of all files */
static _Atomic(log_opener *) opener;

void log_set_opener(log_opener *open_path)
{
    atomic_store(&opener, open_path);
}

static int open_file(const char *path)
{
    if (!path)
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    log_opener *open_path = atomic_load(&opener);
    if (open_path)
        return open_path(path);
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

static void use_descriptor(struct log_file *file, int fd)
{
    struct stat status;
    if (file->fd >= 0)
        close(file->fd);
    file->fd = fd;
    file->is_paced = fstat(fd, &status) || !S_ISREG(status.st_mode);
}

static void wake(void)
{
    if (atomic_load(&is_asleep) && atomic_exchange(&is_asleep, false)) {
        uint64_t one = 1;
        ssize_t ignored = write(wake_fd, &one, sizeof one);
        (void)ignored;
    }
}

static void count_dropped(struct log_file *file, uint64_t lines)
{
    atomic_fetch_add_explicit(&file->dropped, lines, memory_order_relaxed);
    atomic_fetch_add_explicit(&all_dropped, lines, memory_order_relaxed);
}

/* ---- the thread's side */

static void fill_batch(struct log_file *file)
{
    struct span record;
    size_t limit = file->is_paced ? PIPE_BUF : BATCH_BYTES;
    file->batch_length = file->batch_at = 0;
    file->batch_lines = 0;
    while (ring_front(&file->ring, &record)) {
        if (file->batch_length && file->batch_length + record.length > limit)
            break;
        memcpy(file->batch + file->batch_length, record.data, record.length);
        file->batch_length += record.length;
        file->batch_lines++;
        ring_pop(&file->ring);
    }
    uint64_t dropped = atomic_load_explicit(&file->dropped, memory_order_relaxed);
    if (file->is_log && dropped != file->dropped_told && file->batch_length + 512 < BATCH_BYTES) {
        file->batch_length += log_compose_dropped(file->batch + file->batch_length, 512,
                                                  dropped - file->dropped_told);
        file->dropped_told = dropped;
    }
}

static bool can_write(const struct log_file *file)
{
    struct pollfd poll_fd = {.fd = file->fd, .events = POLLOUT};
    return !file->is_paced || poll(&poll_fd, 1, 0) != 0;
}

/* Of the log itself nothing is told: where would it be. */
static void note_failure(struct log_file *file, int error)
{
    bool has_failed = error != 0;
    if (file->has_failed == has_failed)
        return;
    file->has_failed = has_failed;
    if (file->is_log)
        return;
    if (has_failed)
        log_error("log", "%s: %s: its lines are lost until it can be written again",
                  file->path ? file->path : "standard error", strerror(error));
    else
        log_notice("log", "%s is written again", file->path ? file->path : "standard error");
}

/* False: the file takes no more now. */
static bool flush(struct log_file *file)
{
    for (;;) {
        if (file->batch_at == file->batch_length)
            fill_batch(file);
        if (!file->batch_length)
            return true;
        size_t length = file->batch_length - file->batch_at;
        if (file->is_paced && length > PIPE_BUF)
            length = PIPE_BUF;
        if (!can_write(file))
            return false;
        ssize_t written = write(file->fd, file->batch + file->batch_at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            return false;
        if (written < 0) { /* a full disk, a reader that is gone */
            note_failure(file, errno);
            count_dropped(file, file->batch_lines);
            file->dropped_told += file->batch_lines;
            file->batch_at = file->batch_length;
            if (ring_is_empty(&file->ring))
                return true;
            continue;
        }
        note_failure(file, 0);
        file->batch_at += (size_t)written;
    }
}

static void reopen(struct log_file *file)
{
    if (!atomic_exchange(&file->is_reopening, false) || !file->path)
        return;
    int fd = open_file(file->path);
    if (fd >= 0)
        use_descriptor(file, fd);
    else
        log_error("log", "cannot reopen %s: %s; writing on into the old file", file->path,
                  strerror(errno));
}

/* One pass over all files, under `lock`. Returns how many are stuck; their descriptors go to
 * `stuck`. */
static nfds_t serve(struct pollfd *stuck)
{
    nfds_t count = 0;
    LIST_EACH (link, after, &files) {
        struct log_file *file = CONTAINER_OF(link, struct log_file, link);
        bool is_free = flush(file);
        reopen(file); /* behind the flush: lines from before stay in the old file, where they can */
        if (file->is_closing && is_free) {
            list_remove(&file->link);
            file->is_closed = true;
            pthread_cond_broadcast(&is_closed);
        } else if (!is_free && count < STUCK_LIMIT) {
            stuck[count++] = (struct pollfd){.fd = file->fd, .events = POLLOUT};
        }
    }
    return count;
}

static bool has_work(void)
{
    LIST_EACH (link, after, &files) {
        const struct log_file *file = CONTAINER_OF(link, struct log_file, link);
        bool is_stuck = file->batch_at < file->batch_length;
        if (atomic_load(&file->is_reopening) || (!is_stuck && !ring_is_empty(&file->ring)))
            return true;
    }
    return false;
}

static void *run_writer(void *argument)
{
    (void)argument;
    struct pollfd polled[STUCK_LIMIT + 1];
    pthread_mutex_lock(&lock);
    for (;;) {
        nfds_t stuck = serve(polled + 1);
        if (list_is_empty(&files))
            break;
        atomic_store(&is_asleep, true);
        bool is_busy = has_work();
        pthread_mutex_unlock(&lock);
        if (!is_busy) {
            polled[0] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
            poll(polled, stuck + 1, -1);
            uint64_t wakes;
            if (read(wake_fd, &wakes, sizeof wakes) > 0 && stuck == 0) {
                struct timespec gather = {.tv_nsec = GATHER_MS * 1000000l};
                nanosleep(&gather, NULL);
            }
        }
        atomic_store(&is_asleep, false);
        pthread_mutex_lock(&lock);
    }
    is_running = false;
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* ---- the callers' side */

/* Under `lock`. The last thread has ended when `is_running` is false, or is about to and touches
 * nothing more. */
static void add_file(struct log_file *file)
{
    list_push_back(&files, &file->link);
    if (is_running) {
        wake();
        return;
    }
    if (wake_fd < 0)
        wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    INVARIANT(wake_fd >= 0);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&thread, NULL, run_writer, NULL);
    INVARIANT(failed == 0);
    pthread_setname_np(thread, "log");
    pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    is_running = true;
}

struct log_file *writer_file_open(const char *path, uint64_t ring_bytes, bool is_log)
{
    int fd = open_file(path);
    if (fd < 0)
        return NULL;
    struct log_file *file = NEW(struct log_file);
    file->fd = -1;
    file->is_log = is_log;
    file->path = path ? memory_text(path, strlen(path)) : NULL;
    file->batch = memory_raw(BATCH_BYTES);
    ring_init(&file->ring, ring_bytes);
    use_descriptor(file, fd);
    pthread_mutex_lock(&lock);
    add_file(file);
    pthread_mutex_unlock(&lock);
    return file;
}

int writer_file_move(struct log_file *file, const char *path)
{
    int fd = open_file(path);
    if (fd < 0)
        return ERROR_IO;
    pthread_mutex_lock(&lock);
    memory_free(file->path);
    file->path = path ? memory_text(path, strlen(path)) : NULL;
    use_descriptor(file, fd);
    pthread_mutex_unlock(&lock);
    return 0;
}

int writer_file_resume(struct log_file *file, const char *path)
{
    int result = writer_file_move(file, path);
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    file->is_closing = file->is_closed = false;
    add_file(file);
    pthread_mutex_unlock(&lock);
    return 0;
}

void writer_file_close(struct log_file *file, bool is_kept)
{
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += CLOSING_MS / 1000;
    pthread_mutex_lock(&lock);
    file->is_closing = true;
    uint64_t one = 1;
    ssize_t ignored = write(wake_fd, &one, sizeof one);
    (void)ignored;
    while (!file->is_closed)
        if (pthread_cond_timedwait(&is_closed, &lock, &limit) == ETIMEDOUT)
            break;
    if (!file->is_closed) {
        list_remove(&file->link);
        file->is_closed = true;
    }
    close(file->fd);
    file->fd = -1;
    pthread_mutex_unlock(&lock);
    if (is_kept)
        return;
    ring_clear(&file->ring);
    memory_free(file->batch);
    memory_free(file->path);
    memory_free(file);
}

void writer_file_put(struct log_file *file, struct span line)
{
    if (ring_put(&file->ring, line))
        wake();
    else
        count_dropped(file, 1);
}

uint64_t writer_file_dropped(const struct log_file *file)
{
    return atomic_load_explicit(&file->dropped, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&all_dropped, memory_order_relaxed);
}

void log_reopen(void)
{
    pthread_mutex_lock(&lock);
    LIST_EACH (link, after, &files)
        atomic_store(&CONTAINER_OF(link, struct log_file, link)->is_reopening, true);
    if (is_running)
        wake();
    pthread_mutex_unlock(&lock);
}
