/* SPDX-License-Identifier: Apache-2.0
 *
 * Tickets between real workers: however they are ended, and however they cross with their answers, no origin has more than its slots, every
 * slot comes home, and what is under way when workers stop is freed (a sanitizer build says so). Their classes change all the while. (L3, L10)
 */
#include "base/memory.h"
#include "fake_link.h"
#include "gateway/owner/owner.h"
#include "network.h"

#include <unistd.h>

enum { WORKERS = 3, SITES = 2, ACTORS = 16, SLOTS = 2, ROUNDS = 300 };

static const char two_sites[] =
    "nodes:\n"
    "  edge: { " NETWORK_A ", edge: { listen: [\":80\"] } }\n"
    "  gate: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] },\n"
    "    gateway: { allow_local: true, allow: [{ edges: [edge], sites: [shop, blog] }] } }\n"
    "sites:\n"
    "  shop: { hosts: [www.shop.example], limits: { connections: 2, kept: 1 },\n"
    "    origins: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"] }\n"
    "  blog: { hosts: [blog.example], limits: { connections: 2, kept: 1 },\n"
    "    origins: [\"http://127.0.0.1:%d\"] }\n";

struct scene;

/* Asks, holds a slot for a moment, gives it back, asks again; now and then it gives up early. */
struct actor {
    struct scene *scene;
    struct gateway_worker *worker;
    struct gateway_ticket *ticket;
    struct loop_timer timer;
    uint32_t rounds; /* left */
    uint16_t port;   /* of the origin whose slot it has; 0: none */
};

struct scene {
    struct conf *_Atomic conf;
    struct gateway *gateway;
    struct worker_set *workers;
    struct actor actors[WORKERS][ACTORS];
    _Atomic int32_t held[4]; /* by port of the origin */
    _Atomic uint32_t excesses, granted, at_rest;
};

static void act(struct actor *actor);

static void give_back(struct actor *actor)
{
    static const struct gateway_outcome done = {.end = GATEWAY_END_DONE};
    if (actor->port)
        actor->scene->held[actor->port]--;
    actor->port = 0;
    gateway_ticket_end(&actor->ticket, &done);
}

static void on_ticket(void *argument, struct gateway_ticket *ticket)
{
    struct actor *actor = argument;
    const struct gateway_answer *answer = gateway_ticket_answer(ticket);
    if (answer->result == 0) {
        actor->port = answer->address.port;
        actor->scene->granted++;
        if (++actor->scene->held[actor->port] > SLOTS)
            actor->scene->excesses++;
    }
    if (random_below(&actor->worker->random, 2))
        act(actor);
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    act(CONTAINER_OF(timer, struct actor, timer));
}

static void act(struct actor *actor)
{
    struct gateway_worker *worker = actor->worker;
    if (actor->ticket && random_below(&worker->random, 2)) {
        for (uint32_t i = 0; i <= random_below(&worker->random, 3); i++)
            gateway_ticket_reclass(actor->ticket, (uint8_t)random_below(&worker->random, 7));
        if (random_below(&worker->random, 2)) { /* else it is ended while that is under way */
            loop_timer_start(worker->loop, &actor->timer,
                             loop_now_ns(worker->loop) + random_below(&worker->random, 300000));
            return;
        }
    }
    give_back(actor);
    if (!actor->rounds) {
        loop_timer_stop(worker->loop, &actor->timer);
        actor->scene->at_rest++;
        return;
    }
    actor->rounds--;
    struct gateway_wish wish = {
        .part = gateway_part_key(random_below(&worker->random, 3) ? "shop" : "blog", NULL, 0),
        .class = (uint8_t)random_below(&worker->random, QUEUE_CLASSES)};
    actor->ticket = gateway_ticket_ask(worker, &wish, on_ticket, actor);
    loop_timer_start(worker->loop, &actor->timer,
                     loop_now_ns(worker->loop) + random_below(&worker->random, 300000));
}

static int start_worker(struct worker *worker, void *argument)
{
    return gateway_start(((struct scene *)argument)->gateway, worker);
}

static void stop_worker(struct worker *worker, void *argument)
{
    struct scene *scene = argument;
    for (int i = 0; i < ACTORS; i++) {
        struct actor *actor = &scene->actors[worker_id(worker)][i];
        loop_timer_stop(worker_loop(worker), &actor->timer);
        give_back(actor);
    }
    gateway_stop(scene->gateway, worker);
}

static void set_off(struct worker *worker, void *argument)
{
    struct scene *scene = argument;
    for (int i = 0; i < ACTORS; i++) {
        struct actor *actor = &scene->actors[worker_id(worker)][i];
        *actor = (struct actor){.scene = scene,
                                .worker = &scene->gateway->workers[worker_id(worker)],
                                .rounds = ROUNDS,
                                .timer.fire = on_timer};
        act(actor);
    }
}

static void reload(struct worker *worker, void *argument)
{
    gateway_reload(((struct scene *)argument)->gateway, worker);
}

static struct conf *load(int blog_port)
{
    struct text text = {0};
    text_add_format(&text, two_sites, blog_port);
    struct conf *conf = network_load(text.data, "gate");
    text_clear(&text);
    return conf;
}

static const struct conf *conf_of(const void *argument)
{
    return atomic_load(&((const struct scene *)argument)->conf);
}

static void start(struct scene *scene)
{
    struct worker_hooks hooks = {start_worker, stop_worker, scene};
    memset(scene, 0, sizeof *scene);
    scene->conf = load(3);
    struct gateway_options options = {.conf = {conf_of, scene}, .workers = WORKERS};
    scene->gateway = gateway_new(&options);
    assert_int_equal(workers_start(&scene->workers, WORKERS, "test", &hooks), 0);
    workers_run_on_all(scene->workers, set_off, scene);
}

static void finish(struct scene *scene)
{
    workers_stop(&scene->workers);
    gateway_free(&scene->gateway);
    conf_free(scene->conf);
}

static bool wait_until(bool (*is_so)(const struct scene *scene), const struct scene *scene)
{
    uint64_t until_ns = clock_now_ns() + 60000000000ull;
    while (!is_so(scene) && clock_now_ns() < until_ns)
        usleep(1000);
    return is_so(scene);
}

static bool all_rest(const struct scene *scene)
{
    return scene->at_rest == WORKERS * ACTORS;
}

static bool all_are_home(const struct scene *scene)
{
    (void)scene;
    return metric_read(&gateway_pending) == 0 && metric_read(&gateway_waiting) == 0;
}

static void L3_slots_are_exact_with_several_workers(void **state)
{
    static struct scene scene;
    (void)state;
    start(&scene);
    assert_true(wait_until(all_rest, &scene));
    assert_int_equal(scene.excesses, 0);
    assert_true(scene.granted > ROUNDS); /* most give up early */
    assert_true(wait_until(all_are_home, &scene));
    for (int i = 0; i < 4; i++)
        assert_int_equal(scene.held[i], 0);
    finish(&scene);
}

/* The map is another one each time: owners come and go, those who wait find their places anew. What was under way where two farms
 * become one is counted apart until it has finished. */
static void L3_slots_come_home_over_reloads(void **state)
{
    static struct scene scene;
    (void)state;
    start(&scene);
    for (int i = 0; i < 20; i++) {
        struct conf *old = scene.conf;
        scene.conf = load(i & 1 ? 3 : 1); /* the sites share a server, or do not */
        workers_run_on_all(scene.workers, reload, &scene);
        conf_free(old);
        usleep(2000);
    }
    assert_true(wait_until(all_rest, &scene));
    assert_true(wait_until(all_are_home, &scene));
    finish(&scene);
}

static void nothing_is_lost_when_workers_stop(void **state)
{
    static struct scene scene;
    (void)state;
    for (int i = 0; i < 20; i++) {
        start(&scene);
        usleep((unsigned)i * 500);
        finish(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L3_slots_are_exact_with_several_workers),
        cmocka_unit_test(L3_slots_come_home_over_reloads),
        cmocka_unit_test(nothing_is_lost_when_workers_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
