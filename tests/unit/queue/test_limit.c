/* SPDX-License-Identifier: Apache-2.0
 *
 * The controller of slots beside a server of which we know how many requests it can work on: a processor that its requests share,
 * in virtual time, with more requests waiting than it can serve, or about as many.
 */
#include "scene.h"

#include "queue/limit.h"

#include <math.h>

enum { TYPES = 2, PENDING_MOST = 2048 };

struct server {
    struct limit limit;
    struct random random;
    double workers;         /* it works on so many at once at full speed */
    double means_ns[TYPES]; /* of work, by type */
    double first_share;     /* of requests, that are of the first type */
    double load;            /* of what it can do; 0: there is always somebody waiting */
    bool is_bimodal;        /* one in ten takes ten times as long; else exponential */
    double now_ns, next_ns; /* the next arrival */
    double left_ns[PENDING_MOST], began_ns[PENDING_MOST];
    uint8_t types[PENDING_MOST];
    uint32_t pending, waiting;
    uint64_t done;
    double work_done_ns;
    uint32_t least, most; /* slots, seen */
};

static double exponential(struct server *server, double mean)
{
    return -log(1 - random_unit(&server->random)) * mean;
}

static double draw_work(struct server *server, uint8_t type)
{
    double mean = server->means_ns[type];
    if (!server->is_bimodal)
        return exponential(server, mean);
    return random_unit(&server->random) < 0.1 ? mean * 10 / 1.9 : mean / 1.9;
}

static double mean_work(const struct server *server)
{
    return server->means_ns[0] * server->first_share +
           server->means_ns[1] * (1 - server->first_share);
}

static void launch(struct server *server)
{
    uint8_t type = random_unit(&server->random) >= server->first_share;
    INVARIANT(server->pending < PENDING_MOST);
    server->types[server->pending] = type;
    server->began_ns[server->pending] = server->now_ns;
    server->left_ns[server->pending] = draw_work(server, type);
    server->pending++;
    limit_launched(&server->limit, server->pending);
}

static void fill(struct server *server)
{
    while (server->pending < limit_slots(&server->limit) &&
           (!(server->load > 0) || server->waiting)) {
        if (server->load > 0)
            server->waiting--;
        launch(server);
    }
}

static double speed(const struct server *server)
{
    return server->pending > server->workers ? server->workers / server->pending : 1;
}

static void pass(struct server *server, double ns)
{
    double work = ns * speed(server);
    for (uint32_t i = 0; i < server->pending; i++)
        server->left_ns[i] -= work;
    server->work_done_ns += work * server->pending;
    server->now_ns += ns;
}

static void finish(struct server *server, uint32_t i)
{
    uint64_t service_ns = (uint64_t)(server->now_ns - server->began_ns[i]) + 1;
    limit_sample(&server->limit, server->types[i], service_ns, server->pending,
                 (uint64_t)server->now_ns);
    uint32_t last = --server->pending, slots = limit_slots(&server->limit);
    server->left_ns[i] = server->left_ns[last];
    server->began_ns[i] = server->began_ns[last];
    server->types[i] = server->types[last];
    server->done++;
    server->least = slots < server->least ? slots : server->least;
    server->most = slots > server->most ? slots : server->most;
}

static void step(struct server *server)
{
    uint32_t first = 0;
    for (uint32_t i = 1; i < server->pending; i++)
        if (server->left_ns[i] < server->left_ns[first])
            first = i;
    double done_ns = server->pending ? server->left_ns[first] / speed(server) : INFINITY;
    double come_ns = server->load > 0 ? server->next_ns - server->now_ns : INFINITY;
    if (come_ns < done_ns) {
        pass(server, come_ns);
        server->waiting++;
        server->next_ns += exponential(server, mean_work(server) / server->workers / server->load);
    } else {
        pass(server, done_ns);
        finish(server, first);
    }
    fill(server);
}

static void begin(struct server *server, double workers, uint64_t seed)
{
    *server = (struct server){
        .workers = workers, .means_ns = {20e6, 200e6}, .first_share = 1, .least = UINT32_MAX};
    random_seed(&server->random, seed);
    limit_init(&server->limit, 2, 1000);
    server->now_ns = 1e9;
}

/* What it did, as a share of what it could do. */
static double run(struct server *server, double seconds)
{
    double until_ns = server->now_ns + seconds * 1e9, from_ns = server->now_ns;
    if (server->next_ns < server->now_ns)
        server->next_ns = server->now_ns;
    server->work_done_ns = 0;
    server->least = UINT32_MAX;
    server->most = 0;
    fill(server);
    while (server->now_ns < until_ns)
        step(server);
    return server->work_done_ns / (server->now_ns - from_ns) / server->workers;
}

static struct server server;

/* Seen from 40 to 100 seconds. Times that are spread over two orders of magnitude are the hardest to compare. */
static void L3_slots_settle_a_little_above_what_a_server_can_do(void **state)
{
    (void)state;
    static const double workers[] = {2, 4, 8, 16, 32, 64, 128};
    for (int i = 0; i < (int)(sizeof workers / sizeof *workers); i++) {
        for (int kind = 0; kind < 3; kind++) {
            begin(&server, workers[i], (uint64_t)(i * 3 + kind));
            server.is_bimodal = kind == 1;
            server.first_share = kind == 2 ? 0.8 : 1;
            run(&server, 40);
            double busy = run(&server, 60);
            print_message("%g workers, kind %d: slots %u..%u, busy %.3f\n", workers[i], kind,
                          server.least, server.most, busy);
            assert_true(busy > 0.93);
            assert_true(server.least >= workers[i] * 0.6);
            /* The first few requests tell the base: four at a time, which two workers are too few for. */
            assert_true(server.most <= fmax(workers[i], 4) * 2.5 + 4);
        }
    }
}

static void L3_a_mild_overload_does_not_creep_upwards(void **state)
{
    (void)state;
    begin(&server, 16, 5);
    server.load = 0.5;
    run(&server, 30);
    server.load = 1.1;
    run(&server, 60);
    uint32_t early = limit_slots(&server.limit);
    run(&server, 900);
    print_message("mild overload: %u, later %u..%u\n", early, server.least, server.most);
    assert_true(server.most <= 40);
    assert_true(server.least >= 12);
}

static void L3_a_light_load_neither_raises_nor_lowers(void **state)
{
    (void)state;
    begin(&server, 16, 6);
    server.load = 0.8;
    run(&server, 60);
    double busy = run(&server, 300);
    print_message("light load: %u..%u busy %.3f\n", server.least, server.most, busy);
    assert_true(server.least >= 10 && server.most <= 48);
    assert_true(busy > 0.77);
}

static void L3_a_server_that_shrinks_or_grows_is_followed(void **state)
{
    (void)state;
    begin(&server, 32, 7);
    run(&server, 60);
    server.workers = 8;
    run(&server, 60);
    run(&server, 10);
    print_message("shrunk to 8: %u..%u\n", server.least, server.most);
    assert_true(server.most <= 32 && server.least >= 5);
    server.workers = 64;
    run(&server, 60);
    double busy = run(&server, 20);
    print_message("grown to 64: %u..%u busy %.3f\n", server.least, server.most, busy);
    assert_true(busy > 0.93 && server.most <= 150);
}

/* Its own work takes three times as long, as behind a slow database: fewer slots would only waste it. */
static void L3_a_server_that_becomes_slower_keeps_its_slots(void **state)
{
    (void)state;
    begin(&server, 16, 8);
    run(&server, 60);
    server.means_ns[0] *= 3;
    double meanwhile = run(&server, 30);
    double busy = run(&server, 60);
    print_message("three times slower: busy %.3f, then %.3f, slots %u..%u\n", meanwhile, busy,
                  server.least, server.most);
    assert_true(meanwhile > 0.7);
    assert_true(busy > 0.9 && server.most <= 50);
    server.means_ns[0] /= 3;
    run(&server, 60);
    busy = run(&server, 30);
    print_message("as before: busy %.3f, slots %u..%u\n", busy, server.least, server.most);
    assert_true(busy > 0.93 && server.most <= 64);
}

/* A site whose requests become long ones from one minute to the next is not a server that became slow. */
static void L7_another_mixture_of_types_changes_nothing(void **state)
{
    (void)state;
    begin(&server, 16, 9);
    server.first_share = 0.9;
    run(&server, 60);
    server.first_share = 0.1;
    double busy = run(&server, 60);
    print_message("mixture: busy %.3f, slots %u..%u\n", busy, server.least, server.most);
    assert_true(busy > 0.93);
    assert_true(server.least >= 10 && server.most <= 44);
}

static void L3_what_is_unknown_is_no_sample(void **state)
{
    (void)state;
    struct limit limit;
    limit_init(&limit, 5, 10);
    assert_int_equal(limit_slots(&limit), 5);
    for (uint64_t i = 0; i < 1000; i++)
        limit_sample(&limit, 0, 0, 5, i * MS_NS);
    assert_int_equal(limit.window.samples, 0);
    limit_range(&limit, 0, 0);
    assert_int_equal(limit_slots(&limit), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L3_slots_settle_a_little_above_what_a_server_can_do),
        cmocka_unit_test(L3_a_mild_overload_does_not_creep_upwards),
        cmocka_unit_test(L3_a_light_load_neither_raises_nor_lowers),
        cmocka_unit_test(L3_a_server_that_shrinks_or_grows_is_followed),
        cmocka_unit_test(L3_a_server_that_becomes_slower_keeps_its_slots),
        cmocka_unit_test(L7_another_mixture_of_types_changes_nothing),
        cmocka_unit_test(L3_what_is_unknown_is_no_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
