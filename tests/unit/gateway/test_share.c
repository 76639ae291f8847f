/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections that real workers keep to one origin: so many as the site says by all together, a fair share for each, and room where the
 * origin's limit is reached by those that idle (L3).
 */
#include "base/memory.h"
#include "fake_link.h"
#include "gateway/private.h"
#include "network.h"

#include <unistd.h>

enum { WORKERS = 2 };
#define IDLE_NS (60ull * 1000000000)

static const char site[] =
    "nodes:\n"
    "  edge: { " NETWORK_A ", edge: { listen: [\":80\"] } }\n"
    "  gate: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] },\n"
    "    gateway: { allow_local: true, allow: [{ edges: [edge], sites: [shop] }] } }\n"
    "sites:\n"
    "  shop: { hosts: [www.shop.example], limits: { kept: 4 },\n"
    "    origins: [{ url: \"http://127.0.0.1:%u\", limit: %u }] }\n";

struct scene {
    struct conf *conf;
    struct gateway *gateway;
    struct worker_set *workers;
    struct address origin;
    int listener;
    uint32_t worker, count; /* who keeps how many more */
    uint32_t idle[WORKERS], connections[WORKERS];
};

static struct origin_pool *pool_of(const struct scene *scene, struct worker *worker)
{
    struct gateway_worker *own = &scene->gateway->workers[worker_id(worker)];
    return gateway_pool_at(own, conf_find_site(scene->conf, SPAN("shop")), &scene->origin);
}

static void keep_more(struct worker *worker, void *argument)
{
    static const struct origin_caller anybody = {.edge_port = 80};
    struct scene *scene = argument;
    if (worker_id(worker) != scene->worker)
        return;
    struct origin_pool *pool = pool_of(scene, worker);
    for (uint32_t i = 0; i < scene->count; i++) {
        struct origin_connection *connection;
        assert_int_equal(gateway_pool_connect(pool->worker, pool, &anybody, &connection), 0);
        connection->is_connecting = false; /* loopback: nobody has to wait */
        gateway_pool_keep(connection, IDLE_NS, scene->conf->sites[0].kept_connections);
    }
}

static void look(struct worker *worker, void *argument)
{
    struct scene *scene = argument;
    const struct origin_pool *pool = pool_of(scene, worker);
    scene->idle[worker_id(worker)] = pool->idle_count;
    scene->connections[worker_id(worker)] = pool->connection_count;
}

static int start_worker(struct worker *worker, void *argument)
{
    return gateway_start(((struct scene *)argument)->gateway, worker);
}

static void stop_worker(struct worker *worker, void *argument)
{
    gateway_stop(((struct scene *)argument)->gateway, worker);
}

static void start(struct scene *scene, uint32_t limit)
{
    static const struct address loopback = {.bytes = {127, 0, 0, 1}, .family = 4};
    const struct worker_hooks hooks = {start_worker, stop_worker, scene};
    struct text text = {0};
    memset(scene, 0, sizeof *scene);
    assert_int_equal(socket_listen_tcp(&loopback, 0, &scene->listener), 0);
    assert_int_equal(socket_local(scene->listener, &scene->origin), 0);
    text_add_format(&text, site, scene->origin.port, limit);
    scene->conf = network_load(text.data, "gate");
    text_clear(&text);
    const struct gateway_options options = {.conf = {network_current, &scene->conf},
                                            .workers = WORKERS};
    scene->gateway = gateway_new(&options);
    assert_int_equal(workers_start(&scene->workers, WORKERS, "test", &hooks), 0);
}

static void finish(struct scene *scene)
{
    workers_stop(&scene->workers);
    gateway_free(&scene->gateway);
    conf_free(scene->conf);
    close(scene->listener);
}

static void keep(struct scene *scene, uint32_t worker, uint32_t count)
{
    scene->worker = worker;
    scene->count = count;
    workers_run_on_all(scene->workers, keep_more, scene);
}

/* What one worker asks of another comes a little later. */
static void expect(struct scene *scene, uint32_t first, uint32_t second)
{
    uint64_t until_ns = clock_now_ns() + 20000000000ull;
    do {
        workers_run_on_all(scene->workers, look, scene);
        if (scene->idle[0] == first && scene->idle[1] == second)
            return;
        usleep(1000);
    } while (clock_now_ns() < until_ns);
    fail_msg("%u and %u are kept, not %u and %u", scene->idle[0], scene->idle[1], first, second);
}

static void L3_what_is_kept_counts_for_all_workers(void **state)
{
    static struct scene scene;
    (void)state;
    start(&scene, 100);
    keep(&scene, 0, 6);
    expect(&scene, 4, 0); /* all of it, as long as nobody else wants any */
    keep(&scene, 1, 1);
    expect(&scene, 3, 1);
    keep(&scene, 1, 1);
    expect(&scene, 2, 2);
    keep(&scene, 1, 5); /* no more than its share beside another */
    expect(&scene, 2, 2);
    keep(&scene, 0, 3);
    expect(&scene, 2, 2);
    finish(&scene);
}

static void L3_idle_connections_make_room_at_the_limit(void **state)
{
    static struct scene scene;
    (void)state;
    start(&scene, 3); /* fewer than may be kept */
    keep(&scene, 0, 3);
    expect(&scene, 3, 0);
    keep(&scene, 1, 1);
    expect(&scene, 2, 1);
    finish(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L3_what_is_kept_counts_for_all_workers),
        cmocka_unit_test(L3_idle_connections_make_room_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
