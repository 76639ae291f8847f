/* SPDX-License-Identifier: Apache-2.0
 *
 * The store under several workers at once: look-ups, fills that end in every way, readers woken by messages, purges, a tick; every byte is
 * checked, every request comes to an end, the budget holds, and in the end nothing is left. Run it with ThreadSanitizer too.
 */
#include "kept.h"

#include <pthread.h>

enum { WORKERS = 4, CLIENTS = 24, REQUESTS = 10000, KEYS = 300 }; /* for each worker */

static struct store *store;
static struct worker_set *set;
static _Atomic uint32_t left;
static _Atomic uint64_t served, waited, wrong, looks, reclassed;
/* What clients may have in hand, counted before they ask and behind the last of it: the difference is never less than what they hold. */
static _Atomic uint64_t asked_bytes, done_bytes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t is_done = PTHREAD_COND_INITIALIZER;

static const struct store_answer plain = {.head = {(const uint8_t *)"HTTP/1.1 200 OK", 15}};

/* One request after another; a fill gives some of its body in each turn. */
struct client {
    struct loop_task task;
    struct store_reader reader;
    struct store_fill *fill;
    uint8_t urgency; /* that the fill had when we last looked */
    struct owner *owner;
    uint64_t key, length, sent, read;
    uint64_t holds, held; /* bytes of this request, and of the one before */
    struct store_query query;
    char text[64];
};

struct owner {
    struct loop *loop;
    struct random random;
    struct client clients[CLIENTS];
    struct loop_timer tick;
    uint32_t id, begun;
    bool is_over;
};

static struct owner owners[WORKERS];

static void check_at(bool is_right, int line)
{
    if (!is_right)
        print_message("line %d\n", line);
    atomic_fetch_add(&wrong, !is_right);
}
#define check(is_right) check_at(is_right, __LINE__)

static uint64_t length_of(uint64_t key)
{
    return key % 7 == 0 ? key * 1000 : key * 37 % 20000;
}

/* An older answer beside a newer one, or one in pieces that have grown; and what they lie in. */
static uint64_t bytes_in_hand(uint64_t length)
{
    return 2 * length + 16384;
}

static void end_of_owner(struct owner *owner)
{
    owner->is_over = true;
    if (atomic_fetch_sub(&left, 1) != 1)
        return;
    pthread_mutex_lock(&lock);
    pthread_cond_signal(&is_done);
    pthread_mutex_unlock(&lock);
}

static void next(struct client *client)
{
    struct owner *owner = client->owner;
    if (++owner->begun == REQUESTS + CLIENTS)
        end_of_owner(owner);
    loop_task_cancel(owner->loop, &client->task);
    if (owner->begun > REQUESTS)
        return;
    client->key = random_below(&owner->random, random_below(&owner->random, KEYS) + 1);
    snprintf(client->text, sizeof client->text, "shop https://shop/%llu",
             (unsigned long long)client->key);
    client->query = (struct store_query){.site = 1,
                                         .key = span_text(client->text),
                                         .now_ns = loop_now_ns(owner->loop)};
    client->length = length_of(client->key);
    client->held += client->holds;
    client->holds = bytes_in_hand(client->length);
    atomic_fetch_add(&asked_bytes, client->holds);
    client->sent = client->read = 0;
    loop_task_queue(owner->loop, &client->task);
}

static void pull(struct client *client)
{
    struct slice_queue bytes = {0};
    uint64_t count =
        store_reader_pull(&client->reader, &bytes, random_below(&client->owner->random, 70000));
    check(is_body(&bytes, client->key, client->read));
    client->read += count;
}

static void finish(struct client *client, bool is_whole)
{
    check(!is_whole || client->read == client->length);
    store_reader_close(&client->reader);
    atomic_fetch_add(&served, 1);
    next(client);
}

static void read_on(struct client *client)
{
    switch (store_reader_look(&client->reader)) {
    case STORE_READER_NONE:
    case STORE_READER_WAITING:
        return;
    case STORE_READER_FLOWING:
        pull(client);
        return;
    case STORE_READER_WHOLE:
        pull(client);
        if (store_reader_is_at_end(&client->reader))
            finish(client, true);
        else
            loop_task_queue(client->owner->loop, &client->task);
        return;
    case STORE_READER_AGAIN:
        store_reader_close(&client->reader);
        loop_task_queue(client->owner->loop, &client->task);
        return;
    case STORE_READER_ALONE:
    case STORE_READER_FAILED:
        finish(client, false);
        return;
    }
}

static void wake(struct store_reader *reader)
{
    struct client *client = CONTAINER_OF(reader, struct client, reader);
    check(worker_current() != NULL && worker_loop(worker_current()) == client->owner->loop);
    if (!client->fill)
        read_on(client);
}

static void give(struct client *client)
{
    struct random *random = &client->owner->random;
    uint64_t dice = random_below(random, 1000), now_ns = loop_now_ns(client->owner->loop);
    if (!client->sent && dice < 40) {
        store_fill_pass(&client->fill, now_ns, dice * 1000);
    } else if (dice < 60) {
        store_fill_fail(&client->fill);
    } else if (dice < 80) {
        store_fill_leave(&client->fill);
    } else {
        uint64_t part = random_below(random, 30000) + 1;
        if (part > client->length - client->sent)
            part = client->length - client->sent;
        if (part)
            fill_with(client->fill, client->key, client->sent, part);
        client->sent += part;
        if (client->sent == client->length)
            store_fill_end(&client->fill);
    }
    if (!client->fill)
        next(client);
}

/* On the filler's worker; what it sees may be old, but then it is told once more. */
static void on_change(void *context)
{
    struct client *client = context;
    check(worker_current() != NULL && worker_loop(worker_current()) == client->owner->loop);
    if (!client->fill)
        return;
    uint8_t urgency = store_fill_urgency(client->fill);
    atomic_fetch_add(&reclassed, urgency != client->urgency);
    client->urgency = urgency;
}

static void join(struct client *client)
{
    struct store_joined joined;
    atomic_fetch_add(&done_bytes, client->held);
    client->held = 0;
    client->query.now_ns = loop_now_ns(client->owner->loop);
    struct store_object *object = store_find(store, &client->query);
    if (object && !store_object_is_purged(object)) {
        check(has_body(object, client->key, client->length));
        store_object_release(store, &object);
        atomic_fetch_add(&served, 1);
        next(client);
        return;
    }
    store_reader_set_urgency(&client->reader,
                             (uint8_t)random_below(&client->owner->random, STORE_URGENCY_MOST + 1));
    switch (store_join(store, &client->query, object, &client->reader, &joined)) {
    case STORE_FOUND:
        check(has_body(joined.object, client->key, client->length));
        store_object_release(store, &joined.object);
        next(client);
        break;
    case STORE_FILL:
        client->fill = joined.fill;
        store_fill_watch(client->fill, on_change, client);
        client->urgency = store_fill_urgency(client->fill);
        if (object && random_below(&client->owner->random, 2)) {
            store_fill_refresh(&client->fill, object, &plain);
            next(client);
            break;
        }
        if (store_fill_answer(&client->fill, &plain,
                              client->key % 2 ? (int64_t)client->length : STORE_LENGTH_UNKNOWN,
                              client->query.now_ns) != 0) {
            check(client->length > counts_of(store).bytes_most / 8);
            next(client);
            break;
        }
        client->sent = 0;
        break;
    case STORE_WAIT:
        atomic_fetch_add(&waited, 1);
        read_on(client);
        break;
    case STORE_ALONE:
        next(client);
        break;
    }
    store_object_release(store, &object);
}

/* Fills go on by the timer, so that others come to wait. */
static void run(struct loop *loop, struct loop_task *task)
{
    struct client *client = CONTAINER_OF(task, struct client, task);
    (void)loop;
    if (client->reader.fill)
        read_on(client);
    else if (!client->fill)
        join(client);
}

/* What is being read or filled cannot be evicted; all else is within the budget at every moment. */
static void check_budget(void)
{
    struct store_counts counts;
    uint64_t done = atomic_load(&done_bytes);
    store_count(store, &counts);
    check(counts.bytes <= counts.bytes_most + atomic_load(&asked_bytes) - done);
    atomic_fetch_add(&looks, 1);
}

static void fire(struct loop *loop, struct loop_timer *timer)
{
    struct owner *owner = CONTAINER_OF(timer, struct owner, tick);
    for (int i = 0; i < CLIENTS; i++)
        if (owner->clients[i].fill)
            give(&owner->clients[i]);
        else if (owner->clients[i].reader.fill)
            read_on(&owner->clients[i]);
    if (owner->id == 0) {
        store_tick(store, loop_now_ns(loop));
        check_budget();
        const struct store_purge purge = {
            .site = 1,
            .kind = random_below(&owner->random, 2) ? STORE_PURGE_PREFIX : STORE_PURGE_KEY,
            .is_soft = random_below(&owner->random, 2),
            .what = SPAN("shop https://shop/1"),
        };
        if (random_below(&owner->random, 20) == 0)
            check(store_purge(store, &purge) == 0);
    }
    loop_timer_start(loop, timer, loop_now_ns(loop) + 200000);
}

static int start(struct worker *worker, void *argument)
{
    (void)argument;
    struct owner *owner = &owners[worker_id(worker)];
    *owner = (struct owner){.loop = worker_loop(worker), .id = worker_id(worker)};
    random_seed(&owner->random, owner->id + 1);
    owner->tick.fire = fire;
    loop_timer_start(owner->loop, &owner->tick, loop_now_ns(owner->loop) + 1000);
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &owner->clients[i];
        client->owner = owner;
        client->task.run = run;
        client->reader.wake = wake;
        next(client);
    }
    return 0;
}

static void stop(struct worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static void C1_workers_share_a_store(void **state)
{
    (void)state;
    atomic_store(&left, WORKERS);
    store = open_store(4 << 20, NULL);
    const struct worker_hooks hooks = {.start = start, .stop = stop};
    assert_int_equal(workers_start(&set, WORKERS, "store", &hooks), 0);
    pthread_mutex_lock(&lock);
    while (atomic_load(&left))
        pthread_cond_wait(&is_done, &lock);
    pthread_mutex_unlock(&lock);
    workers_stop(&set);
    struct store_counts counts = counts_of(store);
    print_message("served %lu, waited %lu, hits %lu, inserts %lu, evictions %lu, purged %lu\n",
                  (unsigned long)served, (unsigned long)waited, (unsigned long)counts.hits,
                  (unsigned long)counts.inserts, (unsigned long)counts.evictions,
                  (unsigned long)counts.purged);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_true(atomic_load(&looks) > 20);
    assert_int_equal(counts.fills, 0);
    assert_true(atomic_load(&waited) > 100 && counts.evictions > 100);
    assert_true(atomic_load(&reclassed) > 100);
    assert_true(counts.bytes <= counts.bytes_most);
    store_close(&store);
    snapshot_settle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_workers_share_a_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
