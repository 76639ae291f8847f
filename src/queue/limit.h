/* SPDX-License-Identifier: Apache-2.0
 *
 * The controller of one server's slots: how many requests at a time it can work on before they only wait for each other there.
 *
 * Each answer is compared with what its type takes at this server when little is pending (the base). The mean of the logarithms of
 * these ratios, over a window, is the excess: one number for all types together, in which one slow request in a hundred weighs no
 * more than it should. Slots grow where
 * there is none, stay where there is a little, and shrink where there is more.
 *
 * Faults of others that are designed out: there is no probing for the base, so no dips; the base rises only by requests that met
 * little pending, or when less was tried and did not help, so it does not follow the load upwards; slots grow
 * only while they are used; and what failed, or was ended by us or by the client, is no sample. (L3)
 */
#ifndef QUEUE_LIMIT_H
#define QUEUE_LIMIT_H

#include "queue/queue.h"

struct limit_base {
    float log_ns; /* mean of log2 of the service time, little pending */
    uint32_t seen;
    uint32_t samples; /* of late, whatever was pending: whether the base is too high */
    double sum;       /* of their excesses */
};

enum { LIMIT_LEVELS = 17 };

struct limit_level {
    uint32_t samples;
    float excess, pending_log; /* means; log2 */
};

struct limit_window {
    uint64_t began_ns; /* 0: it has not */
    uint32_t samples, pending_most;
    double sum, squares, pending_sum; /* of excesses; of what was pending */
    struct limit_level before;        /* the level as it was when the window began */
    double doubt;                     /* sum of what the bases are uncertain by: 1 / seen */
};

struct limit {
    double slots;
    uint32_t least, most;
    bool is_starting; /* doubles until the first excess */
    struct limit_base bases[QUEUE_TYPES];
    struct limit_window window;
    double
        capacity_log; /* log2 of what the server can work on at once; of no meaning before an excess */
    /* What requests took with 1, 2-3, 4-7 ... pending, of late: whether less pending is any help. */
    struct limit_level levels[LIMIT_LEVELS];
};

void limit_init(struct limit *limit, uint32_t least, uint32_t most);
void limit_range(struct limit *limit, uint32_t least, uint32_t most);
void limit_launched(struct limit *limit, uint32_t pending); /* with the one launched */
/* `pending` with the one that finished. */
void limit_sample(struct limit *limit, uint8_t type, uint64_t service_ns, uint32_t pending,
                  uint64_t now_ns);

static inline uint32_t limit_slots(const struct limit *limit)
{
    return (uint32_t)limit->slots;
}

#endif
