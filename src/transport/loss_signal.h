/* SPDX-License-Identifier: Apache-2.0
 *
 * Do losses come when the queue is full? A drop-tail queue drops while it is at its longest: the packet next to a lost one has seen
 * nearly the longest queue of its time. Chance hits packets with any delay. So the round trip next to each loss is ranked among the
 * round trips of the last ones: ranks around a half mean chance, high ranks mean overflow. This needs no slowing down, works for one
 * connection among many, and for queues of a millisecond. Measured means (docs/congestion.md): 0.82 to 0.95 beside CUBIC
 * connections, 0.39 to 0.54 for losses by chance.
 */
#ifndef TRANSPORT_LOSS_SIGNAL_H
#define TRANSPORT_LOSS_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LOSS_SIGNAL_RECENT = 256,    /* samples found by packet number */
    LOSS_SIGNAL_REFERENCES = 64, /* samples spread over some round trips */
    LOSS_SIGNAL_MEMORY =
        16, /* rounds with losses that the mean remembers: one's own queue comes and goes in half of that */
};

/* Embed it; zero-initialised knows nothing. */
struct loss_signal {
    struct {
        uint64_t number, rtt_ns;
    } recent[LOSS_SIGNAL_RECENT];
    uint64_t reference_ns[LOSS_SIGNAL_REFERENCES];
    uint32_t references, next_reference;
    uint64_t referenced_ns;
    double round_sum; /* ranks of this round's losses */
    uint32_t round_count;
    double mean; /* over rounds with losses */
    uint32_t rounds;
};

void loss_signal_on_rtt(struct loss_signal *signal, uint64_t number, uint64_t rtt_ns,
                        uint64_t srtt_ns, uint64_t now_ns);
void loss_signal_on_lost(struct loss_signal *signal, uint64_t number);
/* A round is over. True: its losses, if there were any, say overflow, and so does the mean. */
bool loss_signal_next_round(struct loss_signal *signal);

void loss_signal_forget(struct loss_signal *signal); /* all but the round trips */

bool loss_signal_is_overflow_now(const struct loss_signal *signal); /* by this round alone */
bool loss_signal_is_chance(const struct loss_signal *signal);       /* known to be */

#endif
