/* SPDX-License-Identifier: Apache-2.0
 *
 * Worker threads: messages between them, starting, failing to start, snapshots under readers.
 */
#include "base/memory.h"
#include "loop/loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* ---- a million messages: each of four workers sends to each other, in batches that come back */

enum { WORKERS = 4, BATCH = 64, ROUNDS = 1000000 / (WORKERS * WORKERS * BATCH) + 1 };

struct numbered {
    struct message message;
    struct channel *channel;
    uint64_t number;
};

/* From one worker to another; plain counters: the messages alone order them. */
struct channel {
    struct numbered messages[BATCH];
    struct message answer;
    struct worker *from, *to;
    uint64_t sent, received;
    uint32_t rounds;
    bool is_wrong;
};

static struct channel channels[WORKERS][WORKERS];
static struct worker_set *set;
static _Atomic uint32_t channels_left;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t is_done = PTHREAD_COND_INITIALIZER;

static void send_batch(struct channel *channel)
{
    for (int i = 0; i < BATCH; i++) {
        channel->messages[i].number = channel->sent++;
        worker_post(channel->to, &channel->messages[i].message);
    }
}

static void on_number(struct worker *receiver, struct message *message)
{
    struct numbered *numbered = CONTAINER_OF(message, struct numbered, message);
    struct channel *channel = numbered->channel;
    if (receiver != channel->to || worker_current() != receiver ||
        numbered->number != channel->received++)
        channel->is_wrong = true;
    if (channel->received % BATCH == 0)
        worker_post(channel->from, &channel->answer);
}

static void on_answer(struct worker *receiver, struct message *message)
{
    struct channel *channel = CONTAINER_OF(message, struct channel, answer);
    if (receiver != channel->from)
        channel->is_wrong = true;
    if (++channel->rounds < ROUNDS) {
        send_batch(channel);
    } else if (atomic_fetch_sub(&channels_left, 1) == 1) {
        pthread_mutex_lock(&lock);
        pthread_cond_signal(&is_done);
        pthread_mutex_unlock(&lock);
    }
}

static int start_channels(struct worker *worker, void *argument)
{
    (void)argument;
    for (uint32_t to = 0; to < WORKERS; to++) {
        struct channel *channel = &channels[worker_id(worker)][to];
        channel->from = worker;
        channel->to = workers_get(worker_peers(worker), to);
        channel->answer.deliver = on_answer;
        for (int i = 0; i < BATCH; i++)
            channel->messages[i] =
                (struct numbered){.message.deliver = on_number, .channel = channel};
        send_batch(channel); /* the peer may not have started yet */
    }
    return 0;
}

static void a_million_messages_arrive_in_order(void **state)
{
    (void)state;
    struct worker_hooks hooks = {.start = start_channels};
    atomic_store(&channels_left, WORKERS * WORKERS);
    assert_int_equal(workers_start(&set, WORKERS, "test", &hooks), 0);
    assert_int_equal(workers_count(set), WORKERS);
    pthread_mutex_lock(&lock);
    while (atomic_load(&channels_left))
        pthread_cond_wait(&is_done, &lock);
    pthread_mutex_unlock(&lock);
    workers_stop(&set);
    assert_null(set);
    uint64_t received = 0;
    for (int from = 0; from < WORKERS; from++)
        for (int to = 0; to < WORKERS; to++) {
            assert_false(channels[from][to].is_wrong);
            received += channels[from][to].received;
        }
    assert_true(received >= 1000000);
}

/* ---- posting a message that is under way coalesces, and nothing written before the post is
 * missed */

static struct message poked;
static _Atomic uint64_t written;
static uint64_t seen, delivered;

static void on_poke(struct worker *receiver, struct message *message)
{
    (void)receiver;
    (void)message;
    seen = atomic_load_explicit(&written, memory_order_relaxed);
    delivered++;
}

static void nothing(struct worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static void messages_coalesce_without_loss(void **state)
{
    (void)state;
    enum { POKES = 100000 };
    struct worker_hooks hooks = {0};
    poked.deliver = on_poke;
    assert_int_equal(workers_start(&set, 1, "test", &hooks), 0);
    for (uint64_t i = 1; i <= POKES; i++) {
        atomic_store_explicit(&written, i, memory_order_relaxed);
        worker_post(workers_get(set, 0), &poked);
    }
    workers_run_on_all(set, nothing, NULL); /* behind every poke */
    workers_stop(&set);
    assert_int_equal(seen, POKES);
    assert_true(delivered >= 1 && delivered <= POKES);
}

/* ---- starting and stopping */

static _Atomic int started, stopped, delivered_late;

static int start_unless_two(struct worker *worker, void *argument)
{
    (void)argument;
    if (worker_id(worker) == 2)
        return ERROR_LIMIT;
    started++;
    return 0;
}

static void count_stop(struct worker *worker, void *argument)
{
    (void)argument;
    assert_ptr_equal(worker_current(), worker);
    stopped++;
}

static void a_start_that_fails_is_undone(void **state)
{
    (void)state;
    struct worker_hooks hooks = {.start = start_unless_two, .stop = count_stop};
    started = stopped = 0;
    assert_int_equal(workers_start(&set, 4, "test", &hooks), ERROR_LIMIT);
    assert_null(set);
    assert_int_equal(started, 3);
    assert_int_equal(stopped, 3);
}

static void on_late(struct worker *receiver, struct message *message)
{
    (void)receiver;
    (void)message;
    delivered_late++;
}

static void messages_under_way_arrive_before_the_stop_hooks(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct worker_hooks hooks = {.stop = count_stop};
        struct message late[2] = {{.deliver = on_late}, {.deliver = on_late}};
        stopped = delivered_late = 0;
        assert_int_equal(workers_start(&set, 2, "test", &hooks), 0);
        worker_post(workers_get(set, 0), &late[0]);
        worker_post(workers_get(set, 1), &late[1]);
        workers_stop(&set);
        assert_int_equal(delivered_late, 2);
        assert_int_equal(stopped, 2);
    }
}

/* A message that owns itself, posted by a stop hook: the worker it is for has stopped, too. */
static _Atomic int discarded;

static void discard_own(struct message *message)
{
    assert_non_null(worker_current());
    memory_free(message);
    discarded++;
}

static void post_at_stop(struct worker *worker, void *argument)
{
    struct message *message = NEW(struct message);
    (void)argument;
    message->deliver = on_late;
    message->discard = discard_own;
    worker_post(workers_get(worker_peers(worker), 1 - worker_id(worker)), message);
}

static void messages_of_stop_hooks_are_discarded(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct worker_hooks hooks = {.stop = post_at_stop};
        discarded = delivered_late = 0;
        assert_int_equal(workers_start(&set, 2, "test", &hooks), 0);
        workers_stop(&set);
        assert_int_equal(delivered_late, 0);
        assert_int_equal(discarded, 2);
    }
}

static void a_worker_for_each_core(void **state)
{
    (void)state;
    struct worker_hooks hooks = {0};
    assert_int_equal(workers_start(&set, 0, "test", &hooks), 0);
    assert_true(workers_count(set) >= 1);
    assert_null(worker_current());
    uint64_t now = clock_now_ns();
    for (uint32_t i = 0; i < workers_count(set); i++) {
        assert_int_equal(worker_id(workers_get(set, i)), i);
        assert_true(worker_last_turn_ns(workers_get(set, i)) <= clock_now_ns());
    }
    workers_run_on_all(set, nothing, NULL);
    for (uint32_t i = 0; i < workers_count(set); i++) /* it turned since */
        assert_true(worker_last_turn_ns(workers_get(set, i)) >= now - 100000000);
    workers_stop(&set);
}

/* ---- snapshots */

enum { SNAPSHOTS = 2000, READERS = 3 };

struct version {
    uint64_t number, copy; /* equal; both are destroyed at release */
};

static void *_Atomic shared;
static _Atomic uint64_t released, reads;
static _Atomic bool is_enough;

static void release_version(void *old)
{
    struct version *version = old;
    version->number = 0;
    version->copy = 1;
    memory_free(version);
    released++;
}

struct reading {
    struct loop_timer timer;
    uint64_t last;
    bool is_wrong;
};

static struct reading readings[READERS];

static void read_version(struct loop *loop, struct loop_timer *timer)
{
    struct reading *reading = CONTAINER_OF(timer, struct reading, timer);
    const struct version *version = snapshot_read(&shared);
    for (int i = 0; i < 100; i++)
        if (version->number != version->copy || version->number < reading->last)
            reading->is_wrong = true;
    reading->last = version->number;
    reads++;
    if (!atomic_load(&is_enough))
        loop_timer_start(loop, timer, loop_now_ns(loop) + reads % 3 * 10000);
}

static int start_reading(struct worker *worker, void *argument)
{
    (void)argument;
    struct reading *reading = &readings[worker_id(worker)];
    *reading = (struct reading){.timer.fire = read_version};
    loop_timer_start(worker_loop(worker), &reading->timer, 0);
    return 0;
}

static struct version *version_new(uint64_t number)
{
    struct version *version = NEW(struct version);
    version->number = version->copy = number;
    return version;
}

static void snapshots_are_swapped_under_readers(void **state)
{
    (void)state;
    struct worker_hooks hooks = {.start = start_reading};
    released = 0;
    atomic_store(&is_enough, false);
    snapshot_publish(&shared, version_new(1), release_version);
    assert_int_equal(workers_start(&set, READERS, "test", &hooks), 0);
    for (uint64_t i = 2; i <= SNAPSHOTS || reads < 1000; i++) {
        snapshot_publish(&shared, version_new(i), release_version);
        if (i % 64 == 0)
            workers_run_on_all(set, nothing, NULL);
    }
    atomic_store(&is_enough, true);
    workers_stop(&set);
    uint64_t published = ((const struct version *)snapshot_read(&shared))->number;
    assert_int_equal(released, published - 1);
    for (int i = 0; i < READERS; i++)
        assert_false(readings[i].is_wrong);
    snapshot_publish(&shared, NULL, release_version);
    snapshot_settle();
    assert_int_equal(released, published);
}

/* ---- messages come before a turn's events: what they take away gets none of them */

static struct taking {
    struct message message;
    struct loop_watch watch;
    int events;
} taking;

static void on_taken_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)events;
    taking.events++;
    loop_watch_remove(loop, watch);
}

static void on_take(struct worker *receiver, struct message *message)
{
    (void)message;
    loop_watch_remove(worker_loop(receiver), &taking.watch);
}

static void make_ready_and_take(struct worker *worker, void *argument)
{
    (void)argument;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    taking.watch = (struct loop_watch){.fd = pair[0], .ready = on_taken_ready};
    assert_int_equal(loop_watch_set(worker_loop(worker), &taking.watch, EPOLLIN), 0);
    close(pair[1]); /* a hang-up is told whether or not it is asked for */
    taking.message.deliver = on_take;
    worker_post(worker, &taking.message);
}

static void no_event_reaches_a_watch_that_a_message_removed(void **state)
{
    (void)state;
    struct worker_hooks hooks = {0};
    assert_int_equal(workers_start(&set, 1, "test", &hooks), 0);
    workers_run_on_all(set, nothing, NULL); /* a turn with an event: the one that woke it */
    workers_run_on_all(set, make_ready_and_take, NULL);
    workers_run_on_all(set, nothing, NULL);
    workers_stop(&set);
    assert_int_equal(taking.events, 0);
    close(taking.watch.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_messages_arrive_in_order),
        cmocka_unit_test(messages_coalesce_without_loss),
        cmocka_unit_test(no_event_reaches_a_watch_that_a_message_removed),
        cmocka_unit_test(a_start_that_fails_is_undone),
        cmocka_unit_test(messages_under_way_arrive_before_the_stop_hooks),
        cmocka_unit_test(messages_of_stop_hooks_are_discarded),
        cmocka_unit_test(a_worker_for_each_core),
        cmocka_unit_test(snapshots_are_swapped_under_readers),
    };
    return cmocka_run_group_tests_name("loop/worker", tests, NULL, NULL);
}
