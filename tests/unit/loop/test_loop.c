/* SPDX-License-Identifier: Apache-2.0
 *
 * One loop on one thread: order of timers, removal inside callbacks, tasks, stopping.
 */
#include "base/memory.h"
#include "base/random.h"
#include "loop/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* ---- timers */

enum { TIMERS = 100000 };

struct counted_timer {
    struct loop_timer timer;
    uint64_t due_ns;
    struct timers_test *test;
};

struct timers_test {
    struct counted_timer *timers;
    uint64_t last_due_ns;
    size_t fired, stopped;
    bool is_wrong;
};

static void on_counted_timer(struct loop *loop, struct loop_timer *timer)
{
    struct counted_timer *counted = CONTAINER_OF(timer, struct counted_timer, timer);
    struct timers_test *test = counted->test;
    if (counted->due_ns < test->last_due_ns || loop_now_ns(loop) < counted->due_ns ||
        loop_timer_is_running(timer))
        test->is_wrong = true;
    test->last_due_ns = counted->due_ns;
    if (++test->fired + test->stopped == TIMERS)
        loop_stop(loop);
}

static void timers_fire_in_order_and_never_early(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct timers_test test = {.timers = memory_new(TIMERS * sizeof *test.timers)};
    struct random random;
    random_seed(&random, 1);
    uint64_t now = clock_now_ns();
    for (size_t i = 0; i < TIMERS; i++) {
        struct counted_timer *counted = &test.timers[i];
        counted->timer.fire = on_counted_timer;
        counted->test = &test;
        loop_timer_start(loop, &counted->timer, now + 1); /* is moved below */
        counted->due_ns = now + random_below(&random, 200 * 1000000);
        loop_timer_start(loop, &counted->timer, counted->due_ns);
    }
    for (size_t i = 0; i < TIMERS; i += 10, test.stopped++) {
        loop_timer_stop(loop, &test.timers[i].timer);
        loop_timer_stop(loop, &test.timers[i].timer);
    }
    loop_run(loop);
    assert_false(test.is_wrong);
    assert_int_equal(test.fired, TIMERS - TIMERS / 10);
    memory_free(test.timers);
    loop_free(&loop);
    assert_null(loop);
}

struct restart_test {
    struct loop_timer timer, other;
    int fired;
};

static void on_other(struct loop *loop, struct loop_timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

static void on_restart(struct loop *loop, struct loop_timer *timer)
{
    struct restart_test *test = CONTAINER_OF(timer, struct restart_test, timer);
    test->fired++;
    loop_timer_start(loop, timer, 0); /* due for ever */
}

static void a_timer_that_restarts_itself_starves_nobody(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct restart_test test = {.timer.fire = on_restart, .other.fire = on_other};
    loop_timer_start(loop, &test.timer, 0);
    loop_timer_start(loop, &test.other, clock_now_ns() + 1000000);
    loop_run(loop);
    assert_true(test.fired > 1);
    loop_free(&loop);
}

/* ---- watches */

enum { PAIRS = 8 };

struct watch_test {
    struct loop_watch watches[PAIRS];
    int others[PAIRS];
    int called;
    void (*take_away)(struct loop *loop, struct loop_watch *watch);
};

static struct watch_test watches;

static void on_first_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    assert_true(events & EPOLLIN);
    watches.called++;
    for (int i = 0; i < PAIRS; i++) { /* all of them, whichever came first */
        watches.take_away(loop, &watches.watches[i]);
        assert_int_equal(watches.watches[i].events, 0);
    }
    (void)watch;
    loop_stop(loop);
}

static void take_away_in_a_turn(void (*take_away)(struct loop *loop, struct loop_watch *watch))
{
    struct loop *loop = loop_new();
    watches = (struct watch_test){.take_away = take_away};
    for (int i = 0; i < PAIRS; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        watches.watches[i] = (struct loop_watch){.fd = pair[0], .ready = on_first_ready};
        watches.others[i] = pair[1];
        assert_int_equal(loop_watch_set(loop, &watches.watches[i], EPOLLIN), 0);
        assert_int_equal(write(pair[1], "x", 1), 1);
    }
    loop_run(loop);
    loop_stop(loop); /* the stop is taken before another turn could tell of a watch */
    loop_run(loop);
    assert_int_equal(watches.called, 1);
    for (int i = 0; i < PAIRS; i++) {
        if (watches.watches[i].fd >= 0)
            close(watches.watches[i].fd);
        close(watches.others[i]);
    }
    loop_free(&loop);
}

static void no_event_reaches_a_watch_that_was_removed_in_the_same_turn(void **state)
{
    (void)state;
    take_away_in_a_turn(loop_watch_remove);
}

static void no_event_reaches_a_watch_that_was_closed_in_the_same_turn(void **state)
{
    (void)state;
    take_away_in_a_turn(loop_watch_close);
}

static int writes_told;

static void on_no_longer_wanted(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    if (events & EPOLLOUT)
        writes_told++;
    /* the other one stops asking for EPOLLOUT, which may be in this turn's events already */
    for (int i = 0; i < 2; i++)
        if (&watches.watches[i] != watch)
            assert_int_equal(loop_watch_set(loop, &watches.watches[i], EPOLLIN), 0);
    loop_stop(loop);
}

static void an_event_that_is_no_longer_asked_for_is_not_told(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    int pair[2];
    watches = (struct watch_test){0};
    writes_told = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    for (int i = 0; i < 2; i++) {
        watches.watches[i] = (struct loop_watch){.fd = pair[i], .ready = on_no_longer_wanted};
        assert_int_equal(loop_watch_set(loop, &watches.watches[i], EPOLLIN | EPOLLOUT), 0);
    }
    loop_run(loop);
    assert_int_equal(writes_told, 1);
    for (int i = 0; i < 2; i++) {
        loop_watch_remove(loop, &watches.watches[i]);
        close(pair[i]);
    }
    loop_free(&loop);
}

static void a_regular_file_cannot_be_watched(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    FILE *file = tmpfile();
    struct loop_watch watch = {.fd = fileno(file), .ready = on_first_ready};
    assert_int_equal(loop_watch_set(loop, &watch, EPOLLIN), ERROR_UNSUPPORTED);
    assert_int_equal(watch.events, 0);
    fclose(file);
    loop_free(&loop);
}

/* ---- tasks */

struct task_test {
    struct loop_timer timer;
    struct loop_task first, second, cancelled, endless;
    struct loop_timer check;
    int first_runs, second_runs, endless_runs, turns;
};

static void on_first_task(struct loop *loop, struct loop_task *task)
{
    struct task_test *test = CONTAINER_OF(task, struct task_test, first);
    test->first_runs++;
    loop_task_queue(loop, &test->second);
    loop_task_cancel(loop, &test->cancelled);
}

static void on_second_task(struct loop *loop, struct loop_task *task)
{
    struct task_test *test = CONTAINER_OF(task, struct task_test, second);
    test->second_runs++;
    (void)loop;
}

static void on_cancelled_task(struct loop *loop, struct loop_task *task)
{
    (void)loop;
    (void)task;
    fail_msg("a cancelled task ran");
}

static void on_endless_task(struct loop *loop, struct loop_task *task)
{
    struct task_test *test = CONTAINER_OF(task, struct task_test, endless);
    test->endless_runs++;
    loop_task_queue(loop, task);
}

static void on_check(struct loop *loop, struct loop_timer *timer)
{
    struct task_test *test = CONTAINER_OF(timer, struct task_test, check);
    if (++test->turns == 1) { /* the turn after: both ran in the turn of the first */
        assert_int_equal(test->first_runs, 1);
        assert_int_equal(test->second_runs, 1);
        loop_timer_start(loop, timer, 0);
        return;
    }
    loop_task_cancel(loop, &test->endless);
    loop_stop(loop);
}

static void on_task_timer(struct loop *loop, struct loop_timer *timer)
{
    struct task_test *test = CONTAINER_OF(timer, struct task_test, timer);
    loop_task_queue(loop, &test->first);
    loop_task_queue(loop, &test->first);
    loop_task_queue(loop, &test->cancelled);
    loop_task_queue(loop, &test->endless);
    loop_timer_start(loop, &test->check, 0);
}

static void tasks_run_once_in_the_turn_that_queued_them(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct task_test test = {.timer.fire = on_task_timer,
                             .check.fire = on_check,
                             .first.run = on_first_task,
                             .second.run = on_second_task,
                             .cancelled.run = on_cancelled_task,
                             .endless.run = on_endless_task};
    loop_timer_start(loop, &test.timer, 0);
    loop_run(loop);
    assert_int_equal(test.first_runs, 1);
    assert_true(test.endless_runs > 1); /* and yet the loop turned on */
    loop_free(&loop);
}

/* ---- stopping */

static void *stop_from_outside(void *loop)
{
    loop_stop(loop);
    return NULL;
}

static void a_stop_is_never_lost(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    loop_stop(loop);
    loop_run(loop); /* returns at once: the stop came before */
    for (int i = 0; i < 500; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, stop_from_outside, loop), 0);
        loop_run(loop);
        pthread_join(thread, NULL);
    }
    loop_free(&loop);
}

static struct loop *signalled;

static void on_signal(int number)
{
    (void)number;
    loop_stop(signalled);
}

static void on_raise(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    (void)timer;
    raise(SIGUSR2);
}

static void a_signal_handler_may_stop_it(void **state)
{
    (void)state;
    signalled = loop_new();
    struct sigaction action = {.sa_handler = on_signal}, before;
    sigaction(SIGUSR2, &action, &before);
    struct loop_timer timer = {.fire = on_raise};
    loop_timer_start(signalled, &timer, 0);
    loop_run(signalled);
    sigaction(SIGUSR2, &before, NULL);
    loop_free(&signalled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_and_never_early),
        cmocka_unit_test(a_timer_that_restarts_itself_starves_nobody),
        cmocka_unit_test(no_event_reaches_a_watch_that_was_removed_in_the_same_turn),
        cmocka_unit_test(no_event_reaches_a_watch_that_was_closed_in_the_same_turn),
        cmocka_unit_test(an_event_that_is_no_longer_asked_for_is_not_told),
        cmocka_unit_test(a_regular_file_cannot_be_watched),
        cmocka_unit_test(tasks_run_once_in_the_turn_that_queued_them),
        cmocka_unit_test(a_stop_is_never_lost),
        cmocka_unit_test(a_signal_handler_may_stop_it),
    };
    return cmocka_run_group_tests_name("loop/loop", tests, NULL, NULL);
}
