/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel does rightly of cutting batches into datagrams (GSO) and joining datagrams to batches (GRO): tried over loopback
 * at the start, since kernels have said that they can and then corrupted what they sent. Some did so only where all segments of a
 * batch are of one length: there an odd last one of a single byte goes along, which receivers ignore.
 */
#ifndef LINK_OFFLOAD_H
#define LINK_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    OFFLOAD_SEGMENT_BYTES = 1200,
    OFFLOAD_SEGMENTS = 8,
    OFFLOAD_TAIL_BYTES = 1,
    OFFLOAD_BATCH_BYTES = OFFLOAD_SEGMENT_BYTES * OFFLOAD_SEGMENTS, /* tried: all of one length */
};

enum offload_cut {
    OFFLOAD_CUT_NONE,     /* packet by packet */
    OFFLOAD_CUT_ODD_TAIL, /* batches whose segments are not all of one length */
    OFFLOAD_CUT_ALL,
};

struct offload {
    enum offload_cut cut;
    bool joins; /* GRO may be on */
};

/* Sends a batch in segments of OFFLOAD_SEGMENT_BYTES: whether it arrives as it should, at a socket with GRO or without. */
typedef bool offload_trial(void *argument, uint32_t length, bool joins);

struct offload offload_judge(offload_trial *trial, void *argument);
struct offload offload_probe(uint8_t family); /* over loopback; takes a moment */
const char *offload_text(enum offload_cut cut);

/* Bytes to add behind a batch. */
static inline uint32_t offload_tail(enum offload_cut cut, uint32_t length, uint16_t segment)
{
    bool is_even = segment && length > segment && length % segment == 0;
    return cut == OFFLOAD_CUT_ODD_TAIL && is_even ? OFFLOAD_TAIL_BYTES : 0;
}

#endif
