/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams with a plan: who opens each and when, how much flows in either direction, how it is written, read, finished or reset. Both
 * ends follow the plan, which is also the oracle: every byte that is read is compared with what it must be, and every stream must end as planned.
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "end.h"

enum { WORKLOAD_STREAMS_MAX = 1024 };

enum { EDGE_SIDE, GATEWAY_SIDE };

struct stream_plan {
    uint64_t open_ns;           /* after the start */
    int opener;                 /* side */
    uint64_t bytes[2];          /* written by each side */
    uint32_t chunk[2];          /* most bytes in a write */
    uint32_t read_limit[2];     /* most bytes in a read */
    uint64_t read_pause_ns[2];  /* between a side's reads */
    bool consumes_late[2];      /* credit for a read is given with the next one only */
    int resetter;               /* side; -1: nobody */
    uint64_t reset_after_bytes; /* that it has read or written */
    uint8_t ring, weight, later_ring;
    uint16_t site;
    bool changes_ring; /* the opener, half way */
};

struct stream_side {
    struct transport_stream *stream;
    uint64_t written, read, unconsumed, next_read_ns;
    uint64_t opened_ns, ended_ns, over_ns;
    bool can_write, can_read, is_finished, is_ended;
    bool is_over, is_reset; /* by event, or by itself */
    uint32_t code;
};

struct workload {
    struct sim_pair *pair;
    uint64_t start_ns;
    uint32_t count, active_from; /* streams before it are over at both ends */
    struct stream_plan plans[WORKLOAD_STREAMS_MAX];
    struct stream_side sides[2][WORKLOAD_STREAMS_MAX];
    bool expects_loss; /* sessions may be lost: streams may end with LINK_LOST */
    uint64_t bytes_checked;
};

void workload_init(struct workload *workload, struct sim_pair *pair);
/* A plan that writes and reads as fast as it can; the caller changes what it likes. */
struct stream_plan *workload_add(struct workload *workload, int opener, uint64_t bytes_up,
                                 uint64_t bytes_back);
/* Anything goes. */
void workload_add_random(struct workload *workload, struct random *random, uint32_t streams);

/* Until every stream is over; false: `for_ns` has passed. */
bool workload_run(struct workload *workload, uint64_t for_ns);
/* Fails the test where something did not end as planned. */
void workload_check(const struct workload *workload);

/* By both sides. */
uint64_t workload_bytes_read(const struct workload *workload);
/* Runs so long; the longest time without a byte. */
uint64_t workload_longest_stall_ms(struct workload *workload, uint64_t for_ms);

#endif
