/* SPDX-License-Identifier: Apache-2.0
 *
 * How the one-way delay to the peer moves, from the arrival times that acknowledgements carry (T8).
 * Only differences are used, so the offset of the two clocks does not matter; their skew is learnt
 * from the least delays of windows whose least round trip was ordinary, since a round trip is taken
 * by one clock and knows no skew. What remains is queueing in our direction alone, which the round
 * trip cannot tell from the way back.
 */
#ifndef TRANSPORT_DELAY_TREND_H
#define TRANSPORT_DELAY_TREND_H

#include <stdbool.h>
#include <stdint.h>

enum {
    DELAY_BUCKETS = 8,  /* the trend's: one second */
    DELAY_WINDOWS = 12, /* the base's: two minutes */
    DELAY_WINDOWS_FOR_SKEW = 4,
    DELAY_SKEW_PPB_MAX = 200000, /* two bad crystals; what is steeper is a queue */
};
#define DELAY_BUCKET_NS (125ull * 1000000)
#define DELAY_WINDOW_NS (10ull * 1000000000)

struct delay_bucket {
    uint64_t number; /* running, by the time of sending */
    int64_t sum_us;
    uint32_t count;
};

struct delay_window {
    uint64_t least_at_ns, least_rtt_ns; /* least_rtt_ns 0: nothing came */
    int64_t least_us;
};

/* Zero-initialised: nothing measured. */
struct delay_trend {
    uint64_t samples;
    uint32_t last_raw_us;
    int64_t relative_us;      /* delay of the last sample against the first one */
    int64_t smoothed_us;      /* the same, smoothed */
    int64_t skew_ppb;         /* by which the peer's clock runs faster than ours */
    uint64_t last_ns, window; /* running number of the present window */
    struct delay_bucket buckets[DELAY_BUCKETS];
    struct delay_window windows[DELAY_WINDOWS];
};

/* A packet that we sent at `sent_ns` arrived at `arrival_us` of the peer's clock (which wraps);
 * `rtt_ns` is the round trip that the same acknowledgement gave. */
void delay_trend_sample(struct delay_trend *trend, uint64_t sent_ns, uint32_t arrival_us,
                        uint64_t rtt_ns);

/* Growth of the one-way delay over the last second; 0 where too little was sent. */
int64_t delay_trend_us_per_s(const struct delay_trend *trend, uint64_t now_ns);
/* Queueing on the way to the peer: how far the delay stands above its base. */
uint64_t delay_trend_queue_us(const struct delay_trend *trend);
uint64_t
delay_trend_last_queue_us(const struct delay_trend *trend); /* of the last sample, not smoothed */

#endif
