/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel says of the machine, from /proc: processors, memory, TCP (H2). The files are read again by pread(), which
 * has the kernel write them anew.
 */
#include "agent/private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { FILE_BYTES = 8192 }; /* all that we look for stands before */

/* ---- texts */

/* What is behind the line's first word `name`; empty: there is no such line. */
static struct span find_line(struct span text, struct span name)
{
    while (text.length) {
        size_t end = span_find(text, '\n');
        struct span line = span_of(text.data, end);
        if (span_starts(line, name))
            return span_from(line, name.length);
        text = span_from(text, end + 1);
    }
    return (struct span){0};
}

/* The next word of the line, and moves behind it. */
static struct span next_word(struct span *line)
{
    struct span rest = span_trim(*line);
    struct span word = span_of(rest.data, span_find(rest, ' '));
    *line = span_from(rest, word.length);
    return word;
}

bool kernel_parse_stat(struct span text, uint64_t *total, uint64_t *idle)
{
    /* user nice system idle iowait irq softirq steal; guests are counted in user */
    enum { IDLE = 3, IOWAIT = 4, LEAST = 4, MOST = 8 };
    struct span line = find_line(text, SPAN("cpu "));
    uint64_t number;
    *total = *idle = 0;
    for (int i = 0; i < MOST; i++) {
        struct span word = next_word(&line);
        if (!word.length && i >= LEAST)
            break;
        if (span_number(word, &number) < 0)
            return false;
        *total += number;
        if (i == IDLE || i == IOWAIT)
            *idle += number;
    }
    return true;
}

static bool read_kilobytes(struct span text, struct span name, uint64_t *bytes)
{
    struct span line = find_line(text, name);
    uint64_t number;
    if (span_number(next_word(&line), &number) < 0 || number > UINT64_MAX / 1024)
        return false;
    *bytes = number * 1024;
    return true;
}

bool kernel_parse_meminfo(struct span text, uint64_t *available_bytes, uint64_t *swap_free_bytes)
{
    return read_kilobytes(text, SPAN("MemAvailable:"), available_bytes) &&
           read_kilobytes(text, SPAN("SwapFree:"), swap_free_bytes);
}

/* A line of names, then a line of numbers, both beginning with "Tcp:". */
bool kernel_parse_snmp(struct span text, uint32_t *established)
{
    struct span names = find_line(text, SPAN("Tcp: ")), values = {0};
    uint64_t number;
    if (names.length)
        values = find_line(span_from(text, (size_t)(names.data + names.length - text.data)),
                           SPAN("Tcp: "));
    while (names.length && values.length) {
        struct span name = next_word(&names), value = next_word(&values);
        if (!span_equal(name, SPAN("CurrEstab")))
            continue;
        if (span_number(value, &number) < 0 || number >= UINT32_MAX)
            return false;
        *established = (uint32_t)number;
        return true;
    }
    return false;
}

/* ---- files */

static int open_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        log_warning("agent", "the load will not tell what stands in %s errno=%d", path, errno);
    return fd;
}

void kernel_open(struct kernel *kernel)
{
    *kernel = (struct kernel){.stat = open_file("/proc/stat"),
                              .meminfo = open_file("/proc/meminfo"),
                              .snmp = open_file("/proc/net/snmp")};
}

void kernel_close(struct kernel *kernel)
{
    const int fds[] = {kernel->stat, kernel->meminfo, kernel->snmp};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* The file's beginning; empty where there is none. */
static struct span read_file(int fd, char text[FILE_BYTES])
{
    ssize_t got = fd >= 0 ? pread(fd, text, FILE_BYTES, 0) : 0;
    return span_of(text, got > 0 ? (size_t)got : 0);
}

uint16_t kernel_cpu_idle(struct kernel *kernel)
{
    char text[FILE_BYTES];
    uint64_t total, idle, before_total = kernel->cpu_total, before_idle = kernel->cpu_idle;
    if (!kernel_parse_stat(read_file(kernel->stat, text), &total, &idle))
        return LOAD_UNKNOWN;
    kernel->cpu_total = total;
    kernel->cpu_idle = idle;
    /* idle and iowait may go back a little (proc(5)) */
    if (!before_total || total <= before_total || idle < before_idle)
        return LOAD_UNKNOWN;
    uint64_t passed = total - before_total, rested = idle - before_idle;
    return (uint16_t)(rested < passed ? rested * LOAD_FULL / passed : LOAD_FULL);
}

void kernel_memory(const struct kernel *kernel, uint64_t *free_ram_bytes, uint64_t *free_swap_bytes)
{
    char text[FILE_BYTES];
    if (!kernel_parse_meminfo(read_file(kernel->meminfo, text), free_ram_bytes, free_swap_bytes))
        *free_ram_bytes = *free_swap_bytes = UINT64_MAX;
}

uint32_t kernel_connections(const struct kernel *kernel)
{
    char text[FILE_BYTES];
    uint32_t established;
    return kernel_parse_snmp(read_file(kernel->snmp, text), &established) ? established
                                                                          : UINT32_MAX;
}
