/* SPDX-License-Identifier: Apache-2.0
 *
 * One CUBIC connection (RFC 9438): window arithmetic only. It counts in packets, in double precision, and knows neither packet
 * numbers nor what is in flight; the ensemble keeps those. (T7)
 */
#ifndef TRANSPORT_CUBIC_H
#define TRANSPORT_CUBIC_H

#include <stdbool.h>
#include <stdint.h>

/* Embed it. */
struct cubic {
    double window;       /* packets */
    double threshold;    /* slow start ends here */
    double window_max;   /* W_max: the window at which the last congestion was met */
    double window_prior; /* the window before the last cut */
    double window_reno;  /* W_est: what a Reno connection would have by now */
    double k_s;          /* K: seconds from the epoch's start to window_max */
    uint64_t epoch_ns;   /* start of the congestion avoidance epoch; 0: with the next ack */
    uint64_t last_acked_ns;
};

#define CUBIC_C            0.4
#define CUBIC_BETA         0.7
#define CUBIC_WINDOW_MIN   2.0
#define CUBIC_NO_THRESHOLD 1e12

void cubic_init(struct cubic *cubic, double window, double threshold);

/* `packets` were acknowledged. `growth` scales slow start (1; 1/4 in HyStart++'s conservative phase). */
void cubic_on_acked(struct cubic *cubic, double packets, double growth, uint64_t srtt_ns,
                    uint64_t now_ns);
/* Acknowledged, but the sender had not used its window: no growth, and the time does not count (RFC 9438 section 5.8). */
void cubic_on_acked_idle(struct cubic *cubic, uint64_t now_ns);
void cubic_on_congestion(struct cubic *cubic); /* once per round */
void cubic_on_mark(struct cubic *cubic,
                   double keep); /* the same, but so much of the window stays */
void cubic_on_timeout(struct cubic *cubic);
void cubic_scale(struct cubic *cubic, double factor); /* packets have another size */
void cubic_leave_slow_start(struct cubic *cubic);     /* the queue was felt before a loss */

static inline bool cubic_is_in_slow_start(const struct cubic *cubic)
{
    return cubic->window < cubic->threshold;
}

#endif
