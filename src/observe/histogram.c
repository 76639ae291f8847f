/* SPDX-License-Identifier: Apache-2.0
 *
 * Buckets, their bounds, quantiles.
 */
#include "observe/histogram.h"

uint32_t histogram_bucket(uint64_t duration_ns)
{
    if (duration_ns >> HISTOGRAM_FIRST_OCTAVE == 0)
        return 0;
    uint32_t octave = 63u - (uint32_t)__builtin_clzll(duration_ns);
    if (octave >= HISTOGRAM_LAST_OCTAVE)
        return HISTOGRAM_BUCKETS - 1;
    uint32_t step = (uint32_t)(duration_ns >> (octave - 3)) & (HISTOGRAM_STEPS - 1);
    return 1 + (octave - HISTOGRAM_FIRST_OCTAVE) * HISTOGRAM_STEPS + step;
}

uint64_t histogram_lower_ns(uint32_t bucket)
{
    if (bucket == 0)
        return 0;
    if (bucket >= HISTOGRAM_BUCKETS)
        return UINT64_MAX;
    uint32_t octave = HISTOGRAM_FIRST_OCTAVE + (bucket - 1) / HISTOGRAM_STEPS;
    uint64_t step = (bucket - 1) % HISTOGRAM_STEPS;
    return (HISTOGRAM_STEPS + step) << (octave - 3);
}

uint64_t histogram_value_ns(uint32_t bucket)
{
    if (bucket == 0)
        return histogram_lower_ns(1) / 2;
    if (bucket >= HISTOGRAM_BUCKETS - 1)
        return histogram_lower_ns(HISTOGRAM_BUCKETS - 1);
    double low = (double)histogram_lower_ns(bucket), high = (double)histogram_lower_ns(bucket + 1);
    return (uint64_t)(2 * low * high / (low + high));
}

uint64_t histogram_quantile_ns(const uint64_t *counts, double quantile)
{
    uint64_t total = 0, below = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        total += counts[i];
    if (!total)
        return 0;
    double rank = quantile * (double)total;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += counts[i];
        if (counts[i] && (double)below >= rank)
            return histogram_value_ns(i);
    }
    return histogram_value_ns(HISTOGRAM_BUCKETS - 1);
}
