/* SPDX-License-Identifier: Apache-2.0
 *
 * What loop, workers and snapshots know of each other.
 */
#ifndef LOOP_PRIVATE_H
#define LOOP_PRIVATE_H

#include "loop/loop.h"

enum { LOOP_EVENTS = 256 }; /* taken from the kernel in one turn */

struct loop {
    int epoll,
        wake; /* `wake` is an eventfd, edge-triggered: never read, so a wake costs one write */
    bool is_pwait2_missing;
    uint64_t now_ns, turn;
    struct heap timers;
    struct list tasks;
    struct epoll_event events[LOOP_EVENTS];
    int event_count, event_at; /* those of this turn, and the one being delivered */
    _Atomic bool is_stopping;
    _Atomic uint64_t last_turn_ns;

    /* The inbox: a stack that posters push to and the owner empties in one exchange, hence without
     * ABA. A poster writes to `wake` only when it finds `is_asleep`, and is the only one to do so.
     * Both are sequentially consistent: either the owner sees the message before it sleeps, or the
     * poster sees it asleep. */
    struct message *_Atomic inbox;
    _Atomic bool is_asleep;
    struct worker *worker; /* NULL: a loop that receives no messages */
};

void loop_wake(struct loop *loop);

/* Delivers what is in the inbox now; what is posted meanwhile waits for the next call. */
void loop_deliver(struct loop *loop);
/* Nobody will deliver what came behind that. */
void loop_discard(struct loop *loop);

bool reader_is_entered(void);
void reader_quiescent(void); /* holds no snapshot now */

#endif
