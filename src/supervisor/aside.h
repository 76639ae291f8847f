/* SPDX-License-Identifier: Apache-2.0
 *
 * Work aside: one piece at a time on a thread of its own, while the loop goes on.
 */
#ifndef SUPERVISOR_ASIDE_H
#define SUPERVISOR_ASIDE_H

#include "loop/loop.h"

#include <pthread.h>

/* Embed it, zeroed with `work`, `done` and `argument` set. */
struct aside {
    void (*work)(void *argument); /* on the thread */
    void (*done)(void *argument); /* on the loop, when the thread is gone */
    void *argument;
    struct loop *loop;
    struct loop_watch watch; /* an eventfd, while the thread runs */
    pthread_t thread;
    bool is_running;
};

/* Where there is no thread to be had the work is done here and now. */
void aside_start(struct aside *aside, struct loop *loop);
void aside_finish(struct aside *aside); /* waits for it, and is done; harmless when nothing runs */

#endif
