/* SPDX-License-Identifier: Apache-2.0
 *
 * What the micro_* programs share: the clock of the thread's own work, which other processes of a busy machine do not move, and a check
 * that a step did what is measured.
 */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline void must(bool condition)
{
    if (!condition) {
        fprintf(stderr, "%s: a step failed\n", program_invocation_short_name);
        exit(1);
    }
}

static inline uint64_t clock_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static inline double cpu_seconds(void)
{
    return (double)cpu_ns() / 1e9;
}

#endif
