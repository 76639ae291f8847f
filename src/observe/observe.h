/* SPDX-License-Identifier: Apache-2.0
 *
 * What the program tells of itself: a log that never blocks, counters, gauges and histograms with a
 * single writer each, and their Prometheus text. Each module declares its metrics as static objects
 * and registers them once; each thread that counts has own slots; a reader adds them up.
 */
#ifndef OBSERVE_OBSERVE_H
#define OBSERVE_OBSERVE_H

#include "base/span.h"
#include "base/text.h"

/* ---- log: lines go through a bounded ring to one writer thread; a full ring drops the line and
 * counts it. */
enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* `path` NULL: standard error. Before log_open() and after log_close() lines go to standard error
 * at once. `process` is in each line. 0 or a negative error (errno kept). */
int log_open(const char *path, enum log_level level, enum log_format format, const char *process)
    __attribute__((warn_unused_result));
void log_reopen(void); /* after rotation: all logs, on SIGUSR1; any thread */
/* How log files are opened, also again by log_reopen(): a process without file access is handed
 * descriptors. Returns one that the log then owns, or -1 with errno. */
typedef int log_opener(const char *path);
void log_set_opener(log_opener *open_path);
void log_close(void);       /* writes what waits, then stops */
uint64_t log_dropped(void); /* lines of all files of this process that were lost */
bool log_is_on(enum log_level level);

/* One event: an area ("edge", "link", "dns" ...), a sentence, then fields "name=value" by format.
 * Lines are at most 2 KB. Any thread. */
void log_write(enum log_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define log_error(area, ...)   log_write(LOG_ERROR, (area), __VA_ARGS__)
#define log_warning(area, ...) log_write(LOG_WARNING, (area), __VA_ARGS__)
#define log_notice(area, ...)  log_write(LOG_NOTICE, (area), __VA_ARGS__)
#define log_info(area, ...)    log_write(LOG_INFO, (area), __VA_ARGS__)
#define log_debug(area, ...)                           \
    do {                                               \
        if (log_is_on(LOG_DEBUG))                      \
            log_write(LOG_DEBUG, (area), __VA_ARGS__); \
    } while (0)

/* A file of its own for whole lines made by the caller (access logs); same writer thread, own ring,
 * same rules. */
struct log_file;
struct log_file *log_file_open(const char *path); /* NULL: cannot be opened, errno kept */
void log_file_close(struct log_file **file);
/* With its newline; any thread; at most 8 KB. */
void log_file_write(struct log_file *file, struct span line);
uint64_t log_file_dropped(const struct log_file *file);

/* ---- metrics */
enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Static; `labels` is "" or like "code=\"200\"". Members from `slot` on belong to observe. */
struct metric {
    enum metric_kind kind;
    const char *name; /* Prometheus: causeway_..., unit at the end, _total for counters */
    const char *labels;
    const char *help;
    uint32_t slot;
    struct metric *next;
};
/* struct metric x = METRIC(COUNTER, "causeway_x_total", "", "What it counts."); */
#define METRIC(kind, name, labels, help)                 \
    {                                                    \
        METRIC_##kind, (name), (labels), (help), 0, NULL \
    }
enum { METRIC_SLOTS_LIMIT = 8192 }; /* for each thread; a histogram takes 259 */

void metric_register(struct metric *metric); /* before threads start; twice is harmless */
/* Gives this thread its slots; a thread without slots counts nowhere. */
void metrics_thread_start(void);
void metrics_thread_stop(void); /* its counts stay in the sums */
/* This thread's slot: one add, no lock. A gauge goes down by adding the two's complement: its sum
 * over threads is right. */
void metric_add(struct metric *metric, uint64_t count);
void metric_set(struct metric *metric, uint64_t value); /* gauges: the sum over threads is shown */
/* Histograms: log-linear buckets, shown in seconds. */
void metric_observe_ns(struct metric *metric, uint64_t duration_ns);
uint64_t
metric_read(const struct metric *metric); /* any thread: sum over threads; histogram: count */
uint64_t metric_quantile_ns(const struct metric *metric, double quantile);
void metrics_write_prometheus(struct text *text); /* the text exposition format 0.0.4 */

/* ---- durations of the last minute, for people who watch. One writer; any thread may read. */
struct recent;
struct recent *recent_new(uint64_t now_ns);
void recent_free(struct recent **freed); /* nulls */
void recent_add(struct recent *recent, uint64_t now_ns, uint64_t duration_ns);
struct recent_facts {
    double per_s;
    uint64_t p50_ns, p99_ns; /* 0: nothing happened */
};
/* Of all in the list together; NULL may stand in it. */
void recent_read(struct recent *const *list, size_t count, uint64_t now_ns,
                 struct recent_facts *facts);

/* ---- the sum over processes: each exports, one adds the exports up */
struct metrics_sum; /* at most METRICS_SUM_LIMIT different metrics */
enum { METRICS_SUM_LIMIT = 16384 };

void metrics_export(struct text *text); /* for metrics_sum_add() of the same program only */
struct metrics_sum *metrics_sum_new(void);
void metrics_sum_free(struct metrics_sum **pointer); /* nulls */
/* 0, ERROR_INVALID (what came before the bad line counts) or ERROR_LIMIT. */
int metrics_sum_add(struct metrics_sum *sum, struct span exported)
    __attribute__((warn_unused_result));
void metrics_sum_write(const struct metrics_sum *sum, struct text *text); /* Prometheus text */

#endif
