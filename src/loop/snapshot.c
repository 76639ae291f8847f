/* SPDX-License-Identifier: Apache-2.0
 *
 * Immutable snapshots under read-copy-update: threads that run loops are QSBR readers; old
 * snapshots are freed by liburcu's own thread after a grace period, so that publishing never waits.
 */
#include "loop/private.h"

#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <urcu/urcu-qsbr.h>

/* ThreadSanitizer does not see into liburcu: tell it that a grace period orders readers before the
 * release. */
#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static char grace;
#define GRACE_BEGINS() __tsan_release(&grace)
#define GRACE_ENDED()  __tsan_acquire(&grace)
#else
#define GRACE_BEGINS() ((void)0)
#define GRACE_ENDED()  ((void)0)
#endif

static _Thread_local unsigned reader_depth;

void reader_enter(void)
{
    if (reader_depth++ == 0)
        urcu_qsbr_register_thread();
}

void reader_leave(void)
{
    GRACE_BEGINS();
    if (--reader_depth == 0)
        urcu_qsbr_unregister_thread();
}

bool reader_is_entered(void)
{
    return reader_depth > 0;
}

void reader_quiescent(void)
{
    GRACE_BEGINS();
    urcu_qsbr_quiescent_state();
}

void reader_offline(void)
{
    GRACE_BEGINS();
    urcu_qsbr_thread_offline();
}

void reader_online(void)
{
    urcu_qsbr_thread_online();
}

struct retired {
    struct rcu_head head;
    void (*release)(void *old);
    void *old;
};

static void release_retired(struct rcu_head *head)
{
    struct retired *retired = CONTAINER_OF(head, struct retired, head);
    GRACE_ENDED();
    retired->release(retired->old);
    memory_free(retired);
}

void snapshot_publish(void *_Atomic *pointer, void *fresh, void (*release)(void *old))
{
    void *old = atomic_exchange(pointer, fresh);
    if (!old || !release)
        return;
    struct retired *retired = NEW(struct retired);
    retired->release = release;
    retired->old = old;
    sigset_t all,
        before; /* the first call makes liburcu's thread, which must not take our signals */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    reader_enter(); /* call_rcu wants a reader */
    GRACE_BEGINS();
    urcu_qsbr_call_rcu(&retired->head, release_retired);
    reader_leave();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void snapshot_settle(void)
{
    INVARIANT(!worker_current());
    urcu_qsbr_barrier();
}
