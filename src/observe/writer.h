/* SPDX-License-Identifier: Apache-2.0
 *
 * Log files and the one thread that writes them. What a worker does is a copy into a ring; opening,
 * writing, waiting and reopening happen on the writer's thread.
 */
#ifndef OBSERVE_WRITER_H
#define OBSERVE_WRITER_H

#include "observe/observe.h"

enum { LOG_LINE_BYTES = 2048, LOG_FILE_LINE_BYTES = 8192 };

/* As log_file_open(); `is_log`: it tells of dropped lines by itself. A `path` of NULL is standard
 * error. */
struct log_file *writer_file_open(const char *path, uint64_t ring_bytes, bool is_log);

void writer_file_put(struct log_file *file, struct span line); /* any thread, never blocks */
uint64_t writer_file_dropped(const struct log_file *file);

/* Another path from the next line on. 0, or ERROR_IO with errno and nothing changed. */
int writer_file_move(struct log_file *file, const char *path) __attribute__((warn_unused_result));

/* Writes what waits, for at most a second where nobody reads it, and closes. The memory stays where
 * `is_kept` (other threads may still put lines, which are lost). */
void writer_file_close(struct log_file *file, bool is_kept);
/* A kept one. */
int writer_file_resume(struct log_file *file, const char *path) __attribute__((warn_unused_result));

/* The log's own line about lines that were dropped, of at most `limit` bytes; returns its
 * length. */
size_t log_compose_dropped(char *out, size_t limit, uint64_t count);

#endif
