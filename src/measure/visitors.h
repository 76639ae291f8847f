/* SPDX-License-Identifier: Apache-2.0
 *
 * Part of measure.h: round trips of real visitors at an edge, by client network (R6, H3). Each network keeps a few of its
 * samples, chosen evenly from all of a while, and their median is what is told; networks that changed or were never told come
 * first, then the most active ones. Bounded: a new network takes the place of the one in its set that was not seen for longest.
 *
 * Pure; one thread.
 */
#ifndef MEASURE_VISITORS_H
#define MEASURE_VISITORS_H

#include "base/address.h"
#include "base/random.h"

struct measure_latency;

enum {
    VISITORS_NETWORKS = 4096, /* of a table: 400 KiB when all are in use; a power of two */
    VISITORS_KEPT = 8,        /* samples of a network */
};
/* A network with visitors is told again after that, though nothing changed. */
#define VISITORS_REFRESH_NS (60ull * 1000000000)

struct visitors;

/* `seed`: strangers choose the networks, and not where they lie. */
struct visitors *visitors_new(uint64_t seed);
void visitors_free(struct visitors **freed);

void visitors_put(struct visitors *visitors, const struct address *client, uint32_t rtt_us,
                  uint64_t now_ns);

/* Up to `room` networks that are worth telling, and forgets their samples; returns how many. */
size_t visitors_take(struct visitors *visitors, struct measure_latency *out, size_t room,
                     uint64_t now_ns);
size_t visitors_waiting(const struct visitors *visitors); /* networks with samples */

#endif
