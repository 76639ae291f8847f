/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow control: how much the peer may send on each stream, out of one budget for the lane. Each
 * open stream owns its first window; the rest is lent to streams whose readers keep up. Credit once
 * given is never withdrawn; only its growth shrinks. So a client that reads fast at first, on many
 * streams, and then no more would keep what others need: the more streams a client has, the less
 * each further one may be lent, and a quarter of the budget is for first windows alone.
 */
#ifndef TRANSPORT_CREDIT_H
#define TRANSPORT_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

/* A lane's. */
struct credit {
    uint64_t budget;
    uint64_t given;       /* sum over streams of limit - consumed */
    uint32_t first, most; /* windows of a stream */
    uint32_t at_open;     /* window of a stream that opens while much of the budget is left */
};

/* A stream's. */
struct credit_window {
    uint64_t consumed;                   /* by the reader */
    uint64_t limit;                      /* end of the credit */
    uint64_t told;                       /* the limit that the peer was told */
    uint64_t measured_from, measured_ns; /* `consumed` when its rate was last looked at */
    uint32_t window;                     /* the size aimed at */
    uint16_t sharers;                    /* streams that its client had when it opened, with it */
    bool is_final;                       /* the peer's end is known: no more credit is needed */
};

/* `sharers`: how many streams its client has now, this one among them; 0: not known, it counts as
 * the only one. False: beyond the budget. */
bool credit_open(struct credit *credit, struct credit_window *window, uint32_t sharers);
void credit_close(struct credit *credit, struct credit_window *window); /* gives all back */

/* Lends a stream that has just opened more than its own first window, while the budget is little
 * used; the frame that tells so flies with the one that opens it. True: the peer should be told. */
bool credit_lend(struct credit *credit, struct credit_window *window);

void credit_finish(struct credit *credit, struct credit_window *window,
                   uint64_t final_size); /* gives back what the peer will not use */

/* The reader is done with so many bytes. Widens the window of one that keeps up with a fast
 * sender. True: the peer should be told the limit. */
bool credit_consumed(struct credit *credit, struct credit_window *window, uint64_t bytes,
                     uint64_t now_ns, uint64_t rtt_ns);

#endif
