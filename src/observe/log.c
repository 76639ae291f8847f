/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the log: one event is one line whatever its bytes are. Control bytes, line ends and what
 * is not UTF-8 are written as escapes, so that nobody whose bytes are logged can forge a line or
 * drive a terminal.
 */
#include "observe/observe.h"
#include "observe/writer.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LOG_RING_BYTES = 1 << 20, LOG_FILE_RING_BYTES = 4 << 20, PROCESS_BYTES = 32 };

static const char *const level_names[] = {"error", "warning", "notice", "info", "debug"};

static _Atomic int level_limit = LOG_NOTICE;
static _Atomic int line_format = LOG_TEXT;
static char process_name[PROCESS_BYTES] = "causeway";
static struct log_file *kept;           /* the log; its memory stays, other threads may hold it */
static struct log_file *_Atomic opened; /* the same, or NULL */

/* ---- one line */

struct line {
    size_t length;
    char bytes[LOG_LINE_BYTES];
};

/* Adds all of it or nothing; the last byte is kept for the line end, the two before for what closes
 * a JSON object. */
static bool add(struct line *line, const char *bytes, size_t length)
{
    if (line->length + length > sizeof line->bytes - 3)
        return false;
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
    return true;
}

static bool add_text(struct line *line, const char *text)
{
    return add(line, text, strlen(text));
}

/* C1 controls (U+0080 to U+009F) are two bytes in UTF-8, and some terminals obey them. */
static bool is_control(const uint8_t *bytes, size_t length)
{
    return bytes[0] < 0x20 || bytes[0] == 0x7f ||
           (length == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0);
}

static bool add_escape(struct line *line, const uint8_t *bytes, size_t length, bool is_json)
{
    char escape[16];
    if (bytes[0] == '"' || bytes[0] == '\\')
        snprintf(escape, sizeof escape, "\\%c", bytes[0]);
    else if (bytes[0] == '\n')
        snprintf(escape, sizeof escape, "\\n");
    else if (!is_json)
        snprintf(escape, sizeof escape, length == 2 ? "\\x%02x\\x%02x" : "\\x%02x", bytes[0],
                 length == 2 ? bytes[1] : 0);
    else if (length == 0) /* not UTF-8 */
        snprintf(escape, sizeof escape, "\\ufffd");
    else
        snprintf(escape, sizeof escape, "\\u%04x", length == 2 ? bytes[1] : bytes[0]);
    return add_text(line, escape);
}

/* Stops where the line is full, never inside a character or an escape. */
static void add_escaped(struct line *line, struct span span, bool is_json)
{
    while (span.length) {
        size_t length = utf8_length(span);
        bool is_quoted = span.data[0] == '\\' || (is_json && span.data[0] == '"');
        bool is_escaped = length == 0 || is_quoted || is_control(span.data, length);
        if (is_escaped ? !add_escape(line, span.data, length, is_json)
                       : !add(line, (const char *)span.data, length))
            return;
        span = span_from(span, length ? length : 1);
    }
}

static void add_time(struct line *line)
{
    struct timespec now;
    struct tm utc;
    char text[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + length, sizeof text - length, ".%06ldZ", now.tv_nsec / 1000);
    add_text(line, text);
}

static void compose(struct line *line, enum log_level level, const char *area, struct span message)
{
    line->length = 0;
    if (atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_JSON) {
        add_text(line, "{\"time\":\"");
        add_time(line);
        add_text(line, "\",\"level\":\"");
        add_text(line, level_names[level]);
        add_text(line, "\",\"process\":\"");
        add_escaped(line, span_text(process_name), true);
        add_text(line, "\",\"area\":\"");
        add_escaped(line, span_text(area), true);
        add_text(line, "\",\"message\":\"");
        add_escaped(line, message, true);
        memcpy(line->bytes + line->length, "\"}", 2);
        line->length += 2;
    } else {
        add_time(line);
        add_text(line, " ");
        add_text(line, level_names[level]);
        add_text(line, " ");
        add_text(line, process_name);
        add_text(line, " ");
        add_text(line, area);
        add_text(line, ": ");
        add_escaped(line, message, false);
    }
    line->bytes[line->length++] = '\n';
}

bool log_is_on(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_limit, memory_order_relaxed);
}

void log_write(enum log_level level, const char *area, const char *format, ...)
{
    if (!log_is_on(level))
        return;
    int saved = errno;
    char message[LOG_LINE_BYTES];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (length < 0)
        length = 0;
    if ((size_t)length >= sizeof message)
        length = (int)sizeof message - 1;
    struct line line;
    compose(&line, level, area, span_of(message, (size_t)length));
    struct log_file *file = atomic_load_explicit(&opened, memory_order_acquire);
    if (file) {
        writer_file_put(file, span_of(line.bytes, line.length));
    } else {
        ssize_t ignored = write(STDERR_FILENO, line.bytes, line.length);
        (void)ignored;
    }
    errno = saved;
}

size_t log_compose_dropped(char *out, size_t limit, uint64_t count)
{
    char message[96];
    int length = snprintf(message, sizeof message,
                          "%llu lines were dropped: the log was not written fast enough",
                          (unsigned long long)count);
    struct line line;
    compose(&line, LOG_WARNING, "log", span_of(message, (size_t)length));
    if (line.length > limit)
        return 0;
    memcpy(out, line.bytes, line.length);
    return line.length;
}

/* ---- life */

int log_open(const char *path, enum log_level level, enum log_format format, const char *process)
{
    int result = 0;
    if (!kept) {
        kept = writer_file_open(path, LOG_RING_BYTES, true);
        if (!kept)
            return ERROR_IO;
    } else {
        result =
            atomic_load(&opened) ? writer_file_move(kept, path) : writer_file_resume(kept, path);
    }
    if (result)
        return result;
    atomic_store(&level_limit, (int)level);
    atomic_store(&line_format, (int)format);
    if (strcmp(process_name, process) != 0) /* once, before threads: it is read without a lock */
        snprintf(process_name, sizeof process_name, "%s", process);
    atomic_store_explicit(&opened, kept, memory_order_release);
    return 0;
}

void log_close(void)
{
    struct log_file *file = atomic_exchange(&opened, NULL);
    if (file)
        writer_file_close(file, true);
}

/* ---- files of whole lines */

struct log_file *log_file_open(const char *path)
{
    return writer_file_open(path, LOG_FILE_RING_BYTES, false);
}

void log_file_close(struct log_file **file)
{
    if (*file)
        writer_file_close(*file, false);
    *file = NULL;
}

void log_file_write(struct log_file *file, struct span line)
{
    INVARIANT(line.length <= LOG_FILE_LINE_BYTES);
    writer_file_put(file, line);
}

uint64_t log_file_dropped(const struct log_file *file)
{
    return writer_file_dropped(file);
}
