/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams of a node that is its own gateway, used from each of two workers: the one that owns the lane, and the other one,
 * whose calls become mail. Real workers, loops and sockets on loopback.
 */
#include "base/memory.h"
#include "link/driver.h"
#include "network.h"

#include <unistd.h>

enum { WORKERS = 2 };

static const char alone[] =
    "nodes:\n  me: { " NETWORK_A ", edge: { listen: [\":80\"] }, gateway: {} }\n";

/* ---- the far end: what it does with a stream depends on the port that the stream is for */

enum port {
    PORT_ECHO = 1, /* everything back, then the end */
    PORT_REFUSE,   /* reset at once */
    PORT_KEEP,     /* nothing; how it ends is noted */
};

struct far_end {
    struct list link;
    struct link_stream *stream;
};

struct node {
    struct link_set *set;
    struct worker_set *workers;
    struct link *link; /* the edge's side */
    struct list far_ends[WORKERS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t far_open, far_resets, far_reset_code; /* under the lock */
    uint8_t far_ring;                              /* likewise */
    uint64_t far_streams, far_bytes;
    struct client *left[WORKERS]; /* whose streams are open when workers stop */
};

static struct node node;

static void changed(void)
{
    pthread_cond_signal(&node.changed);
    pthread_mutex_unlock(&node.lock);
}

static void far_free(struct far_end *far)
{
    link_stream_release(&far->stream);
    list_remove(&far->link);
    memory_free(far);
    pthread_mutex_lock(&node.lock);
    node.far_open--;
    changed();
}

static void far_readable(void *owner, struct link_stream *stream)
{
    struct far_end *far = owner;
    struct slice_queue bytes = {0};
    bool ended;
    link_stream_read(stream, &bytes, link_stream_room(stream), &ended);
    link_stream_consume(stream, bytes.bytes);
    pthread_mutex_lock(&node.lock);
    node.far_bytes += bytes.bytes;
    pthread_mutex_unlock(&node.lock);
    link_stream_write(stream, &bytes);
    slice_queue_clear(&bytes);
    if (!ended)
        return;
    link_stream_finish(stream);
    far_free(far);
}

static void far_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    pthread_mutex_lock(&node.lock);
    node.far_resets++;
    node.far_reset_code = code;
    pthread_mutex_unlock(&node.lock);
    far_free(owner);
}

static void far_ring_changed(void *owner, struct link_stream *stream, uint8_t ring)
{
    (void)owner;
    (void)stream;
    pthread_mutex_lock(&node.lock);
    node.far_ring = ring;
    changed();
}

static void far_ignore(void *owner, struct link_stream *stream)
{
    (void)owner;
    (void)stream;
}

static const struct link_stream_events far_echo = {.readable = far_readable,
                                                   .writable = far_readable,
                                                   .reset = far_reset};
static const struct link_stream_events far_keep = {.readable = far_ignore,
                                                   .writable = far_ignore,
                                                   .reset = far_reset,
                                                   .ring_changed = far_ring_changed};

static void accept_stream(void *argument, struct link *link, struct link_stream *stream,
                          const struct transport_open *open)
{
    (void)argument;
    assert_true(link_is_self(link) && !link_is_to_gateway(link));
    assert_int_equal(worker_id(worker_current()), link->owner);
    if (open->port == PORT_REFUSE) {
        link_stream_reset(stream, TRANSPORT_CODE_REFUSED);
        link_stream_release(&stream);
        return;
    }
    struct far_end *far = NEW(struct far_end);
    far->stream = stream;
    list_push_back(&node.far_ends[worker_id(worker_current())], &far->link);
    pthread_mutex_lock(&node.lock);
    node.far_open++;
    node.far_streams++;
    changed();
    link_stream_attach(stream, open->port == PORT_ECHO ? &far_echo : &far_keep, far);
}

/* ---- the near end */

struct client {
    struct message message;
    enum port port;
    uint64_t bytes, sent, received;
    uint64_t unsent; /* that came back */
    bool withdraws;
    uint32_t code;
    bool is_wrong, is_over; /* the latter under the lock */
    struct link_stream *stream;
};

static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)(at * 167 ^ at >> 9);
}

static void client_over(struct client *client)
{
    link_stream_release(&client->stream);
    pthread_mutex_lock(&node.lock);
    client->is_over = true;
    changed();
}

static void client_put(struct client *client, uint64_t length)
{
    struct slice_queue queue = {0};
    uint8_t *at = memory_raw(length);
    for (uint64_t i = 0; i < length; i++)
        at[i] = byte_at(client->sent + i);
    slice_queue_append(&queue, span_of(at, length));
    memory_free(at);
    link_stream_write(client->stream, &queue);
    slice_queue_clear(&queue);
    client->sent += length;
    if (client->sent == client->bytes)
        link_stream_finish(client->stream);
}

static void client_write(struct client *client)
{
    uint64_t room = link_stream_room(client->stream), left = client->bytes - client->sent;
    uint64_t length = room < left ? room : left;
    if (length)
        client_put(client, length);
}

static void client_reset(void *owner, struct link_stream *stream, uint32_t code);

/* It is asked for behind the first bytes; the others are written as if nothing were. */
static void client_withdraw(struct client *client)
{
    client->withdraws = false;
    if (link_stream_withdraw(client->stream))
        client_reset(client, client->stream, TRANSPORT_CODE_LINK_LOST);
    else
        client_put(client, client->bytes - client->sent);
}

static void client_readable(void *owner, struct link_stream *stream)
{
    struct client *client = owner;
    struct slice_queue bytes = {0};
    bool ended;
    link_stream_read(stream, &bytes, UINT64_MAX, &ended);
    uint64_t got = bytes.bytes;
    while (bytes.count) {
        struct slice slice = slice_queue_pop(&bytes, UINT32_MAX);
        for (uint32_t i = 0; i < slice.length; i++)
            client->is_wrong |= slice_data(&slice)[i] != byte_at(client->received + i);
        client->received += slice.length;
        slice_release(&slice);
    }
    slice_queue_clear(&bytes);
    link_stream_consume(stream, got);
    if (ended)
        client_over(client);
    else if (client->withdraws)
        client_withdraw(client);
}

static void client_writable(void *owner, struct link_stream *stream)
{
    (void)stream;
    client_write(owner);
}

static void client_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    struct client *client = owner;
    struct slice_queue unsent = {0};
    client->code = code;
    if (link_stream_take_back(stream, &unsent))
        client->unsent = unsent.bytes;
    slice_queue_clear(&unsent);
    client_over(client);
}

static const struct link_stream_events client_events = {.readable = client_readable,
                                                        .writable = client_writable,
                                                        .reset = client_reset};

static void open_client(struct worker *worker, struct message *message)
{
    struct client *client = CONTAINER_OF(message, struct client, message);
    struct transport_open open = {.port = (uint16_t)client->port, .ring = 2};
    (void)worker;
    if (link_stream_open(node.link, &open, &client_events, client, &client->stream) < 0) {
        client->code = TRANSPORT_CODE_INTERNAL;
        client_over(client);
        return;
    }
    if (client->bytes)
        client_write(client);
}

static void on_worker(uint32_t id, struct client *client,
                      void (*run)(struct worker *worker, struct message *message))
{
    client->message.deliver = run;
    worker_post(workers_get(node.workers, id), &client->message);
}

static bool await(bool (*is_so)(const void *argument), const void *argument)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&node.lock);
    while (!is_so(argument) && pthread_cond_timedwait(&node.changed, &node.lock, &until) == 0)
        continue;
    bool was_so = is_so(argument);
    pthread_mutex_unlock(&node.lock);
    return was_so;
}

static bool is_over(const void *argument)
{
    return ((const struct client *)argument)->is_over;
}

static bool none_is_open(const void *argument)
{
    (void)argument;
    return node.far_open == 0;
}

static bool some_streams(const void *argument)
{
    return node.far_streams >= *(const uint64_t *)argument;
}

static bool a_reset_came(const void *argument)
{
    (void)argument;
    return node.far_resets > 0;
}

/* ---- the node */

static int start_worker(struct worker *worker, void *argument)
{
    (void)argument;
    list_init(&node.far_ends[worker_id(worker)]);
    return link_set_start(node.set, worker);
}

/* In the order of the program itself: users let go, then the lanes are closed. */
static void stop_worker(struct worker *worker, void *argument)
{
    struct client *left = node.left[worker_id(worker)];
    (void)argument;
    if (left)
        link_stream_release(&left->stream);
    LIST_EACH (item, after, &node.far_ends[worker_id(worker)])
        far_free(CONTAINER_OF(item, struct far_end, link));
    link_set_stop(node.set, worker);
}

static void nothing(struct worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static int start_node(void **state)
{
    (void)state;
    struct conf *conf = network_load(alone, NULL);
    struct link_options options = {.conf = conf, .workers = WORKERS, .accept = accept_stream};
    struct worker_hooks hooks = {start_worker, stop_worker, NULL};
    memcpy(options.private_key, conf->self->private_key, CONF_KEY_BYTES);
    memcpy(options.public_key, conf->self->public_key, CONF_KEY_BYTES);
    node = (struct node){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    assert_int_equal(link_set_new(&node.set, &options), 0);
    assert_int_equal(link_set_count(node.set), 1 + LANES); /* both ends are here */
    node.link = link_to_gateway(node.set, options.public_key);
    conf_free(conf);
    assert_int_equal(workers_start(&node.workers, WORKERS, "test", &hooks), 0);
    for (uint64_t until_ns = clock_now_ns() + 20000000000ull;
         !link_is_up(node.link) && clock_now_ns() < until_ns;) {
        workers_run_on_all(node.workers, nothing, NULL);
        usleep(1000);
    }
    return link_is_up(node.link) ? 0 : -1;
}

static int stop_node(void **state)
{
    (void)state;
    workers_stop(&node.workers);
    link_set_free(&node.set);
    pthread_mutex_destroy(&node.lock);
    pthread_cond_destroy(&node.changed);
    return 0;
}

/* ---- cases */

static void T1_bytes_pass_both_ways_from_any_worker(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < WORKERS; id++) {
        struct client client = {.port = PORT_ECHO, .bytes = (3 << 20) + 13};
        on_worker(id, &client, open_client);
        assert_true(await(is_over, &client));
        assert_int_equal(client.code, TRANSPORT_CODE_NONE);
        assert_int_equal(client.received, client.bytes);
        assert_false(client.is_wrong);
    }
    assert_true(await(none_is_open, NULL));
}

static void T1_many_streams_of_both_workers_share_the_link(void **state)
{
    enum { STREAMS = 300 };
    static struct client clients[STREAMS];
    (void)state;
    for (uint32_t i = 0; i < STREAMS; i++) {
        clients[i] = (struct client){.port = PORT_ECHO, .bytes = 1 + i * 37};
        on_worker(i % WORKERS, &clients[i], open_client);
    }
    for (uint32_t i = 0; i < STREAMS; i++) {
        assert_true(await(is_over, &clients[i]));
        assert_int_equal(clients[i].received, clients[i].bytes);
        assert_false(clients[i].is_wrong);
    }
    assert_true(await(none_is_open, NULL));
    assert_int_equal(node.far_streams, STREAMS);
    assert_int_equal(node.far_resets, 0);
}

static void T1_a_refusal_comes_back_to_any_worker(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < WORKERS; id++) {
        struct client client = {.port = PORT_REFUSE};
        on_worker(id, &client, open_client);
        assert_true(await(is_over, &client));
        assert_int_equal(client.code, TRANSPORT_CODE_REFUSED);
    }
}

static void reset_client(struct worker *worker, struct message *message)
{
    struct client *client = CONTAINER_OF(message, struct client, message);
    (void)worker;
    link_stream_reset(client->stream, TRANSPORT_CODE_TIMEOUT);
    client_over(client);
}

static void release_client(struct worker *worker, struct message *message)
{
    (void)worker;
    client_over(CONTAINER_OF(message, struct client, message));
}

static void end_of_a_kept_stream(uint32_t id, void (*end)(struct worker *, struct message *),
                                 uint32_t code)
{
    struct client client = {.port = PORT_KEEP, .bytes = 1 << 20, .sent = 1 << 20}; /* no end */
    uint64_t one_more = node.far_streams + 1;
    on_worker(id, &client, open_client);
    assert_true(await(some_streams, &one_more));
    pthread_mutex_lock(&node.lock);
    node.far_resets = 0;
    pthread_mutex_unlock(&node.lock);
    on_worker(id, &client, end);
    assert_true(await(a_reset_came, NULL));
    assert_int_equal(node.far_reset_code, code);
    assert_true(await(is_over, &client));
}

static void T1_a_reset_reaches_the_far_end_with_its_code(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < WORKERS; id++)
        end_of_a_kept_stream(id, reset_client, TRANSPORT_CODE_TIMEOUT);
}

static void set_ring(struct worker *worker, struct message *message)
{
    (void)worker;
    link_stream_set_ring(CONTAINER_OF(message, struct client, message)->stream, 4, 1);
}

static bool ring_is_4(const void *argument)
{
    (void)argument;
    return node.far_ring == 4;
}

static void L10_another_ring_is_told_to_the_far_end(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < WORKERS; id++) {
        struct client client = {.port = PORT_KEEP, .bytes = 1 << 20, .sent = 1 << 20};
        uint64_t one_more = node.far_streams + 1;
        on_worker(id, &client, open_client);
        assert_true(await(some_streams, &one_more));
        pthread_mutex_lock(&node.lock);
        node.far_ring = 0;
        pthread_mutex_unlock(&node.lock);
        on_worker(id, &client, set_ring);
        assert_true(await(ring_is_4, NULL));
        on_worker(id, &client, release_client);
        assert_true(await(is_over, &client));
    }
}

static void T1_what_is_let_go_unfinished_is_cancelled(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < WORKERS; id++)
        end_of_a_kept_stream(id, release_client, TRANSPORT_CODE_CANCELLED);
}

static void open_and_put(struct worker *worker, struct message *message)
{
    struct client *client = CONTAINER_OF(message, struct client, message);
    uint64_t bytes = client->bytes;
    client->bytes = 0; /* only opened */
    open_client(worker, message);
    client->bytes = bytes;
    client_put(client, 100);
}

static void open_and_withdraw(struct worker *worker, struct message *message)
{
    struct client *client = CONTAINER_OF(message, struct client, message);
    open_and_put(worker, message);
    client_withdraw(client);
}

static void L2_a_stream_comes_back_as_a_whole_or_goes_on(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < WORKERS; id++) {
        struct client client = {.port = PORT_ECHO, .bytes = 5000};
        uint64_t before = node.far_bytes;
        on_worker(id, &client, open_and_withdraw);
        assert_true(await(is_over, &client));
        bool is_own =
            workers_get(node.workers, id) == node.link->set->drivers[node.link->owner]->worker;
        assert_true(!is_own || client.code == TRANSPORT_CODE_LINK_LOST);
        if (client.code == TRANSPORT_CODE_LINK_LOST) {
            assert_int_equal(client.unsent, is_own ? 100 : client.bytes);
            assert_true(
                await(none_is_open, NULL)); /* the opening may have left, with nothing behind it */
            assert_int_equal(node.far_bytes, before);
        } else { /* the other worker was faster */
            assert_int_equal(client.code, TRANSPORT_CODE_NONE);
            assert_int_equal(client.received, client.bytes);
            assert_false(client.is_wrong);
        }
    }
}

static void L2_a_stream_of_which_something_left_goes_on(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < WORKERS; id++) {
        struct client client = {.port = PORT_ECHO, .bytes = 5000, .withdraws = true};
        on_worker(id, &client, open_and_put);
        assert_true(await(is_over, &client));
        assert_int_equal(client.code, TRANSPORT_CODE_NONE);
        assert_int_equal(client.received, client.bytes);
        assert_false(client.is_wrong);
    }
}

/* Nothing of them may leak; a sanitizer build says so. */
static void T1_streams_that_are_open_when_workers_stop_are_freed(void **state)
{
    static struct client clients[WORKERS];
    (void)state;
    for (uint32_t id = 0; id < WORKERS; id++) {
        uint64_t one_more = node.far_streams + 1;
        clients[id] = (struct client){.port = PORT_KEEP};
        on_worker(id, &clients[id], open_client);
        assert_true(await(some_streams, &one_more));
        node.left[id] = &clients[id];
    }
    workers_stop(&node.workers);
    assert_int_equal(node.far_open, 0);
    for (uint32_t id = 0; id < WORKERS; id++)
        assert_null(clients[id].stream);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start_node, stop_node)
    const struct CMUnitTest tests[] = {
        CASE(T1_bytes_pass_both_ways_from_any_worker),
        CASE(T1_many_streams_of_both_workers_share_the_link),
        CASE(T1_a_refusal_comes_back_to_any_worker),
        CASE(T1_a_reset_reaches_the_far_end_with_its_code),
        CASE(L10_another_ring_is_told_to_the_far_end),
        CASE(T1_what_is_let_go_unfinished_is_cancelled),
        CASE(L2_a_stream_comes_back_as_a_whole_or_goes_on),
        CASE(L2_a_stream_of_which_something_left_goes_on),
        CASE(T1_streams_that_are_open_when_workers_stop_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
