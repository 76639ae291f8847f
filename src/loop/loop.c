/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop. A turn: wait; messages; descriptors; timers that are due; tasks; then nothing of a
 * snapshot is held any more.
 */
#include "loop/private.h"

#include "base/memory.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    TASK_ROUNDS = 16
}; /* tasks queued by tasks: rounds in a turn before descriptors are looked at again */

static const uint64_t forever = UINT64_MAX;

struct loop *loop_new(void)
{
    struct loop *loop = NEW(struct loop);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    INVARIANT(loop->epoll >= 0 && loop->wake >= 0);
    INVARIANT(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) == 0);
    list_init(&loop->tasks);
    loop->now_ns = clock_now_ns();
    loop->turn = 1;
    atomic_store_explicit(&loop->last_turn_ns, loop->now_ns, memory_order_relaxed);
    return loop;
}

void loop_free(struct loop **pointer)
{
    struct loop *loop = *pointer;
    if (!loop)
        return;
    *pointer = NULL;
    heap_clear(&loop->timers);
    LIST_EACH (link, after, &loop->tasks)
        loop_task_cancel(loop, CONTAINER_OF(link, struct loop_task, link));
    close(loop->wake);
    close(loop->epoll);
    memory_free(loop);
}

uint64_t loop_now_ns(const struct loop *loop)
{
    return loop->now_ns;
}

uint64_t loop_turn(const struct loop *loop)
{
    return loop->turn;
}

/* Async-signal-safe. */
void loop_wake(struct loop *loop)
{
    int saved = errno;
    uint64_t one = 1;
    /* EAGAIN (2^64 wakes that were never read) would mean that it is readable anyhow */
    ssize_t ignored = write(loop->wake, &one, sizeof one);
    (void)ignored;
    errno = saved;
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->is_stopping, true);
    loop_wake(loop);
}

/* ---- timers */

/* A time in the past counts as now: it stands behind those that are due already, so that a timer
 * that always starts itself anew with an old time starves no other. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t due_ns)
{
    heap_put(&loop->timers, &timer->node, due_ns > loop->now_ns ? due_ns : loop->now_ns);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    heap_remove(&loop->timers, &timer->node);
}

bool loop_timer_is_running(const struct loop_timer *timer)
{
    return heap_has(&timer->node);
}

/* A timer that was started by one that fires here waits for the next turn, also when it is due:
 * descriptors are not starved. */
static void fire_timers(struct loop *loop)
{
    uint64_t order = loop->timers.next_order;
    struct heap_node *first;
    while ((first = heap_first(&loop->timers)) && first->key <= loop->now_ns &&
           first->order < order) {
        struct loop_timer *timer = CONTAINER_OF(first, struct loop_timer, node);
        heap_remove(&loop->timers, first);
        timer->fire(loop, timer);
    }
}

/* ---- descriptors */

int loop_watch_set(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    if (events == watch->events)
        return 0;
    if (!events) {
        loop_watch_remove(loop, watch);
        return 0;
    }
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll, watch->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watch->fd, &event))
        return errno == ENOSPC ? ERROR_LIMIT : errno == EPERM ? ERROR_UNSUPPORTED : ERROR_IO;
    watch->events = events;
    return 0;
}

/* Whatever of this turn is still to be delivered to it. */
static void forget_events(struct loop *loop, const struct loop_watch *watch)
{
    for (int i = loop->event_at + 1; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
}

void loop_watch_remove(struct loop *loop, struct loop_watch *watch)
{
    if (!watch->events)
        return;
    watch->events = 0;
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    forget_events(loop, watch);
}

void loop_watch_close(struct loop *loop, struct loop_watch *watch)
{
    if (watch->events)
        forget_events(loop, watch);
    watch->events = 0;
    close(watch->fd);
    watch->fd = -1;
}

static void deliver_events(struct loop *loop)
{
    for (loop->event_at = 0; loop->event_at < loop->event_count; loop->event_at++) {
        const struct epoll_event *event = &loop->events[loop->event_at];
        struct loop_watch *watch = event->data.ptr;
        if (!watch)
            continue; /* the eventfd, or removed in this turn */
        /* what an earlier callback of this turn stopped asking for is not told */
        uint32_t events = event->events & (watch->events | EPOLLERR | EPOLLHUP);
        if (events)
            watch->ready(loop, watch, events);
    }
    loop->event_count = 0;
}

/* ---- tasks */

void loop_task_queue(struct loop *loop, struct loop_task *task)
{
    if (task->is_queued)
        return;
    task->is_queued = true;
    list_push_back(&loop->tasks, &task->link);
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
    (void)loop;
    if (!task->is_queued)
        return;
    task->is_queued = false;
    list_remove(&task->link);
}

static void run_tasks(struct loop *loop)
{
    for (int round = 0; round < TASK_ROUNDS && !list_is_empty(&loop->tasks); round++) {
        struct list mark; /* what is queued behind it belongs to the next round */
        list_push_back(&loop->tasks, &mark);
        struct list *link;
        while ((link = list_pop_front(&loop->tasks)) != &mark) {
            struct loop_task *task = CONTAINER_OF(link, struct loop_task, link);
            task->is_queued = false;
            task->run(loop, task);
        }
    }
}

/* ---- messages */

/* What is in the inbox now, the oldest first. */
static struct message *empty_inbox(struct loop *loop)
{
    if (!atomic_load_explicit(&loop->inbox, memory_order_relaxed))
        return NULL;
    struct message *newest = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    struct message *oldest = NULL;
    while (newest) {
        struct message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* The first of the row, which may be posted again from now on. */
static struct message *take_message(struct message **oldest)
{
    struct message *message = *oldest;
    *oldest = message->next;
    /* an exchange, not a store: it must see what a poster wrote who found the message posted
     * already */
    atomic_exchange_explicit(&message->is_posted, false, memory_order_acq_rel);
    return message;
}

void loop_deliver(struct loop *loop)
{
    struct message *oldest = empty_inbox(loop);
    while (oldest) {
        struct message *message = take_message(&oldest);
        message->deliver(loop->worker, message);
    }
}

void loop_discard(struct loop *loop)
{
    struct message *oldest = empty_inbox(loop);
    while (oldest) {
        struct message *message = take_message(&oldest);
        if (message->discard)
            message->discard(message);
    }
}

/* ---- the turn */

static uint64_t time_to_sleep_ns(struct loop *loop)
{
    if (!list_is_empty(&loop->tasks))
        return 0;
    const struct heap_node *first = heap_first(&loop->timers);
    if (!first)
        return forever;
    uint64_t now = clock_now_ns(); /* the turn took time */
    return first->key > now ? first->key - now : 0;
}

static int wait_for_events(struct loop *loop, uint64_t sleep_ns)
{
    if (!loop->is_pwait2_missing) {
        struct timespec time = {.tv_sec = (time_t)(sleep_ns / 1000000000u),
                                .tv_nsec = (long)(sleep_ns % 1000000000u)};
        int count = epoll_pwait2(loop->epoll, loop->events, LOOP_EVENTS,
                                 sleep_ns == forever ? NULL : &time, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count;
        loop->is_pwait2_missing = true; /* Linux before 5.11, emulators */
    }
    uint64_t sleep_ms = sleep_ns / 1000000u + (sleep_ns % 1000000u != 0);
    return epoll_wait(loop->epoll, loop->events, LOOP_EVENTS,
                      sleep_ns == forever ? -1
                      : sleep_ms > 60000  ? 60000
                                          : (int)sleep_ms);
}

static void wait_for_turn(struct loop *loop)
{
    uint64_t sleep_ns = time_to_sleep_ns(loop);
    if (sleep_ns) {
        atomic_store(&loop->is_asleep, true);
        if (atomic_load(&loop->inbox) || atomic_load(&loop->is_stopping))
            sleep_ns = 0;
    }
    if (sleep_ns)
        reader_offline();
    else
        reader_quiescent();
    loop->turn++;
    int count = wait_for_events(loop, sleep_ns);
    if (sleep_ns)
        reader_online();
    atomic_store_explicit(&loop->is_asleep, false, memory_order_relaxed);
    loop->event_count = count > 0 ? count : 0; /* EINTR: a turn without events */
    loop->event_at =
        -1; /* none of them is delivered yet: messages come first, and may remove watches */
    loop->now_ns = clock_now_ns();
    atomic_store_explicit(&loop->last_turn_ns, loop->now_ns, memory_order_relaxed);
}

void loop_run(struct loop *loop)
{
    reader_enter();
    loop->now_ns = clock_now_ns();
    while (!atomic_exchange(&loop->is_stopping, false)) {
        wait_for_turn(loop);
        loop_deliver(loop);
        deliver_events(loop);
        fire_timers(loop);
        run_tasks(loop);
    }
    reader_leave();
}
