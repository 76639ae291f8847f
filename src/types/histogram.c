/* SPDX-License-Identifier: Apache-2.0
 *
 * A histogram in quarters of octaves: 19 % wide each, and a quantile is interpolated within its bucket. All weights are multiplied
 * from time to time, so that the mean stays what it was and new values count for more.
 */
#include "types/private.h"

/* Least weight that is told from nothing: below it the memory of a value is gone. */
#define FORGOTTEN 1e-3f

static unsigned bucket_of(uint64_t unit, uint64_t value)
{
    uint64_t quarters = value < UINT64_MAX / 4 ? value * 4 / unit : UINT64_MAX / unit;
    if (quarters < 4)
        return 0;
    unsigned octave = 63 - (unsigned)__builtin_clzll(quarters) - 2;
    unsigned bucket = octave * 4 + (unsigned)(quarters >> octave & 3);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* Where the bucket begins, in quarters of the unit. */
static uint64_t begins_at(unsigned bucket)
{
    return (uint64_t)(4 + bucket % 4) << (bucket / 4);
}

void histogram_add(struct histogram *histogram, uint64_t unit, uint64_t value)
{
    histogram->buckets[bucket_of(unit, value)] += 1;
    histogram->weight += 1;
    histogram->sum += (double)value;
}

void histogram_decay(struct histogram *histogram, float factor)
{
    if (histogram->weight < FORGOTTEN) {
        *histogram = (struct histogram){0};
        return;
    }
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] *= factor;
    histogram->weight *= factor;
    histogram->sum *= (double)factor;
}

uint64_t histogram_quantile(const struct histogram *histogram, uint64_t unit, unsigned permille)
{
    float wanted = histogram->weight * (float)permille / 1000, seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        float here = histogram->buckets[i];
        if (here <= 0 || seen + here < wanted) {
            seen += here;
            continue;
        }
        uint64_t low = i ? begins_at(i) : 0, high = begins_at(i + 1);
        float part = (wanted - seen) / here;
        return (uint64_t)(((double)low + (double)(high - low) * (double)part) * (double)unit / 4);
    }
    return histogram->weight > 0 ? begins_at(HISTOGRAM_BUCKETS - 1) * unit / 4 : 0;
}
