/* SPDX-License-Identifier: Apache-2.0
 *
 * Worker threads and the messages between them.
 */
#include "loop/private.h"

#include "base/arena.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/slice.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

/* An idle worker still turns this often, so that the age of its last turn tells whether it lives
 * (R8). */
static const uint64_t heartbeat_ns = 100 * 1000000ull;

enum {
    TIMER_SLACK_NS = 1000
}; /* the kernel's default of 50 us is longer than a packet at 1 Gbit/s takes four times */

struct worker {
    struct worker_set *set;
    struct loop *loop;
    struct loop_timer heartbeat;
    pthread_t thread;
    uint32_t id;
    int start_result;
};

struct worker_set {
    struct worker_hooks hooks;
    pthread_barrier_t step; /* all workers, and the thread that starts them */
    bool is_failed;         /* set between two steps by the starting thread */
    uint32_t count;
    char name[16];
    struct worker workers[];
};

static _Thread_local struct worker *current;

struct worker *worker_current(void)
{
    return current;
}

uint32_t worker_id(const struct worker *worker)
{
    return worker->id;
}

struct loop *worker_loop(const struct worker *worker)
{
    return worker->loop;
}

uint64_t worker_last_turn_ns(const struct worker *worker)
{
    return atomic_load_explicit(&worker->loop->last_turn_ns, memory_order_relaxed);
}

const struct worker_set *worker_peers(const struct worker *worker)
{
    return worker->set;
}

uint32_t workers_count(const struct worker_set *set)
{
    return set->count;
}

struct worker *workers_get(const struct worker_set *set, uint32_t id)
{
    INVARIANT(id < set->count);
    return (struct worker *)&set->workers[id];
}

void worker_post(struct worker *receiver, struct message *message)
{
    if (atomic_exchange_explicit(&message->is_posted, true, memory_order_acq_rel))
        return;
    struct loop *loop = receiver->loop;
    struct message *newest = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do
        message->next = newest;
    while (!atomic_compare_exchange_weak(&loop->inbox, &newest, message));
    if (atomic_load(&loop->is_asleep) && atomic_exchange(&loop->is_asleep, false))
        loop_wake(loop);
}

static void beat(struct loop *loop, struct loop_timer *timer)
{
    loop_timer_start(loop, timer, loop_now_ns(loop) + heartbeat_ns);
}

/* The steps keep workers together: nobody runs before all have started well, and nobody frees what
 * is his while another may still post to him. */
static void *run_worker(void *argument)
{
    struct worker *worker = argument;
    struct worker_set *set = worker->set;
    current = worker;
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    reader_enter();
    if (set->hooks.start)
        worker->start_result = set->hooks.start(worker, set->hooks.argument);
    pthread_barrier_wait(&set->step); /* everybody's result is known */
    pthread_barrier_wait(&set->step); /* and judged */
    if (!set->is_failed) {
        loop_timer_start(worker->loop, &worker->heartbeat, 0);
        loop_run(worker->loop);
    }
    reader_offline();
    pthread_barrier_wait(&set->step); /* every loop has ended */
    reader_online();
    loop_deliver(worker->loop);
    reader_offline();
    pthread_barrier_wait(&set->step); /* no message is under way */
    reader_online();
    if (set->hooks.stop && worker->start_result == 0)
        set->hooks.stop(worker, set->hooks.argument);
    reader_offline();
    pthread_barrier_wait(&set->step); /* nobody posts any more */
    reader_online();
    loop_discard(worker->loop);
    reader_leave();
    chunk_cache_drain();
    arena_cache_drain();
    pool_drain();
    return NULL;
}

uint32_t workers_default(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > WORKERS_LIMIT ? WORKERS_LIMIT : (uint32_t)count;
}

static void join_and_free(struct worker_set *set)
{
    for (int step = 0; step < 3; step++) /* of run_worker(), after the start */
        pthread_barrier_wait(&set->step);
    for (uint32_t i = 0; i < set->count; i++)
        pthread_join(set->workers[i].thread, NULL);
    for (uint32_t i = 0; i < set->count; i++)
        loop_free(&set->workers[i].loop);
    pthread_barrier_destroy(&set->step);
    memory_free(set);
    snapshot_settle();
}

int workers_start(struct worker_set **out, uint32_t count, const char *name,
                  const struct worker_hooks *hooks)
{
    if (count == 0)
        count = workers_default();
    INVARIANT(count <= WORKERS_LIMIT);
    struct worker_set *set = memory_new(sizeof *set + count * sizeof set->workers[0]);
    set->hooks = *hooks;
    set->count = count;
    snprintf(set->name, sizeof set->name, "%s", name);
    pthread_barrier_init(&set->step, NULL, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        struct worker *worker = &set->workers[i];
        *worker = (struct worker){.set = set, .id = i, .loop = loop_new(), .heartbeat.fire = beat};
        worker->loop->worker = worker;
    }
    *out = set; /* before the hooks run: they may look at their peers */

    sigset_t all, before; /* signals belong to the thread that starts workers */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (uint32_t i = 0; i < count; i++) {
        int failed = pthread_create(&set->workers[i].thread, NULL, run_worker, &set->workers[i]);
        INVARIANT(failed == 0); /* the machine cannot carry this process */
        char thread_name[16];
        snprintf(thread_name, sizeof thread_name, "%.10s/%u", set->name, i);
        pthread_setname_np(set->workers[i].thread, thread_name);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    pthread_barrier_wait(&set->step);
    int result = 0;
    for (uint32_t i = 0; i < count && result == 0; i++)
        result = set->workers[i].start_result;
    set->is_failed = result != 0;
    pthread_barrier_wait(&set->step);
    if (result) {
        join_and_free(set);
        *out = NULL;
    }
    return result;
}

void workers_stop(struct worker_set **pointer)
{
    struct worker_set *set = *pointer;
    if (!set)
        return;
    *pointer = NULL;
    for (uint32_t i = 0; i < set->count; i++)
        loop_stop(set->workers[i].loop);
    join_and_free(set);
}

/* ---- one call on every worker */

struct round {
    void (*run)(struct worker *worker, void *argument);
    void *argument;
    pthread_mutex_t lock;
    pthread_cond_t is_done;
    uint32_t left;   /* under `lock` */
    bool is_awaited; /* the caller frees; else the last one */
    struct round_call {
        struct message message;
        struct round *round;
    } calls[];
};

static void round_free(struct round *round)
{
    pthread_cond_destroy(&round->is_done);
    pthread_mutex_destroy(&round->lock);
    memory_free(round);
}

static void deliver_call(struct worker *worker, struct message *message)
{
    struct round *round = CONTAINER_OF(message, struct round_call, message)->round;
    round->run(worker, round->argument);
    pthread_mutex_lock(&round->lock);
    bool is_last = --round->left == 0;
    bool is_awaited = round->is_awaited;
    if (is_last && is_awaited)
        pthread_cond_signal(&round->is_done);
    pthread_mutex_unlock(&round->lock);
    if (is_last && !is_awaited)
        round_free(round);
}

void workers_run_on_all(struct worker_set *set, void (*run)(struct worker *worker, void *argument),
                        void *argument)
{
    struct round *round = memory_new(sizeof *round + set->count * sizeof round->calls[0]);
    *round = (struct round){.run = run,
                            .argument = argument,
                            .left = set->count,
                            .is_awaited = worker_current() == NULL};
    pthread_mutex_init(&round->lock, NULL);
    pthread_cond_init(&round->is_done, NULL);
    bool is_awaited = round->is_awaited;
    uint32_t count = set->count; /* the round may be gone before the last post returns */
    for (uint32_t i = 0; i < count; i++) {
        round->calls[i] = (struct round_call){.message.deliver = deliver_call, .round = round};
        worker_post(&set->workers[i], &round->calls[i].message);
    }
    if (!is_awaited)
        return;
    bool was_reader = reader_is_entered();
    if (was_reader)
        reader_offline();
    pthread_mutex_lock(&round->lock);
    while (round->left)
        pthread_cond_wait(&round->is_done, &round->lock);
    pthread_mutex_unlock(&round->lock);
    if (was_reader)
        reader_online();
    round_free(round);
}
