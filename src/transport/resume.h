/* SPDX-License-Identifier: Apache-2.0
 *
 * Careful resume: a link that comes back on a path which it knew jumps to half of what that path carried, instead of searching from ten
 * packets, and falls back to what was really delivered if the jump overflows it (draft-ietf-tsvwg-careful-resume).
 */
#ifndef TRANSPORT_RESUME_H
#define TRANSPORT_RESUME_H

#include <stdbool.h>
#include <stdint.h>

enum resume_phase {
    RESUME_OFF,
    RESUME_ARMED,  /* before the first round trip is known */
    RESUME_JUMPED, /* the first packets beyond the former window are under way */
};

struct resume {
    enum resume_phase phase;
    uint64_t target_bytes;
    uint64_t jumped_number;   /* packets from here on were sent after the jump */
    uint64_t proven_number;   /* once this one arrives, the window is proven; 0: not known yet */
    uint64_t delivered_bytes; /* of what was sent after the jump */
};

void resume_init(struct resume *resume, uint64_t saved_bdp_bytes); /* 0: nothing is known */

/* A packet was acknowledged; `next_number` will be the next to be sent. The window to jump to, 0: no jump. */
uint64_t resume_on_acked(struct resume *resume, uint64_t number, uint32_t bytes,
                         uint64_t next_number, bool has_rtt);
/* The path overflowed. The window to fall back to, 0: it is not a matter of the jump. */
uint64_t resume_on_overflow(struct resume *resume, uint64_t least_bytes);

#endif
