/* SPDX-License-Identifier: Apache-2.0
 *
 * Loss and delivery over the last second and the last ten (T8), in buckets of one second.
 */
#ifndef TRANSPORT_QUALITY_H
#define TRANSPORT_QUALITY_H

#include <stdint.h>

enum { QUALITY_SECONDS = 10 };

struct quality_second {
    uint64_t sent, lost; /* packets whose fate became known */
    uint64_t marked;     /* CE */
    uint64_t delivered_bytes;
};

/* Zero-initialised: nothing measured. */
struct quality {
    struct quality_second seconds[QUALITY_SECONDS + 1]; /* the present one and ten complete ones */
    uint64_t second;                                    /* running number of the present one */
    uint64_t known, lost; /* packets so far whose fate is known, and the lost ones among them */
};

void quality_acked(struct quality *quality, uint64_t now_ns, uint32_t bytes);
void quality_lost(struct quality *quality, uint64_t now_ns);
void quality_marked(struct quality *quality, uint64_t now_ns, uint32_t packets);
void quality_spurious(struct quality *quality, uint64_t now_ns); /* a loss that was none */
void quality_roll(struct quality *quality, uint64_t now_ns);     /* before reading */

/* Over the last `seconds` complete seconds, 1 .. QUALITY_SECONDS. */
uint32_t quality_loss_ppm(const struct quality *quality, uint32_t seconds);
uint32_t quality_ce_ppm(const struct quality *quality, uint32_t seconds);
uint64_t quality_delivery_bytes_per_s(const struct quality *quality);

/* Adds what another path measured; both were rolled to the same moment. */
void quality_add(struct quality *quality, const struct quality *other);

#endif
