/* SPDX-License-Identifier: Apache-2.0
 *
 * A real loop in a test's own thread: it turns until something is so, or for a moment in which nothing should happen.
 */
#ifndef TESTS_UNIT_TURN_H
#define TESTS_UNIT_TURN_H

#include "loop/loop.h"

#define TURN_LIMIT_NS (10ull * 1000000000) /* of what should happen: far more than it takes */
#define TURN_LOOK_NS  100000ull

struct turning {
    struct loop_timer timer;
    bool (*is_so)(void *argument);
    void *argument;
    uint64_t until_ns;
    uint32_t looks; /* left, where it ends with turns instead of time */
    bool was_so;
};

static void turning_look(struct loop *loop, struct loop_timer *timer)
{
    struct turning *turning = CONTAINER_OF(timer, struct turning, timer);
    turning->was_so = turning->is_so && turning->is_so(turning->argument);
    if (turning->looks)
        turning->looks--;
    if (turning->was_so || clock_now_ns() >= turning->until_ns ||
        (!turning->is_so && !turning->looks))
        loop_stop(loop);
    else
        loop_timer_start(loop, timer, turning->is_so ? loop_now_ns(loop) + TURN_LOOK_NS : 0);
}

/* False: it was not so within the limit. */
static inline bool turn_until(struct loop *loop, bool (*is_so)(void *argument), void *argument)
{
    struct turning turning = {.timer.fire = turning_look,
                              .is_so = is_so,
                              .argument = argument,
                              .until_ns = clock_now_ns() + TURN_LIMIT_NS};
    loop_timer_start(loop, &turning.timer, 0);
    loop_run(loop);
    return turning.was_so;
}

/* Some turns: whatever is ready has its say. */
static inline void turn_some(struct loop *loop)
{
    struct turning turning = {.timer.fire = turning_look,
                              .looks = 8,
                              .until_ns = clock_now_ns() + TURN_LIMIT_NS};
    loop_timer_start(loop, &turning.timer, 0);
    loop_run(loop);
}

#endif
