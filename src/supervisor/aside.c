/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread, and an eventfd by which it says that it ended.
 */
#include "supervisor/aside.h"

#include "observe/observe.h"

#include <sys/eventfd.h>
#include <unistd.h>

static void *run(void *argument)
{
    struct aside *aside = argument;
    metrics_thread_start();
    aside->work(aside->argument);
    metrics_thread_stop();
    eventfd_write(aside->watch.fd, 1);
    return NULL;
}

void aside_finish(struct aside *aside)
{
    if (!aside->is_running)
        return;
    pthread_join(aside->thread, NULL);
    loop_watch_remove(aside->loop, &aside->watch);
    close(aside->watch.fd);
    aside->is_running = false;
    aside->done(aside->argument);
}

static void on_ended(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    aside_finish(CONTAINER_OF(watch, struct aside, watch));
}

void aside_start(struct aside *aside, struct loop *loop)
{
    INVARIANT(!aside->is_running);
    aside->loop = loop;
    aside->watch =
        (struct loop_watch){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = on_ended};
    bool is_watched = aside->watch.fd >= 0 && loop_watch_set(loop, &aside->watch, EPOLLIN) == 0;
    if (is_watched && pthread_create(&aside->thread, NULL, run, aside) == 0) {
        aside->is_running = true;
        return;
    }
    if (is_watched)
        loop_watch_remove(loop, &aside->watch);
    if (aside->watch.fd >= 0)
        close(aside->watch.fd);
    aside->work(aside->argument);
    aside->done(aside->argument);
}
