/* SPDX-License-Identifier: Apache-2.0
 *
 * Log-linear buckets of durations: eight for each power of two from 1.024 us to 73 minutes. A
 * duration in that range is told with an error below 6 %.
 */
#ifndef OBSERVE_HISTOGRAM_H
#define OBSERVE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_FIRST_OCTAVE = 10, /* 2^10 ns; below is one bucket */
    HISTOGRAM_LAST_OCTAVE = 42,  /* 2^42 ns and above is one bucket */
    HISTOGRAM_STEPS = 8,         /* of an octave */
    HISTOGRAM_BUCKETS = (HISTOGRAM_LAST_OCTAVE - HISTOGRAM_FIRST_OCTAVE) * HISTOGRAM_STEPS + 2,
    HISTOGRAM_SLOTS = HISTOGRAM_BUCKETS + 1, /* the last is the sum in ns */
};

uint32_t histogram_bucket(uint64_t duration_ns);
uint64_t histogram_lower_ns(uint32_t bucket); /* of bucket HISTOGRAM_BUCKETS: UINT64_MAX */

/* The value that stands for a bucket: the harmonic mean of its bounds, whose greatest relative
 * error is the same at both ends. */
uint64_t histogram_value_ns(uint32_t bucket);

/* The least value that `quantile` (0 to 1) of `counts[HISTOGRAM_BUCKETS]` do not exceed; 0 when
 * there are none. */
uint64_t histogram_quantile_ns(const uint64_t *counts, double quantile);

#endif
